"""What the demonstration shows: its figures and its report page.

Does: join the measurements of one demonstration.  Does not: run any of it, or print.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval import plots, report
from eval.measure import Measurement
from eval.provenance import code_hash

TITLE = "The whole chain, from made clips to an answer over HTTP"
LEAD = (
    "The embedded miniature Qwen3-Omni is asked about ambivalence in a wording that it has never "
    "seen, fine-tuned on that wording with ms-swift, merged, served by vLLM and asked again over "
    "HTTP. Faces and voices of the held-out clips were in no training set."
)


@dataclass(frozen=True)
class Story:
    """The measurements of one demonstration; `served` is None when it ended offline.

    `seconds` maps stage names to their wall time in order.
    """

    seed: int
    before: Measurement
    after: Measurement
    without_audio: Measurement
    without_video: Measurement
    seconds: Mapping[str, float]
    served: Measurement | None = None
    answer: Mapping[str, Any] | None = None
    pictures: Sequence[report.Picture] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def agreement(served: Measurement, offline: Measurement) -> float:
    """Share of the served videos whose answer over HTTP is the offline answer."""
    known = {item.video: item.answer for item in offline.predictions}
    same = [known[item.video] == item.answer for item in served.predictions]
    return sum(same) / len(same)


def probability_gap(served: Measurement, offline: Measurement) -> float:
    """Largest difference between a probability over HTTP and the offline one."""
    known = {item.video: item.probabilities for item in offline.predictions}
    gaps = (
        abs(value - known[item.video].get(name, 0.0))
        for item in served.predictions
        for name, value in item.probabilities.items()
    )
    return max(gaps, default=0.0)


def figures(story: Story) -> dict[str, Any]:
    """Return what `figures.json` holds; `code` says which code made it."""
    held_out = story.after.summary
    found: dict[str, Any] = {
        "code": code_hash(),
        "seed": story.seed,
        "held_out": {"clips": held_out.videos, "people": held_out.participants},
        "majority": {"answer": held_out.majority, "accuracy": held_out.majority_accuracy},
    }
    for name in ("before", "after", "without_audio", "without_video"):
        found[name] = _short(getattr(story, name))
    if story.served is not None:
        found["served"] = {
            **_short(story.served),
            "clips": story.served.summary.videos,
            "agreement": agreement(story.served, story.after),
            "largest_probability_gap": probability_gap(story.served, story.after),
        }
    found["seconds"] = {name: round(value, 1) for name, value in story.seconds.items()}
    found["seconds_in_all"] = round(sum(story.seconds.values()), 1)
    return found


def accuracy_rows(story: Story) -> list[tuple[str, Measurement]]:
    """Return the measurements in the order of the story, with the names a reader sees."""
    rows = [
        ("before fine-tuning", story.before),
        ("after fine-tuning", story.after),
        ("after, sound taken away", story.without_audio),
        ("after, pictures taken away", story.without_video),
    ]
    return rows if story.served is None else [*rows, ("after, over HTTP", story.served)]


def page(story: Story) -> report.Page:
    """Lay out the report."""
    after = story.after.summary
    bars = [
        plots.Bar(
            name,
            measured.summary.accuracy,
            measured.summary.accuracy_interval,
            strong=name == "after fine-tuning",
        )
        for name, measured in accuracy_rows(story)
    ]
    accuracies = report.Picture(
        title=f"Accuracy on {after.videos:,} held-out clips",
        svg=plots.accuracy_bars(bars, after.majority_accuracy),
        caption="Lines over the bars are 95 % intervals. With either modality taken away the "
        "answer cannot be found: it lies in the relation between voice and face."
        + _served_remark(story),
    )
    return report.Page(
        title=TITLE,
        lead=LEAD,
        note=report.MADE_CLIPS_NOTE,
        figures=(
            _headline("before fine-tuning", story.before),
            _headline("after fine-tuning", story.after),
            report.Figure(
                "majority answer",
                report.share(after.majority_accuracy),
                f"always “{after.majority}”",
            ),
            report.Figure("whole run", _minutes(sum(story.seconds.values())), "without installing"),
        ),
        pictures=[
            accuracies,
            *story.pictures,
            report.reliability_picture(after, "yes"),
        ],
        tables=[*report.summary_tables(after), _stages(story)],
        answer=story.answer,
        settings=story.settings,
    )


def _short(measured: Measurement) -> dict[str, Any]:
    summary = measured.summary
    return {
        "accuracy": summary.accuracy,
        "interval": [summary.accuracy_interval.low, summary.accuracy_interval.high],
        "macro_f1": summary.macro_f1,
        "unparsed": summary.unparsed,
    }


def _headline(name: str, measured: Measurement) -> report.Figure:
    summary = measured.summary
    interval = report.interval_text(summary.accuracy_interval)
    return report.Figure(name, report.share(summary.accuracy), f"95 % interval {interval}")


def _served_remark(story: Story) -> str:
    if story.served is None:
        return ""
    videos = story.served.summary.videos
    same = round(agreement(story.served, story.after) * videos)
    return f" Over HTTP {same:,} of {videos:,} answers equal those computed offline."


def _stages(story: Story) -> report.Table:
    rows = [(name, f"{value:.1f}") for name, value in story.seconds.items()]
    total = ("all together", f"{sum(story.seconds.values()):.1f}")
    return report.Table("Seconds per stage", ("stage", "seconds"), [*rows, total])


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
