"""The demonstration: its parts on a handful of clips (the whole of it: test_rebuild_demo)."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from eval.demo_page import Story
from eval.measure import Measurement
from mllm_affect.cli import demo as demo_verb
from mllm_affect.cli import demo_story
from mllm_affect.cli.demo_story import Demo
from mllm_affect.data.made.folders import make_long_video
from mllm_affect.model.miniature import embedded_checkpoint

CLIPS = 8


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_story, "TRAIN_CLIPS", CLIPS)
        patch.setattr(demo_story, "HELD_OUT_CLIPS", CLIPS)
        out = tmp_path_factory.mktemp("demo")
        return demo_story.make_clips(Demo(out), lambda done, total: None)


@pytest.fixture(scope="module")
def measured(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    out = tmp_path_factory.mktemp("measured")
    return demo_story.ask_offline(embedded_checkpoint(), clips, out, lambda done, total: None)


def test_only_held_out_clips_are_asked_about(measured: Measurement) -> None:
    assert measured.summary.videos == CLIPS
    assert {row.split for row in measured.predictions} == {"test"}
    assert measured.summary.unparsed == 0
    assert "means nothing" in measured.note


def test_a_sentence_carries_the_interval_and_the_majority(measured: Measurement) -> None:
    sentence = demo_story.accuracy_sentence("Now", measured)
    assert sentence.startswith("Now: ")
    assert "95 % interval" in sentence
    assert "50.0 %" in sentence


def test_the_picture_of_a_video_shows_frames_and_truth(tmp_path: Path) -> None:
    video = make_long_video(tmp_path / "long.mp4", seed=0)
    segments = [
        {
            "index": place, "start_s": 5.0 * place, "end_s": 5.0 * place + 5.0, "answer": "yes",
            "probabilities": {"yes": 0.8, "no": 0.2},
        }
        for place in range(4)
    ]  # fmt: skip
    picture = demo_story.video_picture(
        "Title", "Caption", video.path, {"segments": segments}, video.spans_s
    )
    assert picture.svg.count("<image") == 12
    assert "var(--truth)" in picture.svg


def test_an_earlier_demonstration_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    for name in (*demo_story.OWN_FOLDERS, "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "figures.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    demo_story.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "notes.txt"]


def test_the_narrator_tells_stages_and_keeps_their_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(demo_verb, "err", Console(file=stream, width=100))
    narrator = demo_verb.ConsoleNarrator()
    with narrator.stage("thinking"):
        time.sleep(0.02)
    narrator.say("Done [really].")
    assert "1. thinking" in stream.getvalue()
    assert "Done [really]." in stream.getvalue()
    assert 0.02 <= narrator.seconds["thinking"] < 5


def test_the_printed_table_holds_every_measurement(
    measured: Measurement, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(demo_verb, "out", Console(file=stream, width=120))
    story = Story(
        0, measured, measured, measured, measured, {"making clips": 12.0},
        served=measured, answer={"answer": "yes", "segments": []},
    )  # fmt: skip
    demo_verb._print_story(story, tmp_path)
    told = stream.getvalue()
    for part in ("before fine-tuning", "sound taken away", "over HTTP", "always", "12.0"):
        assert part in told
    assert '"answer": "yes"' in told
    assert "nothing about accuracy on people" in " ".join(told.split())


@pytest.mark.slow
def test_a_terminated_demonstration_leaves_no_child_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mllm_affect", "demo", "--offline", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"COLUMNS": "80"})
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    while not (children := parent.children(recursive=True)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children, "the stage that makes clips works in child processes"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert not (tmp_path / "figures.json").exists()
