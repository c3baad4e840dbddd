"""What is sent to place, amend and cancel orders, and what each answer says."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.orders import body_of
from hypothesis import given
from hypothesis import strategies as st
from trading_rows import NOW_MS, NOW_NS, instrument

from ccrs_core import (
    AmendOrder,
    AmendOrders,
    CancelAll,
    CancelOrder,
    CancelOrders,
    EndReason,
    Exit,
    HttpResponse,
    Market,
    Placed,
    PlaceOrder,
    PlaceOrders,
    PositionSide,
    Request,
    SelfTradePrevention,
    TimeInForce,
    Trigger,
    TriggerBy,
    Unsupported,
    UsageError,
    errors,
    limit,
    market,
)

LINEAR, SPOT = instrument(), instrument(Market.SPOT)
INVERSE, OPTION = instrument(Market.INVERSE, "BTCUSD"), instrument(Market.OPTION, "BTC-X-C-USDT")


def placed(where: Any = LINEAR, **asked: Any) -> dict[str, Any]:
    """The fields of a limit order, those that all of them have left out."""
    order = limit(where.symbol, "buy", **{"price": "98000.1", "size": "0.020", **asked})
    return body_of(PlaceOrder(where, order, "ccrs-1"))


def bought(where: Any = LINEAR, side: str = "buy", **asked: Any) -> dict[str, Any]:
    return body_of(PlaceOrder(where, market(where.symbol, side, **asked), "ccrs-1"))


def test_a_limit_order_is_sent_as_it_was_asked() -> None:
    http = Bybit.endpoints[PlaceOrder].encode(
        PlaceOrder(LINEAR, limit("BTC/USDT:USDT", "sell", price="98000.10", size="0.020"), "c-1"),
        None,
    )
    assert (http.method, http.path) == ("POST", "/v5/order/create")
    assert http.body == (
        b'{"category":"linear","symbol":"BTCUSDT","side":"Sell","orderType":"Limit","qty":"0.020",'
        b'"price":"98000.10","timeInForce":"GTC","orderLinkId":"c-1"}'
    )
    assert http.headers == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"post_only": True}, {"timeInForce": "PostOnly"}),
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, {"timeInForce": "FOK"}),
        ({"reduce_only": True}, {"reduceOnly": True}),
        ({"position_side": PositionSide.LONG}, {"positionIdx": 1}),
        ({"position_side": PositionSide.SHORT}, {"positionIdx": 2}),
        ({"self_trade_prevention": SelfTradePrevention.NONE}, {"smpType": "None"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_MAKER}, {"smpType": "CancelMaker"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_TAKER}, {"smpType": "CancelTaker"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH}, {"smpType": "CancelBoth"}),
        (
            {"trigger": Trigger(price="99000", rises=True, by=TriggerBy.MARK)},
            {"triggerPrice": "99000", "triggerDirection": 1, "triggerBy": "MarkPrice"},
        ),
        (
            {"trigger": Trigger(price="97000", rises=False)},
            {"triggerPrice": "97000", "triggerDirection": 2, "triggerBy": "LastPrice"},
        ),
        (
            {"take_profit": Exit(price="99000", by=TriggerBy.INDEX)},
            {
                "takeProfit": "99000",
                "tpTriggerBy": "IndexPrice",
                "tpOrderType": "Market",
                "tpslMode": "Full",
            },
        ),
        (
            {"stop_loss": Exit(price="97000", limit_price="96990.5")},
            {
                "stopLoss": "97000",
                "slTriggerBy": "LastPrice",
                "slOrderType": "Limit",
                "slLimitPrice": "96990.5",
                "tpslMode": "Partial",
            },
        ),
        ({"native": {"closeOnTrigger": True}}, {"closeOnTrigger": True}),
    ],
)
def test_each_wish_has_its_field(asked: dict[str, Any], fields: dict[str, Any]) -> None:
    plain = placed()
    assert placed(**asked) == {**plain, **fields}


def test_market_orders_of_spot_say_their_unit() -> None:
    """The exchange would take a buy's size for an amount of the quote currency."""
    for side in ("buy", "sell"):
        base = bought(SPOT, side, size="0.5")
        assert (base["qty"], base["marketUnit"], base["timeInForce"]) == ("0.5", "baseCoin", "IOC")
        quote = bought(SPOT, side, quote_size="10")
        assert (quote["qty"], quote["marketUnit"]) == ("10", "quoteCoin")
    assert "marketUnit" not in bought(LINEAR, size="0.5")
    assert "marketUnit" not in placed(SPOT)


