"""The processor of the miniature, put together from Qwen3-Omni's own parts.

Does: build a `Qwen3OmniMoeProcessor` that never resizes and never samples frames, because the
media reader has done both.  Does not: write files or encode inputs (see model.encode).
"""

from importlib.resources import files
from typing import Any

from mllm_affect.media.types import AUDIO_RATE, FRAME_MULTIPLE, Sampling
from mllm_affect.model.miniature.architecture import MERGE, PATCH, TEMPORAL_PATCH

SAMPLING = Sampling(fps=4.0, max_pixels=64 * 64)
"""How every clip is fed to the miniature."""

HALF = (0.5, 0.5, 0.5)
MEL_BINS = 128
LONGEST_AUDIO_S = 300


def chat_template() -> str:
    """Return the chat format, in Jinja."""
    return (files(__package__) / "chat_template.jinja").read_text(encoding="utf-8").strip()


def build_processor(tokenizer: Any) -> Any:
    """Return the processor around `tokenizer`."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3OmniMoeProcessor,
        WhisperFeatureExtractor,
    )

    pixels = {"shortest_edge": FRAME_MULTIPLE**2, "longest_edge": SAMPLING.max_pixels}
    visual: dict[str, Any] = {
        "patch_size": PATCH,
        "temporal_patch_size": TEMPORAL_PATCH,
        "merge_size": MERGE,
        "image_mean": list(HALF),
        "image_std": list(HALF),
        "do_resize": False,
        "size": pixels,
    }
    return Qwen3OmniMoeProcessor(
        image_processor=Qwen2VLImageProcessor(**visual),
        video_processor=Qwen2VLVideoProcessor(
            **visual, do_sample_frames=False, cap_pixels_per_frame=False, fps=SAMPLING.fps
        ),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=MEL_BINS,
            sampling_rate=AUDIO_RATE,
            chunk_length=LONGEST_AUDIO_S,
            return_attention_mask=True,
        ),
        tokenizer=tokenizer,
        chat_template=chat_template(),
    )
