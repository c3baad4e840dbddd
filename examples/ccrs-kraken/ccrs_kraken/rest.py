"""Kraken's public REST calls and errors: ``{"error": [...], "result": ...}``.

https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccrs_core as ccrs
from ccrs_core import BookUpdate, GetBook, GetTopOfBook, InstrumentStatus, Market, Side, Trade
from ccrs_core.wire import MALFORMED, decimal, decimal_of_number, decimal_or_none, read_exact_json
from ccrs_kraken.codec import whole

# WebSocket v2 renamed these: https://support.kraken.com/articles/360000920306
NEW_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}

# By how they start. https://support.kraken.com/articles/360001491786-api-error-messages
LIMITS = ("EAPI:Rate", "EGeneral:Too many", "EGeneral:Temporary", "EService:Throttled", "HTTP 429")
UNAVAILABLE = ("EService", "EGeneral:Internal", "HTTP 5")
AUTH = ("EGeneral:Permission", "EAPI:Invalid")
INVALID = ("EQuery", "EGeneral:Invalid", "EGeneral:Unknown", "EAPI:Bad", "HTTP 4")


def error_of(response: ccrs.HttpResponse) -> ccrs.CcrsError | None:
    """The error that a response stands for; see ``Exchange.error_of``."""
    codes = [f"HTTP {response.status}"] if response.status >= 400 else []
    try:
        errors = read_exact_json(response.body)["error"]
        codes[:0] = [text for text in errors if not text.startswith("W")]  # a warning
    except (ccrs.DecodeError, *MALFORMED):
        if not codes:
            raise ccrs.DecodeError("an answer without a list of errors", response.body) from None
    if not codes:
        return None
    code = text = codes[0]
    if code.startswith(LIMITS):
        # A lockout lasts about a quarter of an hour.
        after = response.headers.get("retry-after", "900" if "lockout" in code else "")
        return ccrs.RateLimited(code, text, float(after) if after.isdecimal() else None)
    if code.startswith(UNAVAILABLE):
        return ccrs.ExchangeUnavailable(code, text)
    if code.startswith(AUTH):
        return ccrs.AuthError(code, text)
    return (ccrs.InvalidRequest if code.startswith(INVALID) else ccrs.ExchangeError)(code, text)


def _call(
    path: str, read: Callable[[Any, Any, int], Any], most: int = 0
) -> ccrs.Endpoint[Any, Any]:
    """A call; with ``most`` it is about an instrument, and lists at most so many things."""

    def encode(request: Any, cursor: str | None) -> ccrs.HttpRequest:
        query: tuple[tuple[str, str], ...] = ()
        if most:  # REST has the old names: XBTUSD
            count = getattr(request, "depth", 0) or getattr(request, "limit", 0)
            pair = "".join(OLD_NAMES.get(c, c) for c in request.instrument.native.split("/"))
            query = (("pair", pair), ("count", str(max(1, min(count, most)))))
        return ccrs.HttpRequest("GET", f"/0/public/{path}", query)

    def decode(request: Any, response: ccrs.HttpResponse, received_ns: int) -> ccrs.Answer[Any]:
        try:
            result = read_exact_json(response.body)["result"]
            return ccrs.Answer(read(request, result, received_ns))
        except MALFORMED as error:
            raise ccrs.DecodeError(f"malformed answer: {error!r}"[:200], response.body) from error

    return ccrs.Endpoint(encode=encode, decode=decode, markets=frozenset({Market.SPOT}))


def _ns(seconds: Any) -> int:
    return int(decimal_of_number(seconds) * 10**9)


def _instrument(row: Any) -> ccrs.Instrument:
    base, quote = (NEW_NAMES.get(coin, coin) for coin in row["wsname"].split("/"))
    trading = row["status"] in ("online", "limit_only", "reduce_only")
    return ccrs.Instrument(
        exchange="kraken",
        symbol=ccrs.unified_symbol(base, quote),
        native=f"{base}/{quote}",
        market=Market.SPOT,
        base=base,
        quote=quote,
        status=InstrumentStatus.TRADING if trading else InstrumentStatus.HALTED,
        tick_size=decimal(row["tick_size"]),
        lot_size=Decimal(1).scaleb(-row["lot_decimals"]),
        min_size=decimal_or_none(row.get("ordermin")),
        min_notional=decimal_or_none(row.get("costmin")),
    )


def _book(request: GetBook | GetTopOfBook, result: Any, received_ns: int) -> BookUpdate:
    (book,) = result.values()
    bids, asks = (
        tuple((decimal(price), decimal(size)) for price, size, _ in book[side])
        for side in ("bids", "asks")
    )
    # Neither a time nor a number of the book is given.
    return BookUpdate("kraken", request.instrument.symbol, None, received_ns, 0, True, bids, asks)


def _top(request: GetTopOfBook, result: Any, received_ns: int) -> ccrs.TopOfBook:
    book = _book(request, result, received_ns)
    bid, ask = (side[0] if side else (None, None) for side in (book.bids, book.asks))
    return ccrs.TopOfBook("kraken", book.symbol, None, received_ns, None, *bid, *ask)


def _trades(request: ccrs.GetTrades, result: Any, received_ns: int) -> list[Trade]:
    symbol, sides = request.instrument.symbol, {"b": Side.BUY, "s": Side.SELL}
    (rows,) = (rows for name, rows in result.items() if name != "last")
    return [
        Trade("kraken", symbol, _ns(time), received_ns, whole(number), str(number), decimal(price),
              decimal(size), sides[side])
        for price, size, time, side, _, _, number in rows
    ]  # fmt: skip


ENDPOINTS = {
    ccrs.GetServerTime: _call("Time", lambda _, result, __: _ns(result["unixtime"])),
    ccrs.GetInstruments: _call(
        "AssetPairs", lambda _, r, __: [_instrument(row) for row in r.values() if "wsname" in row]
    ),
    GetTopOfBook: _call("Depth", _top, 1),
    GetBook: _call("Depth", _book, 500),
    ccrs.GetTrades: _call("Trades", _trades, 1000),
}
