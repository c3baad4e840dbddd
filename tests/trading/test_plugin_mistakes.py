"""Plugins that raise what they shouldn't while a request is made: nothing is left without an end,
nobody else's outcome is lost, and what can be done is done."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import Amendment, EndReason, Fill, NotWritten, OrderState, OutcomeUnknown
from ccrs_core.contract.trading_requests import (
    AmendOrders,
    CancelOrders,
    GetFills,
    GetOrder,
    PlaceOrder,
    PlaceOrders,
)
from ccrs_core.trading.live_order import LiveOrder
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import world
from tests.trading.test_placing import buy, once, placements
from tests.virtual import scenario

ODD = Decimal("0.777")


def mistaken(kind: type[Any]) -> Desk:
    """A plugin that can't spell a request in which something costs, or is of, an odd number."""
    whole = Desk.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> Any:
        found = whole.encode(request, cursor)
        if b"0.777" in found.body or kind is CancelOrders:
            raise ZeroDivisionError("a mistake")
        return found

    class Mistaken(Desk):
        endpoints = {**Desk.endpoints, kind: attrs.evolve(whole, encode=encode)}  # noqa: RUF012

    return Mistaken()


@scenario
async def test_an_order_that_the_plugin_can_not_spell_was_never_sent() -> None:
    async with world(mistaken(PlaceOrder)) as seen:
        with pytest.raises(NotWritten, match="a mistake") as failure:
            await seen.account.place(buy(size="0.777", client_order_id="one"))
        assert isinstance(failure.value.__cause__, ZeroDivisionError)
        order = seen.account.order("one")
        assert order is not None
        assert (order.state, order.reason) == (OrderState.NOT_SENT, EndReason.OTHER)
        assert (await seen.account.place(buy())).state is not OrderState.NOT_SENT


@scenario
async def test_a_batch_that_the_plugin_can_not_spell_was_never_sent_others_are() -> None:
    async with world(mistaken(PlaceOrders)) as seen:
        sizes = ["0.777", "1", "1", "1", "1", "1"]  # two batches
        found = await seen.account.place_many([buy(size=size) for size in sizes])
        assert [type(each) for each in found] == [NotWritten] * 3 + [LiveOrder] * 3
        for error in found[:3]:
            assert isinstance(error, NotWritten)
            assert error.order is not None
            assert error.order.state is OrderState.NOT_SENT
            assert isinstance(error.__cause__, ZeroDivisionError)
        assert len(placements(seen)) == 3
        assert len(seen.account.open_orders()) == 3


@scenario
async def test_orders_whose_batch_of_cancels_can_not_be_spelt_are_canceled_one_by_one() -> None:
    async with world(mistaken(CancelOrders)) as seen:
        lives = await seen.account.place_many([buy(), buy(), buy()])
        assert all(isinstance(each, LiveOrder) for each in lives)
        done = await seen.account.cancel_many(seen.account.open_orders())
        assert [str(each.result) for each in done] == ["accepted"] * 3  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        assert not seen.account.open_orders()


@scenario
async def test_amendments_that_can_not_be_spelt_together_left_not_and_lock_nothing() -> None:
    async with world(mistaken(AmendOrders)) as seen:
        await seen.account.place_many([buy(), buy()])
        orders = seen.account.open_orders()
        changes = [Amendment(size=ODD), Amendment(size=Decimal(2))]
        found = await seen.account.amend_many(list(zip(orders, changes, strict=True)))
        assert [type(each) for each in found] == [NotWritten, NotWritten]
        for order in orders:
            await asyncio.wait_for(seen.account.amend(order, size="3"), 5.0)
        await asyncio.sleep(0.1)
        assert [order.size for order in seen.account.open_orders()] == [3, 3]


@scenario
async def test_what_becomes_of_a_placement_whose_caller_was_cancelled_is_found_out() -> None:
    async with world() as seen:
        seen.server.push_of = lambda topic, row: []
        seen.server.faults.append(once("/place", "lose"))
        seen.transport.answer_after = lambda path: 1.0 if path == "/place" else 0.0
        placing = asyncio.ensure_future(seen.account.place(buy()))
        await asyncio.sleep(0.1)
        placing.cancel()
        await asyncio.wait([placing])
        assert placing.cancelled()
        await asyncio.sleep(5.0)
        (order,) = seen.account.orders()
        assert order.state is OrderState.OPEN
        assert order.exchange_order_id
        assert len(placements(seen)) == 1


def failing(kind: type[Any]) -> tuple[Desk, list[bool]]:
    """A plugin that fails on answers of a kind as long as the list says so."""
    whole, fails = Desk.endpoints[kind], [False]

    def decode(*answer: Any) -> Any:
        if fails[0]:
            raise ZeroDivisionError("a mistake")
        return whole.decode(*answer)

    class Failing(Desk):
        endpoints = {**Desk.endpoints, kind: attrs.evolve(whole, decode=decode)}  # noqa: RUF012

    return Failing(), fails


@scenario
async def test_a_list_on_which_the_plugin_fails_is_told_and_ends_no_account() -> None:
    plugin, fails = failing(GetFills)
    async with world(plugin) as seen:
        live = await seen.account.place(buy())
        fails[0] = True
        done = await seen.account.reconcile()
        assert "ZeroDivisionError" in str(done.failures["fills of spot"])
        assert not seen.account.synced
        seen.server.push_of = lambda topic, row: []
        seen.server.fill("key", live.id, "1")
        fails[0] = False
        await asyncio.sleep(100.0)
        assert seen.account.synced
        assert [fill.size for fill in seen.of(Fill)] == [1]


@scenario
async def test_an_unknown_order_on_whose_answers_the_plugin_fails_is_looked_for_on() -> None:
    plugin, fails = failing(GetOrder)
    async with world(plugin) as seen:
        seen.server.push_of = lambda topic, row: []
        seen.server.faults.append(once("/place", "lose"))
        fails[0] = True
        with pytest.raises(OutcomeUnknown):
            await seen.account.place(buy())
        await asyncio.sleep(20.0)
        fails[0] = False
        await asyncio.sleep(60.0)
        (order,) = seen.account.orders()
        assert order.state is OrderState.OPEN


@scenario
async def test_who_waits_for_lists_is_told_when_the_account_is_closed_meanwhile() -> None:
    async with world() as seen:
        seen.transport.answer_after = lambda path: 5.0
        waits = []
        for _ in range(2):  # one whose reading is under way, one that waits for the next
            waits.append(asyncio.ensure_future(seen.account.reconcile()))
            await asyncio.sleep(1.0)
        await seen.account.aclose()
        _, late = await asyncio.wait(waits, timeout=60.0)
        assert not late
        assert [str(each.exception()) for each in waits] == ["the account is closed"] * 2
