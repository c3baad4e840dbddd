"""My Exchange's voice for the emulator: reads requests as strictly as the exchange, and answers.

REPLACE BY YOUR EXCHANGE'S, from its documents and not from codec.py: the two prove each other.
Markets, connections, clock and faults are the core's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import orjson

from ccrs_core import HttpRequest, HttpResponse, Market, Side
from ccrs_core.emulator import (
    BookView,
    Changed,
    Dialect,
    Frame,
    HttpRefusal,
    Listing,
    Oddity,
    Session,
    SimulatedMarket,
    Steps,
    Stream,
)

MS = 1_000_000
SECOND = 1_000 * MS

# native, base, quote, tick, lot, price at the start, liveliness
LISTED = (
    ("BTC-USD", "BTC", "USD", "0.10", "0.0001", "65000", 1.0),
    ("ETH-USD", "ETH", "USD", "0.01", "0.001", "3200", 0.6),
    ("SOL-USD", "SOL", "USD", "0.01", "0.01", "150", 0.3),
    ("ETH-BTC", "ETH", "BTC", "0.00001", "0.001", "0.05", 0.1),
)
DEPTHS = ("10", "50")
CODES = {
    403: "bad_key",
    418: "too_many_requests",
    429: "too_many_requests",
    503: "maintenance",
}


def _frame(**fields: Any) -> Frame:
    return Frame(orjson.dumps(fields))


class MyExchangeDialect(Dialect):
    """What the core asks of the exchange."""

    name: ClassVar[str] = "my-exchange"
    lacks: ClassVar[Mapping[Oddity, str]] = {
        Oddity.PRELAUNCH: "not shown yet: let the emulator show it, or say how you know",
        Oddity.DEAD: "not shown yet: let the emulator show it, or say how you know",
        Oddity.UNREADABLE_ROW: "not shown yet: let the emulator show it, or say how you know",
        Oddity.BLANK_FIELDS: "not shown yet: let the emulator show it, or say how you know",
        Oddity.DEEP_BOOK: "not shown yet: let the emulator show it, or say how you know",
        Oddity.NON_ASCII: "not shown yet: let the emulator show it, or say how you know",
    }

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return [
            Listing(
                category="spot",
                symbol=native,
                market=Market.SPOT,
                base=base,
                quote=quote,
                tick=Decimal(tick),
                lot=Decimal(lot),
                min_size=Decimal(lot),
                max_size=Decimal(10_000),
                price=Decimal(price),
                level_value=Decimal(1 if quote == "BTC" else 20_000),
                pace=pace,
            )
            for native, base, quote, tick, lot, price, pace in LISTED
        ]

    def open(self, path: str, query: Mapping[str, str], address: str) -> Session | HttpRefusal:
        return MyExchangeSession(self) if path == "/stream" else HttpRefusal(status=404)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        if (request.method, request.path) == ("GET", "/time"):
            return _json(200, {"time": now_ns // MS})
        if (request.method, request.path) == ("GET", "/instruments"):
            rows = [_row(listing) for listing in self.venue.listings.values()]
            return _json(200, {"instruments": rows})
        return _json(404, {"code": "not_found", "text": f"no {request.path}"})

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        code = CODES.get(status, "bad_request")
        return _json(status, {"code": code, "text": code.replace("_", " ")})

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        try:
            frame = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(frame, dict) or not isinstance(frame.get("topic"), str):
            return None
        time_ms = frame.get("time")
        return frame["topic"], time_ms * MS if isinstance(time_ms, int) else None

    def stream(self, topic: str) -> Stream | None:
        """The stream of a topic; None where the exchange has none of that name."""
        if self.venue.replay is not None:
            return self.venue.replay.stream(topic, self.venue.now_ns)
        kind, *depth, native = topic.split(".")
        listing = self.venue.listings.get(("spot", native))
        if listing is None:
            return None
        make: type[MarketStream] | None = None
        if not depth:
            make = {"top": TopStream, "trades": TradeStream}.get(kind)
        elif kind == "book" and len(depth) == 1 and depth[0] in DEPTHS:
            make = BookStream
        if make is None:
            return None
        size = int(depth[0]) if depth else 1
        market = self.venue.market(listing)
        return self.venue.stream("spot", topic, lambda: make(topic, market, size))


def _json(status: int, body: Any) -> HttpResponse:
    return HttpResponse(status, {"Content-Type": "application/json"}, orjson.dumps(body))


def _row(listing: Listing) -> dict[str, str]:
    return {
        "name": listing.symbol,
        "base": listing.base,
        "quote": listing.quote,
        "tick": str(listing.tick),
        "lot": str(listing.lot),
        "min": str(listing.min_size),
        "max": str(listing.max_size),
        "status": "open",
    }


class MyExchangeSession(Session):
    """One client's connection. The exchange hangs up after a minute without any frame."""

    idle_timeout: ClassVar[float | None] = 60.0

    def __init__(self, dialect: MyExchangeDialect) -> None:
        self._dialect = dialect

    def received(self, frame: str | bytes, now_ns: int) -> None:
        try:
            request = orjson.loads(frame)
            op, request_id = request["op"], request["id"]
            if op == "ping":
                self.peer.reply(_frame(type="pong", id=request_id))
                return
            act = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}[op]
            topics = request["topics"]
            if not isinstance(topics, list) or len(topics) > 50:
                raise ValueError("at most 50 topics")
            known = {topic: self._dialect.stream(topic) for topic in topics}
        except (ValueError, TypeError, KeyError, AttributeError):
            self.peer.close(1008, "malformed request")
            return
        good = [topic for topic, stream in known.items() if stream is not None]
        bad = [topic for topic, stream in known.items() if stream is None]
        if bad:
            text = f"no such topic: {', '.join(bad)}"
            refusal = _frame(type="refused", id=request_id, code="no_topic", text=text, topics=bad)
            self.peer.reply(refusal, ack=True)
        if good:
            self.peer.reply(_frame(type="done", id=request_id, topics=good), ack=True)
        for topic in good:
            act(known[topic], now_ns)

    def _subscribe(self, stream: Any, now_ns: int) -> None:
        if stream.topic not in self.peer.subscriptions:
            self.peer.subscribe(stream, now_ns)

    def _unsubscribe(self, stream: Any, now_ns: int) -> None:
        self.peer.unsubscribe(stream.topic)


