"""Rows of orders, of answers and of the topic ``order`` alike.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from __future__ import annotations

from decimal import Decimal

from ccrs_bybit import fields
from ccrs_bybit.fields import NOTHING, Row
from ccrs_bybit.order_states import BY_EXCHANGE, CANCEL_FAILED, NO_REASON, STATES, ended
from ccrs_core import (
    NS_PER_SECOND,
    EndReason,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    StrangeReport,
    TimeInForce,
    Trigger,
    TriggerBy,
)
from ccrs_core.wire import fast_constructor

TYPES = {"Limit": OrderType.LIMIT, "Market": OrderType.MARKET}

TIMES_IN_FORCE = {
    "GTC": (TimeInForce.GTC, False),
    "IOC": (TimeInForce.IOC, False),
    "FOK": (TimeInForce.FOK, False),
    "PostOnly": (TimeInForce.GTC, True),
    # For retail price improvement: post-only, too.
    "RPI": (TimeInForce.GTC, True),
}
"""How long it waits, and whether it must rest.

https://bybit-exchange.github.io/docs/v5/enum#timeinforce
"""

TRIGGERED_BY = {
    "LastPrice": TriggerBy.LAST,
    "MarkPrice": TriggerBy.MARK,
    "IndexPrice": TriggerBy.INDEX,
}

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})

DETAILS = (
    *("stopOrderType", "createType", "orderFilter", "orderIv", "placeType", "marketUnit"),
    *("isLeverage", "closeOnTrigger", "smpType", "smpGroup", "smpOrderId"),
    *("takeProfit", "stopLoss", "tpslMode", "tpSlMode", "tpLimitPrice", "slLimitPrice"),
    *("tpTriggerBy", "slTriggerBy", "ocoTriggerBy", "triggerPrice", "triggerBy"),
    *("slippageToleranceType", "slippageTolerance", "rpiTakerAccess", "rpiMatchedQty"),
    *("leavesValue", "cumFeeDetail", "closedPnl", "blockTradeId", "extraFees"),
)
"""Fields that have no unified name."""
_report = fast_constructor(OrderReport)


_MOMENT_NS = 5 * NS_PER_SECOND
"""For how long an order may be just triggered."""


def order(
    row: Row, market: Market | None, received_time_ns: int, told_ns: int | None = None
) -> OrderReport | StrangeReport:
    """What a row says of an order; one in a state that nobody knows is strange.

    :param told_ns: when the exchange said so, by its clock, where the row tells how an order rests.
        Of one of spot that was triggered a while ago, another order has taken the place.
    """
    market = fields.market_of(row, market)
    native, time_ns = fields.needed(row, "symbol"), fields.time(row, "updatedTime")
    status = row["orderStatus"]
    state = STATES.get(status)
    if state is None:
        return StrangeReport(
            what=f"orderStatus {fields.needed(row, 'orderStatus')}",
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("orderId", "orderLinkId", *DETAILS)),
        )
    kind = TYPES.get(row.get("orderType", ""))
    time_in_force, post_only = TIMES_IN_FORCE.get(row.get("timeInForce", ""), (None, None))
    filled = fields.size(row, "cumExecQty")
    cancel_type, reject_reason = fields.text(row, "cancelType"), fields.text(row, "rejectReason")
    late = state is OrderState.FILLED and reject_reason in CANCEL_FAILED
    reason: EndReason | None = None
    if state.final and state is not OrderState.FILLED:
        at_once = kind is OrderType.MARKET or time_in_force in _AT_ONCE
        if status == "Deactivated" or fields.price(row, "triggerPrice"):
            at_once = False  # it may have ended before it came to life
        state, reason = ended(
            state, cancel_type, reject_reason, at_once=at_once, filled=bool(filled)
        )
    rests = told_ns is not None and time_ns is not None and told_ns - time_ns >= _MOMENT_NS
    fired = status == "Triggered" and market is Market.SPOT and rests
    size = fields.price(row, "qty")
    in_quote = _in_quote(row, market, kind)
    return _report(
        market=market,
        native=native,
        exchange_order_id=fields.needed(row, "orderId"),
        client_order_id=fields.text(row, "orderLinkId"),
        state=state,
        reason=reason,
        reason_text=" ".join(
            each for each in (cancel_type, reject_reason) if each not in NO_REASON
        ),
        side=fields.side(row),
        type=kind,
        size=None if in_quote else size,
        quote_size=size if in_quote else None,
        price=fields.price(row, "price"),
        filled_size=filled,
        filled_value=fields.size(row, "cumExecValue"),
        average_price=fields.price(row, "avgPrice"),
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=fields.flag(row, "reduceOnly"),
        position_side=fields.position_side(row),
        trigger=_trigger(row),
        fired=fired,
        parent_id=fields.text(row, "parentOrderLinkId"),
        by_exchange=row.get("createType") in BY_EXCHANGE,
        created_ns=fields.time(row, "createdTime"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        sequence=None,
        late=late,
        native_fields=fields.details(row, DETAILS),
    )


def _in_quote(row: Row, market: Market, kind: OrderType | None) -> bool:
    """Whether the size is in quote units: of market orders of spot that say so, and of buys among
    them that don't say."""
    if market is not Market.SPOT or kind is not OrderType.MARKET:
        return False
    unit = fields.text(row, "marketUnit")
    return row.get("side") == "Buy" if unit in NOTHING else unit == "quoteCoin"


def _trigger(row: Row) -> Trigger | None:
    """The condition of an order that has one; None where the row doesn't say which way it lies."""
    if fields.text(row, "stopOrderType") == "TrailingStop":
        return None  # its price is where it begins to follow
    price = fields.price(row, "triggerPrice")
    if price is None:
        return None
    rises = _rises(row, price)
    by = TRIGGERED_BY.get(row.get("triggerBy", ""), TriggerBy.LAST)
    return None if rises is None else Trigger(price=price, rises=rises, by=by)


def _rises(row: Row, price: Decimal) -> bool | None:
    direction = row.get("triggerDirection")
    if direction in {1, 2}:
        return bool(direction == 1)
    # Of spot the last price as the order was made tells it.
    last = fields.price(row, "basePrice") or fields.price(row, "lastPriceOnCreated")
    return None if last is None or last == price else price > last
