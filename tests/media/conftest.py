"""One file of every kind, made once."""

from pathlib import Path

import pytest
from kinds import KINDS, make_kind
from read_video import MadeVideo, read_video


@pytest.fixture(scope="session", params=sorted(KINDS))
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeVideo:
    path, made = make_kind(request.param, tmp_path_factory.mktemp("kinds"))
    return read_video(path, made)


@pytest.fixture
def plain(tmp_path: Path) -> MadeVideo:
    """Ten seconds at 25 frames a second with sound."""
    path, made = make_kind("25 a second", tmp_path)
    return read_video(path, made)
