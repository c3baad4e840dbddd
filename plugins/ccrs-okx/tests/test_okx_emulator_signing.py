"""Who may ask the emulated OKX, and how often."""

from __future__ import annotations

import json
from typing import Any

import attrs
import orjson
import pytest
from ccrs_okx.emulator_limits import SUB_ACCOUNT, UserLimits
from ccrs_okx.emulator_signed import proof
from okx_trader import BTC, SWAP, Private, Trader, dialect, exchange, limit, listing, pass_time

from ccrs_core import NS_PER_MS, NS_PER_SECOND


def test_signatures_are_those_of_the_documents() -> None:
    """Worked out by hand from https://www.okx.com/docs-v5/en/#overview-rest-authentication."""
    text = b"2023-11-14T22:13:20.000ZGET/api/v5/account/balance?ccy=BTC"
    assert proof("testsecret", text) == "r08bS9X5FPzXyC41sXd/6luwKLvhbqC8Xxp2xjtbENw="
    login = b"1700000000GET/users/self/verify"
    assert proof("testsecret", login) == "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc="


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"OK_ACCESS_KEY": None}, "50103"),
        ({"OK_ACCESS_PASSPHRASE": None}, "50104"),
        ({"OK_ACCESS_PASSPHRASE": "another"}, "50105"),
        ({"OK_ACCESS_SIGN": None}, "50106"),
        ({"OK_ACCESS_TIMESTAMP": None}, "50107"),
        ({"OK_ACCESS_TIMESTAMP": "1767225600"}, "50112"),
        ({"OK_ACCESS_TIMESTAMP": "2026-13-41T00:00:00.000Z"}, "50112"),
        ({"OK_ACCESS_SIGN": "AAAA"}, "50113"),
        ({"OK_ACCESS_KEY": "nobody"}, "50119"),
    ],
)
def test_each_header_must_be_right(headers: dict[str, Any], code: str) -> None:
    answer = Trader(exchange()).ask("GET", "account/balance", **headers)
    assert (answer.status, orjson.loads(answer.body)["code"]) == (401, code)


@pytest.mark.parametrize(("seconds", "fine"), [(-29, True), (29, True), (-32, False), (32, False)])
def test_a_timestamp_is_good_for_half_a_minute(seconds: int, fine: bool) -> None:
    venue = exchange()
    at_ms = venue.now_ns // NS_PER_MS + seconds * 1000
    answer = Trader(venue).ask("GET", "account/balance", at_ms=at_ms)
    assert orjson.loads(answer.body)["code"] == ("0" if fine else "50102")


def test_a_key_does_what_it_may_from_where_it_may() -> None:
    venue = exchange()
    desk, trader = dialect(venue).desk, Trader(venue)
    assert desk is not None
    key = desk.key("emulator")
    assert key is not None
    desk.add_key(attrs.evolve(key, may=frozenset({"read"})))
    assert trader.rows("account/config")[0]["perm"] == "read_only"
    assert trader.refused("trade/order", limit(px="90000")) == "50120"
    desk.add_key(attrs.evolve(key, addresses=frozenset({"10.0.0.1"})))
    assert trader.get("account/config")["code"] == "50110"
    desk.add_key(attrs.evolve(key, revoked=True))
    assert trader.get("account/config")["code"] == "50119"


@pytest.mark.parametrize(("off_ms", "code"), [(1000, "0"), (-1, "50036"), (None, "50037")])
def test_an_order_has_a_deadline_where_it_says_one(off_ms: int | None, code: str) -> None:
    venue = exchange()
    deadline = "soon" if off_ms is None else str(venue.now_ns // NS_PER_MS + off_ms)
    body = json.dumps(limit(px="100000")).encode()
    answer = Trader(venue).ask("POST", "trade/order", body=body, expTime=deadline)
    assert orjson.loads(answer.body)["code"] == code
    socket = Private(venue)
    socket.log_in()
    entered = {"instIdCode": dialect(venue).code(listing(venue, SWAP)), **limit(px="100000")}
    request = {"id": "1", "op": "order", "args": [entered], "expTime": deadline}
    assert socket.send(request)[-1]["code"] == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "nobody"}, "60032"),
        ({"passphrase": "another"}, "60024"),
        ({"sign": "AAAA"}, "60007"),
        ({"timestamp": "1767225000"}, "60006"),
        ({"timestamp": "2026-01-01T00:00:00.000Z"}, "60004"),
    ],
)
def test_a_login_must_be_right(changed: dict[str, str], code: str) -> None:
    socket = Private(exchange())
    [answer] = socket.log_in(**changed)
    assert (answer["event"], answer["code"]) == ("error", code)
    assert socket.subscribe("account")[0]["code"] == "60011"


def test_one_logs_in_once() -> None:
    socket = Private(exchange())
    [first] = socket.log_in()
    assert (first["event"], first["code"], first["msg"]) == ("login", "0", "")
    assert socket.log_in()[0]["code"] == "60031"


def test_what_is_not_for_everybody_or_not_here_is_refused() -> None:
    venue = exchange()
    socket, business = Private(venue), Private(venue, "business")
    assert socket.subscribe("orders")[0]["code"] == "60011"
    assert socket.send({"id": "1", "op": "order", "args": [{}]})[0]["code"] == "60011"
    socket.log_in()
    assert socket.subscribe("fills")[0]["code"] == "64003"
    assert socket.subscribe("orders-algo")[0]["code"] == "60018"
    assert socket.subscribe("orders", instType="NONE")[0]["code"] == "60018"
    business.log_in()
    assert business.subscribe("orders-algo")[0]["event"] == "subscribe"


def test_orders_are_limited_by_instrument_and_both_ways_share_it() -> None:
    venue = exchange(user_limit_factor=0.05)  # three single orders in two seconds
    trader, socket = Trader(venue), Private(venue)
    socket.log_in()
    code = dialect(venue).code(listing(venue, SWAP))
    for _ in range(2):
        assert trader.post("trade/order", limit(px="100000"))["code"] == "0"
    entered = {**limit(px="100000"), "instIdCode": code}
    assert socket.send({"id": "1", "op": "order", "args": [entered]})[-1]["code"] == "0"
    answer = trader.ask("POST", "trade/order", body=json.dumps(limit(px="100000")).encode())
    assert (answer.status, orjson.loads(answer.body)["code"]) == (429, "50011")
    assert socket.send({"id": "2", "op": "order", "args": [entered]})[-1]["code"] == "60014"
    assert trader.post("trade/order", limit(BTC, px="90000"))["code"] == "0"
    # A batch of one counts as a single order.
    assert trader.post("trade/batch-orders", [limit(px="100000")])["code"] == "50011"
    assert trader.post("trade/batch-orders", [limit(px="100000")] * 2)["code"] == "0"
    pass_time(venue, 2.0)
    assert trader.post("trade/order", limit(px="100000"))["code"] == "0"


def test_a_sub_account_enters_a_thousand_orders_in_two_seconds_but_for_spot() -> None:
    venue, limits = exchange(), UserLimits()
    swap, spot = listing(venue, SWAP), listing(venue, BTC)
    assert all(limits.admit_orders("me", swap, n) for n in range(SUB_ACCOUNT))
    assert not limits.admit_orders("me", swap, 2 * NS_PER_SECOND - 1)
    assert limits.admit_orders("me", spot, 5)
    assert limits.admit_orders("another", swap, 5)
    assert limits.admit_orders("me", swap, 3 * NS_PER_SECOND)
