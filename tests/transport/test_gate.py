"""Whose turn it is: no budget is exceeded, what is urgent goes first, lists leave orders room."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Budget, Pool, RateLimited
from ccrs_core.transport.account_limits import AccountWindow
from ccrs_core.transport.gate import Budgeted, Gate, Priority
from ccrs_core.transport.limits import Window
from ccrs_core.transport.memory import VirtualClock, run
from tests.transport.test_limits import most_in_a_window
from tests.virtual import scenario

SECONDS = 10.0
URGENT, NORMAL = Priority.URGENT, Priority.NORMAL
RECOVERY, BACKGROUND = Priority.RECOVERY, Priority.BACKGROUND


@attrs.define
class Left:
    """One that has left."""

    at: float
    number: int
    weight: int
    priority: Priority


@attrs.define
class Office:
    """A gate before two pools and what all share."""

    gate: Gate
    clock: VirtualClock
    few: Window
    own: AccountWindow
    common: Window
    left: list[Left] = attrs.field(factory=list)

    def wants(self, kind: str, weight: int) -> list[tuple[Budgeted, int]]:
        first: dict[str, list[tuple[Budgeted, int]]] = {
            "few": [(self.few, 1)],
            "own": [(self.own, weight)],
            "": [],
        }
        return [*first[kind], (self.common, weight)]

    async def pass_(
        self, number: int, kind: str, weight: int, priority: Priority, flight: float = 0.0
    ) -> None:
        wants = self.wants(kind, weight)
        grants = await self.gate.enter(wants, priority=priority)
        self.left.append(Left(self.clock.monotonic(), number, weight, priority))
        await asyncio.sleep(flight)
        grants.answered()


def office(amount: int = 10, few: int = 2, own: int = 5, reserved: float = 0.0) -> Office:
    clock = VirtualClock()
    common = Window(Budget(amount=amount, seconds=SECONDS), clock)
    common.reserved = reserved
    pool = Pool("own", Budget(amount=own, seconds=SECONDS), per_account=True)
    return Office(
        Gate(),
        clock,
        Window(Budget(amount=few, seconds=SECONDS), clock),
        AccountWindow(pool, clock),
        common,
    )


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.01, 1.0, 7.0)),
        st.sampled_from(("", "few", "own")),
        st.integers(1, 6),
        st.sampled_from((*Priority, NORMAL)),
        st.sampled_from((0.0, 0.3, 4.0)),
    ),
    max_size=25,
)


@given(ARRIVALS, st.sampled_from((0.0, 0.2)))
def test_no_budget_is_exceeded_all_are_served_and_recovery_and_background_spend_their_parts(
    arrivals: list[tuple[float, str, int, Priority, float]], reserved: float
) -> None:
    async def main() -> None:
        at = office(20, few=3, own=10, reserved=reserved)
        async with asyncio.TaskGroup() as group:
            for number, (pause, *how) in enumerate(arrivals):
                await asyncio.sleep(pause)
                group.create_task(at.pass_(number, *how))
        assert len(at.left) == len(arrivals)
        for kinds, most in (
            (tuple(Priority), 20),
            ((NORMAL, RECOVERY, BACKGROUND), 20 - 20 * reserved),
        ):
            found = [(each.at, each.weight) for each in at.left if each.priority in kinds]
            assert most_in_a_window(found, SECONDS) <= most
        for priority, part in ((RECOVERY, 10), (BACKGROUND, 2)):
            found = [(e.at, e.weight) for e in at.left if e.priority is priority]
            heaviest = max((weight for _, weight in found), default=0)
            # What is heavier than the part has the window to itself.
            assert most_in_a_window(found, SECONDS) <= max(part, heaviest)

    run(main())


@given(ARRIVALS)
def test_nobody_takes_what_an_urgent_one_waits_for(
    arrivals: list[tuple[float, str, int, Priority, float]],
) -> None:
    async def main() -> None:
        at, overtaken = office(), list[bool]()

        def watched(budget: Any) -> None:
            take = budget.grant

            def grant(weight: int, share: float, priority: Priority) -> Any:
                if priority is not URGENT:
                    for claim in (each for line in at.gate._lines.values() for each in line):
                        if claim.priority is URGENT and not claim.turn.done():
                            lacks = [b for b, w in claim.wants if b.room(w, 1.0, URGENT)]
                            overtaken.append(lacks == [budget])
                return take(weight, share, priority)

            budget.grant = grant

        for each in (at.few, at.own, at.common):
            watched(each)
        async with asyncio.TaskGroup() as group:
            for number, (pause, kind, weight, priority, flight) in enumerate(arrivals):
                await asyncio.sleep(pause)
                group.create_task(at.pass_(number, kind, weight, priority, flight))
        assert not any(overtaken)

    run(main())


@scenario
async def test_a_cancel_leaves_next_though_hundreds_wait() -> None:
    at = office(20, reserved=0.1)
    queries = [asyncio.ensure_future(at.pass_(number, "", 1, NORMAL)) for number in range(300)]
    await asyncio.sleep(1.0)
    assert len(at.left) == 18
    await asyncio.gather(*(at.pass_(1000 + number, "", 1, URGENT) for number in range(2)))
    assert at.clock.monotonic() == 1.0  # what is reserved is theirs
    third = asyncio.ensure_future(at.pass_(1002, "", 1, URGENT))
    await asyncio.sleep(SECONDS)
    assert third.done()
    assert at.left[20].number == 1002
    for each in queries:
        each.cancel()
    await asyncio.wait(queries)


@scenario
async def test_a_heavy_one_that_is_urgent_isnt_starved_by_light_ones() -> None:
    at = office(10)

    async def flood() -> None:
        for number in range(1000):
            await at.pass_(number, "", 1, NORMAL)

    flooding = [asyncio.ensure_future(flood()) for _ in range(5)]
    await asyncio.sleep(25.0)
    began = at.clock.monotonic()
    await at.pass_(5000, "", 9, URGENT)
    assert at.clock.monotonic() - began <= SECONDS
    for each in flooding:
        each.cancel()
    await asyncio.wait(flooding)


@scenario
async def test_one_who_gives_up_takes_nothing_and_blocks_nobody() -> None:
    at = office(1)
    await at.pass_(0, "", 1, NORMAL)
    waiting = [asyncio.ensure_future(at.pass_(n, "own", 1, NORMAL)) for n in range(1, 5)]
    await asyncio.sleep(1.0)
    for each in waiting[:3]:
        each.cancel()
    await asyncio.wait(waiting[:3])
    await waiting[3]
    assert at.clock.monotonic() == pytest.approx(SECONDS)
    assert at.own.left(1.0).left == 4


@scenario
async def test_one_who_is_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    at = office(1)
    await at.pass_(0, "", 1, NORMAL)
    first = asyncio.ensure_future(at.gate.enter([(at.common, 1)]))
    second = asyncio.ensure_future(at.gate.enter([(at.common, 1)]))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.0)
    settle, cancelled = at.gate._settle, list[bool]()

    def settle_and_cancel() -> float:
        again = settle()
        if loop.time() > 1.0 and not cancelled:
            cancelled.append(first.cancel())
        return again

    at.gate._settle = settle_and_cancel  # type: ignore[method-assign]
    at.gate._wake_in(SECONDS)
    await second
    assert first.cancelled()
    assert at.clock.monotonic() == pytest.approx(SECONDS)


@scenario
async def test_now_or_not_at_all_waits_for_nothing_and_overtakes_nobody() -> None:
    at = office(2)
    at_once = await at.gate.enter([(at.common, 1)], patience=0.0)
    at_once.answered()
    await at.gate.enter([(at.common, 1)])
    waits = asyncio.ensure_future(at.gate.enter([(at.common, 1)]))
    await asyncio.sleep(1.0)
    with pytest.raises(RateLimited) as refused:
        await at.gate.enter([(at.common, 1)], patience=0.0)
    assert refused.value.retry_after == pytest.approx(SECONDS - 1.0)
    assert at.clock.monotonic() == 1.0
    with pytest.raises(RateLimited):
        await at.gate.enter([(at.common, 1)], patience=2.0)
    assert at.clock.monotonic() == 3.0
    await waits
    assert at.clock.monotonic() == pytest.approx(SECONDS)


@scenario
async def test_a_hold_that_raises_ends_the_waiting_of_all_whom_it_concerns() -> None:
    at, banned = office(1), list[bool]()

    def hold() -> float:
        if banned:
            raise RateLimited("403", "go away", 600.0)
        return 0.0

    await at.gate.enter([(at.common, 1)])
    waiting = [asyncio.ensure_future(at.gate.enter([(at.common, 1)], hold=hold)) for _ in range(4)]
    other = asyncio.ensure_future(at.gate.enter([(at.few, 1), (at.common, 1)]))
    await asyncio.sleep(1.0)
    banned.append(True)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, RateLimited) for outcome in outcomes)
    await other
    assert at.clock.monotonic() == pytest.approx(SECONDS)


@scenario
async def test_who_waits_for_a_budget_of_few_keeps_nobody_from_that_of_all() -> None:
    at = office(100, few=1)
    slow = [asyncio.ensure_future(at.pass_(n, "few", 1, NORMAL)) for n in range(4)]
    await asyncio.sleep(0.0)
    for number in range(10, 60):
        await at.pass_(number, "", 1, NORMAL)
    assert at.clock.monotonic() == 0.0
    await asyncio.gather(*slow)
    assert at.clock.monotonic() == pytest.approx(3 * SECONDS)


@scenario
async def test_an_answer_makes_room_at_once_where_it_was_the_flight_that_counted() -> None:
    at = office(100, own=1)
    slow = asyncio.ensure_future(at.pass_(0, "own", 1, NORMAL, flight=50.0))
    await asyncio.sleep(0.0)
    await at.pass_(1, "own", 1, NORMAL)
    assert slow.done()
    # A window's length after the answer: nobody knows when in between it was taken.
    assert at.clock.monotonic() == pytest.approx(50.0 + SECONDS)
