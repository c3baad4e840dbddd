"""Orders of Binance and rows of its accounts, for the tests of this folder."""

from __future__ import annotations

import json
from typing import Any

from ccrs_binance.account_calls import ACCOUNT_CALLS
from ccrs_binance.foreign import instrument_of
from ccrs_binance.order_calls import ORDER_CALLS

from ccrs_core import (
    HttpRequest,
    HttpResponse,
    Instrument,
    Market,
    Order,
    OrderState,
    OrderType,
    Origin,
    PlaceOrder,
    Side,
    limit,
    market,
)

NOW_MS = 1_794_000_400_000
NOW_NS = NOW_MS * 10**6
CALLS = {**ORDER_CALLS, **ACCOUNT_CALLS}


def instrument(where: Market = Market.SPOT) -> Instrument:
    found = instrument_of("BTCUSD_PERP" if where is Market.INVERSE else "BTCUSDT", where)
    assert found is not None
    return found


SPOT, USDM, COINM = map(instrument, (Market.SPOT, Market.LINEAR, Market.INVERSE))


def order(where: Instrument = SPOT, side: str = "buy", **asked: Any) -> PlaceOrder:
    """A limit order that is to be placed."""
    given = {"price": "61000.1", "size": "0.020", **asked}
    return PlaceOrder(where, limit(where.symbol, side, **given), "own-1")


def at_market(where: Instrument = SPOT, side: str = "buy", **asked: Any) -> PlaceOrder:
    return PlaceOrder(where, market(where.symbol, side, **asked), "own-1")


def known(where: Instrument, **more: Any) -> Order:
    """What is known of an order that rests."""
    given: dict[str, Any] = {"price": None, "size": None, **more}
    return Order(
        exchange="binance",
        account="main",
        symbol=where.symbol,
        market=where.market,
        client_order_id="own-1",
        side=Side.BUY,
        type=OrderType.LIMIT,
        state=OrderState.OPEN,
        origin=Origin.OWN,
        **given,
    )


def sent(request: Any, cursor: str | None = None) -> HttpRequest:
    return CALLS[type(request)].encode(request, cursor)


def told(request: Any) -> tuple[str, str, dict[str, str]]:
    """Method, path and fields of what is sent."""
    http = sent(request)
    assert not http.body
    assert len(dict(http.query)) == len(http.query)
    return http.method, http.path, dict(http.query)


def read(request: Any, body: Any, cursor: str | None = None) -> Any:
    response = HttpResponse(200, {}, json.dumps(body).encode())
    return CALLS[type(request)].decode(request, response, NOW_NS, cursor)


def spot_row(**changes: Any) -> dict[str, Any]:
    """An order of spot that rests, as lists have it; None takes a field away."""
    row: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "orderId": 4711,
        "orderListId": -1,
        "clientOrderId": "own-1",
        "price": "61000.10000000",
        "origQty": "0.02000000",
        "executedQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": NOW_MS - 5000,
        "updateTime": NOW_MS,
        "isWorking": True,
        "workingTime": NOW_MS - 5000,
        "origQuoteOrderQty": "0.00000000",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}


def execution(**changes: Any) -> dict[str, Any]:
    """A report on an execution: an order of spot that rests."""
    row: dict[str, Any] = {
        "e": "executionReport",
        "E": NOW_MS + 1,
        "s": "BTCUSDT",
        "c": "own-1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.02000000",
        "p": "61000.10000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 4711,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": NOW_MS,
        "t": -1,
        "I": 8641984,
        "w": True,
        "m": False,
        "M": False,
        "O": NOW_MS - 5000,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": NOW_MS - 5000,
        "V": "EXPIRE_MAKER",
    }
    return {**row, **changes}


def futures_row(**changes: Any) -> dict[str, Any]:
    """An order of USD-M that rests, as lists have it; None takes a field away."""
    row: dict[str, Any] = {
        "avgPrice": "0.00",
        "clientOrderId": "own-1",
        "cumQuote": "0",
        "executedQty": "0",
        "orderId": 8389765543210,
        "origQty": "0.020",
        "origType": "LIMIT",
        "price": "61000.10",
        "reduceOnly": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "status": "NEW",
        "stopPrice": "0",
        "closePosition": False,
        "symbol": "BTCUSDT",
        "time": NOW_MS - 5000,
        "timeInForce": "GTC",
        "type": "LIMIT",
        "updateTime": NOW_MS,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}


def update(**changes: Any) -> dict[str, Any]:
    """An update of an order of USD-M that rests."""
    row: dict[str, Any] = {
        "s": "BTCUSDT",
        "c": "own-1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.020",
        "p": "61000.10",
        "ap": "0",
        "sp": "0",
        "x": "NEW",
        "X": "NEW",
        "i": 8389765543210,
        "l": "0",
        "z": "0",
        "L": "0",
        "n": "0",
        "N": "USDT",
        "T": NOW_MS,
        "t": 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": False,
        "wt": "CONTRACT_PRICE",
        "ot": "LIMIT",
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
        "pP": False,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}


def algo_row(**changes: Any) -> dict[str, Any]:
    """An order of USD-M that waits for a trigger, as lists have it; None takes a field away."""
    row: dict[str, Any] = {
        "algoId": 2146760,
        "clientAlgoId": "own-1",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0.020",
        "algoStatus": "NEW",
        "triggerPrice": "59000.00",
        "price": "0",
        "icebergQuantity": None,
        "selfTradePreventionMode": "NONE",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": True,
        "createTime": NOW_MS - 5000,
        "updateTime": NOW_MS,
        "triggerTime": 0,
        "goodTillDate": 0,
        "actualOrderId": "",
        "actualPrice": "0",
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}
