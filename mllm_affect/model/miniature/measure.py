"""How well the miniature answers, on clips in memory.

Does: accuracy per question over the allowed answers, whole or with one modality taken away.
Does not: decode files (see eval) or train.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from mllm_affect.model.miniature.batches import Batch, Packer
from mllm_affect.model.miniature.clip_set import LearningClip
from mllm_affect.model.miniature.questions import Question
from mllm_affect.model.miniature.train import forward

Ablation = Literal["none", "no audio", "no video"]
CLIPS_AT_ONCE = 32

SILENCE = -1.5
"""Every mel value of a silent recording: log10 of the floor 1e-10, plus 4, over 4."""


def accuracy(
    model: Any,
    tokenizer: Any,
    clips: Sequence[LearningClip],
    question: Question,
    ablation: Ablation = "none",
) -> float:
    """Return how often the most probable allowed answer is right."""
    packer = Packer(tokenizer)
    firsts = [packer.ids(answer)[0] for answer in question.answers]
    right = 0
    with torch.inference_mode():
        for start in range(0, len(clips), CLIPS_AT_ONCE):
            some = clips[start : start + CLIPS_AT_ONCE]
            batch = packer.pack(some, [[question]] * len(some))
            logits = forward(model.thinker, _without(batch, ablation))[0]
            # Two targets a clip: the answer, then the end of the turn.
            first = logits.view(len(some), -1, logits.shape[-1])[:, 0, firsts].argmax(-1)
            for clip, index in zip(some, first.tolist(), strict=True):
                right += question.answers[index] == question.answer(clip.spec)
    return right / len(clips)


def _without(batch: Batch, ablation: Ablation) -> Batch:
    """Replace the sound by silence or the pictures by grey."""
    if ablation == "no audio":
        return replace(batch, mel=torch.full_like(batch.mel, SILENCE))
    if ablation == "no video":
        return replace(batch, pixels=torch.zeros_like(batch.pixels))
    return batch
