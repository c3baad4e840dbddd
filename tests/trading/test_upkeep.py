"""When lists are read: after a loss once the streams are back, before what nobody waits for, and in
the end whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import Budget, Fill, Pool, Request
from ccrs_core.contract.rest import Endpoint
from ccrs_core.contract.trading_requests import GetFills
from ccrs_core.trading.upkeep import EVERY
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy
from tests.trading.test_private_streams import drop
from tests.virtual import scenario


def slow(seen: World, path: str, seconds: float) -> None:
    """Answers of a path take so long."""
    seen.transport.answer_after = lambda asked: seconds if asked == path else 0.0


def times_of(seen: World, path: str) -> list[float]:
    """When it was asked for."""
    return [at for at, asked, _ in seen.server.calls if asked == path]


async def until(done: Callable[[], bool], within: float) -> float:
    """How long it takes."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not done():
        assert loop.time() < began + within, f"not within {within:g} s"
        await asyncio.sleep(0.01)
    return loop.time() - began


@scenario
async def test_what_was_asked_before_the_streams_were_back_is_asked_anew_at_once() -> None:
    async with world() as seen:
        slow(seen, "/fills", 3.0)
        reading = asyncio.ensure_future(seen.account.reconcile())
        await asyncio.sleep(1.5)
        asked = len(times_of(seen, "/fills"))
        drop(seen)
        await until(lambda: not seen.account.synced, 1.0)
        back = seen.server.now() + await until(lambda: seen.account._parts.streams.whole, 1.0)
        assert not seen.account.synced
        assert (await reading).whole
        assert seen.account.synced
        assert seen.server.now() == pytest.approx(back + 3.0, abs=0.2)
        assert min(times_of(seen, "/fills")[asked:]) == pytest.approx(back, abs=0.1)


@scenario
async def test_no_list_is_asked_for_while_the_streams_are_about_to_come_back() -> None:
    async with world() as seen:
        await asyncio.sleep(5.0)
        asked = len(seen.server.calls)
        seen.server.refuse_connects = 1
        drop(seen)
        await until(lambda: not seen.account.synced, 1.0)
        await until(lambda: seen.account.synced, 3.0)
        # Once: two markets' orders and fills, positions, balances.
        assert len(seen.server.calls) - asked == 6


@scenario
async def test_while_the_streams_stay_away_the_lists_are_read_all_the_same() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.refuse_connects = 10**6
        drop(seen)
        seen.server.fill("key", live.id, "0.2")
        await until(lambda: bool(seen.of(Fill)), 3.5)
        seen.server.fill("key", live.id, "0.3")
        await until(lambda: len(seen.of(Fill)) == 2, EVERY + 4.0)
        assert not seen.account.synced
        asked = len(seen.server.calls)
        assert (await seen.account.reconcile()).whole
        assert len(seen.server.calls) > asked


@scenario
async def test_a_list_that_takes_longer_than_connections_last_is_read_in_the_end() -> None:
    async with world() as seen:
        slow(seen, "/fills", 20.0)

        async def drops() -> None:
            while True:
                drop(seen)
                await asyncio.sleep(4.0)

        dropping = asyncio.ensure_future(drops())
        async with asyncio.timeout(80.0):
            assert (await seen.account.reconcile()).whole
        dropping.cancel()
        slow(seen, "", 0.0)
        await until(lambda: seen.account.synced, 40.0)


class Scarce(Desk):
    """Lists of fills are few."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Desk.endpoints,
        GetFills: attrs.evolve(
            Desk.endpoints[GetFills],
            pool=Pool("fills", Budget(amount=10, seconds=10.0), per_account=True),
        ),
    }


@scenario
async def test_after_a_loss_lists_have_half_of_a_budget_and_every_minute_a_tenth() -> None:
    async with world(Scarce()) as seen:
        await asyncio.sleep(20.0)
        drop(seen)
        await until(lambda: not seen.account.synced, 1.0)
        assert await until(lambda: seen.account.synced, 5.0) < 2.0
        asked = len(times_of(seen, "/fills"))
        await asyncio.sleep(EVERY + 15.0)
        first, second = times_of(seen, "/fills")[asked:]
        assert second - first >= 10.0  # a tenth: one at a time
        asked = len(times_of(seen, "/fills"))
        for _ in range(3):
            await seen.account.reconcile()
        took = times_of(seen, "/fills")[asked:]
        assert len(took) == 6
        assert took[3] - took[0] < 1.0  # half: five of them
        assert took[5] - took[0] >= 10.0


@scenario
async def test_whoever_asks_for_the_lists_waits_for_nothing_that_is_done_every_minute() -> None:
    async with world(Scarce()) as seen:
        slow(seen, "/open", 20.0)
        await asyncio.sleep(EVERY + 1.0)
        assert len(times_of(seen, "/open")) > 2
        slow(seen, "", 0.0)
        asked = seen.server.now()
        await seen.account.reconcile()
        assert seen.server.now() - asked < 1.0


@scenario
async def test_readings_that_nobody_asked_for_are_a_second_apart() -> None:
    async with world() as seen:
        asked = len(times_of(seen, "/wallet"))
        (peer,) = seen.server.keys
        for _ in range(100):
            peer.push(b'{"t": "fills", "rows": [{"fill": 1}]}')
            await asyncio.sleep(0.05)
        assert 3 <= len(times_of(seen, "/wallet")) - asked <= 7
        await until(lambda: seen.account.synced, 5.0)
