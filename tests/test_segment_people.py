"""`segment --faces --speech --transcript` writes what it found beside the segments."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.files import read_jsonl
from mllm_affect.media.face.sheet import BOX
from tests.real_videos import real_video


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["segment", *words])
    return result.exit_code, result.output


def test_faces_speech_and_words_are_written_for_every_segment(tmp_path: Path) -> None:
    said = tmp_path / "said.srt"
    said.write_text("1\n00:00:00,100 --> 00:00:02,000\na made text\n", encoding="utf-8")
    out = tmp_path / "out"
    asked = ["--faces", "--speech", "--transcript", str(said), "--out", str(out), "--trusted"]
    status, shown = run(str(real_video("single_face")), *asked, "--json")
    assert status == 0, shown
    (segment,) = json.loads(shown)["segments"]
    (faces,) = read_jsonl(out / "faces.jsonl")
    assert len(faces["frames"]) == segment["num_frames"]
    assert faces["quality"]["share"] == 1.0
    assert all(len(frame["points"]) == 5 for frame in faces["frames"])
    (speech,) = read_jsonl(out / "speech.jsonl")
    assert (speech["heard"], speech["segment"]) == (True, 0)
    (words,) = read_jsonl(out / "said.jsonl")
    assert [piece["text"] for piece in words["pieces"]] == ["a made text"]
    sheet = np.asarray(Image.open(out / "faces.png"))
    assert (sheet == BOX).all(axis=2).sum() > 200, "the box is drawn"


def test_a_video_without_faces_is_written_too(tmp_path: Path) -> None:
    status, shown = run(str(real_video("no_face")), "--faces", "--trusted", "--out", str(tmp_path))
    assert status == 0, shown
    (faces,) = read_jsonl(tmp_path / "faces.jsonl")
    assert faces["absence"] == "no_face"
    assert {frame["box"] for frame in faces["frames"]} == {None}
    sheet = np.asarray(Image.open(tmp_path / "faces.png"))
    assert not (sheet == BOX).all(axis=2).any()


@pytest.mark.parametrize("option", ["--faces", "--speech"])
def test_a_folder_is_needed(option: str) -> None:
    status, shown = run(str(real_video("no_face")), option)
    assert status == 2
    assert option in shown


def test_a_bad_transcript_leaves_nothing_behind(tmp_path: Path) -> None:
    bad, out = tmp_path / "bad.json", tmp_path / "out"
    bad.write_text("{")
    asked = ["--transcript", str(bad), "--out", str(out), "--trusted", "--faces"]
    status, shown = run(str(real_video("no_face")), *asked)
    assert status == 2
    assert "bad.json" in shown
    assert not out.exists()
