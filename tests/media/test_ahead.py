"""Decoding ahead: as far as allowed, errors in their place, no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest

from mllm_affect.media.decoding.ahead import THREAD, ahead

PATIENCE_S = 5.0


def counting(until: int, made: list[int]) -> Iterator[int]:
    for number in range(until):
        made.append(number)
        yield number


def wait_until_there_are(count: int, made: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(made) < count and time.monotonic() < deadline:
        time.sleep(0.001)


def threads() -> int:
    return sum(thread.name.startswith(THREAD) for thread in threading.enumerate())


def test_all_items_come_in_order() -> None:
    assert list(ahead(counting(1000, []), 2)) == list(range(1000))
    assert not threads()


def test_it_works_while_an_item_is_in_use_but_not_without_end() -> None:
    made: list[int] = []
    items = ahead(counting(100, made), 2)
    assert next(items) == 0
    wait_until_there_are(3, made)
    time.sleep(0.05)
    assert len(made) == 3
    items.close()


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = ahead(failing(), 4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert not threads()


def test_closing_ends_the_thread_before_what_it_uses() -> None:
    made: list[int] = []
    items = ahead(counting(10**9, made), 2)
    next(items)
    items.close()
    assert not threads()
    before = len(made)
    time.sleep(0.02)
    assert len(made) == before
