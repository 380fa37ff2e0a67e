"""The answers about a long video, written from one list of events.

Does: settle on events that can be true together with the questions, write every kind of answer
from them.  Does not: find events (see video_events).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mllm_affect.data.megc.question_files import Answer, Trained
from mllm_affect.data.megc.questions import COUNTS, LVQA, Asked, Kind
from mllm_affect.data.megc.vocabulary import join_units
from mllm_affect.errors import UserError
from mllm_affect.scoring.video_events import (
    DEFAULT_RULE,
    MACRO,
    MICRO,
    Event,
    EventRule,
    EventType,
    accepted,
)

CountForm = Literal["number", "string"]
"""How a count stands in JSON: `3` or `"3"`."""

USUAL_TYPE: EventType = "macro-expression"
"""Type of an event that the questions presuppose and nobody saw: long videos hold mostly these."""


@dataclass(frozen=True)
class VideoProfile:
    """The events of a video as its answers tell them, by onset; `assumed` more were not seen."""

    events: tuple[Event, ...]
    assumed: int
    usual_type: EventType

    @property
    def types(self) -> tuple[str, ...]:
        """The type of every event, the assumed ones last."""
        return (*(event.type for event in self.events), *[self.usual_type] * self.assumed)

    @property
    def units(self) -> tuple[str, ...]:
        """Action units probable in some event; the most probable one where none is."""
        best: dict[str, float] = {}
        for event in self.events:
            for name, probability in event.units.items():
                best[name] = max(probability, best.get(name, 0.0))
        probable = [name for name, probability in best.items() if probability >= 0.5]
        return tuple(probable or sorted(best, key=lambda name: -best[name])[:1])


def settle(
    questions: Iterable[Asked],
    events: Sequence[Event],
    rule: EventRule = DEFAULT_RULE,
    usual_type: EventType = USUAL_TYPE,
) -> VideoProfile:
    """Choose the events: those that reach the threshold, and as many as the questions presuppose.

    A question about the N-th event says that there are N: the next most probable candidates are
    taken in, and where there are none left, events are assumed after the last one.
    """
    chosen = accepted(events, rule)
    presupposed = max((item.number or 0 for item in questions), default=0)
    others = sorted((e for e in events if e not in chosen), key=lambda event: -event.probability)
    chosen += others[: max(0, presupposed - len(chosen))]
    chosen.sort(key=lambda event: event.onset_s)
    return VideoProfile(tuple(chosen), max(0, presupposed - len(chosen)), usual_type)


def answer_video(
    questions: Sequence[Asked],
    profile: VideoProfile,
    form: CountForm,
    usual_unit: str = "brow lowerer",
) -> tuple[Answer, ...]:
    """Answer every question about a long video from its profile.

    `usual_unit` is named where events were only assumed.  Raises UserError `wrong_task` for a
    question about a clip, `presupposed_event` for an event beyond the profile's.
    """
    return tuple(_answer(item, profile, form, usual_unit) for item in questions)


def count_form(rows: Iterable[Trained]) -> CountForm | None:
    """Return how a training file writes counts, None when it has none.

    Raises UserError `mixed_counts` when it writes them both ways.
    """
    forms: set[CountForm] = {
        "string" if isinstance(row.answer, str) else "number"
        for row in rows
        if row.asked is not None and row.asked.kind in COUNTS
    }
    if len(forms) > 1:
        raise UserError(
            "mixed_counts", "The training file writes counts both as numbers and as texts."
        )
    return forms.pop() if forms else None


def in_form(count: int, form: CountForm) -> Answer:
    """Return a count as JSON holds it."""
    return count if form == "number" else str(count)


def _answer(asked: Asked, profile: VideoProfile, form: CountForm, usual_unit: str) -> Answer:
    types = profile.types
    match asked.kind:
        case Kind.count_all:
            return in_form(len(types), form)
        case Kind.count_micro:
            return in_form(types.count(MICRO), form)
        case Kind.count_macro:
            return in_form(types.count(MACRO), form)
        case Kind.distinct_units:
            return join_units(profile.units or ([usual_unit] if types else []))
        case Kind.event_type if asked.number is not None:
            if asked.number > len(types):
                raise UserError(
                    "presupposed_event",
                    f"Event {asked.number} is asked about, but the profile has {len(types)}; "
                    "settle on events with all questions of the video.",
                )
            return types[asked.number - 1]
        case _:
            assert asked.kind not in LVQA
            raise UserError("wrong_task", f"A long video cannot be asked for {asked.kind}.")
