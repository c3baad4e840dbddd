"""Ready-made broadcasts: what a client hears makes up the market, at the pace that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import (
    Bar,
    BookFeed,
    Broadcast,
    CandleFeed,
    Changed,
    EmulatedExchange,
    ForcedCloseFeed,
    Frame,
    Handshake,
    HttpRefusal,
    Interval,
    MarketFeed,
    Peer,
    SimulatedMarket,
    StateFeed,
    Together,
    TopFeed,
    TradeFeed,
    Visitor,
    one_by_one,
)
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND
from tests.emulator.plain import START_NS, PlainDialect, PlainVisitor

Make = Callable[[str, SimulatedMarket], Broadcast]
FEEDS = settings(max_examples=15, deadline=None)


def frame(**told: Any) -> Frame:
    return Frame(orjson.dumps(told))


def book(feed: BookFeed, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
    return frame(at=now_ns, whole=snapshot, n=feed.view.update, bids=bids, asks=asks)


def top(feed: TopFeed, snapshot: bool, bid: Any, ask: Any, now_ns: int) -> Frame:
    return frame(at=now_ns, whole=snapshot, bid=bid, ask=ask)


def trades(feed: TradeFeed, batch: Sequence[Any], now_ns: int) -> Frame:
    return frame(at=now_ns, numbers=[each.number for each in batch], blank=feed.blank())


def closes(feed: ForcedCloseFeed, batch: Sequence[Any], now_ns: int) -> Frame:
    return frame(at=now_ns, numbers=[each.number for each in batch])


def state(feed: MarketFeed, now_ns: int) -> dict[str, Any]:
    return {"last": feed.price(feed.market.tape.last), "time": now_ns}


def row(feed: StateFeed, now: Mapping[str, Any], before: Any, now_ns: int) -> Frame:
    return frame(at=now_ns, now=now, before=before)


def candle(feed: CandleFeed, bar: Bar, closed: bool, now_ns: int) -> Frame:
    return frame(at=now_ns, open=bar.open_ns, closed=closed, lots=bar.lots, close=feed.close_ns)


class Heard:
    """A client's connection that was subscribed to a broadcast, and all that it hears."""

    def __init__(self, venue: EmulatedExchange, make: Make) -> None:
        self.venue = venue
        self.listing = venue.listings["spot", "AB"]
        self.broadcast = venue.simulated(
            "spot", "topic", lambda: make("topic", venue.market(self.listing))
        )
        peer = venue.open("/ws", {}, venue.now_ns)
        assert isinstance(peer, Peer)
        self.peer = peer
        peer.subscribe(self.broadcast, venue.now_ns)
        self.greeted = self.take()

    def take(self) -> list[dict[str, Any]]:
        told = [each for each in self.peer.take() if isinstance(each, Frame)]
        return [orjson.loads(each.payload) for each in told]

    def listen(self, seconds: float) -> list[dict[str, Any]]:
        self.venue.advance(self.venue.now_ns + round(seconds * NS_PER_SECOND))
        return self.take()


class Patient(PlainVisitor):
    idle_timeout: ClassVar[float | None] = None


class PatientDialect(PlainDialect):
    """Hangs up on nobody who is silent."""

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        return Patient(self)


def exchange(seed: int = 0, rate: float = 20.0) -> EmulatedExchange:
    return EmulatedExchange(PatientDialect(), seed=seed, rate=rate, start_ns=START_NS)


def apply(side: dict[str, str], levels: Sequence[Sequence[str]], whole: bool) -> None:
    if whole:
        side.clear()
    for price, size in levels:
        if float(size):
            side[price] = size
        else:
            side.pop(price, None)


