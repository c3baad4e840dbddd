"""Orders entered over a socket: frames, answers matched by id, and what they leave open."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.entry_codec import BY_SOCKET, EntryCodec
from hypothesis import given, settings
from hypothesis import strategies as st
from trading_rows import NOW_MS, NOW_NS, instrument

from ccrs_core import (
    Access,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    Closing,
    Credentials,
    DecodeError,
    EntryReply,
    HttpRequest,
    LoggedIn,
    LoginRefused,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Pong,
    Unrecognised,
    errors,
    limit,
)

LINEAR = instrument()
ACCESS = Access(now_ms=NOW_MS, url="wss://x", credentials=Credentials("testkey", "testsecret"))
ORDER = PlaceOrder(LINEAR, limit(LINEAR.symbol, "buy", price="98000.1", size="0.02"), "ccrs-1")
HEADERS = {
    "X-Bapi-Limit": "10",
    "X-Bapi-Limit-Status": "0",
    "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS + 700),
    "Timenow": str(NOW_MS),
}


def reply(code: int = 0, **more: Any) -> bytes:
    frame = {
        "reqId": "r1",
        "retCode": code,
        "retMsg": "OK" if code == 0 else "told",
        "op": "order.create",
        "data": {"orderId": "0a1b", "orderLinkId": "ccrs-1"} if code == 0 else {},
        "retExtInfo": {},
        "header": HEADERS,
        "connId": "c",
    } | more
    return json.dumps(frame).encode()


def content(frame: bytes) -> Any:
    (said,) = EntryCodec().decode(frame, NOW_NS)
    assert isinstance(said, EntryReply)
    return said.content


def test_orders_are_entered_where_the_environment_has_a_socket_for_it() -> None:
    exchange = Bybit()
    assert exchange.trading is not None
    (route,) = {exchange.entry_route(market) for market in exchange.trading.features}
    assert (route.url, route.private) == ("{trade}/v5/trade", True)
    assert isinstance(exchange.codec(route), EntryCodec)
    assert exchange.trading.by_socket == BY_SOCKET
    assert "trade" not in exchange.environments["demo"].addresses


def test_an_order_goes_as_it_goes_by_http_with_the_time_at_which_it_leaves() -> None:
    frame = json.loads(EntryCodec().entry(ORDER, "r1", ACCESS))
    http: HttpRequest = Bybit.endpoints[PlaceOrder].encode(ORDER, None)
    assert frame == {
        "reqId": "r1",
        "header": {"X-BAPI-TIMESTAMP": str(NOW_MS), "X-BAPI-RECV-WINDOW": "5000"},
        "op": "order.create",
        "args": [json.loads(http.body)],
    }


@pytest.mark.parametrize(
    ("request_", "op"),
    [
        (AmendOrder(instrument=LINEAR, client_order_id="c"), "order.amend"),
        (CancelOrder(instrument=LINEAR, client_order_id="c"), "order.cancel"),
        (PlaceOrders((ORDER,)), "order.create-batch"),
        (
            CancelOrders((CancelOrder(instrument=LINEAR, client_order_id="c"),)),
            "order.cancel-batch",
        ),
    ],
    ids=str,
)
def test_each_request_has_its_operation(request_: Any, op: str) -> None:
    assert json.loads(EntryCodec().entry(request_, "r1", ACCESS))["op"] == op


def test_an_answer_is_matched_by_its_id_and_read_for_its_request() -> None:
    (said,) = EntryCodec().decode(reply(), NOW_NS)
    assert isinstance(said, EntryReply)
    assert said.request_id == "r1"
    answer = EntryCodec().entry_answer(ORDER, said.content, NOW_NS)
    assert answer.value == Placed(
        exchange_order_id="0a1b", client_order_id="ccrs-1", taken_ns=NOW_NS
    )
    (left,) = Bybit().pools_left(ORDER, said.headers)
    assert (left.left, left.of, left.resets_ns) == (0, 10, (NOW_MS + 700) * 10**6)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (110003, errors.OrderRejected),
        (110007, errors.InsufficientBalance),
        (10002, errors.ClockRefused),
        (10006, errors.RateLimited),
        (10016, errors.ExchangeUnavailable),
        (20006, errors.OutcomeUnknown),
    ],
)
def test_refusals_are_those_of_http(code: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        EntryCodec().entry_answer(ORDER, content(reply(code)), NOW_NS)
    assert type(raised.value) is kind
    if isinstance(raised.value, errors.RateLimited):
        assert raised.value.retry_after == 0.7


def test_a_restart_is_answered_and_announced() -> None:
    said = EntryCodec().decode(reply(10019), NOW_NS)
    assert [type(each) for each in said] == [EntryReply, Closing]
    (alone,) = EntryCodec().decode(b'{"retCode":10019,"retMsg":"restarting","op":""}', NOW_NS)
    assert alone == Closing("restarting")


def test_items_of_a_batch_have_outcomes_of_their_own() -> None:
    data = {"list": [{"orderId": "", "orderLinkId": "ccrs-1", "createAt": ""}]}
    told = {"list": [{"code": 10001, "msg": "position idx not match position mode"}]}
    frame = reply(op="order.create-batch", data=data, retExtInfo=told)
    (done,) = EntryCodec().entry_answer(PlaceOrders((ORDER,)), content(frame), NOW_NS).value
    assert isinstance(done, errors.InvalidRequest)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {}},
        {"data": None},
        {"op": "order.cancel"},
        {"data": {"orderId": "o", "orderLinkId": "another"}},
    ],
    ids=str,
)
def test_an_answer_that_says_nothing_of_the_order_is_unreadable(changes: Any) -> None:
    with pytest.raises(DecodeError):
        EntryCodec().entry_answer(ORDER, content(reply(**changes)), NOW_NS)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"x"}', LoggedIn()),
        (b'{"retCode":20001,"retMsg":"Repeat auth","op":"auth","connId":"x"}', LoggedIn()),
        (
            b'{"retCode":10004,"retMsg":"Invalid sign","op":"auth","connId":"x"}',
            LoginRefused("10004", "Invalid sign"),
        ),
        (
            b'{"retCode":10003,"retMsg":"Too many sessions under the same UID","op":"auth"}',
            LoginRefused("10003", "Too many sessions under the same UID", later=True),
        ),
        (
            b'{"retCode":10003,"retMsg":"API key is invalid.","op":"auth"}',
            LoginRefused("10003", "API key is invalid."),
        ),
        (b'{"retCode":0,"retMsg":"OK","op":"pong","data":["1"],"connId":"x"}', Pong()),
        (
            b'{"retCode":10404,"retMsg":"op type is not found","op":"x"}',
            Unrecognised("op x, code 10404, of no request"),
        ),
    ],
)
def test_what_is_no_answer_to_an_order(frame: bytes, expected: Any) -> None:
    assert list(EntryCodec().decode(frame, NOW_NS)) == [expected]


def test_logins_are_those_of_streams_under_another_name_of_the_id() -> None:
    login = json.loads(EntryCodec().login(ACCESS, "1"))
    assert set(login) == {"reqId", "op", "args"}
    assert login["args"][:2] == ["testkey", NOW_MS + 10_000]
    assert "testsecret" not in str(login)


@settings(max_examples=50)
@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["op", "retCode", "reqId", "header", "data"]),
        st.none() | st.integers() | st.text(max_size=9),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_frame_raises_anything_but_that_it_cannot_be_read(frame: bytes) -> None:
    with contextlib.suppress(DecodeError):
        EntryCodec().decode(frame, NOW_NS)
