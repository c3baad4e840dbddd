"""OKX's voice for the emulator: requests read as strictly as OKX reads them, and its replies.

https://www.okx.com/docs-v5/en/#overview-websocket
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ccrs_core import NS_PER_MS, HttpRequest, HttpResponse, InstrumentStatus
from ccrs_core.emulator import (
    LOGIN,
    Allowance,
    BadRequest,
    Broadcast,
    Desk,
    Dialect,
    Frame,
    Handshake,
    HttpRefusal,
    Listing,
    ListingFeed,
    Oddity,
    SimulatedMarket,
    Together,
    Venue,
    Visitor,
    json_object,
)
from ccrs_okx.emulator_feeds import BUSINESS_CHANNELS, FOR_FEW, PRIVATE_CHANNELS
from ccrs_okx.emulator_listings import FUTURES, OPTION, SWAP, TYPES, family, listings
from ccrs_okx.emulator_options import Summaries
from ccrs_okx.emulator_private import OPERATIONS, Session
from ccrs_okx.emulator_private_rest import PrivateRest
from ccrs_okx.emulator_replies import envelope
from ccrs_okx.emulator_rest import Rest, failure
from ccrs_okx.emulator_streams import Books, RetailBooks, business, index, liquidations, public
from ccrs_okx.emulator_trading import Trading, conduct
from ccrs_okx.emulator_wire import instrument

PUBLIC, BUSINESS, PRIVATE = "/ws/v5/public", "/ws/v5/business", "/ws/v5/private"
FOR_MEMBERS = frozenset({"books-l2-tbt", "books50-l2-tbt"})
_REQUESTS_PER_HOUR = 480
_FIRST_CODE = 10_457


class OkxDialect(Dialect):
    """OKX v5's public streams and market data.

    :param checksums: books carry the CRC-32 that OKX sent until 2026-06-23, instead of today's
        zeros.
    :param snapshots: ``books`` begins with the whole book; False for changes alone, as announced.
    :param request_limits: whether REST requests are limited per address and call, as OKX does.
    :param connect_limit: WebSockets that an address may open in a second; None for any number.
    :param user_limit_factor: how many times the documented requests of each signed call a user may
        make; None: any number.
    """

    name: ClassVar[str] = "okx"
    announces_shutdown: ClassVar[bool] = True
    account_kinds = (
        {},
        {"acctLv": "3"},
        {"acctLv": "1"},
        {"acctStpMode": "cancel_both"},
    )
    lacks: ClassVar[Mapping[Oddity, str]] = {
        Oddity.BLOCK_TRADE: "they have channels of their own, such as public-block-trades: "
        "https://www.okx.com/docs-v5/en/#block-trading-websocket-public-channel",
    }

    def __init__(
        self,
        *,
        checksums: bool = False,
        snapshots: bool = True,
        request_limits: bool = True,
        connect_limit: int | None = 3,
        user_limit_factor: float | None = 1.0,
    ) -> None:
        self._checksums = checksums
        self._snapshots = snapshots
        self._connects = Allowance(connect_limit, 1.0)
        self._rest = Rest(self, limited=request_limits)
        self._refusals = 0
        self._limit_factor = user_limit_factor
        self._codes: dict[tuple[str, str], int] = {}

    # --- what the core asks ---

    def attach(self, venue: Venue) -> None:
        super().attach(venue)
        self.desk = Desk(venue, conduct())
        self.trading = Trading(self, venue, self.desk, limit_factor=self._limit_factor)
        """Accounts and all that is done with them."""
        self.private = PrivateRest(self.trading)
        """What answers signed requests."""

    def checked(self) -> Dialect:
        return OkxDialect(checksums=True)

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return listings(start_ns)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        if handshake.path not in {PUBLIC, BUSINESS, PRIVATE}:
            return HttpRefusal(status=404, body=b"404 page not found")
        if not self._connects.enter(handshake.address, self.venue.now_ns):
            return HttpRefusal(status=429, body=b"Too Many Requests")
        return OkxVisitor(self, handshake.path, handshake.address)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        return self._rest.answer(request, address, now_ns)

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        return failure(status)

    def unclear(self, now_ns: int) -> HttpResponse | None:
        # "Does not mean that the request was successful or failed":
        # https://www.okx.com/docs-v5/en/#error-code-rest-api-public
        return envelope(50004, "API endpoint request timeout ", [], 400)

    def shutdown_notice(self, peer: Any, now_ns: int) -> Frame | None:
        notice = {
            "event": "notice",
            "code": "64008",
            "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
            "connId": self.connection_id(peer.number),
        }
        return Frame.json(notice)

    def busy(self, peer: Any, request: str | bytes, now_ns: int) -> Frame | None:
        """https://www.okx.com/docs-v5/en/#error-code-websocket-public"""
        asked = json_object(request)
        if asked is None or asked.get("op") not in {"subscribe", "unsubscribe"}:
            return None
        self._refusals += 1
        failed = f"Operation {asked['op']} failed due to WebSocket internal error."
        code, text = (
            ("60014", "Requests too frequent")
            if self._refusals % 2
            else ("64007", f"{failed} Please try again later.")
        )
        told = {"event": "error", "code": code, "msg": text}
        return Frame.json({**_id_of(asked), **told, "connId": self.connection_id(peer.number)})

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        frame = json_object(raw)
        if frame is None or "data" not in frame or "arg" not in frame:
            return None
        rows = frame["data"]
        time = rows[0].get("ts") if rows and isinstance(rows[0], dict) else None
        return topic_of(frame["arg"]), None if time is None else int(time) * NS_PER_MS

    # --- what sessions and endpoints ask ---

    def connection_id(self, number: int) -> str:
        """What OKX calls a connection."""
        return f"{random.Random(f'{self.venue.seed}/{number}').getrandbits(32):08x}"

    def code(self, listing: Listing) -> int:
        """An instrument's ``instIdCode``, by which sockets of order entry name it."""
        if listing.key not in self._codes:
            for key in (*self.venue.listings, listing.key):
                self._codes.setdefault(key, _FIRST_CODE + len(self._codes))
        return self._codes[listing.key]

    def by_code(self, code: int) -> Listing | None:
        """The instrument of a code."""
        # Numbers are given in order, and never again.
        place = code - _FIRST_CODE
        for each in self.venue.listings.values():
            self.code(each)
        keys = list(self._codes)
        return self.venue.listings.get(keys[place]) if 0 <= place < len(keys) else None

    def listing(self, symbol: str) -> Listing | None:
        """The instrument of a name, which no two types share."""
        return next((each for each in self.venue.listings.values() if each.symbol == symbol), None)

    def indexed(self, name: str) -> Listing | None:
        """What stands for an index: the perpetual contract that follows it."""
        swaps = self.venue.listed(SWAP)
        return next((each for each in swaps if f"{each.base}-{each.quote}" == name), None)

    def _instruments(self, path: str, topic: str, kind: str) -> Broadcast | None:
        """``instruments``: https://www.okx.com/docs-v5/en/#public-data-websocket-instruments-channel"""

        def listed() -> Sequence[Listing]:
            return self.venue.listed(kind)

        def write(feed: ListingFeed, changed: Sequence[Listing], now_ns: int) -> Frame:
            rows = [instrument(each, self.code(each)) for each in changed]
            arg = {"channel": "instruments", "instType": kind}
            return Frame.json({"arg": arg, "data": rows})

        known = kind in TYPES
        return self.venue.broadcast(
            path, topic, lambda: ListingFeed(topic, listed, write), listed=known
        )

    def books(self, listing: Listing, now_ns: int) -> Books:
        """The stream of a listing's book, whose numbers REST shares; nothing pending."""
        topic, market = f"books:{listing.symbol}", self.venue.market(listing)
        books = self.venue.simulated(PUBLIC, topic, lambda: self._books(topic, market))
        books.flush(now_ns)
        return books

    def _books(self, topic: str, market: SimulatedMarket) -> Books:
        return Books(topic, market, checksums=self._checksums, snapshots=self._snapshots)

    def broadcast(self, path: str, topic: str) -> Broadcast | None:
        """The broadcast of a channel; None where OKX has none of that name under a path."""
        venue = self.venue
        channel, _, about = topic.partition(":")
        if (path, channel) == (PUBLIC, "opt-summary"):
            chain = [each for each in venue.listed(OPTION) if family(each) == about]
            return venue.broadcast(
                path,
                topic,
                lambda: Summaries(topic, [venue.market(each) for each in chain]),
                listed=bool(chain),
            )
        of_type = (path, channel) == (PUBLIC, "liquidation-orders") and about in {SWAP, FUTURES}
        of_index = (path, channel) == (PUBLIC, "index-tickers")
        if (path, channel) == (PUBLIC, "instruments"):
            return self._instruments(path, topic, about)
        listing = None if of_type else self.indexed(about) if of_index else self.listing(about)
        known = listing is not None and listing.status is not InstrumentStatus.CLOSED

        def make() -> Broadcast | None:
            if of_type:
                trading = InstrumentStatus.TRADING
                found = [each for each in venue.listed(about) if each.status is trading]
                return Together(topic, [liquidations(topic, venue.market(each)) for each in found])
            if listing is None:
                return None
            market = venue.market(listing)
            if of_index:
                return index(topic, market)
            if (path, channel) == (PUBLIC, "books-rpi"):
                return RetailBooks(topic, market)
            if (path, channel) == (PUBLIC, "books"):
                return self._books(topic, market)
            find = business if path == BUSINESS else public
            return find(channel, topic, market)

        return venue.broadcast(path, topic, make, listed=of_type or known)


