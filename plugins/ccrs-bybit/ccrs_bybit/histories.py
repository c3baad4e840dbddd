"""Past open interest and trades of Bybit, apart from what is asked of the present."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from ccrs_bybit.rest import ALL, CONTRACTS, TRADE, TRADES_LIMIT, Body, get
from ccrs_core import (
    NS_PER_SECOND,
    Answer,
    Endpoint,
    GetOpenInterestHistory,
    GetTradeHistory,
    HttpRequest,
    Market,
    OpenInterest,
    Request,
    Trade,
    Unsupported,
)
from ccrs_core.wire import (
    Always,
    Ms,
    Shape,
    Size,
    candle_page,
    candles_of_page,
    goes_back,
    json_pages,
    ns_of_ms,
    oldest_first,
    read_rows,
    row_reader,
    within,
)

PERIODS = {"5m": "5min", "15m": "15min", "30m": "30min", "1h": "1h", "4h": "4h", "1d": "1d"}
"""https://bybit-exchange.github.io/docs/v5/market/open-interest"""
OPEN_INTEREST_LIMIT = 200

OPEN_INTEREST = Shape(
    # "openInterest" is the sum of both sides.
    OpenInterest,
    usual=['{"openInterest":"20.5","singleOpenInterest":"10.25","timestamp":"1794000000000"}'],
    fields={
        "exchange_time_ns": Ms("timestamp"),
        "open_interest": Size("singleOpenInterest"),
        "value": Always(None),
    },
)


# --- open interest ---------------------------------------------------------------------------
#
# Newest first, as candles: see CandlePage. Its own cursors lead through one stretch alone.


def _open_interest(request: GetOpenInterestHistory, cursor: str | None) -> HttpRequest:
    instrument, page = request.instrument, candle_page(request, cursor, OPEN_INTEREST_LIMIT)
    query: list[tuple[str, object]] = [
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        ("intervalTime", PERIODS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.since_ms is not None:
        query.append(("startTime", page.since_ms))
    if page.before_ms is not None:
        query.append(("endTime", page.before_ms - 1))
    return get("/v5/market/open-interest", *query)


def _read_open_interest(
    request: GetOpenInterestHistory, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[OpenInterest]]:
    rows = body["result"]["list"]
    found = read_rows(rows, row_reader(OPEN_INTEREST, request.instrument, received_time_ns))
    wanted, further = candles_of_page(
        request,
        cursor,
        OPEN_INTEREST_LIMIT,
        found.values,
        ns_of_ms(body["time"]),
        rows=len(rows),
        opened=attrgetter("exchange_time_ns"),
    )
    return found.answer(wanted, further)


# --- trades ----------------------------------------------------------------------------------
#
# Bybit answers with the latest alone. A stretch can be told where they reach back to its beginning.


def _trades(request: GetTradeHistory, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    query: list[tuple[str, object]] = [
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        ("limit", TRADES_LIMIT[instrument.market]),
    ]
    return get("/v5/market/recent-trade", *query)


def _read_trades(
    request: GetTradeHistory, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[Trade]]:
    rows = body["result"]["list"]
    found = read_rows(rows, row_reader(TRADE, request.instrument, received_time_ns))
    trades = oldest_first(found.values[::-1])
    # Of the oldest one's time there may be more.
    whole = len(rows) < TRADES_LIMIT[request.instrument.market]
    since_ns = trades[0].exchange_time_ns or 0 if trades else 0
    if not whole and request.start_ns <= since_ns:
        since = f"{datetime.fromtimestamp(since_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"
        raise Unsupported(
            f"bybit tells only the latest {len(rows)} trades of {request.instrument.symbol}, at "
            f"present those after {since} ({since_ns} ns): ask for no earlier ones"
        )
    wanted = [trade for trade in trades if within(request, trade.exchange_time_ns or 0)]
    return found.answer(wanted)


HISTORIES: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetOpenInterestHistory: Endpoint(
        encode=_open_interest,
        decode=json_pages(_read_open_interest),
        markets=CONTRACTS,
        newest_first=goes_back,
    ),
    GetTradeHistory: Endpoint(
        encode=_trades,
        decode=json_pages(_read_trades),
        markets=ALL - {Market.OPTION},
    ),
}
