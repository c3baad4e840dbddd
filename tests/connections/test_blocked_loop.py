"""A loop that is blocked is no dead exchange: what waits is read before anything is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from ccrs_core import Gap, Options, Patience, Stale, TopOfBook, Trade, trades
from ccrs_core.transport.memory import VirtualTimeLoop
from ccrs_core.transport.pace import EVERY, SETTLE, Deadline, Pace
from tests.virtual import scenario
from tests.watching import TOP, World, market, world

HEARTBEAT = 30.0
"""Seconds in which the toy exchange answers a ping, at last."""
SILENCE = 10.0
"""Seconds for which the toy's best prices may be silent."""


def block(seconds: float) -> None:
    """Somebody computes: time passes, and the loop does nothing."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.now += seconds


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it doesn't happen")


def later(seconds: float, call: Any, *args: Any) -> None:
    asyncio.get_running_loop().call_later(seconds, call, *args)


def unharmed(seen: World) -> None:
    assert not seen.of(Stale)
    assert not seen.of(Gap)
    assert seen.client.status().reconnects == 0
    assert len(seen.server.attempts) == len(seen.server.open)


# --- connections ---


@pytest.mark.parametrize("seconds", [12.0, 35.0, 300.0])
@pytest.mark.parametrize("behind", [0.0, 0.3])
@pytest.mark.parametrize("before", [0.5, 8.9, 19.9])
def test_what_came_while_the_loop_was_blocked_keeps_its_connection_alive(
    seconds: float, behind: float, before: float
) -> None:
    """``behind``: how long reading what waits takes, until it comes to this."""

    @scenario
    async def play() -> None:
        async with world(TOP, trades("BTC/USD"), connections=2) as seen:
            if before > SILENCE:
                await market(seen, "top.BTC", round((before - SILENCE + 1) / 0.5), 0.5)
                await asyncio.sleep(SILENCE - 1)
            else:
                await asyncio.sleep(before)
            later(seconds - 0.01 + behind, seen.server.tick, "top.BTC")
            known = len(seen.of(TopOfBook))
            block(seconds)
            await asyncio.sleep(1.0)
            unharmed(seen)
            assert len(seen.of(TopOfBook)) == known + 1
            await market(seen, "top.BTC", 80, 0.5)
            unharmed(seen)

    play()


@scenario
async def test_a_connection_that_died_while_the_loop_was_blocked_is_found_in_the_normal_time() -> (
    None
):
    async with world(trades("BTC/USD")) as seen:
        seen.server.dead.update(seen.server.open)
        block(35.0)
        began = now()
        while len(seen.server.attempts) < 2:
            await asyncio.sleep(0.1)
            assert now() < began + HEARTBEAT + 1.0
        assert seen.of(Stale)


@scenario
async def test_a_topic_that_fell_silent_while_the_loop_was_blocked_is_told_in_the_normal_time() -> (
    None
):
    async with world(TOP) as seen:
        seen.server.stalled.update((peer, "top.BTC") for peer in seen.server.open)
        block(35.0)
        began = now()
        while not seen.of(Stale):
            await asyncio.sleep(0.1)
            assert now() < began + SILENCE + 1.0


@scenario
async def test_a_ping_that_the_blocked_loop_kept_back_has_its_time_to_be_answered() -> None:
    async with world(trades("BTC/USD")) as seen:
        seen.server.open[0].lag = 5.0
        block(35.0)
        await asyncio.sleep(60.0)
        unharmed(seen)


@pytest.mark.parametrize(("blocked", "between"), [(0.6, 0.05), (3.0, 0.05), (6.0, 0.6)])
def test_a_loop_that_is_blocked_over_and_over_still_finds_the_dead(
    blocked: float, between: float
) -> None:
    @scenario
    async def play() -> None:
        async with world(TOP) as seen:
            seen.server.dead.update(seen.server.open)
            rounds = 0
            while len(seen.server.attempts) < 2:
                block(blocked)
                await asyncio.sleep(between)
                rounds += 1
                assert rounds < 2 * (HEARTBEAT + SILENCE) / EVERY
            assert seen.of(Stale)

    play()


@scenario
async def test_an_answer_that_waits_while_the_loop_is_blocked_is_not_missing() -> None:
    async with world(TOP) as seen:
        seen.server.open[0].lag = 0.2
        asked = len(seen.server.sent)
        await seen.feed.subscribe(trades("BTC/USD"))
        await asyncio.sleep(0.1)
        block(8.0)
        await asyncio.sleep(3.0)
        unharmed(seen)
        assert [m for _, _, m in seen.server.sent[asked:] if "sub" in m] == [
            {"sub": ["trades.BTC"], "id": seen.server.sent[asked][2]["id"]}
        ]


@scenario
async def test_the_first_deadline_does_not_count_a_blocked_loop() -> None:
    options = Options(patience=Patience(first=2.0))
    async with world(TOP, options=options) as seen:
        seen.server.open[0].lag = 0.2
        await seen.feed.subscribe(trades("BTC/USD"))
        await asyncio.sleep(0.1)
        block(5.0)
        await asyncio.sleep(3.0)
        unharmed(seen)


@scenario
async def test_a_proof_that_waits_while_the_loop_is_blocked_is_a_proof() -> None:
    async with world(trades("BTC/USD"), connections=2) as seen:
        await market(seen, "trades.BTC", 3)
        gone, old = seen.server.open
        old.lag = 0.3
        gone.drop()
        await until(lambda: len(seen.server.open) == 2 and all(seen.server.subscribed()))
        seen.server.tick("trades.BTC", peers=[seen.server.open[1]])
        await asyncio.sleep(0.05)
        assert len(seen.of(Trade)) == 3
        block(2.9)
        await market(seen, "trades.BTC", 10)
        await asyncio.sleep(3.0)
        assert not seen.of(Gap)
        assert [t.trade_id for t in seen.of(Trade)] == [f"BTC-{n}" for n in range(101, 115)]


@pytest.mark.parametrize("behind", [0.0, 0.3])
def test_what_waited_while_the_loop_was_blocked_is_fresh_for_a_feed_with_its_own_limit(
    behind: float,
) -> None:
    @scenario
    async def play() -> None:
        async with world(TOP, stale_after=3.0) as seen:
            await market(seen, "top.BTC", 10)
            later(9.9 + behind, seen.server.tick, "top.BTC")
            block(10.0)
            await asyncio.sleep(1.0)
            unharmed(seen)
            await asyncio.sleep(5.0)
            assert len(seen.of(Stale)) == 1, "it is silent now"

    play()


@scenario
async def test_a_feed_with_its_own_limit_is_told_what_was_silent_while_the_loop_was_blocked() -> (
    None
):
    async with world(TOP, stale_after=3.0) as seen:
        block(10.0)
        await asyncio.sleep(SETTLE + 0.1)
        assert len(seen.of(Stale)) == 1


# --- timers ---


@scenario
async def test_a_timer_counts_the_time_in_which_the_loop_goes_round() -> None:
    pace, fired = Pace(), []
    pace.join(lambda seconds: None)
    await asyncio.sleep(0.1)
    pace.later(2.0, lambda: fired.append(now()))
    await asyncio.sleep(1.0)
    block(100.0)
    await asyncio.sleep(5.0)
    (at,) = fired
    assert at == pytest.approx(0.1 + 2.0 + 100.0, abs=EVERY + SETTLE)
    assert pace.lost == pytest.approx(100.0, abs=EVERY)


@scenario
async def test_who_joined_is_told_of_a_pause_once_before_any_timer_and_not_after_leaving() -> None:
    pace, told = Pace(), []
    pace.join(told.append)
    pace.later(1.0, told.append, -1.0)
    await asyncio.sleep(0.9)
    block(5.0)
    await asyncio.sleep(1.0)
    assert told == [pytest.approx(5.0, abs=EVERY), -1.0]
    pace.leave(told.append)
    block(5.0)
    await asyncio.sleep(1.0)
    assert len(told) == 2


@scenario
async def test_a_cancelled_timer_never_fires_blocked_or_not() -> None:
    pace, fired = Pace(), []
    timers = [pace.later(at / 10, fired.append, at) for at in range(20)]
    pace.join(lambda _: timers[15].cancel())
    timers[5].cancel()
    await asyncio.sleep(0.95)
    block(5.0)
    await asyncio.sleep(5.0)
    assert sorted(fired) == [n for n in range(20) if n not in (5, 15)]


@scenario
async def test_a_loop_that_is_merely_busy_delays_no_timer() -> None:
    pace, fired = Pace(), []
    pace.join(lambda seconds: None)
    for at in range(1, 40):
        pace.later(at / 10, lambda: fired.append(now()))
    while len(fired) < 39:
        block(0.09)
        await asyncio.sleep(0.001)
    assert all(late - early < 0.2 for early, late in pairwise(fired))
    assert pace.lost == 0.0


# --- deadlines ---


async def answered_after_rounds(answer: asyncio.Future[str], rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)
    answer.set_result("here")


@scenario
async def test_a_deadline_that_passes_while_the_loop_is_blocked_leaves_time_to_read() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with Deadline(2.0):
        await asyncio.sleep(1.0)
        reading = asyncio.ensure_future(answered_after_rounds(answer, 5))
        block(10.0)
        assert await answer == "here"
    await reading


async def wait_for_nothing(seconds: float, first: Callable[[Deadline], None]) -> float:
    """When a wait for what never comes was over."""
    with pytest.raises(TimeoutError):
        await _wait(seconds, first)
    return now()


async def _wait(seconds: float, first: Callable[[Deadline], None]) -> None:
    async with Deadline(seconds) as deadline:
        await asyncio.sleep(1.0)
        first(deadline)
        await asyncio.Event().wait()


@scenario
async def test_a_deadline_is_kept_to_where_nothing_comes() -> None:
    over = await wait_for_nothing(2.0, lambda _: None)
    assert over == pytest.approx(2.0)
    over = await wait_for_nothing(2.0, lambda _: block(10.0)) - over
    assert over == pytest.approx(11.0 + SETTLE)


@scenario
async def test_a_deadline_can_be_over_early_and_leaves_no_timer() -> None:
    assert await wait_for_nothing(20.0, lambda deadline: deadline.expire()) == pytest.approx(1.0)
    async with Deadline(20.0):
        pass
    loop = asyncio.get_running_loop()
    assert not [h for h in loop._scheduled if not h.cancelled()]  # type: ignore[attr-defined]
