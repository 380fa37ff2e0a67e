"""The page must stand alone, escape what it is given, and show what it claims to show."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from made_predictions import prediction

from eval import plots, report
from eval.intervals import Interval
from eval.summary import summarise

SUMMARY = summarise(
    [prediction(f"v{i}", "yes" if i % 2 else "no", (i % 10) / 10 + 0.05) for i in range(40)]
)
FRAME = np.full((32, 64, 3), 200, dtype=np.uint8)


class Tags(HTMLParser):
    """Collects tags and attributes, and complains about unbalanced ones."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def a_page() -> report.Page:
    spans = [plots.TimelineSpan(0.0, 5.0, 0.8), plots.TimelineSpan(5.0, 7.5, None)]
    timeline = plots.Timeline(
        spans, "yes", 0.5, [plots.Thumbnail(1.0, FRAME)] * 4, truth=[(1.0, 3.0)]
    )
    return report.Page(
        title="A <title>",
        lead="One & two",
        note=report.MADE_CLIPS_NOTE,
        figures=report.summary_figures(SUMMARY),
        pictures=[
            report.Picture("Timeline", plots.timeline(timeline)),
            report.reliability_picture(SUMMARY, "yes"),
        ],
        tables=report.summary_tables(SUMMARY),
        answer={"answer": "<script>alert(1)</script>"},
        settings={"prompt": "abc"},
    )


def test_the_page_stands_alone_and_is_well_formed(tmp_path: Path) -> None:
    report.write_report(tmp_path / "report.html", a_page())
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    names = {tag for tag, _ in tags.seen}
    assert {"svg", "image", "table", "pre", "details"} <= names
    assert not names & {"script", "link", "iframe"}
    for tag, attributes in tags.seen:
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, address)


def test_what_others_wrote_is_escaped() -> None:
    html = report.render(a_page())
    assert "A &lt;title&gt;" in html
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_page_carries_figures_intervals_and_the_honest_note() -> None:
    html = report.render(a_page())
    assert f"{100 * SUMMARY.accuracy:.1f} %" in html
    assert report.interval_text(SUMMARY.accuracy_interval) in html
    assert "nothing about accuracy on people" in html
    assert "challenge&#39;s way" in html


def test_pictures_follow_the_pages_colours() -> None:
    svg = plots.reliability(SUMMARY.calibration, "yes")
    assert "var(--accent)" in svg
    assert not re.search(r"#0102", svg)
    assert plots.reliability(SUMMARY.calibration, "yes") == svg


def test_bars_show_values_in_the_given_order() -> None:
    bars = [
        plots.Bar("before", 0.49, Interval(0.43, 0.55)),
        plots.Bar("after", 0.95, Interval(0.92, 0.97), strong=True),
    ]
    svg = plots.accuracy_bars(bars, majority=0.5)
    assert "49.0 %" in svg
    assert "majority answer" in svg
    assert svg.count("var(--accent)") == 1


def test_a_timeline_without_truth_or_thumbnails_is_drawn_too() -> None:
    spans = [plots.TimelineSpan(2.0, 3.0, 0.2)]
    svg = plots.timeline(plots.Timeline(spans, "yes"))
    assert "<image" not in svg
    assert "var(--truth)" not in svg


def test_tall_thumbnails_are_shrunk() -> None:
    tall = plots.Thumbnail(0.0, np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8))
    spans = [plots.TimelineSpan(0.0, 5.0, 0.7)]
    svg = plots.timeline(plots.Timeline(spans, "yes", thumbnails=[tall] * 3))
    assert len(svg) < 600_000


def test_no_probabilities_no_probability_table() -> None:
    tables = report.summary_tables(summarise([prediction("a", "yes", None)]))
    assert [table.title for table in tables] == ["Confusion", "Per answer"]
