"""Figures of order books, and snapshots of them at an interval."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, overload

import attrs

from ccrs_core.analytics.sources import interval_ns, over
from ccrs_core.errors import UsageError
from ccrs_core.model.checks import at_least_one
from ccrs_core.model.events import BookUpdate, Gap, Level, Reason, Stale, TopOfBook
from ccrs_core.model.orderbook import Applied, OrderBook
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import PLAIN, QUOTIENT, multiple, number


@attrs.frozen(kw_only=True)
class BookSnapshot:
    """A book as it stood at a moment, best levels first."""

    exchange: str
    symbol: str
    time_ns: int
    """The moment, local time, nanoseconds UTC."""
    sequence: int | None
    """Of the last update in it."""
    exchange_time_ns: int | None
    """Of that update."""
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    complete: bool
    """False where the book wasn't valid (its levels are left out then), or may have been out of
    date (``Stale``)."""


Sided = OrderBook | BookSnapshot | BookUpdate | TopOfBook
"""What has best prices: a book, a snapshot of one, the top of one."""


def _sides(book: Sided, levels: int | None) -> tuple[Sequence[Level], Sequence[Level]]:
    if isinstance(book, OrderBook):
        return book.bids(levels), book.asks(levels)
    if isinstance(book, TopOfBook):
        bid, ask = (book.bid_price, book.bid_size), (book.ask_price, book.ask_size)
        return _level(*bid), _level(*ask)
    if isinstance(book, BookUpdate) and not book.snapshot:
        raise UsageError("a change of a book doesn't tell its best prices: take feed.book(symbol)")
    if not isinstance(book, BookUpdate | BookSnapshot):
        raise UsageError(f"an order book, or its top, is wanted, not {book!r:.100}")
    return book.bids[:levels], book.asks[:levels]


def _level(price: Decimal | None, size: Decimal | None) -> tuple[Level, ...]:
    return () if price is None or size is None else ((price, size),)


def microprice(book: Sided) -> Decimal | None:
    """Best bid and ask, each weighted by the size on the other side, to 34 digits; None where a
    side is empty.

    :raises BookInvalid: where the book isn't valid.
    """
    bids, asks = _sides(book, 1)
    if not bids or not asks:
        return None
    (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
    both = PLAIN.add(bid_size, ask_size)
    if not both:
        return None
    value = PLAIN.add(PLAIN.multiply(bid, ask_size), PLAIN.multiply(ask, bid_size))
    return QUOTIENT.divide(value, both)


def imbalance(book: Sided, levels: int = 1) -> Decimal | None:
    """Bid size less ask size by their sum, of the best ``levels``: from -1 (nothing is bid) to 1,
    to 34 digits; None where both sides are empty.

    :raises BookInvalid: where the book isn't valid.
    :raises UsageError: where ``levels`` is below 1.
    """
    at_least_one("levels", levels)
    bids, asks = (_sum(side) for side in _sides(book, levels))
    both = PLAIN.add(bids, asks)
    return QUOTIENT.divide(PLAIN.subtract(bids, asks), both) if both else None


def _sum(side: Sequence[Level]) -> Decimal:
    total = Decimal(0)
    for _, size in side:
        total = PLAIN.add(total, size)
    return total


def grouped(
    book: Sided, step: Decimal, levels: int | None = None
) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Bids and asks with the sizes of each ``step`` of prices added up, best first; the best
    ``levels`` groups of each side. A bid counts at the multiple of the step below it, an ask at the
    one above, so that no group looks better than what is in it.

    :raises BookInvalid: where the book isn't valid.
    :raises UsageError: where the step is no ``Decimal`` above zero.
    """
    if number("step", step) <= 0:
        raise UsageError(f"step must be above zero, not {step}")
    bids, asks = _sides(book, None)
    return _grouped(bids, step, ROUND_FLOOR, levels), _grouped(asks, step, ROUND_CEILING, levels)


def _grouped(
    side: Sequence[Level], step: Decimal, rounding: str, levels: int | None
) -> tuple[Level, ...]:
    sizes: dict[Decimal, Decimal] = {}
    for price, size in side:
        place = multiple(price, step, rounding)
        if place not in sizes and levels is not None and len(sizes) >= levels:
            break
        sizes[place] = PLAIN.add(sizes.get(place, Decimal(0)), size)
    return tuple(sizes.items())


# --- snapshots ---


@overload
def book_snapshots(
    events: Iterable[Any], interval: str | timedelta, *, levels: int = ..., depth: int | None = ...
) -> Iterator[BookSnapshot]: ...
@overload
def book_snapshots(
    events: AsyncIterable[Any],
    interval: str | timedelta,
    *,
    levels: int = ...,
    depth: int | None = ...,
) -> AsyncIterator[BookSnapshot]: ...
def book_snapshots(
    events: Any, interval: str | timedelta, *, levels: int = 10, depth: int | None = None
) -> Any:
    """The books that events are of, as they stood at each multiple of an interval, by local time:
    what was known at that moment, and nothing that came later.

    The first comes at the first multiple after a book's first event. Of a book that wasn't valid
    then, or is out of date, it says ``complete=False``.

    :param events: of books, and the notices among them, of a replay or a feed; others only tell the
        time.
    :param interval: such as ``"1m"`` or ``timedelta(seconds=1)``.
    :param levels: best levels of each side.
    :param depth: as it was subscribed to: more levels aren't kept up to date.
    :raises UsageError: on an interval that is none, or levels below 1.
    """
    at_least_one("levels", levels)
    return over(events, _Snapshots(interval_ns(interval), levels, depth))


@attrs.define
class _Kept:
    book: OrderBook
    stale: bool = False


class _Snapshots:
    def __init__(self, span: int, levels: int, depth: int | None) -> None:
        self._span = span
        self._levels = levels
        self._depth = depth
        self._books: dict[tuple[str, str], _Kept] = {}
        self._next_ns: int | None = None

    def add(self, event: Any) -> Iterator[BookSnapshot]:
        ns = event.received_time_ns
        if self._next_ns is None:
            self._next_ns = ns - ns % self._span + self._span
        while ns >= self._next_ns:
            for place, each in self._books.items():
                yield self._taken(place, each, self._next_ns)
            self._next_ns += self._span
        key = event.exchange, event.symbol
        if isinstance(event, BookUpdate):
            kept = self._books.get(key)
            if kept is None:
                kept = self._books[key] = _Kept(OrderBook(event.symbol, depth=self._depth))
            if kept.book.apply(event) is Applied.AHEAD:
                kept.book.invalidate(Reason.SEQUENCE)
            kept.stale = False
        elif key in self._books and isinstance(event, Gap | Stale):
            if event.about is not Channel.BOOK:
                return
            if isinstance(event, Gap):
                self._books[key].book.invalidate(event.reason)
            self._books[key].stale = True

    def end(self) -> Iterator[BookSnapshot]:
        return iter(())

    def _taken(self, key: tuple[str, str], kept: _Kept, ns: int) -> BookSnapshot:
        book, levels = kept.book, self._levels
        return BookSnapshot(
            exchange=key[0],
            symbol=key[1],
            time_ns=ns,
            sequence=book.sequence,
            exchange_time_ns=book.exchange_time_ns,
            bids=tuple(book.bids(levels)) if book.valid else (),
            asks=tuple(book.asks(levels)) if book.valid else (),
            complete=book.valid and not kept.stale,
        )
