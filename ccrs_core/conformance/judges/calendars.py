"""When candles open and close, and when funding is paid, by the calendar.

The suite's own: neither plugins nor emulators compute with it, so that it can judge both. Candles
open in UTC, weeks on Mondays, months on their first day; funding is paid at whole multiples of its
interval after midnight UTC.
"""

from __future__ import annotations

import contextlib
import os
import time
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_ELSEWHERE = "XXX+9:45"
"""A zone far behind UTC, by no whole number of hours: there it is still the month before."""


def moment(time_ns: int) -> datetime:
    """A time as the calendar knows it, whole microseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def ns_of(at: datetime) -> int:
    """The same, in nanoseconds."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def at(text: str) -> int:
    """A time in UTC as ``2024-02-29 23:59:58``, in nanoseconds."""
    return ns_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def candle_at(interval: str, time_ns: int) -> tuple[int, int]:
    """When the candle that holds a time opens, and when it closes: the first moment after it."""
    opened = _opening(interval, moment(time_ns))
    return ns_of(opened), ns_of(_closing(interval, opened))


def opens_until(interval: str, time_ns: int, count: int) -> list[int]:
    """When the last ``count`` candles that open until a time do so, oldest first."""
    opens: list[int] = []
    while len(opens) < count:
        opens.append(candle_at(interval, time_ns)[0])
        time_ns = opens[-1] - 1
    return opens[::-1]


def payment_after(time_ns: int, hours: int) -> int:
    """When funding that is paid every so many hours is paid next, after a time."""
    now = moment(time_ns)
    due = now.replace(hour=0, minute=0, second=0, microsecond=0)
    while due <= now:
        due += timedelta(hours=hours)
    return ns_of(due)


def payments_until(time_ns: int, hours: int, count: int) -> list[int]:
    """When it was paid the last ``count`` times until a time, oldest first."""
    now = moment(time_ns)
    day, found = now.replace(hour=0, minute=0, second=0, microsecond=0), list[int]()
    while len(found) < count:
        of_day = [day + timedelta(hours=at) for at in range(0, 24, hours)]
        found = [ns_of(each) for each in of_day if each <= now] + found
        day -= _DAY
    return found[-count:]


def _opening(interval: str, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    count, unit = int(interval[:-1]), interval[-1]
    match unit:
        case "m":
            length = timedelta(minutes=count)
        case "h":
            length = timedelta(hours=count)
        case "d":
            length = count * _DAY
        case "w":
            return midnight - now.weekday() * _DAY
        case _:
            return midnight.replace(day=1)
    return midnight + (now - midnight) // length * length


def _closing(interval: str, opened: datetime) -> datetime:
    count, unit = int(interval[:-1]), interval[-1]
    match unit:
        case "m":
            return opened + timedelta(minutes=count)
        case "h":
            return opened + timedelta(hours=count)
        case "d":
            return opened + count * _DAY
        case "w":
            return opened + 7 * _DAY
        case _:
            return opened + monthrange(opened.year, opened.month)[1] * _DAY


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """As if this machine stood far from Greenwich, where the system can pretend that."""
    set_zone = getattr(time, "tzset", None)
    if set_zone is None:
        yield
        return
    before = os.environ.get("TZ")
    os.environ["TZ"] = _ELSEWHERE
    set_zone()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        set_zone()


__all__ = [
    "at",
    "candle_at",
    "elsewhere",
    "moment",
    "ns_of",
    "opens_until",
    "payment_after",
    "payments_until",
]
