"""Calls that place, amend and cancel orders, and that list orders and fills.

https://www.okx.com/docs-v5/en/#order-book-trading-trade
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ccrs_core import (
    NS_PER_SECOND,
    AmendOrders,
    Answer,
    CancelOrder,
    CancelOrders,
    Endpoint,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    HttpRequest,
    Market,
    OrderReport,
    PlaceOrder,
    PlaceOrders,
    Request,
    StrangeReport,
    Unsupported,
)
from ccrs_core.wire import Rows, json_pages, read_rows
from ccrs_okx.algo_rows import algo
from ccrs_okx.algos import canceling_waiting, waiting, waiting_answer, waits
from ccrs_okx.budgets import Pools, by_instrument, of_account, orders_of, shared
from ccrs_okx.fields import is_of
from ccrs_okx.fill_rows import fill
from ccrs_okx.order_rows import order
from ccrs_okx.orders import PATHS, Alone, Several, answer_of, body_of
from ccrs_okx.parts import TYPES, Place, before_end, by_time, times, wanted
from ccrs_okx.rest import ALL, data_of, get
from ccrs_okx.symbols import instrument_type

Row = Mapping[str, Any]
FillRow = FillReport | StrangeReport

DAY_NS = 86_400 * NS_PER_SECOND
ORDERS_KEPT_NS = 7 * DAY_NS
FILLS_KEPT_NS = 89 * DAY_NS
"""Three months: none have fewer days."""

ALGOS = 20
"""Orders that wait for a trigger which may be placed, or canceled, or asked for, in two seconds."""

NO_ORDER = frozenset({"51603"})
"""What OKX says where it has no such order."""


def post(path: str, body: Any) -> HttpRequest:
    """A call with a body."""
    headers = {"Content-Type": "application/json"}
    return HttpRequest("POST", f"/api/v5/{path}", headers=headers, body=orjson.dumps(body))


# --- placing, amending, canceling ------------------------------------------------------------


def _do(request: Alone | Several, cursor: str | None) -> HttpRequest:
    if isinstance(request, PlaceOrder) and waits(request):
        return post("trade/order-algo", waiting(request))
    if isinstance(request, CancelOrder) and waits(request):
        return post("trade/cancel-algos", canceling_waiting(request))
    if isinstance(request, PlaceOrders | CancelOrders) and any(map(waits, request.items)):
        raise Unsupported("okx places and cancels orders that wait for a trigger one by one")
    return post(f"trade/{PATHS[type(request)]}", body_of(request))


def _read_done(
    request: Alone | Several, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[Any]:
    if isinstance(request, PlaceOrder | CancelOrder) and waits(request):
        return waiting_answer(request, data)
    return answer_of(request, data)


# --- orders ----------------------------------------------------------------------------------


def _order(request: GetOrder, cursor: str | None) -> HttpRequest:
    if request.history:
        raise Unsupported("okx has one call for orders, whether they have ended or not")
    path, name, own = "trade/order", "ordId", "clOrdId"
    query: list[tuple[str, object]] = []
    if request.conditional:
        path, name, own = "trade/order-algo", "algoId", "algoClOrdId"
    else:
        query.append(("instId", request.instrument.native))
    if request.exchange_order_id:
        query.append((name, request.exchange_order_id))
    elif request.client_order_id:
        query.append((own, request.client_order_id))
    else:
        raise Unsupported("an order is asked for by an id")
    return get(path, *query)


def _read_order(
    request: GetOrder, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[OrderReport | None]:
    if not data:
        return Answer(None)
    (row,) = data
    found = _known((algo if request.conditional else order)(row, received_time_ns))
    if request.exchange_order_id not in ("", found.exchange_order_id) or (
        not request.exchange_order_id and request.client_order_id != found.client_order_id
    ):
        # It answers something else than was asked: no denial.
        raise ValueError("the answer has another order than the one that was asked for")
    return Answer(found)


def _known(found: OrderReport | StrangeReport) -> OrderReport:
    if isinstance(found, StrangeReport):
        raise ValueError(f"an order in an unknown state: {found.what}")
    return found


WAITING = ("conditional,oco", "trigger", "move_order_stop")
"""Kinds of orders that wait, each of which is asked for by itself."""


def _open_parts(request: GetOpenOrders) -> list[tuple[str, tuple[str, object]]]:
    """The lists that hold a market's open orders: one for each type, and of those that wait one for
    each kind and type."""
    types = TYPES[request.market]
    parts: list[tuple[str, tuple[str, object]]] = [
        ("trade/orders-pending", ("instType", kind)) for kind in types
    ]
    if request.market is not Market.OPTION:
        parts += [("trade/orders-algo-pending", ("ordType", kind)) for kind in WAITING]
    return parts


def _open_orders(request: GetOpenOrders, cursor: str | None) -> HttpRequest:
    place = Place.of(cursor)
    path, part = _open_parts(request)[place.part]
    query: list[tuple[str, object]] = [part]
    if request.instrument is not None:
        query.append(("instId", request.instrument.native))
    return get(path, *query, *place.query)


def _read_open_orders(
    request: GetOpenOrders, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[OrderReport]]:
    place, parts = Place.of(cursor), _open_parts(request)
    path, _ = parts[place.part]
    apart = path == "trade/orders-algo-pending"
    reader = algo if apart else order

    def read(row: Row) -> OrderReport | None:
        return _known(reader(row, received_time_ns)) if is_of(request.market, row) else None

    found = read_rows(data, read)
    return found.answer(
        cursor=place.following(data, "algoId" if apart else "ordId", len(parts), None)
    )


def _history(request: GetOrderHistory, cursor: str | None) -> HttpRequest:
    place = Place.of(cursor, wanted(request))
    query: list[tuple[str, object]] = [("instType", TYPES[request.market][place.part])]
    if request.instrument is not None:
        query.append(("instId", request.instrument.native))
    return get("trade/orders-history", *query, *times(request), *place.query)


def _read_history(
    request: GetOrderHistory, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[OrderReport]]:
    left = wanted(request)

    def read(row: Row) -> OrderReport | None:
        if not is_of(request.market, row):
            return None
        found = _known(order(row, received_time_ns))
        return found if before_end(request, found.created_ns or 0) else None

    found = read_rows(data, read)
    place, parts = Place.of(cursor, left), len(TYPES[request.market])
    further = place.following(data, "ordId", parts, left, len(found.values))
    return found.answer(found.values[::-1], further)


# --- fills -----------------------------------------------------------------------------------
#
# An order's own are asked for among those of three months, as all others are, and then where they
# are seen first and kept for three days.


def _fill_parts(request: GetFills) -> list[tuple[str, str]]:
    types = TYPES[request.market]
    if request.instrument is not None and len(types) > 1 and request.market is not Market.SPOT:
        types = (instrument_type(request.instrument),)
    parts = [("trade/fills-history", kind) for kind in types]
    return [*parts, ("trade/fills", "")] if request.exchange_order_id else parts


def _fills(request: GetFills, cursor: str | None) -> HttpRequest:
    place = Place.of(cursor, wanted(request))
    path, kind = _fill_parts(request)[place.part]
    query: list[tuple[str, object]] = [("instType", kind)] if kind else []
    if request.instrument is not None:
        query.append(("instId", request.instrument.native))
    if request.exchange_order_id:
        query.append(("ordId", request.exchange_order_id))
    return get(path, *query, *times(request), *place.query)


def _read_fills(
    request: GetFills, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[FillRow]]:
    left, parts = wanted(request), _fill_parts(request)
    place = Place.of(cursor, left)

    def read(row: Row) -> FillRow | None:
        if not is_of(request.market, row):
            return None
        found = fill(row, received_time_ns)
        return found if before_end(request, found.exchange_time_ns or 0) else None

    found: Rows[FillRow] = read_rows(data, read)
    further = place.following(data, "billId", len(parts), left, len(found.values))
    return found.answer(found.values[::-1], further)


def _each_once(pages: Sequence[list[FillRow]]) -> list[FillRow]:
    """Of lists that tell of the same; oldest first."""
    found: dict[Any, FillRow] = {}
    for row in (row for page in pages[::-1] for row in page):
        if isinstance(row, FillReport):
            found[row.native, row.fill_id, row.exchange_order_id] = row
        else:
            found[row.what, *row.native_fields.items()] = row
    return sorted(found.values(), key=lambda each: each.exchange_time_ns or 0)


# --- all of them -----------------------------------------------------------------------------


def _pools(kind: type[Request[Any]]) -> Pools:
    """The budgets of a kind of request: what waits for a trigger has others."""
    batch = kind in (PlaceOrders, AmendOrders, CancelOrders)
    plain = by_instrument(f"trade/{PATHS[kind]}", 300 if batch else 60)
    apart = by_instrument("trade/order-algo" if kind is PlaceOrder else "trade/cancel-algos", ALGOS)
    return lambda request: (apart if waits(request) else plain)(request)


def _alone(kind: type[Request[Any]], **more: Any) -> Endpoint[Any, Any]:
    several = kind in (PlaceOrders, AmendOrders, CancelOrders)
    return Endpoint(
        encode=_do,
        decode=json_pages(_read_done, data_of),
        markets=ALL,
        signed=True,
        weight=0,
        pool=_pools(kind),
        pool_weight=orders_of if several else 1,
        also=None if kind in (CancelOrder, CancelOrders) else of_account,
        urgent=kind in (CancelOrder, CancelOrders),
        **more,
    )


ORDER_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    **{kind: _alone(kind) for kind in PATHS},
    GetOrder: Endpoint(
        encode=_order,
        decode=json_pages(_read_order, data_of),
        markets=ALL,
        signed=True,
        weight=0,
        pool=lambda request: (
            shared("trade/order-algo details", ALGOS)
            if request.conditional
            else by_instrument("trade/order details", 60)(request)
        ),
        denied=NO_ORDER,
    ),
    GetOpenOrders: Endpoint(
        encode=_open_orders,
        decode=json_pages(_read_open_orders, data_of),
        markets=ALL,
        signed=True,
        weight=0,
        pool=shared("trade/orders-pending", ALGOS),
    ),
    GetOrderHistory: Endpoint(
        encode=_history,
        decode=json_pages(_read_history, data_of),
        markets=ALL,
        signed=True,
        weight=0,
        pool=shared("trade/orders-history", 40),
        newest_first=True,
        retention=ORDERS_KEPT_NS,
        join=by_time(lambda each: each.created_ns),
    ),
    GetFills: Endpoint(
        encode=_fills,
        decode=json_pages(_read_fills, data_of),
        markets=ALL,
        signed=True,
        weight=0,
        pool=shared("trade/fills-history", 10),
        newest_first=True,
        retention=FILLS_KEPT_NS,
        join=_each_once,
    ),
}
