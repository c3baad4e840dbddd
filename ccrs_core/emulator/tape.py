"""What a market's past looks like: its trades, its candles of any interval, its last 24 hours.

What happened since the market started is computed from its trades; what came before is invented,
the same for every emulator of the same seed.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import attrs

from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_SECOND

MINUTE_NS = 60 * NS_PER_SECOND
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

_KEPT_TRADES = 3000
_KEPT_MINUTES = 3 * 24 * 60
_KEPT_HOURS = 400 * 24
_KEPT_BARS = 20_000
# Mondays: the first one of the epoch was its fifth day.
_WEEK_OFFSET_NS = 4 * DAY_NS


@attrs.frozen
class Interval:
    """How long a candle is; ``ns`` None means a calendar month. All candles open in UTC."""

    ns: int | None

    @classmethod
    def minutes(cls, count: int) -> Interval:
        """A candle of so many minutes."""
        return cls(count * MINUTE_NS)

    def open_of(self, time_ns: int) -> int:
        """When the candle that holds a time opens."""
        if self.ns is None:
            at = datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC)
            return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND
        offset = _WEEK_OFFSET_NS if self.ns == 7 * DAY_NS else 0
        return (time_ns - offset) // self.ns * self.ns + offset

    def next_open(self, open_ns: int) -> int:
        return self.open_of(open_ns + 32 * DAY_NS) if self.ns is None else open_ns + self.ns


@attrs.frozen
class TapeTrade:
    """One trade: ``price`` in ticks, ``size`` in lots, ``side`` the taker's.

    ``number`` counts the market's trades; ``nonce`` is 128 random bits to make identifiers of.
    ``rising`` is the sign of the last price change, ``repeated`` whether this trade repeated the
    price. ``block`` trades were negotiated off the book; one side of ``rpi`` trades was an order of
    a retail price improvement programme.
    """

    number: int
    time_ns: int
    side: Side
    price: int
    size: int
    sequence: int
    nonce: int
    rising: bool
    repeated: bool
    block: bool = False
    rpi: bool = False


@attrs.define
class Bar:
    """Open, high, low, close in ticks; ``lots`` traded; ``turnover`` in the market's own units."""

    open_ns: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    turnover: int = 0

    def trade(self, price: int, lots: int, turnover: int) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.lots += lots
        self.turnover += turnover

    def follow(self, later: Bar) -> None:
        """Take in a bar of a later part of the same candle."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.turnover += later.turnover


class Past:
    """The invented prices before a market's start; they lead up to its first one."""

    _WAVES = ((90 * DAY_NS, 0.2), (11 * DAY_NS, 0.06), (26 * HOUR_NS, 0.015), (3 * HOUR_NS, 0.005),
              (17 * MINUTE_NS, 0.0012), (97 * NS_PER_SECOND, 0.0003))  # fmt: skip

    def __init__(self, rng: random.Random, price: int, start_ns: int, lots_per_minute: int) -> None:
        self._waves = [
            (2 * math.pi / period, height * rng.uniform(0.5, 1.0), rng.uniform(0, 2 * math.pi))
            for period, height in self._WAVES
        ]
        self._salt = rng.getrandbits(32)
        self._lots = lots_per_minute
        self._price = price
        self._start_ns = start_ns
        self._level = self._height(start_ns)
        self._bars: dict[tuple[int, int], tuple[tuple[int, int, int, int, int], int]] = {}
        """Those that were asked for, which clients do page by page and again."""

    def _height(self, time_ns: int) -> float:
        # Relative to the start: sines of large arguments would lose digits.
        t, level = time_ns - self._start_ns, 0.0
        for speed, height, phase in self._waves:
            level += height * math.sin(speed * t + phase)
        return level

    def price(self, time_ns: int) -> int:
        return max(1, round(self._price * math.exp(self._height(time_ns) - self._level)))

    def bar(self, open_ns: int, end_ns: int) -> tuple[Bar, int]:
        """The bar of a stretch of time, and its average price."""
        known = self._bars.get((open_ns, end_ns))
        if known is not None:
            return Bar(open_ns, *known[0]), known[1]
        span = end_ns - open_ns
        prices = [self.price(open_ns + span * i // 4) for i in range(5)]
        noise = (open_ns // NS_PER_SECOND * 2654435761 ^ self._salt) % 1000 / 1000
        wick = round(max(prices) * 0.0004 * noise)
        lots = max(0, round(self._lots * span / MINUTE_NS * (0.4 + noise)))
        figures = (
            prices[0],
            max(prices) + wick,
            max(1, min(prices) - wick),
            prices[-1],
            lots,
        )
        if len(self._bars) >= _KEPT_BARS:
            self._bars.clear()
        self._bars[open_ns, end_ns] = figures, sum(prices) // 5
        return Bar(open_ns, *figures), sum(prices) // 5


class Tape:
    """A market's trades and the candles made of them.

    ``turnover_of(price, lots)`` values a trade in the market's turnover units.
    """

    def __init__(self, past: Past, start_ns: int, inverse_unit: int | None) -> None:
        self._past = past
        self._start_ns = start_ns
        self._inverse_unit = inverse_unit
        self.trades: deque[TapeTrade] = deque(maxlen=_KEPT_TRADES)
        self.count = 0
        """All trades so far; the last of them has this number."""
        self.last = past.price(start_ns)
        """The last trade's price in ticks."""
        self._rising = True
        self._repeated = False
        self._minutes: dict[int, Bar] = {}
        self._hours: dict[int, Bar] = {}
        self._day_before: Bar | None = None
        self._hour_ago = (-1, 0)
        self.steered: dict[str, int] = {}
        """Figures of the last 24 hours that somebody has set (``EmulatedExchange.steer``)."""

    def turnover(self, price: int, lots: int) -> int:
        """Ticks times lots; of inverse markets 1e-8 coins."""
        if self._inverse_unit is None:
            return price * lots
        return lots * self._inverse_unit // price

    def record(
        self,
        time_ns: int,
        side: Side,
        price: int,
        size: int,
        sequence: int,
        nonce: int,
        *,
        block: bool = False,
        rpi: bool = False,
    ) -> TapeTrade:
        """Add a trade."""
        if price != self.last:
            self._rising, self._repeated = price > self.last, False
        else:
            self._repeated = self.count > 0
        self.count += 1
        trade = TapeTrade(
            self.count,
            time_ns,
            side,
            price,
            size,
            sequence,
            nonce,
            self._rising,
            self._repeated,
            block,
            rpi,
        )
        self.trades.append(trade)
        turnover = self.turnover(price, size)
        for bars, length, kept in (
            (self._minutes, MINUTE_NS, _KEPT_MINUTES),
            (self._hours, HOUR_NS, _KEPT_HOURS),
        ):
            open_ns = time_ns // length * length
            bar = bars.get(open_ns)
            if bar is None:
                last = self.last
                bar = bars[open_ns] = Bar(open_ns, last, last, last, last)
                if len(bars) > kept:
                    del bars[next(iter(bars))]
            bar.trade(price, size, turnover)
        self.last = price
        return trade

    @property
    def tick_direction(self) -> tuple[bool, bool]:
        """Whether the last price change was a rise, and whether the last trade repeated it."""
        return self._rising, self._repeated

    def since(self, count: int) -> list[TapeTrade]:
        """The trades after the first ``count``, as far as they are kept, oldest first."""
        new = min(self.count - count, len(self.trades))
        return list(islice(self.trades, len(self.trades) - new, None))

    def candles(self, interval: Interval, first_ns: int, limit: int, now_ns: int) -> list[Bar]:
        """Candles from the one that opens at ``first_ns`` on, at most ``limit``, the open one last.

        A candle opens at the last price before it; without trades it stays there.
        """
        found: list[Bar] = []
        open_ns = first_ns
        while len(found) < limit and open_ns <= now_ns:
            end_ns = interval.next_open(open_ns)
            found.append(self._candle(interval, open_ns, end_ns, found[-1] if found else None))
            open_ns = end_ns
        return found

    def candle(self, interval: Interval, open_ns: int) -> Bar:
        """The candle that opens at a time."""
        return self._candle(interval, open_ns, interval.next_open(open_ns), None)

    def _candle(self, interval: Interval, open_ns: int, end_ns: int, before: Bar | None) -> Bar:
        bar: Bar | None = None
        if open_ns < self._start_ns:
            bar, price = self._past.bar(open_ns, min(end_ns, self._start_ns))
            bar.turnover = self.turnover(price, bar.lots)
            if before is not None:
                bar.open = before.close
                bar.high, bar.low = max(bar.high, bar.open), min(bar.low, bar.open)
        if end_ns <= self._start_ns:
            assert bar is not None
            return bar
        by_hour = interval.ns is None or interval.ns >= HOUR_NS
        step, bars = (HOUR_NS, self._hours) if by_hour else (MINUTE_NS, self._minutes)
        for part in self._between(bars, step, open_ns, end_ns):
            if bar is None:
                bar = attrs.evolve(part, open_ns=open_ns)
            else:
                bar.follow(part)
        if bar is None:
            close = self._close_before(open_ns) if before is None else before.close
            bar = Bar(open_ns, close, close, close, close)
        return bar

    @staticmethod
    def _between(bars: dict[int, Bar], step: int, open_ns: int, end_ns: int) -> Iterator[Bar]:
        if (end_ns - open_ns) // step <= len(bars):
            found: Iterable[Bar | None] = map(bars.get, range(open_ns, end_ns, step))
            return (bar for bar in found if bar is not None)
        return (bar for bar in bars.values() if open_ns <= bar.open_ns < end_ns)

    def _close_before(self, time_ns: int) -> int:
        for bars in (self._minutes, self._hours):
            opens = list(bars)
            index = bisect_left(opens, time_ns)
            if index:
                return bars[opens[index - 1]].close
        return self._past.price(self._start_ns)

    def day(self, now_ns: int) -> Bar:
        """The last 24 hours, in whole hours and the one under way."""
        hour_ns = now_ns // HOUR_NS * HOUR_NS
        first_ns = hour_ns - 23 * HOUR_NS
        if self._day_before is None or self._day_before.open_ns != first_ns:
            hours = self.candles(Interval(HOUR_NS), first_ns, 23, now_ns)
            day = attrs.evolve(hours[0])
            for hour in hours[1:]:
                day.follow(hour)
            self._day_before = day
        day = attrs.evolve(self._day_before)
        day.follow(self.candle(Interval(HOUR_NS), hour_ns))
        return attrs.evolve(day, **self.steered) if self.steered else day

    def hour_ago(self, now_ns: int) -> int:
        """The price an hour ago."""
        minute_ns = now_ns // MINUTE_NS * MINUTE_NS - HOUR_NS
        if self._hour_ago[0] != minute_ns:
            self._hour_ago = minute_ns, self.candle(Interval(MINUTE_NS), minute_ns).open
        return self._hour_ago[1]
