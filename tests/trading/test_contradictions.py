"""What the exchange says against what the ledger was told, or has found: it is told, and an order
that may be alive can be canceled."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from ccrs_core import CancelResult, LedgerConflict, MemoryStore, OrderState
from ccrs_core.trading.live_order import LiveOrder
from tests.trading.desk_world import World, new_server, world
from tests.trading.test_placing import buy, once, unknown
from tests.virtual import scenario


async def settled(seen: World, state: OrderState) -> LiveOrder:
    """An order that lives at the exchange, which hides it, and that was settled by hand."""
    seen.server.faults.append(once("/place", "lose"))
    seen.server.list_lag = 1e9
    seen.server.push_of = lambda topic, row: []
    live = await unknown(seen)
    await seen.account.settle(live, state)
    assert seen.account.open_orders() == []
    seen.server.push_of = lambda topic, row: [0.0]
    for order in seen.server.book_of("key").orders.values():
        order.visible_at = 0.0
    return live


@pytest.mark.parametrize("state", [OrderState.ABSENT, OrderState.CANCELED, OrderState.NOT_SENT])
@pytest.mark.parametrize("restarted", [False, True])
def test_an_order_that_was_settled_by_hand_and_lives_counts_and_can_be_canceled(
    state: OrderState, restarted: bool
) -> None:
    @scenario
    async def story() -> None:
        server, store = new_server(), MemoryStore()
        async with world(server=server, store=store, presume_absent_after=None) as seen:
            live = await settled(seen, state)
            await seen.account.reconcile()
            await asyncio.sleep(0.1)
            assert live.state is state
            [conflict] = seen.of(LedgerConflict)
            assert (conflict.what, conflict.told) == ("state of an order", "open")
            if not restarted:
                await is_alive(seen, live.id, state)
        if restarted:
            async with world(server=server, store=store) as seen:
                await is_alive(seen, live.id, state)

    story()


async def is_alive(seen: World, identity: str, state: OrderState) -> None:
    account = seen.account
    assert [order.client_order_id for order in account.open_orders()] == [identity]
    assert account.exposure("BTC/USD").unknown_buys == Decimal(1)
    assert (await account.cancel(identity)).result is CancelResult.ACCEPTED
    await asyncio.sleep(0.1)
    order = account.order(identity)
    assert order is not None
    assert order.state is state
    assert account.open_orders() == []
    assert account.exposure("BTC/USD").unknown_buys == 0
    assert (await account.cancel(identity)).result is not CancelResult.ACCEPTED


@scenario
async def test_what_was_called_alive_and_is_shown_nowhere_any_more_counts_no_longer() -> None:
    async with world(presume_absent_after=None) as seen:
        await settled(seen, OrderState.ABSENT)
        await seen.account.reconcile()
        assert len(seen.account.open_orders()) == 1
        seen.server.book_of("key").orders.clear()
        await asyncio.sleep(100.0)
        assert len(seen.account.open_orders()) == 1
        await asyncio.sleep(300.0)
        assert seen.account.open_orders() == []


@scenario
async def test_leaving_cancels_what_was_settled_by_hand_and_lives() -> None:
    server = new_server()
    async with world(server=server, presume_absent_after=None, on_exit="cancel_own") as seen:
        await settled(seen, OrderState.ABSENT)
        await seen.account.reconcile()
    assert not any(order.open for order in server.book_of("key").orders.values())


@scenario
async def test_two_words_on_the_fee_of_a_fill_are_told() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.server.fill("key", live.id, "0.4")
        row: dict[str, Any] = seen.server.book_of("key").fills[0][1]
        row["fee"] = "0.040"  # the same
        await seen.account.reconcile()
        await asyncio.sleep(0.1)
        assert seen.of(LedgerConflict) == []
        row["fee"] = "7"
        for _ in range(2):
            await seen.account.reconcile()
        await asyncio.sleep(0.1)
        [conflict] = seen.of(LedgerConflict)
        assert (conflict.known, conflict.told) == ("0.04 USD", "7 USD")
        assert live.now.fees == (("USD", Decimal("0.04")),)
