"""Bybit by plain requests, which share no code with anybody:
https://bybit-exchange.github.io/docs/v5/guide"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.request
from typing import Any

from tests.trading.processes.others.other import KEY, SECRET, Other, Placement, Refused, Traded

_WINDOW = "5000"


class ByHand(Other):
    """It signs and asks by itself."""

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What is answered."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data)
        if data is not None:
            now = str(time.time_ns() // 1_000_000)
            text = f"{now}{KEY}{_WINDOW}".encode() + data
            for name, value in {
                "X-BAPI-API-KEY": KEY,
                "X-BAPI-TIMESTAMP": now,
                "X-BAPI-RECV-WINDOW": _WINDOW,
                "X-BAPI-SIGN": hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest(),
                "Content-Type": "application/json",
            }.items():
                request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=2.0) as answer:
            found = json.load(answer)
        if found["retCode"]:
            raise Refused(found["retMsg"])
        return found

    def _row(self, what: str, traded: Traded) -> Any:
        path = f"/v5/market/{what}?category={traded.category}&symbol={traded.native}"
        return self.ask(path)["result"]["list"][0]

    def best(self, traded: Traded) -> tuple[str, str]:
        row = self._row("tickers", traded)
        return row["bid1Price"], row["ask1Price"]

    def steps(self, traded: Traded) -> tuple[str, str]:
        rules = self._row("instruments-info", traded)["lotSizeFilter"]
        return rules["minOrderQty"], rules.get("qtyStep") or rules["basePrecision"]

    def send(self, order: Placement) -> None:
        body = {
            "category": order.traded.category,
            "symbol": order.traded.native,
            "side": order.side.capitalize(),
            "orderType": "Limit",
            "price": order.price,
            "qty": order.size,
            "orderLinkId": order.link,
            "timeInForce": "IOC" if order.ioc else "GTC",
        }
        if order.traded.hedged:
            body["positionIdx"] = 1 if order.long else 2
        self.ask("/v5/order/create", body)

    def withdraw(self, order: Placement) -> None:
        named = {"category": order.traded.category, "symbol": order.traded.native}
        self.ask("/v5/order/cancel", {**named, "orderLinkId": order.link})
