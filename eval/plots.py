"""Pictures for reports, as SVG that follows the page's light or dark colours.

Does: draw a reliability diagram, accuracy bars with intervals, and a video's timeline.
Does not: compute figures or know HTML pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.house_style import (
    ACCENT,
    GREY,
    INK,
    LINE,
    SOFT,
    TRUTH,
    as_svg,
    blank_figure,
    in_house_style,
)
from eval.intervals import Interval
from eval.metrics import CalibrationBin
from mllm_affect.safe_text import xml_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE_INCHES = 11.0
THUMBNAIL_PIXELS = 160


@dataclass(frozen=True)
class Bar:
    """One score with its 95 % interval; `strong` bars are drawn in the accent colour.

    `marker`: what a constant answer scores, drawn as a tick of its own; None for no tick.
    """

    name: str
    value: float
    interval: Interval
    strong: bool = False
    marker: float | None = None


@dataclass(frozen=True)
class TimelineSpan:
    """One segment's probability of the positive answer, or None when it has none."""

    start_s: float
    end_s: float
    probability: float | None


@dataclass(frozen=True)
class Thumbnail:
    """One frame of the video and its timestamp.  frame_HWC: uint8 RGB."""

    time_s: float
    frame_HWC: NDArray[np.uint8]


@dataclass(frozen=True)
class Timeline:
    """What the timeline of one video shows.

    `truth` holds spans in seconds where the label is the positive answer, None when unknown.
    """

    spans: Sequence[TimelineSpan]
    answer: str
    threshold: float = 0.5
    thumbnails: Sequence[Thumbnail] = ()
    truth: Sequence[tuple[float, float]] | None = None


def reliability(
    bins: Sequence[CalibrationBin], event: str, before: Sequence[CalibrationBin] = ()
) -> str:
    """Draw hit rate over probability; the area of a dot follows the number of videos.

    `before` are the bins before calibration, drawn in grey behind.
    """
    figure, axes = blank_figure(5.2, 4.0)
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2, linestyle=(0, (4, 4)))
    _draw_bins(axes, before, GREY, "before calibration")
    _draw_bins(axes, bins, ACCENT, "after calibration")
    if before:
        legend = axes.legend(frameon=False, loc="upper left", fontsize=10)
        for text in legend.get_texts():
            text.set_color(SOFT)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel(f"probability of {event}")
    axes.set_ylabel("how often it was right")
    return as_svg(figure, "Reliability diagram")


def accuracy_bars(bars: Sequence[Bar], majority: float) -> str:
    """Draw accuracies with intervals, and the majority answer's as a dashed line."""
    figure, axes = _horizontal(bars, [f"{100 * bar.value:.1f} %" for bar in bars])
    axes.axvline(majority, color=SOFT, linewidth=1.2, linestyle=(0, (4, 4)))
    axes.text(majority, len(bars) - 0.45, "majority answer", ha="center", va="bottom", color=SOFT)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return as_svg(figure, "Accuracies with 95 % intervals")


def score_bars(bars: Sequence[Bar], label: str) -> str:
    """Draw scores between 0 and 1 with intervals and markers; `label` says what is drawn."""
    figure, axes = _horizontal(bars, [f"{bar.value:.3f}" for bar in bars])
    for row, bar in enumerate(reversed(bars)):
        if bar.marker is not None:
            axes.plot([bar.marker] * 2, [row - 0.36, row + 0.36], color=TRUTH, linewidth=3)
    return as_svg(figure, label)


def _horizontal(bars: Sequence[Bar], texts: Sequence[str]) -> tuple["Figure", "Axes"]:
    """Draw one bar a row, the first on top, each with its interval and its text at the right."""
    figure, axes = blank_figure(WIDE_INCHES, 0.42 * len(bars) + 0.8)
    for row, (bar, text) in enumerate(zip(reversed(bars), reversed(texts), strict=True)):
        colour = ACCENT if bar.strong else GREY
        axes.barh(row, bar.value, height=0.56, color=colour)
        axes.plot([bar.interval.low, bar.interval.high], [row, row], color=INK, linewidth=1.6)
        axes.text(1.02, row, text, va="center", color=INK)
    # An axis sets the text of its ticks anew whenever it is drawn: clean it before.
    axes.set_yticks(range(len(bars)), [xml_text(bar.name) for bar in reversed(bars)])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.55, len(bars) - 0.4)
    return figure, axes


