"""Rows of accounts as Bybit spells them, for the tests of this folder."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ccrs_core import Instrument, Market

NOW_MS = 1_794_000_400_000
NOW_NS = NOW_MS * 10**6


def instrument(market: Market = Market.LINEAR, native: str = "BTCUSDT") -> Instrument:
    settle = {Market.SPOT: None, Market.INVERSE: "BTC"}.get(market, "USDT")
    symbol = {Market.SPOT: "BTC/USDT", Market.INVERSE: "BTC/USD:BTC"}.get(market, "BTC/USDT:USDT")
    return Instrument(
        exchange="bybit",
        symbol=symbol,
        native=native,
        market=market,
        base="BTC",
        quote="USD" if market is Market.INVERSE else "USDT",
        settle=settle,
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        quote_per_contract=Decimal(1) if market is Market.INVERSE else None,
        strike=Decimal(90000) if market is Market.OPTION else None,
    )


def order_row(**changes: Any) -> dict[str, Any]:
    """An order that rests; None takes a field away."""
    row = {
        "orderId": "0a1b",
        "orderLinkId": "ccrs-1",
        "parentOrderLinkId": "",
        "symbol": "BTCUSDT",
        "category": "linear",
        "price": "98000.10",
        "qty": "0.020",
        "side": "Buy",
        "positionIdx": 0,
        "orderStatus": "New",
        "createType": "CreateByUser",
        "cancelType": "UNKNOWN",
        "rejectReason": "EC_NoError",
        "avgPrice": "",
        "leavesQty": "0.020",
        "leavesValue": "1960.002",
        "cumExecQty": "0.000",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "cumFeeDetail": {},
        "timeInForce": "GTC",
        "orderType": "Limit",
        "stopOrderType": "UNKNOWN",
        "orderIv": "",
        "marketUnit": "",
        "triggerPrice": "0.00",
        "takeProfit": "",
        "stopLoss": "",
        "triggerDirection": 0,
        "triggerBy": "UNKNOWN",
        "lastPriceOnCreated": "98200.00",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "smpType": "None",
        "smpGroup": 0,
        "createdTime": "1794000300000",
        "updatedTime": "1794000300250",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def fill_row(**changes: Any) -> dict[str, Any]:
    """A trade; None takes a field away."""
    row = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "0a1b",
        "orderLinkId": "ccrs-1",
        "side": "Buy",
        "orderPrice": "98000.10",
        "orderQty": "0.020",
        "leavesQty": "0.012",
        "createType": "CreateByUser",
        "orderType": "Limit",
        "stopOrderType": "UNKNOWN",
        "execFee": "0.43120044",
        "execId": "7e57-01",
        "execPrice": "98000.10",
        "execQty": "0.008",
        "execType": "Trade",
        "execValue": "784.0008",
        "execTime": "1794000300250",
        "feeCurrency": "USDT",
        "isMaker": False,
        "feeRate": "0.00055",
        "markPrice": "98001.00",
        "closedSize": "0.000",
        "execPnl": "0",
        "seq": 9_000_001,
        "extraFees": "",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def position_row(**changes: Any) -> dict[str, Any]:
    """A long position of one-way mode; None takes a field away."""
    row = {
        "positionIdx": 0,
        "riskId": 1,
        "symbol": "BTCUSDT",
        "category": "linear",
        "side": "Buy",
        "size": "0.008",
        "avgPrice": "98000.10",
        "positionValue": "784.0008",
        "positionStatus": "Normal",
        "leverage": "10",
        "markPrice": "98001.00",
        "liqPrice": "",
        "positionIM": "78.40008",
        "positionMM": "3.92",
        "unrealisedPnl": "0.0072",
        "curRealisedPnl": "-0.43120044",
        "cumRealisedPnl": "-12.5",
        "adlRankIndicator": 2,
        "createdTime": "1790000000000",
        "updatedTime": "1794000300260",
        "seq": 9_000_001,
        "isReduceOnly": False,
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def coin_row(**changes: Any) -> dict[str, Any]:
    """A coin of a unified account's wallet; None takes a field away."""
    row = {
        "coin": "USDT",
        "equity": "950",
        "usdValue": "949.9",
        "walletBalance": "1000",
        "locked": "20",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": "30.5",
        "totalPositionIM": "78.40008",
        "totalPositionMM": "3.92",
        "unrealisedPnl": "-50",
        "cumRealisedPnl": "-12.5",
        "bonus": "0",
    } | changes
    return {name: value for name, value in row.items() if value is not None}
