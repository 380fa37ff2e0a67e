"""How good answers to labelled videos are, in the one figure that chooses a checkpoint.

Does: compute it.  Does not: ask (see finetune.asking) or choose (see choice).
"""

from collections.abc import Sequence

import numpy as np

from mllm_affect.data.examples import Example
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.measures import macro_f1
from mllm_affect.tasks.task import Task


def mean_macro_f1(
    answers: Sequence[tuple[Task, Example, VideoAnswer | None]],
) -> float:
    """Return the Macro-F1 of whole videos at the task's threshold, the mean over tasks.

    A video that cannot be used counts as answered wrongly.
    """
    scores = []
    for name in dict.fromkeys(task.id for task, _, _ in answers):
        of_task = [item for item in answers if item[0].id == name]
        task = of_task[0][0]
        positive_N = np.array(
            [item.labels[task.label_name] == task.positive for _, item, _ in of_task]
        )
        probability_N = np.array(
            [
                float(not positive) if answer is None else answer.probabilities[task.positive or ""]
                for positive, (_, _, answer) in zip(positive_N, of_task, strict=True)
            ]
        )
        scores.append(macro_f1(probability_N, positive_N, task.threshold))
    return float(np.mean(scores))