@FEEDS
@given(
    seed=st.integers(0, 99),
    depth=st.integers(1, 12),
    pause=st.floats(0, 3),
    whole=st.booleans(),
    pushed=st.booleans(),
    every_ms=st.sampled_from([0, 100]),
)
def test_whoever_joins_a_book_whenever_can_keep_it(
    seed: int, depth: int, pause: float, whole: bool, pushed: bool, every_ms: int
) -> None:
    venue = exchange(seed)
    options: dict[str, Any] = {"whole": whole, "tells_pushed_out": pushed, "every_ms": every_ms}
    make: Make = lambda topic, market: BookFeed(topic, market, depth, book, **options)  # noqa: E731
    Heard(venue, make).listen(pause)
    heard = Heard(venue, make)
    frames = heard.greeted + heard.listen(4)
    assert frames[0]["whole"]
    assert len(frames) > 1
    assert all(each["whole"] == whole for each in frames[1:])
    numbers = [each["n"] for each in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    kept: tuple[dict[str, str], dict[str, str]] = {}, {}
    feed = heard.broadcast
    assert isinstance(feed, BookFeed)
    for each in frames:
        for side, name, sign in zip(kept, ("bids", "asks"), (-1, 1), strict=True):
            apply(side, each[name], each["whole"])
            # A client throws away what lies beyond the depth, where it isn't told.
            best = sorted(side, key=lambda price, sign=sign: sign * float(price))[:depth]
            for price in set(side) - set(best):
                assert not pushed, "what better levels pushed out is told"
                del side[price]
    bids, asks = feed.spelled()
    assert kept == (dict(bids), dict(asks))


@FEEDS
@given(seed=st.integers(0, 99), single=st.booleans(), pause=st.floats(0, 2))
def test_each_trade_since_one_joined_is_heard_once_and_in_order(
    seed: int, single: bool, pause: float
) -> None:
    venue = exchange(seed)
    options: dict[str, Any] = {"batches": one_by_one} if single else {"every_ms": 300}
    make: Make = lambda topic, market: TradeFeed(topic, market, trades, **options)  # noqa: E731
    venue.market(venue.listings["spot", "AB"])
    venue.advance(venue.now_ns + round(pause * NS_PER_SECOND))
    before = venue.market(venue.listings["spot", "AB"]).tape.count
    heard = Heard(venue, make)
    assert heard.greeted == []
    frames = heard.listen(5)
    venue.hold(Changed.BOOK)
    frames += heard.listen(1)
    numbers = [number for each in frames for number in each["numbers"]]
    assert numbers == list(range(before + 1, heard.broadcast.markets[0].tape.count + 1))
    assert numbers
    if single:
        assert all(len(each["numbers"]) == 1 for each in frames)


def test_forced_closes_are_told_together_once_and_never_those_before_one_came() -> None:
    venue = exchange()
    venue.hold(Changed.BOOK)
    listing = venue.listings["spot", "AB"]
    make: Make = lambda topic, market: ForcedCloseFeed(topic, market, closes, every_ms=500)  # noqa: E731
    venue.liquidate(listing, Side.BUY, listing.lot, listing.price)
    heard = Heard(venue, make)
    assert heard.greeted == []
    heard.listen(1)
    for _ in range(3):
        venue.liquidate(listing, Side.SELL, listing.lot, listing.price)
    assert [each["numbers"] for each in heard.take() + heard.listen(0.5)] == [[2], [3, 4]]
    assert heard.listen(5) == []


@FEEDS
@given(
    seed=st.integers(0, 99), minutes=st.sampled_from([1, 3]), repeats=st.sampled_from([None, 10])
)
def test_each_candle_closes_once_at_its_end_with_all_that_was_traded_in_it(
    seed: int, minutes: int, repeats: int | None
) -> None:
    venue, interval = exchange(seed, rate=1.0), Interval.minutes(minutes)
    pace: dict[str, Any] = {"every_ms": 1000, "repeats_s": repeats}
    make: Make = lambda topic, market: CandleFeed(topic, market, interval, candle, **pace)  # noqa: E731
    heard = Heard(venue, make)
    frames = heard.greeted + heard.listen(minutes * 60 * 3 + 30)
    tape, opens = heard.broadcast.markets[0].tape, interval.open_of(START_NS)
    closed = [each for each in frames if each["closed"]]
    assert [each["open"] for each in closed] == [opens + n * (interval.ns or 0) for n in range(3)]
    for each in closed:
        assert each["at"] == each["close"] == interval.next_open(each["open"])
        assert each["lots"] == tape.candle(interval, each["open"]).lots
    assert all(each["open"] <= each["at"] <= each["close"] for each in frames)
    if repeats is not None:
        times = [each["at"] for each in frames]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert max(pauses) <= repeats * NS_PER_SECOND


@FEEDS
@given(seed=st.integers(0, 99), stamp=st.sampled_from([None, "time"]))
def test_a_state_is_told_when_it_changes_and_whoever_joins_hears_what_was_told_last(
    seed: int, stamp: str | None
) -> None:
    venue = exchange(seed)
    options: dict[str, Any] = {"triggers": Changed.BOOK | Changed.TRADES, "stamp": stamp}
    make: Make = lambda topic, market: StateFeed(topic, market, state, row, **options)  # noqa: E731
    heard = Heard(venue, make)
    frames = heard.greeted + heard.listen(5)
    assert frames[0]["before"] is None
    for earlier, later in pairwise(frames):
        assert later["before"] == earlier["now"]
        changed = earlier["now"]["last"] != later["now"]["last"]
        assert changed or (stamp is None and earlier["now"] != later["now"])
    assert len(frames) > 1
    venue.hold(Changed.BOOK)
    frames += heard.listen(1)
    late = Heard(venue, make).greeted
    assert late[0]["now"]["last"] == frames[-1]["now"]["last"]
    assert late[0]["before"] is None


PACED: Mapping[str, Callable[..., Broadcast]] = {
    "book": lambda topic, market, **pace: BookFeed(topic, market, 5, book, **pace),
    "whole book": lambda topic, market, **pace: BookFeed(
        topic, market, 5, book, whole=True, **pace
    ),
    "top": lambda topic, market, **pace: TopFeed(topic, market, top, **pace),
    "state": lambda topic, market, **pace: StateFeed(
        *(topic, market, state, row), triggers=Changed.TRADES, stamp="time", **pace
    ),
}


@pytest.mark.parametrize("kind", PACED)
@pytest.mark.parametrize("greets", [False, True])
def test_feeds_keep_their_pace_greet_as_told_and_repeat_themselves_in_quiet(
    kind: str, greets: bool
) -> None:
    venue = exchange()
    pace = {"every_ms": 250, "greets": greets, "repeats_s": 2}
    heard = Heard(venue, lambda topic, market: PACED[kind](topic, market, **pace))
    assert len(heard.greeted) == greets
    times = [each["at"] for each in heard.listen(5)]
    assert len(times) > 3
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert min(pauses) >= 250 * NS_PER_MS
    venue.hold(Changed.BOOK | Changed.REFERENCE)
    heard.listen(0.5)
    quiet = heard.listen(9)
    assert len(quiet) in {4, 5}
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(quiet)]
    assert set(pauses) == {2 * NS_PER_SECOND}
    if kind == "book":
        assert all(each["bids"] == each["asks"] == [] and not each["whole"] for each in quiet)
        assert len({each["n"] for each in quiet}) == 1
    if kind in {"whole book", "top"}:
        assert all(each["whole"] for each in quiet)


