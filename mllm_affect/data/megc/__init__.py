"""The micro-expression grand challenge's files: questions, answers, clips, coding sheets, folds.

Does: read and write them, and say what is wrong with them.  Does not: ask a model or score.
"""
