"""How rows are drawn from labelled expressions: balance, windows, who is left out.

Does: describe, and label one window.  Does not: read files.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.data.megc.vocabulary import EVENT_TYPES
from mllm_affect.scoring.video_events import MICRO_LONGEST_S, SAME_TIME_S


class ExpressionRule(BaseModel):
    """Which rows the micro-expression tasks train on.

    `leave_out`: a person (`samm/6`) or a dataset (`samm`) that is kept for testing.  `no_per_yes`:
    questions about an action unit that is not shown, for each that is.  `calm_per_event`: windows
    without expression for each with one.  A window shows an expression where they share at least
    `positive_share` of the shorter of both, and none where they share at most `negative_share`;
    between them it is left out.  `rarest_kind`: where rows are balanced, kinds of
    question with fewer rows than this share of the most frequent kind's are repeated up to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    leave_out: str | None = None
    no_per_yes: float = Field(default=1.0, gt=0, le=20)
    calm_per_event: float = Field(default=1.5, gt=0, le=20)
    positive_share: float = Field(default=0.5, gt=0, le=1)
    negative_share: float = Field(default=0.1, ge=0, lt=1)
    rarest_kind: float = Field(default=0.0, ge=0, le=1)


class TimedEvent(BaseModel):
    """One expression on its video's clock, seconds."""

    model_config = ConfigDict(frozen=True)

    onset_s: float
    apex_s: float
    offset_s: float
    units: tuple[str, ...]

    @property
    def type(self) -> str:
        """Micro or macro, by how long it lasts."""
        short = self.offset_s - self.onset_s <= MICRO_LONGEST_S + SAME_TIME_S
        return EVENT_TYPES[0 if short else 1]


def shown_in(
    start_s: float, end_s: float, events: Sequence[TimedEvent], rule: ExpressionRule
) -> bool | None:
    """Return whether a window shows an expression, None where that is unclear."""
    most = 0.0
    for event in events:
        shared_s = min(end_s, event.offset_s) - max(start_s, event.onset_s)
        shorter_s = min(end_s - start_s, event.offset_s - event.onset_s)
        most = max(most, shared_s / max(shorter_s, SAME_TIME_S))
    if most >= rule.positive_share:
        return True
    return False if most <= rule.negative_share else None


def peaking_in(start_s: float, end_s: float, events: Sequence[TimedEvent]) -> TimedEvent | None:
    """Return the event whose apex lies in a window, None where there is none or several."""
    found = [event for event in events if start_s <= event.apex_s <= end_s]
    return found[0] if len(found) == 1 else None
