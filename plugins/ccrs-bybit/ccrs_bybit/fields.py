"""Fields of rows of accounts: numbers and texts that are blank where there is nothing to say.

Each raises one of :data:`ccrs_core.wire.MALFORMED` where a row can't be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccrs_core import Market, PositionSide, Side
from ccrs_core.wire import amount_field as amount
from ccrs_core.wire import details_of, whole
from ccrs_core.wire import needed_amount_field as needed_amount
from ccrs_core.wire import needed_field as needed
from ccrs_core.wire import price_field as price
from ccrs_core.wire import size_field as size
from ccrs_core.wire import text_field as text
from ccrs_core.wire import time_field as time

Row = Mapping[str, Any]

MARKETS = {market.value: market for market in Market}
SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
POSITIONS = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
"""By ``positionIdx``. https://bybit-exchange.github.io/docs/v5/enum#positionidx"""

NOTHING = frozenset({"", "UNKNOWN"})
"""How Bybit spells that there is nothing to say."""

_NO_DETAIL = frozenset({None, "", "UNKNOWN", "0", "0.00", 0, "None"})


def flag(row: Row, name: str) -> bool | None:
    """A truth; None where it is absent."""
    value = row.get(name)
    if value is not None and type(value) is not bool:
        raise TypeError(f"{name} is no truth")
    return value


def count(row: Row, name: str) -> int | None:
    """A number of a sequence; None where it is absent, or says that there is none (-1)."""
    value = row.get(name)
    if value is None or value in {"", "-1", -1}:
        return None
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return whole(value)


def side(row: Row, name: str = "side") -> Side | None:
    """A side; None where the row is about none."""
    value = text(row, name)
    return None if value in NOTHING or value == "None" else SIDES[value]


def position_side(row: Row) -> PositionSide | None:
    """Which position a row is about; None where it doesn't say."""
    value = row.get("positionIdx")
    return None if value is None else POSITIONS[whole(value)]


def market_of(row: Row, market: Market | None) -> Market:
    """Its market: what was asked for, else what the row says."""
    return MARKETS[row["category"]] if market is None else market


def details(row: Row, names: Sequence[str]) -> dict[str, str]:
    """Those of some fields that say something, as texts."""
    return details_of(row, names, _NO_DETAIL)


__all__ = [
    "MARKETS",
    "NOTHING",
    "POSITIONS",
    "SIDES",
    "Row",
    "amount",
    "count",
    "details",
    "flag",
    "market_of",
    "needed",
    "needed_amount",
    "position_side",
    "price",
    "side",
    "size",
    "text",
    "time",
]
