"""Which candles and funding payments a listing's past has: none before its launch, none in its
halts. For dialects, which differ in how they page through them.
"""

from __future__ import annotations

from itertools import pairwise

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Figure, SimulatedMarket
from ccrs_core.emulator.tape import Bar, Interval, TapeTrade

_BESIDE = {Figure.MARK_PRICE: 300, Figure.INDEX_PRICE: -500}
"""How far past mark and index prices lay from those of trades, in hundredths of a tick."""


def newest_opens(
    listing: Listing, interval: Interval, before_ns: int, count: int, since_ns: int = 0
) -> list[int]:
    """When the last ``count`` candles before a time open, oldest first: all that open in
    ``since_ns <= open < before_ns``, where that are fewer."""
    earliest_ns = max(since_ns, interval.open_of(listing.launch_ns))
    found: list[int] = []
    open_ns = interval.open_of(before_ns - 1)
    while open_ns >= earliest_ns and len(found) < count:
        halt = listing.halted(open_ns, interval.next_open(open_ns))
        if halt is None:
            found.append(open_ns)
            open_ns = interval.open_of(open_ns - 1)
        else:
            # A candle that a halt begins in has been traded in.
            open_ns = min(interval.open_of(halt[0] - 1), interval.open_of(open_ns - 1))
    found.reverse()
    return found


def first_opens(
    listing: Listing, interval: Interval, since_ns: int, before_ns: int, count: int
) -> list[int]:
    """When the first ``count`` candles that open in ``since_ns <= open < before_ns`` do so."""
    since_ns = max(since_ns, interval.open_of(listing.launch_ns))
    open_ns = interval.open_of(since_ns)
    if open_ns < since_ns:
        open_ns = interval.next_open(open_ns)
    found: list[int] = []
    while open_ns < before_ns and len(found) < count:
        halt = listing.halted(open_ns, interval.next_open(open_ns))
        if halt is None:
            found.append(open_ns)
            open_ns = interval.next_open(open_ns)
        else:
            open_ns = max(interval.open_of(halt[1]), interval.next_open(open_ns))
    return found


def bars(market: SimulatedMarket, interval: Interval, opens: list[int], now_ns: int) -> list[Bar]:
    """The candles that open at these times, which rise."""
    found: list[Bar] = []
    first = 0
    for place, (one, other) in enumerate(pairwise([*opens, -1]), start=1):
        if interval.next_open(one) != other:
            run = market.tape.candles(interval, opens[first], place - first, now_ns)
            found.extend(run)
            first = place
    return found


def candle_page(
    market: SimulatedMarket,
    interval: Interval,
    span: tuple[int, int],
    count: int,
    now_ns: int,
    *,
    newest: bool = True,
) -> list[Bar]:
    """At most ``count`` candles that open within a span of time, ``from <= open < before`` in
    nanoseconds UTC, oldest first: the newest of them, or the first."""
    listing, (since_ns, before_ns) = market.listing, span
    if newest:
        opens = newest_opens(listing, interval, before_ns, count, since_ns)
    else:
        opens = first_opens(listing, interval, since_ns, before_ns, count)
    return bars(market, interval, opens, now_ns)


def reference_page(
    market: SimulatedMarket,
    interval: Interval,
    span: tuple[int, int],
    count: int,
    now_ns: int,
    figure: Figure,
    *,
    newest: bool = True,
) -> list[Bar]:
    """Candles of the mark price or the index, as of :func:`candle_page`; prices in hundredths of a
    tick."""
    page = candle_page(market, interval, span, count, now_ns, newest=newest)
    return [reference_bar(bar, figure) for bar in page]


def reference_bar(bar: Bar, figure: Figure) -> Bar:
    """A candle of the mark price or the index, of that of the trades."""
    beside = _BESIDE[figure]
    prices = (max(1, 100 * each + beside) for each in (bar.open, bar.high, bar.low, bar.close))
    return Bar(bar.open_ns, *prices)


def held_page(
    market: SimulatedMarket,
    interval: Interval,
    span: tuple[int, int],
    count: int,
    *,
    newest: bool = True,
) -> list[tuple[int, int]]:
    """At most ``count`` times within a span at which open interest was noted down, once every
    interval, with what it was in lots, oldest first: the newest of them, or the first."""
    listing, (since_ns, before_ns) = market.listing, span
    if newest:
        times = newest_opens(listing, interval, before_ns, count, since_ns)
    else:
        times = first_opens(listing, interval, since_ns, before_ns, count)
    return [(time_ns, market.open_interest_at(time_ns)) for time_ns in times]


def traded(market: SimulatedMarket, span: tuple[int, int]) -> list[TapeTrade]:
    """The trades within a span of time, ``from <= time < before``, that the tape has, oldest
    first."""
    since_ns, before_ns = span
    return [trade for trade in market.tape.trades if since_ns <= trade.time_ns < before_ns]


def newest_payments(listing: Listing, until_ns: int, count: int, since_ns: int = 0) -> list[int]:
    """When the last ``count`` funding payments in ``since_ns <= time <= until_ns`` were made,
    oldest first."""
    found: list[int] = []
    time_ns = listing.funding_until(until_ns)
    earliest_ns = max(since_ns, listing.launch_ns)
    while time_ns is not None and time_ns >= earliest_ns and len(found) < count:
        if listing.halted(time_ns, time_ns + 1) is None:
            found.append(time_ns)
        time_ns = listing.funding_until(time_ns - 1)
    found.reverse()
    return found


def first_payments(listing: Listing, since_ns: int, until_ns: int, count: int) -> list[int]:
    """When the first ``count`` funding payments in ``since_ns <= time <= until_ns`` were made."""
    found: list[int] = []
    time_ns = listing.funding_after(max(since_ns, listing.launch_ns) - 1)
    while time_ns is not None and time_ns <= until_ns and len(found) < count:
        if listing.halted(time_ns, time_ns + 1) is None:
            found.append(time_ns)
        time_ns = listing.funding_after(time_ns)
    return found
