"""Where CT and IT belong in a prompt: the reserved pair right after each video.

Does: find the places and refuse a prompt in which they do not match its videos; put the pair into a
chat format.  Does not: compute tokens.
"""

import re
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mllm_affect.errors import UserError
from mllm_affect.model.evidence.config import TOKENS

VIDEO = "<|video_pad|><|vision_end|>"
PAIR = "".join(TOKENS)


@dataclass(frozen=True)
class PairIds:
    """Token ids: of video, of the end of vision, of the two reserved tokens."""

    video: int
    vision_end: int
    content: int
    instruction: int


def pair_ids(config: Any) -> PairIds:
    """Return the token ids from a thinker's configuration."""
    return PairIds(
        config.video_token_id,
        config.vision_end_token_id,
        config.evidence["content_token_id"],
        config.evidence["instruction_token_id"],
    )


def places(ids_BL: Tensor, ids: PairIds, videos: int) -> Tensor:
    """Return where the pairs are (B, L) bool, CT before IT, in the order of the videos.

    Raises ValueError unless each of so many videos is followed by exactly one pair and no reserved
    token stands elsewhere: text that spells the pair would otherwise take a video's place.
    """
    before = ids_BL.roll(1, dims=1)
    end_BL = (ids_BL == ids.vision_end) & (before == ids.video)
    end_BL[:, 0] = False
    content_BL = (ids_BL == ids.content) & end_BL.roll(1, dims=1)
    content_BL[:, 0] = False
    instruction_BL = (ids_BL == ids.instruction) & content_BL.roll(1, dims=1)
    instruction_BL[:, 0] = False
    reserved = int(((ids_BL == ids.content) | (ids_BL == ids.instruction)).sum())
    pairs = int(instruction_BL.sum())
    if pairs != videos or reserved != len(TOKENS) * videos or int(content_BL.sum()) != pairs:
        raise ValueError(
            f"{videos} videos need as many pairs {PAIR}, each right after its video and none "
            f"elsewhere; found {pairs} and {reserved} reserved tokens"
        )
    return content_BL | instruction_BL


def with_pairs(chat_format: str) -> str:
    """Return a chat format that places the pair after each video.

    Raises UserError `bad_evidence` where the format does not show how it writes videos.
    """
    if PAIR in chat_format:
        return chat_format
    changed, count = re.subn(re.escape(VIDEO), VIDEO + PAIR, chat_format)
    if not count:
        raise UserError(
            "bad_evidence",
            f"The checkpoint's chat format never writes {VIDEO!r}; evidence cannot be placed.",
        )
    return changed
