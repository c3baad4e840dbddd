"""Pages of a history: back in time where its end is asked for, forward where its beginning is.

Pure; for plugins. Most exchanges answer a stretch of time with the newest of what lies in it, as
many as fit. So pages without a start go back from the end. With a start the *first* ones are
wanted, and these may lie anywhere: before a listing, and in halts, there are none. Then each page
asks for a stretch of which an answer holds all, and stretches grow as long as nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from ccrs_core.contract.rest import (
    GetCandles,
    GetFundingHistory,
    GetOpenInterestHistory,
    GetTradeHistory,
)
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.wire.candle_times import first_open, later

ByInterval = GetCandles | GetOpenInterestHistory
"""Questions whose rows begin once every interval."""
History = ByInterval | GetFundingHistory | GetTradeHistory
R = TypeVar("R")

_GROWTH = 16
"""So many times as long is the stretch after one in which nothing was found."""
_LONGEST = 2**40
_LONGEST_NS = 10 * 366 * 86_400 * 10**9
"""Ten years: no stretch is longer."""
_AHEAD_NS = 3_600 * 10**9
"""How far the exchange's clock is looked past: a stretch that begins later holds nothing yet."""


@attrs.frozen
class CandlePage:
    """What a page asks for: candles that open in ``since_ns <= open < before_ns`` (None: no bound),
    the last ``count`` of them."""

    since_ns: int | None
    before_ns: int | None
    count: int

    @property
    def since_ms(self) -> int | None:
        """The same in milliseconds, rounded up."""
        return None if self.since_ns is None else -(-self.since_ns // NS_PER_MS)

    @property
    def before_ms(self) -> int | None:
        """The same in milliseconds, rounded up."""
        return None if self.before_ns is None else -(-self.before_ns // NS_PER_MS)


def from_start(request: History) -> bool:
    """Whether the first ones are wanted, so that pages go forward in time."""
    return request.start_ns is not None


def goes_back(request: History) -> bool:
    """Whether the last ones are wanted: for ``Endpoint.newest_first``."""
    return request.start_ns is None


def candle_page(
    request: ByInterval, cursor: str | None, most: int, longest: int = _LONGEST
) -> CandlePage:
    """The page of a cursor, or the first one, for an exchange that answers with ``most`` candles,
    of stretches of at most ``longest`` intervals."""
    if request.start_ns is None:
        if cursor is None:
            return CandlePage(None, request.end_ns, min(request.limit, most))
        before, _, left = cursor.partition(":")
        return CandlePage(None, int(before) * NS_PER_MS, min(int(left), most))
    since_ns, width, _ = _stretch(request, cursor, most)
    end_ns = _end(since_ns, request.interval, min(width, longest))
    if request.end_ns is not None:
        end_ns = min(end_ns, request.end_ns)
    return CandlePage(since_ns, end_ns, min(width, most))


def candles_of_page(
    request: ByInterval,
    cursor: str | None,
    most: int,
    candles: Sequence[R],
    now_ns: int,
    *,
    rows: int,
    longest: int = _LONGEST,
    opened: Callable[[Any], int] | None = None,
) -> tuple[list[R], str | None]:
    """Those of a page's candles that are wanted, and the cursor of the next page.

    ``candles`` are all that could be read of the page's ``rows``, in any order; ``now_ns`` is the
    exchange's time. None are wanted of a stretch of which the answer may not hold the beginning:
    it is asked for anew, in parts. The cursor is None where nothing that is wanted can lie further.
    ``opened`` tells when one opens, where they aren't candles but something else of an interval.
    """
    page = candle_page(request, cursor, most, longest)
    opened = opened or _opened
    candles = sorted(candles, key=opened)
    wanted = [candle for candle in candles if within(request, opened(candle))]
    if request.start_ns is None:
        left = (request.limit if cursor is None else int(cursor.partition(":")[2])) - rows
        if not candles or left <= 0:
            return wanted, None
        return wanted, f"{opened(candles[0]) // NS_PER_MS}:{left}"
    since_ns, width, left = _stretch(request, cursor, most)
    if rows >= page.count and width > most:
        return [], _next(since_ns, max(most, width // _GROWTH), left)
    left -= len(wanted)
    end_ns = page.before_ns
    assert end_ns is not None
    if left <= 0 or end_ns > now_ns + _AHEAD_NS or end_ns == request.end_ns:
        return wanted, None
    wider = min(max(width, most) * _GROWTH, _LONGEST, longest)
    return wanted, _next(end_ns, min(left, most) if rows else wider, left)


def _opened(candle: Any) -> int:
    return int(candle.open_time_ns)


def _stretch(request: ByInterval, cursor: str | None, most: int) -> tuple[int, int, int]:
    """Where a page's stretch begins, its intervals, and how many candles are still wanted."""
    assert request.start_ns is not None
    if cursor is None:
        first_ns = first_open(request.start_ns, request.interval)
        return first_ns, min(request.limit, most), request.limit
    since, width, left = cursor.split(":")
    return int(since) * NS_PER_MS, int(width), int(left)


def _next(since_ns: int, width: int, left: int) -> str:
    return f"{-(-since_ns // NS_PER_MS)}:{width}:{left}"


def _end(since_ns: int, interval: str, width: int) -> int:
    """When a stretch of so many intervals ends."""
    if interval == "1M":
        return later(since_ns, interval, min(width, 120))
    return min(later(since_ns, interval, width), since_ns + _LONGEST_NS)


def within(request: History, time_ns: int) -> bool:
    """Whether a time lies in a request's ``start_ns <= time < end_ns``."""
    start_ns, end_ns = request.start_ns, request.end_ns
    return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns < end_ns)


__all__ = ["CandlePage", "candle_page", "candles_of_page", "from_start", "goes_back", "within"]
