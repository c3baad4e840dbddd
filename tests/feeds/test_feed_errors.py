"""What a feed raises, callbacks, and what it holds in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Channel,
    Feed,
    FeedClosed,
    FeedOverflow,
    Gap,
    Interest,
    Policy,
    Resumed,
    SubscriptionRefused,
    Trade,
    UsageError,
    trades,
)
from ccrs_core.feeds.backlog import Backlog
from ccrs_core.transport.memory import run
from tests.feeding import SYMBOLS, Owner, drained, event, key, number, opened, stale
from tests.virtual import scenario

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
async def test_a_callback_that_raises_ends_the_block_with_that_error_wherever_it_waits() -> None:
    seen: list[AnyEvent] = []

    def picky(each: AnyEvent) -> None:
        if number(each) == 2:
            raise ZeroDivisionError("two")
        seen.append(each)

    owner = Owner()
    feed = Feed(owner, [trades("A/USD")], callback=picky)
    with pytest.raises(ZeroDivisionError, match="two"):  # noqa: PT012
        async with asyncio.timeout(10.0), feed:
            feed.put([event(1), event(2), event(3)])
            await asyncio.Event().wait()
    assert list(map(number, seen)) == [1]
    assert owner.calls[-1] == ("stop", (trades("A/USD"),))
    assert feed.status().waiting == 0
    assert feed.status().error == "ZeroDivisionError('two')"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0.001)  # nothing of the interruption is left


@scenario
async def test_a_block_that_ends_as_its_callback_fails_raises_that_error_alone() -> None:
    class Slow(Owner):
        async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
            await asyncio.sleep(0.001)

    def bad(_: AnyEvent) -> None:
        raise ZeroDivisionError

    for steps in range(6):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with Feed(Slow(), [trades("A/USD")], callback=bad) as feed:
                feed.put([event(1)])
                for _ in range(steps):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.001 if steps % 2 else 0)
        await asyncio.sleep(0.01)


@scenario
async def test_a_cancelled_program_is_cancelled_even_if_its_callback_fails() -> None:
    def bad(_: AnyEvent) -> None:
        raise ZeroDivisionError

    async def program() -> None:
        async with opened(callback=bad) as feed:
            feed.put([event(1)])
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.Event().wait()

    running = asyncio.ensure_future(program())
    await asyncio.wait([running])
    assert running.cancelled()


@scenario
async def test_a_coroutine_function_is_awaited_before_the_next_event_is_taken() -> None:
    seen: list[int] = []

    async def slow(each: AnyEvent) -> None:
        await asyncio.sleep(1.0)
        seen.append(number(each))

    async with opened(callback=slow) as feed:
        feed.put([event(n) for n in range(1, 4)])
        await asyncio.sleep(1.5)
        assert seen == [1]
        assert feed.waiting == 1
        await asyncio.sleep(1.0)
    # The one that was still at work when the block ended was cancelled.
    assert seen == [1, 2]


@scenario
async def test_a_coroutine_function_that_raises_ends_the_block() -> None:
    async def bad(_: AnyEvent) -> None:
        await asyncio.sleep(1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with asyncio.timeout(10.0), opened(callback=bad) as feed:
            feed.put([event(1)])
            await asyncio.Event().wait()


def test_arguments_that_cant_work_are_refused_at_once() -> None:
    interest: Any = trades("A/USD")
    wrong: Any
    for wrong, said in (
        ("BTC/USDT", r"which channel of it.*trades\('BTC/USDT'\)"),
        ([interest], "a star before the list"),
        (None, "make it by"),
    ):
        with pytest.raises(UsageError, match=said):
            Feed(Owner(), [wrong])
    for policy, said in (("dropoldest", "did you mean drop_oldest"), (3, "known"), ([], "known")):
        wrong = policy
        with pytest.raises(UsageError, match=said):
            Feed(Owner(), [interest], policy=wrong)
    for wrong in (0, -1, 1.5, "2", True, None):
        with pytest.raises(UsageError, match="whole number"):
            Feed(Owner(), [interest], connections=wrong)
        with pytest.raises(UsageError, match="whole number"):
            Feed(Owner(), [interest], maxsize=wrong)
    wrong = "print"
    with pytest.raises(UsageError, match="function of one event"):
        Feed(Owner(), [interest], callback=wrong)


@scenario
async def test_what_is_added_to_a_feed_is_looked_at_as_well() -> None:
    wrong: Any = ["BTC/USDT"]
    async with opened() as feed:
        for change in (feed.subscribe, feed.unsubscribe):
            with pytest.raises(UsageError, match="which channel"):
                await change(*wrong)
        with pytest.raises(UsageError, match="function of one event"):
            await feed.each(wrong)


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
            try:
                await asyncio.sleep(0.001)
            finally:
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
