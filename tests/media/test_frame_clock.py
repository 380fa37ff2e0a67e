"""Frames keep their order and a strictly rising time, whatever timestamps a file states."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from mllm_affect.media.decoding.frames import FrameClock


class Stated:
    """A stream whose packets hold frames with the given timestamps."""

    time_base = Fraction(1, 1000)
    thread_type = "NONE"

    def decode(self, packet: list[int | None]) -> list[Any]:
        return [SimpleNamespace(pts=pts, duration=40, is_corrupt=False) for pts in packet]


@pytest.mark.parametrize(
    ("stated", "given"),
    [
        ([[0, 40, 80]], [0, 40, 80]),
        ([[None, 40], [None, 80]], [0, 40, 41, 80]),
        ([[500, 500, 500], [540]], [500, 501, 502, 540]),
        ([[100, 60, 140]], [100, 101, 140]),
        ([[-80, -40, 0]], [-80, -40, 0]),
    ],
)
def test_times_rise(stated: list[list[int | None]], given: list[int]) -> None:
    clock = FrameClock(Stated())  # type: ignore[arg-type]
    frames = [frame for packet in stated for frame in clock.decode(packet)]  # type: ignore[arg-type]
    assert [frame.ticks for frame in frames] == given
    assert [frame.index for frame in frames] == list(range(len(given)))
    asked = [pts for packet in stated for pts in packet]
    repaired = [[one.code for one in frame.warnings] for frame in frames]
    assert repaired == [
        [] if pts == ticks else ["picture_times_repaired"]
        for pts, ticks in zip(asked, given, strict=True)
    ]
