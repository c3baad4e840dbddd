"""What is read before, between and after changes: reading changes nothing, and tells the present.

What somebody has read stays what it was; whoever reads after each change sees at the end what
one sees who reads but once.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    BookInvalid,
    BookUpdate,
    Channel,
    Client,
    ConsolidatedBBO,
    FeedClosed,
    Gap,
    OrderBook,
    Reason,
    Resumed,
    Side,
    Stale,
    SubscriptionState,
    TopOfBook,
    UsageError,
    book,
    trades,
)
from ccrs_core.feeds.histogram import Histogram
from ccrs_core.model.events import Level
from ccrs_core.model.orderbook import Applied, BookState
from tests.virtual import scenario
from tests.watching import TOP, market, world

# --- books ----------------------------------------------------------------------------------------

READERS: dict[str, Callable[[OrderBook], Any]] = {
    "bids": lambda held: held.bids(),
    "asks": lambda held: held.asks(),
    "one bid": lambda held: held.bids(1),
    "best_bid": lambda held: held.best_bid,
    "best_ask": lambda held: held.best_ask,
    "mid": lambda held: held.mid,
    "spread": lambda held: held.spread,
    "known": lambda held: held.known,
    "size": lambda held: held.size_to(Side.SELL, Decimal(1)),
    "vwap": lambda held: held.vwap(Side.BUY, Decimal(2)),
}


def read(held: OrderBook) -> dict[str, Any]:
    """All that a book tells; of an invalid one that it refuses, whatever is asked."""
    if held.valid:
        return {name: reader(held) for name, reader in READERS.items()}
    for reader in READERS.values():
        with pytest.raises(BookInvalid):
            reader(held)
    return {}


def levels(prices: dict[int, int]) -> tuple[Level, ...]:
    return tuple((Decimal(price), Decimal(size)) for price, size in prices.items())


def update(
    sequence: int, bids: dict[int, int], asks: dict[int, int], *, snapshot: bool = False, **how: Any
) -> BookUpdate:
    previous = None if snapshot else how.pop("previous", sequence - 1)
    at = sequence * 1000
    return BookUpdate(
        "toy", "X", at, at + 1, sequence, snapshot, levels(bids), levels(asks), previous, **how
    )


WHOLE = update(10, {100: 1, 99: 2, 98: 3}, {101: 1, 102: 2, 103: 3}, snapshot=True)

CHANGES: dict[str, tuple[BookUpdate, Applied]] = {
    "a new level": (update(11, {97: 4}, {}), Applied.APPLIED),
    "a better level": (update(11, {}, {Decimal("100.5"): 1}), Applied.APPLIED),  # type: ignore[dict-item]
    "a changed size": (update(11, {100: 7}, {103: 9}), Applied.APPLIED),
    "a level removed": (update(11, {100: 0}, {102: 0}), Applied.APPLIED),
    "a side emptied": (update(11, {100: 0, 99: 0, 98: 0}, {}), Applied.APPLIED),
    "nothing": (update(11, {}, {}), Applied.APPLIED),
    "removing what isn't there": (update(11, {50: 0}, {150: 0}), Applied.APPLIED),
    "old": (update(10, {100: 9}, {}, previous=9), Applied.OLD),
    "ahead": (update(12, {100: 9}, {}), Applied.AHEAD),
    "crossed": (update(11, {102: 1}, {}), Applied.BROKEN),
    "a wrong checksum": (update(11, {100: 5}, {}, checksum=1), Applied.BROKEN),
    "a whole book": (update(20, {90: 1}, {91: 1}, snapshot=True), Applied.APPLIED),
    "an older whole book": (update(5, {80: 1}, {81: 1}, snapshot=True), Applied.APPLIED),
    "an empty whole book": (update(20, {}, {}, snapshot=True), Applied.APPLIED),
    "a crossed whole book": (update(20, {91: 1}, {90: 1}, snapshot=True), Applied.BROKEN),
}

MODES: dict[str, dict[str, Any]] = {
    "all": {},
    "two levels": {"depth": 2},
    "every level": {"depth": 2, "every_level": True},
    "every level within reach": {"depth": 2, "every_level": True, "reach": 3},
}


def naive(mode: dict[str, Any], changes: list[BookUpdate]) -> tuple[list[Level], list[Level]]:
    """What the best levels should be after updates that all apply."""
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    for each in changes:
        if each.snapshot:
            bids, asks = {}, {}
        bids |= dict(each.bids)
        asks |= dict(each.asks)
    depth = mode.get("depth")
    best = sorted(((p, s) for p, s in bids.items() if s), reverse=True)[:depth]
    return best, sorted((p, s) for p, s in asks.items() if s)[:depth]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_book_tells_what_each_kind_of_update_leaves_and_what_was_read_stays(
    mode: str, change: str
) -> None:
    held = OrderBook("X", checksum=lambda book: 0, **MODES[mode])
    assert read(held) == {}
    assert held.apply(WHOLE) is Applied.APPLIED
    before = read(held)
    kept = copy.deepcopy(before)
    told, expected = CHANGES[change]
    counts = held.updates, held.snapshots
    applied = held.apply(told)
    if (mode, change) == ("every level within reach", "a side emptied"):
        assert applied is Applied.BROKEN  # there is more that isn't known
        expected = applied
    assert applied is expected
    assert before == kept, "what was read before has changed"
    happened = applied in (Applied.APPLIED, Applied.BROKEN)
    assert held.updates == counts[0] + happened
    assert held.snapshots == counts[1] + told.snapshot
    last = told if happened else WHOLE
    assert held.sequence == last.sequence
    assert held.received_time_ns == last.received_time_ns
    assert held.exchange_time_ns == last.exchange_time_ns
    if applied is Applied.BROKEN:
        assert held.state is BookState.INVALID
        assert read(held) == {}
        assert held.apply(update(held.sequence + 1, {1: 1}, {})) is Applied.UNSYNCED
    elif not happened:
        assert read(held) == kept
    else:
        after = read(held)
        bids, asks = naive(MODES[mode], [WHOLE, told])
        if mode != "two levels" or told.snapshot or change in ("nothing", "a changed size"):
            assert (after["bids"], after["asks"]) == (bids, asks)
        assert after["best_bid"] == (bids[0] if bids else None)
        assert after["best_ask"] == (asks[0] if asks else None)
        assert read(held) == after
    # Whatever it was, a whole book makes it right again, and nothing of before is left.
    assert held.apply(update(40, {70: 1}, {71: 2}, snapshot=True)) is Applied.APPLIED
    assert (held.state, held.reason, held.cut) == (BookState.VALID, None, None)
    assert read(held)["bids"] == [(Decimal(70), Decimal(1))]
    assert read(held)["asks"] == [(Decimal(71), Decimal(2))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ended", [False, True])
def test_a_book_that_was_given_up_tells_nothing_and_keeps_nothing(mode: str, ended: bool) -> None:
    held = OrderBook("X", **MODES[mode])
    held.apply(WHOLE)
    held.apply(update(11, {97: 4, 20: 1}, {}))
    kept = held.bids()
    if ended:
        held.close("the feed has gone")
    else:
        held.invalidate(Reason.SEQUENCE)
    assert read(held) == {}
    assert not held.valid
    assert held.reason is (Reason.CLOSED if ended else Reason.SEQUENCE)
    assert (held.cut, held.narrow, held.trimmed) == (None, False, False)
    assert not held._bids.sizes
    assert not held._asks.prices
    assert kept[0] == (Decimal(100), Decimal(1))
    with pytest.raises(BookInvalid, match="the feed has gone" if ended else "heals by itself"):
        held.bids()


# --- the best of all exchanges --------------------------------------------------------------------

EXCHANGES = ("a", "b", "c")


def _quote(exchange: str, at: int, bid: int, ask: int) -> TopOfBook:
    one = Decimal(1)
    prices = (None if bid == 0 else Decimal(bid)), (None if ask == 0 else Decimal(ask))
    sizes = [None if price is None else one for price in prices]
    return TopOfBook("" + exchange, "X", at, at, at, prices[0], sizes[0], prices[1], sizes[1])


def _notice(kind: str, exchange: str, at: int) -> AnyEvent:
    about = Channel.TOP_OF_BOOK
    match kind:
        case "silent":
            return Stale(exchange, "X", None, at, about, Reason.SILENT)
        case "stale":
            return Stale(exchange, "X", None, at, about, Reason.DISCONNECTED)
        case "gap":
            return Gap(exchange, "X", None, at, about, Reason.SEQUENCE)
        case _:
            return Resumed(exchange, "X", None, at, about, 1)


moves = st.one_of(
    st.tuples(st.just("quote"), st.sampled_from(EXCHANGES), st.integers(0, 5), st.integers(0, 9)),
    st.tuples(
        st.sampled_from(["silent", "stale", "gap", "resumed", "remove"]),
        st.sampled_from(EXCHANGES),
        st.just(0),
        st.just(0),
    ),
)


def _all(best: ConsolidatedBBO) -> list[Any]:
    names = ("best_bid", "best_ask", "spread", "mid", "locked", "crossed", "exchanges")
    return [getattr(best, name) for name in names]


@given(st.lists(moves, max_size=25))
def test_who_reads_the_best_prices_after_each_event_sees_what_one_sees_who_reads_once(
    todo: list[tuple[str, str, int, int]],
) -> None:
    often, once = ConsolidatedBBO("X", EXCHANGES[:2]), ConsolidatedBBO("X", EXCHANGES[:2])
    for at, (kind, exchange, bid, ask) in enumerate(todo, start=1):
        for best in (often, once):
            if kind == "remove":
                best.remove(exchange)
            elif kind == "quote":
                best.take(_quote(exchange, at, bid, ask))
            else:
                best.take(_notice(kind, exchange, at))
        before = _all(often)
        assert before == _all(often)
        fresh = copy.deepcopy(once)
        assert _all(fresh) == before
    assert _all(once) == _all(often)


# --- figures --------------------------------------------------------------------------------------


@given(st.lists(st.integers(-5, 1 << 44), max_size=30), st.integers(0, 29))
def test_reading_a_histogram_changes_nothing_and_a_reset_or_a_merge_all(
    durations: list[int], cut: int
) -> None:
    often, once, first, second = (Histogram() for _ in range(4))
    for place, ns in enumerate(durations):
        often.record(ns)
        summary = often.summary()
        assert summary == often.summary()
        assert summary is not None
        assert summary.count == place + 1
        once.record(ns)
        (first if place < cut else second).record(ns)
    assert often == once
    assert often.summary() == once.summary()
    before = second.summary()
    first.merge(second)
    assert first.summary() == once.summary()
    assert second.summary() == before
    twin = first.copy()
    first.reset()
    assert (first.summary(), first.count, first.max_ns) == (None, 0, None)
    assert twin.summary() == once.summary()


# --- clients and feeds ----------------------------------------------------------------------------

RISING = (
    *("connects", "frames", "data", "late", "superseded", "control", "unrecognised", "unwanted"),
    *("unreadable", "retired", "rows_left_out", "wins", "repeats"),
)
TOTALS = ("rollovers", "resubscriptions", "reconnects", "found_dead", "requests", "request_errors")


@scenario
async def test_counters_never_fall_whatever_happens_and_frames_add_up_at_any_moment() -> None:
    async with world(TOP, book("BTC/USD"), trades("BTC/USD"), connections=3) as seen:
        known: dict[int, tuple[int, ...]] = {}
        totals: tuple[int, ...] = (0,) * len(TOTALS)
        delivered: dict[Channel, int] = {}
        for step in range(160):
            for topic in ("top.BTC", "book.BTC", "trades.BTC"):
                seen.server.tick(topic)
            there = seen.server.open
            match step:
                case 20 | 90:
                    there[0].drop()
                case 40:
                    there[-1].push('{"bye":"maintenance"}')  # it was opened after a loss
                case 60:
                    there[0].push("gibberish")
                case 70:
                    seen.server.dead.add(there[-1])
                case 130:
                    for peer in there:
                        peer.drop()
            await asyncio.sleep(0.3)
            status = seen.client.status()
            for line in status.connections:
                now = tuple(getattr(line, name) for name in RISING)
                before = known.get(line.number, (0,) * len(now))
                assert all(a <= b for a, b in zip(before, now, strict=True)), (line, before)
                known[line.number] = now
                parts = line.data + line.late + line.superseded + line.control + line.retired
                lost = line.unrecognised + line.unwanted + line.unreadable
                assert line.frames == parts + lost
            now = tuple(getattr(status, name) for name in TOTALS)
            assert all(a <= b for a, b in zip(totals, now, strict=True)), (totals, now)
            totals = now
            for each in status.subscriptions:
                assert each.delivered >= delivered.get(each.channel, 0)
                delivered[each.channel] = each.delivered
            (feed,) = status.feeds
            gone = feed.waiting + feed.conflated + feed.dropped + feed.discarded
            assert feed.offered == feed.delivered + gone
        assert totals[TOTALS.index("rollovers")] >= 1
        assert totals[TOTALS.index("reconnects")] >= 4
        counted = {Channel.TOP_OF_BOOK: TopOfBook, Channel.BOOK: BookUpdate}
        for channel, kind in counted.items():
            assert delivered[channel] >= len(seen.of(kind)) > 100


def _frozen(client: Client) -> dict[str, Any]:
    return attrs.asdict(client.status())


@scenario
async def test_a_status_that_was_read_stays_what_it_was() -> None:
    async with world(TOP, book("BTC/USD"), connections=2) as seen:
        first = seen.client.status()
        kept = copy.deepcopy(first)
        await market(seen, "top.BTC", 5)
        seen.server.open[0].drop()
        await market(seen, "book.BTC", 5)
        assert first == kept
        assert _frozen(seen.client) == _frozen(seen.client)
        assert seen.client.status() != first


@scenario
async def test_what_a_feed_tells_before_between_and_after_its_changes() -> None:
    async with world(trades("SOL/USD")) as seen:
        client = seen.client
        feed = client.subscribe(TOP, book("BTC/USD"))
        with pytest.raises(FeedClosed, match="open the feed first"):
            await anext(aiter(feed))
        await feed.__aenter__()
        await feed.ready()
        held = feed.book("BTC/USD")
        assert held.valid
        assert feed.book("BTC/USD") is held
        await feed.subscribe(trades("ETH/USD"))
        assert feed.book("BTC/USD") is held
        assert feed.interests == (TOP, book("BTC/USD"), trades("ETH/USD"))
        assert len(client.status().subscriptions) == 4
        await asyncio.sleep(0.5)
        states = {each.state for each in client.status().subscriptions}
        assert states <= {SubscriptionState.ACTIVE, SubscriptionState.UNPROVED}
        await feed.unsubscribe(book("BTC/USD"))
        assert feed.interests == (TOP, trades("ETH/USD"))
        assert not held.valid
        with pytest.raises(BookInvalid, match="subscribe again"):
            held.bids()
        with pytest.raises(UsageError):
            feed.book("BTC/USD")
        await feed.subscribe(book("BTC/USD"))
        await asyncio.sleep(0.5)
        again = feed.book("BTC/USD")
        assert again.valid
        assert again is not held
        assert not held.valid
        await market(seen, "book.BTC", 3)
        assert again.sequence == 103
        kept = again.bids()
        before = feed.status()
        await feed.aclose()
        await feed.aclose()
        assert kept == kept.copy()
        assert not again.valid
        after = feed.status()
        assert (after.waiting, after.error) == (0, None)
        assert after.delivered == before.delivered
        assert after.offered == after.delivered + after.conflated + after.dropped + after.discarded
        assert feed.interests == (TOP, trades("ETH/USD"), book("BTC/USD"))
        assert [each.symbol for each in client.status().subscriptions] == ["SOL/USD"]
        assert len(client.status().feeds) == 1
        assert [event async for event in feed] == []
        for doing in (feed.subscribe(TOP), feed.__aenter__()):
            with pytest.raises(FeedClosed):
                await doing
        seen.server.tick("top.BTC")
        await asyncio.sleep(0.5)
        assert feed.status() == after


@scenario
async def test_what_a_client_tells_once_it_has_ended() -> None:
    async with world(TOP, book("BTC/USD"), connections=2) as seen:
        await market(seen, "book.BTC", 3)
        client, feed = seen.client, seen.feed
        held, before = feed.book("BTC/USD"), client.status()
        assert len(before.connections) == 2
    after = client.status()
    assert (after.connections, after.subscriptions, after.feeds) == ((), (), ())
    assert after.requests == before.requests
    assert after.reconnects == before.reconnects
    assert after.rollovers == before.rollovers
    assert client.status() == after
    assert not held.valid
    with pytest.raises(BookInvalid):
        held.asks()
    with pytest.raises(UsageError, match="the client is closed"):
        await client.get_server_time()
    assert feed.waiting == 0
