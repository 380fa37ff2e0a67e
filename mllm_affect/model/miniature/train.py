"""Teaching the miniature from random weights.

Does: warm both towers up on throw-away heads (face measures, halting voice), then train the
whole thinker on packed questions with those heads as an auxiliary loss.  Fixed steps and seeds:
the same weights on the same machine.  Does not: make clips, measure or write files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.miniature.batches import IGNORED, TOKENS_PER_PAIR, Batch, Packer
from mllm_affect.model.miniature.clip_set import LearningClip, Progress
from mllm_affect.model.miniature.drawn import FACE_TARGETS
from mllm_affect.model.miniature.frame_attention import equal_frames
from mllm_affect.model.miniature.questions import Question

NOISE_VALUES = 1 << 24
"""More than a batch of five-second clips has pixel values."""


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train."""

    warm_steps: int = 150
    steps: int = 400
    clips_per_step: int = 32
    questions_per_clip: int = 3
    warm_rate: float = 3e-3
    rate: float = 3e-3
    weight_decay: float = 0.02
    auxiliary: float = 0.3
    pixel_noise: float = 0.04
    mel_noise: float = 0.03


class Heads(nn.Module):
    """Throw-away readers of the towers: the face at every frame pair, the manner of speaking."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.face = nn.Linear(TOKENS_PER_PAIR * hidden, len(FACE_TARGETS))
        self.halting = nn.Linear(hidden, 1)

    def loss(self, seen: Tensor, heard: Tensor, counts: Tensor, batch: Batch) -> Tensor:
        """Return squared error of the face plus cross-entropy of halting speech."""
        face = self.face(seen.reshape(batch.face.shape[0], -1))
        pooled = torch.stack([part.mean(0) for part in torch.split(heard, counts.tolist())])
        halting = self.halting(pooled).squeeze(-1)
        return 4.0 * functional.mse_loss(
            face, batch.face
        ) + functional.binary_cross_entropy_with_logits(halting, batch.halting_B)


def train(
    model: Any,
    tokenizer: Any,
    clips: Sequence[LearningClip],
    questions: Sequence[Question],
    schedule: Schedule,
    seed: int,
    progress: Progress | None = None,
) -> list[float]:
    """Train `model` in place; return the training loss at every step of the second phase."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _train(model, Packer(tokenizer), clips, questions, schedule, seed, progress)


def _train(
    model: Any, packer: Packer, clips: Sequence[LearningClip], questions: Sequence[Question],
    schedule: Schedule, seed: int, progress: Progress | None,
) -> list[float]:  # fmt: skip
    thinker = model.thinker.train()
    heads = Heads(model.config.thinker_config.text_config.hidden_size)
    senses = [*thinker.visual.parameters(), *thinker.audio_tower.parameters()]
    batches = _batches(packer, clips, questions, schedule, np.random.default_rng(seed))
    _run(
        [*senses, *heads.parameters()], schedule.warm_steps, schedule.warm_rate, schedule,
        lambda: _warm_loss(thinker, heads, next(batches)), "warming up", progress,
    )  # fmt: skip
    losses = _run(
        [*thinker.parameters(), *heads.parameters()], schedule.steps, schedule.rate, schedule,
        lambda: _full_loss(thinker, heads, next(batches), schedule), "training", progress,
    )  # fmt: skip
    model.eval()
    return losses


