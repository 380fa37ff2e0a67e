"""Training a checkpoint with evidence: columns of units, ms-swift's side, merging."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.base import read_base
from finetune.command import training_command
from finetune.merge import Adapter, merge_adapter, read_adapter
from finetune.recipe import load_recipe
from mllm_affect.data.unit_labels import subject_number, unit_labels
from mllm_affect.errors import UserError
from mllm_affect.files import read_jsonl
from mllm_affect.model.evidence.composing import PREFIX


def test_units_become_labels_in_the_checkpoints_order() -> None:
    assert unit_labels("1, AU12", (12, 4, 1)) == [1, 0, 1]
    assert unit_labels("", (12, 4)) == [0, 0]
    assert unit_labels("?", (12, 4)) == [-1, -1]
    assert subject_number("a") == subject_number("a") != subject_number("b")
    with pytest.raises(UserError, match="no action units"):
        unit_labels("smile", (12,))


def test_the_command_names_our_plugin_for_our_checkpoints_alone(
    composite: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("miniature-evidence", {"model": str(composite)})
    sampling = read_base(str(composite)).profile.sampling
    assert sampling is not None
    words = training_command(recipe, read_base(recipe.model), sampling, tmp_path, tmp_path)
    first = words.arguments.index("--external_plugins") + 1
    plugins = words.arguments[first : words.arguments.index("--callbacks")]
    assert [Path(plugin).name for plugin in plugins] == ["plugin.py", "evidence_plugin.py"]
    assert all(Path(plugin).is_file() for plugin in plugins)
    assert words.arguments[words.arguments.index("--modules_to_save") + 1] == "evidence_projector"
    plain = training_command(recipe, read_base("miniature"), sampling, tmp_path, tmp_path)
    assert not any("evidence_plugin" in word for word in plain.arguments)
    assert "--modules_to_save" not in plain.arguments


def test_deepspeed_is_refused_rather_than_training_without_evidence(composite: Path) -> None:
    recipe = load_recipe("qwen3-omni-30b-a3b-lora", {"model": str(composite)})
    base = read_base(recipe.model)
    assert base.profile.sampling is not None
    with pytest.raises(UserError, match="deepspeed"):
        training_command(recipe, base, base.profile.sampling, Path(), Path())


def test_merging_takes_the_trained_projector_over(composite: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    before = load_file(composite / "evidence-projector.safetensors")
    name = min(before)
    trained = {name: before[name] + 1.0}
    merge_adapter(Adapter({}, 1.0, trained), read_base(str(composite)), tmp_path / "merged")
    after = load_file(tmp_path / "merged" / "evidence-projector.safetensors")
    torch.testing.assert_close(after[name], before[name] + 1.0)
    assert all(torch.equal(after[other], before[other]) for other in before if other != name)
    odd = Adapter({}, 1.0, {PREFIX + "nothing": before[name]})
    with pytest.raises(UserError, match="has no weight"):
        merge_adapter(odd, read_base(str(composite)), tmp_path / "odd")


@pytest.mark.rebuild
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_fixed_batch_is_learned_by_heart(
    method: str, coded: Path, composite: Path, tmp_path: Path
) -> None:
    """All losses together fall to near zero; what is merged answers, projector included."""
    import torch
    from noise_inputs import noise_input
    from safetensors.torch import load_file

    from mllm_affect.engine.transformers_engine import TransformersEngine

    settings = {
        "method": method, "max_steps": 60, "batch_size": 4, "schedule": "constant",
        "learning_rate": 5e-3 if method == "lora" else 2e-3, "weight_decay": 0,
        "lora_dropout": 0,
    }  # fmt: skip
    words = [sys.executable, "-m", "mllm_affect", "finetune", "run"]
    words += ["--config", "miniature-evidence", "--model", str(composite), "--data", str(coded)]
    words += ["--out", str(tmp_path / "out")]
    for name, value in settings.items():
        words += ["--set", f"{name}={value}"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=500,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
    )  # fmt: skip
    log = tmp_path / "out" / "train.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.is_file() else "")
    losses = [
        line["loss"]
        for line in read_jsonl(tmp_path / "out" / "steps.jsonl")
        if isinstance(line.get("loss"), float)
    ]
    assert losses[0] > 1.0
    assert min(losses[-5:]) < 0.1 * losses[0]
    checkpoint = tmp_path / "out" / ("merged" if method == "lora" else "model")
    engine = TransformersEngine(checkpoint)
    held = engine._model.state_dict()
    before = load_file(composite / "evidence-projector.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(held[name], value)}
    assert {name.removeprefix(PREFIX).split(".")[0] for name in changed} == {
        "encoder", "fusion", "graph", "evidence_head", "answer_head",
    }  # fmt: skip
    engine.score([noise_input(1)], ("yes", "no"))
    if method == "lora":
        kept = read_adapter(tmp_path / "out" / "adapter")
        assert set(kept.trained) == set(before)
    index = json.loads((checkpoint / "config.json").read_text())
    assert index["architectures"] == ["EvidenceQwen3OmniMoeForConditionalGeneration"]
