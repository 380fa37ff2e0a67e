"""Pictures for reports, as SVG that follows the page's light or dark colours.

Does: draw a reliability diagram, accuracy bars with intervals, and a video's timeline.
Does not: compute figures or know HTML pages.

matplotlib wants fixed colours, a page wants variables: we draw with stand-in colours and replace
them by CSS variables in the SVG text.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.intervals import Interval
from eval.metrics import CalibrationBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#010203", "#010204", "#010205"
ACCENT, WASH, TRUTH, GREY = "#010206", "#010207", "#010208", "#010209"

WIDE_INCHES = 11.0
THUMBNAIL_PIXELS = 160

VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    WASH: "var(--wash)",
    TRUTH: "var(--truth)",
    GREY: "var(--bar)",
}


@dataclass(frozen=True)
class Bar:
    """One accuracy with its 95 % interval; `strong` bars are drawn in the accent colour."""

    name: str
    value: float
    interval: Interval
    strong: bool = False


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


def reliability(bins: Sequence[CalibrationBin], event: str) -> str:
    """Draw hit rate over probability; the area of a dot follows the number of videos."""
    figure, axes = _figure(5.2, 4.0)
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2, linestyle=(0, (4, 4)))
    if bins:
        largest = max(item.count for item in bins)
        x_B = [item.mean_probability for item in bins]
        y_B = [item.hit_rate for item in bins]
        size_B = [30 + 300 * item.count / largest for item in bins]
        axes.plot(x_B, y_B, color=ACCENT, linewidth=1.4)
        axes.scatter(x_B, y_B, s=size_B, color=ACCENT, alpha=0.75, linewidths=0, zorder=3)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel(f"probability of {event}")
    axes.set_ylabel("how often it was right")
    return _svg(figure, "Reliability diagram")


def accuracy_bars(bars: Sequence[Bar], majority: float) -> str:
    """Draw accuracies with intervals, and the majority answer's as a dashed line."""
    figure, axes = _figure(WIDE_INCHES, 0.42 * len(bars) + 0.8)
    for row, bar in enumerate(reversed(bars)):
        colour = ACCENT if bar.strong else GREY
        axes.barh(row, bar.value, height=0.56, color=colour)
        axes.plot([bar.interval.low, bar.interval.high], [row, row], color=INK, linewidth=1.6)
        axes.text(1.02, row, f"{100 * bar.value:.1f} %", va="center", color=INK)
    axes.axvline(majority, color=SOFT, linewidth=1.2, linestyle=(0, (4, 4)))
    axes.text(majority, len(bars) - 0.45, "majority answer", ha="center", va="bottom", color=SOFT)
    axes.set_yticks(range(len(bars)), [bar.name for bar in reversed(bars)])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.55, len(bars) - 0.4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return _svg(figure, "Accuracies with 95 % intervals")


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
    _in_house_style(chart)
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
    return _svg(figure, "Segment probabilities over time")


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
    _in_house_style(axes)
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


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """Return a bare figure (inches) and its axes in the house style."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    _in_house_style(axes)
    return figure, axes


def _in_house_style(axes: "Axes") -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(colors=LINE, labelcolor=SOFT, labelsize=10)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.patch.set_alpha(0.0)


def _svg(figure: "Figure", label: str) -> str:
    """Return the figure as one `<svg>` element with CSS variables as colours."""
    import matplotlib as mpl

    stream = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": label, "font.size": 11}
    with mpl.rc_context(settings):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
