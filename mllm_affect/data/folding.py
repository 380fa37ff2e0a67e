"""Folds in which nobody, or no dataset, is on both sides; and labelled folders made of them.

Does: leave each group of rows out once, whatever the rows are; write a folder for each fold of any
labelled set, with its own examples.jsonl and links to the one set of videos.  Does not: train, copy
videos, or know the micro-expression challenge's files (see megc.folds).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np

from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.labelled import read_labelled, write_kind
from mllm_affect.errors import UserError
from mllm_affect.files import refuse_filled

By = Literal["participant", "dataset"]
Row = TypeVar("Row")

VAL_EVERY = 5
"""Every so many-th person who is not tested is kept for thresholds."""


@dataclass(frozen=True)
class Fold(Generic[Row]):
    """One fold: its name (what is left out), the rows to learn from and those to test on."""

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]


def leave_one_out(rows: Sequence[Row], groups: Sequence[str], what: str) -> Iterator[Fold[Row]]:
    """Yield one fold a group, in the order in which groups first come; `what` names their kind.

    Raises UserError `too_few_folds` when there are fewer than two groups.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        raise UserError(
            "too_few_folds", f"The rows know {len(names)} {what}; leaving one out needs two."
        )
    return (
        Fold(
            name=name,
            train=tuple(row for row, of in zip(rows, groups, strict=True) if of != name),
            test=tuple(row for row, of in zip(rows, groups, strict=True) if of == name),
        )
        for name in names
    )


@dataclass(frozen=True)
class WrittenFolds:
    """The folder of each fold by its name, and how many examples were left out, by reason."""

    folders: Mapping[str, Path]
    left_out: Mapping[str, int]


def folded_examples(
    examples: Sequence[Example], by: By, count: int | None = None, seed: int = 0
) -> dict[str, list[Example]]:
    """Return the examples of each fold, by the name of what it tests, with new splits.

    `count`: put people (or datasets) together into so many folds of about equally many videos,
    `fold-1` and so on, instead of one each; `seed` decides who goes together.  Of the people who
    are not tested every VAL_EVERY-th is `val`, for thresholds, at least one; others are `train`.
    Raises UserError `too_few_folds` and `bad_participant`.
    """
    groups = [_group_of(example, by) for example in examples]
    if count is not None:
        together = _together(groups, count, seed, by)
        groups = [together[name] for name in groups]
    folds: dict[str, list[Example]] = {}
    for place, fold in enumerate(leave_one_out(examples, groups, by)):
        people = sorted({example.participant for example in fold.train})
        if len(people) < 2:
            raise UserError(
                "too_few_folds",
                f"Without {fold.name} there is one person; training and thresholds need one each.",
            )
        kept = set(people[place % min(VAL_EVERY, len(people)) :: VAL_EVERY])
        folds[fold.name] = [
            *(
                _moved(example, "val" if example.participant in kept else "train")
                for example in fold.train
            ),
            *(_moved(example, "test") for example in fold.test),
        ]
    return folds


def write_folds(
    data: Path, out: Path, by: By, count: int | None = None, seed: int = 0
) -> WrittenFolds:
    """Write a folder of each fold into the new or empty folder `out`.

    `data`: any labelled set, a release of BAH too; examples without a label are left out.  Each
    fold says what kind of set it comes from, so that the licence's duties go on to hold.  Videos
    are links into `data`.  Raises UserError as reading and folding do, `not_empty`, and
    `bad_participant` where two names give one folder.
    """
    refuse_filled(out)
    labelled = read_labelled(data)
    examples = [example for example in labelled.examples if example.labels]
    left_out = dict(labelled.left_out)
    if len(examples) < len(labelled.examples):
        left_out["no label"] = len(labelled.examples) - len(examples)
    folds = folded_examples(examples, by, count, seed)
    folders = {name: out / name.replace("/", "-") for name in folds}
    if len(set(folders.values())) < len(folders):
        raise UserError(
            "bad_participant", "Two names differ by / and - alone, and would give one folder."
        )
    tops = sorted({Path(example.video).parts[0] for example in examples})
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        for top in tops:
            (folder / top).symlink_to((data / top).resolve())
        write_kind(folder, labelled.kind)
        write_examples(folder, folds[name])
    return WrittenFolds(folders, left_out)


def _together(groups: Sequence[str], count: int, seed: int, what: str) -> dict[str, str]:
    """Return the fold of each group: the largest first, each to the fold with fewest videos."""
    sizes = Counter(groups)
    if not 2 <= count <= len(sizes):
        raise UserError(
            "too_few_folds",
            f"{len(sizes)} {what}s cannot make {count} folds; give 2 to {len(sizes)}.",
        )
    shuffled = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    filled = [0] * count
    found: dict[str, str] = {}
    for name in sorted(shuffled, key=lambda name: -sizes[name]):
        place = filled.index(min(filled))
        filled[place] += sizes[name]
        found[name] = f"fold-{place + 1}"
    return found


def _group_of(example: Example, by: By) -> str:
    """Return what is left out together with an example: a person, or in `dataset/person` a set."""
    if by == "participant":
        return example.participant
    dataset, slash, _ = example.participant.partition("/")
    if not slash or not dataset:
        raise UserError(
            "bad_participant",
            f"Participant {example.participant!r} of {example.video} names no dataset; write "
            "dataset/person to leave datasets out.",
        )
    return dataset


def _moved(example: Example, split: str) -> Example:
    return example.model_copy(update={"split": split})
