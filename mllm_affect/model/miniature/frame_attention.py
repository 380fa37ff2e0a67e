"""Attention inside frame pairs, all pairs at once.

Does: give transformers an attention function for the vision tower while training, where every
pair has the same number of patches: one call instead of one a pair.  Does not: change what is
computed; the checkpoint is used with transformers' own functions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn import functional

# transformers hands all patches over in one piece to functions with this word in their name.
NAME = "flash_equal_frames"


@contextmanager
def equal_frames(vision_tower: Any) -> Iterator[None]:
    """Let a vision tower use this function until the block ends; frames must be of one size."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)
    before = vision_tower.config._attn_implementation
    vision_tower.config._attn_implementation = NAME
    try:
        yield
    finally:
        vision_tower.config._attn_implementation = before


def _attend(
    module: Any,  # noqa: ARG001  transformers' signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float,
    max_length_q: int,
    **_options: Any,
) -> tuple[Tensor, None]:
    """Attend within consecutive runs of `max_length_q` patches.

    query, key, value: (1, heads, patches, width).  Returns (1, patches, heads, width).
    """
    _, heads, patches, width = query.shape
    runs = (heads, patches // int(max_length_q), int(max_length_q), width)
    attended = functional.scaled_dot_product_attention(
        query.reshape(runs), key.reshape(runs), value.reshape(runs), scale=scaling
    )
    return attended.reshape(1, heads, patches, width).transpose(1, 2), None
