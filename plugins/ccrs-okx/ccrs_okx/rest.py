"""OKX's public REST calls.

Answers are ``{"code":"0","msg":"","data":[…]}`` with all numbers as text, newest first.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data and
https://www.okx.com/docs-v5/en/#public-data-rest-api
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson

from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    Activity,
    Answer,
    BookUpdate,
    Candle,
    Channel,
    Endpoint,
    Funding,
    GetActivity,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetOpenInterest,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Instrument,
    Market,
    OpenInterest,
    Request,
    Subscription,
    TickBand,
    TopOfBook,
    Trade,
)
from ccrs_core.wire import (
    MALFORMED,
    Always,
    Best,
    By,
    CandlePage,
    Count,
    Levels,
    Ms,
    Rate,
    Rows,
    Shape,
    Size,
    candle_page,
    candles_of_page,
    from_start,
    goes_back,
    json_pages,
    mark,
    ns_of_ms,
    oldest_first,
    open_since,
    read_rows,
    row_answer,
    row_reader,
    spelled,
    timed_pages,
    trades_answer,
    within,
)
from ccrs_okx.channels import TRADED, open_interest
from ccrs_okx.codec import INTERVALS
from ccrs_okx.options import bands_of
from ccrs_okx.sizes import contract_of
from ccrs_okx.symbols import INSTRUMENT_TYPES, instrument_type, instruments
from ccrs_okx.unnumbered import candle, whole_row

ALL = frozenset(Market)
CONTRACTS = frozenset({Market.LINEAR, Market.INVERSE})

BOOK_LEVELS = 400
TRADES_LIMIT = 500
CANDLES_LIMIT = 300
FUNDING_LIMIT = 100
THREE_MONTHS_NS = 89 * 86_400 * NS_PER_SECOND
"""So far back funding rates and trades are told: no three months have fewer days."""


# --- rows -----------------------------------------------------------------------------------


TOP_OF_BOOK = Shape(
    # Its number is that of the books' stream, not of the best quotes'.
    TopOfBook,
    usual=['{"asks":[["4.2","9","0","1"]],"bids":[],"ts":"1794000123005","seqId":7}'],
    fields={
        "exchange_time_ns": Ms("ts"),
        "bid": Best("bids", scale=contract_of),
        "ask": Best("asks", scale=contract_of),
    },
)
BOOK = Shape(
    BookUpdate,
    usual=['{"asks":[["4.2","9","0","1"]],"bids":[],"ts":"1794000123005","seqId":7}'],
    fields={
        "exchange_time_ns": Ms("ts"),
        # Until 2023 books had no number.
        "sequence": Count("seqId", absent=0),
        "snapshot": Always(True),
        "bids": Levels("bids", scale=contract_of, columns=None, left=True, cut=True),
        "asks": Levels("asks", scale=contract_of, columns=None, left=True, cut=True),
    },
)
TRADE = Shape(
    Trade,
    usual=['{"side":"buy","sz":"0.1","source":"0","px":"4.2","tradeId":"7","ts":"1794000123005"}'],
    fields=TRADED,
)
CANDLE = {
    market: candle(
        market, None, '["1794000120000","4.1","4.3","4.0","4.2","148","620.1","620.1","1"]'
    )
    for market in ALL
}


def paid_or_announced(paid: Decimal | None, announced: Decimal) -> Decimal:
    """The rate of a funding: the one that was paid, where it is told."""
    return announced if paid is None else paid


FUNDING = Shape(
    Funding,
    usual=['{"fundingRate":"0.1","realizedRate":"0.1","fundingTime":"1794000123005"}'],
    fields={
        "exchange_time_ns": Ms("fundingTime"),
        "rate": By(paid_or_announced, Rate("realizedRate", absent=None), Rate("fundingRate")),
        "funding_time_ns": Ms("fundingTime"),
    },
)


def get(path: str, *query: tuple[str, object]) -> HttpRequest:
    """A call with its parameters."""
    return HttpRequest("GET", f"/api/v5/{path}", tuple((name, str(v)) for name, v in query))


def data_of(body: bytes) -> list[Any]:
    """The part of an answer that holds what was asked for."""
    data = orjson.loads(body)["data"]
    if type(data) is not list:
        raise TypeError("data isn't a list")
    return data


# --- server time ----------------------------------------------------------------------------


def _server_time(request: GetServerTime, cursor: str | None) -> HttpRequest:
    return get("public/time")


def _read_server_time(
    request: GetServerTime, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[int]:
    return Answer(ns_of_ms(data[0]["ts"]))


# --- instruments ----------------------------------------------------------------------------
#
# Pages chain. Perpetuals come before dated contracts, and a cursor is the type that is asked for.
# Options are listed by family, whose names must be asked for first: those of the tick bands, since
# "public/underlying" names none of the unified margin. A cursor is those that are still to be
# listed, as JSON: each with the prices from which on it has which tick.


def _instruments(request: GetInstruments, cursor: str | None) -> HttpRequest:
    types = INSTRUMENT_TYPES[request.market]
    if request.market is not Market.OPTION:
        return get("public/instruments", ("instType", cursor or types[0]))
    if cursor is None:
        return get("public/instrument-tick-bands", ("instType", "OPTION"))
    family = orjson.loads(cursor)[0][0]
    return get("public/instruments", ("instType", "OPTION"), ("instFamily", family))


def _read_instruments(
    request: GetInstruments, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[Instrument]]:
    market = request.market
    if market is Market.OPTION:
        if cursor is None:
            return _read_families(data)
        (_, bands), *others = orjson.loads(cursor)
        known = [TickBand(*map(Decimal, band)) for band in bands]
        further = orjson.dumps(others).decode() if others else None
        return instruments(data, market, known).answer(cursor=further)
    types = INSTRUMENT_TYPES[market]
    place = types.index(cursor or types[0]) + 1
    return instruments(data, market).answer(cursor=types[place] if place < len(types) else None)


def _read_families(data: list[Any]) -> Answer[list[Instrument]]:
    """The families of options, with their ticks; one whose bands can't be read has none."""
    found = read_rows(data, _family)
    bands: dict[str, list[tuple[str, str]]] = {name: [] for name in found.values}
    left_out, reason = found.left_out, found.reason
    for row in data:
        try:
            told = [(str(b.from_price), str(b.tick_size)) for b in bands_of(row)]
            if row["instFamily"]:
                bands[row["instFamily"]] = told
        except MALFORMED as error:
            if type(row) is dict and row.get("instFamily") in bands:
                left_out += 1
                reason = reason or f"{error!r} in {row!r}"[:300]
    cursor = orjson.dumps(list(bands.items())).decode() if bands else None
    return Answer([], cursor, left_out, reason)


