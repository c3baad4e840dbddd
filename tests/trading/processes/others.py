"""Another program of the account, which shares no code with the client: it signs and asks by
itself, and cares for no answer.

Started as ``python -m tests.trading.processes.others URL SEED CATEGORY:SYMBOL:HEDGED…``; it goes on
until it is killed. It speaks Bybit's dialect: https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import random
import sys
import time
import urllib.request
from typing import Any

KEY, SECRET = "webKey", "webSecret"
_WINDOW = "5000"


class Web:
    """Orders by plain requests."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.random = random.Random(seed)
        self.count = 0
        self.placed: list[tuple[str, str, str]] = []

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
            return json.load(answer)

    def place(self, category: str, symbol: str, hedged: bool) -> None:
        """A limit order at what the other side asks for: mostly it is filled at once."""
        rng = self.random
        found = self.ask(f"/v5/market/tickers?category={category}&symbol={symbol}")
        ticker = found["result"]["list"][0]
        buys = rng.random() < 0.5
        price = ticker["ask1Price" if buys else "bid1Price"]
        if not price or not float(price):
            return
        self.count += 1
        link = f"web{rng.getrandbits(24):06x}{self.count:06d}"
        body = {
            "category": category,
            "symbol": symbol,
            "side": "Buy" if buys else "Sell",
            "orderType": "Limit",
            "price": price,
            "qty": self.size(category, symbol),
            "orderLinkId": link,
            "timeInForce": rng.choice(["GTC", "GTC", "IOC"]),
        }
        if hedged:
            body["positionIdx"] = rng.choice([1, 2])  # opens one, or makes the other smaller
        self.ask("/v5/order/create", body)
        self.placed.append((category, symbol, link))

    def size(self, category: str, symbol: str) -> str:
        """A small order's."""
        path = f"/v5/market/instruments-info?category={category}&symbol={symbol}"
        rules = self.ask(path)["result"]["list"][0]["lotSizeFilter"]
        least = rules["minOrderQty"]
        if category in ("spot", "linear"):
            step = rules.get("qtyStep") or rules["basePrecision"]
            digits = len(step.partition(".")[2])
            return f"{max(float(least) * 10, float(step) * 10):.{digits}f}"
        return str(least)

    def cancel(self) -> None:
        """One of its own."""
        if self.placed:
            category, symbol, link = self.random.choice(self.placed)
            named = {"category": category, "symbol": symbol, "orderLinkId": link}
            self.ask("/v5/order/cancel", named)


def main(url: str, seed: str, *symbols: str) -> None:
    web = Web(url, int(seed))
    while True:
        category, symbol, hedged = web.random.choice(symbols).split(":")
        # Whatever goes wrong with a request: the next one.
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
            if web.random.random() < 0.3:
                web.cancel()
            else:
                web.place(category, symbol, bool(int(hedged)))
        time.sleep(web.random.uniform(0.1, 0.6))


if __name__ == "__main__":
    main(*sys.argv[1:])
