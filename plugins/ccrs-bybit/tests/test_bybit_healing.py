"""The whole stack over real sockets while the emulator misbehaves in Bybit's own voice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from ccrs_bybit import Bybit

import ccrs_core
from ccrs_core import (
    AnyEvent,
    BookUpdate,
    Client,
    Feed,
    Gap,
    Options,
    Patience,
    Reason,
    Stale,
    TopOfBook,
    Trade,
    book,
    top_of_book,
    trades,
)
from ccrs_core.emulator import EmulatorServer

pytestmark = pytest.mark.sockets

QUICK = Options(backoff_initial=0.01, stable_after=0.1, patience=Patience(ack=0.5))
BTC = "BTC/USDT:USDT"


def play(
    scene: Callable[[EmulatorServer, Client], Awaitable[None]], *, seed: int = 7, rate: float = 200
) -> None:
    async def main() -> None:
        dialect = Bybit().dialect()
        assert dialect is not None
        async with (
            asyncio.timeout(60),
            EmulatorServer(dialect, seed=seed, rate=rate) as server,
            ccrs_core.connect(Bybit(), base_url=server.url, options=QUICK) as client,
        ):
            await scene(server, client)

    asyncio.run(main())


async def read(feed: Feed, count: int, kind: type[Any]) -> list[AnyEvent]:
    """Events up to and with the ``count``-th of a kind."""
    events: list[AnyEvent] = []
    async for event in feed:
        events.append(event)
        count -= isinstance(event, kind)
        if not count:
            break
    return events


def sequences(events: list[AnyEvent]) -> list[int]:
    return [e.sequence for e in events if isinstance(e, TopOfBook | BookUpdate) and e.sequence]


def test_five_connections_of_which_one_after_the_other_drops_deliver_all_once() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(top_of_book(BTC), connections=5) as feed:
            events = await read(feed, 30, TopOfBook)  # by then all five are up
            server.venue.faults.add("drop,every=0.25,target=random")
            events += await read(feed, 300, TopOfBook)
        assert not [e for e in events if isinstance(e, Gap | Stale)]
        numbers = sequences(events)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    play(scene)


def test_a_single_connection_that_drops_confesses_each_interruption() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(top_of_book(BTC), trades(BTC)) as feed:
            await feed.ready()
            fault = server.venue.faults.add("drop,every=0.5")
            events = await read(feed, 3, Gap)
            fault.cancel()
            events += await read(feed, 50, TopOfBook)
        numbers = sequences(events)
        assert all(later > sooner for sooner, later in pairwise(numbers))
        ids = [e.trade_id for e in events if isinstance(e, Trade)]
        assert len(ids) == len(set(ids))
        assert all(e.reason is Reason.RECONNECTED for e in events if isinstance(e, Gap))

    play(scene)


@pytest.mark.parametrize(
    "fault", ["gap,topic=orderbook.50.*,every=0.5", "restart,every=0.5", "reorder,every=0.5"]
)
def test_a_book_is_right_whenever_it_is_valid_and_heals(fault: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(book(BTC, depth=50)) as feed:
            await feed.ready()
            kept = server.venue.faults.add(fault)
            events = await read(feed, 4, Gap)
            kept.cancel()
            events += await read(feed, 50, BookUpdate)
            mine = feed.book(BTC)
            assert mine.valid
            assert len(mine.bids()) == len(mine.asks()) == 50
            # A second connection, which has seen none of the faults, must agree.
            async with client.subscribe(book(BTC, depth=50), policy="block") as fresh:
                theirs: dict[int | None, Any] = {}
                async for _ in fresh:
                    other = fresh.book(BTC)
                    theirs[other.sequence] = (other.bids(), other.asks())
                    if mine.sequence in theirs:
                        assert theirs[mine.sequence] == (mine.bids(), mine.asks())
                        break
        assert [e for e in events if isinstance(e, Gap)]

    play(scene)


@pytest.mark.parametrize(
    "fault", ["corrupt,every=0.2", "truncate,every=0.2", "duplicate,every=0.1"]
)
def test_damaged_and_doubled_frames_neither_stop_nor_double_a_feed(fault: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(trades(BTC)) as feed:
            await feed.ready()
            server.venue.faults.add(fault)
            events = await read(feed, 100, Trade)
        ids = [e.trade_id for e in events if isinstance(e, Trade)]
        assert len(ids) == len(set(ids))

    play(scene)


def test_a_missing_acknowledgement_is_asked_for_again() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        fault = server.venue.faults.add("no_ack")
        async with client.subscribe(top_of_book(BTC)) as feed:
            # Data comes all the same, and is kept.
            await read(feed, 5, TopOfBook)
            fault.cancel()
            await feed.ready()
            await read(feed, 5, TopOfBook)

    play(scene)


def test_refused_handshakes_and_rest_errors_are_waited_out() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        refused = server.venue.faults.add("refuse,status=503")
        failing = server.venue.faults.add("http,status=500,count=2")
        async with client.subscribe(top_of_book(BTC)) as feed:
            assert failing.hits == 2
            while refused.hits < 4:  # noqa: ASYNC110 - the emulator has nothing to wait for
                await asyncio.sleep(0)
            refused.cancel()
            await read(feed, 5, TopOfBook)

    play(scene)


def test_a_planned_replacement_over_real_sockets_misses_and_repeats_nothing() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with ccrs_core.connect(
            Bybit(),
            base_url=server.url,
            options=Options(max_connection_age=1.5, rollover_overlap=0.2),
        ) as mine:
            async with mine.subscribe(top_of_book(BTC), book(BTC, depth=50)) as feed:
                events: list[AnyEvent] = []
                async for event in feed:
                    events.append(event)
                    if mine.status().rollovers >= 3:
                        break
            for kind in (TopOfBook, BookUpdate):
                numbers = [e.sequence for e in events if isinstance(e, kind)]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert not [e for e in events if isinstance(e, Gap | Stale)]

    play(scene)
