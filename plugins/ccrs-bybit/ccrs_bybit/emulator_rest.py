"""The emulated Bybit's REST answers, refusals and limits.

https://bybit-exchange.github.io/docs/v5/market/instrument and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ccrs_bybit.emulator_codes import PARAMETER
from ccrs_bybit.emulator_histories import open_interest, reference_candles
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_private_rest import PREFIXES
from ccrs_bybit.emulator_replies import BybitQuery, envelope, failure
from ccrs_bybit.emulator_risk import risk_rows
from ccrs_bybit.emulator_rows import announced, contract_row, option_row, sparse, spot_row
from ccrs_bybit.emulator_streams import INTERVALS
from ccrs_bybit.emulator_wire import (
    SIDES,
    BybitSpeller,
    best,
    contract_ticker,
    option_ticker,
    spot_ticker,
    status_name,
)
from ccrs_core import NS_PER_SECOND, HttpRequest, HttpResponse, Side
from ccrs_core.emulator import (
    BadRequest,
    Listing,
    candle_page,
    milliseconds,
    newest_payments,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator import BybitDialect

_CONTRACTS = frozenset({LINEAR, INVERSE})
_RISKY = frozenset({"Trading", "PreLaunch"})
_RISK_PAGE = 15


class Rest:
    """Answers Bybit's public market endpoints."""

    def __init__(self, dialect: BybitDialect) -> None:
        self._dialect = dialect
        self._endpoints: Mapping[str, Callable[[BybitQuery, int], dict[str, Any]]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/tickers": self._tickers,
            "/v5/market/orderbook": self._orderbook,
            "/v5/market/recent-trade": self._recent_trades,
            "/v5/market/kline": self._kline,
            "/v5/market/funding/history": self._funding,
            "/v5/market/mark-price-kline": partial(self._reference_candles, of="mark"),
            "/v5/market/index-price-kline": partial(self._reference_candles, of="index"),
            "/v5/market/open-interest": self._open_interest,
            "/v5/market/price-limit": self._price_limit,
            "/v5/market/risk-limit": self._risk_limit,
        }

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        requests = self._dialect.requests
        if not requests.enter(address, now_ns):
            return failure(403, now_ns)
        headers = {
            "X-Bapi-Limit": str(requests.limit or 0),
            "X-Bapi-Limit-Status": str(requests.left(address)),
            "X-Bapi-Limit-Reset-Timestamp": str(milliseconds(requests.reset_ns(address, now_ns))),
        }
        if request.path.startswith(PREFIXES):
            return self._dialect.private.answer(request, address, now_ns)
        endpoint, told_ns = self._endpoints.get(request.path), self._dialect.venue.told_ns
        try:
            if endpoint is None or request.method != "GET":
                return failure(404, now_ns)
            result = endpoint(BybitQuery(request), now_ns)
        except BadRequest as refused:
            return envelope(refused.code, refused.text, refused.result or {}, told_ns, headers)
        return envelope(0, "OK", result, told_ns, headers)

    # --- endpoints ---

    def _time(self, _: BybitQuery, now_ns: int) -> dict[str, Any]:
        told_ns = self._dialect.venue.told_ns
        return {"timeSecond": str(told_ns // NS_PER_SECOND), "timeNano": str(told_ns)}

    def _instruments(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category(CATEGORIES)
        symbol = query.text("symbol")
        status = query.text("status")
        base = query.text("baseCoin")
        found = [
            each for each in self._dialect.venue.listed(category) if symbol in {"", each.symbol}
        ]
        if symbol and not found:
            raise BadRequest(PARAMETER, "params error: symbol invalid")
        if category == OPTION and not base and not symbol:
            base = "BTC"  # the documented default
        if base:
            found = [each for each in found if each.base == base]
        # Without a wish Bybit lists what trades, of options also what will or did just now; by name
        # it finds the others too.
        if status or not symbol:
            usual = {"Trading", "PreLaunch", "Delivering"} if category == OPTION else {"Trading"}
            wanted = {status} if status else usual
            found = [each for each in found if status_name(each) in wanted]
        page = query.text("cursor")
        write = _ROWS[category]
        # Without asking for a part one gets what is only announced, too.
        whole = not (symbol or page or status) and (category == OPTION or not base)
        strange = announced(category, write(found[0])) if whole and found else []
        cursor = None
        if category != SPOT:
            limit = query.number("limit", 500, 1000)
            strange = strange[: limit - 1]
            found, cursor = _page(found, limit - len(strange), page, category == OPTION)
        rows = [write(each) for each in found]
        if self._dialect.venue.blank("/v5/market/instruments-info"):
            rows = [sparse(row) for row in rows]
        listed = {"category": category, "list": [*strange, *rows]}
        return listed if cursor is None else {**listed, "nextPageCursor": cursor}

    def _tickers(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category(CATEGORIES)
        symbol = query.text("symbol")
        base = query.text("baseCoin")
        if symbol:
            found = [self._listing(category, symbol, "params error: symbol invalid")]
        elif category == OPTION and not base:
            raise BadRequest(PARAMETER, "params error: baseCoin invalid")
        else:
            found = [
                each
                for each in self._dialect.venue.listed(category)
                if status_name(each) == "Trading" and base in {"", each.base}
            ]
        return {"category": category, "list": [self._ticker(each, now_ns) for each in found]}

    def _ticker(self, listing: Listing, now_ns: int) -> dict[str, Any]:
        speller = BybitSpeller(self._dialect.venue.quoted(listing))
        bid, ask = best(speller)
        quotes = {
            "bid1Price": bid[0],
            "bid1Size": bid[1],
            "ask1Price": ask[0],
            "ask1Size": ask[1],
        }
        if listing.category == SPOT:
            return {**spot_ticker(speller, now_ns), **quotes}
        if listing.category == OPTION:
            fields = option_ticker(speller, now_ns)
            renamed = {_OPTION_REST.get(key, key): value for key, value in fields.items()}
            return {**renamed, **quotes}
        row = contract_ticker(speller, now_ns)
        del row["tickDirection"]
        dated = listing.expiry_ns is not None
        blank = {"predictedDeliveryPrice": "", "basisRate": "", "deliveryFeeRate": "", "basis": ""}
        row = {**blank, "basisRateYear": "", **row, **quotes}
        expiry = milliseconds(listing.expiry_ns) if listing.expiry_ns is not None else 0
        row["deliveryTime"] = str(expiry)
        if dated:
            row |= {"fundingIntervalHour": "", "fundingCap": ""}
            row["nextFundingTime"] = "0"
        return row

    def _orderbook(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category(CATEGORIES)
        listing = self._listing(category, query.text("symbol"), "params error: symbol invalid")
        most, usual = {SPOT: (1000, 1), OPTION: (25, 1)}.get(category, (1000, 25))
        limit = query.number("limit", usual, most)
        view = self._dialect.deepest_book(listing, now_ns).view
        speller = BybitSpeller(self._dialect.venue.market(listing))
        book = {
            "s": listing.symbol,
            "b": speller.levels(view.bids[:limit], Side.BUY),
            "a": speller.levels(view.asks[:limit], Side.SELL),
            "ts": milliseconds(now_ns),
            "u": view.update,
        }
        if self._dialect.venue.blank("/v5/market/orderbook"):
            return book
        return {**book, "seq": view.sequence, "cts": milliseconds(view.time_ns)}

    def _recent_trades(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category(CATEGORIES)
        refusal = "params error: symbol invalid"
        empty = {"category": "", "list": []}
        symbol, base = query.text("symbol"), query.text("baseCoin")
        if category == OPTION and not symbol:
            listings = [
                each
                for each in self._dialect.venue.listed(category)
                if each.base == (base or "BTC")
            ]
        else:
            listings = [self._listing(category, symbol, refusal, empty)]
        most, usual = (60, 60) if category == SPOT else (1000, 500)
        limit = query.number("limit", usual, most)
        rows = []
        for listing in listings:
            market = self._dialect.venue.market(listing)
            speller = BybitSpeller(market)
            for trade in market.tape.trades:
                row = {
                    "execId": speller.trade_id(trade),
                    "symbol": listing.symbol,
                    "price": speller.price(trade.price),
                    "size": speller.size(trade.size),
                    "side": SIDES[trade.side],
                    "time": str(milliseconds(trade.time_ns)),
                    "isBlockTrade": trade.block,
                    "isRPITrade": trade.rpi,
                    "seq": str(trade.sequence),
                }
                rows.append((trade.time_ns, trade.number, row))
        if self._dialect.venue.blank("/v5/market/recent-trade"):
            untold = {"isRPITrade", "isBlockTrade"}
            rows = [
                (ns, number, {k: v for k, v in row.items() if k not in untold} | {"seq": ""})
                for ns, number, row in rows
            ]
        rows.sort(key=lambda each: each[:2], reverse=True)
        return {"category": category, "list": [row for _, _, row in rows[:limit]]}

    def _kline(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category((SPOT, LINEAR, INVERSE), LINEAR)
        listing = self._listing(category, query.text("symbol"), "Not supported symbols")
        interval = INTERVALS.get(query.text("interval"))
        if interval is None:
            raise BadRequest(PARAMETER, "Invalid period!")
        limit = query.number("limit", 200, 1000)
        start_ns, end_ns = query.time_ns("start"), query.time_ns("end")
        last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
        # Of a stretch, and without a start, the newest ones; from a start alone, the first:
        # https://github.com/bybit-exchange/pybit/issues/186
        market = self._dialect.venue.market(listing)
        span, newest = (start_ns or 0, last_ns + 1), start_ns is None or end_ns is not None
        page = candle_page(market, interval, span, limit, now_ns, newest=newest)
        speller = BybitSpeller(market)
        rows = [[str(milliseconds(bar.open_ns)), *speller.bar(bar)] for bar in reversed(page)]
        return {"symbol": listing.symbol, "category": category, "list": rows}

    def _reference_candles(self, query: BybitQuery, now_ns: int, *, of: str) -> dict[str, Any]:
        return reference_candles(self._dialect, self._listing, query, now_ns, of)

    def _open_interest(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        return open_interest(self._dialect, self._listing, query, now_ns)

    def _price_limit(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        return self._dialect.trading.accounts.price_limit(query, now_ns)

    def _risk_limit(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        """Of all symbols 15 a page."""
        category, symbol = query.category((LINEAR, INVERSE)), query.text("symbol")
        found = (
            [self._listing(category, symbol, "params error: symbol invalid")]
            if symbol
            else [
                each for each in self._dialect.venue.listed(category) if status_name(each) in _RISKY
            ]
        )
        page, cursor = _page(found, _RISK_PAGE, query.text("cursor"), always=False)
        rows = [row for each in page for row in risk_rows(each)]
        return {"category": category, "list": rows, "nextPageCursor": cursor}

    def _funding(self, query: BybitQuery, now_ns: int) -> dict[str, Any]:
        category = query.category((LINEAR, INVERSE))
        listing = self._listing(category, query.text("symbol"), "params error: symbol invalid")
        limit = query.number("limit", 200, 200)
        start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
        if start_ns is not None and end_ns is None:
            raise BadRequest(
                PARAMETER, "params error: endTime can't be empty when startTime is set"
            )
        until_ns = min(now_ns if end_ns is None else end_ns, now_ns)
        market = self._dialect.venue.market(listing)
        rows = [
            {
                "symbol": listing.symbol,
                "fundingRate": f"{Decimal(market.funding_at(time_ns)).scaleb(-6):f}",
                "fundingRateTimestamp": str(milliseconds(time_ns)),
            }
            for time_ns in newest_payments(listing, until_ns, limit, start_ns or 0)
        ]
        return {"category": category, "list": rows[::-1]}

    def _listing(
        self,
        category: str,
        symbol: str,
        refusal: str,
        result: Mapping[str, Any] | None = None,
    ) -> Listing:
        listing = self._dialect.venue.listings.get((category, symbol))
        if listing is None:
            raise BadRequest(PARAMETER, refusal, result=result)
        return listing


_OPTION_REST = {
    "bidPrice": "bid1Price",
    "bidSize": "bid1Size",
    "bidIv": "bid1Iv",
    "askPrice": "ask1Price",
    "askSize": "ask1Size",
    "askIv": "ask1Iv",
    "markPriceIv": "markIv",
}


def _page(found: list[Listing], limit: int, cursor: str, always: bool) -> tuple[list[Listing], str]:
    """One page, and the cursor of the next: percent-encoded, as Bybit hands it out.

    :param always: a cursor comes even with the last rows; an empty page follows.
    """
    # Clients send it back as it came, or encoded once more.
    text = unquote(cursor)
    first = 0
    if text:
        parts = dict(part.partition("=")[::2] for part in text.split("&"))
        names = [listing.symbol for listing in found]
        if parts.get("last") not in names:
            raise BadRequest(PARAMETER, "params error: cursor invalid")
        first = names.index(parts["last"]) + 1
    page = found[first : first + limit]
    if not page or (first + limit >= len(found) and not always):
        return page, ""
    return page, f"first%3D{quote(page[0].symbol)}%26last%3D{quote(page[-1].symbol)}"


_ROWS: Mapping[str, Callable[[Listing], dict[str, Any]]] = {
    SPOT: spot_row,
    LINEAR: contract_row,
    INVERSE: contract_row,
    OPTION: option_row,
}
