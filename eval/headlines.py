"""The headline figures as rows of text, for the terminal.

Does: choose and word them.  Does not: print or compute.
"""

from collections.abc import Iterator

from eval.details import Details
from eval.report import interval_text, score_interval, share
from eval.summary import Summary

Row = tuple[str, str, str]
"""Name, value, and its 95 % interval or a remark."""


def headline_rows(summary: Summary, details: Details) -> Iterator[Row]:
    """Yield the rows, macro-F1 first."""
    yield "macro-F1", f"{summary.macro_f1:.3f}", score_interval(summary.macro_f1_interval)
    yield "accuracy", share(summary.accuracy), interval_text(summary.accuracy_interval)
    for name, value, interval in (
        ("average precision, organisers'", summary.challenge_average_precision,
         summary.challenge_average_precision_interval),
        ("average precision, usual", summary.average_precision,
         summary.average_precision_interval),
        ("calibration error", summary.calibration_error, summary.calibration_error_interval),
        ("Brier score", summary.brier, summary.brier_interval),
    ):  # fmt: skip
        if value is not None:
            yield name, f"{value:.3f}", score_interval(interval)
    yield from _detail_rows(details)
    yield f'majority answer (always "{summary.majority}")', share(summary.majority_accuracy), ""
    yield "videos", f"{summary.videos}", f"{summary.participants} participants"
    yield "without a usable answer", f"{summary.unparsed}", "counted as wrong"
    if summary.abstained:
        yield "abstained", f"{summary.abstained}", "counted as wrong"


def _detail_rows(details: Details) -> Iterator[Row]:
    if details.frames is not None:
        frames = details.frames
        yield "frame-level F1", f"{frames.f1:.3f}", score_interval(frames.f1_interval)
    for prior in details.priors:
        name = f"macro-F1 of prior: {prior.name}"
        if prior.scores is None:
            yield name, "none", prior.unavailable
        else:
            scores = prior.scores
            yield name, f"{scores.macro_f1:.3f}", score_interval(scores.macro_f1_interval)
    if details.against is not None:
        other = details.against
        yield (
            "macro-F1 above the other",
            f"{other.macro_f1:+.3f}",
            score_interval(other.macro_f1_interval),
        )
