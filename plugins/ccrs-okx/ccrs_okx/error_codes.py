"""OKX's error answers as typed errors: ``{"code":"50011","data":[],"msg":"Too Many Requests"}``.

Of calls for several orders, code 1 and 2 say that all or some have failed; then the first failure's
own ``sCode`` counts. https://www.okx.com/docs-v5/en/#error-code-rest-api
"""

from __future__ import annotations

from typing import Any

import orjson

from ccrs_core.errors import (
    AuthError,
    CcrsError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    InsufficientBalance,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
    RateLimited,
)
from ccrs_core.rest import HttpResponse
from ccrs_core.wire import retry_after

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
        50030,  # no permission to use this endpoint
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
    ),
    RateLimited: _codes(50011, 50061, 60014),
    # What became of a state-changing request is unknown after some of these; reads may be repeated.
    ExchangeUnavailable: _codes(50001, 50004, 50013, 50026, 51054, 51149),
    InvalidRequest: _codes(
        50000,  # empty body
        50002,  # JSON
        50005,  # offline endpoint
        50006,  # content type
        50014,  # parameter missing
        50015,
        50016,
        50036,  # expTime
        50037,
        51000,  # parameter
        51001,  # instrument
        51014,  # index
        51015,  # instrument and type
        range(60011, 60014),
        60018,  # channel
    ),
    OrderNotFound: _codes(51400, 51401, 51402, 51503, 51603),
    InsufficientBalance: _codes(51008, 51119, 51127, 51131, 58350),
    OrderRejected: _codes(
        50071,  # clOrdId repeated
        51006,  # price outside the limits
        51010,  # account mode
        51011,  # ordId repeated
        51016,  # clOrdId repeated
        51020,  # below the minimum
        51021,  # not listed yet
        51022,  # suspended
        51025,  # too many orders
        51027,  # expired
        51028,  # in delivery
        51030,  # in settlement
        range(51101, 51108),  # caps of size and position
        51112,  # more than the position
        51116,
        51120,
        51121,  # no multiple of the lot
        51137,
        51138,
        51169,
        range(51509, 51514),  # amendments
    ),
}

CLASSES: dict[str, type[ExchangeError]] = {
    code: error for error, codes in CODES.items() for code in codes
}

STATUSES: dict[int, type[ExchangeError]] = {
    400: InvalidRequest,
    401: AuthError,
    404: InvalidRequest,
    405: InvalidRequest,
    418: RateLimited,
    429: RateLimited,
}


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = _object(response.body)
    code = None if body is None else body.get("code")
    if body is None or type(code) is not str or not code:
        if response.status < 400:
            raise DecodeError("a response without a code", response.body)
        return _http_error(response)
    if code == "0":
        return None if response.status < 400 else _http_error(response)
    text = str(body.get("msg") or "no reason given")
    if code in _EACH:
        code, text = _first_failure(body.get("data"), code, text)
    error = CLASSES.get(code) or STATUSES.get(response.status, ExchangeError)
    if error is RateLimited:
        return RateLimited(code, text, _retry_after(response))
    if error is ExchangeError and response.status >= 500:
        error = ExchangeUnavailable
    return error(code, text)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return None
    return parsed if type(parsed) is dict else None


def _first_failure(items: Any, code: str, text: str) -> tuple[str, str]:
    """Code and text of the first item that failed; those given where none says."""
    for item in items if type(items) is list else ():
        own = item.get("sCode") if type(item) is dict else None
        if type(own) is str and own not in {"", "0"}:
            return own, str(item.get("sMsg") or text)
    return code, text


def _retry_after(response: HttpResponse) -> float:
    seconds = retry_after(response)
    return WINDOW_SECONDS if seconds is None else seconds


def _http_error(response: HttpResponse) -> ExchangeError:
    status, code = response.status, str(response.status)
    text = f"HTTP {status}: {response.body[:200].decode(errors='replace')}"
    error = STATUSES.get(status, ExchangeError if status < 500 else ExchangeUnavailable)
    if error is RateLimited:
        return RateLimited(code, text, _retry_after(response))
    return error(code, text)
