"""What was read for `evaluate au` is kept, and taken up only under the same conditions."""

from pathlib import Path

import numpy as np
import pytest

from eval.units.kept import KeptReadings, Reading
from mllm_affect.data.examples import Example

EXAMPLES = [
    Example(video=f"{name}.mp4", participant=name, split="test", labels={"action_units": "1"})
    for name in "ab"
]
READING = Reading(
    np.array([1]), {"a.mp4": "unreadable_video: No."}, {"whole": np.array([[0.25, 0.5]])},
    np.ones((3, 3, 28, 28), np.float32), np.array([0, 0, 0]),
)  # fmt: skip


def unread() -> Reading:
    raise AssertionError("read again")


def test_a_reading_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = KeptReadings(tmp_path / "kept", {"weights": "one"})
    assert kept.get(EXAMPLES, ["whole"], True, lambda: READING) is READING
    again = kept.get(EXAMPLES, ["whole"], True, unread)
    assert again.problems == READING.problems
    assert again.read.keys() == READING.read.keys()
    for name in ("usable_N", "flow_M3SS", "owner_M"):
        np.testing.assert_array_equal(getattr(again, name), getattr(READING, name))
    np.testing.assert_array_equal(again.read["whole"], READING.read["whole"])


def test_other_weights_videos_ways_or_flow_are_read_anew(tmp_path: Path) -> None:
    kept = KeptReadings(tmp_path, {"weights": "one"})
    kept.get(EXAMPLES, ["whole"], True, lambda: READING)
    for other, examples, ways, flow in (
        (KeptReadings(tmp_path, {"weights": "two"}), EXAMPLES, ["whole"], True),
        (kept, EXAMPLES[:1], ["whole"], True),
        (kept, EXAMPLES, ["whole", "content"], True),
        (kept, EXAMPLES, ["whole"], False),
    ):
        with pytest.raises(AssertionError, match="read again"):
            other.get(examples, ways, flow, unread)


def test_without_a_folder_nothing_is_kept() -> None:
    kept = KeptReadings(None, {})
    kept.get(EXAMPLES, [], False, lambda: READING)
    with pytest.raises(AssertionError, match="read again"):
        kept.get(EXAMPLES, [], False, unread)
