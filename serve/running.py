"""Running the service: the model server below, the application above, both ended together.

Does: start or find model servers, listen, end every child.  Does not: handle requests.
"""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx
import uvicorn

from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_options import SERVED_NAME, EngineOptions
from mllm_affect.engine.vllm_server import VllmServer, refuse_port_in_use
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling
from mllm_affect.scoring.scoring_file import read_scoring
from serve.app import create_app
from serve.served_engine import ServedEngine
from serve.settings import ServiceSettings, refuse_unsafe

WATCH_SECONDS = 1.0
DRAIN_SECONDS = 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class ServicePlan:
    """What to serve.

    `engine_urls` empty: start a vLLM server for `checkpoint`; else use those servers, which hold
    the same checkpoint.  `engine_log` None: the log is kept only while the engine runs.  `force`:
    answer although the checkpoint was trained with other prompts.
    """

    checkpoint: Path
    model_name: str
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    engine_urls: tuple[str, ...] = ()
    options: EngineOptions = field(default_factory=EngineOptions)
    engine_log: Path | None = None
    force: bool = False


def run_service(plan: ServicePlan, say: Say) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told a sentence when something has happened.

    Raises UserError for an unsafe address, a port in use or a folder that is no checkpoint,
    EngineError when the model server dies; no child process is left in any case.
    """
    refuse_unsafe(plan.settings)
    profile = check_checkpoint(plan.checkpoint)
    scorings = read_scoring(plan.checkpoint)
    refuse_port_in_use(plan.settings.host, plan.settings.port)
    address = f"http://{plan.settings.host}:{plan.settings.port}"
    say(f"Serving {plan.model_name} at {address} (interactive: {address}/docs)")
    if profile.note:
        say(profile.note)
    if scorings.tasks:
        say(f"Calibrated by its scoring.json: {', '.join(sorted(scorings.tasks))}")
    signal.signal(signal.SIGTERM, _leave)  # before uvicorn, which raises it again at its end
    sampling = profile.sampling or Sampling()
    with _servers(plan, sampling) as (addresses, child):
        engine = ServedEngine(
            [VllmEngine(url, sampling.fps, plan.model_name, name) for url, name in addresses]
        )
        web = _web_server(
            plan.settings, create_app(plan.settings, engine, profile, scorings, plan.force)
        )
        watch = _EngineWatch(child, engine, sampling, web, say)
        watch.start()
        try:
            web.run()
        finally:
            watch.stop()
            engine.close()
    if watch.failure is not None:
        raise watch.failure


@contextmanager
def _servers(
    plan: ServicePlan, sampling: Sampling
) -> Iterator[tuple[list[tuple[str, str]], VllmServer | None]]:
    """Yield (address, name of the model there) of each server, and the child if there is one."""
    if plan.engine_urls:
        yield [(url, _served_name(url)) for url in plan.engine_urls], None
        return
    with tempfile.TemporaryDirectory(prefix="mllm-affect-engine-") as folder:
        log = plan.engine_log or Path(folder) / "engine.log"
        with VllmServer(plan.checkpoint, sampling, log, plan.options) as server:
            yield [(server.url, SERVED_NAME)], server


def _served_name(url: str) -> str:
    try:
        models = httpx.get(f"{url.rstrip('/')}/v1/models", timeout=10.0).json()["data"]
        return str(models[0]["id"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, IndexError) as error:
        raise UserError(
            "bad_engine_url", f"No vLLM server answers at {url}; check --engine-url."
        ) from error


def _web_server(settings: ServiceSettings, app: object) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )


class _EngineWatch(threading.Thread):
    """Warms the model servers up, and ends the web server when the child has died."""

    def __init__(
        self,
        child: VllmServer | None,
        engine: ServedEngine,
        sampling: Sampling,
        web: uvicorn.Server,
        say: Say,
    ) -> None:
        super().__init__(name="engine-watch", daemon=True)
        self.failure: EngineError | None = None
        self._child, self._engine, self._sampling = child, engine, sampling
        self._web, self._say = web, say
        self._done = threading.Event()

    def run(self) -> None:
        """Wait, warm up, then look once a second whether the child still lives."""
        try:
            self._warm_up()
            while self._child is not None and not self._done.wait(WATCH_SECONDS):
                self._child.raise_if_dead()
        except _LeavingError:
            return
        except (EngineError, UserError) as error:
            if not self._done.is_set():
                self.failure = EngineError(error.code, error.sentence)
                self._web.should_exit = True

    def stop(self) -> None:
        """End the thread; failures from now on are consequences of ending."""
        self._done.set()

    def _warm_up(self) -> None:
        if self._child is not None:
            self._child.wait_ready(waiting=self._stop_waiting)
        for server in self._engine.servers:
            warm_up(server, self._sampling)
        self._engine.set_warm()
        self._say("The model answers; the service is ready.")

    def _stop_waiting(self, _seconds: float) -> None:
        if self._done.is_set():
            raise _LeavingError


class _LeavingError(Exception):
    """The service is ending; nobody waits for the engine any more."""


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
