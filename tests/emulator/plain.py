"""The plainest dialect there can be, for tests of the emulator's core.

A client sends ``+topic``, ``-topic`` or ``?``; it hears ``ok +topic``, ``no +topic`` or ``!``, and
of the topic ``book.AB``: ``book.AB NUMBER first|more BIDS ASKS`` with levels as ``price:size``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import ClassVar

from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import (
    BookView,
    Broadcast,
    Changed,
    Dialect,
    Frame,
    Handshake,
    HttpRefusal,
    Listing,
    SimulatedMarket,
    Visitor,
)
from ccrs_core.model.instruments import Market

START_NS = 1_767_225_600_000_000_000


class PlainBroadcast(Broadcast):
    triggers = Changed.BOOK
    interval_ns = 10_000_000

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, [market])
        self.view = BookView(market, 10, 1000)

    def started(self, now_ns: int) -> None:
        self.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return [self._frame("first", self.view.bids, self.view.asks)]

    def update(self, now_ns: int) -> Iterable[Frame]:
        changes = self.view.refresh()
        return [] if changes is None else [self._frame("more", *changes)]

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        self.view.restart()
        return self.first(now_ns)

    def _frame(self, kind: str, *sides: Iterable[tuple[int, int]]) -> Frame:
        levels = [",".join(f"{price}:{size}" for price, size in side) or "-" for side in sides]
        return Frame(f"{self.topic} {self.view.update} {kind} {' '.join(levels)}".encode())


class PlainVisitor(Visitor):
    idle_timeout: ClassVar[float | None] = 60.0

    def __init__(self, dialect: PlainDialect) -> None:
        self._dialect = dialect

    def received(self, frame: str | bytes, now_ns: int) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        word, topic = text[:1], text[1:]
        if word == "?":
            self.peer.reply(Frame(b"!"))
            return
        stream = self._dialect.broadcast(topic)
        known = stream is not None and word in {"+", "-"}
        self.peer.reply(Frame(f"{'ok' if known else 'no'} {text}".encode()), ack=True)
        if stream is not None and word == "+":
            self.peer.subscribe(stream, now_ns)
        elif known:
            self.peer.unsubscribe(topic)


class PlainDialect(Dialect):
    name: ClassVar[str] = "plain"

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return [
            Listing(
                category="spot",
                symbol=symbol,
                market=Market.SPOT,
                base=symbol,
                quote="X",
                tick=Decimal("0.01"),
                lot=Decimal(1),
                min_size=Decimal(1),
                max_size=Decimal(1000),
                price=Decimal(100),
                levels=30,
            )
            for symbol in ("AB", "CD")
        ]

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        if handshake.path not in {"/ws", "/other"}:
            return HttpRefusal(status=404)
        return PlainVisitor(self)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        return HttpResponse(200, {"Content-Type": "text/plain"}, str(now_ns).encode())

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        return (raw.split()[0].decode(), None) if b" " in raw else None

    def broadcast(self, topic: str) -> Broadcast | None:
        kind, _, symbol = topic.partition(".")
        listing = self.venue.listings.get(("spot", symbol))

        def make() -> Broadcast | None:
            if kind != "book" or listing is None:
                return None
            return PlainBroadcast(topic, self.venue.market(listing))

        return self.venue.broadcast("spot", topic, make, listed=listing is not None)


class Announcing(PlainDialect):
    announces_shutdown: ClassVar[bool] = True

    def shutdown_notice(self, peer: object, now_ns: int) -> Frame | None:
        return Frame(b"bye soon")
