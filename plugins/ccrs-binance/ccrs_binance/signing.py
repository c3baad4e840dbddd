"""Proofs of who sends: by HMAC of a secret, or by a private key of RSA or Ed25519.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import attrs

from ccrs_core import Access, Credentials, ExtraNotInstalled, HttpRequest, UsageError

RECEIVE_WINDOW_MS = 5000
"""A request that arrives later than this after its timestamp is refused.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security#timing-security
"""

KEY_HEADER = "X-MBX-APIKEY"

KEY_ALONE = ("/listenKey",)
"""Ends of paths that want no more than the key: no time, and no signature.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

_PEM = "-----BEGIN"

Prover = Callable[[bytes], str]


@attrs.frozen
class PrivateKey:
    """A key of a pair, of which Binance has the public one."""

    prove: Prover = attrs.field(repr=False)
    logs_on: bool
    """Whether connections may log on with it: of Ed25519 alone."""


def proof(credentials: Credentials, text: bytes) -> str:
    """A signature of a text: of secrets in hexadecimal digits, of private keys in base64.

    :raises ExtraNotInstalled: of private keys, where nothing can sign with them.
    :raises UsageError: where the secret is no such key; it isn't shown.
    """
    key = private_key(credentials)
    if key is not None:
        return key.prove(text)
    return hmac.new(credentials.secret.encode(), text, hashlib.sha256).hexdigest()


def private_key(credentials: Credentials) -> PrivateKey | None:
    """The private key that a secret is, which a passphrase may lock; None where it is a plain one.

    :raises ExtraNotInstalled: where nothing can sign with it.
    :raises UsageError: where it can't be read; it isn't shown.
    """
    if not credentials.secret.lstrip().startswith(_PEM):
        return None
    return _read_key(credentials.secret.strip(), credentials.passphrase)


@lru_cache(maxsize=16)
def _read_key(pem: str, passphrase: str) -> PrivateKey:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256
    except ImportError:
        raise ExtraNotInstalled(
            "the secret is a private key, and nothing is installed that signs with it: "
            "pip install ccrs-binance[keys]",
            "keys",
        ) from None
    try:
        key: Any = serialization.load_pem_private_key(pem.encode(), passphrase.encode() or None)
    except Exception:
        # Whatever is wrong, its text may show a part of the key.
        key = None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey(lambda text: _base64(key.sign(text)), True)
    if isinstance(key, rsa.RSAPrivateKey):
        return PrivateKey(lambda text: _base64(key.sign(text, padding.PKCS1v15(), SHA256())), False)
    raise UsageError(
        "the secret begins as a PEM, and no private key of RSA or Ed25519 can be read of it; "
        "where it is locked its passphrase is wanted, too"
    )


def _base64(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def signed(request: HttpRequest, access: Access) -> HttpRequest:
    """A request with its time, and with the proof of who sends it as its last parameter.

    What is signed is the query as it is sent, percent-encoded, and the body behind it.
    """
    credentials = access.credentials
    headers = {**request.headers, KEY_HEADER: credentials.key}
    if request.path.endswith(KEY_ALONE):
        return attrs.evolve(request, headers=headers)
    timed = attrs.evolve(
        request,
        query=(
            *request.query,
            ("recvWindow", str(RECEIVE_WINDOW_MS)),
            ("timestamp", str(access.now_ms)),
        ),
        headers=headers,
    )
    signature = proof(credentials, timed.query_string.encode() + timed.body)
    return attrs.evolve(timed, query=(*timed.query, ("signature", signature)))


def signed_parameters(parameters: Mapping[str, Any], access: Access) -> dict[str, Any]:
    """Parameters of a request over a WebSocket, with the key, the time and the proof: all in the
    order of their names, not percent-encoded.

    https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security
    """
    told = {
        **parameters,
        "apiKey": access.credentials.key,
        "timestamp": access.now_ms,
    }
    text = "&".join(f"{name}={told[name]}" for name in sorted(told))
    return {**told, "signature": proof(access.credentials, text.encode())}
