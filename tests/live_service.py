"""The real service on a port of this machine, for browsers: application, store and worker."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.model_input import ModelInput
from serve.app import create_app
from serve.settings import ServiceSettings
from serve.state import ReadyEngine, ServiceState
from serve.store import Store
from serve.work.worker import Worker

TOY = ModelProfile(kind="miniature", sampling=Sampling(fps=4.0, max_pixels=4096), note="A toy.")


class HeldEngine(EchoEngine):
    """Answers without a model, at once, or each segment when a test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self._held = False
        self._let = threading.Semaphore(0)

    def is_ready(self) -> bool:
        return True

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._held, self._let = True, threading.Semaphore(0)

    def let(self, segments: int) -> None:
        """Answer about so many segments more."""
        self._let.release(segments)

    def free(self) -> None:
        """Answer everything, also what waits."""
        self._held = False
        self._let.release(1000)

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        if self._held:
            self._let.acquire()
        return super().score(inputs, answers)


@dataclass(frozen=True)
class LiveService:
    """Where it listens."""

    url: str

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=10.0)


@contextmanager
def live_service(
    folder: Path,
    engine: ReadyEngine,
    profile: ModelProfile = TOY,
    settings: ServiceSettings | None = None,
) -> Iterator[LiveService]:
    """Serve until the block ends; clips are asked about one by one, so in the order of time."""
    settings = settings or ServiceSettings(in_flight=1)
    state = ServiceState(settings, engine, profile, Store.open(folder))
    worker = Worker(state)
    web = uvicorn.Server(
        uvicorn.Config(create_app(state), port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=web.run, daemon=True)
    worker.start()
    thread.start()
    try:
        while not web.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = web.servers[0].sockets[0].getsockname()[1]
        yield LiveService(f"http://127.0.0.1:{port}")
    finally:
        web.should_exit = True
        thread.join()
        worker.stop()
