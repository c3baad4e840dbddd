"""The whole stack while the emulator misbehaves in OKX's own voice: over real sockets what depends
on them, and in virtual time what takes long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from ccrs_okx import Okx
from ccrs_okx.emulator import OkxDialect

import ccrs_core
from ccrs_core import (
    NS_PER_SECOND,
    AnyEvent,
    BookUpdate,
    Client,
    Feed,
    Gap,
    HttpRequest,
    Options,
    Patience,
    Reason,
    Stale,
    TopOfBook,
    Trade,
    book,
    liquidations,
    top_of_book,
    trades,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorServer, EmulatorTransport
from ccrs_core.transport.memory import VirtualClock, run

START_NS = 1_767_225_600 * NS_PER_SECOND
QUICK = Options(backoff_initial=0.01, stable_after=0.1, patience=Patience(ack=0.5))
SPOT, LINEAR, INVERSE = "BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"
NATIVES = {SPOT: "BTC-USDT", LINEAR: "BTC-USDT-SWAP", INVERSE: "BTC-USD-SWAP"}
CONTRACTS = {SPOT: Decimal(1), LINEAR: Decimal("0.01"), INVERSE: Decimal(1)}


def play(
    scene: Callable[[EmulatorServer, Client], Awaitable[None]],
    *,
    options: Options = QUICK,
    rate: float = 400,
) -> None:
    """A scene over real sockets."""

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            EmulatorServer(OkxDialect(), seed=7, rate=rate) as server,
            ccrs_core.connect(Okx(), base_url=server.url, options=options) as client,
        ):
            await scene(server, client)

    asyncio.run(main())


def play_virtually(
    scene: Callable[[EmulatorTransport, Client], Awaitable[None]],
    *,
    options: Options = QUICK,
    rate: float = 20,
    **dialect: Any,
) -> None:
    """A scene in virtual time, without sockets."""
    at = EmulatedExchange(OkxDialect(**dialect), seed=7, rate=rate, start_ns=START_NS)
    clock = VirtualClock(START_NS)

    async def main() -> None:
        transport = EmulatorTransport(at, clock)
        async with ccrs_core.connect(
            Okx(), transport=transport, clock=clock, options=options
        ) as client:
            await scene(transport, client)

    run(main())


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
        later.snapshot or later.previous_sequence == sooner.sequence
        for sooner, later in pairwise(updates)
    )


def once(events: list[AnyEvent]) -> bool:
    ids = [event.trade_id for event in events if isinstance(event, Trade)]
    return len(ids) == len(set(ids)) > 0


# --- over real sockets ---


def test_a_single_connection_that_drops_confesses_each_interruption() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(top_of_book(SPOT)) as feed:
            await feed.ready()
            fault = server.venue.faults.add("drop,every=0.2")
            events = await read(feed, 2, Gap)
            fault.cancel()
            events += await read(feed, 20, TopOfBook)
        assert rising(sequences(events, TopOfBook))
        assert all(e.reason is Reason.RECONNECTED for e in events if isinstance(e, Gap))

    play(scene)


@pytest.mark.parametrize(
    "fault", ["corrupt,every=0.1", "truncate,every=0.1", "duplicate,every=0.05"]
)
def test_damaged_and_doubled_frames_neither_stop_nor_double_a_feed(fault: str) -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(trades(LINEAR), top_of_book(LINEAR)) as feed:
            await feed.ready()
            hits = server.venue.faults.add(fault)
            events = await read(feed, 10, Trade)
            while not hits.hits:
                events += await read(feed, 5, Trade)
        assert once(events)
        assert rising(sequences(events, TopOfBook))

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


def test_an_announced_end_replaces_the_connection_without_an_interruption() -> None:
    async def scene(server: EmulatorServer, client: Client) -> None:
        async with client.subscribe(book(SPOT, depth=400)) as feed:
            events = await read(feed, 2, BookUpdate)
            first = {peer.number for peer in server.venue.peers}
            server.venue.faults.add("shutdown_notice")
            async for event in feed:
                events.append(event)
                if not first & {peer.number for peer in server.venue.peers}:
                    break
            events += await read(feed, 2, BookUpdate)
        assert not [e for e in events if isinstance(e, Gap | Stale)]
        assert rising(sequences(events, BookUpdate))
        assert chained(events)

    play(scene, options=Options(rollover_overlap=0.2))


# --- books in virtual time ---


class Judge:
    """Compares a book with the one that a request brings, wherever both are at one number."""

    def __init__(self, world: EmulatorTransport, feed: Feed, symbol: str) -> None:
        self.world, self.feed, self.symbol = world, feed, symbol
        self.compared = 0

    async def look(self, rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0.137)
            query = {"instId": NATIVES[self.symbol], "sz": "400"}
            request = HttpRequest("GET", "/api/v5/market/books", tuple(query.items()))
            (told,) = json.loads((await self.world.request("", request)).body)["data"]
            await asyncio.sleep(0.001)  # the changes up to it are on their way
            mine = self.feed.book(self.symbol)
            if not mine.valid or mine.sequence != told["seqId"]:
                continue
            self.compared += 1
            contract = CONTRACTS[self.symbol]
            for side in ("bids", "asks"):
                levels = [
                    (Decimal(price), Decimal(size) * contract) for price, size, *_ in told[side]
                ]
                assert getattr(mine, side)() == levels


FAULTS = ["gap,topic=books:*,every=2.0", "reorder,every=2.0", "restart,topic=books:*,every=2.0",
          "drop,every=2.0"]  # fmt: skip


@pytest.mark.parametrize("snapshots", [True, False], ids=["snapshots", "changes-alone"])
@pytest.mark.parametrize(
    ("symbol", "fault"),
    [
        *((LINEAR, fault) for fault in FAULTS),
        *((symbol, FAULTS[0]) for symbol in (SPOT, INVERSE)),
    ],
)
def test_a_book_is_the_markets_whenever_it_is_valid_and_heals(
    symbol: str, snapshots: bool, fault: str
) -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        at = world.venue
        notices: list[AnyEvent] = []
        updates: list[BookUpdate] = []

        def note(event: AnyEvent) -> None:
            (updates if isinstance(event, BookUpdate) else notices).append(event)  # type: ignore[arg-type]

        async with client.subscribe(book(symbol, depth=400), callback=note) as feed:
            judge = Judge(world, feed, symbol)
            await judge.look(10)
            assert judge.compared > 5
            assert not notices
            kept = at.faults.add(fault)
            await judge.look(35)
            kept.cancel()
            at.faults.clear()
            assert kept.hits >= 2
            before = judge.compared
            await judge.look(40)
            # It has healed, and stays so.
            assert judge.compared > before + 10
            assert feed.book(symbol).valid
        # A restart goes on from the very state before it: nothing is lost.
        assert bool(notices) is not fault.startswith("restart")
        assert chained(list(updates)) or notices
        if fault.startswith("restart"):
            assert not rising(sequences(list(updates), BookUpdate))
            assert chained(list(updates))

    play_virtually(scene, snapshots=snapshots)


@pytest.mark.parametrize("snapshots", [True, False], ids=["snapshots", "changes-alone"])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_book_of_which_nothing_is_heard_but_that_it_lives_stays_valid(
    snapshots: bool, connections: int
) -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        events: list[AnyEvent] = []
        async with client.subscribe(
            book(SPOT, depth=400), connections=connections, callback=events.append
        ) as feed:
            await feed.ready()
            await asyncio.sleep(1800.0)
            assert feed.book(SPOT).valid
            assert client.status().reconnects == 0
            # Said every minute, by each connection, and not handed on: that nothing has changed.
            heard = [each.data + each.late for each in client.status().connections]
            assert len(heard) == connections
            assert min(heard) > 25
            assert 1 <= len(events) < 5
            assert all(isinstance(e, BookUpdate) and (e.bids or e.asks) for e in events)
            assert chained(events)

    play_virtually(scene, snapshots=snapshots, rate=1e-6, options=Options())


def test_without_snapshots_a_book_is_asked_for_until_it_comes() -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        at = world.venue
        await client.get_instruments("spot")
        failing = at.faults.add("http,status=500,path=*books*,count=2")
        refusing = at.faults.add("http,status=50011,path=*books*,count=2")
        async with client.subscribe(book(SPOT, depth=400)) as feed:
            events = await read(feed, 5, BookUpdate)
            assert (failing.hits, refusing.hits) == (2, 2)
            assert feed.book(SPOT).valid
            judge = Judge(world, feed, SPOT)
            await judge.look(20)
            assert judge.compared > 10
        assert chained(events)

    play_virtually(scene, snapshots=False)


def test_a_book_with_a_wrong_checksum_is_not_trusted_and_heals() -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        at = world.venue
        events: list[AnyEvent] = []
        async with client.subscribe(book(LINEAR, depth=400), callback=events.append) as feed:
            judge = Judge(world, feed, LINEAR)
            await judge.look(5)
            (told,) = [each for each in at.broadcasts if each.topic == "books:BTC-USDT-SWAP"]
            whole = told.spelled  # type: ignore[attr-defined]
            # The sum is that of a book without its best bid.
            told.spelled = lambda: (whole()[0][1:], whole()[1])  # type: ignore[attr-defined]
            await asyncio.sleep(0.5)
            told.spelled = whole  # type: ignore[attr-defined]
            reasons = {event.reason for event in events if isinstance(event, Stale)}
            assert Reason.CHECKSUM in reasons
            before = judge.compared
            await judge.look(30)
            assert feed.book(LINEAR).valid
            assert judge.compared > before + 10

    play_virtually(scene, checksums=True)


@pytest.mark.parametrize(
    ("fault", "connections"), [("drop,every=2.0,target=random", 3), ("shutdown_notice,every=20", 1)]
)
@pytest.mark.parametrize("snapshots", [True, False], ids=["snapshots", "changes-alone"])
def test_connections_that_end_while_others_bring_the_same_are_not_missed(
    fault: str, connections: int, snapshots: bool
) -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        wanted = trades(LINEAR), book(LINEAR, depth=400), top_of_book(LINEAR)
        events: list[AnyEvent] = []
        async with client.subscribe(
            *wanted, connections=connections, callback=events.append
        ) as feed:
            await feed.ready()
            await asyncio.sleep(5.0)  # by then all are up
            kept = world.venue.faults.add(fault)
            await asyncio.sleep(45.0)
            kept.cancel()
            assert kept.hits > 5
            judge = Judge(world, feed, LINEAR)
            await judge.look(10)
            assert judge.compared > 5
        assert not [event for event in events if isinstance(event, Gap | Stale)]
        ids = [int(event.trade_id) for event in events if isinstance(event, Trade)]
        assert len(ids) > 30
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert rising(sequences(events, TopOfBook))
        assert rising(sequences(events, BookUpdate))
        assert chained(events)

    play_virtually(scene, snapshots=snapshots, rate=10.0)


def test_planned_replacements_miss_and_repeat_nothing() -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        wanted = trades(LINEAR), book(LINEAR, depth=400), top_of_book(LINEAR)
        events: list[AnyEvent] = []
        async with client.subscribe(*wanted, callback=events.append):
            await asyncio.sleep(60.0)
            assert client.status().rollovers >= 9
        ids = [int(event.trade_id) for event in events if isinstance(event, Trade)]
        assert len(ids) > 50
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert not [event for event in events if isinstance(event, Gap | Stale)]
        assert chained(events)
        assert rising(sequences(events, TopOfBook))

    play_virtually(scene, options=Options(max_connection_age=15.0, rollover_overlap=2.0))


def test_liquidations_of_a_type_come_to_all_who_want_them_until_each_has_enough() -> None:
    async def scene(world: EmulatorTransport, client: Client) -> None:
        at = world.venue
        eth = "ETH/USDT:USDT"
        heard: dict[str, list[AnyEvent]] = {LINEAR: [], eth: []}
        one = client.subscribe(liquidations(LINEAR), callback=heard[LINEAR].append)
        other = client.subscribe(liquidations(eth), callback=heard[eth].append)
        async with other:
            async with one:
                await asyncio.sleep(60.0)
            before = {symbol: len(events) for symbol, events in heard.items()}
            assert min(before.values()) > 0
            assert len(at.peers) == 1, "one connection for the type"
            await asyncio.sleep(60.0)
            assert len(heard[LINEAR]) == before[LINEAR]
            assert len(heard[eth]) > before[eth]
        for symbol, events in heard.items():
            assert {event.type for event in events} == {"liquidation"}
            assert {event.symbol for event in events} == {symbol}
        await asyncio.sleep(5.0)
        assert not [peer for peer in at.peers if peer.subscriptions]

    play_virtually(scene, rate=40.0)
