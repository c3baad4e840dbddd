"""Disconnect protection by timers: renewed in time whatever happens to requests, turned off by who
leaves as usual, and left running by who doesn't."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import (
    AccountUnsupported,
    Budget,
    CcrsError,
    DeadMan,
    DeadManKind,
    DeadManScope,
    GetDeadMan,
    GetOpenOrders,
    Market,
    OrderState,
    Pool,
    SetDeadMan,
    Synced,
    Unsupported,
    UsageError,
)
from ccrs_core.transport.memory import run
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, new_server, world
from tests.trading.test_placing import buy
from tests.virtual import scenario

OWN = DeadMan(
    kind=DeadManKind.TIMER,
    scope=DeadManScope.ACCOUNT,
    own=True,
    markets=frozenset({Market.SPOT, Market.LINEAR}),
    shortest=10.0,
    longest=120.0,
    covers="open orders of this program",
    covers_everything="all open orders",
    spares="positions",
)
EACH = attrs.evolve(OWN, scope=DeadManScope.INSTRUMENT, own=False)


class TimerDesk(Desk):
    """Nothing tells of its timers."""

    endpoints: ClassVar = {k: v for k, v in Desk.endpoints.items() if k is not GetDeadMan}

    def __init__(self, dead_man: DeadMan = OWN, **set_by: Any) -> None:
        super().__init__(dead_man=dead_man)
        endpoint = attrs.evolve(Desk.endpoints[SetDeadMan], **set_by)
        self.endpoints = {**type(self).endpoints, SetDeadMan: endpoint}  # type: ignore[misc]


@asynccontextmanager
async def timed(exchange: Desk | None = None) -> AsyncIterator[World]:
    server = new_server()
    server.timed = True
    async with world(TimerDesk() if exchange is None else exchange, server=server) as seen:
        yield seen


def sets(seen: World) -> list[tuple[float, dict[str, Any]]]:
    return [(at, asked) for at, path, asked in seen.server.calls if path == "/dead_man"]


def losing(how: str, *which: int) -> Callable[[str, dict[str, Any]], str | None]:
    """A fault of the setting requests of these numbers."""
    count = iter(range(10_000))
    return lambda path, asked: how if path == "/dead_man" and next(count) in which else None


@scenario
async def test_a_timer_is_renewed_as_long_as_the_block_lasts_and_turned_off_after_it() -> None:
    async with timed() as seen:
        live = await seen.account.place(buy())
        async with seen.account.dead_man(10) as switch:
            assert switch.armed
            assert switch.covers == "open orders of this program"
            assert "Another program that renews" in switch.spares
            await asyncio.sleep(600.0)
            assert switch.armed
        assert not switch.armed
        assert not seen.server.timers
        await asyncio.sleep(60.0)
        assert not seen.server.fired
        assert live.state is OrderState.OPEN
        asked = sets(seen)
        assert 200 < len(asked) < 260
        assert [each["seconds"] for _, each in asked[-2:]] == [10.0, 0.0]
        assert {(each["market"], each["everything"]) for _, each in asked} == {(None, False)}


@scenario
async def test_everything_is_canceled_only_where_that_is_asked_for() -> None:
    async with timed() as seen:
        async with seen.account.dead_man(10, everything=True) as switch:
            assert switch.covers == "all open orders"
        assert {each["everything"] for _, each in sets(seen)} == {True}


@pytest.mark.parametrize("how", ["error", "cancelled"])
def test_a_block_that_fails_leaves_it_in_force(how: str) -> None:
    async def scene() -> None:
        async with timed() as seen:
            live = await seen.account.place(buy())

            async def block() -> None:
                async with seen.account.dead_man(10):
                    await asyncio.sleep(20.0)
                    if how == "error":
                        raise ZeroDivisionError
                    await asyncio.sleep(1000.0)

            running = asyncio.ensure_future(block())
            await asyncio.sleep(25.0)
            running.cancel()
            with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
                await running
            await asyncio.sleep(11.0)
            assert len(seen.server.fired) == 1
            assert (live.state, live.reason) == (OrderState.CANCELED, "dead_man")

    run(scene())


@pytest.mark.parametrize("fault", ["lose", "drop", "502", "limited", "busy"])
def test_two_renewals_in_a_row_that_fail_do_not_let_it_fire(fault: str) -> None:
    async def scene() -> None:
        async with timed() as seen:
            seen.server.faults.append(losing(fault, 1, 2, 5, 6, 8, 10, 11))
            async with seen.account.dead_man(12):
                await asyncio.sleep(120.0)
            assert not seen.server.fired
            assert not seen.server.timers

    run(scene())


@scenario
async def test_answers_that_hang_delay_no_renewal() -> None:
    async with timed() as seen:
        async with seen.account.dead_man(10):
            seen.transport.answer_after = lambda path: 9.0 if path == "/dead_man" else 0.0
            await asyncio.sleep(120.0)
            times = [at for at, _ in sets(seen)]
            gaps = [later - before for before, later in itertools.pairwise(times)]
            assert max(gaps) < 2.6
            assert not seen.server.fired
            seen.transport.answer_after = lambda path: 0.0
        await asyncio.sleep(30.0)
        assert not seen.server.fired


@scenario
async def test_renewals_go_out_while_the_budget_is_exhausted() -> None:
    """M1: others wait for minutes."""
    desk = TimerDesk(urgent=True)
    desk.limits = attrs.evolve(desk.limits, requests=Budget(amount=40, seconds=10.0))  # type: ignore[misc]
    async with timed(desk) as seen, seen.account.dead_man(10, share=0.5):
        asking = [
            asyncio.ensure_future(seen.account.fetch_order(f"none{n}", symbol="BTC/USD"))
            for n in range(400)
        ]
        await asyncio.sleep(50.0)
        assert not all(each.done() for each in asking)
        assert not seen.server.fired
        times = [at for at, _ in sets(seen)]
        assert max(later - before for before, later in itertools.pairwise(times)) < 5.0
        for each in asking:
            each.cancel()
        await asyncio.wait(asking)


@scenario
async def test_a_program_that_was_stopped_for_longer_says_that_orders_may_be_gone() -> None:
    """M1: the loop stands still for 70 s; the exchange cancels what it was told to."""
    async with timed() as seen, seen.account.dead_man(60) as switch:
        live = await seen.account.place(buy())
        await asyncio.sleep(1.0)
        loop = asyncio.get_running_loop()
        # What a stopped program doesn't do: send, and hear.
        pushes, seen.server.push_of = seen.server.push_of, lambda topic, row: []
        seen.server.faults.append(lambda path, asked: "drop" if path == "/dead_man" else None)
        await asyncio.sleep(75.0)
        assert len(seen.server.fired) == 1
        assert not switch.armed
        seen.server.faults.clear()
        seen.server.push_of = pushes
        began = loop.time()
        await asyncio.sleep(20.0)
        assert switch.armed
        assert (live.state, live.reason) == (OrderState.CANCELED, "dead_man")
        assert not seen.account.open_orders()
        told = [each for each in seen.of(Synced) if "protection was not renewed" in each.reason]
        assert len(told) == 1
        assert seen.account.synced
        assert loop.time() - began < 21.0


@scenario
async def test_a_renewal_that_was_lost_does_not_arm_it_again_after_the_end() -> None:
    """It may arrive as late as its timestamp is good: it is turned off once more after that."""
    async with timed() as seen:
        held: list[dict[str, Any]] = []

        def fault(path: str, asked: dict[str, Any]) -> str | None:
            if path == "/dead_man" and asked["seconds"] and len(sets(seen)) > 2:
                held.append(asked)
                return "502"
            return None

        seen.server.faults.append(fault)
        async with seen.account.dead_man(10):
            await asyncio.sleep(5.5)
            assert held
            late = seen.server._set_timer
            asyncio.get_running_loop().call_later(1.0, late, "key", held[-1])
        await asyncio.sleep(30.0)
        assert not seen.server.fired
        assert not seen.server.timers


@scenario
async def test_each_instrument_has_a_timer_of_its_own() -> None:
    async with timed(TimerDesk(EACH)) as seen:
        lives = [await seen.account.place(buy(size="1")) for _ in range(2)]
        async with seen.account.dead_man(10, symbols=["BTC/USD", "ETH/USD"]) as switch:
            assert switch.covers.endswith("of BTC/USD, ETH/USD")
            assert "other symbols" in switch.spares
            seen.server.faults.append(
                lambda path, asked: (
                    "drop" if path == "/dead_man" and asked["native"] == "BTCUSD" else None
                )
            )
            await asyncio.sleep(30.0)
            assert {of[2] for _, of in seen.server.fired} == {"BTCUSD"}
            assert not switch.armed
            seen.server.faults.clear()
        assert [each.state for each in lives] == [OrderState.CANCELED] * 2


@scenario
async def test_what_renewals_would_cost_too_much_of_is_refused_before_anything_is_sent() -> None:
    """Its share is stated; a pool of timers alone may be spent whole."""
    desk = TimerDesk(EACH, weight=10)
    desk.limits = attrs.evolve(desk.limits, requests=Budget(amount=2400, seconds=60.0))  # type: ignore[misc]
    async with timed(desk) as seen:
        with pytest.raises(UsageError, match="takes 20% of what desk allows of requests, more"):
            async with seen.account.dead_man(10, symbols=["BTC/USD", "ETH/USD"]):
                raise AssertionError
        assert not sets(seen)
        async with seen.account.dead_man(10, symbols=["BTC/USD", "ETH/USD"], share=0.2):
            pass
        async with seen.account.dead_man(20, symbols=["BTC/USD", "ETH/USD"]) as switch:
            assert switch.armed
    pool = Pool("timers", Budget(amount=1, seconds=1.0), per_account=True)
    async with timed(TimerDesk(OWN, pool=pool)) as seen:
        async with seen.account.dead_man(10):
            await asyncio.sleep(30.0)
        assert not seen.server.fired
    # Where it can't be seen that others don't spend of it, the pool says so.
    listing = attrs.evolve(Desk.endpoints[GetOpenOrders], pool=lambda request: None)
    for alone in (False, True):
        desk = TimerDesk(OWN, pool=attrs.evolve(pool, alone=alone))
        desk.endpoints[GetOpenOrders] = listing
        async with timed(desk) as seen:
            with nullcontext() if alone else pytest.raises(UsageError, match="of timers, more"):
                async with seen.account.dead_man(10):
                    pass
    slow = Pool("timers", Budget(amount=1, seconds=5.0), per_account=True)
    async with timed(TimerDesk(OWN, pool=slow)) as seen:
        with pytest.raises(UsageError, match="allows of timers, more than 100%"):
            async with seen.account.dead_man(10):
                raise AssertionError


@pytest.mark.parametrize("first", ["lose", "502", "limited"])
def test_entering_sets_it_until_the_exchange_says_so(first: str) -> None:
    async def scene() -> None:
        async with timed() as seen:
            seen.server.faults.append(losing(first, 0, 1))
            async with seen.account.dead_man(60) as switch:
                assert switch.armed
            assert not seen.server.timers

    run(scene())


@scenario
async def test_what_cannot_be_set_is_not_claimed_and_nothing_is_left_behind() -> None:
    async with timed(TimerDesk(EACH)) as seen:
        seen.server.faults.append(
            lambda path, asked: (
                "key" if asked.get("native") == "ETHUSD" and asked.get("seconds") else None
            )
        )
        with pytest.raises(AccountUnsupported, match="no disconnect protection"):
            async with seen.account.dead_man(10, symbols=["BTC/USD", "ETH/USD"]):
                raise AssertionError
        assert not seen.server.timers
        seen.server.faults[:] = [losing("drop", *range(100))]
        with pytest.raises(CcrsError):
            async with seen.account.dead_man(10, symbols=["BTC/USD"]):
                raise AssertionError


@scenario
async def test_what_it_is_of_must_be_what_the_exchange_has() -> None:
    async with timed() as seen:
        account = seen.account
        for kwargs, error in (
            ({"markets": ["spot"]}, Unsupported),
            ({"symbols": ["BTC/USD"]}, Unsupported),
            ({"markets": ["option"]}, Unsupported),
            ({"seconds": 9}, UsageError),
            ({"share": 0}, UsageError),
        ):
            with pytest.raises(error):
                account.dead_man(**{"seconds": 10, **kwargs})  # type: ignore[arg-type]
    async with timed(TimerDesk(EACH)) as seen:
        for symbols in (None, [], "BTC/USD"):
            with pytest.raises(UsageError, match="symbols="):
                seen.account.dead_man(10, symbols=symbols)


@scenario
async def test_each_stretch_without_a_renewal_is_told_by_itself() -> None:
    async with timed() as seen, seen.account.dead_man(10):
        for _ in range(3):
            seen.server.faults.append(lambda path, asked: "drop" if path == "/dead_man" else None)
            await asyncio.sleep(25.0)
            seen.server.faults.clear()
            await asyncio.sleep(25.0)
        told = [each for each in seen.of(Synced) if "protection was not renewed" in each.reason]
        assert len(told) == 3


@pytest.mark.parametrize("first", [0, 1])
def test_it_is_armed_from_when_a_renewal_left_in_whichever_order_answers_come(first: int) -> None:
    run(_armed(first))


async def _armed(first: int) -> None:
    async with timed() as seen, seen.account.dead_man(12) as switch:
        count = itertools.count()

        def after(path: str) -> float:
            """Each second answer overtakes the one before it."""
            return 4.0 if path == "/dead_man" and next(count) % 2 == first else 0.0

        seen.transport.answer_after = after
        await asyncio.sleep(32.0)
        seen.server.faults.append(lambda path, asked: "drop" if path == "/dead_man" else None)
        last = [at for at, _ in sets(seen)][-1]
        now = seen.server.now
        while switch.armed:
            await asyncio.sleep(0.1)
            assert now() <= last + 12.2
        assert now() >= last + 11.8
        seen.server.faults.clear()
        seen.transport.answer_after = lambda path: 0.0


@scenario
async def test_renewals_that_nobody_answers_do_not_pile_up() -> None:
    async with timed() as seen, seen.account.dead_man(10) as switch:
        await asyncio.sleep(300.0)
        timers = switch._timers
        assert timers is not None
        (timer,) = timers._timers
        assert len(timer.under_way) <= 5
        seen.transport.answer_after = lambda path: 1000.0 if path == "/dead_man" else 0.0
        before = len(asyncio.all_tasks())
        await asyncio.sleep(300.0)
        assert len(timer.under_way) <= 5
        assert len(asyncio.all_tasks()) < before + 15
        seen.transport.answer_after = lambda path: 0.0


@scenario
async def test_who_is_cancelled_while_entering_leaves_nothing_in_force() -> None:
    async with timed(TimerDesk(EACH)) as seen:
        seen.transport.answer_after = lambda path: 1.0 if path == "/dead_man" else 0.0

        async def block() -> None:
            async with seen.account.dead_man(10, symbols=["BTC/USD", "ETH/USD"]):
                raise AssertionError

        entering = asyncio.ensure_future(block())
        await asyncio.sleep(0.5)
        assert seen.server.timers
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await asyncio.sleep(60.0)
        assert not seen.server.timers
        assert not seen.server.fired


@scenario
async def test_it_goes_by_rest_whichever_way_orders_go() -> None:
    """Its answers are proof, and the socket may be the first thing that is lost."""
    async with timed() as seen, seen.account.dead_man(10, share=1.0) as switch:
        timers = switch._timers
        assert timers is not None
        asks, ways = timers._context.asks, list[Any]()
        once = asks.once

        async def noted(request: Any, **how: Any) -> Any:
            ways.append(how.get("via"))
            return await once(request, **how)

        asks.once = noted  # type: ignore[method-assign]
        await asyncio.sleep(10.0)
        assert set(ways) == {"rest"}
        del asks.once  # type: ignore[method-assign]
