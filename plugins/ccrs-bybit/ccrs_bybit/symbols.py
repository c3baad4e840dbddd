"""Bybit's instruments and their unified names.

The name is derived from the fields of the instrument list (coins, contract type, delivery time),
never by cutting up the native symbol: ``BTCUSDT`` names both a spot pair and a perpetual, and the
length of a coin's name can't be told from it. Only an option's strike is stated nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core import Instrument, InstrumentStatus, Market, OptionKind, unified_symbol
from ccrs_core.wire import Rows, ns_of_ms, one_to_one, price, price_or_none, read_rows, size_or_none

EXCHANGE = "bybit"

STATUSES = {
    "PreLaunch": InstrumentStatus.PRELAUNCH,
    "Trading": InstrumentStatus.TRADING,
    "Delivering": InstrumentStatus.SETTLING,
    "Closed": InstrumentStatus.CLOSED,
}

DATED = frozenset({"LinearFutures", "InverseFutures"})
"""Contract types whose ``deliveryTime`` is an expiry; a perpetual's is the day it is delisted."""
PERPETUAL = frozenset({"LinearPerpetual", "InversePerpetual"})

OPTION_KINDS = {"Call": OptionKind.CALL, "Put": OptionKind.PUT}


def instruments(rows: Any, market: Market) -> Rows[Instrument]:
    """The instruments of one page of ``/v5/market/instruments-info``, each name once.

    Closed instruments are left out, and so are those that can't be named one to one: see
    :func:`~ccrs_core.wire.one_to_one`. Rows that can't be read are counted: see
    :func:`~ccrs_core.wire.read_rows`.
    """
    found = read_rows(rows, lambda row: _instrument(row, market))
    listed = [i for i in found.values if i.status is not InstrumentStatus.CLOSED]
    return attrs.evolve(found, values=one_to_one(listed))


def _instrument(row: Mapping[str, Any], market: Market) -> Instrument:
    native, base, quote = row["symbol"], row["baseCoin"], row["quoteCoin"]
    if not all(type(text) is str and text for text in (native, base, quote)):
        raise TypeError("symbol and coins must be text")
    settle = expiry_ns = strike = option_kind = None
    if market is not Market.SPOT:
        settle = row.get("settleCoin") or (base if market is Market.INVERSE else quote)
        if type(settle) is not str:
            raise TypeError("settleCoin must be text")
    kind = row.get("contractType")
    if market in {Market.LINEAR, Market.INVERSE} and kind not in DATED | PERPETUAL:
        # Whether its date is an expiry isn't known of a type that Bybit adds one day.
        # https://bybit-exchange.github.io/docs/v5/enum#contracttype
        raise ValueError(f"contractType {kind}")
    if market is Market.OPTION or kind in DATED:
        expiry_ns = ns_of_ms(row["deliveryTime"])
    if market is Market.OPTION:
        strike = price(native.split("-")[2])
        option_kind = OPTION_KINDS[row["optionsType"]]
    lots, prices = row["lotSizeFilter"], row["priceFilter"]
    spot = market is Market.SPOT
    return Instrument(
        exchange=EXCHANGE,
        symbol=unified_symbol(base, quote, settle, expiry_ns, strike, option_kind),
        native=native,
        market=market,
        base=base,
        quote=quote,
        settle=settle,
        # A status that Bybit adds one day surely isn't plain trading.
        status=STATUSES.get(row["status"], InstrumentStatus.HALTED),
        tick_size=price_or_none(prices.get("tickSize")),
        lot_size=price_or_none(lots.get("basePrecision" if spot else "qtyStep")),
        min_size=size_or_none(lots.get("minOrderQty")),
        max_size=price_or_none(
            (lots.get("maxLimitOrderQty") if spot else None) or lots.get("maxOrderQty")
        ),
        min_notional=size_or_none(lots.get("minOrderAmt" if spot else "minNotionalValue")),
        # Inverse contracts are worth one quote unit each.
        quote_per_contract=Decimal(1) if market is Market.INVERSE else None,
        expiry_ns=expiry_ns,
        strike=strike,
        option_kind=option_kind,
    )
