"""Binance's public REST calls: spot, USD-M futures, COIN-M futures.

Answers are bare objects and lists with prices and sizes as text, oldest first.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api and
https://developers.binance.com/docs/derivatives/coin-margined-futures/market-data/rest-api
"""

from __future__ import annotations

from typing import Any, TypeVar

from ccrs_binance.channels import MAKERS, improves_price
from ccrs_binance.codec import INTERVALS
from ccrs_binance.symbols import instruments
from ccrs_core import INTERVALS as INTERVAL_SECONDS
from ccrs_core import (
    Activity,
    Answer,
    BookUpdate,
    Candle,
    Channel,
    Endpoint,
    GetActivity,
    GetBook,
    GetCandles,
    GetInstruments,
    GetOpenInterest,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    HttpRequest,
    Instrument,
    Market,
    OpenInterest,
    Request,
    TopOfBook,
    Trade,
)
from ccrs_core.wire import (
    Always,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Levels,
    Ms,
    Over,
    Price,
    Quote,
    Shape,
    Size,
    candle_page,
    candles_answer,
    goes_back,
    json_pages,
    mark,
    ns_of_ms,
    ns_or_none,
    read_rows,
    row_answer,
    spelled,
    trades_answer,
    whole,
)

R = TypeVar("R", bound=Request[Any])
T = TypeVar("T")

PATHS = {Market.SPOT: "/api/v3", Market.LINEAR: "/fapi/v1", Market.INVERSE: "/dapi/v1"}
ALL = frozenset(PATHS)
FUTURES = ALL - {Market.SPOT}

CANDLES_LIMIT = 1000
TRADES_LIMIT = 1000
"""A stretch of time in which no more rates lie than one answer holds."""

SPOT_LEVELS = 5000
FUTURES_LEVELS = (5, 10, 20, 50, 100, 500, 1000)
"""Futures take these numbers of levels and no others."""


# --- rows -----------------------------------------------------------------------------------

TOP_OF_BOOK = Shape(
    # Spot says no time.
    TopOfBook,
    usual=[
        '{"symbol":"X","bidPrice":"4.1","bidQty":"43","askPrice":"4.2","askQty":"9","time":1794000123005}'
    ],
    fields={
        "exchange_time_ns": Ms("time", absent=None),
        "bid": Quote("bidPrice", "bidQty"),
        "ask": Quote("askPrice", "askQty"),
    },
)
BOOK = Shape(
    # The sequence is that of the stream of changes. Spot says no time.
    BookUpdate,
    usual=['{"lastUpdateId":1027024,"T":1794000123005,"bids":[["4.1","43"]],"asks":[["4.2","9"]]}'],
    fields={
        "exchange_time_ns": Ms("T", absent=None),
        "sequence": Count("lastUpdateId"),
        "snapshot": Always(True),
        "bids": Levels("bids", left=True, cut=True),
        "asks": Levels("asks", left=True, cut=True),
    },
)
TRADE = Shape(
    Trade,
    usual=['{"id":5,"price":"4.1","qty":"12","time":1794000123005,"isBuyerMaker":true}'],
    fields={
        "exchange_time_ns": Ms("time"),
        "sequence": Count("id"),
        "trade_id": Digits("id"),
        "price": Price("price"),
        "size": Size("qty"),
        "side": Choice(MAKERS, "isBuyerMaker"),
        "rpi": Flag("isRPITrade", absent=None),
    },
)
AGGREGATE_TRADE = Shape(
    Trade,
    usual=['{"a":26129,"p":"4.1","q":"4.7","nq":"4.7","f":1,"l":2,"T":1794000123005,"m":true}'],
    fields={
        "exchange_time_ns": Ms("T"),
        "sequence": Count("a"),
        "trade_id": Digits("a"),
        "price": Price("p"),
        "size": Size("q"),
        "side": Choice(MAKERS, "m"),
        "rpi": By(improves_price, Size("nq", absent=None), Size("q")),
    },
)
CANDLE = Shape(
    # What Binance tells as its end is earlier where an outage has cut a candle.
    Candle,
    usual=['[1794000120000,"4.1","4.3","4.0","4.2","148",1794000179999,"620.1",308,"1","2","0"]'],
    fields={
        "open_time_ns": Ms("0"),
        "open": Price("1"),
        "high": Price("2"),
        "low": Price("3"),
        "close": Price("4"),
        "volume": Size("5"),
        "turnover": Size("7"),
        "closed": Over(),
    },
)
HELD = Shape(
    # COIN-M's is in contracts, as its sizes are.
    OpenInterest,
    usual=['{"openInterest":"10659.509","symbol":"X","time":1794000123005}'],
    fields={"exchange_time_ns": Ms("time"), "open_interest": Size("openInterest")},
)


