"""A 512-entry byte-level tokenizer with Qwen's special tokens.

Does: learn merges from a fixed corpus and give the token attributes that the processor needs.
Does not: know any prompt file; a few whole words (answers, roles) are promised to be one token.
"""

import re
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from itertools import pairwise
from typing import Any

VOCABULARY = 512

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>",
    "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
    "<|audio_start|>", "<|audio_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>",
    "<tts_text_bos_single>", "<|audio_pad|>",
)  # fmt: skip
"""Qwen3-Omni's own special tokens in their own order; here they end the small vocabulary."""

NAMED_TOKENS = {
    "image_token": "<|image_pad|>",
    "audio_token": "<|audio_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}

WHOLE_WORDS = (
    "yes", "no", "user", "assistant", "system", "positive", "negative", "neutral", "surprised",
    "left", "right", "up", "down", "ahead", "halting", "fluent", "none", "one", "two", "three",
)  # fmt: skip
"""Each of these, at the start of a turn, is exactly one token."""


WORD = re.compile(r" ?[^\W\d_]+")
WHOLE_WORD_WEIGHT = 10_000


def build_tokenizer() -> Any:
    """Return the `Qwen2Tokenizer` of the miniature; the same on every run and machine."""
    from transformers import Qwen2Tokenizer

    characters = sorted(_byte_characters().values())
    merges = learn_merges(_word_counts(), VOCABULARY - len(SPECIAL_TOKENS) - len(characters))
    entries = [*characters, *(left + right for left, right in merges), *SPECIAL_TOKENS]
    return Qwen2Tokenizer(
        vocab={entry: index for index, entry in enumerate(entries)},
        merges=merges,
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=8192,
        additional_special_tokens=list(SPECIAL_TOKENS),
        **NAMED_TOKENS,
    )


def learn_merges(counts: Mapping[tuple[str, ...], int], room: int) -> list[tuple[str, str]]:
    """Return up to `room` byte-pair merges; ties go to the pair that sorts first.

    `counts` maps words, as tuples of characters, to how often they occur.
    """
    words = dict(counts)
    merges: list[tuple[str, str]] = []
    while len(merges) < room:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            merged[_join(word, best)] += count
        words = dict(merged)
    return merges


def _join(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    position = 0
    while position < len(word):
        if word[position : position + 2] == pair:
            joined.append(pair[0] + pair[1])
            position += 2
        else:
            joined.append(word[position])
            position += 1
    return tuple(joined)


def _word_counts() -> Counter[tuple[str, ...]]:
    corpus = (files(__package__) / "corpus.txt").read_text(encoding="utf-8")
    counts: Counter[str] = Counter()
    for line in corpus.splitlines():
        counts.update(WORD.findall(line))
    for word in WHOLE_WORDS:
        counts[word] += WHOLE_WORD_WEIGHT
    names = _byte_characters()
    return Counter(
        {tuple(names[byte] for byte in word.encode()): count for word, count in counts.items()}
    )


def _byte_characters() -> dict[int, str]:
    """Map every byte to the printable character that byte-level tokenizers write for it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    hidden = (byte for byte in range(256) if byte not in names)
    names.update({byte: chr(256 + index) for index, byte in enumerate(hidden)})
    return names
