"""Checks of one coding sheet: against itself, the training files and the folders of frames.

Does: report action units without a known name, times out of order, coded frames without an image,
and training clips that the sheet lacks.  Does not: read training files or find folders.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mllm_affect.data.megc.clip_folders import ClipFinder, frame_places
from mllm_affect.data.megc.coding_sheets import LAYOUTS, Coded, read_sheet
from mllm_affect.data.megc.findings import Finding
from mllm_affect.data.megc.folds import person
from mllm_affect.data.megc.layout import LONG
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import LVQA, VQA
from mllm_affect.data.megc.vocabulary import OTHER_UNITS
from mllm_affect.errors import UserError


def check_sheet(
    dataset: str,
    path: Path,
    rows: Sequence[Trained],
    finder: ClipFinder | None,
    counts: Counter[str],
) -> list[Finding]:
    """Return everything that is wrong with a sheet of a dataset, `long_DATASET` for long videos.

    `rows`: of all training files.  Raises UserError `unknown_dataset`, or as reading the sheet.
    """
    long = dataset.startswith(LONG)
    dataset = dataset.removeprefix(LONG)
    layout = LAYOUTS.get(dataset)
    if layout is None:
        raise UserError(
            "unknown_dataset",
            f"No coding sheet is known of {dataset!r}, only {', '.join(LAYOUTS)}.",
        )
    coded = read_sheet(path, layout)
    counts["coded_clips"] += len(coded)
    findings: list[Finding] = []
    for item in coded:
        findings += _units(path.name, item, long, counts)
        findings += _times(path.name, item)
        if finder is not None:
            findings += _frames(path.name, item, finder, long)
    findings += _not_coded(path.name, dataset, coded, rows, long)
    return findings


def _units(name: str, item: Coded, long: bool, counts: Counter[str]) -> Iterator[Finding]:
    """Long videos keep units outside the challenge's 25 names, short clips cannot."""
    where = f"row {item.row}"
    others = [unit for unit in item.units if unit in OTHER_UNITS]
    unread = list(item.unread)
    if long:
        counts["units_outside_the_25"] += len(others)
    else:
        unread += others
    if unread:
        said = f"{', '.join(unread)} is no action unit of the vocabulary"
        if long:
            said = f"{', '.join(unread)} is no action unit with a known name and is not learned"
        yield Finding("unread_action_unit", name, where, said, False)


def _times(name: str, item: Coded) -> Iterator[Finding]:
    frames = [frame for _, frame in _coded_frames(item)]
    if frames != sorted(frames):
        yield Finding("times_out_of_order", name, f"row {item.row}", f"{frames}", True)


def _frames(name: str, item: Coded, finder: ClipFinder, long: bool) -> Iterator[Finding]:
    """Report coded frames that have no image in a folder of numbered images."""
    places = frame_places(finder.find(item.clip, item.subject, item.dataset))
    lacking = [f"{frame} ({what})" for what, frame in _coded_frames(item) if frame not in places]
    if places and lacking:
        said = f"{item.clip} lacks the image of frame {', '.join(lacking)}"
        if long:
            said += "; training leaves the event out"
        yield Finding("coded_frame_missing", name, f"row {item.row}", said, False)


def _coded_frames(item: Coded) -> list[tuple[str, int]]:
    named = [("onset", item.onset_frame), ("apex", item.apex_frame), ("offset", item.offset_frame)]
    return [(what, frame) for what, frame in named if frame is not None]


def _not_coded(
    name: str, dataset: str, coded: Sequence[Coded], rows: Sequence[Trained], long: bool
) -> list[Finding]:
    kinds = LVQA if long else VQA
    known = {(person(dataset, item.subject), item.clip) for item in coded}
    asked = {
        (person(row.dataset, row.subject), row.filename)
        for row in rows
        if row.dataset.strip().lower() == dataset
        and row.asked is not None
        and row.asked.kind in kinds
    }
    return [
        Finding("not_coded", name, f"{who}/{clip}", "is trained on but not in the sheet", False)
        for who, clip in sorted(asked - known)
    ]
