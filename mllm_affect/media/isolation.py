"""Decoding a stranger's video in a throw-away process.

Does: start a fresh Python for one file, hand it the open descriptor, check everything that comes
back, turn its crash, hang or hunger into one clear UserError, and end it.
Does not: parse any byte of the file in this process (it sniffs and hashes), or decide for callers
whether to trust a file (see video).

The process is a bare `python -I -S` with an empty environment whose import path is this process's
own; it confines itself (see sandbox) before it looks at the file.
"""

import json
import math
import os
import resource
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mllm_affect.files import sha256_descriptor
from mllm_affect.media import wire
from mllm_affect.media.bare_python import bare_python
from mllm_affect.media.checking import check_answered, check_clip, check_segments, check_times
from mllm_affect.media.cutting import MAX_SECONDS, bound_ticks
from mllm_affect.media.limits import DEFAULT_CHILD_LIMITS, DEFAULT_LIMITS, ChildLimits, Limits
from mllm_affect.media.opening import open_file, sniff_descriptor
from mllm_affect.media.parts import AnyPart, Parts, SoundPart
from mllm_affect.media.probe import MICROSECOND, check_size
from mllm_affect.media.refusals import SENTENCES, Fact, MediaError
from mllm_affect.media.sampling import model_size
from mllm_affect.media.sandbox import Walls
from mllm_affect.media.types import Clip, Sampling, Segment, Source

START_SECONDS = 30.0
"""Importing may be slow on a busy machine; no byte of the file is involved yet."""

PIPE_BYTES = 1 << 20


def probe(path: Path, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Return the facts of a video file, found by a process of its own.

    Symbolic links are refused.  Raises UserError as `probe.probe` does, and `symbolic_link`,
    `media_crashed`, `media_too_slow`, `media_too_big`.
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


def walls() -> Walls:
    """Return what confines such a process on this machine."""
    with tempfile.TemporaryFile() as nothing:
        process = _Process("nothing", nothing.fileno(), DEFAULT_CHILD_LIMITS)
        try:
            return process.begin((), DEFAULT_LIMITS)
        finally:
            process.end()


class IsolatedVideo:
    """A video file and the process that decodes it; a context manager that ends the process.

    `walls`: what confines the process.  `source`: the facts of the file, probed on entering unless
    it was made from a Source.
    """

    source: Source
    walls: Walls

    def __init__(
        self,
        video: Path | Source,
        limits: Limits = DEFAULT_LIMITS,
        parts: Sequence[AnyPart] = (),
        child_limits: ChildLimits = DEFAULT_CHILD_LIMITS,
    ) -> None:
        self._known = video if isinstance(video, Source) else None
        self._path = video.path if isinstance(video, Source) else Path(video)
        self._limits, self._child_limits = limits, child_limits
        self._parts = tuple(dict.fromkeys(parts))
        self._frame_parts = [part for part in self._parts if not isinstance(part, SoundPart)]
        self._descriptor = -1
        self._process: _Process | None = None

    def __enter__(self) -> Self:
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
        sound_parts = [part for part in self._parts if isinstance(part, SoundPart)]
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

    def _start(self) -> None:
        self._process = _Process(self._path.name, self._descriptor, self._child_limits)
        self.walls = self._process.begin(self._frame_parts, self._limits)

    def _ask(self, call: str, patience_s: float, **asked: Any) -> Iterator[wire.Message]:
        """Yield the values of one answer.  Raises UserError where the process says or does so."""
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

    def _running(self) -> "_Process":
        if self._process is None:
            raise ValueError("The video is not open.")
        return self._process


class _Suspicion:
    """Whatever is wrong with what a process sent: it is ended, and the file refused."""

    def __init__(self, process: "_Process") -> None:
        self._process = process

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, wire.WireError):
            self._process.end()
            raise self._process.crashed("it sent nonsense") from error


