"""The house style of pictures: bare axes, and colours that follow the page's light or dark ones.

Does: make figures and turn them into SVG.  Does not: know what is drawn.

matplotlib wants fixed colours, a page wants variables: we draw with stand-in colours and replace
them by CSS variables in the SVG text.
"""

import html
import io
import re
from typing import TYPE_CHECKING, Any

from mllm_affect.safe_text import xml_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#010203", "#010204", "#010205"
ACCENT, WASH, TRUTH, GREY = "#010206", "#010207", "#010208", "#010209"

VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    WASH: "var(--wash)",
    TRUTH: "var(--truth)",
    GREY: "var(--bar)",
}


def blank_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """Return a bare figure (inches) and its axes in the house style."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    in_house_style(axes)
    return figure, axes


def in_house_style(axes: "Axes") -> None:
    """Leave only what is needed of the axes."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(colors=LINE, labelcolor=SOFT, labelsize=10)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.patch.set_alpha(0.0)


def as_svg(figure: "Figure", label: str) -> str:
    """Return the figure as one `<svg>` element with CSS variables as colours."""
    import matplotlib as mpl

    stream = io.StringIO()
    _words_as_written(figure)
    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": label, "font.size": 11, "text.parse_math": False,
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


def _words_as_written(figure: "Figure") -> None:
    """Let no text be read as a formula, and none hold what an SVG cannot.

    Names of topics and answers come from data; `$\\foo{$` is a name like any other.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        words = xml_text(text.get_text())
        if words != text.get_text():
            text.set_text(words)
