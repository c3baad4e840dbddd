"""My Exchange's REST calls: each a pure function to an HTTP request, and one from its answer.

REPLACE BY YOUR EXCHANGE'S: paths, fields, error codes. Cite the pages that you read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ccrs_core import (
    Answer,
    AuthError,
    CcrsError,
    DecodeError,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    GetInstruments,
    GetServerTime,
    HttpRequest,
    HttpResponse,
    Instrument,
    InvalidRequest,
    Market,
    RateLimited,
    Request,
)
from ccrs_core.wire import (
    MALFORMED,
    json_answer,
    json_pages,
    ns_of_ms,
    read_json,
    read_rows,
    retry_after,
)

from .symbols import instrument

T = TypeVar("T")

# Every code that the exchange documents, and what the caller should do about it.
ERRORS: Mapping[str, type[ExchangeError]] = {
    "bad_key": AuthError,
    "bad_request": InvalidRequest,
    "not_found": InvalidRequest,
    "too_many_requests": RateLimited,
    "maintenance": ExchangeUnavailable,
}


def error_of(response: HttpResponse) -> CcrsError | None:
    """Errors have an HTTP status of 400 or more, and usually ``{"code": …, "text": …}``."""
    if response.status < 400:
        return None
    code, text = str(response.status), f"HTTP {response.status}"
    try:
        body = read_json(response.body)
        code, text = str(body["code"]), str(body["text"])
    except (DecodeError, *MALFORMED):
        pass  # a proxy before the exchange answers in words of its own
    if code in ERRORS:
        kind = ERRORS[code]
    elif response.status in {418, 429}:
        kind = RateLimited
    else:
        kind = ExchangeUnavailable if response.status >= 500 else ExchangeError
    if kind is RateLimited:
        return RateLimited(code, text, retry_after(response))
    return kind(code, text)


def _get(path: str) -> Callable[[Request[Any], str | None], HttpRequest]:
    return lambda request, cursor: HttpRequest("GET", path)


def _instruments(
    request: GetInstruments, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[Instrument]]:
    # A row that can't be read takes no other away: it is left out, counted and told.
    return read_rows(body["instruments"], instrument).answer()


ENDPOINTS: Mapping[type[Request[Any]], Endpoint[Any, Any]] = {
    GetServerTime: Endpoint(
        encode=_get("/time"),
        decode=json_answer(lambda body: ns_of_ms(body["time"])),
        markets=frozenset(Market),
    ),
    GetInstruments: Endpoint(
        encode=_get("/instruments"),
        decode=json_pages(_instruments),
        markets=frozenset({Market.SPOT}),
    ),
}
