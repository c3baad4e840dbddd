"""Exact values: decimals of exactly the digits that were sent, times in nanoseconds.

Everything here raises one of :data:`MALFORMED` on malformed input, which a codec turns into
``DecodeError``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar

from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

if TYPE_CHECKING:
    pass

MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What reading a malformed frame may raise."""


# --- numbers --------------------------------------------------------------------------------

LONGEST = 64
"""Characters that a number may have. Exchanges need 30 or so; a thousand times as many would cost
memory and time with every one of them."""

_LEAST, _MOST = Decimal("1e-63"), Decimal("1e64")
"""What is above zero and has a plausible magnitude is not below the one, and below the other."""

_parse = Context(prec=2 * LONGEST, traps=[InvalidOperation]).create_decimal
"""``Decimal()``, at less cost. It would round what is longer than any number may be."""

_NO_DECIMAL = (TypeError, ValueError, ArithmeticError)
"""What it raises, and comparing NaN."""

_spelled = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch


class _Decimals(dict[str, Decimal]):
    """Decimals by their text. Prices and sizes repeat, and a look-up is cheaper than parsing."""

    kind: ClassVar[str] = "plausible number"

    def check(self, number: Decimal) -> bool:
        """Whether a number may be one of these."""
        return True

    def __missing__(self, text: str) -> Decimal:
        try:
            # What is above zero and written again as it was read is spelled as it should be; this
            # is found at a third of the price of an expression's match.
            number = _parse(text)
            plain = str(number) == text and _LEAST <= number < _MOST and len(text) <= LONGEST
        except _NO_DECIMAL:
            plain = False
        if not plain:
            number = self._checked(text)
        if len(self) >= 16384:
            self.clear()
        self[text] = number
        return number

    def _checked(self, text: str) -> Decimal:
        """A number of whatever spelling."""
        if type(text) is not str:
            raise TypeError(f"number as {type(text).__name__}, not text")
        # Decimal() takes spaces, underscores, digits of other scripts, NaN.
        if len(text) > LONGEST or _spelled(text) is None:
            raise ValueError("a text that spells no number")
        number = Decimal(text)
        if not -64 < number.adjusted() < 64 or not self.check(number):
            raise ValueError(f"a number that is no {self.kind}")
        return number


class _Prices(_Decimals):
    kind: ClassVar[str] = "price"

    def check(self, number: Decimal) -> bool:
        return number > 0


class _Sizes(_Decimals):
    kind: ClassVar[str] = "size"

    def check(self, number: Decimal) -> bool:
        return number >= 0


def plausible(number: Decimal) -> Decimal:
    """A number, if it can be a price or a size, and has no more digits than that needs.

    NaN and infinity parse, and an exponent in the millions would explode in arithmetic.
    """
    if (
        not number.is_finite()
        or not -64 < number.adjusted() < 64
        or len(number.as_tuple().digits) > 2 * LONGEST
    ):
        raise ValueError("not a plausible number")
    return number


DECIMALS = _Decimals()
"""``DECIMALS[text]`` is ``decimal(text)``, for the hot path."""
PRICES = _Prices()
"""``PRICES[text]`` is ``price(text)``."""
SIZES = _Sizes()
"""``SIZES[text]`` is ``size(text)``."""


def decimal(text: Any) -> Decimal:
    """The exact decimal that a text spells: digits, perhaps a sign, a point and an exponent, of at
    most :data:`LONGEST` characters.

    Prices and sizes have readers of their own, which know what a price can't be.
    """
    return DECIMALS[text]


def price(text: Any) -> Decimal:
    """A price: above zero. (Where a market has negative ones use :func:`decimal`.)"""
    return PRICES[text]


def size(text: Any) -> Decimal:
    """A size, a volume, a count of contracts: not below zero."""
    return SIZES[text]


def fresh_size(text: Any) -> Decimal:
    """Like :func:`size`, without a look-up: those of best prices seldom repeat."""
    try:
        number = _parse(text)
        if str(number) == text and _LEAST <= number < _MOST and len(text) <= LONGEST:
            return number
    except _NO_DECIMAL:
        pass
    return SIZES._checked(text)


def price_or_none(text: Any) -> Decimal | None:
    """Like :func:`price`; None for an absent, empty or zero field, by which exchanges say that
    there is none: before the first trade, where a side of the book is empty."""
    if text is None or text == "":
        return None
    return SIZES[text] or None


