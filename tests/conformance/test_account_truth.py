"""The judge of an account, where it may excuse something: what a trigger has placed has the id of
the order that waited, and nobody tells the order of what happened in one millisecond."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core.conformance.judges.account_truth import nothing_is_unexplained, orders_are_true
from ccrs_core.conformance.judges.accountant import Accountant, Books
from ccrs_core.emulator import DeskOrder, Ending, NewOrder, Stage
from ccrs_core.model.accounts import Adjustment, AdjustmentKind
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import OrderType, Trigger
from ccrs_core.model.orders import Order, OrderState, Origin
from tests.emulator.trading_floor import SPOT

D = Decimal
INSTRUMENT = Instrument(
    exchange="e",
    symbol="BTC/USDT",
    native="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
)
FIND = {SPOT.key: INSTRUMENT}
TRIGGER = Trigger(price=D(59000), rises=False)
ASKED = NewOrder(
    listing=SPOT, side=Side.SELL, size=D(2), price=D(58000), client_order_id="a", trigger=TRIGGER
)
WAITED = DeskOrder(
    number=1,
    account="trader",
    asked=ASKED,
    stage=Stage.CANCELED,
    ending=Ending.REPLACED,
    created_ns=1,
    updated_ns=2,
    triggered=True,
    replaced_by=2,
)
PLACED = DeskOrder(
    number=2,
    account="trader",
    asked=attrs.evolve(ASKED, trigger=None),
    stage=Stage.FILLED,
    filled=D(2),
    created_ns=2,
    updated_ns=3,
    origin=1,
)
DESK = {1: WAITED, 2: PLACED}


def order(identity: str, **more: Any) -> Order:
    given: dict[str, Any] = {"state": OrderState.FILLED, "filled_size": D(2)} | more
    return Order(
        exchange="e",
        account="trader",
        symbol=INSTRUMENT.symbol,
        market=Market.SPOT,
        client_order_id="a",
        exchange_order_id=identity,
        side=Side.SELL,
        type=OrderType.LIMIT,
        origin=Origin.OWN,
        size=D(2),
        price=D(58000),
        **given,
    )


GUARD, CHILD = order("x1", fired=True, children=("x2",)), order("x2", fired_by="x1")


def test_what_waited_stands_as_what_it_has_placed() -> None:
    orders_are_true([GUARD, CHILD], DESK, FIND)
    orders_are_true([CHILD, GUARD], DESK, FIND)


@pytest.mark.parametrize(
    "told",
    [
        [GUARD],
        [CHILD],
        [GUARD, attrs.evolve(CHILD, fired_by="")],
        [attrs.evolve(GUARD, filled_size=D(0)), CHILD],
        [attrs.evolve(GUARD, state=OrderState.EXPIRED), CHILD],
        [GUARD, attrs.evolve(CHILD, state=OrderState.OPEN)],
        [GUARD, attrs.evolve(CHILD, origin=Origin.OTHER)],
        [GUARD, CHILD, attrs.evolve(CHILD, exchange_order_id="x3")],
    ],
)
def test_either_of_them_that_is_missing_or_otherwise_is_noticed(told: list[Order]) -> None:
    with pytest.raises(AssertionError):
        orders_are_true(told, DESK, FIND)


def test_one_of_others_that_fired_unseen_may_be_known_by_what_it_placed_alone() -> None:
    asked = attrs.evolve(ASKED, client_order_id="web1")
    waited = attrs.evolve(WAITED, asked=asked)
    child = attrs.evolve(PLACED, asked=asked, stage=Stage.OPEN, filled=D(0))
    told = attrs.evolve(CHILD, client_order_id="web1", state=OrderState.OPEN, filled_size=D(0))
    other = attrs.evolve(told, origin=Origin.OTHER)
    orders_are_true([other], {1: waited, 2: child}, FIND)
    with pytest.raises(AssertionError):
        orders_are_true([], {1: waited, 2: child}, FIND)


def test_exits_of_what_came_to_nothing_may_have_been_there_alone_and_ended() -> None:
    leg = attrs.evolve(
        CHILD, client_order_id="made", fired_by="", origin=Origin.OTHER, filled_size=D(0)
    )
    orders_are_true([GUARD, CHILD, attrs.evolve(leg, state=OrderState.EXPIRED)], DESK, FIND)
    for wrong in (
        attrs.evolve(leg, state=OrderState.OPEN),
        attrs.evolve(leg, state=OrderState.EXPIRED, origin=Origin.OWN),
        attrs.evolve(leg, state=OrderState.EXPIRED, filled_size=D(1)),
    ):
        with pytest.raises(AssertionError):
            orders_are_true([GUARD, CHILD, wrong], DESK, FIND)


def test_one_that_was_placed_twice_is_noticed() -> None:
    twice = {**DESK, 3: attrs.evolve(PLACED, number=3, origin=None)}
    with pytest.raises(AssertionError, match="2 orders of the client's id"):
        orders_are_true([GUARD, CHILD], twice, FIND)


def booked(*fills: tuple[bool, int]) -> Books:
    """Trades of an inverse contract: which way, in which millisecond."""
    accountant = Accountant()
    for number, (buys, at) in enumerate(fills):
        mine = {
            "account": "trader",
            "order": number,
            "client_order_id": "a",
            "maker": False,
            "position_side": "net",
            "fee": "0",
            "fee_asset": "BTC",
        }
        crowd = {**mine, "account": "", "order": None}
        line = {
            "kind": "trade",
            "number": number + 1,
            "time_ns": at * 10**6,
            "trade": number,
            "category": "inverse",
            "symbol": "BTCUSD",
            "market": "inverse",
            "base": "BTC",
            "quote": "USD",
            "settle": "BTC",
            "worth_of_one": "1",
            "price": "100",
            "size": "5",
            "buyer": mine if buys else crowd,
            "seller": crowd if buys else mine,
        }
        accountant.read([json.dumps(line)])
    return accountant.of("trader")


def unexplained(asset: str) -> Adjustment:
    return Adjustment(
        exchange="e",
        symbol="",
        exchange_time_ns=1,
        received_time_ns=1,
        account="trader",
        kind=AdjustmentKind.UNEXPLAINED,
        adjustment_id="x",
        amount=D("0.001"),
        asset=asset,
        number=1,
    )


def test_differences_are_excused_where_both_ways_in_one_millisecond_make_them_alone() -> None:
    nothing_is_unexplained([unexplained("BTC")], booked((True, 1), (False, 1)))
    for asset, fills in (
        ("USDT", [(True, 1), (False, 1)]),
        ("BTC", [(True, 1), (False, 2)]),
        ("BTC", [(True, 1), (True, 1)]),
    ):
        with pytest.raises(AssertionError, match="nothing explains"):
            nothing_is_unexplained([unexplained(asset)], booked(*fills))
