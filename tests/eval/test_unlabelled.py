"""A private test set from its files to a trial: answered with what is said, scored by nobody."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.predictions import read_predictions
from mllm_affect.cli.app import app
from mllm_affect.data.bah.made_plan import ReleasePlan
from mllm_affect.data.bah.made_release import make_release
from mllm_affect.data.labelled import read_labelled


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "bah"
    made = make_release(folder, ReleasePlan((1, 1, 1), 1, seed=4, private=2))
    assert made["videos"] == {"train": 1, "val": 1, "test": 1, "private": 2}
    return folder


def run(*words: object) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "300"})
    last = result.output.strip().splitlines()[-1]
    return result.exit_code, json.loads(last) if last.startswith("{") else result.output


def predicted(release: Path, out: Path, task: str = "ah", split: str = "private") -> Path:
    path = out / "predictions.jsonl"
    words = ("--task", task, "--model", "echo", "--trusted", "--json", "--output", path)
    status, told = run("predict", "--input", release, "--split", split, *words)
    assert (status, told["refused"]) == (0, {})
    return path


def test_predictions_without_labels_become_a_trial_and_no_score(
    release: Path, tmp_path: Path
) -> None:
    path = predicted(release, tmp_path)
    rows = read_predictions(path)
    assert [row.label for row in rows] == [None, None]
    assert {row.split for row in rows} == {"private"}
    assert all(row.answer in row.classes and row.segments for row in rows)
    order = release / "split/private.txt"
    trial = tmp_path / "trial-0.txt"
    words = ("--predictions", path, "--order", order)
    status, told = run("export", "abaw-ah", *words, "--out", trial)
    assert status == 0
    assert "(path,label,transcript) is a header and no row" in " ".join(told.split())
    lines = trial.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        line.split(",")[0] for line in order.read_text().splitlines()[1:]
    ]
    assert run("export", "check", trial, "--order", order)[0] == 0
    status, told = run("evaluate", "--predictions", path, "--out", tmp_path / "e", "--json")
    assert (status, told["error"]["code"]) == (2, "unlabelled_predictions")
    status, told = run("export", "csv", "--predictions", path, "--out", tmp_path / "t.csv")
    assert status == 0


def test_evaluate_refuses_the_split_in_one_sentence(release: Path, tmp_path: Path) -> None:
    words = ("evaluate", "ah", "--data", release, "--model", "echo", "--trusted", "--json")
    out = ("--out", tmp_path / "out", "--no-frames")
    status, told = run(*words, "--split", "private", *out)
    assert (status, told["error"]["code"]) == (2, "unlabelled_split")
    assert "predict --split private" in told["error"]["sentence"]
    assert not (tmp_path / "out").exists()
    status, told = run(*words, *out)
    assert (status, told["videos"]) == (0, 3)
    assert "no labels: split private" in (tmp_path / "out" / "report.html").read_text()
    status, told = run(
        *words, "--split", "private", "--labelled", "private", "--out", tmp_path / "x"
    )
    assert (status, told["videos"]) == (0, 2)


def test_labels_that_come_later_score_the_same_predictions(release: Path, tmp_path: Path) -> None:
    path = predicted(release, tmp_path)
    words = ("evaluate", "--predictions", path, "--data", release, "--no-frames", "--json")
    out = ("--out", tmp_path / "e")
    status, told = run(*words, "--split", "private", *out)
    assert (status, told["error"]["code"]) == (2, "unlabelled_split")
    status, told = run(*words, "--split", "private", "--labelled", "private", *out)
    assert (status, told["videos"], told["missing"]) == (0, 2, 0)


def test_the_transcript_is_told_to_a_task_that_takes_it(release: Path, tmp_path: Path) -> None:
    predicted(release, tmp_path, "ah_context")
    journal = (tmp_path / "predictions.jsonl.journal.jsonl").read_text().splitlines()
    settings, *answers = map(json.loads, journal)
    assert settings["settings"]["examples"] == read_labelled(release).sha256
    for line in answers:
        assert line["answer"]["context_sha256"]
        codes = [warning["code"] for warning in line["answer"]["warnings"]]
        assert "context_missing" not in codes


def test_a_labelled_split_keeps_its_labels(release: Path, tmp_path: Path) -> None:
    path = predicted(release, tmp_path, split="test")
    (row,) = read_predictions(path)
    assert row.label in ("yes", "no")
    status, told = run("evaluate", "--predictions", path, "--out", tmp_path / "e", "--json")
    assert (status, told["videos"]) == (0, 1)
    settings = json.loads((tmp_path / "run.json").read_text())
    assert (settings["split"], settings["task"]) == ("test", "ah")


def test_what_makes_no_predictions_file_is_refused_before_any_answer(
    release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    words = ("predict", "--input", release, "--model", "echo", "--json", "--output", out)
    status, told = run(*words, "--task", "ah", "--task", "ah_demo")
    assert (status, told["error"]["code"]) == (2, "bad_options")
    assert not list(tmp_path.iterdir())