def test_conditional_orders_of_spot_go_to_their_own_list() -> None:
    body = placed(SPOT, trigger=Trigger(price="99000", rises=True))
    assert (body["triggerPrice"], body["orderFilter"]) == ("99000", "StopOrder")
    assert "triggerDirection" not in body


def test_options_are_priced_by_volatility() -> None:
    order = limit(OPTION.symbol, "buy", volatility="0.5", size="0.1")
    body = body_of(PlaceOrder(OPTION, order, "ccrs-1"))
    assert body["orderIv"] == "0.5"
    assert "price" not in body


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        (SPOT, {"reduce_only": True}),
        (SPOT, {"position_side": PositionSide.LONG}),
        (INVERSE, {"position_side": PositionSide.LONG}),
        (SPOT, {"trigger": Trigger(price="1", rises=True, by=TriggerBy.MARK)}),
        (OPTION, {"trigger": Trigger(price="1", rises=True)}),
        (OPTION, {"take_profit": Exit(price="1", limit_price="2")}),
        (SPOT, {"stop_loss": Exit(price="1", by=TriggerBy.MARK)}),
        (LINEAR, {"reduce_only": True, "stop_loss": Exit(price="1")}),
        (LINEAR, {"price": None, "volatility": "0.5"}),
    ],
    ids=str,
)
def test_what_bybit_does_not_take_is_refused_and_not_sent_otherwise(
    where: Any, asked: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        placed(where, **asked)


def test_market_orders_have_limits_of_their_own() -> None:
    with pytest.raises(Unsupported, match="quote currency"):
        bought(LINEAR, quote_size="10")
    with pytest.raises(Unsupported, match="whole or not at all"):
        bought(LINEAR, size="1", time_in_force=TimeInForce.FOK)
    with pytest.raises(Unsupported, match="limit orders of spot"):
        bought(SPOT, size="1", take_profit=Exit(price="99000"))


@pytest.mark.parametrize("name", ["qty", "category", "symbol", "orderLinkId", "price", "side"])
def test_native_fields_replace_nothing_that_is_said_otherwise(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        placed(native={name: "1"})


@given(
    st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, places=12),
    st.integers(-20, 20),
)
def test_numbers_are_sent_digit_for_digit_without_exponents(value: Decimal, shift: int) -> None:
    number = value.scaleb(shift)
    body = placed(price=number, size=number)
    for name in ("qty", "price"):
        assert set(body[name]) <= set("0123456789.")
        assert Decimal(body[name]) == number


def test_amendments_name_what_changes_and_nothing_else() -> None:
    ids = {"exchange_order_id": "0a1b", "client_order_id": "ccrs-1"}
    body = body_of(AmendOrder(instrument=LINEAR, price=Decimal("98000.2"), **ids))
    assert body == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "0a1b",
        "price": "98000.2",
    }
    by_client = body_of(
        AmendOrder(
            instrument=LINEAR,
            client_order_id="ccrs-1",
            size=Decimal("0.03"),
            trigger=Trigger(price="99000", rises=True, by=TriggerBy.MARK),
            take_profit=Exit(price="0"),
        )
    )
    assert by_client == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderLinkId": "ccrs-1",
        "qty": "0.03",
        "triggerPrice": "99000",
        "triggerBy": "MarkPrice",
        "takeProfit": "0",
        "tpTriggerBy": "LastPrice",
    }


@pytest.mark.parametrize(
    ("where", "more", "fields"),
    [
        (LINEAR, {"conditional": True}, {}),
        (SPOT, {}, {}),
        (SPOT, {"conditional": True}, {"orderFilter": "StopOrder"}),
        (SPOT, {"native": {"stopOrderType": "tpslOrder"}}, {"orderFilter": "tpslOrder"}),
    ],
    ids=str,
)
def test_cancels_say_in_which_list_an_order_is(where: Any, more: Any, fields: Any) -> None:
    body = body_of(CancelOrder(instrument=where, client_order_id="ccrs-1", **more))
    told = {"category": where.market.value, "symbol": "BTCUSDT", "orderLinkId": "ccrs-1"}
    assert body == {**told, **fields}


def test_without_an_id_nothing_is_asked() -> None:
    with pytest.raises(UsageError, match="id"):
        body_of(CancelOrder(instrument=LINEAR))


# --- several -----------------------------------------------------------------------------------


