"""From labelled videos to training rows.

Does: cut every video of one split as serving would, ask the tasks about every segment through
`model_input`, write rows.jsonl with its media and a manifest; refuse a split that leaks.
Does not: decide how clips are sampled, or train.

A video's rows are kept under the hash of its bytes and of everything that shapes them, so that
preparing again only decodes what is new.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.labelling import Balance, SegmentRule, balanced, segment_answer
from finetune.progress import Progress
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import footage, is_there
from mllm_affect.data.labelled import LabelledSet, read_labelled
from mllm_affect.data.unit_labels import UNITS_LABEL, UNKNOWN, unit_labels
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, sha256_json, write_json, write_jsonl
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.media.types import Sampling
from mllm_affect.media.video import Video, open_video, read_cached
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.rows import media_of, with_answer, without_answer, write_row
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext, context_of, told_with

ROWS_NAME = "rows.jsonl"
GRPO_NAME = "grpo.jsonl"
MANIFEST_NAME = "manifest.json"
KEPT = "videos"
ROWS_VERSION = 2
"""Raise it when the same clip would be written differently."""


@dataclass(frozen=True)
class Preparation:
    """What shapes rows, besides the videos and their labels."""

    tasks: tuple[Task, ...]
    sampling: Sampling
    split: str
    max_seconds: float
    rule: SegmentRule = field(default_factory=SegmentRule)
    balance: Balance = "none"
    seed: int = 0
    with_units: bool = False


@dataclass(frozen=True)
class _Asked:
    """A row with whom it shows and what it was asked; `row` is None for an unclear segment."""

    task_id: str
    participant: str
    answer: str | None
    row: dict[str, Any] | None


def prepare_rows(
    data: Path,
    preparation: Preparation,
    out: Path,
    report: Callable[[Progress], None] = lambda _progress: None,
    cache: ClipCache | None = None,
    *,
    trusted: bool = False,
) -> dict[str, Any]:
    """Write rows of the labelled videos in `data` into `out`; return the manifest.

    `cache`: where decoded clips are kept, for instance by `mllm-affect prepare`.  Each video is
    decoded in a process of its own unless they are `trusted`.

    Writes rows.jsonl, the same rows without answers for reinforcement learning as grpo.jsonl
    and, last, manifest.json.  Raises UserError `bad_data` (no examples of the split, a missing
    video, an answer outside the task's), `participant_leak`, or as reading the list and the videos
    does.
    """
    labelled = read_labelled(data)
    examples = labelled.examples
    check_participants(examples)
    names = ", ".join(task.id for task in preparation.tasks)
    labelled.refuse_unlabelled(preparation.split, f"it cannot train {names}", "bad_data")
    chosen = [example for example in examples if example.split == preparation.split]
    if not chosen:
        found = ", ".join(sorted({example.split for example in examples}))
        raise UserError(
            "bad_data", f"{data} has no example of split {preparation.split!r}; it has {found}."
        )
    _check_answers(chosen, preparation.tasks)
    _check_videos(data, chosen)
    if preparation.with_units:
        for example in chosen:
            unit_labels(example.labels.get(UNITS_LABEL, UNKNOWN), ())
    asked: list[_Asked] = []
    segments = 0
    for done, example in enumerate(chosen):
        report(Progress("prepare", done, len(chosen)))
        with open_video(footage(data, example), trusted=trusted) as video:
            of_video, count = _rows_of(video, example, preparation, out, cache)
        asked.extend(of_video)
        segments += count
    report(Progress("prepare", len(chosen), len(chosen)))
    rows = _balanced_rows(asked, preparation)
    if not rows:
        raise UserError("bad_data", f"No example in {data} has a usable label for {names}.")
    allowed = {task.question: task.answers for task in preparation.tasks}
    write_jsonl(out / GRPO_NAME, (without_answer(row, allowed) for row in rows))
    write_jsonl(out / ROWS_NAME, rows)
    manifest = _manifest(labelled, chosen, preparation, rows, segments)
    manifest |= _label_counts(asked, preparation)
    manifest["rows_sha256"] = sha256_file(out / ROWS_NAME)
    manifest["grpo_sha256"] = sha256_file(out / GRPO_NAME)
    write_json(out / MANIFEST_NAME, manifest)
    return manifest


def check_participants(examples: Sequence[Example]) -> None:
    """Raise UserError `participant_leak` when one person is seen or heard in two splits."""
    splits: dict[tuple[str, str], set[str]] = {}
    for example in examples:
        splits.setdefault(("participant", example.participant), set()).add(example.split)
        if example.voice is not None:
            splits.setdefault(("voice", example.voice), set()).add(example.split)
    leaking = sorted(person for person, where in splits.items() if len(where) > 1)
    if leaking:
        kind, name = leaking[0]
        raise UserError(
            "participant_leak",
            f"{len(leaking)} participant(s) or voice(s) stand in more than one split, first {kind} "
            f"{name!r} in {' and '.join(sorted(splits[leaking[0]]))}; give everyone one split.",
        )


def _check_answers(examples: Sequence[Example], tasks: Sequence[Task]) -> None:
    for example in examples:
        for task in tasks:
            answer = example.labels.get(task.label_name)
            if answer is None:
                continue
            if task.answers and answer not in task.answers:
                raise UserError(
                    "bad_data",
                    f"{example.video} is labelled {task.label_name}={answer!r}; "
                    f"the task's answers are {', '.join(task.answers)}.",
                )


def _check_videos(data: Path, examples: Sequence[Example]) -> None:
    missing = [example.video for example in examples if not is_there(data, example)]
    if missing:
        raise UserError(
            "bad_data",
            f"{len(missing)} video(s) of {data} are missing, first {missing[0]}; "
            "paths are relative to that folder.",
        )


def _rows_of(
    video: Video, example: Example, preparation: Preparation, out: Path, cache: ClipCache | None
) -> tuple[list[_Asked], int]:
    """Return what is asked about one video and the number of its segments."""
    made: list[_Asked] = []
    segments = 0
    tasks = [task for task in preparation.tasks if task.label_name in example.labels]
    for task in tasks:
        kept = _questions(video, task, context_of(example), preparation, out, cache)
        segments = len(kept)
        for item in kept:
            start_s, end_s = item["span_s"]
            answer = segment_answer(example, task, start_s, end_s, preparation.rule)
            row = (
                None
                if answer is None
                else with_answer(item["row"], answer) | _of(example, preparation)
            )
            made.append(_Asked(task.id, example.participant, answer, row))
    return made, segments


def _of(example: Example, preparation: Preparation) -> dict[str, str]:
    """Return whose row it is and in which split, for checks; ms-swift drops these columns."""
    # Always the same columns: a reader of JSON lines settles their kinds by the first lines.
    units = {"units": example.labels.get(UNITS_LABEL, UNKNOWN)} if preparation.with_units else {}
    return {
        "participant": example.participant,
        "voice": example.voice or "",
        "split": example.split,
        **units,
    }


def _balanced_rows(asked: Sequence[_Asked], preparation: Preparation) -> list[dict[str, Any]]:
    """Return the rows to train on, the answers of each task balanced as asked for."""
    rows: list[dict[str, Any]] = []
    if preparation.balance == "none":
        return [item.row for item in asked if item.row is not None]
    for task in preparation.tasks:
        usable = [
            (item.row, str(item.answer))
            for item in asked
            if item.task_id == task.id and item.row is not None
        ]
        answers = [answer for _, answer in usable]
        rows += balanced([row for row, _ in usable], answers, preparation.balance, preparation.seed)
    return rows


def _questions(
    video: Video,
    task: Task,
    context: VideoContext,
    preparation: Preparation,
    out: Path,
    cache: ClipCache | None,
) -> list[dict[str, Any]]:
    """Return span and row of each segment, answers blank; from the last time if still there."""
    shaping: dict[str, Any] = {
        "version": ROWS_VERSION,
        "source": video.source.sha256,
        "prompt": task.prompt_hash,
        "sampling": preparation.sampling.facts(),
        "segmenter": [SEGMENTER, preparation.max_seconds],
    }
    told = context.sha256_for(task.context)
    key = sha256_json(shaping | ({"context": told} if told else {}))
    path = out / KEPT / f"{key[:32]}.json"
    if path.is_file():
        kept: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        if all((out / name).is_file() for item in kept for name in media_of(item["row"])):
            return kept
    kept = list(_asked(video, task, context, preparation, out, cache))
    write_json(path, kept)
    return kept


def _asked(
    video: Video,
    task: Task,
    context: VideoContext,
    preparation: Preparation,
    out: Path,
    cache: ClipCache | None,
) -> Iterator[dict[str, Any]]:
    clips = read_cached(video, preparation.sampling, preparation.max_seconds, cache)
    for clip, told in told_with(clips, task.context, context):
        span_s = [clip.segment.start_s, clip.segment.end_s]
        yield {"span_s": span_s, "row": write_row(out, model_input(clip, task, told), answer="")}


def _label_counts(asked: Sequence[_Asked], preparation: Preparation) -> dict[str, Any]:
    """Return the rule, and answers as they fell before balancing, in all and by participant.

    Participants are counted, not named: the manifest travels with the checkpoint.
    """
    answers = Counter(item.answer for item in asked if item.answer is not None)
    by_person: dict[str, Counter[str]] = {}
    for item in asked:
        if item.answer is not None:
            by_person.setdefault(item.participant, Counter())[item.answer] += 1
    spread = {
        answer: dict(sorted(Counter(person[answer] for person in by_person.values()).items()))
        for answer in sorted(answers)
    }
    return {
        "segment_rule": preparation.rule.model_dump(),
        "segments_unclear": sum(item.answer is None for item in asked),
        "answers_before_balance": dict(sorted(answers.items())),
        "balance": preparation.balance,
        "balance_seed": preparation.seed,
        "participants_by_rows": spread,
    }


def _manifest(
    labelled: LabelledSet,
    chosen: Sequence[Example],
    preparation: Preparation,
    rows: Sequence[dict[str, Any]],
    segments: int,
) -> dict[str, Any]:
    answers = Counter(row["messages"][-1]["content"] for row in rows)
    participants = sorted({example.participant for example in chosen})
    wanted = {task.label_name for task in preparation.tasks}
    return {
        "rows": len(rows),
        "videos": len(chosen),
        "segments": segments,
        "answers": dict(sorted(answers.items())),
        "videos_without_label": sum(not wanted & example.labels.keys() for example in chosen),
        "split": preparation.split,
        "videos_by_split": dict(sorted(Counter(item.split for item in labelled.examples).items())),
        "participants": len(participants),
        "participants_sha256": sha256_json(participants),
        "tasks": {task.id: task.prompt_hash for task in preparation.tasks},
        "segmenter": {"name": SEGMENTER, "max_seconds": preparation.max_seconds},
        "sampling": preparation.sampling.facts(),
        "data": {"kind": labelled.kind, "left_out": dict(labelled.left_out)},
        "examples_sha256": labelled.sha256,
        "rows_version": ROWS_VERSION,
    }
