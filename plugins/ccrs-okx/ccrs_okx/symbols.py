"""OKX's instruments and their unified names.

Names are made of the fields of the instrument list, never by cutting up ``instId``.
https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core import Instrument, InstrumentStatus, Market, OptionKind, TickBand, unified_symbol
from ccrs_core.wire import Rows, ns_of_ms, one_to_one, price, price_or_none, product, read_rows
from ccrs_okx.options import banded
from ccrs_okx.sizes import SCALED, shortest

EXCHANGE = "okx"

STATUSES = {
    "live": InstrumentStatus.TRADING,
    "preopen": InstrumentStatus.PRELAUNCH,
    "suspend": InstrumentStatus.HALTED,
    "post_only": InstrumentStatus.HALTED,
    "rebase": InstrumentStatus.HALTED,
    "test": InstrumentStatus.HALTED,
    "settling": InstrumentStatus.SETTLING,
    "expired": InstrumentStatus.CLOSED,
}

X_PERP = "xperp"

OPTION_KINDS = {"C": OptionKind.CALL, "P": OptionKind.PUT}

INSTRUMENT_TYPES: Mapping[Market, tuple[str, ...]] = {
    Market.SPOT: ("SPOT",),
    Market.LINEAR: ("SWAP", "FUTURES"),
    Market.INVERSE: ("SWAP", "FUTURES"),
    Market.OPTION: ("OPTION",),
}
"""OKX's types of instrument by market; perpetual and dated contracts are listed apart."""


def instrument_type(instrument: Instrument) -> str:
    """OKX's ``instType`` of an instrument. Its X-Perps are perpetuals, listed as futures."""
    types = INSTRUMENT_TYPES[instrument.market]
    return types[0] if len(types) == 1 or instrument.native.endswith("-SWAP") else types[-1]


def index_of(instrument: Instrument) -> str:
    """OKX's name of the index that a derivative follows."""
    return f"{instrument.base}-{instrument.quote}"


def instruments(rows: Any, market: Market, bands: Sequence[TickBand] = ()) -> Rows[Instrument]:
    """The instruments of a market on one page of ``/api/v5/public/instruments``, each name once.

    Those of other markets, closed ones and those that can't be named one to one are left out: see
    :func:`~ccrs_core.wire.one_to_one`. Rows that can't be read are left out and counted, such as
    those of contracts that are only announced, of which a page may have no others.

    :param bands: the ticks of the family that the page is of.
    """
    if type(rows) is list and rows and all(map(_is_announced, rows)):
        return Rows([], len(rows), "announced")
    found = read_rows(rows, lambda row: _instrument(row, market, bands))
    kept = one_to_one(i for i in found.values if i.status is not InstrumentStatus.CLOSED)
    return attrs.evolve(found, values=kept)


def _is_announced(row: Any) -> bool:
    """Whether a row stands for something of which all but the name, or that too, is to come."""
    if type(row) is not dict:
        return False
    return row.get("state", "preopen") == "preopen" and not (
        row.get("instId") and row.get("tickSz")
    )


def _instrument(
    row: Mapping[str, Any], market: Market, bands: Sequence[TickBand]
) -> Instrument | None:
    native, kind = row["instId"], row["instType"]
    if not isinstance(native, str) or not native:
        raise TypeError("instId must be text")
    if kind not in INSTRUMENT_TYPES[market]:
        return None
    if row["state"] == "preopen" and not row["tickSz"]:
        raise ValueError("announced, and all but its name still to come")
    if market is Market.SPOT:
        base, quote, settle, contract = row["baseCcy"], row["quoteCcy"], None, Decimal(1)
    else:
        if market is not Market.OPTION and row["ctType"] != market.value:
            return None
        base, _, quote = row["uly"].partition("-")
        settle = row["settleCcy"]
        # What a contract's value is counted in: a stray one would make all its sizes wrong.
        if row["ctValCcy"] != (quote if market is Market.INVERSE else base):
            return None
        contract = product(price(row["ctVal"]), price(row["ctMult"]))
    if not all(type(text) is str and text for text in (base, quote, settle or "none")):
        raise TypeError("currencies must be text")
    # X-Perps pay funding as perpetuals do; the expiry of some years ahead is a formality.
    dated = kind in {"FUTURES", "OPTION"} and row.get("ruleType") != X_PERP
    expiry_ns = ns_of_ms(row["expTime"]) if dated else None
    strike = price(row["stk"]) if kind == "OPTION" else None
    option_kind = OPTION_KINDS[row["optType"]] if kind == "OPTION" else None

    tick, ticks = banded(price_or_none(row.get("tickSz")), bands)

    def size(name: str) -> Decimal | None:
        found = price_or_none(row.get(name))
        if found is None or market not in SCALED:
            return found
        return shortest(product(found, contract))

    return Instrument(
        exchange=EXCHANGE,
        symbol=unified_symbol(base, quote, settle, expiry_ns, strike, option_kind),
        native=native,
        market=market,
        base=base,
        quote=quote,
        settle=settle,
        # A state that OKX adds one day surely isn't plain trading.
        status=STATUSES.get(row["state"], InstrumentStatus.HALTED),
        tick_size=tick,
        tick_bands=ticks,
        lot_size=size("lotSz"),
        min_size=size("minSz"),
        max_size=size("maxLmtSz"),
        quote_per_contract=contract if market is Market.INVERSE else None,
        base_per_native_contract=contract if market in SCALED else None,
        expiry_ns=expiry_ns,
        strike=strike,
        option_kind=option_kind,
        native_code=_code(row),
    )


def _code(row: Mapping[str, Any]) -> int | None:
    """The number by which orders over WebSocket name it; None where the list leaves it out."""
    found = row.get("instIdCode")
    return found if type(found) is int and found > 0 else None
