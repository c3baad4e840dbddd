"""Bybit's voice for the emulator: requests read as strictly as Bybit reads them, and its replies.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from ccrs_bybit.emulator_entry import EntrySession
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT, listings
from ccrs_bybit.emulator_private import PrivateSession
from ccrs_bybit.emulator_private_rest import PrivateRest
from ccrs_bybit.emulator_replies import envelope, failure
from ccrs_bybit.emulator_rest import Rest
from ccrs_bybit.emulator_sessions import active_time
from ccrs_bybit.emulator_streams import (
    BOOK_SPEEDS,
    INTERVALS,
    Book,
    RetailBook,
    Ticker,
    candle_feed,
    liquidation_feed,
    trade_feed,
)
from ccrs_bybit.emulator_trading import Trading, conduct
from ccrs_core import NS_PER_MS, HttpRequest, HttpResponse, InstrumentStatus
from ccrs_core.emulator import (
    Allowance,
    Broadcast,
    Desk,
    Dialect,
    Frame,
    Handshake,
    HttpRefusal,
    Listing,
    Oddity,
    Peer,
    Together,
    Venue,
    Visitor,
    json_object,
    milliseconds,
)

_TOPIC_CHARACTERS = 21_000
_SPOT_ARGUMENTS = 10
_OPTION_TOPICS = 2000


class BybitDialect(Dialect):
    """Bybit v5's public streams and market data.

    :param request_limit: REST requests that an address may make in 5 seconds; None: any number.
    :param connect_limit: WebSockets that it may open in 5 minutes; None: any number.
    :param user_limit_factor: how many times the documented requests a second of each signed call a
        user may make; None: any number.
    :param spot_triggers_anew: whether what a triggered spot order brings to life has an order id of
        its own, as older reports have it; Bybit's documents don't say.
    """

    name: ClassVar[str] = "bybit"
    # https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
    lacks: ClassVar[Mapping[Oddity, str]] = {
        Oddity.STANDSTILL: "tickers are told when they change, which they do all the time: index "
        "and mark prices follow other exchanges, the figures of 24 hours the clock",
        Oddity.BUSY: "https://bybit-exchange.github.io/docs/v5/ws/connect names no refusal of a "
        "public subscription that is lifted later; who asks too often is disconnected",
        Oddity.HALTED: "https://bybit-exchange.github.io/docs/v5/enum#status knows PreLaunch, "
        "Trading, Delivering and Closed alone",
    }

    def __init__(
        self,
        *,
        request_limit: int | None = 600,
        connect_limit: int | None = 500,
        user_limit_factor: float | None = 1.0,
        spot_triggers_anew: bool = False,
    ) -> None:
        self.requests = Allowance(request_limit, 5.0)
        self._connects = Allowance(connect_limit, 300.0)
        self._limit_factor = user_limit_factor
        self._anew = spot_triggers_anew
        self._rest = Rest(self)

    # --- what the core asks ---

    def attach(self, venue: Venue) -> None:
        super().attach(venue)
        self.desk = Desk(venue, conduct(spot_triggers_anew=self._anew))
        self.trading = Trading(venue, self.desk, limit_factor=self._limit_factor)
        """Accounts and all that is done with them."""
        self.private = PrivateRest(self.trading)
        """What answers signed requests."""

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return listings(start_ns)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        prefix, _, category = handshake.path.rpartition("/")
        private = prefix == "/v5" and category in {"private", "trade"}
        if private:
            return self._session(handshake, category)
        if prefix != "/v5/public" or category not in CATEGORIES:
            return HttpRefusal(status=404, body=b"404 page not found")
        if not self._connects.enter(handshake.address, self.venue.now_ns):
            return HttpRefusal(status=403, body=b"access too frequent")
        return BybitVisitor(self, category)

    def _session(self, handshake: Handshake, kind: str) -> Visitor | HttpRefusal:
        if not self._connects.enter(handshake.address, self.venue.now_ns):
            return HttpRefusal(status=403, body=b"access too frequent")
        seconds = active_time(handshake)
        if isinstance(seconds, HttpRefusal):
            return seconds
        make = PrivateSession if kind == "private" else EntrySession
        return make(self.trading, handshake.address, seconds)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        return self._rest.answer(request, address, now_ns)

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        return failure(status, now_ns)

    def unclear(self, now_ns: int) -> HttpResponse | None:
        # Seen where an order had been taken: https://github.com/bybit-exchange/pybit/issues/234
        return envelope(10000, "Server Timeout", {}, self.venue.told_ns, {})

    def busy(self, peer: Peer, request: str | bytes, now_ns: int) -> Frame | None:
        visitor = peer.visitor
        return visitor.turned_away(request) if isinstance(visitor, EntrySession) else None

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        frame = json_object(raw)
        if frame is None or not isinstance(frame.get("topic"), str):
            return None
        ts = frame.get("ts")
        return frame["topic"], ts * NS_PER_MS if isinstance(ts, int) else None

    # --- what sessions and endpoints ask ---

    def deepest_book(self, listing: Listing, now_ns: int) -> Book:
        """The stream of a listing's deepest book, whose numbers REST shares; nothing pending."""
        depth = max(BOOK_SPEEDS[listing.category])
        topic = f"orderbook.{depth}.{listing.symbol}"
        market, seed = self.venue.market(listing), self.venue.seed
        book = self.venue.simulated(
            listing.category, topic, lambda: Book(topic, market, depth, seed)
        )
        book.flush(now_ns)
        return book

    def broadcast(self, category: str, topic: str) -> Broadcast | None:
        """The broadcast of a topic; None where Bybit has none of that name."""
        venue = self.venue
        kind, *rest = topic.split(".", 2 if topic.startswith(("orderbook.", "kline.")) else 1)
        symbol = rest[-1] if rest else ""
        if (kind, category) == ("publicTrade", OPTION):  # of all options of a coin
            about = [each for each in venue.listed(category) if each.base == symbol]
        else:
            one = venue.listings.get((category, symbol))
            about = [] if one is None or one.status is InstrumentStatus.CLOSED else [one]

        def make() -> Broadcast | None:
            return self._made(topic, [kind, *rest[:-1]], about)

        return venue.broadcast(category, topic, make, listed=bool(about))

    def _made(self, topic: str, kind: list[str], about: Sequence[Listing]) -> Broadcast | None:
        listing, markets = about[0], [self.venue.market(each) for each in about]
        category, market = listing.category, markets[0]
        match kind:
            case "orderbook", "rpi" if category != OPTION:
                return RetailBook(topic, market, 50, self.venue.seed)
            case "orderbook", depth if depth in _DEPTHS[category]:
                return Book(topic, market, int(depth), self.venue.seed)
            case ["publicTrade"] if category == OPTION:
                return Together(topic, [trade_feed(topic, each) for each in markets])
            case ["publicTrade"]:
                return trade_feed(topic, market)
            case ["tickers"]:
                return Ticker(topic, market)
            case "kline", interval if interval in INTERVALS and category != OPTION:
                return candle_feed(topic, market, interval)
            case ["allLiquidation"] if category in {LINEAR, INVERSE}:
                return liquidation_feed(topic, market)
        return None


