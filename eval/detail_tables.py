"""The details of an evaluation as tables and bars for the report.

Does: word and lay out priors, topics, frames, abstaining and a comparison.  Does not: compute.
"""

from collections.abc import Sequence

from eval import plots, report
from eval.comparing import Comparison
from eval.details import BeforeCalibration
from eval.frames import FrameScores
from eval.intervals import Interval
from eval.priors import Prior
from eval.summary import Summary
from eval.topics import TopicScores


def prior_picture(summary: Summary, priors: Sequence[Prior]) -> report.Picture:
    """Return the model's macro-F1 above that of every prior that could be made."""
    bars = [plots.Bar("the model", summary.macro_f1, summary.macro_f1_interval, strong=True)]
    bars += [
        plots.Bar(prior.name, prior.scores.macro_f1, prior.scores.macro_f1_interval)
        for prior in priors
        if prior.scores is not None
    ]
    return report.Picture(
        title="Macro-F1 beside what needs no model",
        svg=plots.score_bars(bars, "Macro-F1 of the model and of priors"),
        caption="Constant answers, the question that was asked, and the question with the "
        "transcript's length and hedging words; fitted on the training split. "
        "Lines over the bars are 95 % intervals.",
    )


def prior_table(summary: Summary, priors: Sequence[Prior]) -> report.Table:
    """Return the figures of every prior and the model's lead over it."""
    model = (
        "the model",
        f"{summary.macro_f1:.3f}",
        report.score_interval(summary.macro_f1_interval),
        report.share(summary.accuracy),
        _number(summary.average_precision),
        _number(summary.challenge_average_precision),
        "",
    )
    return report.Table(
        title="Priors",
        columns=("answered by", "macro-F1", "95 % interval", "accuracy", "AP, usual",
                 "AP, organisers'", "the model's lead in macro-F1"),
        rows=[model, *(_prior_row(prior) for prior in priors)],
        caption="Each lead with its 95 % interval, both redrawn together. A model whose lead "
        "reaches zero has not shown that it looks at anybody.",
        wide=True,
    )  # fmt: skip


def topic_picture(topics: Sequence[TopicScores]) -> report.Picture:
    """Return macro-F1 by topic, with a tick at the constant answer's."""
    bars = [
        plots.Bar(
            f"question {scores.topic} ({scores.videos})",
            scores.macro_f1,
            scores.macro_f1_interval,
            strong=True,
            marker=scores.majority_macro_f1,
        )
        for scores in topics
    ]
    return report.Picture(
        title="Macro-F1 by question",
        svg=plots.score_bars(bars, "Macro-F1 by question"),
        caption="In brackets the number of videos; ticks show the best constant answer to that "
        "question. Lines over the bars are 95 % intervals.",
    )


def topic_table(topics: Sequence[TopicScores]) -> report.Table:
    """Return the figures of every topic."""
    return report.Table(
        title="By question",
        columns=("question", "videos", "participants", "labelled positive", "answered positive",
                 "accuracy", "macro-F1", "95 % interval", "constant"),
        rows=[
            (
                scores.topic,
                f"{scores.videos:,}",
                f"{scores.participants:,}",
                _share(scores.positive_rate),
                _share(scores.answered_rate),
                report.share(scores.accuracy),
                f"{scores.macro_f1:.3f}",
                report.score_interval(scores.macro_f1_interval),
                f"{scores.majority_macro_f1:.3f}",
            )
            for scores in topics
        ],
        caption="“constant” is the macro-F1 of the majority answer to that question.",
        wide=True,
    )  # fmt: skip


