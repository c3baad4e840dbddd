"""Whether a request to an account of the emulated Binance is signed as it must be, and by whom.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import attrs

from ccrs_binance.emulator_params import missing
from ccrs_core import HttpRequest
from ccrs_core.emulator import ApiKey, BadRequest, is_public, milliseconds, proves

if TYPE_CHECKING:
    from ccrs_core.emulator import Desk

_WINDOW = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?", re.ASCII)
_MICROSECONDS = 10**14
"""Timestamps from here on are in microseconds."""
_AHEAD_MS = 1000
"""How far ahead of the server's clock a timestamp may be, whatever the window."""

BAD_FORMAT = BadRequest(-2014, "API-key format invalid.", 401)
BAD_KEY = BadRequest(-2015, "Invalid API-key, IP, or permissions for action.", 401)
BAD_SIGNATURE = BadRequest(-1022, "Signature for this request is not valid.", 400)


@attrs.frozen
class Sent:
    """A request as it was sent: its parameters without the signature, and what that is of."""

    values: Mapping[str, str]
    signature: str
    text: bytes


def sent(request: HttpRequest) -> Sent:
    """Take a REST request apart. What is signed is the query and the body as they came, one right
    behind the other, without the signature itself.

    :raises BadRequest: where a parameter comes twice in one place, or what was sent is no form.
    """
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise BadRequest(-1135, "Invalid body.", 400) from None
    values: dict[str, str] = {}
    parts = []
    # Of what is in both, the query's counts.
    for source in (body, request.query_string):
        pairs = [piece for piece in source.split("&") if piece]
        named: dict[str, str] = {}
        for piece in pairs:
            name, _, value = piece.partition("=")
            name = unquote_plus(name)
            if name in named:
                raise BadRequest(-1101, "Duplicate values for a parameter detected.", 400)
            named[name] = unquote_plus(value)
        values.update(named)
        parts.append("&".join(piece for piece in pairs if not piece.startswith("signature=")))
    signature = values.pop("signature", "")
    return Sent(values, signature, f"{parts[1]}{parts[0]}".encode())


def sent_in_json(params: Mapping[str, str]) -> Sent:
    """Take the parameters of a WebSocket request apart: what is signed are all but the signature,
    by name, as they are."""
    values = {name: value for name, value in params.items() if name != "signature"}
    text = "&".join(f"{name}={values[name]}" for name in sorted(values))
    return Sent(values, params.get("signature", ""), text.encode())


def key_of(desk: Desk, name: str, address: str, now_ns: int, *, trades: bool) -> ApiKey:
    """A key that may be used now, from there, for that.

    :raises BadRequest: -2014 and -2015, with which Binance says no more than that it may not.
    """
    if not name or not name.isascii() or not name.isalnum():
        raise BAD_FORMAT
    key = desk.key(name)
    if key is None or not key.works(now_ns):
        raise BAD_KEY
    if (key.addresses and address not in key.addresses) or (trades and "trade" not in key.may):
        raise BAD_KEY
    return key


def check_time(values: Mapping[str, str], told_ns: int) -> None:
    """Hold a request's timestamp against the server's clock.

    :raises BadRequest: -1102, -1131, -1021.
    """
    stamp = values.get("timestamp", "")
    if not (stamp.isascii() and stamp.isdecimal()):
        raise missing("timestamp")
    window = values.get("recvWindow", "5000")
    if not _WINDOW.fullmatch(window) or Decimal(window) > 60_000:
        raise BadRequest(-1131, "recvWindow must be less than 60000", 400)
    sent_ms = Decimal(int(stamp)) / (1000 if int(stamp) > _MICROSECONDS else 1)
    now_ms = milliseconds(told_ns)
    if sent_ms >= now_ms + _AHEAD_MS:
        text = "Timestamp for this request was 1000ms ahead of the server's time."
        raise BadRequest(-1021, text, 400)
    if now_ms - sent_ms > Decimal(window):
        raise BadRequest(-1021, "Timestamp for this request is outside of the recvWindow.", 400)


def check_signature(key: ApiKey, request: Sent) -> None:
    """Refuse what the key didn't sign; hexadecimal digits may be of either case.

    :raises BadRequest: -1102, -1022.
    """
    if not request.signature:
        raise missing("signature")
    signature = request.signature
    if not is_public(key.secret):
        signature = signature.lower()
    if not proves(key.secret, request.text, signature):
        raise BAD_SIGNATURE
