"""What is exported: all answers about one video, and what was seen and heard in it.

Does: hold them together, join neighbouring segments into stretches and spans.
Does not: write any format.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mllm_affect.errors import UserError
from mllm_affect.media.observed import Observed
from mllm_affect.media.speech.activity import Span
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.video_events import Event

NOTICE = (
    "A model's answers about what can be seen and heard, not measurements of a person. "
    "Not for judging anybody, and no lie detector."
)
"""Goes with every format that has a place for it."""

OF_EVENTS = "profile"
"""Pooling of answers whose segments are events, which may lie anywhere and may be none."""

TOUCHING_S = 0.001
"""Spans this near to each other are one; segments share their borders to the microsecond."""


@dataclass(frozen=True)
class Stretch:
    """Neighbouring segments whose answer is the task's positive one.

    `probability`: the highest of theirs.
    """

    task: str
    answer: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Analysis:
    """The answers to one or more tasks about one video, at least one.

    `video`: its name for people, a file name where there is one.  `events`: expressions found in
    it, times in seconds on the video's own timestamps.  `observed`: what its segments show and let
    hear, nothing where nobody looked.  Raises UserError `nothing_to_export` for no
    answer, `different_videos` for answers about several videos, `task_twice` for two answers to one
    task.
    """

    video: str
    answers: tuple[VideoAnswer, ...]
    events: tuple[Event, ...] = ()
    observed: tuple[Observed, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot stand in one file."""
        if not self.answers:
            raise UserError("nothing_to_export", f"There is no answer about {self.video} yet.")
        if len({answer.source_sha256 for answer in self.answers}) > 1:
            raise UserError(
                "different_videos", "These answers are about different videos; export each alone."
            )
        tasks = [answer.task for answer in self.answers]
        if len(set(tasks)) < len(tasks):
            raise UserError(
                "task_twice", "Two of these answers are to one task; leave one of them out."
            )

    @property
    def origin_s(self) -> float:
        """The first frame's timestamp: zero on the clock of captions and annotation programs.

        As nearly as is known: where segments are events and nobody looked, it is taken to be 0.
        """
        cut = [told.segments for told in self.answers if told.pooling != OF_EVENTS]
        starts = [part.start_s for parts in cut for part in parts]
        return min((*starts, *(part.start_s for part in self.observed)), default=0.0)

    def speech(self) -> tuple[Span, ...]:
        """Return when somebody speaks, joined across segments; empty where nobody listened."""
        return joined(span for part in self.observed for span in part.speech)

    def pauses(self) -> tuple[Span, ...]:
        """Return when nobody speaks, joined across segments; empty where nobody listened."""
        return joined(span for part in self.observed for span in part.pauses)


def stretches(answer: VideoAnswer) -> tuple[Stretch, ...]:
    """Return where neighbouring segments are positive; nothing for a task without a positive."""
    return tuple(_stretches(answer))


def _stretches(answer: VideoAnswer) -> Iterator[Stretch]:
    positive = answer.positive
    if positive is None:
        return
    found = [part for part in answer.segments if part.answer == positive]
    for span in joined(Span(part.start_s, part.end_s) for part in found):
        within = [
            part.probabilities.get(positive, 0.0)
            for part in found
            if span.start_s - TOUCHING_S <= part.start_s < span.end_s
        ]
        yield Stretch(answer.task, positive, span.start_s, span.end_s, max(within))


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order of time, those that touch made one."""
    ordered: list[Span] = []
    for span in sorted(spans, key=lambda item: item.start_s):
        if ordered and span.start_s - ordered[-1].end_s <= TOUCHING_S:
            ordered[-1] = Span(ordered[-1].start_s, max(ordered[-1].end_s, span.end_s))
        else:
            ordered.append(span)
    return tuple(ordered)
