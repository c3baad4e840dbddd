"""Whether a request to the emulated Bybit is signed as it must be, and by whom.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ccrs_core import HttpRequest
from ccrs_core.emulator import BadRequest, milliseconds, proves

_AHEAD_MS = 1000
"""How far ahead of the server's clock a timestamp may be, however wide the window is."""
_WINDOW_MS = 5000


@attrs.frozen
class Claim:
    """What a request says of itself: by which key, when, and its signature."""

    key: str
    timestamp_ms: int
    window_ms: int
    signature: str
    text: str
    """What was signed."""


def claim(request: HttpRequest) -> Claim:
    """What a request's headers claim.

    :raises BadRequest: 10001 where one is missing or no number.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    timestamp = headers.get("x-bapi-timestamp", "")
    key = headers.get("x-bapi-api-key", "")
    signature = headers.get("x-bapi-sign", "")
    if not (timestamp and key and signature):
        raise BadRequest(
            10001,
            f"empty value: apiTimestamp[{timestamp}] apiKey[{key}] apiSignature[{signature}]",
        )
    window = headers.get("x-bapi-recv-window", "")
    said = request.query_string.encode() if request.method == "GET" else request.body
    try:
        text = f"{timestamp}{key}{window}{said.decode()}"
    except UnicodeDecodeError:
        raise BadRequest(10001, "params error: the body is no UTF-8") from None
    return Claim(
        key=key,
        timestamp_ms=_whole("X-BAPI-TIMESTAMP", timestamp),
        window_ms=_whole("X-BAPI-RECV-WINDOW", window or str(_WINDOW_MS)),
        signature=signature,
        text=text,
    )


def in_time(timestamp_ms: int, window_ms: int, now_ns: int) -> None:
    """Hold a timestamp against the server's clock.

    :raises BadRequest: 10002 where it is too old or too far ahead.
    """
    now_ms = milliseconds(now_ns)
    if not now_ms - window_ms <= timestamp_ms < now_ms + _AHEAD_MS:
        raise BadRequest(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{timestamp_ms}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def signed(secret: str, text: str, signature: str) -> bool:
    """Whether that is the signature of a text: by HMAC, or of an RSA key whose public half (PEM)
    is the ``secret``."""
    return proves(secret, text.encode(), signature)


def refusal_of_signature(text: str, key: str) -> BadRequest:
    """How Bybit answers a wrong signature: it shows what it would have signed, the key hidden."""
    return BadRequest(
        10004,
        "error sign! origin_string[" + text.replace(key, "X" * len(key), 1) + "]",
    )


def header_time(header: Mapping[str, Any]) -> tuple[int, int]:
    """Timestamp and window in the header of a request over the trade socket; text or a number.

    :raises BadRequest: 10001 where the timestamp is missing, or one of them is no number.
    """
    found = {str(name).upper(): value for name, value in header.items()}
    timestamp = found.get("X-BAPI-TIMESTAMP", "")
    if timestamp in ("", None):
        raise BadRequest(10001, "Params Error: header X-BAPI-TIMESTAMP is empty")
    window = found.get("X-BAPI-RECV-WINDOW") or _WINDOW_MS
    return (
        _whole("X-BAPI-TIMESTAMP", str(timestamp)),
        _whole("X-BAPI-RECV-WINDOW", str(window)),
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise BadRequest(10001, f"params error: {name} invalid")
    return int(text)
