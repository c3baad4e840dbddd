"""One reading after the other: what each proves, how soon the next one comes, who is told."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from ccrs_core.errors import DecodeError, UsageError
from ccrs_core.trading.reading import Reconciliation
from ccrs_core.trading.upkeep import EVERY, Upkeep
from ccrs_core.transport.gate import Priority
from tests.virtual import scenario

GOOD = Reconciliation()
BAD = Reconciliation({"fills": DecodeError("what?")})


class Lists:
    """What is read: each reading takes some seconds, and comes to something."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds
        self.outcomes: list[Reconciliation] = []
        """Of the next readings; good ones after these."""
        self.began: list[float] = []
        self.whole = 0
        self.told: list[tuple[bool, str]] = []
        self.upkeep = Upkeep(self.read, lambda *told: self.told.append(told), lambda: False)

    async def read(self, priority: Priority) -> Reconciliation:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        self.whole += 1
        return self.outcomes.pop(0) if self.outcomes else GOOD


async def running(lists: Lists) -> asyncio.Task[None]:
    lists.upkeep.over("streams")
    task = asyncio.ensure_future(lists.upkeep.run())
    await asyncio.sleep(1.0)
    return task


@scenario
async def test_a_reading_that_goes_on_through_a_loss_proves_nothing_about_it() -> None:
    """After three that were given up the next one is read to its end, whatever is lost."""
    lists = Lists(seconds=3.0)
    task = await running(lists)
    for _ in range(4):
        await asyncio.sleep(1.5)
        lists.upkeep.missed("a hole")
    begun = len(lists.began)
    await asyncio.sleep(2.9)
    assert lists.whole == 1
    assert not lists.upkeep.synced, "what was read had begun before the last loss"
    await asyncio.sleep(4.0)
    assert len(lists.began) > begun
    assert lists.upkeep.synced
    # And then such are given up again.
    whole = lists.whole
    for _ in range(3):
        lists.upkeep.missed("a hole")
        await asyncio.sleep(1.5)
        lists.upkeep.missed("another hole")
        await asyncio.sleep(0.1)
    assert lists.whole == whole
    task.cancel()


@scenario
async def test_pauses_grow_while_readings_fail_and_begin_anew_with_the_next_failure() -> None:
    lists = Lists()
    lists.outcomes = [BAD] * 5
    task = await running(lists)
    await asyncio.sleep(40.0)
    first = [after - before for before, after in itertools.pairwise(lists.began)]
    assert first[:5] == pytest.approx([1.1, 2.1, 4.1, 8.1, 16.1], abs=0.3)
    assert lists.upkeep.synced
    lists.outcomes = [BAD] * 2
    failing = len(lists.began)
    await asyncio.sleep(EVERY + 10.0)
    again = lists.began[failing:]
    assert [after - before for before, after in itertools.pairwise(again)][:2] == pytest.approx(
        [1.1, 2.1], abs=0.3
    )
    assert lists.upkeep.synced
    task.cancel()


@scenario
async def test_without_a_reason_lists_are_read_once_a_minute() -> None:
    lists = Lists()
    task = await running(lists)
    await asyncio.sleep(10 * EVERY)
    assert len(lists.began) in (10, 11)
    lists.upkeep.missed("a hole")
    await asyncio.sleep(5.0)
    assert len(lists.began) in (11, 12)
    task.cancel()


@scenario
async def test_who_waits_is_told_by_the_reading_that_takes_a_given_up_ones_place() -> None:
    lists = Lists(seconds=3.0)
    task = await running(lists)
    await asyncio.sleep(5.0)
    waiting: Any = asyncio.ensure_future(lists.upkeep.reconcile())
    await asyncio.sleep(1.5)
    lists.upkeep.missed("a hole")
    await asyncio.sleep(0.5)
    assert not waiting.done()
    assert (await asyncio.wait_for(waiting, 10.0)).whole
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(UsageError):
        await lists.upkeep.reconcile()


@scenario
async def test_a_reading_that_ended_in_time_does_not_count_as_one_that_takes_long() -> None:
    lists = Lists()
    task = await running(lists)
    await asyncio.sleep(EVERY * 10)
    assert lists.upkeep.synced
    assert lists.told == [(True, "streams and lists are whole")]
    task.cancel()
