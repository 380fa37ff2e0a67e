"""One model server that is asked only while it seems well.

Does: look at its health all the time, notice that it is away, hangs or answers nonsense, give its
questions up at once then, and try it again with a question of its own until it answers.  A failure
that concerns one question only leaves it in use: it then still answers a question of ours.
Does not: choose between servers (see balanced), start or end them.

A question runs in its asker's thread, whose connection is cut when the server is out.  A thread for
each question would add two changes of thread, tens of milliseconds where many are asked at once.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from mllm_affect.engine.bounds import BoundedEngine, Bounds
from mllm_affect.engine.types import Engine
from mllm_affect.errors import EngineError, UserError
from mllm_affect.stopping import Stop, StoppedError

R = TypeVar("R")

AWAY = ("engine_away", "engine_timeout")
"""Codes of errors that say that a server does not answer."""

QUESTION_TIMEOUT = "question_timeout"
"""Code of the error that says that a question's own time has run out."""


class Health(StrEnum):
    """What a server's health check said."""

    well = "well"
    away = "away"
    silent = "silent"


class HealthyEngine(Engine, Protocol):
    """An engine whose server can be asked how it is."""

    def health(self) -> Health:
        """Return how the server is, within a second or two."""
        ...

    def hang_up(self) -> None:
        """Have all questions in flight, and those to come, raise `engine_away` at once."""
        ...

    def take_up(self) -> None:
        """Let questions through again."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long a server may do what before it is out; all in seconds.

    `hung_s`: without any answer, health checks included.  `stall_s`: with questions in flight and
    none of them answered; then it is asked a question of ours, which may take `probe_s`.
    """

    look_s: float = 0.25
    hung_s: float = 5.0
    stall_s: float = 60.0
    probe_s: float = 15.0


class WatchedServer:
    """A server and what is known about it; out until it has answered a first question.

    `first_question` is asked before anything else, and again after the server was out: it raises
    where the server does not answer as it should.
    """

    def __init__(
        self,
        engine: HealthyEngine,
        first_question: Callable[[Engine], None],
        patience: Patience | None = None,
    ) -> None:
        self.engine = engine
        self._first_question, self._patience = first_question, patience or Patience()
        self._lock = threading.Lock()
        self._in_flight: dict[int, float] = {}
        self._asked = 0
        self._answered_s = self._heard_s = time.monotonic()
        self._probe_lock, self._probed_s, self._closing = threading.Lock(), 0.0, Stop()
        self._well, self._closed = threading.Event(), threading.Event()
        self.first_failure: EngineError | UserError | None = None
        self._watch = threading.Thread(target=self._run, name="server-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._watch.start()

    @property
    def is_well(self) -> bool:
        """Whether it is asked now."""
        return self._well.is_set()

    @property
    def in_flight(self) -> int:
        """How many questions it is working on."""
        return len(self._in_flight)

    def wait_well(self, seconds: float) -> bool:
        """Wait until it is asked; return whether it is."""
        return self._well.wait(seconds)

    def ask(self, question: Callable[[HealthyEngine], R]) -> R:
        """Return the server's answer.  Raises what it raises, `engine_away` once it is out.

        After an error, `answers_others` tells whether it is the server's or the question's.
        """
        with self._lock:
            if self._closed.is_set() or not self.is_well:
                raise _away()
            self._asked += 1
            number = self._asked
            self._in_flight[number] = time.monotonic()
        try:
            answer = question(self.engine)
        except BaseException as error:
            self._note(number, error)
            raise
        self._note(number, None)
        return answer

    def answers_others(self) -> bool:
        """Return whether the server answers a question of ours, asked now; if not, it is out.

        Whoever calls while it is being asked waits for that answer, or for the next one.
        """
        called_s = time.monotonic()
        with self._probe_lock:
            if self._probed_s < called_s:
                self._probed_s = time.monotonic()
                self._probe()
        return self.is_well

    def close(self) -> None:
        """Stop watching, and give up what is in flight."""
        self._closed.set()
        self._closing.set()
        with self._lock:
            self._out()
        if self._watch.is_alive():
            self._watch.join(self._patience.look_s * 4)
        self.engine.close()

    def _note(self, number: int, error: BaseException | None) -> None:
        with self._lock:
            if self._in_flight.pop(number, None) is None:
                return  # it was given up, and says nothing about the server now
            if error is None or isinstance(error, UserError):
                self._answered_s = time.monotonic()

    def _probe(self) -> None:
        """Ask a question of ours; without an answer the server is out.

        A busy server may be slow to answer it; that it answers others meanwhile will do.
        """
        if not self.is_well:
            return
        begun_s = time.monotonic()
        bounds = Bounds(self._closing, self._patience.probe_s)
        try:
            self._first_question(BoundedEngine(self.engine, bounds))
        except (EngineError, UserError, StoppedError) as error:
            with self._lock:
                slow = isinstance(error, EngineError) and error.code == QUESTION_TIMEOUT
                if not (slow and self._answered_s > begun_s):
                    self._out()
            return
        with self._lock:
            self._answered_s = time.monotonic()

    def _out(self) -> None:
        """Ask it no more, and give up what is in flight; the lock is held."""
        self._well.clear()
        self._in_flight.clear()
        self.engine.hang_up()

    def _run(self) -> None:
        while not self._closed.wait(self._patience.look_s):
            health = self.engine.health()
            now = time.monotonic()
            if health is Health.well:
                self._heard_s = now
            if not self.is_well:
                if health is Health.well:
                    self._try_again()
            elif health is Health.away or self._is_silent(now):
                with self._lock:
                    self._out()
            elif self._stalls(now):
                self.answers_others()  # else its questions are slow, which each is bounded for

    def _is_silent(self, now: float) -> bool:
        with self._lock:
            heard_s = max(self._heard_s, self._answered_s)
        return now - heard_s > self._patience.hung_s

    def _stalls(self, now: float) -> bool:
        with self._lock:
            oldest = min(self._in_flight.values(), default=now)
            return now - max(oldest, self._answered_s) > self._patience.stall_s

    def _try_again(self) -> None:
        self.engine.take_up()
        try:
            self._first_question(self.engine)
        except (EngineError, UserError) as error:
            self.engine.hang_up()
            self.first_failure = error
            return
        with self._lock:
            self._answered_s = time.monotonic()
            if not self._closed.is_set():
                self._well.set()


def _away() -> EngineError:
    return EngineError("engine_away", "The model server does not answer; try again in a moment.")
