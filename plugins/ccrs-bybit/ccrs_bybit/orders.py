"""What is sent to place, amend and cancel orders, and what is answered: by HTTP and by the socket
of order entry alike.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccrs_bybit.error_codes import error_of_code
from ccrs_bybit.fields import NOTHING
from ccrs_core import (
    AmendOrder,
    AmendOrders,
    Answer,
    CancelOrder,
    CancelOrders,
    CcrsError,
    ExchangeUnavailable,
    Exit,
    Instrument,
    Market,
    OrderType,
    OutcomeUnknown,
    Placed,
    PlaceOrder,
    PlaceOrders,
    PositionSide,
    Request,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
    Unsupported,
    UsageError,
)
from ccrs_core.wire import ns_of_ms, ns_or_none, spelled

Body = dict[str, Any]
Done = Placed | CcrsError

SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
TYPES = {OrderType.LIMIT: "Limit", OrderType.MARKET: "Market"}
TIMES_IN_FORCE = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
TRIGGERED_BY = {
    TriggerBy.LAST: "LastPrice",
    TriggerBy.MARK: "MarkPrice",
    TriggerBy.INDEX: "IndexPrice",
}
SELF_TRADES = {
    SelfTradePrevention.NONE: "None",
    SelfTradePrevention.CANCEL_MAKER: "CancelMaker",
    SelfTradePrevention.CANCEL_TAKER: "CancelTaker",
    SelfTradePrevention.CANCEL_BOTH: "CancelBoth",
}
POSITIONS = {PositionSide.LONG: 1, PositionSide.SHORT: 2}

CONTRACTS = frozenset({Market.LINEAR, Market.INVERSE})
LONGEST_BATCH = {Market.SPOT: 10, Market.LINEAR: 20, Market.INVERSE: 20, Market.OPTION: 20}
"""https://bybit-exchange.github.io/docs/v5/order/batch-place"""


def plain(number: Decimal) -> str:
    """A number's digits, without an exponent."""
    return f"{number:f}"


# --- placing ---------------------------------------------------------------------------------


def placing(request: PlaceOrder) -> Body:
    """The fields of ``/v5/order/create``, without the category.

    :raises Unsupported: where Bybit doesn't take such an order.
    """
    asked, instrument = request.order, request.instrument
    body: Body = {
        "symbol": instrument.native,
        "side": SIDES[asked.side],
        "orderType": TYPES[asked.type],
    }
    if asked.type is OrderType.MARKET:
        body |= _market_size(request)
        if asked.time_in_force is TimeInForce.FOK:
            raise Unsupported("bybit has no market orders that fill whole or not at all")
        body["timeInForce"] = "IOC"
    else:
        assert asked.size is not None
        body["qty"] = plain(asked.size)
        body |= _price(request)
        body["timeInForce"] = "PostOnly" if asked.post_only else TIMES_IN_FORCE[asked.time_in_force]
    body["orderLinkId"] = request.client_order_id
    if asked.position_side is not PositionSide.NET:
        if instrument.market is not Market.LINEAR:
            raise Unsupported("bybit has two positions of one instrument in linear markets alone")
        body["positionIdx"] = POSITIONS[asked.position_side]
    if asked.reduce_only:
        if instrument.market is Market.SPOT:
            raise Unsupported("there is no position of spot that could be reduced")
        if asked.take_profit or asked.stop_loss:
            raise Unsupported("bybit attaches no exits to orders that only reduce")
        body["reduceOnly"] = True
    if asked.self_trade_prevention is not None:
        body["smpType"] = SELF_TRADES[asked.self_trade_prevention]
    if asked.trigger is not None:
        body |= _trigger(instrument, asked.trigger)
    body |= _exits(instrument, asked.take_profit, asked.stop_loss, asked.type)
    return _with_native(body, asked.native)


def _market_size(request: PlaceOrder) -> Body:
    asked = request.order
    if request.instrument.market is not Market.SPOT:
        if asked.size is None:
            raise Unsupported("bybit takes sizes in the quote currency for spot alone")
        return {"qty": plain(asked.size)}
    # A market buy's size would be in quote units by default.
    if asked.size is not None:
        return {"qty": plain(asked.size), "marketUnit": "baseCoin"}
    assert asked.quote_size is not None
    return {"qty": plain(asked.quote_size), "marketUnit": "quoteCoin"}


def _price(request: PlaceOrder) -> Body:
    asked = request.order
    if asked.price is not None:
        return {"price": plain(asked.price)}
    assert asked.volatility is not None
    if request.instrument.market is not Market.OPTION:
        raise Unsupported("only options are priced by volatility")
    return {"orderIv": plain(asked.volatility)}


