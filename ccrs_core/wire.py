"""Reading exact values off the wire: for plugins.

Prices and sizes become decimals of exactly the digits that were sent, times become nanoseconds.
:func:`read_json` and :func:`read_exact_json` raise ``DecodeError`` themselves; everything else here
raises one of :data:`MALFORMED` on malformed input, which a codec turns into ``DecodeError``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from ccrs_core.errors import DecodeError
from ccrs_core.model import NS_PER_MS, NS_PER_SECOND
from ccrs_core.rest import Answer, HttpResponse

_T = TypeVar("_T")
_R = TypeVar("_R")

MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What reading a malformed frame may raise."""


# --- JSON -----------------------------------------------------------------------------------


def read_json(frame: bytes) -> Any:
    """A frame's JSON, where the exchange sends prices and sizes as text.

    Where it sends them as numbers their digits would be lost: use :func:`read_exact_json`.

    :raises DecodeError: where it is no JSON.
    """
    try:
        return orjson.loads(frame)
    except ValueError as error:
        raise DecodeError(f"not JSON: {error}"[:200], frame) from error


def read_exact_json(frame: bytes) -> Any:
    """A frame's JSON with every fractional number as a ``Decimal`` of exactly its digits.

    Slower than :func:`read_json`; for exchanges that send prices and sizes as JSON numbers. Whole
    numbers are ``int``: read prices with :func:`decimal_of_number`.

    :raises DecodeError: where it is no JSON.
    """
    try:
        return json.loads(frame, parse_float=Decimal, parse_constant=_no_constant)
    except (*MALFORMED, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}"[:200], frame) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def json_pages(
    read: Callable[[_R, Any, int, str | None], Answer[_T]],
    parse: Callable[[bytes], Any] = orjson.loads,
) -> Callable[[_R, HttpResponse, int, str | None], Answer[_T]]:
    """An endpoint's ``decode``: ``read`` makes a page out of the request, the parsed body, the time
    of receipt and the cursor.

    What ``read`` or ``parse`` raises of :data:`MALFORMED` becomes ``DecodeError``.
    """

    def decode(
        request: _R, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[_T]:
        try:
            return read(request, parse(response.body), received_time_ns, cursor)
        except MALFORMED as error:
            message = f"malformed answer to {type(request).__name__}: {error!r}"
            raise DecodeError(message[:200], response.body) from error

    return decode


def json_answer(
    read: Callable[[Any], _T],
) -> Callable[[Any, HttpResponse, int, str | None], Answer[_T]]:
    """An endpoint's ``decode``, of one page: ``read`` makes the value out of the body's exact JSON.

    What ``read`` raises of :data:`MALFORMED` becomes ``DecodeError``.
    """
    return json_pages(lambda request, body, ns, cursor: Answer(read(body)), read_exact_json)


# --- numbers --------------------------------------------------------------------------------


class _Decimals(dict[str, Decimal]):
    """Decimals by their text. Prices and sizes repeat, and a look-up is cheaper than parsing."""

    def __missing__(self, text: str) -> Decimal:
        if type(text) is not str:
            raise TypeError(f"number as {type(text).__name__}, not text")
        number = Decimal(text)
        # As :func:`plausible`, without a call.
        if not number.is_finite() or not -64 < number.adjusted() < 64:
            raise ValueError("not a plausible number")
        if len(self) >= 16384:
            self.clear()
        self[text] = number
        return number


LEAST, MOST = Decimal("1e-63"), Decimal("1e63")


def plausible(number: Decimal) -> Decimal:
    """A number, if it can be a price or a size.

    NaN and infinity parse, and an exponent in the millions would explode in arithmetic.
    """
    if not number.is_finite() or not -64 < number.adjusted() < 64:
        raise ValueError("not a plausible number")
    return number


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


def decimal_of_number(number: Any) -> Decimal:
    """The exact decimal of a JSON number that :func:`read_exact_json` has read."""
    if type(number) is Decimal:
        return plausible(number)
    if type(number) is not int:
        raise TypeError(f"{type(number).__name__}, not a number")
    return plausible(Decimal(number))


def whole(number: Any) -> int:
    """A JSON number without a fraction: an id, a sequence number, a count."""
    if type(number) is not int:
        raise TypeError(f"{type(number).__name__}, not a whole number")
    return number


# --- answers ---------------------------------------------------------------------------------


def retry_after(response: HttpResponse) -> float | None:
    """The seconds that an HTTP answer asks to wait (``Retry-After``); None where it doesn't, or
    names a date."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


# --- times ----------------------------------------------------------------------------------


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
    return int(moment.timestamp()) * NS_PER_SECOND + int(digits.ljust(9, "0") or 0)
