"""One ensemble from its files to its files: `mllm-affect ensemble`.

Does: read, fit where asked, combine, write predictions.jsonl and ensemble.json.
Does not: print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.ensemble_weights import FittedWeights, fit_weights
from eval.ensembling import Method, aligned, combine
from eval.predictions import FILE_NAME, Prediction, read_predictions, write_predictions
from mllm_affect import __version__
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json

SETTINGS_NAME = "ensemble.json"


@dataclass(frozen=True)
class EnsemblePlan:
    """What to combine and how.

    `fit_on`: as many files as `predictions`, from the same models in the same order, about a
    labelled split; the very same files for out-of-fold predictions of that split.
    """

    predictions: tuple[Path, ...]
    method: Method = "mean"
    weights: tuple[float, ...] | None = None
    fit_on: tuple[Path, ...] = ()
    threshold: float | None = None
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Ensemble:
    """What was made; `fitted` is None where weights were given or equal."""

    predictions: Sequence[Prediction]
    weights: tuple[float, ...] | None
    fitted: FittedWeights | None


def make(plan: EnsemblePlan) -> Ensemble:
    """Combine the files of the plan.

    Raises UserError `bad_options`, `shared_participants` (people in the files that weights are
    fitted on and in those that are combined), and as combining and fitting do.
    """
    members = aligned([read_predictions(path) for path in plan.predictions])
    if not plan.fit_on:
        rows = combine(members, plan.method, plan.weights, plan.threshold)
        return Ensemble(rows, plan.weights, None)
    if plan.weights is not None or len(plan.fit_on) != len(plan.predictions):
        raise UserError(
            "bad_options",
            "Give one --fit file for each --predictions file, in the same order, and no --weight.",
        )
    if [path.resolve() for path in plan.fit_on] == [path.resolve() for path in plan.predictions]:
        fitted, rows = fit_weights(members, plan.method, plan.threshold, plan.folds, plan.seed)
        return Ensemble(rows, fitted.weights, fitted)
    labelled = aligned([read_predictions(path) for path in plan.fit_on])
    _refuse_shared(labelled[0], members[0])
    fitted, _ = fit_weights(labelled, plan.method, plan.threshold, plan.folds, plan.seed)
    rows = combine(members, plan.method, fitted.weights, plan.threshold)
    return Ensemble(rows, fitted.weights, fitted)


def write(plan: EnsemblePlan, made: Ensemble, out: Path) -> None:
    """Write predictions.jsonl and ensemble.json, which says what they depend on."""
    write_predictions(out / FILE_NAME, made.predictions)
    write_json(out / SETTINGS_NAME, settings(plan, made))


def settings(plan: EnsemblePlan, made: Ensemble) -> dict[str, Any]:
    """Return everything that the combined predictions depend on, and the fitted weights' scores."""
    return {
        "method": plan.method,
        "weights": None if made.weights is None else list(made.weights),
        "threshold": made.predictions[0].threshold,
        "members": [sha256_file(path) for path in plan.predictions],
        "fitted_on": [sha256_file(path) for path in plan.fit_on],
        "fitted": None if made.fitted is None else made.fitted.as_dict(),
        "seed": plan.seed,
        "version": __version__,
    }


def _refuse_shared(labelled: Sequence[Prediction], combined: Sequence[Prediction]) -> None:
    shared = {item.participant for item in labelled} & {item.participant for item in combined}
    if shared:
        raise UserError(
            "shared_participants",
            f"{len(shared)} participants are in the --fit files and in those to combine; weights "
            "must be fitted on other people (or on the very same files, for out-of-fold answers).",
        )
