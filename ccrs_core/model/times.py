"""Times as users give them: a datetime that knows its time zone, or whole nanoseconds UTC."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from ccrs_core.errors import UsageError
from ccrs_core.model.checks import at_least_one
from ccrs_core.model.units import NS_PER_SECOND

When = datetime | int
"""An aware datetime, or integer nanoseconds UTC."""

LAST_ONES = 200
"""So many rows are meant where neither a start nor a number of them is given."""
ALL = sys.maxsize
"""A limit that is none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (
    (10**11, "seconds", 10**9),
    (10**14, "milliseconds", 10**6),
    (10**17, "microseconds", 10**3),
)
"""Times below these, which as nanoseconds would all lie before 1973, are likelier to be of these
units, and so many nanoseconds are one."""
_LATEST_NS = 2**63
_EXAMPLE = "1_767_225_600_000_000_000 for 2026"


def nanoseconds(name: str, value: Any) -> int | None:
    """An argument that is a time, in nanoseconds UTC; None stays None.

    :raises UsageError: where it is neither an aware datetime nor nanoseconds; it says what was
        likely meant.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return _of_datetime(name, value)
    if not isinstance(value, int) or isinstance(value, bool):
        hint = ""
        if isinstance(value, float) and (of := _looks_like(value)):
            hint = f"; it looks like {of[0]}: int({value!r} * {of[1]})"
        elif isinstance(value, str):
            hint = "; of a text: datetime.fromisoformat(…)"
        raise UsageError(
            f"{name} must be a datetime with a time zone, or whole nanoseconds UTC, "
            f"not {value!r:.100}{hint}"
        )
    if found := _looks_like(value):
        unit, factor = found
        raise UsageError(
            f"{name} must be nanoseconds UTC, such as {_EXAMPLE}: {value} looks like {unit}; "
            f"meant is likely {value} * {factor:_}"
        )
    if not 0 <= value < _LATEST_NS:
        raise UsageError(f"{name} must be nanoseconds UTC, such as {_EXAMPLE}, not {value:.3e}")
    return value


def _looks_like(value: float) -> tuple[str, int] | None:
    """The unit that a number of another one likely has, and its nanoseconds."""
    if value <= 0:
        return None
    return next((each[1:] for each in _UNITS if value < each[0]), None)


def _of_datetime(name: str, value: datetime) -> int:
    if value.utcoffset() is None:
        raise UsageError(
            f"{name} is a datetime without a time zone: {value}; say of which it is, as in "
            "datetime(2026, 1, 1, tzinfo=UTC)"
        )
    since = (value - _EPOCH) // timedelta(microseconds=1) * 1000
    if since < 0:
        raise UsageError(f"{name} must not be before 1970: {value}")
    return since


def stretch(
    start: Any, end: Any, limit: Any, *, last_ones: int = LAST_ONES
) -> tuple[int | None, int | None, int]:
    """A stretch of time and how many rows of it are wanted: without a limit all of one that has a
    beginning, else the last ones.

    :raises UsageError: where there can be no such stretch, or no such number.
    """
    start_ns, end_ns = nanoseconds("start", start), nanoseconds("end", end)
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise UsageError(f"start {shown(start_ns)} is later than end {shown(end_ns)}")
    if limit is not None:
        at_least_one("limit", limit)
        return start_ns, end_ns, int(limit)
    return start_ns, end_ns, last_ones if start_ns is None else ALL


def shown(ns: int) -> str:
    """A time for people, to the second where it is whole ones."""
    seconds, rest = divmod(ns, NS_PER_SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + " UTC" if rest else f"{text} UTC"
