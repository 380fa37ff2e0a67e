"""A service in this process, and a video to ask about."""

from pathlib import Path

import numpy as np
import pytest
from service_in_process import Service

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of noise, seen and heard."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (6 * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("served") / "video.mp4"
    write_video(frames, random.normal(0, 3000, 6 * 16_000).astype(np.int16), path)
    return path
