"""REST requests ask for the right pages, and the pages add up to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.foreign import instrument_of
from ccrs_bybit.rest import OPTION_COINS
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Candle,
    DecodeError,
    Funding,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTopOfBook,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Instrument,
    InstrumentStatus,
    Market,
    Request,
)
from ccrs_core.wire import later

MINUTE_MS = 60_000
NS = 1_000_000
NOW_MS = 1_794_000_030_000


def instrument(native: str = "BTCUSDT", market: Market = Market.LINEAR) -> Instrument:
    found = instrument_of(native, market)
    assert found is not None
    return found


def query(request: Request[Any], cursor: str | None = None) -> dict[str, str]:
    return dict(Bybit.endpoints[type(request)].encode(request, cursor).query)


def pages(request: Request[Any], serve: Callable[[HttpRequest], dict[str, Any]]) -> list[Any]:
    """All pages joined and cut, as the core does it."""
    endpoint = Bybit.endpoints[type(request)]
    found: list[list[Any]] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen:
        seen.add(cursor)
        http = endpoint.encode(request, cursor)
        # Over the wire and back: whatever is in the query must survive.
        assert tuple(parse_qsl(urlencode(http.query, quote_via=quote))) == http.query
        body = {"retCode": 0, "retMsg": "OK", "result": serve(http), "time": NOW_MS}
        response = HttpResponse(200, {}, json.dumps(body).encode())
        answer = endpoint.decode(request, response, 1, cursor)
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


# --- instruments ---


def contract(symbol: str, status: str = "Trading") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": status,
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "deliveryTime": "0",
        "priceFilter": {"tickSize": "0.1"},
        "lotSizeFilter": {"qtyStep": "1"},
    }


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("most", [500, 1000])
@pytest.mark.parametrize("launching", [0, 1, 1700])
def test_all_pages_of_what_trades_and_what_will_are_listed(
    encoded: bool, most: int, launching: int
) -> None:
    trading = [contract(f"C{n}USDT") for n in range(2300)]
    soon = [contract(f"P{n}USDT", "PreLaunch") for n in range(launching)]
    over = [contract("OVERUSDT", "Delivering")]

    def serve(http: HttpRequest) -> dict[str, Any]:
        asked = dict(http.query)
        assert asked["category"] == "linear"
        assert asked.keys() <= {"category", "limit", "status", "cursor"}
        rows = {None: trading, "PreLaunch": soon, "Delivering": over}[asked.get("status")]
        at = int(dict(parse_qsl(asked["cursor"]))["n"]) if "cursor" in asked else 0
        size = min(int(asked["limit"]), most)
        # Cursors look like query strings, so that a careless client cuts them up; and there is one
        # even with the last page.
        more = f"n={at + size}&last=x y"
        page = rows[at : at + size]
        return {"list": page, "nextPageCursor": quote(more, safe="") if encoded else more}

    found = pages(GetInstruments(Market.LINEAR), serve)
    assert [i.native for i in found] == [r["symbol"] for r in trading + soon + over]
    assert [i.status for i in found].count(InstrumentStatus.PRELAUNCH) == launching


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("always", [True, False])
def test_options_are_listed_for_every_coin(whole: bool, always: bool) -> None:
    """However many there are of a coin (none, too, and just as many as a page holds), whether or
    not a cursor comes with the last of them, and where pages aren't filled."""
    counts = dict(zip(OPTION_COINS, (3, 1200, 0, 1000, 2000, 1), strict=True))
    size = 1000 if whole else 700

    def serve(http: HttpRequest) -> dict[str, Any]:
        asked = dict(http.query)
        coin = asked["baseCoin"]
        at = int(asked["cursor"].split(",")[0]) if "cursor" in asked else 0
        rows = [
            {
                **contract(f"{coin}-25DEC26-{strike}-C-USDT"),
                "baseCoin": coin,
                "optionsType": "Call",
                "deliveryTime": "1798185600000",
            }
            for strike in range(1, counts[coin] + 1)[at : at + size]
        ]
        end = at + len(rows)
        more = f"{end}%2C1000" if rows and (always or end < counts[coin]) else ""
        return {"list": rows, "nextPageCursor": more}

    found = pages(GetInstruments(Market.OPTION), serve)
    assert [i.base for i in found] == [coin for coin in OPTION_COINS for _ in range(counts[coin])]


def test_nothing_that_trades_is_no_reason_not_to_ask_what_will() -> None:
    def serve(http: HttpRequest) -> dict[str, Any]:
        status = dict(http.query).get("status")
        return {"list": [contract(f"{status}USDT", status)] if status else []}

    found = pages(GetInstruments(Market.LINEAR), serve)
    assert [i.native for i in found] == ["PreLaunchUSDT", "DeliveringUSDT"]


