"""Fields of an account's rows: numbers and texts that are blank where there is nothing to say.

Each raises one of :data:`~ccrs_core.wire.MALFORMED` where a row can't be read.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from ccrs_core.wire.values import DECIMALS, SIZES, decimal_or_none, ns_or_none, spelled

Row = Mapping[str, Any]


def text_field(row: Row, name: str) -> str:
    """A text; empty where it is absent."""
    value = row.get(name)
    return "" if value is None or value == "" else spelled(value)


def needed_field(row: Row, name: str) -> str:
    """A text that must be there."""
    value = spelled(row[name])
    if not value:
        raise ValueError(f"{name} is blank")
    return value


def price_field(row: Row, name: str) -> Decimal | None:
    """A price; None where it is absent, blank or zero."""
    text = row.get(name)
    if text is None or text == "":
        return None
    return SIZES[text] or None


def size_field(row: Row, name: str) -> Decimal | None:
    """A size; None where it is absent or blank."""
    text = row.get(name)
    return None if text is None or text == "" else SIZES[text]


def amount_field(row: Row, name: str) -> Decimal | None:
    """A number of either sign; None where it is absent or blank."""
    text = row.get(name)
    return None if text is None or text == "" else DECIMALS[text]


def needed_amount_field(row: Row, name: str) -> Decimal:
    """A number of either sign that must be there."""
    value = decimal_or_none(row[name])
    if value is None:
        raise ValueError(f"{name} is blank")
    return value


def time_field(row: Row, name: str) -> int | None:
    """A time in nanoseconds, of milliseconds; None where it is absent, blank or zero."""
    return ns_or_none(row.get(name))


def details_of(row: Row, names: Sequence[str], nothing: Container[Any]) -> dict[str, str]:
    """Those of some fields that say something, as texts. ``nothing``: how the exchange spells that
    they don't."""
    told: Iterable[tuple[str, Any]] = zip(names, map(row.get, names), strict=True)
    if None in nothing and "" in nothing and 0 in nothing:  # as mostly, and so are most fields
        told = [(name, value) for name, value in told if value]
    found = {}
    for name, value in told:
        if type(value) is str:
            if value not in nothing:
                found[name] = value
        elif type(value) in (list, dict):
            if value:
                found[name] = orjson.dumps(value).decode()
        elif value not in nothing:
            found[name] = orjson.dumps(value).decode()
    return found


__all__ = [
    "amount_field",
    "details_of",
    "needed_amount_field",
    "needed_field",
    "price_field",
    "size_field",
    "text_field",
    "time_field",
]
