"""Numbers exactly: units of time, and multiples of ticks and lots.

The caller's decimal context plays no part: neither its precision nor its traps.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from ccrs_core.errors import UsageError

NS_PER_SECOND = 1_000_000_000
"""Nanoseconds."""
NS_PER_MS = 1_000_000
"""Nanoseconds in a millisecond."""


def iso(ns: int) -> str:
    """A time as ISO 8601 writes it, with all nanoseconds: ``2026-01-01T00:00:00.000000000Z``."""
    seconds, rest = divmod(ns, NS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


_LARGEST = 400
"""Digits before and after the point of numbers that are worked with; none come near it."""

PLAIN = Context(
    prec=5 * _LARGEST, Emin=-10 * _LARGEST, Emax=10 * _LARGEST, traps=[InvalidOperation]
)
"""For results that are exact in it."""

QUOTIENT = Context(prec=34, Emin=-10 * _LARGEST, Emax=10 * _LARGEST, traps=[InvalidOperation])
"""For quotients, which mostly aren't exact in any: to 34 digits, as IEEE's decimal128 has them."""


def number(what: str, value: Any) -> Decimal:
    """The value, if it is a finite decimal.

    :raises UsageError: where it is none, as a float is.
    """
    if not isinstance(value, Decimal):
        raise UsageError(
            f"a {what} must be a Decimal of exact digits, such as Decimal('0.10'), not {value!r}"
        )
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise UsageError(f"a {what} must be finite, not {value}")
    if abs(exponent) > _LARGEST or abs(value.adjusted()) > _LARGEST:
        raise UsageError(f"a {what} of {value} is out of any range")
    return value


def multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """A multiple of a step, spelled with the step's digits.

    :param rounding: as the decimal module calls it, such as ``ROUND_FLOOR``.
    """
    dividend, divisor = ratio(value, step)
    steps, rest = divmod(abs(dividend), divisor)
    # A quarter stands for all that lies nearer to one multiple: roundings ask for no more.
    part = ("25", "50", "75")[1 + (2 * rest > divisor) - (2 * rest < divisor)] if rest else "00"
    exact = Decimal(f"{'-' if dividend < 0 else ''}{steps}.{part}")
    whole = int(exact.to_integral_value(rounding, PLAIN))
    return PLAIN.multiply(step, Decimal(whole))


def is_multiple(value: Decimal, step: Decimal) -> bool:
    dividend, divisor = ratio(value, step)
    return dividend % divisor == 0


def ratio(value: Decimal, step: Decimal) -> tuple[int, int]:
    """Two integers of the same ratio as two decimals."""
    (a_top, a_bottom), (b_top, b_bottom) = value.as_integer_ratio(), step.as_integer_ratio()
    return a_top * b_bottom, b_top * a_bottom
