"""The report of one evaluation, laid out.

Does: choose what is shown and in which order.  Does not: compute, draw or write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval import detail_tables, plots, report, timeline
from eval.details import Details
from eval.frames import DEFAULT_THRESHOLD, frame_times
from eval.predictions import Prediction
from eval.segment_scale import comparable_segments, is_comparable
from eval.summary import Summary
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import Footage, footage
from mllm_affect.errors import UserError

Span = tuple[float, float]

LIMITS = (
    "For research, and for teams with a lawful purpose and consent; not for judging a person. "
    "The figures hold for people, questions, languages and recordings like those evaluated, and "
    "for the settings below; elsewhere measure again. A probability says how sure the model is. "
    "What a face or a voice shows is not what a person feels. Look at the figures by question and, "
    "where the data allow it, by group: a mean hides whom a model fails."
)


def page(
    summary: Summary,
    predictions: Sequence[Prediction],
    details: Details,
    examples: Sequence[Example] = (),
    label: str = "",
    data: Path | None = None,
    note: str = "",
    settings: Mapping[str, Any] | None = None,
    thumbnails: bool = True,
) -> report.Page:
    """Lay out the report; `data` is the folder of the videos, None if it is not known.

    Single videos are shown only of participants who did not refuse to appear in publications.
    """
    shown = _publishable(predictions, examples)
    return report.Page(
        title=f"Evaluation of {summary.task}",
        lead=f"{summary.videos:,} videos of {summary.participants:,} participants, each asked the "
        "same question. Macro-F1 is the main figure; a video without a usable answer, without a "
        "prediction or with an answer withheld counts as wrong.",
        note=note,
        figures=(*report.summary_figures(summary), *_frame_figure(details)),
        pictures=[
            *_bars(summary, details),
            *_timelines(shown, examples, label, data, thumbnails),
            *_reliability(summary, predictions, details),
        ],
        tables=[*report.summary_tables(summary), *_tables(summary, details)],
        answer=_one_answer(shown),
        settings={**(settings or {}), **_decisions(predictions)},
        limits=LIMITS,
    )


def _publishable(
    predictions: Sequence[Prediction], examples: Sequence[Example]
) -> list[Prediction]:
    """Return the predictions about videos that may be shown one by one."""
    refused = {item.video for item in examples if item.publishable is False}
    return [item for item in predictions if item.video not in refused]


def _frame_figure(details: Details) -> list[report.Figure]:
    if details.frames is None:
        return []
    interval = report.score_interval(details.frames.f1_interval)
    figure = report.Figure(
        "frame-level F1", f"{details.frames.f1:.3f}", f"95 % interval {interval}"
    )
    return [figure]


def _bars(summary: Summary, details: Details) -> list[report.Picture]:
    pictures = []
    if details.priors:
        pictures.append(detail_tables.prior_picture(summary, details.priors))
    if details.topics:
        pictures.append(detail_tables.topic_picture(details.topics))
    return pictures


def _reliability(
    summary: Summary, predictions: Sequence[Prediction], details: Details
) -> list[report.Picture]:
    if not summary.calibration:
        return []
    event = predictions[0].positive or "the answer given"
    before = details.before_calibration
    return [report.reliability_picture(summary, event, before.calibration if before else ())]


def _tables(summary: Summary, details: Details) -> list[report.Table]:
    tables = []
    if summary.abstained:
        tables.append(detail_tables.abstaining_table(summary))
    if details.frames is not None:
        tables.append(detail_tables.frame_table(details.frames))
    if details.against is not None:
        tables.append(detail_tables.comparison_table(details.against, details.against_name))
    if details.before_calibration is not None:
        tables.append(detail_tables.calibration_table(summary, details.before_calibration))
    if details.priors:
        tables.append(detail_tables.prior_table(summary, details.priors))
    if details.topics:
        tables.append(detail_tables.topic_table(details.topics))
    return tables


def _one_answer(predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    shown = timeline.longest(predictions)
    return asdict(shown) if shown else None


def _decisions(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Say by which thresholds and calibrations the answers were decided."""
    thresholds = sorted({item.threshold for item in predictions if item.threshold is not None})
    calibrations = sorted({item.calibration for item in predictions if item.calibration})
    return {
        "threshold": ", ".join(f"{value:g}" for value in thresholds) or "not recorded",
        "calibrated by": ", ".join(calibrations) or "nothing",
    }


def _timelines(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    label: str,
    data: Path | None,
    thumbnails: bool,
) -> list[report.Picture]:
    by_video = {item.video: item for item in examples}
    known = {item.video for item in examples if label in item.spans or label in item.frame_spans}
    return [
        _timeline(item, item.positive, by_video.get(item.video), label, data, thumbnails)
        for item in timeline.telling(predictions, known)
        if item.positive is not None
    ]


def _timeline(
    shown: Prediction,
    answer: str,
    example: Example | None,
    label: str,
    data: Path | None,
    thumbnails: bool,
) -> report.Picture:
    video = footage(data, example) if data and example else None
    threshold = DEFAULT_THRESHOLD if shown.threshold is None else shown.threshold
    segments = comparable_segments(shown) if is_comparable(shown) else shown.segments
    try:
        truth = _truth(example, label, video)
        content = timeline.video_timeline(video, segments, answer, threshold, truth, thumbnails)
    except UserError:
        truth = None
        content = timeline.video_timeline(None, segments, answer, threshold)
    said = "withheld" if shown.abstained else f"“{shown.answer}”"
    return report.Picture(
        title=f"{'Right' if shown.right else 'Wrong'}: {shown.video}",
        svg=plots.timeline(content),
        caption=f"Probability of “{answer}” in every segment{_calibrated(shown)}; the label of the "
        f"whole video is “{shown.label}”, the answer {said}."
        + (" Shaded: where the annotators saw it." if truth else ""),
    )


def _calibrated(shown: Prediction) -> str:
    if shown.calibration is None:
        return ""
    return ", calibrated" if is_comparable(shown) else ", not calibrated as the threshold is"


def _truth(example: Example | None, label: str, video: Footage | None) -> list[Span] | None:
    """Return annotated spans in seconds; those in frames by the frames' own timestamps."""
    if example is None:
        return None
    if label in example.spans:
        return list(example.spans[label])
    if label in example.frame_spans and video is not None:
        times_T = frame_times(video)
        last = len(times_T) - 1
        return [
            (float(times_T[min(start, last)]), float(times_T[min(end, last)]))
            for start, end in example.frame_spans[label]
        ]
    return None
