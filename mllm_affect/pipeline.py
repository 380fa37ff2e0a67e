"""From a video file to an answer: the one path that the service and evaluation share.

Does: probe, cut and read, ask an engine a few clips at a time, pool.
Does not: choose or own the engine, know HTTP, or write files.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from mllm_affect.engine.types import Engine
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.cutting import MAX_SECONDS, SEGMENTER
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.types import Clip, Source
from mllm_affect.media.video import open_video, read_cached
from mllm_affect.model.profile import ModelProfile
from mllm_affect.scoring.abstention import Remark
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer, segment_answer
from mllm_affect.scoring.rule import Rule, Verdict, rule_for
from mllm_affect.scoring.scoring_file import ScoringFile
from mllm_affect.tasks.context import NOTHING, Part, Told
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext, told_with

CLIPS_AT_ONCE = 8
"""Clips in memory and in flight for one video."""

UNSCORED = ScoringFile()

PART_NAMES: dict[Part, str] = {
    "asked": "what the person was asked",
    "segment": "what is said in each segment",
    "video": "what is said in the video",
}

OnSegment = Callable[[SegmentAnswer], None]
"""Called with each segment's answer, in order, as soon as it is known."""


def answer_video(
    video: Path | Source,
    task: Task,
    engine: Engine,
    profile: ModelProfile | None = None,
    max_seconds: float = MAX_SECONDS,
    *,
    context: VideoContext = UNKNOWN,
    scorings: ScoringFile = UNSCORED,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: ClipCache | None = None,
    trusted: bool = False,
    change_clip: Callable[[Clip], Clip] | None = None,
    on_segment: OnSegment | None = None,
) -> VideoAnswer:
    """Answer `task` about every segment of a video and pool the answers.

    `profile`: of the checkpoint that answers; its sampling is used and what it says about itself
    becomes a warning.  `context`: what was asked and said, which only a task with a context tells
    the model.  `scorings`: its scoring.json, which pools, calibrates and decides instead
    of the task.  `force` lets a checkpoint answer in another wording than it was trained or scored
    with.  `cache`: where decoded clips are kept.  The video is decoded in a process of its own
    unless it is `trusted`.  `change_clip` is applied to every clip before the model sees it (for
    ablations).  Raises UserError for a video or task that cannot be used, EngineError when the
    engine fails.
    """
    profile = profile or ModelProfile()
    task = profile.fit(task)
    if not force:
        profile.refuse_other_prompt(task)
    rule = rule_for(task, scorings, SEGMENTER, max_seconds, force)
    clock = _StageClock()
    answered: list[SegmentAnswer] = []
    with ExitStack() as stack:
        with clock.stage("probe"):
            opened = stack.enter_context(open_video(video, limits, trusted=trusted))
        source = opened.source
        read = read_cached(opened, task.sampling, max_seconds, cache)
        clips = clock.while_waiting("read", read)
        if change_clip is not None:
            clips = map(change_clip, clips)
        told = told_with(clips, task.context, context)
        while some := list(islice(told, CLIPS_AT_ONCE)):
            with clock.stage("model"):
                new = ask_about(
                    [clip for clip, _ in some], task, engine, [said for _, said in some]
                )
            answered += new
            if on_segment is not None:
                for segment in new:
                    on_segment(segment)
    verdict = _verdict(task, rule, answered)
    return VideoAnswer(
        answer=verdict.answer,
        abstained=bool(verdict.reasons),
        abstained_because=verdict.reasons,
        probabilities=verdict.probabilities,
        uncalibrated=verdict.uncalibrated,
        calibration=rule.calibration_id,
        segments=tuple(answered),
        task=task.id,
        question=task.question,
        prompt_hash=task.prompt_hash,
        context_sha256=context.sha256_for(task.context),
        pooling=rule.pooling,
        positive=rule.positive,
        threshold=rule.threshold,
        model=engine.model_id,
        sampling=task.sampling,
        segmenter=SEGMENTER,
        max_seconds=max_seconds,
        source_sha256=source.sha256,
        duration_s=sum(part.duration_s for part in answered),
        timings_s=clock.spent(),
        warnings=tuple(_remarks(answered, task, context, profile, rule)),
    )


def ask_about(
    clips: Sequence[Clip], task: Task, engine: Engine, told: Sequence[Told] | None = None
) -> list[SegmentAnswer]:
    """Return the engine's answers about some clips, in order; `told`: what is known of each."""
    known = told or [NOTHING] * len(clips)
    inputs = [model_input(clip, task, said) for clip, said in zip(clips, known, strict=True)]
    if not task.answers:
        texts = engine.generate(inputs, task.max_new_tokens)
        return [
            segment_answer(clip, task, text, {}) for clip, text in zip(clips, texts, strict=True)
        ]
    scores = engine.score(inputs, task.answers)
    return [
        segment_answer(clip, task, scored.best, scored.probabilities)
        for clip, scored in zip(clips, scores, strict=True)
    ]


def _verdict(task: Task, rule: Rule, answered: Sequence[SegmentAnswer]) -> Verdict:
    """Return the video's answer from its segments' (at least one)."""
    if not task.answers:
        return Verdict(answered[0].answer if len(answered) == 1 else None, {}, {})
    return rule.verdict(
        [part.probabilities for part in answered],
        [part.duration_s for part in answered],
        [part.quality for part in answered if part.quality is not None],
    )


def _remarks(
    answered: Sequence[SegmentAnswer],
    task: Task,
    context: VideoContext,
    profile: ModelProfile,
    rule: Rule,
) -> Iterator[Remark]:
    """Yield what the reader of the answer should know."""
    silent = sum(not part.has_audio for part in answered)
    if silent == len(answered):
        yield Remark(
            code="no_audio",
            sentence="The video has no sound; the answer rests on pictures alone.",
        )
    elif silent:
        yield Remark(
            code="partly_no_audio",
            sentence=f"{silent} of {len(answered)} segments have no sound.",
        )
    told = task.context.parts if task.context else ()
    missing = [PART_NAMES[part] for part in told if not context.known(part)]
    if missing:
        yield Remark(
            code="context_missing",
            sentence=f"The task tells the model {' and '.join(missing)}, which is not known here.",
        )
    if not task.answers and len(answered) > 1:
        yield Remark(
            code="answers_by_segment",
            sentence="Free text is given for each segment and not joined.",
        )
    if task.positive is not None and rule.calibration_id is None:
        yield Remark(
            code="uncalibrated",
            sentence="The probability is the model's own, pooled as the task says; it was not "
            "calibrated on labelled videos.",
        )
    known = profile.prompt_hashes
    if known and task.prompt_hash not in known.values():
        yield Remark(
            code="unfamiliar_question",
            sentence="The model was not trained on this wording; it knows "
            f"{', '.join(sorted(known))}.",
        )
    if profile.note:
        yield Remark(code=f"model_{profile.kind.replace('-', '_')}", sentence=profile.note)


class _StageClock:
    """Adds up the wall time of each stage."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - begun

    def while_waiting(self, name: str, clips: Iterable[Clip]) -> Iterator[Clip]:
        """Time only the waiting for each clip."""
        waiting = iter(clips)
        while True:
            with self.stage(name):
                clip = next(waiting, None)
            if clip is None:
                return
            yield clip

    def spent(self) -> dict[str, float]:
        """Return seconds per stage and in all, to the millisecond."""
        total = time.perf_counter() - self._started
        return {name: round(value, 3) for name, value in (*self._spent.items(), ("total", total))}
