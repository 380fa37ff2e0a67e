"""Fixtures of the fine-tuning tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature Qwen3-Omni with random weights."""
    from mllm_affect.model.miniature.checkpoint import write_untrained

    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder, seed=3)
    return folder
