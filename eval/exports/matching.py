"""Whether two lists of ids are the same, and what differs where they are not.

Does: read the organisers' list and compare ids one by one.  Does not: know what a row holds.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.data.bah.row_lists import has_header
from mllm_affect.errors import UserError
from mllm_affect.files import lines_of

SHOWN = 10
"""How many offending ids of a kind one sentence names."""


@dataclass(frozen=True)
class Differences:
    """How `found` ids differ from the listed ones; all empty where they are equal as sets.

    `renamed`: pairs of a found and a listed id that differ in letter case, spaces, underscores,
    slashes, Unicode form or folder only; they are in none of the other lists.
    """

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    repeated: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]

    def sentences(self) -> Iterator[str]:
        """Yield one short sentence for every offending id."""
        yield from (f"{name} is listed and missing here" for name in self.missing)
        yield from (f"{name} is here and not listed" for name in self.extra)
        yield from (f"{name} is here more than once" for name in self.repeated)
        yield from (f"{here} is here, listed is {there}" for here, there in self.renamed)

    def refuse(self, what: str) -> None:
        """Raise UserError `mismatched_ids` where anything differs; `what` names the found ids."""
        kinds = (
            ("missing", self.missing),
            ("not listed", self.extra),
            ("more than once", self.repeated),
            ("renamed", [f"{here} instead of {there}" for here, there in self.renamed]),
        )
        parts = [f"{len(names)} {kind} ({some(names)})" for kind, names in kinds if names]
        if parts:
            raise UserError(
                "mismatched_ids",
                f"{what} and the reference list do not match: {'; '.join(parts)}. "
                "The ids must be equal, character by character.",
            )


@dataclass(frozen=True)
class RowOrder:
    """The organisers' ids in their order; `header`: a first line that is none of them."""

    ids: tuple[str, ...]
    header: str | None = None

    def sentence(self, reference: Path) -> str:
        """Say that a header was passed over; empty where there is none."""
        if self.header is None:
            return ""
        return f"The first line of {reference.name} ({self.header[:60]}) is a header and no row."


def read_order(reference: Path) -> RowOrder:
    """Read the organisers' row order: the first comma-separated field of every line.

    Raises UserError `bad_reference` when the file is missing, not UTF-8, empty or names an id
    twice.
    """
    if not reference.is_file():
        raise UserError("bad_reference", f"No reference list at {reference}; check the path.")
    try:
        lines = lines_of(reference.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError("bad_reference", f"{reference} is not UTF-8 text.") from error
    lines = [line for line in lines if line.strip()]
    order = [line.split(",", 1)[0].strip() for line in lines]
    header = lines[0].strip() if has_header(order) else None
    order = order[1:] if header is not None else order
    if not order:
        raise UserError("bad_reference", f"{reference} names no video.")
    twice = _repeated(order)
    if twice:
        raise UserError("bad_reference", f"{reference} names {some(twice)} more than once.")
    return RowOrder(tuple(order), header)


def differences(found: Sequence[str], listed: Sequence[str]) -> Differences:
    """Compare the found ids with the listed ones, which name each id once."""
    found_once, listed_once = dict.fromkeys(found), dict.fromkeys(listed)
    missing = [name for name in listed_once if name not in found_once]
    extra = [name for name in found_once if name not in listed_once]
    renamed: list[tuple[str, str]] = []
    for alike in (_plain, _file_name):
        pairs = _pairs(extra, missing, alike)
        renamed += pairs
        extra = [name for name in extra if name not in {here for here, _ in pairs}]
        missing = [name for name in missing if name not in {there for _, there in pairs}]
    return Differences(tuple(missing), tuple(extra), tuple(_repeated(found)), tuple(renamed))


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _pairs(
    extra: Sequence[str], missing: Sequence[str], alike: Callable[[str], str]
) -> list[tuple[str, str]]:
    """Pair ids that are alike, where exactly one of either side is."""
    here, there = Counter(map(alike, extra)), Counter(map(alike, missing))
    by_key = {alike(name): name for name in missing}
    return [
        (name, by_key[alike(name)])
        for name in extra
        if here[alike(name)] == 1 and there[alike(name)] == 1
    ]


def _plain(name: str) -> str:
    """Return the id without what a copy between systems may change."""
    folded = unicodedata.normalize("NFKC", name).casefold().replace("\\", "/").replace("_", " ")
    return "/".join(" ".join(part.split()) for part in folded.split("/") if part not in ("", "."))


def _file_name(name: str) -> str:
    return _plain(name).rsplit("/", 1)[-1]


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
