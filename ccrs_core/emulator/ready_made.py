"""What most dialects say alike: ready-made broadcasts of one market, for which a dialect writes the
bytes alone; and heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ccrs_core.emulator.broadcasts import BookView, Broadcast, Levels
from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.peer import Peer
from ccrs_core.emulator.tape import TapeTrade
from ccrs_core.model.units import NS_PER_SECOND

SpelledLevel = tuple[str, str]
"""Price and size as text."""


class MarketFeed(Broadcast):
    """A broadcast of one market, whose numbers it spells as text with all their decimals.

    For an exchange that spells them otherwise override ``price`` and ``size``.
    """

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, [market])
        self.market = market

    def price(self, ticks: int) -> str:
        """A price of so many ticks."""
        return self.market.rules.price.fixed(ticks)

    def size(self, lots: int) -> str:
        """A size of so many lots."""
        return self.market.rules.size.fixed(lots)

    def levels(self, levels: Levels) -> list[SpelledLevel]:
        """Levels of a book, as text."""
        return [(self.price(price), self.size(size)) for price, size in levels]


class TopFeed(MarketFeed):
    """Best bid and ask, at once and on each change.

    ``write(feed, snapshot, bid, ask, now_ns)`` makes the frame: ``snapshot`` where it is for a new
    subscriber, a level None where its side is empty. ``update`` is the number of the state before
    the first.
    """

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket,
        write: Callable[[Any, bool, SpelledLevel | None, SpelledLevel | None, int], Frame],
        *,
        update: int = 0,
    ) -> None:
        super().__init__(topic, market)
        self._write = write
        self.view = BookView(market, 1, update)
        """What is published, with its number and its time."""

    def started(self, now_ns: int) -> None:
        self.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(True, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self.view.refresh() is None else (self._told(False, now_ns),)

    def _told(self, snapshot: bool, now_ns: int) -> Frame:
        bids, asks = self.levels(self.view.bids), self.levels(self.view.asks)
        bid, ask = (side[0] if side else None for side in (bids, asks))
        return self._write(self, snapshot, bid, ask, now_ns)


class TradeFeed(MarketFeed):
    """Trades as they happen; a new subscriber hears of none before.

    ``write(feed, trades, now_ns)`` makes the frame of one or several, oldest first.
    """

    triggers: ClassVar[Changed] = Changed.TRADES

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket,
        write: Callable[[Any, Sequence[TapeTrade], int], Frame],
    ) -> None:
        super().__init__(topic, market)
        self._write = write
        self._count = market.tape.count

    def started(self, now_ns: int) -> None:
        self._count = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        trades = self.market.tape.since(self._count)
        self._count = self.market.tape.count
        return (self._write(self, trades, now_ns),) if trades else ()


class BookFeed(MarketFeed):
    """A book of ``depth`` levels a side: the whole of it once, then what changed, size 0 for gone.

    ``write(feed, snapshot, bids, asks, now_ns)`` makes the frame, of levels best first. ``update``
    is the number of the state before the first. ``tells_pushed_out``: whether levels that better
    ones push out of the depth are told as gone. For an exchange that begins to count anew override
    ``restarted``: ``self.view.restart()``, then what ``first`` says.
    """

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket,
        depth: int,
        write: Callable[[Any, bool, list[SpelledLevel], list[SpelledLevel], int], Frame],
        *,
        update: int = 0,
        tells_pushed_out: bool = True,
    ) -> None:
        super().__init__(topic, market)
        self.depth = depth
        self._write = write
        self._tells_pushed_out = tells_pushed_out
        self.view = BookView(market, depth, update)
        """What is published, with its number and its time."""

    def started(self, now_ns: int) -> None:
        self.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(True, self.view.bids, self.view.asks, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        changes = self.view.refresh()
        if changes is None:
            return ()
        bids, asks = changes
        if not self._tells_pushed_out:
            bids = self._within(bids, self.view.bids, 1)
            asks = self._within(asks, self.view.asks, -1)
        return (self._told(False, bids, asks, now_ns),)

    def _within(self, changes: Levels, shown: Levels, better: int) -> Levels:
        """Without what is gone beyond the last level of a full side."""
        if len(shown) < self.depth:
            return changes
        last = shown[-1][0] * better
        return [(price, size) for price, size in changes if size or price * better > last]

    def _told(self, snapshot: bool, bids: Levels, asks: Levels, now_ns: int) -> Frame:
        return self._write(self, snapshot, self.levels(bids), self.levels(asks), now_ns)


def heartbeats(peer: Peer, frame: Frame, seconds: float, now_ns: int) -> None:
    """Send a frame every so many seconds from now on, for as long as the connection is open."""
    interval_ns = round(seconds * NS_PER_SECOND)

    def beat(now_ns: int) -> None:
        if peer.open:
            peer.reply(frame)
            peer.venue.at(now_ns + interval_ns, beat)

    peer.venue.at(now_ns + interval_ns, beat)
