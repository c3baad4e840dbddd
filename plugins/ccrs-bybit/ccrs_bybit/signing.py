"""Proofs of who sends: by HMAC of a secret, or by an RSA key.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from ccrs_core import Access, Credentials, ExtraNotInstalled, HttpRequest, UsageError

RECEIVE_WINDOW_MS = 5000
LOGIN_VALIDITY_MS = 10_000
"""How far ahead of now a login expires: room for a slow handshake and a clock that is behind."""

_PEM = "-----BEGIN"


def proof(credentials: Credentials, text: bytes) -> str:
    """A signature of a text: in hexadecimal digits, or of RSA keys in base64.

    :raises ExtraNotInstalled: of RSA keys, where nothing can sign with them.
    :raises UsageError: where the secret is no such key; it isn't shown.
    """
    secret = credentials.secret
    if not secret.lstrip().startswith(_PEM):
        return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    try:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
    except ImportError:
        raise ExtraNotInstalled(
            "the secret is an RSA key, and nothing is installed that signs with it: "
            "pip install ccrs-bybit[rsa]",
            "rsa",
        ) from None
    signature = _rsa_key(credentials.secret).sign(text, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


@lru_cache(maxsize=16)
def _rsa_key(pem: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What it says may show a part of the key.
        raise UsageError(
            "the secret begins as a PEM, and no private key can be read of it"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise UsageError("the secret is a key of another kind: bybit takes RSA keys")
    return key


def signed(request: HttpRequest, access: Access) -> HttpRequest:
    """A request with the headers that prove who sends it.

    What is signed of a GET is its query, percent-encoded as :func:`urllib.parse.quote` does.
    """
    credentials, now_ms = access.credentials, access.now_ms
    payload = (
        urlencode(request.query, quote_via=quote, safe="").encode()
        if request.method == "GET"
        else request.body
    )
    head = f"{now_ms}{credentials.key}{RECEIVE_WINDOW_MS}".encode()
    headers = {
        **request.headers,
        "X-BAPI-API-KEY": credentials.key,
        "X-BAPI-TIMESTAMP": str(now_ms),
        "X-BAPI-RECV-WINDOW": str(RECEIVE_WINDOW_MS),
        "X-BAPI-SIGN": proof(credentials, head + payload),
    }
    return attrs.evolve(request, headers=headers)


def login_args(access: Access) -> list[str | int]:
    """The arguments of a login, by which connections prove who they are."""
    credentials, expires = access.credentials, access.now_ms + LOGIN_VALIDITY_MS
    return [credentials.key, expires, proof(credentials, f"GET/realtime{expires}".encode())]
