"""What must not be shown: credentials in any spelling, and what addresses hold of them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from urllib.parse import quote, quote_plus

from ccrs_core.contract.credentials import Credentials

MASK = "***"

UNSHOWN: ContextVar[bool] = ContextVar("unshown", default=False)
"""Whether what is asked just now is answered by a secret: neither is to be shown."""

_TOKEN = re.compile(
    r"([?&;#][\w.%-]*(?:token|key|sign|auth|jwt|secret|passphrase|password)[\w.%-]*=)[^&;#]*",
    re.IGNORECASE,
)
# As some exchanges have it in a path; no word is as long.
_LONG = re.compile(r"/[\w-]{48,}(?=[/?#]|$)")
# The last @ before the path: what stands in front of it may hold others.
_USERINFO = re.compile(r"(://)[^/?#]*@")


def shown_url(url: str) -> str:
    """An address without what is secret in it: no user, no password, no token."""
    return _LONG.sub(f"/{MASK}", _TOKEN.sub(rf"\1{MASK}", _USERINFO.sub(r"\1", url)))


def all_shown(urls: Mapping[str, str]) -> dict[str, str]:
    """Addresses by name, without what is secret in them."""
    return {name: shown_url(url) for name, url in urls.items()}


def spellings(credentials: Credentials | None) -> list[bytes]:
    """All that credentials look like where they stand in JSON, in a query or in a form; the
    longest first, since one may hold another."""
    if credentials is None:
        return []
    return spelled(credentials.key, credentials.secret, credentials.passphrase or "")


def spelled(*secrets: str) -> list[bytes]:
    """All that secrets look like; the longest first."""
    found = {text for secret in secrets if secret for text in _spellings(secret)}
    return sorted((text.encode() for text in found), key=len, reverse=True)


def _spellings(secret: str) -> Iterable[str]:
    escaped = {json.dumps(secret, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
    escaped |= {text.replace("/", "\\/") for text in escaped}
    yield from (secret, *escaped)
    for coded in (
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(secret, safe="/=:+,@!*'()~"),
    ):
        yield coded
        # Hexadecimal digits are written in either case.
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), coded)
    for text in escaped:
        yield re.sub(r"\\u[0-9a-f]{4}", lambda found: r"\u" + found[0][2:].upper(), text)
