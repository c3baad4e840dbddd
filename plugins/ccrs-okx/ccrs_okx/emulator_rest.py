"""The emulated OKX's REST answers, refusals and limits.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-tickers and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ccrs_core import (
    NS_PER_SECOND,
    HttpRequest,
    HttpResponse,
    InstrumentStatus,
    Market,
    Side,
)
from ccrs_core.emulator import (
    Allowance,
    BadRequest,
    Figure,
    Listing,
    Wrong,
    candle_page,
    newest_payments,
)
from ccrs_okx.emulator_fitting import band
from ccrs_okx.emulator_histories import (
    history_trades,
    open_interest,
    reference_candles,
    trade_row,
)
from ccrs_okx.emulator_listings import FUTURES, OPTION, SWAP, TYPES, family
from ccrs_okx.emulator_options import tick_bands
from ccrs_okx.emulator_private_rest import PREFIXES
from ccrs_okx.emulator_replies import PARAMETER, OkxQuery, envelope
from ccrs_okx.emulator_streams import INTERVALS
from ccrs_okx.emulator_wire import (
    OkxSpeller,
    funding,
    held,
    instrument,
    liquidated,
    ms,
    placeholders,
    ticker,
)

if TYPE_CHECKING:
    from ccrs_okx.emulator import OkxDialect

_RECENT_CANDLES = 1440
_KEPT_NS = 90 * 86_400 * NS_PER_SECOND
"""So long funding rates are told."""
_LONGEST_BOOK = 400
_UNTOLD = ("maxLmtSz", "maxMktSz", "minSz", "lever", "listTime", "groupId")
"""What an instrument's row may leave blank."""
_ELSEWHERE = ("/api/v5/asset", "/api/v5/users")
"""What asks for a key, and isn't emulated."""


