"""One question about one video, of the challenge or any other, answered as files of them are.

Does: answer the challenge's questions from one profile of the clip or from the events found in a
long video, any other by the pipeline.  Does not: know HTTP, or read question files.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mllm_affect import pipeline
from mllm_affect.data.megc.questions import VQA, Asked, Kind
from mllm_affect.engine.types import Engine
from mllm_affect.expressions.asking import ask_clip
from mllm_affect.expressions.questions import asked_by
from mllm_affect.expressions.scanning import scan, window_tasks
from mllm_affect.expressions.sources import shown_clip
from mllm_affect.expressions.windows import overlapping, scanned
from mllm_affect.media.cutting import MAX_SECONDS, SEGMENTER
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.types import Sampling, Source
from mllm_affect.media.video import Video, open_video
from mllm_affect.media.warnings import Noted, Warnings, joined
from mllm_affect.model.profile import ModelProfile
from mllm_affect.scoring import event_answers
from mllm_affect.scoring.abstention import Remark, media_remarks
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import ClipEvidence, evidence_of
from mllm_affect.scoring.video_events import DEFAULT_RULE, Event, find_events
from mllm_affect.stopping import Stop
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task

POOLING = "profile"


def answer_video(
    video: Path | Source,
    task: Task,
    engine: Engine,
    profile: ModelProfile | None = None,
    *,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    trusted: bool = False,
    on_segment: pipeline.OnSegment | None = None,
    known: Mapping[int, SegmentAnswer] = pipeline.NOTHING_KNOWN,
    stop: Stop | None = None,
    on_read: Callable[[], None] | None = None,
    **others: Any,
) -> VideoAnswer:
    """Answer any task about a video; `others` are the pipeline's and mean nothing to a profile.

    A question of the challenge has as `segments` what its answer rests on: the clip that was
    looked at, or the events, each with its times; they are known together, at the end.  Raises as
    `pipeline.answer_video`.
    """
    found = asked_by(task)
    if found is None:
        return pipeline.answer_video(
            video, task, engine, profile, force=force, limits=limits, trusted=trusted,
            on_segment=on_segment, known=known, stop=stop, on_read=on_read, **others,
        )  # fmt: skip
    family, asked = found
    profile = profile or ModelProfile()
    if not force:
        for kind in family.kinds:
            profile.refuse_other_prompt(family.task(kind))
    started = perf_counter()
    with ExitStack() as reading:
        opened = reading.enter_context(open_video(video, limits, trusted=trusted, stop=stop))
        source = opened.source

        def done() -> None:
            reading.close()
            if on_read is not None:
                on_read()

        answer = _about_clip if asked.kind in VQA else _about_events
        told = answer(opened, family, asked, engine, profile, done)
    for segment in told.segments:
        if on_segment is not None and segment.index not in known:
            on_segment(segment)
    return VideoAnswer(
        answer=told.answer,
        probabilities=dict(told.probabilities),
        uncalibrated=dict(told.probabilities),
        segments=told.segments,
        task=task.id,
        question=task.question,
        prompt_hash=task.prompt_hash,
        pooling=POOLING,
        positive=None,
        threshold=DEFAULT_RULE.threshold,
        model=engine.model_id,
        sampling=told.sampling,
        segmenter=SEGMENTER,
        max_seconds=MAX_SECONDS,
        source_sha256=source.sha256,
        video_stream=source.video_stream,
        audio_stream=source.audio_stream,
        duration_s=source.duration_s,
        timings_s={"total": round(perf_counter() - started, 3)},
        warnings=(*media_remarks(joined(source.warnings, told.warnings)), *_remarks(profile)),
    )


@dataclass(frozen=True)
class _Told:
    answer: str
    probabilities: Mapping[str, float]
    segments: tuple[SegmentAnswer, ...]
    sampling: Sampling
    warnings: Warnings


def _about_clip(
    video: Video,
    family: Family,
    asked: Asked,
    engine: Engine,
    profile: ModelProfile,
    done: Callable[[], None],
) -> _Told:
    tasks = {key: profile.fit(task) for key, task in clip_tasks([asked], family).items()}
    sampling = next(iter(tasks.values())).sampling
    noted = Noted()
    clip = shown_clip(noted.passing(video.read(sampling)), family)
    done()
    evidence = evidence_of(ask_clip(clip, tasks, engine))
    (answer,) = answer_clip([asked], evidence).answers
    probabilities = _own_probabilities(asked, evidence)
    span = clip.segment
    segment = SegmentAnswer(
        index=0, start_s=span.start_s, end_s=span.end_s, has_audio=False, answer=answer,
        probabilities=dict(probabilities),
    )  # fmt: skip
    return _Told(answer, probabilities, (segment,), sampling, noted.warnings)


def _own_probabilities(asked: Asked, evidence: ClipEvidence) -> Mapping[str, float]:
    """Return what the model says of this question alone; empty for lists and sentences."""
    if asked.kind is Kind.unit_shown and asked.unit is not None:
        shown = evidence.shown[asked.unit]
        return {"yes": shown, "no": 1.0 - shown}
    if asked.kind is Kind.unit_side and asked.unit is not None:
        return evidence.side[asked.unit]
    of_kind = {Kind.coarse: evidence.coarse, Kind.fine: evidence.fine, Kind.unit: evidence.only}
    return of_kind.get(asked.kind, {})


def _about_events(
    video: Video,
    family: Family,
    asked: Asked,
    engine: Engine,
    profile: ModelProfile,
    done: Callable[[], None],
) -> _Told:
    sampling = profile.fit(family.task("event_here")).sampling
    noted = Noted()
    clips = noted.passing(video.read(scanned(family.scan, sampling)))
    windows = overlapping(clips, family.scan, sampling)
    tasks = window_tasks(family, profile.other_units)
    found = scan(windows, tasks, engine)
    done()
    events = find_events(found)
    settled = event_answers.settle([asked], events)
    (answer,) = event_answers.answer_video([asked], settled, "string")
    shown = tuple(_as_segments(settled.events))
    return _Told(str(answer), {}, shown, sampling, noted.warnings)


def _as_segments(events: Sequence[Event]) -> list[SegmentAnswer]:
    return [
        SegmentAnswer(
            index=number, start_s=event.onset_s, end_s=event.offset_s, has_audio=False,
            answer=event.type, probabilities={event.type: event.probability},
        )
        for number, event in enumerate(events)
    ]  # fmt: skip


def _remarks(profile: ModelProfile) -> tuple[Remark, ...]:
    if not profile.note:
        return ()
    return (Remark(code=f"model_{profile.kind.replace('-', '_')}", sentence=profile.note),)
