"""A service in this process, a store on SQLite and on PostgreSQL, and a video to ask about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from postgres_server import postgres
from service_in_process import Service

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from serve.store import Store
from serve.store.tables import metadata


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


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.rebuild)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
    opened = Store.open(tmp_path, url)
    yield opened
    with opened.database.writing() as connection:
        for table in metadata.tables.values():
            connection.execute(table.delete())
    opened.close()
