"""The submission file of the ambivalence/hesitancy challenge (ABAW workshop).

Does: write one line a video in the organisers' row order and check every line against their
list, because their own check compares only the first character of a line.  Does not: choose a
threshold (the task's is in the predictions) or pack the archive.

Two forms, no header: `<path>,<pred>` or `<path>,<p0>,<p1>,<pred>`, where the texts p0 and p1 must
add up to exactly 1.0 as floats.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from eval.predictions import Prediction
from mllm_affect.errors import UserError
from mllm_affect.files import write_text

Form = Literal["label", "probability"]

DECIMALS = 6
"""With six decimals p and 1 - p add up to 1.0 as floats for each of the million values (tested)."""

SHOWN = 3
"""How many offending ids an error names."""


def read_order(reference: Path) -> list[str]:
    """Read the organisers' row order: the first comma-separated field of every line.

    Raises UserError `bad_reference` when the file is missing, empty or names a video twice.
    """
    if not reference.is_file():
        raise UserError("bad_reference", f"No reference list at {reference}; check the path.")
    lines = reference.read_text(encoding="utf-8-sig").splitlines()
    order = [line.split(",", 1)[0].strip() for line in lines if line.strip()]
    if not order:
        raise UserError("bad_reference", f"{reference} names no video.")
    twice = sorted({path for path in order if order.count(path) > 1})
    if twice:
        raise UserError("bad_reference", f"{reference} names {_some(twice)} more than once.")
    return order


def probability_texts(positive_probability: float) -> tuple[str, str]:
    """Return (p0, p1) as texts that add up to exactly 1.0 as floats.

    Raises ValueError outside [0, 1].
    """
    if not 0.0 <= positive_probability <= 1.0:
        raise ValueError(f"{positive_probability} is no probability")
    unit = 10**DECIMALS
    count = round(positive_probability * unit)
    texts = tuple(f"{value / unit:.{DECIMALS}f}" for value in (unit - count, count))
    return texts[0], texts[1]


def submission_lines(predictions: Sequence[Prediction], order: Sequence[str], form: Form) -> str:
    """Return the text of the submission, its ids equal to `order` line by line.

    Raises UserError `mismatched_ids`, `unusable_answers` or `no_positive_answer`.
    """
    by_video = {prediction.video: prediction for prediction in predictions}
    _refuse_mismatch(predictions, by_video, order)
    unusable = [video for video in order if by_video[video].answer is None]
    if unusable:
        raise UserError(
            "unusable_answers",
            f"{len(unusable)} videos have no usable answer ({_some(unusable)}) and the challenge "
            "wants a prediction for each; ask about them again.",
        )
    lines = [_line(by_video[video], form) for video in order]
    _check_lines(lines, order, form)
    return "".join(line + "\n" for line in lines)


def write_submission(
    predictions: Sequence[Prediction], reference: Path, out: Path, form: Form
) -> int:
    """Write the submission file, whole or not at all; return its number of lines."""
    order = read_order(reference)
    write_text(out, submission_lines(predictions, order, form))
    return len(order)


def _line(prediction: Prediction, form: Form) -> str:
    positive = prediction.positive
    if positive is None:
        raise UserError(
            "no_positive_answer",
            f"Task {prediction.task} names no positive answer; the challenge needs a 0/1 label.",
        )
    label = int(prediction.answer == positive)
    if form == "label":
        return f"{prediction.video},{label}"
    if positive not in prediction.probabilities:
        raise UserError(
            "no_probabilities",
            f"{prediction.video} has no probability of {positive!r}; use --form label.",
        )
    p0, p1 = probability_texts(prediction.probabilities[positive])
    return f"{prediction.video},{p0},{p1},{label}"


def _refuse_mismatch(
    predictions: Sequence[Prediction], by_video: dict[str, Prediction], order: Sequence[str]
) -> None:
    if len(by_video) != len(predictions):
        raise UserError("mismatched_ids", "The predictions cover a video for more than one task.")
    missing = [video for video in order if video not in by_video]
    strange = sorted(set(by_video) - set(order))
    if missing or strange:
        parts = []
        if missing:
            parts.append(f"{len(missing)} listed videos have no prediction ({_some(missing)})")
        if strange:
            parts.append(f"{len(strange)} predicted videos are not listed ({_some(strange)})")
        raise UserError(
            "mismatched_ids",
            f"Predictions and reference do not match: {'; '.join(parts)}. "
            "The ids must be equal, character by character.",
        )


def _check_lines(lines: Sequence[str], order: Sequence[str], form: Form) -> None:
    """Read the finished lines back as the organisers would; a defect here is ours."""
    for line, video in zip(lines, order, strict=True):
        fields = line.rsplit(",", 1 if form == "label" else 3)
        sound = fields[0] == video and fields[-1] in ("0", "1")
        if form == "probability":
            sound = sound and float(fields[1]) + float(fields[2]) == 1.0
        if not sound:
            raise UserError("bad_line", f"The line {line!r} is not a valid row for {video}.")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return f"{shown}, …" if len(names) > SHOWN else shown
