"""What the projector costs beside the model that it joins, from the configuration alone.

Does: count parameters of the real modules on the meta device, and floating-point operations of one
answer.  Does not: load weights or measure time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mllm_affect.model.evidence.config import EvidenceConfig

PATCH, PAIR, MERGE = 16, 2, 2

LARGE: Mapping[str, Any] = {
    "thinker_config": {
        "text_config": {
            "vocab_size": 152_064, "hidden_size": 2048, "num_hidden_layers": 48,
            "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
            "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
            "intermediate_size": 768, "decoder_sparse_step": 1, "mlp_only_layers": [],
        },
        "vision_config": {
            "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16,
            "out_hidden_size": 2048, "patch_size": 16, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        "audio_config": {
            "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
            "encoder_ffn_dim": 5120, "output_dim": 2048, "downsample_hidden_size": 480,
        },
    },
    "enable_audio_output": False,
}  # fmt: skip
"""Sizes of Qwen3-Omni-30B-A3B's thinker, as its published configuration gives them."""


@dataclass(frozen=True)
class Work:
    """One answer: frames of `width` x `height` pixels, and tokens besides those of the video."""

    frames: int = 10
    width: int = 448
    height: int = 256
    other_tokens: int = 120


@dataclass(frozen=True)
class Cost:
    """Parameters and floating-point operations of an answer, of the base and of the projector."""

    base_parameters: int
    projector_parameters: int
    base_operations: int
    projector_operations: int

    @property
    def parameter_share(self) -> float:
        """The projector's parameters as a share of the base's."""
        return self.projector_parameters / self.base_parameters

    @property
    def operation_share(self) -> float:
        """The projector's operations as a share of the base's."""
        return self.projector_operations / self.base_operations


def cost(base: Mapping[str, Any], evidence: EvidenceConfig, work: Work) -> Cost:
    """Return the cost for a base's configuration (the content of its config.json).

    Operations of the base are two for each active weight and token (a router's share of the
    experts), attention left out: too few, so that the projector's share is rather overstated.
    """
    import torch
    from transformers import (
        Qwen3OmniMoeConfig,
        Qwen3OmniMoeThinkerForConditionalGeneration,
    )

    from mllm_affect.model.evidence.projector import EvidenceProjector

    thinker = Qwen3OmniMoeConfig(**base).thinker_config
    with torch.device("meta"):
        model = Qwen3OmniMoeThinkerForConditionalGeneration._from_config(thinker)
        projector = EvidenceProjector(evidence)
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    return Cost(
        base_parameters=sum(sizes.values()),
        projector_parameters=sum(weight.numel() for weight in projector.parameters()),
        base_operations=_base_operations(sizes, thinker, work),
        projector_operations=_projector_operations(evidence, work),
    )


def _base_operations(sizes: Mapping[str, int], thinker: Any, work: Work) -> int:
    text = thinker.text_config
    routed = text.num_experts_per_tok / text.num_experts
    patches = work.frames // PAIR * (work.height // PATCH) * (work.width // PATCH)
    tokens = patches // MERGE**2 + work.other_tokens
    total = 0.0
    for name, size in sizes.items():
        if name.startswith("audio_tower.") or "embed_tokens" in name or "pos_embed" in name:
            continue
        if name.startswith("visual."):
            rows = patches // MERGE**2 if "merger" in name else patches
            total += 2.0 * size * rows
        elif name.startswith("lm_head."):
            total += 2.0 * size
        else:
            total += 2.0 * size * tokens * (routed if ".experts." in name else 1.0)
    return round(total)


def _projector_operations(evidence: EvidenceConfig, work: Work) -> int:
    """Count what PyTorch itself counts when the projector sees one clip."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from mllm_affect.model.evidence.projector import EvidenceProjector

    grid = torch.tensor([[work.frames // PAIR, work.height // PATCH, work.width // PATCH]])
    patches = torch.zeros(int(grid.prod()), 3 * PAIR * PATCH**2)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        EvidenceProjector(evidence)(patches, grid)
    return int(counter.get_total_flops())


def read_sizes(base: str) -> tuple[Mapping[str, Any], int]:
    """Return a base's configuration and its text width: `30b-a3b`, `miniature` or a folder.

    Raises UserError `bad_checkpoint`.
    """
    import json
    from pathlib import Path

    from mllm_affect.errors import UserError
    from mllm_affect.model.miniature import embedded_checkpoint

    if base == "30b-a3b":
        return LARGE, int(LARGE["thinker_config"]["text_config"]["hidden_size"])
    folder = embedded_checkpoint() if base == "miniature" else Path(base)
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config, int(config["thinker_config"]["text_config"]["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "bad_checkpoint", f"{folder} holds no config.json of a Qwen3-Omni."
        ) from error
