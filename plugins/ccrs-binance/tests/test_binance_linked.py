"""Orders of spot that go together: pairs of which one ends the other, one in another's stead."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from binance_orders import NOW_NS, SPOT, at_market, order
from ccrs_binance import linked_calls
from ccrs_binance.error_codes import error_of
from test_binance_account import SPOT as SYMBOL
from test_binance_account import USDM, bench, near

from ccrs_core import (
    CancelOrder,
    EndReason,
    HttpResponse,
    Market,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Placed,
    PlaceEither,
    Replaced,
    ReplaceOrder,
    Side,
    Trailing,
    Trigger,
    Unsupported,
    UsageError,
    limit,
    market,
)
from ccrs_core.conformance.workbench.trader import desk_of
from ccrs_core.emulator import NewOrder
from ccrs_core.transport.memory import run

RESTS = order(side="sell", size="0.02", price="66000", post_only=True)


def stop(**more: Any) -> Any:
    return attrs.evolve(at_market(side="sell", size="0.02", **more), client_order_id="own-2")


def test_of_a_pair_the_higher_one_is_above_in_whichever_order_they_come() -> None:
    waits = stop(trigger=Trigger(price="60000", rises=False))
    for items in ((RESTS, waits), (waits, RESTS)):
        body = linked_calls.fields_of(PlaceEither(items))
        assert body == {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "0.02",
            "newOrderRespType": "RESULT",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": "66000",
            "belowType": "STOP_LOSS",
            "belowStopPrice": "60000",
            "aboveClientOrderId": RESTS.client_order_id,
            "belowClientOrderId": waits.client_order_id,
        }


def test_what_follows_the_price_is_below_a_sale() -> None:
    body = linked_calls.fields_of(PlaceEither((RESTS, stop(trigger=Trailing(share="0.01")))))
    assert (body["belowType"], body["belowTrailingDelta"]) == ("STOP_LOSS", "100")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (order(side="sell", size="0.02"), stop(trigger=Trigger(price=1, rises=False))),
        (RESTS, order(side="buy", size="0.02", price="1", post_only=True)),
        (RESTS, order(side="sell", size="0.03", price="1", trigger=Trigger(price=1, rises=False))),
        (RESTS, stop()),
    ],
)
def test_pairs_that_spot_doesnt_take_are_refused_before_they_are_sent(
    first: Any, second: Any
) -> None:
    with pytest.raises(Unsupported, match="pairs"):
        linked_calls.fields_of(PlaceEither((first, second)))


# --- both outcomes ---

CANCEL = CancelOrder(instrument=SPOT, exchange_order_id="28", client_order_id="old-1")
INSTEAD = ReplaceOrder(SPOT, CANCEL, attrs.evolve(order(), client_order_id="new-1"))
GONE = {"code": -2011, "msg": "Unknown order sent."}
FUNDS = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
CANCELED = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "origClientOrderId": "old-1",
    "clientOrderId": "x",
    "price": "61000.1",
    "origQty": "0.02",
    "executedQty": "0",
    "cummulativeQuoteQty": "0",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "transactTime": 1_794_000_400_000,
    "selfTradePreventionMode": "NONE",
}
NEW = {
    **CANCELED,
    "orderId": 29,
    "clientOrderId": "new-1",
    "status": "NEW",
    "origClientOrderId": "new-1",
}


def both(canceled: tuple[str, Any], placed: tuple[str, Any], code: int | None) -> Replaced:
    data = {
        "cancelResult": canceled[0],
        "cancelResponse": canceled[1],
        "newOrderResult": placed[0],
        "newOrderResponse": placed[1],
    }
    body = data if code is None else {"code": code, "msg": "failed", "data": data}
    status = 200 if code is None else 409
    response = HttpResponse(status, {}, orjson.dumps(body))
    assert error_of(response) is None
    endpoint = linked_calls.LINKED_CALLS[ReplaceOrder]
    found = endpoint.decode(INSTEAD, response, NOW_NS, None).value
    assert isinstance(found, Replaced)
    return found


def test_both_outcomes_of_a_replacement_are_told() -> None:
    found = both(("SUCCESS", CANCELED), ("SUCCESS", NEW), None)
    assert isinstance(found.canceled, Placed)
    assert found.canceled.report is not None
    assert found.canceled.report.state is OrderState.CANCELED
    assert isinstance(found.placed, Placed)
    assert found.placed.exchange_order_id == "29"
    found = both(("SUCCESS", CANCELED), ("FAILURE", FUNDS), -2021)
    assert isinstance(found.canceled, Placed)
    assert isinstance(found.placed, OrderRejected)
    assert found.placed.reason is EndReason.BALANCE
    found = both(("FAILURE", GONE), ("NOT_ATTEMPTED", None), -2022)
    assert (found.placed, type(found.canceled).__name__) == (None, "OrderNotFound")


@pytest.mark.parametrize(
    "placed",
    [
        ("SUCCESS", None),
        ("SUCCESS", {**NEW, "clientOrderId": "another", "origClientOrderId": "another"}),
        ("PERHAPS", {}),
        ("FAILURE", {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
    ],
)
def test_a_placement_of_which_nothing_is_told_is_unknown(placed: tuple[str, Any]) -> None:
    found = both(("SUCCESS", CANCELED), placed, -2021)
    assert isinstance(found.placed, OutcomeUnknown)
    assert isinstance(found.canceled, Placed)


# --- at the emulated Binance ---


@pytest.mark.parametrize("via", ["rest", "websocket"])
def test_of_a_pair_one_ends_the_other(via: Any) -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            price = (await there.bought(SYMBOL, "0.03")).average_price
            falls = Trigger(price=near(price, "0.9"), rises=False)
            above = near(price, "1.03")
            pair = (
                limit(SYMBOL, "sell", price=above, size="0.01", post_only=True),
                market(SYMBOL, "sell", size="0.01", trigger=falls),
            )
            rests, waits = await account.place_either(*pair, via=via)
            await asyncio.sleep(1.0)
            assert (rests.state, waits.state) == (OrderState.OPEN, OrderState.WAITING)
            await account.cancel(rests)
            await asyncio.sleep(1.0)
            assert (rests.state, waits.state) == (OrderState.CANCELED, OrderState.CANCELED)
            # One that would take is refused, and then neither is there.
            taking = limit(SYMBOL, "sell", price=near(price, "0.98"), size="0.01", post_only=True)
            found = await account.place_either(taking, pair[1], via=via)
            assert all(isinstance(each, OrderRejected) for each in found)
            await asyncio.sleep(1.0)
            assert not account.open_orders()
            with pytest.raises(UsageError, match="one symbol"):
                await account.place_either(pair[0], market(USDM, "sell", size="1"))
            assert not (await account.compare()).differences

    run(story())


@pytest.mark.parametrize("via", ["rest", "websocket"])
def test_an_untouched_order_is_replaced_by_one_request(via: Any) -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            price = near((await there.bought(SYMBOL, "0.03")).average_price, "0.98")
            first = await account.place(limit(SYMBOL, "buy", price=price, size="0.02"))
            second = await account.replace(
                first, limit(SYMBOL, "buy", price=price - 10, size="0.03"), via=via
            )
            await asyncio.sleep(1.0)
            assert (first.state, second.state) == (OrderState.CANCELED, OrderState.OPEN)
            assert (second.price, second.size) == (price - 10, Decimal("0.03"))
            # What can't be paid: the first of the two is canceled, the second refused.
            with pytest.raises(OrderRejected) as refused:
                await account.replace(second, limit(SYMBOL, "buy", price=price, size="90"), via=via)
            assert refused.value.reason is EndReason.BALANCE
            await asyncio.sleep(1.0)
            assert second.state is OrderState.CANCELED
            assert not account.open_orders()
            assert not (await account.compare()).differences

    run(story())


@pytest.mark.parametrize("effect", [True, False])
def test_a_pair_whose_answer_is_lost_is_unknown_until_it_is_found_and_never_sent_again(
    effect: bool,
) -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            price = (await there.bought(SYMBOL, "0.03")).average_price
            there.venue.faults.add(
                f"lose_answer,path=/api/v3/orderList/oco,effect={'yes' if effect else 'no'},count=1"
            )
            found: list[Any] = await account.place_either(
                limit(SYMBOL, "sell", price=near(price, "1.03"), size="0.01", post_only=True),
                limit(
                    SYMBOL,
                    "sell",
                    price=near(price, "0.89"),
                    size="0.01",
                    trigger=Trigger(price=near(price, "0.9"), rises=False),
                ),
            )
            assert all(isinstance(each, OutcomeUnknown) for each in found)
            await asyncio.sleep(300.0)
            states = {account.order(each.order.client_order_id).state for each in found}
            lives = {OrderState.OPEN, OrderState.WAITING}
            assert states == (lives if effect else {OrderState.PRESUMED_ABSENT})
            assert len(account.open_orders()) == 2 * effect

    run(story())


@pytest.mark.parametrize("effect", [True, False])
def test_of_a_replacement_whose_answer_is_lost_both_parts_are_found(effect: bool) -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            price = near((await there.bought(SYMBOL, "0.03")).average_price, "0.98")
            first = await account.place(limit(SYMBOL, "buy", price=price, size="0.02"))
            takes = "yes" if effect else "no"
            lost = f"lose_answer,path=/api/v3/order/cancelReplace,effect={takes},count=1"
            there.venue.faults.add(lost)
            with pytest.raises(OutcomeUnknown) as unknown:
                await account.replace(first, limit(SYMBOL, "buy", price=price - 10, size="0.02"))
            await asyncio.sleep(300.0)
            assert unknown.value.order is not None
            second = account.order(unknown.value.order.client_order_id)
            assert (first.state, second.state) == (
                (OrderState.CANCELED, OrderState.OPEN)
                if effect
                else (OrderState.OPEN, OrderState.PRESUMED_ABSENT)
            )
            assert len(account.open_orders()) == 1

    run(story())


@pytest.mark.parametrize("own_id", ["", "mine-7"])
def test_what_was_filled_in_part_meanwhile_is_replaced_for_what_is_left(own_id: str) -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account, venue = there.account, there.venue
            price = (await there.bought(SYMBOL, "0.03")).average_price
            (listing,) = [
                each
                for each in venue.listings.values()
                if each.market is Market.SPOT and each.symbol == "BTCUSDT"
            ]
            venue.steer(listing, bids=(), asks=())
            middle = near(price, "0.99")
            first = await account.place(limit(SYMBOL, "buy", price=middle, size="0.02"))
            await asyncio.sleep(1.0)
            desk = desk_of(venue)
            desk.open_account("other", money={"BTC": Decimal(5), "USDT": Decimal(1000)})
            # Nothing of it comes here before the replacement leaves: nobody asks, nothing is due.
            desk.place(
                desk.accounts["other"],
                NewOrder(listing=listing, side=Side.SELL, size=Decimal("0.005"), price=middle),
            )
            assert not first.filled_size
            wanted = limit(SYMBOL, "buy", price=middle - 10, size="0.02", client_order_id=own_id)
            second = await account.replace(first, wanted)
            await asyncio.sleep(5.0)
            assert second.id == own_id or not own_id
            assert (first.state, first.filled_size) == (OrderState.CANCELED, Decimal("0.005"))
            assert (second.state, second.size) == (OrderState.OPEN, Decimal("0.015"))

    run(story())
