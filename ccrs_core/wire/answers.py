"""Answers whose rows are of a shape: what an endpoint's ``decode`` usually is.

Each of these makes one of it; ``at`` is the path of the rows in the answer (None: the answer
itself). What is malformed becomes ``DecodeError``; of several rows one that can't be read is left
out and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ccrs_core.contract.rest import (
    Answer,
    GetBook,
    GetCandles,
    GetTopOfBook,
    GetTrades,
    HttpResponse,
)
from ccrs_core.model.events import Candle, Trade
from ccrs_core.wire.bodies import answered_at, json_pages, oldest_first, read_rows
from ccrs_core.wire.interpreter import row_reader
from ccrs_core.wire.paging import candles_of_page
from ccrs_core.wire.shapes import Shape

Decode = Callable[[Any, HttpResponse, int, str | None], Answer[Any]]
"""An :attr:`Endpoint.decode <ccrs_core.Endpoint.decode>`."""


def _at(body: Any, path: str | None) -> Any:
    for part in () if path is None else path.split("."):
        body = body[int(part) if part.isdigit() else part]
    return body


def row_answer(
    shape: Shape,
    at: str | None = None,
    *,
    check: Callable[[Any, Any], Any] | None = None,
    parse: Callable[[bytes], Any] = orjson.loads,
) -> Decode:
    """One event. ``check`` finds the row in what stands there, or raises where it is another's."""

    def read(
        request: GetTopOfBook | GetBook, body: Any, received_time_ns: int, cursor: str | None
    ) -> Answer[Any]:
        row = _at(body, at)
        if check is not None:
            row = check(request, row)
        depth = request.depth if isinstance(request, GetBook) else None
        return Answer(row_reader(shape, request.instrument, received_time_ns, depth=depth)(row))

    return json_pages(read, parse)


def trades_answer(
    shape: Shape | Callable[[GetTrades], Shape],
    at: str | None = None,
    *,
    newest_first: bool = False,
    only: Callable[[GetTrades, Any], bool] | None = None,
    parse: Callable[[bytes], Any] = orjson.loads,
) -> Decode:
    """Trades, oldest first, no more than were asked for. ``only``: which rows are wanted."""

    def read(
        request: GetTrades, body: Any, received_time_ns: int, cursor: str | None
    ) -> Answer[list[Trade]]:
        of = shape if isinstance(shape, Shape) else shape(request)
        one = row_reader(of, request.instrument, received_time_ns)

        def wanted(row: Any) -> Any:
            return one(row) if only is None or only(request, row) else None

        rows = _at(body, at)
        found = read_rows(rows[::-1] if newest_first else rows, wanted)
        return found.answer(oldest_first(found.values)[-request.limit :])

    return json_pages(read, parse)


def candles_answer(
    shape: Shape,
    at: str | None = None,
    *,
    most: int,
    longest: Callable[[GetCandles], int] | None = None,
    now_ns: Callable[[Any], int] | None = None,
    parse: Callable[[bytes], Any] = orjson.loads,
) -> Decode:
    """Candles of a page; see :func:`candles_of_page`, whose ``most`` and ``longest`` these are.
    ``now_ns`` tells the exchange's time by the body; by default it is :func:`answered_at`."""

    def decode(
        request: GetCandles, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[list[Candle]]:
        def read(
            request: GetCandles, body: Any, received_time_ns: int, cursor: str | None
        ) -> Answer[list[Candle]]:
            now = answered_at(response, received_time_ns) if now_ns is None else now_ns(body)
            rows, instrument = _at(body, at), request.instrument
            one = row_reader(
                shape, instrument, received_time_ns, interval=request.interval, now_ns=now
            )
            found = read_rows(rows, one)
            further: dict[str, Any] = {} if longest is None else {"longest": longest(request)}
            wanted, following = candles_of_page(
                request, cursor, most, found.values, now, rows=len(rows), **further
            )
            return found.answer(wanted, following)

        return json_pages(read, parse)(request, response, received_time_ns, cursor)

    return decode


__all__ = ["Decode", "candles_answer", "row_answer", "trades_answer"]
