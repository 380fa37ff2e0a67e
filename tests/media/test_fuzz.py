"""A small share of `make fuzz`: whatever a mutated video does, this process returns or refuses."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests import fuzz_media


@pytest.mark.parametrize(("count", "whole"), [(600, False), (60, True)])
def test_mutated_videos_never_shake_the_parent(count: int, whole: bool, tmp_path: Path) -> None:
    found = fuzz_media.run(count, seed=1, whole=whole, out=tmp_path / "kept", shown=False)
    assert found.parent_crashes == []
    assert found.inputs == sum(found.by_code.values()) == count
    assert found.by_code["read" if whole else "probed"] > count // 4
    assert found.by_code["unreadable_video"] > 0


def test_the_inputs_follow_from_the_seed() -> None:
    first = list(fuzz_media.inputs(40, 7, whole=True))
    assert first == list(fuzz_media.inputs(40, 7, whole=True))
    assert first != list(fuzz_media.inputs(40, 8, whole=True))
    assert len(set(first)) > 35


def test_an_input_that_ends_its_process_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(video: fuzz_media.FuzzedVideo, content: bytes) -> None:
        video._running().end()
        raise video._running().crashed("it ended early")

    monkeypatch.setattr(fuzz_media.FuzzedVideo, "look", end)
    found = fuzz_media.run(3, seed=1, whole=False, out=tmp_path, shown=False)
    assert found.by_code == {"media_crashed": 3}
    assert found.processes == 3
    assert len(list(tmp_path.iterdir())) == 3
