"""Text that steers the model instead of being read: the names of its control tokens.

Does: find one in text of a user.  Does not: refuse it.
"""

import re

CONTROL_TOKEN = re.compile(r"<\|[^|<>]*\|>|</?(?:think|tool_call|tool_response|tts_[a-z_]+)>")
"""How this family of models writes tokens that stand for roles, media, thoughts and tools."""


def control_token_in(text: str) -> str | None:
    """Return the first control token that is written in a text, None where there is none."""
    found = CONTROL_TOKEN.search(text)
    return found.group() if found else None
