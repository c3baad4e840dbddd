"""Binance's instruments and their unified names.

The name is derived from the fields of ``exchangeInfo`` (assets, contract type, delivery time),
never by cutting up the native symbol: ``BTCUSDT`` names both a spot pair and a perpetual. USD-M
contracts are of one base unit, COIN-M's of as many quote units as ``contractSize`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ccrs_core import NS_PER_MS, Instrument, InstrumentStatus, Market, unified_symbol
from ccrs_core.wire import Rows, ns_of_ms, one_to_one, price_or_none, read_rows, whole

EXCHANGE = "binance"

STATUSES = {
    "TRADING": InstrumentStatus.TRADING,
    "PRE_TRADING": InstrumentStatus.PRELAUNCH,
    "PENDING_TRADING": InstrumentStatus.PRELAUNCH,
    "PRE_DELIVERING": InstrumentStatus.SETTLING,
    "DELIVERING": InstrumentStatus.SETTLING,
    "PRE_SETTLE": InstrumentStatus.SETTLING,
    "SETTLING": InstrumentStatus.SETTLING,
    "DELIVERED": InstrumentStatus.CLOSED,
    "CLOSE": InstrumentStatus.CLOSED,
}
"""Any other status is not plain trading: HALT, CANCEL_ONLY, or one to come."""

DELISTED = "BREAK"
"""What delisted spot pairs are for ever, and all pairs during maintenance."""

PERPETUALS = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL DELIVERING"})


def instruments(rows: Any, market: Market, now_ns: int = 0) -> Rows[Instrument]:
    """The instruments of an ``exchangeInfo``, each name once, those that have closed left out.

    Rows that can't be read are counted: see :func:`~ccrs_core.wire.read_rows`. ``now_ns`` is the
    exchange's time: delisted contracts are said to be settling for years after their delivery.
    """
    found = read_rows(rows, lambda row: (_instrument(row, market), row))
    # Where nothing trades at all, a break isn't the end.
    delisted = market is Market.SPOT and any(
        each.status is InstrumentStatus.TRADING for each, _ in found.values
    )
    listed = [
        instrument
        for instrument, row in found.values
        if instrument.status is not InstrumentStatus.CLOSED
        and not (delisted and row["status"] == DELISTED)
        and not (instrument.status is InstrumentStatus.SETTLING and _delivered(row, now_ns))
    ]
    return Rows(one_to_one(listed), found.left_out, found.reason)


def _delivered(row: Mapping[str, Any], now_ns: int) -> bool:
    delivery = row.get("deliveryDate")
    return type(delivery) is int and delivery * NS_PER_MS <= now_ns


def _instrument(row: Mapping[str, Any], market: Market) -> Instrument:
    native, base, quote = row["symbol"], row["baseAsset"], row["quoteAsset"]
    settle = expiry_ns = None
    if market is not Market.SPOT:
        settle = row["marginAsset"]
        # Before trading and near delivery the type may be empty; but the symbols of perpetuals are
        # their pairs, or say so.
        pair = row.get("pair")
        perpetual = row.get("contractType") in PERPETUALS
        if not perpetual and native not in {pair, f"{pair}_PERP"}:
            expiry_ns = ns_of_ms(row["deliveryDate"])
    names = (native, base, quote) if settle is None else (native, base, quote, settle)
    if not all(type(text) is str and text for text in names):
        raise TypeError("symbol and assets must be text")
    inverse = market is Market.INVERSE
    filters = {each["filterType"]: each for each in row.get("filters") or () if each}
    lots = filters.get("LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    return Instrument(
        exchange=EXCHANGE,
        symbol=unified_symbol(base, quote, settle, expiry_ns),
        native=native,
        market=market,
        base=base,
        quote=quote,
        settle=settle,
        status=STATUSES.get(
            row["contractStatus" if inverse else "status"], InstrumentStatus.HALTED
        ),
        tick_size=_step(filters.get("PRICE_FILTER", {}).get("tickSize")),
        lot_size=_step(lots.get("stepSize")),
        min_size=_step(lots.get("minQty")),
        max_size=_step(lots.get("maxQty")),
        min_notional=_step(notional.get("minNotional", notional.get("notional"))),
        quote_per_contract=_quote_per_contract(row) if inverse else None,
        expiry_ns=expiry_ns,
    )


def _quote_per_contract(row: Mapping[str, Any]) -> Decimal:
    size = whole(row["contractSize"])
    if size < 1:
        raise ValueError("a contract is worth nothing")
    return Decimal(size)


def _step(text: Any) -> Decimal | None:
    """A rule's number; zero switches a rule off."""
    return price_or_none(text)
