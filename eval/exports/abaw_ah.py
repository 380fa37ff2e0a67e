"""The submission of the ambivalence/hesitancy challenge (ABAW workshop, 10th and 11th).

Does: word one line a video in the organisers' row order; write one trial file, or a zip of up to
five, read back and checked before it takes its name.  Does not: choose a threshold: the answers
are those of the predictions.

Two forms, no header: `<path>,<pred>` or `<path>,<p0>,<p1>,<pred>`, where the texts p0 and p1 must
add up to exactly 1.0 as floats.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eval.exports.checking import MOST_TRIALS, TRIAL_NAME, file_problems
from eval.exports.matching import differences, read_order, some
from eval.exports.spreading import spread
from eval.predictions import Prediction
from mllm_affect.errors import UserError
from mllm_affect.files import replacing

Form = Literal["label", "probability"]

DECIMALS = 6
"""With six decimals p and 1 - p add up to 1.0 as floats for each of the million values (tested)."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The same for every entry, so that equal trials make equal bytes."""


@dataclass(frozen=True)
class Rows:
    """How rows are worded: the form, and whether probabilities are spread (see spreading)."""

    form: Form = "probability"
    spread: bool = True


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


def submission_lines(
    predictions: Sequence[Prediction], order: Sequence[str], rows: Rows = Rows()
) -> str:
    """Return the text of one trial, its ids equal to `order` line by line.

    Raises UserError `mismatched_ids`, `unusable_answers`, `no_positive_answer`,
    `no_probabilities` or `inconsistent_answers`.
    """
    differences([item.video for item in predictions], order).refuse("Predictions")
    by_video = {item.video: item for item in predictions}
    ordered = [by_video[video] for video in order]
    unusable = [item.video for item in ordered if item.answer is None]
    if unusable:
        raise UserError(
            "unusable_answers",
            f"{len(unusable)} videos have no usable answer ({some(unusable)}) and the challenge "
            "wants a prediction for each; ask about them again.",
        )
    said = [_said(item) for item in ordered]
    if rows.form == "label":
        return "".join(
            f"{item.video},{int(yes)}\n" for item, yes in zip(ordered, said, strict=True)
        )
    scores = _probabilities(ordered)
    _refuse_inconsistent(ordered, scores, said)
    if rows.spread:
        scores = spread(scores, said)
    return "".join(
        f"{item.video},{','.join(probability_texts(score))},{int(yes)}\n"
        for item, score, yes in zip(ordered, scores, said, strict=True)
    )


def write_submission(
    trials: Sequence[Sequence[Prediction]], reference: Path, out: Path, rows: Rows = Rows()
) -> int:
    """Write `trial-K.txt`, or a zip of trials in the given order; return the rows of a trial.

    The written file is read back and checked before it takes its name; whatever is wrong leaves
    an older file as it was.  Raises UserError as `submission_lines`, and `bad_trial_name`,
    `too_many_trials`.
    """
    _refuse_name(out, len(trials))
    order = read_order(reference).ids
    texts = [submission_lines(trial, order, rows) for trial in trials]
    with replacing(out) as temporary:
        if out.suffix.lower() == ".zip":
            _write_zip(temporary, texts)
        else:
            temporary.write_text(texts[0], encoding="utf-8", newline="\n")
        problems = file_problems(temporary, order)
        if problems:
            raise UserError(
                "bad_submission", f"The file would not be accepted: {some(problems)}; not written."
            )
    return len(order)


def _refuse_name(out: Path, trials: int) -> None:
    if out.suffix.lower() == ".zip":
        if not 1 <= trials <= MOST_TRIALS:
            raise UserError(
                "too_many_trials",
                f"A submission holds one to {MOST_TRIALS} trials, not {trials}.",
            )
    elif not TRIAL_NAME.fullmatch(out.name):
        raise UserError(
            "bad_trial_name",
            f"The challenge wants trial-0.txt to trial-{MOST_TRIALS - 1}.txt, or a .zip of them, "
            f"not {out.name}.",
        )
    elif trials != 1:
        raise UserError(
            "too_many_trials", f"{out.name} is one trial; give --out a .zip for {trials} of them."
        )


def _said(item: Prediction) -> bool:
    if item.positive is None:
        raise UserError(
            "no_positive_answer",
            f"Task {item.task} names no positive answer; the challenge needs a 0/1 label.",
        )
    return item.answer == item.positive


def _probabilities(ordered: Sequence[Prediction]) -> list[float]:
    without = [item.video for item in ordered if item.positive not in item.probabilities]
    if without:
        raise UserError(
            "no_probabilities",
            f"{len(without)} videos have no probability ({some(without)}); use --form label.",
        )
    return [item.probabilities[item.positive or ""] for item in ordered]


def _refuse_inconsistent(
    ordered: Sequence[Prediction], scores: Sequence[float], said: Sequence[bool]
) -> None:
    """Refuse answers that their recorded threshold does not explain, or no threshold does."""
    against = [
        item.video
        for item, score, yes in zip(ordered, scores, said, strict=True)
        if item.threshold is not None and yes != (score >= item.threshold)
    ]
    highest_no = max((score for score, yes in zip(scores, said, strict=True) if not yes), default=0)
    lowest_yes = min((score for score, yes in zip(scores, said, strict=True) if yes), default=1)
    if against or highest_no > lowest_yes:
        which = some(against) or f"a no at {highest_no:g} beside a yes at {lowest_yes:g}"
        raise UserError(
            "inconsistent_answers",
            f"Answers and probabilities do not follow one threshold ({which}); "
            "make the predictions again, or use --form label.",
        )


def _write_zip(path: Path, texts: Sequence[str]) -> None:
    """Write the trials flat, in order, with fixed dates and rights."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts):
            entry = zipfile.ZipInfo(f"trial-{number}.txt", ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode("utf-8"))
