"""Bars of trades: by time, by volume, by number. Exact, and honest about holes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, overload

import attrs

from ccrs_core.analytics.sources import interval_ns, over
from ccrs_core.errors import UsageError
from ccrs_core.model.checks import at_least_one
from ccrs_core.model.events import Gap, Resumed, Stale, Trade
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND, PLAIN, QUOTIENT, number

_ZERO = Decimal(0)
# The epoch was a Thursday, weeks begin on Mondays.
_WEEK_NS = 604_800 * NS_PER_SECOND
_MONDAY_NS = 4 * 86_400 * NS_PER_SECOND


@attrs.frozen(kw_only=True)
class Bar:
    """What was traded of an instrument over a stretch. Prices of an empty bar are the last one's.

    Sizes are in the instrument's own unit, ``turnover`` is the sum of price times size.
    """

    exchange: str
    symbol: str
    open_time_ns: int
    """Of bars by time their interval's first nanosecond, of others their first trade's time."""
    close_time_ns: int
    """Of bars by time the first nanosecond after their interval, of others their last trade's."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    buy_volume: Decimal
    """The part of ``volume`` that takers bought."""
    trades: int
    complete: bool
    """False where trades may be missing: of a bar with a hole in it (``Gap``, ``Stale``), of the
    first by time, whose beginning nobody saw, and of the last, which hadn't ended."""
    late: int = 0
    """Trades that came when their own bar had been told already; they are in none."""

    @property
    def vwap(self) -> Decimal | None:
        """Turnover by volume, to 34 digits; None of an empty bar."""
        return QUOTIENT.divide(self.turnover, self.volume) if self.volume else None


@overload
def time_bars(
    events: Iterable[Any], interval: str | timedelta, *, empty: bool = ..., blocks: bool = ...
) -> Iterator[Bar]: ...
@overload
def time_bars(
    events: AsyncIterable[Any], interval: str | timedelta, *, empty: bool = ..., blocks: bool = ...
) -> AsyncIterator[Bar]: ...
def time_bars(
    events: Any, interval: str | timedelta, *, empty: bool = False, blocks: bool = False
) -> Any:
    """Bars of equal time, UTC: ``for bar in time_bars(replay(…), "1m")``, or ``async for`` over a
    feed.

    Each instrument's bars come in their order. A bar is told when an event of its instrument shows
    that its interval is over, and the last ones at the end. Trades count by the exchange's time.

    :param events: trades, and the notices among them; other events only tell the time.
    :param interval: such as ``"1m"`` (not ``"1M"``), or a ``timedelta``.
    :param empty: tell of intervals without trades, too.
    :param blocks: count trades that were negotiated off the book.
    :raises UsageError: on an interval that is none.
    """
    span = interval_ns(interval)
    return over(events, _Bars(lambda key: _ByTime(*key, span, empty), blocks))


@overload
def volume_bars(events: Iterable[Any], volume: Decimal, *, blocks: bool = ...) -> Iterator[Bar]: ...
@overload
def volume_bars(
    events: AsyncIterable[Any], volume: Decimal, *, blocks: bool = ...
) -> AsyncIterator[Bar]: ...
def volume_bars(events: Any, volume: Decimal, *, blocks: bool = False) -> Any:
    """Bars that end with the trade by which at least a volume was traded; see :func:`time_bars`.

    Trades aren't split: what is above the volume belongs to the bar.

    :raises UsageError: where the volume is no ``Decimal`` above zero.
    """
    if number("volume", volume) <= 0:
        raise UsageError(f"volume must be above zero, not {volume}")
    return over(
        events, _Bars(lambda key: _ByAmount(*key, lambda bar: bar.volume >= volume), blocks)
    )


@overload
def tick_bars(events: Iterable[Any], trades: int, *, blocks: bool = ...) -> Iterator[Bar]: ...
@overload
def tick_bars(
    events: AsyncIterable[Any], trades: int, *, blocks: bool = ...
) -> AsyncIterator[Bar]: ...
def tick_bars(events: Any, trades: int, *, blocks: bool = False) -> Any:
    """Bars of so many trades each; see :func:`time_bars`.

    :raises UsageError: where that is no whole number above zero.
    """
    at_least_one("trades", trades)
    return over(
        events, _Bars(lambda key: _ByAmount(*key, lambda bar: bar.trades >= trades), blocks)
    )


