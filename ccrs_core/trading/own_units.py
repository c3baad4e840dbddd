"""Sizes as the instrument counts them, and what they are worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ccrs_core.model.constructors import fast_evolve
from ccrs_core.model.instruments import Instrument, SizeUnit
from ccrs_core.model.reports import FeeIn, FillReport, OrderReport
from ccrs_core.model.units import PLAIN, QUOTIENT

_ZERO = Decimal(0)
_evolve = fast_evolve(OrderReport)


def in_own_units(report: OrderReport, instrument: Instrument) -> OrderReport:
    """A word on an order with sizes in the instrument's size unit."""
    factor = instrument.base_per_native_contract
    if factor is None:
        return report
    changes: dict[str, Any] = {}
    for name in ("size", "filled_size"):
        value = getattr(report, name)
        if value is not None:
            changes[name] = PLAIN.multiply(value, factor)
    return _evolve(report, changes)


def contract_of(instrument: Instrument) -> Decimal | None:
    """What one contract is worth in quote units, where sizes count such contracts; zero where that
    isn't known, None where sizes are base units."""
    if instrument.size_unit is SizeUnit.BASE:
        return None
    return instrument.quote_per_contract or _ZERO


def fee_asset_of(report: FillReport, instrument: Instrument) -> str:
    """What a fill's fee is in; empty where nothing says it."""
    if report.fee_in is None or report.fee_asset:
        return report.fee_asset
    if report.fee_in is FeeIn.BASE:
        return instrument.base
    if report.fee_in is FeeIn.QUOTE:
        return instrument.quote
    return instrument.settle or instrument.quote


def value_of(instrument: Instrument, price: Decimal, size: Decimal) -> Decimal | None:
    """What a size is worth at a price, in quote units; of inverse contracts in base units, to 34
    digits. None where what a contract is worth isn't known."""
    contract = contract_of(instrument)
    if contract is None:
        return PLAIN.multiply(price, size)
    if not contract or not price:
        return None
    return QUOTIENT.divide(PLAIN.multiply(size, contract), price)
