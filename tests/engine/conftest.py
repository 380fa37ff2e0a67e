"""A server whose answers a test decides, and a client of it."""

import threading
from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer, client_of

from mllm_affect.engine.vllm_client import VllmEngine


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def engine(faulty: FaultyServer) -> Iterator[VllmEngine]:
    client = client_of(faulty.url)
    yield client
    client.close()
