"""One evaluation from its plan to its files: `mllm-affect evaluate` and the demonstration.

Does: tie together examples, answerer, predictions, summary and report.  Does not: print.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval import answerers, report
from eval.ablations import Ablation
from eval.details import Details, details_of, frames_of
from eval.evaluation_page import page
from eval.joining import join
from eval.predictions import (
    FILE_NAME,
    Prediction,
    PredictionsLog,
    read_predictions,
    settings_beside,
)
from eval.predictions import write_predictions as write_rows
from eval.run import check_labels, choose, predict
from eval.summary import Summary, summarise
from mllm_affect import __version__
from mllm_affect.data.bah.unlabelled import AS_THE_FILES_SAY, StatedLabels
from mllm_affect.data.examples import Example
from mllm_affect.engine.placement import ON_CPU, Placement
from mllm_affect.files import sha256_file, write_json
from mllm_affect.model import split_uses

if TYPE_CHECKING:
    from mllm_affect.data.labelled import LabelledSet

Advance = Callable[[int, int], None]
"""Called with how many videos are done and how many there are."""


@dataclass(frozen=True)
class Plan:
    """What to evaluate.

    `task` is a shipped id or a prompt file; `label` None means the task's own; `split` None means
    every split.  `url` asks a service; else `model` answers here, None being the embedded one.
    `force`: although the checkpoint was trained with another prompt.  `cache`: a folder that keeps
    decoded clips.  `trusted`: videos are decoded in this process.  `stated`: what the user says of
    splits' labels.  `engine_url`: a vLLM server that serves `model`; else it is loaded as
    `placement` says.
    """

    task: str
    data: Path
    split: str | None = None
    label: str | None = None
    model: Path | None = None
    url: str | None = None
    ablate: Ablation | None = None
    limit: int | None = None
    force: bool = False
    cache: Path | None = None
    trusted: bool = False
    stated: StatedLabels = AS_THE_FILES_SAY
    api_key: str | None = field(default=None, repr=False)
    engine_url: str | None = None
    placement: Placement = ON_CPU


@dataclass(frozen=True)
class Measurement:
    """What was found.

    `data` is the folder of the videos, `examples` are those of all its splits and `label` names
    what was evaluated, if they are known.  `licensed`: a dataset whose licence guards its people.
    """

    summary: Summary
    predictions: Sequence[Prediction]
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None
    note: str = ""
    examples: Sequence[Example] = ()
    label: str = ""
    licensed: bool = False
    details: Details = field(default_factory=Details)


def run(plan: Plan, out: Path, advance: Advance = lambda _done, _total: None) -> Measurement:
    """Ask about every example of the plan and measure; goes on where an earlier run stopped.

    Predictions are kept in `out` as they come.  Raises UserError for a plan that cannot be
    carried out and EngineError when the engine is away.
    """
    from mllm_affect.data.labelled import PLAIN, read_labelled
    from mllm_affect.tasks.prompts import load_task

    task = load_task(plan.task)
    label = plan.label or task.label_name
    labelled = read_labelled(plan.data, plan.stated)
    labelled.refuse_unlabelled(plan.split, "nothing can be scored")
    every = labelled.examples
    examples = choose(every, plan.split, label, plan.limit)
    check_labels(examples, label, task)
    with answerers.open_answerer(
        task,
        plan.model,
        plan.url,
        plan.ablate,
        plan.api_key,
        plan.force,
        plan.cache,
        plan.trusted,
        plan.engine_url,
        plan.placement,
    ) as answerer:
        settings = {
            "task": task.id,
            "prompt": task.prompt_hash,
            "examples": labelled.sha256,
            "split": plan.split,
            "label": label,
            "ablation": plan.ablate,
            "version": __version__,
            **answerer.settings,
        }
        # Absent where the split was kept apart, so that stopped runs of older versions go on.
        used_for = _used_for(plan, labelled.sha256)
        if used_for:
            settings["split_used_for"] = list(used_for)
        log = PredictionsLog(out, settings)
        advance(0, len(examples))
        predictions = []
        for prediction in predict(examples, plan.data, task, label, answerer.ask, log):
            predictions.append(prediction)
            advance(len(predictions), len(examples))
    used = split_uses.sentence(used_for, plan.split)
    unscored = _unscored(labelled) if plan.split is None else ""
    note = " ".join(filter(None, (answerer.note, labelled.sentence(), unscored, used)))
    return Measurement(
        summarise(predictions), predictions, settings, plan.data, note, every, label,
        licensed=labelled.kind != PLAIN,
    )  # fmt: skip


def _unscored(labelled: "LabelledSet") -> str:
    """Say which splits were passed over for want of labels; empty if none was."""
    names = ", ".join(labelled.unlabelled)
    return f"Not scored, for they have no labels: split {names}." if names else ""


def _used_for(plan: Plan, examples_sha256: str) -> tuple[str, ...]:
    """Return what the checkpoint was made with the split for; nothing is known of a service's."""
    if plan.model is None or plan.url is not None:
        return ()
    uses = split_uses.split_uses(plan.model)
    return split_uses.purposes(uses, examples_sha256, plan.split)


