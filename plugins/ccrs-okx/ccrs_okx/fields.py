"""Fields of rows of accounts, as OKX spells them: all as text, blank where there is nothing to say.

Each raises one of :data:`ccrs_core.wire.MALFORMED` where a row can't be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccrs_core import Instrument, Market, PositionSide, Side
from ccrs_core.wire import amount_field as amount
from ccrs_core.wire import details_of
from ccrs_core.wire import needed_amount_field as needed_amount
from ccrs_core.wire import needed_field as needed
from ccrs_core.wire import price_field as price
from ccrs_core.wire import size_field as size
from ccrs_core.wire import text_field as text
from ccrs_core.wire import time_field as time

Row = Mapping[str, Any]

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
POSITIONS = {
    "": PositionSide.NET,
    "net": PositionSide.NET,
    "long": PositionSide.LONG,
    "short": PositionSide.SHORT,
}
TRUTHS = {"true": True, "false": False, "": None}

_MARKETS = {"SPOT": Market.SPOT, "MARGIN": Market.SPOT, "OPTION": Market.OPTION}
_CONTRACTS = frozenset({"SWAP", "FUTURES"})
_NOT_OFFERED = frozenset({"EVENTS"})

_NO_LINK = frozenset({'{"algoId":""}', '{"ordId":""}'})
"""How OKX spells that an order has no partner."""
_NO_DETAIL = frozenset({None, "", "0", 0, "false", "net"})


def market_of(row: Row) -> Market | None:
    """A row's market; None where it is about something that isn't offered, such as events.

    Rows don't say whether contracts are linear or inverse, but their names do: those whose quote is
    plain ``USD`` are inverse, those of dollars and linear are ``USD_UM``.
    https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
    """
    kind = needed(row, "instType")
    if kind in _CONTRACTS:
        quote = needed(row, "instId").split("-")[1]
        return Market.INVERSE if quote == "USD" else Market.LINEAR
    return _MARKETS.get(kind)


def is_of(market: Market, row: Row) -> bool:
    """Whether a row of a list is of the market that was asked for.

    :raises ValueError: where nobody knows what it is of: it may be of that market.
    """
    found = market_of(row)
    if found is None and row["instType"] not in _NOT_OFFERED:
        raise ValueError(f"instType {row['instType']!r:.40} isn't known")
    return found is market


def family_of(instrument: Instrument) -> str:
    """OKX's name of the family of a derivative: the first two parts of its own."""
    return "-".join(instrument.native.split("-")[:2])


def side(row: Row) -> Side:
    """A side."""
    return SIDES[row["side"]]


def position_side(row: Row) -> PositionSide:
    """Which position a row is about."""
    return POSITIONS[text(row, "posSide")]


def truth(row: Row, name: str) -> bool | None:
    """A truth, which OKX spells as text here and as itself there; None where it isn't said."""
    value = row.get(name)
    if type(value) is bool or value is None:
        return value
    return TRUTHS[value]


def paid(row: Row, name: str) -> Decimal | None:
    """A fee, above zero paid: OKX writes what is paid below zero; None where it isn't said."""
    value = amount(row, name)
    # Zero stays what it is: there is none below it.
    return value if not value else -value


def details(row: Row, names: Sequence[str]) -> dict[str, str]:
    """Those of some fields that say something, as texts."""
    found = details_of(row, names, _NO_DETAIL)
    return {name: value for name, value in found.items() if value not in _NO_LINK}


__all__ = [
    "POSITIONS",
    "SIDES",
    "Row",
    "amount",
    "details",
    "family_of",
    "market_of",
    "needed",
    "needed_amount",
    "paid",
    "position_side",
    "price",
    "side",
    "size",
    "text",
    "time",
    "truth",
]


def trade_number(row: Row) -> int | None:
    """The number of a trade, of a position its last one's: an instrument's trades are counted, so
    that fills and positions of one millisecond are told apart. None where there is none, as of what
    OKX forces, whose numbers are below zero."""
    told = text(row, "tradeId")
    found = int(told) if told.isascii() and told.isdecimal() else 0
    return found or None
