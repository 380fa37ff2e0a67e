"""Folds of a labelled folder: everybody, or every dataset, is tested once by those who are others.

Does: write a folder for each fold, with its own examples.jsonl and links to the one set of videos.
Does not: train, copy videos, or fold the micro-expression challenge's files (see megc.folds).

A participant is written `dataset/person` where several datasets are joined.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.errors import UserError

By = Literal["participant", "dataset"]
TRAIN, VAL, TEST = "train", "val", "test"


def group_of(example: Example, by: By) -> str:
    """Return what is left out together with an example.

    Raises UserError `bad_participant` where the name of a person says no dataset.
    """
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


def fold_examples(
    examples: Sequence[Example], by: By, val_share: float = 0.2
) -> dict[str, list[Example]]:
    """Return the examples of each fold, by the name of what it tests, with new splits.

    Of the other people every so many-th is left for thresholds (`val`), at least one, the first
    of them another in each fold.  Raises UserError `too_few_folds` and `bad_participant`.
    """
    groups = list(dict.fromkeys(group_of(example, by) for example in examples))
    if len(groups) < 2:
        raise UserError(
            "too_few_folds", f"The examples know {len(groups)} {by}; leaving one out needs two."
        )
    folds: dict[str, list[Example]] = {}
    for place, left_out in enumerate(groups):
        others = sorted(
            {example.participant for example in examples if group_of(example, by) != left_out}
        )
        if len(others) < 2:
            raise UserError(
                "too_few_folds",
                f"Without {left_out} there are {len(others)} people; training and thresholds "
                "need one each.",
            )
        every = max(2, round(1 / val_share))
        kept_back = {
            person for number, person in enumerate(others) if number % every == place % every
        } or {others[place % len(others)]}
        folds[left_out] = [
            example.model_copy(
                update={
                    "split": TEST
                    if group_of(example, by) == left_out
                    else (VAL if example.participant in kept_back else TRAIN)
                }
            )
            for example in examples
        ]
    return folds


def write_folds(data: Path, out: Path, by: By) -> dict[str, Path]:
    """Write a folder of each fold into the new or empty folder `out`; return them by name.

    Videos are links into `data`.  Raises UserError as reading and folding do, and `not_empty`.
    """
    if by not in get_args(By):
        raise UserError("bad_options", f"Folds are by {' or '.join(get_args(By))}, not {by!r}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("not_empty", f"{out} is not an empty folder; name one that is, or a new.")
    examples = read_examples(data)
    tops = sorted({Path(example.video).parts[0] for example in examples})
    written: dict[str, Path] = {}
    for name, fold in fold_examples(examples, by).items():
        folder = out / name.replace("/", "-")
        if folder.exists():
            raise UserError(
                "bad_participant", f"Two names give the folder {folder.name!r}; rename one of them."
            )
        folder.mkdir(parents=True)
        for top in tops:
            (folder / top).symlink_to((data / top).resolve())
        write_examples(folder, fold)
        written[name] = folder
    return written