def from_file(
    path: Path,
    data: Path | None = None,
    split: str | None = None,
    label: str | None = None,
    stated: StatedLabels = AS_THE_FILES_SAY,
) -> Measurement:
    """Measure an existing predictions file, beside the examples in `data` if given.

    Only with `data` is it known which videos have no prediction; they count as wrong.
    `label` None means the task's own.  Raises UserError.
    """
    from mllm_affect.data.labelled import PLAIN, read_labelled
    from mllm_affect.tasks.prompts import label_of

    predictions = read_predictions(path)
    settings: dict[str, Any] = {"predictions": sha256_file(path)}
    made_with = settings_beside(path)
    note = split_uses.sentence(tuple(made_with.get("split_used_for", ())), made_with.get("split"))
    if note:
        settings["split_used_for"] = made_with["split_used_for"]
    examples: Sequence[Example] = ()
    licensed = False
    if data is not None and predictions:
        labelled = read_labelled(data, stated)
        labelled.refuse_unlabelled(split, "nothing can be scored")
        examples, licensed = labelled.examples, labelled.kind != PLAIN
        label = label or label_of(predictions[0].task)
        predictions = join(predictions, examples, split, label)
        settings |= {
            "examples": labelled.sha256, "split": split, "label": label,
        }  # fmt: skip
    return Measurement(
        summarise(predictions), predictions, settings, data, note, examples, label or "", licensed
    )


def closer(
    measurement: Measurement,
    train_split: str = "train",
    against: Path | None = None,
    frame_level: bool = True,
    advance: Advance = lambda _done, _total: None,
) -> Measurement:
    """Return the measurement with its details: topics, priors, frames, another model beside it.

    Priors are fitted on the examples of `train_split`.  Frame-level scores decode every video whose
    spans are annotated.  `against` is a predictions file about the same videos.  Raises UserError.
    """
    found = measurement
    frames = None
    if frame_level and found.data is not None and found.predictions[0].positive is not None:
        frames = frames_of(found.predictions, found.examples, found.label, found.data, advance)
    others = None
    if against is not None:
        others = read_predictions(against)
        if found.examples:
            asked = {item.video for item in found.predictions}
            others = join(others, found.examples, found.settings["split"], found.label)
            others = [item for item in others if item.video in asked]
    details = details_of(
        found.predictions, found.examples, found.label, train_split, frames, others,
        against_name="" if against is None else f"{against.parent.name}/{against.name}",
    )  # fmt: skip
    settings = {**found.settings, "train split": train_split}
    if against is not None:
        settings["against"] = sha256_file(against)
    return replace(found, details=details, settings=settings)


def write(measurement: Measurement, out: Path, thumbnails: bool | None = None) -> None:
    """Write metrics.json and report.html into `out`, and predictions.jsonl where it lacks one.

    `thumbnails` None shows frames of videos unless the dataset is licensed.
    """
    write_json(
        out / "metrics.json",
        {
            **measurement.summary.as_dict(),
            "details": measurement.details.as_dict(),
            "settings": dict(measurement.settings),
        },
    )
    if not (out / FILE_NAME).exists():
        write_rows(out / FILE_NAME, measurement.predictions)
    laid_out = page(
        measurement.summary,
        measurement.predictions,
        measurement.details,
        measurement.examples,
        measurement.label,
        measurement.data,
        measurement.note,
        measurement.settings,
        not measurement.licensed if thumbnails is None else thumbnails,
    )
    report.write_report(out / "report.html", laid_out)
