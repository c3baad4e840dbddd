"""A running book that is fetched anew before the market leaves what it knows. Pure.

The book goes on meanwhile, and nothing of it is interrupted: the answer is compared with it at the
moment of which both tell, and the levels that only the answer knows are taken over.
"""

from __future__ import annotations

import enum
from collections import deque

from ccrs_core.model.events import BookUpdate
from ccrs_core.model.orderbook import Applied, OrderBook


class Widened(enum.Enum):
    """What became of an attempt to widen a book."""

    WAITS = enum.auto()
    """For the answer, or for the stream to get as far as the answer is."""
    DONE = enum.auto()
    TOO_OLD = enum.auto()
    """Changes are missing between the answer and those that were noted since it was asked for."""
    WRONG = enum.auto()
    """The answer is no book, or not one that is deeper."""
    DIFFERS = enum.auto()
    """Book and answer contradict each other: one of them is wrong."""


class Widening:
    """One request for more of a book, from the moment at which it is made."""

    LIMIT = 8192
    """Updates that are noted; of more the oldest are dropped."""

    def __init__(self, book: OrderBook) -> None:
        self._book = book
        self._since: deque[BookUpdate] = deque(maxlen=self.LIMIT)
        self._answer: tuple[BookUpdate, int | None] | None = None
        self.done = False
        """Whether the book has been widened, and who follows its updates not yet been told."""

    def note(self, update: BookUpdate) -> None:
        """An update was applied to the book."""
        self._since.append(update)

    def answered(self, snapshot: BookUpdate, reach: int | None) -> None:
        """A snapshot has come; ``reach`` is that of :class:`OrderBook`."""
        self._answer = snapshot, reach

    def attempt(self) -> Widened:
        """Widen the book, if the answer has come and the stream is as far."""
        if self._answer is None:
            return Widened.WAITS
        book, (snapshot, reach) = self._book, self._answer
        if (book.sequence or 0) < snapshot.sequence:
            return Widened.WAITS
        self._answer = None
        fresh = OrderBook(
            book.symbol,
            depth=book.depth,
            every_level=True,
            reach=reach,
            may_cross=book.may_cross,
        )
        if fresh.apply(snapshot) is not Applied.APPLIED:
            return Widened.WRONG
        for update in self._since:
            if update.sequence > snapshot.sequence:
                applied = fresh.apply(update)
                if applied is not Applied.APPLIED:
                    return Widened.TOO_OLD if applied is Applied.AHEAD else Widened.WRONG
        if fresh.sequence != book.sequence:
            return Widened.TOO_OLD
        if not book.adopt(fresh):
            return Widened.DIFFERS
        self._since.clear()
        self.done = True
        return Widened.DONE