def _family(row: Any) -> str | None:
    """The family that a row names; None where the name is to come."""
    family = row["instFamily"]
    if type(family) is not str:
        raise TypeError("families must be names")
    return family or None


def _weight_of_instruments(request: GetInstruments) -> int:
    # Of tick bands, an answer's first page, 5 may be asked for in 2 s.
    return 8 if request.market is Market.OPTION else 2


# --- books ----------------------------------------------------------------------------------


def _top_of_book(request: GetTopOfBook, cursor: str | None) -> HttpRequest:
    return get("market/books", ("instId", request.instrument.native), ("sz", 1))


def _book(request: GetBook, cursor: str | None) -> HttpRequest:
    levels = max(1, min(request.depth, BOOK_LEVELS))
    if request.rpi:
        return get("market/books-rpi", ("instId", request.instrument.native), ("sz", levels))
    # As OKX's announced procedure for books without a first snapshot asks.
    return get("market/books", ("instId", request.instrument.native), ("sz", levels), ("source", 0))


# --- trades ---------------------------------------------------------------------------------


def _trades(request: GetTrades, cursor: str | None) -> HttpRequest:
    limit = max(1, min(request.limit, TRADES_LIMIT))
    return get("market/trades", ("instId", request.instrument.native), ("limit", limit))


# --- what happened last ---------------------------------------------------------------------
#
# Tickers tell no number of the last trade, and the time is that of the ticker; price and size of
# the last trade will do. Liquidations of a day are answered by type and family.
# https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-tickers
# https://www.okx.com/docs-v5/en/#public-data-rest-api-get-liquidation-orders


def activity(subscription: Subscription, of: Channel) -> GetActivity:
    """The question what happened last to instruments such as a subscription's."""
    instrument = subscription.instrument
    part = instrument_type(instrument)
    if of is Channel.LIQUIDATIONS:
        part += f" {instrument.native.rpartition('-')[0]}"
    return GetActivity(instrument.market, of, part)


