"""Whether a stored ledger agrees with itself: what its fills add up to is what its orders and
positions say."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import attrs

from ccrs_core.model.accounts import Adjustment
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.orders import Fill
from ccrs_core.model.units import PLAIN
from ccrs_core.trading.children import added
from ccrs_core.trading.store import FIGURES, OrderRow, Store, Stored, Wanted

ZERO = Decimal(0)
_PAGE = 1000
Fees = tuple[tuple[str, Decimal], ...]


@attrs.frozen
class Audit:
    """What was looked at, and what isn't right; nothing is where all is."""

    entries: int
    fills: int
    orders: int
    problems: tuple[str, ...] = ()


async def audit(store: Store, stored: Stored) -> Audit:
    """Add up all fills of an open store, and compare.

    :param stored: what it was opened with.
    :raises StoreFailed: where it can't be read.
    """
    problems: list[str] = []
    sizes: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    fees: defaultdict[str, Fees] = defaultdict(tuple)
    held: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    ids: dict[str, tuple[str, str, str]] = {}
    keys: set[str] = set()
    entries = fills = number = 0
    figures = next((each.value for each in stored.cursors if each.key == FIGURES), 0)
    while True:
        page = await store.entries_after(number, _PAGE)
        if not page:
            break
        for entry in page:
            entries, number, event = entries + 1, entry.number, entry.event
            if entry.key and entry.key in keys:
                problems.append(f"entry {number}: {entry.key} is there twice")
            keys.add(entry.key)
            if isinstance(event, Fill):
                fills += 1
                sizes[entry.order] = PLAIN.add(sizes[entry.order], event.size)
                if event.fee is not None:
                    fees[entry.order] = added(fees[entry.order], event.fee_asset, event.fee)
                ids[entry.order] = event.symbol, event.exchange_order_id, event.client_order_id
                signed = event.size if event.side is Side.BUY else -event.size
                at = event.symbol, event.position_side.value
            elif isinstance(event, Adjustment) and event.side is not None:
                signed, at = event.amount, (event.symbol, event.side.value)
            else:
                continue
            if number <= figures:
                held[at] = PLAIN.add(held[at], signed)
    orders = await _orders(store, ids)
    for key, size in sizes.items():
        order = orders.get(key)
        if order is None:
            problems.append(f"order {key}: it has fills of {size:f}, and isn't there")
        elif order.facts.fills_size != size or order.facts.fees != fees[key]:
            problems.append(f"order {key}: it says {order.facts.fills_size:f} of fills of {size:f}")
    for row in stored.positions:
        base, steps = row.profit.base, row.profit.steps
        size = base.size
        for step in steps:
            size = PLAIN.add(size, step.size)
        wanted = held[row.symbol, row.side.value]
        if size != wanted:
            what = "bought" if row.market is Market.SPOT else "held"
            problems.append(f"{row.symbol} {row.side.value}: {size:f} {what}, not {wanted:f}")
    return Audit(entries, fills, len(orders), tuple(problems))


async def _orders(store: Store, ids: dict[str, tuple[str, str, str]]) -> dict[str, OrderRow]:
    found: dict[str, OrderRow] = {}
    wanted = list(ids.values())
    for start in range(0, len(wanted), _PAGE):
        known = await store.look_up(Wanted(orders=frozenset(wanted[start : start + _PAGE])))
        found |= {row.key: row for row in known.orders}
    return found
