"""The reference encoding: what it promises, what it refuses, and that training packs the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mllm_affect.data.made.clips import make_model_clip, plan_clips
from mllm_affect.errors import UserError
from mllm_affect.media.types import Segment
from mllm_affect.model.encode import audio_tokens, encode, positions, waveform
from mllm_affect.model.miniature.batches import Packer
from mllm_affect.model.miniature.checkpoint import untrained_model
from mllm_affect.model.miniature.clip_set import LearningClip, mel, patches
from mllm_affect.model.miniature.processor import build_processor
from mllm_affect.model.miniature.questions import questions
from mllm_affect.model.miniature.tokenizer import build_tokenizer
from mllm_affect.model.miniature.train import forward
from mllm_affect.tasks.model_input import ModelInput

TOKENIZER = build_tokenizer()
PROCESSOR = build_processor(TOKENIZER)
SEGMENT = Segment("0" * 64, 0, 0.0, 2.0, 0, 24, has_audio=True)


def ask(
    text: str = "Is it so?", samples: int | None = 32_000, frames: int = 8, side: int = 64
) -> ModelInput:
    random = np.random.default_rng(1)
    return ModelInput(
        segment=SEGMENT,
        task_id="ah",
        prompt_hash="0",
        text=text,
        fps=4.0,
        frames_THWC=random.integers(0, 256, (frames, side, side, 3), dtype=np.uint8),
        audio_S=None if samples is None else random.integers(-9, 9, samples).astype(np.int16),
    )


@pytest.fixture(scope="module")
def model() -> Any:
    return untrained_model(TOKENIZER, seed=1)


@pytest.mark.parametrize("seconds", [1.0, 1.01, 4.99, 5.0, 31.0])
def test_audio_tokens_follow_the_length(seconds: float) -> None:
    samples = round(seconds * 100) * 160
    encoded = encode(PROCESSOR, ask(samples=samples))
    token = TOKENIZER.convert_tokens_to_ids("<|audio_pad|>")
    assert int((encoded["input_ids"] == token).sum()) == audio_tokens(samples // 160)
    assert encoded["input_features"].shape[-1] == samples // 160


def test_order_is_audio_video_text_then_the_answer() -> None:
    text = TOKENIZER.decode(encode(PROCESSOR, ask())["input_ids"][0])
    places = [text.index(part) for part in ("<|audio_pad|>", "<|video_pad|>", "Is it so?")]
    assert places == sorted(places)
    assert text.endswith("Is it so?<|im_end|>\n<|im_start|>assistant\n")


def test_pixels_are_neither_scaled_nor_resampled() -> None:
    encoded = encode(PROCESSOR, ask(frames=4, side=96))
    assert encoded["video_grid_thw"].tolist() == [[2, 6, 6]]
    expected = patches(ask(frames=4, side=96).frames_THWC) / 127.5 - 1.0
    assert np.allclose(encoded["pixel_values_videos"].numpy(), expected, atol=1e-6)
    assert encoded["video_second_per_grid"].tolist() == [0.5]


def test_without_sound_there_is_no_audio_part(model: Any) -> None:
    encoded = encode(PROCESSOR, ask(samples=None))
    assert "input_features" not in encoded
    assert "<|audio_start|>" not in TOKENIZER.decode(encoded["input_ids"][0])
    assert positions(model, encoded).shape == (3, 1, encoded["input_ids"].shape[1])
    with torch.inference_mode():
        assert model.thinker(**encoded).logits.isfinite().all()


def test_samples_become_what_a_wav_file_decodes_to() -> None:
    audio_S = np.array([-32768, 0, 32767] + [0] * 15_997, dtype=np.int16)
    assert waveform(audio_S)[:3].tolist() == [-1.0, 0.0, 32767 / 32768]
    assert waveform(audio_S).dtype == np.float32


@pytest.mark.parametrize("samples", [0, 320, 15_840, 16_001])
def test_sound_that_other_engines_would_pad_or_trim_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="multiple of 160"):
        encode(PROCESSOR, ask(samples=samples))


def test_frames_that_an_engine_would_change_are_refused() -> None:
    for frames, side in ((3, 64), (0, 64), (4, 60)):
        with pytest.raises(ValueError, match="frames must be"):
            encode(PROCESSOR, ask(frames=frames, side=side))
    with pytest.raises(ValueError, match="uint8"):
        encode(PROCESSOR, replace(ask(), frames_THWC=ask().frames_THWC.astype(np.float32)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="int16"):
        waveform(np.zeros(320, dtype=np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["<|audio_pad|>", "<|im_end|>", "<|video_pad|>"])
def test_control_tokens_in_a_question_are_refused(token: str) -> None:
    with pytest.raises(UserError) as caught:
        encode(PROCESSOR, ask(text=f"Is it {token} so?"))
    assert caught.value.code == "bad_question"


def test_training_packs_exactly_what_serving_sends(model: Any) -> None:
    """Ids, positions and the logits of every packed question equal the reference encoding's."""
    asked = questions()[:4]
    learning, inputs = [], []
    for spec in plan_clips(4, "train", 2)[:3]:
        frames_THWC, audio_S, _ = make_model_clip(spec, 4.0, 64)
        learning.append(
            LearningClip(
                spec,
                torch.from_numpy(patches(frames_THWC)),
                mel(PROCESSOR.feature_extractor, audio_S),
                torch.zeros(len(frames_THWC) // 2, 9),
            )
        )
        inputs.append(replace(ask(), frames_THWC=frames_THWC, audio_S=audio_S))
    batch = Packer(TOKENIZER).pack(learning, [asked] * len(learning))
    with torch.inference_mode():
        packed = forward(model.thinker, batch)[0]
    answer_rows = iter(packed.split(2 * len(asked)))
    for row, model_input in enumerate(inputs):
        logits = next(answer_rows)
        for number, question in enumerate(asked):
            encoded = encode(PROCESSOR, replace(model_input, text=question.text))
            with torch.inference_mode():
                alone = model.thinker(**encoded).logits[0, -1]
            assert torch.allclose(logits[2 * number], alone, atol=2e-5)
        first = encode(PROCESSOR, replace(model_input, text=asked[0].text))
        length = first["input_ids"].shape[1]
        assert batch.ids_BL[row, :length].tolist() == first["input_ids"][0].tolist()
        assert torch.equal(
            batch.positions_3BL[:, row, :length].float(), positions(model, first)[:, 0].float()
        )
