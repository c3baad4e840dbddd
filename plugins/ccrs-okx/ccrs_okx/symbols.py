"""OKX's instruments and their unified names.

Names are made of the fields of the instrument list, never by cutting up ``instId``.
https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ccrs_core.model import (
    Instrument,
    InstrumentStatus,
    Market,
    OptionKind,
    unified_symbol,
)
from ccrs_core.naming import one_to_one
from ccrs_core.wire import MALFORMED, decimal, decimal_or_none, ns_of_ms
from ccrs_okx.sizes import SCALED, product, shortest

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


def instruments(rows: Iterable[Mapping[str, Any]], market: Market) -> list[Instrument]:
    """The instruments of a market on one page of ``/api/v5/public/instruments``, each name once.

    Those of other markets, closed ones and those that can't be named one to one are left out: see
    :func:`~ccrs_core.naming.one_to_one`. So are rows that can't be read, such as those of contracts
    that are only announced; where no row can, the last one's KeyError, TypeError or ValueError is
    raised.
    """
    found, readable, error = [], 0, None
    for row in rows:
        try:
            instrument = _instrument(row, market)
        except MALFORMED as failure:
            error = failure
            continue
        readable += 1
        if instrument is not None:
            found.append(instrument)
    if error is not None and not readable:
        raise error
    return one_to_one(i for i in found if i.status is not InstrumentStatus.CLOSED)


def _instrument(row: Mapping[str, Any], market: Market) -> Instrument | None:
    native, kind = row["instId"], row["instType"]
    if not isinstance(native, str) or not native:
        raise TypeError("instId must be text")
    if kind not in INSTRUMENT_TYPES[market]:
        return None
    if row["state"] == "preopen" and not row["tickSz"]:
        return None  # announced, and all but its name still to come
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
        contract = product(decimal(row["ctVal"]), decimal(row["ctMult"]))
    if not all(type(text) is str and text for text in (base, quote, settle or "none")):
        raise TypeError("currencies must be text")
    # X-Perps pay funding as perpetuals do; the expiry of some years ahead is a formality.
    dated = kind in {"FUTURES", "OPTION"} and row.get("ruleType") != X_PERP
    expiry_ns = ns_of_ms(row["expTime"]) if dated else None
    strike = decimal(row["stk"]) if kind == "OPTION" else None
    option_kind = OPTION_KINDS[row["optType"]] if kind == "OPTION" else None

    def size(name: str) -> Decimal | None:
        found = decimal_or_none(row.get(name))
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
        tick_size=decimal_or_none(row.get("tickSz")),
        lot_size=size("lotSz"),
        min_size=size("minSz"),
        max_size=size("maxLmtSz"),
        contract_size=contract,
        expiry_ns=expiry_ns,
        strike=strike,
        option_kind=option_kind,
    )
