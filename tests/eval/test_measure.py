"""`evaluate` from a labelled folder to its files, with the engine that has no model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval import measure
from eval.ablations import ABLATIONS, ablate
from eval.answerers import ECHO, open_answerer
from eval.predictions import read_predictions
from mllm_affect.cli.app import app
from mllm_affect.data.examples import read_examples, write_examples
from mllm_affect.data.labelled import read_labelled
from mllm_affect.data.made.clips import make_clip, plan_clips
from mllm_affect.data.made.folders import example_of, write_clip_file
from mllm_affect.errors import UserError
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.tasks.prompts import load_task

CLIPS = 8


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled folder of eight held-out made clips."""
    folder = tmp_path_factory.mktemp("clips")
    specs = plan_clips(CLIPS, "test", seed=0)
    for index, spec in enumerate(specs):
        write_clip_file(make_clip(spec), folder / f"{index}.mp4")
    write_examples(folder, [example_of(spec, f"{i}.mp4") for i, spec in enumerate(specs)])
    return folder


@pytest.fixture(scope="module")
def clip(clips: Path) -> Clip:
    source = probe(clips / "0.mp4")
    return next(iter(read_clips(source, segment(source), Sampling(fps=4.0, max_pixels=4096))))


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", *words])
    return result.exit_code, result.stdout


def test_a_run_writes_predictions_metrics_and_report(clips: Path, tmp_path: Path) -> None:
    status, told = invoke(
        *f"ah_demo --data {clips} --split test --model echo --out {tmp_path} --json".split()
    )
    assert status == 0
    summary = json.loads(told)
    assert summary["videos"] == CLIPS
    assert summary["majority_accuracy"] == 0.5
    rows = read_predictions(tmp_path / "predictions.jsonl")
    assert [row.video for row in rows] == [item.video for item in read_examples(clips)]
    assert summary["right"] == sum(row.right for row in rows)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == summary["accuracy"]
    assert metrics["settings"]["prompt"] == load_task("ah_demo").prompt_hash
    html = (tmp_path / "report.html").read_text()
    assert "Made-up answers of the echo engine" in html
    assert "<image" in html


