"""Pools of accounts: as the exchange counts, whatever is under way, and whoever else spends."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Budget, Pool, PoolLeft, RateLimited
from ccrs_core.transport.account_limits import AccountWindow, account_limits
from ccrs_core.transport.gate import Gate, Priority
from ccrs_core.transport.memory import VirtualClock, run
from tests.virtual import scenario


class Counter:
    """The exchange's: so many in any window by its clock, of all programs together."""

    def __init__(self, amount: int, seconds: float) -> None:
        self.amount = amount
        self._seconds = seconds
        self._taken: deque[tuple[float, int]] = deque()

    def take(self, now: float, weight: int = 1) -> int | None:
        """What is left after it; None where it is refused."""
        while self._taken and self._taken[0][0] + self._seconds <= now:
            self._taken.popleft()
        if self.used + weight > self.amount:
            return None
        self._taken.append((now, weight))
        return self.amount - self.used

    @property
    def used(self) -> int:
        return sum(weight for _, weight in self._taken)


def made(amount: int, seconds: float = 1.0, **how: Any) -> tuple[AccountWindow, VirtualClock, Gate]:
    clock = VirtualClock()
    pool = Pool("own", Budget(amount=amount, seconds=seconds), per_account=True, **how)
    return AccountWindow(pool, clock), clock, Gate()


DELAYS = st.sampled_from((0.0, 0.0, 0.01, 0.2, 0.9, 1.5))
REQUESTS = st.lists(
    st.tuples(st.sampled_from((0.0, 0.0, 0.05, 0.6)), DELAYS, DELAYS, st.integers(1, 3)),
    max_size=40,
)


@given(st.integers(3, 8), REQUESTS)
def test_the_exchange_never_counts_more_than_it_allows_however_long_things_are_under_way(
    amount: int, requests: list[tuple[float, float, float, int]]
) -> None:
    async def main() -> None:
        window, clock, gate = made(amount)
        exchange = Counter(amount, 1.0)

        async def request(there: float, back: float, weight: int) -> None:
            grants = await gate.enter([(window, weight)])
            await asyncio.sleep(there)
            left = exchange.take(clock.monotonic(), weight)
            assert left is not None, "the exchange refuses it"
            await asyncio.sleep(back)
            window.told(grants.of(0), PoolLeft(left=left), None)
            grants.answered()

        async with asyncio.TaskGroup() as group:
            for pause, *how in requests:
                await asyncio.sleep(pause)
                group.create_task(request(*how))
        await asyncio.sleep(3.0)
        assert window.left(1.0).left == amount

    run(main())


def test_what_other_programs_spend_is_heard_of_and_less_is_refused() -> None:
    """What two programs send in one moment for the last place isn't known to either."""

    async def main(told: bool, seed: int) -> float:
        refused = 0
        dice = random.Random(seed)
        window, clock, gate = made(20)
        exchange, sent = Counter(20, 1.0), 0

        async def others() -> None:
            while True:
                exchange.take(clock.monotonic())
                await asyncio.sleep(0.1)

        async def request() -> None:
            nonlocal refused, sent
            grants = await gate.enter([(window, 1)])
            await asyncio.sleep(dice.uniform(0.0, 0.02))
            left = exchange.take(clock.monotonic())
            sent += 1
            await asyncio.sleep(dice.uniform(0.0, 0.02))
            if left is None:
                refused += 1
                window.pause(0.1)
            elif told:
                window.told(grants.of(0), PoolLeft(left=left), None)
            grants.answered()

        spending = asyncio.ensure_future(others())
        began = clock.monotonic()
        while clock.monotonic() < began + 10.0:
            await asyncio.gather(*(request() for _ in range(3)))
        spending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await spending
        return refused / sent

    heard = sum(run(main(True, seed)) for seed in range(8))
    unheard = sum(run(main(False, seed)) for seed in range(8))
    assert heard < 0.8 * unheard