def several(count: int, where: Any = LINEAR) -> PlaceOrders:
    order = limit(where.symbol, "buy", price="98000.1", size="0.020")
    return PlaceOrders(tuple(PlaceOrder(where, order, f"ccrs-{n}") for n in range(count)))


def test_a_batch_is_one_request_of_one_market() -> None:
    body = body_of(several(3))
    assert body["category"] == "linear"
    assert [each["orderLinkId"] for each in body["request"]] == ["ccrs-0", "ccrs-1", "ccrs-2"]
    mixed = PlaceOrders((*several(1).items, *several(1, SPOT).items))
    with pytest.raises(UsageError, match="one market"):
        body_of(mixed)


def test_batches_are_as_long_as_bybit_takes_them() -> None:
    for where, most in ((LINEAR, 20), (SPOT, 10)):
        body_of(several(most, where))
        with pytest.raises(UsageError, match=str(most)):
            body_of(several(most + 1, where))
        assert Bybit.trading is not None
        assert Bybit.trading.batch[where.market] == most


def test_conditional_orders_are_not_amended_in_batches() -> None:
    one = AmendOrder(instrument=LINEAR, client_order_id="c", conditional=True)
    with pytest.raises(Unsupported, match="one by one"):
        body_of(AmendOrders((one,)))
    spot = CancelOrder(instrument=SPOT, client_order_id="c", conditional=True)
    with pytest.raises(Unsupported, match="one by one"):
        body_of(CancelOrders((spot,)))


def decoded(request: Request[Any], body: Any) -> Any:
    response = HttpResponse(200, {}, json.dumps({"retCode": 0, "time": NOW_MS, **body}).encode())
    return Bybit.endpoints[type(request)].decode(request, response, NOW_NS, None).value


def batch(codes: list[Any], rows: list[Any]) -> dict[str, Any]:
    told = [{"code": c, "msg": "told"} if type(c) is int else c for c in codes]
    return {"result": {"list": rows}, "retExtInfo": {"list": told}}


def row(number: int, order_id: str) -> dict[str, Any]:
    return {"orderId": order_id, "orderLinkId": f"ccrs-{number}", "createAt": str(NOW_MS)}


def test_each_item_of_a_batch_has_its_own_outcome() -> None:
    done = decoded(
        several(5),
        batch([0, 10006, 110007, 10016, 0], [row(0, "o0"), row(1, ""), row(2, ""), {}, row(4, "")]),
    )
    assert done[0] == Placed(exchange_order_id="o0", client_order_id="ccrs-0", taken_ns=NOW_NS)
    kinds = [type(each) for each in done[1:]]
    assert kinds == [
        errors.RateLimited,
        errors.InsufficientBalance,
        errors.OutcomeUnknown,
        errors.OutcomeUnknown,
    ]
    assert done[3].code == "10016"


@given(
    codes=st.lists(
        st.sampled_from([0, 10006, 110072, 10000, 999_999, None, {}, {"code": "0"}, []]), max_size=4
    ),
    rows=st.lists(
        st.sampled_from([row(0, "o"), {}, None, [], {"orderId": 7}, row(9, "x")]), max_size=4
    ),
)
def test_a_batch_that_says_too_little_leaves_the_rest_unknown(
    codes: list[Any], rows: list[Any]
) -> None:
    request = several(3)
    done = decoded(request, batch(codes, rows))
    assert len(done) == 3
    for index, each in enumerate(done):
        assert isinstance(each, Placed | errors.CcrsError)
        if isinstance(each, Placed):
            assert codes[index] == 0
            assert each.client_order_id in ("", f"ccrs-{index}")
            assert each.exchange_order_id


def test_duplicates_are_told_apart_from_other_refusals() -> None:
    (refused,) = decoded(several(1), batch([110072], [row(0, "")]))
    assert isinstance(refused, errors.OrderRejected)
    assert refused.reason is EndReason.DUPLICATE


# --- answers -----------------------------------------------------------------------------------


ONE = several(1).items[0]


def test_an_acknowledgement_says_ids_and_when() -> None:
    answer = {"result": {"orderId": "0a1b", "orderLinkId": "ccrs-0"}, "retExtInfo": {}}
    assert decoded(ONE, answer) == Placed(
        exchange_order_id="0a1b", client_order_id="ccrs-0", taken_ns=NOW_NS
    )


@pytest.mark.parametrize(
    "result",
    [{}, {"orderId": ""}, {"orderId": 7}, {"orderId": "o", "orderLinkId": "another"}, None, []],
)
def test_an_acknowledgement_of_nothing_or_of_another_order_is_unreadable(result: Any) -> None:
    with pytest.raises(errors.DecodeError):
        decoded(ONE, {"result": result})


