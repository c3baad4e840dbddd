"""Each refusal that the emulated Bybit knows is provoked by a request, and is in Bybit's words."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

from bybit_trader import Socket, Trader, dialect, exchange, pass_time
from ccrs_bybit.emulator_codes import Complaint, refuse

from ccrs_core import InstrumentStatus
from ccrs_core.emulator import EmulatedExchange

OPTION = "BTC-27MAR26-105000-C-USDT"
CREATE, AMEND, CANCEL = (f"/v5/order/{what}" for what in ("create", "amend", "cancel"))
LINEAR: dict[str, Any] = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "100000",
}
SPOT: dict[str, Any] = {**LINEAR, "category": "spot", "qty": "0.01", "price": "104000"}
OPTIONS: dict[str, Any] = {
    **LINEAR,
    "category": "option",
    "symbol": OPTION,
    "qty": "0.1",
    "price": "50",
    "orderLinkId": "o",
}


@cache
def shared() -> EmulatedExchange:
    return exchange()


def test_each_malformed_order_is_refused_in_the_products_words() -> None:
    trader = Trader(shared())
    cases: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        (LINEAR, {"category": "Linear"}, 10001, "Illegal category"),
        (LINEAR, {"category": None}, 10001, "Illegal category"),
        (LINEAR, {"symbol": "btcusdt"}, 10001, "params error: symbol invalid"),
        (SPOT, {"symbol": "NOPE"}, 170121, "Invalid symbol."),
        (LINEAR, {"symbol": 7}, 10001, "params error: symbol invalid"),
        (LINEAR, {"side": "buy"}, 10001, "Side invalid"),
        (SPOT, {"side": "buy"}, 170117, "Invalid side."),
        (LINEAR, {"orderType": "limit"}, 10001, "OrderType invalid"),
        (SPOT, {"orderType": None}, 170116, "Invalid orderType."),
        (LINEAR, {"timeInForce": "GTX"}, 10001, "TimeInForce invalid"),
        (SPOT, {"timeInForce": "DAY"}, 170115, "Invalid timeInForce."),
        (LINEAR, {"timeInForce": "RPI"}, 110119, "RPI orders"),
        (SPOT, {"timeInForce": "RPI"}, 170355, "RPI orders"),
        (LINEAR, {"qty": 0.01}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "0"}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "-1"}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "1e-2"}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "NaN"}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "0.0015"}, 10001, "Qty invalid"),
        (LINEAR, {"qty": "5000"}, 10001, "exceeds maximum limit"),
        (SPOT, {"qty": "x"}, 170130, "paramter 'qty'"),
        (SPOT, {"qty": "0.0000001"}, 170137, "too many decimals"),
        (SPOT, {"qty": "0.000001"}, 170136, "exceeded lower limit"),
        (SPOT, {"qty": "1000"}, 170124, "exceeded upper limit"),
        (SPOT, {"qty": "50", "orderType": "Market", "side": "Sell"}, 170381, "too large"),
        (SPOT, {"qty": "3.00000001", "orderType": "Market"}, 170148, "decimal too long"),
        (SPOT, {"qty": "1", "orderType": "Market"}, 170140, "Order value exceeded lower limit"),
        (SPOT, {"qty": "9000000", "orderType": "Market"}, 170341, "exceeds maximum limit"),
        (LINEAR, {"price": None}, 10001, "Price invalid"),
        (LINEAR, {"price": "0"}, 10001, "Price invalid"),
        (SPOT, {"price": "x"}, 170130, "paramter 'price'"),
        (LINEAR, {"price": "100000.05"}, 110003, "price is invalid"),
        (LINEAR, {"price": "90000000"}, 110003, "exceeds the allowable range"),
        (LINEAR, {"price": "0.01"}, 110003, "lower than the minimum"),
        (SPOT, {"price": "104000.05"}, 170134, "too many decimals"),
        (SPOT, {"price": "0.01"}, 170133, "lower than the minimum"),
        (SPOT, {"price": "99999999999"}, 170132, "too high"),
        (SPOT, {"price": "110000"}, 170193, "Buy order price cannot be higher than 10"),
        (SPOT, {"price": "90000", "side": "Sell"}, 170194, "Sell order price cannot be lower"),
        (LINEAR, {"qty": "0.001", "price": "1000"}, 110094, "minimum order value 5USDT"),
        (SPOT, {"qty": "0.00001", "price": "104000"}, 170140, "lower limit"),
        (LINEAR, {"orderLinkId": "a b"}, 10001, "OrderLinkId"),
        (LINEAR, {"orderLinkId": "a" * 37}, 10001, "OrderLinkId"),
        (OPTIONS, {"orderLinkId": None}, 10001, "orderLinkId is required"),
        (LINEAR, {"positionIdx": 1}, 10001, "position idx not match position mode"),
        (LINEAR, {"positionIdx": 7}, 10001, "positionIdx"),
        (LINEAR, {"reduceOnly": "true"}, 10001, "reduceOnly"),
        (LINEAR, {"reduceOnly": True}, 110017, "current position is zero"),
        (LINEAR, {"smpType": "CancelAll"}, 10001, "smpType"),
        (LINEAR, {"triggerPrice": "110000"}, 10001, "TriggerDirection invalid"),
        (LINEAR, {"triggerPrice": "90000", "triggerDirection": 1}, 110092, "expect Rising"),
        (LINEAR, {"triggerPrice": "110000", "triggerDirection": 2}, 110093, "expect Falling"),
        (SPOT, {"orderFilter": "OcoOrder"}, 170201, "orderFilter"),
        (SPOT, {"orderFilter": "tpslOrder"}, 170202, "Please enter the TP/SL price."),
        (LINEAR, {"takeProfit": "90000"}, 10001, "TakeProfit:9000000000000 set for Buy"),
        (LINEAR, {"takeProfit": "110000", "tpOrderType": "Limit"}, 10001, "tpLimitPrice"),
        (
            LINEAR,
            {"takeProfit": "110000", "tpOrderType": "Limit", "tpLimitPrice": "109000"},
            10001,
            "tpslMode",
        ),
        (LINEAR, {"takeProfit": "110000", "reduceOnly": True}, 10001, "TP/SL"),
        (
            LINEAR,
            {"orderType": "Market", "slippageToleranceType": "TickSize", "slippageTolerance": "0"},
            110108,
            "1 to 10000",
        ),
        (
            LINEAR,
            {"orderType": "Market", "slippageToleranceType": "Percent", "slippageTolerance": "11"},
            110109,
            "0.01% to 10%",
        ),
        (LINEAR, {"qty": "1000"}, 110007, "ab not enough for new order"),
        (SPOT, {"qty": "20"}, 170131, "Insufficient balance."),
        (LINEAR, {"symbol": "OLDUSDT", "price": "1", "qty": "1"}, 110074, "not live"),
    ]
    for base, changes, code, text in cases:
        answer = trader.post(CREATE, **{**base, **changes})
        assert answer["retCode"] == code, (changes, answer)
        assert text in answer["retMsg"], (changes, answer)
        assert answer["result"] == {}
    assert (
        trader.get("/v5/order/realtime", category="linear", settleCoin="USDT")["result"]["list"]
        == []
    )


def test_ids_are_used_once_for_ever() -> None:
    venue = exchange()
    trader = Trader(venue)
    for base, code in ((LINEAR, 110072), (SPOT, 170141)):
        named = {**base, "orderLinkId": f"id-{code}"}
        assert trader.post(CREATE, **named)["retCode"] == 0
        assert trader.post(CREATE, **named)["retCode"] == code
        about = {"category": base["category"], "symbol": "BTCUSDT"}
        assert trader.post(CANCEL, **about, orderLinkId=f"id-{code}")["retCode"] == 0
        pass_time(venue, 60)
        assert trader.post(CREATE, **named)["retCode"] == code


def test_instruments_that_do_not_trade_take_no_orders() -> None:
    venue = exchange()
    trader = Trader(venue)
    settling = next(
        each.symbol for each in venue.listed("linear") if each.status is InstrumentStatus.SETTLING
    )
    assert trader.post(CREATE, **{**LINEAR, "symbol": settling})["retCode"] == 110063
    venue.change(venue.listings["spot", "BTCUSDT"], status=InstrumentStatus.SETTLING)
    assert trader.post(CREATE, **SPOT)["retCode"] == 170151


def test_caps_count_orders_of_a_symbol_of_spot_all_of_options_those_of_a_coin() -> None:
    venue = exchange()
    trader = Trader(venue)
    for base, most, code in ((LINEAR, 500, 110020), (SPOT, 500, 170810)):
        cheap = {**base, "qty": "0.001", "price": "103500"}
        codes = [trader.post(CREATE, **cheap)["retCode"] for _ in range(most + 1)]
        assert codes == [0] * most + [code]
    # Conditional ones have a cap of their own, of a symbol; of spot all count for one.
    stops = {**LINEAR, "triggerPrice": "110000", "triggerDirection": 1}
    codes = [trader.post(CREATE, **stops)["retCode"] for _ in range(11)]
    assert codes == [0] * 10 + [110009]
    other = {"symbol": "ETHUSDT", "qty": "0.1", "price": "3900"}
    assert trader.post(CREATE, **{**LINEAR, **other})["retCode"] == 0
    assert trader.post(CREATE, **{**SPOT, **other})["retCode"] == 170810
    options = [each.symbol for each in venue.listed("option") if each.base == "BTC"][:2]
    codes = [
        trader.post(CREATE, **{**OPTIONS, "symbol": options[n % 2], "orderLinkId": f"n{n}"})
        for n in range(51)
    ]
    assert [each["retCode"] for each in codes] == [0] * 50 + [110020]
    eth = next(each for each in venue.listed("option") if each.base == "ETH")
    asked = {"symbol": eth.symbol, "orderLinkId": "eth", "price": "1"}
    assert trader.post(CREATE, **{**OPTIONS, **asked})["retCode"] == 0


def test_of_a_spot_symbol_thirty_may_wait_of_either_kind() -> None:
    trader = Trader(exchange())
    for kind in ("StopOrder", "tpslOrder"):
        waits = {**SPOT, "qty": "0.001", "orderFilter": kind, "triggerPrice": "110000"}
        codes = [trader.post(CREATE, **waits)["retCode"] for _ in range(31)]
        assert codes == [0] * 30 + [170810]


def test_what_is_gone_is_denied_and_right_after_its_end_told_how_it_ended() -> None:
    venue = exchange()
    trader = Trader(venue)
    _, ask = trader.best("linear", "BTCUSDT")
    for base, gone, canceled, filled in (
        (LINEAR, 110001, 110010, 110008),
        (SPOT, 170213, 170142, 170139),
    ):
        about = {"category": base["category"], "symbol": "BTCUSDT"}
        assert trader.post(CANCEL, **about, orderLinkId="never")["retCode"] == gone
        assert trader.post(CANCEL, **about, orderId="never")["retCode"] == gone
        assert trader.post(CANCEL, **about)["retCode"] == 10001
        order_id = trader.post(CREATE, **base)["result"]["orderId"]
        assert trader.post(CANCEL, **about, orderId=order_id)["retCode"] == 0
        pass_time(venue, 0.1)
        assert trader.post(CANCEL, **about, orderId=order_id)["retCode"] == canceled
        bought = trader.post(CREATE, **{**base, "price": _on(base, ask), "qty": "0.001"})
        order_id = bought["result"]["orderId"]
        pass_time(venue, 0.1)
        assert trader.post(CANCEL, **about, orderId=order_id)["retCode"] == filled
        assert trader.post(AMEND, **about, orderId=order_id, qty="1")["retCode"] == filled
        pass_time(venue, 5)
        assert trader.post(CANCEL, **about, orderId=order_id)["retCode"] == gone


def _on(base: dict[str, Any], ask: str) -> str:
    return f"{Decimal(ask) + 100:.1f}"


def test_amendments_are_refused_at_once_where_they_cannot_be() -> None:
    venue = exchange()
    trader = Trader(venue)
    bid, _ = trader.best("linear", "BTCUSDT")
    about = {"category": "linear", "symbol": "BTCUSDT"}
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01", price=bid)
    pass_time(venue, 0.05)
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 34040),
        ({"qty": "0.01"}, 10001),
        ({"price": bid}, 10001),
        ({"qty": "0"}, 10001),
        ({"qty": 1}, 10001),
        ({"price": "1.05"}, 110003),
        ({"triggerPrice": "110000"}, 110001),
        ({"qty": "3000"}, 10001),
    ]
    for changes, code in cases:
        answer = trader.post(AMEND, **about, orderId=order_id, **changes)
        assert answer["retCode"] == code, (changes, answer)
    ask = trader.best("linear", "BTCUSDT")[1]
    partly = trader.create("linear", "BTCUSDT", "Buy", "30", price=ask)
    pass_time(venue, 0.01)
    filled = Decimal(trader.order("linear", partly)["cumExecQty"])
    assert 0 < filled < 30
    answer = trader.post(AMEND, **about, orderId=partly, qty=str(filled))
    assert answer["retCode"] == 110064
    spot = trader.create("spot", "BTCUSDT", "Buy", "0.001", price="104000.1")
    pass_time(venue, 0.05)
    of_spot = {"category": "spot", "symbol": "BTCUSDT", "orderId": spot}
    assert trader.post(AMEND, **of_spot, triggerPrice="104100")["retCode"] == 170312


def test_settings_say_where_nothing_changes_and_what_stands_in_the_way() -> None:
    venue = exchange()
    trader = Trader(venue)
    about = {"category": "linear", "symbol": "BTCUSDT"}

    def leverage(buy: str, sell: str, **more: Any) -> int:
        both = {"buyLeverage": buy, "sellLeverage": sell}
        return int(trader.post("/v5/position/set-leverage", **about, **both, **more)["retCode"])

    assert [leverage("5", "5"), leverage("5", "5"), leverage("5.00", "5")] == [0, 110043, 110043]
    assert [leverage("5", "6"), leverage("0.5", "0.5"), leverage("51", "51")] == [
        10001,
        10001,
        110013,
    ]

    def switch(mode: Any, **where: Any) -> int:
        asked = {"category": "linear", "mode": mode, **where}
        return int(trader.post("/v5/position/switch-mode", **asked)["retCode"])

    assert switch(0, symbol="BTCUSDT") == 110025
    assert switch(1, symbol="BTCUSDT") == 10001
    assert switch(3) == 10001
    assert switch(3, coin="DOGE") == 110050
    assert switch(3, symbol="BTCPERP") == 110029
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000")
    assert switch(3, symbol="BTCUSDT") == 110028
    trader.post(CANCEL, **about, orderId=order_id)
    trader.create("linear", "BTCUSDT", "Buy", "0.01")
    pass_time(venue, 0.1)
    assert switch(3, symbol="BTCUSDT") == 110024
    assert switch(3, coin="USDT") == 0
    assert switch(3, symbol="ETHUSDT") == 110025

    def margin(mode: str) -> dict[str, Any]:
        return trader.post("/v5/account/set-margin-mode", setMarginMode=mode)

    assert margin("REGULAR_MARGIN")["result"] == {"reasons": []}
    for mode, why in (("ISOLATED_MARGIN", "3400054"), ("PORTFOLIO_MARGIN", "3400071")):
        answer = margin(mode)
        assert answer["retCode"] == 3400045
        [reason] = answer["result"]["reasons"]
        assert reason["reasonCode"] == why
        assert reason["reasonMsg"]
    assert margin("CROSS")["retCode"] == 10001


def test_each_rate_is_counted_by_user_endpoint_and_product_in_any_second() -> None:
    venue = exchange(user_limit_factor=1.0)
    trader = Trader(venue)
    orders = {"linear": 10, "spot": 20, "option": 10}
    for category, most in orders.items():
        asked = {"category": category, "symbol": "NOPE"}
        codes = [trader.post(CREATE, **asked)["retCode"] for _ in range(most)]
        assert 10006 not in codes
        assert trader.headers["X-Bapi-Limit"] == str(most)
        assert trader.headers["X-Bapi-Limit-Status"] == "0"
        answer = trader.post(CREATE, **asked)
        assert (answer["retCode"], answer["retMsg"]) == (10006, "Too many visits!")
        reset = int(trader.headers["X-Bapi-Limit-Reset-Timestamp"])
        assert reset == venue.now_ns // 10**6 + 1000
    pass_time(venue, 1.0)
    for category in orders:
        assert trader.post(CREATE, category=category, symbol="NOPE")["retCode"] != 10006


def test_batches_count_by_order_and_their_tail_is_refused_item_by_item() -> None:
    venue = exchange(user_limit_factor=1.0)
    trader = Trader(venue)
    order = {name: value for name, value in LINEAR.items() if name != "category"}

    def batch(category: str, count: int, **changes: Any) -> list[int]:
        asked = [{**order, **changes, "orderLinkId": f"{category}{n}"} for n in range(count)]
        answer = trader.post("/v5/order/create-batch", category=category, request=asked)
        assert answer["retCode"] == 0
        rows = answer["result"]["list"]
        codes = [each["code"] for each in answer["retExtInfo"]["list"]]
        assert len(rows) == len(codes) == count
        for row, code in zip(rows, codes, strict=True):
            assert (row["orderId"] == "", row["createAt"] == "") == (bool(code),) * 2
        return codes

    assert batch("linear", 15) == [0] * 10 + [10006] * 5
    refused = trader.post("/v5/order/create-batch", category="linear", request=[order])
    assert refused["retCode"] == 10006
    # Of options requests count, whatever they hold; a pool of its own, beside that of single calls.
    named = {"symbol": OPTION, "qty": "0.1", "price": "50"}
    assert batch("option", 20, **named) == [0] * 20
    assert trader.headers["X-Bapi-Limit-Status"] == "9"
    assert trader.post(CREATE, **{**LINEAR, "qty": "x"})["retCode"] == 10001
    too_many = [order] * 21
    answer = trader.post("/v5/order/create-batch", category="linear", request=too_many)
    assert answer["retCode"] == 10001
    answer = trader.post("/v5/order/create-batch", category="spot", request=[order] * 11)
    assert answer["retCode"] == 10001


def test_each_item_of_a_batch_has_its_own_fate() -> None:
    venue = exchange()
    trader = Trader(venue)
    order = {name: value for name, value in LINEAR.items() if name != "category"}
    asked = [order, {**order, "qty": "x"}, {**order, "orderLinkId": "third"}, 7]
    answer = trader.post("/v5/order/create-batch", category="linear", request=asked)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 10001, 0, 10001]
    ids = [row["orderId"] for row in answer["result"]["list"]]
    pass_time(venue, 0.1)
    amends = [
        {"symbol": "BTCUSDT", "orderId": ids[0], "qty": "0.02"},
        {"symbol": "BTCUSDT", "orderLinkId": "nobody", "qty": "0.02"},
        {"symbol": "BTCUSDT", "orderLinkId": "third", "price": "99999.9"},
    ]
    answer = trader.post("/v5/order/amend-batch", category="linear", request=amends)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 110001, 0]
    assert [row["orderId"] for row in answer["result"]["list"]] == [ids[0], "", ids[2]]
    pass_time(venue, 0.1)
    assert trader.order("linear", ids[0])["qty"] == "0.020"
    assert trader.order("linear", ids[2])["price"] == "99999.90"
    cancels = [{"symbol": "BTCUSDT", "orderId": each} for each in (ids[0], "nobody")]
    answer = trader.post("/v5/order/cancel-batch", category="linear", request=cancels)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 110001]


def test_the_trade_socket_has_codes_of_its_own() -> None:
    venue = exchange()
    entry = Socket(venue, "/v5/trade", login=False)
    assert entry.order("order.create", **LINEAR)["retCode"] == 10005
    entry.login()
    assert entry.login()["retCode"] == 20001
    assert entry.order("order.replace", **LINEAR)["retCode"] == 10404
    assert entry.order("order.create", **{**LINEAR, "category": "spread"})["retCode"] == 10404
    header = {"X-BAPI-TIMESTAMP": str(venue.now_ns // 10**6)}
    request = {"reqId": "same", "header": header, "op": "order.create", "args": [LINEAR]}
    first = entry.ask(request)
    assert (first["retCode"], first["reqId"]) == (0, "same")
    assert entry.ask(request)["retCode"] == 20006
    assert entry.ask({**request, "reqId": "x" * 37})["retCode"] == 10001
    assert (
        entry.ask({**request, "reqId": "late", "header": {"X-BAPI-TIMESTAMP": "1"}})["retCode"]
        == 10002
    )
    assert entry.ask({**request, "reqId": "bare", "header": {}})["retCode"] == 10001
    assert entry.ask({**request, "reqId": "two", "args": [LINEAR, LINEAR]})["retCode"] == 10001
    nameless = entry.ask({name: value for name, value in request.items() if name != "reqId"})
    assert "reqId" not in nameless
    assert nameless["retCode"] == 0
    trading = dialect(venue).trading
    trading.restarting = True
    assert entry.order("order.create", **LINEAR)["retCode"] == 10019
    trading.restarting = False
    trading.session_rate = 2
    quick = Socket(venue, "/v5/trade")
    codes = [quick.order("order.cancel", **LINEAR, orderId="x")["retCode"] for _ in range(3)]
    assert codes == [110001, 110001, 20003]
    trading.entries.limit = 1
    assert quick.order("order.cancel", **LINEAR, orderId="x")["retCode"] == 10403


def test_no_refusal_is_without_its_words() -> None:
    for category in ("spot", "linear", "inverse", "option"):
        for complaint in Complaint:
            refused = refuse(category, complaint, "1", "2", "3")
            assert isinstance(refused.code, int)
            assert "{" not in refused.text
