"""OKX's past: trades, candles of mark prices and indices, open interest.

Answers are newest first. https://www.okx.com/docs-v5/en/#order-book-trading-market-data,
https://www.okx.com/docs-v5/en/#public-data-rest-api and https://www.okx.com/docs-v5/en/#trading-statistics-rest-api
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Any

from ccrs_core import INTERVALS as INTERVAL_SECONDS
from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    Answer,
    Candle,
    Endpoint,
    GetCandles,
    GetIndexCandles,
    GetMarkCandles,
    GetOpenInterestHistory,
    GetTradeHistory,
    HttpRequest,
    OpenInterest,
    Request,
    Trade,
)
from ccrs_core.wire import (
    Always,
    CandlePage,
    Choice,
    Ms,
    Price,
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
    spelled,
    timed_pages,
    within,
)
from ccrs_okx.codec import INTERVALS
from ccrs_okx.rest import ALL, CONTRACTS, THREE_MONTHS_NS, TRADE, data_of, get, read_candles
from ccrs_okx.sizes import contract_of

REFERENCE_LIMIT = 100
TRADES_LIMIT = 100
OPEN_INTEREST_LIMIT = 100
_ON_A_PAGE = OPEN_INTEREST_LIMIT - 2
"""The page doesn't say whether its bounds are inclusive: rows of exactly these times may come."""
PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
KEPT_SAMPLES = 1440
"""Of open interest so many are told, of each period."""
REFERENCE_CANDLE = Shape(
    # Of mark price and index: nothing is traded at these.
    Candle,
    usual=['["1794000120000","4.1","4.3","4.0","4.2","1"]'],
    fields={
        "open_time_ns": Ms("0"),
        "closed": Choice({"0": False, "1": True}, "5"),
        "open": Price("1"),
        "high": Price("2"),
        "low": Price("3"),
        "close": Price("4"),
        "volume": Always(Decimal(0)),
        "turnover": Always(None),
    },
)
OPEN_INTEREST = Shape(
    # In contracts, in coins, in dollars.
    OpenInterest,
    usual=['["1794000000000","205","2.05","86100"]'],
    fields={
        "exchange_time_ns": Ms("0"),
        "open_interest": Size("1", scale=contract_of),
        "value": Always(None),
    },
)


# --- candles of mark price and index ---------------------------------------------------------
#
# As of trades: one call has the last 1,440 with the open one, the other those that are closed.

_CALLS: dict[type[GetCandles], str] = {
    GetMarkCandles: "mark-price-candles",
    GetIndexCandles: "index-candles",
}
_RECENT = "recent:"


def _about(request: GetCandles) -> str:
    instrument = request.instrument
    if type(request) is GetIndexCandles:
        return f"{instrument.base}-{instrument.quote}"
    return instrument.native


def _page(request: GetCandles, cursor: str | None) -> CandlePage:
    if cursor is not None and cursor.startswith(_RECENT):
        since_ns = int(cursor.removeprefix(_RECENT)) * NS_PER_MS
        return CandlePage(since_ns, request.end_ns, REFERENCE_LIMIT)
    return candle_page(request, cursor, REFERENCE_LIMIT)


def _candles(request: GetCandles, cursor: str | None) -> HttpRequest:
    page = _page(request, cursor)
    query: list[tuple[str, object]] = [
        ("instId", _about(request)),
        ("bar", INTERVALS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.before_ms is not None:
        query.append(("after", page.before_ms))
    if page.since_ms is not None:
        query.append(("before", page.since_ms - 1))
    back = cursor is None and request.start_ns is None
    recent = back or (cursor or "").startswith(_RECENT)
    call = _CALLS[type(request)]
    return get(f"market/{call}" if recent else f"market/history-{call}", *query)


def _read_candles(
    request: GetCandles, data: list[Any], received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[Candle]]:
    read = row_reader(
        REFERENCE_CANDLE, request.instrument, received_time_ns, interval=request.interval
    )
    return read_candles(request, read_rows(data, read), data, cursor, now_ns, REFERENCE_LIMIT)


# --- open interest ---------------------------------------------------------------------------


def _open_interest(request: GetOpenInterestHistory, cursor: str | None) -> HttpRequest:
    page = candle_page(request, cursor, _ON_A_PAGE)
    query: list[tuple[str, object]] = [
        ("instId", request.instrument.native),
        ("period", INTERVALS[request.interval]),
        ("limit", OPEN_INTEREST_LIMIT),
    ]
    if page.since_ms is not None:
        query.append(("begin", page.since_ms - 1))
    if page.before_ms is not None:
        query.append(("end", page.before_ms))
    return get("rubik/stat/contracts/open-interest-history", *query)


def _read_open_interest(
    request: GetOpenInterestHistory,
    data: list[Any],
    received_time_ns: int,
    cursor: str | None,
    now_ns: int,
) -> Answer[list[OpenInterest]]:
    found = read_rows(data, row_reader(OPEN_INTEREST, request.instrument, received_time_ns))
    wanted, further = candles_of_page(
        request,
        cursor,
        _ON_A_PAGE,
        found.values,
        now_ns,
        rows=len(data),
        opened=attrgetter("exchange_time_ns"),
    )
    return found.answer(wanted, further)


def _kept_samples(request: GetOpenInterestHistory) -> int:
    return KEPT_SAMPLES * INTERVAL_SECONDS[request.interval] * NS_PER_SECOND


# --- trades ----------------------------------------------------------------------------------
#
# Backwards, the first page from a time, the others from the number of the oldest trade.


def _trades(request: GetTradeHistory, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [("instId", request.instrument.native)]
    if cursor is not None:
        query += [("type", 1), ("after", cursor)]
    elif request.end_ns is not None:
        query += [("type", 2), ("after", -(-request.end_ns // NS_PER_MS))]
    return get("market/history-trades", *query, ("limit", TRADES_LIMIT))


def _place(row: Any) -> tuple[int, int]:
    """Where a row lies: its time, and its number."""
    return ns_of_ms(row["ts"]), int(spelled(row["tradeId"]))


def _read_trades(
    request: GetTradeHistory, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[Trade]]:
    found = read_rows(data, row_reader(TRADE, request.instrument, received_time_ns))
    trades = oldest_first(found.values[::-1])
    wanted = [trade for trade in trades if within(request, trade.exchange_time_ns or 0)]
    further = None
    if len(data) >= TRADES_LIMIT:
        oldest_ns, number = min(read_rows(data, _place).values)
        if oldest_ns >= request.start_ns:
            further = str(number)
    return found.answer(wanted, further)


# Each has a limit of its own: 10 in 2 s, and 20 of trades.
# https://www.okx.com/docs-v5/en/#overview-rate-limits
HISTORIES: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    **dict.fromkeys(
        (GetMarkCandles, GetIndexCandles),
        Endpoint(
            encode=_candles,
            decode=timed_pages(_read_candles, data_of),
            markets=CONTRACTS,
            weight=4,
            newest_first=goes_back,
        ),
    ),
    GetOpenInterestHistory: Endpoint(
        encode=_open_interest,
        decode=timed_pages(_read_open_interest, data_of),
        markets=CONTRACTS,
        weight=4,
        newest_first=goes_back,
        retention=_kept_samples,
    ),
    GetTradeHistory: Endpoint(
        encode=_trades,
        decode=json_pages(_read_trades, data_of),
        markets=ALL,
        weight=2,
        newest_first=True,
        retention=THREE_MONTHS_NS,
    ),
}
