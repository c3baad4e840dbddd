"""Every policy keeps its word under any order of writing, reading, cancelling and unsubscribing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Candle,
    Channel,
    Feed,
    FeedClosed,
    FeedOverflow,
    Gap,
    Interest,
    OrderBook,
    Policy,
    Reason,
    Resumed,
    Side,
    Stale,
    SubscriptionRefused,
    TopOfBook,
    Trade,
    UsageError,
    top_of_book,
    trades,
)
from ccrs_core.backlog import Backlog
from ccrs_core.events import MarketData
from ccrs_core.transport.memory import run

SYMBOLS = ("A/USD", "B/USD", "C/USD")
KINDS = (Channel.TRADES, Channel.TOP_OF_BOOK)
Key = tuple[str, Channel]


@attrs.define(eq=False)
class Owner:
    """A client that does nothing but note what its feeds ask for."""

    calls: list[tuple[str, tuple[Interest, ...]]] = attrs.field(factory=list)
    lost: int = 0

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
        self.calls.append(("start", tuple(interests)))

    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
        self.calls.append(("stop", tuple(interests)))
        for interest in interests:
            feed.discard("toy", interest.symbol, interest.channel)

    async def ready(self, feed: Feed) -> None:
        await asyncio.sleep(0)

    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook:
        raise UsageError("no books here")

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        self.lost += lost


def event(number: int, symbol: str = "A/USD", channel: Channel = Channel.TRADES) -> MarketData:
    one = Decimal(1)
    if channel is Channel.TRADES:
        return Trade("toy", symbol, number, number, number, str(number), one, one, Side.BUY)
    return TopOfBook("toy", symbol, number, number, number, one, one, one, one)


def stale(number: int, symbol: str = "A/USD", channel: Channel = Channel.TRADES) -> Stale:
    return Stale("toy", symbol, None, number, channel, Reason.SILENT)


def key(each: AnyEvent) -> Key:
    return each.symbol, each.channel or each.about  # type: ignore[union-attr]


def number(each: AnyEvent) -> int:
    """Events carry the place at which they were written."""
    return each.received_time_ns


def scenario(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def play() -> None:
        run(test())

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


def opened(policy: Policy = Policy.DROP_OLDEST, maxsize: int = 4, **how: Any) -> Feed:
    return Feed(Owner(), [trades("A/USD")], policy=policy, maxsize=maxsize, **how)


def is_full(feed: Feed) -> bool:
    return feed.full


async def drained(feed: Feed) -> list[AnyEvent]:
    """Everything that waits, one by one."""
    seen: list[AnyEvent] = []
    reader = asyncio.ensure_future(_collect(feed, seen))
    await asyncio.sleep(0.001)
    reader.cancel()
    await asyncio.wait([reader])
    if not reader.cancelled():
        reader.result()
    return seen


async def _collect(feed: Feed, into: list[AnyEvent]) -> None:
    async for each in feed:
        into.append(each)  # noqa: PERF401 - so that a cancelled reader keeps what it saw


async def finished(work: Awaitable[Any], seconds: float = 1.0) -> Any:
    """The result of something that must not have to wait for long."""
    async with asyncio.timeout(seconds):
        return await work


# --- any interleaving ----------------------------------------------------------------------------


@attrs.define(eq=False)
class Play:
    """A feed, everything that was written to it and everything that was read."""

    feed: Feed
    owner: Owner
    clock: int = 0
    written: list[AnyEvent] = attrs.field(factory=list)
    read: list[AnyEvent] = attrs.field(factory=list)
    discarded: dict[Key, int] = attrs.field(factory=dict)
    """Until when what was written of a subscription may not be read any more."""
    overflows: list[tuple[int, int]] = attrs.field(factory=list)
    """How many events had been read when how many losses were raised."""

    def put(self, symbol: str, channel: Channel, count: int) -> None:
        events = []
        for _ in range(count):
            self.clock += 1
            events.append(event(self.clock, symbol, channel))
        self.written.extend(events)
        self.feed.put(events)

    def notify(self, symbol: str, channel: Channel) -> None:
        self.clock += 1
        notice = stale(self.clock, symbol, channel)
        self.written.append(notice)
        self.feed.notify(notice)

    def discard(self, symbol: str, channel: Channel) -> None:
        self.discarded[symbol, channel] = self.clock
        self.feed.discard("toy", symbol, channel)

    async def read_some(self, batch: bool) -> None:
        """One read; where nothing waits, a read that is cancelled while it waits."""
        source = self.feed.batches() if batch else aiter(self.feed)
        reader: asyncio.Future[Any] = asyncio.ensure_future(anext(source))
        for _ in range(3):
            await asyncio.sleep(0)
        if not reader.done():
            reader.cancel()
        await asyncio.wait([reader])
        if reader.cancelled():
            assert self.feed.waiting == 0
            return
        try:
            got = reader.result()
        except FeedOverflow as error:
            self.overflows.append((len(self.read), error.lost))
            return
        events = got if batch else [got]
        assert events
        for each in events:
            assert number(each) > self.discarded.get(key(each), 0) or isinstance(each, Gap)
        self.read.extend(events)

    def adds_up(self) -> None:
        status = self.feed.status()
        gone = status.conflated + status.dropped + status.discarded
        assert status.offered == status.delivered + status.waiting + gone
        assert status.delivered == len(self.read)
        assert status.dropped == self.owner.lost
        gaps = sum(isinstance(each, Gap) for each in self.read)
        assert status.offered == len(self.written) + gaps

    def data(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        return [each for each in events if each.channel is not None]

    def notices(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        return [each for each in events if isinstance(each, Stale)]


symbols, kinds = st.sampled_from(SYMBOLS), st.sampled_from(KINDS)
puts = st.tuples(st.just("put"), symbols, kinds, st.integers(1, 6))
notices = st.tuples(st.just("notify"), symbols, kinds)
discards = st.tuples(st.just("discard"), symbols, kinds)
reads = st.tuples(st.just("read_some"), st.booleans())
steps = st.lists(st.one_of(puts, puts, notices, reads, reads, discards), max_size=40)
steps_without_discards = st.lists(st.one_of(puts, puts, notices, reads, reads), max_size=40)
sizes = st.integers(1, 6)


def played(
    policy: Policy,
    maxsize: int,
    todo: Sequence[tuple[Any, ...]],
    check: Callable[[Play], None],
    *,
    drain: bool = True,
) -> Play:
    """Take the steps, checking after each, and read what remains."""

    async def main() -> Play:
        owner = Owner()
        feed = Feed(owner, [], policy=policy, maxsize=maxsize)
        play = Play(feed, owner)
        async with feed:
            for name, *arguments in todo:
                result = getattr(play, name)(*arguments)
                if result is not None:
                    await result
                play.adds_up()
                check(play)
            while drain and (not feed._backlog.empty or feed._backlog.overflow):
                await play.read_some(False)
                play.adds_up()
                check(play)
        return play

    return run(main())


def nothing(play: Play) -> None:
    pass


@given(st.sampled_from(Policy), sizes, steps)
def test_counters_add_up_at_all_times_and_nothing_unsubscribed_is_read(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(policy, maxsize, todo, nothing, drain=False)
    status = play.feed.status()
    assert status.waiting == 0
    assert status.offered == (
        status.delivered + status.conflated + status.dropped + status.discarded
    )


@given(st.sampled_from(Policy), sizes, steps_without_discards)
def test_no_notice_is_ever_lost_or_overtaken_by_what_came_after_it(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(policy, maxsize, todo, nothing)
    assert play.notices(play.read) == play.notices(play.written)
    numbers = [number(each) for each in play.read if not isinstance(each, Gap)]
    assert numbers == sorted(set(numbers))


@given(sizes, steps_without_discards)
def test_block_loses_nothing(maxsize: int, todo: list[tuple[Any, ...]]) -> None:
    def check(play: Play) -> None:
        waiting = len(play.data(play.written)) - len(play.data(play.read))
        if waiting == 0:
            assert not is_full(play.feed)
        elif waiting > maxsize and play.written[-1].channel is not None:
            assert is_full(play.feed)

    play = played(Policy.BLOCK, maxsize, todo, check)
    assert play.read == play.written
    assert not is_full(play.feed)


@given(steps)
def test_conflating_keeps_the_newest_of_each_instrument_and_channel(
    todo: list[tuple[Any, ...]],
) -> None:
    seen = 0
    newest: dict[Key, AnyEvent] = {}

    def check(play: Play) -> None:
        nonlocal seen
        for each in play.written:
            if each.channel is not None and number(each) > play.discarded.get(key(each), 0):
                newest[key(each)] = each
        for each in play.read[seen:]:
            # Whatever is read was the newest of its kind at that moment.
            if each.channel is not None:
                assert newest[key(each)] is each
        seen = len(play.read)
        data = play.feed.waiting - sum(
            1
            for n in play.notices(play.written)
            if n not in play.read and number(n) > play.discarded.get(key(n), 0)
        )
        assert data <= len(newest)

    play = played(Policy.CONFLATE, 1, todo, check)
    last = {key(each): each for each in play.data(play.read)}
    for each, latest in newest.items():
        if number(latest) > play.discarded.get(each, 0):
            assert last[each] is latest


@given(sizes, steps_without_discards)
def test_drop_oldest_keeps_the_newest_and_tells_every_loss_before_what_follows_it(
    maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    def check(play: Play) -> None:
        data = play.data(play.written)
        unread = len(data) - len(play.data(play.read)) - play.feed.status().dropped
        # One more may be on its way out, behind the gap that stands before it.
        assert 0 <= unread <= maxsize + 1

    play = played(Policy.DROP_OLDEST, maxsize, todo, check)
    read = {number(each) for each in play.read if not isinstance(each, Gap)}
    for symbol in SYMBOLS:
        for channel in KINDS:
            mine = [each for each in play.read if key(each) == (symbol, channel)]
            missing = [
                number(each)
                for each in play.data(play.written)
                if key(each) == (symbol, channel) and number(each) not in read
            ]
            for each in mine:
                if isinstance(each, Gap):
                    assert each.reason is Reason.OVERFLOW
                    assert each.lost is not None
                    lost, missing = missing[: each.lost], missing[each.lost :]
                    assert len(lost) == each.lost
                    assert lost[-1] == each.received_time_ns
                elif each.channel is not None:
                    # Everything that was lost before it has been told by now.
                    assert not missing or missing[0] > number(each)
            assert not missing


@given(sizes, st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_of_what_is_never_read_drop_oldest_keeps_the_newest_n(
    maxsize: int, counts: list[int]
) -> None:
    play = played(
        Policy.DROP_OLDEST, maxsize, [("put", "A/USD", Channel.TRADES, n) for n in counts], nothing
    )
    total = sum(counts)
    kept = min(total, maxsize)
    assert [number(e) for e in play.data(play.read)] == list(range(total - kept + 1, total + 1))
    assert [e.lost for e in play.read if isinstance(e, Gap)] == [total - kept] * (total > kept)


@given(sizes, steps_without_discards)
def test_raise_raises_once_for_each_loss_at_its_place_with_the_exact_count(
    maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(Policy.RAISE, maxsize, todo, nothing)
    data = play.data(play.written)
    places: list[tuple[int, int]] = []
    for at, lost in play.overflows:
        places.append((len(play.data(play.read[:at])), lost))
    # Put as many losses as were told where they were told: all is in its place again.
    expected, skipped = list(data), 0
    for at, lost in places:
        del expected[at : at + lost]
        skipped += lost
    assert expected == play.data(play.read)
    assert skipped == play.feed.status().dropped


@given(st.sampled_from(Policy), sizes, steps)
def test_batches_joined_equal_single_reads(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    writes = [step for step in todo if step[0] != "read_some"]
    single = played(policy, maxsize, [*writes, *[("read_some", False)] * 200], nothing)
    batched = played(policy, maxsize, [*writes, *[("read_some", True)] * 3], nothing)
    assert single.read == batched.read
    assert single.overflows == batched.overflows


# --- leaving, cancelling, several readers ---------------------------------------------------------


@given(
    st.sampled_from([Policy.BLOCK, Policy.DROP_OLDEST, Policy.RAISE]),
    st.lists(st.integers(1, 4), min_size=1, max_size=10),
)
def test_leaving_a_loop_and_entering_another_loses_nothing(
    policy: Policy, counts: list[int]
) -> None:
    async def main() -> None:
        feed = opened(policy, maxsize=1000)
        async with feed:
            total = sum(counts) + 3
            feed.put([event(n) for n in range(total)])
            seen: list[int] = []
            for count in counts:
                left = count
                async for each in feed:
                    seen.append(number(each))
                    left -= 1
                    if left <= 0:
                        break
                if len(seen) > total - 3:
                    break
            seen.extend(map(number, await finished(anext(feed.batches()))))
            assert seen == list(range(total))

    run(main())


@scenario
async def test_a_conflating_feed_that_was_left_can_be_read_in_batches() -> None:
    async with opened(Policy.CONFLATE) as feed:
        feed.put([event(1, "A/USD"), event(2, "B/USD"), event(3, "C/USD")])
        async for each in feed:
            assert number(each) == 1
            break
        assert [number(e) for e in await finished(anext(feed.batches()))] == [2, 3]


@scenario
async def test_a_slow_reader_of_a_conflating_feed_gets_what_is_newest_when_it_reads() -> None:
    async with opened(Policy.CONFLATE) as feed:
        feed.put([event(1, "A/USD"), event(2, "B/USD")])
        reader = aiter(feed)
        assert number(await anext(reader)) == 1
        feed.put([event(3, "B/USD")])
        assert number(await anext(reader)) == 3
        assert feed.waiting == 0


@scenario
async def test_a_conflating_feed_keeps_candles_of_different_intervals_apart() -> None:
    one = Decimal(1)
    first, second = (
        Candle("toy", "A/USD", 1, 1, i, 0, 1, one, one, one, one, one, None, False)
        for i in ("1m", "1h")
    )
    async with opened(Policy.CONFLATE) as feed:
        feed.put([first])
        feed.put([second])
        assert await drained(feed) == [first, second]


@scenario
async def test_a_blocking_feed_is_not_full_once_its_last_event_was_taken() -> None:
    async with opened(Policy.BLOCK, maxsize=1) as feed:
        feed.put([event(1), event(2)])
        assert is_full(feed)
        space = asyncio.ensure_future(feed.space())
        for _ in range(2):
            async for _ in feed:
                break
        assert not is_full(feed)
        await finished(space)


@scenario
async def test_unsubscribing_from_what_fills_a_blocking_feed_makes_space() -> None:
    async with opened(Policy.BLOCK, maxsize=2) as feed:
        feed.put([event(n) for n in range(5)])
        assert is_full(feed)
        await feed.unsubscribe(trades("A/USD"))
        assert not is_full(feed)
        await finished(feed.space())


@scenario
async def test_closing_a_full_blocking_feed_lets_its_connection_go_on() -> None:
    feed = opened(Policy.BLOCK, maxsize=1)
    async with feed:
        feed.put([event(1), event(2)])
        space = asyncio.ensure_future(feed.space())
    await finished(space)
    assert not is_full(feed)


@scenario
async def test_a_read_that_was_cancelled_can_be_tried_again_on_the_same_iterator() -> None:
    async with opened() as feed:
        reader = aiter(feed)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await anext(reader)
        feed.put([event(1)])
        assert number(await finished(anext(reader))) == 1


@scenario
async def test_a_cancelled_reader_does_not_put_its_follower_to_sleep() -> None:
    async with opened() as feed:
        reader = asyncio.ensure_future(_collect(feed, []))
        await asyncio.sleep(0)
        reader.cancel()
        # Waiting begins in this task before the cancelled one has run to its end.
        asyncio.get_running_loop().call_later(1.0, feed.put, [event(1)])
        assert number(await finished(anext(aiter(feed)), 2.0)) == 1
        await asyncio.wait([reader])


@scenario
async def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    async with opened() as feed:
        seen: list[AnyEvent] = []
        reader = asyncio.ensure_future(_collect(feed, seen))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="one reader"):
            await anext(aiter(feed))
        feed.put([event(1)])
        await asyncio.sleep(0)
        assert len(seen) == 1
    await finished(reader)


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [False, True])
def test_closing_wakes_a_waiting_reader_and_ends_its_loop(batches: bool) -> None:
    async def main() -> None:
        feed = opened()
        async with feed:

            async def read() -> str:
                if batches:
                    async for _ in feed.batches():
                        pass
                else:
                    async for _ in feed:
                        pass
                return "ended"

            reader = asyncio.ensure_future(read())
            await asyncio.sleep(0)
        assert await finished(reader) == "ended"
        assert await finished(read()) == "ended"

    run(main())


@scenario
async def test_a_closed_feed_takes_and_gives_nothing() -> None:
    feed = opened(maxsize=2)
    async with feed:
        feed.put([event(n) for n in range(5)])
    before = feed.status()
    assert (before.waiting, before.discarded, before.dropped) == (0, 2, 3)
    feed.put([event(9)])
    feed.notify(stale(9))
    assert feed.status() == before
    assert await drained(feed) == []


@scenario
async def test_a_feed_is_read_only_after_it_was_opened_and_opened_once() -> None:
    feed = opened()
    with pytest.raises(FeedClosed, match="open the feed first"):
        await anext(aiter(feed))
    async with feed:
        with pytest.raises(FeedClosed, match="opened once"):
            await feed.__aenter__()
        assert feed.interests == (trades("A/USD"),)
    with pytest.raises(FeedClosed, match="opened once"):
        await feed.__aenter__()
    with pytest.raises(FeedClosed):
        await feed.subscribe(trades("B/USD"))
    await feed.aclose()


@scenario
async def test_subscribing_twice_asks_once_and_unsubscribing_twice_stops_once() -> None:
    owner = Owner()
    a, b = trades("A/USD"), trades("B/USD")
    async with Feed(owner, [a, a]) as feed:
        await feed.subscribe(a, b, b)
        await feed.subscribe(b)
        await feed.unsubscribe(a, a)
        await feed.unsubscribe(a)
        assert feed.interests == (b,)
    assert owner.calls == [("start", (a,)), ("start", (b,)), ("stop", (a,)), ("stop", (b,))]


@scenario
async def test_unsubscribing_removes_what_waits_of_it_alone() -> None:
    async with Feed(Owner(), [trades("A/USD"), top_of_book("A/USD")]) as feed:
        feed.put([event(1), event(2)])
        feed.notify(stale(3))
        feed.put([event(4, channel=Channel.TOP_OF_BOOK)])
        await feed.unsubscribe(trades("A/USD"))
        assert [number(e) for e in await drained(feed)] == [4]


# --- errors --------------------------------------------------------------------------------------


def refusal(symbol: str = "A/USD") -> SubscriptionRefused:
    return SubscriptionRefused("404", "no such topic", "toy", symbol, "trades")


@scenario
async def test_a_refusal_is_raised_once_after_what_came_before_it_and_reading_goes_on() -> None:
    async with opened() as feed:
        feed.put([event(1)])
        feed.fail(refusal())
        feed.fail(refusal("B/USD"))
        assert feed.status().error == "toy refused trades of A/USD: no such topic (code 404)"
        reader = aiter(feed)
        assert number(await anext(reader)) == 1
        for symbol in ("A/USD", "B/USD"):
            with pytest.raises(SubscriptionRefused) as caught:
                await anext(reader)
            assert caught.value.symbol == symbol
        feed.put([event(2)])
        assert number(await anext(reader)) == 2
        assert feed.status().error is None


@scenario
async def test_ready_raises_a_refusal_and_the_loop_does_not_raise_it_again() -> None:
    async with opened() as feed:
        feed.fail(refusal())
        with pytest.raises(SubscriptionRefused):
            await feed.ready()
        await feed.ready()
        assert await drained(feed) == []


@scenario
async def test_waiting_until_a_feed_is_ready_does_not_swallow_an_overflow() -> None:
    async with opened(Policy.RAISE, maxsize=1) as feed:
        feed.put([event(1), event(2)])
        await feed.ready()
        assert number(await anext(aiter(feed))) == 1
        with pytest.raises(FeedOverflow) as caught:
            await anext(aiter(feed))
        assert caught.value.lost == 1


@scenario
async def test_a_refusal_that_came_just_before_the_end_is_still_raised() -> None:
    feed = opened()
    async with feed:
        feed.fail(refusal())
    with pytest.raises(SubscriptionRefused):
        await anext(aiter(feed))
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(feed))


@scenario
async def test_a_feed_that_cannot_start_is_closed() -> None:
    class Broken(Owner):
        async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
            raise UsageError("no")

    feed = Feed(Broken(), [trades("A/USD")])
    with pytest.raises(UsageError, match="no"):
        await feed.__aenter__()
    with pytest.raises(FeedClosed):
        await feed.subscribe(trades("B/USD"))


# --- callbacks -----------------------------------------------------------------------------------


@scenario
async def test_a_callback_sees_every_event_in_order() -> None:
    seen: list[AnyEvent] = []
    async with opened(Policy.BLOCK, callback=seen.append) as feed:
        for start in range(0, 30, 3):
            feed.put([event(start + i) for i in range(3)])
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert list(map(number, seen)) == list(range(30))


@scenario
async def test_a_callback_that_raises_ends_the_feed_and_surfaces_at_the_end_of_the_block() -> None:
    seen: list[AnyEvent] = []

    def picky(each: AnyEvent) -> None:
        if number(each) == 2:
            raise ZeroDivisionError("two")
        seen.append(each)

    owner = Owner()
    with pytest.raises(ZeroDivisionError, match="two"):  # noqa: PT012
        async with Feed(owner, [trades("A/USD")], callback=picky) as feed:
            feed.put([event(1), event(2), event(3)])
            await asyncio.sleep(0.001)
            assert owner.calls[-1] == ("stop", (trades("A/USD"),))
            assert feed.status().waiting == 0
            feed.put([event(4)])
            await asyncio.sleep(0.001)
    assert list(map(number, seen)) == [1]


@scenario
async def test_a_callback_feed_goes_on_after_a_refusal_and_raises_it_at_the_end() -> None:
    seen: list[AnyEvent] = []
    with pytest.raises(SubscriptionRefused):  # noqa: PT012
        async with opened(callback=seen.append) as feed:
            feed.fail(refusal())
            await asyncio.sleep(0.001)
            feed.put([event(1)])
            await asyncio.sleep(0.001)
    assert list(map(number, seen)) == [1]


@scenario
async def test_a_callback_feed_raises_a_refusal_that_came_at_the_very_end() -> None:
    with pytest.raises(SubscriptionRefused):  # noqa: PT012
        async with opened(callback=lambda _: None) as feed:
            await asyncio.sleep(0.001)
            feed.fail(refusal())


@scenario
async def test_an_error_of_the_block_is_not_replaced_by_that_of_the_callback() -> None:
    def bad(_: AnyEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(KeyError):  # noqa: PT012
        async with opened(callback=bad) as feed:
            feed.put([event(1)])
            await asyncio.sleep(0.001)
            raise KeyError


@scenario
async def test_a_function_that_raises_loses_only_the_event_it_was_called_with() -> None:
    async with opened(maxsize=100) as feed:
        feed.put([event(n) for n in range(1, 6)])

        def picky(each: AnyEvent) -> None:
            if number(each) == 2:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await feed.each(picky)
        assert [number(e) for e in await drained(feed)] == [3, 4, 5]


# --- memory --------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.sampled_from(Policy), st.integers(5000, 9000))
def test_notices_that_nobody_reads_do_not_pile_up_for_ever(policy: Policy, count: int) -> None:
    async def main() -> None:
        async with opened(policy) as feed:
            for n in range(count):
                symbol = SYMBOLS[n % 3]
                feed.notify(stale(n, symbol))
                feed.notify(Resumed("toy", symbol, None, n, Channel.TRADES))
                assert feed.waiting <= Backlog.NOTICES
            status = feed.status()
            assert status.offered == 2 * count == status.waiting + status.conflated
            last = {(key(e), type(e)): number(e) for e in await drained(feed)}
            assert Counter(last.values()) == dict.fromkeys(range(count - 3, count), 2)

    run(main())


@settings(max_examples=5)
@given(st.integers(5000, 6000))
def test_notices_with_data_between_them_are_kept(count: int) -> None:
    async def main() -> None:
        async with opened(Policy.BLOCK, maxsize=10**6) as feed:
            for n in range(count):
                feed.notify(stale(2 * n))
                feed.put([event(2 * n + 1)])
            assert list(map(number, await drained(feed))) == list(range(2 * count))

    run(main())


@scenario
async def test_many_notices_do_not_push_out_the_newest_data() -> None:
    async with opened(maxsize=2) as feed:
        for n in range(100):
            feed.notify(stale(n))
        feed.put([event(n) for n in range(100, 105)])
        read = await drained(feed)
        assert [number(e) for e in read if e.channel is not None] == [103, 104]
        assert [e.lost for e in read if isinstance(e, Gap)] == [3]


@scenario
async def test_a_loss_is_not_told_of_what_was_unsubscribed_since() -> None:
    async with opened(maxsize=1) as feed:
        feed.put([event(n) for n in range(3)])
        feed.put([event(3, "B/USD")])
        feed.discard("toy", "A/USD", Channel.TRADES)
        feed.put([event(4), event(5)])
        read = await drained(feed)
        assert [(e.symbol, e.lost) for e in read if isinstance(e, Gap)] == [
            ("A/USD", 1),
            ("B/USD", 1),
        ]


@scenario
async def test_a_reader_slower_than_the_market_is_given_data_not_just_gaps() -> None:
    async with opened(maxsize=2) as feed:
        reader, seen = aiter(feed), []
        for n in range(100):
            feed.put([event(3 * n + i) for i in range(3)])
            seen.append(await anext(reader))
        assert sum(isinstance(e, Trade) for e in seen) == 50
