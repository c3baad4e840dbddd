"""A client of the emulated Bybit's accounts that signs as Bybit's documents say, without the
plugin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import orjson
from ccrs_bybit.emulator import BybitDialect

from ccrs_core import NS_PER_MS, NS_PER_SECOND, HttpRequest, HttpResponse
from ccrs_core.emulator import EmulatedExchange, Frame, Peer, ReceivedRequest

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def exchange(seed: int = 0, **limits: Any) -> EmulatedExchange:
    limits = {"user_limit_factor": None, "request_limit": None, **limits}
    return EmulatedExchange(BybitDialect(**limits), seed=seed, start_ns=START_NS)


def dialect(venue: EmulatedExchange) -> BybitDialect:
    assert isinstance(venue.dialect, BybitDialect)
    return venue.dialect


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def pass_time(venue: EmulatedExchange, seconds: float) -> None:
    venue.advance(venue.now_ns + round(seconds * NS_PER_SECOND))


class Trader:
    """Asks over REST with a key."""

    def __init__(
        self, venue: EmulatedExchange, key: str = "emulator", secret: str = "", **more: Any
    ) -> None:
        self.venue, self.key, self.secret = venue, key, secret or key
        self.address: str = more.get("address", "127.0.0.1")
        self.headers: Mapping[str, str] = {}

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        at_ms: int | None = None,
        window: str = "5000",
        sign: str | None = None,
    ) -> HttpResponse:
        """A request as it is; signed unless ``sign`` says otherwise."""
        timestamp = str(self.venue.now_ns // NS_PER_MS if at_ms is None else at_ms)
        said = query if method == "GET" else body.decode()
        proof = signature(self.secret, f"{timestamp}{self.key}{window}{said}")
        headers = {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": timestamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": proof if sign is None else sign,
        }
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        request = ReceivedRequest(method, path, pairs, headers, body, raw_query=query)
        return self.venue.http(request, self.venue.now_ns, self.address)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer's JSON; parameters are sent by name as they are."""
        response = self.ask("GET", path, _query(query))
        self.headers = response.headers
        answer: dict[str, Any] = orjson.loads(response.body)
        return answer

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        response = self.ask("POST", path, body=orjson.dumps(body))
        self.headers = response.headers
        answer: dict[str, Any] = orjson.loads(response.body)
        return answer

    def create(self, category: str, symbol: str, side: str, qty: str, **more: Any) -> str:
        """The id of a new order: a limit order where there is a price."""
        kind = "Limit" if "price" in more else "Market"
        about = {"category": category, "symbol": symbol, "side": side, "qty": qty}
        answer = self.post("/v5/order/create", **{"orderType": kind, **about, **more})
        assert answer["retCode"] == 0, answer
        return str(answer["result"]["orderId"])

    def order(self, category: str, order_id: str) -> dict[str, Any]:
        """The order as ``realtime`` tells of it."""
        answer = self.get("/v5/order/realtime", category=category, orderId=order_id)
        [row] = answer["result"]["list"]
        return dict(row)

    def best(self, category: str, symbol: str) -> tuple[str, str]:
        """The best bid's and ask's price."""
        query = (("category", category), ("symbol", symbol), ("limit", "1"))
        response = self.venue.http(HttpRequest("GET", "/v5/market/orderbook", query), self.now_ns)
        book = orjson.loads(response.body)["result"]
        return book["b"][0][0], book["a"][0][0]

    @property
    def now_ns(self) -> int:
        return self.venue.now_ns


def _query(values: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={value}" for name, value in values.items())


class Socket:
    """One private or trade socket."""

    def __init__(
        self,
        venue: EmulatedExchange,
        path: str = "/v5/private",
        *,
        key: str = "emulator",
        secret: str = "",
        login: bool = True,
        **query: str,
    ) -> None:
        peer = venue.open(path, query, venue.now_ns)
        assert isinstance(peer, Peer), peer
        self.venue, self.peer = venue, peer
        self.key, self.secret = key, secret or key
        self.said: list[dict[str, Any]] = []
        self._requests = count(1)
        if login:
            self.login()

    def login(self, expires_in: float = 10.0, sign: str | None = None) -> dict[str, Any]:
        expires = self.venue.now_ns // NS_PER_MS + round(expires_in * 1000)
        proof = signature(self.secret, f"GET/realtime{expires}") if sign is None else sign
        return self.ask({"op": "auth", "args": [self.key, expires, proof]})

    def send(self, request: Any) -> None:
        text = request if isinstance(request, str) else orjson.dumps(request).decode()
        self.peer.received(text, self.venue.now_ns)

    def ask(self, request: Any) -> dict[str, Any]:
        """The reply to a request; data that came meanwhile is kept."""
        self.send(request)
        frames = self._taken()
        replies = [frame for frame in frames if "topic" not in frame]
        self.said += [frame for frame in frames if "topic" in frame]
        assert len(replies) == 1, replies
        return replies[0]

    def subscribe(self, *topics: str) -> dict[str, Any]:
        return self.ask({"op": "subscribe", "args": list(topics)})

    def heard(self, seconds: float = 0.1) -> list[dict[str, Any]]:
        """What was pushed since the last time, and within so many seconds from now."""
        pass_time(self.venue, seconds)
        found, self.said = self.said + self._taken(), []
        return found

    def rows(self, topic: str, seconds: float = 0.1) -> list[dict[str, Any]]:
        """The rows of a topic that were pushed."""
        return rows(self.heard(seconds), topic)

    def order(self, operation: str, **body: Any) -> dict[str, Any]:
        """The answer of the trade socket."""
        header = {"X-BAPI-TIMESTAMP": str(self.venue.now_ns // NS_PER_MS)}
        request_id = f"r{next(self._requests)}"
        return self.ask({"reqId": request_id, "header": header, "op": operation, "args": [body]})

    def _taken(self) -> list[dict[str, Any]]:
        return [
            orjson.loads(action.payload) for action in self.peer.take() if isinstance(action, Frame)
        ]


def rows(frames: Iterable[Mapping[str, Any]], topic: str) -> list[dict[str, Any]]:
    """The rows of a topic's frames."""
    return [row for frame in frames if frame.get("topic") == topic for row in frame["data"]]
