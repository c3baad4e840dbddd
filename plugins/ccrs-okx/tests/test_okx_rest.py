"""REST requests ask for the right pages, and the pages add up to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from ccrs_okx import Okx
from ccrs_okx.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st
from okx_frames import worth

from ccrs_core import (
    Candle,
    DecodeError,
    Funding,
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
NOW_MINUTE = NOW_MS // MINUTE_MS
NATIVE = "BTC-USDT-SWAP"


def instrument(native: str = NATIVE, contract: str = "0.01") -> Instrument:
    found = instrument_of(native)
    assert found is not None
    return worth(found, contract)


def asked(request: Request[Any], cursor: str | None = None) -> HttpRequest:
    return Okx.endpoints[type(request)].encode(request, cursor)


def read(request: Request[Any], data: Any, cursor: str | None = None, now_ms: int = NOW_MS) -> Any:
    body = {"code": "0", "msg": "", "data": data}
    response = HttpResponse(200, {}, json.dumps(body).encode())
    return Okx.endpoints[type(request)].decode(request, response, now_ms * NS, cursor)


Serve = Callable[[str, dict[str, str]], Any]


def pages(request: Request[Any], serve: Serve, most: int = 200, now_ms: int = NOW_MS) -> list[Any]:
    """All pages joined and cut, as the core does it."""
    endpoint = Okx.endpoints[type(request)]
    found: list[list[Any]] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen and len(seen) < most:
        seen.add(cursor)
        http = asked(request, cursor)
        # Over the wire and back: whatever is in the query must survive.
        assert tuple(parse_qsl(urlencode(http.query, quote_via=quote))) == http.query
        said = serve(http.path.removeprefix("/api/v5/"), dict(http.query))
        answer = read(request, said, cursor, now_ms)
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
    from_start = getattr(request, "start_ns", None) is not None
    return joined[:limit] if from_start else joined[-limit:]


# --- which call ---


@pytest.mark.parametrize(
    ("request_", "path", "query"),
    [
        (GetServerTime(), "public/time", {}),
        (GetInstruments(Market.SPOT), "public/instruments", {"instType": "SPOT"}),
        (GetInstruments(Market.INVERSE), "public/instruments", {"instType": "SWAP"}),
        (GetInstruments(Market.OPTION), "public/instrument-tick-bands", {"instType": "OPTION"}),
        (GetTopOfBook(instrument()), "market/books", {"instId": NATIVE, "sz": "1"}),
        (GetBook(instrument(), 50), "market/books", {"instId": NATIVE, "sz": "50", "source": "0"}),
        (GetTrades(instrument(), 10), "market/trades", {"instId": NATIVE, "limit": "10"}),
        (
            GetCandles(instrument(), "1d", None, NOW_MS * NS + 1, 9),
            "market/candles",
            {"instId": NATIVE, "bar": "1Dutc", "limit": "9", "after": str(NOW_MS + 1)},
        ),
        (
            GetFundingHistory(instrument(), None, None, 10),
            "public/funding-rate-history",
            {"instId": NATIVE, "limit": "10"},
        ),
    ],
)
def test_every_request_has_its_call(
    request_: Request[Any], path: str, query: dict[str, str]
) -> None:
    http = asked(request_)
    assert (http.method, http.path) == ("GET", f"/api/v5/{path}")
    assert dict(http.query) == query


@given(st.integers(-5, 10_000))
def test_no_more_is_asked_for_than_okx_gives(amount: int) -> None:
    btc = instrument()
    for request, name, most in (
        (GetBook(btc, amount), "sz", 400),
        (GetTrades(btc, amount), "limit", 500),
        (GetCandles(btc, "1m", None, None, amount), "limit", 300),
        (GetFundingHistory(btc, None, None, amount), "limit", 100),
        (GetFundingHistory(btc, 0, None, amount), "limit", 100),
    ):
        assert 1 <= int(dict(asked(request).query)[name]) <= most


# --- what the answers say ---


def test_a_book_carries_the_streams_number_and_no_more_levels_than_asked_for() -> None:
    rows = [[str(n), "15", "0", "1"] for n in range(1, 6)]
    gone = [["3.5", "0", "0", "0"]]
    sides = {"asks": [*gone, *rows], "bids": [*gone, *rows[::-1]]}
    row: dict[str, Any] = {**sides, "ts": str(NOW_MS), "seqId": 160}
    book = read(GetBook(instrument(), 3), [row]).value
    assert (book.sequence, book.snapshot, book.exchange_time_ns) == (160, True, NOW_MS * NS)
    assert book.bids == tuple((Decimal(n), Decimal("0.15")) for n in (5, 4, 3))
    assert [price for price, _ in book.asks] == [1, 2, 3]
    del row["seqId"]
    assert read(GetBook(instrument(), 3), [row]).value.sequence == 0
    # The best prices' stream counts for itself.
    row |= {"seqId": 5, "asks": [], "bids": rows[::-1]}
    top = read(GetTopOfBook(instrument()), [row]).value
    assert top.sequence is top.ask_price is top.ask_size is None
    assert (top.bid_price, top.bid_size) == (5, Decimal("0.15"))


def test_trades_come_oldest_first_and_strange_sides_are_left_out() -> None:
    rows = [
        {"instId": NATIVE, "tradeId": str(n), "px": "1.10", "sz": "2", "side": side,
         "ts": str(NOW_MS)}
        for n, side in ((9, "sell"), (8, "auction"), (7, "buy"), (6, "buy"))
    ]  # fmt: skip
    found = read(GetTrades(instrument(), 2), rows).value
    assert [(t.trade_id, t.side.value) for t in found] == [("7", "buy"), ("9", "sell")]
    assert (str(found[0].price), str(found[0].size)) == ("1.10", "0.02")


def test_the_time_is_the_servers() -> None:
    assert read(GetServerTime(), [{"ts": str(NOW_MS)}]).value == NOW_MS * NS
    strange: list[Any] = [[], [{}], {}, [{"ts": "x"}]]
    for data in strange:
        with pytest.raises(DecodeError):
            read(GetServerTime(), data)


# --- instruments ---


def listed(native: str, kind: str, **fields: str) -> dict[str, str]:
    base, quote = native.split("-")[:2]
    linear = quote == "USDT"
    return {
        "instId": native, "instType": kind, "uly": f"{base}-{quote}", "ctVal": "0.01",
        "ctMult": "1", "ctValCcy": base if linear or kind == "OPTION" else quote,
        "ctType": "" if kind == "OPTION" else "linear" if linear else "inverse",
        "settleCcy": quote if linear else base, "state": "live", "tickSz": "0.1", "lotSz": "1",
        "minSz": "1", "maxLmtSz": "9", "expTime": "1798185600000", "baseCcy": base,
        "quoteCcy": quote, **fields,
    }  # fmt: skip


def test_perpetuals_are_listed_before_dated_contracts() -> None:
    listings = {
        "SWAP": [listed("BTC-USDT-SWAP", "SWAP"), listed("BTC-USD-SWAP", "SWAP")],
        "FUTURES": [listed(f"BTC-{q}-261225", "FUTURES") for q in ("USD", "USDT")],
        "SPOT": [listed("BTC-USDT", "SPOT")],
    }
    calls: list[str] = []

    def serve(path: str, query: dict[str, str]) -> Any:
        assert path == "public/instruments"
        calls.append(query["instType"])
        return listings[query["instType"]]

    for market, natives in (
        (Market.LINEAR, ["BTC-USDT-SWAP", "BTC-USDT-261225"]),
        (Market.INVERSE, ["BTC-USD-SWAP", "BTC-USD-261225"]),
        (Market.SPOT, ["BTC-USDT"]),
    ):
        found = pages(GetInstruments(market), serve)
        assert [each.native for each in found] == natives
    assert calls == ["SWAP", "FUTURES", "SWAP", "FUTURES", "SPOT"]


@given(st.lists(st.text("ABCDEF", min_size=1, max_size=4), unique=True, max_size=6))
def test_options_are_listed_family_by_family(coins: list[str]) -> None:
    calls: list[str] = []

    def serve(path: str, query: dict[str, str]) -> Any:
        assert query["instType"] == "OPTION"
        if path == "public/instrument-tick-bands":
            return [{"instType": "OPTION", "instFamily": f"{coin}-USD"} for coin in coins * 2]
        assert path == "public/instruments"
        calls.append(query["instFamily"])
        coin = query["instFamily"].removesuffix("-USD")
        return [
            listed(f"{coin}-USD-261225-100-{kind}", "OPTION", stk="100", optType=kind)
            for kind in "CP"
        ]

    found = pages(GetInstruments(Market.OPTION), serve)
    assert calls == [f"{coin}-USD" for coin in coins]
    wanted = [f"{coin}/USD:{coin}-261225-100-{kind}" for coin in coins for kind in "CP"]
    assert [each.symbol for each in found] == wanted


def test_families_that_are_no_names_are_refused() -> None:
    for families in ([5], [None], [[]]):
        with pytest.raises(DecodeError):
            read(GetInstruments(Market.OPTION), [{"instFamily": each} for each in families])
    for answer in ([5], {"a": 1}, [{"a": 1}]):
        with pytest.raises(DecodeError):
            read(GetInstruments(Market.OPTION), answer)
    assert read(GetInstruments(Market.OPTION), []).cursor is None


# --- candles ---


def served_candles(first_ms: int) -> Serve:
    """What OKX answers for an instrument listed at ``first_ms``: of late with the open candle, and
    of old without it, newest first."""

    def serve(path: str, query: dict[str, str]) -> Any:
        assert query.keys() <= {"instId", "bar", "limit", "after", "before"}
        limit = int(query["limit"])
        assert 1 <= limit <= 300
        newest, oldest = NOW_MINUTE, NOW_MINUTE - 1439
        if path == "market/history-candles":
            newest, oldest = NOW_MINUTE - 1, 0
        else:
            assert path == "market/candles"
        if "after" in query:
            newest = min(newest, -(-int(query["after"]) // MINUTE_MS) - 1)
        opens = [
            minute * MINUTE_MS for minute in range(newest, max(oldest, newest - limit + 1) - 1, -1)
        ]
        rest = ["1", "2", "0.5", "1.5", "10", "0.1", "15"]
        return [
            [str(o), *rest, "0" if o == NOW_MINUTE * MINUTE_MS else "1"]
            for o in opens
            if o >= first_ms and o > int(query.get("before", -1))
        ]

    return serve


# In two parts, since of large numbers those near zero would be drawn most of the time.
offsets = st.none() | st.builds(
    lambda minutes, rest: minutes * MINUTE_MS + rest,
    st.integers(-4000, 500),
    st.just(0) | st.integers(0, MINUTE_MS - 1),
)


def test_candles_are_those_that_were_asked_for_also_beyond_the_last_1440() -> None:
    @given(offsets, offsets, st.integers(1, 3300), st.integers(0, 5000))
    @example(None, -2000 * MINUTE_MS, 5, 5000)
    @example(-3000 * MINUTE_MS, None, 10, 5000)
    @example(-1445 * MINUTE_MS, None, 10, 5000)
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
        assert all((str(c.volume), str(c.turnover)) == ("0.10", "15") for c in found)

    check()


@pytest.mark.parametrize("after_ms", [0, 1, MINUTE_MS - 1])
def test_a_candle_that_has_just_closed_comes_once(after_ms: int) -> None:
    """Though pages without candles lie between it and the open one."""
    start_ns = (NOW_MINUTE - 1) * MINUTE_MS * NS
    request = GetCandles(instrument(), "1m", start_ns, None, 40)
    now_ms = NOW_MINUTE * MINUTE_MS + after_ms
    found: list[Candle] = pages(request, served_candles(0), now_ms=now_ms)
    assert [c.open_time_ns // NS // MINUTE_MS for c in found] == [NOW_MINUTE - 1, NOW_MINUTE]


def test_no_more_pages_are_asked_for_than_hold_the_candles() -> None:
    calls: list[str] = []
    serve = served_candles(0)

    def counted(path: str, query: dict[str, str]) -> Any:
        calls.append(f"{path.removeprefix('market/')} {query['limit']}")
        return serve(path, query)

    for limit, expected in (
        (1, ["candles 1"]),
        (300, ["candles 300"]),
        (301, ["candles 300", "history-candles 1"]),
        (700, ["candles 300", "history-candles 300", "history-candles 100"]),
    ):
        assert len(pages(GetCandles(instrument(), "1m", None, None, limit), counted)) == limit
        assert calls == expected
        calls.clear()


def test_a_month_is_as_long_as_the_calendar_says() -> None:
    february = 1_769_904_000_000_000_000  # 2026-02-01
    query = dict(asked(GetCandles(instrument(), "1M", february, None, 3)).query)
    assert query["bar"] == "1Mutc"
    assert int(query["after"]) == 1_777_593_600_000  # 2026-05-01


# --- funding history ---


def test_funding_rates_are_those_that_were_asked_for() -> None:
    @given(
        st.sampled_from([1, 4, 8]),
        st.integers(1, 250),
        st.none() | st.integers(0, 590),
        st.none() | st.integers(0, 590),
    )
    def check(hours: int, limit: int, start: int | None, end: int | None) -> None:
        every = hours * 3600_000
        times = [NOW_MS // every * every - n * every for n in range(600)]

        def serve(path: str, query: dict[str, str]) -> Any:
            """The newest rates before a time."""
            assert path == "public/funding-rate-history"
            assert query.keys() <= {"instId", "limit", "after"}
            most, before = int(query["limit"]), int(query.get("after", NOW_MS))
            assert most <= 100
            rows = [time for time in times if time < before][:most]
            rate = {"fundingRate": "-0.0001", "realizedRate": "-0.0002"}
            return [{"instId": NATIVE, "fundingTime": str(t), **rate} for t in rows]

        start_ns = None if start is None else times[start] * NS
        end_ns = None if end is None else times[end] * NS
        request = GetFundingHistory(instrument(), start_ns, end_ns, limit)
        found: list[Funding] = pages(request, serve)
        wanted = [
            t * NS
            for t in sorted(times)
            if (start_ns is None or t * NS >= start_ns) and (end_ns is None or t * NS < end_ns)
        ]
        wanted = wanted[-limit:] if start_ns is None else wanted[:limit]
        assert [f.funding_time_ns for f in found] == wanted
        assert all(f.exchange_time_ns == f.funding_time_ns for f in found)
        assert {str(f.rate) for f in found} <= {"-0.0002"}, "what was paid"

    check()


@pytest.mark.parametrize(
    ("start", "limit", "calls"), [(250, 1000, 3), (250, 10, 3), (None, 100, 1), (None, 101, 2)]
)
def test_no_more_pages_are_asked_for_than_hold_the_rates(
    start: int | None, limit: int, calls: int
) -> None:
    every = 8 * 3600_000
    times = [NOW_MS // every * every - n * every for n in range(2000)]
    asked_for = []

    def serve(path: str, query: dict[str, str]) -> Any:
        asked_for.append(query)
        before = int(query.get("after", NOW_MS))
        rows = [time for time in times if time < before][: int(query["limit"])]
        return [{"fundingTime": str(time), "fundingRate": "0"} for time in rows]

    start_ns = None if start is None else times[start] * NS
    found = pages(GetFundingHistory(instrument(), start_ns, None, limit), serve)
    assert len(found) == (limit if start is None else min(limit, start + 1))
    assert len(asked_for) == calls


def test_a_rate_that_was_not_realised_is_the_one_that_was_announced() -> None:
    row = {"instId": NATIVE, "fundingRate": "0.0003", "fundingTime": str(NOW_MS)}
    for realised in ({}, {"realizedRate": ""}):
        (rate,) = read(GetFundingHistory(instrument(), None, None, 5), [{**row, **realised}]).value
        assert str(rate.rate) == "0.0003"
