"""Proofs of who sends: by a secret or by an RSA key, which no error shows."""

from __future__ import annotations

import base64
import builtins
from typing import Any

import pytest
from ccrs_bybit.signing import login_args, proof, signed
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ccrs_core import Access, Credentials, ExtraNotInstalled, HttpRequest, UsageError

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def verified(signature: str, text: bytes) -> None:
    KEY.public_key().verify(base64.b64decode(signature), text, padding.PKCS1v15(), hashes.SHA256())


def access(secret: str) -> Access:
    keys = Credentials("testkey", secret)
    return Access(now_ms=1_700_000_000_000, url="https://x", credentials=keys)


def test_an_rsa_key_signs_requests_and_logins() -> None:
    request = HttpRequest("GET", "/v5/x", (("cursor", "a=1&"),))
    headers = signed(request, access(pem(KEY))).headers
    verified(headers["X-BAPI-SIGN"], b"1700000000000testkey5000cursor=a%3D1%26")
    key, expires, signature = login_args(access("\n" + pem(KEY)))
    assert (key, expires) == ("testkey", 1_700_000_010_000)
    verified(str(signature), b"GET/realtime1700000010000")


def test_what_is_no_rsa_key_is_a_mistake_that_shows_nothing() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    for secret, what in ((pem(KEY)[:300], "can be read"), (pem(other), "another kind")):
        with pytest.raises(UsageError, match=what) as raised:
            proof(Credentials("testkey", secret), b"x")
        shown = f"{raised.value!r} {raised.value.__context__!r}"
        assert secret[40:80] not in shown
        assert raised.value.__cause__ is None


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return original(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ExtraNotInstalled, match=r"ccrs-bybit\[rsa\]") as raised:
        proof(Credentials("testkey", pem(KEY)), b"x")
    assert raised.value.extra == "rsa"
    assert len(proof(Credentials("testkey", "testsecret"), b"x")) == 64
