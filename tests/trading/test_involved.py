"""Which instruments an account has to do with."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from ccrs_core import Market, PositionSide
from ccrs_core.model.reports import PositionReport
from ccrs_core.trading.involved import Involved
from tests.trading.desk_toy import instruments


def _position(native: str, size: str) -> PositionReport:
    return PositionReport(
        market=Market.LINEAR,
        native=native,
        side=PositionSide.NET,
        size=Decimal(size),
        exchange_time_ns=None,
        received_time_ns=0,
    )


def test_a_list_of_all_that_could_be_held_involves_only_what_is() -> None:
    """Binance lists all contracts, and fills are asked for contract by contract."""
    one = instruments(Market.LINEAR)[0]
    ledger: Any = SimpleNamespace(cursors=lambda start: [], orders=list, positions=list)
    store: Any = SimpleNamespace(known=lambda: [one])
    involved = Involved(ledger, store, lambda market, native: one)
    involved.met([_position(one.native, "0")])
    assert involved.of(Market.LINEAR) == []
    involved.met([_position(one.native, "-1"), _position(one.native, "0")])
    assert involved.of(Market.LINEAR) == [one]
