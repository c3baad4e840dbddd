"""Histories of an account, page by page, against a server that tells a week at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.rest import OPTION_COINS
from hypothesis import given, settings
from hypothesis import strategies as st
from trading_rows import NOW_MS, NOW_NS, fill_row, order_row

from ccrs_core import (
    GetFills,
    GetIncome,
    GetOrderHistory,
    HttpRequest,
    HttpResponse,
    Market,
    Request,
)
from ccrs_core.model.times import ALL
from ccrs_core.requests.pages import Pages

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
YEARS_MS = 730 * DAY_MS


class Server:
    """Lists rows as Bybit does: the newest first, a week at most, under cursors."""

    def __init__(self, rows: Sequence[dict[str, Any]], time: str, length_ms: int = WEEK_MS) -> None:
        self.rows = sorted(rows, key=lambda row: -int(row[time]))
        self.time = time
        self.length_ms = length_ms
        self.asked = 0
        self.now_ms = NOW_MS

    def answer(self, http: HttpRequest) -> HttpResponse:
        query = dict(http.query)
        self.asked += 1
        self.now_ms += 40
        since = int(query.get("startTime", self.now_ms - self.length_ms))
        until = int(query.get("endTime", self.now_ms))
        assert until - since <= WEEK_MS
        assert since <= until
        found = [
            row
            for row in self.rows
            if since <= int(row[self.time]) <= until
            and query.get("baseCoin", row.get("coin")) == row.get("coin")
        ]
        offset = int(query.get("cursor", "at=0&")[3:-1])
        page = found[offset : offset + int(query["limit"])]
        more = quote(f"at={offset + len(page)}&", safe="") if page else ""
        result = {"list": page, "nextPageCursor": more}
        body = json.dumps({"retCode": 0, "result": result, "time": self.now_ms})
        return HttpResponse(200, {}, body.encode())


def listed(request: Request[Any], server: Server) -> Any:
    endpoint = Bybit.endpoints[type(request)]
    pages = Pages(request, endpoint)
    while not pages.complete:
        http = pages.next_request()
        pages.add(endpoint.decode(request, server.answer(http), NOW_NS, pages.cursor))
    return pages.joined()


def trades(ages: Sequence[int], **more: Any) -> list[dict[str, Any]]:
    return [
        fill_row(execId=f"e{number}", execTime=str(NOW_MS - age), **more)
        for number, age in enumerate(ages)
    ]


def ids(rows: Sequence[Any]) -> list[str]:
    return [each.fill_id for each in rows]


AGES = st.lists(
    st.integers(1, 40 * DAY_MS)
    | st.sampled_from([WEEK_MS, WEEK_MS - 60_000, WEEK_MS - 60_001, 2 * WEEK_MS, DAY_MS]),
    max_size=260,
)
BOUNDS = st.none() | st.integers(1, 45 * DAY_MS)


@settings(max_examples=60)
@given(ages=AGES, start=BOUNDS, end=BOUNDS)
def test_each_fill_of_a_stretch_is_told_once_and_oldest_first(
    ages: list[int], start: int | None, end: int | None
) -> None:
    start_ms = None if start is None else NOW_MS - start
    end_ms = None if end is None else NOW_MS - end
    request = GetFills(
        market=Market.LINEAR,
        start_ns=None if start_ms is None else start_ms * 10**6,
        end_ns=None if end_ms is None else end_ms * 10**6,
    )
    if start_ms is None or end_ms is None or start_ms < end_ms:
        found = listed(request, Server(trades(ages), "execTime"))
        wanted = [
            f"e{number}"
            for number, age in enumerate(ages)
            if (start_ms is None or NOW_MS - age >= start_ms)
            and (end_ms is None or NOW_MS - age < end_ms)
        ]
        assert sorted(ids(found)) == sorted(wanted)
        times = [each.exchange_time_ns for each in found]
        assert times == sorted(times)


def test_what_happened_lately_takes_one_page() -> None:
    server = Server(trades([1000, 2000, 3 * DAY_MS]), "execTime")
    start_ns = (NOW_MS - 120_000) * 10**6
    found = listed(GetFills(market=Market.LINEAR, start_ns=start_ns), server)
    assert ids(found) == ["e1", "e0"]
    assert server.asked == 1


def test_nine_days_take_a_bounded_number_of_pages() -> None:
    ages = [n * 3 * 3_600_000 + 500 for n in range(400)][:70] + [n * 1000 for n in range(1, 331)]
    server = Server(trades(ages), "execTime")
    start_ns = (NOW_MS - 9 * DAY_MS) * 10**6
    found = listed(GetFills(market=Market.LINEAR, start_ns=start_ns), server)
    assert len(found) == 400
    assert server.asked <= 400 // 100 + 4


def test_the_last_ones_are_enough_where_so_many_are_wanted() -> None:
    server = Server(trades([1000 * n for n in range(1, 500)]), "execTime")
    found = listed(GetFills(market=Market.LINEAR, limit=120), server)
    assert ids(found) == [f"e{n}" for n in range(119, -1, -1)]
    assert server.asked == 2


def test_nothing_is_looked_for_before_what_bybit_keeps() -> None:
    server = Server([], "execTime")
    assert listed(GetFills(market=Market.LINEAR), server) == []
    assert server.asked <= YEARS_MS // WEEK_MS + 2


def test_a_thousand_fills_of_one_millisecond_are_all_told() -> None:
    server = Server(trades([5000] * 1003), "execTime")
    start_ns = (NOW_MS - 5000) * 10**6
    found = listed(GetFills(market=Market.LINEAR, start_ns=start_ns), server)
    assert sorted(ids(found)) == sorted(f"e{n}" for n in range(1003))


def test_fills_of_options_are_asked_for_by_coin_and_told_in_order() -> None:
    rows = [
        {**row, "coin": coin}
        for row, coin in zip(trades([100, 5000, 200, 9000]), [*"EBEB"], strict=True)
    ]
    for row in rows:
        row["coin"] = {"E": "ETH", "B": "BTC"}[row["coin"]]
    server = Server(rows, "execTime")
    start_ns = (NOW_MS - 60_000) * 10**6
    found = listed(GetFills(market=Market.OPTION, start_ns=start_ns), server)
    assert ids(found) == ["e3", "e1", "e2", "e0"]
    assert server.asked >= len(OPTION_COINS)


def test_the_fills_of_an_order_are_told_whole_whenever_they_were() -> None:
    server = Server(trades([1000, 2000]), "execTime")
    old = Server(trades([50 * DAY_MS]), "execTime", length_ms=YEARS_MS)
    for each, count in ((server, 2), (old, 1)):
        request = GetFills(market=Market.LINEAR, exchange_order_id="0a1b")
        endpoint = Bybit.endpoints[GetFills]
        assert ("orderId", "0a1b") in endpoint.encode(request, None).query
        if each is old:
            each.length_ms = YEARS_MS
            query = dict(endpoint.encode(request, None).query)
            assert "startTime" not in query
            page = {"list": old.rows, "nextPageCursor": ""}
            body = json.dumps({"retCode": 0, "result": page, "time": NOW_MS}).encode()
            found = endpoint.decode(request, HttpResponse(200, {}, body), NOW_NS, None)
            assert (len(found.value), found.cursor) == (1, None)
        else:
            assert len(listed(request, each)) == count


@settings(max_examples=30)
@given(ages=st.lists(st.integers(1, 30 * DAY_MS), max_size=120, unique=True))
def test_each_past_order_is_told_once(ages: list[int]) -> None:
    rows = [
        order_row(
            orderId=f"o{number}",
            orderStatus="Filled",
            createdTime=str(NOW_MS - age),
            updatedTime=str(NOW_MS - age + 1),
        )
        for number, age in enumerate(ages)
    ]
    start_ns = (NOW_MS - 31 * DAY_MS) * 10**6
    request = GetOrderHistory(market=Market.LINEAR, start_ns=start_ns)
    found = listed(request, Server(rows, "createdTime"))
    assert sorted(each.exchange_order_id for each in found) == sorted(
        f"o{number}" for number in range(len(ages))
    )
    created = [each.created_ns for each in found]
    assert created == sorted(created)


@settings(max_examples=30)
@given(ages=st.lists(st.integers(1, 20 * DAY_MS) | st.just(DAY_MS - 60_000), max_size=120))
def test_income_is_told_once_although_its_log_reaches_back_a_day(ages: list[int]) -> None:
    rows = [
        {
            "id": f"i{number}",
            "type": "INTEREST",
            "currency": "USDT",
            "change": "-0.01",
            "transactionTime": str(NOW_MS - age),
        }
        for number, age in enumerate(ages)
    ]
    request = GetIncome(start_ns=(NOW_MS - 21 * DAY_MS) * 10**6)
    found = listed(request, Server(rows, "transactionTime", length_ms=DAY_MS))
    assert len(found) == len(ages)
    assert len({each.income_id for each in found}) == len(ages)


@pytest.mark.parametrize("kind", [GetFills, GetOrderHistory, GetIncome])
def test_how_far_back_bybit_tells_is_two_years(kind: Any) -> None:
    request = kind() if kind is GetIncome else kind(market=Market.LINEAR)
    assert Bybit.endpoints[kind].retention_of(request) == YEARS_MS * 10**6
    assert request.limit == ALL
