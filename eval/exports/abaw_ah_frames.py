"""Frame rows as in the 8th edition of the challenge: `<video>/frame-<N>.jpg,<pred>`.

Does: answer every listed frame from the segment it lies in, in the organisers' row order.
Does not: look at the frames; N counts the raw frames of the video from 0, in order.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from eval.exports.checking import trial_problems
from eval.exports.matching import differences, read_order, some
from eval.frames import Times, segment_answers
from eval.predictions import Prediction
from eval.segment_scale import is_comparable
from mllm_affect.errors import UserError
from mllm_affect.files import replacing

FRAME = re.compile(r"(?P<video>.+)/frame-(?P<number>\d+)\.jpe?g")
FACES_FOLDER = "cropped-aligned-faces/"
"""Frame lists may name the faces' folder, which lies beside that of the videos."""


def frame_lines(
    predictions: Sequence[Prediction], order: Sequence[str], times_of: Callable[[str], Times]
) -> str:
    """Return the text of the submission, its ids equal to `order` line by line.

    `times_of` gives a video's frame timestamps (eval.frames.frame_times).  Raises UserError
    `bad_reference`, `mismatched_ids`, `unusable_answers`, `other_predictions`, `unknown_frames`.
    """
    listed = [_frame(name) for name in order]
    videos = list(dict.fromkeys(video for video, _ in listed))
    differences([item.video for item in predictions], videos).refuse("Predicted videos")
    said = {item.video: _said(item, times_of) for item in predictions}
    beyond = [
        name
        for name, (video, number) in zip(order, listed, strict=True)
        if number >= len(said[video])
    ]
    if beyond:
        raise UserError(
            "unknown_frames",
            f"{len(beyond)} listed frames are beyond the end of their video ({some(beyond)}); "
            "check that --data holds the videos that the list is about.",
        )
    return "".join(
        f"{name},{int(said[video][number])}\n"
        for name, (video, number) in zip(order, listed, strict=True)
    )


def write_frames(
    predictions: Sequence[Prediction],
    reference: Path,
    out: Path,
    times_of: Callable[[str], Times],
) -> int:
    """Write the file, checked by reading it back, whole or not at all; return its rows."""
    order = read_order(reference).ids
    text = frame_lines(predictions, order, times_of)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        problems = trial_problems(temporary.read_bytes(), order)
        if problems:
            raise UserError(
                "bad_submission", f"The file would not be accepted: {some(problems)}; not written."
            )
    return len(order)


def _frame(name: str) -> tuple[str, int]:
    found = FRAME.fullmatch(name)
    if found is None:
        raise UserError(
            "bad_reference", f"The list names {name}, which is no <video>/frame-<number>.jpg."
        )
    return found["video"].removeprefix(FACES_FOLDER), int(found["number"])


def _said(item: Prediction, times_of: Callable[[str], Times]) -> list[bool]:
    """Return the answer of every frame of one video."""
    if not is_comparable(item):
        raise UserError(
            "other_predictions",
            f"{item.video} was calibrated by an older version, which does not say how to compare "
            "its segments with the threshold; make the predictions again.",
        )
    positive_T, known_T = segment_answers(item, times_of(item.video))
    if item.answer is None or not known_T.all():
        raise UserError(
            "unusable_answers",
            f"{item.video} has frames without an answer and the challenge wants one for each; "
            "ask about it again.",
        )
    return [bool(value) for value in positive_T]