_DEPTHS = {category: frozenset(map(str, speeds)) for category, speeds in BOOK_SPEEDS.items()}


class BybitVisitor(Visitor):
    """One WebSocket of a category."""

    # https://bybit-exchange.github.io/docs/v5/ws/connect: cut after 10 minutes without anything
    idle_timeout: ClassVar[float | None] = 600.0

    def __init__(self, dialect: BybitDialect, category: str) -> None:
        self._dialect = dialect
        self._category = category
        self._characters = 0
        self._id = ""

    def opened(self, now_ns: int) -> None:
        rng = random.Random(f"{self._dialect.venue.seed}/connection/{self.peer.number}")
        self._id = str(UUID(int=rng.getrandbits(128), version=4))
        # Bybit's snapshot and its ack come from different machines, either of them first.
        self._data_first = rng.random() < 0.3

    def received(self, frame: str | bytes, now_ns: int) -> None:
        request = json_object(frame) or {}
        match request.get("op"):
            case "ping":
                self._pong(request, now_ns)
            case "subscribe":
                self._subscribe(request, now_ns)
            case "unsubscribe":
                self._unsubscribe(request)
            case _:
                self._refuse(request, "Params Error")

    # --- requests ---

    def _pong(self, request: Mapping[str, Any], now_ns: int) -> None:
        if self._category == OPTION:
            self._say({"args": [str(milliseconds(now_ns))], "op": "pong"})
        else:
            self._answer(request, True, "pong", ack=False)

    def _subscribe(self, request: Mapping[str, Any], now_ns: int) -> None:
        topics = self._topics(request)
        if topics is None:
            return
        peer, category = self.peer, self._category
        streams: list[Broadcast] = []
        failed: list[str] = []
        for topic in topics:
            stream = self._dialect.broadcast(category, topic)
            if stream is None:
                failed.append(topic)
            else:
                streams.append(stream)
        if category == OPTION:
            room = min(_OPTION_TOPICS - len(peer.subscriptions), self._fitting(streams))
            failed += [stream.topic for stream in streams[room:]]
            streams = streams[:room]
            self._command_response(not failed, failed, [stream.topic for stream in streams])
        else:
            refusal = self._refusal(topics, failed)
            if refusal is not None:
                self._refuse(request, refusal)
                return
        new = [each for each in streams if each.topic not in peer.subscriptions]
        self._characters += sum(len(stream.topic) for stream in new)
        acked = category == OPTION
        if not acked and not self._data_first:
            self._answer(request, True, _ACK_TEXTS[category], ack=True)
            acked = True
        for stream in streams:
            if stream.topic not in peer.subscriptions:
                peer.subscribe(stream, now_ns)
        if not acked:
            self._answer(request, True, _ACK_TEXTS[category], ack=True)

    def _fitting(self, streams: Sequence[Broadcast]) -> int:
        """How many streams fit into the characters that a connection has, options' like others."""
        left = _TOPIC_CHARACTERS - self._characters
        for count, stream in enumerate(streams):
            left -= len(stream.topic)
            if left < 0:
                return count
        return len(streams)

    def _refusal(self, topics: Sequence[str], failed: Sequence[str]) -> str | None:
        """Why a whole subscribe request is refused, in Bybit's words, or None."""
        spot = self._category == SPOT
        if spot and len(topics) > _SPOT_ARGUMENTS:
            return f"args size >{_SPOT_ARGUMENTS}"
        if failed:
            if spot:
                return f"Invalid symbol :[{failed[0]}]"
            return f"error:handler not found,topic:{failed[0]}"
        known = [topic for topic in topics if topic in self.peer.subscriptions]
        if known and not spot:
            return f"error:already subscribed,topic:{known[0]}"
        if self._characters + sum(map(len, topics)) > _TOPIC_CHARACTERS:
            return f"args length >{_TOPIC_CHARACTERS}"
        return None

    def _unsubscribe(self, request: Mapping[str, Any]) -> None:
        topics = self._topics(request)
        if topics is None:
            return
        for topic in topics:
            if self.peer.unsubscribe(topic):
                self._characters -= len(topic)
        if self._category == OPTION:
            self._command_response(True, [], topics)
        else:
            self._answer(request, True, _UNSUBSCRIBED_TEXTS[self._category], ack=True)

    def _topics(self, request: Mapping[str, Any]) -> list[str] | None:
        """The request's topics; None once it has been refused."""
        topics = request.get("args")
        fine = isinstance(topics, list) and topics
        if not fine or not all(isinstance(topic, str) for topic in topics or ()):
            self._refuse(request, "Params Error")
            return None
        # Named twice in one request, a topic is subscribed once.
        return list(dict.fromkeys(topics or ()))

    # --- replies ---

    def _refuse(self, request: Mapping[str, Any], text: str) -> None:
        self._answer(request, False, text, ack=True)

    def _answer(self, request: Mapping[str, Any], success: bool, text: str, *, ack: bool) -> None:
        operation, request_id = request.get("op", ""), request.get("req_id", "")
        reply = {
            "success": success,
            "ret_msg": text,
            "conn_id": self._id,
            "req_id": request_id if isinstance(request_id, str) else "",
            "op": operation if isinstance(operation, str) else "",
        }
        self._say(reply, ack=ack)

    def _command_response(self, success: bool, failed: Sequence[str], done: Sequence[str]) -> None:
        data = {"failTopics": failed, "successTopics": done}
        reply = {"success": success, "conn_id": self._id, "data": data, "type": "COMMAND_RESP"}
        self._say(reply, ack=True)

    def _say(self, reply: Mapping[str, Any], *, ack: bool = False) -> None:
        self.peer.reply(Frame.json(reply), ack=ack)


_ACK_TEXTS = {SPOT: "subscribe", LINEAR: "", INVERSE: ""}
_UNSUBSCRIBED_TEXTS = {SPOT: "unsubscribe", LINEAR: "", INVERSE: ""}
