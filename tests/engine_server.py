"""One vLLM server with the embedded miniature, shared by every test that needs one.

`--engine-url URL` uses a server that is already running instead, started with the options that
`mllm-affect serve --dry-run` prints and `--enable-scale-out`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.media.types import Sampling

SHOWING_INPUTS = ("--enable-scale-out",)
"""Opens the endpoint that tells what a request became; our own service never uses it."""


@dataclass(frozen=True)
class RunningEngine:
    """A ready vLLM server: where it listens, what it serves and how that wants to be fed."""

    url: str
    checkpoint: Path
    sampling: Sampling

    def client(self) -> VllmEngine:
        """A new client of it."""
        vocabulary = Vocabulary.of_checkpoint(self.checkpoint)
        name = self.checkpoint.name
        return VllmEngine(self.url, self.sampling.fps, name, vocabulary=vocabulary)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine-url", default=None, help="a running vLLM with the miniature")


@pytest.fixture(scope="session")
def running_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEngine]:
    """The shared server, ready and warm."""
    from mllm_affect.engine.vllm_options import EngineOptions
    from mllm_affect.engine.vllm_server import VllmServer
    from mllm_affect.engine.warm_up import warm_up
    from mllm_affect.model.miniature import embedded_checkpoint
    from mllm_affect.model.profile import read_profile

    checkpoint = embedded_checkpoint()
    sampling = read_profile(checkpoint).sampling
    assert sampling is not None
    url = request.config.getoption("--engine-url")
    if url:
        yield RunningEngine(url, checkpoint, sampling)
        return
    log_path = tmp_path_factory.mktemp("engine") / "vllm.log"
    options = EngineOptions(extra=SHOWING_INPUTS)
    with VllmServer(checkpoint, sampling, log_path, options) as server:
        server.wait_ready()
        running = RunningEngine(server.url, checkpoint, sampling)
        client = running.client()
        warm_up(client, sampling)
        client.close()
        yield running


@pytest.fixture
def vllm_engine(running_engine: RunningEngine) -> Iterator[VllmEngine]:
    """A client of the shared server."""
    client = running_engine.client()
    yield client
    client.close()