def size_or_none(text: Any) -> Decimal | None:
    """Like :func:`size`; None for an absent or empty field."""
    return None if text is None or text == "" else SIZES[text]


def decimal_or_none(text: Any) -> Decimal | None:
    """Like :func:`decimal`; None for an absent or empty field."""
    return None if text is None or text == "" else DECIMALS[text]


def decimal_of_number(number: Any) -> Decimal:
    """The exact decimal of a JSON number that :func:`read_exact_json` has read."""
    if type(number) is Decimal:
        return plausible(number)
    if type(number) is not int:
        raise TypeError(f"{type(number).__name__}, not a number")
    return plausible(Decimal(number))


def spelled(text: Any) -> str:
    """A text, as it is spelled: of at most 64 characters.

    :raises ValueError: (or TypeError) where it is none.
    """
    if type(text) is not str:
        raise TypeError("not a text")
    if len(text) > LONGEST:
        raise ValueError("a text of too many characters")
    return text


def mark(row: Any, *names: str) -> str | None:
    """The texts of some fields, to tell whether anything has changed; None where all are blank or
    zero, which says nothing."""
    texts = [spelled(row[name]) for name in names]
    return " ".join(texts) if any(text.strip("0.") for text in texts) else None


def whole(number: Any) -> int:
    """A JSON number without a fraction: an id, a sequence number, a count."""
    if type(number) is not int:
        raise TypeError(f"{type(number).__name__}, not a whole number")
    return number


# --- times ----------------------------------------------------------------------------------


EARLIEST_MS = 10**12
"""Times of exchanges lie from here on, in milliseconds: in 2001. Seconds taken for milliseconds are
before it."""
LATEST_MS = 5 * 10**12
"""Times of exchanges lie before this, in milliseconds: in 2128. Microseconds taken for milliseconds
are after it; 64 bits hold all times before it in nanoseconds."""


def ns_of_ms(ms: Any) -> int:
    """Nanoseconds of a time in milliseconds, a number or its digits.

    Times before :data:`EARLIEST_MS` or after :data:`LATEST_MS` are none.
    """
    if type(ms) is int:
        number = ms
    elif type(ms) is str and len(ms) <= 16 and ms.isascii() and ms.isdigit():
        number = int(ms)
    else:
        raise TypeError("not a time in milliseconds")
    if EARLIEST_MS <= number < LATEST_MS:
        return number * NS_PER_MS
    raise ValueError("no time of today's exchanges, in milliseconds")


def ns_of_us(us: Any) -> int:
    """Like :func:`ns_of_ms`, of a time in microseconds."""
    if type(us) is str and len(us) <= 19 and us.isascii() and us.isdigit():
        us = int(us)
    if type(us) is not int:
        raise TypeError("not a time in microseconds")
    return plausible_ns(us * 1000)


def ns_of_seconds(seconds: Any) -> int:
    """Like :func:`ns_of_ms`, of a whole number of seconds."""
    if type(seconds) is str and len(seconds) <= 13 and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds)
    if type(seconds) is not int:
        raise TypeError("not a time in seconds")
    return plausible_ns(seconds * NS_PER_SECOND)


def plausible_ns(ns: int) -> int:
    """A time in nanoseconds, if exchanges can mean it."""
    if not EARLIEST_MS * NS_PER_MS <= ns < LATEST_MS * NS_PER_MS:
        raise ValueError("no time of today's exchanges")
    return ns


def ns_or_none(ms: Any) -> int | None:
    """Like :func:`ns_of_ms`; None for an absent, empty or zero field."""
    return None if ms in _NO_TIME else ns_of_ms(ms)


_NO_TIME = frozenset({None, "", 0, "0"})


def ns_of_rfc3339(text: Any) -> int:
    """Nanoseconds of a time such as ``2026-01-01T00:00:00.123456789Z``, all digits kept."""
    if type(text) is not str or not text.isascii() or len(text) > 40:
        raise TypeError("not a time in RFC 3339")
    head, _, rest = text.partition(".")
    digits = rest.rstrip("Zz")
    if rest and (digits == rest or not digits.isdigit() or len(digits) > 9):
        raise ValueError("not a time in RFC 3339")
    if not rest and head[-1:] not in {"Z", "z"}:
        raise ValueError("not a time in RFC 3339, UTC")
    moment = datetime.strptime(head.rstrip("Zz"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return plausible_ns(int(moment.timestamp()) * NS_PER_SECOND + int(digits.ljust(9, "0") or 0))
