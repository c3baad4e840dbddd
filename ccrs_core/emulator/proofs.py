"""How an emulated exchange checks signatures: with a shared secret, or a client's public key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from ccrs_core.errors import ExtraNotInstalled


def proves(secret: str, text: bytes, signature: str) -> bool:
    """Whether that is the signature of a text: HMAC-SHA256 in small hexadecimal digits; or, where
    the ``secret`` is a public key (PEM), RSA's (PKCS1 v1.5, SHA-256) or Ed25519's, in base64.

    :raises ExtraNotInstalled: where a public key needs what isn't installed.
    """
    if is_public(secret):
        return _by_private_key(secret, text, signature)
    expected = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def is_public(secret: str) -> bool:
    """Whether a key's secret is the public half of a client's own, in PEM."""
    return secret.lstrip().startswith("-----BEGIN")


def is_ed25519(secret: str) -> bool:
    """Whether it is an Ed25519 key's, which alone some logins take."""
    if not is_public(secret):
        return False
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return isinstance(load_pem_public_key(secret.encode()), Ed25519PublicKey)


def _by_private_key(public: str, text: bytes, signature: str) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise ExtraNotInstalled(
            "public keys need pip install cryptography", "cryptography"
        ) from None
    key = load_pem_public_key(public.encode())
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, text)
        else:
            assert isinstance(key, RSAPublicKey)
            key.verify(raw, text, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
