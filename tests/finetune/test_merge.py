"""Merging equals peft's own merge, keeps everything else, and is written whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.base import read_base
from finetune.command import lora_modules
from finetune.folders import gather_full
from finetune.merge import merge_adapter, outside_language_model, read_adapter
from finetune.recipe import parse_recipe
from mllm_affect.errors import UserError


def write_adapter(untrained: Path, folder: Path, **changes: Any) -> Any:
    """A peft adapter with random factors; returns peft's model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3OmniMoeForConditionalGeneration

    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(untrained)
    recipe = parse_recipe("max_steps: 1", "test")
    names = list(lora_modules(recipe, read_base(str(untrained))))
    config = LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": names, **changes})
    adapted = get_peft_model(model, config)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, factor in adapted.named_parameters():
            if "lora_" in name:
                factor.normal_(0, 0.1)
    adapted.save_pretrained(folder)
    return adapted


@pytest.fixture(scope="module")
def adapted(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("adapter")
    return folder, write_adapter(untrained, folder)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_merged_weights_equal_peft_s_and_load_as_a_checkpoint(
    adapted: tuple[Path, Any], untrained: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import Qwen3OmniMoeForConditionalGeneration, Qwen3OmniMoeProcessor

    folder, model = adapted
    merge_adapter(read_adapter(folder), read_base(str(untrained)), tmp_path / "merged")
    ours = Qwen3OmniMoeForConditionalGeneration.from_pretrained(tmp_path / "merged").state_dict()
    theirs = model.merge_and_unload().state_dict()
    before = Qwen3OmniMoeForConditionalGeneration.from_pretrained(untrained).state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6)
    changed = {name for name in before if not torch.equal(before[name], ours[name])}
    assert len(changed) == 8
    assert all("thinker.model" in name and "self_attn" in name for name in changed)
    assert Qwen3OmniMoeProcessor.from_pretrained(tmp_path / "merged").chat_template


def test_the_description_is_the_base_s_to_the_byte(
    adapted: tuple[Path, Any], untrained: Path, tmp_path: Path
) -> None:
    merge_adapter(read_adapter(adapted[0]), read_base(str(untrained)), tmp_path / "merged")
    assert names_in(tmp_path / "merged") == names_in(untrained) - {"mllm_affect.json"}
    for path in (tmp_path / "merged").glob("*.json"):
        assert path.read_bytes() == (untrained / path.name).read_bytes()
    vision = json.loads((tmp_path / "merged" / "config.json").read_text())["thinker_config"]
    assert vision["vision_config"]["image_size"]
    assert vision["vision_config"]["apply_vit_abs_pos_embed"] is True


def test_untouched_weight_files_are_copied_and_shards_stay(
    adapted: tuple[Path, Any], untrained: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(untrained, base)
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    touched = {name: value for name, value in weights.items() if ".self_attn." in name}
    rest = {name: value for name, value in weights.items() if name not in touched}
    save_file(touched, base / "model-1.safetensors", metadata={"format": "pt"})
    save_file(rest, base / "model-2.safetensors", metadata={"format": "pt"})
    merge_adapter(read_adapter(adapted[0]), read_base(str(base)), tmp_path / "merged")
    same = "model-2.safetensors"
    assert (tmp_path / "merged" / same).read_bytes() == (base / same).read_bytes()
    merged = load_file(tmp_path / "merged" / "model-1.safetensors")
    assert merged.keys() == touched.keys()


def test_rank_stabilised_scale_is_peft_s(untrained: Path, tmp_path: Path) -> None:
    model = write_adapter(untrained, tmp_path / "adapter", use_rslora=True)
    name = "thinker.model.layers.0.self_attn.q_proj"
    delta = read_adapter(tmp_path / "adapter").delta(f"{name}.weight")
    theirs = model.base_model.model.get_submodule(name).get_delta_weight("default")
    assert (delta - theirs).abs().max() < 1e-6


def test_adapters_on_the_towers_are_noticed(untrained: Path, tmp_path: Path) -> None:
    write_adapter(untrained, tmp_path, target_modules=["q_proj"])
    outside = outside_language_model(read_adapter(tmp_path))
    assert outside
    assert all("audio_tower" in name for name in outside)


def test_another_base_is_refused_and_nothing_is_left(
    adapted: tuple[Path, Any], tmp_path: Path
) -> None:
    from mllm_affect.model.miniature.architecture import Sizes
    from mllm_affect.model.miniature.checkpoint import untrained_model
    from mllm_affect.model.miniature.tokenizer import build_tokenizer

    for sizes in (Sizes(text_layers=1), Sizes(text_hidden=96)):
        other = tmp_path / "other"
        untrained_model(build_tokenizer(), 0, sizes).save_pretrained(other)
        with pytest.raises(UserError) as caught:
            merge_adapter(read_adapter(adapted[0]), read_base(str(other)), tmp_path / "merged")
        assert caught.value.code == "bad_adapter"
        assert names_in(tmp_path) == {"other"}


def test_an_existing_folder_is_not_touched(
    adapted: tuple[Path, Any], untrained: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UserError) as caught:
        merge_adapter(read_adapter(adapted[0]), read_base(str(untrained)), tmp_path)
    assert caught.value.code == "out_exists"
    assert names_in(tmp_path) == {"mine"}


@pytest.mark.parametrize("kind", ["empty", "no LoRA", "DoRA", "rank pattern", "torn", "one factor"])
def test_unusable_adapters_are_refused(
    kind: str, adapted: tuple[Path, Any], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    config = json.loads((adapted[0] / "adapter_config.json").read_text())
    weights = load_file(adapted[0] / "adapter_model.safetensors")
    changes = {
        "no LoRA": {"peft_type": "IA3"},
        "DoRA": {"use_dora": True},
        "rank pattern": {"rank_pattern": {"q_proj": 8}},
    }
    if kind == "one factor":
        weights.pop(next(name for name in weights if "lora_B" in name))
    if kind != "empty":
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | changes.get(kind, {})))
        save_file(weights, tmp_path / "adapter_model.safetensors")
    if kind == "torn":
        (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError) as caught:
        read_adapter(tmp_path)
    assert caught.value.code == "bad_adapter"


def test_full_training_keeps_the_description_and_drops_speech(
    untrained: Path, tmp_path: Path
) -> None:
    import shutil

    base, trained = tmp_path / "base", tmp_path / "trained"
    shutil.copytree(untrained, base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"enable_audio_output": True}))
    (base / "model.safetensors.index.json").write_text("{}")
    trained.mkdir()
    (trained / "model.safetensors").write_bytes(b"new")
    (trained / "config.json").write_text("{}")
    (trained / "training_args.bin").write_bytes(b"pickle")
    gather_full(trained, base, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == b"new"
    assert json.loads((tmp_path / "model" / "config.json").read_text()) == config | {
        "enable_audio_output": False
    }
    kept = names_in(untrained) - {"mllm_affect.json"}
    assert names_in(tmp_path / "model") == kept
