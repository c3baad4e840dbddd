"""OKX's error answers as typed errors: ``{"code":"50011","data":[],"msg":"Too Many Requests"}``.

Of calls for several orders, code 1 and 2 say that all or some have failed; then the first failure's
own ``sCode`` counts. https://www.okx.com/docs-v5/en/#error-code-rest-api
"""

from __future__ import annotations

from typing import Any

from ccrs_core import (
    AuthError,
    CcrsError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    InsufficientBalance,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
)
from ccrs_core.wire import STATUSES, http_error, json_object, retry_after

WINDOW_SECONDS = 2.0
"""OKX counts requests in windows of two seconds, and says no other time to wait.

https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

_EACH = frozenset({"1", "2"})
"""Codes that say to look at the items."""


def _codes(*numbers: int | range) -> frozenset[str]:
    found: set[str] = set()
    for each in numbers:
        found.update(map(str, each if isinstance(each, range) else (each,)))
    return frozenset(found)


CODES: dict[type[ExchangeError], frozenset[str]] = {
    AuthError: _codes(
        50007,  # account blocked
        50009,  # account frozen by liquidation
        50027,  # restricted from trading
        50030,  # no permission to use this endpoint
        50033,  # pair restricted
        50035,  # endpoint needs a binding to an address
        50051,  # country
        50052,  # country
        50060,  # terms not accepted
        50100,  # key frozen
        50101,  # key of the other environment
        50102,  # timestamp expired
        range(50103, 50108),  # headers missing, passphrase wrong
        50110,  # address not bound to the key
        50111,  # key
        50112,  # timestamp
        50113,  # signature
        50114,  # authorisation
        50119,  # no such key
        50120,  # permission
        51024,  # account blocked
        51155,  # pair not allowed here
    ),
    RateLimited: _codes(50011, 50040, 50061, 60014, 60023),
    # What became of a state-changing request is unknown after some of these; reads may be repeated.
    ExchangeUnavailable: _codes(
        50001, 50004, 50005, 50013, 50026, 51054, 51149, 51412, 52912, 63999, 64007
    ),
    InvalidRequest: _codes(
        50000,  # empty body
        50002,  # JSON
        50006,  # content type
        50014,  # parameter missing
        50015,
        50016,
        50024,  # one of two parameters
        50025,  # too many of a parameter
        50036,  # expTime
        50037,
        51000,  # parameter
        51001,  # instrument
        51003,  # ordId or clOrdId
        51014,  # index
        51015,  # instrument and type
        51111,  # too many orders at once
        51150,  # decimals
        51175,  # parameters that exclude each other
        51176,
        51180,  # range
        range(51407, 51410),  # ids of cancellations
        51501,  # ids of amendments
        range(60011, 60014),
        60018,  # channel
        range(64001, 64005),  # channels that have moved or need something
    ),
    OrderNotFound: _codes(51063, range(51400, 51403), 51503, 51509, 51510, 51603),
    InsufficientBalance: _codes(
        51008, 51119, 51127, 51131, 51502, 51736, 51764, 58350, 59108, 59303
    ),
    OrderRejected: _codes(
        range(50017, 50023),  # frozen: deleveraging or liquidation under way
        50071,  # clOrdId repeated
        51004,  # caps of positions
        51005,  # size
        51006,  # price outside the limits
        51010,  # account mode
        51011,  # ordId repeated
        51016,  # clOrdId repeated
        51019,  # no cross margin for options
        51020,  # below the minimum
        51021,  # not listed yet
        51022,  # suspended
        51023,  # no position
        51025,  # too many orders
        range(51027, 51031),  # expired, in delivery, settlement or funding
        51031,  # price outside the limits
        51043,  # no position
        range(51046, 51054),  # take-profit and stop-loss
        51065,  # clOrdId repeated
        range(51101, 51108),  # caps of size and position
        51112,  # more than the position
        51116,
        range(51120, 51123),  # minimum, multiple of the lot, price
        51129,
        range(51135, 51139),  # price outside the limits
        51169,
        51174,  # too many orders
        51182,
        51185,  # size
        51187,
        51194,  # price outside the limits
        51195,
        range(51201, 51206),  # value, price, reduce-only
        range(51260, 51264),  # too many orders
        range(51277, 51281),  # take-profit and stop-loss
        51286,
        51311,
        51312,
        51403,  # can't be cancelled now
        51404,
        51410,  # being cancelled already
        51416,
        51506,  # can't be amended now
        51508,
        range(51511, 51514),
        54008,  # mass cancellation under way
        54030,  # caps of positions
        54031,
        54051,  # below the minimum of price improvement
        54084,  # slippage
        54085,
    ),
}

NOT_NOW = CODES[RateLimited] | CODES[ExchangeUnavailable]
"""Codes, as text, of what is refused for now, not for good."""

CLASSES: dict[str, type[ExchangeError]] = {
    code: error for error, codes in CODES.items() for code in codes
}


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = json_object(response.body)
    code = None if body is None else body.get("code")
    if body is None or type(code) is not str or not code:
        if response.status < 400:
            raise DecodeError("a response without a code", response.body)
        return http_error(response, WINDOW_SECONDS)
    if code == "0":
        return None if response.status < 400 else http_error(response, WINDOW_SECONDS)
    text = str(body.get("msg") or "no reason given")
    if code in _EACH:
        if _taken(body.get("data")):
            return OutcomeUnknown(code, f"some of it was taken, some refused: {text}")
        code, text = _first_failure(body.get("data"), code, text)
    error = CLASSES.get(code) or STATUSES.get(response.status, ExchangeError)
    if error is RateLimited:
        seconds = retry_after(response)
        return RateLimited(code, text, WINDOW_SECONDS if seconds is None else seconds)
    if error is ExchangeError and response.status >= 500:
        error = ExchangeUnavailable
    return error(code, text)


def _taken(items: Any) -> bool:
    """Whether any item says that it was taken."""
    rows = items if type(items) is list else ()
    return any(type(item) is dict and item.get("sCode") == "0" for item in rows)


def _first_failure(items: Any, code: str, text: str) -> tuple[str, str]:
    """Code and text of the first item that failed; those given where none says."""
    for item in items if type(items) is list else ():
        own = item.get("sCode") if type(item) is dict else None
        if type(own) is str and own not in {"", "0"}:
            return own, str(item.get("sMsg") or text)
    return code, text
