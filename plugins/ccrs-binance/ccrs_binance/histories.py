"""Binance's past: trades by their numbers, candles of mark prices and indices, open interest.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api and the
pages of spot and COIN-M beside it
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Any

from ccrs_binance.codec import INTERVALS
from ccrs_binance.rest import (
    AGGREGATE_TRADE,
    ALL,
    CANDLES_LIMIT,
    FUTURES,
    TRADES_LIMIT,
    candles_weight,
    get,
    longest,
)
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
    Instrument,
    Market,
    OpenInterest,
    Request,
    Trade,
    Unsupported,
)
from ccrs_core.wire import (
    Always,
    Ms,
    Over,
    Price,
    Shape,
    Size,
    candle_page,
    candles_answer,
    candles_of_page,
    goes_back,
    ns_of_ms,
    read_rows,
    row_reader,
    timed_pages,
    whole,
    within,
)

_HOUR_MS = 3_600_000
_DAY_NS = 86_400 * NS_PER_SECOND
STATISTICS_NS = 30 * _DAY_NS
"""So far back open interest is told."""
SEARCHED_NS = 2 * _DAY_NS
"""So far back futures' trades are found by time."""
PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
OPEN_INTEREST_LIMIT = 500

REFERENCE_CANDLE = Shape(
    # Of mark price and index: what else the rows hold means nothing.
    Candle,
    usual=['[1794000120000,"4.1","4.3","4.0","4.2","0",1794000179999,"0",60,"0","0","0"]'],
    fields={
        "open_time_ns": Ms("0"),
        "open": Price("1"),
        "high": Price("2"),
        "low": Price("3"),
        "close": Price("4"),
        "volume": Always(Decimal(0)),
        "turnover": Always(None),
        "closed": Over(),
    },
)
OPEN_INTEREST = {
    # COIN-M's value is in coins.
    market: Shape(
        OpenInterest,
        usual=[
            (
                '{"symbol":"X","sumOpenInterest":"20.5","sumOpenInterestValue":"86.1",'
                '"timestamp":1794000000000}'
            )
        ],
        fields={
            "exchange_time_ns": Ms("timestamp"),
            "open_interest": Size("sumOpenInterest"),
            "value": value,
        },
    )
    for market, value in (
        (Market.LINEAR, Size("sumOpenInterestValue", absent=None)),
        (Market.INVERSE, Always(None)),
    )
}


def _pair(instrument: Instrument) -> str:
    """What contracts of several expiries have in common."""
    return f"{instrument.base}{instrument.quote}"


# --- candles of mark price and index ---------------------------------------------------------


