"""Binance's voice for the emulator: requests read as strictly as Binance reads them.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_binance.emulator_listings import COINM, SPOT, USDM, listings
from ccrs_binance.emulator_private_rest import PrivateRest
from ccrs_binance.emulator_rest import Rest, contract_info
from ccrs_binance.emulator_streams import Voice, made
from ccrs_binance.emulator_trading import Trading
from ccrs_binance.emulator_user_streams import ROUTES, user_socket
from ccrs_binance.emulator_weights import Weights, refusal
from ccrs_binance.emulator_ws_api import ApiSession
from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    Exit,
    HttpRequest,
    HttpResponse,
    InstrumentStatus,
    Market,
    UsageError,
)
from ccrs_core.emulator import (
    Allowance,
    Broadcast,
    Desk,
    DeskOrder,
    Dialect,
    Frame,
    Handshake,
    HttpRefusal,
    Listing,
    ListingFeed,
    Oddity,
    Venue,
    Visitor,
    json_object,
)

# Symbols may have letters of any alphabet.
_WELL_FORMED = re.compile(r"[^\W_A-Z][^\WA-Z]*@[A-Za-z0-9_@+:]+")
_OF_ALL = "!contractInfo"
_SILENT = frozenset({InstrumentStatus.CLOSED, InstrumentStatus.PRELAUNCH})
_APIS = {"/ws-api/v3": SPOT, "/ws-fapi/v1": USDM, "/ws-dapi/v1": COINM}
"""Where the WebSocket APIs are."""
_LIFETIME_NS = 24 * 3600 * NS_PER_SECOND


@attrs.frozen
class Root:
    """One of the paths under which streams are served."""

    category: str
    kinds: tuple[str, ...]
    """What the streams' names begin with, after the symbol; of others nothing comes."""
    messages: int
    """Messages that a client may send in a second."""
    streams: int
    """Streams that a connection may have."""
    pings: tuple[float, float]
    """Seconds between pings, and until a pong must have come."""


_PUBLIC = ("bookTicker", "depth")
_MARKET = ("aggTrade", "ticker", "kline_", "markPrice", "forceOrder", "contractInfo")
_SPOT = Root(SPOT, (*_PUBLIC, "trade", "aggTrade", "ticker", "kline_"), 5, 1024, (20.0, 60.0))


def _futures(category: str, kinds: tuple[str, ...]) -> Root:
    return Root(category, kinds, 10, 1024, (180.0, 600.0))


def roots(coinm_routed: bool) -> dict[str, Root]:
    """By path. Futures have hosts of their own, which are ``/fstream`` and ``/dstream`` here.

    USD-M's old path still acknowledges everything and sends but books, quotes and trades; whether
    COIN-M's does so, too, is contested, as is what becomes of its new paths otherwise.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
    """
    found = {
        "": _SPOT,
        "/fstream": _futures(USDM, (*_PUBLIC, "rpiDepth", "trade")),
        "/fstream/public": _futures(USDM, (*_PUBLIC, "rpiDepth")),
        "/fstream/market": _futures(USDM, _MARKET),
        "/dstream": _futures(COINM, () if coinm_routed else (*_PUBLIC, *_MARKET)),
    }
    if coinm_routed:
        found["/dstream/public"] = _futures(COINM, _PUBLIC)
        found["/dstream/market"] = _futures(COINM, _MARKET)
    return found


