"""The emulated Bybit's past: candles of mark prices and indices, and open interest.

https://bybit-exchange.github.io/docs/v5/market/mark-kline and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_listings import INVERSE, LINEAR
from ccrs_bybit.emulator_streams import INTERVALS
from ccrs_bybit.emulator_wire import BybitSpeller
from ccrs_core.emulator import (
    BadRequest,
    Figure,
    Interval,
    Listing,
    Query,
    Wrong,
    held_page,
    milliseconds,
    reference_page,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator import BybitDialect

_PERIODS: Mapping[str, Interval] = {
    "5min": Interval.minutes(5),
    "15min": Interval.minutes(15),
    "30min": Interval.minutes(30),
    "1h": Interval.minutes(60),
    "4h": Interval.minutes(240),
    "1d": Interval.minutes(1440),
}
_FIGURES = {"mark": Figure.MARK_PRICE, "index": Figure.INDEX_PRICE}
_CONTRACTS = (LINEAR, INVERSE)

Find = Callable[[str, str, str], Listing]
"""Finds a listing by category and symbol, or refuses with a text."""


def reference_candles(
    dialect: BybitDialect, find: Find, query: Query, now_ns: int, of: str
) -> dict[str, Any]:
    """``mark-price-kline`` and ``index-price-kline``: bounds as of ``kline``."""
    category = query.choice("category", _CONTRACTS, LINEAR)
    listing = find(category, query.text("symbol"), "Not supported symbols")
    interval = INTERVALS.get(query.text("interval"))
    if interval is None:
        raise BadRequest(10001, "Invalid period!")
    limit = query.number("limit", 200, 1000)
    start_ns, end_ns = query.time_ns("start"), query.time_ns("end")
    last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
    newest = start_ns is None or end_ns is not None
    market = dialect.venue.market(listing)
    span = start_ns or 0, last_ns + 1
    page = reference_page(market, interval, span, limit, now_ns, _FIGURES[of], newest=newest)
    fine = BybitSpeller(market).fine
    rows = [
        [str(milliseconds(bar.open_ns)), *map(fine, (bar.open, bar.high, bar.low, bar.close))]
        for bar in reversed(page)
    ]
    return {"symbol": listing.symbol, "category": category, "list": rows}


def open_interest(dialect: BybitDialect, find: Find, query: Query, now_ns: int) -> dict[str, Any]:
    """``open-interest``: both sides' sum, and one side."""
    category = query.choice("category", _CONTRACTS)
    listing = find(category, query.text("symbol"), "params error: symbol invalid")
    interval = _PERIODS.get(query.text("intervalTime"))
    if interval is None:
        raise query.wrong("intervalTime", Wrong.CHOICE)
    limit = query.number("limit", 50, 200)
    start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
    last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
    market = dialect.venue.market(listing)
    size = BybitSpeller(market).size
    rows = [
        {
            "openInterest": size(2 * lots),
            "singleOpenInterest": size(lots),
            "timestamp": str(milliseconds(time_ns)),
        }
        for time_ns, lots in held_page(market, interval, (start_ns or 0, last_ns + 1), limit)
    ]
    return {
        "symbol": listing.symbol,
        "category": category,
        "list": rows[::-1],
        "nextPageCursor": "",
    }