@pytest.mark.parametrize("kind", ["book", "top"])
def test_what_happens_beyond_what_is_told_is_quiet(kind: str) -> None:
    feeds: dict[str, Make] = {
        "book": lambda topic, market: BookFeed(topic, market, 1, book, whole=True, repeats_s=3),
        "top": lambda topic, market: TopFeed(topic, market, top, repeats_s=3),
    }
    venue = exchange()
    heard = Heard(venue, feeds[kind])
    venue.hold(Changed.BOOK | Changed.REFERENCE)
    heard.listen(0.5)
    deep = heard.listing.price * Decimal("0.5")
    frames = []
    for _ in range(15):
        venue.submit(heard.listing, Side.BUY, heard.listing.lot, deep, owner="somebody")
        frames += heard.listen(0.7)
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(frames)]
    assert pauses == [3 * NS_PER_SECOND] * 2


def test_a_side_without_orders_has_no_best_price() -> None:
    venue = exchange()
    heard = Heard(venue, lambda topic, market: TopFeed(topic, market, top))
    assert all(heard.greeted[0][side] is not None for side in ("bid", "ask"))
    venue.steer(heard.listing, bids=())
    (told,) = heard.take()
    assert (told["whole"], told["bid"]) == (False, None)
    assert told["ask"] is not None


def test_one_topic_tells_of_several_markets_and_leaves_blank_what_it_may_in_all() -> None:
    venue = exchange()
    venue.hold(Changed.BOOK)
    one, other = venue.listings["spot", "AB"], venue.listings["spot", "CD"]

    def make(topic: str, market: SimulatedMarket) -> Broadcast:
        markets = (market, venue.market(other))
        return Together(topic, [TradeFeed(topic, each, trades) for each in markets])

    heard = Heard(venue, make)
    for listing in (other, one, other):
        venue.trade(listing, Side.BUY, listing.lot, listing.price)
    counts = [venue.market(each).tape.count for each in (one, other)]
    numbers = [each["numbers"] for each in heard.take()]
    assert numbers == [[counts[1] - 1], [counts[0]], [counts[1]]]
    venue.faults.add("blank")
    venue.trade(one, Side.BUY, one.lot, one.price)
    assert [each["blank"] for each in heard.take()] == [True]


def test_each_market_of_one_topic_repeats_itself_and_begins_anew_as_it_would_alone() -> None:
    class Anew(BookFeed):
        def restarted(self, now_ns: int) -> Sequence[Frame]:
            self.view.restart()
            return list(self.standing(now_ns))

    def make(topic: str, market: SimulatedMarket) -> Broadcast:
        markets = (market, venue.market(other))
        return Together(topic, [Anew(topic, each, 1, write, repeats_s=2) for each in markets])

    def write(feed: BookFeed, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
        return frame(of=feed.market.listing.symbol, at=now_ns - venue.start_ns, n=feed.view.update)

    venue = exchange()
    venue.hold(Changed.BOOK | Changed.REFERENCE)
    one, other = venue.listings["spot", "AB"], venue.listings["spot", "CD"]
    heard = Heard(venue, make)
    heard.listen(1.5)
    venue.steer(one, bids=())
    told = [(each["of"], each["at"] / NS_PER_SECOND) for each in heard.take() + heard.listen(4.5)]
    assert told == [("AB", 1.5), ("CD", 2), ("AB", 3.5), ("CD", 4), ("AB", 5.5), ("CD", 6)]
    heard.broadcast.begin_anew(venue.now_ns)
    assert [(each["of"], each["n"]) for each in heard.take()] == [("AB", 1), ("CD", 1)]
