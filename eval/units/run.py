"""One action-unit evaluation from its plan to its files: `mllm-affect evaluate au`.

Does: tie predictions, figures, graph picture and report together.  Does not: print.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval import report
from eval.units.measuring import UnitPlan, predict_units
from eval.units.page import page
from eval.units.predictions import UnitPrediction, read_unit_predictions, write_unit_predictions
from eval.units.reading import Advance
from eval.units.summary import UnitSummary, summarise_units, write_metrics
from mllm_affect.data.unit_labels import MADE_PARTICIPANT

REPORT, GRAPH, KEPT = "unit-report.html", "unit-graph.svg", ".unit-readings"


def evaluate_units(plan: UnitPlan, out: Path, advance: Advance) -> UnitSummary:
    """Predict, measure and write predictions, metrics, the graph's picture and the report.

    What is read is kept beside them until all is written: a stopped run goes on.
    """
    keep = out / KEPT
    rows = predict_units(plan, advance, keep)
    write_unit_predictions(out, rows)
    graph = _graph(plan.model, out)
    settings = {
        "checkpoint": plan.model.name, "task": plan.task, "split": plan.split,
        "thresholds from": plan.thresholds_split, "baseline trained on": plan.flow_split or "none",
    }  # fmt: skip
    summary = _write(rows, out, graph, settings)
    shutil.rmtree(keep, ignore_errors=True)
    return summary


def pool_units(predictions: Sequence[Path], out: Path) -> UnitSummary:
    """Measure predictions of several folds together and write metrics and the report."""
    rows = read_unit_predictions(predictions)
    return _write(rows, out, None, {"predictions": f"{len(predictions)} files"})


def _write(
    rows: Sequence[UnitPrediction], out: Path, graph: str | None, settings: dict[str, Any]
) -> UnitSummary:
    summary = summarise_units(rows)
    write_metrics(out, summary)
    made = all(row.participant.startswith(MADE_PARTICIPANT) for row in rows)
    note = report.MADE_CLIPS_NOTE if made else ""
    report.write_report(out / REPORT, page(summary, rows, graph, note, settings))
    return summary


def _graph(checkpoint: Path, out: Path) -> str | None:
    """Draw the learned graph into `out`; None for a checkpoint whose graph has no messages."""
    from mllm_affect.errors import UserError
    from mllm_affect.model.evidence.prior import prior
    from mllm_affect.model.evidence.showing import draw_graph, learned_strengths

    try:
        units, strengths_AA = learned_strengths(checkpoint)
    except UserError:
        return None
    draw_graph(prior(units), strengths_AA, out / GRAPH)
    text = (out / GRAPH).read_text(encoding="utf-8")
    return text[text.index("<svg") :]
