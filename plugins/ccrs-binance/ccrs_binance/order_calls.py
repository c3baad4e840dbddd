"""Calls that place, amend and cancel orders, and that list orders and fills: of all three products.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
https://developers.binance.com/docs/derivatives/coin-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ccrs_binance import algo_rows, algos, futures_orders, futures_rows, spot_orders, spot_rows
from ccrs_binance.budgets import orders as orders_pool
from ccrs_binance.fields import Row
from ccrs_binance.orders import Alone, Body, Several, answers, placed
from ccrs_binance.rest import ALL, FUTURES, PATHS
from ccrs_binance.walks import DAY_MS, Walk, newest, within
from ccrs_core import (
    NS_PER_SECOND,
    AmendOrder,
    AmendOrders,
    Answer,
    CancelAll,
    CancelOrder,
    Endpoint,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    HttpRequest,
    Instrument,
    Market,
    OrderReport,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Request,
    StrangeReport,
    Unsupported,
)
from ccrs_core.wire import json_pages, read_rows, timed_pages

NO_ORDER = frozenset({"-2013", "-2026"})
"""What Binance says where it has no such order, or, of spot, has none any more: it ended without a
fill, more than 90 days ago.

https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

DAY_NS = 86_400 * NS_PER_SECOND
FUTURES_FILLS_NS = 89 * DAY_NS
"""Three months: none have fewer days.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Account-Trade-List
"""
FUTURES_ORDERS_NS = 3 * DAY_NS
"""Those that have ended without fills are told for so long, others longer.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/All-Orders
"""

LONGEST_BATCH = {Market.LINEAR: 5, Market.INVERSE: 5}
"""https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Place-Multiple-Orders"""


def call(method: str, market: Market | None, path: str, *query: tuple[str, object]) -> HttpRequest:
    """A call of an account, below the path of a market."""
    assert market is not None
    return HttpRequest(
        method, f"{PATHS[market]}/{path}", tuple((name, str(value)) for name, value in query)
    )


def _symbol(request: Any) -> tuple[str, str]:
    return "symbol", request.instrument.native


# --- placing, amending, canceling ------------------------------------------------------------


def fields_of(request: Alone) -> Body:
    """All that is said of one order.

    :raises Unsupported: where its product doesn't take that.
    """
    if algos.waits(request):
        if isinstance(request, PlaceOrder):
            return algos.waiting(request)
        return algos.algo_ids(request.exchange_order_id, request.client_order_id)
    if request.market is Market.SPOT:
        return _spot_fields(request)
    if isinstance(request, PlaceOrder):
        return futures_orders.placing(request)
    if isinstance(request, AmendOrder):
        return futures_orders.amending(request)
    return futures_orders.canceling(request)


def _spot_fields(request: Alone) -> Body:
    if isinstance(request, AmendOrder):
        return spot_orders.amending(request)
    if isinstance(request, CancelOrder):
        return spot_orders.canceling(request)
    if spot_orders.has_exits(request):
        return spot_orders.listing(request)
    return spot_orders.placing(request)


def list_kind(request: PlaceOrder) -> str:
    """What the list of an order with exits is called: with one of them, or with both."""
    asked = request.order
    return "oto" if asked.take_profit is None or asked.stop_loss is None else "otoco"


_VERBS: Mapping[type[Any], str] = {PlaceOrder: "POST", AmendOrder: "PUT", CancelOrder: "DELETE"}


def _do(request: Alone, cursor: str | None) -> HttpRequest:
    path = "order"
    if algos.waits(request):
        path = "algoOrder"
    elif request.market is Market.SPOT and isinstance(request, AmendOrder):
        path = "order/amend/keepPriority"
    elif (
        request.market is Market.SPOT
        and isinstance(request, PlaceOrder)
        and spot_orders.has_exits(request)
    ):
        path = f"orderList/{list_kind(request)}"
    return call(_VERBS[type(request)], request.market, path, *fields_of(request).items())


