"""Which requests leave together: of one market, as many as a batch has, and as the account's pools
take at once, since the exchange refuses the tail of what is heavier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    PlaceOrder,
    PlaceOrders,
)
from ccrs_core.model.instruments import Market
from ccrs_core.trading.context import AccountContext

Item = PlaceOrder | AmendOrder | CancelOrder
Batch = type[PlaceOrders] | type[AmendOrders] | type[CancelOrders]


def portions(context: AccountContext, kind: Batch, items: Mapping[int, Item]) -> list[list[int]]:
    """Places of what leaves together, in the order in which it is to leave; who is alone goes by
    itself."""
    alone: list[list[int]] = []
    by_market: dict[Market, list[int]] = {}
    for place, item in items.items():
        if kind in context.trading.alone and waits_for_trigger(item):
            alone.append([place])
        else:
            by_market.setdefault(item.instrument.market, []).append(place)
    found = []
    for places in by_market.values():
        at = 0
        while at < len(places):
            size = _fitting(context, kind, [items[place] for place in places[at:]])
            found.append(places[at : at + size])
            at += size
    return sorted([*found, *alone])


def _fitting(context: AccountContext, kind: Batch, items: Sequence[Item]) -> int:
    """How many of the first ones leave together; at least one."""
    endpoint = context.exchange.endpoints.get(kind)
    market = items[0].instrument.market
    if endpoint is None or market not in endpoint.markets:
        return 1
    size = min(context.trading.batch.get(market, 1), len(items))
    while size > 1:
        batch: Any = kind(tuple(items[:size]))  # type: ignore[arg-type]
        weight, most = endpoint.pool_weight_of(batch), context.asks.most_at_once(batch)
        if most is None or weight <= most:
            return size
        size = max(min(size - 1, size * most // weight), 1)
    return 1


def waits_for_trigger(item: Item) -> bool:
    """Whether it is about an order that waits for a trigger."""
    if isinstance(item, PlaceOrder):
        return item.order.trigger is not None
    return item.conditional
