"""Reading bodies: JSON of frames and answers, rows one by one, what an answer says of time.

:func:`read_json` and :func:`read_exact_json` raise ``DecodeError`` themselves; everything else here
raises one of :data:`~ccrs_core.wire.MALFORMED` on malformed input.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import orjson

from ccrs_core.contract.codec import LeftOut, Message
from ccrs_core.contract.rest import Answer, HttpResponse
from ccrs_core.errors import DecodeError, Unsupported

if TYPE_CHECKING:
    from ccrs_core.model.events import MarketData
from ccrs_core.wire.values import MALFORMED, plausible_ns

_T = TypeVar("_T")
_R = TypeVar("_R")
_E = TypeVar("_E", bound="MarketData")


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

    What ``read`` or ``parse`` raises of :data:`MALFORMED` becomes ``DecodeError``; ``Unsupported``
    stays what it is.
    """

    def decode(
        request: _R, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[_T]:
        try:
            return read(request, parse(response.body), received_time_ns, cursor)
        except Unsupported:
            raise  # it has been read: the exchange doesn't tell so much
        except MALFORMED as error:
            message = f"malformed answer to {type(request).__name__}: {error!r}"
            raise DecodeError(message[:200], response.body) from error

    return decode


def timed_pages(
    read: Callable[[_R, Any, int, str | None, int], Answer[_T]],
    parse: Callable[[bytes], Any] = orjson.loads,
) -> Callable[[_R, HttpResponse, int, str | None], Answer[_T]]:
    """Like :func:`json_pages`; ``read`` also gets the exchange's time, by :func:`answered_at`."""

    def decode(
        request: _R, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[_T]:
        now_ns = answered_at(response, received_time_ns)

        def read_now(
            request: _R, body: Any, received_time_ns: int, cursor: str | None
        ) -> Answer[_T]:
            return read(request, body, received_time_ns, cursor, now_ns)

        return json_pages(read_now, parse)(request, response, received_time_ns, cursor)

    return decode


def answered_at(response: HttpResponse, received_time_ns: int) -> int:
    """The exchange's clock as it answered, nanoseconds UTC, in whole seconds (RFC 9110's ``Date``);
    ours, where the answer doesn't say. A candle that has ended by then has ended for good."""
    told_ns = response.date_ns
    try:
        return received_time_ns if told_ns is None else plausible_ns(told_ns)
    except ValueError:
        return received_time_ns


def json_answer(
    read: Callable[[Any], _T],
) -> Callable[[Any, HttpResponse, int, str | None], Answer[_T]]:
    """An endpoint's ``decode``, of one page: ``read`` makes the value out of the body's exact JSON.

    What ``read`` raises of :data:`MALFORMED` becomes ``DecodeError``.
    """
    return json_pages(lambda request, body, ns, cursor: Answer(read(body)), read_exact_json)


# --- rows -----------------------------------------------------------------------------------


def read_rows(rows: Any, read: Callable[[Any], _T | None]) -> Rows[_T]:
    """What ``read`` makes of each row of a list: those that it can't read are left out and counted.

    One announced contract without a name must not take a list of a thousand away. ``read`` raises
    one of :data:`MALFORMED` where a row can't be read, and gives None where it isn't wanted.

    :raises TypeError: where ``rows`` is no list.
    :raises ValueError: where it has rows, and none of them can be read.
    """
    if type(rows) is not list:
        raise TypeError(f"{type(rows).__name__}, not a list of rows")
    found: list[_T] = []
    left_out, reason = 0, ""
    for row in rows:
        try:
            value = read(row)
        except MALFORMED as error:
            left_out += 1
            reason = reason or f"{error!r} in {row!r}"[:300]
            continue
        if value is not None:
            found.append(value)
    if left_out and left_out == len(rows):
        raise ValueError(f"none of {left_out} rows can be read: {reason}")
    return Rows(found, left_out, reason)


def oldest_first(events: Sequence[_E]) -> list[_E]:
    """Events by the exchange's times, whatever order the exchange has listed them in; those of one
    time, or without one, stay as they are."""
    return sorted(events, key=_time_of)


def _time_of(event: MarketData) -> int:
    return event.exchange_time_ns or 0


def row_by_row(
    topic: str, rows: Any, read: Callable[[Any], Sequence[Message]]
) -> Sequence[Message]:
    """What the rows of a frame say, where they can't be read together: each that can't be read by
    itself is a ``LeftOut`` of the topic, in its place.

    For rows that say something each by itself, such as trades; never for the levels of a book.

    :raises TypeError: (or what ``read`` raises, of :data:`MALFORMED`) where none can be read.
    """
    if type(rows) is not list:
        raise TypeError("the rows are no list")
    found: list[Message] = []
    failure: Exception | None = None
    strange = 0
    for row in rows:
        try:
            found += read(row)
        except MALFORMED as error:
            failure, strange = error, strange + 1
            found.append(LeftOut(topic, f"{error!r} in {row!r}"[:200]))
    if failure is not None and strange == len(rows):
        raise failure
    return found


@attrs.frozen
class Rows(Generic[_T]):
    """The rows of a list that could be read, in order, and what became of the others."""

    values: list[_T]
    left_out: int = 0
    """How many couldn't be read."""
    reason: str = ""
    """Why the first of them couldn't."""

    def answer(self, values: list[_T] | None = None, cursor: str | None = None) -> Answer[list[_T]]:
        """A page of these rows, or of what has become of them."""
        shown = self.values if values is None else values
        return Answer(shown, cursor, self.left_out, self.reason)


# --- answers ---------------------------------------------------------------------------------


def retry_after(response: HttpResponse) -> float | None:
    """The seconds that an HTTP answer asks to wait (``Retry-After``); None where it doesn't, or
    names a date."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
