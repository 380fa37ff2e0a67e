"""The reference encoding of a model input, by transformers' own Qwen3-Omni processor.

Does: token ids, pixel values and audio features exactly as training and serving must see them,
and the three-dimensional positions that follow from them.  Does not: load a checkpoint, resize
or resample anything (the media reader has done that), or run the model.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mllm_affect.errors import UserError
from mllm_affect.media.types import FRAME_MULTIPLE
from mllm_affect.tasks.model_input import ModelInput

HOP = 160
"""Samples a mel frame.  ms-swift cuts audio down to a multiple of it and vLLM pads up to one, so
only audio that already is a multiple (a whole 10 ms) is the same everywhere."""

SHORTEST_AUDIO = 100 * HOP
"""The audio tower pads its windows of 100 hops to the longest in the batch, and the padding leaks
into its convolutions: only sound of at least one window is heard alike in every batch."""


def encode(processor: Any, model_input: ModelInput) -> dict[str, Tensor]:
    """Return the model's tensors for one input, batch size 1.

    `processor`: a `Qwen3OmniMoeProcessor`.  Keys: input_ids and attention_mask (1, L) int64;
    pixel_values_videos (patches, values) float32; video_grid_thw (1, 3); video_second_per_grid
    (1,) seconds; with audio also input_features (1, mels, F) float32 and
    feature_attention_mask (1, F).  The prompt ends where the assistant's answer begins.

    Raises UserError `bad_question` when the text contains one of the model's control tokens, and
    ValueError when frames or audio are not what the media reader promises.
    """
    _check_text(processor.tokenizer, model_input.text)
    video = _video(model_input.frames_THWC)
    audio = None if model_input.audio_S is None else [waveform(model_input.audio_S)]
    encoded = processor(
        text=[prompt(processor, model_input)],
        audio=audio,
        videos=[video],
        return_tensors="pt",
        videos_kwargs={"fps": model_input.fps, "do_resize": False, "do_sample_frames": False},
        audio_kwargs={"truncation": False},
    )
    tensors = {name: torch.as_tensor(value) for name, value in encoded.items()}
    _check_audio_tokens(processor, model_input, tensors)
    return tensors


def prompt(processor: Any, model_input: ModelInput) -> str:
    """Return the chat text before placeholders are widened: audio, video, then the question."""
    parts: list[dict[str, str]] = []
    if model_input.audio_S is not None:
        parts.append({"type": "audio"})
    parts.append({"type": "video"})
    parts.append({"type": "text", "text": model_input.text})
    text: str = processor.apply_chat_template(
        [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
    )
    return text


def waveform(audio_S: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return float32 samples in [-1, 1): exactly what a PCM16 WAV file decodes to."""
    if audio_S.dtype != np.int16:
        raise ValueError(f"audio must be int16, not {audio_S.dtype}")
    if audio_S.size < SHORTEST_AUDIO or audio_S.size % HOP:
        raise ValueError(
            f"audio must be a multiple of {HOP} samples, at least {SHORTEST_AUDIO}, "
            f"got {audio_S.size}"
        )
    return audio_S.astype(np.float32) / np.float32(32768.0)


def positions(model: Any, encoded: dict[str, Tensor]) -> Tensor:
    """Return the multimodal rotary positions (3, 1, L): temporal, height, width.

    `model` is the full Qwen3-Omni model; the computation is its own.
    """
    mask = encoded.get("feature_attention_mask")
    position_ids, _ = model.thinker.get_rope_index(
        encoded["input_ids"],
        image_grid_thw=None,
        video_grid_thw=encoded["video_grid_thw"],
        attention_mask=encoded["attention_mask"],
        use_audio_in_video=False,
        audio_seqlens=None if mask is None else mask.sum(-1),
        second_per_grids=encoded["video_second_per_grid"],
    )
    return torch.as_tensor(position_ids)


def audio_tokens(mel_frames: int) -> int:
    """Return how many tokens the audio tower makes of so many 10 ms frames.

    Three convolutions of stride two inside each window of 100 frames: 13 tokens a whole window.
    """
    windows, rest = divmod(mel_frames, 100)
    for _ in range(3):
        rest = (rest + 1) // 2
    return 13 * windows + rest


def _video(frames_THWC: NDArray[np.uint8]) -> Tensor:
    count, height, width, channels = frames_THWC.shape
    if frames_THWC.dtype != np.uint8 or channels != 3:
        raise ValueError(f"frames must be uint8 RGB, got {frames_THWC.dtype} {frames_THWC.shape}")
    if count < 2 or count % 2 or height % FRAME_MULTIPLE or width % FRAME_MULTIPLE:
        raise ValueError(
            f"frames must be an even count with sides that are multiples of {FRAME_MULTIPLE}, "
            f"got {frames_THWC.shape}"
        )
    return torch.from_numpy(np.ascontiguousarray(frames_THWC)).permute(0, 3, 1, 2)


def _check_text(tokenizer: Any, text: str) -> None:
    for token in {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}:
        if token in text:
            raise UserError(
                "bad_question",
                f"The question contains {token!r}, which steers the model; leave it out.",
            )


def _check_audio_tokens(
    processor: Any, model_input: ModelInput, tensors: dict[str, Tensor]
) -> None:
    token = processor.tokenizer.convert_tokens_to_ids(processor.audio_token)
    found = int((tensors["input_ids"] == token).sum())
    length = 0 if model_input.audio_S is None else model_input.audio_S.size
    expected = audio_tokens(length // HOP)
    if found != expected:
        raise ValueError(f"{length} audio samples must give {expected} tokens, got {found}")
