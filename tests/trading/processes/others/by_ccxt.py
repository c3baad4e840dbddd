"""Any of the exchanges by ccxt: https://docs.ccxt.com"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlsplit

import ccxt

from tests.trading.processes.others.other import (
    KEY,
    PASSPHRASE,
    SECRET,
    Other,
    Placement,
    Traded,
)

_KINDS = {
    "bybit": ["spot", "linear", "inverse"],
    "okx": ["spot", "swap"],
    "binance": ["spot", "linear", "inverse"],
}
"""What it is to load."""


class ByCcxt(Other):
    """All but options, of which it would have to load thousands."""

    def __init__(self, url: str, seed: int, *, name: str) -> None:
        super().__init__(url, seed)
        self._name = name
        self._client = client = getattr(ccxt, name)(
            {
                "apiKey": KEY,
                "secret": SECRET,
                "password": PASSPHRASE,
                "timeout": 2000,
                "enableRateLimit": False,
                "options": {"fetchMargins": False, "fetchMarkets": {"types": _KINDS[name]}},
            }
        )
        client.has["fetchCurrencies"] = False
        client.urls["api"] = self._pointed(client.urls["api"])
        if name == "binance":
            parse = client.parse_market
            # Of a contract that is only announced ccxt can't read the row.
            known = {"marginAsset": "USDT", "filters": [], "contractType": "PERPETUAL"}
            client.parse_market = lambda row: parse(row if row["filters"] else {**row, **known})
        self._ids: dict[str, str] = {}

    def _pointed(self, address: Any) -> Any:
        if isinstance(address, dict):
            return {name: self._pointed(below) for name, below in address.items()}
        return self.url + urlsplit(address).path

    def _market(self, traded: Traded) -> Any:
        if not self._client.markets:
            self._client.load_markets()
        rows = self._client.markets_by_id[traded.native]
        return next(row for row in rows if bool(row["spot"]) is (traded.category == "spot"))

    def best(self, traded: Traded) -> tuple[str, str]:
        symbol = self._market(traded)["symbol"]
        book = self._client.fetch_order_book(symbol, 5)
        sides = book["bids"], book["asks"]
        bid, ask = (
            self._client.price_to_precision(symbol, rows[0][0]) if rows else "" for rows in sides
        )
        return bid, ask

    def steps(self, traded: Traded) -> tuple[str, str]:
        market = self._market(traded)
        step = self._client.number_to_string(market["precision"]["amount"])
        least = self._client.number_to_string(market["limits"]["amount"]["min"]) or step
        return least, step

    def send(self, order: Placement) -> None:
        more: dict[str, Any] = {"clientOrderId": order.link}
        more["timeInForce"] = "IOC" if order.ioc else "GTC"
        if self._name == "okx" and order.traded.category != "spot":
            more["tdMode"] = "cross"
        if order.traded.hedged:
            side = "long" if order.long else "short"
            more |= {
                "bybit": {"positionIdx": 1 if order.long else 2},
                "okx": {"posSide": side},
                "binance": {"positionSide": side.upper()},
            }[self._name]
        symbol = self._market(order.traded)["symbol"]
        size, price = float(order.size), float(order.price)
        found = self._client.create_order(symbol, "limit", order.side, size, price, more)
        self._ids[order.link] = found["id"]

    def withdraw(self, order: Placement) -> None:
        symbol = self._market(order.traded)["symbol"]
        with contextlib.suppress(KeyError):
            self._client.cancel_order(self._ids[order.link], symbol)
