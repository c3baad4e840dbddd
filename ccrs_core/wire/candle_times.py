"""When candles open. Pure; for plugins, whose exchanges page through candles by their times."""

from __future__ import annotations

from datetime import UTC, datetime

from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.units import NS_PER_SECOND


def later(open_ns: int, interval: str, count: int) -> int:
    """When the ``count``-th interval after the one that opens at ``open_ns`` opens."""
    if interval != "1M":
        return open_ns + count * INTERVALS[interval] * NS_PER_SECOND
    start = datetime.fromtimestamp(open_ns // NS_PER_SECOND, UTC)
    years, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    if not 1 <= years <= 9999:
        raise ValueError("no such month")
    end = datetime(years, month + 1, 1, tzinfo=UTC)
    return int(end.timestamp()) * NS_PER_SECOND


def first_open(start_ns: int, interval: str) -> int:
    """The first candle at or after a time, or some time just before that candle."""
    if interval != "1M":
        return start_ns
    start = datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC)
    month = start.replace(day=1, hour=0, minute=0, second=0)
    month_ns = int(month.timestamp()) * NS_PER_SECOND
    return month_ns if month_ns == start_ns else later(month_ns, "1M", 1)


def open_since(now_ns: int, interval: str) -> int:
    """The earliest time at which a candle may have opened that is open now: less than an interval
    ago, a month's on its first day."""
    if interval == "1M":
        return later(now_ns, "1M", 0)
    return now_ns - INTERVALS[interval] * NS_PER_SECOND + 1


__all__ = ["first_open", "later", "open_since"]
