"""For the same clips, ms-swift trains on exactly what the reference encoding says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from large_base import write_large_base
from noise_inputs import noise_input, told_question
from peak_inputs import peak_input

from finetune.base import read_base
from finetune.command import training_command
from finetune.recipe import load_recipe, parse_recipe, shipped_recipes
from mllm_affect.files import write_jsonl
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.rows import write_row

RECIPE = """
method: lora
max_steps: 1
batch_size: 2
dtype: float32
use_cpu: true
gradient_checkpointing: false
max_length: 4096
"""
SAMPLING = Sampling(fps=4.0, max_pixels=96 * 160)

INPUTS = (
    noise_input(0),
    noise_input(1, frames=2, samples=16_000),
    noise_input(2, frames=20, samples=80_000),
    noise_input(3, frames=6, samples=None),
    noise_input(4, frames=4, size=(32, 32), samples=16_160),
    noise_input(5, frames=8, size=(96, 160), samples=31_840),
    noise_input(
        6, frames=10, size=(32, 96), samples=40_000, question="Où regarde-t-elle ?\nOne word."
    ),
    noise_input(7, frames=2, size=(160, 96), samples=None, question="Is it <b>dark</b>?"),
    noise_input(8, frames=12, samples=48_000),
    noise_input(9, frames=4, samples=24_000, question=told_question()),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelInput, ...]:
    """Noise, and a clip sampled around its motion peak."""
    return (*INPUTS, peak_input(tmp_path_factory.mktemp("peak"), SAMPLING))


@pytest.fixture(scope="module")
def swift_batch(
    inputs: tuple[ModelInput, ...], untrained: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("rows")
    write_jsonl(folder / "rows.jsonl", [write_row(folder, item, "yes") for item in inputs])
    recipe = parse_recipe(RECIPE, "test", {"model": str(untrained)})
    command = training_command(
        recipe, read_base(recipe.model), SAMPLING, folder, folder / "training"
    )
    large = write_large_base(folder / "large")
    others = [
        training_command(shipped, read_base(str(large)), SAMPLING, folder, folder).arguments
        for shipped in map(load_recipe, shipped_recipes())
    ]
    (folder / "others.json").write_text(json.dumps(others))
    target = folder / "batch.safetensors"
    program = Path(__file__).with_name("swift_side.py")
    done = subprocess.run(
        [sys.executable, str(program), str(target), *command.arguments],
        cwd=command.folder,
        env=command.environment(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(target)


@pytest.fixture(scope="module")
def reference(inputs: tuple[ModelInput, ...], untrained: Path) -> list[dict[str, Any]]:
    from transformers import Qwen3OmniMoeForConditionalGeneration, Qwen3OmniMoeProcessor

    from mllm_affect.model.encode import encode, positions

    processor = Qwen3OmniMoeProcessor.from_pretrained(untrained)
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(untrained)
    encoded = [encode(processor, item) for item in inputs]
    return [{**item, "position_ids": positions(model, item)} for item in encoded]


@pytest.mark.slow
def test_ms_swift_knows_every_option_of_every_recipe(swift_batch: Any) -> None:
    assert swift_batch  # the program parsed them before it encoded anything


@pytest.mark.slow
def test_token_ids_are_equal(swift_batch: Any, reference: Any, untrained: Path) -> None:
    from transformers import AutoTokenizer

    tail = AutoTokenizer.from_pretrained(untrained)("yes<|im_end|>\n")["input_ids"]
    for row, expected in enumerate(reference):
        prompt = expected["input_ids"][0].tolist()
        length = int(swift_batch["attention_mask"][row].sum())
        assert swift_batch["input_ids"][row, :length].tolist() == prompt + tail
        learned = swift_batch["labels"][row, :length]
        assert (learned[: len(prompt)] == -100).all()
        assert learned[len(prompt) :].tolist() == tail


@pytest.mark.slow
def test_positions_are_equal(swift_batch: Any, reference: Any) -> None:
    import torch

    for row, expected in enumerate(reference):
        length = expected["input_ids"].shape[1]
        found = swift_batch["position_ids"][:, row, :length]
        assert torch.equal(found.double(), expected["position_ids"][:, 0].double())


@pytest.mark.slow
def test_pixels_are_equal(swift_batch: Any, reference: Any) -> None:
    import torch

    grids = torch.cat([expected["video_grid_thw"] for expected in reference])
    assert torch.equal(swift_batch["video_grid_thw"], grids)
    pixels = torch.cat([expected["pixel_values_videos"] for expected in reference])
    assert torch.equal(swift_batch["pixel_values_videos"], pixels)


@pytest.mark.slow
def test_audio_features_are_equal(swift_batch: Any, reference: Any) -> None:
    import torch

    heard = [expected for expected in reference if "input_features" in expected]
    assert len(heard) == swift_batch["input_features"].shape[0] == 9
    for row, expected in enumerate(heard):
        frames = int(expected["feature_attention_mask"].sum())
        assert int(swift_batch["feature_attention_mask"][row].sum()) == frames
        found = swift_batch["input_features"][row, :, :frames]
        torch.testing.assert_close(
            found, expected["input_features"][0, :, :frames], rtol=0, atol=1e-6
        )


def test_every_kind_of_input_is_among_them() -> None:
    def kind(item: ModelInput) -> tuple[bool, bool]:
        return item.audio_S is None, item.frames_THWC.shape[1] % 64 != 0

    assert {kind(item) for item in INPUTS} >= {(True, False), (False, True), (False, False)}
