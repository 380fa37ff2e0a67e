"""Answering question files: from rows and clip folders to predictions.

Does: group rows by clip, over all files given; ask the model once about each clip, or scan each
long video once; write all its answers from that.  A clip without usable files gets the fallback,
and its rows say so.  Does not: know how a clip is shown to a model: that is the caller's `ask` or
`scan`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.megc.predictions import Predicted
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder
from mllm_affect.data.megc.question_files import Answer, ClipKey, Question, by_clip
from mllm_affect.data.megc.questions import Asked
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import ClipEvidence, LabelPrior, evidence_of
from mllm_affect.scoring.event_answers import CountForm, answer_video, settle
from mllm_affect.scoring.video_events import DEFAULT_RULE, Event, EventRule, Window, find_events
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task

AskClip = Callable[[ClipFiles, str, Mapping[Asked, Task]], Mapping[Asked, Mapping[str, float]]]
"""Returns the probability of every answer of each task about one clip of a dataset."""

ScanVideo = Callable[[ClipFiles, str], Sequence[Window]]
"""Returns the scores of the windows of one long video of a dataset."""


@dataclass(frozen=True)
class AnsweredVideo:
    """A long video's predictions and the events they rest on."""

    key: ClipKey
    rows: tuple[Predicted, ...]
    events: tuple[Event, ...]


def answer_clips(
    rows: Iterable[Question],
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
    for (dataset, video), of_clip in by_clip(rows).items():
        clip = finder.find(video, dataset=dataset)
        asked = [row.asked for row in of_clip if row.asked is not None]
        scored = ask(clip, dataset, clip_tasks(asked, family)) if clip.usable else {}
        evidence = evidence_of(scored) if clip.usable else ClipEvidence()
        answers = answer_clip(asked, evidence, prior, alone).answers
        yield _predicted(of_clip, answers, clip)


def answer_videos(
    rows: Iterable[Question],
    finder: ClipFinder,
    scan: ScanVideo,
    form: CountForm,
    rule: EventRule = DEFAULT_RULE,
) -> Iterator[AnsweredVideo]:
    """Yield the predictions and events of one long video after another.

    A video has at least as many events as the largest number that any of its rows asks about.  A
    video that cannot be shown has these alone, and is marked as a fallback.
    """
    for key, of_video in by_clip(rows).items():
        dataset, video = key
        clip = finder.find(video, dataset=dataset)
        asked = [row.asked for row in of_video if row.asked is not None]
        found = find_events(scan(clip, dataset), rule) if clip.usable else []
        profile = settle(asked, found, rule)
        answers = answer_video(asked, profile, form)
        yield AnsweredVideo(key, tuple(_predicted(of_video, answers, clip)), profile.events)


def _predicted(
    rows: Sequence[Question], answers: Sequence[Answer], clip: ClipFiles
) -> list[Predicted]:
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
            video=row.video,
        )
        for row in rows
    ]
