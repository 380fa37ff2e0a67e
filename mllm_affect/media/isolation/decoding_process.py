"""The process that decodes one file, seen from the one that started it.

Does: start it, hand it requests, read its messages against a deadline, turn its end or its last
word into one UserError.  Does not: know what is asked (see isolated_video), or check values.

It is a bare `python -I -S` with an empty environment whose import path is this process's own; it
confines itself (see sandbox) before it looks at the file.
"""

import fcntl
import json
import math
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from mllm_affect.media.isolation import wire
from mllm_affect.media.isolation.bare_python import bare_python
from mllm_affect.media.isolation.sandbox import SandboxLayers
from mllm_affect.media.limits import ChildLimits, Limits
from mllm_affect.media.parts import AnyPart
from mllm_affect.media.refusals import SENTENCES, Fact, MediaError
from mllm_affect.stopping import Stop

START_SECONDS = 30.0
"""Importing may be slow on a busy machine; no byte of the file is involved yet."""

PIPE_BYTES = 1 << 20

NICENESS = 5
"""How far it stands back for the process that started it, and others that answer somebody."""

LOOK_SECONDS = 0.2
"""So often it is looked whether the work was stopped."""


class KilledError(MediaError):
    """Somebody killed the process with SIGKILL, as the kernel does where memory runs out."""

    def __init__(self, name: str) -> None:
        super().__init__("media_killed", name)


class _Suspicion:
    """Whatever is wrong with what a process sent: it is ended, and the file refused."""

    def __init__(self, process: "DecodingProcess") -> None:
        self._process = process

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, wire.WireError):
            self._process.end()
            raise self._process.crashed("it sent nonsense") from error


class DecodingProcess:
    """The child: a pipe for requests, a pipe for answers."""

    def __init__(
        self, name: str, descriptor: int, limits: ChildLimits, stop: Stop | None = None
    ) -> None:
        self._name, self._limits, self._descriptor = name, limits, descriptor
        self._stop = stop or Stop()
        self._patience_s, self._ended_by_us = 0.0, False
        self._child = subprocess.Popen(
            bare_python("mllm_affect.media.isolation.child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            env={},
            cwd="/",
            start_new_session=True,
        )
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._child.pid, NICENESS)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._requests, self._answers = self._child.stdin, self._child.stdout.fileno()
        with suppress(OSError):
            # Refused once all pipes of a user who is not root take more than 64 MiB
            # (fs.pipe-user-pages-soft); answers then come in smaller portions.
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._answers, False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._answers, selectors.EVENT_READ)

    def begin(
        self, parts: Sequence[AnyPart], limits: Limits, prepared: Sequence[AnyPart] = ()
    ) -> SandboxLayers:
        """Tell it what it is for; return what confines it from now on.

        `prepared` are parts that are not made, but whose files a reading will need.
        """
        self.send(
            {
                "descriptor": self._descriptor,
                "parts": [wire.plain(part) for part in parts],
                "prepared": [wire.plain(part) for part in prepared],
                "limits": asdict(limits),
                "child_limits": asdict(self._limits),
            }
        )
        message = self.receive(START_SECONDS)
        with self.suspicion():
            layers: SandboxLayers = wire.rebuild(message.value, SandboxLayers, ())
        return layers

    def send(self, request: dict[str, Any]) -> None:
        """Write one request; a process that is gone shows when its answer is read."""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()

    def receive(self, patience_s: float) -> wire.Message:
        """Return the next message.

        Raises UserError `media_too_slow` when it is not complete in time, `media_crashed` when the
        process ends before or sends nonsense, KilledError when it was killed, not by us, and
        StoppedError once told to stop.
        """
        deadline = time.monotonic() + patience_s
        self._patience_s = patience_s
        with self.suspicion():
            return wire.receive(
                lambda buffer: self._fill(buffer, deadline), self._limits.message_bytes
            )

    def _fill(self, buffer: memoryview, deadline: float) -> None:
        while buffer:
            self._stop.check()
            left = deadline - time.monotonic()
            if left <= 0:
                self.end()
                raise MediaError("media_too_slow", self._name, limit=self._patience_s)
            if not self._ready.select(min(left, LOOK_SECONDS)):
                continue
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
        self._ended_by_us = True
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        with suppress(BrokenPipeError):
            self._requests.close()
        if self._child.stdout is not None and not self._child.stdout.closed:
            self._ready.close()
            self._child.stdout.close()

    def _ended(self) -> MediaError:
        status, by_us = self._child.wait(), self._ended_by_us
        self.end()
        if status == -signal.SIGKILL and not by_us:
            return KilledError(self._name)
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
