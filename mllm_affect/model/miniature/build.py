"""From nothing to a checkpoint of the miniature: make clips, train, measure, write.

Does: carry out a build plan into an empty folder, whole or not at all.  Does not: print.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mllm_affect.data.made.clips import plan_clips
from mllm_affect.files import refuse_filled
from mllm_affect.model.miniature.checkpoint import NOTE, untrained_model, write_checkpoint
from mllm_affect.model.miniature.clip_set import LearningClip, Progress, make_clip_set
from mllm_affect.model.miniature.manifest import write_manifest
from mllm_affect.model.miniature.measure import accuracy
from mllm_affect.model.miniature.processor import build_processor
from mllm_affect.model.miniature.questions import questions
from mllm_affect.model.miniature.tokenizer import build_tokenizer
from mllm_affect.model.miniature.train import Schedule, train
from mllm_affect.model.threads import threads
from mllm_affect.tasks.prompts import load_task

HELD_OUT_SEED = 20_261
"""Every build is measured on the clips that this seed draws of held-out faces and voices."""

THREADS = 2
"""Sums depend on how many threads share them, so the number is part of the recipe."""


@dataclass(frozen=True)
class BuildPlan:
    """What to build.  Clip counts are multiples of four."""

    seed: int = 0
    train_clips: int = 2400
    held_out_clips: int = 400
    schedule: Schedule = field(default_factory=Schedule)


def build(out: Path, plan: BuildPlan, progress: Progress | None = None) -> dict[str, Any]:
    """Build the miniature into `out`, which is new or empty, and return its manifest.

    Raises UserError `not_empty` and `bad_count`.
    """
    refuse_filled(out)
    learning = plan_clips(plan.train_clips, "train", plan.seed)
    plan_clips(plan.held_out_clips, "test", HELD_OUT_SEED)  # a bad count is told before the work
    with threads(THREADS), _whole_folder(out) as folder:
        tokenizer = build_tokenizer()
        processor = build_processor(tokenizer)
        model = untrained_model(tokenizer, plan.seed)
        began = time.monotonic()
        clips = make_clip_set(learning, processor.feature_extractor, progress=progress)
        drawn = time.monotonic()
        train(model, tokenizer, clips, questions(), plan.schedule, plan.seed, progress)
        trained = time.monotonic()
        write_checkpoint(folder, model, processor, {"ah": load_task("ah").prompt_hash})
        figures = measure(model, processor, plan.held_out_clips, progress)
        return write_manifest(
            folder,
            {
                "what": NOTE,
                "command": f"mllm-affect miniature build --out DIR --seed {plan.seed}",
                "plan": asdict(plan),
                "held_out": {"seed": HELD_OUT_SEED, "clips": plan.held_out_clips},
                "figures": figures,
                "seconds": {
                    "clips": round(drawn - began),
                    "training": round(trained - drawn),
                    "measuring": round(time.monotonic() - trained),
                },
            },
        )


def measure(
    model: Any, processor: Any, held_out_clips: int, progress: Progress | None = None
) -> dict[str, float]:
    """Return accuracies on faces and voices that no build trains on.

    Every question by its name; `ah_without_audio` and `ah_without_video` with silence and grey.
    """
    clips = make_clip_set(
        plan_clips(held_out_clips, "test", HELD_OUT_SEED),
        processor.feature_extractor,
        progress=progress,
    )
    return figures_on(model, processor.tokenizer, clips)


def figures_on(model: Any, tokenizer: Any, clips: list[LearningClip]) -> dict[str, float]:
    """Return the accuracies on given clips, by name."""
    asked = questions()
    figures = {item.name: accuracy(model, tokenizer, clips, item) for item in asked}
    figures["ah_without_audio"] = accuracy(model, tokenizer, clips, asked[0], "no audio")
    figures["ah_without_video"] = accuracy(model, tokenizer, clips, asked[0], "no video")
    return {name: round(share, 4) for name, share in figures.items()}


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Yield a neighbour of `out` that takes its place when the block succeeds."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        yield partial
        if out.exists():
            out.rmdir()
        partial.chmod(0o755)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
