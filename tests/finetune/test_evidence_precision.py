"""The evidence projector beside a model in bfloat16: its weights stay float32, and move."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from noise_inputs import noise_input
from safetensors.torch import load_file

from finetune.base import read_base
from finetune.command import training_command
from finetune.merge import TRAINED_IN_FULL, Adapter, merge_adapter
from finetune.recipe import load_recipe
from mllm_affect.engine.transformers_engine import TransformersEngine, together
from mllm_affect.model.encode import encode

STEPS, LEARNING_RATE = 30, 1e-5


def batch_of(engine: TransformersEngine) -> dict[str, Any]:
    """Two clips of two people with opposite action units."""
    rows = [encode(engine._processor, noise_input(seed, samples=None)) for seed in (1, 2)]
    units = len(engine._model.config.thinker_config.evidence["projector"]["units"])
    batch = dict(together(engine._model, rows))
    batch["labels"] = batch["input_ids"].clone()
    batch["unit_labels"] = torch.tensor([[1, 0] * units, [0, 1] * units])[:, :units]
    batch["unit_subjects"] = torch.tensor([1, 2])
    return batch


@pytest.mark.parametrize("method", ["lora", "full"])
def test_small_steps_move_the_projector_of_a_model_in_bfloat16(
    method: str, composite: Path, tmp_path: Path
) -> None:
    """In bfloat16 a step of 1e-5 is lost on all but the smallest weights."""
    import peft

    engine = TransformersEngine(composite, dtype="bfloat16")
    batch, model = batch_of(engine), engine._model.train()
    thinker = model.thinker
    if method == "lora":
        chosen = peft.LoraConfig(target_modules=["q_proj"], modules_to_save=[TRAINED_IN_FULL])
        model = peft.get_peft_model(model, chosen)
    named = dict(model.named_parameters())
    own = {name for name, weight in named.items() if TRAINED_IN_FULL in name}
    own = {name for name in own if named[name].requires_grad}
    before = {name: named[name].detach().clone() for name in own}
    assert {value.dtype for value in before.values()} == {torch.float32}
    if method == "full":
        assert named["thinker.lm_head.weight"].dtype == torch.bfloat16
    optimizer = torch.optim.AdamW(
        [weight for weight in named.values() if weight.requires_grad], lr=LEARNING_RATE
    )
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            thinker(**batch, use_cache=False).loss.backward()
        optimizer.step()
    moved = torch.cat([(named[name].detach() != before[name]).flatten() for name in sorted(own)])
    assert float(moved.float().mean()) > 0.9

    model.save_pretrained(tmp_path)
    files = list(tmp_path.glob("*.safetensors"))
    saved = {name: value for path in files for name, value in load_file(path).items()}
    kept = [value for name, value in saved.items() if TRAINED_IN_FULL in name]
    assert kept
    assert {value.dtype for value in kept} == {torch.float32}


def test_merging_keeps_what_bfloat16_would_round(composite: Path, tmp_path: Path) -> None:
    before = load_file(composite / "evidence-projector.safetensors")
    assert {value.dtype for value in before.values()} == {torch.float32}
    name = max(before, key=lambda key: before[key].numel())
    base = tmp_path / "half"
    base.mkdir()
    for path in composite.iterdir():
        if path.name != "evidence-projector.safetensors":
            (base / path.name).symlink_to(path)
    # Checkpoints made before had the projector in the base's dtype.
    from safetensors.torch import save_file

    half = {key: value.bfloat16() for key, value in before.items()}
    save_file(half, base / "evidence-projector.safetensors", metadata={"format": "pt"})
    trained = {name: before[name] + 1e-6}
    merge_adapter(Adapter({}, 1.0, trained), read_base(str(base)), tmp_path / "merged")
    after = load_file(tmp_path / "merged" / "evidence-projector.safetensors")
    assert torch.equal(after[name], trained[name])


def test_the_projector_has_a_learning_rate_of_its_own(
    composite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(
        "miniature-evidence",
        {"model": str(composite), "learning_rate": 1e-5, "evidence_learning_rate": 3e-4},
    )
    base = read_base(str(composite))
    assert base.profile.sampling is not None
    words = training_command(recipe, base, base.profile.sampling, tmp_path, tmp_path).arguments
    assert words[words.index("--learning_rate") + 1] == "1e-05"
    assert words[words.index("--aligner_lr") + 1] == "0.0003"

    from swift.optimizers import OptimizerCallback, optimizers_map

    from finetune import evidence_plugin  # noqa: F401  it registers the optimizer

    model = torch.nn.ModuleDict(
        {"evidence_projector": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)}
    )
    projector, head = model["evidence_projector"], model["head"]
    usual = torch.optim.AdamW(
        [
            {"params": [projector.weight, head.weight], "weight_decay": 0.1},
            {"params": [projector.bias, head.bias], "weight_decay": 0.0},
        ],
        lr=1e-5,
    )
    monkeypatch.setattr(OptimizerCallback, "create_optimizer", lambda _self, _model=None: usual)
    kind = optimizers_map[words[words.index("--optimizer") + 1]]
    made = kind(SimpleNamespace(aligner_lr=3e-4), SimpleNamespace(model=model)).create_optimizer()
    found = [
        (group["lr"], group["weight_decay"], [id(weight) for weight in group["params"]])
        for group in made.param_groups
    ]
    assert found == [
        (1e-5, 0.1, [id(head.weight)]),
        (1e-5, 0.0, [id(head.bias)]),
        (3e-4, 0.1, [id(projector.weight)]),
        (3e-4, 0.0, [id(projector.bias)]),
    ]
