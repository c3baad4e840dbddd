"""Kraken's public REST calls and errors: ``{"error": [...], "result": ...}``.

https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccrs_core as ccrs
from ccrs_core import InstrumentStatus, Market
from ccrs_core.wire import (
    MALFORMED,
    json_pages,
    ns_of_seconds,
    price,
    read_exact_json,
    read_rows,
    size_or_none,
)

# WebSocket v2 renamed these: https://support.kraken.com/articles/360000920306
NEW_NAMES = {"XBT": "BTC", "XDG": "DOGE"}

# By how they start. https://support.kraken.com/articles/360001491786-api-error-messages
LIMITS = ("EAPI:Rate", "EGeneral:Too many", "EGeneral:Temporary", "EService:Throttled", "HTTP 429")
OTHERS = {
    ccrs.ExchangeUnavailable: ("EService", "EGeneral:Internal", "HTTP 5"),
    ccrs.AuthError: ("EGeneral:Permission", "EAPI:Invalid"),
    ccrs.InvalidRequest: ("EQuery", "EGeneral:Invalid", "EGeneral:Unknown", "EAPI:Bad", "HTTP 4"),
}


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
    code = codes[0]  # and text: Kraken has no other
    if code.startswith(LIMITS):
        # A lockout lasts about a quarter of an hour.
        after = response.headers.get("retry-after", "900" if "lockout" in code else "")
        return ccrs.RateLimited(code, code, float(after) if after.isdecimal() else None)
    found = (error for error, starts in OTHERS.items() if code.startswith(starts))
    return next(found, ccrs.ExchangeError)(code, code)


def _get(path: str, read: Callable[[Any], ccrs.Answer[Any]]) -> ccrs.Endpoint[Any, Any]:
    def page(request: Any, body: Any, received_time_ns: int, cursor: str | None) -> Any:
        return read(body["result"])

    return ccrs.Endpoint(
        encode=lambda request, cursor: ccrs.HttpRequest("GET", f"/0/public/{path}"),
        decode=json_pages(page, read_exact_json),
        markets=frozenset({Market.SPOT}),
    )


def _instrument(row: Any) -> ccrs.Instrument | None:
    if "wsname" not in row:
        return None  # a dark pool's
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
        tick_size=price(row["tick_size"]),
        lot_size=Decimal(1).scaleb(-row["lot_decimals"]),
        min_size=size_or_none(row.get("ordermin")),
        min_notional=size_or_none(row.get("costmin")),
    )


ENDPOINTS = {
    ccrs.GetServerTime: _get("Time", lambda result: ccrs.Answer(ns_of_seconds(result["unixtime"]))),
    # A pair that can't be read is left out, counted and told: it takes no other away.
    ccrs.GetInstruments: _get(
        "AssetPairs", lambda result: read_rows(list(result.values()), _instrument).answer()
    ),
}
