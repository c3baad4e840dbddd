"""Proofs of who sends, by HMAC of a secret, and how long a placement is good.

https://www.okx.com/docs-v5/en/#overview-rest-authentication
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import attrs

from ccrs_core import Access, Credentials, HttpRequest

DEADLINE_MS = 5000
"""After so long OKX refuses a placement or an amendment that it hasn't begun to process: it is sent
with each. https://www.okx.com/docs-v5/en/#overview-transaction-timeouts"""

TIMELY = frozenset(
    f"/api/v5/trade/{call}"
    for call in ("order", "batch-orders", "amend-order", "amend-batch-orders")
)
"""What takes a deadline."""

VALIDITY_SECONDS = 30.0
"""After so long a timestamp is refused.

https://www.okx.com/docs-v5/en/#overview-rest-authentication-making-requests
"""


def proof(credentials: Credentials, text: bytes) -> str:
    """A signature of a text."""
    digest = hmac.new(credentials.secret.encode(), text, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def deadline(access: Access) -> str:
    """When what leaves now is too late."""
    return str(access.now_ms + DEADLINE_MS)


def signed(request: HttpRequest, access: Access) -> HttpRequest:
    """A request with the headers that prove who sends it, and until when it is good.

    https://www.okx.com/docs-v5/en/#overview-rest-authentication-signature
    """
    credentials, now_ms = access.credentials, access.now_ms
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    timestamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"
    query = f"?{request.query_string}" if request.query else ""
    text = f"{timestamp}{request.method}{request.path}{query}".encode() + request.body
    headers = {
        **request.headers,
        "OK-ACCESS-KEY": credentials.key,
        "OK-ACCESS-SIGN": proof(credentials, text),
        "OK-ACCESS-TIMESTAMP": timestamp,
        "OK-ACCESS-PASSPHRASE": credentials.passphrase,
    }
    if request.body:
        headers["Content-Type"] = "application/json"
    if request.method == "POST" and request.path in TIMELY:
        headers["expTime"] = deadline(access)
    return attrs.evolve(request, headers=headers)


def login_argument(access: Access) -> dict[str, str]:
    """What logs a connection in.

    https://www.okx.com/docs-v5/en/#overview-websocket-login
    """
    credentials, seconds = access.credentials, str(access.now_ms // 1000)
    return {
        "apiKey": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": seconds,
        "sign": proof(credentials, f"{seconds}GET/users/self/verify".encode()),
    }
