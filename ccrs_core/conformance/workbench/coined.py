"""Instruments that nobody lists, and listings of as many as a test needs."""

from __future__ import annotations

from decimal import Decimal

import attrs

from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.emulator import Listing
from ccrs_core.model.instruments import Instrument, Market, unified_symbol


def another_step(step: Decimal, places: int = 1) -> Decimal:
    """Another tick or lot, so many decimal places away, that also those can spell who state a
    number of decimals: coarser, unless it would be more than one."""
    coarser = step.scaleb(places)
    other = coarser if coarser <= 1 else step.scaleb(-places)
    return Decimal(f"{other.normalize():f}")


def renamed(instrument: Instrument, base: str) -> Instrument:
    """An instrument like another one, of another base."""
    settle = base if instrument.settle == instrument.base else instrument.settle
    symbol = unified_symbol(
        base,
        instrument.quote,
        settle,
        instrument.expiry_ns,
        instrument.strike,
        instrument.option_kind,
    )
    native = respelled(instrument.native, instrument.base, base)
    return attrs.evolve(instrument, native=native, symbol=symbol, base=base, settle=settle)


def respelled(native: str, old: str, new: str) -> str:
    """An exchange's name of an instrument, with another base."""
    if old in native:
        return native.replace(old, new, 1)
    if old.lower() in native:
        return native.replace(old.lower(), new.lower(), 1)
    return new + native


def coined(
    subject: Subject, market: Market, count: int, *, length: int = 9
) -> tuple[list[Listing], list[Instrument]]:
    """So many listings that exist nowhere, with long names, and their instruments: like the
    liveliest of a market, which limits of hundreds of streams need more of than there are."""
    instrument = subject.instrument(market)
    listing = subject.listings[market, instrument.native]
    listings: list[Listing] = []
    instruments: list[Instrument] = []
    for number in range(count):
        base = coin(number, length)
        found = renamed(instrument, base)
        settle = base if listing.settle == listing.base else listing.settle
        # Markets of few levels start at once.
        changed = attrs.evolve(listing, symbol=found.native, base=base, settle=settle, levels=5)
        listings.append(changed)
        instruments.append(found)
    return listings, instruments


def coin(number: int, length: int = 9) -> str:
    """The name of a coin that doesn't exist."""
    letters = ""
    for _ in range(length):
        number, at = divmod(number, 26)
        letters = chr(ord("A") + at) + letters
    return letters
