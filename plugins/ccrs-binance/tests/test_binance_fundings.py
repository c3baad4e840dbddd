"""Special funding rates are paid besides regular ones, and none of both is lost where pages end."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import attrs
import orjson
import pytest
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Funding,
    GetFundingHistory,
    GetInstruments,
    HttpResponse,
    Instrument,
    Market,
    Request,
)
from ccrs_core.emulator import EmulatedExchange, Listing
from ccrs_core.transport.memory import START_NS

HOUR_NS = 3600 * 10**9
HOURS = 1100
"""More than a page holds."""
ADDRESSES = count()


class Hourly(BinanceDialect):
    """One contract that pays every hour, and has for years."""

    def listings(self, start_ns: int) -> Sequence[Listing]:
        (found,) = [
            attrs.evolve(each, launch_ns=0, funding_interval_ns=HOUR_NS, pace=0.0001)
            for each in super().listings(start_ns)
            if each.symbol == "BTCUSDT" and each.market is Market.LINEAR
        ]
        return [found]


def answered(special_hours: set[int], request: Request[Any]) -> list[Any]:
    """What all pages bring, as a client joins them; special rates were paid so many hours ago."""
    special = {(START_NS - ago * HOUR_NS) // 10**6: f"0.{ago:08}" for ago in special_hours}
    venue = EmulatedExchange(Hourly(special_funding={"BTCUSDT": special}), start_ns=START_NS)
    exchange, pages, cursor = Binance(), [], None
    endpoint = exchange.endpoints[type(request)]
    for _ in range(50):
        asked = endpoint.encode(request, cursor)
        path = exchange.base_url_paths.get(exchange.rest_address(asked), "") + asked.path
        response = venue.http(attrs.evolve(asked, path=path), venue.now_ns, f"a{next(ADDRESSES)}")
        assert exchange.error_of(response) is None, response
        answer = endpoint.decode(request, response, venue.now_ns, cursor)
        pages.append(answer.value)
        cursor = answer.cursor
        if cursor is None:
            break
    else:
        raise AssertionError("there is no end")
    if endpoint.goes_back(request):
        pages.reverse()
    rows = [row for page in pages for row in page]
    if request.limit is None:
        return rows
    return rows[-request.limit :] if request.start_ns is None else rows[: request.limit]


def contract() -> Instrument:
    (found,) = answered(set(), GetInstruments(Market.LINEAR))
    return found


CONTRACT = contract()


def paid(rows: list[Funding]) -> list[tuple[int, bool]]:
    return [((START_NS - (row.funding_time_ns or 0)) // HOUR_NS, row.special) for row in rows]


@given(
    hours=st.sets(st.sampled_from([0, 1, 2, 100, 101, 498, 499, 500, 998, 999, 1000, 1001, 1002])),
    start=st.none() | st.integers(990, HOURS),
    end=st.none() | st.integers(-1, 3),
    limit=st.sampled_from([1, 2, 999, 1000, 1001, 1002, 5000]),
)
@settings(max_examples=25, deadline=None)
def test_of_two_rates_at_one_time_both_come_wherever_a_page_ends(
    hours: set[int], start: int | None, end: int | None, limit: int
) -> None:
    end_ns = None if end is None else START_NS - end * HOUR_NS
    start_ns = None if start is None else START_NS - start * HOUR_NS
    # Without a start as many as there are in a stretch that can be checked.
    wanted = min(limit, 1050) if start is None else limit
    rows = answered(hours, GetFundingHistory(CONTRACT, start_ns, end_ns, wanted))
    newest = 0 if end is None else max(end + 1, 0)
    every = [
        (ago, special)
        for ago in range(HOURS if start is None else start, newest - 1, -1)
        for special in ([False, True] if ago in hours else [False])
    ]
    assert paid(rows) == (every[-wanted:] if start is None else every[:wanted])
    for row in rows:
        if row.special:
            ago = (START_NS - (row.funding_time_ns or 0)) // HOUR_NS
            assert row.rate == Decimal(f"0.{ago:08}")


@pytest.mark.parametrize(
    ("kind", "special"), [("Regular", False), ("", False), (None, False), ("Anything", True)]
)
def test_whatever_is_not_called_regular_is_special(kind: str | None, special: bool) -> None:
    row: dict[str, Any] = {
        "symbol": "BTCUSDT", "fundingTime": 1794009600000, "fundingRate": "-0.0001",
        "markPrice": "4.2", "rateType": kind,
    }  # fmt: skip
    endpoint = Binance.endpoints[GetFundingHistory]
    request = GetFundingHistory(CONTRACT, None, None, 5)
    bodies = [row] if kind else [row, {k: v for k, v in row.items() if k != "rateType"}]
    for each in bodies:
        answer = endpoint.decode(request, HttpResponse(200, {}, orjson.dumps([each])), 0, None)
        assert [found.special for found in answer.value] == [special]
    strange = HttpResponse(200, {}, orjson.dumps([{**row, "rateType": 7}, row]))
    assert endpoint.decode(request, strange, 0, None).left_out == 1
