"""One self-contained HTML page that shows what was measured.

Does: put figures, pictures and one whole answer on a page that needs no network and no script.
Does not: compute figures (eval.summary) or draw (eval.plots).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from eval import plots
from eval.intervals import Interval
from eval.metrics import CalibrationBin
from eval.summary import Summary
from mllm_affect.files import write_text
from mllm_affect.safe_text import encodable, json_text

MADE_CLIPS_NOTE = (
    "Measured on made clips: drawn faces and synthetic voices. They prove that the chain works "
    "end to end; they say nothing about accuracy on people."
)


@dataclass(frozen=True)
class Figure:
    """One headline: a value in words, and a remark such as its interval."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Picture:
    """An SVG with a title and a sentence that says how to read it."""

    title: str
    svg: str
    caption: str = ""
    wide: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text under column names; every column but the first is set flush right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Page:
    """Everything on one report page, in reading order."""

    title: str
    lead: str
    note: str = ""
    figures: Sequence[Figure] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    answer: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""


def render(page: Page) -> str:
    """Return the page as HTML; everything a user or a model wrote is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("eval") / "templates" / "report.html").read_text(encoding="utf-8")
    )
    answer = json_text(page.answer, indent=2) if page.answer else ""
    return template.render(page=page, answer=answer)


def write_report(path: Path, page: Page) -> None:
    """Write the page, whole or not at all."""
    write_text(path, encodable(render(page)))


def share(value: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * value:.1f} %"


def interval_text(interval: Interval) -> str:
    """Return an interval of shares in percent."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def score_interval(interval: Interval | None) -> str:
    """Return an interval of scores with three decimals; empty where there is none."""
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def summary_figures(summary: Summary) -> tuple[Figure, ...]:
    """Return the headlines of one summary."""
    ranked = (
        ("average precision, organisers'", summary.challenge_average_precision,
         summary.challenge_average_precision_interval),
        ("average precision, usual", summary.average_precision,
         summary.average_precision_interval),
        ("calibration error", summary.calibration_error, summary.calibration_error_interval),
    )  # fmt: skip
    return (
        Figure(
            "macro-F1",
            f"{summary.macro_f1:.3f}",
            f"95 % interval {score_interval(summary.macro_f1_interval)}",
        ),
        Figure(
            "accuracy",
            share(summary.accuracy),
            f"95 % interval {interval_text(summary.accuracy_interval)}",
        ),
        *(
            Figure(name, f"{value:.3f}", f"95 % interval {score_interval(interval)}")
            for name, value, interval in ranked
            if value is not None
        ),
        Figure(
            "majority answer",
            share(summary.majority_accuracy),
            f"always “{summary.majority}”, macro-F1 {summary.majority_macro_f1:.3f}",
        ),
        Figure("videos", f"{summary.videos:,}", _who(summary)),
    )


def _who(summary: Summary) -> str:
    wrong = [f"{summary.unparsed} without a usable answer"]
    if summary.missing:
        wrong.append(f"{summary.missing} of these never predicted")
    if summary.abstained:
        wrong.append(f"{summary.abstained} abstained")
    return f"{summary.participants:,} participants; {', '.join(wrong)}"


def summary_tables(summary: Summary) -> tuple[Table, ...]:
    """Return the confusion table, the per-class table and the calibration figures."""
    confusion = Table(
        title="Confusion",
        columns=("label ↓  answer →", *(item.name for item in summary.classes), "unusable"),
        rows=[
            (item.name, *(f"{count:,}" for count in row))
            for item, row in zip(summary.classes, summary.confusion, strict=True)
        ],
    )
    per_class = Table(
        title="Per answer",
        columns=("answer", "labelled", "answered", "precision", "recall", "F1"),
        rows=[
            (
                item.name,
                f"{item.labelled:,}",
                f"{item.answered:,}",
                f"{item.precision:.3f}",
                f"{item.recall:.3f}",
                "none" if item.f1 is None else f"{item.f1:.3f}",
            )
            for item in summary.classes
        ],
    )
    if not summary.with_probabilities:
        return (confusion, per_class)
    scores = (
        ("calibration error (10 bins)", summary.calibration_error,
         summary.calibration_error_interval),
        ("Brier score", summary.brier, summary.brier_interval),
        ("average precision", summary.average_precision, summary.average_precision_interval),
        ("average precision, the challenge's way", summary.challenge_average_precision,
         summary.challenge_average_precision_interval),
    )  # fmt: skip
    probabilities = Table(
        title="Probabilities",
        columns=("score", "value", "95 % interval"),
        rows=[
            (name, f"{value:.3f}", score_interval(interval))
            for name, value, interval in scores
            if value is not None
        ],
        caption=f"Calibration over the {summary.with_probabilities:,} videos with a usable answer; "
        "average precision over all, an unusable answer ranking as a confident wrong one.",
    )
    return (confusion, per_class, probabilities)


def reliability_picture(
    summary: Summary, event: str, before: Sequence[CalibrationBin] = ()
) -> Picture:
    """Return the reliability diagram of one summary; `event` names what is probable.

    `before`: the bins before calibration, shown in grey.
    """
    return Picture(
        title="Reliability",
        svg=plots.reliability(summary.calibration, event, before),
        caption="On the dashed line a probability means what it says. "
        "The larger a dot, the more videos." + (" Grey: before calibration." if before else ""),
        wide=False,
    )