class Rest:
    """Answers OKX's public market endpoints; ``limited`` as OKX does, per address and call."""

    def __init__(self, dialect: OkxDialect, *, limited: bool) -> None:
        self._dialect = dialect
        calls: Mapping[str, tuple[int, Callable[[OkxQuery, int], list[Any]]]] = {
            "/api/v5/public/time": (10, self._time),
            "/api/v5/public/instruments": (20, self._instruments),
            "/api/v5/public/instrument-tick-bands": (5, self._tick_bands),
            "/api/v5/public/underlying": (20, self._underlying),
            "/api/v5/public/funding-rate": (20, self._funding_rate),
            "/api/v5/public/funding-rate-history": (10, self._funding_history),
            "/api/v5/public/mark-price": (10, self._mark_price),
            "/api/v5/public/price-limit": (20, self._price_limit),
            "/api/v5/public/open-interest": (20, self._open_interest),
            "/api/v5/public/liquidation-orders": (40, self._liquidations),
            "/api/v5/market/ticker": (20, self._ticker),
            "/api/v5/market/tickers": (20, self._tickers),
            "/api/v5/market/books": (40, self._books),
            "/api/v5/market/trades": (100, self._trades),
            "/api/v5/market/history-trades": (20, self._history_trades),
            "/api/v5/market/mark-price-candles": (20, partial(self._mark_candles, recent=True)),
            "/api/v5/market/history-mark-price-candles": (
                10,
                partial(self._mark_candles, recent=False),
            ),
            "/api/v5/market/index-candles": (20, partial(self._index_candles, recent=True)),
            "/api/v5/market/history-index-candles": (
                10,
                partial(self._index_candles, recent=False),
            ),
            "/api/v5/rubik/stat/contracts/open-interest-history": (10, self._open_interest_history),
            "/api/v5/market/candles": (40, lambda q, now: self._candles(q, now, recent=True)),
            "/api/v5/market/history-candles": (
                20,
                lambda q, now: self._candles(q, now, recent=False),
            ),
        }
        self._calls = {path: call for path, (_, call) in calls.items()}
        self._windows = {
            path: Allowance(limit if limited else None, 2.0) for path, (limit, _) in calls.items()
        }

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        call = self._calls.get(request.path)
        try:
            if request.path.startswith(PREFIXES):
                return self._dialect.private.answer(request, address, now_ns)
            if request.path.startswith(_ELSEWHERE):
                raise BadRequest(50103, "Request header OK-ACCESS-KEY can not be empty.", 401)
            if call is None or request.method != "GET":
                return failure(404)
            if not self._windows[request.path].enter(address, now_ns):
                return failure(429)
            data = call(OkxQuery(request), now_ns)
        except BadRequest as refused:
            return envelope(refused.code, refused.text, [], refused.status)
        return envelope(0, "", data)

    # --- calls ---

    def _time(self, _: OkxQuery, now_ns: int) -> list[Any]:
        return [{"ts": ms(self._dialect.venue.told_ns)}]

    def _underlying(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", (SWAP, FUTURES, OPTION))
        return [sorted({f"{each.base}-{each.quote}" for each in self._dialect.venue.listed(kind)})]

    def _tick_bands(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", (OPTION,))
        wanted = query.text("instFamily")
        bands = tick_bands(self._dialect.venue.listed(kind))
        return [
            {"instFamily": name, "instType": kind, "tickBand": bands[name]}
            for name in sorted(bands)
            if wanted in {"", name}
        ]

    def _instruments(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", TYPES)
        wanted, symbol = query.text("instFamily"), query.text("instId")
        if kind == OPTION and not wanted:
            raise query.wrong("instFamily", Wrong.MISSING)
        known = self._dialect.venue.listed(kind)
        listed = [each for each in known if each.status is not InstrumentStatus.CLOSED]
        if symbol:
            listed = [each for each in listed if each.symbol == symbol]
        elif wanted:
            listed = [each for each in listed if family(each) == wanted]
        if (symbol or wanted) and not listed:
            raise _unknown()
        rows = [instrument(each, self._dialect.code(each)) for each in listed]
        if self._dialect.venue.blank("/api/v5/public/instruments"):
            rows = [{**row, **dict.fromkeys(_UNTOLD, "")} for row in rows]
        # Where nothing of a type is listed, nothing is announced either.
        return [*placeholders(kind), *rows] if rows and not (symbol or wanted) else rows

    def _ticker(self, query: OkxQuery, now_ns: int) -> list[Any]:
        return [ticker(OkxSpeller(self._dialect.venue.quoted(self._listing(query))), now_ns)]

    def _tickers(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", TYPES)
        return [
            ticker(OkxSpeller(self._dialect.venue.quoted(each)), now_ns)
            for each in self._dialect.venue.listed(kind)
            if each.status is InstrumentStatus.TRADING
        ]

    def _liquidations(self, query: OkxQuery, now_ns: int) -> list[Any]:
        """Those of a family in the last day; the state that is asked for unless told is another."""
        kind = query.choice("instType", (SWAP, FUTURES, OPTION))
        wanted = query.text("instFamily") or query.text("uly")
        if not wanted:
            raise query.wrong("uly or instFamily", Wrong.MISSING)
        rows = []
        for each in self._dialect.venue.listed(kind):
            market = self._dialect.venue.quoted(each)
            if family(each) == wanted and query.values.get("state") == "filled":
                told = liquidated(OkxSpeller(market), market.liquidations)
                row = {"instFamily": wanted, "instId": each.symbol, "instType": kind}
                if told:
                    uly = f"{each.base}-{each.quote}"
                    rows.append({"details": told[::-1], **row, "totalLoss": "0", "uly": uly})
        return rows

    def _books(self, query: OkxQuery, now_ns: int) -> list[Any]:
        listing, levels = self._listing(query), query.number("sz", 1, _LONGEST_BOOK)
        stream = self._dialect.books(listing, now_ns)
        view, spelled = stream.view, stream.speller.levels
        row = {
            "asks": spelled(view.asks[:levels], Side.SELL),
            "bids": spelled(view.bids[:levels], Side.BUY),
            "ts": ms(view.time_ns),
            "seqId": stream.number,
        }
        return [row]

    def _trades(self, query: OkxQuery, now_ns: int) -> list[Any]:
        listing, limit = self._listing(query), query.number("limit", 100, 500)
        market = self._dialect.venue.market(listing)
        speller = OkxSpeller(market)
        rows = [trade_row(speller, each) for each in list(market.tape.trades)[: -limit - 1 : -1]]
        return self._without_source("/api/v5/market/trades", rows)

    def _without_source(self, path: str, rows: list[Any]) -> list[Any]:
        if not self._dialect.venue.blank(path):
            return rows
        return [{key: value for key, value in row.items() if key != "source"} for row in rows]

    def _history_trades(self, query: OkxQuery, now_ns: int) -> list[Any]:
        rows = history_trades(self._dialect.venue.market(self._listing(query)), query, now_ns)
        return self._without_source("/api/v5/market/history-trades", rows)

    def _mark_candles(self, query: OkxQuery, now_ns: int, *, recent: bool) -> list[Any]:
        listing = self._listing(query)
        if listing.market is Market.SPOT:
            raise query.wrong("instId", Wrong.CHOICE)
        market = self._dialect.venue.market(listing)
        return reference_candles(market, query, now_ns, Figure.MARK_PRICE, recent=recent)

    def _index_candles(self, query: OkxQuery, now_ns: int, *, recent: bool) -> list[Any]:
        """An index is asked for by its own name; contracts that follow it come in this order."""
        name = query.text("instId")
        found = [
            each
            for kind in (SWAP, FUTURES)
            for each in self._dialect.venue.listed(kind)
            if f"{each.base}-{each.quote}" == name
        ]
        if not found:
            raise _unknown()
        market = self._dialect.venue.market(found[0])
        return reference_candles(market, query, now_ns, Figure.INDEX_PRICE, recent=recent)

    def _open_interest_history(self, query: OkxQuery, now_ns: int) -> list[Any]:
        return open_interest(self._dialect.venue.market(self._listing(query)), query, now_ns)

    def _candles(self, query: OkxQuery, now_ns: int, *, recent: bool) -> list[Any]:
        listing, limit = self._listing(query), query.number("limit", 100, 300)
        interval = INTERVALS.get(query.values.get("bar", "1m"))
        if interval is None:
            raise query.wrong("bar", Wrong.CHOICE)
        after_ns, before_ns = query.time_ns("after"), query.time_ns("before")
        now_open_ns = interval.open_of(now_ns)
        # The open candle is among the recent ones alone. "after" asks for what is older: the candle
        # that opens just then isn't meant.
        end_ns = now_ns + 1 if recent else now_open_ns
        if after_ns is not None:
            end_ns = min(end_ns, after_ns)
        first_ns = 0 if before_ns is None else before_ns + 1
        if recent:
            length_ns = interval.ns or 30 * 86_400 * NS_PER_SECOND
            first_ns = max(first_ns, now_open_ns - (_RECENT_CANDLES - 1) * length_ns)
        market = self._dialect.venue.market(listing)
        page = candle_page(market, interval, (first_ns, end_ns), limit, now_ns)
        speller = OkxSpeller(market)
        rows = [
            speller.candle(bar, interval.next_open(bar.open_ns) <= now_ns) for bar in reversed(page)
        ]
        path = f"/api/v5/market/{'candles' if recent else 'history-candles'}"
        if self._dialect.venue.blank(path):
            return [[*row[:6], "", "", row[8]] for row in rows]
        return rows

    def _funding_rate(self, query: OkxQuery, now_ns: int) -> list[Any]:
        return [funding(self._dialect.venue.market(self._paying(query)), now_ns)]

    def _funding_history(self, query: OkxQuery, now_ns: int) -> list[Any]:
        listing, limit = self._paying(query), query.number("limit", 100, 400)
        after_ns, before_ns = query.time_ns("after"), query.time_ns("before")
        market = self._dialect.venue.market(listing)
        last_ns = now_ns if after_ns is None else min(now_ns, after_ns - 1)
        first_ns = max(now_ns - _KEPT_NS, 0 if before_ns is None else before_ns + 1)
        rows: list[dict[str, str]] = []
        for time_ns in reversed(newest_payments(listing, last_ns, limit, first_ns)):
            rate = Decimal(market.funding_at(time_ns)).scaleb(-6)
            rows.append(
                {
                    "formulaType": "noRate",
                    # What was foretold is near what was paid.
                    "fundingRate": f"{rate + Decimal('0.0000000032605'):f}",
                    "fundingTime": ms(time_ns),
                    "instId": listing.symbol,
                    "instType": listing.category,
                    "method": "current_period",
                    "realizedRate": f"{rate:f}",
                }
            )
        if self._dialect.venue.blank("/api/v5/public/funding-rate-history"):
            return [
                {**row, "fundingRate": row["realizedRate"], "realizedRate": ""}
                | {"method": "", "formulaType": ""}
                for row in rows
            ]
        return rows

    def _mark_price(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", (SWAP, FUTURES, OPTION))
        symbol = query.text("instId")
        return [
            {
                "instId": each.symbol,
                "instType": kind,
                "markPx": OkxSpeller(market).fine(market.mark)
                if market.has(Figure.MARK_PRICE)
                else "",
                "ts": ms(now_ns),
            }
            for each in self._dialect.venue.listed(kind)
            if symbol in {"", each.symbol}
            for market in [self._dialect.venue.quoted(each)]
        ]

    def _price_limit(self, query: OkxQuery, now_ns: int) -> list[Any]:
        listing = self._listing(query)
        lowest, highest = band(self._dialect.venue.quoted(listing))
        return [
            {
                "buyLmt": f"{highest:f}",
                "enabled": True,
                "instId": listing.symbol,
                "instType": listing.category,
                "sellLmt": f"{lowest:f}",
                "ts": ms(now_ns),
            }
        ]

    def _open_interest(self, query: OkxQuery, now_ns: int) -> list[Any]:
        kind = query.choice("instType", (SWAP, FUTURES, OPTION))
        symbol, wanted = query.text("instId"), query.text("instFamily")
        if kind == OPTION and not (symbol or wanted):
            raise query.wrong("instFamily", Wrong.MISSING)
        found = [
            each
            for each in self._dialect.venue.listed(kind)
            if symbol in {"", each.symbol} and wanted in {"", family(each)}
        ]
        if symbol and not found:
            raise _unknown()
        return [held(OkxSpeller(self._dialect.venue.quoted(each)), now_ns) for each in found]

    def _paying(self, query: OkxQuery) -> Listing:
        listing = self._listing(query)
        if listing.market is Market.SPOT or listing.funding_interval_ns is None:
            raise query.wrong("instId", Wrong.CHOICE)
        return listing

    def _listing(self, query: OkxQuery) -> Listing:
        symbol = query.text("instId")
        if not symbol:
            raise query.wrong("instId", Wrong.MISSING)
        listing = self._dialect.listing(symbol)
        if listing is None:
            raise _unknown()
        return listing


def _unknown() -> BadRequest:
    return BadRequest(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


_FAILURES = {
    400: (PARAMETER, "Parameter error"),
    429: (50011, "Too Many Requests"),
    500: (50026, "System error. Please try again later."),
    503: (50001, "Service temporarily unavailable. Please try again later."),
}


def failure(status: int) -> HttpResponse:
    """What comes with an HTTP status of its own; statuses from 10000 on are OKX's codes."""
    if status >= 10_000:
        return envelope(status, "Too Many Requests" if status == 50011 else "Refused", [])
    if status in _FAILURES:
        return envelope(*_FAILURES[status], [], status)
    return HttpResponse(status, {"Content-Type": "text/html"}, b"<html></html>")