def _spot(instrument: Instrument) -> bool:
    return instrument.market is Market.SPOT


def get(market: Market, call: str, *query: tuple[str, object]) -> HttpRequest:
    """A call of a market with its parameters."""
    path = f"{PATHS[market]}/{call}"
    return HttpRequest("GET", path, tuple((name, str(value)) for name, value in query))


def _list(body: Any) -> list[Any]:
    if type(body) is not list:
        raise TypeError("the answer isn't a list")
    return body


# --- server time, instruments ---------------------------------------------------------------


def _server_time(request: GetServerTime, cursor: str | None) -> HttpRequest:
    return get(Market.SPOT, "time")


def _read_server_time(
    request: GetServerTime, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[int]:
    return Answer(ns_of_ms(whole(body["serverTime"])))


def _instruments(request: GetInstruments, cursor: str | None) -> HttpRequest:
    return get(request.market, "exchangeInfo")


def _read_instruments(
    request: GetInstruments, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[Instrument]]:
    now_ns = ns_or_none(body.get("serverTime")) or received_time_ns
    return instruments(body["symbols"], request.market, now_ns).answer()


# --- books ----------------------------------------------------------------------------------


def _top_of_book(request: GetTopOfBook, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    return get(instrument.market, "ticker/bookTicker", ("symbol", instrument.native))


def _own(request: GetTopOfBook, body: Any) -> Any:
    """The row of an answer; COIN-M lists it."""
    if request.instrument.market is Market.INVERSE:
        (body,) = _list(body)
    if body["symbol"] != request.instrument.native:
        raise ValueError("the answer is of another symbol")
    return body


def most_levels(instrument: Instrument) -> int:
    """The levels of the deepest book that can be asked for.
    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book
    """
    return SPOT_LEVELS if _spot(instrument) else FUTURES_LEVELS[-1]


def _levels(request: GetBook) -> int:
    """How many levels to ask for."""
    if _spot(request.instrument):
        return max(1, min(request.depth, SPOT_LEVELS))
    return next((n for n in FUTURES_LEVELS if n >= request.depth), FUTURES_LEVELS[-1])


def _book(request: GetBook, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    if request.rpi:
        return get(_WITH_RPI[instrument.market], "rpiDepth", ("symbol", instrument.native), _MOST)
    query = (("symbol", instrument.native), ("limit", _levels(request)))
    return get(instrument.market, "depth", *query)


# Of 1,000 levels alone, of USD-M alone.
# https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book-RPI
_MOST = ("limit", 1000)
_WITH_RPI = {Market.LINEAR: Market.LINEAR}


def book_weight(request: GetBook) -> int:
    """What a book costs of the budget, by its levels."""
    count = 1000 if request.rpi else _levels(request)
    steps = ((100, 5), (500, 25), (1000, 50), (SPOT_LEVELS, 250))
    if not _spot(request.instrument):
        steps = ((50, 2), (100, 5), (500, 10), (1000, 20))
    return next(weight for most, weight in steps if count <= most)


# --- trades ---------------------------------------------------------------------------------


def _trades(request: GetTrades, cursor: str | None) -> HttpRequest:
    """Futures' are aggregate trades, as in their stream."""
    instrument = request.instrument
    limit = max(1, min(request.limit, TRADES_LIMIT))
    query = (("symbol", instrument.native), ("limit", limit))
    call = "trades" if _spot(instrument) else "aggTrades"
    return get(instrument.market, call, *query)


def _trade(request: GetTrades) -> Shape:
    return TRADE if _spot(request.instrument) else AGGREGATE_TRADE


# --- what happened last ---------------------------------------------------------------------
#
# Trades are counted by the id of the last one in 24 hours, -1 where there was none.
# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints


def _activity(request: GetActivity, cursor: str | None) -> HttpRequest:
    call = "24hr" if request.channel is Channel.TRADES else "bookTicker"
    return get(request.market, f"ticker/{call}")


def activity_weight(request: GetActivity) -> int:
    """What an answer for all symbols costs of the budget."""
    spot = request.market is Market.SPOT
    if request.channel is Channel.TRADES:
        return 80 if spot else 40
    return 4 if spot else 5


def _read_activity(
    request: GetActivity, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[Activity]]:
    def last_trade(row: Any) -> Activity | None:
        number = row["lastId"]
        return None if number == -1 else Activity(spelled(row["symbol"]), str(whole(number)))

    def best(row: Any) -> Activity | None:
        found = mark(row, "bidPrice", "bidQty", "askPrice", "askQty")
        return None if found is None else Activity(spelled(row["symbol"]), found)

    return read_rows(body, last_trade if request.channel is Channel.TRADES else best).answer()


# --- candles --------------------------------------------------------------------------------
#
# See CandlePage. Answers of COIN-M reach over 200 days at most, and so may bring fewer than
# asked for although there are more.

COINM_SPAN_S = 200 * 86_400


def longest(request: GetCandles) -> int:
    """Intervals that a stretch may have."""
    if request.instrument.market is not Market.INVERSE:
        return 2**40
    return max(1, COINM_SPAN_S // INTERVAL_SECONDS[request.interval])


def _candles(request: GetCandles, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    page = candle_page(request, cursor, CANDLES_LIMIT, longest(request))
    query: list[tuple[str, object]] = [
        ("symbol", instrument.native),
        ("interval", INTERVALS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.since_ms is not None:
        query.append(("startTime", page.since_ms))
    if page.before_ms is not None:
        # Inclusive, and of the time at which candles open.
        query.append(("endTime", page.before_ms - 1))
    return get(instrument.market, "klines", *query)


def candles_weight(request: GetCandles, cursor: str | None = None) -> int:
    """A page of spot's costs 2; of futures' by the number that is asked for, up to 5 for a
    thousand: where nothing was found, the next page asks for more."""
    if _spot(request.instrument):
        return 2
    count = candle_page(request, cursor, CANDLES_LIMIT, longest(request)).count
    steps = ((99, 1), (499, 2), (CANDLES_LIMIT, 5))
    return next(weight for most, weight in steps if count <= most)


# --- open interest --------------------------------------------------------------------------


def _open_interest(request: GetOpenInterest, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    return get(instrument.market, "openInterest", ("symbol", instrument.native))


ENDPOINTS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetServerTime: Endpoint(encode=_server_time, decode=json_pages(_read_server_time), markets=ALL),
    GetInstruments: Endpoint(
        encode=_instruments,
        decode=json_pages(_read_instruments),
        markets=ALL,
        weight=lambda request: 20 if request.market is Market.SPOT else 1,
    ),
    GetTopOfBook: Endpoint(
        encode=_top_of_book, decode=row_answer(TOP_OF_BOOK, check=_own), markets=ALL, weight=2
    ),
    GetBook: Endpoint(
        encode=_book,
        decode=row_answer(BOOK),
        markets=ALL,
        weight=book_weight,
        most=lambda request: most_levels(request.instrument),
    ),
    GetTrades: Endpoint(
        encode=_trades,
        decode=trades_answer(_trade),
        markets=ALL,
        weight=lambda request: 25 if _spot(request.instrument) else 20,
    ),
    GetActivity: Endpoint(
        encode=_activity,
        decode=json_pages(_read_activity),
        markets=ALL,
        weight=activity_weight,
    ),
    GetCandles: Endpoint(
        encode=_candles,
        decode=candles_answer(CANDLE, most=CANDLES_LIMIT, longest=longest),
        markets=ALL,
        weight=candles_weight,
        page_weight=candles_weight,
        newest_first=goes_back,
    ),
    GetOpenInterest: Endpoint(
        encode=_open_interest, decode=row_answer(HELD), markets=FUTURES, weight=1
    ),
}
