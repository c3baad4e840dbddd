"""Spot's orders, as they are sent.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#new-order-trade
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ccrs_binance.orders import (
    RESULT,
    SELF_TRADES,
    SIDES,
    TIMES_IN_FORCE,
    Body,
    ids,
    plain,
    with_native,
)
from ccrs_core import (
    AmendOrder,
    CancelOrder,
    Exit,
    OrderRequest,
    OrderType,
    PlaceOrder,
    PositionSide,
    ReplaceOrder,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
    Unsupported,
)

BIPS = 10_000
OTHER_SIDE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}

_FREE = frozenset({"selfTradePreventionMode", "timeInForce"})
"""What a user's own fields may say in place of what is said."""


def placing(request: PlaceOrder) -> Body:
    """The fields of ``/api/v3/order``.

    :raises Unsupported: where spot doesn't take such an order.
    """
    asked = request.order
    _check(asked)
    body: Body = {
        "symbol": request.instrument.native,
        "side": SIDES[asked.side],
        "type": _kind(asked),
        **_sized(asked),
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": RESULT,
    }
    if asked.price is not None:
        body["price"] = plain(asked.price)
        if not asked.post_only:
            body["timeInForce"] = TIMES_IN_FORCE[asked.time_in_force]
    if asked.trigger is not None:
        body |= _waiting(asked.trigger)
    _prevention(asked.self_trade_prevention, body)
    return with_native(body, asked.native, _FREE)


def _prevention(asked: SelfTradePrevention | None, body: Body) -> None:
    if asked is not None:
        body["selfTradePreventionMode"] = SELF_TRADES[asked]


def _check(asked: OrderRequest) -> None:
    """:raises Unsupported: of what no order of spot has."""
    if asked.position_side is not PositionSide.NET or asked.reduce_only:
        raise Unsupported("binance's spot has no positions that orders could be about")
    if asked.volatility is not None:
        raise Unsupported("only options are priced by volatility")
    trigger = asked.trigger
    if trigger is not None and trigger.by is not TriggerBy.LAST:
        raise Unsupported("triggers of spot follow the last price")
    if trigger is not None and asked.post_only:
        raise Unsupported("binance's spot orders that wait for a trigger can't be post-only")
    if trigger is not None and asked.size is None:
        raise Unsupported("binance: of orders that wait for a trigger the size is in base units")
    if asked.type is OrderType.MARKET and asked.time_in_force is TimeInForce.FOK:
        raise Unsupported("binance has no market orders that fill whole or not at all")


def _kind(asked: OrderRequest) -> str:
    if asked.trigger is None:
        if asked.type is OrderType.MARKET:
            return "MARKET"
        return "LIMIT_MAKER" if asked.post_only else "LIMIT"
    limited = asked.price is not None
    if isinstance(asked.trigger, Trailing):
        # Both kinds fire at a turn; they differ in where the price has to come to before that.
        begins = asked.trigger.activation is not None
        return f"{'TAKE_PROFIT' if begins else 'STOP_LOSS'}{'_LIMIT' if limited else ''}"
    return waiting_kind(asked.side, asked.trigger, limited)


def _waiting(trigger: Trigger | Trailing) -> Body:
    """https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md"""
    if isinstance(trigger, Trigger):
        return {"stopPrice": plain(trigger.price)}
    assert trigger.share is not None
    steps = trigger.share * BIPS
    if steps != steps.to_integral_value():
        raise Unsupported("binance's spot follows the price by whole hundredths of a percent")
    body = {"trailingDelta": f"{steps:.0f}"}
    if trigger.activation is not None:
        body["stopPrice"] = plain(trigger.activation)
    return body


def waiting_kind(side: Side, trigger: Trigger, limited: bool) -> str:
    """The type of an order that waits: stops fire where the price moves on, the others where it
    turns.

    https://developers.binance.com/docs/binance-spot-api-docs/faqs/stop_loss_take_profit
    """
    stops = trigger.rises is (side is Side.BUY)
    return f"{'STOP_LOSS' if stops else 'TAKE_PROFIT'}{'_LIMIT' if limited else ''}"


def _sized(asked: OrderRequest) -> Body:
    if asked.size is not None:
        return {"quantity": plain(asked.size)}
    assert asked.quote_size is not None
    return {"quoteOrderQty": plain(asked.quote_size)}


# --- orders with exits -------------------------------------------------------------------------


def has_exits(request: PlaceOrder) -> bool:
    """Whether it takes profits or stops losses once it is filled: a list of orders, then."""
    return request.order.take_profit is not None or request.order.stop_loss is not None


def listing(request: PlaceOrder) -> Body:
    """The fields of ``/api/v3/orderList/oto`` and, with both exits, ``otoco``: the exits are placed
    once the order is filled whole, each for its whole size.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#new-order-list---otoco-trade

    :raises Unsupported: where spot doesn't take such an order.
    """
    asked = request.order
    _check(asked)
    if asked.trigger is not None or asked.price is None or asked.size is None:
        raise Unsupported("binance attaches exits to plain limit orders alone")
    body: Body = {
        "symbol": request.instrument.native,
        "workingSide": SIDES[asked.side],
        "workingType": _kind(asked),
        "workingPrice": plain(asked.price),
        "workingQuantity": plain(asked.size),
        "workingClientOrderId": request.client_order_id,
        "pendingSide": SIDES[OTHER_SIDE[asked.side]],
        "pendingQuantity": plain(asked.size),
        "newOrderRespType": RESULT,
    }
    if not asked.post_only:
        body["workingTimeInForce"] = TIMES_IN_FORCE[asked.time_in_force]
    _prevention(asked.self_trade_prevention, body)
    sells = asked.side is Side.BUY
    legs = {"Above" if sells else "Below": (asked.take_profit, sells)}
    legs["Below" if sells else "Above"] = (asked.stop_loss, not sells)
    both = asked.take_profit is not None and asked.stop_loss is not None
    for place, (leg, rises) in legs.items():
        if leg is not None:
            body |= _leg(f"pending{place if both else ''}", leg, OTHER_SIDE[asked.side], rises)
    return with_native(body, asked.native, _FREE)