@scenario
async def test_what_an_account_is_allowed_may_be_more_than_the_documents_say() -> None:
    window, clock, gate = made(2)
    grants = await gate.enter([(window, 1)])
    window.told(grants.of(0), PoolLeft(left=9, of=10), None)
    grants.answered()
    for _ in range(9):
        await gate.enter([(window, 1)])
    assert clock.monotonic() == 0.0
    assert window.left(1.0).of == 10
    with pytest.raises(RateLimited):
        await gate.enter([(window, 1)], patience=0.0)


@scenario
async def test_what_others_had_spent_is_there_again_once_the_exchange_says_so() -> None:
    window, clock, gate = made(10, 60.0)
    grants = await gate.enter([(window, 1)])
    window.told(grants.of(0), PoolLeft(left=2), None)
    assert window.left(1.0).left == 2
    grants = await gate.enter([(window, 1)])
    window.told(grants.of(0), PoolLeft(left=8), None)
    assert window.left(1.0).left == 8
    # An older answer that comes late says nothing any more.
    first, second = await gate.enter([(window, 1)]), await gate.enter([(window, 1)])
    window.told(second.of(0), PoolLeft(left=6), None)
    window.told(first.of(0), PoolLeft(left=0), None)
    assert window.left(1.0).left == 6
    assert clock.monotonic() == 0.0


@scenario
async def test_nothing_leaves_before_the_time_that_the_exchange_names() -> None:
    window, _, gate = made(10, 60.0)
    grants = await gate.enter([(window, 1)])
    window.told(grants.of(0), PoolLeft(left=0), 7.0)
    grants.answered()
    window.told(None, PoolLeft(left=10), None)
    with pytest.raises(RateLimited):
        await gate.enter([(window, 1)], priority=Priority.URGENT, patience=6.9)
    # A figure that can't be doesn't stop it for ever.
    window.told(None, PoolLeft(left=0), 1e9)
    assert window.left(1.0).wait == pytest.approx(60.0)
    window.pause(None)
    assert window.left(1.0).wait == pytest.approx(60.0)


@given(st.lists(st.sampled_from((0.25, 0.5)), min_size=1, max_size=40))
def test_a_share_is_kept_to_and_others_share_isnt_counted_against_it(shares: list[float]) -> None:
    async def main() -> None:
        window, _, gate = made(20, 10.0)
        # Another process has spent its half.
        grants = await gate.enter([(window, 1)], share=0.25)
        window.told(grants.of(0), PoolLeft(left=9), None)
        grants.answered()
        taken = 1
        for share in shares:
            try:
                await gate.enter([(window, 1)], share=share, patience=0.0)
                taken += 1
                assert taken <= 20 * share
            except RateLimited:
                assert taken >= 20 * share or taken == 10
        assert taken <= 10

    run(main())


@scenario
async def test_what_is_reserved_is_left_for_cancels_and_told() -> None:
    window, clock, gate = made(5, 10.0, reserved=2)
    for _ in range(3):
        await gate.enter([(window, 1)])
    told = window.left(1.0)
    assert (told.left, told.of, told.reserved, told.wait > 0) == (2, 5, 2, True)
    for _ in range(2):
        await gate.enter([(window, 1)], priority=Priority.URGENT, patience=0.0)
    with pytest.raises(RateLimited):
        await gate.enter([(window, 1)], priority=Priority.URGENT, patience=0.0)
    assert clock.monotonic() == 0.0


@scenario
async def test_accounts_share_nothing_and_clients_of_one_account_everything() -> None:
    clock = VirtualClock()
    places = "wss://a", "https://b"
    one = account_limits("toy", places, "key1", clock)
    assert account_limits("toy", places[::-1], "key1", clock) is one
    for other in (
        account_limits("toy", places, "key2", clock),
        account_limits("toy", ("wss://c",), "key1", clock),
        account_limits("other", places, "key1", clock),
        account_limits("toy", places, "key1", VirtualClock()),
    ):
        assert other is not one
    pool = Pool("own", Budget(amount=5, seconds=1.0), per_account=True)
    assert one.pool(pool) is one.pool(pool)
