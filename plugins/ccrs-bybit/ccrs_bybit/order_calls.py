"""Calls that place, amend and cancel orders, and that list orders and fills.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from ccrs_bybit.budgets import by_market, orders_of_batch, shared
from ccrs_bybit.fill_rows import fill
from ccrs_bybit.order_rows import order
from ccrs_bybit.orders import OPS, Alone, Several, answer_of, body_of
from ccrs_bybit.rest import ALL, OPTION_COINS, get
from ccrs_bybit.windows import KEPT_MS, Window, further
from ccrs_core import (
    NS_PER_MS,
    AmendOrder,
    AmendOrders,
    Answer,
    CancelAll,
    CancelOrder,
    CancelOrders,
    Endpoint,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    HttpRequest,
    IncomeReport,
    Market,
    OrderReport,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Pool,
    Request,
    StrangeReport,
    Unsupported,
)
from ccrs_core.wire import Rows, json_pages, ns_of_ms, ns_or_none, read_rows, spelled

Body = Mapping[str, Any]

ORDERS_LIMIT = 50
FILLS_LIMIT = 100

FillRow = FillReport | IncomeReport | StrangeReport


def post(path: str, body: Body) -> HttpRequest:
    """A call with a body."""
    headers = {"Content-Type": "application/json"}
    return HttpRequest("POST", path, headers=headers, body=orjson.dumps(body))


# --- placing, amending, canceling ------------------------------------------------------------


def _do(request: Alone | Several, cursor: str | None) -> HttpRequest:
    return post(f"/v5/order/{OPS[type(request)]}", body_of(request))


def _read_done(
    request: Alone | Several, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[Any]:
    return answer_of(request, body["result"], body.get("retExtInfo"), body.get("time"))


def _cancel_all(request: CancelAll, cursor: str | None) -> HttpRequest:
    market, instrument = request.market, request.instrument
    asked: dict[str, Any] = {"category": market.value}
    if instrument is not None:
        asked["symbol"] = instrument.native
    elif request.settle:
        asked["settleCoin"] = request.settle
    elif market is Market.LINEAR:
        raise Unsupported("all orders of linear contracts: say an instrument, or the asset")
    elif market is Market.INVERSE:
        raise Unsupported("all orders of inverse contracts: say an instrument, or the coin")
    if kind := _filter(request):
        asked["orderFilter"] = kind
    return post("/v5/order/cancel-all", asked)


def _filter(request: CancelAll) -> str:
    """Which orders are meant; empty: all kinds."""
    market = request.market
    if market is Market.OPTION:
        if request.conditional:
            raise Unsupported("no orders of options wait for a trigger")
        return ""
    if request.conditional:
        return "StopOrder"
    if market is Market.SPOT:
        return "Order"
    return "" if request.everything else "Order"


def _read_canceled(
    request: CancelAll, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[Placed]]:
    result = body["result"]
    if result.get("success", "1") == "0":
        raise ValueError("success is 0")
    # Of accounts of long ago there is no list.
    taken_ns = ns_or_none(body.get("time"))

    def canceled(row: Body) -> Placed:
        return Placed(
            exchange_order_id=spelled(row["orderId"]),
            client_order_id=spelled(row.get("orderLinkId") or ""),
            taken_ns=taken_ns,
        )

    return read_rows(result.get("list") or [], canceled).answer()


# --- orders ----------------------------------------------------------------------------------


def _order(request: GetOrder, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [
        ("category", request.market.value),
        ("symbol", request.instrument.native),
    ]
    if request.exchange_order_id:
        query.append(("orderId", request.exchange_order_id))
    elif request.client_order_id:
        query.append(("orderLinkId", request.client_order_id))
    else:
        raise Unsupported("an order is asked for by an id")
    return get("/v5/order/history" if request.history else "/v5/order/realtime", *query)


def _read_order(
    request: GetOrder, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[OrderReport | None]:
    rows = body["result"]["list"]
    if type(rows) is not list:
        raise TypeError("the rows are no list")
    if not rows:
        return Answer(None)
    told_ns = ns_of_ms(body["time"])
    for row in rows:
        found = order(row, request.market, received_time_ns, told_ns)
        if isinstance(found, StrangeReport):
            raise ValueError(f"an order in an unknown state: {found.what}")
        if request.exchange_order_id in ("", found.exchange_order_id) and (
            request.exchange_order_id or request.client_order_id == found.client_order_id
        ):
            return Answer(found)
    # It answers something else than was asked: no denial.
    raise ValueError("the answer has other orders than the one that was asked for")


def _known(found: OrderReport | StrangeReport) -> OrderReport:
    if isinstance(found, StrangeReport):
        raise ValueError(f"an order in an unknown state: {found.what}")
    return found


def _open_orders(request: GetOpenOrders, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [("category", request.market.value)]
    if request.instrument is not None:
        query.append(("symbol", request.instrument.native))
    elif request.settle:
        query.append(("settleCoin", request.settle))
    query.append(("limit", ORDERS_LIMIT))
    if cursor is not None:
        query += Window(cursor=cursor).query
    return get("/v5/order/realtime", *query)


def _read_open_orders(
    request: GetOpenOrders, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[OrderReport]]:
    result = body["result"]

    def read(row: Body) -> OrderReport:
        return _known(order(row, request.market, received_time_ns))

    found = read_rows(result["list"], read)
    return found.answer(cursor=further(result, cursor or "") or None)


def _history(request: GetOrderHistory, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [("category", request.market.value)]
    if request.instrument is not None:
        query.append(("symbol", request.instrument.native))
    query.append(("limit", ORDERS_LIMIT))
    return get("/v5/order/history", *query, *Window.of(request, cursor).query)


def _read_history(
    request: GetOrderHistory, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[OrderReport]]:
    result, now_ms = body["result"], ns_of_ms(body["time"]) // NS_PER_MS
    window = Window.of(request, cursor).began(now_ms)

    def read(row: Body) -> OrderReport:
        return _known(order(row, request.market, received_time_ns, now_ms * NS_PER_MS))

    found = read_rows(result["list"], read)
    # By which of its times an order is in a window isn't documented: what Bybit lists is taken.
    oldest = min((each.created_ns for each in found.values if each.created_ns), default=None)
    following = window.following(request, result, now_ms, oldest, len(found.values))
    return found.answer(found.values[::-1], following)


def _each_order_once(pages: Sequence[list[OrderReport]]) -> list[OrderReport]:
    """Of windows that overlap; oldest first."""
    found: dict[str, OrderReport] = {}
    for each in (each for page in pages[::-1] for each in page):
        found[each.exchange_order_id] = each
    return sorted(found.values(), key=lambda each: each.created_ns or 0)


# --- fills -----------------------------------------------------------------------------------
#
# Those of options are told by coin: a part for each. https://bybit-exchange.github.io/docs/v5/order/execution


def _by_coin(request: GetFills) -> bool:
    return (
        request.market is Market.OPTION
        and request.instrument is None
        and not request.exchange_order_id
    )


def _window(request: GetFills, cursor: str | None) -> Window:
    return Window.of(request, cursor, OPTION_COINS[0] if _by_coin(request) else "")


def _fills(request: GetFills, cursor: str | None) -> HttpRequest:
    window = _window(request, cursor)
    query: list[tuple[str, object]] = [("category", request.market.value)]
    if request.instrument is not None:
        query.append(("symbol", request.instrument.native))
    if request.exchange_order_id:
        query.append(("orderId", request.exchange_order_id))
    if window.part:
        query.append(("baseCoin", window.part))
    query.append(("limit", FILLS_LIMIT))
    return get("/v5/execution/list", *query, *window.query)


def _read_fills(
    request: GetFills, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[FillRow]]:
    result, now_ms = body["result"], ns_of_ms(body["time"]) // NS_PER_MS
    window = _window(request, cursor).began(now_ms)
    # An order's fills are listed whole, whenever they were.
    whole = bool(request.exchange_order_id) and request.start_ns is request.end_ns is None
    times: list[int] = []

    def read(row: Body) -> FillRow | None:
        found = fill(row, request.market, received_time_ns)
        time_ns = found.exchange_time_ns
        assert time_ns is not None
        times.append(time_ns)
        start_ns = request.start_ns
        wanted = start_ns is None or time_ns >= start_ns
        return found if wanted and (whole or window.has(time_ns)) else None

    found: Rows[FillRow] = read_rows(result["list"], read)
    oldest = min(times, default=None)
    following = window.following(request, result, now_ms, oldest, len(found.values))
    if whole and not further(result, window.cursor):
        following = None
    if following is None and window.part:
        after = OPTION_COINS[OPTION_COINS.index(window.part) + 1 :]
        following = Window.of(request, None, after[0]).written() if after else None
    return found.answer(found.values[::-1], following)


def _oldest_first(pages: Sequence[list[FillRow]]) -> list[FillRow]:
    rows = [each for page in pages[::-1] for each in page]
    return sorted(rows, key=lambda each: each.exchange_time_ns or 0)


# --- all of them -----------------------------------------------------------------------------


def _doing(kind: type[Request[Any]], pools: tuple[int, int, int]) -> Endpoint[Any, Any]:
    """A call that places, amends or cancels, with what is allowed of contracts, spot, options."""
    several = kind in (PlaceOrders, AmendOrders, CancelOrders)
    return Endpoint(
        encode=_do,
        decode=json_pages(_read_done),
        markets=ALL,
        signed=True,
        pool=by_market(f"order/{OPS[kind]}", *pools),
        pool_weight=orders_of_batch if several else 1,
        urgent=kind in (CancelOrder, CancelOrders),
    )


def _listing(
    pool: Pool | Callable[[Any], Pool | None], encode: Any, decode: Any, **more: Any
) -> Endpoint[Any, Any]:
    return Endpoint(
        encode=encode,
        decode=json_pages(decode),
        markets=ALL,
        signed=True,
        pool=pool,
        **more,
    )


_KEPT_NS = KEPT_MS * NS_PER_MS

_REALTIME, _HISTORY = shared("order/realtime", 50), shared("order/history", 50)

ORDER_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    PlaceOrder: _doing(PlaceOrder, (10, 20, 10)),
    AmendOrder: _doing(AmendOrder, (10, 10, 10)),
    CancelOrder: _doing(CancelOrder, (10, 20, 10)),
    PlaceOrders: _doing(PlaceOrders, (10, 20, 10)),
    AmendOrders: _doing(AmendOrders, (10, 20, 10)),
    CancelOrders: _doing(CancelOrders, (10, 20, 10)),
    CancelAll: Endpoint(
        encode=_cancel_all,
        decode=json_pages(_read_canceled),
        markets=ALL,
        signed=True,
        pool=by_market("order/cancel-all", 10, 20, 1),
        urgent=True,
    ),
    GetOrder: _listing(
        lambda request: _HISTORY if request.history else _REALTIME, _order, _read_order
    ),
    GetOpenOrders: _listing(_REALTIME, _open_orders, _read_open_orders),
    GetOrderHistory: _listing(
        _HISTORY,
        _history,
        _read_history,
        newest_first=True,
        retention=_KEPT_NS,
        join=_each_order_once,
    ),
    GetFills: _listing(
        shared("execution/list", 50),
        _fills,
        _read_fills,
        newest_first=True,
        retention=_KEPT_NS,
        join=_oldest_first,
    ),
}
