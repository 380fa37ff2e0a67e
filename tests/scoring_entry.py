"""One entry of a scoring.json that tests change as they like."""

from typing import Any

from mllm_affect.media.cutting import SEGMENTER as SEGMENTER
from mllm_affect.scoring.abstention import Abstention
from mllm_affect.scoring.scoring_file import Choice, Figures, MadeFrom, TaskScoring
from mllm_affect.tasks.prompts import load_task


def entry(**changes: Any) -> TaskScoring:
    """An entry for the task ah as it is shipped."""
    task = load_task("ah")
    figures = Figures(negative_log_likelihood=0.5, calibration_error=0.1, macro_f1=0.8)
    fields: dict[str, Any] = {
        "task": "ah",
        "prompt_hash": task.prompt_hash,
        "answers": task.answers,
        "positive": "yes",
        "segmenter": SEGMENTER,
        "max_seconds": 5.0,
        "sampling": task.sampling,
        "pooling": "duration_mean",
        "temperature": 1.5,
        "bias": 0.2,
        "threshold": 0.5,
        "threshold_policy": "fixed",
        "abstention": Abstention(),
        "choice": Choice(folds=0, seed=0, candidates=()),
        "before": figures,
        "out_of_fold": figures,
        "fitted": figures,
        "made_from": MadeFrom(
            split="val", videos=4, participants=4, positives=2, unusable=0, version="0"
        ),
    }
    return TaskScoring(**fields | changes)