def _activity(request: GetActivity, cursor: str | None) -> HttpRequest:
    kind, _, family = request.part.partition(" ")
    kind = kind or INSTRUMENT_TYPES[request.market][0]
    if request.channel is Channel.LIQUIDATIONS:
        query = (("instType", kind), ("instFamily", family), ("state", "filled"))
        return get("public/liquidation-orders", *query)
    return get("market/tickers", ("instType", kind))


def _read_activity(
    request: GetActivity, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[Activity]]:
    if request.channel is Channel.LIQUIDATIONS:
        return read_rows(data, _last_liquidation).answer()
    names: tuple[str, ...] = ("bidPx", "bidSz", "askPx", "askSz")
    if request.channel is Channel.TRADES:
        names = ("last", "lastSz")

    def last(row: Any) -> Activity | None:
        found = mark(row, *names)
        return None if found is None else Activity(spelled(row["instId"]), found)

    return read_rows(data, last).answer()


def _last_liquidation(row: Any) -> Activity:
    times = [ns_of_ms(detail["ts"]) for detail in row["details"]]
    return Activity(spelled(row["instId"]), str(max(times, default=0)))


# --- candles --------------------------------------------------------------------------------
#
# OKX lists the newest first: see CandlePage. "candles" has the last 1,440 with the open one,
# "history-candles" those that are closed. Going back, the first page is of the former and all
# others of the latter; going forward, the last page, with the open candle, is of the former: its
# cursor begins with a word.

_RECENT = "recent:"


def _page(request: GetCandles, cursor: str | None) -> CandlePage:
    if cursor is not None and cursor.startswith(_RECENT):
        since_ns = int(cursor.removeprefix(_RECENT)) * NS_PER_MS
        return CandlePage(since_ns, request.end_ns, CANDLES_LIMIT)
    return candle_page(request, cursor, CANDLES_LIMIT)