class _Process:
    """The child: a pipe for requests, a pipe for answers."""

    def __init__(self, name: str, descriptor: int, limits: ChildLimits) -> None:
        self._name, self._limits, self._descriptor = name, limits, descriptor
        self._patience_s = 0.0
        self._child = subprocess.Popen(
            bare_python("mllm_affect.media.isolated_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=PIPE_BYTES,
            pass_fds=[descriptor],
            env={},
            cwd="/",
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._requests, self._answers = self._child.stdin, self._child.stdout.fileno()
        os.set_blocking(self._answers, False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._answers, selectors.EVENT_READ)

    def begin(self, parts: Sequence[AnyPart], limits: Limits) -> Walls:
        """Tell it what it is for; return what confines it from now on."""
        self.send(
            {
                "descriptor": self._descriptor,
                "parts": [wire.plain(part) for part in parts],
                "limits": asdict(limits),
                "child_limits": asdict(self._limits),
            }
        )
        message = self.receive(START_SECONDS)
        with self.suspicion():
            walls: Walls = wire.rebuild(message.value, Walls, ())
        return walls

    def send(self, request: dict[str, Any]) -> None:
        """Write one request; a process that is gone shows when its answer is read."""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()

    def receive(self, patience_s: float) -> wire.Message:
        """Return the next message.

        Raises UserError `media_too_slow` when it is not complete in time, `media_crashed` when the
        process ends before or sends nonsense.
        """
        deadline = time.monotonic() + patience_s
        self._patience_s = patience_s
        with self.suspicion():
            return wire.receive(
                lambda buffer: self._fill(buffer, deadline), self._limits.message_bytes
            )

    def _fill(self, buffer: memoryview, deadline: float) -> None:
        while buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not self._ready.select(left):
                self.end()
                raise MediaError("media_too_slow", self._name, limit=self._patience_s)
            count = os.readv(self._answers, [buffer])
            if not count:
                raise self._ended()
            buffer = buffer[count:]

    def allow_cpu(self, video_s: float) -> None:
        """Let it use as much processor time as a video of this length may need."""
        seconds = self._limits.cpu_seconds + video_s * self._limits.cpu_seconds_per_second
        with suppress(OSError, ValueError, AttributeError):
            bounds = (math.ceil(seconds), resource.RLIM_INFINITY)
            resource.prlimit(self._child.pid, resource.RLIMIT_CPU, bounds)

    def failure(self, message: wire.Message) -> MediaError:
        """Return the error that a last message stands for; the sentence is always ours."""
        if message.kind == "no_memory":
            return self._too_big()
        if message.kind == "failed" and str(message.value).isidentifier():
            return self.crashed(str(message.value)[:40])
        if message.kind == "refused":
            with suppress(wire.WireError, KeyError, ValueError, TypeError):
                code, facts = wire.rebuild(
                    message.value, tuple[str, tuple[tuple[str, Fact], ...]], ()
                )
                return _refusal(code, self._name, dict(facts))
        return self.crashed("it sent nonsense")

    def suspicion(self) -> _Suspicion:
        """Return a context in which nonsense becomes `media_crashed`."""
        return _Suspicion(self)

    def crashed(self, reason: str) -> MediaError:
        """Return the error for a process that failed."""
        return MediaError("media_crashed", self._name, reason=reason)

    def end(self) -> None:
        """Kill it and take its remains; harmless when done before."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        with suppress(BrokenPipeError):
            self._requests.close()
        if self._child.stdout is not None and not self._child.stdout.closed:
            self._ready.close()
            self._child.stdout.close()

    def _ended(self) -> MediaError:
        status = self._child.wait()
        self.end()
        if status == -signal.SIGXCPU:
            return MediaError("media_too_slow", self._name, limit=self._patience_s)
        if status < 0:
            return self.crashed(f"signal {signal.Signals(-status).name}")
        return self.crashed("it ended early")

    def _too_big(self) -> MediaError:
        return MediaError("media_too_big", self._name, limit=self._limits.memory_bytes >> 20)


def _refusal(code: str, name: str, facts: dict[str, Fact]) -> MediaError:
    """Return a refusal that the process asks for, filled in with its facts if they are sane."""
    if code not in SENTENCES or {"name", "path"} & facts.keys():
        raise ValueError(code)
    for value in facts.values():
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            raise ValueError(code)
        if isinstance(value, str) and len(value) > 60:
            raise ValueError(code)
    return MediaError(code, name, **facts)
