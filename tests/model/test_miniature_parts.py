"""The parts of the miniature: tokenizer, chat format, configuration, processor, checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_affect.model.miniature.checkpoint import load_checkpoint, write_untrained
from mllm_affect.model.miniature.clip_set import patches
from mllm_affect.model.miniature.processor import SAMPLING, build_processor
from mllm_affect.model.miniature.tokenizer import (
    SPECIAL_TOKENS,
    VOCABULARY,
    WHOLE_WORDS,
    build_tokenizer,
    learn_merges,
)
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.prompts import load_task, shipped_task_ids

TOKENIZER = build_tokenizer()
PROCESSOR = build_processor(TOKENIZER)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder, seed=5)
    return folder


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_survives_the_tokenizer(text: str) -> None:
    import unicodedata

    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    assert TOKENIZER.decode(ids) == unicodedata.normalize("NFC", text)
    assert all(0 <= index < VOCABULARY for index in ids)


def test_promised_words_are_single_different_tokens() -> None:
    ids = [TOKENIZER(word)["input_ids"] for word in (*WHOLE_WORDS, *SPECIAL_TOKENS)]
    assert all(len(item) == 1 for item in ids)
    assert len({item[0] for item in ids}) == len(ids)
    assert len(TOKENIZER) == VOCABULARY


def test_answers_of_every_shipped_task_start_differently() -> None:
    for task in map(load_task, shipped_task_ids()):
        firsts = [TOKENIZER(answer)["input_ids"][0] for answer in task.answers]
        assert len(set(firsts)) == len(firsts), task.id


def test_merges_take_the_most_frequent_pair_first_and_break_ties_by_name() -> None:
    counts = {("a", "b", "c"): 3, ("b", "c"): 1, ("x", "y"): 2, ("w", "y"): 2}
    assert learn_merges(counts, 3) == [("b", "c"), ("a", "bc"), ("w", "y")]
    assert learn_merges({("a", "b"): 1}, 10) == [("a", "b")]


def chat(content: Any, **options: Any) -> str:
    text: str = PROCESSOR.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, **options
    )
    return text


def test_chat_format_is_that_of_qwen() -> None:
    assert chat("Hi?", add_generation_prompt=True) == (
        "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
    )
    parts = [
        {"type": "audio"},
        {"type": "video"},
        {"type": "image"},
        {"type": "text", "text": "Hi?"},
    ]
    assert chat(parts) == (
        "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|>"
        "<|vision_start|><|video_pad|><|vision_end|><|vision_start|><|image_pad|><|vision_end|>"
        "Hi?<|im_end|>\n"
    )


@pytest.mark.parametrize(
    ("part", "token"),
    [
        ({"type": "input_audio", "input_audio": {}}, "<|audio_pad|>"),
        ({"type": "audio_url", "audio_url": {}}, "<|audio_pad|>"),
        ({"type": "video_url", "video_url": {}}, "<|video_pad|>"),
        ({"type": "image_url", "image_url": {}}, "<|image_pad|>"),
        ({"video": "x"}, "<|video_pad|>"),
    ],
)
def test_part_types_of_the_chat_endpoint_are_understood(part: dict[str, Any], token: str) -> None:
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": [part]}],
        chat_template=PROCESSOR.chat_template,
        tokenize=False,
    )
    assert text.count(token) == 1


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(Exception, match="text, audio, video and image"):
        chat([{"type": "smell"}])


def test_the_checkpoint_opens_unaided_and_its_ids_agree(untrained: Path) -> None:
    model, processor = load_checkpoint(untrained)
    thinker, tokenizer = model.config.thinker_config, processor.tokenizer
    named = {
        "audio_token_id": "<|audio_pad|>",
        "audio_start_token_id": "<|audio_start|>",
        "audio_end_token_id": "<|audio_end|>",
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
        "user_token_id": "user",
    }
    for key, token in named.items():
        assert getattr(thinker, key) == tokenizer.convert_tokens_to_ids(token), key
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in model.generation_config.eos_token_id
    assert thinker.text_config.vocab_size == len(tokenizer) == VOCABULARY
    assert 900_000 < sum(weight.numel() for weight in model.parameters()) < 1_200_000
    assert model.has_talker is False


def test_what_vllm_reads_is_in_the_configuration(untrained: Path) -> None:
    import json

    config = json.loads((untrained / "config.json").read_text(encoding="utf-8"))
    vision = config["thinker_config"]["vision_config"]
    assert vision["apply_vit_abs_pos_embed"] is True
    assert (vision["image_size"] / vision["patch_size"]) ** 2 == vision["num_position_embeddings"]
    assert config["enable_audio_output"] is False
    profile = read_profile(untrained)
    assert profile.kind == "miniature"
    assert profile.sampling == SAMPLING
    assert profile.note


def test_frames_a_pair_apart_are_a_whole_number_of_positions_apart(untrained: Path) -> None:
    model, _ = load_checkpoint(untrained)
    apart = 2 / SAMPLING.fps * model.config.thinker_config.position_id_per_seconds
    assert apart == int(apart)


def test_the_same_seed_gives_the_same_weights_and_files(untrained: Path, tmp_path: Path) -> None:
    write_untrained(tmp_path / "again", seed=5)
    write_untrained(tmp_path / "other", seed=6)
    for path in untrained.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    name = "model.safetensors"
    assert (untrained / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_patches_are_those_of_the_video_processor() -> None:
    import torch

    frames_THWC = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    seen = PROCESSOR.video_processor(
        videos=[torch.from_numpy(frames_THWC).permute(0, 3, 1, 2)], return_tensors="pt"
    )
    assert seen["video_grid_thw"].tolist() == [[3, 4, 4]]
    expected = patches(frames_THWC).astype(np.float32) / 127.5 - 1.0
    assert np.allclose(seen["pixel_values_videos"].numpy(), expected, atol=1e-6)
