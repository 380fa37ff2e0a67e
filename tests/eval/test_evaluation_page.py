"""The report of a whole evaluation: priors, questions, frames, timelines, another model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_predictions import prediction
from typer.testing import CliRunner

from eval import measure, report, timeline
from eval.details import before_calibration, details_of
from eval.evaluation_page import page
from eval.headlines import headline_rows
from eval.predictions import Prediction, SegmentPrediction, write_predictions
from eval.summary import summarise
from mllm_affect.cli.app import app
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.folders import write_video

PEOPLE = 6


def calibrated(item: Prediction, raw: float) -> Prediction:
    return replace(
        item, uncalibrated={"yes": raw, "no": 1 - raw}, calibration="abc",
        temperature=1.0, bias=0.0, threshold=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six test participants asked two questions (one with a video), twenty to train priors on."""
    out = tmp_path_factory.mktemp("set")
    examples, rows, others = [], [], []
    for person in range(26):
        split = "test" if person < PEOPLE else "train"
        for topic in ("1", "4"):
            yes = (topic == "4") != (person % 5 == 0)
            example = Example(
                video=f"{split}{person}-{topic}.mp4", participant=f"{split}{person}",
                split=split, labels={"ah": "yes" if yes else "no"}, topic=topic,
                transcript="Well, maybe." if yes else "I will go there.",
                frame_spans={"ah": ((2, 5),) if yes else ()},
            )  # fmt: skip
            examples.append(example)
            if split == "test":
                p = 0.8 if yes else 0.3
                row = replace(
                    prediction(example.video, example.labels["ah"], p, example.participant),
                    segments=(SegmentPrediction(0, 0.0, 1.0, None, {"yes": p, "no": 1 - p}),),
                )
                rows.append(calibrated(row, 0.9 * p))
                others.append(prediction(example.video, example.labels["ah"], 0.9))
    frames = np.zeros((12, 64, 64, 3), dtype=np.uint8)
    for example in examples[:4]:
        write_video(frames, np.zeros(16_000, dtype=np.int16), out / example.video)
    write_examples(out, examples)
    write_predictions(out / "ours.jsonl", rows[:-1])
    write_predictions(out / "theirs.jsonl", others)
    return out


def test_everything_is_measured_and_shown(folder: Path, tmp_path: Path) -> None:
    words = (
        f"evaluate ah --predictions {folder}/ours.jsonl --against {folder}/theirs.jsonl "
        f"--data {folder} --split test --out {tmp_path} --json"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    details = told["details"]
    assert (told["videos"], told["missing"], told["right"]) == (12, 1, 11)
    assert [scores["topic"] for scores in details["topics"]] == ["1", "4"]
    assert [prior["name"] for prior in details["priors"]] == [
        "always no", "always yes", "question", "question and words",
    ]  # fmt: skip
    assert all(prior["scores"] for prior in details["priors"])
    assert (details["frames"]["videos"], details["frames"]["unreadable"]) == (4, 8)
    assert details["frames"]["by_frame"] == 4
    assert details["against"]["macro_f1"] > 0.2
    assert details["before_calibration"]["videos"] == 11
    saved = json.loads((tmp_path / "metrics.json").read_text())
    assert saved["details"] == details
    assert saved["settings"]["train split"] == "train"
    html = (tmp_path / "report.html").read_text()
    for part in (
        "Macro-F1 beside what needs no model", "Macro-F1 by question", "Reliability", "Confusion",
        "Frame level", "theirs.jsonl", "Grey: before calibration", "Intended use and limits",
        "Shaded: where the annotators saw it", "never predicted", "What these figures depend on",
    ):  # fmt: skip
        assert part in html, part
    assert str(folder) not in html, "no path of this machine"


def test_the_other_model_may_know_more_videos_than_a_limited_run(folder: Path) -> None:
    found = measure.from_file(folder / "ours.jsonl", folder, "test")
    few = replace(found, predictions=found.predictions[:4])
    closer = measure.closer(few, against=folder / "theirs.jsonl", frame_level=False)
    assert closer.details.against is not None
    assert closer.details.against.videos == 4
    assert closer.details.frames is None


def test_calibration_is_shown_before_and_after() -> None:
    rows = [
        calibrated(prediction(f"v{i}", "yes" if i % 4 else "no", 0.75), 0.95) for i in range(40)
    ]
    before = before_calibration(rows)
    assert before is not None
    assert before.calibration_error == pytest.approx(0.2)
    assert summarise(rows).calibration_error == pytest.approx(0.0)
    assert before_calibration([prediction("a", "yes", 0.5)]) is None


def test_four_kinds_of_videos_are_shown_the_longest_of_each() -> None:
    short = [
        prediction("hit", "yes", 0.9), prediction("miss", "yes", 0.1),
        prediction("calm", "no", 0.1), prediction("alarm", "no", 0.9), prediction("-", "no", None),
    ]  # fmt: skip
    long = replace(short[0], video="long", segments=short[0].segments * 2)
    shown = timeline.telling([*short, long])
    assert [item.video for item in shown] == ["long", "miss", "calm", "alarm"]
    assert timeline.telling([*short, long], known={"hit"})[0].video == "hit"
    assert timeline.telling([short[4]]) == []


def test_a_bare_set_has_a_bare_page() -> None:
    rows = [prediction(f"v{i}", "yes", 0.9) for i in range(4)]
    summary, details = summarise(rows), details_of(rows)
    html = report.render(page(summary, rows, details))
    assert "Frame level" not in html
    assert "By question" not in html
    assert "calibrated by</td><td>nothing" in html
    names = [name for name, _, _ in headline_rows(summary, details)]
    assert names[0] == "macro-F1"
    assert not any("prior" in name for name in names)


def test_people_of_a_licensed_dataset_are_shown_only_on_request(
    folder: Path, tmp_path: Path
) -> None:
    found = measure.from_file(folder / "ours.jsonl", folder, "test")
    assert not found.licensed
    guarded = replace(found, licensed=True)
    for name, measurement, thumbnails, shown in (
        ("own", found, None, True),
        ("guarded", guarded, None, False),
        ("asked", guarded, True, True),
        ("declined", found, False, False),
    ):
        measure.write(measurement, tmp_path / name, thumbnails)
        html = (tmp_path / name / "report.html").read_text()
        assert ("<image" in html) is shown, name


def test_who_refused_publications_is_never_shown(folder: Path, tmp_path: Path) -> None:
    found = measure.from_file(folder / "ours.jsonl", folder, "test")
    refusing = {item.participant for item in found.examples[:4]}
    examples = [
        item.model_copy(update={"publishable": item.participant not in refusing})
        for item in found.examples
    ]
    measure.write(replace(found, examples=examples), tmp_path, thumbnails=True)
    html = (tmp_path / "report.html").read_text()
    assert "<image" not in html, "only the first four have videos"
    assert not any(item.video in html for item in examples[:4])
    assert any(item.video in html for item in examples[4:]), "others are shown"


def test_topics_and_answers_named_awkwardly_do_not_break_the_report(tmp_path: Path) -> None:
    rows = [
        replace(
            prediction(f"v{number}.mp4", "yes" if number % 2 else "no", 0.6, f"p{number}"),
            topic=topic,
        )
        for number, topic in enumerate(["$\\foo{$", "<i>&\x00", "\ud800", "a_1^{", "=1"] * 2)
    ]
    write_predictions(tmp_path / "rows.jsonl", rows)
    measurement = measure.closer(measure.from_file(tmp_path / "rows.jsonl"))
    measure.write(measurement, tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "$\\foo{$" in html
    assert "<i>&" not in html
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["videos"] == 10
