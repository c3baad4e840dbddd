"""Bybit's public REST calls.

Answers are ``{"retCode":0,"retMsg":"OK","result":{…},"retExtInfo":{},"time":ms}``, with most
numbers as text. https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from ccrs_bybit.channels import SIDES
from ccrs_bybit.codec import INTERVALS
from ccrs_bybit.symbols import instruments
from ccrs_bybit.tickers import one_sided
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
    GetIndexCandles,
    GetInstruments,
    GetMarkCandles,
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
    Unsupported,
)
from ccrs_core.wire import (
    Always,
    Best,
    By,
    Choice,
    Count,
    Flag,
    Levels,
    Ms,
    Over,
    Price,
    Rate,
    Shape,
    Size,
    Text,
    candle_page,
    candles_answer,
    goes_back,
    json_pages,
    mark,
    ns_of_ms,
    oldest_first,
    plausible_ns,
    read_rows,
    row_answer,
    row_reader,
    spelled,
    trades_answer,
    within,
)

R = TypeVar("R", bound=Request[Any])
T = TypeVar("T")

ALL = frozenset(Market)
CONTRACTS = frozenset({Market.LINEAR, Market.INVERSE})

BOOK_LEVELS = {Market.SPOT: 1000, Market.LINEAR: 1000, Market.INVERSE: 1000, Market.OPTION: 25}
TRADES_LIMIT = {Market.SPOT: 60, Market.LINEAR: 1000, Market.INVERSE: 1000, Market.OPTION: 1000}
CANDLES_LIMIT = 1000
FUNDING_LIMIT = 200
INSTRUMENTS_LIMIT = 1000
LONGEST_FUNDING_NS = 8 * 3600 * NS_PER_SECOND

OPTION_COINS = ("BTC", "ETH", "SOL", "XRP", "MNT", "DOGE")
"""Coins with options. They are listed per coin (BTC where none is named), and nothing lists the
coins. https://bybit-exchange.github.io/docs/v5/market/instrument"""

Body = Mapping[str, Any]


def get(path: str, *query: tuple[str, object]) -> HttpRequest:
    """A call with its parameters."""
    return HttpRequest("GET", path, tuple((name, str(value)) for name, value in query))


# --- Rows -----------------------------------------------------------------------------------

_SIDES_OF_BOOKS = '"ts":1716863719031,"cts":1716863718905,"b":[["4.1","9"]],"a":[["4.2","8"]],"u":5'

