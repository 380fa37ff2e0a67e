"""The datasets' own coding sheets: onset, apex and offset of every clip, with its action units.

Does: read an xlsx or csv sheet by a layout (one table below), whatever rows stand above its
header.  Does not: find frames or decide classes.

All column names are our reading of the published sheets; another sheet needs another entry in
LAYOUTS, nothing else.  Frame rates are those the datasets state.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mllm_affect.data.megc.vocabulary import UNIT_OF_NUMBER, in_order
from mllm_affect.errors import UserError

HEADER_WITHIN = 60
"""The header is looked for in this many rows."""


@dataclass(frozen=True)
class SheetLayout:
    """How one dataset writes its sheet: the headings under which each fact may stand.

    Headings are compared without case, spaces and punctuation.  `rate_fps` is the camera's.
    """

    dataset: str
    rate_fps: float
    subject: tuple[str, ...]
    clip: tuple[str, ...]
    onset: tuple[str, ...]
    apex: tuple[str, ...]
    offset: tuple[str, ...]
    units: tuple[str, ...]
    emotion: tuple[str, ...]


LAYOUTS: Final[Mapping[str, SheetLayout]] = MappingProxyType(
    {
        "casme2": SheetLayout(
            dataset="casme2", rate_fps=200.0,
            subject=("Subject",), clip=("Filename",),
            onset=("OnsetFrame",), apex=("ApexFrame",), offset=("OffsetFrame",),
            units=("Action Units",), emotion=("Estimated Emotion",),
        ),
        "samm": SheetLayout(
            dataset="samm", rate_fps=200.0,
            subject=("Subject",), clip=("Filename",),
            onset=("Onset Frame",), apex=("Apex Frame",), offset=("Offset Frame",),
            units=("Action Units",), emotion=("Estimated Emotion",),
        ),
        "smic": SheetLayout(
            dataset="smic", rate_fps=100.0,
            subject=("Subject",), clip=("Filename",),
            onset=("OnsetF", "Onset Frame"), apex=("ApexF", "Apex Frame"),
            offset=("OffsetF", "Offset Frame"),
            units=("Action Units",), emotion=("Emotion", "Label"),
        ),
        "casme3": SheetLayout(
            dataset="casme3", rate_fps=30.0,
            subject=("Subject",), clip=("Filename",),
            onset=("Onset",), apex=("Apex",), offset=("Offset",),
            units=("AU", "Action Units"), emotion=("emotion", "Estimated Emotion"),
        ),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Coded:
    """One clip as its sheet codes it.

    Frames are the sheet's own numbers, None where it has none.  `units` are names (vocabulary
    ALL_UNITS) in order; `unread` is what of `units_text` is no action unit with a known name.
    """

    row: int
    dataset: str
    subject: str
    clip: str
    onset_frame: int | None
    apex_frame: int | None
    offset_frame: int | None
    units: tuple[str, ...]
    unread: tuple[str, ...]
    units_text: str
    emotion: str

    def duration_s(self, rate_fps: float) -> float | None:
        """Return seconds from onset to offset, both frames included."""
        if self.onset_frame is None or self.offset_frame is None:
            return None
        return (self.offset_frame - self.onset_frame + 1) / rate_fps


def read_sheet(path: Path, layout: SheetLayout) -> list[Coded]:
    """Read a coding sheet.

    Raises UserError `bad_sheet` when it cannot be read or no row holds the headings of subject and
    clip.
    """
    rows = list(_rows(path))
    start, columns = _header(rows, layout, path)
    coded = []
    for number, cells in enumerate(rows[start + 1 :], start=start + 2):

        def text(fact: str, cells: Sequence[Any] = cells) -> str:
            column = columns.get(fact)
            return _text(cells[column]) if column is not None and column < len(cells) else ""

        if not text("subject") or not text("clip"):
            continue
        units, unread = read_units(text("units"))
        coded.append(
            Coded(
                row=number,
                dataset=layout.dataset,
                subject=text("subject"),
                clip=text("clip"),
                onset_frame=_frame(text("onset")),
                apex_frame=_frame(text("apex")),
                offset_frame=_frame(text("offset")),
                units=units,
                unread=unread,
                units_text=text("units"),
                emotion=text("emotion").lower(),
            )
        )
    if not coded:
        raise UserError("bad_sheet", f"{path} has headings but no clip below them.")
    return coded


def read_units(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the action units of a cell such as `4+L10` or `R12B, 14` and what cannot be read.

    A side (L, R, or A, U for one that is unilateral) and an intensity (A to E) are dropped.
    """
    names, unread = [], []
    for part in filter(None, re.split(r"[+,;/\s]+", text.strip())):
        found = re.fullmatch(r"(?:AU)?[LRAUTB]?([0-9]{1,2})[A-E]?", part, flags=re.IGNORECASE)
        name = UNIT_OF_NUMBER.get(int(found[1])) if found else None
        if name is None:
            unread.append(part)
        else:
            names.append(name)
    return in_order(names), tuple(unread)


def _rows(path: Path) -> Iterator[tuple[Any, ...]]:
    if not path.is_file():
        raise UserError("bad_sheet", f"No coding sheet at {path}; check the path.")
    if path.suffix.lower() == ".csv":
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError("bad_sheet", f"{path} is not UTF-8 text.") from error
        separator = ";" if content.count(";") > content.count(",") else ","
        yield from (tuple(row) for row in csv.reader(io.StringIO(content), delimiter=separator))
        return
    try:
        import openpyxl
    except ImportError as error:
        raise UserError(
            "missing_package",
            "xlsx sheets need openpyxl; install mllm-affect[leaderboard].",
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises what zipfile and its XML parser do
        raise UserError("bad_sheet", f"{path} is no xlsx or csv sheet.") from error
    try:
        yield from book.worksheets[0].iter_rows(values_only=True)
    finally:
        book.close()


def _header(
    rows: Sequence[Sequence[Any]], layout: SheetLayout, path: Path
) -> tuple[int, dict[str, int]]:
    facts = ("subject", "clip", "onset", "apex", "offset", "units", "emotion")
    for number, cells in enumerate(rows[:HEADER_WITHIN]):
        place = {_plain(_text(cell)): column for column, cell in reversed(list(enumerate(cells)))}
        columns = {}
        for fact in facts:
            known = [place[_plain(name)] for name in getattr(layout, fact) if _plain(name) in place]
            if known:
                columns[fact] = known[0]
        if {"subject", "clip"} <= columns.keys():
            return number, columns
    raise UserError(
        "bad_sheet",
        f"{path} has no row with the headings {layout.subject[0]!r} and {layout.clip[0]!r}, as "
        f"sheets of {layout.dataset} do.",
    )


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z0-9]", "", heading.lower())


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _frame(text: str) -> int | None:
    return int(float(text)) if re.fullmatch(r"[0-9]+(\.0+)?", text) else None
