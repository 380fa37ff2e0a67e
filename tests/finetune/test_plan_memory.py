"""The memory that a plan estimates, beside what a training step really holds."""

import gc
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from memory_meter import MemoryMeter
from noise_inputs import noise_input

from finetune.planning.counts import Shape, count
from finetune.planning.memory import Setting, estimate
from mllm_affect.engine.transformers_engine import together
from mllm_affect.model.encode import encode
from mllm_affect.model.miniature.architecture import Sizes
from mllm_affect.model.miniature.checkpoint import untrained_model
from mllm_affect.model.miniature.processor import build_processor
from mllm_affect.model.miniature.tokenizer import build_tokenizer

WITHIN = 0.15
DROPOUT = 0.05
"""That of the recipes; without it an adapter's step takes up to a third less."""
SIZES = (
    Sizes(),
    Sizes(text_hidden=128, text_layers=3, experts=8, experts_per_token=4, expert_hidden=96),
    Sizes(text_hidden=192, text_layers=4, text_heads=8, expert_hidden=64),
)
"""The last two were not among those that the estimate's numbers were fitted to."""


@dataclass
class Step:
    """A model, what it trains, and a batch of noise."""

    model: Any
    trained: list[torch.nn.Parameter]
    batch: dict[str, torch.Tensor]
    labels: torch.Tensor
    optimizer: torch.optim.Optimizer

    def run(self) -> None:
        self.model.thinker(**self.batch, use_cache=False, labels=self.labels).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def step_of(sizes: Sizes, method: str, rows: int, checkpointing: bool) -> Step:
    tokenizer = build_tokenizer()
    processor, model = build_processor(tokenizer), untrained_model(tokenizer, 0, sizes).train()
    encoded = [encode(processor, noise_input(n, frames=16, samples=64_000)) for n in range(rows)]
    batch = together(model, encoded)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        names = [f"thinker.model.layers.{layer}.self_attn.{part}_proj"
                 for layer in range(sizes.text_layers) for part in "qkvo"]  # fmt: skip
        model = get_peft_model(
            model, LoraConfig(r=8, target_modules=names, lora_dropout=DROPOUT)
        ).base_model.model
    else:
        for name, weights in model.named_parameters():
            weights.requires_grad = name.startswith(("thinker.model", "thinker.lm_head"))
    if checkpointing:
        model.thinker.model.gradient_checkpointing_enable()
        model.thinker.enable_input_require_grads()
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, -3:] = batch["input_ids"][:, -3:]
    return Step(model, trained, batch, labels, torch.optim.AdamW(trained, lr=1e-4))


def peak_of(step: Step) -> int:
    """The most bytes alive during the second step; the first makes the optimizer's states."""
    step.run()
    gc.collect()
    meter = MemoryMeter()
    states = [list(state.values()) for state in step.optimizer.state.values()]
    meter.add([list(step.model.parameters()), list(step.model.buffers()), states, step.batch])
    with meter:
        step.run()
    return meter.peak


@pytest.mark.rebuild
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("rows", [2, 8])
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("sizes", SIZES, ids=["shipped", "many experts", "many heads"])
def test_the_estimate_is_near_the_measured_peak(
    sizes: Sizes, method: str, rows: int, checkpointing: bool
) -> None:
    step = step_of(sizes, method, rows, checkpointing)
    assert estimated(step, method, rows, checkpointing) == pytest.approx(peak_of(step), rel=WITHIN)


@pytest.mark.rebuild
def test_activations_are_right_on_average() -> None:
    """Of adapters, nearly all that grows with the rows is activations; sizes differ by a sixth."""
    ratios = []
    for sizes in SIZES:
        for checkpointing in (False, True):
            grown = []
            for rows in (2, 8):
                step = step_of(sizes, "lora", rows, checkpointing)
                grown.append((estimated(step, "lora", rows, checkpointing), peak_of(step)))
            (few_told, few), (many_told, many) = grown
            ratios.append((many_told - few_told) / (many - few))
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.1)


def estimated(step: Step, method: str, rows: int, checkpointing: bool) -> float:
    """The plan's peak for this step, in bytes."""
    shape = Shape.of(step.model.config.to_dict())
    trained = sum(weights.numel() for weights in step.trained)
    inputs = ("pixel_values_videos", "input_features")
    setting = Setting(
        trained=trained,
        held=count(shape).total - (trained if method == "full" else 0),
        weight_bytes=4,
        trained_bytes=4,
        zero=0,
        shards=1,
        rows=rows,
        tokens=step.batch["input_ids"].shape[1],
        input_bytes=sum(step.batch[name].nbytes for name in inputs) // rows,
        checkpointing=checkpointing,
    )
    return estimate(shape, setting).peak
