"""Bybit's error answers as typed errors.

https://bybit-exchange.github.io/docs/v5/error
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
    RateLimited,
)
from ccrs_core.wire import http_error, json_object, retry_after

BAN_SECONDS = 600.0
"""After HTTP 403 all requests must stop for at least ten minutes.

https://bybit-exchange.github.io/docs/v5/rate-limit
"""

UNCHANGED = frozenset({34040, 110025, 110026, 110027, 110043})
"""The setting already has the value asked for: a success."""

CODES: dict[type[ExchangeError], frozenset[int]] = {
    AuthError: frozenset(
        {
            10003,  # key invalid, or of another environment
            10004,  # signature
            10005,  # permission
            10007,  # authentication failed
            10008,  # account banned
            10009,  # region
            10010,  # address not bound to the key
            10024,  # compliance rules
            10027,  # trading banned
            10028,  # unified accounts only
            33004,  # key expired
            -2015,  # key expired (spot)
        }
    ),
    RateLimited: frozenset({429, 10006, 10018, 10403, 10429, 20003, 30035, 170005, 170222}),
    # What became of a state-changing request is unknown after these; reads may be repeated.
    ExchangeUnavailable: frozenset(
        {
            *(5004, 10000, 10016, 10019, 40004, 110079, 500000),
            *(170001, 170007, 170032, 170035, 170146, 170147, 170149, 170150),  # timeouts of spot
            *(170212, 170234, 170310),
        }
    ),
    InvalidRequest: frozenset(
        {
            -1,  # expired on the way
            10001,  # parameters
            10002,  # timestamp outside the window
            10014,  # duplicate request
            10017,  # no such path
            10029,  # symbol
            10404,  # operation or category
            20006,  # reqId repeated
            170121,  # symbol (spot)
            *(110018, 110019, 110108, 110109),  # ids, slippage
            *(170105, 170115, 170116, 170117, 170130, 170201),  # parameters (spot)
        }
    ),
    OrderNotFound: frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170190, 170213}),
    InsufficientBalance: frozenset(
        {
            *(110004, 110006, 110007, 110012, 110014, 110044, 110045, 110051, 110052, 110053),
            *(170033, 170131, 3200300),
        }
    ),
    OrderRejected: frozenset(
        {
            110003,  # price out of range
            110017,  # size truncated to zero, or not reducing
            110020,  # too many active orders
            110072,  # orderLinkId repeated
            110092,  # trigger price on the wrong side
            110093,
            110094,  # value below the minimum
            170124,  # size too large
            170132,  # price out of range
            170133,
            170134,
            170136,  # size below the minimum
            170137,  # size too precise
            170140,  # value below the minimum
            170141,  # orderLinkId repeated (spot)
            170192,  # price out of range
            170193,
            170194,
            170217,  # only limit-maker orders for now
            170218,  # post-only would take
            *(30208, 30209, 110120, 110121, 170195, 170196, 170371, 170372),  # price out of range
            *(170148, 170341, 170381, 170382),  # size
            *(110009, 110021, 110090, 170228, 170229, 170810),  # too many orders, too large
            *(170203, 170204),  # trigger price on the wrong side
            *(110064, 170312, 170313),  # no more to amend
            *(30228, 110022, 110023, 110042, 110066, 110074, *range(110095, 110101)),  # not now
            *(110103, 110118, 170151, 170157, 170206),
            *(110119, 170355),  # retail price improvement is for its makers
        }
    ),
}

NOT_NOW = frozenset(map(str, CODES[RateLimited] | CODES[ExchangeUnavailable]))
"""Codes, as text, of what is refused for now, not for good."""

CLASSES: dict[int, type[ExchangeError]] = {
    code: error for error, codes in CODES.items() for code in codes
}


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = json_object(response.body)
    code = None if body is None else body.get("retCode")
    if type(code) is int and code != 0 and body is not None:
        return None if code in UNCHANGED else _error(code, body, response)
    if response.status < 400:
        if type(code) is not int:
            raise DecodeError("a response without retCode", response.body)
        return None
    return _http_error(response)


def _error(code: int, body: dict[str, Any], response: HttpResponse) -> ExchangeError:
    text = str(body.get("retMsg") or "no reason given")
    error = CLASSES.get(code, ExchangeError)
    if error is RateLimited:
        return RateLimited(str(code), text, _until_reset(body, response))
    return error(str(code), text)


def _until_reset(body: dict[str, Any], response: HttpResponse) -> float | None:
    """Seconds until the limit is lifted: by the response's own clock, since there is no other."""
    if response.status == 403:
        return BAN_SECONDS
    try:
        reset = int(response.headers["x-bapi-limit-reset-timestamp"])
        now = int(response.headers.get("timenow") or body["time"])
    except (KeyError, TypeError, ValueError):
        return retry_after(response)
    return max(0, reset - now) / 1000


def _http_error(response: HttpResponse) -> ExchangeError:
    error = http_error(response)
    if response.status != 403:
        return error
    # The content network in front refuses whole countries with the same status.
    if b"country" in response.body:
        return AuthError(error.code, error.text)
    return RateLimited(error.code, error.text, max(BAN_SECONDS, retry_after(response) or 0.0))
