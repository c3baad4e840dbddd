"""The order book kept from snapshots and deltas. Pure.

Never wrong and valid at once: a hole in the sequence, a crossed book or a bad checksum makes it
invalid on the spot, and an invalid book refuses to be read.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from collections.abc import Callable
from decimal import Decimal
from itertools import islice

from ccrs_core.errors import BookInvalid, UsageError
from ccrs_core.events import BookUpdate, Level, Reason
from ccrs_core.model import Side

Checksum = Callable[["OrderBook"], int]
"""Computes the exchange's checksum of a book."""

_ZERO = Decimal(0)


class BookState(enum.StrEnum):
    """Whether a book can be read."""

    SYNCING = "syncing"
    """Waits for its first snapshot."""
    VALID = "valid"
    INVALID = "invalid"
    """Was found wrong; waits for a new snapshot."""


class Applied(enum.Enum):
    """What became of an update."""

    APPLIED = enum.auto()
    OLD = enum.auto()
    """Already contained in the book; ignored."""
    AHEAD = enum.auto()
    """Something before it is missing; not applied."""
    BROKEN = enum.auto()
    """Applied, and found wrong: ``OrderBook.reason`` says how. The book is invalid now."""
    UNSYNCED = enum.auto()
    """A delta without a snapshot to apply it to; ignored."""