def done_of(request: Alone, row: Any, received_time_ns: int) -> Placed:
    """What the answer to one request says.

    :raises ValueError: (or kin) where it can't be read, or is about another order.
    """
    if algos.waits(request):
        assert isinstance(request, PlaceOrder | CancelOrder)
        return algos.waiting_placed(request, row)
    if request.market is not Market.SPOT:
        return placed(
            request, row, lambda each: futures_rows.order(each, _market(request), received_time_ns)
        )
    if "orderReports" in row:
        own = [each for each in row["orderReports"] if _is(request, each)]
        (row,) = own
    elif "amendedOrder" in row:
        row = {**row["amendedOrder"], "transactTime": row["transactTime"]}
        # The client id is said anew with the amendment, so that it stays.
        row.setdefault("executionType", "REPLACED")
    return placed(request, row, lambda each: spot_rows.order(each, received_time_ns))


def _is(request: Alone, row: Row) -> bool:
    return bool(row.get("clientOrderId") == request.client_order_id)


def _market(request: Request[Any]) -> Market:
    market = request.market
    assert market is not None
    return market


def _read_done(
    request: Alone, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[Placed]:
    return Answer(done_of(request, body, received_time_ns))


def _do_several(request: Several, cursor: str | None) -> HttpRequest:
    items: Sequence[Alone] = request.items
    if any(map(algos.waits, items)):
        raise Unsupported("binance places orders that wait for a trigger one by one")
    told = orjson.dumps([fields_of(item) for item in items]).decode()
    verb = _VERBS[type(items[0])]
    return call(verb, request.market, "batchOrders", ("batchOrders", told))


def _read_several(
    request: Several, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[Any]:
    def read(item: Alone, row: Row) -> Placed:
        return done_of(item, row, received_time_ns)

    return Answer(answers(request.items, body, read))


def _cancel_all(request: CancelAll, cursor: str | None) -> HttpRequest:
    if request.instrument is None:
        raise Unsupported("binance cancels all orders of one symbol, not of a whole market")
    if request.market is Market.SPOT:
        return call("DELETE", request.market, "openOrders", _symbol(request))
    path = "algoOpenOrders" if request.conditional else "allOpenOrders"
    return call("DELETE", request.market, path, _symbol(request))


def _read_cancel_all(
    request: CancelAll, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[Placed]]:
    """Spot names what it has canceled, lists of orders as a whole; futures say that it is done."""
    if type(body) is not list:
        return Answer([])

    def read(row: Row) -> Placed | None:
        said = spot_rows.order(row, received_time_ns)
        if isinstance(said, StrangeReport):
            return None
        return Placed(
            exchange_order_id=said.exchange_order_id,
            client_order_id=said.client_order_id,
            taken_ns=said.exchange_time_ns,
            report=said,
        )

    rows = [one for row in body for one in row.get("orderReports", (row,))]
    return read_rows(rows, read).answer()


# --- orders ----------------------------------------------------------------------------------


def _order(request: GetOrder, cursor: str | None) -> HttpRequest:
    if request.history:
        raise Unsupported("binance has one call for orders, whether they have ended or not")
    if algos.waits(request):
        named = algos.algo_ids(request.exchange_order_id, request.client_order_id)
        return call("GET", request.market, "algoOrder", *named.items())
    if request.exchange_order_id:
        named = {"orderId": request.exchange_order_id}
    elif request.client_order_id:
        named = {"origClientOrderId": request.client_order_id}
    else:
        raise Unsupported("an order is asked for by an id")
    return call("GET", request.market, "order", _symbol(request), *named.items())


def _read_order(
    request: GetOrder, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[OrderReport | None]:
    if algos.waits(request):
        found = _known(algo_rows.algo(body, request.market, received_time_ns))
    else:
        found = _known(_read_row(request.market, body, received_time_ns))
    asked = (request.exchange_order_id, request.client_order_id)
    told = (found.exchange_order_id, found.client_order_id)
    place = 0 if asked[0] else 1
    if asked[place] != told[place] or found.native != request.instrument.native:
        # It answers something else than was asked: no denial.
        raise ValueError("the answer has another order than the one that was asked for")
    return Answer(found)


def _read_row(market: Market, row: Row, received_time_ns: int) -> OrderReport | StrangeReport:
    if market is Market.SPOT:
        return spot_rows.order(row, received_time_ns)
    return futures_rows.order(row, market, received_time_ns)


def _known(found: OrderReport | StrangeReport) -> OrderReport:
    if isinstance(found, StrangeReport):
        raise ValueError(f"an order in an unknown state: {found.what}")
    return found


WAITING_PART = "waiting"
"""The cursor of the list of orders that wait for a trigger."""


def _open_orders(request: GetOpenOrders, cursor: str | None) -> HttpRequest:
    query = [] if request.instrument is None else [_symbol(request)]
    path = "openOrders" if cursor is None else "openAlgoOrders"
    return call("GET", request.market, path, *query)


def _read_open_orders(
    request: GetOpenOrders, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[OrderReport]]:
    def read(row: Row) -> OrderReport:
        if cursor is not None:
            return _known(algo_rows.algo(row, request.market, received_time_ns))
        return _known(_read_row(request.market, row, received_time_ns))

    more = cursor is None and request.market is not Market.SPOT
    return read_rows(body, read).answer(cursor=WAITING_PART if more else None)


def _without_service(request: GetOpenOrders, cursor: str | None) -> Answer[Any] | None:
    """Where COIN-M has no service for conditional orders none wait in it."""
    if cursor == WAITING_PART and request.market is Market.INVERSE:
        return Answer([])
    return None


def _lists_weight(request: GetOpenOrders) -> int:
    spot = request.market is Market.SPOT
    if request.instrument is not None:
        return 6 if spot else 1
    return 80 if spot else 40


_ORDER_WALKS = {
    Market.SPOT: Walk(span_ms=DAY_MS, page=1000, asks="orderId", id="orderId", first=1),
    Market.LINEAR: Walk(span_ms=7 * DAY_MS, page=1000, asks="orderId", id="orderId", first=1),
    Market.INVERSE: Walk(span_ms=7 * DAY_MS, page=100, asks="orderId", id="orderId", first=1),
}
_FILL_WALKS = {
    Market.SPOT: Walk(span_ms=DAY_MS, page=1000, asks="fromId", id="id"),
    Market.LINEAR: Walk(span_ms=7 * DAY_MS, page=1000, asks="fromId", id="id"),
    Market.INVERSE: Walk(span_ms=7 * DAY_MS, page=1000, asks="fromId", id="id"),
}
"""Of spot a window is a day long, of futures a week."""


def _one(request: GetFills | GetOrderHistory) -> Instrument:
    if request.instrument is None:
        raise Unsupported("binance tells past orders and fills symbol by symbol")
    return request.instrument


def _history(request: GetOrderHistory, cursor: str | None) -> HttpRequest:
    symbol = _one(request).native
    walk = _ORDER_WALKS[request.market]
    return call(
        "GET", request.market, "allOrders", ("symbol", symbol), *walk.query(request, cursor)
    )


def _read_history(
    request: GetOrderHistory, body: Any, received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[OrderReport]]:
    def read(row: Row) -> OrderReport | None:
        found = _known(_read_row(request.market, row, received_time_ns))
        return found if within(request, found.created_ns) else None

    walk = _ORDER_WALKS[request.market]
    following = walk.following(request, cursor, body, now_ns // 10**6)
    return read_rows(body, read).answer(cursor=following)


# --- fills -----------------------------------------------------------------------------------


def _fills(request: GetFills, cursor: str | None) -> HttpRequest:
    path = "myTrades" if request.market is Market.SPOT else "userTrades"
    about: list[tuple[str, object]] = [("symbol", _one(request).native)]
    if request.exchange_order_id:
        if request.exchange_order_id.startswith(algos.PREFIX):
            raise Unsupported("what a trigger has placed is filled, under an id of its own")
        about.append(("orderId", request.exchange_order_id))
        if cursor is None:
            return call("GET", request.market, path, *about, ("limit", 1000))
    query = _FILL_WALKS[request.market].query(request, cursor)
    return call("GET", request.market, path, *about, *query)


def _read_fills(
    request: GetFills, body: Any, received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[FillReport]]:
    of_order = request.exchange_order_id

    def read(row: Row) -> FillReport | None:
        if request.market is Market.SPOT:
            found = spot_rows.fill(row, received_time_ns)
        else:
            found = futures_rows.fill(row, request.market, received_time_ns)
        own = not of_order or found.exchange_order_id == of_order
        return found if own and within(request, found.exchange_time_ns) else None

    walk = _FILL_WALKS[request.market]
    if of_order:
        full = len(body) >= walk.page
        following = f"i{newest(body, walk.id) + 1}" if full else None
    else:
        following = walk.following(request, cursor, body, now_ns // 10**6)
    return read_rows(body, read).answer(cursor=following)


# --- all of them -----------------------------------------------------------------------------


def _of_one(**more: Any) -> Endpoint[Any, Any]:
    return Endpoint(encode=_do, decode=json_pages(_read_done), markets=ALL, signed=True, **more)


def _of_several(**more: Any) -> Endpoint[Any, Any]:
    return Endpoint(
        encode=_do_several,
        decode=json_pages(_read_several),
        markets=FUTURES,
        signed=True,
        weight=5,
        pool=orders_pool,
        pool_weight=lambda request: len(request.items),
        **more,
    )


def placed_orders(request: PlaceOrder) -> int:
    """How many orders a placement counts as: with its exits up to three."""
    asked = request.order
    return 1 + (asked.take_profit is not None) + (asked.stop_loss is not None)


ORDER_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    PlaceOrder: _of_one(weight=1, pool=orders_pool, pool_weight=placed_orders),
    # Amendments of spot count as no orders.
    AmendOrder: _of_one(
        weight=lambda request: 4 if request.market is Market.SPOT else 1,
        pool=lambda request: None if request.market is Market.SPOT else orders_pool(request),
    ),
    CancelOrder: _of_one(weight=1, urgent=True),
    PlaceOrders: _of_several(),
    AmendOrders: _of_several(),
    CancelAll: Endpoint(
        encode=_cancel_all,
        decode=json_pages(_read_cancel_all),
        markets=ALL,
        signed=True,
        weight=1,
        urgent=True,
    ),
    GetOrder: Endpoint(
        encode=_order,
        decode=json_pages(_read_order),
        markets=ALL,
        signed=True,
        weight=lambda request: 4 if request.market is Market.SPOT else 1,
        denied=NO_ORDER,
    ),
    GetOpenOrders: Endpoint(
        encode=_open_orders,
        decode=json_pages(_read_open_orders),
        markets=ALL,
        signed=True,
        weight=_lists_weight,
        instead=_without_service,
    ),
    GetOrderHistory: Endpoint(
        encode=_history,
        decode=timed_pages(_read_history),
        markets=ALL,
        signed=True,
        weight=lambda request: 20 if request.market is Market.SPOT else 5,
        retention=lambda request: None if request.market is Market.SPOT else FUTURES_ORDERS_NS,
    ),
    GetFills: Endpoint(
        encode=_fills,
        decode=timed_pages(_read_fills),
        markets=ALL,
        signed=True,
        weight=lambda request: (
            5 if request.market is not Market.SPOT or request.exchange_order_id else 20
        ),
        retention=lambda request: None if request.market is Market.SPOT else FUTURES_FILLS_NS,
    ),
}
