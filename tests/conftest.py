"""Fixtures that several test modules share, and a clean start for all of them."""

import signal
from pathlib import Path

import pytest

from tests.without_proxies import remove_proxies

pytest_plugins = ("engine_server", "two_at_once")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every child inherits
# that; the tests that stop a child by Ctrl-C need the ordinary answer to it.
signal.signal(signal.SIGINT, signal.default_int_handler)
remove_proxies()


@pytest.fixture(scope="session")
def composite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded miniature with an untrained evidence projector; nobody writes into it."""
    from mllm_affect.model.evidence.composing import compose
    from mllm_affect.model.miniature import embedded_checkpoint

    folder = tmp_path_factory.mktemp("composite") / "checkpoint"
    compose(embedded_checkpoint(), folder, seed=5)
    return folder
