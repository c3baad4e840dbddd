"""Orders over a WebSocket: what is written, who proves it, and what the answers say."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from binance_orders import (
    COINM,
    NOW_MS,
    NOW_NS,
    SPOT,
    USDM,
    algo_row,
    futures_row,
    known,
    order,
    spot_row,
)
from ccrs_binance.budgets import left
from ccrs_binance.entry_codec import BY_SOCKET, EntryCodec
from ccrs_binance.signing import proof

from ccrs_core import (
    Access,
    AmendOrder,
    CancelOrder,
    Closing,
    Credentials,
    DecodeError,
    EntryReply,
    ExchangeUnavailable,
    Exit,
    InsufficientBalance,
    LoggedIn,
    LoginRefused,
    OrderNotFound,
    OrderRejected,
    OrderState,
    PlaceOrder,
    PlaceOrders,
    RateLimited,
    Trigger,
    Unrecognised,
)

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", "../shared/fixtures")) / "trading"
KEYS = Credentials("key", "testsecret")
ACCESS = Access(now_ms=1_700_000_000_000, url="wss://x", credentials=KEYS)


def written(request: Any, codec: EntryCodec | None = None) -> Any:
    return json.loads((codec or EntryCodec()).entry(request, "17", ACCESS))


def answered(request: Any, frame: Any) -> Any:
    codec = EntryCodec()
    (reply,) = codec.decode(json.dumps(frame).encode(), NOW_NS)
    assert isinstance(reply, EntryReply)
    return codec.entry_answer(request, reply.content, NOW_NS).value


def error(code: int, text: str = "said so", status: int = 400, **more: Any) -> dict[str, Any]:
    return {"id": "17", "status": status, "error": {"code": code, "msg": text, **more}}


def amend(where: Any, **more: Any) -> AmendOrder:
    about = known(where, price=Decimal(1), size=Decimal(2))
    given: dict[str, Any] = {"exchange_order_id": "5", "size": Decimal(1), **more}
    return AmendOrder(instrument=where, known=about, **given)


@pytest.mark.parametrize(
    ("request_", "method"),
    [
        (order(SPOT), "order.place"),
        (order(USDM), "order.place"),
        (order(COINM, size="1"), "order.place"),
        (order(SPOT, trigger=Trigger(price="1", rises=True)), "order.place"),
        (order(USDM, trigger=Trigger(price="1", rises=True)), "algoOrder.place"),
        (order(SPOT, stop_loss=Exit(price="1")), "orderList.place.oto"),
        (
            order(SPOT, stop_loss=Exit(price="1"), take_profit=Exit(price="2")),
            "orderList.place.otoco",
        ),
        (amend(SPOT), "order.amend.keepPriority"),
        (amend(USDM), "order.modify"),
        (CancelOrder(instrument=SPOT, exchange_order_id="5"), "order.cancel"),
        (CancelOrder(instrument=USDM, exchange_order_id="algo-5"), "algoOrder.cancel"),
    ],
)
def test_each_request_has_its_method_and_is_signed(request_: Any, method: str) -> None:
    frame = written(request_)
    assert (frame["id"], frame["method"]) == ("17", method)
    told = dict(frame["params"])
    signature = told.pop("signature")
    text = "&".join(f"{name}={told[name]}" for name in sorted(told))
    assert signature == proof(KEYS, text.encode())
    assert (told["apiKey"], told["timestamp"], told["recvWindow"]) == ("key", ACCESS.now_ms, 5000)
    assert all(type(told[name]) is int for name in ("orderId", "algoId") if name in told)
    assert type(request_) in BY_SOCKET


def test_batches_dont_go_over_it() -> None:
    with pytest.raises(LookupError):
        written(PlaceOrders((order(USDM),)))


def test_keys_of_ed25519_log_on_once_and_sign_nothing_more() -> None:
    forms = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import ed25519

    form = (forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(*form).decode()
    access = Access(now_ms=5, url="wss://x", credentials=Credentials("key", pem))
    codec = EntryCodec()
    login = json.loads(codec.login(access, "1") or "")
    assert login["method"] == "session.logon"
    assert set(login["params"]) == {"apiKey", "timestamp", "signature"}
    answer = {"id": login["id"], "status": 200, "result": {"apiKey": "key"}}
    assert codec.decode(json.dumps(answer).encode(), NOW_NS) == (LoggedIn(),)
    told = json.loads(codec.entry(order(), "2", access))["params"]
    assert told["timestamp"] == 5
    assert not {"apiKey", "signature"} & set(told)
    # A connection of its own has to log on again.
    assert "signature" in json.loads(EntryCodec().entry(order(), "2", access))["params"]


def test_other_keys_cant_log_on() -> None:
    assert EntryCodec().login(ACCESS, "1") is None


@pytest.mark.parametrize(
    ("code", "status", "later"),
    [(-2015, 401, False), (-1003, 429, True), (-1000, 500, True), (-1021, 400, True)],
)
def test_a_login_that_is_refused_but_for_now_is_tried_again(
    code: int, status: int, later: bool
) -> None:
    frame = {**error(code, status=status), "id": "logon1"}
    (found,) = EntryCodec().decode(json.dumps(frame).encode(), NOW_NS)
    assert found == LoginRefused(str(code), "said so", later)


def test_an_answer_says_what_has_become_of_the_order() -> None:
    row = {**spot_row(), "transactTime": NOW_MS}
    placed = answered(order(), {"id": "17", "status": 200, "result": row})
    assert (placed.exchange_order_id, placed.report.state) == ("4711", OrderState.OPEN)
    placed = answered(order(USDM), {"id": "17", "status": 200, "result": futures_row()})
    assert placed.exchange_order_id == "8389765543210"
    waits = order(USDM, trigger=Trigger(price="1", rises=True))
    placed = answered(waits, {"id": "17", "status": 200, "result": algo_row()})
    assert placed.exchange_order_id == "algo-2146760"


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (
            error(-2010, "Account has insufficient balance for requested action."),
            InsufficientBalance,
        ),
        (error(-2010, "Order would immediately match and take."), OrderRejected),
        (error(-2011, "Unknown order sent."), OrderNotFound),
        (error(-1007, status=408), ExchangeUnavailable),
        (error(-1006, status=500), ExchangeUnavailable),
        (error(-9999, status=503), ExchangeUnavailable),
        (error(-1003, status=418), RateLimited),
    ],
)
def test_refusals_are_told_from_what_may_have_been_done(frame: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        answered(order(), frame)


def test_a_limit_says_until_when() -> None:
    data = {"serverTime": NOW_MS, "retryAfter": NOW_MS + 2500}
    with pytest.raises(RateLimited) as raised:
        answered(order(), error(-1003, status=429, data=data))
    assert raised.value.retry_after == 2.5


@pytest.mark.parametrize(
    "frame",
    [
        {"id": "17", "status": 200},
        {"id": "17", "status": 200, "result": []},
        {"id": "17", "status": 200, "result": {**spot_row(), "clientOrderId": "theirs"}},
        {"id": "17", "status": 400},
        {"id": "17", "status": 400, "error": {"code": "x"}},
    ],
)
def test_an_answer_that_cant_be_read_is_none(frame: Any) -> None:
    with pytest.raises(DecodeError):
        answered(order(), frame)


def test_what_is_to_nobody_is_no_answer() -> None:
    codec = EntryCodec()
    gone = {**error(-2015, "Invalid API-key.", 401), "id": None}
    assert codec.decode(json.dumps(gone).encode(), 0) == (
        LoginRefused("-2015", "Invalid API-key."),
    )
    garbled = {**error(-1000, "Invalid JSON request."), "id": None}
    (found,) = codec.decode(json.dumps(garbled).encode(), 0)
    assert isinstance(found, Unrecognised)
    shutdown = {"event": {"e": "serverShutdown", "E": 1}}
    (found,) = codec.decode(json.dumps(shutdown).encode(), 0)
    assert isinstance(found, Closing)
    (found,) = codec.decode(b'{"id":"probe3","status":200,"result":{}}', 0)
    assert isinstance(found, Unrecognised)


def test_what_is_left_of_orders_is_told_with_each_answer() -> None:
    limits = [
        {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": -1,
            "count": -1,
        },
        {
            "rateLimitType": "ORDERS",
            "interval": "SECOND",
            "intervalNum": 10,
            "limit": 100,
            "count": 12,
        },
        {
            "rateLimitType": "ORDERS",
            "interval": "DAY",
            "intervalNum": 1,
            "limit": 200000,
            "count": 4043,
        },
    ]
    frame = {"id": "17", "status": 200, "result": spot_row(), "rateLimits": limits}
    (reply,) = EntryCodec().decode(json.dumps(frame).encode(), 0)
    assert isinstance(reply, EntryReply)
    found = left(order(), reply.headers)
    assert [(each.left, each.of, each.seconds) for each in found] == [
        (88, 100, 10.0),
        (195957, 200000, 86400.0),
    ]
    # By HTTP it is told what counts, and not how much there is.
    (by_http,) = left(order(), {"x-mbx-order-count-10s": "7"})
    assert (by_http.left, by_http.of) == (43, None)
    (futures,) = left(order(USDM), {"x-mbx-order-count-1m": "1199"})
    assert (futures.left, futures.seconds, futures.pool) == (1, 60.0, "orders futures")
    assert left(order(), {"x-mbx-order-count-10s": "many"}) == []


@pytest.mark.parametrize(
    "name", ["binance-usdm/ws/wsapi-order-modify", "binance-coinm/ws/wsapi-orders"]
)
def test_recorded_answers_are_read(name: str) -> None:
    path = FIXTURES / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("no fixtures")
    where = USDM if "usdm" in name else COINM
    read_rows = 0
    for line in path.read_text().splitlines():
        frame = json.loads(line)
        result = frame.get("result")
        if result is None:
            request: Any = PlaceOrder(where, order(where, size="1").order, "x")
        else:
            request = CancelOrder(instrument=where, client_order_id=result["clientOrderId"])
        try:
            done = answered(request, frame)
        except (OrderNotFound, OrderRejected):
            continue
        assert done.report.filled_size == Decimal(result["executedQty"])
        read_rows += 1
    assert read_rows
