"""Binance's past funding rates, regular and special ones.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-History
"""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_binance.rest import FUTURES, get
from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    Answer,
    Endpoint,
    Funding,
    GetFundingHistory,
    HttpRequest,
    Request,
)
from ccrs_core.wire import (
    Ms,
    Rate,
    Shape,
    goes_back,
    json_pages,
    oldest_first,
    read_rows,
    row_reader,
    within,
)

FUNDING_LIMIT = 1000
SHORTEST_FUNDING_NS = 3600 * NS_PER_SECOND
FUNDING_WINDOW_MS = (FUNDING_LIMIT - 1) * SHORTEST_FUNDING_NS // NS_PER_MS
"""In this no more regular ones can lie than an answer holds, less one."""

FUNDING = Shape(
    Funding,
    usual=['{"symbol":"X","fundingTime":1794009600000,"fundingRate":"-0.0001","markPrice":"4.2"}'],
    fields={
        "exchange_time_ns": Ms("fundingTime"),
        "rate": Rate("fundingRate"),
        "funding_time_ns": Ms("fundingTime"),
    },
)


# With a start an answer holds the *first* rates from there on; so pages go forward, and a cursor is
# where the next one begins. Without one it holds the last ones before an end; so pages go back, in
# stretches in which no more regular ones can lie than one answer holds, and a cursor is where one
# ends. Where nothing lies in one, the stretch before it is longer, since the contract may have been
# halted; where one is full, its newest rates may be missing, and it is asked for anew, in parts.
# Special rates are paid at the time of a regular one: of two at one time a full page may hold the
# one, so that its outermost time is asked for again. Cursors say how many rates are still wanted,
# and how long a stretch is.

_GROWTH = 16
_REGULAR = (None, "", "Regular")
"""What ``rateType`` says of rates as they were before there were others."""


def _funding(request: GetFundingHistory, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [("symbol", request.instrument.native)]
    at, left, width = _place(request, cursor)
    if request.start_ns is not None:
        query.append(("startTime", at))
        if request.end_ns is not None:
            query.append(("endTime", -(-request.end_ns // NS_PER_MS) - 1))
        query.append(("limit", max(1, min(left, FUNDING_LIMIT))))
    elif at is not None:
        query += [("startTime", max(0, at - width)), ("endTime", at - 1), ("limit", FUNDING_LIMIT)]
    else:
        query.append(("limit", max(1, min(left, FUNDING_LIMIT))))
    return get(request.instrument.market, "fundingRate", *query)


def _place(request: GetFundingHistory, cursor: str | None) -> tuple[int | None, int, int]:
    """Where a page begins (or, without a start, ends: None for now), what is still wanted, and how
    many milliseconds it reaches back."""
    if cursor is not None:
        at, left, width = cursor.split(":")
        return int(at), int(left), int(width)
    bound_ns = request.end_ns if request.start_ns is None else request.start_ns
    at_ms = None if bound_ns is None else -(-bound_ns // NS_PER_MS)
    return at_ms, request.limit, FUNDING_WINDOW_MS


def _read_funding(
    request: GetFundingHistory, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[Funding]]:
    at, left, width = _place(request, cursor)
    if request.start_ns is None and at and len(body) >= FUNDING_LIMIT and width > 1:
        narrower = width // (_GROWTH if width > FUNDING_WINDOW_MS else 2)
        return Answer([], f"{at}:{left}:{narrower}")
    read = row_reader(FUNDING, request.instrument, received_time_ns)

    def read_kind(row: Any) -> Funding:
        funding: Funding = read(row)
        kind = row.get("rateType")
        if kind is not None and type(kind) is not str:
            raise TypeError("rateType is no text")
        return funding if kind in _REGULAR else attrs.evolve(funding, special=True)

    found = read_rows(body, read_kind)
    rates = oldest_first(found.values)
    further, edge = _next_funding(request, body, rates, cursor)
    wanted = [
        each
        for each in rates
        if each.funding_time_ns != edge and within(request, each.funding_time_ns or 0)
    ]
    return found.answer(wanted, further)


def _next_funding(
    request: GetFundingHistory, rows: list[Any], rates: list[Funding], cursor: str | None
) -> tuple[str | None, int | None]:
    """The page after (or before) one, as long as rates that are wanted may lie in it; and the time
    whose rates that page will bring."""
    at, left, width = _place(request, cursor)
    asked, left = min(left, FUNDING_LIMIT), left - len(rows)
    if left <= 0:
        return None, None
    times = [each.funding_time_ns or 0 for each in rates]
    if request.start_ns is not None:
        if not times or len(rows) < asked:
            return None, None
        edge = times[-1]
        if edge == times[0]:
            return f"{edge // NS_PER_MS + 1}:{left}:{width}", None
        return f"{edge // NS_PER_MS}:{left + times.count(edge)}:{width}", edge
    if at is None:
        # The last ones of all: there are none after them, and none at all where there are none.
        if not times:
            return None, None
        edge = times[0]
        if edge == times[-1]:
            return f"{edge // NS_PER_MS}:{left}:{width}", None
        return f"{edge // NS_PER_MS + 1}:{left + times.count(edge)}:{width}", edge
    before_ms = at - width
    if rows:
        width = FUNDING_WINDOW_MS
    else:
        width = width * _GROWTH if width == FUNDING_WINDOW_MS else before_ms
    return (f"{before_ms}:{left}:{width}" if before_ms > 0 else None), None


FUNDINGS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetFundingHistory: Endpoint(
        encode=_funding,
        decode=json_pages(_read_funding),
        markets=FUTURES,
        newest_first=goes_back,
        # It has a limit of its own, 500 calls in 5 minutes: as many as the budget gives at 20 each.
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-History
        weight=20,
    ),
}
