"""Decoding a stranger's video in a throw-away process.

Does: start a fresh Python for one file, hand it the open descriptor, check everything that comes
back, turn its crash, hang or hunger into one clear UserError, start it once more where it was
killed, and end it.
Does not: parse any byte of the file in this process (it sniffs and hashes), or decide for callers
whether to trust a file (see video).
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mllm_affect.files import sha256_descriptor
from mllm_affect.media.cutting import MAX_SECONDS, bound_ticks
from mllm_affect.media.decoding.clock_restarts import TimestampShifts
from mllm_affect.media.decoding.opening import open_file, sniff_descriptor
from mllm_affect.media.isolation import wire
from mllm_affect.media.isolation.checking import (
    check_answered,
    check_clip,
    check_segments,
    check_times,
)
from mllm_affect.media.isolation.decoding_process import DecodingProcess, KilledError
from mllm_affect.media.isolation.sandbox import SandboxLayers
from mllm_affect.media.limits import DEFAULT_CHILD_LIMITS, DEFAULT_LIMITS, ChildLimits, Limits
from mllm_affect.media.parts import AnyPart, Parts, SoundPart
from mllm_affect.media.probe import MICROSECOND, check_size
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.sampling.picture_size import model_size
from mllm_affect.media.types import Clip, Sampling, Segment, Source
from mllm_affect.stopping import Stop
from mllm_affect.tracing import begin

PAUSE_SECONDS = 0.5
"""Between a process that was killed and the next one."""


def probe(path: Path, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Return the facts of a video file, found by a process of its own.

    Symbolic links are refused.  Raises UserError as `probe.probe` does, and `symbolic_link`,
    `media_crashed`, `media_killed`, `media_too_slow`, `media_too_big`.
    """
    with IsolatedVideo(path, limits) as video:
        return video.source


