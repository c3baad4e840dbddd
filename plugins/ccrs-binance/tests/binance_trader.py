"""A client of the emulated Binance's accounts that signs as Binance's documents say, without the
plugin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson
from ccrs_binance.emulator import BinanceDialect

from ccrs_core import NS_PER_MS, NS_PER_SECOND, HttpRequest, HttpResponse
from ccrs_core.emulator import EmulatedExchange, Frame, Peer, ReceivedRequest

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SPOT_API = "/ws-api/v3"


def exchange(seed: int = 0, **options: Any) -> EmulatedExchange:
    options = {"weight_limits": {}, "order_limit_factor": None, **options}
    return EmulatedExchange(BinanceDialect(**options), seed=seed, start_ns=START_NS)


def dialect(venue: EmulatedExchange) -> BinanceDialect:
    assert isinstance(venue.dialect, BinanceDialect)
    return venue.dialect


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def pass_time(venue: EmulatedExchange, seconds: float) -> None:
    venue.advance(venue.now_ns + round(seconds * NS_PER_SECOND))


def form(values: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in values.items())


class Trader:
    """Asks over REST with a key. ``status`` and ``headers`` are the last answer's."""

    def __init__(self, venue: EmulatedExchange, key: str = "emulator", secret: str = "") -> None:
        self.venue, self.key, self.secret = venue, key, secret or key
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def send(self, method: str, path: str, query: str = "", body: str = "") -> HttpResponse:
        """A request as it is."""
        headers = {"X-MBX-APIKEY": self.key}
        request = ReceivedRequest(method, path, (), headers, body.encode(), raw_query=query)
        response = self.venue.http(request, self.venue.now_ns, "127.0.0.1")
        self.status, self.headers = response.status, response.headers
        return response

    def ask(self, method: str, path: str, **values: Any) -> Any:
        """The answer to a request that is signed, and sent now."""
        values.setdefault("timestamp", self.venue.now_ns // NS_PER_MS)
        text = form(values)
        query = f"{text}&signature={signature(self.secret, text)}"
        return orjson.loads(self.send(method, path, query).body)

    def keyed(self, method: str, path: str, **values: Any) -> Any:
        """The answer to one with the key alone."""
        return orjson.loads(self.send(method, path, form(values)).body)

    def order(self, symbol: str, side: str, quantity: str, **more: Any) -> dict[str, Any]:
        """A new order of spot: a limit order where there is a price."""
        kind = {"type": "LIMIT", "timeInForce": "GTC"} if "price" in more else {"type": "MARKET"}
        about = {"symbol": symbol, "side": side, "quantity": quantity}
        found = self.ask("POST", "/api/v3/order", **{**about, **kind, **more})
        assert self.status == 200, found
        return dict(found)

    def best(self, symbol: str, prefix: str = "/api/v3") -> tuple[str, str]:
        """The best bid's and ask's price."""
        query = (("symbol", symbol), ("limit", "5"))
        response = self.venue.http(HttpRequest("GET", f"{prefix}/depth", query), self.venue.now_ns)
        book = orjson.loads(response.body)
        return book["bids"][0][0], book["asks"][0][0]


class Socket:
    """One socket, of the WebSocket API or of user data."""

    def __init__(
        self,
        venue: EmulatedExchange,
        path: str = SPOT_API,
        *,
        key: str = "emulator",
        secret: str = "",
        **query: str,
    ) -> None:
        peer = venue.open(path, query, venue.now_ns)
        assert isinstance(peer, Peer), peer
        self.venue, self.peer = venue, peer
        self.key, self.secret = key, secret or key
        self.said: list[dict[str, Any]] = []
        self._requests = count(1)

    def send(self, request: Any) -> None:
        text = request if isinstance(request, str) else orjson.dumps(request).decode()
        self.peer.received(text, self.venue.now_ns)

    def ask(self, method: str, *, signed: bool = True, **params: Any) -> dict[str, Any]:
        """The answer to a request; events that came meanwhile are kept."""
        if signed:
            params = {"apiKey": self.key, "timestamp": self.venue.now_ns // NS_PER_MS, **params}
            text = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = signature(self.secret, text)
        number = next(self._requests)
        self.send({"id": number, "method": method, "params": params})
        frames = self.taken()
        [reply] = [frame for frame in frames if frame.get("id") == number]
        self.said += [frame for frame in frames if frame.get("id") != number]
        return reply

    def listen(self) -> None:
        """Subscribe to the account's events, of spot."""
        answer = self.ask("userDataStream.subscribe.signature")
        assert answer["status"] == 200, answer

    def heard(self, seconds: float = 0.1) -> list[dict[str, Any]]:
        """Events since the last time, and within so many seconds from now."""
        pass_time(self.venue, seconds)
        found, self.said = self.said + self.taken(), []
        return [frame.get("event", frame) for frame in found]

    def taken(self) -> list[dict[str, Any]]:
        return [
            orjson.loads(action.payload) for action in self.peer.take() if isinstance(action, Frame)
        ]


def of(events: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """The events of a kind."""
    return [event for event in events if event.get("e") == kind]
