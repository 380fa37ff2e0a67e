"""What is known about the clips that one may learn from.

Does: gather the truth about each short clip from its training rows, and the events of each long
video from its coding sheet.  Does not: look at frames, or make rows for a trainer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mllm_affect.data.megc.answers import Said, read_answer, read_count
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
    """One expression of a long video: numbers of its frames, and its action units in order.

    `apex_frame` is None where it is not coded, or not between onset and offset.
    """

    onset_frame: int
    apex_frame: int | None
    offset_frame: int
    units: tuple[str, ...]


@dataclass(frozen=True)
class PartlyCoded:
    """An expression whose sheet lacks onset or offset (None): nobody knows how long it lasts."""

    onset_frame: int | None
    offset_frame: int | None


@dataclass(frozen=True)
class VideoLabel:
    """A long video and all its events, by onset; `partly_coded` ones cannot be learned from."""

    dataset: str
    subject: str
    filename: str
    events: tuple[EventLabel, ...]
    partly_coded: tuple[PartlyCoded, ...] = ()

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

    `coded`: the lines of the sheets of long videos, one per event.  Left out are videos of whose
    events none is coded although rows count some, events without onset or offset or with an offset
    before the onset, and action units without a known name.
    """
    events: dict[tuple[str, str], list[EventLabel]] = {}
    partly: dict[tuple[str, str], list[PartlyCoded]] = {}
    left_out: Counter[str] = Counter()
    for item in coded:
        video = (person(item.dataset, item.subject), item.clip)
        onset, apex, offset = item.onset_frame, item.apex_frame, item.offset_frame
        if item.unread:
            left_out["action unit without a known name"] += len(item.unread)
        if onset is None or offset is None:
            left_out["event without onset or offset"] += 1
            partly.setdefault(video, []).append(PartlyCoded(onset, offset))
        elif offset < onset:
            left_out["event with times out of order"] += 1
            partly.setdefault(video, []).append(PartlyCoded(offset, onset))
        else:
            if apex is not None and not onset <= apex <= offset:
                apex = None
            events.setdefault(video, []).append(EventLabel(onset, apex, offset, item.units))
    counted: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if row.asked is None or row.asked.kind in VQA:
            continue
        key = (row.dataset, row.subject, row.filename)
        counted[key] = max(counted.get(key, 0), _counted(row))
    labels = []
    for (dataset, subject, filename), count in counted.items():
        video = (person(dataset, subject), filename)
        found = sorted(events.get(video, ()), key=lambda event: event.onset_frame)
        if count and not found:
            left_out["video without coded events"] += 1
            continue
        also = tuple(partly.get(video, ()))
        labels.append(VideoLabel(dataset, subject, filename, tuple(found), also))
    return labels, dict(left_out)


def _counted(row: Trained) -> int:
    """Return how many events a row counts, 0 for other questions and unreadable counts."""
    if row.asked is None or row.asked.kind is not Kind.count_all:
        return 0
    try:
        return read_count(row.answer)
    except ValueError:
        return 0


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
