"""Whatever is sent to the emulated Bybit's accounts, it answers: in its envelope, with a code."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from bybit_trader import Socket, Trader, exchange, pass_time
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import EmulatedExchange

POSTED = (
    *("/v5/order/create", "/v5/order/amend", "/v5/order/cancel", "/v5/order/cancel-all"),
    *("/v5/order/create-batch", "/v5/order/amend-batch", "/v5/order/cancel-batch"),
    *("/v5/order/pre-check", "/v5/order/disconnected-cancel-all", "/v5/position/set-leverage"),
    *("/v5/position/switch-mode", "/v5/position/trading-stop", "/v5/account/set-margin-mode"),
    *("/v5/account/set-limit-px-action", "/v5/account/demo-apply-money"),
)
ASKED = (
    *("/v5/order/realtime", "/v5/order/history", "/v5/execution/list", "/v5/position/list"),
    *("/v5/position/closed-pnl", "/v5/account/wallet-balance", "/v5/account/fee-rate"),
    *("/v5/account/transaction-log", "/v5/account/info", "/v5/user/query-api"),
)
NAMES = (
    *("category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderLinkId"),
    *("positionIdx", "reduceOnly", "closeOnTrigger", "triggerPrice", "triggerDirection", "mode"),
    *("triggerBy", "orderFilter", "takeProfit", "stopLoss", "tpslMode", "tpOrderType", "request"),
    *("smpType", "isLeverage", "marketUnit", "orderIv", "orderId", "buyLeverage", "sellLeverage"),
    *("coin", "settleCoin", "baseCoin", "setMarginMode", "modifyEnable", "product", "timeWindow"),
    *("tpLimitPrice", "slLimitPrice", "slippageTolerance", "slippageToleranceType", "bboSideType"),
)
WORDS = (
    *("linear", "spot", "option", "inverse", "BTCUSDT", "BTCUSD", "Buy", "Sell", "Limit", "Market"),
    *("GTC", "IOC", "PostOnly", "0", "1", "0.01", "100000", "104000", "90000", "120000", "Full"),
    *("Partial", "Order", "StopOrder", "tpslOrder", "CancelMaker", "baseCoin", "Queue", "a", ""),
    *("TickSize", "MarkPrice", "USDT", "SPOT", "REGULAR_MARGIN"),
)
scalars = st.one_of(
    st.sampled_from(WORDS),
    st.none(),
    st.booleans(),
    st.integers(-3, 400),
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
        "category": st.sampled_from(("linear", "spot", "option", "inverse")),
        "symbol": st.sampled_from(("BTCUSDT", "BTCUSD", "BTC-27MAR26-105000-C-USDT")),
        "side": st.sampled_from(("Buy", "Sell")),
        "orderType": st.sampled_from(("Limit", "Market")),
        "qty": st.sampled_from(("0.01", "1", "0", "100")),
        "price": st.sampled_from(("100000", "104000", "5", "1")),
    },
)
bodies = st.tuples(likely, st.dictionaries(st.sampled_from(NAMES), values, max_size=5)).map(
    lambda both: {**both[0], **both[1]}
)


@cache
def shared() -> EmulatedExchange:
    return exchange()


@settings(max_examples=120)
@given(path=st.sampled_from(POSTED), body=bodies)
def test_any_body_is_answered(path: str, body: dict[str, Any]) -> None:
    venue = shared()
    response = Trader(venue).ask("POST", path, body=orjson.dumps(body))
    answer = orjson.loads(response.body)
    assert response.status == 200
    assert isinstance(answer["retCode"], int)
    pass_time(venue, 0.01)


@settings(max_examples=60)
@given(
    path=st.sampled_from(ASKED),
    query=st.dictionaries(
        st.sampled_from((*NAMES, "limit", "cursor", "startTime", "endTime", "openOnly")),
        st.sampled_from((*WORDS, "-1", "1e3", "51", "page_token%3D3%26", "1767225600000")),
        max_size=5,
    ),
)
def test_any_query_is_answered(path: str, query: dict[str, str]) -> None:
    answer = Trader(shared()).get(path, **query)
    assert isinstance(answer["retCode"], int)


@settings(max_examples=60)
@given(
    path=st.sampled_from(("/v5/private", "/v5/trade")),
    login=st.booleans(),
    request=st.dictionaries(
        st.sampled_from(("op", "args", "reqId", "req_id", "header")),
        values | bodies.map(lambda body: [body]),
    )
    | values,
    operation=st.sampled_from(("order.create", "order.cancel-batch", "subscribe", "auth", None)),
)
def test_any_frame_is_answered(path: str, login: bool, request: Any, operation: str | None) -> None:
    socket = Socket(shared(), path, login=login)
    if isinstance(request, dict) and operation is not None:
        request = {**request, "op": operation}
    socket.send(orjson.dumps(request).decode())
    assert socket.peer.take()
    socket.peer.gone()


def test_what_is_no_json_is_answered_too() -> None:
    venue = shared()
    for body in (b"", b"{", b"[]", b"null"):
        response = Trader(venue).ask("POST", "/v5/order/create", body=body)
        assert orjson.loads(response.body)["retCode"] == 10001
    for path in ("/v5/private", "/v5/trade"):
        socket = Socket(venue, path)
        socket.send("{")
        assert socket.peer.take()
