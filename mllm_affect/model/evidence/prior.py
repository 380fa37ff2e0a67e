"""The sparse structural prior: which action units may speak to which.

Does: read the table of macro-expression statistics (au_prior.yaml, with its sources) and make the
0/1 mask and the kind of every relation.  Does not: learn strengths (see graph).

Our reading of the abstract's "sparse structural prior inspired by the correspondence between micro-
and macro-expression AU sets": an edge where P(j | i) over macro-expressions passes THRESHOLD, where
both units stand in one FACS prototype, or where they exclude each other; always to oneself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from mllm_affect.model.evidence.config import Graph

THRESHOLD = 0.3
KINDS: Final = ("none", "co-occurs", "excludes")
NONE, CO_OCCURS, EXCLUDES = range(len(KINDS))


@dataclass(frozen=True, eq=False)
class Prior:
    """mask_AA: bool, row i listens to column j.  kinds_AA: int64, places in KINDS."""

    units: tuple[int, ...]
    mask_AA: NDArray[np.bool_]
    kinds_AA: NDArray[np.int64]


def prior(units: Sequence[int], graph: Graph = "sparse") -> Prior:
    """Return the prior for these units, in their order.

    `dense` is the ablation in which everybody listens to everybody, `none` the one in which nobody
    listens to anybody else; kinds stay what the table says.
    """
    kinds_AA = _kinds(tuple(units))
    oneself_AA = np.eye(len(units), dtype=np.bool_)
    mask_AA: dict[Literal["sparse", "dense", "none"], NDArray[np.bool_]] = {
        "sparse": (kinds_AA != NONE) | oneself_AA,
        "dense": np.ones_like(oneself_AA),
        "none": oneself_AA,
    }
    return Prior(tuple(units), mask_AA[graph], kinds_AA)


def conditional(units: Sequence[int]) -> NDArray[np.float64]:
    """Return P(j | i) over the six macro-expressions, each as frequent (A, A); rows are i.

    Units are taken as independent given the expression; rows of units that the table does not
    know are 0.
    """
    table = {name: row for name, row in _table()["frequencies"].items() if name != "source"}
    shares_EA = np.array([[row.get(unit, 0.0) for unit in units] for row in table.values()])
    both_AA = shares_EA.T @ shares_EA / len(shares_EA)
    alone_A = shares_EA.mean(0)
    np.fill_diagonal(both_AA, alone_A)
    given_AA: NDArray[np.float64] = np.zeros_like(both_AA)
    np.divide(both_AA, alone_A[:, None], out=given_AA, where=alone_A[:, None] > 0)
    return given_AA


@cache
def _table() -> dict[str, Any]:
    text = (files(__package__) / "au_prior.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


@cache
def _kinds(units: tuple[int, ...]) -> NDArray[np.int64]:
    place = {unit: index for index, unit in enumerate(units)}
    kinds_AA = np.where(conditional(units) > THRESHOLD, CO_OCCURS, NONE)
    for name, together in _table()["prototypes"].items():
        if name == "source":
            continue
        known = [place[unit] for unit in together if unit in place]
        kinds_AA[np.ix_(known, known)] = CO_OCCURS
    for one, other in _table()["excludes"]["pairs"]:
        if one in place and other in place:
            kinds_AA[place[one], place[other]] = kinds_AA[place[other], place[one]] = EXCLUDES
    np.fill_diagonal(kinds_AA, NONE)
    kinds_AA.setflags(write=False)
    return kinds_AA.astype(np.int64)
