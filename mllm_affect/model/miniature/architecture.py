"""Sizes of the miniature, as a genuine Qwen3-Omni configuration.

Does: build a `Qwen3OmniMoeConfig` (thinker only, no speech output) whose special-token ids agree
with a tokenizer.  Does not: make weights or read files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mllm_affect.media.types import FRAME_MULTIPLE

POSITIONS_PER_SECOND = 12
"""Temporal positions a second of video.  Qwen3-Omni has 13; at 4 frames a second that makes 6.5 a
frame pair, and transformers keeps the half, vLLM cuts it off per frame and ms-swift over the whole
sequence.  Twelve makes 6, on which all three agree."""

PATCH = 16
MERGE = 2
TEMPORAL_PATCH = 2
assert PATCH * MERGE == FRAME_MULTIPLE


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of the three towers; the defaults give about one million weights."""

    text_hidden: int = 64
    text_layers: int = 2
    text_heads: int = 4
    text_key_value_heads: int = 2
    head_dim: int = 32
    mrope_section: tuple[int, int, int] = (6, 5, 5)
    experts: int = 4
    experts_per_token: int = 2
    expert_hidden: int = 64
    audio_hidden: int = 64
    audio_layers: int = 2
    audio_heads: int = 4
    audio_feed_forward: int = 128
    audio_channels: int = 8
    vision_hidden: int = 96
    vision_layers: int = 2
    vision_heads: int = 3
    vision_feed_forward: int = 192
    deepstack_layers: tuple[int, ...] = (0,)
    frame_side: int = 64
    max_positions: int = 8192
    initializer_range: float = 0.06


def configuration(token_ids: Mapping[str, int], vocabulary: int, sizes: Sizes | None = None) -> Any:
    """Return the `Qwen3OmniMoeConfig` of the miniature.

    `token_ids` maps Qwen's special tokens (and `user`, `assistant`, `system`) to ids below
    `vocabulary`.  `image_size` and `apply_vit_abs_pos_embed` are read by vLLM only.
    """
    from transformers import Qwen3OmniMoeConfig

    sizes = sizes or Sizes()
    end, pad = token_ids["<|im_end|>"], token_ids["<|endoftext|>"]
    thinker = {
        "text_config": _text(sizes, vocabulary, pad=pad, end=end),
        "audio_config": _audio(sizes),
        "vision_config": _vision(sizes),
        "position_id_per_seconds": POSITIONS_PER_SECOND,
        "initializer_range": sizes.initializer_range,
        "audio_token_id": token_ids["<|audio_pad|>"],
        "audio_start_token_id": token_ids["<|audio_start|>"],
        "audio_end_token_id": token_ids["<|audio_end|>"],
        "image_token_id": token_ids["<|image_pad|>"],
        "video_token_id": token_ids["<|video_pad|>"],
        "vision_start_token_id": token_ids["<|vision_start|>"],
        "vision_end_token_id": token_ids["<|vision_end|>"],
        "user_token_id": token_ids["user"],
        "pad_token_id": pad,
        "eos_token_id": end,
        "dtype": "float32",
    }
    return Qwen3OmniMoeConfig(
        thinker_config=thinker,
        enable_audio_output=False,
        im_start_token_id=token_ids["<|im_start|>"],
        im_end_token_id=end,
        system_token_id=token_ids["system"],
        user_token_id=token_ids["user"],
        assistant_token_id=token_ids["assistant"],
        tts_pad_token_id=token_ids["<tts_pad>"],
        tts_bos_token_id=token_ids["<tts_text_bos>"],
        tts_eos_token_id=token_ids["<tts_text_eod>"],
        pad_token_id=pad,
        eos_token_id=end,
        initializer_range=sizes.initializer_range,
        architectures=["Qwen3OmniMoeForConditionalGeneration"],
        dtype="float32",
    )


def _text(sizes: Sizes, vocabulary: int, pad: int, end: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": sizes.text_hidden,
        "intermediate_size": 2 * sizes.text_hidden,
        "num_hidden_layers": sizes.text_layers,
        "num_attention_heads": sizes.text_heads,
        "num_key_value_heads": sizes.text_key_value_heads,
        "head_dim": sizes.head_dim,
        "num_experts": sizes.experts,
        "num_experts_per_tok": sizes.experts_per_token,
        "moe_intermediate_size": sizes.expert_hidden,
        "norm_topk_prob": True,
        "max_position_embeddings": sizes.max_positions,
        "initializer_range": sizes.initializer_range,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": list(sizes.mrope_section),
            "mrope_interleaved": True,
        },
        "pad_token_id": pad,
        "bos_token_id": None,
        "eos_token_id": end,
        "tie_word_embeddings": False,
        "dtype": "float32",
    }


def _audio(sizes: Sizes) -> dict[str, Any]:
    return {
        "num_mel_bins": 128,
        "d_model": sizes.audio_hidden,
        "encoder_layers": sizes.audio_layers,
        "encoder_attention_heads": sizes.audio_heads,
        "encoder_ffn_dim": sizes.audio_feed_forward,
        "downsample_hidden_size": sizes.audio_channels,
        "output_dim": sizes.text_hidden,
        "n_window": 50,
        "n_window_infer": 800,
        "initializer_range": sizes.initializer_range,
        "dtype": "float32",
    }


def _vision(sizes: Sizes) -> dict[str, Any]:
    grid_side = sizes.frame_side // PATCH
    return {
        "hidden_size": sizes.vision_hidden,
        "depth": sizes.vision_layers,
        "num_heads": sizes.vision_heads,
        "intermediate_size": sizes.vision_feed_forward,
        "out_hidden_size": sizes.text_hidden,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": TEMPORAL_PATCH,
        "num_position_embeddings": grid_side**2,
        "image_size": sizes.frame_side,
        "apply_vit_abs_pos_embed": True,
        "deepstack_visual_indexes": list(sizes.deepstack_layers),
        "initializer_range": sizes.initializer_range,
        "dtype": "float32",
    }
