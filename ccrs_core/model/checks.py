"""Settings that can't work are told where they are given."""

from __future__ import annotations

import math
import sys
from typing import Any

import attrs

from ccrs_core.errors import UsageError


def seconds(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For times and shares: a number that isn't below zero, and isn't infinite.

    :raises UsageError: where it is none.
    """
    _number(instance, field, value, (int, float))
    if not 0 <= value < math.inf:
        raise UsageError(f"{_named(instance, field)} must not be below zero, not {value!r}")


def positive_seconds(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For times without which nothing would work: a number above zero.

    :raises UsageError: where it is none.
    """
    _number(instance, field, value, (int, float))
    if not 0 < value < math.inf:
        raise UsageError(f"{_named(instance, field)} must be above zero, not {value!r}")


def count(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For how many there are: a whole number, at least 1.

    :raises UsageError: where it is none.
    """
    _number(instance, field, value, (int,))
    if value < 1:
        raise UsageError(f"{_named(instance, field)} must be at least 1, not {value!r}")


count_if_any = attrs.validators.optional(count)
"""For how many there may be, where that is limited."""


def of(kind: type[Any]) -> Any:
    """For what must be of a type.

    :raises UsageError: where it isn't.
    """

    def check(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind):
            raise UsageError(
                f"{_named(instance, field)} must be of the type {kind.__name__}, not {value!r:.100}"
            )

    return check


_LAST_ONES = 200
_EARLIEST_NS = 10**17
"""In 1973: times below, but for zero, are no nanoseconds."""


def at_least_one(name: str, value: Any) -> None:
    """For an argument that says how many.

    :raises UsageError: where it is no whole number, or below 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, not {value!r:.100}")


def how_many(start_ns: Any, end_ns: Any, limit: Any) -> int:
    """How many items of a stretch of time are wanted: without a limit all of one that has a
    beginning, else the last ones.

    :raises UsageError: where there can be no such stretch, or no such number.
    """
    for name, value in (("start_ns", start_ns), ("end_ns", end_ns)):
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(
                f"{name} must be whole nanoseconds UTC, not {value!r:.100}; of a datetime: "
                "int(when.timestamp()) * 10**9"
            )
        if value < 0 or 0 < value < _EARLIEST_NS:
            raise UsageError(
                f"{name} must be nanoseconds UTC, such as 1_767_225_600_000_000_000 for 2026, "
                f"not {value}"
            )
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise UsageError(f"start_ns {start_ns} is later than end_ns {end_ns}")
    if limit is not None:
        at_least_one("limit", limit)
        return int(limit)
    return _LAST_ONES if start_ns is None else sys.maxsize


def _number(
    instance: Any, field: attrs.Attribute[Any], value: Any, kinds: tuple[type[Any], ...]
) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        word = "a number of seconds" if float in kinds else "a whole number"
        raise UsageError(f"{_named(instance, field)} must be {word}, not {value!r:.100}")


def _named(instance: Any, field: attrs.Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{field.name}"
