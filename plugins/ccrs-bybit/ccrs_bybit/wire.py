"""Numbers off the wire: exact decimals and nanoseconds, or an exception for anything else.

Everything here raises TypeError, ValueError or ArithmeticError on malformed input; the callers
turn these into ``DecodeError``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ccrs_core.model import NS_PER_MS


class _Decimals(dict[str, Decimal]):
    """Decimals by their text. Prices and sizes repeat, and a look-up is cheaper than parsing."""

    def __missing__(self, text: str) -> Decimal:
        if type(text) is not str:
            raise TypeError(f"number as {type(text).__name__}, not text")
        number = Decimal(text)
        # NaN and infinity parse, and an exponent in the millions would explode in arithmetic.
        if not number.is_finite() or not -64 < number.adjusted() < 64:
            raise ValueError("not a plausible number")
        if len(self) >= 16384:
            self.clear()
        self[text] = number
        return number


LEAST, MOST = Decimal("1e-63"), Decimal("1e63")


def checked_size(size: Decimal) -> Decimal:
    """A size that was parsed without a look-up, because sizes seldom repeat, if it is plausible.

    Comparing NaN raises; infinity is above every bound.
    """
    if LEAST <= size <= MOST or not size:
        return size
    raise ValueError("not a plausible number")


DECIMALS = _Decimals()
"""``DECIMALS[text]`` is ``decimal(text)``, for the hot path."""


def decimal(text: Any) -> Decimal:
    """The exact decimal that a text spells."""
    return DECIMALS[text]


def decimal_or_none(text: Any) -> Decimal | None:
    """Like :func:`decimal`; None for an absent or empty field."""
    return None if text is None or text == "" else DECIMALS[text]


def ns_of_ms(ms: Any) -> int:
    """Nanoseconds of a time in milliseconds, a number or its digits."""
    if type(ms) is str and len(ms) <= 16 and ms.isascii() and ms.isdigit():
        ms = int(ms)
    if type(ms) is not int or not 0 <= ms < 10**16:
        raise TypeError("not a time in milliseconds")
    return ms * NS_PER_MS


def ns_or_none(ms: Any) -> int | None:
    """Like :func:`ns_of_ms`; None for an absent, empty or zero field."""
    return None if ms is None or ms == "" else ns_of_ms(ms) or None
