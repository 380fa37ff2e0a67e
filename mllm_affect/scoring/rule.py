"""The one rule by which segment answers become a video's answer, in evaluation and service alike.

Does: choose between scoring.json and the task's own pooling and threshold, refuse a scoring.json
that was fitted for other inputs, and apply the rule.  Does not: fit, or read files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mllm_affect.errors import UserError
from mllm_affect.scoring.abstention import Abstention, Quality, Remark, reasons_to_abstain
from mllm_affect.scoring.calibration import Calibration
from mllm_affect.scoring.pooling import (
    Distribution,
    check_pooling,
    decide,
    find_pooling,
    pool,
    with_chance,
)
from mllm_affect.scoring.scoring_file import ScoringFile, TaskScoring
from mllm_affect.tasks.task import Task


@dataclass(frozen=True)
class Verdict:
    """A video's answer; None where the rule abstains.

    `probabilities` are calibrated where the rule is, `uncalibrated` are as pooled.
    """

    answer: str | None
    probabilities: dict[str, float]
    uncalibrated: dict[str, float]
    reasons: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Pooling, calibration, threshold and abstention of one task.

    `calibration_id` None: nothing was fitted, the rule is the task's own.
    """

    positive: str | None
    pooling: str
    threshold: float
    calibration: Calibration | None = None
    abstention: Abstention | None = None
    calibration_id: str | None = None

    @property
    def looks_for_faces(self) -> int:
        """In how many frames of each segment a face is to be looked for."""
        return 0 if self.abstention is None else self.abstention.looks_for_faces

    def verdict(
        self,
        distributions: Sequence[Distribution],
        durations_s: Sequence[float],
        qualities: Sequence[Quality],
    ) -> Verdict:
        """Return the answer about a video from its segments, at least one; seconds for each."""
        pooled = pool(self.pooling, distributions, durations_s, self.positive)
        told = pooled
        if self.calibration is not None and self.positive is not None:
            chance = self.calibration.apply(pooled[self.positive])
            told = with_chance(chance, distributions, durations_s, self.positive)
        reasons = (
            reasons_to_abstain(self.abstention, qualities, durations_s) if self.abstention else ()
        )
        answer = None if reasons else decide(told, self.positive, self.threshold)
        return Verdict(answer, told, pooled, reasons)


def rule_for(
    task: Task, scorings: ScoringFile, segmenter: str, max_seconds: float, force: bool = False
) -> Rule:
    """Return the rule for `task`, its sampling already that of the checkpoint.

    Raises UserError `other_scoring` when the file scores this task with another prompt, segmenter
    or sampling, unless forced; and `unknown_pooling`.
    """
    scoring = scorings.tasks.get(task.id)
    if scoring is None:
        check_pooling(task.pooling)
        return Rule(task.positive, task.pooling, task.threshold)
    different = _differences(task, scoring, segmenter, max_seconds)
    if different and not force:
        raise UserError(
            "other_scoring",
            f"scoring.json was fitted to task {task.id} with {' and '.join(different)}; "
            "run `mllm-affect calibrate` again, or force it.",
        )
    find_pooling(scoring.pooling)
    return Rule(
        positive=scoring.positive,
        pooling=scoring.pooling,
        threshold=scoring.threshold,
        calibration=Calibration(scoring.temperature, scoring.bias),
        abstention=scoring.abstention,
        calibration_id=scoring.id,
    )


def _differences(task: Task, scoring: TaskScoring, segmenter: str, max_seconds: float) -> list[str]:
    pairs = {
        "another prompt": (task.prompt_hash, scoring.prompt_hash),
        "other answers": ((task.answers, task.positive), (scoring.answers, scoring.positive)),
        "another segmenter": ((segmenter, max_seconds), (scoring.segmenter, scoring.max_seconds)),
        "another sampling": (task.sampling, scoring.sampling),
    }
    return [name for name, (now, then) in pairs.items() if now != then]
