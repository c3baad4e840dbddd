"""How exchanges spell a market's numbers, times, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

Levels = list[tuple[int, int]]
"""Prices in ticks and sizes in lots, best first."""

SpelledLevel = Sequence[str]
"""Price and size as text, and whatever else the exchange says of a level."""


class Speller:
    """A market's numbers as text: ``price`` of ticks, ``size`` of lots, ``fine`` of hundredths of
    a tick, with all their decimals. Subclasses spell as their exchange does.
    """

    def __init__(self, market: SimulatedMarket) -> None:
        self.market = market
        self.listing = market.listing
        self.price: Callable[[int], str] = market.rules.price.fixed
        self.size: Callable[[int], str] = market.rules.size.fixed
        self.fine: Callable[[int], str] = market.rules.price.hundredths

    def levels(self, levels: Levels, side: Side) -> list[SpelledLevel]:
        """Levels of a side of the book; size 0 for those that are gone."""
        price, size = self.price, self.size
        return [(price(ticks), size(lots)) for ticks, lots in levels]

    def best(self, side: Side) -> tuple[str, str] | None:
        """The best bid or ask that there is now."""
        top = self.market.engine.depth(side, 1)
        return (self.price(top[0][0]), self.size(top[0][1])) if top else None


def milliseconds(time_ns: int) -> int:
    """A time as most exchanges write it."""
    return time_ns // NS_PER_MS


def trimmed(value: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object of a message; None where it is anything else."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def exact_json(value: Any) -> bytes:
    """JSON in which each ``Decimal`` is a number of exactly its digits, trailing zeros too."""
    return _json(value).encode()


def _json(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json.dumps(key)}:{_json(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_json, value))}]"
    return json.dumps(value)


def rfc3339(time_ns: int) -> str:
    """A time such as ``2026-01-01T00:00:00.123456Z``."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_SECOND // 1000:06d}Z"
