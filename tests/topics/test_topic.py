"""One topic as connections bring it: what a frame means for the streams that share it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    BookUpdate,
    Channel,
    Gap,
    GetBook,
    Liquidation,
    Resumed,
    Side,
    Stale,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
    book,
    top_of_book,
    trades,
)
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.feeds.stream import Stream
from ccrs_core.model.events import MarketData, Reason
from ccrs_core.model.orderbook import Checksum
from ccrs_core.topics.continuity import new_book
from ccrs_core.topics.topic import Topic
from tests.tapes import Tape
from tests.topics.test_keeper import Tap
from tests.toy import Toy, instrument
from tests.virtual import scenario
from tests.watching import TOP, market, world

BTC = instrument("BTC")
SECOND = 10**9

# --- trades that the exchange counts --------------------------------------------------------------


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 3), min_size=1, max_size=12),
    st.data(),
)
def test_counted_trades_come_once_in_their_order_whoever_brings_which_part_when(
    connections: int, sizes: list[int], data: st.DataObject
) -> None:
    tape = Tape(connections, counted=True)
    for runner in tape.runners:
        tape.topic.acknowledged(runner, 0.0, 0)
    batches, number = [], 1
    for size in sizes:
        batches.append(list(range(number, number + size)))
        number += size
    for who in range(connections):
        tape.bring(who, [0], 0.0)
    order = data.draw(st.permutations([c for c in range(connections) for _ in batches]))
    places = [0] * connections
    for step, who in enumerate(order):
        tape.bring(who, batches[places[who]], 0.001 * step)
        places[who] += 1
    assert tape.ids == list(range(number))
    assert not [each for each in tape.tap.events if isinstance(each, Gap)]
    assert tape.topic.streams[Trade].last_sequence == number - 1


@pytest.mark.parametrize("together", [False, True])
def test_a_lone_connection_s_missing_trade_is_a_gap_at_once(together: bool) -> None:
    tape = Tape(1, counted=True)
    tape.topic.acknowledged(tape.runners[0], 0.0, 0)
    for numbers in [[1, 2, 5, 6]] if together else [[1], [2], [5], [6]]:
        tape.bring(0, numbers, 0.0)
    kinds = [type(each) for each in tape.tap.events]
    assert kinds == [Trade, Trade, Gap, Trade, Trade]
    gap = tape.tap.events[2]
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.last_sequence, gap.next_sequence) == (Reason.SEQUENCE, 2, 5)
    tape.bring(0, [3, 4], 0.1)  # too late: told as missing
    assert tape.ids == [1, 2, 5, 6]


def test_of_two_connections_one_may_bring_what_the_other_lacks() -> None:
    tape = Tape(2, counted=True)
    for who in (0, 1):
        tape.topic.acknowledged(tape.runners[who], 0.0, 0)
        tape.bring(who, [1], 0.0)
    tape.bring(0, [4], 0.1)
    assert tape.ids == [1]
    assert tape.topic.wake_at == pytest.approx(1.1)
    tape.bring(1, [2], 0.2)
    assert tape.ids == [1, 2]
    assert tape.topic.wake_at == pytest.approx(1.1)
    tape.bring(1, [3], 0.3)
    assert tape.ids == [1, 2, 3, 4]
    assert tape.topic.wake_at is None
    tape.bring(1, [4], 0.4)
    assert tape.ids == [1, 2, 3, 4]


def test_a_count_that_begins_anew_is_a_gap_and_goes_on_from_there() -> None:
    tape = Tape(1, counted=True)
    tape.topic.acknowledged(tape.runners[0], 0.0, 0)
    tape.bring(0, [100, 101], 0.0)
    for number in (1, 2, 3):
        tape.bring(0, [number], 0.1 * number)
    assert tape.ids == [100, 101, 1, 2, 3]
    assert [type(each) for each in tape.tap.events].index(Gap) == 2


# --- trades that aren't counted -------------------------------------------------------------------


def test_trades_told_again_in_other_company_are_delivered_once() -> None:
    tape = Tape(1)
    for numbers in ([1], [1, 2], [2, 3, 4], [4], [1, 5], [5, 5]):
        tape.bring(0, numbers, 0.0)
    assert tape.ids == [1, 2, 3, 4, 5]
    assert tape.topic.known.repeated >= 4


# --- what frames are known by ---


def liquidation(name: str) -> Liquidation:
    return Liquidation("toy", "BTC/USD", 1, 2, Side.BUY, Decimal(len(name)), Decimal(1))


class Wire:
    """A topic of liquidations, whose frames are known by their bytes alone."""

    def __init__(self) -> None:
        self.runners = [Runner(n, opened_at=n * 0.55, apart={"liq"}) for n in (1, 2)]
        self.tap = Tap()
        self.topic = Topic(
            "liq",
            self.runners,
            live=lambda name: 2,
            resync=lambda name, what: None,
            arm=lambda: None,
            exchange=Toy(),
        )
        stream = self.topic.stream(Subscription(Channel.LIQUIDATIONS, BTC))
        self.topic.attach(stream, self.tap)  # type: ignore[arg-type]

    def bring(self, who: int, name: str, now: float) -> None:
        data = Data("liq", (liquidation(name),), name.encode())
        self.topic.deliver_all([data], self.runners[who], now)

    @property
    def lengths(self) -> list[int]:
        return [int(e.price) for e in self.tap.events if isinstance(e, Liquidation)]


def test_a_connection_that_brings_what_was_delivered_goes_on_from_there() -> None:
    wire = Wire()
    wire.bring(0, "a", 1.0)
    wire.bring(0, "aa", 1.1)
    wire.bring(1, "aa", 1.2)  # a copy: it follows on
    wire.bring(1, "aaa", 1.3)
    wire.bring(0, "aaa", 1.4)
    assert wire.lengths == [1, 2, 3]
    assert wire.topic.race.brought_at(b"aaa") == 1.3
    assert wire.topic.race.brought_at(b"never") is None
    assert not [event for event in wire.tap.events if isinstance(event, Gap)]


def test_what_a_connection_brings_waits_until_another_one_has_brought_the_same() -> None:
    wire = Wire()
    wire.bring(0, "a", 1.0)
    wire.bring(1, "aaa", 1.1)
    assert wire.lengths == [1]
    wire.bring(0, "aa", 1.2)
    assert wire.lengths == [1, 2]
    wire.bring(0, "aaa", 1.3)
    wire.bring(1, "aaaa", 1.4)
    assert wire.lengths == [1, 2, 3, 4]
    assert not [event for event in wire.tap.events if isinstance(event, Gap)]


class Deep(Toy):
    """Books that start from a request of so many levels."""

    kept: int | None = None

    def book_depth(self, subscription: Subscription) -> int | None:
        return self.kept

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        return GetBook(subscription.instrument, 50)

    def checksum(self, subscription: Subscription) -> Checksum | None:
        return lambda book: len(subscription.symbol)


@pytest.mark.parametrize("kept", [None, 20])
def test_a_new_book_is_of_the_kind_that_the_exchange_says(kept: int | None) -> None:
    exchange, subscription = Deep(), Subscription(Channel.BOOK, BTC, depth=10)
    exchange.kept = kept
    made = new_book(exchange, subscription)
    assert (made.symbol, made.reach) == ("BTC/USD", 50)
    assert made.depth == (10 if kept is None else 20)
    assert made.every_level is (kept is None)
    level = ((Decimal(1), Decimal(1)),)
    for checksum, valid in ((len("BTC/USD"), True), (1, False)):
        made.apply(BookUpdate("toy", "BTC/USD", 1, 1, 1, True, level, (), None, checksum))
        assert made.valid is valid
    assert new_book(Toy(), subscription).reach is None


# --- several states in one topic ------------------------------------------------------------------


def top(number: int, at: int) -> TopOfBook:
    one = Decimal(1)
    return TopOfBook("toy", "BTC/USD", at, at, number, Decimal(number), one, Decimal(200), one)


def ticker(number: int, at: int) -> Ticker:
    fields = {"last_price": Decimal(number)}
    return Ticker("toy", "BTC/USD", at, at, number, **fields)  # type: ignore[arg-type]


class Board:
    """A topic that tells the best prices and the ticker."""

    def __init__(self, connections: int = 1) -> None:
        self.runners = [Runner(number) for number in range(1, connections + 1)]
        self.topic = Topic(
            "state",
            self.runners,
            live=lambda name: len(self.runners),
            resync=lambda name, what: None,
            arm=lambda: None,
            exchange=Toy(),
        )
        self.taps: dict[Channel, Tap] = {}
        self.streams: dict[Channel, Stream] = {}
        for channel in (Channel.TOP_OF_BOOK, Channel.TICKER):
            tap, stream = Tap(), self.topic.stream(Subscription(channel, BTC))
            self.topic.attach(stream, tap)  # type: ignore[arg-type]
            self.taps[channel], self.streams[channel] = tap, stream

    def bring(self, *events: MarketData, who: int = 0, restart: bool = False) -> None:
        run = [Data("state", (each,), each.sequence, restart) for each in events]  # type: ignore[union-attr]
        self.topic.deliver_all(run, self.runners[who], 0.0)

    def told(self, channel: Channel) -> Sequence[type]:
        return [type(each) for each in self.taps[channel].events]


def test_a_stream_found_silent_is_well_again_once_its_neighbour_speaks() -> None:
    for many in (False, True):
        board = Board()
        board.bring(top(1, SECOND))
        board.bring(ticker(2, SECOND))
        for stream in board.streams.values():
            stream.stale(Reason.SILENT, 20 * SECOND)
        more = [top(3, 21 * SECOND), top(4, 22 * SECOND)]
        board.bring(*(more if many else more[:1]))
        assert board.told(Channel.TOP_OF_BOOK)[1:4] == [Stale, Resumed, TopOfBook]
        assert board.told(Channel.TICKER) == [Ticker, Stale, Resumed]
        last = board.taps[Channel.TICKER].events[-1]
        assert last.received_time_ns == (22 if many else 21) * SECOND


@pytest.mark.parametrize("reason", [Reason.DISCONNECTED, Reason.UNREADABLE])
def test_a_stream_that_was_interrupted_is_not_well_because_its_neighbour_speaks(
    reason: Reason,
) -> None:
    board = Board()
    board.bring(top(1, SECOND))
    board.bring(ticker(2, SECOND))
    for stream in board.streams.values():
        stream.interrupt(Reason.RECONNECTED)
        stream.stale(reason, 2 * SECOND)
    board.bring(top(3, 3 * SECOND))
    assert board.told(Channel.TOP_OF_BOOK) == [TopOfBook, Stale, Gap, Resumed, TopOfBook]
    assert board.told(Channel.TICKER) == [Ticker, Stale]
    board.bring(ticker(4, 4 * SECOND))
    assert board.told(Channel.TICKER) == [Ticker, Stale, Gap, Resumed, Ticker]


def test_word_that_nothing_has_changed_heals_silence_alone() -> None:
    board = Board()
    board.bring(top(1, SECOND))
    board.bring(ticker(2, SECOND))
    board.streams[Channel.TOP_OF_BOOK].stale(Reason.SILENT, 20 * SECOND)
    board.streams[Channel.TICKER].interrupt(Reason.RECONNECTED)
    board.streams[Channel.TICKER].stale(Reason.DISCONNECTED, 20 * SECOND)
    board.topic.unchanged(21 * SECOND)
    assert board.told(Channel.TOP_OF_BOOK) == [TopOfBook, Stale, Resumed]
    assert board.told(Channel.TICKER) == [Ticker, Stale]


@pytest.mark.parametrize("healed_by", ["unchanged", "neighbour", "copy"])
@pytest.mark.parametrize(
    "reasons",
    [
        [Reason.SILENT, Reason.DISCONNECTED],
        [Reason.SILENT, Reason.UNREADABLE],
        [Reason.DISCONNECTED, Reason.SILENT, Reason.DISCONNECTED],
        [Reason.SILENT, Reason.SILENT, Reason.DISCONNECTED],
    ],
)
def test_of_several_reasons_to_be_stale_the_last_one_says_what_heals_it(
    reasons: Sequence[Reason], healed_by: str
) -> None:
    """A new connection knows nothing of what a stream told before the old one was lost."""
    board = Board()
    stream, told = board.streams[Channel.TOP_OF_BOOK], board.taps[Channel.TOP_OF_BOOK].events
    for times in (1, 2):
        board.bring(ticker(10 * times, SECOND))
        board.bring(top(10 * times + 1, SECOND))
        begun = len(told)
        for place, reason in enumerate(reasons):
            if reason is not Reason.SILENT:
                stream.interrupt(Reason.RECONNECTED)
            stream.stale(reason, (place + 2) * SECOND)
        if healed_by == "unchanged":
            board.topic.unchanged(20 * SECOND)
        elif healed_by == "neighbour":
            board.bring(ticker(10 * times + 2, 20 * SECOND))
        else:
            board.bring(ticker(10 * times, 20 * SECOND))
        assert [type(each) for each in told[begun:]] == [Stale]
        board.bring(top(10 * times + 3, 21 * SECOND))
        assert [type(each) for each in told[begun:]] == [Stale, Gap, Resumed, TopOfBook]


@pytest.mark.parametrize("times", [1, 3])
def test_once_a_dead_stream_has_spoken_an_acknowledgement_is_as_good_as_any(times: int) -> None:
    """After the loss of a connection, where silence is normal; but not while it is dead."""
    tape = Tape(1)
    (stream,) = tape.topic.streams.values()
    (runner,), told = tape.runners, tape.tap.events

    def is_back() -> bool:
        stream.interrupt(Reason.RECONNECTED)
        stream.stale(Reason.DISCONNECTED, SECOND)
        begun = len(told)
        tape.topic.acknowledged(runner, 1.0, SECOND)
        return Resumed in [type(each) for each in told[begun:]]

    for number in range(times):
        tape.bring(0, [2 * number + 1], 0.0)
        assert is_back()
        stream.found_dead()
        assert not is_back()
        tape.bring(0, [2 * number + 2], 0.0)
        assert is_back()


def test_kinds_that_take_turns_in_one_burst_are_delivered_each_in_its_order() -> None:
    board = Board()
    events: list[MarketData] = []
    for number in range(1, 40, 3):
        events += [top(number, number), top(number + 1, number), ticker(number + 2, number)]
    board.bring(*events)
    assert board.taps[Channel.TOP_OF_BOOK].events == [e for e in events if type(e) is TopOfBook]
    assert board.taps[Channel.TICKER].events == [e for e in events if type(e) is Ticker]
    runner = board.runners[0]
    assert runner.wins == len(events)
    assert runner.tops["state"] == 39


def test_bursts_of_racing_connections_are_delivered_once_and_their_leads_measured() -> None:
    board = Board(2)
    fast, slow = board.runners
    for turn in range(5):
        burst = [top(number, number) for number in range(10 * turn + 1, 10 * turn + 11)]
        board.bring(*burst)
        board.bring(*burst, who=1)
        if turn:
            half = [*burst[5:], *(top(n, n) for n in range(10 * turn + 11, 10 * turn + 13))]
            assert half  # what overlaps is told once
    assert [e.sequence for e in board.taps[Channel.TOP_OF_BOOK].events] == list(range(1, 51))  # type: ignore[union-attr]
    assert (fast.wins, fast.late, fast.repeats) == (50, 0, 0)
    assert (slow.wins, slow.late + slow.repeats) == (0, 50)
    assert slow.behind_count == fast.ahead_count > 0
    assert slow.tops["state"] == 50


@pytest.mark.parametrize("by", ["burst", "one"])
def test_numbers_that_fall_are_told_by_their_reason(by: str) -> None:
    for restart, reason in ((True, Reason.RESTART), (False, Reason.SEQUENCE)):
        board = Board()
        board.bring(*(top(number, number) for number in (50, 51, 52)))
        new = [top(number, number) for number in (1, 2, 3)]
        if not restart:
            # Nothing new for a while: the numbers before were wrong.
            board.topic.race.advanced_at = -10.0
            board.runners[0].tops["state"] = 1
        if by == "burst":
            first, *rest = new
            run = [Data("state", (first,), 1, restart)]
            run += [Data("state", (each,), each.sequence) for each in rest]
            board.topic.deliver_all(run, board.runners[0], 0.0)
        else:
            board.bring(new[0], restart=restart)
            board.bring(new[1])
            board.bring(new[2])
        seen = board.taps[Channel.TOP_OF_BOOK].events
        assert [type(each) for each in seen[3:5]] == [Gap, TopOfBook]
        gap = seen[3]
        assert isinstance(gap, Gap)
        assert gap.reason is reason
        assert [e.sequence for e in seen[4:]] == [1, 2, 3]  # type: ignore[union-attr]


@scenario
async def test_a_book_that_comes_back_on_the_same_connections_owes_nothing_to_its_former_life() -> (
    None
):
    async with world(TOP, book("BTC/USD"), connections=2) as seen:
        await market(seen, "book.BTC", 30)
        await seen.feed.unsubscribe(book("BTC/USD"))
        await asyncio.sleep(1.0)
        seen.server.sequence["book.BTC"] = 1  # the exchange counts anew while nobody looks
        before = len(seen.events)
        await seen.feed.subscribe(book("BTC/USD"))
        await asyncio.sleep(1.0)
        await market(seen, "book.BTC", 20)
        later = seen.events[before:]
        assert not [each for each in later if isinstance(each, Gap | Stale)]
        assert [e.sequence for e in later if isinstance(e, BookUpdate)] == list(range(1, 22))


@scenario
async def test_connections_that_see_ever_new_topics_remember_those_that_there_are() -> None:
    async with world(TOP, connections=2) as seen:
        (shard,) = (each.shard for each in seen.client.placement.deliveries)
        for name in ("ETH", "SOL", "XRP", "ADA", "DOT", "LTC"):
            wanted = top_of_book(f"{name}/USD"), book(f"{name}/USD"), trades(f"{name}/USD")
            await seen.feed.subscribe(*wanted)
            await asyncio.sleep(0.5)
            for kind in ("top", "book", "trades"):
                await market(seen, f"{kind}.{name}", 2, every=0.01)
            await seen.feed.unsubscribe(*wanted)
        await market(seen, "top.BTC", 5)
        for link in shard.links:
            assert set(link.runner.tops) == {"top.BTC"}
            assert link.runner.apart | set(link.runner.generations) <= {"top.BTC"}
        assert set(shard.topics) == {"top.BTC"}
        assert shard._reserved == {"top.BTC"}
        assert shard._reserved_chars == len("top.BTC")
