"""Figures as functions of sums over rows, so that one redraw serves all of them.

Does: gather named figures, each from its own rows and columns, and give every one a value and an
interval over redrawn clips or people.  Does not: know which figures there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.intervals import Interval, middle, resampled_sums

Sums = NDArray[np.float64]


@dataclass(frozen=True)
class SumFigure:
    """A figure that depends on column sums alone.

    value_NK: one row a question; `redrawn`: the clip or person of each row, redrawn as a whole;
    `of` turns the K sums into the figure, NaN where it does not exist.
    """

    name: str
    value_NK: NDArray[np.float64]
    redrawn: tuple[str, ...]
    of: Callable[[Sums], float]


@dataclass(frozen=True)
class Figure:
    """A figure's value (None where no row asks for it), interval, and number of rows."""

    name: str
    value: float | None
    interval: Interval | None
    rows: int


def evaluate(figure: SumFigure, seed: int = 0, resamples: int = 1000) -> Figure:
    """Return the figure and its 95 % interval, whole clips or people redrawn."""
    rows = len(figure.value_NK)
    if not rows:
        return Figure(figure.name, None, None, 0)
    value = figure.of(figure.value_NK.sum(axis=0))
    if not resamples:
        return Figure(figure.name, value, None, rows)
    sums_RK = resampled_sums(figure.value_NK, figure.redrawn, seed, resamples)
    interval = middle(np.array([figure.of(sums_K) for sums_K in sums_RK]))
    return Figure(figure.name, value, interval, rows)


def scopes(datasets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the scopes of the leaderboard: all rows pooled, then each dataset's."""
    present = dict.fromkeys(datasets)
    named = {"samm": "SAMM", "casme3": "CAS"}
    order = [name for name in named if name in present]
    order += [name for name in present if name not in named]
    return {"Overall": tuple(present)} | {named.get(name, name): (name,) for name in order}
