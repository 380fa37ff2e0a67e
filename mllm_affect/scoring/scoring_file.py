"""`scoring.json`: how a checkpoint's segment answers become one answer about a video.

Does: describe, read and write it, beside the checkpoint's weights, one entry a task; name it by
the hash of its content.  Does not: fit it (see fitting) or apply it (see rule).
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json, write_json
from mllm_affect.media.types import Sampling
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.abstention import NEVER, Abstention
from mllm_affect.scoring.thresholds import ThresholdPolicy

FILE_NAME = "scoring.json"
Interval = tuple[float, float]

ADDED_LATER = (
    *((part, "macro_f1_interval") for part in ("before", "out_of_fold", "fitted")),
    ("made_from", "chose_checkpoint"),
)
"""Fields that older files lack: left out of the id where they are null, so that ids stay."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Candidate(_Frozen):
    """One pooling, judged on videos of participants that its calibration was not fitted on.

    Intervals are 95 %, participants redrawn.
    """

    pooling: str
    negative_log_likelihood: float
    negative_log_likelihood_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval


class Choice(_Frozen):
    """How the pooling was chosen: the least out-of-fold negative log-likelihood.

    `folds` groups of participants; 0 where the pooling was given and nothing was compared.
    """

    folds: int
    seed: int
    candidates: tuple[Candidate, ...]


class Figures(_Frozen):
    """Of the positive answer's probability over the videos of the fit.

    The interval is 95 %, participants redrawn; None in files of versions that gave none.
    """

    negative_log_likelihood: float
    calibration_error: float
    macro_f1: float
    macro_f1_interval: Interval | None = None


class MadeFrom(_Frozen):
    """The videos of the fit, and what gave their segment answers; None where it is not known.

    `chose_checkpoint`: whether the same videos chose this checkpoint among several of a training;
    every figure of the entry then flatters.
    """

    split: str | None
    videos: int
    participants: int
    positives: int
    unusable: int = Field(description="Videos without an answer, left out of the fit.")
    examples_sha256: str | None = None
    predictions_sha256: str | None = None
    weights: str | None = None
    chose_checkpoint: bool | None = None
    version: str


class TaskScoring(_Frozen):
    """How one task is scored, with all that this was fitted for.

    `before`: figures of the pooled probabilities as they were, at threshold 0.5.  `out_of_fold`:
    of answers for which pooling, calibration and threshold were all chosen on other participants.
    `fitted`: of the final rule on the videos that it was fitted on.
    """

    task: str
    prompt_hash: str
    answers: tuple[str, ...]
    positive: str
    segmenter: str
    max_seconds: float
    sampling: Sampling
    pooling: str
    temperature: float = Field(gt=0)
    bias: float
    threshold: float = Field(ge=0, le=1)
    threshold_policy: ThresholdPolicy
    abstention: Abstention
    choice: Choice
    before: Figures
    out_of_fold: Figures
    fitted: Figures
    made_from: MadeFrom

    @property
    def id(self) -> str:
        """The calibration's id: the SHA-256 of the whole entry.  Travels with every answer."""
        stated = self.model_dump(mode="json") | {"sampling": self.sampling.facts()}
        for part, field in ADDED_LATER:
            if stated[part][field] is None:
                del stated[part][field]
        return sha256_json(stated)


class ScoringFile(_Frozen):
    """The whole file; `tasks` by task id."""

    schema_version: Literal[1] = 1
    tasks: dict[str, TaskScoring] = {}

    def with_task(self, scoring: TaskScoring) -> "ScoringFile":
        """Return a copy in which that task is scored so."""
        return self.model_copy(update={"tasks": {**self.tasks, scoring.task: scoring}})

    def never_abstaining(self) -> "ScoringFile":
        """Return a copy that answers about every video."""
        tasks = {
            name: scoring.model_copy(update={"abstention": NEVER})
            for name, scoring in self.tasks.items()
        }
        return self.model_copy(update={"tasks": tasks})


def read_scoring(checkpoint: Path) -> ScoringFile:
    """Read the scoring beside a checkpoint; a missing file gives one without tasks.

    Raises UserError `bad_scoring` when the file cannot be used.
    """
    path = checkpoint / FILE_NAME
    if not path.is_file():
        return ScoringFile()
    try:
        return ScoringFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError("bad_scoring", f"{path} cannot be used: {reason}") from error


def scoring_of(checkpoint: Path, force: bool = False, weights: str | None = None) -> ScoringFile:
    """Read the scoring beside a checkpoint that is to answer with it; see `read_scoring`.

    `weights`: the hash of the checkpoint's weights, where it is known already.  Raises UserError
    `other_scoring` where a task's scoring was fitted to answers of other weights, unless forced.
    """
    scorings = read_scoring(checkpoint)
    fitted_to = {name: item.made_from.weights for name, item in scorings.tasks.items()}
    if force or not any(fitted_to.values()):
        return scorings
    here = weights or weights_hash(checkpoint)
    others = sorted(name for name, found in fitted_to.items() if found not in (None, here))
    if others:
        raise UserError(
            "other_scoring",
            f"{checkpoint / FILE_NAME} was fitted to other weights than these (task "
            f"{', '.join(others)}); run `mllm-affect calibrate` again, or force it.",
        )
    return scorings


def write_scoring(checkpoint: Path, scoring: TaskScoring) -> Path:
    """Write the scoring of one task beside a checkpoint, other tasks kept; return the path.

    Raises UserError `bad_scoring` when there is a file that cannot be used.
    """
    path = checkpoint / FILE_NAME
    write_json(path, read_scoring(checkpoint).with_task(scoring).model_dump(mode="json"))
    return path
