"""Whatever is asked of the emulated Binance's accounts is answered, in Binance's words."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import orjson
import pytest
from binance_trader import Socket, Trader, dialect, exchange

from ccrs_core import Side, Trigger
from ccrs_core.emulator import NewOrder

_VALUES = (
    *("BTCUSDT", "BTCUSD_PERP", "ETHUSDT", "BUY", "SELL", "LIMIT", "MARKET", "LIMIT_MAKER", "true"),
    *("STOP_LOSS", "STOP_MARKET", "TRAILING_STOP_MARKET", "GTC", "IOC", "FOK", "GTX", "GTD", ""),
    *("0", "1", "-1", "0.1", "1e5", "50000", "104250.5", "9" * 25, "NaN", "a", "币", "[]", "{}"),
    *('["a"]', "[1,2]", '[{"symbol":"BTCUSDT"}]', "CONDITIONAL", "EXPIRE_MAKER", "LONG", "BOTH"),
    *("STOP_ON_FAILURE", "ALLOW_FAILURE", "1767225600000", "ISOLATED", "OPPONENT", "0.00000001"),
)
_LIKELY = {
    "symbol": ("BTCUSDT", "BTCUSD_PERP"),
    "side": ("BUY", "SELL"),
    "type": ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_MARKET", "TAKE_PROFIT"),
    "quantity": ("0.01", "1"),
    "price": ("50000", "104250.5", "150000"),
    "triggerPrice": ("90000", "150000"),
    "stopPrice": ("90000", "150000"),
    "algoType": ("CONDITIONAL",),
    "timeInForce": ("GTC", "IOC"),
}


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_over_rest_is_answered(seed: int) -> None:
    venue = exchange(seed)
    trader, rng = Trader(venue), random.Random(seed)
    calls = sorted(dialect(venue).private.calls.items())
    codes = set()
    for (method, path), call in calls * 4:
        values = {}
        for name in call.names:
            if rng.random() < 0.6:
                likely = rng.random() < 0.8
                values[name] = rng.choice(_LIKELY.get(name, _VALUES) if likely else _VALUES)
        body = trader.ask(method, path, **values)
        if trader.status != 200:
            assert set(body) <= {"code", "msg", "data"}, (path, values, body)
            codes.add(body["code"])
    assert len(codes) > 8
    account = venue.desk.accounts["emulator"]
    assert all(balance.locked >= 0 for balance in account.wallet.assets.values())


def test_whatever_is_sent_over_the_socket_is_answered() -> None:
    venue = exchange()
    rng = random.Random(7)
    for path in ("/ws-api/v3", "/ws-fapi/v1", "/ws-dapi/v1"):
        socket = Socket(venue, path)
        frame = json.dumps({"id": 1, "method": "order.place", "params": {"symbol": "BTCUSDT"}})
        for _ in range(150):
            at = rng.randrange(len(frame))
            socket.send(frame[:at] + rng.choice('{}[]",:0aé') + frame[at + rng.randrange(3) :])
            replies = socket.taken()
            assert len(replies) == 1
            assert replies[0]["status"] >= 400
        for method in dialect(venue).private.by_socket(_CATEGORIES[path]):
            reply = socket.ask(method)
            assert reply["status"] == 200 or reply["error"]["code"] < 0


_CATEGORIES = {"/ws-api/v3": "spot", "/ws-fapi/v1": "usdm", "/ws-dapi/v1": "coinm"}


@pytest.mark.parametrize("category", ["spot", "usdm", "coinm"])
@pytest.mark.parametrize("waits", [True, False])
def test_orders_that_did_not_come_over_the_wire_are_told_and_listed_as_others(
    category: str, waits: bool
) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.listen()
    trading = dialect(venue).trading
    account = trading.account(next(iter(trading.desk.keys)), category)
    symbol = "BTCUSD_PERP" if category == "coinm" else "BTCUSDT"
    asked = NewOrder(
        listing=venue.listings[category, symbol],
        side=Side.BUY,
        size=Decimal(1),
        price=Decimal(50_000),
        trigger=Trigger(price=Decimal(200_000), rises=True) if waits else None,
    )
    trading.desk.place(account, asked)
    prefix = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}[category]
    name = "openAlgoOrders" if waits and category != "spot" else "openOrders"
    [row] = trader.ask("GET", f"{prefix}/{name}", symbol=symbol)
    assert (row["side"], row["timeInForce"]) == ("BUY", "GTC")
    assert len(socket.heard()) == (2 if category == "spot" else 0)


def test_bodies_that_are_no_forms_are_refused() -> None:
    trader = Trader(exchange())
    for body in ("\x00", "a=b=c&&=", orjson.dumps({"symbol": "BTCUSDT"}).decode()):
        trader.send("POST", "/api/v3/order", "", body)
        assert trader.status == 400