def _candles(request: GetCandles, cursor: str | None) -> HttpRequest:
    page = _page(request, cursor)
    query: list[tuple[str, object]] = [
        ("instId", request.instrument.native),
        ("bar", INTERVALS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.before_ms is not None:
        query.append(("after", page.before_ms))
    if page.since_ms is not None:
        query.append(("before", page.since_ms - 1))
    back = cursor is None and not from_start(request)
    recent = back or (cursor or "").startswith(_RECENT)
    return get("market/candles" if recent else "market/history-candles", *query)


def _read_candles(
    request: GetCandles, data: list[Any], received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[Candle]]:
    instrument, interval = request.instrument, request.interval
    read = row_reader(CANDLE[instrument.market], instrument, received_time_ns, interval=interval)
    found = read_rows(data, lambda row: read(whole_row(row)))
    return read_candles(request, found, data, cursor, now_ns, CANDLES_LIMIT)


def read_candles(
    request: GetCandles,
    found: Rows[Candle],
    data: list[Any],
    cursor: str | None,
    now_ns: int,
    most: int,
) -> Answer[list[Candle]]:
    """A page of candles, of ``most`` at once, and where the next one is: of both calls."""
    candles = sorted(found.values, key=attrgetter("open_time_ns"))
    if cursor is not None and cursor.startswith(_RECENT):
        return found.answer([c for c in candles if within(request, c.open_time_ns)])
    page = candle_page(request, cursor, most)
    if not data and cursor is None and not from_start(request) and page.before_ms is not None:
        # What "candles" doesn't hold any more may be history.
        return found.answer([], f"{page.before_ms}:{request.limit}")
    wanted, further = candles_of_page(request, cursor, most, candles, now_ns, rows=len(data))
    open_ns = open_since(now_ns, request.interval)
    before_ns = page.before_ns
    if further is None and from_start(request) and before_ns is not None and before_ns > open_ns:
        if wanted:
            open_ns = max(open_ns, wanted[-1].open_time_ns + 1)
        further = f"{_RECENT}{-(-open_ns // NS_PER_MS)}"
    return found.answer(wanted, further)


# --- open interest --------------------------------------------------------------------------

_HELD = '{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"9","oiUsd":"90","ts":"1794000123100"}'
_HELD_IN_DOLLARS = row_answer(open_interest(_HELD, "", value=Size("oiUsd", absent=None)), "data.0")
_HELD_ELSE = row_answer(open_interest(_HELD, ""), "data.0")


def _open_interest(request: GetOpenInterest, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    kind = instrument_type(instrument)
    return get("public/open-interest", ("instType", kind), ("instId", instrument.native))


def _read_open_interest(
    request: GetOpenInterest, response: HttpResponse, received_time_ns: int, cursor: str | None
) -> Answer[OpenInterest]:
    dollars = request.instrument.quote == "USD"
    read = _HELD_IN_DOLLARS if dollars else _HELD_ELSE
    return read(request, response, received_time_ns, cursor)


# --- funding history ------------------------------------------------------------------------


def _funding(request: GetFundingHistory, cursor: str | None) -> HttpRequest:
    end_ns = request.end_ns
    if cursor is not None:
        end_ns = int(cursor.partition(":")[0]) * NS_PER_MS
    query: list[tuple[str, object]] = [
        ("instId", request.instrument.native),
        ("limit", FUNDING_LIMIT if request.start_ns is not None else _limit(request)),
    ]
    if end_ns is not None:
        query.append(("after", -(-end_ns // NS_PER_MS)))
    return get("public/funding-rate-history", *query)


def _limit(request: GetFundingHistory) -> int:
    return max(1, min(request.limit, FUNDING_LIMIT))


def _read_funding(
    request: GetFundingHistory, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[Funding]]:
    found = read_rows(data, row_reader(FUNDING, request.instrument, received_time_ns))
    rates = [rate for rate in found.values if within(request, rate.funding_time_ns or 0)]
    return found.answer(oldest_first(rates), _next_funding(request, data, cursor))


def _next_funding(request: GetFundingHistory, data: list[Any], cursor: str | None) -> str | None:
    """The next page, as long as rates that are wanted may lie further back: how many lie between
    two times can't be told, since OKX pays every 1 to 8 hours. A cursor is the time before which
    they were paid and the number of rates still wanted."""
    if len(data) < FUNDING_LIMIT:
        return None
    oldest_ns = min(read_rows(data, lambda row: ns_of_ms(row["fundingTime"])).values)
    wanted = request.limit if cursor is None else int(cursor.partition(":")[2])
    if request.start_ns is None:
        wanted -= len(data)
    elif oldest_ns <= request.start_ns:
        return None
    return f"{oldest_ns // NS_PER_MS}:{wanted}" if wanted > 0 else None


# Weights, of 40 in 2 s, keep each kind within OKX's own limit: 5 of tick bands, 10 of server times
# and funding rates, 20 of instruments and past candles, 40 of books and candles, 100 of trades.
# https://www.okx.com/docs-v5/en/#overview-rate-limits
ENDPOINTS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetServerTime: Endpoint(
        encode=_server_time, decode=json_pages(_read_server_time, data_of), markets=ALL, weight=4
    ),
    GetInstruments: Endpoint(
        encode=_instruments,
        decode=json_pages(_read_instruments, data_of),
        markets=ALL,
        weight=_weight_of_instruments,
        page_weight=lambda request, cursor: 2,
    ),
    GetTopOfBook: Endpoint(
        encode=_top_of_book, decode=row_answer(TOP_OF_BOOK, "data.0"), markets=ALL
    ),
    GetBook: Endpoint(
        encode=_book,
        decode=row_answer(BOOK, "data.0"),
        markets=ALL,
        most=lambda request: BOOK_LEVELS,
    ),
    GetTrades: Endpoint(
        encode=_trades, decode=trades_answer(TRADE, "data", newest_first=True), markets=ALL
    ),
    GetActivity: Endpoint(
        encode=_activity, decode=json_pages(_read_activity, data_of), markets=ALL, weight=2
    ),
    GetCandles: Endpoint(
        encode=_candles,
        decode=timed_pages(_read_candles, data_of),
        markets=ALL,
        weight=2,
        newest_first=goes_back,
    ),
    GetOpenInterest: Endpoint(
        encode=_open_interest, decode=_read_open_interest, markets=ALL - {Market.SPOT}, weight=2
    ),
    GetFundingHistory: Endpoint(
        encode=_funding,
        decode=json_pages(_read_funding, data_of),
        markets=CONTRACTS,
        weight=4,
        newest_first=True,
        retention=THREE_MONTHS_NS,
    ),
}
