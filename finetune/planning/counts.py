"""How many parameters each part of a Qwen3-Omni has, from its config.json alone.

Does: count language model, experts, vision tower, audio tower, their projectors and LoRA factors.
Does not: import torch, load weights, or count speech output, which is not trained.

Tests hold the counts to transformers' own model built on the meta device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]

TEXT = {
    "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8,
    "moe_intermediate_size": 768, "vocab_size": 152_064,
}  # fmt: skip
VISION = {
    "hidden_size": 1152, "depth": 27, "intermediate_size": 4304, "in_channels": 3,
    "temporal_patch_size": 2, "patch_size": 16, "spatial_merge_size": 2, "out_hidden_size": 2048,
    "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
AUDIO = {
    "num_mel_bins": 128, "d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120,
    "downsample_hidden_size": 480, "output_dim": 2048,
}  # fmt: skip
"""Qwen3-Omni-30B-A3B; what a config.json states takes their place."""


@dataclass(frozen=True)
class Parts:
    """Numbers of parameters.  `language` is all of the language model but its experts."""

    language: int
    experts: int
    vision: int
    audio: int
    projectors: int

    @property
    def total(self) -> int:
        """All of them: the thinker."""
        return self.language + self.experts + self.vision + self.audio + self.projectors


@dataclass(frozen=True)
class Shape:
    """The sizes that counts and activations follow from, in the letters of the formulae."""

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    audio: Mapping[str, Any]

    @staticmethod
    def of(config: Config) -> "Shape":
        """Read the sizes of a config.json."""
        thinker = config["thinker_config"]
        return Shape(
            TEXT | dict(thinker.get("text_config") or {}),
            VISION | dict(thinker.get("vision_config") or {}),
            AUDIO | dict(thinker.get("audio_config") or {}),
        )


def count(shape: Shape) -> Parts:
    """Return the number of parameters of each part."""
    return Parts(
        _language(shape.text),
        _experts(shape.text),
        _vision(shape.vision),
        _audio(shape.audio),
        _projectors(shape.vision, shape.audio),
    )


def count_lora(shape: Shape, rank: int, targets: Sequence[str]) -> int:
    """Return the number of LoRA parameters: r (in + out) for each adapted matrix."""
    text = shape.text
    hidden, head = text["hidden_size"], text["head_dim"]
    queries, keys = text["num_attention_heads"] * head, text["num_key_value_heads"] * head
    sides = {
        "q_proj": hidden + queries,
        "k_proj": hidden + keys,
        "v_proj": hidden + keys,
        "o_proj": queries + hidden,
    }
    return int(text["num_hidden_layers"] * rank * sum(sides[target] for target in targets))


def largest_layer(shape: Shape) -> int:
    """Return the number of parameters of one layer of the language model, its experts included."""
    text = shape.text
    layers = text["num_hidden_layers"]
    words = 2 * text["vocab_size"] * text["hidden_size"] + text["hidden_size"]
    return int((_language(text) - words + _experts(text)) // layers)


def _language(text: Config) -> int:
    """2 V H (words in and out) + L (attention + router + norms) + H."""
    hidden, head = text["hidden_size"], text["head_dim"]
    queries, keys = text["num_attention_heads"] * head, text["num_key_value_heads"] * head
    attention = hidden * (2 * queries + 2 * keys) + 2 * head
    router = text["num_experts"] * hidden
    layer = attention + router + 2 * hidden
    return int(2 * text["vocab_size"] * hidden + text["num_hidden_layers"] * layer + hidden)


def _experts(text: Config) -> int:
    """L E 3 H I: gate, up and down."""
    one = 3 * text["hidden_size"] * text["moe_intermediate_size"]
    return int(text["num_hidden_layers"] * text["num_experts"] * one)


def _vision(vision: Config) -> int:
    """Patches and positions, then blocks of two norms, attention and a two-layer perceptron."""
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    values = vision["in_channels"] * vision["temporal_patch_size"] * vision["patch_size"] ** 2
    patches = hidden * values + hidden
    attention = 4 * hidden * hidden + 4 * hidden
    block = 4 * hidden + attention + 2 * hidden * inner + inner + hidden
    return int(patches + vision["num_position_embeddings"] * hidden + vision["depth"] * block)


def _audio(audio: Config) -> int:
    """Three convolutions, a projection of their 8-fold smaller spectrum, then encoder layers."""
    channels, width = audio["downsample_hidden_size"], audio["d_model"]
    bins = audio["num_mel_bins"]
    for _ in range(3):
        bins = (bins + 1) // 2
    convolutions = 9 * channels + channels + 2 * (9 * channels * channels + channels)
    inner = audio["encoder_ffn_dim"]
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    return int(convolutions + channels * bins * width + audio["encoder_layers"] * layer + 2 * width)


def _projectors(vision: Config, audio: Config) -> int:
    """The vision merger and one for each deep-stack layer; the two last layers of the audio."""
    merged = vision["hidden_size"] * vision["spatial_merge_size"] ** 2
    out = vision["out_hidden_size"]
    perceptron = merged * merged + merged + merged * out + out
    deep = len(vision["deepstack_visual_indexes"])
    mergers = perceptron + 2 * vision["hidden_size"] + deep * (perceptron + 2 * merged)
    width = audio["d_model"]
    return int(mergers + width * width + width + width * audio["output_dim"] + audio["output_dim"])
