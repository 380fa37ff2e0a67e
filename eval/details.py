"""What stands beside the headline figures: topics, priors, frames, calibration, another model.

Does: gather them for one set of predictions.  Does not: compute any of them itself, or draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval import intervals, metrics
from eval.arrays import AnswerArrays
from eval.comparing import Comparison, compare
from eval.frames import FrameScores, Times, frame_scores, frame_times
from eval.intervals import Interval
from eval.predictions import Prediction
from eval.priors import Prior, priors_beside
from eval.topics import TopicScores, by_topic
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import footage

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class BeforeCalibration:
    """The calibrated videos' figures by their probabilities before calibration."""

    videos: int
    calibration: tuple[metrics.CalibrationBin, ...]
    calibration_error: float
    calibration_error_interval: Interval
    brier: float


@dataclass(frozen=True)
class Details:
    """Everything beside the headlines; None or empty where the data do not tell."""

    topics: tuple[TopicScores, ...] = ()
    priors: tuple[Prior, ...] = ()
    frames: FrameScores | None = None
    before_calibration: BeforeCalibration | None = None
    against: Comparison | None = None
    against_name: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def details_of(
    predictions: Sequence[Prediction],
    examples: Sequence[Example] = (),
    label: str = "",
    train_split: str = "train",
    frames: FrameScores | None = None,
    against: Sequence[Prediction] | None = None,
    against_name: str = "",
) -> Details:
    """Look closer at predictions; priors need the `examples` of all splits.

    Raises UserError `unlike_predictions` when `against` is about other videos.
    """
    return Details(
        topics=by_topic(predictions),
        priors=priors_beside(predictions, examples, label, train_split) if examples else (),
        frames=frames,
        before_calibration=before_calibration(predictions),
        against=None if against is None else compare(predictions, against),
        against_name=against_name,
    )


def before_calibration(predictions: Sequence[Prediction]) -> BeforeCalibration | None:
    """Return the calibration figures of the pooled probabilities; None if none was calibrated."""
    calibrated = [
        replace(item, probabilities=item.uncalibrated)
        for item in predictions
        if item.calibration is not None and item.uncalibrated
    ]
    if not calibrated:
        return None
    arrays = AnswerArrays.of(calibrated)
    bins = arrays.calibration(arrays.everything)
    if not bins:
        return None
    return BeforeCalibration(
        videos=len(arrays.with_probabilities(arrays.everything)),
        calibration=bins,
        calibration_error=metrics.expected_calibration_error(bins),
        calibration_error_interval=intervals.by_participant(
            arrays.calibration_error, arrays.participants
        ),
        brier=arrays.brier(arrays.everything),
    )


def frames_of(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    label: str,
    data: Path,
    advance: Advance = lambda _done, _total: None,
) -> FrameScores | None:
    """Score frames by decoding the videos in `data` for their timestamps; None without spans."""
    by_video = {item.video: item for item in examples}
    due = {item.video for item in examples if label in item.frame_spans or label in item.spans} & {
        item.video for item in predictions
    }
    done = 0

    def times_of(video: str) -> Times:
        nonlocal done
        found = frame_times(footage(data, by_video[video]))
        done += 1
        advance(done, len(due))
        return found

    return frame_scores(predictions, examples, label, times_of) if due else None
