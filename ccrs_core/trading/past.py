"""Past orders, page by page: read from the exchange in stretches of time, and told as the ledger
has them then, whether they are in its memory or in its store alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ccrs_core.contract.trading_requests import GetOrderHistory
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order
from ccrs_core.model.reports import OrderReport
from ccrs_core.model.times import ALL
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.store import OrderRow, Store, Wanted

_HOUR_NS = 3600 * NS_PER_SECOND
UNLESS_TOLD_NS = 7 * 24 * _HOUR_NS
"""How far back is looked where no start is told."""
_FIRST_NS, _SHORTEST_NS, _LONGEST_NS = 6 * _HOUR_NS, _HOUR_NS // 4, 7 * 24 * _HOUR_NS
"""How long a stretch is that is read at once."""
_FEW, _MANY = 500, 5_000
"""Below so many orders the next stretch is longer; one of so many is read anew in shorter ones."""
_AT_ONCE = 500
"""Orders that the store is asked for at once."""


async def past_orders(
    context: AccountContext,
    store: Store,
    market: Market,
    instrument: Instrument | None,
    start_ns: int,
    end_ns: int,
) -> AsyncIterator[list[Order]]:
    """The past orders of ``start_ns <= time < end_ns``, oldest first, each once: those of one
    stretch after the other. Memory holds one of them.

    :raises CcrsError: where no answer comes.
    """
    at, length = start_ns, _FIRST_NS
    before: set[tuple[str, str]] = set()
    while at < end_ns:
        end = min(at + length, end_ns)
        request = GetOrderHistory(
            market=market,
            instrument=instrument,
            start_ns=at,
            end_ns=end,
            limit=_MANY if length > _SHORTEST_NS else ALL,
        )
        reports = await context.asks.read(request)
        if len(reports) >= request.limit:
            length = max(length // 4, _SHORTEST_NS)
            continue  # too many to hold at once
        if reports and instrument is None:
            await context.instruments.market(market)
        # A stretch may begin with what the one before it has ended with.
        new = [each for each in reports if (each.native, each.exchange_order_id) not in before]
        before = {(each.native, each.exchange_order_id) for each in reports}
        if new:
            yield await told(context, store, new)
        if len(reports) < _FEW:
            length = min(4 * length, _LONGEST_NS)
        at = end


async def told(
    context: AccountContext, store: Store, reports: Sequence[OrderReport]
) -> list[Order]:
    """The ledger takes these; the orders as it has them then, oldest first."""
    await context.take(reports, backfilled=True)
    found: dict[tuple[str, str], Order] = {}
    missing: list[tuple[str, str, str]] = []
    for each in reports:
        instrument = context.taking.find(each.market, each.native)
        if instrument is None:
            continue  # told by the account's log, and taken once it is listed
        identity = each.exchange_order_id or each.client_order_id
        ids = each.exchange_order_id, each.client_order_id
        order = context.ledger.told_of(instrument.symbol, *ids)
        if order is not None and order.symbol == instrument.symbol:
            found[order.symbol, identity] = order
        else:
            missing.append((instrument.symbol, each.exchange_order_id, each.client_order_id))
    if missing:
        await context.journal.flush()
        for at in range(0, len(missing), _AT_ONCE):
            wanted = missing[at : at + _AT_ONCE]
            known = await store.look_up(Wanted(orders=frozenset(wanted)))
            found |= _of(wanted, known.orders)
    return sorted(
        found.values(), key=lambda order: (order.created_ns or 0, order.exchange_order_id)
    )


def _of(
    wanted: Sequence[tuple[str, str, str]], rows: Sequence[OrderRow]
) -> dict[tuple[str, str], Order]:
    """Those of the store that were meant: others may have used a client's id, too."""
    exchange_ids = {(symbol, exchange): exchange for symbol, exchange, _ in wanted if exchange}
    client_ids = {(symbol, client): client for symbol, exchange, client in wanted if not exchange}
    found: dict[tuple[str, str], Order] = {}
    for row in rows:
        if row.order is None:
            continue
        identity = exchange_ids.get((row.symbol, row.exchange_order_id))
        if identity is None:
            identity = client_ids.get((row.symbol, row.client_order_id))
        if identity is not None:
            found[row.symbol, identity] = row.order
    return found