class _Half:
    """One side: sizes by price, and the prices sorted best last (changes cluster at the best, and
    a list is cheapest to change at its end).

    Signs change by ``copy_negate``: the minus operator would round to the caller's decimal context.
    """

    __slots__ = ("prices", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []  # times sign: ascending, best last

    def load(self, levels: tuple[Level, ...]) -> None:
        sizes = dict(levels)
        self.sizes = sizes if all(sizes.values()) else {p: s for p, s in sizes.items() if s}
        sign = self.sign
        self.prices = sorted(self.sizes if sign > 0 else (p.copy_negate() for p in self.sizes))

    def change(self, levels: tuple[Level, ...]) -> None:
        sizes, prices, positive = self.sizes, self.prices, self.sign > 0
        for price, size in levels:
            if size:
                count = len(sizes)
                sizes[price] = size
                if len(sizes) != count:
                    insort(prices, price if positive else price.copy_negate())
            elif sizes.pop(price, None) is not None:
                key = price if positive else price.copy_negate()
                del prices[bisect_left(prices, key)]

    def trim(self, depth: int) -> None:
        excess = len(self.prices) - depth
        if excess > 0:
            for key in self.prices[:excess]:
                del self.sizes[key if self.sign > 0 else key.copy_negate()]
            del self.prices[:excess]

    def best(self) -> Decimal | None:
        if not self.prices:
            return None
        key = self.prices[-1]
        return key if self.sign > 0 else key.copy_negate()

    def levels(self, depth: int | None) -> list[Level]:
        sizes, sign = self.sizes, self.sign
        best_first = islice(reversed(self.prices), depth)
        if sign > 0:
            return [(price, sizes[price]) for price in best_first]
        prices = (key.copy_negate() for key in best_first)
        return [(price, sizes[price]) for price in prices]


class OrderBook:
    """A book of one instrument. Reading it in any state but valid raises :class:`BookInvalid`.

    ``depth`` is the number of levels per side that the exchange keeps up to date; levels beyond it
    are dropped, since the exchange says nothing more about them. ``checksum`` verifies updates that
    carry one. Prices and sizes keep the exact digits of the exchange.
    """

    def __init__(
        self, symbol: str, *, depth: int | None = None, checksum: Checksum | None = None
    ) -> None:
        self.symbol = symbol
        self.depth = depth
        self.state = BookState.SYNCING
        self.reason: Reason | None = None
        """Why the book is invalid."""
        self.sequence: int | None = None
        self.exchange_time_ns: int | None = None
        self.received_time_ns: int | None = None
        self.updates = 0
        """Updates applied so far, snapshots included."""
        self.snapshots = 0
        self._checksum = checksum
        self._bids = _Half(+1)
        self._asks = _Half(-1)

    def __repr__(self) -> str:
        if self.state is not BookState.VALID:
            return f"<OrderBook {self.symbol} {self.state.value}>"
        bid, ask = self._bids.best(), self._asks.best()
        return f"<OrderBook {self.symbol} valid {bid}/{ask} sequence={self.sequence}>"

    # --- writing ---

    def apply(self, update: BookUpdate) -> Applied:
        """Apply a snapshot or a delta, by the rule stated at :class:`BookUpdate`.

        A snapshot always replaces the book. A delta that leaves a hole isn't applied: the caller
        decides whether to wait for what is missing or to :meth:`invalidate`.
        """
        if update.snapshot:
            self._bids.load(update.bids)
            self._asks.load(update.asks)
            self.snapshots += 1
            self.state, self.reason = BookState.VALID, None
        else:
            if self.state is not BookState.VALID:
                return Applied.UNSYNCED
            held = self.sequence
            assert held is not None
            before = update.previous_sequence
            if before is not None and before > held:
                return Applied.AHEAD
            # One that begins a new count follows on exactly one state.
            if update.sequence <= held and not (before == held and update.sequence < before):
                return Applied.OLD
            self._bids.change(update.bids)
            self._asks.change(update.asks)
        if self.depth is not None:
            self._bids.trim(self.depth)
            self._asks.trim(self.depth)
        self.sequence = update.sequence
        self.exchange_time_ns = update.exchange_time_ns
        self.received_time_ns = update.received_time_ns
        self.updates += 1
        bids, asks = self._bids.prices, self._asks.prices
        if bids and asks and bids[-1] >= asks[-1].copy_negate():
            self.invalidate(Reason.CROSSED)
            return Applied.BROKEN
        if (
            update.checksum is not None
            and self._checksum is not None
            and self._checksum(self) != update.checksum
        ):
            self.invalidate(Reason.CHECKSUM)
            return Applied.BROKEN
        return Applied.APPLIED

    def invalidate(self, reason: Reason) -> None:
        """Declare the book wrong; only a snapshot makes it valid again."""
        self.state, self.reason = BookState.INVALID, reason
        self._bids.load(())
        self._asks.load(())

    # --- reading ---

    @property
    def valid(self) -> bool:
        return self.state is BookState.VALID

    def shows(self, snapshot: BookUpdate) -> bool:
        """Whether the book is valid and a snapshot holds the very same levels."""
        sides = ((self._bids, snapshot.bids), (self._asks, snapshot.asks))
        return self.valid and all(
            half.sizes == {price: size for price, size in levels if size} for half, levels in sides
        )

    def _readable(self) -> None:
        if self.state is not BookState.VALID:
            because = f" ({self.reason.value})" if self.reason is not None else ""
            raise BookInvalid(
                f"the book of {self.symbol} is {self.state.value}{because}; it heals by itself, "
                "wait for the next event"
            )

    def bids(self, depth: int | None = None) -> list[Level]:
        """The best ``depth`` bids (None: all), highest first."""
        self._readable()
        return self._bids.levels(depth)

    def asks(self, depth: int | None = None) -> list[Level]:
        """The best ``depth`` asks (None: all), lowest first."""
        self._readable()
        return self._asks.levels(depth)

    @property
    def best_bid(self) -> Level | None:
        """Price and size of the highest bid; None on an empty side."""
        self._readable()
        price = self._bids.best()
        return None if price is None else (price, self._bids.sizes[price])

    @property
    def best_ask(self) -> Level | None:
        """Price and size of the lowest ask; None on an empty side."""
        self._readable()
        price = self._asks.best()
        return None if price is None else (price, self._asks.sizes[price])

    @property
    def mid(self) -> Decimal | None:
        """Half-way between best bid and ask, exactly; None where a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid[0] + ask[0]) / 2

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid; None where a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else ask[0] - bid[0]

    def _hit(self, side: Side) -> _Half:
        self._readable()
        return self._asks if side is Side.BUY else self._bids

    def size_to(self, side: Side, price: Decimal) -> Decimal:
        """How much a taker on ``side`` could trade at ``price`` or better."""
        half = self._hit(side)
        total = _ZERO
        for level_price, size in half.levels(None):
            if (level_price > price) if side is Side.BUY else (level_price < price):
                break
            total += size
        return total

    def vwap(self, side: Side, size: Decimal) -> Decimal | None:
        """Average price that a taker on ``side`` would get for ``size``; None where the book holds
        less.

        :raises UsageError: unless size is above zero.
        """
        if size <= 0:
            raise UsageError(f"the size must be above zero, not {size}")
        left, cost = size, _ZERO
        for level_price, level_size in self._hit(side).levels(None):
            part = min(left, level_size)
            cost += part * level_price
            left -= part
            if not left:
                return cost / size
        return None
