"""The emulated Binance's spot accounts: what is answered, told and listed of an order's life."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from binance_trader import Socket, Trader, exchange, of, pass_time

from ccrs_core.emulator import Fault, FaultKind

ORDER = "/api/v3/order"
BTC = {"symbol": "BTCUSDT"}


def reports(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["x"], event["X"]) for event in of(events, "executionReport")]


def test_an_order_rests_is_told_of_and_locks_what_it_would_spend() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    answer = trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")
    assert (answer["status"], answer["fills"], answer["clientOrderId"]) == ("NEW", [], "a")
    events = socket.heard()
    [report] = of(events, "executionReport")
    assert (report["x"], report["X"], report["i"]) == ("NEW", "NEW", answer["orderId"])
    assert (report["w"], report["t"], report["N"], report["C"]) == (True, -1, None, "")
    [position] = of(events, "outboundAccountPosition")
    assert position["B"] == [{"a": "USDT", "f": "999100.00000000", "l": "900.00000000"}]
    [row] = trader.ask("GET", "/api/v3/openOrders", **BTC)
    assert (row["orderId"], row["isWorking"]) == (answer["orderId"], True)
    listed = trader.ask("GET", "/api/v3/account", omitZeroBalances="true")["balances"]
    assert {"asset": "USDT", "free": "999100.00000000", "locked": "900.00000000"} in listed


def test_an_order_that_matches_is_told_as_new_first_and_then_by_its_fills() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    asks = [(Decimal(104_260), Decimal(1)), (Decimal(104_270), Decimal(5))]
    venue.steer(venue.listings["spot", "BTCUSDT"], asks=asks)
    answer = trader.order("BTCUSDT", "BUY", "3")
    assert answer["status"] == "FILLED"
    events = socket.heard()
    told = of(events, "executionReport")
    assert told[0]["x"] == "NEW"
    fills = told[1:]
    assert len(fills) == len(answer["fills"]) > 1
    assert {fill["x"] for fill in fills} == {"TRADE"}
    assert [fill["X"] for fill in fills][-1] == "FILLED"
    assert sum(Decimal(fill["l"]) for fill in fills) == Decimal(fills[-1]["z"]) == 3
    assert sum(Decimal(fill["Y"]) for fill in fills) == Decimal(fills[-1]["Z"])
    assert [fill["t"] for fill in fills] == [each["tradeId"] for each in answer["fills"]]
    rows = trader.ask("GET", "/api/v3/myTrades", **BTC)
    assert [row["id"] for row in rows] == [fill["t"] for fill in fills]
    assert {row["commissionAsset"] for row in rows} == {"BTC"}
    assert Decimal(rows[0]["commission"]) == Decimal(rows[0]["qty"]) / 1000


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("ACK", {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}),
        ("RESULT", {"status", "executedQty"}),
        ("FULL", {"status", "fills"}),
    ],
)
def test_an_answer_says_as_much_as_is_asked_for(kind: str, shape: set[str]) -> None:
    trader = Trader(exchange())
    answer = trader.order("BTCUSDT", "BUY", "0.01", newOrderRespType=kind)
    assert shape <= answer.keys()
    assert ("fills" in answer) is (kind == "FULL")
    assert ("status" in answer) is (kind != "ACK")


def test_a_cancel_has_an_id_of_its_own() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    order = trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")
    socket.listen()
    gone = trader.ask("DELETE", ORDER, **BTC, origClientOrderId="a", newClientOrderId="stop")
    assert (gone["status"], gone["clientOrderId"], gone["origClientOrderId"]) == (
        *("CANCELED", "stop"),
        "a",
    )
    [report] = of(socket.heard(), "executionReport")
    assert (report["x"], report["X"], report["c"], report["C"]) == (
        *("CANCELED", "CANCELED"),
        *("stop", "a"),
    )
    again = trader.ask("DELETE", ORDER, **BTC, orderId=order["orderId"])
    assert (trader.status, again["code"]) == (400, -2011)
    row = trader.ask("GET", ORDER, **BTC, orderId=order["orderId"])
    assert (row["status"], row["clientOrderId"]) == ("CANCELED", "a")


def test_cancels_may_be_restricted_to_untouched_orders() -> None:
    trader = Trader(exchange())
    trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")
    only = {"origClientOrderId": "a", "cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
    refused = trader.ask("DELETE", ORDER, **BTC, **only)
    assert (refused["code"], "restrictions" in refused["msg"]) == (-2011, True)
    only["cancelRestrictions"] = "ONLY_NEW"
    assert trader.ask("DELETE", ORDER, **BTC, **only)["status"] == "CANCELED"


def test_both_ids_of_a_cancel_must_fit_and_the_symbol_too() -> None:
    trader = Trader(exchange())
    order = trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")
    for wrong in (
        {**BTC, "orderId": order["orderId"], "origClientOrderId": "b"},
        {"symbol": "ETHUSDT", "origClientOrderId": "a"},
        {**BTC, "orderId": order["orderId"] + 1},
    ):
        assert trader.ask("DELETE", ORDER, **wrong)["code"] == -2011
    assert trader.ask("DELETE", ORDER, **BTC)["code"] == -1102


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"timeInForce": "IOC"}, ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")),
        ({"timeInForce": "FOK"}, ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")),
    ],
)
def test_what_finds_no_counterpart_expires_and_says_why(
    terms: dict[str, str], expected: tuple[str, str]
) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    answer = trader.order("BTCUSDT", "BUY", "0.01", price="90000", **terms)
    assert (answer["status"], answer["expiryReason"]) == expected
    told = of(socket.heard(), "executionReport")
    assert [(each["x"], each["X"]) for each in told] == [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]
    assert told[-1]["eR"] == expected[1]


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_order_for_so_much_money_is_filled_with_less_than_a_lot_left(side: str) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    answer = trader.ask("POST", ORDER, **BTC, side=side, type="MARKET", quoteOrderQty="500")
    assert (answer["status"], answer["origQuoteOrderQty"]) == ("FILLED", "500.00000000")
    spent = Decimal(answer["cummulativeQuoteQty"])
    assert 498 < spent <= 500
    assert reports(socket.heard()) == [("NEW", "NEW"), ("TRADE", "FILLED")]
    row = trader.ask("GET", ORDER, **BTC, orderId=answer["orderId"])
    assert (row["status"], row["origQty"]) == ("FILLED", row["executedQty"])


@pytest.mark.parametrize(
    ("terms", "code", "words"),
    [
        ({"price": "200000", "type": "LIMIT_MAKER"}, -2010, "immediately match and take"),
        ({"price": "90000", "quantity": "12"}, -2010, "insufficient balance"),
        ({"price": "90000", "quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ({"price": "90000.001"}, -1013, "PRICE_FILTER"),
        ({"price": "1", "quantity": "1"}, -1013, "NOTIONAL"),
        ({"price": "90000.000000001"}, -1111, "precision"),
        ({"price": "9e4"}, -1100, "Illegal characters"),
        ({"price": "90000", "newClientOrderId": "a b"}, -1100, "newClientOrderId"),
        ({"price": "90000", "timeInForce": "GTX"}, -1115, "timeInForce"),
        ({"price": "90000", "side": "LONG"}, -1117, "side"),
        ({"price": "90000", "type": "STOP"}, -1116, "orderType"),
        ({"price": "90000", "symbol": "BTCUSD"}, -1121, "symbol"),
        ({"price": "90000", "symbol": "LUNAUSDT"}, -1013, "closed"),
        ({"price": "90000", "stopPrice": "80000"}, -1106, "stopPrice"),
        ({"price": "90000", "reduceOnly": "true"}, -1104, "parameter"),
        ({"price": "90000", "selfTradePreventionMode": "TRANSFER"}, -2010, "self-trade"),
        ({"price": "90000", "icebergQty": "0.00001"}, -1013, "ICEBERG_PARTS"),
    ],
)
def test_what_cannot_be_is_refused_in_binances_words_and_leaves_nothing(
    terms: dict[str, str], code: int, words: str
) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    values = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    values |= terms
    if values["type"] == "LIMIT_MAKER":
        del values["timeInForce"]
    answer = trader.ask("POST", ORDER, **values)
    assert (trader.status, answer["code"]) == (400, code)
    assert words in answer["msg"]
    assert socket.heard() == []
    assert trader.ask("GET", "/api/v3/openOrders") == []


def test_a_clients_id_is_free_again_once_its_order_has_ended() -> None:
    trader = Trader(exchange())
    terms = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    terms |= {"price": "90000", "newClientOrderId": "a"}
    first = trader.ask("POST", ORDER, **terms)
    duplicate = trader.ask("POST", ORDER, **terms)
    assert (duplicate["code"], duplicate["msg"]) == (-2010, "Duplicate order sent.")
    trader.ask("DELETE", ORDER, **BTC, origClientOrderId="a")
    second = trader.ask("POST", ORDER, **terms)
    assert second["orderId"] > first["orderId"]
    row = trader.ask("GET", ORDER, **BTC, origClientOrderId="a")
    assert (row["orderId"], row["status"]) == (second["orderId"], "NEW")


def test_an_amendment_makes_an_order_smaller_at_its_place_under_another_id() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    order = trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")
    socket.listen()
    path = "/api/v3/order/amend/keepPriority"
    more = trader.ask("PUT", path, **BTC, origClientOrderId="a", newQty="0.02")
    assert (more["code"], "quantity increase" in more["msg"]) == (-2038, True)
    answer = trader.ask(
        "PUT", path, **BTC, origClientOrderId="a", newQty="0.004", newClientOrderId="b"
    )
    amended = answer["amendedOrder"]
    assert (amended["orderId"], amended["clientOrderId"], amended["qty"]) == (
        *(order["orderId"], "b"),
        "0.00400000",
    )
    [report] = of(socket.heard(), "executionReport")
    assert (report["x"], report["X"], report["c"], report["C"], report["q"]) == (
        *("REPLACED", "NEW", "b", "a"),
        "0.00400000",
    )
    trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")  # it is free
    [made] = trader.ask("GET", "/api/v3/order/amendments", **BTC, orderId=order["orderId"])
    assert (made["origQty"], made["newQty"]) == ("0.01000000", "0.00400000")
    for size in range(9):
        qty = f"0.00{39 - size}"
        trader.ask("PUT", path, **BTC, orderId=order["orderId"], newQty=qty)
    last = trader.ask("PUT", path, **BTC, orderId=order["orderId"], newQty="0.001")
    assert last["msg"] == "Filter failure: MAX_NUM_ORDER_AMENDS"


def test_both_halves_of_a_replacement_tell_what_became_of_them() -> None:
    venue = exchange()
    trader = Trader(venue)
    new = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    path = "/api/v3/order/cancelReplace"
    trader.order("BTCUSDT", "BUY", "0.01", price="90000", newClientOrderId="a")

    def replace(mode: str, cancels: str, price: str) -> tuple[int, Any]:
        ids = {"cancelReplaceMode": mode, "cancelOrigClientOrderId": cancels}
        found = trader.ask("POST", path, **new, price=price, **ids)
        data = found.get("data", found)
        return (
            found.get("code", 0),
            (data["cancelResult"], data["newOrderResult"], trader.status),
        )

    assert replace("STOP_ON_FAILURE", "a", "90001") == (0, ("SUCCESS", "SUCCESS", 200))
    assert replace("STOP_ON_FAILURE", "a", "90002") == (
        -2022,
        ("FAILURE", "NOT_ATTEMPTED", 400),
    )
    assert replace("ALLOW_FAILURE", "a", "90003") == (-2021, ("FAILURE", "SUCCESS", 409))
    new["quantity"] = "30"
    [newest, _] = trader.ask("GET", "/api/v3/openOrders", **BTC)
    assert replace("STOP_ON_FAILURE", newest["clientOrderId"], "90004") == (
        -2021,
        ("SUCCESS", "FAILURE", 409),
    )
    assert replace("ALLOW_FAILURE", "a", "90005") == (-2022, ("FAILURE", "FAILURE", 400))
    assert len(trader.ask("GET", "/api/v3/openOrders", **BTC)) == 1


@pytest.mark.parametrize("kind", ["STOP_LOSS_LIMIT", "TAKE_PROFIT"])
def test_an_order_with_a_trigger_waits_and_comes_to_life_with_its_id(kind: str) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    listing = venue.listings["spot", "BTCUSDT"]
    venue.steer(listing, last_price=Decimal(100_000))
    socket.listen()
    terms: dict[str, str] = {"type": kind, "stopPrice": "101000"}
    if kind == "STOP_LOSS_LIMIT":
        terms |= {"price": "150000", "timeInForce": "GTC"}
    side = "BUY" if kind == "STOP_LOSS_LIMIT" else "SELL"
    about = {**BTC, "side": side, "quantity": "0.01", **terms}
    order = trader.ask("POST", ORDER, **about)
    assert trader.status == 200, order
    [report] = of(socket.heard(), "executionReport")
    assert (report["x"], report["w"], report["P"]) == ("NEW", False, "101000.00000000")
    row = trader.ask("GET", ORDER, **BTC, orderId=order["orderId"])
    assert (row["isWorking"], row["stopPrice"]) == (False, "101000.00000000")
    venue.steer(listing, last_price=Decimal(101_000))
    told = of(socket.heard(1.0), "executionReport")
    assert (told[0]["x"], told[0]["i"]) == ("NEW", order["orderId"])
    assert told[-1]["X"] == "FILLED"
    passed = {**about, "side": "SELL" if side == "BUY" else "BUY", "stopPrice": "150000"}
    refused = trader.ask("POST", ORDER, **passed)
    assert (refused["code"], refused["msg"]) == (-2010, "Order would trigger immediately.")


def test_a_trailing_stop_follows_the_best_price_by_a_share_of_it() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    listing = venue.listings["spot", "BTCUSDT"]
    venue.steer(listing, last_price=Decimal(100_000))
    order = trader.ask(
        *("POST", ORDER),
        **BTC,
        side="SELL",
        type="STOP_LOSS",
        quantity="0.01",
        trailingDelta="100",
    )
    assert trader.status == 200, order
    socket.listen()
    venue.steer(listing, last_price=Decimal(110_000))
    venue.steer(listing, last_price=Decimal(109_500))  # 0.45 % below the best
    assert socket.heard() == []
    venue.steer(listing, last_price=Decimal(108_800))  # 1.09 %
    assert reports(socket.heard())[-1] == ("TRADE", "FILLED")


def test_trades_with_ones_own_orders_are_prevented_as_the_taker_says() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    listing = venue.listings["spot", "BTCUSDT"]
    ask = trader.best("BTCUSDT")[1]
    mine = f"{Decimal(ask) - Decimal('0.01'):.2f}"
    venue.steer(listing, bids=(), asks=())
    made = trader.order("BTCUSDT", "SELL", "0.01", price=mine)
    socket.listen()
    terms = {"price": mine, "selfTradePreventionMode": "EXPIRE_TAKER"}
    taken = trader.order("BTCUSDT", "BUY", "0.01", **terms)
    assert taken["status"] == "EXPIRED_IN_MATCH"
    told = of(socket.heard(), "executionReport")
    assert [(each["x"], each["X"]) for each in told] == [
        ("NEW", "NEW"),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
        ("EXPIRED", "EXPIRED_IN_MATCH"),
    ]
    assert told[1]["U"] == made["orderId"]
    [match] = trader.ask("GET", "/api/v3/myPreventedMatches", **BTC, orderId=taken["orderId"])
    assert match["makerOrderId"] == made["orderId"]


def test_orders_are_listed_from_a_number_on_or_in_a_window_of_a_day() -> None:
    venue = exchange()
    trader = Trader(venue)
    ids = []
    for count in range(5):
        ids.append(trader.order("BTCUSDT", "BUY", "0.01", price=f"9000{count}")["orderId"])
        pass_time(venue, 1.0)
    trader.ask("DELETE", ORDER, **BTC, orderId=ids[1])
    path = "/api/v3/allOrders"

    def listed(**more: Any) -> list[int]:
        return [row["orderId"] for row in trader.ask("GET", path, **BTC, **more)]

    assert listed() == ids
    assert listed(limit=2) == ids[-2:]
    assert listed(orderId=ids[1], limit=2) == ids[1:3]
    start = 1_767_225_600_000
    assert listed(startTime=start + 1500, limit=2) == ids[2:4]
    assert listed(startTime=start, endTime=start + 2500) == ids[:3]
    long = trader.ask("GET", path, **BTC, startTime=start, endTime=start + 86_400_001)
    assert long["code"] == -1127


def test_fills_are_listed_by_number_or_by_time_and_not_by_both() -> None:
    venue = exchange()
    trader = Trader(venue)
    for _ in range(4):
        trader.order("BTCUSDT", "BUY", "0.01")
        pass_time(venue, 1.0)
    path = "/api/v3/myTrades"
    ids = [row["id"] for row in trader.ask("GET", path, **BTC)]
    assert ids == sorted(ids)
    assert [row["id"] for row in trader.ask("GET", path, **BTC, fromId=ids[1], limit=2)] == ids[1:3]
    assert [row["id"] for row in trader.ask("GET", path, **BTC, limit=2)] == ids[-2:]
    start = 1_767_225_600_000
    newer = trader.ask("GET", path, **BTC, startTime=start + 1500)
    assert [row["id"] for row in newer] == ids[2:]
    both = trader.ask("GET", path, **BTC, fromId=ids[0], startTime=start)
    assert both["code"] == -1128


def test_lists_and_queries_may_lag_so_that_a_fresh_order_does_not_exist_yet() -> None:
    venue = exchange()
    trader = Trader(venue)
    venue.faults.add(Fault(kind=FaultKind.LAG, path="/api/v3/*", seconds=2.0))
    order = trader.order("BTCUSDT", "BUY", "0.01", price="90000")
    missing = trader.ask("GET", ORDER, **BTC, orderId=order["orderId"])
    assert (trader.status, missing["code"]) == (400, -2013)
    assert trader.ask("GET", "/api/v3/openOrders") == []
    pass_time(venue, 2.5)
    assert trader.ask("GET", ORDER, **BTC, orderId=order["orderId"])["status"] == "NEW"


def test_fees_are_paid_in_bnb_at_a_discount_by_who_wants_that_and_has_it() -> None:
    venue = exchange()
    trader = Trader(venue)
    account = venue.desk.accounts["emulator"]
    assert trader.ask("POST", "/sapi/v1/bnbBurn", spotBNBBurn="true")["spotBNBBurn"] is True
    [fill] = trader.order("BTCUSDT", "BUY", "0.01")["fills"]
    assert fill["commissionAsset"] == "BTC"  # there is no BNB
    venue.desk.transfer(account, "BNB", Decimal(1))
    [fill] = trader.order("BTCUSDT", "BUY", "0.01")["fills"]
    assert fill["commissionAsset"] == "BNB"
    assert Decimal(fill["commission"]) == 1 - account.wallet["BNB"].total
    about = trader.ask("GET", "/api/v3/account/commission", **BTC)
    assert about["discount"]["enabledForAccount"] is True


def test_a_transfer_is_told_as_what_came_and_as_what_there_is() -> None:
    venue = exchange()
    socket = Socket(venue)
    socket.listen()
    venue.desk.transfer(venue.desk.accounts["emulator"], "BTC", Decimal("0.5"))
    events = socket.heard()
    assert [event["d"] for event in of(events, "balanceUpdate")] == ["0.50000000"]
    [position] = of(events, "outboundAccountPosition")
    assert position["B"][0]["f"] == "20.50000000"


def test_events_come_before_the_answer_or_after_it_and_always_in_order() -> None:
    before = 0
    for seed in range(12):
        venue = exchange(seed)
        socket = Socket(venue)
        socket.listen()
        terms = {**BTC, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert socket.ask("order.place", **terms)["status"] == 200
        before += bool(socket.said)
        assert reports(socket.heard()) == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert 0 < before < 12


def test_canceling_all_of_a_symbol_leaves_others_and_fails_where_there_are_none() -> None:
    trader = Trader(exchange())
    for price in ("90000", "90001"):
        trader.order("BTCUSDT", "BUY", "0.01", price=price)
    trader.order("ETHUSDT", "BUY", "1", price="3000")
    gone = trader.ask("DELETE", "/api/v3/openOrders", **BTC)
    assert [row["status"] for row in gone] == ["CANCELED", "CANCELED"]
    assert trader.ask("DELETE", "/api/v3/openOrders", **BTC)["code"] == -2011
    assert [row["symbol"] for row in trader.ask("GET", "/api/v3/openOrders")] == ["ETHUSDT"]


def test_a_test_of_an_order_says_whether_it_would_be_taken_and_places_nothing() -> None:
    trader = Trader(exchange())
    terms = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "90000"}
    path = "/api/v3/order/test"
    assert trader.ask("POST", path, **terms, quantity="0.01") == {}
    rates = trader.ask("POST", path, **terms, quantity="0.01", computeCommissionRates="true")
    assert rates["standardCommissionForOrder"]["maker"] == "0.00100000"
    assert trader.ask("POST", path, **terms, quantity="12")["code"] == -2010
    assert trader.ask("GET", "/api/v3/openOrders") == []


def test_two_orders_of_two_symbols_may_have_the_same_id() -> None:
    trader = Trader(exchange())
    one = trader.order("BTCUSDT", "BUY", "0.01", price="90000")
    other = trader.order("ETHUSDT", "BUY", "1", price="3000")
    assert one["orderId"] == other["orderId"]
    found = trader.ask("GET", ORDER, symbol="ETHUSDT", orderId=other["orderId"])
    assert found["clientOrderId"] == other["clientOrderId"]


def test_steps_are_those_of_the_list_of_now() -> None:
    venue = exchange()
    trader = Trader(venue)
    venue.change(venue.listings["spot", "BTCUSDT"], tick=Decimal("0.1"))
    terms = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    refused = trader.ask("POST", ORDER, **terms, price="50000.01")
    assert refused["msg"] == "Filter failure: PRICE_FILTER"
    assert trader.ask("POST", ORDER, **terms, price="50000.1")["status"] == "NEW"
