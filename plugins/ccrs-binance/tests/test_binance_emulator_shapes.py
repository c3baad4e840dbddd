"""What the emulated Binance answers has the fields of recorded answers and of documented ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from binance_trader import Socket, Trader, exchange

COINM = {"symbol": "BTCUSD_PERP"}
LATER = {"isolatedWallet", "quoteQty", "priceMatch", "selfTradePreventionMode", "modifyId"}
"""What has come since the examples were written."""
GONE = {"avgPrice", "cumBase", "cumQuote"}
"""What answers to orders have no more since 2026-07-15, or COIN-M's since 2026-06-30."""
OF_TRAILING = {"activatePrice", "priceRate"}
"""What orders that trail have, which were ordinary ones once."""


def fixture(name: str) -> list[Any]:
    """The JSON of a file, or of each of its lines."""
    folder = os.environ.get("CCRS_FIXTURES")
    if folder is None:
        pytest.skip("CCRS_FIXTURES isn't set")
    text = (Path(folder) / "trading" / name).read_text()
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


def one(found: Any) -> Mapping[str, Any]:
    row: Mapping[str, Any] = found[0] if isinstance(found, list) else found
    return row


@pytest.fixture(scope="module")
def trader() -> Trader:
    """A client with a position, and with an order that rests."""
    found = Trader(exchange())
    order = {**COINM, "side": "BUY", "quantity": "1"}
    found.ask("POST", "/dapi/v1/order", **order, type="MARKET")
    limit = {"type": "LIMIT", "timeInForce": "GTC", "price": "50000"}
    found.ask("POST", "/dapi/v1/order", **order, **limit)
    return found


@pytest.mark.parametrize(
    ("call", "values", "file"),
    [
        ("balance", {}, "doc-balance.json"),
        ("positionRisk", {"pair": "BTCUSD"}, "doc-positionRisk.json"),
        ("userTrades", COINM, "doc-userTrades.json"),
        ("commissionRate", COINM, "doc-commissionRate.json"),
        ("income", {}, "doc-income.json"),
        ("allOrders", COINM, "doc-allOrders.json"),
        ("account", {}, "account-2021.json"),
    ],
)
def test_lists_of_coinm_have_the_documented_fields(
    trader: Trader, call: str, values: dict[str, str], file: str
) -> None:
    mine = one(trader.ask("GET", f"/dapi/v1/{call}", **values))
    theirs = one(fixture(f"binance-coinm/rest/{file}"))
    assert mine.keys() - LATER == theirs.keys() - OF_TRAILING
    kinds = {name: type(value) for name, value in theirs.items() if name in mine}
    assert {name: type(mine[name]) for name in kinds} == kinds


def test_the_leverage_that_was_set_is_answered_as_documented(trader: Trader) -> None:
    mine = trader.ask("POST", "/dapi/v1/leverage", **COINM, leverage=10)
    assert mine.keys() == one(fixture("binance-coinm/rest/doc-leverage.json")).keys()


@pytest.mark.parametrize(
    ("path", "file", "category"),
    [
        ("/ws-dapi/v1", "binance-coinm/ws/wsapi-orders.jsonl", "coinm"),
        ("/ws-fapi/v1", "binance-usdm/ws/wsapi-order-modify.jsonl", "usdm"),
    ],
)
def test_answers_over_the_socket_have_the_fields_of_recorded_ones(
    path: str, file: str, category: str
) -> None:
    venue = exchange(weight_limits=None)
    symbol = "BTCUSD_PERP" if category == "coinm" else "BTCUSDT"
    socket = Socket(venue, path)
    terms = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    mine = socket.ask("order.place", **terms, quantity="1", price="50000")
    for theirs in fixture(file):
        assert mine.keys() - {"result"} == theirs.keys() - {"result", "error"}
        if "result" in theirs:
            assert mine["result"].keys() == theirs["result"].keys() - GONE
    assert {frozenset(row) for row in mine["rateLimits"]} == {
        frozenset(row) for theirs in fixture(file) for row in theirs["rateLimits"]
    }


def test_a_replacement_of_spot_has_the_fields_of_a_recorded_one() -> None:
    trader = Trader(exchange())
    order = trader.order("BTCUSDT", "BUY", "0.01", price="50000")
    mine = trader.ask(
        *("POST", "/api/v3/order/cancelReplace"),
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price="50001",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=order["orderId"],
    )
    theirs = one(fixture("binance-spot/rest/order-cancelReplace.json"))
    assert mine.keys() == theirs.keys()
    since_2022 = {"origQuoteOrderQty", "workingTime", "selfTradePreventionMode", "transactTime"}
    for half in ("cancelResponse", "newOrderResponse"):
        assert mine[half].keys() - since_2022 == theirs[half].keys() - since_2022
        for name in ("price", "origQty", "executedQty", "cummulativeQuoteQty"):
            assert len(mine[half][name].partition(".")[2]) == 8


def test_what_answers_have_no_more_is_in_lists(trader: Trader) -> None:
    order = {**COINM, "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert not trader.ask("POST", "/dapi/v1/order", **order).keys() & GONE
    assert {"avgPrice", "cumBase"} <= one(trader.ask("GET", "/dapi/v1/allOrders", **COINM)).keys()
