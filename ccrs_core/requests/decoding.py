"""What a response says: read by the plugin, or found to be no answer at all. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from ccrs_core.contract.rest import Answer, Endpoint, HttpResponse, Request
from ccrs_core.errors import CcrsError, DecodeError


def decoded(
    endpoint: Endpoint[Any, Any],
    request: Request[Any],
    response: HttpResponse,
    now_ns: int,
    cursor: str | None,
) -> Answer[Any]:
    """What the plugin reads. A mistake of its own that only a certain answer brings about ends no
    account, whose orders go on: of signed requests it is a DecodeError.

    :raises DecodeError: (or what the plugin raises) where it can't be read.
    """
    try:
        return endpoint.decode(request, response, now_ns, cursor)
    except Exception as error:
        if isinstance(error, CcrsError) or not endpoint.signed:
            raise
        raise DecodeError(f"the plugin fails on it: {error!r}", response.body) from error


def garbled(response: HttpResponse) -> str | None:
    """What a response is that can't be read, where it isn't the exchange's; None where it may be.

    Which answers of its own an exchange spoils is for its plugin to say; but all are JSON.
    """
    if 300 <= response.status < 400:
        return "a redirect"
    body = response.body.strip()
    if 400 <= response.status < 500:
        return None
    if not body:
        return "nothing"
    try:
        orjson.loads(body)
    except ValueError:
        return "a page for people" if body.startswith(b"<") else "a part, or no JSON"
    return None
