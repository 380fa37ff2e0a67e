"""A checkpoint says which splits it was made with, so that figures on them are labelled."""

import json
from pathlib import Path

from mllm_affect.model.split_uses import (
    CALIBRATION,
    SELECTION,
    TRAINING,
    purposes,
    sentence,
    split_uses,
)

SET = "e" * 64


def checkpoint(folder: Path, evaluations: bool = True) -> Path:
    recipe = {"split": "train", "evaluation": {"split": "val"}}
    chosen = [{"step": 4, "macro_f1": 0.9}] if evaluations else []
    manifest = {"recipe": recipe, "rows": {"examples_sha256": SET}, "evaluations": chosen}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    made = {"made_from": {"split": "val", "examples_sha256": SET}}
    (folder / "scoring.json").write_text(json.dumps({"tasks": {"ah": made}}))
    return folder


def test_each_split_knows_what_it_was_used_for(tmp_path: Path) -> None:
    uses = split_uses(checkpoint(tmp_path))
    assert purposes(uses, SET, "train") == (TRAINING,)
    assert purposes(uses, SET, "val") == (SELECTION, CALIBRATION)
    assert purposes(uses, SET, "test") == ()
    assert purposes(uses, SET, None) == (TRAINING, SELECTION, CALIBRATION)
    assert purposes(uses, "f" * 64, "train") == ()
    assert "higher than on new people" in sentence((SELECTION,), "val")
    assert sentence((), "test") == ""


def test_a_training_that_kept_its_last_step_chose_nothing(tmp_path: Path) -> None:
    uses = split_uses(checkpoint(tmp_path, evaluations=False))
    assert purposes(uses, SET, "val") == (CALIBRATION,)


def test_a_checkpoint_made_elsewhere_states_nothing(tmp_path: Path) -> None:
    assert split_uses(tmp_path) == ()
    (tmp_path / "manifest.json").write_text('{"files": {}}')
    (tmp_path / "scoring.json").write_text("no JSON")
    assert split_uses(tmp_path) == ()
