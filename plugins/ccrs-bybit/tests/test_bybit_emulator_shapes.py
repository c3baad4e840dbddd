"""Answers of the emulated Bybit that are no lists of orders, fills or positions have the fields,
and the types, of those that were recorded or documented (``CCRS_FIXTURES``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from bybit_trader import Socket, Trader, exchange, pass_time

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", "/nowhere"))

pytestmark = pytest.mark.skipif(
    not (FIXTURES / "bybit/rest").is_dir(), reason="no recorded answers (set CCRS_FIXTURES)"
)

ORDER: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "100000",
}
ABOUT = {"category": "linear", "symbol": "BTCUSDT"}


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


def shape(value: Any) -> Any:
    """Names and types, without values; of a list that of its first row."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def alike(told: Any, like: Any, *, more: frozenset[str] = frozenset()) -> None:
    """Both have the same shape; the first may have some fields that the other was too old for."""
    mine, theirs = shape(told), shape(like)
    if isinstance(theirs, dict):
        assert mine.keys() - more == theirs.keys() - more
        for name in theirs.keys() - more:
            alike(told[name], like[name], more=more)
    elif isinstance(theirs, list) and theirs and mine:
        alike(told[0], like[0], more=more)
    elif not isinstance(theirs, list):
        assert mine == theirs


def test_acknowledgements() -> None:
    venue = exchange()
    trader = Trader(venue)
    placed = trader.post("/v5/order/create", category="linear", **ORDER)
    alike(placed, recorded("bybit/rest/order-create-ack.json"))
    pass_time(venue, 0.05)
    canceled = trader.post("/v5/order/cancel", **ABOUT, orderId=placed["result"]["orderId"])
    alike(canceled, recorded("bybit/rest/order-cancel-ack.json"))
    pass_time(venue, 0.05)
    alike(
        trader.post("/v5/order/cancel-all", **ABOUT),
        recorded("trading/bybit/rest/order-cancel-all-ack.json"),
    )
    several = trader.post(
        "/v5/order/create-batch",
        category="linear",
        request=[{**ORDER, "orderLinkId": "a"}, {**ORDER, "orderLinkId": "b", "qty": "x"}],
    )
    alike(several, recorded("bybit/rest/doc-order-create-batch.json"))


def test_refusals() -> None:
    venue = exchange()
    trader = Trader(venue)
    wrong = trader.post("/v5/order/amend", **ABOUT, orderId="nobody")
    alike(wrong, recorded("bybit/rest/error-10001-amend.json"))
    unsigned = json.loads(trader.ask("GET", "/v5/account/info", sign="0" * 64).body)
    like = recorded("bybit/rest/error-10004-sign.json")
    alike(unsigned, like)
    assert unsigned["retCode"] == like["retCode"]


def test_accounts_and_rates() -> None:
    trader = Trader(exchange())
    alike(
        trader.get("/v5/account/info"),
        recorded("bybit/rest/account-info.json"),
        more=frozenset({"isMasterTrader", "spotHedgingStatus", "retExtInfo", "time"}),
    )
    alike(
        trader.get("/v5/account/fee-rate", **ABOUT),
        recorded("bybit/rest/doc-fee-rate.json"),
        more=frozenset({"baseCoin", "category"}),
    )


def test_funding_among_the_fills() -> None:
    venue = exchange()
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Buy", "0.01")
    pass_time(venue, 0.1)
    listing = venue.listings["linear", "BTCUSDT"]
    venue.steer(listing, next_funding_time_ns=venue.now_ns + 10**9)
    pass_time(venue, 2.0)
    found = trader.get("/v5/execution/list", **ABOUT, execType="Funding")
    newer = {"createType", "execFeeV2", "feeCurrency", "seq", "extraFees"}
    alike(found, recorded("trading/bybit/rest/execution-list-funding.json"), more=frozenset(newer))


def test_answers_of_the_trade_socket() -> None:
    venue = exchange()
    entry = Socket(venue, "/v5/trade")
    lines = (FIXTURES / "bybit/ws/trade-api-replies.jsonl").read_text().splitlines()
    frames = list(map(json.loads, lines))
    by_op = {frame["op"]: frame for frame in frames if not frame["retCode"]}
    [refusal] = [frame for frame in frames if frame["retCode"]]
    refused = entry.order("order.create", category="linear", **{**ORDER, "price": "100000.05"})
    alike(refused, refusal)
    assert (refused["retCode"], refused["retMsg"]) == (refusal["retCode"], refusal["retMsg"])
    placed = entry.order("order.create", category="linear", **ORDER)
    alike(placed, by_op["order.create"])
    pass_time(venue, 0.05)
    order_id = placed["data"]["orderId"]
    alike(entry.order("order.amend", **ABOUT, orderId=order_id, qty="0.02"), by_op["order.amend"])
    pass_time(venue, 0.05)
    alike(entry.order("order.cancel", **ABOUT, orderId=order_id), by_op["order.cancel"])
    batch = json.loads((FIXTURES / "trading/bybit/ws/doc-trade-batch-reply.jsonl").read_text())
    asked = [{**ORDER, "orderLinkId": "a"}, {**ORDER, "orderLinkId": "b"}]
    told = entry.order("order.create-batch", category="linear", request=asked)
    alike(told, batch, more=frozenset({"reqId"}))
