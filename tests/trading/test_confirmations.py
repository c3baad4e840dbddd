"""Acknowledged isn't done: where only the stream says what came of an amendment or a cancel, the
caller hears that, within a bound."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ccrs_core import OrderEnded, OrderRejected, OrderState, OutcomeUnknown
from ccrs_core.contract.trading_requests import AmendOrder, CancelOrder
from ccrs_core.transport.memory import run
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once
from tests.virtual import scenario

CONFIRMS = frozenset({AmendOrder, CancelOrder})


def confirming() -> Desk:
    return Desk(confirms=CONFIRMS)


def says(*after: float | None) -> Callable[[str, dict[str, Any]], float | None]:
    """How the next ones come out, the last one over and over."""
    left = list(after)
    return lambda act, asked: left.pop(0) if len(left) > 1 else left[0]


def silent(seen: World) -> None:
    """No push of orders comes any more."""
    seen.server.push_of = lambda topic, row: [] if topic == "orders" else [0.0]


@scenario
async def test_an_acknowledged_amendment_that_fails_later_is_the_callers_failure() -> None:
    """E2: the quantity stays, nothing is sent again."""
    async with world(confirming()) as seen:
        seen.server.confirm = says(-0.3)
        live = await seen.account.place(buy(size="10"))
        seen.server.fill("key", live.id, "4")
        with pytest.raises(OrderRejected, match="came to nothing") as failure:
            await seen.account.amend(live, size="8")
        assert (failure.value.code, failure.value.order.size) == ("late", 10)
        assert (live.now.size, live.now.asked.size, live.state) == (10, 10, OrderState.OPEN)
        assert len(seen.server.sent_of("/amend")) == 1


@scenario
async def test_an_amendment_is_done_once_the_stream_says_so_and_not_before() -> None:
    async with world(confirming()) as seen:
        seen.server.confirm = says(0.5)
        live = await seen.account.place(buy(size="10"))
        began = seen.clock.monotonic()
        order = await seen.account.amend(live, size="8", price="101")
        assert 0.5 <= seen.clock.monotonic() - began < 0.6
        assert (order.size, order.price, order.asked.size) == (8, 101, 8)
        assert not seen.server.sent_of("/order")


@scenario
async def test_what_confirms_an_amendment_may_come_before_its_answer_or_twice() -> None:
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        seen.transport.answer_after = lambda path: 1.0 if path == "/amend" else 0.0
        seen.server.push_of = lambda topic, row: [0.0, 0.2]
        seen.server.confirm = says(0.0, -0.0001, 0.0)
        assert (await seen.account.amend(live, price="101")).price == 101
        with pytest.raises(OrderRejected):
            await seen.account.amend(live, price="102")
        # The copies of what was said of others settle nothing.
        assert (await seen.account.amend(live, price="103")).price == 103


@scenario
async def test_each_amendment_has_its_own_confirmation() -> None:
    async with world(confirming()) as seen:
        orders = [await seen.account.place(buy()) for _ in range(3)]
        seen.server.confirm = says(0.4, -0.1, 0.2)
        found = await asyncio.gather(
            *(seen.account.amend(each, price="101") for each in orders), return_exceptions=True
        )
        assert [type(each).__name__ for each in found] == ["Order", "OrderRejected", "Order"]
        assert [each.now.price for each in orders] == [101, 100, 101]
        ids = [each["request"] for each in seen.server.sent_of("/amend")]
        assert len(set(ids)) == 3
        assert all(Desk().trading.client_ids.allows(each) for each in ids)


@pytest.mark.parametrize("effect", [0.0, 3.0, -0.1])
def test_where_the_stream_is_silent_the_order_is_looked_up_and_else_it_is_unknown(
    effect: float,
) -> None:
    """Whether it took effect at once, after the first look, or not at all."""

    async def scene() -> None:
        async with world(confirming()) as seen:
            live = await seen.account.place(buy())
            seen.server.confirm = says(effect)
            silent(seen)
            began = seen.clock.monotonic()
            if effect < 0:
                with pytest.raises(OutcomeUnknown, match="acknowledged") as failure:
                    await seen.account.amend(live, price="101")
                assert failure.value.order.price == 100
                assert live.now.asked.price == 100
            else:
                assert (await seen.account.amend(live, price="101")).price == 101
            assert seen.clock.monotonic() - began < 10.5
            assert len(seen.server.sent_of("/amend")) == 1

    run(scene())


@pytest.mark.parametrize("done", [True, False])
def test_a_confirmation_proves_what_a_lost_answer_leaves_open(done: bool) -> None:
    async def scene() -> None:
        async with world(confirming()) as seen:
            live = await seen.account.place(buy())
            seen.server.faults.append(once("/amend", "lose"))
            seen.server.confirm = says(0.5 if done else -0.5)
            if done:
                assert (await seen.account.amend(live, price="101")).price == 101
            else:
                with pytest.raises(OrderRejected):
                    await seen.account.amend(live, price="101")
            assert len(seen.server.sent_of("/amend")) == 1

    run(scene())


@scenario
async def test_an_order_that_ends_while_its_amendment_is_under_way_says_so() -> None:
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        seen.server.confirm = says(1.0)
        amending = asyncio.ensure_future(seen.account.amend(live, price="101"))
        await asyncio.sleep(0.5)
        seen.server.fill("key", live.id, "1")
        with pytest.raises(OrderEnded) as failure:
            await amending
        assert failure.value.order.filled_size == 1


@scenario
async def test_an_amendment_waits_for_the_confirmation_of_that_before_it() -> None:
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        seen.server.confirm = says(0.5)
        await asyncio.gather(*(seen.account.amend(live, price=str(101 + n)) for n in range(3)))
        times = [at for at, path, _ in seen.server.calls if path == "/amend"]
        assert all(later - before >= 0.5 for before, later in itertools.pairwise(times))
        assert live.now.price == 103


@scenario
async def test_an_acknowledged_cancel_that_fails_later_is_sent_again() -> None:
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        seen.server.confirm = says(-0.2, 0.2)
        outcome = await seen.account.cancel(live)
        assert (outcome.result, outcome.order.state) == ("accepted", OrderState.CANCELED)
        assert len(seen.server.sent_of("/cancel")) == 2


@scenario
async def test_a_cancel_that_fails_as_its_order_is_filled_says_how_it_ended() -> None:
    """D2: accepted isn't canceled."""
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        seen.server.confirm = says(0.5)
        canceling = asyncio.ensure_future(seen.account.cancel(live))
        await asyncio.sleep(0.2)
        seen.server.fill("key", live.id, "1")
        outcome = await canceling
        assert outcome.order.state is OrderState.FILLED
        assert outcome.order.filled_size == Decimal(1)
        assert len(seen.server.sent_of("/cancel")) == 1


@scenario
async def test_of_a_batch_of_cancels_those_that_fail_later_are_sent_again_by_themselves() -> None:
    async with world(confirming()) as seen:
        orders = [await seen.account.place(buy()) for _ in range(3)]
        seen.server.confirm = says(0.1, -0.1, 0.1)
        found = await seen.account.cancel_many(orders)
        assert [each.order.state for each in found] == [OrderState.CANCELED] * 3
        assert len(seen.server.sent_of("/cancel_many")) == 1
        assert [each["link"] for each in seen.server.sent_of("/cancel")] == [orders[1].id]


@scenario
async def test_a_cancel_of_which_nothing_is_said_returns_within_its_bound() -> None:
    async with world(confirming()) as seen:
        live = await seen.account.place(buy())
        silent(seen)
        seen.server.confirm = says(60.0)
        began = seen.clock.monotonic()
        assert (await seen.account.cancel(live)).result == "accepted"
        assert seen.clock.monotonic() - began < 2.5
