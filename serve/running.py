"""Running the service, or a worker alone: everything started, drained and ended together.

Does: listen, work, end within half a minute of SIGTERM, leave no child.
Does not: handle requests or know model servers (see model_servers).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import NoReturn

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.engine.start_progress import start_limit_s
from mllm_affect.engine.vllm_server import VllmServer, refuse_port_in_use
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.scoring.scoring_file import scoring_of
from mllm_affect.temporary import temporary_folder
from serve.app import create_app
from serve.logs import set_up_logs
from serve.model_servers import EngineWatch, engine_of, model_servers
from serve.plan import Say, ServicePlan
from serve.request_work import RequestWork
from serve.sandbox import checked_sandbox
from serve.settings import TEMPORARY_DATA, ServiceSettings, refuse_unsafe
from serve.state import ServiceState
from serve.store import Store
from serve.store.first_connection import when_there
from serve.telemetry import traced
from serve.web_server import WebServer
from serve.webhooks.delivery import WebhookSender
from serve.webhooks.exchange import Exchange
from serve.work.worker import Worker


@dataclass(frozen=True)
class _Parts:
    """What a process runs; `child` is the model server that it started, if it did."""

    state: ServiceState
    engine: BalancedEngine
    worker: Worker
    child: VllmServer | None


def run_service(plan: ServicePlan, say: Say) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told a sentence when something has happened.

    Raises UserError for an unsafe address, a port in use or a folder that is no checkpoint,
    EngineError when the model server dies; no child process is left in any case.
    """
    refuse_unsafe(plan.settings)
    check_checkpoint(plan.checkpoint)
    refuse_port_in_use(plan.settings.host, plan.settings.port)
    address = f"http://{plan.settings.host}:{plan.settings.port}{plan.settings.root_path}"
    say(f"Serving {plan.model_name} at {address} (interactive: {address}/docs)")
    with _prepared(plan, say) as parts:
        state = replace(parts.state, on_work=parts.worker.wake)
        web = WebServer(create_app(state), state)
        limit_s = start_limit_s(plan.checkpoint)
        watch = EngineWatch(parts.child, parts.engine, web.leave, say, limit_s)
        with _working(parts, watch):
            web.run()
    if watch.failure is not None:
        raise watch.failure


def run_worker(plan: ServicePlan, say: Say) -> None:
    """Work on the analyses of a store until SIGINT or SIGTERM; raises as run_service does."""
    if plan.settings.data is None:
        raise UserError("bad_data_folder", "Give --data, the folder that the service keeps.")
    leaving = threading.Event()
    say(f"Working with {plan.model_name} on what is asked for in {plan.settings.data}")
    with _prepared(plan, say) as parts:
        limit_s = start_limit_s(plan.checkpoint)
        watch = EngineWatch(parts.child, parts.engine, leaving.set, say, limit_s)
        with _working(parts, watch):
            leaving.wait()
    if watch.failure is not None:
        raise watch.failure


@contextmanager
def _prepared(plan: ServicePlan, say: Say) -> Iterator[_Parts]:
    """Yield what the plan needs: the store open, the model server started, nothing working yet."""
    set_up_logs(plan.settings.audit_log)
    sandbox = checked_sandbox(plan.settings.require_sandbox, say)
    profile = check_checkpoint(plan.checkpoint)
    scorings = scoring_of(plan.checkpoint, plan.force)
    vocabulary = Vocabulary.of_checkpoint(plan.checkpoint)
    if profile.note:
        say(profile.note)
    if scorings.tasks:
        say(f"Calibrated by its scoring.json: {', '.join(sorted(scorings.tasks))}")
    signal.signal(signal.SIGTERM, _leave)  # before uvicorn, which raises it again at its end
    sampling = profile.sampling or Sampling()
    if plan.settings.webhooks.insecure:
        say("Webhooks may go to http and to private addresses (--webhook-insecure); not for use.")
    with (
        traced(plan.settings.otlp_endpoint),
        opened_store(plan.settings, say) as store,
        model_servers(plan, sampling) as (addresses, child),
    ):
        if store.media.is_open_to_others():
            say(f"Other users may look into {store.media.folder}; let only its owner in.")
        key = None if child is None else child.key
        engine = engine_of(addresses, plan, sampling, vocabulary, key)
        work = RequestWork(plan.settings.decoders_at_once, len(plan.settings.keys))
        state = ServiceState(
            plan.settings, engine, profile, store, scorings, plan.force, sandbox, work=work
        )
        yield _Parts(state, engine, Worker(state), child)


@contextmanager
def _working(parts: _Parts, watch: EngineWatch) -> Iterator[None]:
    """Work while the block runs, then put back what is not finished."""
    parts.engine.start()
    watch.start()
    parts.worker.start()
    state = parts.state
    sender = WebhookSender(state.store.webhooks, Exchange(state.settings.webhooks), state.meters)
    sender.start()
    try:
        yield
    finally:
        watch.stop()
        sender.stop()
        ended = parts.worker.stop(parts.state.settings.drain_s)
        parts.engine.close()  # whoever still waits for an answer is let go
        if not ended:
            parts.worker.stop(1.0)


@contextmanager
def opened_store(settings: ServiceSettings, say: Say = lambda _: None) -> Iterator[Store]:
    """Open the store where the settings say, else in a folder that is gone when the block ends."""
    with ExitStack() as stack:
        folder = settings.data
        if folder is None:
            folder = stack.enter_context(temporary_folder(TEMPORARY_DATA))
        opening = partial(Store.open, folder, settings.database_url)
        store = when_there(opening, settings.database_wait_s, say)
        stack.callback(store.close)
        yield store


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
