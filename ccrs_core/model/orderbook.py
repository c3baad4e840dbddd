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

import attrs

from ccrs_core.errors import BookInvalid, UsageError
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.events import BookUpdate, Level, Reason
from ccrs_core.model.instruments import Side

Checksum = Callable[["OrderBook"], int]
"""Computes the exchange's checksum of a book."""

_ZERO = Decimal(0)
_ENDED = "its subscription has ended"
_new_update = fast_constructor(BookUpdate)


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


# A name of the module is looked up at a fraction of an enumeration's price.
_VALID, _APPLIED = BookState.VALID, Applied.APPLIED


class _Half:
    """One side: sizes by price, and the prices sorted best last (changes cluster at the best, and
    a list is cheapest to change at its end).

    ``edge`` is the worst price to which all levels are known, None where there is no such bound;
    levels beyond it aren't kept. Signs change by ``copy_negate``: the minus operator would round to
    the caller's decimal context.
    """

    __slots__ = ("edge", "prices", "sign", "sizes")

    BULK = 256
    """From so many changes on, sorting anew costs less than inserting one by one."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []  # times sign: ascending, best last
        self.edge: Decimal | None = None  # times sign, as the prices are

    def load(self, levels: tuple[Level, ...], reach: int | None = None) -> None:
        """Replace all; as many levels as ``reach`` may not be all there are."""
        sizes = dict(levels)
        self.sizes = sizes if all(sizes.values()) else {p: s for p, s in sizes.items() if s}
        self._sort()
        cut = reach is not None and len(levels) >= reach
        self.edge = self.prices[0] if cut and self.prices else None

    def _sort(self) -> None:
        keys = self.sizes if self.sign > 0 else (price.copy_negate() for price in self.sizes)
        self.prices = sorted(keys)

    def change(self, levels: tuple[Level, ...]) -> None:
        if len(levels) >= self.BULK:
            self._change_many(levels)
            return
        sizes, prices, positive = self.sizes, self.prices, self.sign > 0
        count = len(sizes)
        for price, size in levels:
            if size:
                sizes[price] = size
                if len(sizes) != count:
                    count += 1
                    insort(prices, price if positive else price.copy_negate())
            elif sizes.pop(price, None) is not None:
                count -= 1
                key = price if positive else price.copy_negate()
                del prices[bisect_left(prices, key)]

    def _change_many(self, levels: tuple[Level, ...]) -> None:
        self.sizes.update(levels)
        self.sizes = {price: size for price, size in self.sizes.items() if size}
        self._sort()

    def change_within(self, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        """:meth:`change`, but for levels beyond the edge; those that aren't."""
        edge = self.edge
        if edge is None:
            self.change(levels)
            return levels
        sizes, prices, positive = self.sizes, self.prices, self.sign > 0
        if len(levels) >= self.BULK:
            levels = self.within(levels)
            self._change_many(levels)
            return levels
        beyond = False
        for price, size in levels:
            if size:
                if price in sizes:
                    sizes[price] = size
                    continue
                key = price if positive else price.copy_negate()
                if key < edge:
                    beyond = True
                    continue
                sizes[price] = size
                insort(prices, key)
            elif sizes.pop(price, None) is not None:
                key = price if positive else price.copy_negate()
                del prices[bisect_left(prices, key)]
        return self.within(levels) if beyond else levels

    def within(self, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        """Those levels that aren't beyond the edge."""
        edge = self.edge
        if edge is None:
            return levels
        if self.sign > 0:
            return tuple([level for level in levels if level[0] >= edge])
        edge = edge.copy_negate()
        return tuple([level for level in levels if level[0] <= edge])

    def trim(self, depth: int) -> None:
        """Keep the best levels alone, of more than there may be."""
        excess = len(self.prices) - depth
        for key in self.prices[:excess]:
            del self.sizes[key if self.sign > 0 else key.copy_negate()]
        del self.prices[:excess]

    def bound(self) -> Decimal | None:
        """The price of the edge."""
        edge = self.edge
        return edge if edge is None or self.sign > 0 else edge.copy_negate()

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


def _wider(one: _Half, other: _Half) -> _Half:
    """That of two halves of the same moment which knows more."""
    if one.edge is None or (other.edge is not None and one.edge <= other.edge):
        return one
    return other


class OrderBook:
    """A book of one instrument. Reading it in any state but valid raises :class:`BookInvalid`.

    ``depth`` is the number of levels per side that it shows at most. Unless ``every_level``, the
    exchange keeps just these up to date: levels beyond are dropped, since it says nothing more
    about them. With ``every_level`` it tells the changes of all levels: the book keeps more than it
    shows, within the prices of :attr:`known`. A snapshot of ``reach`` levels in a side (None: of
    any number) may not be all there are, so that what lies beyond its last level isn't known.

    ``checksum`` verifies updates that carry one. Prices and sizes keep the exact digits of the
    exchange.
    """

    MOST = 10_000
    """Levels that are kept in a side with ``every_level``; beyond, half of them are dropped, and
    what lies there isn't known any more. (More where ``depth`` or ``reach`` ask for it.)"""

    def __init__(
        self,
        symbol: str,
        *,
        depth: int | None = None,
        checksum: Checksum | None = None,
        every_level: bool = False,
        may_cross: bool = False,
        reach: int | None = None,
    ) -> None:
        self.symbol = symbol
        self.depth = depth
        self.every_level = every_level
        self.may_cross = may_cross
        self.reach = reach
        self.state = BookState.SYNCING
        """Whether it can be read."""
        self.reason: Reason | None = None
        """Why the book is invalid."""
        self._why = _ENDED
        self.sequence: int | None = None
        """The last update's number."""
        self.exchange_time_ns: int | None = None
        """The last update's time, where the exchange told one."""
        self.received_time_ns: int | None = None
        """When the last update arrived."""
        self.updates = 0
        """Updates applied so far, snapshots included."""
        self.snapshots = 0
        self.narrow = False
        """Whether the market comes near to the edge of what is known: it should be asked for anew
        before it gets there."""
        self.cut: BookUpdate | None = None
        """The last update without the levels beyond the edge, where it had some; for those who
        rebuild the book from what is told."""
        self.trimmed = False
        """Whether the last update has made the book drop levels that nobody had removed."""
        self._most = max(self.MOST, 2 * (depth or 0), 2 * (reach or 0))
        self._floor, self._low = self._marks(reach)
        self._checksum = checksum
        self._bids = _Half(+1)
        self._asks = _Half(-1)

    def _marks(self, reach: int | None) -> tuple[int, int]:
        """How many levels a side must have where there are more that aren't known, and below how
        many it should be asked for anew."""
        known = self._most // 2 if reach is None else max(reach, 1)
        floor = max(min(self.depth or 1, known // 2), 1)
        return floor, (floor + known) // 2

    def __repr__(self) -> str:
        if self.state is not BookState.VALID:
            return f"<OrderBook {self.symbol} {self.state.value}>"
        bid, ask = self._bids.best(), self._asks.best()
        return f"<OrderBook {self.symbol} valid {bid}/{ask} sequence={self.sequence}>"

    # --- writing ---

    def apply(self, update: BookUpdate, reach: int | None = None) -> Applied:
        """Apply a snapshot or a delta, by the rule stated at :class:`BookUpdate`.

        A snapshot always replaces the book. A delta that leaves a hole isn't applied: the caller
        decides whether to wait for what is missing or to :meth:`invalidate`. ``reach`` is that of
        this snapshot, where it isn't the book's.
        """
        every, bids, asks = self.every_level, self._bids, self._asks
        if update.snapshot:
            reach = (self.reach if reach is None else reach) if every else None
            bids.load(update.bids, reach)
            asks.load(update.asks, reach)
            self._floor, self._low = self._marks(reach)
            self.snapshots += 1
            self.state, self.reason = _VALID, None
            self.cut, self.narrow = None, False
        else:
            if self.state is not _VALID:
                return Applied.UNSYNCED
            held = self.sequence
            assert held is not None
            before = update.previous_sequence
            if before is not None and before > held:
                return Applied.AHEAD
            # One that begins a new count follows on exactly one state.
            if update.sequence <= held and not (before == held and update.sequence < before):
                return Applied.OLD
            if every:
                if self.cut is not None:
                    self.cut = None
                within = bids.change_within(update.bids), asks.change_within(update.asks)
                if within[0] is not update.bids or within[1] is not update.asks:
                    self._cut(update, *within)
            else:
                bids.change(update.bids)
                asks.change(update.asks)
        if every:
            low, most = self._low, self._most
            if low <= len(bids.prices) <= most and low <= len(asks.prices) <= most:
                self.narrow = self.trimmed = False
            else:
                self._watch_edges()
        else:
            depth = self.depth
            if depth is not None:
                if len(bids.prices) > depth:
                    bids.trim(depth)
                if len(asks.prices) > depth:
                    asks.trim(depth)
        self.sequence = update.sequence
        self.exchange_time_ns = update.exchange_time_ns
        self.received_time_ns = update.received_time_ns
        self.updates += 1
        sided = bids.prices and asks.prices and not self.may_cross
        if sided and bids.prices[-1] >= asks.prices[-1].copy_negate():
            self.invalidate(Reason.CROSSED)
            return Applied.BROKEN
        if (
            update.checksum is not None
            and self._checksum is not None
            and self._checksum(self) != update.checksum
        ):
            self.invalidate(Reason.CHECKSUM)
            return Applied.BROKEN
        if self.narrow and self._has_left():
            self.invalidate(Reason.RANGE)
            return Applied.BROKEN
        return _APPLIED

    def _cut(self, update: BookUpdate, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> None:
        self.cut = _new_update(
            update.exchange,
            update.symbol,
            update.exchange_time_ns,
            update.received_time_ns,
            update.sequence,
            False,
            bids,
            asks,
            update.previous_sequence,
            update.checksum,
        )

    def _watch_edges(self) -> None:
        """Drop what is too far away, and see whether the market comes near to an edge."""
        narrow = self.trimmed = False
        for half in (self._bids, self._asks):
            count = len(half.prices)
            if count > self._most:
                half.trim(self._most // 2)
                half.edge = half.prices[0]
                self.trimmed = True
            elif half.edge is not None and count < self._low:
                narrow = True
        self.narrow = narrow

    def _has_left(self) -> bool:
        """Whether the market has come so near to an edge that what is known isn't enough."""
        return any(
            half.edge is not None and len(half.prices) < self._floor
            for half in (self._bids, self._asks)
        )

    def twin(self) -> OrderBook:
        """An empty book of the same kind, for those who follow the updates that a feed delivers."""
        return OrderBook(
            self.symbol, depth=self.depth, every_level=self.every_level, may_cross=self.may_cross
        )

    def adopt(self, other: OrderBook) -> bool:
        """Go on with the levels of a book that knows more, and is of the same moment; False where
        the two differ in what both know."""
        for mine, its in ((self._bids, other._bids), (self._asks, other._asks)):
            both = max((e for e in (mine.edge, its.edge) if e is not None), default=None)
            one, two = (
                h.prices[0 if both is None else bisect_left(h.prices, both) :] for h in (mine, its)
            )
            if one != two:
                return False
            for key in one:
                price = key if mine.sign > 0 else key.copy_negate()
                if mine.sizes[price] != its.sizes[price]:
                    return False
        self._bids = _wider(self._bids, other._bids)
        self._asks = _wider(self._asks, other._asks)
        self._floor, self._low = other._floor, other._low
        self._watch_edges()
        return True

    def snapshot(self, latest: BookUpdate) -> BookUpdate:
        """All that is kept, as the snapshot of the moment; ``latest`` is the last update."""
        assert self.sequence is not None
        return attrs.evolve(
            latest,
            sequence=self.sequence,
            snapshot=True,
            bids=tuple(self._bids.levels(None)),
            asks=tuple(self._asks.levels(None)),
            previous_sequence=None,
            checksum=None,
        )

    def invalidate(self, reason: Reason) -> None:
        """Declare the book wrong; only a snapshot makes it valid again."""
        self.state, self.reason = BookState.INVALID, reason
        self.cut, self.narrow, self.trimmed = None, False, False
        self._bids.load(())
        self._asks.load(())

    def close(self, why: str) -> None:
        """Declare that nothing keeps the book up to date any more, and tell readers ``why``."""
        self.invalidate(Reason.CLOSED)
        self._why = why or _ENDED

    # --- reading ---

    @property
    def valid(self) -> bool:
        return self.state is _VALID

    def shows(self, snapshot: BookUpdate) -> bool:
        """Whether the book is valid and a snapshot holds the very same levels."""
        sides = ((self._bids, snapshot.bids), (self._asks, snapshot.asks))
        return self.valid and all(
            half.sizes == {price: size for price, size in levels if size} for half, levels in sides
        )

    def _readable(self) -> None:
        if self.state is not BookState.VALID:
            if self.reason is Reason.CLOSED:
                raise BookInvalid(
                    f"the book of {self.symbol} is invalid (closed): {self._why}, and nothing "
                    "keeps it up to date; subscribe again, and read that feed's book"
                )
            because = f" ({self.reason.value})" if self.reason is not None else ""
            raise BookInvalid(
                f"the book of {self.symbol} is {self.state.value}{because}; it heals by itself, "
                "wait for the next event"
            )

    def _shown(self, depth: int | None) -> int | None:
        most = self.depth
        return most if depth is None or (most is not None and depth > most) else depth

    def bids(self, depth: int | None = None) -> list[Level]:
        """The best ``depth`` bids (None: all), highest first; never more than the book's own
        ``depth``."""
        self._readable()
        return self._bids.levels(self._shown(depth))

    def asks(self, depth: int | None = None) -> list[Level]:
        """The best ``depth`` asks (None: all), lowest first; never more than the book's own
        ``depth``."""
        self._readable()
        return self._asks.levels(self._shown(depth))

    @property
    def known(self) -> tuple[Decimal | None, Decimal | None]:
        """The lowest bid and the highest ask price to which all levels are known; None where the
        exchange has told all of the side (or, without ``every_level``, all of ``depth``).

        A side that has fewer levels than ``depth`` goes just so far: the market may have more.
        """
        self._readable()
        return self._bids.bound(), self._asks.bound()

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
        """How much a taker on ``side`` could trade at ``price`` or better, of the levels shown."""
        half = self._hit(side)
        total = _ZERO
        for level_price, size in half.levels(self.depth):
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
        for level_price, level_size in self._hit(side).levels(self.depth):
            part = min(left, level_size)
            cost += part * level_price
            left -= part
            if not left:
                return cost / size
        return None
