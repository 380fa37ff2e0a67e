"""Answering whole question files: from rows and clip folders to predictions.

Does: group rows by clip, have each clip asked once, write all its answers from what was said; a
missing clip gets the fallback and says so.  Does not: know how a clip is shown to a model: that is
the caller's `ask` or `scan`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.megc.predictions import Predicted
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder
from mllm_affect.data.megc.question_files import Answer, Question, QuestionFile
from mllm_affect.data.megc.questions import Asked
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import ClipEvidence, LabelPrior, evidence_of
from mllm_affect.scoring.event_answers import CountForm, answer_video, settle
from mllm_affect.scoring.video_events import DEFAULT_RULE, Event, EventRule, Window, find_events
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task

AskClip = Callable[[ClipFiles, Mapping[Asked, Task]], Mapping[Asked, Mapping[str, float]]]
"""Returns the probability of every answer of each task about one clip."""

ScanVideo = Callable[[ClipFiles], Sequence[Window]]
"""Returns the scores of a long video's windows."""


@dataclass(frozen=True)
class AnsweredVideo:
    """A long video's predictions and the events they rest on."""

    video: str
    rows: tuple[Predicted, ...]
    events: tuple[Event, ...]


def answer_clips(
    file: QuestionFile,
    finder: ClipFinder,
    family: Family,
    ask: AskClip,
    prior: LabelPrior | None = None,
    alone: bool = False,
) -> Iterator[list[Predicted]]:
    """Yield the predictions of one clip after another; `alone` answers each question by itself.

    A clip that cannot be shown is answered from `prior` and marked as a fallback.  Raises UserError
    `contradicting_questions`, and what `ask` raises.
    """
    for rows in _by_video(file):
        clip = finder.find(rows[0].video)
        asked = [row.asked for row in rows if row.asked is not None]
        scored = ask(clip, clip_tasks(asked, family)) if clip.usable else {}
        evidence = evidence_of(scored) if clip.usable else ClipEvidence()
        answers = answer_clip(asked, evidence, prior, alone).answers
        yield _rows(rows, answers, clip)


def answer_videos(
    file: QuestionFile,
    finder: ClipFinder,
    scan: ScanVideo,
    form: CountForm,
    rule: EventRule = DEFAULT_RULE,
) -> Iterator[AnsweredVideo]:
    """Yield the predictions and events of one long video after another.

    A video that cannot be shown has no events but those that its questions presuppose, and is
    marked as a fallback.
    """
    for rows in _by_video(file):
        clip = finder.find(rows[0].video)
        asked = [row.asked for row in rows if row.asked is not None]
        found = find_events(scan(clip), rule) if clip.usable else []
        profile = settle(asked, found, rule)
        answers = answer_video(asked, profile, form)
        yield AnsweredVideo(rows[0].video, tuple(_rows(rows, answers, clip)), profile.events)


def _by_video(file: QuestionFile) -> list[list[Question]]:
    groups: dict[str, list[Question]] = {}
    for row in file.rows:
        groups.setdefault(row.video_id, []).append(row)
    return list(groups.values())


def _rows(rows: Sequence[Question], answers: Sequence[Answer], clip: ClipFiles) -> list[Predicted]:
    """Pair questions with answers; a question of unknown wording gets none."""
    left = iter(answers)
    return [
        Predicted(
            dataset=row.dataset,
            video_id=row.video_id,
            question=row.text,
            answer=next(left) if row.asked is not None else None,
            clip=clip.state,
            fallback=not clip.usable,
        )
        for row in rows
    ]
