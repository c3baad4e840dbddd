"""The emulated Bybit takes what is signed as its documents say, to the byte, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import attrs
import orjson
import pytest
from bybit_trader import START_NS, Socket, Trader, dialect, exchange, signature
from ccrs_bybit.emulator import BybitDialect
from ccrs_bybit.emulator_signed import signed
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import NS_PER_MS, NS_PER_SECOND
from ccrs_core.emulator import ApiKey, Desk, EmulatedExchange, EmulatorServer

INFO = "/v5/account/info"
LISTS = "/v5/order/realtime"


def desk_of(venue: EmulatedExchange) -> Desk:
    desk = dialect(venue).desk
    assert desk is not None
    return desk


def keyed(venue: EmulatedExchange, **fields: Any) -> Trader:
    """A trader whose key is so."""
    desk_of(venue).add_key(ApiKey(key="k", secret="s", account="emulator", **fields))
    return Trader(venue, "k", "s")


def code(response: Any) -> int:
    return int(orjson.loads(response.body)["retCode"])


# The vectors of the documents' algorithm, recomputed with openssl.
GET = "1700000000000testkey5000category=linear&symbol=BTCUSDT"
GET_BY_HMAC = "f2f79889fd1201752936b389c890e9d393e01e0311a6d8785fb80753aa26c69b"


def test_hmac_is_hex_in_small_letters() -> None:
    assert signed("testsecret", GET, GET_BY_HMAC)
    assert not signed("testsecret", GET, GET_BY_HMAC.upper())
    assert not signed("testsecret", GET, "")
    assert not signed("testsecret", GET, "é")


def test_all_vectors_are_accepted_and_nothing_beside_them() -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    path = Path(os.environ.get("CCRS_FIXTURES", "/nowhere")) / "signing/vectors.json"
    if not path.exists():
        pytest.skip("CCRS_FIXTURES has no signing vectors")
    found = json.loads(path.read_text())
    private = serialization.load_pem_private_key(
        found["keys"]["rsa"]["pkcs8_pem"].encode(), password=None
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    vectors = [each for each in found["vectors"] if each["exchange"] == "bybit"]
    assert len(vectors) >= 6
    for each in vectors:
        secret = each["secret"] if "secret" in each else public.decode()
        assert signed(secret, each["prehash"], each["signature"]), each["what"]
        assert not signed(secret, each["prehash"] + " ", each["signature"])


def test_a_key_may_be_the_public_half_of_an_rsa_key() -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    venue = exchange()
    desk_of(venue).add_key(ApiKey(key="r", secret=public.decode(), account="emulator"))
    trader = Trader(venue, "r")
    text = f"{START_NS // NS_PER_MS}r5000"
    proof = base64.b64encode(private.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    assert code(trader.ask("GET", INFO, sign=proof)) == 0
    assert code(trader.ask("GET", INFO, "a=1", sign=proof)) == 10004
    assert code(trader.ask("GET", INFO, sign="no base64!")) == 10004


@cache
def shared() -> EmulatedExchange:
    return exchange()


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_of_what_was_signed_is_refused(data: st.DataObject) -> None:
    trader = Trader(shared())
    ms = START_NS // NS_PER_MS
    body = b'{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"x"}'
    proof = signature("emulator", f"{ms}emulator5000{body.decode()}")
    place = data.draw(st.integers(0, len(body) - 1))
    letter = data.draw(st.integers(32, 126).filter(lambda each: each != body[place]))
    changed = body[:place] + bytes([letter]) + body[place + 1 :]
    assert code(trader.ask("POST", "/v5/order/create", body=changed, sign=proof)) == 10004
    assert code(trader.ask("POST", "/v5/order/create", body=body + b" ", sign=proof)) == 10004
    for more in ({"at_ms": ms - 1}, {"window": "5001"}):
        answer = trader.ask("POST", "/v5/order/create", body=body, sign=proof, **more)
        assert code(answer) == 10004
    assert code(trader.ask("POST", "/v5/order/create", body=body, sign=proof)) == 10001  # its size


def test_a_wrong_signature_is_shown_what_should_have_been_signed_but_no_key() -> None:
    venue = exchange()
    answer = orjson.loads(Trader(venue).ask("GET", LISTS, "category=spot", sign="0" * 64).body)
    text = f"{START_NS // NS_PER_MS}XXXXXXXX5000category=spot"
    assert answer["retMsg"] == f"error sign! origin_string[{text}]"


@pytest.mark.parametrize(
    ("late_ms", "window", "expected"),
    [
        (0, 5000, 0),
        (5000, 5000, 0),
        (5001, 5000, 10002),
        (5001, 6000, 0),
        (-999, 5000, 0),
        (-1000, 5000, 10002),
        (-1000, 60_000, 10002),
    ],
)
def test_timestamps_may_be_a_window_old_and_a_second_ahead_whatever_the_window(
    late_ms: int, window: int, expected: int
) -> None:
    trader = Trader(exchange())
    at_ms = START_NS // NS_PER_MS - late_ms
    assert code(trader.ask("GET", INFO, at_ms=at_ms, window=str(window))) == expected


def test_who_may_not_is_told_why() -> None:
    venue = exchange()
    assert code(Trader(venue, "nobody").ask("GET", INFO)) == 10003
    assert code(Trader(venue, "emulator", "wrong").ask("GET", INFO)) == 10004
    assert code(keyed(venue, expires_ns=START_NS).ask("GET", INFO)) == 33004
    assert code(keyed(venue, expires_ns=START_NS + NS_PER_SECOND).ask("GET", INFO)) == 0
    assert code(keyed(venue, addresses=frozenset({"10.0.0.1"})).ask("GET", INFO)) == 10010
    reads = keyed(venue, may=frozenset({"read"}))
    assert code(reads.ask("GET", INFO)) == 0
    assert code(reads.ask("POST", "/v5/order/create", body=b"{}")) == 10005
    desk_of(venue).revoke("k")
    assert code(reads.ask("GET", INFO)) == 10003


def test_headers_that_lack_are_named_and_odd_ones_are_refused() -> None:
    venue = exchange()
    trader = Trader(venue)
    answer = orjson.loads(trader.ask("GET", INFO, sign="").body)
    assert answer["retCode"] == 10001
    assert answer["retMsg"].startswith("empty value: apiTimestamp[17")
    assert code(trader.ask("GET", INFO, window="soon")) == 10001


def test_reading_with_a_body_and_what_there_is_not_fail_without_json() -> None:
    trader = Trader(exchange())
    assert trader.ask("GET", INFO, body=b"{}").status == 403
    assert trader.ask("POST", INFO).status == 404
    assert trader.ask("GET", "/v5/order/nothing").status == 404


def test_sockets_are_logged_in_by_key_expiry_and_signature() -> None:
    venue = exchange()
    fine = Socket(venue, login=False).login()
    assert (fine["success"], fine["ret_msg"], fine["op"]) == (True, "", "auth")
    entry = Socket(venue, "/v5/trade", login=False).login()
    connection = entry.pop("connId")
    assert connection
    assert entry == {"retCode": 0, "retMsg": "OK", "op": "auth"}
    late = Socket(venue, login=False)
    assert late.login(expires_in=-0.001)["success"] is False
    assert not late.peer.open
    forged = Socket(venue, "/v5/trade", login=False)
    assert forged.login(sign="0" * 64)["retCode"] == 10004
    assert not forged.peer.open
    unknown = Socket(venue, key="nobody", login=False)
    assert unknown.login()["ret_msg"] == "API key is invalid."


def test_a_key_that_expires_or_is_revoked_trades_no_more_over_a_living_socket() -> None:
    venue = exchange()
    keyed(venue)
    entry = Socket(venue, "/v5/trade", key="k", secret="s")
    desk = desk_of(venue)
    desk.revoke("k")
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market"}
    assert entry.order("order.create", qty="0.01", **body)["retCode"] == 10003
    key = desk.key("k")
    assert key is not None
    desk.add_key(attrs.evolve(key, revoked=False, expires_ns=START_NS))
    assert entry.order("order.create", qty="0.01", **body)["retCode"] == 33004


def signed_headers(query: str, key: str, secret: str) -> dict[str, str]:
    ms = time.time_ns() // NS_PER_MS
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": str(ms),
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": signature(secret, f"{ms}{key}5000{query}"),
    }


@pytest.mark.sockets
def test_the_server_sees_the_query_as_it_was_sent() -> None:
    # A character that needs no escape is escaped: another query string of the same parameters.
    query = "category=linear&symbol=%42TCUSDT"

    async def main() -> Any:
        async with EmulatorServer(BybitDialect(), seed=1) as server:
            headers = signed_headers(query, "emulator", "emulator")
            request = Request(f"{server.url}{LISTS}?{query}", headers=headers)
            return await asyncio.to_thread(lambda: json.load(urlopen(request)))

    assert asyncio.run(main())["retCode"] == 0


@pytest.mark.sockets
def test_the_command_opens_accounts() -> None:
    command = [sys.executable, "-m", "ccrs_core.cli", "emulator", "bybit"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "--account", "mine:hidden"], stdout=pipe) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            headers = signed_headers("", "mine", "hidden")
            with urlopen(Request(url + INFO, headers=headers)) as answer:
                assert json.load(answer)["retCode"] == 0
        finally:
            process.terminate()
