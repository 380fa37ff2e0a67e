"""Several model servers as one engine.

Does: give each input to a well server with few in flight, questions about one clip to the same one
where that costs no waiting, and to another one where a server is away; refuse a question on which
servers fail that answer others.  Does not: start servers or check that they hold the same
checkpoint.

A server keeps the media and the prefix of a clip that it was asked about.  Which one a clip belongs
to follows from its pictures alone (rendezvous hashing, Thaler and Ravishankar 1998): services agree
without talking, and a server that comes or goes moves its own clips only.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TypeVar

from mllm_affect.engine.bounds import BoundedEngine, Bounds
from mllm_affect.engine.types import AnswerScores, Engine
from mllm_affect.engine.watched_server import QUESTION_TIMEOUT, HealthyEngine, WatchedServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.tasks.model_input import ModelInput

R = TypeVar("R")
Ask = Callable[[ModelInput, Engine], R]

AT_ONCE = 8
"""Inputs in flight for each server."""

TRIES = 3
"""So often a question is asked that fails on servers which answer others."""

PAUSE_S = 0.5
"""Between two of these tries, longer each time."""

DETOUR = 1
"""How many inputs more than the least busy server a clip's own one may have in flight."""


class BalancedEngine:
    """An Engine over one or more servers, all with the same checkpoint.

    It may be called from several threads; where no server is well it raises `engine_away` at once.
    """

    def __init__(self, servers: Sequence[WatchedServer]) -> None:
        """Take over `servers` (at least one); closing this closes them."""
        self.servers = list(servers)

    def start(self) -> None:
        """Begin to watch the servers."""
        for server in self.servers:
            server.start()

    @property
    def model_id(self) -> str:
        """Name of the checkpoint, as the first server has it."""
        return self.servers[0].engine.model_id

    def is_ready(self) -> bool:
        """Return whether any server is well now; asks nobody."""
        return any(server.is_well for server in self.servers)

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine."""
        return self.score_within(inputs, answers, Bounds())

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine."""
        return self.generate_within(inputs, max_new_tokens, Bounds())

    def score_within(
        self, inputs: Sequence[ModelInput], answers: Sequence[str], bounds: Bounds
    ) -> list[AnswerScores]:
        """Return the scores of `answers` within bounds; see BoundableEngine.

        Raises UserError `question_failed` or `question_too_slow` where well servers fail on it.
        """
        return self._each(lambda made, engine: engine.score([made], answers)[0], inputs, bounds)

    def generate_within(
        self, inputs: Sequence[ModelInput], max_new_tokens: int, bounds: Bounds
    ) -> list[str]:
        """Return greedy text within bounds; raises as `score_within`."""
        return self._each(
            lambda made, engine: engine.generate([made], max_new_tokens)[0], inputs, bounds
        )

    def close(self) -> None:
        """Close all of them; whoever waits for an answer gets `engine_away`."""
        for server in self.servers:
            server.close()

    def _each(self, ask: Ask[R], inputs: Sequence[ModelInput], bounds: Bounds) -> list[R]:
        def one(made: ModelInput) -> R:
            return self._on_any(
                made, lambda engine: ask(made, BoundedEngine(engine, bounds)), bounds
            )

        if len(inputs) == 1:
            return [one(inputs[0])]
        pool = ThreadPoolExecutor(AT_ONCE * len(self.servers), thread_name_prefix="each")
        try:
            return list(pool.map(one, inputs))
        finally:
            pool.shutdown(cancel_futures=True)  # where one failed, the rest is not asked

    def _on_any(self, made: ModelInput, ask: Callable[[HealthyEngine], R], bounds: Bounds) -> R:
        """Ask one well server after the other until one answers.

        A server that fails on this question and answers ours is not to blame: after some tries the
        question is.
        """
        tried: set[int] = set()
        failures = 0
        while True:
            bounds.stop.check()
            number = self._choose(made, tried)
            try:
                return self.servers[number].ask(ask)
            except EngineError as error:
                tried.add(number)
                if not self.servers[number].answers_others():
                    if not self._others(tried):
                        raise
                    continue
                failures += 1
                if error.code == QUESTION_TIMEOUT:
                    raise _too_slow() from error
                if failures >= TRIES:
                    raise _failed() from error
                bounds.stop.wait(PAUSE_S * failures)
                if not self._others(tried):
                    tried.clear()

    def _others(self, tried: set[int]) -> list[int]:
        return [n for n, one in enumerate(self.servers) if n not in tried and one.is_well]

    def _choose(self, made: ModelInput, tried: set[int]) -> int:
        well = self._others(tried)
        if not well:
            raise EngineError(
                "engine_away", "The model server is not ready; try again in a moment."
            )
        busy = {number: self.servers[number].in_flight for number in well}
        free = [number for number in well if busy[number] <= min(busy.values()) + DETOUR]
        return free[0] if len(free) == 1 else max(free, key=lambda number: _pull(made, number))


def _failed() -> UserError:
    return UserError(
        "question_failed",
        "The model server fails on this question about this video, though it answers others; word "
        "it differently.",
    )


def _too_slow() -> UserError:
    return UserError(
        "question_too_slow",
        "The model server takes too long over this question about this video; ask for a shorter "
        "answer, or word the answers so that they differ earlier.",
    )


def _pull(made: ModelInput, server: int) -> bytes:
    """Return how strongly a server draws a clip; the middle frame stands for it.

    A true hash: with a checksum, which is linear, some servers would get most clips.
    """
    middle_HWC = made.frames_THWC[len(made.frames_THWC) // 2]
    return blake2b(middle_HWC.tobytes(), digest_size=8, salt=server.to_bytes(4)).digest()
