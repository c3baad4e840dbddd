"""My Exchange's instruments and their unified names.

REPLACE BY YOUR EXCHANGE'S: the fields of ``/instruments``. Take the name from fields such as base
and quote, not from cutting up the exchange's symbol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrs_core import Instrument, InstrumentStatus, Market, unified_symbol
from ccrs_core.wire import price, size, size_or_none

STATUSES = {
    "soon": InstrumentStatus.PRELAUNCH,
    "open": InstrumentStatus.TRADING,
    "halted": InstrumentStatus.HALTED,
}


def instrument(row: Mapping[str, Any]) -> Instrument:
    """One row of ``/instruments``: ``{"name": "BTC-USD", "base": "BTC", "quote": "USD", …}``.

    Malformed rows raise what ``ccrs_core.wire.MALFORMED`` lists, and are left out.
    """
    native, base, quote = row["name"], row["base"], row["quote"]
    if not all(type(text) is str and text for text in (native, base, quote)):
        raise TypeError("name, base and quote must be text")
    return Instrument(
        exchange="my-exchange",
        symbol=unified_symbol(base, quote),
        native=native,
        market=Market.SPOT,
        base=base,
        quote=quote,
        # A status that the exchange adds one day surely isn't plain trading.
        status=STATUSES.get(row["status"], InstrumentStatus.HALTED),
        tick_size=price(row["tick"]),
        lot_size=size(row["lot"]),
        min_size=size_or_none(row.get("min")),
        # Which fields may be absent, null or blank is in the exchange's documents.
        max_size=size_or_none(row.get("max")),
    )
