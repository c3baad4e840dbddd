"""The emulated Binance's REST answers, refusals and limits.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from ccrs_binance.emulator_counts import order_limits
from ccrs_binance.emulator_histories import (
    aggregate_trades,
    contract_type,
    funding_rates,
    open_interest,
    reference_klines,
)
from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_binance.emulator_spot_tickets import MARKET_PART, MOST_NOTIONAL, OFFERED
from ccrs_binance.emulator_streams import (
    ALL_LEVELS,
    INTERVALS,
    Voice,
)
from ccrs_core import NS_PER_MS, NS_PER_SECOND, HttpRequest, HttpResponse, InstrumentStatus, Side
from ccrs_core.emulator import (
    BadRequest,
    BookView,
    Figure,
    Listing,
    Query,
    SimulatedMarket,
    Wrong,
    candle_page,
)
from ccrs_core.emulator import milliseconds as ms

if TYPE_CHECKING:
    from ccrs_binance.emulator import BinanceDialect
from ccrs_binance.emulator_weights import (
    Weight,
    Weights,
    each,
    futures_depth_weight,
    futures_klines_weight,
    one_or,
    refusal,
    spot_depth_weight,
)

_MINUTE_NS = 60 * NS_PER_SECOND
_CACHE_NS = 200 * NS_PER_MS
"""Snapshots of books come out of a cache, and may be so old."""
_PREFIXES = {"/fapi/": (USDM, "/fapi/v1/"), "/dapi/": (COINM, "/dapi/v1/")}
_STATISTICS = "/futures/data/"
_COINM_SPAN_NS = 200 * 24 * 60 * _MINUTE_NS
"""Candles of COIN-M are answered of so long a time at once."""
_FUTURES_LEVELS = frozenset({5, 10, 20, 50, 100, 500, 1000})

STATUSES = {
    "trading": "TRADING",
    "prelaunch": "PENDING_TRADING",
    "halted": "HALT",
    "settling": "SETTLING",
    "closed": "BREAK",
}
"""Delisted pairs stay listed for ever; delisted contracts are said to be settling."""


class BinanceQuery(Query):
    blank_is_absent = False

    def wrong(self, name: str, wrong: Wrong) -> BadRequest:
        if wrong is Wrong.TIME:
            return BadRequest(-1100, f"Illegal characters found in parameter '{name}'.", 400)
        return BadRequest(-1130, f"Data sent for parameter '{name}' is not valid.", 400)


def _futures(weight: int | Weight) -> dict[str, int | Weight]:
    return dict.fromkeys((USDM, COINM), weight)


_Answer = Callable[[str, Query, int], Any]


class Rest:
    """Answers Binance's public market endpoints."""

    def __init__(self, dialect: BinanceDialect) -> None:
        self._dialect = dialect
        self._cache: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self._funding_calls = Weights(500, minutes=5)
        self._statistics_calls = Weights(1000, minutes=5)
        self._endpoints: Mapping[str, tuple[_Answer, Mapping[str, int | Weight]]] = {
            "ping": (lambda *_: {}, each(1, 1)),
            "time": (
                lambda *_: {"serverTime": ms(dialect.venue.told_ns)},
                each(1, 1),
            ),
            "exchangeInfo": (self._exchange_info, each(20, 1)),
            "depth": (self._depth, each(spot_depth_weight, futures_depth_weight)),
            "rpiDepth": (self._rpi_depth, {USDM: 20}),
            "ticker/bookTicker": (self._book_tickers, each(one_or(2, 4), one_or(2, 5))),
            "ticker/24hr": (self._day_tickers, each(one_or(2, 80), one_or(1, 40))),
            "trades": (self._trades, each(25, 5)),
            "aggTrades": (self._agg_trades, each(4, 20)),
            "klines": (self._klines, each(2, futures_klines_weight)),
            "markPriceKlines": (
                self._mark_klines,
                dict.fromkeys((USDM, COINM), futures_klines_weight),
            ),
            "indexPriceKlines": (
                self._index_klines,
                dict.fromkeys((USDM, COINM), futures_klines_weight),
            ),
            "openInterestHist": (self._open_interest_history, _futures(0)),
            "fundingRate": (self._fundings, {USDM: 1, COINM: 1}),
            "openInterest": (self._open_interest, {USDM: 1, COINM: 1}),
        }

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        category, prefix = _PREFIXES.get(request.path[:6], (SPOT, "/api/v3/"))
        if request.path.startswith(_STATISTICS):
            # Of both kinds of futures, at hosts of their own.
            category = COINM if any(name == "pair" for name, _ in request.query) else USDM
            prefix = _STATISTICS
        called = request.path.removeprefix(prefix)
        found = self._endpoints.get(called) if called != request.path else None
        if found is None or category not in found[1] or request.method != "GET":
            return HttpResponse(404, {"Content-Type": "text/html"}, b"<html>404</html>")
        answer, weights = found
        query = BinanceQuery(request)
        headers: dict[str, str] = {}
        try:
            weight = weights[category]
            spent = weight if isinstance(weight, int) else weight(query)
            used, refused = self._dialect.weights[category].spend(address, spent, now_ns)
            headers |= {"X-MBX-USED-WEIGHT-1M": str(used), "Content-Type": "application/json"}
            own = {"fundingRate": self._funding_calls, "openInterestHist": self._statistics_calls}
            if refused is None and called in own:
                _, refused = own[called].spend(address, 1, now_ns)
            if refused is not None:
                return attrs.evolve(refused, headers={**headers, **refused.headers})
            if category == USDM and called == "ticker/bookTicker":
                headers["X-MBX-USED-WEIGHT-1M"] = "1"  # which isn't accurate
            body = answer(category, query, now_ns)
        except BadRequest as error:
            return refusal(error.code, error.text, error.status, headers)
        if self._dialect.venue.blank(request.path):
            body = _blank(called, body)
        return HttpResponse(200, headers, orjson.dumps(body))

    def _voice(self, market: SimulatedMarket) -> Voice:
        return Voice(market, self._dialect.venue.seed)

    # --- endpoints ---

    def _listing(self, category: str, query: Query) -> Listing:
        symbol = query.values.get("symbol")
        if not symbol:
            text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            raise BadRequest(-1102, text, 400)
        listing = self._dialect.venue.listings.get((category, symbol))
        if listing is None:
            raise BadRequest(-1121, "Invalid symbol.", 400)
        return listing

    def _exchange_info(self, category: str, query: Query, now_ns: int) -> dict[str, Any]:
        rows = [
            (spot_row if category == SPOT else futures_row)(listing)
            for listing in self._dialect.venue.listed(category)
        ]
        if category == USDM:
            rows.append(ANNOUNCED)
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        limit["limit"] = self._dialect.weights[category].limit or 0
        limits = [limit, *order_limits(category)]
        head = {"timezone": "UTC", "serverTime": ms(self._dialect.venue.told_ns)}
        return {**head, "rateLimits": limits, "exchangeFilters": [], "symbols": rows}

    def _depth(self, category: str, query: Query, now_ns: int) -> dict[str, Any]:
        listing = self._listing(category, query)
        limit = query.number("limit", 100 if category == SPOT else 500, 5000)
        if category != SPOT and limit not in _FUTURES_LEVELS:
            raise BadRequest(-4021, f"{limit} is not valid depth limit.", 400)
        market = self._dialect.venue.market(listing)
        known = self._cache.get(listing.key)
        # Every other one is as fresh as it can be.
        rng = random.Random(f"{self._dialect.venue.seed}/cache/{listing.symbol}/{now_ns}")
        if known is None or now_ns - known[0] > _CACHE_NS or rng.random() < 0.5:
            known = self._cache[listing.key] = now_ns, self._book(category, market, now_ns)
        book = known[1]
        return {**book, "bids": book["bids"][:limit], "asks": book["asks"][:limit]}

    def _rpi_depth(self, category: str, query: Query, now_ns: int) -> dict[str, Any]:
        """https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book-RPI"""
        limit = query.number("limit", 1000, 5000)
        if limit != 1000:
            raise BadRequest(-4021, f"{limit} is not valid depth limit.", 400)
        return self._depth(category, query, now_ns)

    def _book(self, category: str, market: SimulatedMarket, now_ns: int) -> dict[str, Any]:
        view = BookView(market, ALL_LEVELS, 0)
        view.refresh()
        voice = self._voice(market)
        book: dict[str, Any] = {"lastUpdateId": voice.number}
        if category != SPOT:
            book |= {"E": ms(now_ns), "T": ms(market.now_ns)}
        if category == COINM:
            book |= names(market.listing)
        book["bids"] = voice.levels(view.bids, Side.BUY)
        book["asks"] = voice.levels(view.asks, Side.SELL)
        return book

    def _quoted(self, category: str, query: Query) -> list[SimulatedMarket]:
        """The market of the symbol that is asked for, or all of a category."""
        venue = self._dialect.venue
        if "symbol" in query.values:
            return [venue.market(self._listing(category, query))]
        listed = venue.listed(category)
        return [venue.quoted(each) for each in listed if each.status.value == "trading"]

    def _told(self, category: str, query: Query, rows: list[dict[str, Any]]) -> Any:
        # COIN-M answers with a list in any case.
        return rows[0] if "symbol" in query.values and category != COINM else rows

    def _day_tickers(self, category: str, query: Query, now_ns: int) -> Any:
        rows = [self._voice(m).day_row(now_ns) for m in self._quoted(category, query)]
        return self._told(category, query, rows)

    def _book_tickers(self, category: str, query: Query, now_ns: int) -> Any:
        rows = [self._book_ticker(category, market) for market in self._quoted(category, query)]
        return self._told(category, query, rows)

    def _book_ticker(self, category: str, market: SimulatedMarket) -> dict[str, Any]:
        voice = self._voice(market)
        row: dict[str, Any] = {"symbol": market.listing.symbol}
        for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask")):
            row[f"{name}Price"], row[f"{name}Qty"] = voice.quote(side)
        if category != SPOT:
            row |= {"time": ms(market.now_ns), "lastUpdateId": voice.number}
        return {**row, **names(market.listing)} if category == COINM else row

    def _trades(self, category: str, query: Query, now_ns: int) -> list[dict[str, Any]]:
        market = self._dialect.venue.market(self._listing(category, query))
        limit = query.number("limit", 500, 1000)
        voice = self._voice(market)
        worth = "baseQty" if category == COINM else "quoteQty"
        return [
            {
                "id": trade.number,
                "price": voice.price(trade.price),
                "qty": voice.size(trade.size),
                worth: voice.turnover(market.tape.turnover(trade.price, trade.size)),
                "time": ms(trade.time_ns),
                "isBuyerMaker": trade.side is Side.SELL,
                **({"isBestMatch": True} if category == SPOT else {}),
                **({"isRPITrade": trade.rpi} if category == USDM else {}),
            }
            for trade in list(market.tape.trades)[-limit:]
        ]

    def _agg_trades(self, category: str, query: Query, now_ns: int) -> list[dict[str, Any]]:
        market = self._dialect.venue.market(self._listing(category, query))
        return aggregate_trades(market, query, now_ns)

    def _mark_klines(self, category: str, query: Query, now_ns: int) -> list[list[Any]]:
        market = self._dialect.venue.market(self._listing(category, query))
        return reference_klines(market, query, now_ns, Figure.MARK_PRICE)

    def _index_klines(self, category: str, query: Query, now_ns: int) -> list[list[Any]]:
        market = self._dialect.venue.market(self._of_pair(category, query))
        return reference_klines(market, query, now_ns, Figure.INDEX_PRICE)

    def _open_interest_history(
        self, category: str, query: Query, now_ns: int
    ) -> list[dict[str, Any]]:
        if category == COINM:
            listing = self._of_pair(category, query, contract_type(query))
        else:
            listing = self._listing(category, query)
        return open_interest(self._dialect.venue.market(listing), query, now_ns)

    def _of_pair(self, category: str, query: Query, kind: str = "PERPETUAL") -> Listing:
        """The contract of a pair: the perpetual one first, whose index is all the others' too."""
        found = [
            each
            for each in self._dialect.venue.listed(category)
            if f"{each.base}{each.quote}" == query.values.get("pair")
            and (kind != "PERPETUAL" or each.expiry_ns is None)
        ]
        if not found:
            raise BadRequest(-1121, "Invalid symbol.", 400)
        return found[0]

    def _klines(self, category: str, query: Query, now_ns: int) -> list[list[Any]]:
        listing = self._listing(category, query)
        interval = INTERVALS.get(query.values.get("interval", ""))
        if interval is None:
            raise BadRequest(-1120, "Invalid interval.", 400)
        limit = query.number("limit", 500, 1000 if category == SPOT else 1500)
        start_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
        market = self._dialect.venue.market(listing)
        last_ns = now_ns if end_ns is None else min(end_ns, now_ns)
        earliest_ns = start_ns or 0
        if category == COINM:
            if start_ns is not None and last_ns - start_ns > _COINM_SPAN_NS:
                if end_ns is not None:
                    raise BadRequest(
                        -1127, "More than 4800 hours between startTime and endTime.", 400
                    )
                last_ns = start_ns + _COINM_SPAN_NS
            earliest_ns = max(earliest_ns, last_ns - _COINM_SPAN_NS)
        # From a start the first ones, but of COIN-M's the newest of a stretch in any case:
        # https://developers.binance.com/docs/derivatives/coin-margined-futures/market-data/rest-api/Kline-Candlestick-Data
        span, newest = (earliest_ns, last_ns + 1), start_ns is None or category == COINM
        page = candle_page(market, interval, span, limit, now_ns, newest=newest)
        voice = self._voice(market)
        price, size, value = voice.price, voice.size, voice.turnover
        rows: list[list[Any]] = []
        for bar in page:
            prices = [price(each) for each in (bar.open, bar.high, bar.low, bar.close)]
            close = ms(interval.next_open(bar.open_ns)) - 1
            turnover = value(bar.turnover)
            half = size(bar.lots // 2), value(bar.turnover // 2)
            head = [ms(bar.open_ns), *prices, size(bar.lots), close, turnover]
            rows.append([*head, bar.lots and 1, *half, "0"])
        return rows

    def _fundings(self, category: str, query: Query, now_ns: int) -> list[dict[str, Any]]:
        market = self._dialect.venue.market(self._listing(category, query))
        special = self._dialect.special_funding.get(market.listing.symbol, {})
        return funding_rates(market, query, now_ns, special)

    def _open_interest(self, category: str, query: Query, now_ns: int) -> dict[str, Any]:
        """https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest"""
        listing = self._listing(category, query)
        market = self._dialect.venue.quoted(listing)
        held = self._voice(market).size(market.open_interest)
        row: dict[str, Any] = {"openInterest": held, "symbol": listing.symbol, "time": ms(now_ns)}
        return {**row, **names(listing), "contractType": "PERPETUAL"} if category == COINM else row


def names(listing: Listing) -> dict[str, str]:
    """What COIN-M's answers say besides."""
    return {"symbol": listing.symbol, "pair": f"{listing.base}{listing.quote}"}


NEVER = 4_133_404_800_000
"""When perpetuals are delivered."""
_LISTED_NS = 90 * 24 * 60 * _MINUTE_NS
"""How long delisted contracts were traded."""

ANNOUNCED: dict[str, Any] = {
    "symbol": "LATERUSDT",
    "pair": "LATERUSDT",
    "contractType": "",
    "deliveryDate": NEVER,
    "onboardDate": NEVER,
    "status": "PENDING_TRADING",
    "baseAsset": "LATER",
    "quoteAsset": "USDT",
    "underlyingType": "COIN",
    "filters": None,
}
"""A contract of which little is known yet: neither its margin nor its rules."""


def _blank(called: str, body: Any) -> Any:
    """An answer without what Binance may leave blank or absent."""
    if called == "exchangeInfo":
        return {**body, "symbols": [{**row, "filters": None} for row in body["symbols"]]}
    if called == "fundingRate":
        return [{**row, "markPrice": ""} for row in body]
    if called == "trades":  # as until November 2025
        return [{key: each for key, each in row.items() if key != "isRPITrade"} for row in body]
    if called == "ticker/24hr":
        if isinstance(body, list):
            return [_blank(called, row) for row in body]
        return {**body, "firstId": -1, "lastId": -1, "count": 0}  # as before the first trade
    if called == "ticker/bookTicker":
        if isinstance(body, list):
            return [_blank(called, row) for row in body]
        numbers = ("bidPrice", "bidQty", "askPrice", "askQty")
        return {**body, **dict.fromkeys(numbers, "0.00000000")}
    return body


def spot_row(listing: Listing) -> dict[str, Any]:
    """A spot pair of ``exchangeInfo``."""
    return {
        "symbol": listing.symbol,
        "status": STATUSES[listing.status.value],
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        **OFFERED,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            _price_filter(listing),
            _lot_filter(listing),
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": f"{listing.max_size / MARKET_PART:.8f}",
                "stepSize": "0.00000000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{listing.min_notional:.8f}",
                "applyMinToMarket": True,
                "maxNotional": f"{MOST_NOTIONAL:.8f}",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def futures_row(listing: Listing) -> dict[str, Any]:
    """A contract of ``exchangeInfo``. A perpetual's delivery is a day far ahead."""
    dated, coin_margined = listing.expiry_ns is not None, listing.category == COINM
    closed = listing.status is InstrumentStatus.CLOSED
    delivery = ms(listing.expiry_ns) if listing.expiry_ns is not None else NEVER
    if closed:
        delivery = ms(listing.launch_ns + _LISTED_NS)
    status = "SETTLING" if closed else STATUSES[listing.status.value]
    announced = listing.status is InstrumentStatus.PRELAUNCH
    return {
        "symbol": listing.symbol,
        "pair": f"{listing.base}{listing.quote}",
        "contractType": "CURRENT_QUARTER" if dated else "" if announced else "PERPETUAL",
        "deliveryDate": delivery,
        "onboardDate": ms(listing.launch_ns),
        "contractStatus" if coin_margined else "status": status,
        **({"contractSize": int(listing.worth_of_one)} if coin_margined else {}),
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.settle,
        "pricePrecision": 8,
        "quantityPrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            _price_filter(listing),
            _lot_filter(listing),
            {
                **_lot_filter(listing),
                "filterType": "MARKET_LOT_SIZE",
                "maxQty": f"{listing.max_size // 8:f}",
            },
            *([] if coin_margined else [_notional(listing)]),
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def contract_info(listing: Listing, now_ns: int) -> dict[str, Any]:
    """What ``!contractInfo`` says of a contract whose status has changed."""
    row = futures_row(listing)
    return {
        "e": "contractInfo",
        "E": ms(now_ns),
        "s": row["symbol"],
        "ps": row["pair"],
        "ct": row["contractType"],
        "dt": row["deliveryDate"],
        "ot": row["onboardDate"],
        "cs": row.get("status", row.get("contractStatus")),
        "st": 2 if listing.category == COINM else 1,
    }


def _notional(listing: Listing) -> dict[str, str]:
    return {"filterType": "MIN_NOTIONAL", "notional": f"{listing.min_notional:f}"}


def _price_filter(listing: Listing) -> dict[str, str]:
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": f"{listing.tick * 10:f}",
        "maxPrice": "1000000",
        "tickSize": f"{listing.tick:f}",
    }


def _lot_filter(listing: Listing) -> dict[str, str]:
    return {
        "filterType": "LOT_SIZE",
        "minQty": f"{listing.min_size:f}",
        "maxQty": f"{listing.max_size:f}",
        "stepSize": f"{listing.lot:f}",
    }
