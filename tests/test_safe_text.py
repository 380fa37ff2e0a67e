"""Text that files can hold: CSV for spreadsheets, JSON on one line, XML, pictures."""

import ast
import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from eval import plots
from eval.intervals import Interval
from eval.predictions import FILE_NAME, Prediction, PredictionsLog, read_predictions
from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.files import lines_of, read_jsonl, sha256_json, write_jsonl
from mllm_affect.safe_text import csv_bytes, encodable, harmless_cell, json_text, xml_text

ROOT = Path(__file__).resolve().parent.parent
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
"""Control characters, lone surrogates and U+FFFE too."""


@pytest.mark.parametrize(
    "text",
    ["=1+1", "=HYPERLINK(\"http://x\")", "+49 30 1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
     "-", "+", "-inf", "--", "\uff1d1"],
)  # fmt: skip
def test_what_a_spreadsheet_would_compute_becomes_text(text: str) -> None:
    assert harmless_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+2", "-.5", "-1e-9", "no", "", "1-2", " =1", "e=1"])
def test_other_text_and_plain_numbers_stay(value: str) -> None:
    assert harmless_cell(value) == value
    for number in (-1.5, -3, True, None):
        assert harmless_cell(number) is number


def test_a_table_opens_as_utf8_with_every_cell_harmless() -> None:
    content = csv_bytes(["=name", "p"], [{"=name": "=Zoë", "p": -0.5}, {"=name": "ü\ud800"}])
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows == [["'=name", "p"], ["'=Zoë", "-0.5"], ["ü\ufffd", ""]]
    assert csv_bytes(["a"], [], bom=False) == b"a\n"
    with pytest.raises(ValueError, match="b"):
        csv_bytes(["a"], [{"b": 1}])


def test_csv_is_written_in_one_place() -> None:
    """A writer of its own would forget the byte order mark or the apostrophe."""
    writers = []
    for folder in ("mllm_affect", "eval", "serve", "finetune"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("DictWriter", "writer"):
                    writers.append(path.relative_to(ROOT).as_posix())
    assert set(writers) == {"mllm_affect/safe_text.py"}


@given(ANY_TEXT)
def test_json_of_any_text_is_one_line_of_utf8_and_comes_back(text: str) -> None:
    written = json_text({"said": text})
    assert json.loads(written.encode("utf-8")) == {"said": text}
    assert written.splitlines() == [written]
    encodable(text).encode("utf-8")
    assert len(sha256_json(text)) == 64


@given(ANY_TEXT)
def test_xml_text_is_well_formed(text: str) -> None:
    escaped = xml_text(text).replace("&", "&amp;").replace("<", "&lt;")
    etree.fromstring(f"<a>{escaped}</a>".encode())


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    assert lines_of("a\u2028b\r\nc\rd\x85\n") == ["a\u2028b", "c", "d\x85"]
    assert lines_of("a") == ["a"]
    assert lines_of("") == []
    awkward = ["a\u2028b", "\x85", "\ud83d", "ü"]
    write_jsonl(tmp_path / "a.jsonl", awkward)
    assert read_jsonl(tmp_path / "a.jsonl") == awkward


def test_answers_and_names_with_unusual_line_ends_are_read_back(tmp_path: Path) -> None:
    row = Prediction(
        video="a\u2028b.mp4", participant="p\x85", split="test", task="ah", label="yes",
        answer="yes", classes=("yes", "no"), problem="\ud800",
    )  # fmt: skip
    PredictionsLog(tmp_path, {}).append(row)
    assert read_predictions(tmp_path / FILE_NAME) == [row]
    example = Example(video="a\u2028b.mp4", participant="p", split="s", labels={"ah": "yes"})
    write_examples(tmp_path, [example])
    path = tmp_path / "examples.jsonl"
    saved_by_hand = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    path.write_text(f"\ufeff{saved_by_hand}\n", encoding="utf-8")
    assert read_examples(tmp_path) == [example]


@pytest.mark.parametrize("name", [r"$\foo{$", "$x", "a\x00b", "a\ud800", r"\frac", "<b>&", "x_1^2"])
def test_a_name_from_data_is_drawn_as_it_is_written(name: str) -> None:
    bars = [plots.Bar(name, 0.5, Interval(0.4, 0.6)), plots.Bar("other", 0.5, Interval(0.4, 0.6))]
    drawn = etree.fromstring(plots.score_bars(bars, "Scores of <questions>").encode())
    texts = ["".join(one.itertext()) for one in drawn.iter("{*}text")]
    assert xml_text(name) in texts
    for svg in (
        plots.reliability([], name),
        plots.timeline(plots.Timeline([plots.TimelineSpan(0.0, 1.0, 0.5)], name)),
    ):
        told = "".join(etree.fromstring(svg.encode()).itertext())
        assert xml_text(name) in told