def forward(thinker: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits at the targets, and what the towers gave.

    (n targets, vocabulary); (video tokens, hidden); (audio tokens, hidden); tokens per audio (B,).
    """
    seen, deep, heard, counts = towers(thinker, batch)
    config = thinker.config
    embeds = thinker.get_input_embeddings()(batch.ids_BL)
    visual = batch.ids_BL == config.video_token_id
    embeds = embeds.masked_scatter(visual[..., None], seen)
    embeds = embeds.masked_scatter((batch.ids_BL == config.audio_token_id)[..., None], heard)
    hidden = thinker.model(
        inputs_embeds=embeds,
        attention_mask=batch.mask_B1LL,
        position_ids=batch.positions_3BL,
        visual_pos_masks=visual,
        deepstack_visual_embeds=deep,
        use_cache=False,
    ).last_hidden_state
    return thinker.lm_head(hidden[batch.targets_BL != IGNORED]), seen, heard, counts


def towers(thinker: Any, batch: Batch) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    """Run the vision and the audio tower over a batch."""
    with equal_frames(thinker.visual):
        vision = thinker.visual(batch.pixels, grid_thw=batch.grid_B3)
    audio = thinker.audio_tower(batch.mel, feature_lens=batch.mel_lengths_B)
    windows, rest = batch.mel_lengths_B // 100, batch.mel_lengths_B % 100
    for _ in range(3):
        rest = (rest + 1) // 2
    return (
        vision.pooler_output, vision.deepstack_features, audio.last_hidden_state,
        13 * windows + rest,
    )  # fmt: skip


def _warm_loss(thinker: Any, heads: Heads, batch: Batch) -> Tensor:
    seen, _, heard, counts = towers(thinker, batch)
    return heads.loss(seen, heard, counts, batch)


def _full_loss(thinker: Any, heads: Heads, batch: Batch, schedule: Schedule) -> Tensor:
    logits, seen, heard, counts = forward(thinker, batch)
    targets = batch.targets_BL[batch.targets_BL != IGNORED]
    answers = functional.cross_entropy(logits, targets)
    return answers + schedule.auxiliary * heads.loss(seen, heard, counts, batch)


def _run(
    parameters: list[nn.Parameter], steps: int, rate: float, schedule: Schedule,
    loss_of: Any, stage: str, progress: Progress | None,
) -> list[float]:  # fmt: skip
    optimizer = torch.optim.AdamW(
        parameters, lr=rate, betas=(0.9, 0.98), weight_decay=schedule.weight_decay
    )
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate_at(step, steps))
    losses = []
    for step in range(steps):
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        plan.step()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(stage, step + 1, steps)
    return losses


def _rate_at(step: int, steps: int) -> float:
    """Return the share of the learning rate: a short rise, then half a cosine down to 2 %."""
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.02 + 0.49 * (1.0 + float(np.cos(np.pi * (step - rise) / max(1, steps - rise))))


def _batches(
    packer: Packer, clips: Sequence[LearningClip], questions: Sequence[Question],
    schedule: Schedule, random: np.random.Generator,
) -> Iterator[Batch]:  # fmt: skip
    weights = np.array([question.weight for question in questions])
    weights /= weights.sum()
    noise = _Noise()
    size = min(schedule.clips_per_step, len(clips))
    while True:
        order = random.permutation(len(clips))
        for start in range(0, len(order) - size + 1, size):
            chosen = [clips[i] for i in order[start : start + size]]
            asked = [
                [questions[i] for i in random.choice(
                    len(questions), schedule.questions_per_clip, replace=False, p=weights
                )]
                for _ in chosen
            ]  # fmt: skip
            batch = packer.pack(chosen, asked)
            # A little noise, as video and audio codecs leave it.
            noise.add_to(batch.pixels, schedule.pixel_noise, random)
            noise.add_to(batch.mel, schedule.mel_noise, random)
            yield batch


class _Noise:
    """A store of normal numbers, read from a new place each time: drawing them anew costs more."""

    def __init__(self) -> None:
        self._values = torch.randn(NOISE_VALUES)

    def add_to(self, tensor: Tensor, strength: float, random: np.random.Generator) -> None:
        """Add noise of a standard deviation to a tensor, in place."""
        start = int(random.integers(NOISE_VALUES - tensor.numel()))
        noise = self._values[start : start + tensor.numel()]
        tensor.add_(noise.view(tensor.shape), alpha=strength)