def topic_of(arg: Mapping[str, Any]) -> str:
    """The emulator's name of what an argument asks for."""
    kinds = ("instId", "instFamily", "instType")
    about = next((arg[kind] for kind in kinds if arg.get(kind)), "")
    return f"{arg.get('channel', '')}:{about}"


class OkxVisitor(Visitor):
    """One WebSocket."""

    # https://www.okx.com/docs-v5/en/#overview-websocket-connect
    idle_timeout: ClassVar[float | None] = 30.0
    idle_close: ClassVar[tuple[int, str]] = (4004, "idle")
    largest_frame: ClassVar[int | None] = 64 * 1024

    def __init__(self, dialect: OkxDialect, path: str, address: str) -> None:
        self._dialect = dialect
        self._path = path
        self._requests = Allowance(_REQUESTS_PER_HOUR, 3600)
        self.session = Session(dialect.trading, dialect.private.calls, address)

    def received(self, frame: str | bytes, now_ns: int) -> None:
        if frame in {"ping", b"ping"}:
            self.peer.reply(Frame(b"pong"))
            return
        request = json_object(frame)
        if request is None:
            self._refuse({}, "60012", f"Invalid request: {_text(frame)}")
            return
        said = request.get("op")
        operation = said if isinstance(said, str) else ""
        entry = self._path == PRIVATE and operation in OPERATIONS
        if not entry and operation not in {"subscribe", "unsubscribe", "login"}:
            self._refuse(request, "60012", f"Invalid request: {_text(frame)}")
        elif not _is_id(request.get("id", None if entry else "1")):
            self._refuse({}, "60012", "Invalid request: id must be 1 to 32 letters and digits")
        elif entry:
            self._operate(request, now_ns)
        elif not self._requests.enter("", now_ns):
            self._refuse(request, "60014", "Requests too frequent")
        elif operation == "login":
            self._log_in(request, now_ns)
        else:
            self._carry_out(request, now_ns)

    def _operate(self, request: Mapping[str, Any], now_ns: int) -> None:
        if self.session.key is None:
            self._refuse(request, "60011", "Please log in")
            return
        unclear = Frame.json(self.session.unclear(request))
        done = Frame.json(self.session.operate(request, now_ns))
        self.peer.answer(done, str(request["op"]), unclear)

    def _log_in(self, request: Mapping[str, Any], now_ns: int) -> None:
        told: dict[str, str]
        try:
            self.session.log_in(request, now_ns)
            told = {"event": "login", "code": "0", "msg": ""}
        except BadRequest as refused:
            told = {"event": "error", "code": str(refused.code), "msg": refused.text}
        named = {"connId": self._dialect.connection_id(self.peer.number)}
        self.peer.answer(Frame.json({**_id_of(request), **told, **named}), LOGIN)

    def _carry_out(self, request: Mapping[str, Any], now_ns: int) -> None:
        arguments = request.get("args")
        if not isinstance(arguments, list) or not arguments:
            self._refuse(request, "60013", "Invalid args")
            return
        for arg in arguments:
            if not isinstance(arg, dict) or not all(isinstance(v, str) for v in arg.values()):
                self._refuse(request, "60013", "Invalid args")
            elif request["op"] == "subscribe":
                self._subscribe(request, arg, now_ns)
            else:
                self.peer.unsubscribe(self._topic(arg))
                self._accept(request, arg)

    def _topic(self, arg: Mapping[str, str]) -> str:
        mine = self._path != PUBLIC and arg.get("channel") in PRIVATE_CHANNELS | BUSINESS_CHANNELS
        return self.session.topic(arg) if mine else topic_of(arg)

    def _stream(self, arg: Mapping[str, str]) -> Broadcast | None:
        """The stream that an argument asks for; None where there is none such here.

        :raises BadRequest: where it isn't for whoever asks.
        """
        channel = arg.get("channel", "")
        if self._path == PRIVATE or (self._path == BUSINESS and channel in BUSINESS_CHANNELS):
            here = BUSINESS_CHANNELS if self._path == BUSINESS else PRIVATE_CHANNELS | FOR_FEW
            if self.session.key is None:
                raise BadRequest(60011, "Please log in")
            return self.session.feed(arg) if channel in here else None
        if channel in FOR_MEMBERS:
            raise BadRequest(60011, "Please log in")
        return self._dialect.broadcast(self._path, topic_of(arg))

    def _subscribe(self, request: Mapping[str, Any], arg: Mapping[str, str], now_ns: int) -> None:
        try:
            stream = self._stream(arg)
        except BadRequest as refused:
            self._refuse(request, str(refused.code), refused.text)
            return
        if stream is None:
            named = ",".join(f"{name}:{value}" for name, value in arg.items())
            text = (
                f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and "
                "parameters referring to API document."
            )
            self._refuse(request, "60018", text)
            return
        self._accept(request, arg)
        if self._path == PRIVATE:
            count = {"channel": arg["channel"], "connCount": str(len(stream.subscribers) + 1)}
            self._tell({"event": "channel-conn-count", **count})
        if stream.topic not in self.peer.subscriptions:
            self.peer.subscribe(stream, now_ns)

    # --- replies ---

    def _accept(self, request: Mapping[str, Any], arg: Mapping[str, str]) -> None:
        self._say({**_id_of(request), "event": request["op"], "arg": arg})

    def _refuse(self, request: Mapping[str, Any], code: str, text: str) -> None:
        self._say({**_id_of(request), "event": "error", "code": code, "msg": text})

    def _say(self, reply: Mapping[str, Any]) -> None:
        self.peer.reply(self._named(reply), ack=True)

    def _tell(self, notice: Mapping[str, Any]) -> None:
        self.peer.reply(self._named(notice))

    def _named(self, reply: Mapping[str, Any]) -> Frame:
        return Frame.json({**reply, "connId": self._dialect.connection_id(self.peer.number)})


def _id_of(request: Mapping[str, Any]) -> dict[str, str]:
    return {"id": request["id"]} if isinstance(request.get("id"), str) else {}


def _is_id(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 32 and text.isascii() and text.isalnum()


def _text(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
