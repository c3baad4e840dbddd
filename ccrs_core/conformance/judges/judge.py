"""Judges what a codec reads out of undisturbed connections, as it comes, by the market's truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ccrs_core.conformance.judges.figures import (
    candle_is_true,
    funding_is_true,
    held_is_true,
    now_is_true,
    reference_is_true,
    ticker_is_true,
)
from ccrs_core.conformance.judges.greeks import greeks_are_true
from ccrs_core.conformance.workbench.line import Line, Wire, events_of, next_due_ns
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.truth import History, Truth
from ccrs_core.contract.exchange import Route
from ccrs_core.feeds.stream import EVENT_OF
from ccrs_core.model.events import (
    BookUpdate,
    Candle,
    Funding,
    Greeks,
    IndexPrice,
    MarketData,
    MarkPrice,
    OpenInterest,
    Ticker,
    TopOfBook,
)
from ccrs_core.model.orderbook import Applied, OrderBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.topics.continuity import new_book

FRESH_NS = 2 * NS_PER_SECOND
"""A state that lasts longer must have been told."""
PATIENCE = 120.0
"""Seconds within which every stream but those of chance events says something."""
_MAY_BE_SILENT = frozenset({Channel.LIQUIDATIONS})


class Capture:
    """Subscriptions of one instrument on a line, and all that they bring, as it comes."""

    def __init__(self, line: Line, subscriptions: Sequence[Subscription]) -> None:
        self.line = line
        self.events: list[MarketData] = []
        self.wires: dict[Route, Wire] = {}
        for sub in subscriptions:
            route = line.exchange.route(sub)
            if route not in self.wires:
                self.wires[route] = line.open(route)
            self.events += events_of(self.wires[route].subscribe(sub))

    def take(self) -> list[MarketData]:
        """What has just come."""
        new = [event for wire in self.wires.values() for event in events_of(wire.take())]
        self.events += new
        return new

    def run(self, seconds: float) -> Iterator[list[MarketData]]:
        """Let time pass; what comes, moment by moment."""
        venue = self.line.venue
        end_ns = venue.now_ns + round(seconds * NS_PER_SECOND)
        while (due := next_due_ns(venue, self.wires.values())) is not None and due <= end_ns:
            venue.advance(due)
            yield self.take()
        venue.advance(end_ns)
        yield self.take()


class Judge:
    """Judges the events of one instrument's subscriptions as they come."""

    def __init__(self, line: Line, truth: Truth, subscriptions: Sequence[Subscription]) -> None:
        self.line = line
        instrument = subscriptions[0].instrument
        self.history: History = truth.of(instrument)
        self.listing = truth.listing(instrument)
        self.market = line.venue.market(self.listing)
        self.subscriptions = {EVENT_OF[sub.channel]: sub for sub in subscriptions}
        self.begin_ns = line.venue.now_ns
        self.seen: dict[type[Any], list[Any]] = {kind: [] for kind in self.subscriptions}
        self.books: dict[Subscription, OrderBook] = {}
        self._since: dict[type[Any], int] = {}
        self._fetched: dict[Subscription, int] = {}

    def take(self, events: Sequence[MarketData]) -> None:
        """Judge what has just come."""
        for event in events:
            kind = type(event)
            sub = self.subscriptions.get(kind)
            if sub is None:
                wanted = ", ".join(str(each) for each in self.subscriptions.values())
                self.history.fail(f"{event} came, subscribed to was {wanted}")
            if event.symbol != sub.symbol or event.exchange != self.line.exchange.name:
                self.history.fail(
                    f"an event of {sub} says that it is of {event.exchange} {event.symbol}"
                )
            self.seen[kind].append(event)
            self._one(event, sub)

    def _one(self, event: MarketData, sub: Subscription) -> None:
        history, since = self.history, self._since.get(type(event), 0)
        match event:
            case TopOfBook():
                self._since[TopOfBook] = history.top_is_true(event, since=since)
            case BookUpdate():
                self._since[BookUpdate] = self._book(event, sub, since)
            case Candle():
                if event.interval != sub.interval:
                    history.fail(f"a candle of {event.interval} came for {sub}")
                candle_is_true(history, self.market, event)
            case Ticker():
                ticker_is_true(history, self.market, event)
            case MarkPrice() | IndexPrice():
                reference_is_true(history, self.market, event)
            case OpenInterest():
                held_is_true(history, self.market, event)
            case Greeks():
                greeks_are_true(history, self.market, event)
            case Funding():
                funding_is_true(history, event)
            case _:
                now_is_true(history, event)

    def _book(self, update: BookUpdate, sub: Subscription, since: int) -> int:
        book = self.books.get(sub)
        if book is None:
            exchange = self.line.exchange
            book = self.books[sub] = new_book(exchange, sub)
            if not update.snapshot and exchange.book_snapshot(sub) is not None:
                self._fetched[sub] = self._fetch(book, update, sub)
        applied = book.apply(update)
        if applied is Applied.OLD and update.sequence <= self._fetched.get(sub, 0):
            return since  # the answer holds it
        if applied is not Applied.APPLIED:
            why = applied.name.lower() if book.reason is None else book.reason.value
            self.history.fail(
                f"an undisturbed connection brought an update of {sub} that does not apply: "
                f"{why}. {_ADVICE.get(why, '')} It is {told(update)}"
            )
        index = self.history.kept_is_true(
            book, sub.depth, since=since, until_ns=update.received_time_ns
        )
        self.history.time_is_true(update, index)
        return index

    def _fetch(self, book: OrderBook, update: BookUpdate, sub: Subscription) -> int:
        """Begin a book with what the exchange answers; its number."""
        snapshot = self.line.snapshot(sub)
        for _ in range(20):
            if (update.previous_sequence or 0) <= snapshot.sequence:
                break
            self.line.venue.advance(self.line.venue.now_ns + NS_PER_SECOND // 10)
            snapshot = self.line.snapshot(sub)
        book.apply(snapshot)
        return snapshot.sequence

    def finish(self) -> None:
        """Judge what only the whole tells: trades and liquidations, and whether anything that had
        to be told wasn't."""
        history, now_ns = self.history, self.line.venue.now_ns
        for kind, sub in self.subscriptions.items():
            events = self.seen[kind]
            span = {"after_ns": self.begin_ns, "until_ns": now_ns - FRESH_NS}
            match sub.channel:
                case Channel.TRADES:
                    history.trades_are_true(events, **span)
                case Channel.LIQUIDATIONS:
                    history.liquidations_are_true(events, **span)
                case Channel.TOP_OF_BOOK | Channel.BOOK if events:
                    self._fresh(sub, self._since[kind], now_ns - FRESH_NS)

    def missing(self) -> list[Subscription]:
        """Subscriptions that have brought nothing, though there was something to tell."""
        return [
            sub
            for kind, sub in self.subscriptions.items()
            if not self.seen[kind] and self._something_to_tell(sub.channel)
        ]

    def _something_to_tell(self, channel: Channel) -> bool:
        if channel is Channel.TRADES or channel is Channel.CANDLES:
            return any(each.time_ns > self.begin_ns for each in self.history.trades)
        return channel not in _MAY_BE_SILENT

    def _fresh(self, sub: Subscription, index: int, until_ns: int) -> None:
        """Fails where the state that was told last has been out of date for long."""
        history, depth = self.history, sub.depth or 1
        told_last = history.moments[index]
        state = (told_last.bids[:depth], told_last.asks[:depth])
        for later in history.moments[index + 1 :]:
            if later.time_ns > until_ns:
                return
            if (later.bids[:depth], later.asks[:depth]) != state:
                history.fail(
                    f"the {sub.channel.value} that was told last is that of "
                    f"{clock(told_last.time_ns)}; the market has changed since, at "
                    f"{clock(later.time_ns)}, and nothing of {sub} told so: does the codec pass on "
                    "every update?"
                )


def told(update: BookUpdate) -> str:
    """An update of a book in one line."""
    sides = " ".join(
        f"{name}={', '.join(f'{size} at {price}' for price, size in side[:3]) or 'none'}"
        + (f" and {len(side) - 3} more" if len(side) > 3 else "")
        for name, side in (("bids", update.bids), ("asks", update.asks))
    )
    return (
        f"snapshot={update.snapshot} sequence={update.sequence} "
        f"previous_sequence={update.previous_sequence} checksum={update.checksum} {sides}"
    )


_ADVICE = {
    "crossed": "Are bids and asks swapped, or prices and sizes?",
    "checksum": "Does Exchange.checksum compute what the exchange's documents say, of the digits "
    "as they are on the wire?",
    "ahead": "previous_sequence must be the sequence of the update before it.",
    "old": "sequence must be above that of the update before it.",
    "unsynced": "The first update must be a snapshot, with BookUpdate.snapshot True.",
}
