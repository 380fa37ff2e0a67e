"""One signal that reaches work wherever it is."""

import threading
import time

import pytest

from mllm_affect.stopping import Stop, StoppedError


def test_what_the_work_waits_for_is_cut() -> None:
    stop, cut = Stop(), threading.Event()
    with stop.calling(cut.set):
        stop.set()
        assert cut.is_set()
    with pytest.raises(StoppedError):
        stop.check()


def test_work_that_begins_to_wait_after_it_was_stopped_is_cut_too() -> None:
    stop, cut = Stop(), threading.Event()
    stop.set()
    with stop.calling(cut.set):
        assert cut.is_set()


def test_what_is_over_is_left_alone() -> None:
    stop, cut = Stop(), threading.Event()
    with stop.calling(cut.set):
        stop.check()
    stop.set()
    assert not cut.is_set()


def test_a_pause_ends_at_once() -> None:
    stop, begun = Stop(), time.monotonic()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError):
        stop.wait(10)
    assert time.monotonic() - begun < 5
