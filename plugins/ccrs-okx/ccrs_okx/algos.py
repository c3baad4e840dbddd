"""Orders that wait for a trigger: what is sent to place and cancel them, and what is answered.

OKX keeps them apart from the others, under ids of their own. Of its kinds ``conditional`` is the
one that says which way the price has to go, and that may only reduce a position.
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-post-place-algo-order
"""

from __future__ import annotations

from typing import Any

from ccrs_core import (
    Answer,
    CancelOrder,
    Exit,
    Market,
    OrderType,
    Placed,
    PlaceOrder,
    Side,
    TimeInForce,
    Trailing,
    TriggerBy,
    Unsupported,
    UsageError,
)
from ccrs_okx.orders import (
    Body,
    common,
    contracts,
    exit_fields,
    margin_size,
    on_margin,
    placed,
    plain,
    with_native,
)


def waits(request: Any) -> bool:
    """Whether a request is about an order that waits for a trigger."""
    if isinstance(request, PlaceOrder):
        return request.order.trigger is not None
    return isinstance(request, CancelOrder) and request.conditional


def waiting(request: PlaceOrder) -> Body:
    """The fields of ``/api/v5/trade/order-algo``.

    :raises Unsupported: where OKX has no such order.
    """
    asked, instrument = request.order, request.instrument
    trigger, market = asked.trigger, instrument.market
    assert trigger is not None
    if market is Market.OPTION:
        raise Unsupported("okx's orders of options wait for no trigger")
    if asked.post_only or asked.time_in_force is not TimeInForce.GTC:
        raise Unsupported("okx: what a trigger places is a plain limit order, or a market order")
    if asked.take_profit is not None or asked.stop_loss is not None:
        raise Unsupported("okx attaches no exits to orders that wait for a trigger")
    if asked.self_trade_prevention is not None:
        raise Unsupported("okx: orders that wait for a trigger follow the account's prevention")
    body: Body = {
        "instId": instrument.native,
        **common(request),
        "ordType": "conditional",
        "algoClOrdId": request.client_order_id,
    }
    body |= _size(request)
    if isinstance(trigger, Trailing):
        return with_native(body | _trailing(trigger), asked.native)
    # Where it takes profits a sell fires as the price rises, where it stops losses as it falls.
    name = "tp" if trigger.rises is (asked.side is Side.SELL) else "sl"
    fires = Exit(price=trigger.price, limit_price=asked.price, by=trigger.by)
    body |= exit_fields(name, fires, market)
    return with_native(body, asked.native)


def _size(request: PlaceOrder) -> Body:
    asked, instrument = request.order, request.instrument
    if asked.type is OrderType.MARKET and on_margin(request):
        return margin_size(asked)
    buys_at_market = asked.side is Side.BUY and asked.type is OrderType.MARKET
    # A size would be in quote units by default.
    unit = "quote_ccy" if asked.size is None else "base_ccy"
    said = {"tgtCcy": unit} if instrument.market is Market.SPOT and buys_at_market else {}
    if asked.size is not None:
        return {"sz": contracts(asked.size, instrument), **said}
    if not said:
        raise Unsupported("okx: of orders that wait, spot buys alone have a size in quote units")
    assert asked.quote_size is not None
    return {"sz": plain(asked.quote_size), **said}


def _trailing(trigger: Trailing) -> Body:
    """https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-post-place-algo-order"""
    if trigger.by is not TriggerBy.LAST:
        raise Unsupported("okx's trailing stops follow the last price")
    body: Body = {"ordType": "move_order_stop"}
    if trigger.share is not None:
        body["callbackRatio"] = plain(trigger.share)
    else:
        assert trigger.distance is not None
        body["callbackSpread"] = plain(trigger.distance)
    if trigger.activation is not None:
        body["activePx"] = plain(trigger.activation)
    return body


def canceling_waiting(request: CancelOrder) -> list[Body]:
    """All that is sent to ``/api/v5/trade/cancel-algos``."""
    named = {"instId": request.instrument.native}
    if request.exchange_order_id:
        return [{**named, "algoId": request.exchange_order_id}]
    if request.client_order_id:
        return [{**named, "algoClOrdId": request.client_order_id}]
    raise UsageError("neither the exchange's id of the order nor the client's is given")


def waiting_answer(request: PlaceOrder | CancelOrder, rows: Any) -> Answer[Placed]:
    """What is answered to either."""
    (row,) = rows
    return Answer(placed(request, row, "algoId", "algoClOrdId"))