def _trigger(instrument: Instrument, trigger: Trigger | Trailing) -> Body:
    if instrument.market is Market.OPTION:
        raise Unsupported("bybit's orders of options wait for no trigger")
    if isinstance(trigger, Trailing):
        raise Unsupported("bybit's trailing stops are of positions, and no orders")
    if instrument.market is Market.SPOT:
        if trigger.by is not TriggerBy.LAST:
            raise Unsupported("triggers of spot follow the last price")
        # Assets are taken when it comes to life. Which way the price must go follows from where it
        # is: nothing says it.
        return {"triggerPrice": plain(trigger.price), "orderFilter": "StopOrder"}
    return {
        "triggerPrice": plain(trigger.price),
        "triggerDirection": 1 if trigger.rises else 2,
        "triggerBy": TRIGGERED_BY[trigger.by],
    }


def _exits(
    instrument: Instrument, profit: Exit | None, loss: Exit | None, kind: OrderType | None
) -> Body:
    """What takes profits and stops losses. Exits of the whole position are market orders; those of
    what the order fills may have limits."""
    body: Body = {}
    limits = any(each is not None and each.limit_price is not None for each in (profit, loss))
    market = instrument.market
    if profit is None and loss is None:
        return body
    if market is Market.SPOT and kind is OrderType.MARKET:
        raise Unsupported("bybit attaches exits to limit orders of spot alone")
    if market is Market.OPTION and limits:
        raise Unsupported("exits of options are market orders")
    for name, each in (("tp", profit), ("sl", loss)):
        if each is None:
            continue
        body["takeProfit" if name == "tp" else "stopLoss"] = plain(each.price)
        if market in CONTRACTS:
            body[f"{name}TriggerBy"] = TRIGGERED_BY[each.by]
        elif each.by is not TriggerBy.LAST:
            raise Unsupported(f"exits of {market.value} follow the last price")
        if market is Market.OPTION:
            continue
        body[f"{name}OrderType"] = "Market" if each.limit_price is None else "Limit"
        if each.limit_price is not None:
            body[f"{name}LimitPrice"] = plain(each.limit_price)
    if market in CONTRACTS:
        body["tpslMode"] = "Partial" if limits else "Full"
    return body


def _with_native(body: Body, native: Mapping[str, Any]) -> Body:
    taken = sorted(set(native) & {*body, "category", "symbol", "orderLinkId", "qty", "price"})
    if taken:
        raise UsageError(f"native fields can't replace what is said otherwise: {', '.join(taken)}")
    return {**body, **native}


# --- amending and canceling ------------------------------------------------------------------


def amending(request: AmendOrder, *, alone: bool = True) -> Body:
    """The fields of ``/v5/order/amend``, without the category. ``alone``: not in a batch.

    :raises Unsupported: where Bybit doesn't amend that.
    """
    if request.conditional and not alone:
        raise Unsupported("bybit amends orders that wait for a trigger one by one")
    instrument = request.instrument
    body = {"symbol": instrument.native, **_id(request)}
    for name, number in (("qty", request.size), ("price", request.price)):
        if number is not None:
            body[name] = plain(number)
    if request.volatility is not None:
        if instrument.market is not Market.OPTION:
            raise Unsupported("only options are priced by volatility")
        body["orderIv"] = plain(request.volatility)
    if request.trigger is not None:
        if instrument.market is Market.OPTION:
            raise Unsupported("bybit's orders of options wait for no trigger")
        body["triggerPrice"] = plain(request.trigger.price)
        if instrument.market in CONTRACTS:
            body["triggerBy"] = TRIGGERED_BY[request.trigger.by]
    body |= _exits(instrument, request.take_profit, request.stop_loss, None)
    for name in ("tpOrderType", "slOrderType"):
        body.pop(name, None)  # an exit stays of the kind that it was
    if body.get("tpslMode") == "Full":
        del body["tpslMode"]
    return body


def canceling(request: CancelOrder, *, alone: bool = True) -> Body:
    """The fields of ``/v5/order/cancel``, without the category."""
    body = {"symbol": request.instrument.native, **_id(request)}
    if request.instrument.market is Market.SPOT and (kind := _filter_of(request)):
        if not alone:
            raise Unsupported("bybit cancels spot orders that wait for a trigger one by one")
        body["orderFilter"] = kind
    return body


