"""What becomes of orders on the emulated OKX: acknowledged isn't done, and pushes say what is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from okx_trader import (
    BTC,
    INVERSE,
    SWAP,
    Private,
    Trader,
    dialect,
    exchange,
    limit,
    listing,
    pass_time,
    still,
)

from ccrs_core.emulator import Ending

OPTION = "BTC-USD-260327-104000-C"


def told(venue: Any, *channels: str, **more: str) -> Private:
    socket = Private(venue, "business" if channels == ("orders-algo",) else "private")
    socket.log_in()
    socket.subscribe(*channels, **more)
    return socket


def test_a_limit_order_rests_is_told_live_and_canceled_for_its_owner() -> None:
    venue = exchange()
    price, trader, socket = still(venue, SWAP), Trader(venue), told(venue, "orders")
    placed = trader.does("trade/order", limit(px=f"{price - 500}", clOrdId="a1", tag="mine"))
    assert placed["clOrdId"] == "a1"
    canceled = trader.does("trade/cancel-order", {"instId": SWAP, "clOrdId": "a1"})
    assert (canceled["ordId"], canceled["sCode"]) == (placed["ordId"], "0")
    rows = socket.rows("orders")
    assert [(row["state"], row["cancelSource"]) for row in rows] == [
        ("live", ""),
        ("canceled", "1"),
    ]
    assert {(row["ordId"], row["tag"], row["sz"]) for row in rows} == {
        (placed["ordId"], "mine", "1")
    }
    assert trader.refused("trade/cancel-order", {"instId": SWAP, "clOrdId": "a1"}) == "51400"


def test_what_takes_is_live_first_and_each_fill_is_one_push() -> None:
    venue = exchange()
    price, trader, socket = still(venue, SWAP), Trader(venue), told(venue, "orders")
    levels = listing(venue, SWAP).contract
    each = listing(venue, SWAP).lot * 1000 / levels
    placed = trader.does("trade/order", limit(px=f"{price + 500}", sz=f"{each * 2:f}"))
    rows = [row for row in socket.rows("orders") if row["ordId"] == placed["ordId"]]
    assert [row["state"] for row in rows] == ["live", "partially_filled", "filled"]
    assert [Decimal(row["accFillSz"]) for row in rows] == [0, each, each * 2]
    trades = [row["tradeId"] for row in rows]
    assert trades[0] == ""
    assert len({*trades[1:]}) == 2
    fees = [Decimal(row["fillFee"]) for row in rows[1:]]
    assert all(fee < 0 for fee in fees)
    assert sum(fees) == Decimal(rows[2]["fee"])
    assert all(row["execType"] == "T" for row in rows[1:])
    # Lists tell the last fill of an order, and each in a list of their own.
    assert trader.order(placed["ordId"])["tradeId"] == trades[2]
    listed = trader.rows("trade/fills", ordId=placed["ordId"])
    assert [row["tradeId"] for row in listed] == trades[:0:-1]


def test_a_market_order_of_spot_is_completed_by_a_push_without_a_trade() -> None:
    venue = exchange()
    still(venue, BTC)
    trader, socket = Trader(venue), told(venue, "orders", instType="SPOT")
    trader.does("trade/order", limit(BTC, ordType="market", sz="100"))  # of dollars: it buys
    rows = socket.rows("orders")
    assert [row["state"] for row in rows] == ["live", "partially_filled", "filled"]
    assert [bool(row["tradeId"]) for row in rows] == [False, True, False]
    assert (rows[2]["tgtCcy"], rows[2]["sz"], rows[2]["fillSz"]) == ("quote_ccy", "100", "0")
    assert Decimal(rows[2]["accFillSz"]) * Decimal(rows[2]["avgPx"]) <= 100
    assert rows[2]["feeCcy"] == "BTC"


def test_a_post_only_order_that_would_take_is_told_canceled_alone() -> None:
    venue = exchange()
    price, trader, socket = still(venue, SWAP), Trader(venue), told(venue, "orders")
    placed = trader.does("trade/order", limit(px=f"{price + 500}", ordType="post_only"))
    assert placed["sCode"] == "0"
    [row] = socket.rows("orders")
    assert (row["state"], row["cancelSource"], row["accFillSz"]) == ("canceled", "31", "0")


@pytest.mark.parametrize(("kind", "source", "filled"), [("ioc", "14", True), ("fok", "13", False)])
def test_what_is_not_filled_at_once_is_canceled(kind: str, source: str, filled: bool) -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    placed = trader.does("trade/order", limit(px=f"{price + 104}", ordType=kind, sz="1000"))
    row = trader.order(placed["ordId"])
    assert (row["state"], row["cancelSource"]) == ("canceled", source)
    assert (Decimal(row["accFillSz"]) > 0) is filled


def test_a_batch_answers_for_each_item() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    good = limit(px=f"{price - 500}")
    answer = trader.post("trade/batch-orders", [good, {**good, "sz": "0.015"}, {**good, "px": "x"}])
    assert (answer["code"], answer["msg"]) == ("2", "Bulk operation partially succeeded.")
    assert [row["sCode"] for row in answer["data"]] == ["0", "51121", "51000"]
    assert [bool(row["ordId"]) for row in answer["data"]] == [True, False, False]
    failed = trader.post("trade/batch-orders", [{**good, "sz": "0.015"}])
    assert (failed["code"], failed["msg"]) == ("1", "All operations failed")
    assert trader.post("trade/batch-orders", [good] * 21)["code"] == "51149"


def test_a_new_size_is_the_whole_orders_and_ends_it_where_it_is_filled() -> None:
    venue = exchange()
    price, trader, socket = still(venue, SWAP), Trader(venue), told(venue, "orders")
    each = listing(venue, SWAP).lot * 1000 / listing(venue, SWAP).contract
    placed = trader.does("trade/order", limit(px=f"{price + 104}", sz=f"{each + 3:f}"))
    about = {"instId": SWAP, "ordId": placed["ordId"]}
    acked = trader.does("trade/amend-order", {**about, "newSz": f"{each + 1:f}", "reqId": "r1"})
    assert acked["reqId"] == "r1"
    [row] = socket.rows("orders", lambda row: bool(row["reqId"] == "r1"))
    assert (row["amendResult"], row["amendSource"], row["state"]) == ("0", "1", "partially_filled")
    assert (Decimal(row["sz"]), Decimal(row["accFillSz"])) == (each + 1, each)
    assert (row["tradeId"], row["fillSz"]) == ("", "0")
    trader.does("trade/amend-order", {**about, "newSz": "1", "reqId": "r2"})
    now = trader.order(placed["ordId"])
    assert (now["state"], Decimal(now["sz"])) == ("filled", each)
    assert trader.refused("trade/amend-order", {**about, "newSz": "5"}) == "51503"


def test_an_amendment_that_comes_too_late_is_acknowledged_and_fails() -> None:
    for seed in range(40):
        venue = exchange(seed)
        price, trader, socket = still(venue, SWAP), Trader(venue), told(venue, "orders")
        placed = trader.does("trade/order", limit(px=f"{price - 500}"))
        about = {"instId": SWAP, "ordId": placed["ordId"]}
        trader.post("trade/cancel-order", about)
        answer = trader.post("trade/amend-order", {**about, "newSz": "2", "reqId": "late"})
        pass_time(venue, 0.1)
        found = socket.rows("orders", lambda row: bool(row["reqId"] == "late"))
        if answer["code"] == "0":
            [row] = found
            assert (row["amendResult"], row["state"], row["sz"]) == ("-1", "canceled", "1")
            return
        assert not found
    raise AssertionError("no amendment was acknowledged in time")


def test_three_amendments_of_an_order_may_be_under_way() -> None:
    for seed in range(40):
        venue = exchange(seed)
        price, trader = still(venue, SWAP), Trader(venue)
        placed = trader.does("trade/order", limit(px=f"{price - 500}"))
        answers = [
            trader.post(
                "trade/amend-order",
                {"instId": SWAP, "ordId": placed["ordId"], "newSz": str(n), "reqId": f"r{n}"},
            )
            for n in range(2, 6)
        ]
        codes = [answer["data"][0]["sCode"] for answer in answers]
        if codes[3] == "51513":
            assert codes[:3] == ["0"] * 3
            pass_time(venue, 0.1)
            assert trader.order(placed["ordId"])["sz"] == "4"
            return
    raise AssertionError("the matching engine was never slow enough")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"instId": "NO-SUCH"}, "51001"),
        ({"instId": ""}, "50014"),
        ({"clOrdId": "a-b"}, "51000"),
        ({"clOrdId": "a" * 33}, "51000"),
        ({"tag": "a" * 17}, "51000"),
        ({"sz": 1}, "51000"),
        ({"sz": "0"}, "51000"),
        ({"sz": "0.001"}, "51020"),
        ({"sz": "1.005"}, "51121"),
        ({"px": "100000.05"}, "51000"),
        ({"px": "200000"}, "51006"),
        ({"tdMode": "cash"}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"ordType": "best"}, "51000"),
        ({"sz": "30000", "px": "104000"}, "51004"),
        ({"sz": "100000", "px": "104000"}, "51008"),
        ({"sz": "10000000", "px": "104000"}, "51203"),
        ({"reduceOnly": True}, "51169"),
        ({"ordType": "fok", "stpMode": "cancel_both"}, "50016"),
        ({"attachAlgoOrds": [{"tpOrdPx": "-1"}]}, "51000"),
        ({"attachAlgoOrds": [{}]}, "51053"),
    ],
)
def test_what_cannot_be_is_refused_by_its_code(changed: dict[str, Any], code: str) -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    assert trader.refused("trade/order", {**limit(px="103000"), **changed}) == code
    assert trader.rows("trade/orders-pending") == []


def test_instruments_that_do_not_trade_take_no_orders() -> None:
    trader = Trader(exchange())
    assert trader.refused("trade/order", limit("NOVA-USDT", px="1", tdMode="cash")) == "51021"
    assert trader.refused("trade/order", limit("LUNA-USDT", px="1", tdMode="cash")) == "51022"
    assert trader.refused("trade/order", limit("SOL-USD-260327", px="1")) == "51028"


def test_a_client_id_may_be_used_again_once_its_order_has_ended() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    order = limit(px=f"{price - 500}", clOrdId="again")
    first = trader.does("trade/order", order)
    assert trader.refused("trade/order", order) == "51016"
    trader.does("trade/cancel-order", {"instId": SWAP, "clOrdId": "again"})
    second = trader.does("trade/order", order)
    [newest] = trader.rows("trade/order", instId=SWAP, clOrdId="again")
    assert newest["ordId"] == second["ordId"] != first["ordId"]
    assert trader.order(first["ordId"])["state"] == "canceled"


def test_sockets_name_instruments_by_code_alone() -> None:
    venue = exchange()
    price, socket = still(venue, SWAP), Private(venue)
    socket.log_in()
    code = dialect(venue).code(listing(venue, SWAP))
    order = limit(px=f"{price - 500}")

    def entered(**changed: Any) -> dict[str, Any]:
        return socket.send({"id": "o1", "op": "order", "args": [{**order, **changed}]})[-1]

    assert entered()["data"][0]["sMsg"] == "Parameter instIdCode can not be empty."
    assert entered(instIdCode=1)["data"][0]["sCode"] == "51001"
    answer = entered(instIdCode=code)
    assert (answer["id"], answer["op"], answer["code"]) == ("o1", "order", "0")
    assert answer["data"][0]["sCode"] == "0"
    assert socket.send({"id": "o2", "op": "order", "args": []})[-1]["code"] == "60013"
    assert socket.send({"op": "order", "args": [order]})[-1]["code"] == "60012"
    codes = [
        row["instIdCode"] for row in Trader(venue).rows("account/instruments", instType="SWAP")
    ]
    assert len({*codes}) == len(codes)
    assert code in codes


def test_options_are_priced_by_volatility_or_in_dollars() -> None:
    venue, symbol = exchange(), OPTION
    trader = Trader(venue)
    terms = {"instId": symbol, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}
    by_volatility = trader.does("trade/order", {**terms, "pxVol": "0.1"})
    row = trader.order(by_volatility["ordId"], symbol)
    assert (row["pxVol"], row["pxType"]) == ("0.1", "pxVol")
    assert Decimal(row["px"]) % listing(venue, symbol).tick == 0
    in_dollars = trader.does("trade/order", {**terms, "pxUsd": "520"})
    row = trader.order(in_dollars["ordId"], symbol)
    assert abs(Decimal(row["px"]) - Decimal(520) / 104_000) < Decimal("0.0002")
    assert trader.refused("trade/order", {**terms, "px": "0.01", "pxVol": "0.1"}) == "51000"
    assert trader.refused("trade/order", {**terms, "ordType": "market"}) == "51000"


@pytest.mark.parametrize(
    ("why", "source"),
    [
        (Ending.DEAD_MAN, "20"),
        (Ending.LIQUIDATION, "3"),
        (Ending.DELEVERAGING, "6"),
        (Ending.SETTLEMENT, "7"),
        (Ending.EXCHANGE, "0"),
    ],
)
def test_what_the_exchange_cancels_says_why(why: Ending, source: str) -> None:
    venue = exchange()
    price, trader = still(venue, INVERSE), Trader(venue)
    placed = trader.does("trade/order", limit(INVERSE, px=f"{price - 500}"))
    desk = venue.desk
    [order] = desk.accounts["emulator"].open_orders()
    desk.cancel(desk.accounts["emulator"], order.number, why)
    pass_time(venue, 0.1)
    row = trader.order(placed["ordId"], INVERSE)
    assert (row["state"], row["cancelSource"]) == ("canceled", source)


def test_orders_of_one_account_do_not_trade_with_each_other() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    mine = trader.does("trade/order", limit(px=f"{price}"))
    taking = limit(side="sell", px=f"{price}", stpMode="cancel_taker")
    other = trader.does("trade/order", taking)
    assert trader.order(other["ordId"])["cancelSource"] == "32"
    assert trader.order(mine["ordId"])["state"] == "live"


def test_a_position_is_closed_at_one_word() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    trader.does("trade/order", limit(ordType="market", sz="3"))
    assert trader.rows("account/positions")[0]["pos"] == "3"
    trader.does("trade/close-position", {"instId": SWAP, "mgnMode": "cross"})
    assert trader.rows("account/positions") == []
    body = {"instId": SWAP, "mgnMode": "cross"}
    assert trader.refused("trade/close-position", body) == "51023"
