"""The report of an action-unit evaluation, laid out.

Does: a table of units, bars, the graph as training made it, what each clip's answer leaned on.
Does not: compute or write.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval import plots, report
from eval.units.predictions import UnitPrediction, table
from eval.units.scores import UnitScores
from eval.units.summary import UnitSummary

CLIPS_SHOWN = 20

LIMITS = (
    "For research on movements of the face, and for teams with a lawful purpose and consent. An "
    "action unit is a movement, not a feeling. The figures hold for people, cameras and light like "
    "those evaluated. Two kinds of F1 are in use: binary F1 counts how well shown units are found; "
    "the mean with the F1 of units not shown reads far higher and is given only for comparison."
)


def page(
    summary: UnitSummary,
    rows: Sequence[UnitPrediction],
    graph_svg: str | None = None,
    note: str = "",
    settings: Mapping[str, Any] | None = None,
) -> report.Page:
    """Lay out the report; `graph_svg` is the picture of the action-unit graph."""
    scores = summary.scores
    folds = f" in {summary.folds} folds" if summary.folds > 1 else ""
    wrong = f" {summary.unusable} cannot be read and count as wrong." if summary.unusable else ""
    return report.Page(
        title="Action units",
        lead=f"{scores.videos:,} clips of {scores.people:,} people{folds}.{wrong} Each unit is "
        "decided by a threshold chosen on other people; binary F1 is the main figure, a mean over "
        "units.",
        note=note,
        figures=list(_figures(summary)),
        pictures=[_bars(scores, summary.flow), *_graph(graph_svg)],
        tables=[_units(scores, summary.flow), *_leanings(summary, rows)],
        settings=settings or {},
        limits=LIMITS,
    )


def _figures(summary: UnitSummary) -> list[report.Figure]:
    scores = summary.scores
    found = [
        report.Figure(
            "binary F1", f"{scores.f1:.3f}",
            f"95 % interval {report.score_interval(scores.f1_interval)}",
        ),
        report.Figure(
            "F1 of shown and not shown", f"{scores.both_f1:.3f}",
            f"95 % interval {report.score_interval(scores.both_f1_interval)}",
        ),
        report.Figure("saying “shown” always", f"{scores.always_f1:.3f}", "binary F1"),
    ]  # fmt: skip
    if summary.flow is not None and summary.over_flow is not None:
        over = summary.over_flow
        found.append(
            report.Figure(
                "optical-flow baseline", f"{summary.flow.f1:.3f}",
                f"the checkpoint is {over.gain:+.3f} ({report.score_interval(over.interval)})",
            )
        )  # fmt: skip
    found += [
        report.Figure(
            f"without the {leaning.token}", f"{leaning.scores.f1:.3f}",
            f"drop {leaning.drop.gain:.3f} ({report.score_interval(leaning.drop.interval)})",
        )
        for leaning in summary.leanings
    ]  # fmt: skip
    return found


def _bars(scores: UnitScores, flow: UnitScores | None) -> report.Picture:
    bars = []
    for place, row in enumerate(scores.units):
        marker = flow.units[place].f1 if flow else row.always_f1
        bars.append(plots.Bar(f"AU{row.unit}", row.f1, row.f1_interval, True, marker))
    beside = "the optical-flow baseline" if flow else "saying “shown” always"
    return report.Picture(
        title="Binary F1 of each unit",
        svg=plots.score_bars(bars, "Binary F1 of each action unit"),
        caption=f"Bars: the checkpoint, with 95 % intervals over people. Marks: {beside}.",
    )


def _graph(graph_svg: str | None) -> list[report.Picture]:
    if graph_svg is None:
        return []
    return [
        report.Picture(
            title="Who speaks to whom",
            svg=graph_svg,
            caption="Edges of the prior from macro-expressions; width is the strength that "
            "training gave them, dashed ones exclude each other.",
            wide=False,
        )
    ]


def _units(scores: UnitScores, flow: UnitScores | None) -> report.Table:
    columns = ["unit", "labelled", "found", "binary F1", "95 % interval", "both F1", "always"]
    rows = [
        [
            f"AU{row.unit}", f"{row.labelled:,}", f"{row.found:,}", f"{row.f1:.3f}",
            report.score_interval(row.f1_interval), f"{row.both_f1:.3f}", f"{row.always_f1:.3f}",
            *([] if flow is None else [f"{flow.units[place].f1:.3f}"]),
        ]
        for place, row in enumerate(scores.units)
    ]  # fmt: skip
    return report.Table(
        title="Per unit",
        columns=columns + ([] if flow is None else ["flow"]),
        rows=rows,
        caption="“Always” is what saying “shown” for every clip scores.",
        wide=True,
    )


def _leanings(summary: UnitSummary, rows: Sequence[UnitPrediction]) -> list[report.Table]:
    if not summary.leanings:
        return []
    units = [f"AU{unit}" for unit in rows[0].units]
    means = report.Table(
        title="What the answers lean on",
        columns=("set to zero", "binary F1", "drop", "95 % interval", *units),
        rows=[
            [
                leaning.token, f"{leaning.scores.f1:.3f}", f"{leaning.drop.gain:+.3f}",
                report.score_interval(leaning.drop.interval),
                *(f"{moved:.3f}" for moved in leaning.moved_A),
            ]
            for leaning in summary.leanings
        ],
        caption="By unit: how far its probability moves when the token is zero, mean over clips.",
        wide=True,
    )  # fmt: skip
    return [means, _single_clips(rows)]


def _single_clips(rows: Sequence[UnitPrediction]) -> report.Table:
    """Show the clips whose answers move most."""
    probability_NA = table(rows, "probabilities")
    moved = {
        title: np.abs(table(rows, name) - probability_NA).max(1)
        for name, title in (
            ("without_content", "without CT"),
            ("without_instruction", "without IT"),
        )
        if all(getattr(row, name) for row in rows)
    }
    order = np.argsort(-np.max(list(moved.values()), axis=0), kind="stable")[:CLIPS_SHOWN]
    return report.Table(
        title="Clips whose answers move most",
        columns=("clip", "labelled", "found", *moved),
        rows=[
            [
                rows[place].video,
                _names(rows[place].units, [label == 1 for label in rows[place].labels]),
                _names(
                    rows[place].units,
                    (probability_NA[place] >= np.array(rows[place].thresholds)).tolist(),
                ),
                *(f"{column[place]:.3f}" for column in moved.values()),
            ]
            for place in order
        ],
        caption="The largest change of any unit's probability; all clips are in the predictions.",
        wide=True,
    )


def _names(units: Sequence[int], shown: Sequence[bool]) -> str:
    return ", ".join(f"AU{unit}" for unit, is_shown in zip(units, shown, strict=True) if is_shown)
