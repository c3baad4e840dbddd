"""Fields of rows of accounts: amounts are text, ids and times are numbers, truths themselves.

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

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITIONS = {
    "": PositionSide.NET,
    "BOTH": PositionSide.NET,
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
}

NO_ID = -1
"""How Binance spells that there is none: no trade, no list."""

_TRUTHS = {"true": True, "false": False}
_NO_DETAIL = frozenset({None, "", "0", "0.0", "0.00", "0.00000000", 0, NO_ID, "false"})

_FAMILIES = {1: Market.LINEAR, 2: Market.INVERSE, "UM": Market.LINEAR, "CM": Market.INVERSE}
"""By ``st`` of streams, and by ``fs`` of those of portfolio margin, where they say it.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""


def side(row: Row, name: str = "side") -> Side:
    """A side."""
    return SIDES[row[name]]


def position_side(row: Row, name: str = "positionSide") -> PositionSide:
    """Which position a row is about; the only one, where it doesn't say."""
    return POSITIONS[text(row, name)]


def identity(row: Row, name: str) -> str:
    """An id, which is a number or its digits; empty where there is none."""
    value = row.get(name)
    if value is None or value == NO_ID or value == "":
        return ""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 25:
        return value
    return str(whole(value))


def needed_identity(row: Row, name: str, *, least: int = 1) -> str:
    """An id that must be there, and isn't below ``least``: trades are numbered from zero on."""
    found = identity(row, name)
    if not found or int(found) < least:
        raise ValueError(f"{name} is no id")
    return found


def truth(row: Row, name: str) -> bool | None:
    """A truth, which some calls spell as text; None where it isn't said."""
    value = row.get(name)
    if value is None or type(value) is bool:
        return value
    return _TRUTHS[value]


def family(row: Row, otherwise: Market) -> Market:
    """Which futures a row is about: USD-M and COIN-M may come by one stream."""
    told = row.get("st", row.get("fs"))
    return otherwise if told is None else _FAMILIES[told]


def details(row: Row, names: Sequence[str]) -> dict[str, str]:
    """Those of some fields that say something, as texts."""
    return details_of(row, names, _NO_DETAIL)


__all__ = [
    "NO_ID",
    "POSITIONS",
    "SIDES",
    "Row",
    "amount",
    "details",
    "family",
    "identity",
    "needed",
    "needed_amount",
    "needed_identity",
    "position_side",
    "price",
    "side",
    "size",
    "text",
    "time",
    "truth",
]