def test_an_acknowledged_cancel_is_of_the_order_that_was_meant() -> None:
    request = CancelOrder(instrument=LINEAR, exchange_order_id="0a1b")
    assert decoded(request, {"result": {"orderId": "0a1b"}}).exchange_order_id == "0a1b"
    with pytest.raises(errors.DecodeError):
        decoded(request, {"result": {"orderId": "another"}})


# --- all of them -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (CancelAll(market=Market.LINEAR, settle="USDT"), {"settleCoin": "USDT"}),
        (CancelAll(market=Market.LINEAR, instrument=LINEAR), {"symbol": "BTCUSDT"}),
        (
            CancelAll(market=Market.LINEAR, settle="USDT", everything=False),
            {"settleCoin": "USDT", "orderFilter": "Order"},
        ),
        (
            CancelAll(market=Market.INVERSE, settle="BTC", conditional=True),
            {"settleCoin": "BTC", "orderFilter": "StopOrder"},
        ),
        (CancelAll(market=Market.SPOT), {"orderFilter": "Order"}),
        (CancelAll(market=Market.SPOT, conditional=True), {"orderFilter": "StopOrder"}),
        (CancelAll(market=Market.OPTION), {}),
    ],
    ids=str,
)
def test_all_orders_are_those_that_were_meant(request_: CancelAll, fields: Any) -> None:
    http = Bybit.endpoints[CancelAll].encode(request_, None)
    assert json.loads(http.body) == {"category": request_.market.value, **fields}


@pytest.mark.parametrize("where", [Market.LINEAR, Market.INVERSE])
def test_all_orders_of_contracts_need_an_instrument_or_an_asset(where: Market) -> None:
    with pytest.raises(Unsupported):
        Bybit.endpoints[CancelAll].encode(CancelAll(market=where), None)


def test_cancel_all_names_what_it_canceled_or_says_nothing() -> None:
    request = CancelAll(market=Market.LINEAR, settle="USDT")
    rows = [{"orderId": "a", "orderLinkId": "c"}, {"orderId": "b", "orderLinkId": ""}]
    done = decoded(request, {"result": {"list": rows, "success": "1"}})
    assert [each.exchange_order_id for each in done] == ["a", "b"]
    assert decoded(request, {"result": {}}) == []
    with pytest.raises(errors.DecodeError):
        decoded(request, {"result": {"list": rows, "success": "0"}})


def test_what_changes_something_is_sent_once_and_cancels_go_first() -> None:
    doing = [PlaceOrder, AmendOrder, CancelOrder, PlaceOrders, AmendOrders, CancelOrders, CancelAll]
    for kind in doing:
        endpoint = Bybit.endpoints[kind]
        assert endpoint.signed
        assert not kind.idempotent
        assert endpoint.urgent == kind.__name__.startswith("Cancel")


# https://bybit-exchange.github.io/docs/v5/rate-limit
@pytest.mark.parametrize(
    ("kind", "amounts"),
    [
        ("create", (10, 20, 10)),
        ("amend", (10, 10, 10)),
        ("cancel", (10, 20, 10)),
        ("create-batch", (10, 20, 10)),
    ],
)
def test_budgets_are_those_of_each_call_and_market(kind: str, amounts: tuple[int, ...]) -> None:
    orders = [several(1, where).items[0] for where in (LINEAR, SPOT, OPTION)]
    requests: list[Request[Any]] = list(orders)
    if kind == "amend":
        requests = [AmendOrder(instrument=each.instrument) for each in orders]
    if kind == "cancel":
        requests = [CancelOrder(instrument=each.instrument) for each in orders]
    if kind == "create-batch":
        requests = [PlaceOrders((each,)) for each in orders]
    endpoint = Bybit.endpoints[type(requests[0])]
    pools = [endpoint.pool_of(each) for each in requests]
    assert all(pool is not None and pool.per_account for pool in pools)
    assert tuple(pool.budget.amount for pool in pools if pool) == amounts
    assert len({pool.name for pool in pools if pool}) == 3


def test_batches_cost_their_orders_but_of_options_one() -> None:
    endpoint = Bybit.endpoints[PlaceOrders]
    assert [endpoint.pool_weight_of(several(5, where)) for where in (LINEAR, SPOT, OPTION)] == [
        *(5, 5, 1)
    ]
