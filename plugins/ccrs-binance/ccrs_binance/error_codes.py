"""Binance's error answers as typed errors: ``{"code":-1121,"msg":"Invalid symbol."}``.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
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

CODES: dict[type[ExchangeError], frozenset[int]] = {
    AuthError: frozenset(
        {
            -1002,  # not authorised
            -1022,  # signature
            -2008,  # key id
            -2014,  # key format
            -2015,  # key, address or permission
        }
    ),
    RateLimited: frozenset(
        {
            -1003,  # too many requests
            -1015,  # too many orders
        }
    ),
    # What became of a state-changing request is unknown after most of these; reads may be repeated.
    ExchangeUnavailable: frozenset({-1000, -1001, -1006, -1007, -1008, -1016}),
    InvalidRequest: frozenset(
        {
            -1014,
            -1020,
            -1021,  # timestamp outside the window
            *range(-1139, -1098),  # parameters
            -4140,
            -4141,
        }
    ),
    OrderNotFound: frozenset({-2011, -2013}),
    InsufficientBalance: frozenset({-2018, -2019, -4050, -4051}),
    OrderRejected: frozenset(
        {
            -1013,  # filters
            -2010,
            -2020,
            -2021,
            -2022,
            -2025,
            -2027,
            -4164,
            -5021,
            -5022,  # post-only would take
        }
    ),
}

CLASSES: dict[int, type[ExchangeError]] = {
    code: error for error, codes in CODES.items() for code in codes
}

SHORTEST_BAN = 120.0

STATUSES: dict[int, type[ExchangeError]] = {
    400: InvalidRequest,
    401: AuthError,
    403: RateLimited,  # the firewall's limit
    404: InvalidRequest,
    405: InvalidRequest,
    410: InvalidRequest,
    418: RateLimited,  # banned
    429: RateLimited,
}


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = _parsed(response.body)
    status = response.status
    code = body.get("code") if type(body) is dict else None
    text = str(body.get("msg") or "no reason given") if type(body) is dict else ""
    if status in {403, 418, 429}:
        said = str(code) if type(code) is int else str(status)
        return RateLimited(said, text or f"HTTP {status}", _retry_after(response))
    if type(code) is int and (code < 0 or status >= 400):
        error = CLASSES.get(code, ExchangeError if status < 500 else ExchangeUnavailable)
        if error is RateLimited:
            return RateLimited(str(code), text, _retry_after(response))
        return error(str(code), text)
    if status < 400:
        if type(body) not in {dict, list}:
            raise DecodeError("a response that is no JSON object or list", response.body)
        return None
    text = f"HTTP {status}: {response.body[:200].decode(errors='replace')}"
    return STATUSES.get(status, ExchangeError if status < 500 else ExchangeUnavailable)(
        str(status), text
    )


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _retry_after(response: HttpResponse) -> float | None:
    """Seconds that Binance asks to wait, with 429 and 418; bans last for two minutes at least.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
    """
    seconds = retry_after(response)
    return SHORTEST_BAN if seconds is None and response.status == 418 else seconds
