"""Orders of the emulated OKX that wait: apart from the others, until what they place is one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from okx_trader import BTC, SWAP, Private, Trader, exchange, limit, listing, pass_time, still

from ccrs_core.emulator import EmulatedExchange


def told(venue: EmulatedExchange) -> Private:
    socket = Private(venue, "business")
    socket.log_in()
    socket.subscribe("orders-algo")
    return socket


def held() -> tuple[EmulatedExchange, Decimal, Trader]:
    """Five contracts are held."""
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    trader.does("trade/order", limit(ordType="market", sz="5"))
    still(venue, SWAP)
    return venue, price, trader


def moves(venue: EmulatedExchange, price: Decimal) -> None:
    """The last price, and the mark price with it, come to a price."""
    one = listing(venue, SWAP)
    venue.steer(one, last_price=price, mark_price=price, index_price=price)
    pass_time(venue, 1.0)


def stop(price: Decimal, **more: str) -> dict[str, Any]:
    return {
        **limit(side="sell", ordType="conditional", sz="5"),
        "slTriggerPx": f"{price}",
        "slOrdPx": "-1",
        **more,
    }


def test_a_stop_waits_apart_and_places_an_order_of_its_own() -> None:
    venue, price, trader = held()
    business, private = told(venue), Private(venue)
    private.log_in()
    private.subscribe("orders")
    placed = trader.does("trade/order-algo", stop(price - 3000, algoClOrdId="s1", tag="mine"))
    algo_id = placed["algoId"]
    assert placed["sCode"] == "0"
    assert trader.rows("trade/orders-pending") == []
    [row] = trader.rows("trade/orders-algo-pending", ordType="conditional")
    assert (row["algoId"], row["algoClOrdId"], row["state"]) == (algo_id, "s1", "live")
    assert (row["slTriggerPx"], row["slOrdPx"], row["tpTriggerPx"]) == (f"{price - 3000}", "-1", "")
    about = {"instId": SWAP, "clOrdId": "s1"}
    assert trader.refused("trade/cancel-order", about) == "51400"
    moves(venue, price - 3001)
    rows = business.rows("orders-algo")
    assert [row["state"] for row in rows] == ["live", "effective"]
    child = rows[1]["ordId"]
    assert rows[1]["ordIdList"] == [child]
    row = private.rows("orders")[-1]
    assert (row["ordId"], row["algoId"], row["algoClOrdId"]) == (child, algo_id, "s1")
    assert (row["clOrdId"], row["source"], row["tag"]) == ("", "7", "mine")
    assert trader.rows("account/positions") == []
    assert trader.rows("trade/orders-algo-pending", ordType="conditional") == []
    [past] = trader.rows("trade/orders-algo-history", ordType="conditional", state="effective")
    assert past["algoId"] == algo_id
    [known] = trader.rows("trade/order-algo", algoClOrdId="s1")
    assert known["ordIdList"] == [child]


@pytest.mark.parametrize("rises", [True, False])
def test_of_two_that_belong_together_one_ends_the_other(rises: bool) -> None:
    venue, price, trader = held()
    business = told(venue)
    body = stop(
        price - 3000, ordType="oco", tpTriggerPx=f"{price + 3000}", tpOrdPx="-1", algoClOrdId="o1"
    )
    trader.does("trade/order-algo", body)
    [row] = trader.rows("trade/orders-algo-pending", ordType="oco")
    assert (row["tpTriggerPx"], row["slTriggerPx"]) == (f"{price + 3000}", f"{price - 3000}")
    moves(venue, price + 3001 if rises else price - 3001)
    rows = business.rows("orders-algo")
    assert [row["state"] for row in rows] == ["live", "effective"]
    assert rows[1]["actualSide"] == ("tp" if rises else "sl")
    assert trader.rows("account/positions") == []
    assert trader.rows("trade/orders-algo-pending", ordType="oco") == []


def test_both_are_canceled_as_one() -> None:
    venue, price, trader = held()
    business = told(venue)
    body = stop(price - 3000, ordType="oco", tpTriggerPx=f"{price + 3000}", tpOrdPx="-1")
    placed = trader.does("trade/order-algo", body)
    trader.does("trade/cancel-algos", [{"instId": SWAP, "algoId": placed["algoId"]}])
    assert [row["state"] for row in business.rows("orders-algo")] == ["live", "canceled"]
    again = [{"instId": SWAP, "algoId": placed["algoId"]}]
    assert trader.refused("trade/cancel-algos", again) == "51400"


def test_a_plain_trigger_places_a_limit_order_whichever_way_the_price_comes() -> None:
    venue, price, trader = held()
    terms = {**limit(side="buy", ordType="trigger", sz="1"), "triggerPxType": "mark"}
    body = {**terms, "triggerPx": f"{price - 3000}", "orderPx": f"{price - 2900}"}
    trader.does("trade/order-algo", body)
    [row] = trader.rows("trade/orders-algo-pending", ordType="trigger")
    assert (row["triggerPx"], row["triggerPxType"], row["ordPx"]) == (
        *(f"{price - 3000}", "mark"),
        f"{price - 2900}",
    )
    moves(venue, price - 3001)
    [child, *_] = [
        *trader.rows("trade/orders-pending"),
        *trader.rows("trade/orders-history", instType="SWAP"),
    ]
    assert (child["px"], child["source"], child["ordType"]) == (f"{price - 2900}", "6", "limit")


def test_a_trailing_stop_follows_the_price_and_never_back() -> None:
    venue, price, trader = held()
    terms = limit(side="sell", ordType="move_order_stop", sz="5")
    trader.does("trade/order-algo", {**terms, "callbackSpread": "1000"})
    moves(venue, price + 2000)
    [row] = trader.rows("trade/orders-algo-pending", ordType="move_order_stop")
    assert (row["callbackSpread"], row["moveTriggerPx"]) == ("1000", f"{price + 1000}")
    moves(venue, price + 1500)
    assert trader.rows("account/positions")[0]["pos"] == "5"
    moves(venue, price + 999)
    assert trader.rows("account/positions") == []
    [child] = trader.rows("trade/orders-history", instType="SWAP", limit="1")
    assert child["source"] == "25"
    both = {**terms, "callbackSpread": "1000", "callbackRatio": "0.1"}
    assert trader.refused("trade/order-algo", both) == "51311"


def test_what_is_attached_waits_once_its_order_is_filled() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    exits = {"tpTriggerPx": f"{price + 3000}", "tpOrdPx": "-1"}
    exits |= {"slTriggerPx": f"{price - 3000}", "slOrdPx": "-1", "slTriggerPxType": "mark"}
    order = {**limit(ordType="market", sz="2"), "attachAlgoOrds": [exits]}
    placed = trader.does("trade/order", order)
    [row] = trader.rows("trade/orders-algo-pending", ordType="oco")
    assert (row["side"], row["sz"], row["linkedOrd"]["ordId"]) == ("sell", "2", placed["ordId"])
    assert (row["tpTriggerPxType"], row["slTriggerPxType"]) == ("last", "mark")
    still(venue, SWAP)
    moves(venue, price - 3001)
    assert trader.rows("account/positions") == []
    assert trader.rows("trade/orders-algo-pending", ordType="oco") == []


def test_spot_waits_too() -> None:
    venue = exchange()
    price, trader = still(venue, BTC), Trader(venue)
    body = {**limit(BTC, side="buy", ordType="conditional", sz="0.001")}
    body |= {"slTriggerPx": f"{price + 3000}", "slOrdPx": f"{price + 3100}"}
    trader.does("trade/order-algo", body)
    [row] = trader.rows("trade/orders-algo-pending", ordType="conditional", instType="SPOT")
    assert (row["sz"], row["posSide"], row["tdMode"]) == ("0.001", "", "cash")
    frozen = trader.rows("account/balance", ccy="USDT")[0]["details"][0]["ordFrozen"]
    assert Decimal(frozen) == Decimal("0.001") * (price + 3100)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"ordType": "best"}, "51000"),
        ({"slTriggerPx": ""}, "51000"),
        ({"slOrdPx": ""}, "51000"),
        ({"slTriggerPxType": "best"}, "51000"),
        ({"ordType": "oco"}, "51000"),
        ({"algoClOrdId": "a-b"}, "51000"),
        ({"instId": "NO-SUCH"}, "51001"),
        ({"slTriggerPx": "200000"}, "51046"),
    ],
)
def test_what_cannot_wait_is_refused(changed: dict[str, str], code: str) -> None:
    _, price, trader = held()
    assert trader.refused("trade/order-algo", stop(price - 3000, **changed)) == code