def _candles(request: GetCandles, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    page = candle_page(request, cursor, CANDLES_LIMIT, longest(request))
    call, about = "markPriceKlines", ("symbol", instrument.native)
    if type(request) is GetIndexCandles:
        call, about = "indexPriceKlines", ("pair", _pair(instrument))
    query: list[tuple[str, object]] = [
        about,
        ("interval", INTERVALS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.since_ms is not None:
        query.append(("startTime", page.since_ms))
    if page.before_ms is not None:
        query.append(("endTime", page.before_ms - 1))
    return get(instrument.market, call, *query)


# --- open interest ---------------------------------------------------------------------------
#
# Of the last 30 days; what begins earlier is refused. COIN-M tells it by pair and kind of contract.


def _open_interest(request: GetOpenInterestHistory, cursor: str | None) -> HttpRequest:
    instrument, page = request.instrument, candle_page(request, cursor, OPEN_INTEREST_LIMIT)
    query: list[tuple[str, object]] = [("symbol", instrument.native)]
    if instrument.market is Market.INVERSE:
        if instrument.expiry_ns is not None:
            raise Unsupported(
                f"binance tells past open interest of COIN-M's perpetuals, not of "
                f"{instrument.symbol}"
            )
        query = [("pair", _pair(instrument)), ("contractType", "PERPETUAL")]
    query += [("period", request.interval), ("limit", max(1, page.count))]
    if page.since_ms is not None:
        query.append(("startTime", page.since_ms))
    if page.before_ms is not None:
        query.append(("endTime", page.before_ms - 1))
    path = "/futures/data/openInterestHist"
    return HttpRequest("GET", path, tuple((name, str(value)) for name, value in query))


def _read_open_interest(
    request: GetOpenInterestHistory,
    rows: Any,
    received_time_ns: int,
    cursor: str | None,
    now_ns: int,
) -> Answer[list[OpenInterest]]:
    instrument = request.instrument
    read = row_reader(OPEN_INTEREST[instrument.market], instrument, received_time_ns)
    found = read_rows(rows, read)
    wanted, further = candles_of_page(
        request,
        cursor,
        OPEN_INTEREST_LIMIT,
        found.values,
        now_ns,
        rows=len(rows),
        opened=attrgetter("exchange_time_ns"),
    )
    return found.answer(wanted, further)


# --- trades ----------------------------------------------------------------------------------
#
# Aggregated as in the futures' streams. The first ones are found by time, hour by hour, as no
# longer stretch is allowed; from there on they are asked for by number. Cursors say where the next
# hour begins, or the number, and how many rows are still wanted. Futures refuse what is older than
# two days.


def _trades(request: GetTradeHistory, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    kind, at, left = _place(request, cursor)
    query: list[tuple[str, object]] = [("symbol", instrument.native)]
    if kind == "id":
        query.append(("fromId", at))
    else:
        query += [("startTime", at), ("endTime", _hour_end(request, at))]
    query.append(("limit", max(1, min(left, TRADES_LIMIT))))
    return get(instrument.market, "aggTrades", *query)


def _place(request: GetTradeHistory, cursor: str | None) -> tuple[str, int, int]:
    if cursor is None:
        return "time", -(-request.start_ns // NS_PER_MS), request.limit
    kind, at, left = cursor.split(":")
    return kind, int(at), int(left)


def _hour_end(request: GetTradeHistory, since_ms: int) -> int:
    """The last millisecond of a stretch."""
    end_ms = since_ms + _HOUR_MS - 1
    if request.end_ns is not None:
        end_ms = min(end_ms, -(-request.end_ns // NS_PER_MS) - 1)
    return max(end_ms, since_ms)


def _read_trades(
    request: GetTradeHistory, rows: Any, received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[Trade]]:
    found = read_rows(rows, row_reader(AGGREGATE_TRADE, request.instrument, received_time_ns))
    wanted = [each for each in found.values if within(request, each.exchange_time_ns or 0)]
    return found.answer(wanted, _next_trades(request, rows, cursor, now_ns))


def _next_trades(
    request: GetTradeHistory, rows: list[Any], cursor: str | None, now_ns: int
) -> str | None:
    kind, at, left = _place(request, cursor)
    end_ns = request.end_ns
    if rows:
        last_ns, asked = ns_of_ms(whole(rows[-1]["T"])), min(left, TRADES_LIMIT)
        left -= len(rows)
        over = end_ns is not None and last_ns >= end_ns
        # By number a page that isn't full holds the latest of all; by time just the hour's.
        if left <= 0 or over or (kind == "id" and len(rows) < asked):
            return None
        return f"id:{whole(rows[-1]['a']) + 1}:{left}"
    if kind == "id":
        return None
    next_ms = _hour_end(request, at) + 1
    if next_ms * NS_PER_MS > now_ns or (end_ns is not None and next_ms * NS_PER_MS >= end_ns):
        return None
    return f"time:{next_ms}:{left}"


HISTORIES: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    **dict.fromkeys(
        (GetMarkCandles, GetIndexCandles),
        Endpoint(
            encode=_candles,
            decode=candles_answer(REFERENCE_CANDLE, most=CANDLES_LIMIT, longest=longest),
            markets=FUTURES,
            weight=candles_weight,
            page_weight=candles_weight,
            newest_first=goes_back,
        ),
    ),
    GetOpenInterestHistory: Endpoint(
        encode=_open_interest,
        decode=timed_pages(_read_open_interest),
        markets=FUTURES,
        newest_first=goes_back,
        # It has a limit of its own, 1,000 calls in 5 minutes: as many as the budget gives at 10.
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest-Statistics
        weight=10,
        retention=STATISTICS_NS,
    ),
    GetTradeHistory: Endpoint(
        encode=_trades,
        decode=timed_pages(_read_trades),
        markets=ALL,
        weight=lambda request: 4 if request.instrument.market is Market.SPOT else 20,
        retention=lambda r: None if r.instrument.market is Market.SPOT else SEARCHED_NS,
    ),
}
