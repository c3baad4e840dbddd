"""Answers that refuse in other words than the exchange's own: those of what stands before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ccrs_core.contract.rest import HttpResponse
from ccrs_core.errors import (
    AuthError,
    ExchangeError,
    ExchangeUnavailable,
    InvalidRequest,
    RateLimited,
)
from ccrs_core.wire.bodies import retry_after

STATUSES: Mapping[int, type[ExchangeError]] = {
    400: InvalidRequest,
    401: AuthError,
    404: InvalidRequest,
    405: InvalidRequest,
    410: InvalidRequest,
    418: RateLimited,
    429: RateLimited,
    451: AuthError,  # a country
}
"""Errors by the HTTP status that means them everywhere. (403 is a limit here, a country there.)"""


def http_error(response: HttpResponse, wait: float | None = None) -> ExchangeError:
    """The error that an answer's status stands for, where its body says none; from 500 on the
    exchange is unavailable.

    ``wait``: after how many seconds a limit is lifted, where the answer doesn't say.
    """
    status, code = response.status, str(response.status)
    text = f"HTTP {status}: {response.body[:200].decode(errors='replace')}"
    error = STATUSES.get(status, ExchangeError if status < 500 else ExchangeUnavailable)
    if error is RateLimited:
        seconds = retry_after(response)
        return RateLimited(code, text, wait if seconds is None else seconds)
    return error(code, text)


def json_object(body: bytes) -> dict[str, Any] | None:
    """A body's JSON object; None where it is anything else, such as a proxy's page."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return None
    return parsed if type(parsed) is dict else None


__all__ = ["STATUSES", "http_error", "json_object"]
