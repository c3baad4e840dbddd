"""Bybit's error answers as typed errors.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ccrs_bybit.meanings import MEANINGS
from ccrs_core import (
    AuthError,
    CcrsError,
    DecodeError,
    EndReason,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    OrderRejected,
    RateLimited,
    SettingUnchanged,
)
from ccrs_core.wire import Meaning, http_error, json_object, retry_after

BAN_SECONDS = 600.0
"""After HTTP 403 all requests must stop for at least ten minutes.

https://bybit-exchange.github.io/docs/v5/rate-limit
"""

CLASSES: dict[int, type[ExchangeError]] = {
    code: meaning.error for code, meaning in MEANINGS.items()
}

NOT_NOW = frozenset(
    str(code) for code, error in CLASSES.items() if error in {RateLimited, ExchangeUnavailable}
)
"""Codes, as text, of what is refused for now, not for good."""

_UNKNOWN = Meaning(ExchangeError)

_UNCHANGED = re.compile(r"remains? unchanged|not (been )?modified", re.IGNORECASE)
_OTHER_MODE = re.compile(r"position ?idx not match", re.IGNORECASE)
_REDUCES = re.compile(r"reduce", re.IGNORECASE)


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = json_object(response.body)
    code = None if body is None else body.get("retCode")
    if type(code) is int and code != 0 and body is not None:
        return error_of_code(code, _told(body), _until_reset(body, response))
    if response.status < 400:
        if type(code) is not int:
            raise DecodeError("a response without retCode", response.body)
        return None
    return _http_error(response)


def error_of_code(code: int, told: str, wait: float | None = None) -> ExchangeError:
    """The error that a code other than 0 stands for, of an answer or of one item of a batch.

    ``wait``: after how many seconds a limit is lifted, where that is known.
    """
    if code == 10001 and _UNCHANGED.search(told):
        # Amendments that change nothing are refused by the code of malformed ones.
        return SettingUnchanged(str(code), told)
    meaning = MEANINGS.get(code, _UNKNOWN)
    if code == 110017 and _REDUCES.search(told):
        meaning = attrs.evolve(meaning, reason=EndReason.REDUCE_ONLY)
    error = meaning.told(str(code), told, wait)
    if isinstance(error, OrderRejected) and error.reason is EndReason.REDUCE_ONLY:
        error.advice = "no position is there that it would make smaller"
    if code == 10001 and _OTHER_MODE.search(told):
        error.advice = (
            "the instrument's positions are in the other mode: in hedge mode say position_side, "
            "long or short, in one-way mode don't; account.set_position_mode() changes it"
        )
    return error


def _told(body: Mapping[str, Any]) -> str:
    """What Bybit says, with the reasons that it lists beside it where a margin mode is refused."""
    text = str(body.get("retMsg") or "no reason given")
    result = body.get("result")
    reasons = result.get("reasons") if isinstance(result, dict) else None
    if not isinstance(reasons, list):
        return text
    told = [
        str(each["reasonMsg"])
        for each in reasons
        if isinstance(each, dict)
        if each.get("reasonMsg")
    ]
    return f"{text} ({'; '.join(told)})" if told else text


def _until_reset(body: Mapping[str, Any], response: HttpResponse) -> float | None:
    """Seconds until the limit is lifted: by the response's own clock, since there is no other."""
    if response.status == 403:
        return BAN_SECONDS
    wait = until_reset(response.headers, body.get("time"))
    return retry_after(response) if wait is None else wait


def until_reset(headers: Mapping[str, Any], now: Any = None) -> float | None:
    """Seconds until a limit is lifted, by the exchange's headers (of lower-case names) and clock;
    None where these don't say. ``now``: the time of the answer, where no header tells it."""
    try:
        reset = int(headers["x-bapi-limit-reset-timestamp"])
        told = int(headers.get("timenow") or now)
    except (KeyError, TypeError, ValueError):
        return None
    return max(0, reset - told) / 1000


def _http_error(response: HttpResponse) -> ExchangeError:
    error = http_error(response)
    if response.status != 403:
        return error
    # The content network in front refuses whole countries with the same status.
    if b"country" in response.body:
        return AuthError(error.code, error.text)
    return RateLimited(error.code, error.text, max(BAN_SECONDS, retry_after(response) or 0.0))
