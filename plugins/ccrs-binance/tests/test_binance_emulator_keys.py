"""Who may use the emulated Binance's accounts: keys, signatures, clocks, limits, the WebSocket
API's sessions."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from binance_trader import START_NS, Socket, Trader, dialect, exchange, form, pass_time, signature
from ccrs_binance.emulator_signed import sent, sent_in_json
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ccrs_core import NS_PER_MS, NS_PER_SECOND
from ccrs_core.emulator import ApiKey, EmulatedExchange, Fault, FaultKind, ReceivedRequest, proves

ACCOUNT = "/api/v3/account"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
NOW_MS = START_NS // NS_PER_MS


def test_the_published_signatures_are_the_ones_that_are_checked() -> None:
    fixtures = os.environ.get("CCRS_FIXTURES")
    if fixtures is None:
        pytest.skip("CCRS_FIXTURES isn't set")
    known = json.loads((Path(fixtures) / "signing/vectors.json").read_text())
    checked = 0
    for vector in known["vectors"]:
        if not vector["exchange"].startswith("binance"):
            continue
        secret = vector.get("secret")
        if secret is None:
            private = load_pem_private_key(known["keys"][vector["key"]]["pkcs8_pem"].encode(), None)
            public = private.public_key()
            secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        assert proves(secret, vector["prehash"].encode(), vector["signature"]), vector["what"]
        assert not proves(secret, vector["prehash"].encode() + b"0", vector["signature"])
        checked += 1
    assert checked >= 15


def test_what_is_signed_is_query_and_body_as_they_came_one_behind_the_other() -> None:
    body = b"quantity=1&price=0.1&signature=ab%2Bc"
    request = ReceivedRequest(
        "POST", "/api/v3/order", (), {}, body, raw_query="symbol=%E5%B8%81&side=BUY"
    )
    said = sent(request)
    assert said.text == b"symbol=%E5%B8%81&side=BUYquantity=1&price=0.1"
    assert said.signature == "ab+c"
    assert said.values == {"symbol": "币", "side": "BUY", "quantity": "1", "price": "0.1"}
    in_json = sent_in_json({"symbol": "币", "apiKey": "k", "signature": "s"})
    assert (in_json.text.decode(), in_json.signature) == ("apiKey=k&symbol=币", "s")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"key": ""}, 401, -2014),
        ({"key": "no such"}, 401, -2014),
        ({"key": "another"}, 401, -2015),
        ({"signature": "00"}, 400, -1022),
        ({"signature": None}, 400, -1102),
        ({"timestamp": None}, 400, -1102),
        ({"timestamp": NOW_MS - 5001}, 400, -1021),
        ({"timestamp": NOW_MS - 5000}, 200, None),
        ({"timestamp": NOW_MS + 1000}, 400, -1021),
        ({"timestamp": NOW_MS + 999}, 200, None),
        ({"timestamp": (NOW_MS - 4000) * 1000}, 200, None),
        ({"recvWindow": "60001"}, 400, -1131),
        ({"recvWindow": "0.5", "timestamp": NOW_MS - 1}, 400, -1021),
        ({"unknown": "1"}, 400, -1104),
    ],
)
def test_a_request_must_be_signed_in_time_by_a_key(
    change: dict[str, Any], status: int, code: int | None
) -> None:
    trader = Trader(exchange())
    values: dict[str, Any] = {"timestamp": NOW_MS, **change}
    trader.key = values.pop("key", trader.key)
    proof = values.pop("signature", ...)
    text = form({name: value for name, value in values.items() if value is not None})
    if proof is ...:
        proof = signature(trader.secret, text).upper()  # digits of either case
    query = text if proof is None else f"{text}&signature={proof}"
    body = orjson.loads(trader.send("GET", ACCOUNT, query).body)
    assert (trader.status, body.get("code")) == (status, code)


def test_a_parameter_that_comes_twice_is_refused_and_the_querys_counts() -> None:
    trader = Trader(exchange())
    text = f"timestamp={NOW_MS}&timestamp={NOW_MS}"
    proof = signature(trader.secret, text)
    body = orjson.loads(trader.send("GET", ACCOUNT, f"{text}&signature={proof}").body)
    assert body["code"] == -1101
    query, more = form({**ORDER, "timestamp": NOW_MS}), "quantity=0.02"
    proof = signature(trader.secret, query + more)
    trader.send("POST", "/api/v3/order", f"{query}&signature={proof}", more)
    assert trader.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT")[0]["origQty"] == "0.01000000"


def ed25519(venue: EmulatedExchange) -> Ed25519PrivateKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    venue.desk.add_key(ApiKey(key="edKey", secret=public.decode(), account="emulator"))
    return private


def signed(private: Ed25519PrivateKey, **params: Any) -> dict[str, Any]:
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": base64.b64encode(private.sign(text.encode())).decode()}


def test_a_session_logs_on_with_an_ed25519_key_alone_and_then_needs_no_signature() -> None:
    venue = exchange()
    private, socket = ed25519(venue), Socket(venue)
    refused = socket.ask("session.logon")
    assert (refused["status"], refused["error"]["code"]) == (400, -4056)
    stamp = venue.now_ns // NS_PER_MS
    answer = socket.ask(
        "session.logon", signed=False, **signed(private, apiKey="edKey", timestamp=stamp)
    )
    assert answer["result"]["apiKey"] == "edKey"
    placed = socket.ask("order.place", signed=False, **ORDER, timestamp=stamp)
    assert placed["result"]["status"] == "FILLED"
    late = socket.ask("order.place", signed=False, **ORDER, timestamp=stamp - 6000)
    assert late["error"]["code"] == -1021
    assert socket.ask("userDataStream.subscribe", signed=False)["result"] == {"subscriptionId": 0}
    again = socket.ask("userDataStream.subscribe.signature")
    assert again["error"]["code"] == -2035
    assert socket.ask("session.status", signed=False)["result"]["userDataStream"] is True
    socket.ask("session.logout", signed=False)
    [ended] = socket.heard()
    assert ended["e"] == "eventStreamTerminated"
    gone = socket.ask("order.place", signed=False, **ORDER, timestamp=stamp)
    assert gone["error"]["code"] == -1102


def test_a_key_that_is_revoked_ends_its_session_and_its_events() -> None:
    venue = exchange()
    private, socket = ed25519(venue), Socket(venue)
    stamp = venue.now_ns // NS_PER_MS
    socket.ask("session.logon", signed=False, **signed(private, apiKey="edKey", timestamp=stamp))
    socket.ask("userDataStream.subscribe", signed=False)
    venue.desk.revoke("edKey")
    answer = socket.ask("order.place", signed=False, **ORDER, timestamp=stamp)
    assert answer["status"] == 400
    assert socket.said[0]["event"]["e"] == "eventStreamTerminated"
    assert (socket.said[1]["id"], socket.said[1]["status"]) == (None, 401)
    assert socket.said[1]["error"]["code"] == -2015


def test_numbers_of_a_request_are_signed_as_they_are_spelled() -> None:
    venue = exchange()
    socket = Socket(venue)
    stamp = venue.now_ns // NS_PER_MS
    params = {"apiKey": "emulator", "timestamp": stamp, **ORDER, "quantity": "0.010"}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = signature("emulator", text)
    spelled = json.dumps(params).replace('"0.010"', "0.010")
    socket.send(f'{{"id": 7, "method": "order.place", "params": {spelled}}}')
    [reply] = socket.taken()
    assert (reply["id"], reply["status"]) == (7, 200)


@pytest.mark.parametrize(
    ("frame", "request_id", "code"),
    [
        ("nonsense", None, -1000),
        ("[1]", None, -1000),
        ('{"id":"a","params":{}}', "a", -1102),
        ('{"id":"a","method":"order.plaice"}', "a", -1099),
        ('{"id":{},"method":"ping"}', None, -1135),
        ('{"id":"a","method":"order.place","params":[]}', "a", -1102),
        ('{"id":"a","method":"order.place","params":{}}', "a", -1102),
    ],
)
def test_what_is_no_request_is_answered_too(frame: str, request_id: str | None, code: int) -> None:
    socket = Socket(exchange())
    socket.send(frame)
    [reply] = socket.taken()
    assert (reply["id"], reply["error"]["code"]) == (request_id, code)


def test_answers_tell_of_limits_unless_they_are_asked_not_to() -> None:
    venue = exchange(order_limit_factor=1.0, weight_limits=None)
    socket = Socket(venue)
    reply = socket.ask("order.place", **ORDER)
    assert [row["rateLimitType"] for row in reply["rateLimits"]] == [
        *("ORDERS", "ORDERS"),
        "REQUEST_WEIGHT",
    ]
    assert reply["rateLimits"][0]["count"] == 1
    assert "rateLimits" not in Socket(venue, returnRateLimits="false").ask("account.status")
    # It is a parameter as others are: signed where it is said in a request.
    told = Socket(venue).ask("account.status", returnRateLimits="false")
    assert (told["status"], "rateLimits" in told) == (200, False)
    assert "rateLimits" in Socket(venue).ask("account.status", returnRateLimits="true")


def test_orders_that_were_never_filled_are_counted_in_windows_of_the_clock() -> None:
    venue = exchange(order_limit_factor=0.03, weight_limits=None)  # three in ten seconds
    trader = Trader(venue)
    for count in range(3):
        trader.order("BTCUSDT", "BUY", "0.01", price=f"9000{count}")
        assert trader.headers["X-MBX-ORDER-COUNT-10S"] == str(count + 1)
    refused = trader.ask("POST", "/api/v3/order", **ORDER)
    assert (trader.status, refused["code"]) == (429, -1015)
    assert 1 <= int(trader.headers["Retry-After"]) <= 11
    pass_time(venue, 10.0)
    trader.order("BTCUSDT", "BUY", "0.01")
    assert trader.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    pass_time(venue, 0.1)
    trader.order("BTCUSDT", "BUY", "0.01", price="90000")
    assert trader.headers["X-MBX-ORDER-COUNT-10S"] == "1"  # the fill gave the slot back


def test_orders_cost_weight_only_where_they_fail_and_who_goes_on_is_banned() -> None:
    venue = exchange(weight_limits={"spot": 45})
    trader = Trader(venue)
    trader.order("BTCUSDT", "BUY", "0.01")
    assert trader.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    trader.ask("POST", "/api/v3/order", **{**ORDER, "quantity": "0"})
    assert trader.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    statuses = []
    for _ in range(9):
        trader.ask("GET", ACCOUNT)
        statuses.append(trader.status)
    assert statuses == [200, 200, *[429] * 5, 418, 418]
    assert int(trader.headers["Retry-After"]) > 60
    pass_time(venue, 61.0)
    trader.ask("GET", ACCOUNT)
    assert trader.status == 418


def test_the_exchanges_clock_may_be_wrong() -> None:
    venue = exchange()
    venue.faults.add(Fault(kind=FaultKind.CLOCK, seconds=30.0))
    trader = Trader(venue)
    answer = trader.ask("GET", ACCOUNT)
    assert answer["code"] == -1021
    told = orjson.loads(trader.send("GET", "/api/v3/time").body)["serverTime"]
    assert told == NOW_MS + 30_000
    assert "balances" in trader.ask("GET", ACCOUNT, timestamp=told)


@pytest.mark.parametrize("effect", [True, False])
def test_a_timeout_inside_says_that_the_outcome_is_unknown(effect: bool) -> None:
    venue = exchange()
    trader = Trader(venue)
    venue.faults.add(Fault(kind=FaultKind.UNCLEAR, path="/api/v3/order", effect=effect, count=1))
    answer = trader.ask("POST", "/api/v3/order", **ORDER)
    assert (trader.status, answer["code"]) == (408, -1007)
    assert len(trader.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT")) == effect


def test_a_key_that_may_only_read_asks_and_places_nothing() -> None:
    venue = exchange()
    venue.desk.add_key(
        ApiKey(key="reader", secret="s", account="emulator", may=frozenset({"read"}))
    )
    reader = Trader(venue, "reader", "s")
    assert "balances" in reader.ask("GET", ACCOUNT)
    assert reader.ask("POST", "/api/v3/order", **ORDER)["code"] == -2015
    told = reader.ask("GET", "/sapi/v1/account/apiRestrictions")
    assert told["enableReading"] is True


def test_the_socket_pings_and_lives_for_a_day() -> None:
    venue = exchange()
    socket = Socket(venue)
    session = socket.peer.visitor
    assert (session.ping_interval, session.pong_timeout) == (20.0, 60.0)
    session.ping_interval = None
    assert dialect(venue).shutdown_notice(socket.peer, venue.now_ns) is not None
    venue.advance(START_NS + 24 * 3600 * NS_PER_SECOND + 1)
    assert not socket.peer.open
