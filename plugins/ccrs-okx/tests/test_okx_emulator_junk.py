"""Whatever is sent to the emulated OKX's accounts, it answers: in its envelope, with a code."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from okx_trader import Private, Trader, exchange, pass_time

from ccrs_core.emulator import EmulatedExchange

SINGLE = (
    *("trade/order", "trade/cancel-order", "trade/amend-order", "trade/order-algo"),
    *("trade/cancel-all-after", "trade/close-position", "account/set-leverage"),
    *("account/set-position-mode", "account/set-account-level", "account/set-account-stp-mode"),
)
BATCHES = (
    *("trade/batch-orders", "trade/cancel-batch-orders", "trade/amend-batch-orders"),
    "trade/cancel-algos",
)
ASKED = (
    *("trade/order", "trade/orders-pending", "trade/orders-history", "trade/fills"),
    *("trade/orders-history-archive", "trade/fills-history", "trade/order-algo"),
    *("trade/orders-algo-pending", "trade/orders-algo-history", "trade/account-rate-limit"),
    *("account/config", "account/balance", "account/positions", "account/bills"),
    *("account/bills-archive", "account/trade-fee", "account/leverage-info"),
    *("account/instruments", "account/account-position-risk"),
)
NAMES = (
    *("instId", "instIdCode", "tdMode", "side", "ordType", "sz", "px", "pxVol", "pxUsd", "clOrdId"),
    *("tag", "posSide", "reduceOnly", "tgtCcy", "stpMode", "attachAlgoOrds", "ordId", "newSz"),
    *("newPx", "reqId", "cxlOnFail", "algoId", "algoClOrdId", "tpTriggerPx", "tpOrdPx", "lever"),
    *("slTriggerPx", "slOrdPx", "slTriggerPxType", "triggerPx", "orderPx", "callbackRatio"),
    *("callbackSpread", "activePx", "closeFraction", "timeOut", "mgnMode", "posMode", "acctLv"),
    *("acctStpMode", "instType", "instFamily", "ccy", "type", "state", "limit", "after", "before"),
)
WORDS = (
    *("BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-260327-104000-C", "cash", "cross"),
    *("isolated", "buy", "sell", "limit", "market", "post_only", "ioc", "oco", "conditional"),
    *("trigger", "move_order_stop", "0", "1", "0.01", "104000", "-1", "net", "long", "quote_ccy"),
    *(
        "SPOT",
        "SWAP",
        "OPTION",
        "USDT",
        "mark",
        "10",
        "net_mode",
        "3",
        "a",
        "",
        "true",
        "2",
        "x" * 40,
    ),
)
scalars = st.one_of(
    st.sampled_from(WORDS),
    st.none(),
    st.booleans(),
    st.integers(-3, 20_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=8,
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "instId": st.sampled_from(WORDS[:4]),
        "tdMode": st.sampled_from(("cash", "cross", "isolated")),
        "side": st.sampled_from(("buy", "sell")),
        "ordType": st.sampled_from(("limit", "market", "conditional", "oco", "move_order_stop")),
        "sz": st.sampled_from(("0.01", "1", "0", "100")),
        "px": st.sampled_from(("100000", "104000", "0.02", "1")),
    },
)
bodies = st.tuples(likely, st.dictionaries(st.sampled_from(NAMES), values, max_size=5)).map(
    lambda both: {**both[0], **both[1]}
)


@cache
def shared() -> EmulatedExchange:
    return exchange()


def answered(path: str, body: Any) -> dict[str, Any]:
    venue = shared()
    response = Trader(venue).ask("POST", path, body=orjson.dumps(body))
    answer: dict[str, Any] = orjson.loads(response.body)
    assert response.status in {200, 400, 429}
    assert isinstance(answer["code"], str)
    pass_time(venue, 0.01)
    return answer


@settings(max_examples=120)
@given(path=st.sampled_from(SINGLE), body=bodies)
def test_any_body_is_answered(path: str, body: dict[str, Any]) -> None:
    answer = answered(path, body)
    if answer["code"] == "0":
        assert len(answer["data"]) == 1


@settings(max_examples=60)
@given(path=st.sampled_from(BATCHES), body=st.lists(bodies | values, max_size=3) | values)
def test_any_batch_is_answered_item_by_item(path: str, body: Any) -> None:
    answer = answered(path, body)
    if answer["data"]:
        assert len(answer["data"]) == len(body)
        codes = [row["sCode"] for row in answer["data"]]
        failed = sum(code != "0" for code in codes)
        assert answer["code"] == ("0" if not failed else "1" if failed == len(codes) else "2")


@settings(max_examples=80)
@given(
    path=st.sampled_from(ASKED),
    query=st.dictionaries(
        st.sampled_from((*NAMES, "begin", "end", "posId")),
        st.sampled_from((*WORDS, "1e3", "101", "1767225600000")),
        max_size=5,
    ),
)
def test_any_query_is_answered(path: str, query: dict[str, str]) -> None:
    answer = Trader(shared()).get(path, **query)
    assert isinstance(answer["code"], str)
    assert isinstance(answer["data"], list)


@settings(max_examples=80)
@given(
    path=st.sampled_from(("private", "business")),
    login=st.booleans(),
    request=st.dictionaries(
        st.sampled_from(("op", "args", "id", "expTime")),
        values | bodies.map(lambda body: [body]),
    )
    | values,
    operation=st.sampled_from(("order", "batch-cancel-orders", "subscribe", "login", None)),
)
def test_any_frame_is_answered(path: str, login: bool, request: Any, operation: str | None) -> None:
    socket = Private(shared(), path)
    if login:
        socket.log_in()
    if isinstance(request, dict) and operation is not None:
        request = {"id": "1", **request, "op": operation}
    socket.peer.received(json.dumps(request), socket.venue.now_ns)
    assert socket.heard()
    socket.peer.gone()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'"a"'])
def test_what_is_no_object_is_answered_too(body: bytes) -> None:
    answer = orjson.loads(Trader(exchange()).ask("POST", "trade/order", body=body).body)
    assert answer["code"] == "50002"