def test_cached_clips_give_the_same_answers_without_decoding(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"ah_demo --data {clips} --model echo --limit 4 --json --no-thumbnails".split()
    cached = ["--cache", str(tmp_path / "cache")]
    assert invoke(*words, "--out", str(tmp_path / "plain"))[0] == 0
    assert invoke(*words, *cached, "--out", str(tmp_path / "filling"))[0] == 0
    monkeypatch.setattr("mllm_affect.media.isolation.isolated_video.IsolatedVideo.read", None)
    assert invoke(*words, *cached, "--out", str(tmp_path / "cached"))[0] == 0
    told = [(tmp_path / run / "predictions.jsonl").read_text() for run in ("plain", "cached")]
    assert told[0] == told[1]


def test_the_table_shows_accuracy_with_its_interval_beside_the_majority(
    clips: Path, tmp_path: Path
) -> None:
    words = f"ah_demo --data {clips} --model echo --out {tmp_path} --no-thumbnails"
    status, told = invoke(*words.split())
    assert status == 0
    for part in ("accuracy", "95 % interval", "macro-F1", "majority answer", "usable answer"):
        assert part in told
    assert "<image" not in (tmp_path / "report.html").read_text()


def test_a_second_run_asks_nothing_again_and_can_go_further(clips: Path, tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    plan = measure.Plan("ah_demo", clips, model=ECHO, limit=4)
    first = measure.run(plan, tmp_path, lambda done, total: asked.append((done, total)))
    assert asked == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    further = measure.run(replace(plan, limit=None), tmp_path)
    assert further.summary.videos == CLIPS
    assert list(further.predictions[:4]) == list(first.predictions)
    assert (tmp_path / "predictions.jsonl").read_text().splitlines()[:4] == lines


def test_other_settings_in_the_same_folder_are_refused(clips: Path, tmp_path: Path) -> None:
    words = f"ah_demo --data {clips} --model echo --limit 2 --out {tmp_path}"
    assert invoke(*words.split())[0] == 0
    status, told = invoke(*words.split(), "--ablate", "audio", "--json")
    assert status == 2
    assert json.loads(told)["error"]["code"] == "other_run"
    assert "ablation" in json.loads(told)["error"]["sentence"]


def test_an_existing_predictions_file_is_measured_without_asking(
    clips: Path, tmp_path: Path
) -> None:
    plan = measure.Plan("ah_demo", clips, model=ECHO)
    run = measure.run(plan, tmp_path / "run")
    path = tmp_path / "run" / "predictions.jsonl"
    status, told = invoke(*f"--predictions {path} --out {tmp_path / 'again'} --json".split())
    assert status == 0
    assert json.loads(told)["accuracy"] == run.summary.accuracy
    assert read_predictions(tmp_path / "again" / "predictions.jsonl") == run.predictions


def test_a_damaged_video_is_counted_as_wrong(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "0.mp4").write_bytes((clips / "0.mp4").read_bytes())
    (folder / "1.mp4").write_text("no video")
    write_examples(folder, read_examples(clips)[:2])
    plan = measure.Plan("ah_demo", folder, model=ECHO)
    found = measure.run(plan, tmp_path / "out")
    assert (found.summary.videos, found.summary.unparsed) == (2, 1)
    assert found.predictions[1].problem


def test_silence_and_grey_keep_every_length(clip: Clip) -> None:
    deaf, blind = ablate("audio")(clip), ablate("video")(clip)
    assert deaf.audio_S is not None
    assert clip.audio_S is not None
    assert deaf.audio_S.shape == clip.audio_S.shape
    assert not deaf.audio_S.any()
    assert np.array_equal(deaf.frames_THWC, clip.frames_THWC)
    assert blind.frames_THWC.shape == clip.frames_THWC.shape
    assert np.unique(blind.frames_THWC).size == 1
    assert np.array_equal(blind.audio_S, clip.audio_S)  # type: ignore[arg-type]
    mute = replace(clip, audio_S=None)
    assert ablate("audio")(mute) is mute


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_reaches_the_engine(clips: Path, tmp_path: Path, name: str) -> None:
    plan = measure.Plan("ah_demo", clips, model=ECHO)
    whole = measure.run(plan, tmp_path / "whole")
    part = measure.run(
        replace(plan, ablate=name),  # type: ignore[arg-type]
        tmp_path / "part",
    )
    pairs = zip(whole.predictions, part.predictions, strict=True)
    assert all(one.probabilities != other.probabilities for one, other in pairs)


def test_a_service_is_never_asked_with_a_modality_missing() -> None:
    task = load_task("ah")
    with (
        pytest.raises(UserError, match="modality"),
        open_answerer(task, None, "http://127.0.0.1:9", "audio"),
    ):
        pass


def test_figures_on_a_split_that_made_the_checkpoint_are_labelled(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the echo engine's checkpoint is called echo, in this folder
    (tmp_path / "echo").mkdir()
    examples = {"examples_sha256": read_labelled(clips).sha256}
    manifest = {
        "recipe": {"split": "train", "evaluation": {"split": "test"}}, "rows": examples,
        "evaluations": [{"step": 1, "macro_f1": 1.0}],
    }  # fmt: skip
    (tmp_path / "echo" / "manifest.json").write_text(json.dumps(manifest))
    words = f"ah_demo --data {clips} --split test --model echo --out out --no-thumbnails".split()
    status, told = invoke(*words)
    assert status == 0
    assert "used for selection of this checkpoint" in " ".join(told.split())
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["settings"]["split_used_for"] == ["selection"]
    assert "used for selection of this checkpoint" in (tmp_path / "out/report.html").read_text()
    again = measure.from_file(tmp_path / "out" / "predictions.jsonl")
    assert "used for selection" in again.note
    (tmp_path / "echo" / "manifest.json").unlink()
    assert invoke(*[*words[:-3], "--out", "other", "--json"])[0] == 0
    settings = json.loads((tmp_path / "other/metrics.json").read_text())["settings"]
    assert "split_used_for" not in settings
