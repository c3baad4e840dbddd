"""My Exchange's voice for the emulator: reads requests as strictly as the exchange, and answers.

REPLACE BY YOUR EXCHANGE'S, from its documents and not from codec.py: the two prove each other. This
is half of the work, and what the plugin's quality rests on: what the emulator never says is proved
by nothing. Markets, connections, clock and faults are the core's, and so are the streams that most
exchanges have (``TopFeed``, ``TradeFeed``, ``BookFeed``): only their frames are written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import orjson

from ccrs_core import HttpRequest, HttpResponse, InstrumentStatus, Market, Side
from ccrs_core.emulator import (
    BookFeed,
    Broadcast,
    Dialect,
    Frame,
    Handshake,
    HttpRefusal,
    Listing,
    Oddity,
    Peer,
    TapeTrade,
    TopFeed,
    TradeFeed,
    Visitor,
    json_object,
)

MS = 1_000_000
SECOND = 1_000 * MS

# native, base, quote, tick, lot, price at the start, liveliness, levels of a side, status
LISTED = (
    ("BTC-USD", "BTC", "USD", "0.10", "0.0001", "65000", 1.0, 150, "trading"),
    ("ETH-USD", "ETH", "USD", "0.01", "0.001", "3200", 0.6, 150, "trading"),
    ("SOL-USD", "SOL", "USD", "0.01", "0.01", "150", 0.3, 1200, "trading"),
    ("ETH-BTC", "ETH", "BTC", "0.00001", "0.001", "0.05", 0.1, 150, "trading"),
    ("龙-USD", "龙", "USD", "0.001", "1", "0.25", 0.1, 150, "trading"),
    ("OLD-USD", "OLD", "USD", "0.001", "1", "0.5", 0.1, 50, "halted"),
    ("NEW-USD", "NEW", "USD", "0.001", "1", "2", 0.1, 50, "prelaunch"),
)
STATUSES = {"trading": "open", "halted": "halted", "prelaunch": "soon"}
DEPTHS = ("10", "50")
CODES = {
    403: "bad_key",
    418: "too_many_requests",
    429: "too_many_requests",
    503: "maintenance",
}


def _frame(**fields: Any) -> Frame:
    return Frame.json(fields)


class MyExchangeDialect(Dialect):
    """What the core asks of the exchange."""

    name: ClassVar[str] = "my-exchange"
    # What the exchange never does, and how you know. All else the suite asks the emulator to show.
    lacks: ClassVar[Mapping[Oddity, str]] = {
        Oddity.BLOCK_TRADE: "the protocol here is invented, and its trades have no such flag",
        Oddity.RPI_TRADE: "the protocol here is invented, and its trades have no such flag",
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
                levels=levels,
                status=InstrumentStatus(status),
            )
            for native, base, quote, tick, lot, price, pace, levels, status in LISTED
        ]

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        if handshake.path != "/stream":
            return HttpRefusal(status=404)
        return MyExchangeVisitor(self)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        if (request.method, request.path) == ("GET", "/time"):
            return _json(200, {"time": now_ns // MS})
        if (request.method, request.path) == ("GET", "/instruments"):
            blank = self.venue.blank(request.path)
            rows = [_row(listing, blank) for listing in self.venue.listings.values()]
            # What is announced has no more than a name.
            rows.append({"name": "LATER-USD", "status": "soon"})
            return _json(200, {"instruments": rows})
        return _json(404, {"code": "not_found", "text": f"no {request.path}"})

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        code = CODES.get(status, "bad_request")
        return _json(status, {"code": code, "text": code.replace("_", " ")})

    def busy(self, peer: Peer, request: str | bytes, now_ns: int) -> Frame | None:
        """Under load the exchange refuses for now what it would grant later."""
        asked = orjson.loads(request)
        if asked.get("op") not in ("subscribe", "unsubscribe"):
            return None
        told = {"code": "busy", "text": "try again later", "topics": asked.get("topics", [])}
        return _frame(type="refused", id=asked.get("id"), **told)

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        frame = json_object(raw)
        if frame is None or not isinstance(frame.get("topic"), str):
            return None
        time_ms = frame.get("time")
        return frame["topic"], time_ms * MS if isinstance(time_ms, int) else None

    def broadcast(self, topic: str) -> Broadcast | None:
        """What is heard of a topic; None where the exchange has none of that name."""
        listing = self.venue.listings.get(("spot", topic.rpartition(".")[2]))

        def make() -> Broadcast | None:
            if listing is None:
                return None
            market = self.venue.market(listing)
            match topic.split("."):
                case ["book", depth, _] if depth in DEPTHS:
                    return BookFeed(topic, market, int(depth), _book)
                case ["top", _]:
                    return TopFeed(topic, market, _top, repeats_s=5)
                case ["trades", _]:
                    return TradeFeed(topic, market, _trades)
            return None

        return self.venue.broadcast("spot", topic, make, listed=listing is not None)


def _json(status: int, body: Any) -> HttpResponse:
    return HttpResponse(status, {"Content-Type": "application/json"}, orjson.dumps(body))


def _row(listing: Listing, blank: bool) -> dict[str, str | None]:
    return {
        "name": listing.symbol,
        "base": listing.base,
        "quote": listing.quote,
        "tick": str(listing.tick),
        "lot": str(listing.lot),
        "min": str(listing.min_size),
        "max": None if blank else str(listing.max_size),
        "status": STATUSES.get(listing.status.value, "halted"),
    }


class MyExchangeVisitor(Visitor):
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
            known = {topic: self._dialect.broadcast(topic) for topic in topics}
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


def _book(feed: BookFeed, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
    """``book.10.BTC-USD``: the whole book once, then what changed."""
    n, time_ms = feed.view.update, feed.view.time_ns // MS
    told = {"snapshot": snapshot, "bids": bids, "asks": asks}
    return _frame(topic=feed.topic, type="book", n=n, time=time_ms, **told)


def _top(feed: TopFeed, snapshot: bool, bid: Any, ask: Any, now_ns: int) -> Frame:
    """``top.BTC-USD``: best bid and ask, none on a side without orders; again after 5 seconds."""
    n, time_ms = feed.view.update, feed.view.time_ns // MS
    best = {"bid": [bid] if bid else [], "ask": [ask] if ask else []}
    return _frame(topic=feed.topic, type="top", n=n, time=time_ms, **best)


def _trades(feed: TradeFeed, trades: Sequence[TapeTrade], now_ns: int) -> Frame:
    """``trades.BTC-USD``: trades as they happen, oldest first."""
    rows = [
        {
            "id": str(trade.number),
            "time": trade.time_ns // MS,
            "side": "buy" if trade.side is Side.BUY else "sell",
            "price": feed.price(trade.price),
            "size": feed.size(trade.size),
        }
        for trade in trades
    ]
    return _frame(topic=feed.topic, type="trades", trades=rows)
