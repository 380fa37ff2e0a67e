"""Made clips: schematic faces and synthetic voices, drawn and sounded from numbers alone.

Does: give clips whose every fact is known, with an ambivalence/hesitancy label that needs both
modalities.  Does not: resemble any person; figures on made clips say nothing about people.
"""
