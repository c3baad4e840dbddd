"""Several exchanges behind one object: slow consumers, errors and ends."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

import ccrs_core
from ccrs_core import (
    AnyEvent,
    AuthError,
    Credentials,
    Feed,
    Options,
    Policy,
    ReconnectsExhausted,
    Trade,
    UsageError,
    connect,
    connect_many,
    trades,
)
from ccrs_core.extensions.hooks import new_manager
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.several_exchanges import TOP, CountingTransport, Internet, laid, toy, world
from tests.virtual import scenario

# --- slow consumers -----------------------------------------------------------------------------


@scenario
async def test_conflated_the_newest_of_each_exchange_waits() -> None:
    async with world(TOP, policy="conflate", reading=False) as seen:
        for name in ("ant", "bee", "ant", "ant"):
            seen.servers[name].tick("top.BTC")
            await asyncio.sleep(0.05)
        batch = await anext(seen.feed.batches())
        assert [(each.exchange, each.sequence) for each in batch] == [  # type: ignore[union-attr]
            ("bee", 101),
            ("ant", 103),
        ]
        assert seen.feed.status().conflated == 4


@scenario
async def test_what_a_slow_reader_loses_is_told_by_exchange() -> None:
    told: Counter[str] = Counter()
    async with world(TOP, maxsize=3, reading=False) as seen:
        for name in ("ant", "bee"):
            seen.clients[name]._hooks = manager = new_manager()
            manager.register(Overflows(told))
        for name in ("ant", "bee", "ant", "ant", "bee", "bee"):
            seen.servers[name].tick("top.BTC")
            await asyncio.sleep(0.05)
        events = [event async for event in _some(seen.feed, 5)]
    assert [(e.exchange, e.type, getattr(e, "lost", None)) for e in events] == [
        ("ant", "gap", 3),
        ("ant", "top_of_book", None),
        ("bee", "gap", 2),
        ("bee", "top_of_book", None),
        ("bee", "top_of_book", None),
    ]
    assert told == {"ant": 3, "bee": 2}


class Overflows:
    """Counts losses by exchange."""

    def __init__(self, told: Counter[str]) -> None:
        self.told = told

    @ccrs_core.hookimpl
    def ccrs_feed_overflowed(self, exchange: str, lost: int) -> None:
        self.told[exchange] += lost


async def _some(feed: Feed, count: int) -> AsyncIterator[AnyEvent]:
    async for event in feed:
        yield event
        count -= 1
        if not count:
            return


@scenario
async def test_a_blocked_feed_stops_reading_from_all_and_loses_nothing() -> None:
    async with world(trades("BTC/USD"), policy=Policy.BLOCK, maxsize=2, reading=False) as seen:
        for _ in range(10):
            for server in seen.servers.values():
                server.tick("trades.BTC")
            await asyncio.sleep(0.05)
        assert seen.feed.full
        assert seen.feed.waiting < 10
        events = [event async for event in _some(seen.feed, 20)]
    for name in ("ant", "bee"):
        ids = [e.trade_id for e in events if isinstance(e, Trade) and e.exchange == name]
        assert ids == [f"BTC-{n}" for n in range(101, 111)]


# --- errors and ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("ant", "bee", "cow"), ("bee", "ant", "cow")])
@pytest.mark.parametrize("failing", ["ant", "cow"])
def test_one_exchange_that_fails_for_good_ends_the_block_with_its_error(
    names: Sequence[str], failing: str
) -> None:
    async def play() -> None:
        internet, transport, clients = laid(names, options=Options(max_failures=2))

        async def block() -> None:
            async with clients, clients.subscribe(TOP):
                await asyncio.sleep(1.0)
                internet.servers[failing].refuse_connects = 99
                internet.servers[failing].open[0].drop()
                await asyncio.sleep(1000.0)

        with pytest.raises(ReconnectsExhausted, match=f"ws.{failing}"):
            await block()
        assert not any(server.open for server in internet.servers.values())
        assert transport.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(play())


@scenario
async def test_a_refused_login_ends_the_block_with_it() -> None:
    internet = Internet(("ant", "bee"))
    internet.servers["bee"].accept_login = False
    transport = CountingTransport(internet, latency=0.01)
    private = connect(
        toy("bee", private=True),
        transport=transport,
        clock=VirtualClock(),
        credentials=Credentials("key", "secret"),
    )
    shared = CountingTransport(internet, latency=0.01)
    clients = connect_many(toy("ant"), private, transport=shared, clock=VirtualClock())

    async def block() -> None:
        async with clients, clients.subscribe(TOP) as feed:
            async for _ in feed:
                pass

    with pytest.raises(AuthError):
        await block()
    assert (transport.closed, shared.closed) == (1, 1)
    assert not internet.servers["ant"].open


@scenario
async def test_two_exchanges_that_fail_at_once_are_both_told_of() -> None:
    internet, _, clients = laid(options=Options(max_failures=1))

    async def block() -> None:
        async with clients, clients.subscribe(TOP):
            await asyncio.sleep(1.0)
            for server in internet.servers.values():
                server.open[0].drop()
            await asyncio.sleep(1000.0)

    with pytest.raises(BaseExceptionGroup) as caught:
        await block()
    assert [type(error) for error in caught.value.exceptions] == [ReconnectsExhausted] * 2


@scenario
async def test_an_error_of_the_block_is_its_own_and_everything_is_closed() -> None:
    internet, transport, clients = laid()

    async def block() -> None:
        async with clients, clients.subscribe(TOP):
            await asyncio.sleep(1.0)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await block()
    assert not any(server.open for server in internet.servers.values())
    assert transport.closed == 1


@scenario
async def test_an_exchange_that_cannot_be_opened_closes_those_that_were() -> None:
    internet, transport, _ = laid()
    clock = VirtualClock()
    used = connect(toy("bee"), transport=MemoryTransport(internet), clock=clock)
    async with used:
        clients = connect_many(toy("ant"), used, transport=transport, clock=clock)
        with pytest.raises(UsageError, match="opened once"):
            async with clients:
                raise AssertionError("entered")
        assert transport.closed == 1


@scenario
async def test_afterwards_a_reader_elsewhere_has_come_to_its_end() -> None:
    _, _, clients = laid()
    async with clients:
        feed = clients.subscribe(TOP)
        await feed.__aenter__()

        async def read() -> int:
            return len([event async for event in feed])

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(1.0)
    assert await reader == 2
    gc.collect()
