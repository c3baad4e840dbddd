"""What the emulated Bybit's REST answers have in common: parameters, envelopes, failures.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ccrs_bybit.emulator_codes import PARAMETER
from ccrs_core import NS_PER_SECOND, HttpResponse
from ccrs_core.emulator import BadRequest, Query, Wrong, milliseconds


class BybitQuery(Query):
    def wrong(self, name: str, wrong: Wrong) -> BadRequest:
        name = "Category is" if name == "category" else name
        return BadRequest(PARAMETER, f"params error: {name} invalid")

    def category(self, allowed: Sequence[str], default: str | None = None) -> str:
        """The category; text without any character is none that there is."""
        return self.choice("category", allowed, self.values.get("category", default))


def envelope(
    code: int | str,
    text: str,
    result: Mapping[str, Any],
    now_ns: int,
    headers: Mapping[str, str],
    extra: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """Bybit's answer around a result; HTTP 200 even for most errors."""
    body = {
        "retCode": code,
        "retMsg": text,
        "result": result,
        "retExtInfo": extra or {},
        "time": milliseconds(now_ns),
    }
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return HttpResponse(200, {**kind, **headers}, orjson.dumps(body))


def failure(status: int, now_ns: int) -> HttpResponse:
    """What comes with an HTTP status of its own; statuses from 10000 on are Bybit's codes."""
    if status >= 10_000:
        reset = str(milliseconds(now_ns + NS_PER_SECOND))
        headers = {
            "X-Bapi-Limit": "50",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": reset,
        }
        text = "Too many visits!" if status == 10006 else "Server error."
        return envelope(status, text, {}, now_ns, headers)
    # https://bybit-exchange.github.io/docs/v5/rate-limit tells the text of the first one.
    texts = {403: "access too frequent", 404: "404 page not found", 429: "Too many requests"}
    text = texts.get(status, "")
    return HttpResponse(status, {"Content-Type": "text/plain"}, text.encode())
