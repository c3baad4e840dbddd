"""Ready-made broadcasts: books, trades, forced closes. A dialect writes the bytes alone.

Each follows its market and calls ``write(feed, …, now_ns)``, a function of the dialect's that makes
the frame; the feed's ``speller`` spells the market's numbers. What all of them take: ``every_ms``,
the least time between two updates; ``greets``, whether a new subscriber is told what stands; and
``repeats_s``, after how many seconds of quiet it is told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from ccrs_core.emulator.broadcasts import BookView, Broadcast
from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Changed, ForcedClose, SimulatedMarket
from ccrs_core.emulator.peer import Peer
from ccrs_core.emulator.spelling import Levels, SpelledLevel, Speller
from ccrs_core.emulator.tape import TapeTrade
from ccrs_core.model.instruments import InstrumentStatus, Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND


class MarketFeed(Broadcast):
    """A broadcast of one market, whose numbers ``speller`` spells: with all decimals by itself."""

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        *,
        every_ms: int = 0,
        greets: bool = True,
        repeats_s: float | None = None,
    ) -> None:
        self.speller = market if isinstance(market, Speller) else Speller(market)
        self.market = self.speller.market
        super().__init__(topic, [self.market])
        self.interval_ns = every_ms * NS_PER_MS
        self.price, self.size = self.speller.price, self.speller.size
        self._greets = greets
        self._repeats_ns = None if repeats_s is None else round(repeats_s * NS_PER_SECOND)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return self.standing(now_ns) if self._greets else ()

    def standing(self, now_ns: int) -> Iterable[Frame]:
        """What stands, as it was told last."""
        return ()

    def alarm_ns(self) -> int | None:
        return None if self._repeats_ns is None else self.last_ns + self._repeats_ns

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        return tuple(self.update(now_ns)) or tuple(self.repeated(now_ns))

    def repeated(self, now_ns: int) -> Iterable[Frame]:
        """What is told again where nothing has changed."""
        return self.standing(now_ns)


class BookFeed(MarketFeed):
    """A book of ``depth`` levels a side: the whole of it once, then what changed, size 0 for gone.

    ``write(feed, snapshot, bids, asks, now_ns)`` makes the frame, of levels best first. ``update``
    is the number of the state before the first. ``whole``: each update tells all levels.
    ``tells_pushed_out``: whether levels that better ones push out of the depth are told as gone.
    For an exchange that begins to count anew override ``restarted``: ``self.view.restart()``, then
    what ``standing`` says. Where nothing has changed, an update without levels is repeated.
    """

    triggers = Changed.BOOK

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        depth: int,
        write: Callable[[Any, bool, list[SpelledLevel], list[SpelledLevel], int], Frame],
        *,
        update: int = 0,
        whole: bool = False,
        tells_pushed_out: bool = True,
        **pacing: Any,
    ) -> None:
        super().__init__(topic, market, **pacing)
        self.depth = depth
        self._write = write
        self._whole = whole
        self._tells_pushed_out = tells_pushed_out
        self.view = BookView(self.market, depth, update)
        """What is published, with its number and its time."""

    def refresh(self) -> tuple[Levels, Levels] | None:
        """Take over the book's state: what changed of it, None where nothing visible did."""
        return self.view.refresh()

    def started(self, now_ns: int) -> None:
        self.refresh()

    def standing(self, now_ns: int) -> Iterable[Frame]:
        return (self.told(True, self.view.bids, self.view.asks, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        changes = self.refresh()
        if changes is None:
            return ()
        if self._whole:
            return self.standing(now_ns)
        bids, asks = changes
        if not self._tells_pushed_out:
            bids = self._within(bids, self.view.bids, 1)
            asks = self._within(asks, self.view.asks, -1)
        return (self.told(False, bids, asks, now_ns),)

    def repeated(self, now_ns: int) -> Iterable[Frame]:
        return self.standing(now_ns) if self._whole else (self.told(False, [], [], now_ns),)

    def spelled(self) -> tuple[list[SpelledLevel], list[SpelledLevel]]:
        """The published levels as text."""
        levels, view = self.speller.levels, self.view
        return levels(view.bids, Side.BUY), levels(view.asks, Side.SELL)

    def told(self, snapshot: bool, bids: Levels, asks: Levels, now_ns: int) -> Frame:
        """The frame of some levels."""
        levels = self.speller.levels
        return self._write(self, snapshot, levels(bids, Side.BUY), levels(asks, Side.SELL), now_ns)

    def _within(self, changes: Levels, shown: Levels, better: int) -> Levels:
        """Without what is gone beyond the last level of a full side."""
        if len(shown) < self.depth:
            return changes
        last = shown[-1][0] * better
        return [(price, size) for price, size in changes if size or price * better > last]


class TopFeed(BookFeed):
    """Best bid and ask, on each change.

    ``write(feed, snapshot, bid, ask, now_ns)`` makes the frame: ``snapshot`` where it tells what
    stands, a level None where its side is empty. ``update`` is the number of the state before the
    first.
    """

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        write: Callable[[Any, bool, SpelledLevel | None, SpelledLevel | None, int], Frame],
        **rest: Any,
    ) -> None:
        def best(
            feed: Any, snapshot: bool, bids: list[SpelledLevel], asks: list[SpelledLevel], ns: int
        ) -> Frame:
            bid, ask = (side[0] if side else None for side in (bids, asks))
            return write(feed, snapshot, bid, ask, ns)

        super().__init__(topic, market, 1, best, **rest)

    def update(self, now_ns: int) -> Iterable[Frame]:
        if self.refresh() is None:
            return ()
        return (self.told(False, self.view.bids, self.view.asks, now_ns),)

    def repeated(self, now_ns: int) -> Iterable[Frame]:
        return self.standing(now_ns)


def together(trades: Sequence[TapeTrade]) -> Iterable[Sequence[TapeTrade]]:
    """All trades of one moment in one frame."""
    return [trades] if trades else []


def one_by_one(trades: Sequence[TapeTrade]) -> Iterable[Sequence[TapeTrade]]:
    """A frame for each trade."""
    return [[trade] for trade in trades]


class TradeFeed(MarketFeed):
    """Trades as they happen; a new subscriber hears of none before.

    ``write(feed, trades, now_ns)`` makes the frame of one or several, oldest first: ``batches``
    says of which.
    """

    triggers = Changed.TRADES

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        write: Callable[[Any, Sequence[TapeTrade], int], Frame],
        *,
        batches: Callable[[Sequence[TapeTrade]], Iterable[Sequence[TapeTrade]]] = together,
        **pacing: Any,
    ) -> None:
        super().__init__(topic, market, **pacing)
        self._write = write
        self._batches = batches
        self._count = self.market.tape.count

    def started(self, now_ns: int) -> None:
        self._count = self.market.tape.count

    def update(self, now_ns: int) -> Iterable[Frame]:
        trades = self.market.tape.since(self._count)
        self._count = self.market.tape.count
        return [self._write(self, batch, now_ns) for batch in self._batches(trades)]


