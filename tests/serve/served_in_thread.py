"""The application on a real socket of this process, a worker beside it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from service_in_process import Service

from mllm_affect.engine.server_process import free_port
from serve.web_server import WebServer
from serve.work.worker import Worker


@contextmanager
def served_in_thread(service: Service) -> Iterator[str]:
    """Yield the service's address."""
    port = free_port()
    settings = service.state.settings.model_copy(update={"port": port})
    server = WebServer(service.app, replace(service.state, settings=settings))
    thread = threading.Thread(target=server.run, daemon=True)
    worker = Worker(service.state)
    # As in `serve`: who asks for an analysis wakes the worker.
    service.app.state.service = replace(service.state, on_work=worker.wake)
    thread.start()
    worker.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        worker.stop()
