"""Ready-made broadcasts of what stands at a time: tickers and the like, and candles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.ready_made import MarketFeed
from ccrs_core.emulator.spelling import Speller
from ccrs_core.emulator.tape import Bar, Interval

Row = Mapping[str, Any]


class StateFeed(MarketFeed):
    """A row of what stands, as the exchange writes it: at once, and when it has changed.

    ``state(feed, now_ns)`` says what stands. ``write(feed, row, before, now_ns)`` makes the frame;
    ``before`` is what was told last, None where all is to be told. ``stamp`` is the field of the
    time at which it is written, which is no change.
    """

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        state: Callable[[Any, int], Row],
        write: Callable[[Any, Row, Row | None, int], Frame],
        *,
        triggers: Changed = Changed.NOTHING,
        stamp: str | None = None,
        **pacing: Any,
    ) -> None:
        super().__init__(topic, market, **pacing)
        self.triggers = triggers
        self._state = state
        self._write = write
        self._stamp = stamp
        self.row: Row = {}
        """What was told last."""

    def started(self, now_ns: int) -> None:
        self.take(self._state(self, now_ns))

    def standing(self, now_ns: int) -> Iterable[Frame]:
        return (self._write(self, self.row, None, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        before, row = self.row, self._state(self, now_ns)
        if self._lasting(before) == self._lasting(row):
            return ()
        self.take(row)
        return (self._write(self, row, before, now_ns),)

    def repeated(self, now_ns: int) -> Iterable[Frame]:
        self.take(self._state(self, now_ns))
        return self.standing(now_ns)

    def take(self, row: Row) -> None:
        """Let this be what stands from now on."""
        self.row = row

    def _lasting(self, row: Row) -> Row:
        return row if self._stamp is None else {**row, self._stamp: None}


class CandleFeed(MarketFeed):
    """The open candle as it changes, and each candle once more when it closes.

    ``write(feed, bar, closed, now_ns)`` makes the frame; ``close_ns`` is when the candle closes.
    """

    triggers = Changed.TRADES

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket | Speller,
        interval: Interval,
        write: Callable[[Any, Bar, bool, int], Frame],
        **pacing: Any,
    ) -> None:
        super().__init__(topic, market, **pacing)
        self.interval = interval
        self._write = write
        self.open_ns = self.close_ns = 0

    def started(self, now_ns: int) -> None:
        self.open_ns = self.interval.open_of(now_ns)
        self.close_ns = self.interval.next_open(self.open_ns)

    def standing(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(False, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(False, now_ns),)

    def alarm_ns(self) -> int | None:
        again_ns = super().alarm_ns()
        return self.close_ns if again_ns is None else min(self.close_ns, again_ns)

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        if now_ns < self.close_ns:
            return (self._told(False, now_ns),)
        closed = self._told(True, now_ns)
        self.started(self.close_ns)
        return (closed,)

    def _told(self, closed: bool, now_ns: int) -> Frame:
        bar = self.market.tape.candle(self.interval, self.open_ns)
        return self._write(self, bar, closed, now_ns)
