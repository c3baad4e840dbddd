"""Settings that can't work are told where they are given."""

from __future__ import annotations

import enum
import math
from typing import Any, TypeVar

import attrs

from ccrs_core.errors import UsageError

E = TypeVar("E", bound=enum.StrEnum)


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


def member(kind: type[E], name: str, value: Any) -> E:
    """For an argument that is one of some words.

    :raises UsageError: where it is none of them.
    """
    try:
        return kind(value)
    except ValueError:
        words = [f'"{each.value}"' for each in kind]
        told = f"{', '.join(words[:-1])} or {words[-1]}"
        raise UsageError(f"{name} must be {told}, not {value!r:.100}") from None


def at_least_one(name: str, value: Any) -> None:
    """For an argument that says how many.

    :raises UsageError: where it is no whole number, or below 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, not {value!r:.100}")


def seconds_above_zero(name: str, value: Any) -> float:
    """For an argument that says within how many seconds.

    :raises UsageError: where it is no number, or none above zero.
    """
    told = isinstance(value, int | float) and not isinstance(value, bool)
    if not told or not 0 < value < math.inf:
        raise UsageError(f"{name} must be seconds above zero, not {value!r:.100}")
    return float(value)


def _number(
    instance: Any, field: attrs.Attribute[Any], value: Any, kinds: tuple[type[Any], ...]
) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        word = "a number of seconds" if float in kinds else "a whole number"
        raise UsageError(f"{_named(instance, field)} must be {word}, not {value!r:.100}")


def _named(instance: Any, field: attrs.Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{field.name}"
