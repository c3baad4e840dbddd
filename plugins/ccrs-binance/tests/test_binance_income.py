"""Income of two wallets, in windows of time and in pages that go on at the last row's time: each
once. And rates that are paid together."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_binance import Binance, account_calls
from hypothesis import example, given
from hypothesis import strategies as st
from test_binance_futures_account import income_row

from ccrs_core import DecodeError, GetFeeRates, GetIncome, HttpResponse, Instrument, Market
from ccrs_core.model.reports import IncomeReport

PAGE, SPAN = 4, 10
BEGAN, LASTED = 1_794_000_000_000, 50
NS_PER_MS = 10**6
PATHS = {"/fapi/v1/income": Market.LINEAR, "/dapi/v1/income": Market.INVERSE}
ENDPOINT = Binance.endpoints[GetIncome]

Rows = dict[Market, list[dict[str, Any]]]


def response(content: Any) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps(content).encode())


def walked(request: GetIncome, rows: Rows) -> tuple[list[IncomeReport], int]:
    """All that is told by a server that has these rows, oldest first; and in how many pages."""
    pages: list[list[IncomeReport]] = []
    cursor: str | None = None
    for _ in range(100):
        http = ENDPOINT.encode(request, cursor)
        query = dict(http.query)
        low, high = int(query["startTime"]), int(query["endTime"])
        assert 0 <= high - low < SPAN
        there = [row for row in rows[PATHS[http.path]] if low <= row["time"] <= high]
        answer = ENDPOINT.decode(
            request, response(there[: int(query["limit"])]), (BEGAN + LASTED) * NS_PER_MS, cursor
        )
        pages.append(answer.value)
        cursor = answer.cursor
        if cursor is None:
            assert ENDPOINT.join is not None
            return ENDPOINT.join(pages), len(pages)
    raise AssertionError("it never ends")


moments = st.lists(st.integers(0, LASTED), max_size=20)


@given(moments, moments, st.integers(0, LASTED), st.none() | st.integers(0, LASTED))
@example([9, 10, 11, 19, 20], [10, 20, 30], 0, None)
@example([5, 5, 5, 6, 7], [1], 0, 20)
def test_income_of_both_wallets_is_told_once_wherever_windows_and_pages_end(
    linear: list[int], inverse: list[int], start: int, length: int | None
) -> None:
    rows: Rows = {}
    for market, times in ((Market.LINEAR, linear), (Market.INVERSE, inverse)):
        # What fills a page by itself can't be told whole: three of a moment at most.
        some = [each for n, each in enumerate(times) if times[:n].count(each) < PAGE - 1]
        rows[market] = [income_row(n + 1, BEGAN + each) for n, each in enumerate(sorted(some))]
    start += BEGAN
    end = None if length is None else start + length
    request = GetIncome(start_ns=start * NS_PER_MS, end_ns=None if end is None else end * NS_PER_MS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_calls, "INCOME_PAGE", PAGE)
        patch.setattr(account_calls, "INCOME_SPAN_MS", SPAN)
        found, pages = walked(request, rows)
    expected = [
        (each["time"] * NS_PER_MS, market)
        for market, there in rows.items()
        for each in there
        if each["time"] >= start and (end is None or each["time"] < end)
    ]
    told = [(each.exchange_time_ns, each.market) for each in found]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert [time for time, _ in told] == sorted(time for time, _ in told)
    assert pages <= 2 * (LASTED // SPAN + 2) + len(linear) + len(inverse)


def test_both_sides_of_a_conversion_have_one_number_and_are_two() -> None:
    rows = [
        income_row(7, BEGAN + 5, incomeType="AUTO_EXCHANGE", asset=asset, income=amount, symbol="")
        for asset, amount in (("USDT", "-10"), ("BNB", "0.02"))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_calls, "INCOME_SPAN_MS", SPAN)
        request = GetIncome(start_ns=BEGAN * NS_PER_MS, end_ns=(BEGAN + 10) * NS_PER_MS)
        found, _ = walked(request, {Market.LINEAR: rows, Market.INVERSE: []})
    assert [(each.asset, each.amount) for each in found] == [
        *(("USDT", Decimal(-10)), ("BNB", Decimal("0.02"))),
    ]


def test_what_is_paid_of_spot_is_all_of_its_commissions_and_of_that_symbol() -> None:
    spot = Instrument(
        exchange="binance",
        symbol="BTC/USDT",
        native="BTCUSDT",
        market=Market.SPOT,
        base="BTC",
        quote="USDT",
    )
    endpoint, request = (
        Binance.endpoints[GetFeeRates],
        GetFeeRates(market=Market.SPOT, instrument=spot),
    )
    body = {
        "symbol": "BTCUSDT",
        "standardCommission": {"maker": "0.001", "taker": "0.002"},
        "specialCommission": {"maker": "0.0001", "taker": "0.0002"},
        "taxCommission": {"maker": "0.00001", "taker": "0.00002"},
    }
    (rate,) = endpoint.decode(request, response(body), 0, None).value
    assert (rate.maker, rate.taker) == (Decimal("0.00111"), Decimal("0.00222"))
    with pytest.raises(DecodeError):
        endpoint.decode(request, response({**body, "symbol": "ETHUSDT"}), 0, None)
