"""Who reads a feed: leaving, cancelling, several readers, the end."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Candle,
    Channel,
    Feed,
    FeedClosed,
    Policy,
    UsageError,
    top_of_book,
    trades,
)
from ccrs_core.transport.memory import run
from tests.feeding import (
    Owner,
    _collect,
    drained,
    event,
    finished,
    is_full,
    number,
    opened,
    stale,
)
from tests.virtual import scenario

# --- leaving, cancelling, several readers ---------------------------------------------------------


@scenario
async def test_batches_go_on_after_a_timeout() -> None:
    async with opened() as feed:
        batches = feed.batches()
        for count in range(1, 5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(batches), 0.05)
            feed.put([event(n) for n in range(count)])
            assert len(await anext(batches)) == count
    assert [batch async for batch in batches] == []


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


@pytest.mark.parametrize("maxsize", [1, 3])
def test_each_time_a_blocking_feed_is_full_who_writes_waits_until_there_is_room(
    maxsize: int,
) -> None:
    async def main() -> None:
        written = 0
        async with opened(Policy.BLOCK, maxsize=maxsize) as feed:
            for _ in range(4):
                while not is_full(feed):
                    feed.put([event(written)])
                    written += 1
                spaces = [asyncio.ensure_future(feed.space()) for _ in range(2)]
                await asyncio.sleep(5.0)
                assert not any(space.done() for space in spaces), "it writes into a full feed"
                async for _ in feed:
                    if not is_full(feed):
                        break
                await finished(asyncio.gather(*spaces))
            assert feed.status().offered == written
            assert feed.waiting <= maxsize

    run(main())


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
