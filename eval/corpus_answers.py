"""Answers about every video of a corpus, kept as they come, as one file in the end.

Does: ask through the pipeline with several videos in flight, keep a journal beside the table so
that a stopped run goes on, write a table or predictions.  Does not: need labels, or measure (see
run).

The journal's first line names what the answers depend on; a journal of another checkpoint or task
is refused rather than mixed.  A video that cannot be used has a line too, with its code.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from eval.corpus_predictions import check_predictable, prediction_of
from eval.predictions import SETTINGS_NAME, write_predictions
from mllm_affect.data.corpus import Corpus
from mllm_affect.data.footage import Footage
from mllm_affect.errors import UserError
from mllm_affect.exports.analysis import Analysis
from mllm_affect.exports.table import CORPUS_FORMATS, write_tables
from mllm_affect.files import write_json
from mllm_affect.safe_text import json_text
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext, context_of

Ask = Callable[[Footage, Task, VideoContext], VideoAnswer]
"""Asks one task about one video, of which so much is known."""

PREDICTIONS = ".jsonl"
"""The ending of a predictions file's name."""

Advance = Callable[[int, int], None]
Line = dict[str, Any]


@dataclass(frozen=True)
class CorpusPlan:
    """What is asked about which videos; `settings` are what the answers depend on.

    `run_settings`: what is written beside predictions as run.json.
    """

    corpus: Corpus
    tasks: tuple[Task, ...]
    output: Path
    settings: dict[str, Any]
    videos_at_once: int = 1
    run_settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusRun:
    """What became of it: answers, refusals by video, and how many were there before."""

    answered: int
    refused: dict[str, str]
    answered_before: int


def answer_corpus(plan: CorpusPlan, ask: Ask, advance: Advance) -> CorpusRun:
    """Ask every task about every video that the journal does not know, then write the file.

    Raises UserError `bad_output` for a file of another kind or a journal of another run,
    `bad_options` and `free_text_task` for tasks that make no predictions file, and EngineError
    when the engine fails; the journal keeps what was answered until then.
    """
    if plan.output.suffix not in (*CORPUS_FORMATS, PREDICTIONS):
        known = ", ".join((*CORPUS_FORMATS, PREDICTIONS))
        raise UserError("bad_output", f"{plan.output.name} is no table; end its name in {known}.")
    if plan.output.suffix == PREDICTIONS:
        check_predictable(plan.tasks)
    journal = plan.output.with_name(f"{plan.output.name}.journal.jsonl")
    lines = _lines_of(journal, plan)
    before = len(lines)
    wanted = [(video, task) for video in plan.corpus.videos for task in plan.tasks]
    open_questions = [pair for pair in wanted if (pair[0], pair[1].id) not in lines]
    advance(before, len(wanted))
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a", encoding="utf-8") as kept:
        if not before and not journal.stat().st_size:
            kept.write(json_text({"settings": plan.settings}) + "\n")
        for line in _answered(plan, ask, open_questions):
            kept.write(json_text(line) + "\n")
            kept.flush()
            lines[line["video"], line["task"]] = line
            advance(len(lines), len(wanted))
    found = [lines[video, task.id] for video, task in wanted]
    answered = [line for line in found if "answer" in line]
    _write(plan, found)
    refused = {line["video"]: line["code"] for line in found if "code" in line}
    return CorpusRun(len(answered), refused, before)


def _write(plan: CorpusPlan, lines: Sequence[Line]) -> None:
    if plan.output.suffix == PREDICTIONS:
        examples, (task,) = plan.corpus.examples, plan.tasks
        write_json(plan.output.parent / SETTINGS_NAME, dict(plan.run_settings))
        write_predictions(
            plan.output, [prediction_of(one, task, examples.get(one["video"])) for one in lines]
        )
        return
    answers = [
        Analysis(one["video"], (VideoAnswer.model_validate(one["answer"]),))
        for one in lines
        if "answer" in one
    ]
    write_tables(answers, plan.output)


def _answered(plan: CorpusPlan, ask: Ask, questions: Sequence[tuple[str, Task]]) -> Iterator[Line]:
    """Yield a line for each question as it is answered, so many in flight."""
    waiting = iter(questions)
    with ThreadPoolExecutor(plan.videos_at_once) as pool:

        def start(count: int) -> set[Future[Line]]:
            return {
                pool.submit(_one, plan, ask, video, task) for video, task in islice(waiting, count)
            }

        running = start(plan.videos_at_once)
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= start(len(done))
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one(plan: CorpusPlan, ask: Ask, video: str, task: Task) -> Line:
    example = plan.corpus.examples.get(video)
    try:
        context = UNKNOWN if example is None else context_of(example)
        answer = ask(plan.corpus.footage(video), task, context)
    except UserError as error:
        return {"video": video, "task": task.id, "code": error.code, "sentence": error.sentence}
    return {"video": video, "task": task.id, "answer": answer.as_dict()}


def _lines_of(journal: Path, plan: CorpusPlan) -> dict[tuple[str, str], Line]:
    """Return the lines of an earlier run; one that a crash cut off is asked about again."""
    if not journal.exists():
        return {}
    found: dict[tuple[str, str], Line] = {}
    whole = journal.read_text(encoding="utf-8").split("\n")
    first = _parsed(whole[0])
    if first is None:
        journal.unlink()  # it broke off within its first line: nothing was answered
        return {}
    if first.get("settings") != plan.settings:
        raise UserError(
            "bad_output",
            f"{journal.name} holds answers of another checkpoint or task; name another --output.",
        )
    for text in whole[1:-1]:
        line = _parsed(text)
        if line is not None:
            found[line["video"], line["task"]] = line
    if whole[-1]:  # end the line that was cut off, so that the next one is whole
        with journal.open("a", encoding="utf-8") as kept:
            kept.write("\n")
    return found


def _parsed(text: str) -> Line | None:
    try:
        value: Line = json.loads(text)
    except ValueError:
        return None
    return value
