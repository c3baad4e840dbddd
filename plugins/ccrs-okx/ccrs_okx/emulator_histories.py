"""The emulated OKX's past: trades, candles of mark prices and indices, open interest.

https://www.okx.com/docs-v5/en/#public-data-rest-api and the chapters beside it
"""

from __future__ import annotations

from typing import Any

from ccrs_core import NS_PER_MS, NS_PER_SECOND
from ccrs_core.emulator import (
    Figure,
    Listing,
    Query,
    SimulatedMarket,
    TapeTrade,
    Wrong,
    held_page,
    reference_page,
    trimmed,
)
from ccrs_okx.emulator_streams import INTERVALS
from ccrs_okx.emulator_wire import SIDES, OkxSpeller, ms, source

_RECENT_CANDLES = 1440
_SAMPLES = 1440
_KEPT_NS = 90 * 86_400 * NS_PER_SECOND
_PERIODS = ("5m", "15m", "30m", "1H", "2H", "4H", "6Hutc", "12Hutc", "1Dutc")


def trade_row(speller: OkxSpeller, trade: TapeTrade) -> dict[str, str]:
    """A trade as ``trades`` and ``history-trades`` tell it."""
    return {
        "instId": speller.listing.symbol,
        "side": SIDES[trade.side],
        "sz": speller.size(trade.size),
        "source": source(trade),
        "px": speller.price(trade.price),
        "tradeId": speller.trade_id(trade),
        "ts": ms(trade.time_ns),
    }


def history_trades(market: SimulatedMarket, query: Query, now_ns: int) -> list[Any]:
    """``history-trades``: of the last three months, before a number or a time."""
    limit, kind = query.number("limit", 100, 100), query.choice("type", ("1", "2"), "1")
    if kind == "2" and query.text("before"):
        raise query.wrong("before", Wrong.CHOICE)  # times page backwards alone
    speller = OkxSpeller(market)
    kept = [each for each in market.tape.trades if each.time_ns >= now_ns - _KEPT_NS]
    if kind == "2":
        after_ns = query.time_ns("after")
        found = [t for t in kept if after_ns is None or _told_ns(t) < after_ns]
    else:
        after, before = (query.number(name, 0, 2**62) for name in ("after", "before"))
        numbers = [(int(speller.trade_id(each)), each) for each in kept]
        found = [t for n, t in numbers if (not after or n < after) and n > before]
    return [trade_row(speller, trade) for trade in found[: -limit - 1 : -1]]


def _told_ns(trade: TapeTrade) -> int:
    """Its time as it is told, to the millisecond."""
    return trade.time_ns // NS_PER_MS * NS_PER_MS


def reference_candles(
    market: SimulatedMarket, query: Query, now_ns: int, figure: Figure, *, recent: bool
) -> list[list[str]]:
    """``mark-price-candles`` and ``index-candles``, and what has ``history-`` in front."""
    limit = query.number("limit", 100, 100)
    interval = INTERVALS.get(query.values.get("bar", "1m"))
    if interval is None:
        raise query.wrong("bar", Wrong.CHOICE)
    after_ns, before_ns = query.time_ns("after"), query.time_ns("before")
    now_open_ns = interval.open_of(now_ns)
    end_ns = now_ns + 1 if recent else now_open_ns
    if after_ns is not None:
        end_ns = min(end_ns, after_ns)
    first_ns = 0 if before_ns is None else before_ns + 1
    if recent:
        length_ns = interval.ns or 30 * 86_400 * NS_PER_SECOND
        first_ns = max(first_ns, now_open_ns - (_RECENT_CANDLES - 1) * length_ns)
    page = reference_page(market, interval, (first_ns, end_ns), limit, now_ns, figure)
    fine = OkxSpeller(market).fine
    return [
        [
            ms(bar.open_ns),
            *map(fine, (bar.open, bar.high, bar.low, bar.close)),
            "1" if interval.next_open(bar.open_ns) <= now_ns else "0",
        ]
        for bar in reversed(page)
    ]


def open_interest(market: SimulatedMarket, query: Query, now_ns: int) -> list[list[str]]:
    """``open-interest-history``: in contracts, in coins, in dollars; the last 1,440."""
    period = INTERVALS[query.choice("period", _PERIODS, "5m")]
    limit = query.number("limit", 100, 100)
    begin_ns, end_ns = query.time_ns("begin"), query.time_ns("end")
    assert period.ns is not None
    first_ns = period.open_of(now_ns) - (_SAMPLES - 1) * period.ns
    since_ns = max(first_ns, 0 if begin_ns is None else begin_ns + 1)
    before_ns = now_ns + 1 if end_ns is None else min(end_ns, now_ns + 1)
    speller, price = OkxSpeller(market), market.rules.price.value(market.mark // 100)
    rows = []
    for time_ns, lots in reversed(held_page(market, period, (since_ns, before_ns), limit)):
        coins, dollars = _worth(market.listing, market.rules.size.value(lots), price)
        rows.append([ms(time_ns), speller.size(lots), coins, dollars])
    return rows


def _worth(listing: Listing, size: Any, price: Any) -> tuple[str, str]:
    """In coins, and in dollars."""
    if listing.settle == listing.base:
        dollars = size * listing.worth_of_one
        return trimmed(round(dollars / price, 8)), trimmed(dollars)
    return trimmed(size), trimmed(size * price)