def _leg(start: str, leg: Exit, side: Side, rises: bool) -> Body:
    if leg.by is not TriggerBy.LAST:
        raise Unsupported("triggers of spot follow the last price")
    trigger = Trigger(price=leg.price, rises=rises)
    body = {
        f"{start}Type": waiting_kind(side, trigger, leg.limit_price is not None),
        f"{start}StopPrice": plain(leg.price),
    }
    if leg.limit_price is not None:
        body[f"{start}Price"] = plain(leg.limit_price)
        body[f"{start}TimeInForce"] = TIMES_IN_FORCE[TimeInForce.GTC]
    return body


# --- two of which one ends the other, and one in another's stead -----------------------------


def pair(items: Sequence[PlaceOrder]) -> Body:
    """The fields of ``/api/v3/orderList/oco``: of one side and size, one above the other.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#new-order-list---oco-trade

    :raises Unsupported: where spot doesn't take such a pair.
    """
    first, second = (item.order for item in items)
    for each in (first, second):
        _check(each)
        if each.take_profit is not None or each.stop_loss is not None:
            raise Unsupported("binance attaches no exits to a pair of orders")
        if each.native or (each.type is OrderType.MARKET and each.trigger is None):
            raise Unsupported("binance's pairs are of limit orders and of ones that wait")
    if (first.side, first.size) != (second.side, second.size) or first.size is None:
        raise Unsupported("binance's pairs are of one side and one size")
    if first.self_trade_prevention is not second.self_trade_prevention:
        raise Unsupported("binance's pairs have one self-trade prevention")
    above, below = sorted(items, key=_level, reverse=True)
    body: Body = {
        "symbol": items[0].instrument.native,
        "side": SIDES[first.side],
        "quantity": plain(first.size),
        "newOrderRespType": RESULT,
    }
    _prevention(first.self_trade_prevention, body)
    return body | _of_pair("above", above) | _of_pair("below", below)


def _level(item: PlaceOrder) -> Decimal:
    """Where an order of a pair is: at its trigger, or its price. One that follows the price is on
    the side to which that has to turn."""
    trigger, price = item.order.trigger, item.order.price
    if isinstance(trigger, Trigger):
        return trigger.price
    if isinstance(trigger, Trailing):
        if trigger.activation is not None:
            return trigger.activation
        return Decimal("Infinity") if item.order.side is Side.BUY else Decimal(0)
    assert price is not None
    return price


def _of_pair(start: str, item: PlaceOrder) -> Body:
    asked = item.order
    found: Body = {f"{start}ClientOrderId": item.client_order_id}
    if asked.trigger is None:
        if not asked.post_only:
            raise Unsupported("what rests of binance's pairs has to be post-only: say so")
        assert asked.price is not None
        return found | {f"{start}Type": "LIMIT_MAKER", f"{start}Price": plain(asked.price)}
    found[f"{start}Type"] = _kind(asked)
    for name, value in _waiting(asked.trigger).items():
        found[f"{start}{name[0].upper()}{name[1:]}"] = value
    if asked.price is not None:
        found[f"{start}Price"] = plain(asked.price)
        found[f"{start}TimeInForce"] = TIMES_IN_FORCE[asked.time_in_force]
    return found


def replacing(request: ReplaceOrder) -> Body:
    """The fields of ``/api/v3/order/cancelReplace``, by which nothing is placed unless what is
    canceled was untouched.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-an-existing-order-and-send-a-new-order-trade
    """
    named = {f"cancel{name[0].upper()}{name[1:]}": v for name, v in ids(request.cancel).items()}
    return {
        **placing(request.place),
        **named,
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelRestrictions": "ONLY_NEW",
    }


# --- amending and canceling ------------------------------------------------------------------


def amending(request: AmendOrder) -> Body:
    """The fields of ``/api/v3/order/amend/keepPriority``: a smaller size, and nothing else. The
    order keeps its place, and its client id, since that is said anew.

    https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority

    :raises Unsupported: where more than the size is to change.
    """
    further = (request.price, request.trigger, request.take_profit, request.stop_loss)
    if any(each is not None for each in further) or request.volatility is not None:
        raise Unsupported(
            "binance's spot makes orders smaller, and changes nothing else: account.replace() "
            "cancels and places anew"
        )
    if request.size is None:
        raise Unsupported("nothing is to change")
    body = {"symbol": request.instrument.native, **ids(request), "newQty": plain(request.size)}
    if request.client_order_id:
        body["newClientOrderId"] = request.client_order_id
    return body


def canceling(request: CancelOrder) -> Body:
    """The fields of a cancel: orders that wait for a trigger are canceled as all others are."""
    return {"symbol": request.instrument.native, **ids(request)}
