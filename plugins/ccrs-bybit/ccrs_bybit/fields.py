"""Fields of rows of accounts: numbers and texts that are blank where there is nothing to say.

Each raises one of :data:`ccrs_core.wire.MALFORMED` where a row can't be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from ccrs_core import Market, PositionSide, Side
from ccrs_core.wire import decimal_or_none, ns_or_none, price_or_none, size_or_none, spelled, whole

Row = Mapping[str, Any]

MARKETS = {market.value: market for market in Market}
SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
POSITIONS = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
"""By ``positionIdx``. https://bybit-exchange.github.io/docs/v5/enum#positionidx"""

NOTHING = frozenset({"", "UNKNOWN"})
"""How Bybit spells that there is nothing to say."""

_NO_DETAIL = frozenset({None, "", "UNKNOWN", "0", "0.00", 0, "None"})


def text(row: Row, name: str) -> str:
    """A text; empty where it is absent."""
    value = row.get(name)
    return "" if value is None else spelled(value)


def needed(row: Row, name: str) -> str:
    """A text that must be there."""
    value = spelled(row[name])
    if not value:
        raise ValueError(f"{name} is blank")
    return value


def price(row: Row, name: str) -> Decimal | None:
    """A price; None where it is absent, blank or zero."""
    return price_or_none(row.get(name))


def size(row: Row, name: str) -> Decimal | None:
    """A size; None where it is absent or blank."""
    return size_or_none(row.get(name))


def amount(row: Row, name: str) -> Decimal | None:
    """A number of either sign; None where it is absent or blank."""
    return decimal_or_none(row.get(name))


def needed_amount(row: Row, name: str) -> Decimal:
    """A number of either sign that must be there."""
    value = decimal_or_none(row[name])
    if value is None:
        raise ValueError(f"{name} is blank")
    return value


def time(row: Row, name: str) -> int | None:
    """A time in nanoseconds; None where it is absent, blank or zero."""
    return ns_or_none(row.get(name))


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
    found = {}
    for name in names:
        value = row.get(name)
        if type(value) is str:
            if value not in _NO_DETAIL:
                found[name] = value
        elif type(value) in (list, dict):
            if value:
                found[name] = orjson.dumps(value).decode()
        elif value not in _NO_DETAIL:
            found[name] = orjson.dumps(value).decode()
    return found