TOP_OF_BOOK = Shape(
    # Its ``u`` is the 1000-level stream's, which has nothing to do with level 1's.
    TopOfBook,
    usual=[f"{{{_SIDES_OF_BOOKS}}}"],
    fields={"exchange_time_ns": Ms("cts", other="ts"), "bid": Best("b"), "ask": Best("a")},
)
BOOK = Shape(
    # The sequence is that of the 1000-level stream.
    BookUpdate,
    usual=[f"{{{_SIDES_OF_BOOKS}}}"],
    fields={
        "exchange_time_ns": Ms("cts", other="ts"),
        "sequence": Count("u"),
        "snapshot": Always(True),
        "bids": Levels("b", left=True, cut=True),
        "asks": Levels("a", left=True, cut=True),
    },
)
TRADE = Shape(
    Trade,
    usual=[
        (
            '{"execId":"2100000000007764263","symbol":"X","price":"4.1","size":"9","side":"Sell",'
            '"time":"1716863719031","isBlockTrade":false,"isRPITrade":true,"seq":"123456"}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("time"),
        "sequence": Count("seq", absent=None, quoted=True),
        "trade_id": Text("execId"),
        "price": Price("price"),
        "size": Size("size"),
        "side": Choice(SIDES, "side"),
        "block": Flag("isBlockTrade", absent=False),
        "rpi": Flag("isRPITrade", absent=None),
    },
)
CANDLE = Shape(
    Candle,
    usual=['["1670608800000","4.1","4.3","4.0","4.2","118","2030.5"]'],
    fields={
        "open_time_ns": Ms("0"),
        "open": Price("1"),
        "high": Price("2"),
        "low": Price("3"),
        "close": Price("4"),
        "volume": Size("5"),
        "turnover": Size("6"),
        "closed": Over(),
    },
)
REFERENCE_CANDLE = Shape(
    # Of mark price and index: nothing is traded at these.
    Candle,
    usual=['["1670608800000","4.1","4.3","4.0","4.2"]'],
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
HELD = Shape(
    # The answer's time is that of the request.
    OpenInterest,
    usual=['{"symbol":"X","openInterest":"20","singleOpenInterest":"10"}'],
    fields={
        "open_interest": By(
            one_sided,
            Size("singleOpenInterest", absent=None),
            Size("openInterest"),
        ),
    },
)
FUNDING = Shape(
    Funding,
    usual=['{"symbol":"X","fundingRate":"-0.0001","fundingRateTimestamp":"1672041600000"}'],
    fields={
        "exchange_time_ns": Ms("fundingRateTimestamp"),
        "rate": Rate("fundingRate"),
        "funding_time_ns": Ms("fundingRateTimestamp"),
    },
)


# --- Server time ----------------------------------------------------------------------------


def _server_time(request: GetServerTime, cursor: str | None) -> HttpRequest:
    return get("/v5/market/time")


def _read_server_time(
    request: GetServerTime, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[int]:
    nanos = body["result"]["timeNano"]
    if type(nanos) is not str or not (nanos.isascii() and nanos.isdigit() and len(nanos) < 20):
        raise TypeError("timeNano isn't digits")
    return Answer(plausible_ns(int(nanos)))


# --- Instruments ----------------------------------------------------------------------------


def _instruments(request: GetInstruments, cursor: str | None) -> HttpRequest:
    """A cursor is a query string: the extra parameters that ask for its page.

    Pages chain: those that trade, those before launch, those being delivered; for options, one
    coin's after another.
    """
    pairs = [("category", str(request.market.value))]
    if request.market is not Market.SPOT:  # which has no pages
        pairs.append(("limit", str(INSTRUMENTS_LIMIT)))
    if cursor is not None:
        pairs += [tuple(pair.split("=", 1)) for pair in cursor.split("&")]  # type: ignore[misc]
    elif request.market is Market.OPTION:
        pairs.append(("baseCoin", OPTION_COINS[0]))
    query = tuple((name, unquote(value)) for name, value in pairs)
    return HttpRequest("GET", "/v5/market/instruments-info", query)


def _read_instruments(
    request: GetInstruments, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[Instrument]]:
    result = body["result"]
    following = _next_instruments(request.market, result, cursor)
    try:
        found = instruments(result["list"], request.market)
    except ValueError as error:
        if cursor is None:
            raise
        # A page of just what is announced, or of a coin that is named in a new way: what trades
        # has been read.
        return Answer([], following, len(result["list"]), str(error))
    return found.answer(cursor=following)


def _next_instruments(market: Market, result: Body, cursor: str | None) -> str | None:
    """The page after a cursor's: more of the same, or what comes after that."""
    rows, more = result["list"], result.get("nextPageCursor")
    if market is Market.SPOT:
        return None
    if type(more) is not str and more is not None:
        raise TypeError("nextPageCursor isn't text")
    asked = dict(pair.split("=", 1) for pair in (cursor or "").split("&") if pair)
    if market is Market.OPTION:
        asked.setdefault("baseCoin", OPTION_COINS[0])
    # Bybit's cursors come percent-encoded, but whoever sends a query encodes it anyhow. One comes
    # even with the last of the rows, so that only an empty page, or none, is the end.
    further = quote(unquote(more or ""), safe="")
    if rows and further and further != asked.get("cursor"):
        kept = [f"{name}={value}" for name, value in asked.items() if name != "cursor"]
        return "&".join([f"cursor={further}", *kept])
    if market is Market.OPTION:
        after = OPTION_COINS[OPTION_COINS.index(asked["baseCoin"]) + 1 :]
        return f"baseCoin={after[0]}" if after else None
    # Only what trades is listed unless asked for.
    return _AFTER.get(asked.get("status", "Trading"))


_AFTER = {"Trading": "status=PreLaunch", "PreLaunch": "status=Delivering"}


# --- Books ----------------------------------------------------------------------------------


def _book_query(instrument: Instrument, levels: int) -> HttpRequest:
    return get(
        "/v5/market/orderbook",
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        ("limit", max(1, min(levels, BOOK_LEVELS[instrument.market]))),
    )


def _top_of_book(request: GetTopOfBook, cursor: str | None) -> HttpRequest:
    return _book_query(request.instrument, 1)


def _book(request: GetBook, cursor: str | None) -> HttpRequest:
    if request.rpi:
        raise Unsupported("books with orders of retail price improvement come by stream alone")
    return _book_query(request.instrument, request.depth)


# --- Trades ---------------------------------------------------------------------------------


def _trades(request: GetTrades, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    query: list[tuple[str, object]] = [
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        ("limit", max(1, min(request.limit, TRADES_LIMIT[instrument.market]))),
    ]
    if instrument.market is Market.OPTION:
        query.append(("baseCoin", instrument.base))
    return get("/v5/market/recent-trade", *query)


def _own(request: GetTrades, row: Any) -> bool:
    """Of options, the answer has those of all of a coin."""
    return bool(row["symbol"] == request.instrument.native)


# --- Open interest --------------------------------------------------------------------------


def _open_interest(request: GetOpenInterest, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    query = ("category", instrument.market.value), ("symbol", instrument.native)
    return get("/v5/market/tickers", *query)


# --- What happened last ---------------------------------------------------------------------
#
# Tickers tell neither time nor number of the last trade; its price will do. Their volumes change as
# old trades leave the 24 hours. https://bybit-exchange.github.io/docs/v5/market/tickers


def _activity(request: GetActivity, cursor: str | None) -> HttpRequest:
    query = [("category", request.market.value)]
    if request.market is Market.OPTION:
        query.append(("baseCoin", request.part or OPTION_COINS[0]))
    return get("/v5/market/tickers", *query)


def _read_activity(
    request: GetActivity, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[Activity]]:
    names: tuple[str, ...] = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
    if request.channel is Channel.TRADES:
        names = ("lastPrice",)

    def last(row: Any) -> Activity | None:
        found = mark(row, *names)
        return None if found is None else Activity(spelled(row["symbol"]), found)

    return read_rows(body["result"]["list"], last).answer()


# --- Candles --------------------------------------------------------------------------------
#
# Bybit lists the newest first of a stretch of time: see CandlePage.


CANDLES: dict[type[GetCandles], str] = {
    GetCandles: "kline",
    GetMarkCandles: "mark-price-kline",
    GetIndexCandles: "index-price-kline",
}


def _candles(request: GetCandles, cursor: str | None) -> HttpRequest:
    instrument, page = request.instrument, candle_page(request, cursor, CANDLES_LIMIT)
    query: list[tuple[str, object]] = [
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        ("interval", INTERVALS[request.interval]),
        ("limit", max(1, page.count)),
    ]
    if page.since_ms is not None:
        query.append(("start", page.since_ms))
    if page.before_ms is not None:
        # Bybit's end is inclusive, and counts the time at which candles open.
        query.append(("end", page.before_ms - 1))
    return get(f"/v5/market/{CANDLES[type(request)]}", *query)


def _answered_at(body: Body) -> int:
    """The server's clock says which candles are closed; the local one may be wrong."""
    return ns_of_ms(body["time"])


# --- Funding history ------------------------------------------------------------------------


def _funding(request: GetFundingHistory, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    end_ns = request.end_ns if cursor is None else int(cursor) * NS_PER_MS
    query: list[tuple[str, object]] = [
        ("category", instrument.market.value),
        ("symbol", instrument.native),
        # How many rates lie before ``start_ns`` can't be told in advance.
        (
            "limit",
            FUNDING_LIMIT
            if request.start_ns is not None
            else max(1, min(request.limit, FUNDING_LIMIT)),
        ),
    ]
    # A start without an end is an error, and an end alone lists what comes before it.
    if end_ns is not None:
        query.append(("endTime", -(-end_ns // NS_PER_MS) - 1))
    return get("/v5/market/funding/history", *query)


def _read_funding(
    request: GetFundingHistory, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[Funding]]:
    rows = body["result"]["list"]
    found = read_rows(rows, row_reader(FUNDING, request.instrument, received_time_ns))
    rates = [rate for rate in found.values if within(request, rate.funding_time_ns or 0)]
    return found.answer(oldest_first(rates), _next_funding(request, rows, ns_of_ms(body["time"])))


def _next_funding(request: GetFundingHistory, rows: Any, now_ns: int) -> str | None:
    """The next page, as long as rates that are wanted may lie further back.

    Bybit pays every 1 to 8 hours, and changes that: only the longest interval bounds how far.
    """
    times = read_rows(rows, lambda row: ns_of_ms(row["fundingRateTimestamp"])).values
    oldest_ns = min(times, default=0)
    first_ns = request.start_ns
    if first_ns is None:
        end_ns = now_ns if request.end_ns is None else min(request.end_ns, now_ns)
        first_ns = end_ns - request.limit * LONGEST_FUNDING_NS
        if request.limit <= FUNDING_LIMIT:
            return None
    full = len(rows) >= FUNDING_LIMIT
    return str(oldest_ns // NS_PER_MS) if full and oldest_ns > first_ns else None


ENDPOINTS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetServerTime: Endpoint(encode=_server_time, decode=json_pages(_read_server_time), markets=ALL),
    GetInstruments: Endpoint(
        encode=_instruments, decode=json_pages(_read_instruments), markets=ALL
    ),
    GetTopOfBook: Endpoint(
        encode=_top_of_book, decode=row_answer(TOP_OF_BOOK, "result"), markets=ALL
    ),
    GetBook: Endpoint(
        encode=_book,
        decode=row_answer(BOOK, "result"),
        markets=ALL,
        most=lambda request: BOOK_LEVELS[request.instrument.market],
    ),
    GetTrades: Endpoint(
        encode=_trades,
        decode=trades_answer(TRADE, "result.list", newest_first=True, only=_own),
        markets=ALL,
    ),
    GetActivity: Endpoint(
        encode=_activity,
        decode=json_pages(_read_activity),
        markets=ALL,
    ),
    GetCandles: Endpoint(
        encode=_candles,
        decode=candles_answer(CANDLE, "result.list", most=CANDLES_LIMIT, now_ns=_answered_at),
        markets=ALL - {Market.OPTION},
        newest_first=goes_back,
    ),
    **dict.fromkeys(
        (GetMarkCandles, GetIndexCandles),
        Endpoint(
            encode=_candles,
            decode=candles_answer(
                REFERENCE_CANDLE, "result.list", most=CANDLES_LIMIT, now_ns=_answered_at
            ),
            markets=CONTRACTS,
            newest_first=goes_back,
        ),
    ),
    GetOpenInterest: Endpoint(
        encode=_open_interest,
        decode=row_answer(HELD, "result.list.0"),
        markets=ALL - {Market.SPOT},
    ),
    GetFundingHistory: Endpoint(
        encode=_funding, decode=json_pages(_read_funding), markets=CONTRACTS, newest_first=True
    ),
}