# --- what subscribers of a topic receive; the same frame for all of them ---


class MarketStream(Stream):
    """A topic of one market; spells its numbers of ticks and lots."""

    def __init__(self, topic: str, market: SimulatedMarket, depth: int) -> None:
        super().__init__(topic, [market])
        self.market = market
        self.view = BookView(market, depth, 0)
        self.price = Steps(market.listing.tick).fixed
        self.size = Steps(market.listing.lot).trimmed

    def levels(self, levels: Iterable[tuple[int, int]]) -> list[list[str]]:
        return [[self.price(price), self.size(size)] for price, size in levels]


class BookStream(MarketStream):
    """``book.10.BTC-USD``: the whole book once, then what changed."""

    triggers: ClassVar[Changed] = Changed.BOOK
    interval_ns = 20 * MS

    def started(self, now_ns: int) -> None:
        self.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._book(True, self.view.bids, self.view.asks),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        changes = self.view.refresh()
        return () if changes is None else (self._book(False, *changes),)

    def _book(self, snapshot: bool, *sides: Iterable[tuple[int, int]]) -> Frame:
        bids, asks = map(self.levels, sides)
        view = self.view
        return _frame(
            type="book",
            topic=self.topic,
            n=view.update,
            time=view.time_ns // MS,
            snapshot=snapshot,
            bids=bids,
            asks=asks,
        )


class TopStream(MarketStream):
    """``top.BTC-USD``: best bid and ask on every change, and again after 5 quiet seconds."""

    triggers: ClassVar[Changed] = Changed.BOOK

    def started(self, now_ns: int) -> None:
        self.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._top(),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self.view.refresh() is None else (self._top(),)

    def alarm_ns(self) -> int | None:
        return self.last_ns + 5 * SECOND

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        self.view.refresh()
        return (self._top(),)

    def _top(self) -> Frame:
        view = self.view
        bid, ask = (next(iter(self.levels(side)), None) for side in (view.bids, view.asks))
        time_ms = view.time_ns // MS
        return _frame(type="top", topic=self.topic, n=view.update, time=time_ms, bid=bid, ask=ask)


class TradeStream(MarketStream):
    """``trades.BTC-USD``: trades as they happen, oldest first."""

    triggers: ClassVar[Changed] = Changed.TRADES

    def started(self, now_ns: int) -> None:
        self._count = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        tape = self.market.tape
        rows = [
            {
                "id": str(trade.number),
                "time": trade.time_ns // MS,
                "side": "buy" if trade.side is Side.BUY else "sell",
                "price": self.price(trade.price),
                "size": self.size(trade.size),
            }
            for trade in tape.since(self._count)
        ]
        self._count = tape.count
        return (_frame(type="trades", topic=self.topic, trades=rows),) if rows else ()
