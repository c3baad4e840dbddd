"""What random schedules have found, each by the few steps that show it."""

from __future__ import annotations

import asyncio

import pytest

from ccrs_core import (
    NS_PER_SECOND,
    Adjustment,
    AdjustmentKind,
    Fill,
    FillKind,
    OptionKind,
    Side,
    Unsupported,
)
from ccrs_core.conformance.workbench.account_world import AccountWorld, Life
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import tradable
from ccrs_core.model.instruments import Market
from tests.trading.desk_world import world
from tests.virtual import scenario

BYBIT = Subject("bybit")


def test_an_account_that_is_opened_for_its_socket_enters_orders_there() -> None:
    there = AccountWorld(BYBIT, via="websocket")
    at = there.stall(Market.SPOT)

    async def place(life: Life) -> None:
        sent = len(life.tap.sent)
        await life.account.place(at.limit(Side.BUY, at.passive(Side.BUY)))
        assert len(life.tap.sent) == sent + 1
        assert not life.placements

    there.run(place)


@scenario
async def test_an_account_isnt_opened_for_a_socket_that_the_exchange_hasnt() -> None:
    with pytest.raises(Unsupported, match="WebSocket"):
        async with world(via="websocket"):
            pass


def test_the_money_of_a_delivery_is_counted_once() -> None:
    """Bybit tells it as an execution and in the transaction log."""
    instrument = tradable(BYBIT, Market.OPTION)[0]
    assert instrument.expiry_ns is not None
    there = AccountWorld(BYBIT, start_ns=instrument.expiry_ns - 30 * NS_PER_SECOND)
    at = there.stall(Market.OPTION)
    strike = at.listing.strike
    assert strike is not None
    index = strike + (20_000 if at.listing.option_kind is OptionKind.CALL else -20_000)
    there.venue.steer(at.listing, index_price=index)

    async def expire(life: Life) -> None:
        await life.account.place(at.market(Side.SELL))
        await asyncio.sleep(30.0)
        for _ in range(4):
            await life.account.reconcile()
            await asyncio.sleep(61.0)
        assert not life.account.positions()
        told = [event for event in life.events if isinstance(event, Adjustment)]
        assert not [each for each in told if each.kind is AdjustmentKind.UNEXPLAINED]
        (paid,) = [e for e in life.events if isinstance(e, Fill) and e.kind is FillKind.SETTLEMENT]
        assert paid.price == 20_000

    there.run(expire)
