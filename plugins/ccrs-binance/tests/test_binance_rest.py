"""REST requests ask for the right pages, and the pages add up to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from ccrs_binance import Binance
from ccrs_binance.foreign import instrument_of
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Activity,
    Candle,
    Channel,
    DecodeError,
    Funding,
    GetActivity,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Instrument,
    Market,
    Request,
)

MINUTE_MS = 60_000
NS = 1_000_000
NOW_MS = 1_794_000_030_000


def instrument(market: Market = Market.LINEAR) -> Instrument:
    found = instrument_of("BTCUSD_PERP" if market is Market.INVERSE else "BTCUSDT", market)
    assert found is not None
    return found


def asked(request: Request[Any], cursor: str | None = None) -> HttpRequest:
    return Binance.endpoints[type(request)].encode(request, cursor)


def read(request: Request[Any], body: Any, cursor: str | None = None) -> Any:
    response = HttpResponse(200, {}, json.dumps(body).encode())
    return Binance.endpoints[type(request)].decode(request, response, NOW_MS * NS, cursor)


def pages(request: Request[Any], serve: Callable[[dict[str, str]], Any]) -> list[Any]:
    """All pages joined and cut, as the core does it."""
    endpoint = Binance.endpoints[type(request)]
    found: list[list[Any]] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen:
        seen.add(cursor)
        http = asked(request, cursor)
        # Over the wire and back: whatever is in the query must survive.
        assert tuple(parse_qsl(urlencode(http.query, quote_via=quote))) == http.query
        answer = read(request, serve(dict(http.query)), cursor)
        found.append(answer.value)
        cursor = answer.cursor
        if cursor is None:
            break
    else:
        raise AssertionError("the pages repeat")
    if endpoint.goes_back(request):
        found.reverse()
    joined = [item for page in found for item in page]
    limit = getattr(request, "limit", None)
    if limit is None:
        return joined
    return joined[:limit] if getattr(request, "start_ns", None) is not None else joined[-limit:]


# --- which call, and what it costs ---


@pytest.mark.parametrize(
    ("request_", "path", "weight"),
    [
        (GetServerTime(), "/api/v3/time", 1),
        (GetInstruments(Market.SPOT), "/api/v3/exchangeInfo", 20),
        (GetInstruments(Market.LINEAR), "/fapi/v1/exchangeInfo", 1),
        (GetTopOfBook(instrument(Market.SPOT)), "/api/v3/ticker/bookTicker", 2),
        (GetTopOfBook(instrument()), "/fapi/v1/ticker/bookTicker", 2),
        (GetTrades(instrument(Market.SPOT), 10), "/api/v3/trades", 25),
        (GetTrades(instrument(), 10), "/fapi/v1/aggTrades", 20),
        (GetActivity(Market.SPOT, Channel.TRADES), "/api/v3/ticker/24hr", 80),
        (GetActivity(Market.SPOT, Channel.BOOK), "/api/v3/ticker/bookTicker", 4),
        (GetActivity(Market.LINEAR, Channel.TRADES), "/fapi/v1/ticker/24hr", 40),
        (GetActivity(Market.INVERSE, Channel.BOOK), "/dapi/v1/ticker/bookTicker", 5),
        (GetCandles(instrument(Market.SPOT), "1m", None, None, 1000), "/api/v3/klines", 2),
        (GetCandles(instrument(), "1m", None, None, 99), "/fapi/v1/klines", 1),
        (GetCandles(instrument(), "1m", None, None, 100), "/fapi/v1/klines", 2),
        (GetCandles(instrument(), "1m", None, None, 2000), "/fapi/v1/klines", 5),
        (GetFundingHistory(instrument(), None, None, 10), "/fapi/v1/fundingRate", 20),
        (GetInstruments(Market.INVERSE), "/dapi/v1/exchangeInfo", 1),
        (GetTopOfBook(instrument(Market.INVERSE)), "/dapi/v1/ticker/bookTicker", 2),
        (GetTrades(instrument(Market.INVERSE), 10), "/dapi/v1/aggTrades", 20),
        (GetCandles(instrument(Market.INVERSE), "1m", None, None, 100), "/dapi/v1/klines", 2),
        (GetFundingHistory(instrument(Market.INVERSE), None, None, 10), "/dapi/v1/fundingRate", 20),
    ],
)
def test_every_request_has_its_call_and_its_weight(
    request_: Request[Any], path: str, weight: int
) -> None:
    assert asked(request_).path == path
    assert Binance.endpoints[type(request_)].weight_of(request_) == weight


@pytest.mark.parametrize(
    ("market", "weights"), [(Market.LINEAR, [1, 1, 5]), (Market.SPOT, [2, 2, 2])]
)
def test_a_page_of_candles_is_weighed_by_how_many_it_asks_for(
    market: Market, weights: list[int]
) -> None:
    request = GetCandles(instrument(market), "1m", 0, None, 5)
    endpoint = Binance.endpoints[GetCandles]
    # After an empty stretch the next one is longer, and so may be what comes.
    cursors = [None, "300000:80:5", "5100000:1280:5"]
    found = [
        (dict(endpoint.encode(request, cursor).query)["limit"], endpoint.weight_of(request, cursor))
        for cursor in cursors
    ]
    assert found == list(zip(["5", "80", "1000"], weights, strict=True))


def test_what_happened_last_is_the_last_trades_id_or_the_best_prices() -> None:
    rows = [
        {"symbol": "BTCUSDT", "lastId": 7, "closeTime": 1},
        {"symbol": "QUIETUSDT", "lastId": -1, "closeTime": 1},  # no trade in 24 hours
        {"symbol": "ODDUSDT", "lastId": "x"},
    ]
    found = read(GetActivity(Market.SPOT, Channel.TRADES), rows)
    assert found.value == [Activity("BTCUSDT", "7")]
    assert found.left_out == 1
    quotes = {"bidPrice": "1.0", "bidQty": "2", "askPrice": "3", "askQty": "4"}
    nothing = dict.fromkeys(quotes, "0.00000000")
    rows = [{"symbol": "BTCUSDT", **quotes}, {"symbol": "HALTED", **nothing}]
    found = read(GetActivity(Market.SPOT, Channel.BOOK), rows)
    assert found.value == [Activity("BTCUSDT", "1.0 2 3 4")]


@pytest.mark.parametrize(
    ("market", "depth", "limit", "weight"),
    [
        (Market.SPOT, 1, 1, 5),
        (Market.SPOT, 100, 100, 5),
        (Market.SPOT, 101, 101, 25),
        (Market.SPOT, 1000, 1000, 50),
        (Market.SPOT, 9999, 5000, 250),
        (Market.LINEAR, 1, 5, 2),
        (Market.LINEAR, 50, 50, 2),
        (Market.LINEAR, 51, 100, 5),
        (Market.LINEAR, 500, 500, 10),
        (Market.LINEAR, 9999, 1000, 20),
        (Market.INVERSE, 51, 100, 5),
    ],
)
def test_books_have_the_levels_that_a_market_allows_and_cost_by_them(
    market: Market, depth: int, limit: int, weight: int
) -> None:
    request = GetBook(instrument(market), depth)
    assert dict(asked(request).query)["limit"] == str(limit)
    assert Binance.endpoints[GetBook].weight_of(request) == weight


# --- what the answers say ---


def test_a_book_carries_the_streams_number_and_no_more_levels_than_asked_for() -> None:
    rows = [[str(n), "1"] for n in range(1, 6)]
    body = {"lastUpdateId": 160, "E": NOW_MS + 2, "T": NOW_MS, "bids": rows[::-1], "asks": rows}
    book = read(GetBook(instrument(), 3), body).value
    assert (book.sequence, book.snapshot, book.exchange_time_ns) == (160, True, NOW_MS * NS)
    assert (len(book.bids), len(book.asks)) == (3, 3)
    del body["T"]
    assert read(GetBook(instrument(Market.SPOT), 3), body).value.exchange_time_ns is None


def test_an_answer_of_another_symbol_is_refused() -> None:
    body = {"symbol": "ETHUSDT", "bidPrice": "1", "bidQty": "1", "askPrice": "2", "askQty": "1"}
    with pytest.raises(DecodeError):
        read(GetTopOfBook(instrument()), body)
    top = read(GetTopOfBook(instrument()), {**body, "symbol": "BTCUSDT", "bidQty": "0.00"}).value
    assert top.bid_price is top.bid_size is None


def test_trades_of_both_markets_have_the_ids_of_their_streams() -> None:
    rest = {"price": "1.10", "qty": "2", "time": NOW_MS, "isBuyerMaker": True}
    rows = [{"id": n, **rest} for n in (5, 6, 7)]
    found = read(GetTrades(instrument(Market.SPOT), 2), rows).value
    assert [(t.trade_id, t.side.value) for t in found] == [("6", "sell"), ("7", "sell")]
    rows = [{"a": 8, "p": "1.10", "q": "2", "f": 1, "l": 3, "T": NOW_MS, "m": False}]
    (trade,) = read(GetTrades(instrument(), 2), rows).value
    assert (trade.trade_id, trade.side.value, str(trade.price)) == ("8", "buy", "1.10")


# --- candles ---


def served_candles(first_ms: int) -> Callable[[dict[str, str]], Any]:
    """What klines answer for an instrument listed at ``first_ms``: the first from ``startTime`` on,
    or the newest up to ``endTime``."""

    def serve(query: dict[str, str]) -> Any:
        assert query.keys() <= {"symbol", "interval", "limit", "startTime", "endTime"}
        limit = int(query["limit"])
        assert 1 <= limit <= 1000
        newest = min(int(query.get("endTime", NOW_MS)), NOW_MS) // MINUTE_MS * MINUTE_MS
        if "startTime" in query:
            since = max(-(-int(query["startTime"]) // MINUTE_MS) * MINUTE_MS, first_ms)
            opens = list(range(since, newest + 1, MINUTE_MS))[:limit]
        else:
            opens = [newest - n * MINUTE_MS for n in reversed(range(limit))]
        rest = ["1", "2", "0.5", "1.5", "10"]
        return [[o, *rest, o + MINUTE_MS - 1, "15", 1] for o in opens if o >= first_ms]

    return serve


NOW_MINUTE = NOW_MS // MINUTE_MS
offsets = st.one_of(st.none(), st.integers(-4000 * MINUTE_MS, 500 * MINUTE_MS))


def test_candles_are_those_that_were_asked_for() -> None:
    @given(offsets, offsets, st.integers(1, 3300), st.integers(0, 5000))
    def check(start: int | None, end: int | None, limit: int, age: int) -> None:
        first = NOW_MINUTE - age
        start_ms = None if start is None else NOW_MS + start
        end_ms = None if end is None else NOW_MS + end
        wanted = [
            m
            for m in range(first, NOW_MINUTE + 1)
            if (start_ms is None or m * MINUTE_MS >= start_ms)
            and (end_ms is None or m * MINUTE_MS < end_ms)
        ]
        wanted = wanted[-limit:] if start_ms is None else wanted[:limit]
        request = GetCandles(
            instrument(),
            "1m",
            None if start_ms is None else start_ms * NS,
            None if end_ms is None else end_ms * NS,
            limit,
        )
        found: list[Candle] = pages(request, served_candles(first * MINUTE_MS))
        assert [c.open_time_ns // NS // MINUTE_MS for c in found] == wanted
        assert all(c.close_time_ns == c.open_time_ns + MINUTE_MS * NS for c in found)
        assert [c.closed for c in found] == [m < NOW_MINUTE for m in wanted]

    check()


def test_a_month_is_as_long_as_the_calendar_says() -> None:
    february = 1_769_904_000_000_000_000  # 2026-02-01
    query = dict(asked(GetCandles(instrument(), "1M", february, None, 3)).query)
    assert query["interval"] == "1M"
    assert int(query["endTime"]) == 1_777_593_600_000 - 1  # before 2026-05-01


# --- funding history ---


def test_funding_rates_are_those_that_were_asked_for() -> None:
    @given(
        st.sampled_from([1, 4, 8]),
        st.integers(1, 1500),
        st.none() | st.integers(0, 2900),
        st.none() | st.integers(0, 2900),
    )
    def check(hours: int, limit: int, start: int | None, end: int | None) -> None:
        every = hours * 3600_000
        times = [NOW_MS // every * every - n * every for n in range(3000)]

        def serve(query: dict[str, str]) -> Any:
            """The first rates of a stretch of time; the newest where none is named."""
            most = int(query["limit"])
            assert most <= 1000
            if "startTime" not in query:
                rows = sorted(times)[-most:]
            else:
                first, last = int(query["startTime"]), int(query.get("endTime", NOW_MS))
                rows = [t for t in sorted(times) if first <= t <= last][:most]
            return [{"symbol": "BTCUSDT", "fundingRate": "-0.0001", "fundingTime": t} for t in rows]

        start_ns = None if start is None else times[start] * NS
        end_ns = None if end is None else times[end] * NS
        request = GetFundingHistory(instrument(), start_ns, end_ns, limit)
        found: list[Funding] = pages(request, serve)
        wanted = [
            t * NS
            for t in sorted(times)
            if (start_ns is None or t * NS >= start_ns) and (end_ns is None or t * NS < end_ns)
        ]
        got = [f.funding_time_ns for f in found]
        if start_ns is None:
            # Whole pages may reach back beyond the limit, never short of it.
            assert got == wanted[len(wanted) - len(got) :]
            assert len(got) >= min(limit, len(wanted))
        else:
            # From the start on, at least as many as wanted where there are so many.
            assert got == wanted[: len(got)]
            assert len(got) >= min(limit, len(wanted))

    check()
