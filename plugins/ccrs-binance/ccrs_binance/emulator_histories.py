"""The emulated Binance's past: trades, candles of mark prices and indices, open interest.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api and the
pages of spot and COIN-M beside it
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ccrs_binance.emulator_listings import COINM, SPOT
from ccrs_binance.emulator_streams import INTERVALS, Voice
from ccrs_core import NS_PER_SECOND, Side
from ccrs_core.emulator import (
    BadRequest,
    Figure,
    Query,
    SimulatedMarket,
    Wrong,
    first_payments,
    held_page,
    newest_payments,
    reference_page,
    traded,
)
from ccrs_core.emulator import milliseconds as ms

_HOUR_NS = 3600 * NS_PER_SECOND
_DAY_NS = 24 * _HOUR_NS
_COINM_SPAN_NS = 200 * _DAY_NS
_KEPT_NS = 30 * _DAY_NS
"""So long open interest is told."""
_SEARCHED_NS = 2 * _DAY_NS
"""So long futures' trades are found by time."""
_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_KINDS = ("ALL", "CURRENT_QUARTER", "NEXT_QUARTER", "PERPETUAL")
_NUMBERS = 2**62


def aggregate_trades(market: SimulatedMarket, query: Query, now_ns: int) -> list[dict[str, Any]]:
    """``aggTrades``: the latest, those of a stretch of less than an hour, or from a number on."""
    category = market.listing.category
    limit = query.number("limit", 500, 1000)
    start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
    price, size = market.rules.price, market.rules.size
    if "fromId" in query.values:
        if start_ns is not None or end_ns is not None:
            raise BadRequest(-1128, "Combination of optional parameters invalid.", 400)
        first = query.number("fromId", 0, _NUMBERS, 0)
        found = [trade for trade in market.tape.trades if trade.number >= first][:limit]
    elif start_ns is None and end_ns is None:
        found = list(market.tape.trades)[-limit:]
    else:
        if start_ns is not None and end_ns is not None:
            if end_ns < start_ns:
                raise BadRequest(-1023, "Start time is greater than end time.", 400)
            if end_ns - start_ns >= _HOUR_NS:
                raise BadRequest(-1127, "More than 1 hours between startTime and endTime.", 400)
        if category != SPOT and start_ns is not None and start_ns < now_ns - _SEARCHED_NS:
            raise BadRequest(-4166, "Search window is restricted to the last 48 hours.", 400)
        # Both bounds are inclusive, to the millisecond.
        last_ns = now_ns if end_ns is None else end_ns
        found = traded(market, (start_ns or 0, last_ns + 10**6))
        found = found[-limit:] if start_ns is None else found[:limit]
    return [
        {
            "a": trade.number,
            "p": price.fixed(trade.price),
            "q": size.fixed(trade.size),
            "f": trade.number,
            "l": trade.number,
            "T": ms(trade.time_ns),
            "m": trade.side is Side.SELL,
            **({"M": True} if category == SPOT else {}),
        }
        for trade in found
    ]


def reference_klines(
    market: SimulatedMarket, query: Query, now_ns: int, figure: Figure
) -> list[list[Any]]:
    """``markPriceKlines`` and ``indexPriceKlines``: rows as of ``klines``, in which of trades there
    are zeros."""
    coinm = market.listing.category == COINM
    interval = INTERVALS.get(query.values.get("interval", ""))
    if interval is None:
        raise BadRequest(-1120, "Invalid interval.", 400)
    limit = query.number("limit", 500, 1500)
    start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
    last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
    earliest_ns = start_ns or 0
    if coinm:
        if start_ns is not None and last_ns - start_ns > _COINM_SPAN_NS:
            if end_ns is not None:
                raise BadRequest(-1127, "More than 4800 hours between startTime and endTime.", 400)
            last_ns = start_ns + _COINM_SPAN_NS
        earliest_ns = max(earliest_ns, last_ns - _COINM_SPAN_NS)
    span, newest = (earliest_ns, last_ns + 1), start_ns is None or coinm
    page = reference_page(market, interval, span, limit, now_ns, figure, newest=newest)
    fine = market.rules.price.hundredths
    return [
        [
            ms(bar.open_ns),
            *map(fine, (bar.open, bar.high, bar.low, bar.close)),
            "0",
            ms(interval.next_open(bar.open_ns)) - 1,
            "0",
            60,
            "0",
            "0",
            "0",
        ]
        for bar in page
    ]


def open_interest(market: SimulatedMarket, query: Query, now_ns: int) -> list[dict[str, Any]]:
    """``openInterestHist``: of the last 30 days."""
    listing = market.listing
    period = query.choice("period", _PERIODS)
    limit = query.number("limit", 30, 500)
    start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
    if start_ns is not None and start_ns < now_ns - _KEPT_NS:
        raise query.wrong("startTime", Wrong.NUMBER)
    last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
    span = max(start_ns or 0, now_ns - _KEPT_NS), last_ns + 1
    voice, names = Voice(market, 0), {"symbol": listing.symbol}
    if listing.category == COINM:
        names = {"pair": f"{listing.base}{listing.quote}", "contractType": "PERPETUAL"}
    return [
        {
            **names,
            "sumOpenInterest": voice.size(lots),
            "sumOpenInterestValue": f"{_value(market, lots):.8f}",
            "timestamp": ms(time_ns),
        }
        for time_ns, lots in held_page(market, INTERVALS[period], span, limit)
    ]


def _value(market: SimulatedMarket, lots: int) -> Any:
    """In the quote currency; COIN-M's in coins."""
    listing, price = market.listing, market.rules.price.value(market.mark // 100)
    size = market.rules.size.value(lots)
    if listing.category == COINM:
        return size * listing.worth_of_one / price
    return size * price


def funding_rates(
    market: SimulatedMarket, query: Query, now_ns: int, special: Mapping[int, str]
) -> list[dict[str, Any]]:
    """``fundingRate``: USD-M's with what is paid besides, by its time in milliseconds.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-History
    """
    listing = market.listing
    limit = query.number("limit", 100, 1000)
    start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
    until_ns = min(now_ns if end_ns is None else end_ns, now_ns)
    if start_ns is None:
        times = newest_payments(listing, until_ns, limit)
    else:
        times = first_payments(listing, start_ns, until_ns, limit)
    mark = f"{market.rules.price.value(market.mark // 100):.8f}"
    rows: list[dict[str, Any]] = []
    for time_ns in times:
        row: dict[str, Any] = {
            "symbol": listing.symbol,
            "fundingTime": ms(time_ns),
            "fundingRate": f"{Decimal(market.funding_at(time_ns)).scaleb(-6):.8f}",
        }
        if listing.category != COINM:
            row |= {"markPrice": mark, "rateType": "Regular"}
        rows.append(row)
        if (rate := special.get(ms(time_ns))) is not None:
            rows.append({**row, "fundingRate": rate, "rateType": "Special"})
    return rows[-limit:] if start_ns is None else rows[:limit]


def contract_type(query: Query) -> str:
    """Which of a pair's contracts is meant."""
    return query.choice("contractType", _KINDS)