class BinanceDialect(Dialect):
    """Binance's public streams and market data, spot, USD-M and COIN-M.

    :param weight_limits: request weight that an address may spend in a minute, by category; None
        for no limit. COIN-M's is USD-M's.
    :param coinm_routed: whether COIN-M's streams have gone to two paths, as USD-M's have.
    :param connect_limit: WebSockets that it may open in 5 minutes; None: any number.
    :param order_limit_factor: how many times the usual orders in 10 seconds, a minute or a day an
        account may place; None: any number.
    :param one_wallet: whether spot and both kinds of contracts share one wallet.
    :param coinm_user_route: which of the contested paths brings COIN-M's events: ``ws``,
        ``private`` or ``auth``; at the others sockets stay silent.
    """

    name: ClassVar[str] = "binance"
    # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
    lacks: ClassVar[Mapping[Oddity, str]] = {
        Oddity.BLOCK_TRADE: "trade and aggTrade tell those of the book alone, without such a flag",
        Oddity.UNLISTED: "whatever is well-formed is acknowledged; of what isn't listed nothing "
        "is ever sent",
        Oddity.BUSY: "who asks too often is disconnected; the documented errors of requests "
        "(unknown property, invalid type, request or JSON) are for good",
    }
    announces_shutdown: ClassVar[bool] = True

    def __init__(
        self,
        *,
        weight_limits: Mapping[str, int | None] | None = None,
        connect_limit: int | None = 300,
        coinm_routed: bool = False,
        special_funding: Mapping[str, Mapping[int, str]] | None = None,
        order_limit_factor: float | None = 1.0,
        one_wallet: bool = False,
        coinm_user_route: str = "ws",
    ) -> None:
        self._roots = roots(coinm_routed)
        limits = {SPOT: 6000, USDM: 2400} if weight_limits is None else weight_limits
        self.weights = {category: Weights(limits.get(category)) for category in (SPOT, USDM)}
        self.weights[COINM] = self.weights[USDM]
        self._connects = Allowance(connect_limit, 300)
        self.special_funding = special_funding or {}
        """Rates that are paid besides the regular ones, by symbol and time in milliseconds."""
        self._order_limit_factor = order_limit_factor
        self._one_wallet = one_wallet
        if coinm_user_route not in ROUTES:
            raise UsageError(f"COIN-M's events come by {', '.join(ROUTES)}, not {coinm_user_route}")
        self._coinm_user_route = coinm_user_route
        self._rest = Rest(self)

    # --- what the core asks ---

    def attach(self, venue: Venue) -> None:
        super().attach(venue)
        self.trading = Trading(
            venue,
            lambda conduct: Desk(venue, conduct),
            order_limit_factor=self._order_limit_factor,
            one_wallet=self._one_wallet,
        )
        """Accounts and all that is done with them."""
        self.desk = self.trading.desk
        self.private = PrivateRest(self.trading, self.weights)
        """What answers requests of accounts."""

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return listings(start_ns)

    def wallet(self, account: str, market: Market) -> str:
        return self.trading.wallet(account, market)

    def exits(self, order: DeskOrder) -> tuple[Exit | None, Exit | None]:
        return self.trading.lists.exits(order)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        path = handshake.path
        category = _APIS.get(path)
        if category is not None:
            return self._session(handshake, category)
        user = user_socket(self.trading, handshake, self._coinm_user_route)
        if user is not None:
            if not self._connects.enter(handshake.address, self.venue.now_ns):
                return HttpRefusal(status=429, body=b"Too many connections")
            return user
        prefix = max((root for root in self._roots if path.startswith(f"{root}/")), key=len)
        mode, _, names = path.removeprefix(f"{prefix}/").partition("/")
        if mode not in {"stream", "ws"}:
            return HttpRefusal(status=404, body=b"404 page not found")
        if not self._connects.enter(handshake.address, self.venue.now_ns):
            return HttpRefusal(status=429, body=b"Too many connections")
        topics = handshake.query.get("streams", "") if mode == "stream" else names
        return BinanceVisitor(self, self._roots[prefix], mode == "stream", topics)

    def _session(self, handshake: Handshake, category: str) -> Visitor | HttpRefusal:
        if not self._connects.enter(handshake.address, self.venue.now_ns):
            return HttpRefusal(status=429, body=b"Too many connections")
        hides = handshake.query.get("returnRateLimits") == "false"
        return ApiSession(self, category, handshake.address, hides)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        if self.private.knows(request):
            return self.private.answer(request, address, now_ns)
        return self._rest.answer(request, address, now_ns)

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        if status in {418, 429}:
            text = "Too many requests; current limit is 6000 request weight per 1 MINUTE."
            return refusal(-1003, text, status, {"Retry-After": "10"})
        if status >= 500:
            return refusal(-1001, "Internal error; unable to process your request.", status, {})
        return HttpResponse(status, {"content-type": "text/html"}, b"<html></html>")

    def unclear(self, now_ns: int) -> HttpResponse | None:
        return refusal(
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution "
            "status unknown.",
            408,
            {},
        )

    def shutdown_notice(self, peer: Any, now_ns: int) -> Frame | None:
        data = {"e": "serverShutdown", "E": now_ns // NS_PER_MS}
        if peer.path in _APIS:
            return Frame.json({"event": data})
        if peer.path.endswith("/stream"):
            return Frame.json({"stream": "!serverShutdown", "data": data})
        return Frame.json(data)

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        frame = json_object(raw)
        if frame is None or not isinstance(frame.get("stream"), str):
            return None
        data = frame.get("data")
        time = data.get("E") if isinstance(data, dict) else None
        return frame["stream"], time * NS_PER_MS if isinstance(time, int) else None

    # --- what sessions ask ---

    def broadcast(self, root: Root, topic: str, combined: bool, now_ns: int) -> Broadcast | None:
        """The stream of a name; None where there is none, or not under this root."""
        venue = self.venue
        if topic == _OF_ALL:
            return self._contracts(root, combined)
        name, _, kind = topic.partition("@")
        listing = venue.listings.get((root.category, name.upper()))
        voice = None
        if listing is not None and listing.status not in _SILENT:
            market = venue.market(listing)  # which goes on, whether anything is sent of it or not
            if name == name.lower() and kind.startswith(root.kinds):
                voice = Voice(market, venue.seed)

        def make() -> Broadcast | None:
            return None if voice is None else made(root.category, topic, voice, combined)

        category = f"{root.category}/{'combined' if combined else 'raw'}"
        return venue.broadcast(category, topic, make, listed=voice is not None)

    def _contracts(self, root: Root, combined: bool) -> Broadcast | None:
        """``!contractInfo``, of futures alone: what is listed, and its status; of ticks and lots it
        says nothing.
        https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Contract-Info-Stream
        """

        def listed() -> Sequence[Listing]:
            return self.venue.listed(root.category)

        def write(feed: ListingFeed, changed: Sequence[Listing], now_ns: int) -> Frame:
            data = contract_info(changed[0], now_ns)
            return Frame.json({"stream": _OF_ALL, "data": data} if combined else data)

        def make() -> Broadcast:
            about: Any = attrgetter("status", "expiry_ns")
            return ListingFeed(_OF_ALL, listed, write, greets=False, singly=True, about=about)

        category = f"{root.category}/{'combined' if combined else 'raw'}"
        served = "contractInfo" in root.kinds
        return self.venue.broadcast(category, _OF_ALL, make, listed=served)


class BinanceVisitor(Visitor):
    """One WebSocket. What it subscribes to is checked for its form alone: of a stream that doesn't
    exist, or not under this root, nothing is ever heard."""

    idle_timeout: ClassVar[float | None] = None

    def __init__(self, dialect: BinanceDialect, root: Root, combined: bool, topics: str) -> None:
        self._dialect = dialect
        self._root = root
        # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
        self.ping_interval, self.pong_timeout = root.pings
        self._combined = combined
        self._initial = [topic for topic in topics.split("/") if topic]
        self._wanted: dict[str, None] = {}
        self._messages = Allowance(root.messages, 1)

    def opened(self, now_ns: int) -> None:
        self.peer.venue.at(now_ns + _LIFETIME_NS, lambda _: self.peer.close(1001, ""))
        for topic in self._initial:
            self._begin(topic, now_ns)

    def heartbeat(self, now_ns: int) -> None:
        self._count(now_ns)  # pings and pongs are messages, too

    def _count(self, now_ns: int) -> None:
        if not self._messages.enter("", now_ns):
            self.peer.close(1008, "Too many requests")

    def received(self, frame: str | bytes, now_ns: int) -> None:
        self._count(now_ns)
        if not self.peer.open:
            return
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            self._refuse(None, 3, f"Invalid JSON: {error}")
            return
        if not isinstance(request, dict):
            self._refuse(None, 2, "Invalid request: request must be an object")
            return
        number = request.get("id")
        match request.get("method"):
            case "SUBSCRIBE":
                self._subscribe(request.get("params"), number, now_ns)
            case "UNSUBSCRIBE":
                self._unsubscribe(request.get("params"), number)
            case "LIST_SUBSCRIPTIONS":
                self._say({"result": list(self._wanted), "id": number}, ack=False)
            case "GET_PROPERTY" if request.get("params") == ["combined"]:
                self._say({"result": self._combined, "id": number}, ack=False)
            case "SET_PROPERTY":
                self._set_property(request.get("params"), number, now_ns)
            case _:
                self._refuse(number, 2, "Invalid request: unknown variant")

    def _subscribe(self, params: Any, number: Any, now_ns: int) -> None:
        topics = self._topics(params, number)
        if topics is None:
            return
        if len(self._wanted.keys() | set(topics)) > self._root.streams:
            self._say({"error": {"code": 4, "msg": "Too many subscriptions"}})
            self.peer.close(1008, "Too many subscriptions")
            return
        self._say({"result": None, "id": number})
        for topic in topics:
            if topic not in self._wanted:
                self._begin(topic, now_ns)

    def _begin(self, topic: str, now_ns: int) -> None:
        self._wanted[topic] = None
        stream = self._dialect.broadcast(self._root, topic, self._combined, now_ns)
        if stream is not None:
            self.peer.subscribe(stream, now_ns)

    def _unsubscribe(self, params: Any, number: Any) -> None:
        topics = self._topics(params, number)
        if topics is None:
            return
        for topic in topics:
            self._wanted.pop(topic, None)
            self.peer.unsubscribe(topic)
        self._say({"result": None, "id": number})

    def _set_property(self, params: Any, number: Any, now_ns: int) -> None:
        """Whether frames name their stream is up to the client, and may change at any time."""
        # In Python 1 is True, too.
        if params not in (["combined", True], ["combined", False]) or type(params[1]) is int:
            self._refuse(number, 2, "Invalid request: unknown property")
            return
        self._say({"result": None, "id": number})
        if params[1] is not self._combined:
            self._combined = params[1]
            for topic in list(self._wanted):
                self.peer.unsubscribe(topic)
                self._begin(topic, now_ns)

    def _topics(self, params: Any, number: Any) -> list[str] | None:
        """The request's streams; None once it has been refused."""
        if not isinstance(number, int | str) and number is not None:
            self._refuse(None, 2, "Invalid request: request ID must be an integer or a string")
            return None
        if not isinstance(params, list):
            self._refuse(number, 2, "Invalid request: streams must be an array")
            return None
        # Capitals are an error on spot; of futures nothing comes.
        folded = [
            topic.lower() if self._root.category != SPOT and isinstance(topic, str) else topic
            for topic in params
        ]
        of_all = _OF_ALL if self._root.category == SPOT else _OF_ALL.lower()
        if not all(
            isinstance(topic, str) and (topic == of_all or _WELL_FORMED.fullmatch(topic))
            for topic in folded
        ):
            self._refuse(number, 2, "Invalid request: invalid stream")
            self.peer.close(1008, "Invalid request")
            return None
        return list(dict.fromkeys(params))

    def _refuse(self, number: Any, code: int, text: str) -> None:
        self._say({"error": {"code": code, "msg": text}, "id": number})

    def _say(self, reply: Mapping[str, Any], *, ack: bool = True) -> None:
        self.peer.reply(Frame.json(reply), ack=ack)
