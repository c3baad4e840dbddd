"""Orders of USD-M and of COIN-M, as they are sent. COIN-M's sizes count contracts, as its
instruments do.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
https://developers.binance.com/docs/derivatives/coin-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

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
    OrderRequest,
    OrderType,
    PlaceOrder,
    PositionSide,
    Side,
    TimeInForce,
    Unsupported,
    UsageError,
)

POSITIONS = {PositionSide.LONG: "LONG", PositionSide.SHORT: "SHORT"}

POST_ONLY = "GTX"

_FREE = frozenset({"selfTradePreventionMode", "timeInForce"})
"""What a user's own fields may say in place of what is said: for retail price improvement, or until
a date."""


def placing(request: PlaceOrder) -> Body:
    """The fields of ``/fapi/v1/order`` and ``/dapi/v1/order``.

    :raises Unsupported: where futures don't take such an order.
    """
    asked = request.order
    assert asked.trigger is None, "what waits for a trigger has a service of its own"
    check(asked)
    body: Body = {**common(request), "type": _kind(asked)}
    if asked.size is not None:
        body["quantity"] = plain(asked.size)
    if asked.price is not None:
        body["price"] = plain(asked.price)
        body["timeInForce"] = time_in_force(asked)
    body |= {"newClientOrderId": request.client_order_id, "newOrderRespType": RESULT}
    native = dict(asked.native)
    if "priceMatch" in native:
        # The exchange's price in place of one that is said: it takes no other beside it.
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition
        body.pop("price", None)
    return with_native(body, native, _FREE)


def check(asked: OrderRequest) -> None:
    """:raises Unsupported: of what no order of futures has."""
    if asked.size is None:
        raise Unsupported("binance takes sizes in the quote currency for spot alone")
    if asked.volatility is not None:
        raise Unsupported("only options are priced by volatility")
    if asked.take_profit is not None or asked.stop_loss is not None:
        raise Unsupported(
            "binance attaches no exits to orders of futures: place them by themselves"
        )
    if asked.type is OrderType.MARKET and asked.time_in_force is TimeInForce.FOK:
        raise Unsupported("binance has no market orders that fill whole or not at all")


def common(request: PlaceOrder) -> Body:
    """What is said of any order, whether it waits for a trigger or not."""
    asked = request.order
    body = {"symbol": request.instrument.native, "side": SIDES[asked.side]}
    if asked.position_side is not PositionSide.NET:
        closes = asked.side is (Side.SELL if asked.position_side is PositionSide.LONG else Side.BUY)
        if asked.reduce_only and not closes:
            raise UsageError(f"a {asked.side} of a {asked.position_side} position makes it larger")
        # What closes one of two positions only reduces it: saying so is refused.
        body["positionSide"] = POSITIONS[asked.position_side]
    elif asked.reduce_only:
        body["reduceOnly"] = "true"
    if asked.self_trade_prevention is not None:
        body["selfTradePreventionMode"] = SELF_TRADES[asked.self_trade_prevention]
    return body


def _kind(asked: OrderRequest) -> str:
    return "MARKET" if asked.type is OrderType.MARKET else "LIMIT"


def time_in_force(asked: OrderRequest) -> str:
    """How long a limit order waits, or that it must rest."""
    return POST_ONLY if asked.post_only else TIMES_IN_FORCE[asked.time_in_force]


def amending(request: AmendOrder) -> Body:
    """The fields of a ``PUT`` to ``/fapi/v1/order``: side, price and size are all said anew.

    An amendment that would leave nothing to fill, or make a post-only order take, cancels the
    order instead, which the answer tells.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Modify-Order

    :raises Unsupported: where futures don't amend that, or where nobody knows what stays.
    """
    further = (request.trigger, request.take_profit, request.stop_loss, request.volatility)
    if request.conditional or any(each is not None for each in further):
        raise Unsupported("binance: orders that wait for a trigger are canceled and placed anew")
    known = request.known
    price = request.price or (None if known is None else known.price)
    size = request.size or (None if known is None else known.size)
    if known is None or price is None or size is None:
        raise Unsupported(
            "binance wants side, price and size of an order said anew, and not all are known of it"
        )
    return {
        "symbol": request.instrument.native,
        **ids(request),
        "side": SIDES[known.side],
        "quantity": plain(size),
        "price": plain(price),
    }


def canceling(request: CancelOrder) -> Body:
    """The fields of a ``DELETE`` of ``/fapi/v1/order``."""
    return {"symbol": request.instrument.native, **ids(request)}
