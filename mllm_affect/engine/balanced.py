"""Several model servers as one engine.

Does: give each input to the server with the fewest in flight, and to another one where a server
is away.  Does not: start servers or check that they hold the same checkpoint.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from mllm_affect.engine.types import AnswerScores, Engine
from mllm_affect.errors import EngineError
from mllm_affect.tasks.model_input import ModelInput

E = TypeVar("E", bound=Engine)
R = TypeVar("R")

AT_ONCE = 8
"""Inputs in flight for each server."""

AWAY = ("engine_away", "engine_timeout")


class BalancedEngine(Generic[E]):
    """An Engine over one or more others, all with the same checkpoint."""

    def __init__(self, engines: Sequence[E]) -> None:
        """Take over `engines` (at least one); closing this closes them."""
        self._engines = list(engines)
        self._in_flight = [0] * len(self._engines)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE * len(self._engines), thread_name_prefix="balance")

    @property
    def model_id(self) -> str:
        """Name of the checkpoint, as the first server has it."""
        return self._engines[0].model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine."""

        def one(made: ModelInput) -> AnswerScores:
            return self._on_any(lambda engine: engine.score([made], answers)[0])

        return list(self._pool.map(one, inputs))

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine."""

        def one(made: ModelInput) -> str:
            return self._on_any(lambda engine: engine.generate([made], max_new_tokens)[0])

        return list(self._pool.map(one, inputs))

    def close(self) -> None:
        """Close all of them."""
        self._pool.shutdown()
        for engine in self._engines:
            engine.close()

    def _on_any(self, ask: Callable[[E], R]) -> R:
        """Ask the least busy server, then the next; raise what the last one raised."""
        tried: set[int] = set()
        while True:
            with self._least_busy(tried) as number:
                tried.add(number)
                try:
                    return ask(self._engines[number])
                except EngineError as error:
                    if error.code not in AWAY or len(tried) == len(self._engines):
                        raise

    @contextmanager
    def _least_busy(self, besides: set[int]) -> Iterator[int]:
        with self._lock:
            free = [n for n in range(len(self._engines)) if n not in besides]
            number = min(free, key=lambda n: self._in_flight[n])
            self._in_flight[number] += 1
        try:
            yield number
        finally:
            with self._lock:
                self._in_flight[number] -= 1
