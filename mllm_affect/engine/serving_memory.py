"""How much GPU memory a vLLM server for a checkpoint needs at least.

Does: count weights from the files' headers and the key-value cache of one prompt of the longest
length, and say so in a sentence.  Does not: count activations and vLLM's own buffers, for which the
share of memory that it leaves free (8 % by default) and about 2 GiB are meant.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm_affect.engine.placement import NUMBER_BYTES, weight_count

GIB = 1 << 30
KEY_AND_VALUE = 2
USUAL_TEXT: Mapping[str, int] = {
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "head_dim": 128,
}
"""Qwen3-Omni-30B-A3B; what a config.json states takes their place."""


@dataclass(frozen=True)
class ServingMemory:
    """Bytes of all weights and of one longest prompt's cache; GPUs that share them."""

    weights: int
    prompt_cache: int
    prompt_tokens: int
    gpus: int

    @property
    def each_gpu(self) -> float:
        """Bytes that one GPU holds."""
        return (self.weights + self.prompt_cache) / self.gpus

    def sentence(self) -> str:
        """Return what is needed, in words."""
        shared = f", shared by {self.gpus} GPUs" if self.gpus > 1 else ""
        return (
            f"At least {self.each_gpu / GIB:.1f} GiB of memory a GPU: {self.weights / GIB:.1f} GiB "
            f"of weights and {self.prompt_cache / GIB:.1f} GiB of cache for one question of up to "
            f"{self.prompt_tokens} tokens{shared}; what is left holds further questions."
        )


def serving_memory(checkpoint: Path, tokens: int, dtype: str, gpus: int) -> ServingMemory:
    """Return what a server needs for prompts of up to `tokens`.

    Raises UserError `bad_checkpoint` for a damaged weight file.
    """
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    text = {**USUAL_TEXT, **config.get("thinker_config", {}).get("text_config", {})}
    size = NUMBER_BYTES[dtype]
    a_token = KEY_AND_VALUE * text["num_hidden_layers"] * text["num_key_value_heads"]
    a_token *= text["head_dim"] * size
    return ServingMemory(weight_count(checkpoint) * size, tokens * a_token, tokens, gpus)
