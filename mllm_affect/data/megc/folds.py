"""Folds of training rows in which nobody, or no dataset, is on both sides.

Does: leave one subject or one dataset out, and find subjects that are in two folds.
Does not: balance or choose rows for training.

A subject is a person of one dataset: `6` of SAMM and `s06` of SMIC are two people, `6` and `006`
of SAMM are one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mllm_affect.data.folding import Fold, leave_one_out
from mllm_affect.data.megc.question_files import Trained


def person(dataset: str, subject: str) -> str:
    """Return one name for a person, however the subject is padded: `samm/6`, `smic/s8`."""
    written = subject.strip().lower()
    letters = written.rstrip("0123456789")
    digits = written[len(letters) :]
    return f"{dataset.strip().lower()}/{letters}{int(digits) if digits else ''}"


def leave_one_subject_out(rows: Sequence[Trained]) -> Iterator[Fold[Trained]]:
    """Yield one fold a person, in the order in which people first come.

    Raises UserError `too_few_folds` when there are fewer than two people.
    """
    return leave_one_out(rows, [person(row.dataset, row.subject) for row in rows], "person")


def leave_one_dataset_out(rows: Sequence[Trained]) -> Iterator[Fold[Trained]]:
    """Yield one fold a dataset, in the order in which datasets first come.

    Raises UserError `too_few_folds` when there is only one.
    """
    return leave_one_out(rows, [row.dataset.strip().lower() for row in rows], "dataset")


def leaks(folds: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return who (by `person`) is in more than one fold, with the folds' names."""
    where: dict[str, list[str]] = {}
    for name, people in folds.items():
        for someone in dict.fromkeys(people):
            where.setdefault(someone, []).append(name)
    return {someone: tuple(names) for someone, names in where.items() if len(names) > 1}
