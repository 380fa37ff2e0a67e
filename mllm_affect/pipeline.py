"""From a video file to an answer: the one path that the service and evaluation share.

Does: probe, cut and read, ask an engine a few clips at a time, pool.
Does not: choose or own the engine, know HTTP, or write files.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from mllm_affect.asking import ask_about, asked_ahead, asked_in_batches
from mllm_affect.engine.types import Engine
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.media.images.folder import ImageFolder
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.types import Clip, Source
from mllm_affect.media.video import open_video, read_cached
from mllm_affect.media.warnings import Noted, joined
from mllm_affect.model.profile import ModelProfile
from mllm_affect.scoring.abstention import Remark, media_remarks
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer
from mllm_affect.scoring.rule import Rule, Verdict, rule_for
from mllm_affect.scoring.scoring_file import ScoringFile
from mllm_affect.stopping import Stop
from mllm_affect.tasks.context import Part, Told
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext, told_with

UNSCORED = ScoringFile()
NOTHING_KNOWN: Mapping[int, SegmentAnswer] = {}

PART_NAMES: dict[Part, str] = {
    "asked": "what the person was asked",
    "segment": "what is said in each segment",
    "video": "what is said in the video",
}

OnSegment = Callable[[SegmentAnswer], None]
"""Called with each segment's answer, in order, as soon as it is known."""


def answer_video(
    video: Path | Source | ImageFolder,
    task: Task,
    engine: Engine,
    profile: ModelProfile | None = None,
    max_seconds: float | None = None,
    *,
    context: VideoContext = UNKNOWN,
    scorings: ScoringFile = UNSCORED,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: ClipCache | None = None,
    trusted: bool = False,
    change_clip: Callable[[Clip], Clip] | None = None,
    on_segment: OnSegment | None = None,
    known: Mapping[int, SegmentAnswer] = NOTHING_KNOWN,
    in_flight: int | None = None,
    stop: Stop | None = None,
    on_read: Callable[[], None] | None = None,
) -> VideoAnswer:
    """Answer `task` about every segment of a video and pool the answers.

    `profile`: of the checkpoint that answers; its sampling and longest segment are used and what it
    says about itself becomes a warning.  `max_seconds`: another bound of segments, in seconds, for
    a checkpoint that learned none.  `context`: what was asked and said, which only a task with a
    context tells the model.  `scorings`: its scoring.json, which pools, calibrates and decides
    instead of the task.  `force` lets a checkpoint answer in another wording or about longer or
    shorter segments than it was trained or scored
    with.  `cache`: where decoded clips are kept.  The video is decoded in a process of its own
    unless it is `trusted`.  `change_clip` is applied to every clip before the model sees it (for
    ablations).  `known`: answers by segment index that an earlier, interrupted run gave; these
    segments are not asked about again.  `in_flight`: ask about so many clips at the same time
    while reading goes on, for engines that may be called from several threads; None: a few at a
    time in one call.  `stop`: once set, reading raises StoppedError; the engine looks at it by
    itself (see engine.bounds).  `on_read` is called when nothing of the video is decoded any more,
    while answers may still be waited for.

    Raises UserError for a video or task that cannot be used, EngineError when the engine fails.
    """
    stop = stop or Stop()
    profile = profile or ModelProfile()
    task = profile.fit(task)
    max_seconds = profile.segment_seconds(max_seconds, force)
    if not force:
        profile.refuse_other_prompt(task)
    rule = rule_for(task, scorings, SEGMENTER, max_seconds, force)
    clock = _StageClock()
    answered: list[SegmentAnswer] = []
    with ExitStack() as stack:
        with clock.stage("probe"):
            source, clips = stack.enter_context(
                _opened(video, task, max_seconds, limits, cache, trusted, stop)
            )
        clips = _checked(clips, stop, on_read)
        clips = clock.while_waiting("read", clips)
        noted = Noted()
        clips = noted.passing(clips)
        if change_clip is not None:
            clips = map(change_clip, clips)
        told = told_with(clips, task.context, context)

        def ask(some: Sequence[tuple[Clip, Told]]) -> list[SegmentAnswer]:
            with clock.stage("model"):
                new = ask_about(
                    [clip for clip, _ in some], task, engine, [said for _, said in some]
                )
            if not rule.looks_for_faces:
                return new
            from mllm_affect.media.face.share import face_share

            stop.check()
            with clock.stage("faces"):
                return [
                    segment.with_face_share(face_share(clip.frames_THWC, rule.looks_for_faces))
                    for segment, (clip, _) in zip(new, some, strict=True)
                ]

        asked = (
            asked_in_batches(told, ask, known)
            if in_flight is None
            else asked_ahead(told, ask, known, in_flight)
        )
        for segment in asked:
            answered.append(segment)
            if on_segment is not None and segment.index not in known:
                on_segment(segment)
    verdict = _verdict(task, rule, answered)
    return VideoAnswer(
        answer=verdict.answer,
        abstained=bool(verdict.reasons),
        abstained_because=verdict.reasons,
        probabilities=verdict.probabilities,
        uncalibrated=verdict.uncalibrated,
        calibration=rule.calibration_id,
        temperature=rule.calibration.temperature if rule.calibration else None,
        bias=rule.calibration.bias if rule.calibration else None,
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
        video_stream=source.video_stream,
        audio_stream=source.audio_stream,
        duration_s=sum(part.duration_s for part in answered),
        timings_s=clock.spent(),
        warnings=(
            *media_remarks(joined(source.warnings, noted.warnings)),
            *_remarks(answered, task, context, profile, rule),
        ),
    )


@contextmanager
def _opened(
    video: Path | Source | ImageFolder,
    task: Task,
    max_seconds: float,
    limits: Limits,
    cache: ClipCache | None,
    trusted: bool,
    stop: Stop,
) -> Iterator[tuple[Source, Iterator[Clip]]]:
    """Yield the source and its clips, after the last of which it is closed.

    A known video that is cached is not even opened.
    """
    if isinstance(video, Source) and cache is not None:

        def read(source: Source, *_asked: object) -> Iterator[Clip]:
            with open_video(source, limits, trusted=trusted, stop=stop) as opened:
                yield from opened.read(task.sampling, max_seconds)

        # Closed at once: whoever keeps an error keeps its frames, and with them the process.
        with closing(
            cached_video(video, task.sampling, max_seconds, cache=cache, read=read)
        ) as cached:
            yield video, cached
        return
    with ExitStack() as reading:
        opened = reading.enter_context(open_video(video, limits, trusted=trusted, stop=stop))
        clips = read_cached(opened, task.sampling, max_seconds, cache)
        with closing(clips):
            yield opened.source, _then(clips, reading.close)


def _then(clips: Iterable[Clip], done: Callable[[], None]) -> Iterator[Clip]:
    """Yield the clips, and call `done` after the last one."""
    yield from clips
    done()


def _checked(
    clips: Iterable[Clip], stop: Stop, on_read: Callable[[], None] | None
) -> Iterator[Clip]:
    """Yield the clips until told to stop; call `on_read` after the last one."""
    for clip in clips:
        stop.check()
        yield clip
    if on_read is not None:
        on_read()


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
    """Adds up the wall time of each stage, over all questions in flight."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            with self._lock:
                self._spent[name] = self._spent.get(name, 0.0) + spent

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
