"""A client of the emulated OKX's accounts that signs as OKX's documents say, without the plugin."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from ccrs_okx.emulator import OkxDialect

from ccrs_core import NS_PER_MS, NS_PER_SECOND, HttpResponse
from ccrs_core.emulator import EmulatedExchange, Frame, Listing, Peer, ReceivedRequest

START_NS = 1_767_225_600 * NS_PER_SECOND  # 2026-01-01T00:00:00Z
BTC, SWAP, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"


def exchange(seed: int = 0, **limits: Any) -> EmulatedExchange:
    """An emulated OKX without limits, unless told otherwise, whose markets hardly move."""
    limits = {"user_limit_factor": None, "connect_limit": None, **limits}
    return EmulatedExchange(OkxDialect(**limits), seed=seed, rate=1.0, start_ns=START_NS)


def dialect(venue: EmulatedExchange) -> OkxDialect:
    assert isinstance(venue.dialect, OkxDialect)
    return venue.dialect


def listing(venue: EmulatedExchange, symbol: str) -> Listing:
    found = dialect(venue).listing(symbol)
    assert found is not None
    return found


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def pass_time(venue: EmulatedExchange, seconds: float) -> None:
    venue.advance(venue.now_ns + round(seconds * NS_PER_SECOND))


def still(venue: EmulatedExchange, symbol: str) -> Decimal:
    """Let a market stand still, with five levels a side around a price, which is returned."""
    one = listing(venue, symbol)
    price, step = one.price // 1, max(one.tick, one.price // 1000)
    size = one.min_size * 1000
    venue.steer(one, bids=(), asks=())
    venue.steer(
        one,
        bids=[(price - step * n, size) for n in range(1, 6)],
        asks=[(price + step * n, size) for n in range(1, 6)],
        last_price=price,
        mark_price=price,
        index_price=price,
    )
    return price


class Trader:
    """Asks over REST with a key."""

    def __init__(self, venue: EmulatedExchange, key: str = "emulator") -> None:
        self.venue, self.key = venue, key
        self.address = "127.0.0.1"

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        at_ms: int | None = None,
        **headers: str | None,
    ) -> HttpResponse:
        """A request as it is; ``headers`` take the place of those that are right, None of none."""
        now_ms = self.venue.now_ns // NS_PER_MS if at_ms is None else at_ms
        stamp = (
            f"{datetime.fromtimestamp(now_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"
        )
        path = f"/api/v5/{path}"
        asked = f"?{query}" if query else ""
        right = {
            "OK-ACCESS-KEY": self.key,
            "OK-ACCESS-PASSPHRASE": "emulator",
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-SIGN": signature(self.key, f"{stamp}{method}{path}{asked}{body.decode()}"),
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (right | changed).items() if value is not None}
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        request = ReceivedRequest(method, path, pairs, sent, body, raw_query=query)
        return self.venue.http(request, self.venue.now_ns, self.address)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self.ask("GET", path, urlencode(query)).body)
        return answer

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The data of an answer that is one."""
        answer = self.get(path, **query)
        assert answer["code"] == "0", answer
        found: list[dict[str, Any]] = answer["data"]
        return found

    def post(self, path: str, body: Any) -> dict[str, Any]:
        response = self.ask("POST", path, body=json.dumps(body).encode())
        answer: dict[str, Any] = orjson.loads(response.body)
        return answer

    def does(self, path: str, body: Any, seconds: float = 0.05) -> dict[str, Any]:
        """The first row of what was done, and time for it to be carried out."""
        answer = self.post(path, body)
        assert answer["code"] == "0", answer
        pass_time(self.venue, seconds)
        row: dict[str, Any] = answer["data"][0]
        return row

    def refused(self, path: str, body: Any) -> str:
        """The code by which something is refused: an item's, else the answer's."""
        answer = self.post(path, body)
        assert answer["code"] != "0", answer
        rows = answer["data"]
        return str(rows[0]["sCode"] if rows and "sCode" in rows[0] else answer["code"])

    def order(self, order_id: str, symbol: str = SWAP) -> dict[str, Any]:
        [row] = self.rows("trade/order", instId=symbol, ordId=order_id)
        return row


def limit(symbol: str = SWAP, side: str = "buy", **more: str) -> dict[str, Any]:
    """The fields of a limit order."""
    mode = "cash" if symbol == BTC else "cross"
    terms = {"instId": symbol, "tdMode": mode, "side": side, "ordType": "limit", "sz": "1"}
    return {**terms, **more}


class Private:
    """One private WebSocket."""

    def __init__(self, venue: EmulatedExchange, path: str = "private") -> None:
        peer = venue.open(f"/ws/v5/{path}", {}, venue.now_ns)
        assert isinstance(peer, Peer)
        self.venue, self.peer = venue, peer
        self.messages: list[dict[str, Any]] = []

    def send(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Send a request; what has come since the last time."""
        self.peer.received(json.dumps(request), self.venue.now_ns)
        return self.heard()

    def log_in(self, key: str = "emulator", **changed: str) -> list[dict[str, Any]]:
        stamp = str(self.venue.now_ns // NS_PER_SECOND)
        sign = signature(key, f"{stamp}GET/users/self/verify")
        arg = {"apiKey": key, "passphrase": "emulator", "timestamp": stamp, "sign": sign}
        return self.send({"op": "login", "args": [arg | changed]})

    def subscribe(self, *channels: str, **more: str) -> list[dict[str, Any]]:
        kinds = {"orders", "positions", "orders-algo", "liquidation-warning"}
        args = [
            {"channel": each, **({"instType": "ANY"} if each in kinds else {}), **more}
            for each in channels
        ]
        return self.send({"id": "s1", "op": "subscribe", "args": args})

    def heard(self) -> list[dict[str, Any]]:
        frames = [json.loads(a.payload) for a in self.peer.take() if isinstance(a, Frame)]
        self.messages += frames
        return frames

    def rows(
        self, channel: str, want: Callable[[dict[str, Any]], bool] = lambda row: True
    ) -> list[dict[str, Any]]:
        """All rows of a channel so far."""
        self.heard()
        found = [m for m in self.messages if m.get("arg", {}).get("channel") == channel]
        return [row for message in found for row in message.get("data", ()) if want(row)]
