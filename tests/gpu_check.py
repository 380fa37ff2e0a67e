"""What only a GPU can tell about the true size, in five minutes, without weights or network.

    python -m tests.gpu_check --out docs/benchmarks/DATE-gpu.md

Does: build the thinker of Qwen3-Omni-30B-A3B with random bfloat16 weights (59 GiB), ask it eight
clips, run its vision tower at what vLLM measures memory with, train an adapter beside the plan's
estimate, fold the adapter in and compare, and train the evidence projector in both precisions.
Writes a page of tables.  Does not: say anything about answers: the weights are random.

`--small` rehearses every step at a small width on a CPU.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finetune.agreement import usual_tolerance
from finetune.planning.counts import AUDIO, TEXT, VISION, Shape, count
from finetune.planning.memory import Setting, estimate
from mllm_affect.engine.largest_question import largest_question
from mllm_affect.files import write_text
from mllm_affect.model.evidence.config import EvidenceConfig
from mllm_affect.model.evidence.projector import EvidenceProjector
from mllm_affect.model.profile import ModelProfile

GIB = 1 << 30
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
RANK, LEARNING_RATE = 8, 1e-3
PROJECTOR_RATE, PROJECTOR_STEPS = 1e-5, 20
PATCH_VALUES, PATCHES_A_TOKEN = 1536, 4
GRID = (5, 16, 28)
"""Pairs of frames, rows and columns of patches of one clip of five seconds."""
VIDEO_TOKENS = GRID[0] * GRID[1] * GRID[2] // PATCHES_A_TOKEN
AUDIO_HOPS, AUDIO_TOKENS, WORDS = 500, 65, 41
UNBOUNDED = ((8192, 1), (32768, 2), (65536, 5))
"""Prompt lengths, and the pairs of frames of 3584 x 3584 that vLLM then measures memory with."""
IDS = {
    "audio_token_id": 151675, "image_token_id": 151655, "video_token_id": 151656,
    "audio_start_token_id": 151669, "vision_start_token_id": 151652, "vision_end_token_id": 151653,
}  # fmt: skip
SMALL_TEXT = {
    "num_hidden_layers": 2, "num_experts": 8, "hidden_size": 256, "num_attention_heads": 4,
    "moe_intermediate_size": 64,
}  # fmt: skip
SMALL_VISION = {
    "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 256,
    "deepstack_visual_indexes": [0],
}  # fmt: skip
SMALL_AUDIO = {
    "encoder_layers": 2, "d_model": 64, "encoder_ffn_dim": 128, "encoder_attention_heads": 4,
    "output_dim": 256,
}  # fmt: skip


@dataclass
class Check:
    """The model under test and the tables found so far; `device` cpu is the rehearsal."""

    device: str
    config: dict[str, Any]
    model: Any = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def tell(self, table: str, **facts: Any) -> None:
        """Add a row to a table and print it."""
        self.tables.setdefault(table, []).append(facts)
        sys.stdout.write(f"{table}: {json.dumps(facts)}\n")
        sys.stdout.flush()

    @contextmanager
    def measured(self) -> Iterator[dict[str, float]]:
        """Yield a mapping that holds seconds and peak GiB (0 on a CPU) behind the block."""
        found: dict[str, float] = {}
        if self.device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        begun_s = time.perf_counter()
        yield found
        if self.device == "cuda":
            torch.cuda.synchronize()
        found["seconds"] = time.perf_counter() - begun_s
        found["peak_gib"] = self._gib("max_memory_allocated")

    def _gib(self, name: str) -> float:
        return getattr(torch.cuda, name)() / GIB if self.device == "cuda" else 0.0


def model_config(small: bool) -> dict[str, Any]:
    """Return config.json of the thinker at its true size, or the rehearsal's."""
    text, vision, audio = dict(TEXT), dict(VISION), dict(AUDIO)
    if small:
        text, vision, audio = text | SMALL_TEXT, vision | SMALL_VISION, audio | SMALL_AUDIO
    rope = {
        "rope_type": "default", "rope_theta": 1e6, "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    }  # fmt: skip
    thinker = {
        "text_config": text | {"rope_parameters": rope, "norm_topk_prob": True},
        "vision_config": vision,
        "audio_config": audio | {"n_window": 50, "n_window_infer": 800},
        "position_id_per_seconds": 13,
    } | IDS
    return {"thinker_config": thinker, "enable_audio_output": False}


def build(check: Check) -> None:
    """Build the thinker with random weights whose logits have a spread of about three."""
    from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeThinkerForConditionalGeneration

    config = Qwen3OmniMoeConfig(**check.config).thinker_config
    with check.measured() as cost:
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device(check.device):
                model = Qwen3OmniMoeThinkerForConditionalGeneration._from_config(
                    config, dtype=torch.bfloat16
                )
        finally:
            torch.set_default_dtype(torch.float32)
        torch.manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 0.02)
                else:
                    weight.fill_(float(name.endswith("weight")))
            model.lm_head.weight.mul_(3 / (0.02 * config.text_config.hidden_size**0.5))
    check.model = model
    held = sum(weight.numel() for weight in model.parameters())
    counted = count(Shape.of(check.config)).total
    check.tell("Weights", parameters=held, counted_by_the_plan=counted, **cost)


