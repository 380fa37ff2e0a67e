"""The last stage of a fine-tuning: scoring.json beside the new checkpoint.

Does: ask the checkpoint about every video of the validation split, as evaluation and service
would, and fit the scoring of each task.  Does not: know how to fit (mllm_affect.scoring.fitting).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetune.asking import answered
from finetune.progress import Progress
from mllm_affect.data.examples import Example
from mllm_affect.data.labelled import read_labelled
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.types import Engine
from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.model.profile import ModelProfile
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.abstention import Abstention
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.fitting import FittingPlan, Origin, ScoredVideo, check_labels, fit_scoring
from mllm_affect.scoring.pooling import CANDIDATES
from mllm_affect.scoring.scoring_file import write_scoring
from mllm_affect.scoring.thresholds import ThresholdPolicy
from mllm_affect.tasks.task import Task

Report = Callable[[Progress], None]


class CalibrateStage(BaseModel):
    """What the recipe says about calibration; see `mllm-affect calibrate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str = "val"
    poolings: tuple[str, ...] = Field(default=CANDIDATES, min_length=1)
    folds: int = Field(default=5, ge=2, le=50)
    bias: bool = True
    threshold: ThresholdPolicy = "fixed"
    seed: int = Field(default=0, ge=0)
    abstention: Abstention = Abstention()


def validation_examples(data: Path, stage: CalibrateStage, tasks: Sequence[Task]) -> list[Example]:
    """Return the labelled examples of the validation split.

    Raises UserError before any time is spent where nothing could be fitted to them: `bad_data`
    without labels, or as `fit_scoring` does.
    """
    labelled_set = read_labelled(data)
    labelled_set.refuse_unlabelled(stage.split, "nothing can be calibrated on it", "bad_data")
    chosen = [item for item in labelled_set.examples if item.split == stage.split]
    for task in tasks:
        if not any(task.label_name in item.labels for item in chosen):
            raise UserError(
                "bad_data",
                f"The recipe calibrates on split {stage.split!r}, where no video of {data} has a "
                f"label {task.label_name}; add some, or set calibrate to null.",
            )
        labelled = [item for item in chosen if task.label_name in item.labels]
        check_labels(
            task,
            [item.participant for item in labelled],
            [item.labels[task.label_name] for item in labelled],
            stage.folds,
        )
    return chosen


def calibrate_checkpoint(
    checkpoint: Path,
    profile: ModelProfile,
    data: Path,
    stage: CalibrateStage,
    tasks: Sequence[Task],
    engine: Engine,
    report: Report,
    cache: ClipCache | None = None,
    *,
    trusted: bool = False,
    chosen_on: str | None = None,
) -> dict[str, str]:
    """Write scoring.json into `checkpoint`; return the calibration id of each task.

    `cache`: where decoded clips are kept.  `trusted` videos are decoded in this process.
    `chosen_on`: the split that chose this checkpoint among several of the training, if one did.
    Raises UserError where videos of both labels or participants are too few.
    """
    examples = validation_examples(data, stage, tasks)
    found: dict[str, list[ScoredVideo]] = {task.id: [] for task in tasks}
    for task, example, answer in answered(
        data, examples, tasks, engine, profile, cache, trusted=trusted,
        told=lambda done, total: report(Progress("calibrate", done, total)),
    ):  # fmt: skip
        if answer is not None:
            found[task.id].append(_scored(example, task, answer))
    weights = weights_hash(checkpoint)
    plan = FittingPlan(
        stage.poolings, stage.folds, stage.seed, stage.bias, stage.threshold, stage.abstention
    )
    ids = {}
    for task in tasks:
        videos = found[task.id]
        wanted = sum(task.label_name in item.labels for item in examples)
        origin = Origin(
            split=stage.split,
            unusable=wanted - len(videos),
            examples_sha256=read_labelled(data).sha256,
            weights=weights,
            chose_checkpoint=chosen_on == stage.split,
        )
        scoring = fit_scoring(
            profile.fit(task), SEGMENTER, profile.segment_seconds(), videos, plan, origin
        )
        write_scoring(checkpoint, scoring)
        ids[task.id] = scoring.id
    return ids


def load_engine(checkpoint: Path, use_cpu: bool, dtype: str) -> Engine:
    """Return the checkpoint in this process, on the device that it was trained on."""
    return TransformersEngine(checkpoint, device="cpu" if use_cpu else "cuda", dtype=dtype)


def _scored(example: Example, task: Task, answer: VideoAnswer) -> ScoredVideo:
    """Return one video's segment scores."""
    return ScoredVideo(
        participant=example.participant,
        label=example.labels[task.label_name],
        distributions=[segment.probabilities for segment in answer.segments],
        durations_s=[segment.duration_s for segment in answer.segments],
    )
