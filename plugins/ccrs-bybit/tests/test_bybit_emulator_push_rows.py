"""Pushes of the emulated Bybit have the fields and the blanks of those that were recorded since
2025: no others, none missing, and what says nothing says it as theirs do."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from bybit_trader import Socket, Trader, exchange, pass_time, rows

from ccrs_core.emulator import trimmed

ANY = object()
"""What depends on the trade."""

ORDER: Mapping[str, Any] = {
    **dict.fromkeys(("symbol", "orderId", "side", "price", "qty", "avgPrice"), ANY),
    **dict.fromkeys(("cumExecQty", "cumExecValue", "cumExecFee", "cumFeeDetail"), ANY),
    **dict.fromkeys(("createdTime", "updatedTime", "lastPriceOnCreated", "positionIdx"), ANY),
    **dict.fromkeys(("orderLinkId", "blockTradeId", "stopOrderType", "orderIv", "placeType"), ""),
    **dict.fromkeys(("triggerBy", "tpTriggerBy", "slTriggerBy", "smpOrderId", "marketUnit"), ""),
    "orderStatus": "Filled",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "timeInForce": "IOC",
    "orderType": "Market",
    "leavesQty": "0",
    "triggerDirection": 0,
    "closeOnTrigger": False,
    "reduceOnly": False,
    "smpType": "None",
    "slippageToleranceType": "UNKNOWN",
}
CONTRACT_ORDER = {
    **ORDER,
    **dict.fromkeys(("triggerPrice", "takeProfit", "stopLoss", "isLeverage", "feeCurrency"), ""),
    **dict.fromkeys(("slLimitPrice", "tpLimitPrice", "slippageTolerance", "leavesValue"), "0"),
    "category": "linear",
    "smpGroup": 0,
    "tpslMode": "UNKNOWN",
    "createType": "CreateByUser",
    "closedPnl": "0",
    "parentOrderLinkId": "",
}
SPOT_ORDER = {
    **ORDER,
    **dict.fromkeys(("triggerPrice", "takeProfit", "stopLoss"), "0.0"),
    **dict.fromkeys(("slLimitPrice", "tpLimitPrice"), "0.0"),
    "category": "spot",
    "smpGroup": "0",
    "isLeverage": "0",
    "slippageTolerance": "",
    "feeCurrency": "BTC",
    "rpiTakerAccess": False,
    "rpiMatchedQty": "0",
    "marketUnit": "baseCoin",
    "leavesValue": "0.0000000",
}
FILL: Mapping[str, Any] = {
    **dict.fromkeys(("symbol", "execFee", "execId", "execPrice", "execQty", "execValue"), ANY),
    **dict.fromkeys(("feeRate", "markPrice", "orderId", "orderPrice", "orderQty", "side"), ANY),
    **dict.fromkeys(("execTime", "seq"), ANY),
    **dict.fromkeys(("tradeIv", "markIv", "blockTradeId", "indexPrice", "underlyingPrice"), ""),
    "orderLinkId": "",
    "extraFees": "",
    "execType": "Trade",
    "isLeverage": "0",
    "orderType": "Market",
    "isMaker": False,
    "leavesQty": "0",
}
CONTRACT_FILL = {
    **FILL,
    "category": "linear",
    "closedSize": "0",
    "stopOrderType": "UNKNOWN",
    "execPnl": "0",
    "marketUnit": "",
    "createType": "CreateByUser",
    "feeCurrency": "USDT",
}
SPOT_FILL = {
    **FILL,
    "category": "spot",
    "closedSize": "",
    "stopOrderType": "",
    "execPnl": "",
    "markPrice": "",
    "marketUnit": "baseCoin",
    "feeCurrency": "BTC",
}


@pytest.mark.parametrize(
    ("category", "topic", "shape"),
    [
        ("linear", "order", CONTRACT_ORDER),
        ("spot", "order", SPOT_ORDER),
        ("linear", "execution", CONTRACT_FILL),
        ("spot", "execution", SPOT_FILL),
    ],
)
def test_a_pushed_row_is_as_recorded_ones_are(
    category: str, topic: str, shape: Mapping[str, Any]
) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe(topic)
    unit = {"marketUnit": "baseCoin"} if category == "spot" else {}
    trader.create(category, "BTCUSDT", "Buy", "0.010", **unit)
    row = rows(socket.heard(0.2), topic)[-1]
    assert row.keys() == shape.keys()
    assert {n: v for n, v in row.items() if shape[n] is not ANY} == {
        name: value for name, value in shape.items() if value is not ANY
    }


def test_numbers_of_contracts_are_pushed_without_what_they_do_not_need() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution", "position")
    trader.create("linear", "BTCUSDT", "Buy", "0.010")
    pass_time(venue, 0.1)
    frames = socket.heard()
    for topic, names in (
        ("order", ("price", "qty", "cumExecQty", "avgPrice", "lastPriceOnCreated")),
        ("execution", ("execPrice", "execQty", "orderPrice", "orderQty", "markPrice")),
        ("position", ("size", "entryPrice", "markPrice", "takeProfit", "trailingStop")),
    ):
        for row in rows(frames, topic):
            for name in names:
                assert row[name] == "" or row[name] == trimmed(Decimal(row[name])), (topic, name)
