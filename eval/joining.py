"""Predictions beside the examples they are about, so that none that is due can be left out.

Does: add what only the examples know and a wrong answer for every example without a prediction.
Does not: read files or ask anything.
"""

from collections.abc import Sequence
from dataclasses import replace

from eval.arrays import one_task
from eval.predictions import MISSING, Prediction
from eval.run import choose
from mllm_affect.data.examples import Example
from mllm_affect.errors import UserError

SHOWN = 3


def join(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    split: str | None,
    label: str,
) -> list[Prediction]:
    """Return one prediction for every labelled example of the split, in the examples' order.

    Participant, split, topic and a label that a prediction lacks are the examples'.  An example
    without a prediction gets one without an answer, which counts as wrong.  Predictions about
    other splits are left aside.  Raises UserError `no_examples`, `no_predictions`, `mixed_tasks`,
    `unknown_videos` (a prediction about a video that the examples do not hold) and `other_labels`
    (they disagree about what is right).
    """
    one_task(predictions)
    due = choose(examples, split, label)
    known = {example.video for example in examples}
    strange = [item.video for item in predictions if item.video not in known]
    _refuse(strange, "unknown_videos", "are about videos that the examples do not hold")
    by_video = {item.video: item for item in predictions}
    disagreed = [
        example.video
        for example in due
        if example.video in by_video
        and by_video[example.video].label not in (None, example.labels[label])
    ]
    _refuse(disagreed, "other_labels", f"carry another label than the examples' {label!r}")
    return [_joined(example, by_video.get(example.video), predictions[0], label) for example in due]


def _joined(
    example: Example, found: Prediction | None, alike: Prediction, label: str
) -> Prediction:
    prediction = found or Prediction(
        video=example.video,
        participant=example.participant,
        split=example.split,
        task=alike.task,
        label=example.labels[label],
        answer=None,
        classes=alike.classes,
        positive=alike.positive,
        problem=MISSING,
    )
    return replace(
        prediction,
        participant=example.participant,
        split=example.split,
        label=example.labels[label],
        topic=example.topic if example.topic is not None else prediction.topic,
    )


def _refuse(videos: Sequence[str], code: str, why: str) -> None:
    if videos:
        shown = ", ".join(videos[:SHOWN]) + (", …" if len(videos) > SHOWN else "")
        raise UserError(
            code, f"{len(videos)} predictions {why} ({shown}); give the set that was asked about."
        )
