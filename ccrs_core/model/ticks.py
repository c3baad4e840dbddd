"""Ticks that depend on the price: bands, and the prices that lie on them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.units import PLAIN, multiple


@attrs.frozen
class TickBand:
    """Prices from ``from_price`` on, up to the next band's, are multiples of ``tick_size``."""

    from_price: Decimal
    tick_size: Decimal


def ascending(instance: object, field: object, bands: Sequence[TickBand]) -> None:
    """For an instrument's bands.

    :raises UsageError: where they don't ascend, or a tick isn't above zero.
    """
    if any(each.tick_size <= 0 for each in bands) or any(
        one.from_price >= other.from_price for one, other in pairwise(bands)
    ):
        raise UsageError(
            f"tick_bands must ascend by from_price, with ticks above zero, not {bands!r:.200}"
        )


def band_of(bands: Sequence[TickBand], price: Decimal) -> int:
    """The place of the band that a price is in; what lies below all is in the first."""
    place = len(bands) - 1
    while place > 0 and price < bands[place].from_price:
        place -= 1
    return place


def on_tick(bands: Sequence[TickBand], price: Decimal, rounding: str) -> Decimal:
    """A price that may be quoted, with its tick's digits, beside a price: which one, the decimal
    module's rounding says."""
    place = band_of(bands, price)
    found = multiple(price, bands[place].tick_size, rounding)
    if band_of(bands, found) == place:
        return found
    return _above(bands, place + 1) if found > price else _below(bands, place - 1)


def _above(bands: Sequence[TickBand], place: int) -> Decimal:
    """The lowest price from a band on."""
    for at in range(place, len(bands) - 1):
        found = multiple(bands[at].from_price, bands[at].tick_size, ROUND_CEILING)
        if band_of(bands, found) == at:
            return found
    return multiple(bands[-1].from_price, bands[-1].tick_size, ROUND_CEILING)


def _below(bands: Sequence[TickBand], place: int) -> Decimal:
    """The highest price up to a band's end."""
    for at in range(place, -1, -1):
        end, tick = bands[at + 1].from_price, bands[at].tick_size
        found = multiple(end, tick, ROUND_FLOOR)
        if found == end:
            found = PLAIN.subtract(found, tick)
        if band_of(bands, found) == at:
            break
    return found