@attrs.define
class _Open:
    """A bar in the making."""

    exchange: str
    symbol: str
    open_time_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    close_time_ns: int
    complete: bool
    volume: Decimal = _ZERO
    turnover: Decimal = _ZERO
    buy_volume: Decimal = _ZERO
    trades: int = 0

    def take(self, trade: Trade) -> None:
        price, size = trade.price, trade.size
        if not self.trades:
            self.open = self.high = self.low = price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume = PLAIN.add(self.volume, size)
        self.turnover = PLAIN.add(self.turnover, PLAIN.multiply(price, size))
        if trade.side is Side.BUY:
            self.buy_volume = PLAIN.add(self.buy_volume, size)
        self.trades += 1

    def told(self, late: int) -> Bar:
        return Bar(**{field.name: getattr(self, field.name) for field in _FIELDS}, late=late)


_FIELDS = attrs.fields(_Open)


class _Maker(ABC):
    """Makes one instrument's bars."""

    def __init__(self, exchange: str, symbol: str) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.bar: _Open | None = None
        self.hole = False
        """Whether trades may be missing since the last one."""
        self.late = 0

    def interrupted(self) -> None:
        self.hole = True
        if self.bar is not None:
            self.bar.complete = False

    @abstractmethod
    def take(self, trade: Trade) -> Iterator[Bar]:
        """A trade; the bars that it ends."""

    def passes(self, ns: int) -> Iterator[Bar]:
        """Something of the instrument happened then."""
        return iter(())

    def end(self) -> Iterator[Bar]:
        if self.bar is not None:
            self.bar.complete = False
            yield self.told(self.bar)

    def begin(self, opens: int, closes: int, price: Decimal, complete: bool) -> _Open:
        whole = complete and not self.hole
        self.bar = _Open(
            self.exchange, self.symbol, opens, price, price, price, price, closes, whole
        )
        return self.bar

    def told(self, bar: _Open) -> Bar:
        late, self.late, self.bar = self.late, 0, None
        return bar.told(late)


class _ByTime(_Maker):
    def __init__(self, exchange: str, symbol: str, span: int, empty: bool) -> None:
        super().__init__(exchange, symbol)
        self._span = span
        self._offset = _MONDAY_NS if span % _WEEK_NS == 0 else 0
        self._empty = empty
        self._last: tuple[int, Decimal] | None = None
        """Where the last bar that was told closed, and at what price."""

    def take(self, trade: Trade) -> Iterator[Bar]:
        ns = _time_of(trade)
        yield from self.passes(ns)
        bar = self.bar
        if ns < (bar.open_time_ns if bar else self._last[0] if self._last else ns):
            self.late += 1
            return
        if bar is None:
            opens = ns - (ns - self._offset) % self._span
            bar = self.begin(opens, opens + self._span, trade.price, self._last is not None)
        bar.take(trade)
        self.hole = False

    def passes(self, ns: int) -> Iterator[Bar]:
        bar = self.bar
        if bar is not None and ns >= bar.close_time_ns:
            self._last = bar.close_time_ns, bar.close
            yield self.told(bar)
        if self._empty and self._last is not None:
            opens, price = self._last
            while ns >= opens + self._span:
                bar = self.begin(opens, opens + self._span, price, True)
                opens += self._span
                self._last = opens, price
                yield self.told(bar)


class _ByAmount(_Maker):
    def __init__(self, exchange: str, symbol: str, full: Callable[[_Open], bool]) -> None:
        super().__init__(exchange, symbol)
        self._full = full

    def take(self, trade: Trade) -> Iterator[Bar]:
        ns = _time_of(trade)
        bar = self.bar or self.begin(ns, ns, trade.price, True)
        bar.close_time_ns = max(ns, bar.close_time_ns)
        bar.take(trade)
        self.hole = False
        if self._full(bar):
            yield self.told(bar)


class _Bars:
    """Bars of all instruments that events are of."""

    def __init__(self, make: Callable[[tuple[str, str]], _Maker], blocks: bool) -> None:
        self._make = make
        self._blocks = blocks
        self._makers: dict[tuple[str, str], _Maker] = {}

    def add(self, event: Any) -> Iterator[Bar]:
        key = event.exchange, event.symbol
        maker = self._makers.get(key)
        if isinstance(event, Trade):
            if event.block and not self._blocks:
                return
            if maker is None:
                maker = self._makers[key] = self._make(key)
            yield from maker.take(event)
        elif maker is not None:
            if isinstance(event, Gap | Stale | Resumed):
                if event.about is Channel.TRADES and not isinstance(event, Resumed):
                    maker.interrupted()
            elif event.exchange_time_ns is not None:
                yield from maker.passes(event.exchange_time_ns)

    def end(self) -> Iterator[Bar]:
        for maker in self._makers.values():
            yield from maker.end()


def _time_of(trade: Trade) -> int:
    at = trade.exchange_time_ns
    return trade.received_time_ns if at is None else at
