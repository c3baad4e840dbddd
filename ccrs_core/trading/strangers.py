"""Orders of which a list of fills is the first to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order
from ccrs_core.model.reports import FillReport
from ccrs_core.trading.ledger import Ledger

Find = Callable[[Market, str], Instrument | None]
"""The instrument of a market and an exchange's own symbol."""


def strangers(ledger: Ledger, find: Find, rows: Sequence[Any]) -> list[tuple[Instrument, str]]:
    """Of the fills among ``rows``, the exchange's ids of orders that the ledger knows nothing of:
    they ended before anybody saw them, or a trigger has placed them. The newest comes last."""
    found: dict[tuple[str, str], tuple[Instrument, str]] = {}
    for row, instrument in _fills(find, rows):
        ids = instrument.symbol, row.exchange_order_id, row.client_order_id
        if row.exchange_order_id and ledger.told_of(*ids) is None:
            found[ids[:2]] = instrument, row.exchange_order_id
    return list(found.values())


def may_be_own(ledger: Ledger, find: Find, rows: Sequence[Any]) -> bool:
    """Whether one of them may have been placed by the trigger of an own order: fills don't say so
    everywhere, orders do. So they are asked for before such fills are told as those of others."""
    waiting = {order.symbol for order in ledger.orders() if _waits(order)}
    unknown = strangers(ledger, find, rows) if waiting else []
    return any(instrument.symbol in waiting for instrument, _ in unknown)


def _waits(order: Order) -> bool:
    triggers = order.trigger is not None or (
        order.asked is not None and order.asked.trigger is not None
    )
    return triggers and not order.state.final


def _fills(find: Find, rows: Sequence[Any]) -> Iterator[tuple[FillReport, Instrument]]:
    for row in rows:
        if isinstance(row, FillReport):
            instrument = find(row.market, row.native)
            if instrument is not None:
                yield row, instrument


__all__ = ["may_be_own", "strangers"]
