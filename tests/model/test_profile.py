"""What a checkpoint folder says about itself, also where an older version wrote it."""

import json
from pathlib import Path

import pytest

from mllm_affect.errors import UserError
from mllm_affect.model.profile import ModelProfile, read_profile, write_profile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    write_profile(tmp_path, ModelProfile())
    return tmp_path


def test_a_profile_is_read_as_it_was_written(folder: Path) -> None:
    learned = ModelProfile(max_seconds=3.0, prompt_hashes={"ah": "0" * 64})
    write_profile(folder, learned)
    assert read_profile(folder) == learned


def test_a_checkpoint_of_an_older_version_tells_its_segments_in_the_manifest(folder: Path) -> None:
    assert read_profile(folder).max_seconds is None
    manifest = {"rows": {"segmenter": {"name": "greedy-1", "max_seconds": 2.5}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert read_profile(folder).segment_seconds() == 2.5


@pytest.mark.parametrize("text", ["", "[]", '{"rows": null}', '{"rows": {"segmenter": {}}}'])
def test_a_manifest_that_tells_nothing_is_passed_over(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    assert read_profile(folder).segment_seconds() == 5.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, 61.0, float("nan")])
def test_a_bound_that_nothing_could_keep_is_refused(folder: Path, seconds: float) -> None:
    (folder / "mllm_affect.json").write_text(json.dumps({"max_seconds": seconds}))
    with pytest.raises(UserError) as caught:
        read_profile(folder)
    assert caught.value.code == "bad_checkpoint"
