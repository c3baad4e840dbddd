"""What is sent to place, amend and cancel orders of USD-M and COIN-M, and what is answered."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from binance_orders import (
    COINM,
    NOW_MS,
    NOW_NS,
    USDM,
    algo_row,
    at_market,
    futures_row,
    known,
    order,
    read,
    sent,
    told,
)

from ccrs_core import (
    AmendOrder,
    AmendOrders,
    CancelAll,
    CancelOrder,
    DecodeError,
    EndReason,
    Exit,
    GetOrder,
    Instrument,
    MarginMode,
    Market,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Placed,
    PlaceOrders,
    PositionMode,
    PositionSide,
    SelfTradePrevention,
    SetDeadMan,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
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
    "price": "61000.1",
    "timeInForce": "GTC",
    "newClientOrderId": "own-1",
    "newOrderRespType": "RESULT",
}
PATHS = {Market.LINEAR: "/fapi/v1", Market.INVERSE: "/dapi/v1"}


@pytest.mark.parametrize("where", [USDM, COINM], ids=["usdm", "coinm"])
def test_a_limit_order_is_sent_as_it_was_asked(where: Instrument) -> None:
    fields = {**PLAIN, "symbol": where.native, "quantity": "2"}
    assert told(order(where, size="2")) == ("POST", f"{PATHS[where.market]}/order", fields)


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"post_only": True}, {"timeInForce": "GTX"}),
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, {"timeInForce": "FOK"}),
        ({"reduce_only": True}, {"reduceOnly": "true"}),
        ({"position_side": PositionSide.LONG}, {"positionSide": "LONG"}),
        ({"position_side": PositionSide.SHORT}, {"positionSide": "SHORT"}),
        # What closes one of two positions only reduces it, and saying so is refused.
        ({"position_side": PositionSide.SHORT, "reduce_only": True}, {"positionSide": "SHORT"}),
        (
            {"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH},
            {"selfTradePreventionMode": "EXPIRE_BOTH"},
        ),
        (
            {"native": {"timeInForce": "GTD", "goodTillDate": NOW_MS + 700_000}},
            {"timeInForce": "GTD", "goodTillDate": str(NOW_MS + 700_000)},
        ),
    ],
)
def test_each_wish_has_its_field(asked: dict[str, Any], fields: dict[str, str]) -> None:
    assert told(order(USDM, **asked))[2] == {**PLAIN, **fields}


def test_the_exchanges_own_price_stands_in_place_of_one() -> None:
    fields = told(order(USDM, native={"priceMatch": "QUEUE_5"}))[2]
    assert fields["priceMatch"] == "QUEUE_5"
    assert "price" not in fields


def test_market_orders_have_no_price() -> None:
    fields = told(at_market(USDM, size="0.5", reduce_only=True))[2]
    assert fields == {
        **{name: PLAIN[name] for name in ("symbol", "side", "newClientOrderId")},
        "type": "MARKET",
        "quantity": "0.5",
        "reduceOnly": "true",
        "newOrderRespType": "RESULT",
    }


def test_what_futures_dont_take_is_refused_before_it_is_sent() -> None:
    for asked in (
        at_market(USDM, quote_size="50"),
        at_market(USDM, size="1", time_in_force=TimeInForce.FOK),
        order(USDM, take_profit=Exit(price="70000")),
        order(USDM, trigger=Trigger(price="1", rises=True, by=TriggerBy.INDEX)),
    ):
        with pytest.raises(Unsupported):
            sent(asked)
    with pytest.raises(UsageError, match="larger"):
        sent(order(USDM, reduce_only=True, position_side=PositionSide.LONG))


def test_an_answer_says_what_has_become_of_the_order() -> None:
    # Since 2026-07 answers have no average price and no value.
    row = futures_row(avgPrice=None, cumQuote=None, time=None, status="FILLED", executedQty="0.020")
    placed = read(order(USDM), row).value
    assert (placed.exchange_order_id, placed.client_order_id) == ("8389765543210", "own-1")
    assert placed.taken_ns == NOW_NS
    said = placed.report
    assert (said.state, said.filled_size) == (OrderState.FILLED, Decimal("0.020"))
    assert (said.average_price, said.filled_value) == (None, None)
    for changes in ({"clientOrderId": "x"}, {"orderId": 0}, {"symbol": "ETHUSDT"}):
        with pytest.raises(DecodeError):
            read(order(USDM), futures_row(**changes))


# --- amending ---


def test_an_amendment_says_anew_what_stays() -> None:
    order_known = known(USDM, price=Decimal("61000.1"), size=Decimal("0.020"))
    common = {"symbol": "BTCUSDT", "orderId": "5", "side": "BUY"}
    for changes, fields in (
        ({"price": Decimal("60999.9")}, {"price": "60999.9", "quantity": "0.020"}),
        ({"size": Decimal("0.010")}, {"price": "61000.1", "quantity": "0.010"}),
    ):
        request = AmendOrder(instrument=USDM, exchange_order_id="5", known=order_known, **changes)
        assert told(request) == ("PUT", "/fapi/v1/order", {**common, **fields})


def test_an_amendment_of_what_nobody_knows_isnt_sent() -> None:
    for about in (None, known(USDM, size=Decimal(1))):
        with pytest.raises(Unsupported):
            sent(AmendOrder(instrument=USDM, exchange_order_id="5", size=Decimal(2), known=about))
    waits = AmendOrder(
        instrument=USDM,
        exchange_order_id="algo-5",
        size=Decimal(2),
        conditional=True,
        known=known(USDM, price=Decimal(1), size=Decimal(1)),
    )
    with pytest.raises(Unsupported, match="placed anew"):
        sent(waits)


def test_an_amendment_may_end_the_order_and_says_so() -> None:
    about = known(USDM, price=Decimal(1), size=Decimal("0.02"))
    request = AmendOrder(
        instrument=USDM, exchange_order_id="8389765543210", size=Decimal("0.01"), known=about
    )
    done = read(request, futures_row(status="CANCELED", executedQty="0.010")).value
    assert done.report.state is OrderState.CANCELED


# --- batches ---


def test_a_batch_is_one_text_and_has_an_outcome_for_each_item() -> None:
    items = (order(USDM), at_market(USDM, size="1"), order(USDM, side="sell"))
    method, path, fields = told(PlaceOrders(items))
    assert (method, path) == ("POST", "/fapi/v1/batchOrders")
    assert json.loads(fields["batchOrders"]) == [told(item)[2] for item in items]
    body = [
        futures_row(),
        {"code": -2022, "msg": "ReduceOnly Order is rejected."},
        futures_row(orderId=9, side="SELL"),
    ]
    first, second, third = read(PlaceOrders(items), body).value
    assert isinstance(first, Placed)
    assert isinstance(second, OrderRejected)
    assert second.reason is EndReason.REDUCE_ONLY
    assert third.exchange_order_id == "9"


@pytest.mark.parametrize(
    "row",
    [{"code": -1007, "msg": "Timeout."}, {"code": -1000, "msg": "?"}, {"orderId": 5}, None, "x"],
)
def test_what_an_answer_leaves_open_of_an_item_is_unknown_and_of_that_item_alone(row: Any) -> None:
    items = (order(USDM), order(USDM))
    first, second = read(PlaceOrders(items), [futures_row(), row]).value
    assert isinstance(first, Placed)
    assert isinstance(second, OutcomeUnknown)


def test_an_answer_of_another_length_says_nothing_of_any_item() -> None:
    outcomes = read(PlaceOrders((order(USDM), order(USDM))), [futures_row()]).value
    assert [type(each) for each in outcomes] == [OutcomeUnknown, OutcomeUnknown]


def test_batches_of_amendments_say_all_anew_and_waiting_orders_go_alone() -> None:
    about = known(USDM, price=Decimal(1), size=Decimal(2))
    item = AmendOrder(instrument=USDM, exchange_order_id="5", price=Decimal(3), known=about)
    method, _, fields = told(AmendOrders((item,)))
    assert method == "PUT"
    assert json.loads(fields["batchOrders"]) == [told(item)[2]]
    with pytest.raises(Unsupported, match="one by one"):
        sent(PlaceOrders((order(USDM, trigger=Trigger(price="1", rises=True)),)))


# --- orders that wait ---


@pytest.mark.parametrize("where", [USDM, COINM], ids=["usdm", "coinm"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rises", [True, False])
@pytest.mark.parametrize("limited", [True, False])
def test_what_waits_for_a_price_goes_to_a_service_of_its_own(
    where: Instrument, side: str, rises: bool, limited: bool
) -> None:
    trigger = Trigger(price="61500", rises=rises, by=TriggerBy.MARK)
    asked = (
        order(where, side, size="2", trigger=trigger)
        if limited
        else at_market(where, side, size="2", trigger=trigger)
    )
    kind = ("STOP" if (side == "buy") is rises else "TAKE_PROFIT") + ("" if limited else "_MARKET")
    method, path, fields = told(asked)
    assert (method, path) == ("POST", f"{PATHS[where.market]}/algoOrder")
    expected = {
        "algoType": "CONDITIONAL",
        "symbol": where.native,
        "side": side.upper(),
        "type": kind,
        "quantity": "2",
        "triggerPrice": "61500",
        "workingType": "MARK_PRICE",
        "clientAlgoId": "own-1",
        "newOrderRespType": "RESULT",
    }
    if limited:
        expected |= {"price": "61000.1", "timeInForce": "GTC"}
    assert fields == expected
    # Read again, the trigger is what was asked.
    row = algo_row(symbol=where.native, orderType=kind, side=side.upper(), triggerPrice="61500.0")
    question = GetOrder(instrument=where, client_order_id="own-1", conditional=True)
    said = read(question, row).value
    assert (said.state, said.trigger) == (OrderState.WAITING, trigger)


def test_orders_that_wait_have_ids_that_no_other_has() -> None:
    asked = order(USDM, trigger=Trigger(price="61500", rises=True))
    placed = read(asked, algo_row()).value
    assert (placed.exchange_order_id, placed.client_order_id) == ("algo-2146760", "own-1")
    cancel = CancelOrder(instrument=USDM, exchange_order_id="algo-2146760", conditional=True)
    assert told(cancel) == ("DELETE", "/fapi/v1/algoOrder", {"algoId": "2146760"})
    done = {"algoId": 2146760, "clientAlgoId": "own-1", "code": "200", "msg": "success"}
    assert read(cancel, done).value.exchange_order_id == "algo-2146760"
    with pytest.raises(DecodeError):
        read(cancel, {**done, "algoId": 3})
    by_own = CancelOrder(instrument=USDM, client_order_id="own-1", conditional=True)
    assert told(by_own)[2] == {"clientAlgoId": "own-1"}


def test_an_ordinary_id_is_no_id_of_the_service_whatever_is_said_of_the_order() -> None:
    cancel = CancelOrder(instrument=COINM, exchange_order_id="5", conditional=True)
    assert told(cancel) == ("DELETE", "/dapi/v1/order", {"symbol": "BTCUSD_PERP", "orderId": "5"})
    question = GetOrder(instrument=COINM, exchange_order_id="5", conditional=True)
    assert told(question)[1] == "/dapi/v1/order"


def test_both_kinds_are_canceled_by_requests_of_their_own() -> None:
    for conditional, path in ((False, "allOpenOrders"), (True, "algoOpenOrders")):
        request = CancelAll(
            market=Market.LINEAR, instrument=USDM, everything=False, conditional=conditional
        )
        assert told(request) == ("DELETE", f"/fapi/v1/{path}", {"symbol": "BTCUSDT"})
        body = {"code": 200, "msg": "The operation of cancel all open order is done."}
        assert read(request, body).value == []


# --- settings ---


def test_settings_are_sent_as_they_were_asked() -> None:
    about = {"symbol": "BTCUSDT"}
    assert told(SetLeverage(USDM, Decimal("20.0"))) == (
        *("POST", "/fapi/v1/leverage"),
        {**about, "leverage": "20"},
    )
    isolated = SetMarginMode(mode=MarginMode.ISOLATED, instrument=USDM)
    assert told(isolated)[2] == {**about, "marginType": "ISOLATED"}
    hedge = SetPositionMode(mode=PositionMode.HEDGE, market=Market.INVERSE)
    assert told(hedge) == ("POST", "/dapi/v1/positionSide/dual", {"dualSidePosition": "true"})
    timer = SetDeadMan(market=Market.LINEAR, instrument=USDM, seconds=30.0)
    assert told(timer) == (
        *("POST", "/fapi/v1/countdownCancelAll"),
        {**about, "countdownTime": "30000"},
    )
    for request in (
        SetLeverage(USDM, Decimal("2.5")),
        SetMarginMode(mode=MarginMode.PORTFOLIO, instrument=USDM),
        SetMarginMode(mode=MarginMode.CROSS),
        SetPositionMode(mode=PositionMode.HEDGE, market=Market.LINEAR, instrument=USDM),
        SetDeadMan(market=Market.LINEAR, seconds=30.0),
    ):
        with pytest.raises(Unsupported):
            sent(request)
