"""Inside vLLM: let a request name the tokens that its answer begins with.

Does: make vLLM write these tokens before it chooses any itself.  Does not: change the
log-probabilities that vLLM reports, which it takes before logits are processed.

vLLM loads this by `--logits-processors` (see vllm_options).  A chat message cannot name tokens:
its text may not end inside a letter, and the server splits it into tokens as it likes.
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor, process_dict_updates

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig
    from vllm.v1.sample.logits_processor import BatchUpdate

from mllm_affect.engine.vllm_options import FORCED_TOKENS


class _Forced(NamedTuple):
    """The tokens of a request, and what it has written so far (vLLM's own list, which grows)."""

    tokens: list[int]
    written: list[int]


class ForcedTokens(LogitsProcessor):  # type: ignore[misc]  # vLLM is untyped
    """Allows a request nothing but its next forced token until all of them are written."""

    def __init__(self, _config: "VllmConfig", _device: torch.device, _is_pin_memory: bool) -> None:
        self._forced: dict[int, _Forced] = {}

    @classmethod
    def validate_params(cls, sampling_params: "SamplingParams") -> None:
        """Raise ValueError for what is no list of token ids."""
        tokens = (sampling_params.extra_args or {}).get(FORCED_TOKENS, [])
        if not isinstance(tokens, list) or not all(type(n) is int and n >= 0 for n in tokens):
            raise ValueError(f"{FORCED_TOKENS} must be a list of token ids.")

    def is_argmax_invariant(self) -> bool:
        """Say that greedy sampling depends on this."""
        return False

    def update_state(self, batch_update: "BatchUpdate | None") -> None:
        """Follow which request stands in which row of the batch."""
        process_dict_updates(self._forced, batch_update, _of_request)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits (rows, vocabulary) that allow forced tokens alone, where there are some."""
        for row, forced in self._forced.items():
            done = len(forced.written)
            if done < len(forced.tokens):
                logits[row] = float("-inf")
                logits[row, forced.tokens[done]] = 0.0
        return logits


def _of_request(
    params: "SamplingParams", _prompt: list[int] | None, written: list[int]
) -> _Forced | None:
    tokens = (params.extra_args or {}).get(FORCED_TOKENS)
    return _Forced(list(tokens), written) if tokens else None
