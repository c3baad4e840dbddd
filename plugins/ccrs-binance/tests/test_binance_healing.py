"""The whole stack over real sockets while the emulator misbehaves in Binance's own voice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from ccrs_binance import Binance

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
from ccrs_core.emulator import GARBLED, EmulatorServer
from ccrs_core.topics.keeper import BookKeeper

pytestmark = pytest.mark.sockets

QUICK = Options(backoff_initial=0.01, stable_after=0.1, patience=Patience(ack=0.5))
SPOT, FUTURES = "BTC/USDT", "BTC/USDT:USDT"


def play(
    scene: Callable[[EmulatorServer, Client], Awaitable[None]],
    *,
    options: Options = QUICK,
    rate: float = 200,
) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(60),
            EmulatorServer(Binance().dialect(), seed=7, rate=rate) as server,
            ccrs_core.connect(Binance(), base_url=server.url, options=options) as client,
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


def sequences(events: list[AnyEvent], kind: type[Any]) -> list[int]:
    return [e.sequence for e in events if isinstance(e, kind)]


def rising(numbers: list[int]) -> bool:
    return all(later > sooner for sooner, later in pairwise(numbers))


def chained(events: list[AnyEvent]) -> bool:
    """Whether no change of a book is missing between those that were delivered."""
    updates = [event for event in events if isinstance(event, BookUpdate)]
    return all(
        later.snapshot or (later.previous_sequence or 0) <= sooner.sequence < later.sequence
        for sooner, later in pairwise(updates)
    )


@pytest.mark.parametrize("symbol", [SPOT, FUTURES])
def test_connections_of_which_one_after_the_other_drops_deliver_all_once(symbol: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(book(symbol, depth=1000), connections=4) as feed:
            events = await read(feed, 10, BookUpdate)  # by then all are up
            server.venue.faults.add("drop,every=0.25,target=random")
            events += await read(feed, 30, BookUpdate)
            assert feed.book(symbol).valid
        assert not [e for e in events if isinstance(e, Gap | Stale)]
        assert rising(sequences(events, BookUpdate))
        assert chained(events)

    play(scene)


def test_a_single_connection_that_drops_confesses_each_interruption() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(top_of_book(SPOT), trades(SPOT)) as feed:
            await feed.ready()
            fault = server.venue.faults.add("drop,every=0.5")
            events = await read(feed, 3, Gap)
            fault.cancel()
            events += await read(feed, 50, TopOfBook)
        assert rising(sequences(events, TopOfBook))
        ids = [e.trade_id for e in events if isinstance(e, Trade)]
        assert len(ids) == len(set(ids))
        assert all(e.reason is Reason.RECONNECTED for e in events if isinstance(e, Gap))

    play(scene)


@pytest.mark.parametrize("symbol", [SPOT, FUTURES])
@pytest.mark.parametrize("fault", ["gap,topic=*@depth@100ms,every=0.5", "reorder,every=0.5"])
def test_a_book_is_right_whenever_it_is_valid_and_heals(symbol: str, fault: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        wanted = book(symbol, depth=1000)
        async with client.subscribe(wanted) as feed:
            await feed.ready()
            kept = server.venue.faults.add(fault)
            events = await read(feed, 3, Gap)
            kept.cancel()
            events += await read(feed, 20, BookUpdate)
            mine = feed.book(symbol)
            assert mine.valid
            # A second connection, which has seen none of the faults, must agree.
            async with client.subscribe(wanted, policy="block") as fresh:
                theirs: dict[int | None, Any] = {}
                async for _ in fresh:
                    other = fresh.book(symbol)
                    if not other.valid:
                        continue
                    theirs[other.sequence] = (other.bids(), other.asks())
                    if mine.sequence in theirs:
                        assert theirs[mine.sequence] == (mine.bids(), mine.asks())
                        break
        resubscribed = [peer for peer in server.venue.peers if peer.number > 2]
        assert not resubscribed, "a request heals a book, nothing else does"

    play(scene)


def test_snapshots_that_fail_are_asked_for_again() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        await client.get_instruments("spot")
        failing = server.venue.faults.add("http,status=500,topic=*depth*,count=2")
        async with client.subscribe(book(SPOT, depth=1000)) as feed:
            await read(feed, 5, BookUpdate)
            assert failing.hits == 2
            assert feed.book(SPOT).valid

    quick = Options(backoff_initial=0.01, stable_after=0.1, patience=Patience(ack=0.5))
    play(scene, options=quick)


@pytest.mark.parametrize(
    "fault", ["corrupt,every=0.2", "truncate,every=0.2", "duplicate,every=0.1"]
)
def test_damaged_and_doubled_frames_neither_stop_nor_double_a_feed(fault: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(trades(FUTURES)) as feed:
            await feed.ready()
            server.venue.faults.add(fault)
            events = await read(feed, 100, Trade)
        ids = [e.trade_id for e in events if isinstance(e, Trade)]
        assert len(ids) == len(set(ids))

    play(scene)


def test_a_missing_acknowledgement_is_asked_for_again() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        fault = server.venue.faults.add("no_ack")
        async with client.subscribe(top_of_book(SPOT)) as feed:
            # Data comes all the same, and is kept.
            await read(feed, 5, TopOfBook)
            fault.cancel()
            await feed.ready()
            await read(feed, 5, TopOfBook)

    play(scene)


def test_an_announced_shutdown_replaces_the_connection_without_an_interruption() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(top_of_book(SPOT), book(SPOT, depth=1000)) as feed:
            events = await read(feed, 5, BookUpdate)
            first = {peer.number for peer in server.venue.peers}
            server.venue.faults.add("shutdown_notice")
            async for event in feed:
                events.append(event)
                if not first & {peer.number for peer in server.venue.peers}:
                    break
            events += await read(feed, 5, BookUpdate)
        assert not [e for e in events if isinstance(e, Gap | Stale)]
        assert rising(sequences(events, TopOfBook))
        assert rising(sequences(events, BookUpdate))
        assert chained(events)

    play(scene)


def test_planned_replacements_over_real_sockets_miss_and_repeat_nothing() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(trades(FUTURES), book(FUTURES, depth=1000)) as feed:
            events: list[AnyEvent] = []
            async for event in feed:
                events.append(event)
                if client.status().rollovers >= 3:
                    break
        ids = [int(e.trade_id) for e in events if isinstance(e, Trade)]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert not [e for e in events if isinstance(e, Gap | Stale)]
        assert chained(events)

    play(scene, options=Options(max_connection_age=1.5, rollover_overlap=0.2))


@pytest.mark.parametrize("how", sorted(GARBLED))
def test_a_book_whose_first_snapshot_is_garbled_on_its_way_asks_for_it_again(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The request itself is tried again: no book has to find out in its own time.
    monkeypatch.setattr(BookKeeper, "PATIENCE", 1e6)

    async def scene(server: EmulatorServer, client: Client) -> None:
        await client.instrument(SPOT)
        server.venue.faults.add(f"garble,how={how},path=*depth*,count=1")
        async with client.subscribe(book(SPOT, depth=1000)) as feed:
            (first,) = await read(feed, 1, BookUpdate)
            assert isinstance(first, BookUpdate)
            assert first.snapshot
            assert feed.book(SPOT, depth=1000).valid
        assert client.status().request_errors == 1

    play(scene)