def _filter_of(request: CancelOrder) -> str:
    """Which list of spot an order is in; empty for the usual one."""
    told = request.native.get("stopOrderType", "")
    if told in {"tpslOrder", "OcoOrder", "BidirectionalTpslOrder"}:
        return told
    return "StopOrder" if request.conditional else ""


def _id(request: AmendOrder | CancelOrder) -> Body:
    if request.exchange_order_id:
        return {"orderId": request.exchange_order_id}
    if request.client_order_id:
        return {"orderLinkId": request.client_order_id}
    raise UsageError("neither the exchange's id of the order nor the client's is given")


# --- all of them -----------------------------------------------------------------------------

Alone = PlaceOrder | AmendOrder | CancelOrder
Several = PlaceOrders | AmendOrders | CancelOrders

_ALONE: dict[type[Any], Callable[..., Body]] = {
    PlaceOrder: placing,
    AmendOrder: amending,
    CancelOrder: canceling,
}

OPS: dict[type[Request[Any]], str] = {
    PlaceOrder: "create",
    AmendOrder: "amend",
    CancelOrder: "cancel",
    PlaceOrders: "create-batch",
    AmendOrders: "amend-batch",
    CancelOrders: "cancel-batch",
}
"""Their names, in paths and on the socket."""


def body_of(request: Alone | Several) -> Body:
    """All that is sent.

    :raises Unsupported: where Bybit doesn't do that.
    :raises UsageError: where too much is asked for at once.
    """
    if isinstance(request, Alone):
        return {"category": request.market.value, **_ALONE[type(request)](request)}
    market, items = request.market, request.items
    if len(items) > LONGEST_BATCH[market]:
        raise UsageError(f"a batch of {market.value} has at most {LONGEST_BATCH[market]} orders")
    if any(item.market is not market for item in items):
        raise UsageError("a batch is of one market")
    return {"category": market.value, "request": [_item(item) for item in items]}


def _item(item: Alone) -> Body:
    return placing(item) if isinstance(item, PlaceOrder) else _ALONE[type(item)](item, alone=False)


def answer_of(request: Alone | Several, result: Any, extra: Any, answered: Any) -> Answer[Any]:
    """What was answered, by ``result`` and ``retExtInfo``; ``answered``: the time of that."""
    taken_ns = ns_or_none(answered)
    if isinstance(request, Alone):
        return Answer(_placed(request, result, taken_ns))
    told = extra.get("list") if isinstance(extra, dict) else None
    rows = result.get("list") if isinstance(result, dict) else None
    items: Sequence[Alone] = request.items
    done = [
        _done(item, _at(rows, index), _at(told, index), taken_ns)
        for index, item in enumerate(items)
    ]
    return Answer(done)


def _at(rows: Any, index: int) -> Mapping[str, Any]:
    row = rows[index] if type(rows) is list and index < len(rows) else None
    return row if type(row) is dict else {}


def _placed(item: Alone, row: Mapping[str, Any], taken_ns: int | None) -> Placed:
    """:raises ValueError: (or kin) where the row is of another order."""
    identity, own = spelled(row["orderId"]), row.get("orderLinkId") or ""
    if not identity:
        raise ValueError("orderId is blank")
    if _differs(item.client_order_id, own):
        raise ValueError(f"the answer is about {own!r:.60}")
    exchange_id = "" if isinstance(item, PlaceOrder) else item.exchange_order_id
    if _differs(exchange_id, identity):
        raise ValueError(f"the answer is about {identity!r:.60}")
    return Placed(exchange_order_id=identity, client_order_id=spelled(own), taken_ns=taken_ns)


def _differs(asked: str, told: str) -> bool:
    # An example of the documents loses a hyphen at the beginning.
    return bool(asked and told not in NOTHING and told.lstrip("-") != asked.lstrip("-"))


def _done(
    item: Alone, row: Mapping[str, Any], told: Mapping[str, Any], taken_ns: int | None
) -> Done:
    """What became of one item of a batch; never of another one."""
    code, text = told.get("code"), str(told.get("msg") or "no reason given")
    if type(code) is not int:
        return OutcomeUnknown("", "the answer says nothing of this one")
    if code != 0:
        error = error_of_code(code, text)
        if not isinstance(error, ExchangeUnavailable):
            return error
        unknown = OutcomeUnknown(error.code, error.text)
        unknown.__cause__ = error
        return unknown
    try:
        created = row.get("createAt")
        return _placed(item, row, ns_of_ms(created) if created else taken_ns)
    except (KeyError, TypeError, ValueError) as error:
        unknown = OutcomeUnknown("", f"it was taken, but its row can't be read: {error!r}"[:200])
        unknown.__cause__ = error
        return unknown