def rows(check: Check, number: int, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Return so many rows about five seconds of noise, and their labels."""
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(0, 150_000, (number, WORDS), generator=random)

    def run(token: int, length: int) -> Tensor:
        return torch.full((number, length), token)

    ids_BL = torch.cat(
        [
            words[:, :5],
            run(IDS["audio_start_token_id"], 1), run(IDS["audio_token_id"], AUDIO_TOKENS),
            run(151670, 1), run(IDS["vision_start_token_id"], 1),
            run(IDS["video_token_id"], VIDEO_TOKENS), run(IDS["vision_end_token_id"], 1),
            words[:, 5:],
        ],
        dim=1,
    )  # fmt: skip
    patches = number * VIDEO_TOKENS * PATCHES_A_TOKEN
    batch = {
        "input_ids": ids_BL,
        "attention_mask": torch.ones_like(ids_BL),
        "pixel_values_videos": torch.randn(patches, PATCH_VALUES, generator=random),
        "video_grid_thw": torch.tensor([GRID] * number),
        "video_second_per_grid": torch.ones(number),
        "input_features": torch.randn(number, 128, AUDIO_HOPS, generator=random),
        "feature_attention_mask": torch.ones(number, AUDIO_HOPS, dtype=torch.long),
    }
    labels_BL = torch.full_like(ids_BL, -100)
    labels_BL[:, -2:] = ids_BL[:, -2:]
    here = {name: value.to(check.device) for name, value in batch.items()}
    return here, labels_BL.to(check.device)


def ask(check: Check) -> None:
    """Ask eight clips together, as the engine does: once to warm up, once measured."""
    batch, _ = rows(check, 8)
    for _ in range(2):
        with check.measured() as cost, torch.inference_mode():
            check.model(**batch, use_cache=False).logits[:, -1].float().cpu()
    check.tell("Eight clips asked together", **cost)


def vision_tower(check: Check) -> None:
    """Run the tower over what vLLM measures memory with: unbounded, and as `serve` bounds it."""
    largest = largest_question(ModelProfile())
    cells, small = largest.side // 16, check.device == "cpu"
    sizes = [(f"unbounded, {length}", pairs, 16 if small else 224) for length, pairs in UNBOUNDED]
    sizes.append((f"as served, {largest.model_length}", -(-largest.frames // 2), cells))
    for name, pairs, side in sizes:
        before = check._gib("memory_allocated")
        pixels = torch.zeros(
            pairs * side * side, PATCH_VALUES, dtype=torch.bfloat16, device=check.device
        )
        grid = torch.tensor([[pairs, side, side]], device=check.device)
        with check.measured() as cost, torch.inference_mode():
            check.model.visual(pixels, grid_thw=grid)
        extra = max(cost["peak_gib"] - before, 0.0)
        check.tell("Vision tower", prompt_length=name, patches=len(pixels), extra_gib=extra)


def adapter(check: Check) -> Any:
    """Train LoRA steps beside the plan's estimate; return the adapted model."""
    from peft import LoraConfig, get_peft_model

    layers = check.config["thinker_config"]["text_config"]["num_hidden_layers"]
    attention = [f"model.layers.{layer}.self_attn" for layer in range(layers)]
    names = [f"{module}.{target}" for module in attention for target in TARGETS]
    lora = LoraConfig(r=RANK, lora_alpha=32, lora_dropout=0.0, target_modules=names)
    adapted = get_peft_model(check.model, lora)
    check.model.gradient_checkpointing_enable({"use_reentrant": False})
    check.model.enable_input_require_grads()
    adapted.train()
    trained = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE)
    shape, number = Shape.of(check.config), sum(weight.numel() for weight in trained)
    for together in (1, 4):
        batch, labels = rows(check, together)
        size = sum(batch[name].nbytes for name in ("pixel_values_videos", "input_features"))
        for _ in range(3):
            with check.measured() as cost:
                with torch.autocast(check.device, torch.bfloat16):
                    loss = adapted(**batch, labels=labels).loss
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        setting = Setting(
            trained=number, held=count(shape).total, weight_bytes=2, trained_bytes=4, zero=0,
            shards=1, rows=together, tokens=batch["input_ids"].shape[1],
            input_bytes=size // together, checkpointing=True,
        )  # fmt: skip
        planned = estimate(shape, setting).peak / GIB
        check.tell("LoRA steps", rows=together, **cost, planned_gib=planned, loss=loss.item())
    return adapted


