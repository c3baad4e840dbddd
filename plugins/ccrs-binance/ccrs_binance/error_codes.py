"""Binance's error answers as typed errors: ``{"code":-1121,"msg":"Invalid symbol."}``.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

from typing import Any

import orjson

from ccrs_binance.meanings import MEANINGS, TEXTS, meaning_of
from ccrs_core import (
    AuthError,
    CcrsError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    RateLimited,
)
from ccrs_core.wire import Meaning, http_error, retry_after

CLASSES: dict[int, type[ExchangeError]] = {
    code: meaning.error for code, meaning in MEANINGS.items()
}
"""By code, as far as it says so without its text."""

KNOWN = frozenset(MEANINGS) | frozenset(TEXTS)

FORBIDDEN_PLACE = 451
TIMED_OUT = 408
"""What was asked for may be done, or not."""

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
        if tells_both(body):
            return None  # which is an answer
        if status == FORBIDDEN_PLACE:
            return AuthError(str(code), text)
        open_ended = status >= 500 or status == TIMED_OUT
        fallback = ExchangeUnavailable if open_ended else ExchangeError
        return error_of_code(code, text, _retry_after(response), fallback)
    if status < 400:
        if type(body) not in {dict, list}:
            raise DecodeError("a response that is no JSON object or list", response.body)
        return None
    if status == TIMED_OUT:
        return ExchangeUnavailable(str(status), "no answer came from behind the gateway in time")
    return http_error(response)


def tells_both(body: Any) -> bool:
    """Whether a failure tells of a cancel and of a placement what became of each.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-an-existing-order-and-send-a-new-order-trade
    """
    data = body.get("data")
    return body.get("code") in {-2021, -2022} and type(data) is dict and "cancelResult" in data


def error_of_code(
    code: int,
    text: str,
    wait: float | None = None,
    fallback: type[ExchangeError] = ExchangeError,
) -> ExchangeError:
    """The error that a code stands for, of an answer or of one item of it.

    :param wait: after how many seconds a limit is lifted, where that is said.
    :param fallback: what a code is that isn't listed.
    """
    meaning = meaning_of(code, text) or Meaning(fallback)
    return meaning.told(str(code), text, wait)


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