def segment(source: Source, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
    """Cut a source as `segment.segment` does, in a process of its own."""
    with IsolatedVideo(source) as video:
        return video.segment(max_seconds)


def read_video(
    source: Source,
    sampling: Sampling,
    max_seconds: float = MAX_SECONDS,
    parts: Sequence[AnyPart] = (),
) -> Iterator[Clip]:
    """Cut and read a source as `reader.read_video` does, in a process of its own.

    A part of frames is made there and must travel (see wire); what it has to load, it loads in a
    method `prepare()`, called before the process may open no file any more.  Parts of sound are
    made here.
    """
    with IsolatedVideo(source, parts=parts) as video:
        yield from video.read(sampling, max_seconds)


def read_clips(
    source: Source,
    segments: Sequence[Segment],
    sampling: Sampling,
    parts: Sequence[AnyPart] = (),
) -> Iterator[Clip]:
    """Read these segments as `reader.read_clips` does, in a process of its own."""
    with IsolatedVideo(source, parts=parts) as video:
        yield from video.read_segments(segments, sampling)


def sandbox_layers() -> SandboxLayers:
    """Return what confines such a process on this machine."""
    with tempfile.TemporaryFile() as nothing:
        process = DecodingProcess("nothing", nothing.fileno(), DEFAULT_CHILD_LIMITS)
        try:
            return process.begin((), DEFAULT_LIMITS)
        finally:
            process.end()


class IsolatedVideo:
    """A video file and the process that decodes it; a context manager that ends the process.

    `sandbox`: what confines the process.  `source`: the facts of the file, probed on entering
    unless it was made from a Source.  Once `stop` is set, whatever waits for the process raises
    StoppedError.
    """

    source: Source
    sandbox: SandboxLayers

    def __init__(
        self,
        video: Path | Source,
        limits: Limits = DEFAULT_LIMITS,
        parts: Sequence[AnyPart] = (),
        child_limits: ChildLimits = DEFAULT_CHILD_LIMITS,
        stop: Stop | None = None,
    ) -> None:
        self._stop = stop
        self._known = video if isinstance(video, Source) else None
        self._path = video.path if isinstance(video, Source) else Path(video)
        self._limits, self._child_limits = limits, child_limits
        self.parts = tuple(dict.fromkeys(parts))
        self._frame_parts = [part for part in self.parts if not isinstance(part, SoundPart)]
        self._descriptor = -1
        self._process: DecodingProcess | None = None
        self._prepared: tuple[AnyPart, ...] = ()
        self._was_killed = False
        self._end_span: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._end_span = begin("decode")
        self._descriptor = open_file(self._path, follow_links=False)
        try:
            size = check_size(self._descriptor, self._path.name, self._limits)
            sniff_descriptor(self._descriptor, self._path.name)
            if self._known is not None and size != self._known.size_bytes:
                raise MediaError("source_changed", self._path.name)
            self._start()
            self.source = self._known or self._probed(size)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._end_span()
        if self._process is not None:
            self._process.end()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def segment(self, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
        """Cut it; see `segment.segment`."""
        bound_ticks(max_seconds, MICROSECOND)
        # It comes in one piece, after every frame was decoded.
        patience_s = self._child_limits.clip_seconds + self.source.duration_s
        (message,) = self._ask("segment", patience_s, max_seconds=max_seconds)
        with self._running().suspicion():
            found: tuple[Segment, ...] = wire.rebuild(
                message.value, tuple[Segment, ...], message.arrays
            )
            check_segments(found, self.source, max_seconds, self._limits)
        return found

    def frame_times(self) -> NDArray[np.float64]:
        """Return the timestamp of every frame in seconds, in order."""
        patience_s = self._child_limits.clip_seconds + self.source.duration_s
        (message,) = self._ask("frame_times", patience_s)
        with self._running().suspicion():
            hint = NDArray[np.float64]
            times_T: NDArray[np.float64] = wire.rebuild(
                message.value, hint, message.arrays, "times_T"
            )
            check_times(times_T, self._limits)
        return times_T

    def moves(self) -> TimestampShifts:
        """Return how packets are moved where time is counted anew."""
        (message,) = self._ask("moves", self._child_limits.clip_seconds)
        with self._running().suspicion():
            found: TimestampShifts = wire.rebuild(message.value, TimestampShifts, message.arrays)
        return found

    def read(self, sampling: Sampling, max_seconds: float = MAX_SECONDS) -> Iterator[Clip]:
        """Cut and read it; see `reader.read_video`."""
        bound_ticks(max_seconds, MICROSECOND)
        yield from self._clips("read_video", sampling, max_seconds, {"max_seconds": max_seconds})

    def read_segments(self, segments: Sequence[Segment], sampling: Sampling) -> Iterator[Clip]:
        """Read these segments of it; see `reader.read_clips`."""
        plain = [wire.plain(item) for item in segments]
        longest = max((item.duration_s for item in segments), default=MAX_SECONDS)
        yield from self._clips("read_clips", sampling, longest, {"segments": plain})

    def _clips(
        self, call: str, sampling: Sampling, max_seconds: float, asked: dict[str, Any]
    ) -> Iterator[Clip]:
        model_size(self.source.width, self.source.height, sampling.max_pixels)
        self._be_ready_for(sampling)
        sound_parts = [part for part in self.parts if isinstance(part, SoundPart)]
        listeners = {part: part.listen(self.source) for part in sound_parts}
        before: Segment | None = None
        patience_s = self._child_limits.clip_seconds
        for message in self._ask(call, patience_s, sampling=wire.plain(sampling), **asked):
            with self._running().suspicion():
                clip = wire.rebuild_clip(message.value, sampling, self._frame_parts, message.arrays)
                check_clip(clip, before, self.source, max_seconds, self._limits)
            before = clip.segment
            made: dict[AnyPart, Any] = {part: clip.parts[part] for part in self._frame_parts}
            for part, listener in listeners.items():
                made[part] = listener.hear(clip.segment, clip.audio_S)
            yield replace(clip, parts=Parts(made))

    def _probed(self, size: int) -> Source:
        (message,) = self._ask("probe", self._child_limits.probe_seconds)
        with self._running().suspicion():
            found: Source = wire.rebuild(message.value, Source, message.arrays)
            found = replace(found, path=self._path, size_bytes=size)
            check_answered(found, self._limits)
        return replace(found, sha256=sha256_descriptor(self._descriptor))

    def _start(self, prepared: Sequence[AnyPart] = ()) -> None:
        self._prepared = tuple(prepared)
        try:
            self._start_once()
        except KilledError as error:
            self._start_again(error)

    def _start_once(self) -> None:
        self._process = DecodingProcess(
            self._path.name, self._descriptor, self._child_limits, self._stop
        )
        self.sandbox = self._process.begin(self._frame_parts, self._limits, self._prepared)
        if self._limits.full_sandbox and self.sandbox.missing:
            self._process.end()
            missing = ", ".join(self.sandbox.missing)
            raise MediaError("sandbox_missing", self._path.name, layers=missing)

    def _start_again(self, killed: KilledError) -> None:
        """Start a new process after one was killed, once a video; then raises the KilledError.

        The kernel kills for lack of memory, which other work may have taken; a video that made its
        decoder fail in any other way is not tried again.
        """
        if self._was_killed:
            raise killed
        self._was_killed = True
        time.sleep(PAUSE_SECONDS)
        self._start_once()

    def _be_ready_for(self, sampling: Sampling) -> None:
        """Have a process that loaded what the sampling needs; once confined it can load nothing."""
        if sampling.face_only and not self._prepared:
            self._running().end()
            self._start([ModelFrames(sampling)])

    def _ask(self, call: str, patience_s: float, **asked: Any) -> Iterator[wire.Message]:
        """Yield the values of one answer, each once, also when the process is killed in between.

        Raises UserError where the process says or does so.
        """
        given = 0
        try:
            for message in self._ask_once(call, patience_s, **asked):
                given += 1
                yield message
            return
        except KilledError as error:
            self._start_again(error)
        yield from itertools.islice(self._ask_once(call, patience_s, **asked), given, None)

    def _ask_once(self, call: str, patience_s: float, **asked: Any) -> Iterator[wire.Message]:
        process = self._running()
        if call != "probe":
            process.allow_cpu(self.source.duration_s)
            asked["source"] = wire.plain(self.source)
        process.send({"call": call, **asked})
        while (message := process.receive(patience_s)).kind == "value":
            yield message
        if message.kind == "end":
            return
        raise process.failure(message)

    def _running(self) -> DecodingProcess:
        if self._process is None:
            raise ValueError("The video is not open.")
        return self._process