def frame_table(frames: FrameScores) -> report.Table:
    """Return the frame-level scores and what they rest on."""
    left_out = [
        f"{count} {why}"
        for count, why in (
            (frames.unlabelled, "videos without frame labels"),
            (frames.unreadable, "videos that could not be decoded"),
            (frames.unscaled, "videos calibrated by an older version that does not say how"),
        )
        if count
    ]
    return report.Table(
        title="Frame level",
        columns=("score", "value", "95 % interval"),
        rows=[
            ("F1 of the positive answer", f"{frames.f1:.3f}",
             report.score_interval(frames.f1_interval)),
            ("macro-F1", f"{frames.macro_f1:.3f}",
             report.score_interval(frames.macro_f1_interval)),
            ("frames", f"{frames.frames:,}", f"{frames.videos:,} videos"),
            ("labelled positive", report.share(frames.positive_frames / frames.frames), ""),
            ("answered positive", report.share(frames.answered_frames / frames.frames), ""),
        ],
        caption="A frame is positive where the probability of its segment, calibrated as the "
        f"video's, reaches the video's threshold. Labels of {frames.by_frame} videos are annotated "
        f"in frames, of {frames.by_second} in seconds, looked up on the frames' own timestamps."
        + (f" Left out: {', '.join(left_out)}." if left_out else ""),
    )  # fmt: skip


def abstaining_table(summary: Summary) -> report.Table:
    """Return what abstaining does to the figures, both ways."""
    chosen = summary.selective
    return report.Table(
        title="Abstaining",
        columns=("counted", "accuracy", "macro-F1"),
        rows=[
            ("abstained and unusable as wrong (the headline)", report.share(summary.accuracy),
             f"{summary.macro_f1:.3f}"),
            ("abstained answers as if given", report.share(chosen.forced_accuracy),
             f"{chosen.forced_macro_f1:.3f}"),
            (f"answered videos only ({report.share(chosen.coverage)} of all)",
             _share(chosen.accuracy), _number(chosen.macro_f1)),
        ],
        caption=f"The model abstained on {summary.abstained:,} of {summary.videos:,} videos.",
    )  # fmt: skip


def calibration_table(summary: Summary, before: BeforeCalibration) -> report.Table:
    """Return calibration figures before and after."""
    return report.Table(
        title="Calibration",
        columns=("score", "before", "95 % interval", "after", "95 % interval"),
        rows=[
            (
                "calibration error (10 bins)",
                f"{before.calibration_error:.3f}",
                report.score_interval(before.calibration_error_interval),
                _number(summary.calibration_error),
                report.score_interval(summary.calibration_error_interval),
            ),
            ("Brier score", f"{before.brier:.3f}", "", _number(summary.brier),
             report.score_interval(summary.brier_interval)),
        ],
        caption="By the probabilities as pooled, and as calibrated by the checkpoint's "
        "scoring.json.",
        wide=True,
    )  # fmt: skip


def comparison_table(comparison: Comparison, name: str) -> report.Table:
    """Return the paired difference to another set of predictions."""
    return report.Table(
        title=f"Against {name}",
        columns=("this minus that", "difference", "95 % interval"),
        rows=[
            ("macro-F1", f"{comparison.macro_f1:+.3f}", _signed(comparison.macro_f1_interval)),
            ("accuracy", f"{comparison.accuracy:+.3f}", _signed(comparison.accuracy_interval)),
            ("draws with the higher macro-F1", report.share(comparison.better), ""),
            ("only this one right", f"{comparison.only_ours:,}", "videos"),
            ("only that one right", f"{comparison.only_theirs:,}", "videos"),
        ],
        caption="Participants redrawn for both together.",
    )


def _prior_row(prior: Prior) -> tuple[str, ...]:
    scores = prior.scores
    if scores is None:
        return (prior.name, "none", prior.unavailable, "", "", "", "")
    lead = scores.lead
    return (
        prior.name,
        f"{scores.macro_f1:.3f}",
        report.score_interval(scores.macro_f1_interval),
        report.share(scores.accuracy),
        _number(scores.average_precision),
        _number(scores.challenge_average_precision),
        f"{lead.macro_f1:+.3f} ({_signed(lead.macro_f1_interval)})",
    )


def _signed(interval: Interval) -> str:
    return f"{interval.low:+.3f} to {interval.high:+.3f}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "none" if value is None else report.share(value)
