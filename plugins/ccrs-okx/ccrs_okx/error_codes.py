"""OKX's error answers as typed errors: ``{"code":"50011","data":[],"msg":"Too Many Requests"}``.

What places, amends or cancels is answered item by item, each with a code of its own: code 1 says
that all have failed, code 2 that some have, and that of an algo order stands even beside code 0.
An answer to several is no error, then: each item says what became of it.
https://www.okx.com/docs-v5/en/#error-code-rest-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrs_core import (
    CcrsError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    OutcomeUnknown,
    RateLimited,
)
from ccrs_core.wire import STATUSES, Meaning, http_error, json_object, retry_after
from ccrs_okx.meanings import MEANINGS

WINDOW_SECONDS = 2.0
"""OKX counts requests in windows of two seconds, and says no other time to wait.

https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

EACH = frozenset({"1", "2"})
"""Codes that say to look at the items."""

CLASSES: dict[str, type[ExchangeError]] = {
    code: meaning.error for code, meaning in MEANINGS.items()
}

NOT_NOW = frozenset(
    code for code, error in CLASSES.items() if error in {RateLimited, ExchangeUnavailable}
)
"""Codes of what is refused for now, not for good."""


def error_of(response: HttpResponse) -> CcrsError | None:
    """The error that a REST response stands for; see ``Exchange.error_of``."""
    body = json_object(response.body)
    code = None if body is None else body.get("code")
    if body is None or type(code) is not str or not code:
        if response.status < 400:
            raise DecodeError("a response without a code", response.body)
        return http_error(response, WINDOW_SECONDS)
    error = error_of_items(body)
    if error is not None or code in EACH:
        return error
    if code == "0":
        return None if response.status < 400 else http_error(response, WINDOW_SECONDS)
    text = str(body.get("msg") or "no reason given")
    fallback = STATUSES.get(response.status, ExchangeError)
    if fallback is ExchangeError and response.status >= 500:
        fallback = ExchangeUnavailable
    return error_of_code(code, text, retry_after(response), fallback)


def error_of_code(
    code: str,
    text: str,
    wait: float | None = None,
    fallback: type[ExchangeError] = ExchangeError,
) -> ExchangeError:
    """The error that a code stands for, of an answer or of one of its items.

    :param wait: after how many seconds a limit is lifted, where that is said.
    :param fallback: what a code is that isn't listed.
    """
    meaning = MEANINGS.get(code) or Meaning(fallback)
    return meaning.told(code, text, WINDOW_SECONDS if wait is None else wait)


def error_of_items(body: Mapping[str, Any]) -> ExchangeError | None:
    """The error of an answer whose only item has failed, or whose code says that items have, and
    none can be told; None where the items are to be read, or there are none. Of several each is
    read by itself as soon as one says what became of it: one that can't be read decides nothing
    for the others."""
    code, data = body.get("code"), body.get("data")
    items = data if type(data) is list else []
    if len(items) > 1 and any(type(item) is dict and "sCode" in item for item in items):
        return None
    text = str(body.get("msg") or "no reason given")
    if len(items) == 1 and type(items[0]) is dict and "sCode" in items[0]:
        failed = error_of_item(items[0], text)
        if failed is None and code in EACH:
            return OutcomeUnknown(str(code), f"it was taken, and it wasn't: {text}")
        return failed
    return error_of_code(str(code), text) if code in EACH else None


def error_of_item(item: Mapping[str, Any], text: str = "no reason given") -> ExchangeError | None:
    """The error of one item; None where it was taken."""
    code = item.get("sCode")
    if code == "0":
        return None
    if type(code) is not str or not code:
        return OutcomeUnknown("", "the answer says nothing of this one")
    told, further = str(item.get("sMsg") or text), item.get("subCode")
    if not further:
        return error_of_code(code, told)
    # The sub-code tells kinds of one error apart; it may repeat the code before it.
    kind = f"{further}".removeprefix(f"{code}_")
    return error_of_code(code, f"{told} ({code}_{kind})")
