"""A book of which fewer levels are shown than are kept. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Never

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.events import BookUpdate, Reason
from ccrs_core.model.orderbook import OrderBook


class ShownBook(OrderBook):
    """The best ``depth`` levels of another book, as new as that always is. It is read only."""

    def __init__(self, kept: OrderBook, depth: int) -> None:
        # All else, what the kept book is made of included, is read from that.
        self._kept = kept
        self.depth = depth
        self.every_level = False

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "_kept":  # of one that is being copied
                raise AttributeError(name)
            return getattr(self._kept, name)

    @property
    def known(self) -> tuple[Decimal | None, Decimal | None]:
        bids, asks = self._kept.known
        depth = self.depth or 0
        # What is shown whole is known whole, however far the kept book goes.
        return (
            None if len(self._kept.bids(depth)) == depth else bids,
            None if len(self._kept.asks(depth)) == depth else asks,
        )

    def snapshot(self, latest: BookUpdate) -> BookUpdate:
        bids, asks = tuple(self.bids()), tuple(self.asks())
        return attrs.evolve(self._kept.snapshot(latest), bids=bids, asks=asks)

    def shows(self, snapshot: BookUpdate) -> bool:
        sides = ((self.bids, snapshot.bids), (self.asks, snapshot.asks))
        return self.valid and all(
            dict(read()) == {price: size for price, size in levels if size}
            for read, levels in sides
        )

    def apply(self, update: BookUpdate, reach: int | None = None) -> Never:
        """Refused: the client writes the book that this one shows.

        :raises UsageError: always; ``twin()`` makes a book to apply updates to.
        """
        self._refuse()

    def adopt(self, other: OrderBook) -> Never:
        """Refused, as :meth:`apply` is."""
        self._refuse()

    def invalidate(self, reason: Reason) -> Never:
        """Refused, as :meth:`apply` is."""
        self._refuse()

    def close(self, why: str) -> Never:
        """Refused, as :meth:`apply` is."""
        self._refuse()

    def _refuse(self) -> Never:
        raise UsageError("a feed's book is read only; take its twin() to apply updates to")
