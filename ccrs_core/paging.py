"""Pages that go back in time, as most exchanges list candles. Pure; for plugins.

A cursor is the time before which the next page's candles open, in milliseconds, and how many are
still wanted.
"""

from __future__ import annotations

import attrs

from ccrs_core.candle_times import first_open, later
from ccrs_core.model import NS_PER_MS
from ccrs_core.rest import GetCandles, GetFundingHistory


@attrs.frozen
class CandlePage:
    """What a page asks for: the last ``count`` candles that open before ``before_ns``, None for
    now."""

    before_ns: int | None
    count: int

    @property
    def before_ms(self) -> int | None:
        """The same in milliseconds, rounded up."""
        return None if self.before_ns is None else -(-self.before_ns // NS_PER_MS)


def candle_page(request: GetCandles, cursor: str | None) -> CandlePage:
    """The page of a cursor, or the first one.

    With a start the first candles are wanted: what opens after them isn't asked for.
    """
    if cursor is not None:
        before, _, left = cursor.partition(":")
        return CandlePage(int(before) * NS_PER_MS, int(left))
    end_ns, count = request.end_ns, request.limit
    if request.start_ns is not None:
        last_ns = later(first_open(request.start_ns, request.interval), request.interval, count)
        end_ns = last_ns if end_ns is None else min(end_ns, last_ns)
    return CandlePage(end_ns, count)


def earlier_candles(
    request: GetCandles, cursor: str | None, oldest_ns: int | None, found: int
) -> str | None:
    """The cursor of the page before one whose ``found`` candles begin at ``oldest_ns``; None where
    nothing that is wanted can lie there, or where an empty page says that history has ended."""
    left = candle_page(request, cursor).count - found
    if oldest_ns is None or left <= 0:
        return None
    if request.start_ns is not None and oldest_ns <= request.start_ns:
        return None
    return f"{oldest_ns // NS_PER_MS}:{left}"


def within(request: GetCandles | GetFundingHistory, time_ns: int) -> bool:
    """Whether a time lies in a request's ``start_ns <= time < end_ns``."""
    start_ns, end_ns = request.start_ns, request.end_ns
    return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns < end_ns)


__all__ = ["CandlePage", "candle_page", "earlier_candles", "within"]
