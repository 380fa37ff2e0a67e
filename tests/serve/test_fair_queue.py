"""Places at something are shared fairly, and waiting for one is bounded."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from mllm_affect.errors import EngineError, UserError
from serve.fair_queue import FairQueue, QueueLimits, QueuePlace


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_no_more_than_there_are_places() -> None:
    async def work() -> None:
        turns, most = FairQueue(QueueLimits(3, 3, 100, 100)), 0

        async def one() -> None:
            nonlocal most
            async with turns.taken("a"):
                most = max(most, turns.held)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(one() for _ in range(50)))
        assert most == 3
        assert (turns.held, turns.waiting) == (0, 0)

    run(work())


def test_owners_are_served_in_turn_however_many_requests_one_has() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits(1, 1, 100, 100))
        first = await turns.take("hostile")
        served: list[str] = []

        async def one(owner: str) -> None:
            async with turns.taken(owner):
                served.append(owner)

        tasks = [asyncio.create_task(one("hostile")) for _ in range(20)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(one(owner)) for owner in ("b", "c", "b")]
        await asyncio.sleep(0)
        first.end()
        await asyncio.gather(*tasks)
        assert served[:4] == ["hostile", "b", "c", "hostile"]
        assert served.index("b") < 3
        assert served[4] == "b"

    run(work())


def test_one_owner_among_several_cannot_take_every_place() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits.shared(2, 64, owners=2))
        await turns.take("hostile")
        waiting = asyncio.create_task(turns.take("hostile"))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        other = await asyncio.wait_for(turns.take("other"), 1)
        other.end()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()

    run(work())


def test_a_lone_owner_may_take_all() -> None:
    limits = QueueLimits.shared(2, 64, owners=1)
    assert (limits.each, limits.waiting_each) == (2, 64)


def test_waiting_is_bounded_in_all_and_for_each() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits(1, 1, waiting=4, waiting_each=2))
        await turns.take("a")
        tasks = [asyncio.create_task(turns.take(owner)) for owner in ("a", "a", "b", "b")]
        await asyncio.sleep(0)
        with pytest.raises(EngineError) as busy:
            await turns.take("c")
        assert busy.value.code == "service_busy"
        tasks.pop().cancel()
        await asyncio.sleep(0.01)
        with pytest.raises(UserError) as many:
            await turns.take("a")
        assert many.value.code == "too_many_at_once"
        for task in tasks:
            task.cancel()

    run(work())


def test_a_wait_that_is_too_long_is_given_up() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits(1, 1, 4, 4, patience_s=0.05))
        held = await turns.take("a")
        with pytest.raises(EngineError) as busy:
            await turns.take("b")
        assert busy.value.code == "service_busy"
        assert turns.waiting == 0
        held.end()
        held.end()  # harmless
        assert turns.held == 0
        await turns.take("c")

    run(work())


def test_a_place_given_to_somebody_who_leaves_is_given_on() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits(1, 1, 4, 4))
        held = await turns.take("a")
        leaving = asyncio.create_task(turns.take("b"))
        staying = asyncio.create_task(turns.take("c"))
        await asyncio.sleep(0)
        held.end()
        leaving.cancel()
        turn: QueuePlace = await asyncio.wait_for(staying, 1)
        assert turn.owner == "c"
        assert turns.held == 1

    run(work())


def test_a_place_may_be_given_back_from_another_thread() -> None:
    async def work() -> None:
        turns = FairQueue(QueueLimits(1, 1, 4, 4))
        held = await turns.take("a")
        waiting = asyncio.create_task(turns.take("b"))
        await asyncio.sleep(0)
        await asyncio.to_thread(held.end)
        await asyncio.wait_for(waiting, 1)

    run(work())
