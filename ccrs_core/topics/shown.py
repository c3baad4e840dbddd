"""A kept book's best levels, for a feed that wants fewer than its stream brings. Pure.

The exchange's updates tell of levels that the feed doesn't show, and don't tell which level moves
up where one of those it shows has gone. So it is told what has changed among its own: whoever
applies these updates has exactly its levels, and nothing is told where none of them has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import cast

from ccrs_core.errors import CcrsError
from ccrs_core.feeds.policy import Policy
from ccrs_core.feeds.stream import Consumer
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.events import BookUpdate, Level, Notice, StreamData
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.shown_book import ShownBook

_ZERO = Decimal(0)
_new_update = fast_constructor(BookUpdate)


class Shown:
    """Stands between a book's stream and one of its feeds.

    :param kept: what is kept of the stream; it holds an update before that is put here.
    :param depth: the levels a side that the feed wants.
    """

    def __init__(self, kept: OrderBook, depth: int, feed: Consumer) -> None:
        self.book = ShownBook(kept, depth)
        """What the feed reads."""
        self._feed = feed
        self._depth = depth
        self._sequence: int | None = None
        """Of what was told last."""
        self._bids = _Told(highest=True)
        self._asks = _Told(highest=False)

    @property
    def policy(self) -> Policy:
        return self._feed.policy

    def put(self, events: Sequence[StreamData]) -> None:
        told = [each for e in events if (each := self._of(cast(BookUpdate, e))) is not None]
        if told:
            self._feed.put(told)

    def _of(self, update: BookUpdate) -> BookUpdate | None:
        """What to tell of an update that the book holds; None where it changes nothing shown."""
        before = self._sequence
        whole = update.snapshot or before is None or update.sequence <= before
        bids = self._changes(self._bids, update.bids, whole)
        asks = self._changes(self._asks, update.asks, whole)
        if not whole and not bids and not asks:
            return None
        self._sequence = update.sequence
        return _new_update(
            update.exchange,
            update.symbol,
            update.exchange_time_ns,
            update.received_time_ns,
            update.sequence,
            whole,
            bids,
            asks,
            None if whole else before,
            None,
        )

    def _changes(self, told: _Told, levels: tuple[Level, ...], whole: bool) -> tuple[Level, ...]:
        if not whole and not told.concerned(levels, self._depth):
            return ()
        read = self.book.bids if told.highest else self.book.asks
        now = read()
        changes = told.become(now)
        return tuple(now) if whole else changes

    def superseded(self, count: int) -> None:
        self._feed.superseded(count)

    def notify(self, notice: Notice) -> None:
        self._feed.notify(notice)

    def fail(self, error: CcrsError) -> None:
        self._feed.fail(error)


class _Told:
    """One side as it was last told."""

    def __init__(self, *, highest: bool) -> None:
        self.highest = highest
        """Whether the highest price is the best."""
        self._sizes: dict[Decimal, Decimal] = {}
        self._worst: Decimal | None = None

    def concerned(self, levels: Iterable[Level], depth: int) -> bool:
        """Whether any of these changes may be one of the best levels."""
        worst = self._worst
        if worst is None or len(self._sizes) < depth:
            return any(True for _ in levels)
        if self.highest:
            return any(price >= worst for price, _ in levels)
        return any(price <= worst for price, _ in levels)

    def become(self, levels: Sequence[Level]) -> tuple[Level, ...]:
        """Note the best levels; what has changed of them, size zero for what is there no more."""
        before, self._sizes = self._sizes, dict(levels)
        self._worst = levels[-1][0] if levels else None
        sizes = self._sizes
        gone = [(price, _ZERO) for price in before if price not in sizes]
        return (*gone, *(level for level in levels if before.get(level[0]) != level[1]))
