"""Which splits of a release have no labels.

Does: tell it from the lists and the annotations, or take the user's word.  Does not: read files.

The organisers keep the labels of a private test set and may write 0 in their place.  A split is
taken for unlabelled where no line of it has a label, or where all lines have 0 and the annotations
know none of its videos.  Both are said by `validate`; a user who knows better says so.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mllm_affect.data.bah.annotation import Annotation
from mllm_affect.data.bah.split_files import SplitRow
from mllm_affect.errors import UserError

PLACEHOLDER = 0


@dataclass(frozen=True)
class StatedLabels:
    """Splits whose labels the user knows to be real, and splits whose labels are placeholders."""

    labelled: frozenset[str] = frozenset()
    unlabelled: frozenset[str] = frozenset()

    def refuse_strange(self, splits: Collection[str]) -> None:
        """Raise UserError `bad_options` for a split that is not there or is stated both ways."""
        strange = sorted((self.labelled | self.unlabelled) - set(splits))
        if strange:
            raise UserError(
                "bad_options", f"No split is called {strange[0]!r}; there are {', '.join(splits)}."
            )
        both = sorted(self.labelled & self.unlabelled)
        if both:
            raise UserError("bad_options", f"Split {both[0]!r} cannot be labelled and unlabelled.")


AS_THE_FILES_SAY = StatedLabels()


def unlabelled_splits(
    rows: Sequence[SplitRow],
    annotations: Mapping[str, Annotation],
    stated: StatedLabels = AS_THE_FILES_SAY,
) -> dict[str, str]:
    """Return the splits without labels, in the rows' order, each with the reason in words.

    Raises UserError `bad_options` for stated splits that are not there.
    """
    by_split: dict[str, list[SplitRow]] = {}
    for row in rows:
        by_split.setdefault(row.split, []).append(row)
    stated.refuse_strange(list(by_split))
    return dict(_found(by_split, annotations, stated))


def _found(
    by_split: Mapping[str, Sequence[SplitRow]],
    annotations: Mapping[str, Annotation],
    stated: StatedLabels,
) -> Iterator[tuple[str, str]]:
    for split, rows in by_split.items():
        if split in stated.unlabelled:
            yield split, "its labels were stated to be placeholders"
            continue
        known = [annotations[row.key] for row in rows if row.key in annotations]
        if split in stated.labelled or any(item.global_ah is not None for item in known):
            continue
        labels = {row.label for row in rows}
        if labels == {None}:
            yield split, "no line of its list has a label"
        elif labels == {PLACEHOLDER} and not known:
            yield split, f"every line says {PLACEHOLDER} and none of its videos is annotated"
