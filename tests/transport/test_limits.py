"""Budgets hold in every window of time, for any schedule; all in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.errors import RateLimited
from ccrs_core.transport import limits
from ccrs_core.transport.base import SYSTEM_CLOCK
from ccrs_core.transport.limits import HostLimits, Window, host_limits
from ccrs_core.transport.memory import VirtualClock, run

BUDGETS = st.builds(
    Budget,
    amount=st.integers(1, 12),
    seconds=st.sampled_from((0.1, 1.0, 2.5, 60.0)),
)
ARRIVALS = st.lists(
    st.tuples(st.sampled_from((0.0, 0.0, 0.01, 0.3, 1.0, 7.0)), st.integers(1, 15)), max_size=30
)


def most_in_a_window(grants: list[tuple[float, int]], seconds: float) -> int:
    """The largest summed weight in any window, half open as clocks count."""
    return max(
        (
            sum(weight for when, weight in grants[n:] if when - start < seconds * (1 - 1e-9))
            for n, (start, _) in enumerate(grants)
        ),
        default=0,
    )


def served(budget: Budget, arrivals: list[tuple[float, int]]) -> list[tuple[float, int, int]]:
    """When each of the callers got its grant, with its number and effective weight."""
    grants: list[tuple[float, int, int]] = []

    async def main() -> None:
        clock = VirtualClock()
        window = Window(budget, clock)

        async def caller(number: int, weight: int) -> None:
            await window.acquire(weight)
            grants.append((clock.monotonic(), number, min(weight, budget.amount)))

        async with asyncio.TaskGroup() as group:
            for number, (pause, weight) in enumerate(arrivals):
                await asyncio.sleep(pause)
                group.create_task(caller(number, weight))

    run(main())
    return grants


@given(BUDGETS, ARRIVALS)
def test_no_window_holds_more_than_the_budget_and_all_are_served_in_order(
    budget: Budget, arrivals: list[tuple[float, int]]
) -> None:
    grants = served(budget, arrivals)
    assert [number for _, number, _ in grants] == list(range(len(arrivals)))
    weighed = [(when, weight) for when, _, weight in grants]
    assert most_in_a_window(weighed, budget.seconds) <= budget.amount


@given(BUDGETS, ARRIVALS)
def test_nobody_waits_longer_than_the_budget_demands(
    budget: Budget, arrivals: list[tuple[float, int]]
) -> None:
    """A grant waits for its arrival, for the one before it, or for a full window: nothing else."""
    grants = served(budget, arrivals)
    arrived, before = 0.0, 0.0
    for n, ((pause, _), (when, _, weight)) in enumerate(zip(arrivals, grants, strict=True)):
        arrived += pause
        earliest = max(arrived, before)
        if when > earliest + 1e-6:
            just_before = when - 0.002
            used = sum(w for at, _, w in grants[:n] if just_before - at < budget.seconds)
            assert used + weight > budget.amount
        before = when


@given(BUDGETS, st.lists(st.floats(0, 5), max_size=40))
def test_take_never_waits_and_tells_when_to_come_again(budget: Budget, pauses: list[float]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(budget, clock)
        grants = []
        for pause in pauses:
            await asyncio.sleep(pause)
            before = clock.monotonic()
            wait = window.take()
            assert clock.monotonic() == before
            assert wait <= budget.seconds + 1e-6
            if wait:
                await asyncio.sleep(wait + 1e-6)
                assert window.take() == 0.0
            grants.append((clock.monotonic(), 1))
        assert most_in_a_window(grants, budget.seconds) <= budget.amount

    run(main())


def test_what_is_heavier_than_the_whole_budget_waits_for_an_empty_window() -> None:
    grants = served(Budget(amount=3, seconds=1.0), [(0.0, 1), (0.0, 50), (0.0, 1)])
    assert [round(when, 6) for when, _, _ in grants] == [0.0, 1.0, 2.0]


def test_a_light_request_does_not_overtake_a_heavy_one_that_waits() -> None:
    grants = served(Budget(amount=4, seconds=1.0), [(0.0, 3), (0.0, 3), (0.0, 1)])
    assert [(round(when, 6), n) for when, n, _ in grants] == [(0.0, 0), (1.0, 1), (1.0, 2)]


def test_one_who_gives_up_waiting_takes_nothing_and_blocks_nobody() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=1, seconds=10.0), clock)
        await window.acquire()
        waiting = [asyncio.ensure_future(window.acquire()) for _ in range(3)]
        await asyncio.sleep(1.0)
        waiting[0].cancel()
        waiting[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waiting[:2])
        await waiting[2]
        assert clock.monotonic() == pytest.approx(10.0)

    run(main())


@given(
    BUDGETS,
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 20)), max_size=4),
    st.integers(1, 30),
)
def test_nothing_leaves_during_a_pause_and_no_burst_leaves_at_its_end(
    budget: Budget, pauses: list[tuple[float, float]], callers: int
) -> None:
    async def main() -> None:
        clock = VirtualClock()
        host = HostLimits(Limits(), budget, clock)
        left: list[tuple[float, int]] = []
        barred: list[tuple[float, float]] = []

        async def caller() -> None:
            await host.requests.acquire(1, lambda: host.paused)
            left.append((clock.monotonic(), 1))

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
            for wait, seconds in pauses:
                await asyncio.sleep(wait)
                host.pause(seconds)
                barred.append((clock.monotonic(), clock.monotonic() + seconds))
        for when, _ in left:
            assert not any(start < when < end - 1e-9 for start, end in barred)
        assert most_in_a_window(left, budget.seconds) <= budget.amount

    run(main())


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    async def main() -> None:
        host = HostLimits(Limits(), Budget(amount=1, seconds=1.0), VirtualClock())
        host.pause(10.0)
        host.pause(1.0)
        assert host.paused == 10.0
        await asyncio.sleep(11.0)
        assert host.paused == 0.0

    run(main())


def test_a_hold_that_raises_ends_the_waiting_of_all_in_line() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=1, seconds=5.0), clock)
        await window.acquire()
        banned = False

        def hold() -> float:
            if banned:
                raise RateLimited("403", "go away", 600.0)
            return 0.0

        waiting = [asyncio.ensure_future(window.acquire(1, hold)) for _ in range(4)]
        await asyncio.sleep(1.0)
        banned = True
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, RateLimited) for outcome in outcomes)
        assert clock.monotonic() == pytest.approx(5.0)
        assert window.take() == 0.0

    run(main())


def test_all_who_go_to_a_host_on_one_loop_share_its_budgets() -> None:
    budget = Budget(amount=1, seconds=1.0)
    clock = VirtualClock()

    async def main() -> HostLimits:
        first = host_limits("a.test", Limits(connects=budget), budget, clock)
        assert host_limits("a.test", Limits(connects=budget), budget, clock) is first
        assert host_limits("b.test", Limits(connects=budget), budget, clock) is not first
        assert host_limits("a.test", Limits(connects=budget), budget, VirtualClock()) is not first
        return first

    first = run(main())
    assert run(main()) is not first


def test_budgets_of_ended_loops_are_forgotten() -> None:
    budget = Budget(amount=1, seconds=1.0)

    async def main() -> None:
        clock = VirtualClock()
        host = host_limits("a.test", Limits(connects=budget), budget, clock)
        await asyncio.gather(*(host.requests.acquire() for _ in range(3)))

    for _ in range(5):
        run(main())
    assert len([key for key in limits._hosts if key[1] == "a.test"]) <= 1


def test_threads_and_their_event_loops_share_a_hosts_budgets() -> None:
    budget, host = Budget(amount=4, seconds=3600.0), "threads.test"
    start, together = threading.Barrier(8), []

    async def take() -> int:
        own = host_limits(host, Limits(connects=budget), budget, SYSTEM_CLOCK)
        together.append(own)
        taken = 0
        while own.requests.take() == 0.0:
            taken += 1
            await asyncio.sleep(0)
        return taken

    def work(_: int) -> int:
        start.wait(30.0)
        return asyncio.run(take())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 4
    assert len(set(map(id, together))) == 1
    assert asyncio.run(take()) == 0, "what ended loops have used is still counted"


def test_a_window_may_be_waited_for_on_several_event_loops() -> None:
    window = Window(Budget(amount=1, seconds=0.02), SYSTEM_CLOCK)
    grants: list[float] = []

    async def wait() -> None:
        async def one() -> None:
            await window.acquire()
            grants.append(SYSTEM_CLOCK.monotonic())

        await asyncio.gather(*(one() for _ in range(3)))

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(asyncio.run, wait()) for _ in range(3)]:
            each.result(30.0)
    grants.sort()
    assert len(grants) == 9
    assert grants[-1] - grants[0] >= 8 * 0.02 * 0.99


def test_who_takes_but_a_share_of_a_budget_leaves_the_rest_and_is_overtaken() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        for _ in range(8):
            await window.acquire(10, share=0.8)
        assert clock.monotonic() == 0.0
        waiting = asyncio.ensure_future(window.acquire(10, share=0.8))
        await asyncio.sleep(0.1)
        await window.acquire(20)
        assert clock.monotonic() < 0.2
        assert not waiting.done()
        await waiting
        assert clock.monotonic() >= 10.0

    run(main())


def test_of_what_the_exchange_counts_only_what_was_not_known_is_added() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        await window.acquire(30)
        await asyncio.sleep(4.0)
        window.correct(50)
        await window.acquire(50)
        assert clock.monotonic() == 4.0
        # What was known leaves the window before what was heard of later.
        await window.acquire(30)
        assert 9.9 < clock.monotonic() < 10.1
        await window.acquire(20)
        assert 13.9 < clock.monotonic() < 14.1

    run(main())


def test_a_budget_is_corrected_by_what_the_exchange_counts() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        await window.acquire(10)
        window.correct(95)
        window.correct(40)  # it counts less: another program's share has expired
        await window.acquire(10)
        assert clock.monotonic() >= 10.0

    run(main())


SHARES = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.01, 0.7, 4.0)),
        st.integers(1, 8),
        st.sampled_from((1.0, 0.8, 0.8, 0.5)),
    ),
    max_size=30,
)


@given(st.integers(20, 30), SHARES)
def test_no_share_of_a_budget_is_exceeded_whoever_asks_when(
    amount: int, arrivals: list[tuple[float, int, float]]
) -> None:
    async def main() -> None:
        clock, seconds = VirtualClock(), 10.0
        window = Window(Budget(amount=amount, seconds=seconds), clock)
        grants: list[tuple[float, int]] = []

        async def caller(weight: int, share: float) -> None:
            await window.acquire(weight, share=share)
            now = clock.monotonic()
            grants.append((now, weight))
            assert spent(grants, now, seconds) <= int(amount * share)

        async with asyncio.TaskGroup() as group:
            for pause, weight, share in arrivals:
                await asyncio.sleep(pause)
                group.create_task(caller(weight, share))

    run(main())


def spent(grants: Iterable[tuple[float, int]], now: float, seconds: float) -> int:
    """What was granted in the window that ends now."""
    return sum(weight for when, weight in grants if now - when < seconds * (1 - 1e-9))


def test_a_request_heavier_than_its_share_is_counted_with_its_whole_weight() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=10, seconds=10.0), clock)
        await window.acquire(10, share=0.8)
        await window.acquire(2)
        assert clock.monotonic() >= 10.0

    run(main())


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.5, 0.8, 1.0])), max_size=20))
def test_no_window_grants_more_than_the_budget_however_heavy_a_request(
    wanted: list[tuple[int, float]],
) -> None:
    async def main() -> None:
        clock, grants = VirtualClock(), []
        window = Window(Budget(amount=10, seconds=10.0), clock)

        async def one(weight: int, share: float) -> None:
            await window.acquire(weight, share=share)
            grants.append((clock.monotonic(), min(weight, 10)))
            assert spent(grants, clock.monotonic(), 10.0) <= 10

        await asyncio.gather(*(one(*each) for each in wanted))

    run(main())
