"""What is known about the clips that one may learn from.

Does: gather the truth about each short clip from its training rows, and the events of each long
video from its coding sheet.  Does not: look at frames, or make rows for a trainer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mllm_affect.data.megc.answers import Said, read_answer
from mllm_affect.data.megc.coding_sheets import Coded
from mllm_affect.data.megc.folds import person
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import VQA, Kind
from mllm_affect.data.megc.vocabulary import COARSE_OF_FINE, in_order


@dataclass(frozen=True)
class ClipLabel:
    """A short clip and its truth; what its rows do not say is None or empty.

    `sides`: left or right, of the action units for which it was asked.
    """

    dataset: str
    subject: str
    filename: str
    units: tuple[str, ...]
    fine: str | None
    coarse: str | None
    sides: Mapping[str, str] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """Who is filmed; see folds."""
        return person(self.dataset, self.subject)


@dataclass(frozen=True)
class EventLabel:
    """One expression of a long video: numbers of its frames, and its action units in order."""

    onset_frame: int
    apex_frame: int
    offset_frame: int
    units: tuple[str, ...]


@dataclass(frozen=True)
class VideoLabel:
    """A long video and all its events, by onset."""

    dataset: str
    subject: str
    filename: str
    events: tuple[EventLabel, ...]

    @property
    def person(self) -> str:
        """Who is filmed; see folds."""
        return person(self.dataset, self.subject)


def clip_labels(rows: Iterable[Trained]) -> tuple[list[ClipLabel], dict[str, int]]:
    """Return the truth about every short clip, and how many clips were left out by reason.

    A clip is left out when its rows contradict each other, or name neither class nor action units.
    """
    by_clip: dict[tuple[str, str, str], list[Trained]] = {}
    for row in rows:
        if row.asked is not None and row.asked.kind in VQA:
            by_clip.setdefault((row.dataset, row.subject, row.filename), []).append(row)
    labels: list[ClipLabel] = []
    left_out: Counter[str] = Counter()
    for (dataset, subject, filename), of_clip in by_clip.items():
        truth = _truth(of_clip)
        if isinstance(truth, str):
            left_out[truth] += 1
        else:
            units, fine, coarse, sides = truth
            labels.append(ClipLabel(dataset, subject, filename, units, fine, coarse, sides))
    return labels, dict(left_out)


def video_labels(
    rows: Iterable[Trained], coded: Sequence[Coded]
) -> tuple[list[VideoLabel], dict[str, int]]:
    """Return the events of every long video that training rows ask about.

    `coded`: the lines of the sheets of long videos, one an event.  Left out are videos of whose
    events none is coded although rows count some, and events without onset or offset.
    """
    events: dict[tuple[str, str], list[EventLabel]] = {}
    left_out: Counter[str] = Counter()
    for item in coded:
        if item.onset_frame is None or item.offset_frame is None:
            left_out["event without onset or offset"] += 1
            continue
        middle = (item.onset_frame + item.offset_frame) // 2
        event = EventLabel(
            item.onset_frame, item.apex_frame or middle, item.offset_frame, item.units
        )
        events.setdefault((person(item.dataset, item.subject), item.clip), []).append(event)
    counted: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if row.asked is None or row.asked.kind in VQA:
            continue
        said = row.answer if row.asked.kind is Kind.count_all else 0
        key = (row.dataset, row.subject, row.filename)
        counted[key] = max(counted.get(key, 0), int(said))
    labels = []
    for (dataset, subject, filename), count in counted.items():
        found = events.get((person(dataset, subject), filename), [])
        if count and not found:
            left_out["video without coded events"] += 1
            continue
        found.sort(key=lambda event: event.onset_frame)
        labels.append(VideoLabel(dataset, subject, filename, tuple(found)))
    return labels, dict(left_out)


Truth = tuple[tuple[str, ...], str | None, str | None, dict[str, str]]


def _truth(rows: Sequence[Trained]) -> Truth | str:
    """Return what the rows of one clip say, or why it is left out."""
    units: set[frozenset[str]] = set()
    fine: set[str] = set()
    coarse: set[str] = set()
    sides: dict[str, str] = {}
    for row in rows:
        assert row.asked is not None
        try:
            said = read_answer(row.asked, row.answer)
        except ValueError:
            continue
        if row.asked.kind is Kind.unit_side and row.asked.unit and said.word:
            sides[row.asked.unit] = said.word
        _gather(said, units, fine, coarse)
    coarse |= {COARSE_OF_FINE[name] for name in fine}
    if max(len(units), len(fine), len(coarse)) > 1:
        return "rows contradict each other"
    if not (units or fine or coarse):
        return "neither class nor action units"
    named = in_order(next(iter(units), frozenset()))
    return named, next(iter(fine), None), next(iter(coarse), None), sides


def _gather(said: Said, units: set[frozenset[str]], fine: set[str], coarse: set[str]) -> None:
    if said.units is not None:
        units.add(said.units)
    if said.fine is not None:
        fine.add(said.fine)
    if said.coarse is not None:
        coarse.add(said.coarse)
