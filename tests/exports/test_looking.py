"""Looking and listening for an export, in a real video with one face."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from made_answers import scored
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.exports.json_file import read_export
from mllm_affect.media.probe import probe
from tests.real_videos import real_video


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An invented answer about the real video's only segment."""
    source = probe(real_video("single_face"))
    answer = scored(0.9, 0.7, 0.2)
    segment = answer.segments[0].model_copy(
        update={"start_s": source.start_s, "end_s": source.start_s + source.duration_s}
    )
    path = tmp_path_factory.mktemp("answered") / "ah.json"
    told = answer.model_copy(update={"segments": (segment,), "source_sha256": source.sha256})
    path.write_text(json.dumps(told.as_dict()))
    return path


def export(answered: Path, *words: object) -> Any:
    return CliRunner().invoke(app, ["export", "video", str(answered), *map(str, words)])


def test_what_is_seen_and_heard_is_in_the_export(answered: Path, tmp_path: Path) -> None:
    csv, json_file = tmp_path / "a.csv", tmp_path / "a.json"
    video = real_video("single_face")
    result = export(answered, "--look", video, "--out", csv, "--out", json_file)
    assert result.exit_code == 0, result.output
    row = pandas.read_csv(csv).iloc[0]
    assert row.video == video.name
    assert row.face_share == 1.0
    assert row.face_size_px > 24
    assert 0 <= row.face_left_share < row.face_left_share + row.face_width_share <= 1
    assert 0 <= row.speech_share <= 1
    (seen,) = read_export(json_file).observed
    assert len(seen.faces) == pytest.approx(5 * (seen.end_s - seen.start_s), abs=1)


def test_another_video_is_refused(answered: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    result = export(answered, "--look", real_video("no_face"), "--out", out, "--json")
    assert result.exit_code == 2
    assert json.loads(result.output)["error"]["code"] == "different_videos"
    assert not out.exists()