class ForcedCloseFeed(MarketFeed):
    """Positions that were closed by force, as it happens; a new subscriber hears of none before.

    ``write(feed, closes, now_ns)`` makes the frame of those since the last one, oldest first.
    """

    triggers = Changed.LIQUIDATIONS

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        write: Callable[[Any, Sequence[ForcedClose], int], Frame],
        **pacing: Any,
    ) -> None:
        super().__init__(topic, market, **pacing)
        self._write = write
        self._count = self.market.liquidation_count

    def started(self, now_ns: int) -> None:
        self._count = self.market.liquidation_count

    def update(self, now_ns: int) -> Iterable[Frame]:
        new = [each for each in self.market.liquidations if each.number > self._count]
        self._count = self.market.liquidation_count
        return (self._write(self, new, now_ns),) if new else ()


class ListingFeed(Broadcast):
    """What is listed, of a part of the exchange: all of it at first where it ``greets``, then the
    listings that are new, or changed, or gone, which are closed.

    ``write(feed, listings, now_ns)`` makes the frame of some; ``listed()`` says what is listed, and
    ``about(listing)`` what of it is told: all else changes in silence. ``singly``: each listing has
    a frame of its own.
    """

    def __init__(
        self,
        topic: str,
        listed: Callable[[], Iterable[Listing]],
        write: Callable[[Any, Sequence[Listing], int], Frame],
        *,
        greets: bool = True,
        singly: bool = False,
        about: Callable[[Listing], Any] = lambda listing: listing,
    ) -> None:
        super().__init__(topic, ())
        self._singly = singly
        self._about = about
        self._listed = listed
        self._write = write
        self._greets = greets
        self.known: dict[tuple[str, str], Listing] = {}
        """What was told last."""

    def started(self, now_ns: int) -> None:
        self.known = {each.key: each for each in self._listed()}

    def first(self, now_ns: int) -> Iterable[Frame]:
        return self._told(tuple(self.known.values()), now_ns) if self._greets else ()

    def relisted(self, now_ns: int) -> None:
        if self.subscribers:
            self.touch(now_ns)

    def update(self, now_ns: int) -> Iterable[Frame]:
        before = self.known
        self.started(now_ns)
        about = self._about
        changed = [
            each
            for key, each in self.known.items()
            if key not in before or about(before[key]) != about(each)
        ]
        gone = [
            attrs.evolve(each, status=InstrumentStatus.CLOSED)
            for key, each in before.items()
            if key not in self.known
        ]
        return self._told(changed + gone, now_ns)

    def _told(self, listings: Sequence[Listing], now_ns: int) -> Sequence[Frame]:
        if self._singly:
            return [self._write(self, [each], now_ns) for each in listings]
        return [self._write(self, listings, now_ns)] if listings else []


class Together(Broadcast):
    """Several broadcasts of the same kind under one topic, each of its own market."""

    def __init__(self, topic: str, parts: Sequence[Broadcast]) -> None:
        super().__init__(topic, [market for part in parts for market in part.markets])
        self.interval_ns = max((part.interval_ns for part in parts), default=0)
        for part in parts:
            self.triggers |= part.triggers
        self._parts = parts

    def started(self, now_ns: int) -> None:
        for part in self._parts:
            part.blank, part.last_ns = self.blank, now_ns
            part.started(now_ns)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return [frame for part in self._parts for frame in part.first(now_ns)]

    def update(self, now_ns: int) -> Iterable[Frame]:
        for part in self._parts:
            for frame in part.update(now_ns):
                part.last_ns = now_ns
                yield frame

    def alarm_ns(self) -> int | None:
        alarms = [part.alarm_ns() for part in self._parts]
        return min((each for each in alarms if each is not None), default=None)

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        for part in self._parts:
            alarm_ns = part.alarm_ns()
            if alarm_ns is not None and alarm_ns <= now_ns:
                part.last_ns = now_ns
                yield from part.alarm(now_ns)

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        return [frame for part in self._parts for frame in part.restarted(now_ns)]


def heartbeats(peer: Peer, frame: Frame, seconds: float, now_ns: int) -> None:
    """Send a frame every so many seconds from now on, for as long as the connection is open."""
    interval_ns = round(seconds * NS_PER_SECOND)

    def beat(now_ns: int) -> None:
        if peer.open:
            peer.reply(frame)
            peer.venue.at(now_ns + interval_ns, beat)

    peer.venue.at(now_ns + interval_ns, beat)