def timeline(content: Timeline) -> str:
    """Draw segment probabilities over time, the truth where known, and thumbnails below."""
    from matplotlib.figure import Figure

    start_s = min(span.start_s for span in content.spans)
    end_s = max(span.end_s for span in content.spans)
    strip = _strip_inches(content.thumbnails)
    figure = Figure(figsize=(WIDE_INCHES, 2.0 + strip), layout="constrained")
    rows = figure.subplots(
        2 if strip else 1, 1, sharex=True, squeeze=False,
        height_ratios=[2.0, strip] if strip else None,
    )  # fmt: skip
    chart = rows[0, 0]
    in_house_style(chart)
    for low_s, high_s in content.truth or ():
        chart.axvspan(low_s, high_s, color=TRUTH, alpha=0.25, linewidth=0)
    for span in content.spans:
        _draw_span(chart, span, content.threshold)
    chart.axhline(content.threshold, color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    chart.set_xlim(start_s, end_s)
    chart.set_ylim(0, 1.05)
    chart.set_yticks([0, content.threshold, 1])
    chart.set_ylabel(f"P({content.answer})")
    if strip:
        _draw_strip(rows[1, 0], content.thumbnails, start_s, end_s)
    rows[-1, 0].set_xlabel("seconds")
    return as_svg(figure, "Segment probabilities over time")


def _draw_bins(axes: "Axes", bins: Sequence[CalibrationBin], colour: str, name: str) -> None:
    if not bins:
        return
    largest = max(item.count for item in bins)
    x_B = [item.mean_probability for item in bins]
    y_B = [item.hit_rate for item in bins]
    size_B = [30 + 300 * item.count / largest for item in bins]
    axes.plot(x_B, y_B, color=colour, linewidth=1.4, label=name)
    axes.scatter(x_B, y_B, s=size_B, color=colour, alpha=0.75, linewidths=0, zorder=3)


def _draw_span(chart: "Axes", span: TimelineSpan, threshold: float) -> None:
    chart.axvline(span.start_s, color=LINE, linewidth=0.8)
    if span.probability is None:
        return
    above = span.probability >= threshold
    ends_s, colour = [span.start_s, span.end_s], ACCENT if above else GREY
    chart.fill_between(ends_s, span.probability, color=colour, alpha=0.3, linewidth=0)
    chart.plot(ends_s, [span.probability] * 2, color=colour, linewidth=3, solid_capstyle="butt")


def _strip_inches(thumbnails: Sequence[Thumbnail]) -> float:
    """Height of the row of thumbnails at which they keep their shape."""
    if not thumbnails:
        return 0.0
    height, width = thumbnails[0].frame_HWC.shape[:2]
    return float(0.92 * WIDE_INCHES / len(thumbnails) * height / width)


def _draw_strip(
    axes: "Axes", thumbnails: Sequence[Thumbnail], start_s: float, end_s: float
) -> None:
    """Lay the thumbnails side by side, each over the stretch of time it stands for."""
    in_house_style(axes)
    width_s = (end_s - start_s) / len(thumbnails)
    for place, thumbnail in enumerate(thumbnails):
        left_s = start_s + place * width_s
        axes.imshow(
            np.asarray(_shrunk(Image.fromarray(thumbnail.frame_HWC))),
            extent=(left_s + 0.02 * width_s, left_s + 0.98 * width_s, 0.0, 1.0),
            aspect="auto",
            interpolation="none",
        )
    axes.set_xlim(start_s, end_s)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _shrunk(image: Image.Image) -> Image.Image:
    """Return the image at most THUMBNAIL_PIXELS tall, so that reports stay small."""
    if image.height <= THUMBNAIL_PIXELS:
        return image
    width = max(1, round(image.width * THUMBNAIL_PIXELS / image.height))
    return image.resize((width, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
