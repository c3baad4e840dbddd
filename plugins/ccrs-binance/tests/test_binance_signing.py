"""Requests are signed as Binance's examples are, by secrets and by private keys."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ccrs_binance.signing import private_key, proof, signed, signed_parameters

from ccrs_core import Access, Credentials, HttpRequest, UsageError

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", "../shared/fixtures"))
VECTORS = FIXTURES / "signing" / "vectors.json"
DOCS_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
DOCS_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


def access(now_ms: int, secret: str = DOCS_SECRET, key: str = DOCS_KEY) -> Access:
    return Access(
        now_ms=now_ms, url="https://api.binance.com", credentials=Credentials(key, secret)
    )


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    held = json.loads(VECTORS.read_text())
    found = [each for each in held["vectors"] if each["exchange"].startswith("binance")]
    for each in found:
        each.setdefault("secret", held["keys"].get(each.get("key"), {}).get("pkcs8_pem"))
    return found


@pytest.mark.parametrize("vector", vectors(), ids=lambda each: f"{each['exchange']} {each['what']}")
def test_signatures_are_those_of_the_examples(vector: dict[str, Any]) -> None:
    if vector["algorithm"].split()[0] != "hmac-sha256":
        pytest.importorskip("cryptography")
    found = proof(Credentials("k", vector["secret"]), vector["prehash"].encode())
    assert found == vector["signature"]
    if "as_sent" in vector:
        assert quote(found, safe="") == vector["as_sent"]


def test_a_request_over_http_is_signed_as_it_is_sent_and_ends_with_its_signature() -> None:
    asked = HttpRequest(
        "POST",
        "/api/v3/order",
        (
            *(("symbol", "LTCBTC"), ("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC")),
            *(("quantity", "1"), ("price", "0.1")),
        ),
    )
    found = signed(asked, access(1499827319559))
    assert found.headers == {"X-MBX-APIKEY": DOCS_KEY}
    assert found.query_string == (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&"
        "timestamp=1499827319559&"
        "signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )


def test_symbols_of_other_scripts_are_signed_percent_encoded() -> None:
    wide = "".join(chr(0xFF11 + place) for place in range(6))
    asked = HttpRequest(
        "POST",
        "/api/v3/order",
        (
            *(("symbol", wide), ("side", "BUY"), ("type", "LIMIT")),
            *(("timeInForce", "GTC"), ("quantity", "1"), ("price", "0.1")),
        ),
    )
    found = dict(signed(asked, access(1499827319559)).query)
    assert found["signature"] == "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"


def test_parameters_over_a_websocket_are_signed_in_the_order_of_their_names() -> None:
    found = signed_parameters(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000000",
            "price": "52000.00",
            "recvWindow": 100,
        },
        access(1645423376532),
    )
    assert found["signature"] == "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


def test_a_listen_key_wants_no_more_than_the_key() -> None:
    asked = HttpRequest("POST", "/fapi/v1/listenKey")
    found = signed(asked, access(1))
    assert (found.query, found.headers) == ((), {"X-MBX-APIKEY": DOCS_KEY})


def test_a_private_key_that_cant_be_read_isnt_shown() -> None:
    pytest.importorskip("cryptography")
    pem = "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----"
    with pytest.raises(UsageError, match="no private key") as raised:
        proof(Credentials("k", pem), b"text")
    assert "MIIsecret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_keys_of_ed25519_log_on_locked_ones_too_and_others_dont() -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    def pem(key: Any, how: Any) -> str:
        text: bytes = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, how)
        return text.decode()

    own = ed25519.Ed25519PrivateKey.generate()
    plain = private_key(Credentials("k", pem(own, forms.NoEncryption())))
    locked_pem = pem(own, forms.BestAvailableEncryption(b"word"))
    locked = private_key(Credentials("k", locked_pem, "word"))
    assert plain is not None
    assert plain.logs_on
    assert locked is not None
    assert locked.prove(b"text") == plain.prove(b"text")
    with pytest.raises(UsageError, match="passphrase"):
        private_key(Credentials("k", locked_pem))
    other = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    found = private_key(Credentials("k", pem(other, forms.NoEncryption())))
    assert found is not None
    assert not found.logs_on
    assert private_key(Credentials("k", "secret")) is None
