"""What is sent to place, amend and cancel orders of spot, and what each answer says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from binance_orders import NOW_MS, NOW_NS, SPOT, at_market, order, read, spot_row, told
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    DecodeError,
    Exit,
    Market,
    OrderState,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trigger,
    TriggerBy,
    Unsupported,
    UsageError,
)

PLAIN = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.020",
    "newClientOrderId": "own-1",
    "newOrderRespType": "RESULT",
    "price": "61000.1",
    "timeInForce": "GTC",
}


def without(body: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in body.items() if name not in names}


def test_a_limit_order_is_sent_as_it_was_asked() -> None:
    assert told(order()) == ("POST", "/api/v3/order", PLAIN)


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, {"timeInForce": "FOK"}),
        (
            {"self_trade_prevention": SelfTradePrevention.NONE},
            {"selfTradePreventionMode": "NONE"},
        ),
        (
            {"self_trade_prevention": SelfTradePrevention.CANCEL_MAKER},
            {"selfTradePreventionMode": "EXPIRE_MAKER"},
        ),
        (
            {"self_trade_prevention": SelfTradePrevention.CANCEL_TAKER},
            {"selfTradePreventionMode": "EXPIRE_TAKER"},
        ),
        (
            {"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH},
            {"selfTradePreventionMode": "EXPIRE_BOTH"},
        ),
        ({"native": {"icebergQty": "0.005"}}, {"icebergQty": "0.005"}),
        ({"native": {"strategyId": 7}}, {"strategyId": "7"}),
        (
            {"native": {"selfTradePreventionMode": "TRANSFER"}},
            {"selfTradePreventionMode": "TRANSFER"},
        ),
    ],
)
def test_each_wish_has_its_field(asked: dict[str, Any], fields: dict[str, str]) -> None:
    assert told(order(**asked))[2] == {**PLAIN, **fields}


def test_post_only_is_a_type_that_waits_for_ever() -> None:
    expected = without({**PLAIN, "type": "LIMIT_MAKER"}, "timeInForce")
    assert told(order(post_only=True))[2] == expected


def test_market_orders_have_a_size_in_either_unit() -> None:
    common = without({**PLAIN, "type": "MARKET"}, "price", "timeInForce", "quantity")
    assert told(at_market(size="0.5"))[2] == {**common, "quantity": "0.5"}
    sold = {**common, "side": "SELL"}
    assert told(at_market(side="sell", quote_size="50"))[2] == {**sold, "quoteOrderQty": "50"}


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rises", [True, False])
@pytest.mark.parametrize("limited", [True, False])
def test_what_waits_for_a_price_is_a_stop_where_the_price_goes_on(
    side: str, rises: bool, limited: bool
) -> None:
    trigger = Trigger(price="61500", rises=rises)
    asked = (
        order(side=side, trigger=trigger)
        if limited
        else at_market(side=side, size="0.02", trigger=trigger)
    )
    stops = (side == "buy") is rises
    kind = ("STOP_LOSS" if stops else "TAKE_PROFIT") + ("_LIMIT" if limited else "")
    _, path, fields = told(asked)
    assert (path, fields["type"], fields["stopPrice"]) == ("/api/v3/order", kind, "61500")
    assert ("price" in fields, "timeInForce" in fields) == (limited, limited)
    # Read again, the trigger is what was asked.
    row = spot_row(
        type=kind, side=side.upper(), stopPrice="61500.00", isWorking=False, workingTime=-1
    )
    said = read(asked, {**row, "transactTime": NOW_MS}).value.report
    assert (said.state, said.trigger) == (OrderState.WAITING, trigger)


@pytest.mark.parametrize(
    "asked",
    [
        {"position_side": PositionSide.LONG},
        {"reduce_only": True},
        {"trigger": Trigger(price="1", rises=True, by=TriggerBy.MARK)},
        {"trigger": Trigger(price="1", rises=True), "post_only": True},
    ],
)
def test_what_spot_doesnt_take_is_refused_before_it_is_sent(asked: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        told(order(**asked))


def test_market_orders_that_spot_doesnt_take_are_refused_before_they_are_sent() -> None:
    for asked in (
        {"size": "1", "time_in_force": TimeInForce.FOK},
        {"quote_size": "50", "trigger": Trigger(price="1", rises=True)},
        {"size": "1", "take_profit": Exit(price="70000")},
    ):
        with pytest.raises(Unsupported):
            told(at_market(**asked))


@pytest.mark.parametrize(
    "native",
    [
        {"newClientOrderId": "x"},
        {"quantity": "1"},
        {"stopPrice": "1"},
        {"signature": "x"},
        {"type": "MARKET"},
        {"odd": 0.5},
    ],
)
def test_native_fields_replace_nothing_that_the_ledger_knows(native: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        told(order(native=native))


# --- orders with exits ---


def test_an_order_with_both_exits_is_a_list_of_three() -> None:
    asked = order(
        take_profit=Exit(price="65000", limit_price="64990"), stop_loss=Exit(price="59000")
    )
    method, path, fields = told(asked)
    assert (method, path) == ("POST", "/api/v3/orderList/otoco")
    assert fields == {
        "symbol": "BTCUSDT",
        "workingSide": "BUY",
        "workingType": "LIMIT",
        "workingPrice": "61000.1",
        "workingQuantity": "0.020",
        "workingClientOrderId": "own-1",
        "workingTimeInForce": "GTC",
        "pendingSide": "SELL",
        "pendingQuantity": "0.020",
        "newOrderRespType": "RESULT",
        "pendingAboveType": "TAKE_PROFIT_LIMIT",
        "pendingAboveStopPrice": "65000",
        "pendingAbovePrice": "64990",
        "pendingAboveTimeInForce": "GTC",
        "pendingBelowType": "STOP_LOSS",
        "pendingBelowStopPrice": "59000",
    }


def test_the_exits_of_a_sale_lie_the_other_way_round() -> None:
    asked = order(side="sell", take_profit=Exit(price="59000"), stop_loss=Exit(price="65000"))
    fields = told(asked)[2]
    assert (fields["pendingAboveType"], fields["pendingAboveStopPrice"]) == ("STOP_LOSS", "65000")
    assert (fields["pendingBelowType"], fields["pendingBelowStopPrice"]) == ("TAKE_PROFIT", "59000")
    assert fields["pendingSide"] == "BUY"


def test_an_order_with_one_exit_is_a_list_of_two_and_its_answer_is_of_the_first() -> None:
    asked = order(post_only=True, stop_loss=Exit(price="59000"))
    _, path, fields = told(asked)
    assert path == "/api/v3/orderList/oto"
    assert "workingTimeInForce" not in fields
    assert (fields["workingType"], fields["pendingType"]) == ("LIMIT_MAKER", "STOP_LOSS")
    reports = [
        spot_row(orderId=11, clientOrderId="theirs", status="PENDING_NEW", side="SELL"),
        spot_row(orderId=10, type="LIMIT_MAKER"),
    ]
    body = {"orderListId": 3, "orders": [], "orderReports": reports}
    placed = read(asked, body).value
    assert (placed.exchange_order_id, placed.client_order_id) == ("10", "own-1")
    assert placed.report.state is OrderState.OPEN
    with pytest.raises(DecodeError):
        read(asked, {**body, "orderReports": reports[:1]})


# --- answers ---


def test_an_answer_says_what_has_become_of_the_order() -> None:
    row = spot_row(
        status="PARTIALLY_FILLED",
        executedQty="0.01000000",
        cummulativeQuoteQty="610.00000000",
        updateTime=None,
    )
    placed = read(order(), {**row, "transactTime": NOW_MS}).value
    assert (placed.exchange_order_id, placed.client_order_id) == ("4711", "own-1")
    assert placed.taken_ns == NOW_NS
    said = placed.report
    assert (said.state, said.filled_size) == (OrderState.OPEN, Decimal("0.01000000"))
    assert said.filled_value == Decimal("610.00000000")
    assert said.exchange_time_ns == NOW_NS


def test_an_answer_without_a_state_is_an_acknowledgement() -> None:
    body = {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "own-1", "transactTime": NOW_MS}
    placed = read(order(), body).value
    assert (placed.exchange_order_id, placed.report) == ("28", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"clientOrderId": "theirs"},
        {"orderId": 0},
        {"orderId": None},
        {"symbol": "ETHUSDT"},
        {"clientOrderId": ""},
    ],
)
def test_an_answer_about_another_order_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        read(order(), spot_row(**changes))


def test_a_cancel_is_answered_under_an_id_of_its_own_and_is_of_the_order() -> None:
    for request in (
        CancelOrder(instrument=SPOT, exchange_order_id="4711", client_order_id="own-1"),
        CancelOrder(instrument=SPOT, client_order_id="own-1"),
    ):
        row = spot_row(
            status="CANCELED", origClientOrderId="own-1", clientOrderId="cx1", transactTime=NOW_MS
        )
        done = read(request, row).value
        assert (done.exchange_order_id, done.client_order_id) == ("4711", "own-1")
        assert done.report.state is OrderState.CANCELED
        assert done.report.client_order_id == "own-1"


def test_a_cancel_of_another_order_is_no_answer() -> None:
    request = CancelOrder(instrument=SPOT, exchange_order_id="4712", client_order_id="own-1")
    with pytest.raises(DecodeError):
        read(request, spot_row(status="CANCELED", origClientOrderId="own-1", clientOrderId="cx1"))


def test_an_order_is_named_by_its_own_id_where_there_is_one() -> None:
    request = CancelOrder(instrument=SPOT, exchange_order_id="4711", client_order_id="own-1")
    assert told(request) == ("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "4711"})
    by_own = told(CancelOrder(instrument=SPOT, client_order_id="own-1", conditional=True))
    assert by_own[2] == {"symbol": "BTCUSDT", "origClientOrderId": "own-1"}
    with pytest.raises(UsageError):
        told(CancelOrder(instrument=SPOT))


def test_an_amendment_makes_an_order_smaller_and_keeps_its_client_id() -> None:
    request = AmendOrder(
        instrument=SPOT, exchange_order_id="4711", client_order_id="own-1", size=Decimal("0.010")
    )
    fields = {
        "symbol": "BTCUSDT",
        "orderId": "4711",
        "newQty": "0.010",
        "newClientOrderId": "own-1",
    }
    assert told(request) == ("PUT", "/api/v3/order/amend/keepPriority", fields)
    amended = {
        "symbol": "BTCUSDT",
        "orderId": 4711,
        "orderListId": -1,
        "origClientOrderId": "own-1",
        "clientOrderId": "own-1",
        "price": "61000.10000000",
        "qty": "0.01000000",
        "executedQty": "0.00000000",
        "preventedQty": "0.00000000",
        "quoteOrderQty": "0.00000000",
        "cumulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": NOW_MS - 5000,
        "selfTradePreventionMode": "NONE",
    }
    done = read(request, {"transactTime": NOW_MS, "executionId": 22, "amendedOrder": amended}).value
    assert (done.report.state, done.report.size) == (OrderState.OPEN, Decimal("0.01000000"))
    assert (done.report.client_order_id, done.taken_ns) == ("own-1", NOW_NS)


@pytest.mark.parametrize(
    "changes",
    [{"price": Decimal(1)}, {"trigger": Trigger(price="1", rises=True)}, {}],
)
def test_an_amendment_of_anything_else_is_refused_before_it_is_sent(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(Unsupported):
        told(AmendOrder(instrument=SPOT, exchange_order_id="4711", **changes))


def test_cancelling_all_of_a_symbol_names_each_of_lists_too() -> None:
    request = CancelAll(market=Market.SPOT, instrument=SPOT)
    assert told(request) == ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    canceled = {"status": "CANCELED", "clientOrderId": "cx", "transactTime": NOW_MS}
    body = [
        spot_row(origClientOrderId="own-1", **canceled),
        {
            "orderListId": 1929,
            "contingencyType": "OCO",
            "orderReports": [
                spot_row(orderId=20, origClientOrderId="own-2", **canceled),
                spot_row(orderId=21, origClientOrderId="own-3", **canceled),
            ],
        },
    ]
    answer = read(request, body)
    assert [(each.exchange_order_id, each.client_order_id) for each in answer.value] == [
        ("4711", "own-1"),
        ("20", "own-2"),
        ("21", "own-3"),
    ]
    assert answer.left_out == 0
    with pytest.raises(Unsupported):
        told(CancelAll(market=Market.SPOT))


@given(st.decimals("0.00000001", "99999999", allow_nan=False, allow_infinity=False, places=8))
def test_digits_are_sent_as_they_are(number: Decimal) -> None:
    fields = told(order(size=number, price=number))[2]
    assert Decimal(fields["quantity"]) == Decimal(fields["price"]) == number
    assert "E" not in fields["quantity"]
