"""What the miniature is asked while it learns, and the right answers about made clips.

Does: pair wordings with answers read off a clip's specification.  Does not: contain the wording
of the demonstration's task, which the miniature must not have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mllm_affect.data.made.clips import ClipSpec
from mllm_affect.tasks.prompts import load_task


@dataclass(frozen=True)
class Question:
    """A wording, how to answer it, and how often it is drawn beside the others."""

    name: str
    text: str
    answer: Callable[[ClipSpec], str]
    answers: tuple[str, ...]
    weight: float


YES_NO = ("yes", "no")


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def questions() -> tuple[Question, ...]:
    """Return every question, the one about ambivalence first, in the shipped wording.

    Several ask for one word about the voice or the face alone, so that a wording which sounds
    like them is no hint of what the ambivalence question means.
    """
    return (
        Question("ah", load_task("ah").question, lambda c: c.labels["ah"], YES_NO, 4.0),
        Question(
            "emotion",
            "Which emotion does the face show, positive, negative, neutral or surprised?",
            lambda c: c.emotion,
            ("positive", "negative", "neutral", "surprised"),
            1.0,
        ),
        Question(
            "gaze",
            "Which way does the person look, left, right, up, down or ahead?",
            lambda c: c.gaze,
            ("left", "right", "up", "down", "ahead"),
            1.0,
        ),
        Question(
            "voice",
            "How does the voice sound, halting or fluent?",
            lambda c: c.labels["voice"],
            ("halting", "fluent"),
            1.0,
        ),
        Question(
            "smile",
            "Does the face tell of a smile here? Reply with one word, yes or no.",
            lambda c: _yes(c.emotion == "positive"),
            YES_NO,
            1.0,
        ),
        Question(
            "frown",
            "Are the brows lowered? Reply with one word, yes or no.",
            lambda c: _yes(c.emotion == "negative"),
            YES_NO,
            1.0,
        ),
        Question(
            "away",
            "Do the eyes look away here? Reply with one word, yes or no.",
            lambda c: _yes(c.gaze != "ahead"),
            YES_NO,
            1.0,
        ),
        Question(
            "pauses",
            "Does the voice tell of long pauses here? Reply with one word, yes or no.",
            lambda c: _yes(c.halting),
            YES_NO,
            1.0,
        ),
    )
