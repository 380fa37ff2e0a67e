"""Asking about every labelled video and keeping the answers.

Does: choose the examples of a split, ask an answerer about each, log predictions as they come so
that a stopped run can go on.  Does not: know which engine answers, or compute metrics.

A video that cannot be used (damaged, without frames) is kept as an unusable answer, which counts
as wrong.  An engine that is away or a key that is refused stops the run: that says nothing about
the model.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.predictions import Prediction, PredictionsLog, SegmentPrediction
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import Footage, footage
from mllm_affect.errors import UserError
from mllm_affect.scoring.pooling import decide
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext, context_of

NOT_ABOUT_A_VIDEO = frozenset(
    {
        "bad_answers",
        "bad_api_key",
        "bad_question",
        "bad_service",
        "bad_url",
        "missing_package",
        "not_found",
        "other_prompt",
        "other_scoring",
        "unauthorized",
        "unknown_pooling",
        "unknown_task",
        "wrong_frame_rate",
    }
)
"""Codes of errors that every video would meet: they stop a run instead of counting as wrong."""

Answer = Mapping[str, Any]
"""A video's answer in the service's JSON form; see mllm_affect.scoring.answers."""

Answerer = Callable[[Footage, VideoContext], Answer]
"""Asks one question about one video, of which so much is known."""


def choose(
    examples: Sequence[Example], split: str | None, label: str, limit: int | None = None
) -> list[Example]:
    """Return the examples of a split that carry the label, in file order, at most `limit`.

    Raises UserError `no_examples` and says which splits and labels there are.
    """
    of_split = [item for item in examples if split is None or item.split == split]
    chosen = [item for item in of_split if label in item.labels]
    if not chosen:
        splits = ", ".join(sorted({item.split for item in examples})) or "none"
        labels = ", ".join(sorted({name for item in examples for name in item.labels})) or "none"
        raise UserError(
            "no_examples",
            f"No example of split {split or 'any'!r} carries the label {label!r} "
            f"(splits: {splits}; labels: {labels}).",
        )
    return chosen[:limit]


def check_labels(examples: Sequence[Example], label: str, task: Task) -> None:
    """Refuse labels that are no answer of the task.

    Raises UserError `bad_label`, or `free_text_task` for a task without an answer space.
    """
    if not task.answers:
        raise UserError(
            "free_text_task", f"Task {task.id} has no fixed answers, so nothing can be counted."
        )
    for example in examples:
        if example.labels[label] not in task.answers:
            raise UserError(
                "bad_label",
                f"{example.video} is labelled {label}={example.labels[label]!r}, which is none of "
                f"the answers of {task.id}: {', '.join(task.answers)}.",
            )


def predict(
    examples: Sequence[Example],
    folder: Path,
    task: Task,
    label: str,
    ask: Answerer,
    log: PredictionsLog,
) -> Iterator[Prediction]:
    """Yield the prediction of every example in order, asking only where the log has none."""
    for example in examples:
        done = log.done.get(example.video)
        if done is None:
            done = _ask_about(example, folder, task, label, ask)
            log.append(done)
        yield done


def _ask_about(example: Example, folder: Path, task: Task, label: str, ask: Answerer) -> Prediction:
    known: dict[str, Any] = {
        "video": example.video,
        "participant": example.participant,
        "split": example.split,
        "task": task.id,
        "label": example.labels[label],
        "classes": task.answers,
        "positive": task.positive,
        "topic": example.topic,
    }
    try:
        answer = ask(footage(folder, example), context_of(example))
    except UserError as error:
        if error.code in NOT_ABOUT_A_VIDEO:
            raise
        return Prediction(**known, answer=None, problem=f"{error.code}: {error.sentence}")
    return Prediction(
        **known,
        **usable_answer(answer, task.answers),
        threshold=answer.get("threshold"),
        abstained=bool(answer.get("abstained", False)),
        segments=tuple(segment_prediction(item) for item in answer["segments"]),
    )


def usable_answer(answer: Answer, answers: Sequence[str]) -> dict[str, Any]:
    """Return answer, probabilities and problem; an answer outside the answer space is unusable.

    Where the model abstained, the answer is what it would have said; see Prediction.
    """
    said, probabilities = answer["answer"], dict(answer["probabilities"] or {})
    if answer.get("abstained"):
        said = decide(probabilities, answer["positive"], answer["threshold"])
    if said not in answers:
        return {"answer": None, "problem": f"unparsed: {said!r}"}
    return {
        "answer": said,
        "probabilities": probabilities,
        "uncalibrated": dict(answer.get("uncalibrated") or {}),
        "calibration": answer.get("calibration"),
        "temperature": answer.get("temperature"),
        "bias": answer.get("bias"),
    }


def segment_prediction(segment: Mapping[str, Any]) -> SegmentPrediction:
    """Take from a segment's answer what the predictions file keeps."""
    return SegmentPrediction(
        index=segment["index"],
        start_s=segment["start_s"],
        end_s=segment["end_s"],
        answer=segment["answer"],
        probabilities=dict(segment["probabilities"] or {}),
    )
