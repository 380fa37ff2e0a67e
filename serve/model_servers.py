"""The model servers below the service: started or found, watched, ended.

Does: start a vLLM server or look at those that are given, make one engine of them, notice when
they can answer and when the child has died.  Does not: listen or work (see running).
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import httpx

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.start_progress import BASE_S, StartProgress
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_options import SERVED_NAME
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import AWAY, WatchedServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.http_client import http_client
from mllm_affect.media.types import Sampling
from mllm_affect.temporary import temporary_folder
from serve.plan import Say, ServicePlan

WATCH_SECONDS = 1.0
LOOK_SECONDS = 0.2


@contextmanager
def model_servers(
    plan: ServicePlan, sampling: Sampling
) -> Iterator[tuple[list[tuple[str, str]], VllmServer | None]]:
    """Yield (address, name of the model there) of each server, and the child if there is one."""
    if plan.engine_urls:
        yield [(url, _served_name(url)) for url in plan.engine_urls], None
        return
    with temporary_folder("mllm-affect-engine-") as folder:
        log = plan.engine_log or folder / "engine.log"
        key = secrets.token_urlsafe(32)
        with VllmServer(plan.checkpoint, sampling, log, plan.options, key=key) as server:
            yield [(server.url, SERVED_NAME)], server


def _served_name(url: str) -> str:
    try:
        with http_client(url, timeout=10.0) as client:
            models = client.get("/v1/models").json()["data"]
        return str(models[0]["id"])
    except (httpx.HTTPError, UserError, ValueError, KeyError, IndexError, TypeError) as error:
        if isinstance(error, UserError) and error.code != "bad_url":
            raise
        raise UserError(
            "bad_engine_url", f"No vLLM server answers at {url}; check --engine-url."
        ) from error


def engine_of(
    addresses: Sequence[tuple[str, str]],
    plan: ServicePlan,
    sampling: Sampling,
    vocabulary: Vocabulary,
    key: str | None = None,
) -> BalancedEngine:
    """Return one engine over the servers at these addresses; it watches them once started.

    `vocabulary`: of the checkpoint that they all serve.  `key`: what they ask for as a bearer
    token.
    """
    return BalancedEngine(
        [
            WatchedServer(
                VllmEngine(
                    url, sampling.fps, plan.model_name, name, key=key, vocabulary=vocabulary
                ),
                partial(warm_up, sampling=sampling),
                plan.patience,
            )
            for url, name in addresses
        ]
    )


class EngineWatch(threading.Thread):
    """Says when the service can answer, and has the service end when the child has died."""

    def __init__(
        self,
        child: VllmServer | None,
        engine: BalancedEngine,
        leave: Callable[[], None],
        say: Say,
        limit_s: float = BASE_S,
    ) -> None:
        """`limit_s`: how long the child may take to start."""
        super().__init__(name="engine-watch", daemon=True)
        self._limit_s = limit_s
        self.failure: EngineError | None = None
        self._child, self._engine = child, engine
        self._leave, self._say = leave, say
        self._done = threading.Event()

    def run(self) -> None:
        """Wait for the first answer, then look once a second whether the child still lives."""
        try:
            self._wait_ready()
            while self._child is not None and not self._done.wait(WATCH_SECONDS):
                self._child.raise_if_dead()
        except (EngineError, UserError) as error:
            if not self._done.is_set():
                self.failure = EngineError(error.code, error.sentence)
                self._leave()

    def stop(self) -> None:
        """End the thread; failures from now on are consequences of ending."""
        self._done.set()

    def _wait_ready(self) -> None:
        """Return when a server answers; raise when the only one never will."""
        begun = time.monotonic()
        progress = None if self._child is None else StartProgress(self._child.log_path)
        while not self._done.wait(LOOK_SECONDS):
            if self._engine.is_ready():
                self._say("The model answers; the service is ready.")
                return
            if self._child is not None:
                self._child.raise_if_dead()
                if time.monotonic() - begun > self._limit_s:
                    raise EngineError(
                        "engine_timeout",
                        f"The model server did not start within {self._limit_s:.0f} s; read its "
                        "log (--engine-log FILE keeps it).",
                    )
            if progress is not None and (news := progress.news()):
                self._say(news)
            for server in self._engine.servers:
                failure = server.first_failure
                if failure is not None and failure.code not in AWAY:
                    raise failure