def merge(check: Check, adapted: Any) -> None:
    """Fold the adapter in, and compare logits as the check at the end of a training does."""
    check.model.gradient_checkpointing_disable()
    adapted.eval()
    batches = [rows(check, 1, seed)[0] for seed in range(8)]

    def logits() -> Tensor:
        with torch.inference_mode():
            found = [adapted(**batch, use_cache=False).logits[0, -1] for batch in batches]
        return torch.stack(found).float().cpu()

    beside_PV, again_PV = logits(), logits()
    adapted.merge_adapter()
    differences_PV = (logits() - beside_PV).abs()
    layers = check.config["thinker_config"]["text_config"]["num_hidden_layers"]
    check.tell(
        "Merged against adapter",
        same_twice=float((beside_PV - again_PV).abs().max()),
        largest=float(differences_PV.max()),
        tolerance=usual_tolerance("bfloat16", layers, len(batches)),
        spread_of_logits=float(beside_PV.std()),
    )


def projector(check: Check) -> None:
    """Train the evidence projector in either precision and count the weights that moved."""
    hidden = check.config["thinker_config"]["text_config"]["hidden_size"]
    for dtype in (torch.bfloat16, torch.float32):
        torch.manual_seed(0)
        made = EvidenceProjector(EvidenceConfig.beside(hidden)).to(check.device, dtype)
        before = [weight.detach().clone() for weight in made.parameters()]
        optimizer = torch.optim.AdamW(made.parameters(), lr=PROJECTOR_RATE)
        pixels = torch.randn(GRID[0] * GRID[1] * GRID[2], PATCH_VALUES, device=check.device)
        grid = torch.tensor([GRID], device=check.device)
        with check.measured() as cost:
            for _ in range(PROJECTOR_STEPS):
                found = made(pixels, grid)
                loss = found.tokens_B2D.float().square().mean()
                (loss + found.units_BA.float().square().mean()).backward()
                optimizer.step()
                optimizer.zero_grad()
        pairs = zip(before, made.parameters(), strict=True)
        moved = sum(int((old != new).sum()) for old, new in pairs)
        share = moved / sum(weight.numel() for weight in before)
        check.tell("Evidence projector", dtype=str(dtype), share_moved=share, **cost)


STEPS: tuple[Callable[[Check], None], ...] = (
    build,
    ask,
    vision_tower,
    lambda check: merge(check, adapter(check)),
    projector,
)


def page(check: Check) -> str:
    """Return the tables in Markdown."""
    where = torch.cuda.get_device_name() if check.device == "cuda" else "a CPU (rehearsal)"
    lines = [
        f"# Qwen3-Omni-30B-A3B's shape on {where}", "",
        f"Random weights, torch {torch.__version__}: memory and time only, nothing about answers.",
        "By `python -m tests.gpu_check`.", "",
    ]  # fmt: skip
    for title, table in check.tables.items():
        names = list(table[0])
        lines += [f"## {title}", "", "| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
        lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in table]
        lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("_", " ")


def main() -> None:
    """Run all steps; a page is written only when all have run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="rehearse on a CPU")
    parser.add_argument("--out", type=Path, help="Markdown page to write")
    chosen = parser.parse_args()
    if not chosen.small and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; --small rehearses on a CPU")
    check = Check("cpu" if chosen.small else "cuda", model_config(chosen.small))
    for step in STEPS:
        step(check)
    if chosen.out is not None:
        write_text(chosen.out, page(check))


if __name__ == "__main__":
    main()
