"""Orders of futures that wait for a trigger: a service of their own, with ids of its own.

Ordinary lists, cancels and disconnect protection miss them. Whether COIN-M has the service is
contested: its documents still have such orders among the ordinary ones, and programs have seen it.
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order
https://github.com/ccxt/ccxt/pull/29688
"""

from __future__ import annotations

from typing import Any

from ccrs_binance.fields import Row, needed_identity, text, time
from ccrs_binance.futures_orders import check, common, time_in_force
from ccrs_binance.orders import Body, plain, with_native
from ccrs_core import (
    CancelOrder,
    GetOrder,
    Market,
    OrderType,
    Placed,
    PlaceOrder,
    Side,
    Trailing,
    Trigger,
    TriggerBy,
    Unsupported,
    UsageError,
)

PREFIX = "algo-"
"""What ids of orders that wait begin with here: they are numbered apart, so that an ordinary order
may have the same number."""

PERCENT = 100
TRAILING = "TRAILING_STOP_MARKET"
TRIGGERED_BY = {TriggerBy.LAST: "CONTRACT_PRICE", TriggerBy.MARK: "MARK_PRICE"}

_FREE = frozenset({"selfTradePreventionMode", "timeInForce"})


def waits(request: Any) -> bool:
    """Whether a request is about an order that waits for a trigger in the service for those."""
    if request.market is Market.SPOT:
        return False
    if isinstance(request, PlaceOrder):
        return request.order.trigger is not None
    if not isinstance(request, CancelOrder | GetOrder):
        return False
    if request.exchange_order_id:
        return request.exchange_order_id.startswith(PREFIX)
    return request.conditional


def algo_id(number: str) -> str:
    """An id as it is told: see :data:`PREFIX`."""
    return f"{PREFIX}{number}"


def waiting(request: PlaceOrder) -> Body:
    """The fields of ``/fapi/v1/algoOrder``.

    :raises Unsupported: where Binance has no such order.
    """
    asked, trigger = request.order, request.order.trigger
    assert trigger is not None
    check(asked)
    if trigger.by not in TRIGGERED_BY:
        raise Unsupported("binance's triggers follow the last price, or the mark price")
    limited = asked.type is OrderType.LIMIT
    assert asked.size is not None
    body: Body = {
        "algoType": "CONDITIONAL",
        **common(request),
        **_condition(trigger, asked.side, limited),
        "quantity": plain(asked.size),
        "workingType": TRIGGERED_BY[trigger.by],
        "clientAlgoId": request.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if limited:
        assert asked.price is not None
        body |= {"price": plain(asked.price), "timeInForce": time_in_force(asked)}
    return with_native(body, asked.native, _FREE)


def _condition(trigger: Trigger | Trailing, side: Side, limited: bool) -> Body:
    if isinstance(trigger, Trailing):
        assert trigger.share is not None
        body = {
            "type": TRAILING,
            "callbackRate": plain((trigger.share * PERCENT).normalize()),
        }
        if trigger.activation is not None:
            body["activatePrice"] = plain(trigger.activation)
        return body
    stops = trigger.rises is (side is Side.BUY)
    return {
        "type": ("STOP" if stops else "TAKE_PROFIT") + ("" if limited else "_MARKET"),
        "triggerPrice": plain(trigger.price),
    }


def algo_ids(exchange_order_id: str, client_order_id: str) -> Body:
    """What names an order that waits.

    :raises UsageError: where nothing does.
    """
    if exchange_order_id:
        return {"algoId": exchange_order_id.removeprefix(PREFIX)}
    if client_order_id:
        return {"clientAlgoId": client_order_id}
    raise UsageError("neither the exchange's id of the order nor the client's is given")


def waiting_placed(request: PlaceOrder | CancelOrder, row: Row) -> Placed:
    """What is answered to either: a cancel by the ids alone, with a code that says that it is done.

    :raises ValueError: where it is about another order.
    """
    found, own = algo_id(needed_identity(row, "algoId")), text(row, "clientAlgoId")
    expected = "" if isinstance(request, PlaceOrder) else request.exchange_order_id
    if expected and expected.removeprefix(PREFIX) != found.removeprefix(PREFIX):
        raise ValueError(f"the answer is about order {found}")
    if not expected and own and own != request.client_order_id:
        raise ValueError(f"the answer is about order {own!r:.60}")
    return Placed(
        exchange_order_id=found,
        client_order_id=own,
        taken_ns=time(row, "createTime") if isinstance(request, PlaceOrder) else None,
    )
