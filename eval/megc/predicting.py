"""Predictions for whole question files, from a checkpoint: `mllm-affect predict megc`.

Does: read the files, have every clip answered once, keep rows and timelines as they come.
Does not: print, or open an engine (see eval.answerers).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eval.megc.answering import answer_clips, answer_videos
from eval.megc.prediction_log import PredictionLog
from eval.megc.predictions import Predicted
from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.data.megc.labels import clip_labels
from mllm_affect.data.megc.question_files import (
    ClipKey,
    Question,
    Task,
    by_clip,
    read_question_file,
    read_train_file,
)
from mllm_affect.errors import UserError
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.files import sha256_file, write_bytes, write_text
from mllm_affect.scoring.clip_profile import LabelPrior, learn_prior
from mllm_affect.scoring.event_answers import CountForm, count_form
from mllm_affect.scoring.event_timeline import timeline_csv, timeline_json, timeline_webvtt
from mllm_affect.scoring.video_events import DEFAULT_RULE, Event, EventRule
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.prompts import load_family

Advance = Callable[[int, int], None]
"""Called with how many clips are answered and how many there are."""

TIMELINES = "timelines"
FAMILIES: Mapping[Task, str] = {"vqa": "me_vqa", "lvqa": "me_lvqa"}


@dataclass(frozen=True)
class PredictionPlan:
    """What to answer.

    `train`: the training file, from which the prior (task 1) and the form of counts (task 2) are
    learned.  `alone`: every question by itself, an ablation.  `force`: although the checkpoint
    learned other wordings.
    """

    task: Task
    questions: tuple[Path, ...]
    clips: Path
    out: Path
    train: Path | None = None
    rule: EventRule = DEFAULT_RULE
    alone: bool = False
    force: bool = False


@dataclass(frozen=True)
class Predictions:
    """What was predicted: where, how many rows and clips, and how many of these without pictures.

    `events`: of every long video (dataset and name), those found in this run only.
    """

    path: Path
    rows: int
    clips: int
    fallback: int
    answered_before: int
    events: Mapping[ClipKey, Sequence[Event]] = field(default_factory=dict)


def predict(
    plan: PredictionPlan,
    viewer: Viewer,
    made_with: Mapping[str, Any],
    advance: Advance = lambda _done, _total: None,
) -> Predictions:
    """Answer every question; goes on where an earlier run with the same settings stopped.

    `made_with`: what the answers depend on besides the plan, such as the weights' hash.  Raises
    UserError for files that cannot be used, `other_prompt` and `other_run`; EngineError when the
    engine fails.
    """
    family = load_family(FAMILIES[plan.task])
    files = [read_question_file(path, plan.task) for path in plan.questions]
    if not files:
        raise UserError("no_questions", "Give at least one question file.")
    finder = ClipFinder(plan.clips)
    if not plan.force:
        for kind in family.kinds:
            viewer.profile.refuse_other_prompt(family.task(kind))
    log = PredictionLog(plan.out, _settings(plan, family, viewer, made_with))
    # The same row may be in two files given; it is answered once.
    clips = by_clip({row.key: row for file in files for row in file.rows}.values())
    todo = [
        row for rows in clips.values() for row in rows if any(r.key not in log.done for r in rows)
    ]
    before = len(clips) - len(by_clip(todo))
    events: dict[ClipKey, Sequence[Event]] = {}
    done = before
    advance(done, len(clips))
    for rows, found in _answers(plan, todo, finder, family, viewer, _Learned.from_file(plan)):
        if found is not None:
            key = (rows[0].dataset, rows[0].video)
            write_timelines(plan.out / TIMELINES, key, found)
            events[key] = found
        log.append(rows)
        done += 1
        advance(done, len(clips))
    return Predictions(
        path=log.path,
        rows=len(log.done),
        clips=len(clips),
        fallback=sum(log.done[rows[0].key].fallback for rows in clips.values()),
        answered_before=before,
        events=events,
    )


def write_timelines(folder: Path, key: ClipKey, events: Sequence[Event]) -> None:
    """Write the events of one long video as JSON, CSV and WebVTT."""
    dataset, video = key
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{dataset}_{video}")
    write_text(folder / f"{stem}.json", timeline_json(events, video))
    write_bytes(folder / f"{stem}.csv", timeline_csv(events))
    write_text(folder / f"{stem}.vtt", timeline_webvtt(events))


@dataclass(frozen=True)
class _Learned:
    """What the training file tells without a picture."""

    prior: LabelPrior | None = None
    counts: CountForm = "number"

    @classmethod
    def from_file(cls, plan: PredictionPlan) -> "_Learned":
        if plan.train is None:
            return cls()
        rows = read_train_file(plan.train)
        if plan.task == "lvqa":
            return cls(counts=count_form(rows) or "number")
        labels, _ = clip_labels(rows)
        known = [(label.units, label.fine) for label in labels if label.fine is not None]
        return cls(prior=learn_prior(known) if known else None)


def _answers(
    plan: PredictionPlan,
    rows: Sequence[Question],
    finder: ClipFinder,
    family: Family,
    viewer: Viewer,
    learned: _Learned,
) -> Iterator[tuple[list[Predicted], Sequence[Event] | None]]:
    if plan.task == "vqa":
        for predicted in answer_clips(
            rows, finder, family,
            lambda clip, dataset, tasks: viewer.ask(clip, dataset, family, tasks),
            learned.prior, plan.alone,
        ):  # fmt: skip
            yield predicted, None
        return
    for video in answer_videos(
        rows, finder,
        lambda clip, dataset: viewer.scan(clip, dataset, family, plan.rule),
        learned.counts, plan.rule,
    ):  # fmt: skip
        yield list(video.rows), video.events


def _settings(
    plan: PredictionPlan, family: Family, viewer: Viewer, made_with: Mapping[str, Any]
) -> dict[str, Any]:
    files = [*plan.questions, *([plan.train] if plan.train else [])]
    return {
        "task": plan.task,
        "clip_key": ["dataset", "video"],  # earlier logs grouped by video_id
        "family": family.model_dump(mode="json"),
        "profile": viewer.profile.model_dump(mode="json"),
        "files": {path.name: sha256_file(path) for path in files},
        "clips": str(plan.clips.resolve()),
        "rule": asdict(plan.rule),
        "alone": plan.alone,
        **made_with,
    }
