"""Packed batches: one prefix (audio, video) per clip, then several questions behind it.

Does: token ids, rotary positions and a mask in which every question sees the prefix and itself
only, so that each block is exactly the prompt that serving would send.  Does not: run the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_affect.model.encode import audio_tokens
from mllm_affect.model.miniature.architecture import MERGE, POSITIONS_PER_SECOND, TEMPORAL_PATCH
from mllm_affect.model.miniature.clip_set import LearningClip
from mllm_affect.model.miniature.drawn import SIDE
from mllm_affect.model.miniature.processor import SAMPLING
from mllm_affect.model.miniature.questions import Question

GRID_SIDE = SIDE // 16
TOKENS_PER_PAIR = (GRID_SIDE // MERGE) ** 2
STEP = round(POSITIONS_PER_SECOND * TEMPORAL_PATCH / SAMPLING.fps)
"""Temporal positions between frame pairs."""

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """B clips.  pixels (all patches, values) in [-1, 1]; grid_B3; mel (128, all frames);
    mel_lengths_B; ids_BL; positions_3BL; mask_B1LL True where a row may look; targets_BL next
    tokens, IGNORED elsewhere; face (all pairs, measures); halting_B 0 or 1."""

    pixels: Tensor
    grid_B3: Tensor
    mel: Tensor
    mel_lengths_B: Tensor
    ids_BL: Tensor
    positions_3BL: Tensor
    mask_B1LL: Tensor
    targets_BL: Tensor
    face: Tensor
    halting_B: Tensor


class Packer:
    """Tokenises once what recurs and packs clips with questions."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        self._pad = int(tokenizer.pad_token_id)

    def ids(self, text: str) -> list[int]:
        """Return the token ids of `text`."""
        if text not in self._cache:
            self._cache[text] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._cache[text]

    def prefix(self, mel_frames: int, pairs: int) -> tuple[list[int], np.ndarray]:
        """Return ids (P,) and positions (3, P) of the chat up to the end of the video."""
        opening = self.ids("<|im_start|>user\n<|audio_start|>")
        sound = self.ids("<|audio_pad|>") * audio_tokens(mel_frames)
        between = self.ids("<|audio_end|><|vision_start|>")
        picture = self.ids("<|video_pad|>") * (TOKENS_PER_PAIR * pairs)
        lead = len(opening) + len(sound) + len(between)
        cells = np.indices((pairs, GRID_SIDE // MERGE, GRID_SIDE // MERGE)).reshape(3, -1)
        cells[0] *= STEP
        seen = cells + lead
        end = np.full((3, 1), seen.max() + 1)
        flat = np.broadcast_to(np.arange(lead), (3, lead))
        ids = [*opening, *sound, *between, *picture, *self.ids("<|vision_end|>")]
        return ids, np.concatenate([flat, seen, end], axis=1)

    def pack(self, clips: Sequence[LearningClip], asked: Sequence[Sequence[Question]]) -> Batch:
        """Return the batch in which clip i is asked the questions `asked[i]`."""
        rows = [self._row(clip, some) for clip, some in zip(clips, asked, strict=True)]
        longest = max(ids.size for ids, _, _, _ in rows)
        count = len(rows)
        ids_BL = np.full((count, longest), self._pad)
        positions_3BL = np.zeros((3, count, longest), dtype=np.int64)
        targets_BL = np.full((count, longest), IGNORED)
        blocks_BL = np.full((count, longest), -1)
        for row, (ids, positions, targets, blocks) in enumerate(rows):
            ids_BL[row, : ids.size] = ids
            positions_3BL[:, row, : ids.size] = positions
            targets_BL[row, : ids.size] = targets
            blocks_BL[row, : ids.size] = blocks
        patches = torch.cat([clip.patches_NV for clip in clips])
        return Batch(
            pixels=patches.float().div_(127.5).sub_(1.0),
            grid_B3=torch.tensor([(len(c.face_PD), GRID_SIDE, GRID_SIDE) for c in clips]),
            mel=torch.cat([clip.mel_MF for clip in clips], dim=1),
            mel_lengths_B=torch.tensor([clip.mel_MF.shape[1] for clip in clips]),
            ids_BL=torch.from_numpy(ids_BL),
            positions_3BL=torch.from_numpy(positions_3BL),
            mask_B1LL=_mask(torch.from_numpy(blocks_BL)),
            targets_BL=torch.from_numpy(targets_BL),
            face=torch.cat([clip.face_PD for clip in clips]),
            halting_B=torch.tensor([float(clip.spec.halting) for clip in clips]),
        )

    def _row(
        self, clip: LearningClip, asked: Sequence[Question]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        ids, positions = self.prefix(clip.mel_MF.shape[1], len(clip.face_PD))
        all_ids, places = [np.array(ids)], [positions]
        targets, blocks = [np.full(len(ids), IGNORED)], [np.zeros(len(ids), dtype=np.int64)]
        start = int(positions.max()) + 1
        for number, question in enumerate(asked, start=1):
            prompt = self.ids(question.text + "<|im_end|>\n<|im_start|>assistant\n")
            answer = self.ids(question.answer(clip.spec) + "<|im_end|>")
            block = np.array([*prompt, *answer])
            following = np.full(block.size, IGNORED)
            following[len(prompt) - 1 : -1] = answer
            all_ids.append(block)
            places.append(np.broadcast_to(np.arange(block.size) + start, (3, block.size)))
            targets.append(following)
            blocks.append(np.full(block.size, number))
        return (
            np.concatenate(all_ids),
            np.concatenate(places, axis=1),
            np.concatenate(targets),
            np.concatenate(blocks),
        )


def _mask(blocks_BL: Tensor) -> Tensor:
    """Return (B, 1, L, L): a row sees itself, and what comes before in its block or the prefix."""
    length = blocks_BL.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    here, there = blocks_BL[:, :, None], blocks_BL[:, None, :]
    visible = earlier & ((here == there) | ((there == 0) & (here > 0)))
    return visible[:, None]
