"""Rows of accounts as OKX spells them, for the tests of this folder."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ccrs_okx.account_info import account_info

from ccrs_core import AccountInfo, Instrument, Market, OptionKind

NOW_MS = 1_794_000_400_000
NOW_NS = NOW_MS * 10**6


def instrument(market: Market = Market.LINEAR, **more: Any) -> Instrument:
    """One of each market; a contract of the linear one and of the option is 0.01 BTC."""
    given: dict[Market, dict[str, Any]] = {
        Market.SPOT: {"symbol": "BTC/USDT", "native": "BTC-USDT", "quote": "USDT"},
        Market.LINEAR: {
            "symbol": "BTC/USDT:USDT",
            "native": "BTC-USDT-SWAP",
            "quote": "USDT",
            "settle": "USDT",
            "lot_size": Decimal("0.001"),
            "base_per_native_contract": Decimal("0.01"),
        },
        Market.INVERSE: {
            "symbol": "BTC/USD:BTC",
            "native": "BTC-USD-SWAP",
            "quote": "USD",
            "settle": "BTC",
            "quote_per_contract": Decimal(100),
        },
        Market.OPTION: {
            "symbol": "BTC/USD:BTC-261225-100000-C",
            "native": "BTC-USD-261225-100000-C",
            "quote": "USD",
            "settle": "BTC",
            "strike": Decimal(100000),
            "option_kind": OptionKind.CALL,
            "base_per_native_contract": Decimal("0.01"),
        },
    }
    return Instrument(exchange="okx", market=market, base="BTC", **{**given[market], **more})


def account(level: str = "3", mode: str = "net_mode", **more: Any) -> AccountInfo:
    """What is known of an account in a mode."""
    return account_info({"acctLv": level, "posMode": mode, "uid": "17", **more}, "main")


def order_row(**changes: Any) -> dict[str, Any]:
    """An order that rests; None takes a field away."""
    row = {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "ordId": "3967",
        "clOrdId": "ccrs1",
        "tag": "ccrs",
        "px": "98000.10",
        "pxUsd": "",
        "pxVol": "",
        "pxType": "",
        "sz": "5",
        "ordType": "limit",
        "side": "buy",
        "posSide": "net",
        "tdMode": "cross",
        "tgtCcy": "",
        "ccy": "",
        "accFillSz": "0",
        "fillPx": "",
        "tradeId": "",
        "fillSz": "0",
        "fillTime": "",
        "fillFee": "0",
        "fillFeeCcy": "",
        "execType": "",
        "avgPx": "0",
        "state": "live",
        "lever": "5",
        "feeCcy": "USDT",
        "fee": "0",
        "rebateCcy": "USDT",
        "rebate": "0",
        "source": "",
        "category": "normal",
        "reduceOnly": "false",
        "cancelSource": "",
        "amendSource": "",
        "amendResult": "",
        "reqId": "",
        "code": "0",
        "msg": "",
        "algoId": "",
        "algoClOrdId": "",
        "cTime": "1794000300000",
        "uTime": "1794000300250",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def traded(
    trade: str, size: str, total: str, state: str = "partially_filled", **changes: Any
) -> Any:
    """An order of which a part was just traded."""
    told = {
        "state": state,
        "tradeId": trade,
        "fillSz": size,
        "fillPx": "98000.10",
        "fillTime": "1794000301000",
        "fillFee": "-0.098",
        "fillFeeCcy": "USDT",
        "execType": "M",
        "accFillSz": total,
        "avgPx": "98000.10",
        "uTime": "1794000301001",
    }
    return order_row(**{**told, **changes})


def fill_row(**changes: Any) -> dict[str, Any]:
    """A trade of a list; None takes a field away."""
    row = {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "tradeId": "881",
        "ordId": "3967",
        "clOrdId": "ccrs1",
        "billId": "900001",
        "subType": "1",
        "tag": "ccrs",
        "fillPx": "98000.10",
        "fillSz": "3",
        "side": "buy",
        "posSide": "net",
        "execType": "T",
        "feeCcy": "USDT",
        "fee": "-1.47",
        "fillPnl": "0",
        "ts": "1794000301003",
        "fillTime": "1794000301000",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def algo_row(**changes: Any) -> dict[str, Any]:
    """An order that stops losses; None takes a field away."""
    row = {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "algoId": "7001",
        "algoClOrdId": "ccrst1",
        "ordId": "",
        "ordIdList": [],
        "ordType": "conditional",
        "side": "sell",
        "posSide": "net",
        "tdMode": "cross",
        "tgtCcy": "",
        "sz": "5",
        "state": "live",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tpOrdPx": "",
        "slTriggerPx": "95000",
        "slTriggerPxType": "mark",
        "slOrdPx": "-1",
        "triggerPx": "",
        "triggerPxType": "",
        "ordPx": "",
        "last": "98000",
        "failCode": "",
        "reduceOnly": "true",
        "cTime": "1794000300000",
        "uTime": "1794000300000",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def position_row(**changes: Any) -> dict[str, Any]:
    """A long position of net mode; None takes a field away."""
    row = {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "mgnMode": "cross",
        "posId": "1752",
        "posSide": "net",
        "pos": "5.5",
        "posCcy": "",
        "avgPx": "98000.1",
        "markPx": "98001",
        "liqPx": "",
        "lever": "5",
        "imr": "1078",
        "mmr": "21.5",
        "upl": "0.5",
        "realizedPnl": "-1.47",
        "ccy": "USDT",
        "liab": "",
        "liabCcy": "",
        "tradeId": "881",
        "uTime": "1794000301002",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def detail_row(**changes: Any) -> dict[str, Any]:
    """A currency of an account; None takes a field away."""
    row = {
        "ccy": "USDT",
        "cashBal": "1000",
        "eq": "950",
        "availBal": "700",
        "availEq": "700",
        "frozenBal": "250",
        "ordFrozen": "20",
        "upl": "-50",
        "liab": "",
        "uTime": "1794000300000",
    } | changes
    return {name: value for name, value in row.items() if value is not None}