def test_a_page_of_what_is_only_announced_takes_nothing_away() -> None:
    bare = {**contract("NEWUSDT", "PreLaunch"), "baseCoin": ""}

    def serve(http: HttpRequest) -> dict[str, Any]:
        launching = "status" in dict(http.query)
        return {"list": [bare] if launching else [contract("AUSDT"), bare]}

    assert [i.native for i in pages(GetInstruments(Market.LINEAR), serve)] == ["AUSDT"]
    endpoint = Bybit.endpoints[GetInstruments]
    request = GetInstruments(Market.LINEAR)
    body = {"retCode": 0, "result": {"list": [bare, contract("AUSDT")]}, "time": NOW_MS}
    answer = endpoint.decode(request, HttpResponse(200, {}, json.dumps(body).encode()), 1, None)
    assert (answer.left_out, "coins" in answer.reason) == (1, True)
    nothing = {**body, "result": {"list": [bare]}}
    with pytest.raises(DecodeError):
        endpoint.decode(request, HttpResponse(200, {}, json.dumps(nothing).encode()), 1, None)


@pytest.mark.parametrize(
    "change",
    [{"priceFilter": None}, {"deliveryTime": "", "contractType": "LinearFutures"}, {"symbol": ""}],
)
def test_a_row_without_filters_or_date_is_left_out(change: dict[str, Any]) -> None:
    rows = [contract("AUSDT"), {**contract("BUSDT"), **change}]
    found = pages(GetInstruments(Market.LINEAR), lambda _: {"list": rows})
    assert {i.native for i in found} == {"AUSDT"}


def test_spot_has_one_page() -> None:
    assert query(GetInstruments(Market.SPOT)) == {"category": "spot"}


# --- books and trades ---


@pytest.mark.parametrize(
    ("market", "native", "most"),
    [
        (Market.SPOT, "BTCUSDT", "1000"),
        (Market.LINEAR, "BTCUSDT", "1000"),
        (Market.INVERSE, "BTCUSD", "1000"),
        (Market.OPTION, "ETH-25DEC26-5000-C-USDT", "25"),
    ],
)
def test_books_and_trades_stay_within_what_a_market_allows(
    market: Market, native: str, most: str
) -> None:
    traded = instrument(native, market)
    assert query(GetBook(traded, 5000))["limit"] == most
    assert query(GetBook(traded, 5))["limit"] == "5"
    top = {"category": market.value, "symbol": native, "limit": "1"}
    assert query(GetTopOfBook(traded)) == top
    trades = query(GetTrades(traded, 5000))
    assert trades["limit"] == ("60" if market is Market.SPOT else "1000")
    assert trades.get("baseCoin") == ("ETH" if market is Market.OPTION else None)


# --- candles ---


def served_candles(first_ms: int) -> Callable[[HttpRequest], dict[str, Any]]:
    """What Bybit's kline answers for an instrument listed at ``first_ms``."""

    def serve(http: HttpRequest) -> dict[str, Any]:
        asked = dict(http.query)
        limit = int(asked["limit"])
        assert 1 <= limit <= 1000
        newest = min(int(asked.get("end", NOW_MS)), NOW_MS) // MINUTE_MS * MINUTE_MS
        opens = [newest - n * MINUTE_MS for n in range(limit)]
        oldest = max(first_ms, int(asked.get("start", 0)))
        return {
            "list": [[str(o), "1", "2", "0.5", "1.5", "10", "15"] for o in opens if o >= oldest]
        }

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
    assert later(february, "1M", 1) - february == 28 * 86400 * 10**9
    assert later(february, "1M", -14) == 1_733_011_200_000_000_000  # 2024-12-01
    asked = query(GetCandles(instrument(), "1M", february, None, 3))
    assert asked["interval"] == "M"
    assert int(asked["end"]) == 1_777_593_600_000 - 1  # before 2026-05-01


# --- funding history ---


def test_funding_rates_are_those_that_were_asked_for() -> None:
    hours = 8 * 3600_000
    times = [NOW_MS // hours * hours - n * hours for n in range(900)]

    def serve(http: HttpRequest) -> dict[str, Any]:
        asked = dict(http.query)
        assert "startTime" not in asked
        end = int(asked.get("endTime", NOW_MS))
        rows = [t for t in times if t <= end][: int(asked["limit"])]
        return {
            "list": [
                {"symbol": "BTCUSDT", "fundingRate": "-0.0001", "fundingRateTimestamp": str(t)}
                for t in rows
            ]
        }

    @given(st.integers(1, 800), st.none() | st.integers(0, 700), st.none() | st.integers(0, 700))
    def check(limit: int, start: int | None, end: int | None) -> None:
        start_ns = None if start is None else times[start] * NS
        end_ns = None if end is None else times[end] * NS
        request = GetFundingHistory(instrument(), start_ns, end_ns, limit)
        found: list[Funding] = pages(request, serve)
        wanted = [
            t * NS
            for t in reversed(times)
            if (start_ns is None or t * NS >= start_ns) and (end_ns is None or t * NS < end_ns)
        ]
        got = [f.funding_time_ns for f in found]
        if start_ns is None:
            # Whole pages may reach back beyond the limit, never short of it.
            assert got == wanted[len(wanted) - len(got) :]
            assert len(got) >= min(limit, len(wanted))
        else:
            assert got == wanted[:limit]

    check()
