"""Running the service: the model server below, the application above, both ended together.

Does: start or find model servers, listen, end every child.  Does not: handle requests.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

import httpx
import uvicorn

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_options import SERVED_NAME, EngineOptions
from mllm_affect.engine.vllm_server import VllmServer, refuse_port_in_use
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import AWAY, Patience, WatchedServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling
from mllm_affect.scoring.scoring_file import scoring_of
from serve.app import create_app
from serve.settings import ServiceSettings, refuse_unsafe
from serve.state import ServiceState
from serve.store import Store
from serve.work.worker import Worker

WATCH_SECONDS = 1.0
LOOK_SECONDS = 0.2
START_SECONDS = 900.0
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
    patience: Patience = field(default_factory=Patience)


def run_service(plan: ServicePlan, say: Say) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told a sentence when something has happened.

    Raises UserError for an unsafe address, a port in use or a folder that is no checkpoint,
    EngineError when the model server dies; no child process is left in any case.
    """
    refuse_unsafe(plan.settings)
    profile = check_checkpoint(plan.checkpoint)
    scorings = scoring_of(plan.checkpoint, plan.force)
    refuse_port_in_use(plan.settings.host, plan.settings.port)
    address = f"http://{plan.settings.host}:{plan.settings.port}"
    say(f"Serving {plan.model_name} at {address} (interactive: {address}/docs)")
    if profile.note:
        say(profile.note)
    if scorings.tasks:
        say(f"Calibrated by its scoring.json: {', '.join(sorted(scorings.tasks))}")
    signal.signal(signal.SIGTERM, _leave)  # before uvicorn, which raises it again at its end
    sampling = profile.sampling or Sampling()
    with _servers(plan, sampling) as (addresses, child), opened_store(plan.settings) as store:
        engine = BalancedEngine(
            [
                WatchedServer(
                    VllmEngine(url, sampling.fps, plan.model_name, name),
                    partial(warm_up, sampling=sampling),
                    plan.patience,
                )
                for url, name in addresses
            ]
        )
        state = ServiceState(plan.settings, engine, profile, store, scorings, plan.force)
        worker = Worker(state)
        web = _web_server(plan.settings, create_app(replace(state, on_work=worker.wake)))
        watch = _EngineWatch(child, engine, web, say)
        engine.start()
        watch.start()
        worker.start()
        try:
            web.run()
        finally:
            watch.stop()
            ended = worker.stop()
            engine.close()  # jobs that still wait for an answer are put back now
            if not ended:
                worker.stop()
    if watch.failure is not None:
        raise watch.failure


@contextmanager
def opened_store(settings: ServiceSettings) -> Iterator[Store]:
    """Open the store where the settings say, else in a folder that is gone when the block ends."""
    with ExitStack() as stack:
        folder = settings.data
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="mllm-affect-data-")))
        store = Store.open(folder, settings.database_url)
        stack.callback(store.close)
        yield store


@contextmanager
def _servers(
    plan: ServicePlan, sampling: Sampling
) -> Iterator[tuple[list[tuple[str, str]], VllmServer | None]]:
    """Yield (address, name of the model there) of each server, and the child if there is one."""
    if plan.engine_urls:
        yield [(url, _served_name(url)) for url in plan.engine_urls], None
        return
    with TemporaryDirectory(prefix="mllm-affect-engine-") as folder:
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
    """Says when the service can answer, and ends the web server when the child has died."""

    def __init__(
        self,
        child: VllmServer | None,
        engine: BalancedEngine,
        web: uvicorn.Server,
        say: Say,
    ) -> None:
        super().__init__(name="engine-watch", daemon=True)
        self.failure: EngineError | None = None
        self._child, self._engine = child, engine
        self._web, self._say = web, say
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
                self._web.should_exit = True

    def stop(self) -> None:
        """End the thread; failures from now on are consequences of ending."""
        self._done.set()

    def _wait_ready(self) -> None:
        """Return when a server answers; raise when the only one never will."""
        begun = time.monotonic()
        while not self._done.wait(LOOK_SECONDS):
            if self._engine.is_ready():
                self._say("The model answers; the service is ready.")
                return
            if self._child is not None:
                self._child.raise_if_dead()
                if time.monotonic() - begun > START_SECONDS:
                    raise EngineError("engine_timeout", "The model server did not start in time.")
            for server in self._engine.servers:
                failure = server.first_failure
                if failure is not None and failure.code not in AWAY:
                    raise failure


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
