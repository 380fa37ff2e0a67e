"""Task 2's figures: errors of the counts, overlap of action units, UF1 and UAR of event types.

Does: say from which rows and sums each figure comes.  Does not: resample or print.

A count that is missing or cannot be read is off by the whole truth, and by at least one: it is
never right.  Action units are compared as sets of names, letter by letter; two empty sets agree,
but a missing answer agrees with nothing.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from eval.megc import class_scores
from eval.megc.figures import SumFigure, Sums, scopes
from eval.megc.pairs import Pair, Shares, as_said
from mllm_affect.data.megc.answers import read_count
from mllm_affect.data.megc.questions import Kind
from mllm_affect.data.megc.vocabulary import EVENT_TYPES
from mllm_affect.errors import UserError

COUNT_NAMES = {
    Kind.count_all: "events",
    Kind.count_micro: "micro-expressions",
    Kind.count_macro: "macro-expressions",
}


def lvqa_figures(pairs: Sequence[Pair], shares: Shares = as_said) -> list[SumFigure]:
    """Return every figure of task 2; `shares` as in `vqa_figures`.

    Raises UserError `bad_truth`.
    """
    figures: list[SumFigure] = []
    for scope, datasets in scopes([pair.dataset for pair in pairs]).items():
        rows = [pair for pair in pairs if pair.dataset in datasets]
        for kind, name in COUNT_NAMES.items():
            figures += _count_figures(f"{name} {scope}", _of_kind(rows, kind))
        figures += _unit_figures(scope, _of_kind(rows, Kind.distinct_units))
        figures += _type_figures(scope, _of_kind(rows, Kind.event_type), shares)
    return figures


def unit_set(answer: str | int) -> frozenset[str]:
    """Return the names in a comma-separated list, white space around them trimmed."""
    return frozenset(filter(None, (name.strip() for name in str(answer).split(","))))


def f1_and_jaccard(true: frozenset[str], said: frozenset[str]) -> tuple[float, float]:
    """Return the overlap over the mean size and over the union; both 1 for two empty sets."""
    if not true and not said:
        return 1.0, 1.0
    common = len(true & said)
    return 2.0 * common / (len(true) + len(said)), common / len(true | said)


def _of_kind(pairs: Sequence[Pair], kind: Kind) -> list[Pair]:
    return [pair for pair in pairs if pair.asked is not None and pair.asked.kind is kind]


def _count_figures(name: str, rows: Sequence[Pair]) -> list[SumFigure]:
    errors = [_error(pair) for pair in rows]
    value_NK = np.array([[e, e * e, 1] for e in errors], dtype=np.float64).reshape(-1, 3)
    redrawn = tuple(pair.redrawn for pair in rows)
    return [
        SumFigure(f"MAE {name}", value_NK, redrawn, lambda sums_K: float(sums_K[0] / sums_K[2])),
        SumFigure(f"RMSE {name}", value_NK, redrawn, lambda s: math.sqrt(float(s[1] / s[2]))),
    ]


def _unit_figures(scope: str, rows: Sequence[Pair]) -> list[SumFigure]:
    overlap = [
        f1_and_jaccard(unit_set(pair.truth), unit_set(pair.said)) if pair.answered else (0.0, 0.0)
        for pair in rows
    ]
    value_NK = np.array([[*both, 1.0] for both in overlap], dtype=np.float64).reshape(-1, 3)
    redrawn = tuple(pair.redrawn for pair in rows)
    return [
        SumFigure(f"F1_AU {scope}", value_NK, redrawn, lambda s: float(s[0] / s[2])),
        SumFigure(f"Jaccard_AU {scope}", value_NK, redrawn, lambda s: float(s[1] / s[2])),
    ]


def _type_figures(scope: str, rows: Sequence[Pair], shares: Shares) -> list[SumFigure]:
    truth = [str(pair.truth).strip() for pair in rows]
    try:
        flat_NK = class_scores.weighted(truth, [shares(pair) for pair in rows], EVENT_TYPES)
    except ValueError as error:
        raise UserError("bad_truth", f"A true expression type cannot be used: {error}.") from error
    redrawn = tuple(pair.redrawn for pair in rows)
    whole_LA = class_scores.as_table(flat_NK.sum(axis=0), EVENT_TYPES)

    def of(score: Callable[..., float]) -> Callable[[Sums], float]:
        of_table = class_scores.of_fixed_classes(score, whole_LA)
        return lambda sums_K: of_table(class_scores.as_table(sums_K, EVENT_TYPES))

    return [
        SumFigure(f"UF1 type {scope}", flat_NK, redrawn, of(class_scores.uf1)),
        SumFigure(f"UAR type {scope}", flat_NK, redrawn, of(class_scores.uar)),
    ]


def _error(pair: Pair) -> int:
    """Return by how much a count is off; at least one where it is missing or cannot be read."""
    truth, said = _count(pair.truth), _count(pair.said)
    if truth is None:
        raise UserError(
            "bad_truth", f"The true answer {pair.truth!r} to {pair.text!r} is no count."
        )
    return max(1, truth) if said is None else abs(said - truth)


def _count(answer: str | int) -> int | None:
    try:
        return read_count(answer.strip() if isinstance(answer, str) else answer)
    except ValueError:
        return None
