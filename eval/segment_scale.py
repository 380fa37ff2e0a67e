"""Segments' probabilities on the scale of their video's threshold.

Does: calibrate a segment's probability as that of a video that consists of it alone.  Does not:
decide, or fit a calibration.

A video's threshold is compared with a calibrated probability; a segment's is the model's own.  The
two are comparable only after the same calibration.
"""

from collections.abc import Mapping
from dataclasses import replace

from eval.predictions import Prediction, SegmentPrediction
from mllm_affect.scoring.calibration import Calibration
from mllm_affect.scoring.pooling import with_chance


def is_comparable(item: Prediction) -> bool:
    """Whether the segments can be put on the threshold's scale.

    They cannot where the video was calibrated and the file, of an older version, does not say how.
    """
    return item.calibration is None or (item.temperature is not None and item.bias is not None)


def comparable_segments(item: Prediction) -> tuple[SegmentPrediction, ...]:
    """Return the segments with probabilities that compare with the video's threshold.

    Without a calibration they are as they are.  Raises ValueError where `is_comparable` is false.
    """
    if item.calibration is None or item.positive is None:
        return item.segments
    if item.temperature is None or item.bias is None:
        raise ValueError(f"{item.video} is calibrated, and nobody says how")
    calibration = Calibration(item.temperature, item.bias)
    return tuple(
        replace(
            segment, probabilities=_calibrated(segment.probabilities, item.positive, calibration)
        )
        for segment in item.segments
    )


def _calibrated(
    probabilities: Mapping[str, float], positive: str, calibration: Calibration
) -> Mapping[str, float]:
    if positive not in probabilities:
        return probabilities
    chance = calibration.apply(probabilities[positive])
    return with_chance(chance, [probabilities], [1.0], positive)
