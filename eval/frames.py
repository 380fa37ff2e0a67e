"""Frame-level scores: were the answers given at the right moments?

Does: label every frame of a video from its annotated spans, answer it from the segment it lies in,
and count.  Does not: cut videos or ask a model.

A frame's label comes from spans annotated in frames where the dataset has them, else from spans in
seconds by the frame's own timestamp.  Its answer is positive where its segment's probability,
calibrated as the video's, reaches the video's threshold (see segment_scale).  All frames of a video
without a usable answer are wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval import intervals
from eval.intervals import Interval
from eval.predictions import Prediction
from eval.segment_scale import comparable_segments, is_comparable
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import Footage
from mllm_affect.errors import UserError

Flags = NDArray[np.bool_]
Times = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class FrameScores:
    """Scores over all frames of the `videos` whose frames have labels; the rest are `unlabelled`.

    `f1` is the positive answer's, `macro_f1` the mean over both; `by_frame` and `by_second` say for
    how many videos the labels were annotated in frames or in seconds.  Left out are
    `unreadable` videos, which could not be decoded for their timestamps, and `unscaled` ones, whose
    segments cannot be compared with a calibrated threshold.
    """

    videos: int
    frames: int
    positive_frames: int
    answered_frames: int
    f1: float
    f1_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    by_frame: int
    by_second: int
    unlabelled: int
    unreadable: int
    unscaled: int


def frame_times(video: Footage) -> Times:
    """Return the timestamp of every frame in seconds, in order.  Raises UserError as reading."""
    from mllm_affect.media.video import open_video

    with open_video(video) as opened:
        return opened.frame_times()


def frame_scores(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    label: str,
    times_of: Callable[[str], Times],
    seed: int = 0,
    resamples: int = 1000,
) -> FrameScores | None:
    """Score every frame of the videos whose spans are known; None where none is.

    `times_of` gives a video's frame timestamps, as `frame_times` does for a file.
    """
    by_video = {item.video: item for item in examples}
    rows: list[NDArray[np.int64]] = []
    participants: list[str] = []
    seen = {"by_frame": 0, "by_second": 0, "unlabelled": 0, "unreadable": 0, "unscaled": 0}
    for item in predictions:
        kind = _kind(by_video.get(item.video), label)
        if kind != "unlabelled" and not is_comparable(item):
            kind = "unscaled"
        elif kind != "unlabelled":
            try:
                times_T = times_of(item.video)
            except UserError:
                kind = "unreadable"
        seen[kind] += 1
        if kind in ("by_frame", "by_second"):
            label_T = labelled_frames(by_video[item.video], label, times_T)
            rows.append(_counts(label_T, answered_frames(item, times_T, label_T)))
            participants.append(item.participant)
    if not rows:
        return None
    return _scores(np.array(rows), participants, seen, seed, resamples)


def labelled_frames(example: Example, label: str, times_T: Times) -> Flags:
    """Return for every frame whether it lies in an annotated span.

    Spans in frames hold both ends; spans in seconds hold their start but not their end.
    """
    found_T = np.zeros(len(times_T), dtype=np.bool_)
    if label in example.frame_spans:
        for first, last in example.frame_spans[label]:
            found_T[max(0, first) : last + 1] = True
        return found_T
    for start_s, end_s in example.spans[label]:
        found_T |= (times_T >= start_s) & (times_T < end_s)
    return found_T


def segment_answers(item: Prediction, times_T: Times) -> tuple[Flags, Flags]:
    """Return for every frame whether its answer is the positive one, and whether it has any.

    Raises ValueError for a video whose segments cannot be compared with its threshold.
    """
    positive_T = np.zeros(len(times_T), dtype=np.bool_)
    known_T = np.zeros(len(times_T), dtype=np.bool_)
    if item.answer is None or item.positive is None:
        return positive_T, known_T
    threshold = DEFAULT_THRESHOLD if item.threshold is None else item.threshold
    for segment in comparable_segments(item):
        inside_T = (times_T >= segment.start_s) & (times_T < segment.end_s)
        probability = segment.probabilities.get(item.positive)
        hard = segment.answer == item.positive
        positive_T[inside_T] = hard if probability is None else probability >= threshold
        known_T |= inside_T
    return positive_T, known_T


def answered_frames(item: Prediction, times_T: Times, label_T: Flags) -> Flags:
    """Return every frame's answer; the wrong one where there is none."""
    positive_T, known_T = segment_answers(item, times_T)
    if item.abstained:
        return ~label_T
    return np.where(known_T, positive_T, ~label_T)


def _kind(example: Example | None, label: str) -> str:
    if example is not None and label in example.frame_spans:
        return "by_frame"
    if example is not None and label in example.spans:
        return "by_second"
    return "unlabelled"


def _counts(label_T: Flags, answer_T: Flags) -> NDArray[np.int64]:
    """Return right positive, wrong positive, wrong negative and right negative frames."""
    return np.array(
        [
            (label_T & answer_T).sum(),
            (~label_T & answer_T).sum(),
            (label_T & ~answer_T).sum(),
            (~label_T & ~answer_T).sum(),
        ],
        dtype=np.int64,
    )


def _f1_scores(count_R4: NDArray[np.float64]) -> tuple[Times, Times]:
    """Return, for every row of counts, the positive answer's F1 and the mean over both answers.

    The F1 of an answer that neither occurs nor is given is NaN and not in the mean.
    """
    hits_R, false_R, missed_R, calm_R = count_R4.T
    f1_2R = np.full((2, len(count_R4)), np.nan)
    for row, right_R in enumerate((hits_R, calm_R)):
        whole_R = 2 * right_R + false_R + missed_R
        np.divide(2 * right_R, whole_R, out=f1_2R[row], where=whole_R > 0)
    return f1_2R[0], np.asarray(np.nanmean(f1_2R, axis=0))


def _scores(
    count_V4: NDArray[np.int64],
    participants: Sequence[str],
    seen: dict[str, int],
    seed: int,
    resamples: int,
) -> FrameScores:
    count_4 = count_V4.sum(axis=0)
    f1_1, macro_1 = _f1_scores(count_4[None].astype(np.float64))
    f1_R, macro_R = _f1_scores(intervals.resampled_sums(count_V4, participants, seed, resamples))
    hits, false, missed, _ = (int(count) for count in count_4)
    return FrameScores(
        videos=len(count_V4),
        frames=int(count_4.sum()),
        positive_frames=hits + missed,
        answered_frames=hits + false,
        f1=float(np.nan_to_num(f1_1[0])),
        f1_interval=intervals.middle(f1_R),
        macro_f1=float(macro_1[0]),
        macro_f1_interval=intervals.middle(macro_R),
        **seen,
    )
