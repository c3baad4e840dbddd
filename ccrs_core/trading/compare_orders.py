"""Open orders of a ledger held against the exchange's lists of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ccrs_core.contract.trading_requests import GetOpenOrders, GetOrder
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.reports import OrderReport
from ccrs_core.model.times import shown
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.own_units import in_own_units
from ccrs_core.trading.store import Store, Wanted
from ccrs_core.transport.gate import Priority

_LIVING = frozenset({OrderState.ACCEPTED, OrderState.WAITING, OrderState.OPEN})
_DOUBTFUL = frozenset({OrderState.SENT, OrderState.UNKNOWN, OrderState.PRESUMED_ABSENT})


Key = tuple[str, str]
"""An order's symbol, and the exchange's id, which may be one of that symbol alone."""


class Found(Protocol):
    """Who is told what was found."""

    looked_at: list[str]
    left_out: list[str]
    unread: list[str]
    newer: list[str]

    def differs(self, about: str, what: str, ledger: str, exchange: str) -> None:
        """The two say different things."""


async def compare_orders(
    context: AccountContext,
    look: Callable[[], Awaitable[tuple[Ledger, Store]]],
    markets: Sequence[Market],
    found: Found,
) -> None:
    """Compare the open orders of some markets, both ways."""
    for market in markets:
        theirs: dict[Key, tuple[OrderReport, Instrument]] = {}
        unread = 0
        try:
            for settle in context.trading.settles.get(market) or ("",):
                request = GetOpenOrders(market=market, settle=settle)
                reports, left_out = await context.asks.counted(request, priority=Priority.RECOVERY)
                unread += left_out
                for report in reports:
                    instrument = context.taking.find(market, report.native)
                    if instrument is None:
                        text = f"order {report.exchange_order_id}: {report.native} isn't listed"
                        found.left_out.append(text)
                    else:
                        own = in_own_units(report, instrument)
                        theirs[instrument.symbol, report.exchange_order_id] = own, instrument
        except CcrsError as error:
            found.unread.append(f"open orders of {market.value}: {error}")
            continue
        ledger, store = await look()
        if unread:
            found.unread.append(f"open orders of {market.value} that can't be read: {unread}")
        await _compare(context, ledger, store, market, theirs, found, whole=not unread)
        found.looked_at.append(f"open orders of {market.value}: {len(theirs)}")


async def _compare(
    context: AccountContext,
    ledger: Ledger,
    store: Store,
    market: Market,
    theirs: dict[Key, tuple[OrderReport, Instrument]],
    found: Found,
    *,
    whole: bool,
) -> None:
    """``whole``: what isn't among theirs isn't open."""
    read_ns = ledger.cursor(f"fills {market.value}") or 0
    living = [
        order
        for order in ledger.orders(states=_LIVING)
        if order.market is market and not order.fired  # what it has placed is looked at
    ]
    ours = {
        (order.symbol, order.exchange_order_id or order.client_order_id): order for order in living
    }
    for (symbol, identity), (report, _) in theirs.items():
        order = ours.pop((symbol, identity), None) or ledger.told_of(symbol, identity, "")
        if order is None:
            ids = symbol, identity, report.client_order_id
            known = await store.look_up(Wanted(orders=frozenset({ids})))
            rows = [row.order for row in known.orders if row.exchange_order_id == identity]
            order = next((each for each in rows if each is not None), None)
        name = f"{identity} of {symbol}"
        told = _told(report)
        if order is not None and _same(order, report):
            continue
        if (report.created_ns or 0) > read_ns or (
            order is not None and (report.exchange_time_ns or 0) > read_ns
        ):
            found.newer.append(f"order {name}: {told}, since the ledger was read, {shown(read_ns)}")
        else:
            found.differs("order", name, "" if order is None else _known(order), told)
    for order in ours.values() if whole else ():
        name = f"{order.exchange_order_id or order.client_order_id} of {order.symbol}"
        ended = await _ended(context, order)
        if ended is not None and (ended.exchange_time_ns or 0) > read_ns:
            told = f"{_told(ended)}, since the ledger was read, {shown(read_ns)}"
            found.newer.append(f"order {name}: {told}")
        else:
            found.differs("order", name, _known(order), "" if ended is None else _told(ended))
    for order in ledger.orders(states=_DOUBTFUL):
        if order.market is market and (order.symbol, order.exchange_order_id) not in theirs:
            found.left_out.append(
                f"order {order.client_order_id} of {order.symbol}: nobody knows yet whether it was "
                "placed"
            )


async def _ended(context: AccountContext, order: Order) -> OrderReport | None:
    """What the exchange says of an order that is none of its open ones; None where it says
    nothing, or nothing of an end."""
    try:
        instrument = await context.rules.of_order(order.symbol)
    except CcrsError:
        return None
    for history in (True, False):
        request = GetOrder(
            instrument=instrument,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            history=history,
            conditional=order.state is OrderState.WAITING or bool(order.trigger),
        )
        try:
            report = await context.asks.read(request, priority=Priority.RECOVERY)
        except Unsupported:
            continue  # there is one list for all, or this one can't be asked so
        except CcrsError:
            return None
        return report if report is not None and report.state.final else None
    return None


def _same(order: Order, report: OrderReport) -> bool:
    if order.state.final:
        return False
    pairs = (
        (order.size, report.size),
        (order.price, report.price),
        (order.filled_size, report.filled_size),
    )
    return all(theirs is None or mine == theirs for mine, theirs in pairs if mine is not None)


def _told(report: OrderReport) -> str:
    side = "" if report.side is None else f"{report.side.value} "
    size = "" if report.size is None else f"{report.size:f}"
    price = "" if report.price is None else f" at {report.price:f}"
    filled = "" if report.filled_size is None else f", {report.filled_size:f} filled"
    return f"{report.state.value}, {side}{size}{price}{filled}"


def _known(order: Order) -> str:
    size = "" if order.size is None else f"{order.size:f}"
    price = "" if order.price is None else f" at {order.price:f}"
    return f"{order.state.value}, {order.side.value} {size}{price}, {order.filled_size:f} filled"
