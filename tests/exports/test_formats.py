"""JSON that is read back, formats by suffix, and the verbs that write them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from made_answers import EVENTS, OBSERVED, analysis, counted, scored, spoken, told
from pyarrow import parquet
from typer.testing import CliRunner

from mllm_affect import client
from mllm_affect.cli.app import app
from mllm_affect.errors import UserError
from mllm_affect.exports.analysis import OF_EVENTS, Analysis, stretches
from mllm_affect.exports.formats import MEDIA_TYPES, Format, exported, format_of
from mllm_affect.exports.json_file import as_json, read_export
from mllm_affect.expressions.answering import POOLING
from mllm_affect.safe_text import encodable
from mllm_affect.scoring.answers import SegmentAnswer


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(as_json(analysis()))
    assert read_export(path) == analysis()


def test_one_answer_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "interview.json"
    path.write_text(json.dumps(scored(0.9, 0.7, 0.2).as_dict()))
    assert read_export(path) == Analysis("interview", (scored(0.9, 0.7, 0.2),))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "mllm-affect-analysis"}', "1", "\0"]
)
def test_a_file_without_answers_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match="holds no answers") as caught:
        read_export(path)
    assert caught.value.code == "bad_answers"


def test_what_does_not_belong_together_is_refused() -> None:
    other = told("other", scored(0.9, 0.7, 0.2).segments, source_sha256="b" * 64)
    for answers, code in (
        ((), "nothing_to_export"),
        ((spoken(), other), "different_videos"),
        ((spoken(), spoken()), "task_twice"),
    ):
        with pytest.raises(UserError) as caught:
            Analysis("v", answers)
        assert caught.value.code == code


def test_stretches_join_neighbours_and_keep_the_highest_probability() -> None:
    apart = stretches(scored(0.9, 0.2, 0.7))
    assert [(one.start_s, one.end_s, one.probability) for one in apart] == [
        (1.4, 6.4, 0.9),
        (11.4, 13.4, 0.7),
    ]
    (joined,) = stretches(scored(0.6, 0.7, 0.2))
    assert (joined.start_s, joined.end_s, joined.probability) == (1.4, 11.4, 0.7)
    assert stretches(spoken()) == ()


@pytest.mark.parametrize("form", Format)
def test_every_format_can_be_had(form: Format) -> None:
    assert exported(analysis(), form)
    assert MEDIA_TYPES[form]
    assert format_of(Path(f"a.{form.upper()}")) is form


def test_a_suffix_that_names_no_format() -> None:
    with pytest.raises(UserError, match=r"\.json, \.csv, \.parquet, \.vtt, \.eaf"):
        format_of(Path("a.docx"))


def test_export_video_joins_tasks_and_writes_every_suffix(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_bytes(as_json(Analysis("x", (scored(0.9, 0.7, 0.2),), EVENTS, OBSERVED)))
    two.write_text(json.dumps(spoken().as_dict()))
    outs = [tmp_path / f"out.{form}" for form in Format]
    options = [word for path in outs for word in ("--out", path)]
    result = run("export", "video", one, two, "--video", analysis().video, *options, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["tasks"] == ["ah", "question-1"]
    assert (tmp_path / "out.csv").read_bytes() == exported(analysis(), Format.csv)
    assert read_export(tmp_path / "out.json") == analysis()
    assert all(path.stat().st_size for path in outs)


def test_export_video_refuses_before_it_writes(tmp_path: Path) -> None:
    answers = tmp_path / "a.json"
    answers.write_bytes(as_json(analysis()))
    out = tmp_path / "a.csv"
    result = run("export", "video", answers, "--out", out, "--out", tmp_path / "a.txt")
    assert result.exit_code == 2
    assert not out.exists()


def test_ask_writes_what_out_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ask", lambda *_args, **_named: scored(0.9, 0.7, 0.2))
    out = tmp_path / "a.vtt"
    assert run("ask", "v.mp4", "--task", "ah", "--out", out).exit_code == 0
    assert "ah: yes (0.90)" in out.read_text()
    refused = run("ask", "v.mp4", "--task", "ah", "--out", tmp_path / "a.doc", "--json")
    assert (refused.exit_code, json.loads(refused.output)["error"]["code"]) == (2, "unknown_format")


def test_segments_that_are_events_do_not_move_the_clock() -> None:
    event = scored(0.9, 0.7, 0.2).segments[1]
    assert OF_EVENTS == POOLING
    assert Analysis("v", (counted(event),)).origin_s == 0.0
    assert Analysis("v", (counted(event),), observed=OBSERVED).origin_s == 1.4
    assert Analysis("v", (counted(event), scored(0.9, 0.7, 0.2))).origin_s == 1.4


@pytest.mark.parametrize("form", Format)
def test_an_answer_without_any_event_can_be_had_too(form: Format) -> None:
    content = exported(Analysis("v", (counted(),)), form)
    if form is Format.csv:
        (row,) = csv.DictReader(content.decode("utf-8-sig").splitlines())
        assert (row["video_answer"], row["start_s"]) == ("0", "")


ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)


@given(ANY_TEXT, st.lists(ANY_TEXT, min_size=2, max_size=2, unique=True))
@settings(max_examples=60, deadline=None)
def test_any_format_holds_whatever_an_answer_says(video: str, answers: list[str]) -> None:
    """Control characters, lone surrogates, U+FFFE, formulas, tags, ends of cues."""
    segment = SegmentAnswer(
        index=0, start_s=0.0, end_s=5.0, has_audio=True, answer=answers[0],
        probabilities={answers[0]: 0.75, answers[1]: 0.25},
    )  # fmt: skip
    # The name of another tier, and answers that may be alike once characters are left out.
    found = Analysis(video, (told("speech", (segment,), positive=answers[0]),), EVENTS, OBSERVED)
    files = {form: exported(found, form) for form in Format}
    document = etree.fromstring(files[Format.eaf])
    names = [tier.get("TIER_ID") for tier in document.iter("TIER")]
    assert len(names) == len(set(names)) >= 4
    assert etree.fromstring(files[Format.eaf]).findtext(".//ANNOTATION_VALUE") is not None
    (row, *_) = csv.DictReader(io.StringIO(files[Format.csv].decode("utf-8-sig"), newline=""))
    assert row["answer"].removeprefix("'") == encodable(answers[0])
    assert json.loads(files[Format.json])["answers"][0]["segments"][0]["answer"] == answers[0]
    assert files[Format.vtt].decode("utf-8").count("-->") == 3
    table = parquet.read_table(io.BytesIO(files[Format.parquet])).to_pylist()
    assert table[0]["answer"] == encodable(answers[0])
