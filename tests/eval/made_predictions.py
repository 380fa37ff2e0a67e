"""Predictions that the tests of reports and exports share."""

from eval.predictions import Prediction, SegmentPrediction


def prediction(
    video: str, label: str, p_yes: float | None, participant: str = "", task: str = "ah"
) -> Prediction:
    """One two-segment prediction; `p_yes` None means that there is no usable answer."""
    if p_yes is None:
        return Prediction(
            video=video, participant=participant or video, split="held_out", task=task,
            label=label, answer=None, classes=("yes", "no"), positive="yes", problem="unparsed",
        )  # fmt: skip
    probabilities = {"yes": p_yes, "no": 1 - p_yes}
    answer = "yes" if p_yes >= 0.5 else "no"
    return Prediction(
        video=video, participant=participant or video, split="held_out", task=task,
        label=label, answer=answer, classes=("yes", "no"), positive="yes",
        probabilities=probabilities,
        segments=(
            SegmentPrediction(0, 0.0, 5.0, answer, probabilities),
            SegmentPrediction(1, 5.0, 7.5, answer, probabilities),
        ),
    )  # fmt: skip
