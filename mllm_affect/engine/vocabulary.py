"""The tokens of a checkpoint: which of them an answer may begin with, and which end a turn.

Does: read them from a checkpoint's files or from a loaded tokenizer, look tokens up by their bytes,
find names of control tokens in a user's text.  Does not: split text into tokens, or run a model.

Qwen tokenizers are byte-level: each token is a sequence of bytes, which need not be whole letters.
Their files write every byte as one printable letter; `spelled` does the same.
"""

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from mllm_affect.errors import UserError

END = b""
"""Stands for the tokens that end a turn, where a token's bytes are expected."""

CONTROL_TOKEN = re.compile(r"<\|[^|<>]*\|>|</?(?:think|tool_call|tool_response|tts_[a-z_]+)>")
"""How this family of models writes tokens that stand for roles, media, thoughts and tools."""


def control_token_in(text: str) -> str | None:
    """Return the first control token whose name is written in a text, None where there is none."""
    found = CONTROL_TOKEN.search(text)
    return found.group() if found else None


def _letters() -> tuple[str, ...]:
    """Return the letter that stands for each byte, as byte-level tokenizers define it.

    Printable Latin-1 letters stand for themselves; the other bytes, in order, get the letters from
    U+0100 on.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


_LETTERS = _letters()


def spelled(text: bytes) -> str:
    """Return bytes as a byte-level tokenizer's files write them, one letter for each byte."""
    return "".join(_LETTERS[byte] for byte in text)


@dataclass(frozen=True)
class Vocabulary:
    """Ordinary tokens by their spelling, and those that end a turn.

    `ids`: of every token that stands for text.  `ends`: ids of the tokens that end a turn.
    """

    ids: Mapping[str, int]
    ends: frozenset[int]

    @classmethod
    def of_checkpoint(cls, folder: Path) -> Self:
        """Read the tokenizer's files in a checkpoint folder.  Raises UserError `bad_checkpoint`."""
        try:
            return cls._read(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "bad_checkpoint",
                f"{folder} cannot be served: its tokenizer cannot be read; it needs "
                "tokenizer.json or vocab.json, and tokenizer_config.json.",
            ) from error

    @classmethod
    def of_tokenizer(cls, tokenizer: Any, ends: Iterable[int]) -> Self:
        """Return the vocabulary of a loaded transformers tokenizer."""
        return cls._made(tokenizer.get_vocab(), tokenizer.get_added_vocab(), ends)

    @classmethod
    def _read(cls, folder: Path) -> Self:
        settings = _json(folder / "tokenizer_config.json")
        added = {
            str(entry["content"]): int(number)
            for number, entry in settings.get("added_tokens_decoder", {}).items()
        }
        whole = folder / "tokenizer.json"
        if whole.is_file():
            told = _json(whole)
            tokens = told["model"]["vocab"]
            added |= {entry["content"]: int(entry["id"]) for entry in told.get("added_tokens", [])}
        else:
            tokens = _json(folder / "vocab.json")
        end = settings["eos_token"]
        name = end["content"] if isinstance(end, dict) else end
        ends = {added[name] if name in added else tokens[name]}
        generation = folder / "generation_config.json"
        if generation.is_file():
            named = _json(generation).get("eos_token_id")
            ends |= {named} if isinstance(named, int) else set(named or ())
        return cls._made(tokens, added, ends)

    @classmethod
    def _made(cls, tokens: Mapping[str, int], special: Container[str], ends: Iterable[int]) -> Self:
        ordinary = {token: number for token, number in tokens.items() if token not in special}
        return cls(ordinary, frozenset(ends))

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(map(len, self.ids))

    def id_of(self, token: bytes) -> int:
        """Return the id of a token by its bytes.  Raises KeyError where there is none."""
        return self.ids[spelled(token)]

    def beginnings(self, endings: Sequence[bytes]) -> dict[bytes, tuple[int, ...]]:
        """Return every token that one of `endings` begins with, by its bytes, with its ids.

        An empty ending stands for the end of the answer: END, with the ids that end a turn.
        """
        found: dict[bytes, tuple[int, ...]] = {}
        for ending in endings:
            if not ending:
                found[END] = tuple(sorted(self.ends))
                continue
            letters = spelled(ending[: self.longest])
            for length in range(1, len(letters) + 1):
                number = self.ids.get(letters[:length])
                if number is not None:
                    found[ending[:length]] = (number,)
        return found


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
