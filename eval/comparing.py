"""Two sets of predictions about the same videos, compared draw by draw.

Does: difference of macro-F1 and accuracy with an interval from a bootstrap over participants in
which both are redrawn together.  Does not: read files.

Two intervals may overlap although one model is better on nearly every draw: the videos that are
hard are hard for both.  So differences are resampled, not figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eval import intervals, metrics
from eval.arrays import AnswerArrays
from eval.intervals import Interval
from eval.predictions import Prediction
from mllm_affect.errors import UserError

SHOWN = 3


@dataclass(frozen=True)
class Comparison:
    """Ours minus theirs; `better` is the share of draws in which our macro-F1 is higher.

    `only_ours` and `only_theirs` count the videos that only one of them answers rightly.
    """

    videos: int
    participants: int
    macro_f1: float
    macro_f1_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    better: float
    only_ours: int
    only_theirs: int


def compare(
    ours: Sequence[Prediction],
    theirs: Sequence[Prediction],
    seed: int = 0,
    resamples: int = 1000,
) -> Comparison:
    """Compare predictions about the same videos, in any order.

    Raises UserError `unlike_predictions` when videos, labels or answer spaces differ.
    """
    other = AnswerArrays.of(_matched(ours, theirs))
    own = AnswerArrays.of(ours)
    own_RLA, other_RLA = (each.redrawn_tables(seed, resamples) for each in (own, other))
    macro_R = metrics.macro_f1_each(own_RLA) - metrics.macro_f1_each(other_RLA)
    accuracy_R = metrics.accuracy_each(own_RLA) - metrics.accuracy_each(other_RLA)
    everything = own.everything
    right_N, other_N = own.answer_N == own.label_N, other.answer_N == other.label_N
    return Comparison(
        videos=len(ours),
        participants=len(set(own.participants)),
        macro_f1=own.macro_f1(everything) - other.macro_f1(everything),
        macro_f1_interval=intervals.middle(macro_R),
        accuracy=own.accuracy(everything) - other.accuracy(everything),
        accuracy_interval=intervals.middle(accuracy_R),
        better=float((macro_R > 0.0).mean()),
        only_ours=int((right_N & ~other_N).sum()),
        only_theirs=int((other_N & ~right_N).sum()),
    )


def _matched(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> list[Prediction]:
    """Return theirs in our order; both must be about the same videos with the same labels."""
    by_video = {item.video: item for item in theirs}
    unlike = [
        item.video
        for item in ours
        if item.video not in by_video
        or by_video[item.video].label != item.label
        or by_video[item.video].classes != item.classes
    ]
    own_videos = {item.video for item in ours}
    unlike += [item.video for item in theirs if item.video not in own_videos]
    if unlike or len(by_video) != len(theirs):
        shown = ", ".join(unlike[:SHOWN]) or "several tasks"
        raise UserError(
            "unlike_predictions",
            f"The two files are not about the same videos with the same labels ({shown}); "
            "only predictions about one set can be compared.",
        )
    return [by_video[item.video] for item in ours]
