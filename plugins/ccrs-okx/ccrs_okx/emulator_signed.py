"""Whether a request to the emulated OKX is signed as it must be, and by whom.

https://www.okx.com/docs-v5/en/#overview-rest-authentication
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ccrs_core import NS_PER_MS, NS_PER_SECOND, HttpRequest
from ccrs_core.emulator import ApiKey, BadRequest, Desk

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_VALID_MS = 30_000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_LOGIN_PATH = "/users/self/verify"


def proof(secret: str, text: bytes) -> str:
    """The signature of a text: HMAC-SHA256, in base 64."""
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def request_key(trading: Trading, request: HttpRequest, address: str, now_ns: int) -> ApiKey:
    """Whose request it is.

    :raises BadRequest: 50103 to 50120, for the first thing that is wrong.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    for name, code in _NEEDED.items():
        if not headers.get(name.lower()):
            raise BadRequest(code, f'Request header "{name}" can not be empty.', 401)
    key = trading.desk.key(headers["ok-access-key"])
    if key is None:
        raise BadRequest(50119, "API key doesn't exist", 401)
    told_ns = trading.venue.told_ns
    if not _in_time(_moment_ms(headers["ok-access-timestamp"]), told_ns):
        raise BadRequest(50102, "Timestamp request expired", 401)
    if headers["ok-access-passphrase"] != key.passphrase:
        raise BadRequest(50105, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
    query = f"?{request.query_string}" if request.query_string else ""
    stamp = headers["ok-access-timestamp"]
    text = f"{stamp}{request.method}{request.path}{query}".encode() + request.body
    if not _same(proof(key.secret, text), headers["ok-access-sign"]):
        raise BadRequest(50113, "Invalid Sign", 401)
    still_works(trading.desk, key, address, now_ns, writes=request.method != "GET")
    return key


def still_works(desk: Desk, key: ApiKey, address: str, now_ns: int, *, writes: bool) -> None:
    """Whether a key may be used now, from there, for that.

    :raises BadRequest: 50119, 50110, 50120.
    """
    known = desk.key(key.key)
    if known is None or not known.works(now_ns):
        raise BadRequest(50119, "API key doesn't exist", 401)
    if known.addresses and address not in known.addresses:
        raise BadRequest(
            50110, f"Your IP {address} is not included in your API key's IP whitelist.", 401
        )
    if writes and "trade" not in known.may:
        raise BadRequest(50120, "This API key doesn't have permission to use this function", 401)


def login_key(trading: Trading, arg: Any, address: str, now_ns: int) -> ApiKey:
    """Whose login it is; its time is in seconds.

    :raises BadRequest: 60004 to 60007, 60009, 60024, 60032.
    """
    names = ("apiKey", "passphrase", "timestamp", "sign")
    if not isinstance(arg, dict) or not all(isinstance(arg.get(n), str | int) for n in names):
        raise BadRequest(60009, "Login failed.")
    name, phrase, stamp, sign = (str(arg[each]) for each in names)
    digits = re.fullmatch(r"\d{10}(\.\d{1,9})?", stamp, re.ASCII)
    if digits is None:
        raise BadRequest(60004, "Invalid timestamp")
    key = trading.desk.key(name)
    if key is None or not key.works(now_ns):
        raise BadRequest(60005 if not name else 60032, "API key doesn't exist")
    if not _in_time(int(float(stamp) * 1000), trading.venue.told_ns):
        raise BadRequest(60006, "Timestamp request expired")
    if phrase != key.passphrase:
        raise BadRequest(60024, "Wrong passphrase")
    if not _same(proof(key.secret, f"{stamp}GET{_LOGIN_PATH}".encode()), sign):
        raise BadRequest(60007, "Invalid sign")
    if key.addresses and address not in key.addresses:
        raise BadRequest(60009, "Login failed.")
    return key


def in_deadline(text: Any, told_ns: int) -> None:
    """Hold ``expTime``, in milliseconds, against the clock; without one there is none.

    https://www.okx.com/docs-v5/en/#overview-transaction-timeouts

    :raises BadRequest: 50036 where it has passed, 50037 where it is no time.
    """
    if text is None or text == "":
        return
    text = str(text)
    if not (text.isascii() and text.isdecimal()):
        raise BadRequest(50037, "The expTime in the request is in the wrong format")
    if int(text) * NS_PER_MS < told_ns:
        raise BadRequest(
            50036, "The expTime can't be earlier than the current system time. Please adjust it."
        )


_NEEDED = {
    "OK-ACCESS-KEY": 50103,
    "OK-ACCESS-PASSPHRASE": 50104,
    "OK-ACCESS-SIGN": 50106,
    "OK-ACCESS-TIMESTAMP": 50107,
}


def _moment_ms(text: str) -> int:
    if not _MOMENT.fullmatch(text):
        raise BadRequest(50112, "Invalid OK-ACCESS-TIMESTAMP", 401)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise BadRequest(50112, "Invalid OK-ACCESS-TIMESTAMP", 401) from None
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def _in_time(sent_ms: int, told_ns: int) -> bool:
    return abs(sent_ms * NS_PER_MS - told_ns) <= _VALID_MS * NS_PER_MS + NS_PER_SECOND


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
