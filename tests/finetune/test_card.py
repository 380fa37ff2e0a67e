"""The model card says what the manifest and an evaluation say, and nothing of this machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.base import read_base
from finetune.card import write_card
from finetune.manifest import name_and_revision
from mllm_affect.errors import UserError

MANIFEST: dict[str, Any] = {
    "recipe": {
        "method": "lora", "lora_rank": 8, "lora_alpha": 32.0, "lora_targets": ["q_proj"],
        "batch_size": 4, "accumulation": 8, "gpus": 2, "learning_rate": 1e-5, "dtype": "bfloat16",
    },
    "base": {"name": "Some-Omni", "revision": None, "folder": "/secret/place", "sha256": "a" * 64},
    "rows": {
        "rows": 100, "videos": 40, "segments": 110, "participants": 9, "split": "train",
        "answers": {"no": 60, "yes": 40}, "balance": "none", "segments_unclear": 10,
        "data": {"kind": "bah", "left_out": {"no consent": 3}}, "tasks": {"ah": "b" * 64},
        "rows_sha256": "c" * 64, "examples_sha256": "d" * 64,
        "segmenter": {"name": "blind", "max_seconds": 5.0},
        "sampling": {"fps": 2.0, "max_pixels": 4096},
    },
    "prompt_hashes": {"ah": "b" * 64}, "seed": 42, "steps": 7, "final_loss": 0.25,
    "merge": {"largest": 2e-6, "prompts": 64}, "versions": {"ms-swift": "4.6.0"},
}  # fmt: skip
SPAN = {"low": 0.7, "high": 0.9}
METRICS: dict[str, Any] = {
    "task": "ah", "videos": 30, "participants": 6, "unparsed": 1, "abstained": 2,
    "macro_f1": 0.812, "macro_f1_interval": SPAN, "accuracy": 0.8, "accuracy_interval": SPAN,
    "calibration_error": None, "majority": "yes", "majority_macro_f1": 0.333,
    "calibration": [{"mean_probability": 0.8, "hit_rate": 0.7, "count": 20}],
    "settings": {"split": "test", "weights": None},
    "details": {"priors": [{"name": "question alone", "scores": {"macro_f1": 0.641}}]},
}  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    return folder


def write_metrics(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(METRICS | changes))
    return folder


def test_the_card_tells_data_training_use_limits_and_duties(checkpoint: Path) -> None:
    text = write_card(checkpoint).read_text()
    for said in (
        "base_model: Some-Omni", "40 videos of 9 participants", "no 60, yes 40",
        "left out, no consent: 3", "LoRA rank 8", "7 steps of 64 rows", "2.0e-06 over 64",
        "at most 5 seconds", "faculty for academic use", "Not evaluated", "Not for",
    ):  # fmt: skip
        assert said in text
    assert "/secret/place" not in text


def test_figures_come_with_intervals_priors_and_a_plot(checkpoint: Path, tmp_path: Path) -> None:
    text = write_card(checkpoint, write_metrics(tmp_path / "test")).read_text()
    assert "| macro-F1 | 0.812 | 0.700 to 0.900 |" in text
    assert "| always yes | 0.333 |" in text
    assert "| question alone | 0.641 |" in text
    assert "expected calibration error" not in text
    assert "(calibration.svg)" in text
    assert (checkpoint / "calibration.svg").read_text().startswith("<?xml")


def test_an_evaluation_of_other_weights_is_refused(untrained: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "merged"
    shutil.copytree(untrained, folder)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    own = read_base(str(folder)).fingerprint()
    settings = {"split": "test", "weights": own}
    assert write_card(folder, write_metrics(tmp_path / "own", settings=settings))
    other = write_metrics(tmp_path / "other", settings=settings | {"weights": "e" * 64})
    with pytest.raises(UserError) as caught:
        write_card(folder, other)
    assert caught.value.code == "bad_evaluation"


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_card(tmp_path)
    assert caught.value.code == "no_manifest"


def test_a_hub_s_cache_tells_name_and_revision() -> None:
    place = Path("/hub/models--Qwen--Qwen3-Omni-30B-A3B-Instruct/snapshots/abc123")
    assert name_and_revision(place) == ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "abc123")
    assert name_and_revision(Path("/models/mine")) == ("mine", None)
