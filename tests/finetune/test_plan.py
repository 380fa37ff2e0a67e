"""Plans: parameter counts against the true model on the meta device, and what is printed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.planning.counts import AUDIO, TEXT, VISION, Shape, count, count_lora
from finetune.planning.rows import row_size
from mllm_affect.cli.app import app
from mllm_affect.tasks.prompts import load_task

LARGE: dict[str, Any] = {
    "thinker_config": {"text_config": TEXT, "vision_config": VISION, "audio_config": AUDIO}
}


def on_meta(config: Any) -> Any:
    """The thinker with all its parameters and none of their memory."""
    import torch
    from transformers import Qwen3OmniMoeThinkerForConditionalGeneration

    with torch.device("meta"):
        return Qwen3OmniMoeThinkerForConditionalGeneration(config)


def large_config() -> Any:
    from transformers import Qwen3OmniMoeConfig

    return Qwen3OmniMoeConfig(**LARGE, enable_audio_output=False).thinker_config


def by_part(model: Any) -> dict[str, int]:
    counts = dict.fromkeys(("language", "experts", "vision", "audio", "projectors"), 0)
    for name, parameter in model.named_parameters():
        counts[part_of(name)] += parameter.numel()
    return counts


def part_of(name: str) -> str:
    if ".experts." in name:
        return "experts"
    if any(inside in name for inside in ("visual.merger", ".proj1.", ".proj2.")):
        return "projectors"
    if name.startswith("visual."):
        return "vision"
    return "audio" if name.startswith("audio_tower.") else "language"


def test_counts_are_those_of_qwen3_omni_30b_a3b() -> None:
    parts = count(Shape.of(LARGE))
    assert vars(parts) == by_part(on_meta(large_config()))
    assert parts.total == 31_719_205_488
    active = parts.experts * TEXT["num_experts_per_tok"] / TEXT["num_experts"]
    assert 3.0e9 < parts.language + active < 3.8e9, "three of thirty billion think about a token"


@pytest.mark.parametrize("changes", [{}, {"text_layers": 3, "experts": 6, "vision_layers": 4}])
def test_counts_are_those_of_any_other_size(changes: dict[str, Any]) -> None:
    from mllm_affect.model.miniature.architecture import Sizes
    from mllm_affect.model.miniature.checkpoint import untrained_model
    from mllm_affect.model.miniature.tokenizer import build_tokenizer

    model = untrained_model(build_tokenizer(), 0, Sizes(**changes))
    parts = count(Shape.of(model.config.to_dict()))
    assert vars(parts) == by_part(model.thinker)


def test_adapters_are_as_large_as_peft_s() -> None:
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    names = [f"model.layers.{layer}.self_attn.{name}" for layer in range(48) for name in targets]
    adapted = get_peft_model(on_meta(large_config()), LoraConfig(r=8, target_modules=names))
    theirs = sum(p.numel() for name, p in adapted.named_parameters() if "lora_" in name)
    assert count_lora(Shape.of(LARGE), 8, targets) == theirs


def planned(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["finetune", "plan", *map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """What a download of the large model has before its weights."""
    folder = tmp_path / "large"
    folder.mkdir()
    config = {"architectures": ["Qwen3OmniMoeForConditionalGeneration"], **LARGE}
    config["thinker_config"] = LARGE["thinker_config"] | {"position_id_per_seconds": 13}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_plan_needs_no_weights_and_every_number_has_its_formula(large: Path) -> None:
    recipe = ["--config", "qwen3-omni-30b-a3b-lora-1gpu", "--model", large]
    plan = planned(*recipe, "--rows", 10_000, "--set", "epochs=2")
    assert plan["parameters"]["total"] == 31_719_205_488
    assert "swift sft" in plan["command"]
    weights = next(share for share in plan["memory"]["shares"] if share["name"] == "weights")
    assert weights["bytes"] == 2 * 31_719_205_488 + 4 * plan["parameters"]["trained"]
    assert all(share["formula"] for share in plan["memory"]["shares"])
    steps = plan["steps"]
    assert steps["steps"] == pytest.approx(2 * 10_000 / steps["rows_a_step"], abs=2)


def test_sharing_over_devices_divides_what_it_should(large: Path) -> None:
    recipe = ["--config", "qwen3-omni-30b-a3b-full", "--model", large, "--set"]
    two, three = (planned(*recipe, f"deepspeed={how}")["memory"] for how in ("zero2", "zero3"))
    of = [{share["name"]: share["bytes"] for share in memory["shares"]} for memory in (two, three)]
    assert of[0]["optimizer"] == of[1]["optimizer"]
    assert of[1]["weights"] < of[0]["weights"] / 6, "eight devices, and one layer gathered"
    assert three["peak"] < 80 << 30 < two["peak"], "what the recipe's notes say of 80 GB"


def test_a_row_is_as_long_as_the_processor_makes_it() -> None:
    import numpy as np
    from noise_inputs import noise_input

    from mllm_affect.model.encode import encode
    from mllm_affect.model.miniature.processor import SAMPLING, build_processor
    from mllm_affect.model.miniature.tokenizer import build_tokenizer

    processor = build_processor(build_tokenizer())
    for seconds in (1.0, 3.2, 5.0):
        size = row_size((load_task("ah_demo"),), SAMPLING, seconds, 640, 640)
        frames, samples = 2 * int(np.ceil(seconds * SAMPLING.fps / 2)), int(seconds * 16_000)
        encoded = encode(processor, noise_input(0, frames=frames, samples=samples))
        ids = encoded["input_ids"][0].tolist()
        marks = [processor.tokenizer.convert_tokens_to_ids(f"<|{name}_pad|>")
                 for name in ("video", "audio")]  # fmt: skip
        assert [size.video, size.audio] == [ids.count(mark) for mark in marks]
        tensors = (encoded["pixel_values_videos"], encoded["input_features"])
        assert size.input_bytes == sum(4 * tensor.numel() for tensor in tensors)


def test_a_strange_size_is_refused(large: Path) -> None:
    words = ["finetune", "plan", "--config", "qwen3-omni-30b-a3b-lora", "--model", str(large)]
    result = CliRunner().invoke(app, [*words, "--size", "wide"])
    assert (result.exit_code, "1280x720" in result.stderr) == (2, True)
