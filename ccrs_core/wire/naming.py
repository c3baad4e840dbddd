"""Which instruments may bear which unified symbols. Pure; for plugins."""

from __future__ import annotations

from collections.abc import Iterable

from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Instrument, InstrumentStatus, market_of


def one_to_one(instruments: Iterable[Instrument]) -> list[Instrument]:
    """Drop the instruments whose unified symbol is taken, or means another market.

    Of several that claim one symbol, the one that trades keeps it, and among equals the one whose
    native symbol comes first in the alphabet: the same choice whatever order they are listed in.
    A wrong instrument costs more than a missing one.
    """
    claims: dict[str, Instrument] = {}
    kept = [i for i in instruments if _names_its_market(i)]
    for instrument in kept:
        holder = claims.setdefault(instrument.symbol, instrument)
        if _precedence(instrument) < _precedence(holder):
            claims[instrument.symbol] = instrument
    natives = {i.native: i for i in claims.values()}
    return [i for i in kept if natives.get(i.native) is i]


def _precedence(instrument: Instrument) -> tuple[bool, str]:
    return instrument.status is not InstrumentStatus.TRADING, instrument.native


def _names_its_market(instrument: Instrument) -> bool:
    try:
        return market_of(instrument.symbol) is instrument.market
    except UsageError:
        return False


__all__ = ["one_to_one"]
