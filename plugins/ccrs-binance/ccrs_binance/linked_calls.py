"""Calls of spot that are about two orders: a pair of which one ends the other, and one order in the
stead of another.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#new-order-list---oco-trade
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-an-existing-order-and-send-a-new-order-trade
"""

from __future__ import annotations

from typing import Any

from ccrs_binance import spot_orders
from ccrs_binance.budgets import orders as orders_pool
from ccrs_binance.fields import Row
from ccrs_binance.order_calls import call, done_of
from ccrs_binance.orders import Body, Done, answers, failure
from ccrs_core import (
    Answer,
    CancelOrder,
    Endpoint,
    HttpRequest,
    Market,
    OutcomeUnknown,
    PlaceEither,
    PlaceOrder,
    Replaced,
    ReplaceOrder,
    Request,
)
from ccrs_core.wire import json_pages

Linked = PlaceEither | ReplaceOrder
SPOT = frozenset({Market.SPOT})

METHODS: dict[type[Any], str] = {
    PlaceEither: "orderList.place.oco",
    ReplaceOrder: "order.cancelReplace",
}
"""What asks for it over the WebSocket API."""
_PATHS: dict[type[Any], str] = {PlaceEither: "orderList/oco", ReplaceOrder: "order/cancelReplace"}


def fields_of(request: Linked) -> Body:
    """All that is said of both orders.

    :raises Unsupported: where spot doesn't take that.
    """
    if isinstance(request, PlaceEither):
        return spot_orders.pair(request.items)
    return spot_orders.replacing(request)


def answer_of(request: Linked, body: Any, received_time_ns: int) -> Any:
    """What became of both.

    :raises ValueError: (or kin) where nothing can be read of either.
    """
    if isinstance(request, PlaceEither):
        rows = {row["clientOrderId"]: row for row in body["orderReports"]}
        in_order = [rows.get(item.client_order_id) for item in request.items]
        return answers(
            request.items, in_order, lambda item, row: done_of(item, row, received_time_ns)
        )
    told = body.get("data", body)
    canceled = _part(request.cancel, told, "cancel", received_time_ns)
    placed = _part(request.place, told, "newOrder", received_time_ns)
    if canceled is None:
        raise ValueError("nothing was tried to cancel")
    return Replaced(canceled=canceled, placed=placed)


def _part(
    item: PlaceOrder | CancelOrder, told: Row, name: str, received_time_ns: int
) -> Done | None:
    result, row = told[f"{name}Result"], told.get(f"{name}Response")
    if result == "NOT_ATTEMPTED":
        return None
    if type(row) is not dict or result not in {"SUCCESS", "FAILURE"}:
        return OutcomeUnknown("", f"the answer says {result!r:.40} and no more")
    if result == "FAILURE":
        return failure(row)
    return answers([item], [row], lambda one, each: done_of(one, each, received_time_ns))[0]


def _encode(request: Linked, cursor: str | None) -> HttpRequest:
    return call("POST", request.market, _PATHS[type(request)], *fields_of(request).items())


def _read(request: Linked, body: Any, received_time_ns: int, cursor: str | None) -> Answer[Any]:
    return Answer(answer_of(request, body, received_time_ns))


def _endpoint(orders: int) -> Endpoint[Any, Any]:
    return Endpoint(
        encode=_encode,
        decode=json_pages(_read),
        markets=SPOT,
        signed=True,
        weight=1,
        pool=orders_pool,
        pool_weight=orders,
    )


LINKED_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    PlaceEither: _endpoint(2),
    ReplaceOrder: _endpoint(1),
}
