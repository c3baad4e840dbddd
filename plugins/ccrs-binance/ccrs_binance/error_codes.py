"""Binance's error answers as typed errors: ``{"code":-1121,"msg":"Invalid symbol."}``.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

from typing import Any

import orjson

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
from ccrs_core.wire import http_error, retry_after


def _codes(*numbers: int | range) -> frozenset[int]:
    """Codes without their minus: ranges count upwards."""
    ranges = (each if isinstance(each, range) else (each,) for each in numbers)
    return frozenset(-code for each in ranges for code in each)


# Spot and both kinds of futures number theirs alike, but for some of which COIN-M had its own
# before it was merged: 4087 to 4090, 4110 to 4113, 4150 and 4151 mean something else there. An
# answer does not say which host it is of, so that these stay ExchangeError.
# https://developers.binance.com/docs/derivatives/coin-margined-futures/error-code
CODES: dict[type[ExchangeError], frozenset[int]] = {
    AuthError: _codes(
        1002,  # not authorised
        1011,  # address
        1022,  # signature
        1099,  # not allowed
        2008,  # key id
        2014,  # key format
        2015,  # key, address or permission
        2017,  # keys locked
        4109,  # inactive account
        4192,  # cooling-off period
        4402,  # region
        4403,
    ),
    RateLimited: _codes(
        1003,  # too many requests
        1015,  # too many orders
        1034,  # too many connections
    ),
    # What became of a state-changing request is unknown after most of these; reads may be repeated.
    ExchangeUnavailable: _codes(1000, 1001, 1006, 1007, 1008, 1016),
    InvalidRequest: _codes(
        1014,
        1020,
        1021,  # timestamp outside the window
        1023,  # start after end
        range(1100, 1140),  # parameters
        1145,
        1151,  # symbol named twice
        range(1158, 1170),
        1182,
        range(1194, 1200),
        1210,
        1211,
        range(1220, 1226),
        2016,  # no trading window
        2043,  # no reference price
        4000,
        4015,  # client id
        4020,
        4021,  # depth limit
        4028,  # leverage
        4031,
        4032,
        4060,
        4082,
        4104,
        4114,
        4115,
        4120,  # conditional orders have an endpoint of their own
        4135,
        range(4137, 4142),
        4144,  # pair
        4165,
        4166,  # time span
        4188,  # window of the matching engine
        4400,
        4401,
        4425,
        5028,
        range(5037, 5041),
    ),
    OrderNotFound: _codes(2011, 2012, 2013, 2026),
    InsufficientBalance: _codes(2018, 2019, 2028, 4050, 4051),
    OrderRejected: _codes(
        1010,
        1013,  # filters
        2010,
        range(2020, 2026),
        2027,
        2038,  # amendments
        2039,
        range(4001, 4007),  # price and quantity
        4013,
        4014,
        4016,
        4023,
        4024,
        4045,  # too many conditional orders
        4061,  # position side
        4062,
        4083,
        4116,  # client id repeated
        4117,  # triggering
        4118,  # reduce-only
        4131,
        4142,  # would trigger at once
        4164,  # below the minimum
        4178,
        4183,
        4184,
        4210,
        4211,
        5021,
        5022,  # post-only would take
        range(5024, 5028),  # modifications
        5029,
        5041,
        5043,
        5047,
    ),
}

CLASSES: dict[int, type[ExchangeError]] = {
    code: error for error, codes in CODES.items() for code in codes
} | {239_999: InvalidRequest}  # COIN-M's, of a stretch of time that is too long

REJECTED = -2010
"""Says by its text alone what an order lacks."""

SHORTEST_BAN = 120.0


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
        if code == REJECTED and "insufficient balance" in text:
            error = InsufficientBalance
        if status == 451:
            error = AuthError
        if error is RateLimited:
            return RateLimited(str(code), text, _retry_after(response))
        return error(str(code), text)
    if status < 400:
        if type(body) not in {dict, list}:
            raise DecodeError("a response that is no JSON object or list", response.body)
        return None
    return http_error(response)


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
