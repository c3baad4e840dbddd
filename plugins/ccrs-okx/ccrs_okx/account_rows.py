"""Rows of positions, balances and bills.

https://www.okx.com/docs-v5/en/#trading-account-rest-api
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ccrs_core import (
    Balance,
    IncomeKind,
    IncomeReport,
    Margin,
    MarginMode,
    Market,
    PositionReport,
    PositionSide,
)
from ccrs_core.wire import ns_of_ms
from ccrs_okx import fields
from ccrs_okx.fields import Row
from ccrs_okx.symbols import EXCHANGE

# --- positions -------------------------------------------------------------------------------

MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED, "": None}

POSITION_DETAILS = (
    *("instType", "posId", "posCcy", "availPos", "ccy", "mgnRatio", "margin", "notionalUsd"),
    *("adl", "bePx", "uplRatio", "last", "idxPx", "usdPx", "fundingFee", "fee", "pnl", "optVal"),
    *("liab", "liabCcy", "interest", "liqPenalty", "settledPnl", "nonSettleAvgPx", "tradeId"),
    *("deltaBS", "gammaBS", "thetaBS", "vegaBS", "spotInUseAmt", "spotInUseCcy"),
    *("closeOrderAlgo", "bizRefType"),
)
"""Fields that have no unified name."""


def position(row: Row, received_time_ns: int) -> PositionReport:
    """What a row says of a position, in contracts; of spot on margin in base units."""
    market, which = fields.market_of(row), fields.position_side(row)
    if market is None:
        raise ValueError(f"a position of {row['instType']!r:.40}")
    size = _margin_size(row) if market is Market.SPOT else fields.needed_amount(row, "pos")
    return PositionReport(
        market=market,
        native=fields.needed(row, "instId"),
        side=which,
        # Of one of two positions the size has no sign.
        size=-size if which is PositionSide.SHORT and size else size,
        entry_price=fields.price(row, "avgPx"),
        mark_price=fields.price(row, "markPx"),
        liquidation_price=fields.price(row, "liqPx"),
        leverage=fields.price(row, "lever"),
        margin_mode=MARGIN_MODES[fields.text(row, "mgnMode")],
        initial_margin=fields.amount(row, "imr"),
        maintenance_margin=fields.amount(row, "mmr"),
        unrealised_profit=fields.amount(row, "upl"),
        realised_profit=fields.amount(row, "realizedPnl"),
        exchange_time_ns=fields.time(row, "uTime"),
        received_time_ns=received_time_ns,
        sequence=fields.trade_number(row),
        native_fields=fields.details(row, POSITION_DETAILS),
    )


def _margin_size(row: Row) -> Decimal:
    """Of spot on margin: what is held of the base asset, or below zero what is owed of it."""
    base = fields.needed(row, "instId").split("-")[0]
    if fields.text(row, "posCcy") in {"", base}:
        return fields.needed_amount(row, "pos")
    owed = fields.amount(row, "liab")
    if fields.text(row, "liabCcy") != base or owed is None:
        raise ValueError("a short position that doesn't say what is owed")
    return -abs(owed)


def together(reports: Iterable[PositionReport]) -> list[PositionReport]:
    """One position for each instrument and side: OKX has two where one is of cross margin and one
    isolated, whose sizes add up; what else they say isn't one thing then."""
    found: dict[tuple[str, PositionSide], list[PositionReport]] = {}
    for report in reports:
        found.setdefault((report.native, report.side), []).append(report)
    return [each[0] if len(each) == 1 else _sum(each) for each in found.values()]


def _sum(reports: list[PositionReport]) -> PositionReport:
    held = [each for each in reports if each.size]
    if len(held) == 1:
        (only,) = held
        return only
    first = reports[0]
    told = [each.exchange_time_ns for each in reports if each.exchange_time_ns is not None]
    return PositionReport(
        market=first.market,
        native=first.native,
        side=first.side,
        size=sum((each.size for each in reports), Decimal(0)),
        mark_price=first.mark_price,
        exchange_time_ns=max(told, default=None),
        received_time_ns=first.received_time_ns,
        native_fields={
            f"{name} ({each.margin_mode})": value
            for each in reports
            for name, value in (("pos", f"{each.size:f}"), ("avgPx", f"{each.entry_price}"))
        },
    )


# --- balances --------------------------------------------------------------------------------


def balance(row: Row, account: str, time_ns: int | None, received_time_ns: int) -> Balance:
    """What a row says of one currency.

    ``total`` is its equity: with the profit of open positions. What is owed is in both: cash is
    below zero then. https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance
    """
    cash = fields.needed_amount(row, "cashBal")
    equity, free = fields.amount(row, "eq"), fields.amount(row, "availBal")
    return Balance(
        EXCHANGE,
        "",
        time_ns,
        received_time_ns,
        account,
        fields.needed(row, "ccy"),
        cash if equity is None else equity,
        free,
        cash,
    )


def margin(row: Row) -> Margin:
    """An account's margin as a whole, in US dollars. Much of it is blank of accounts that keep each
    currency by itself."""
    return Margin(
        asset="USD",
        equity=fields.amount(row, "totalEq"),
        available=fields.amount(row, "availEq"),
        initial_margin=fields.amount(row, "imr"),
        maintenance_margin=fields.amount(row, "mmr"),
        unrealised_profit=fields.amount(row, "upl"),
    )


# --- bills -----------------------------------------------------------------------------------

INCOME_KINDS = {
    "1": IncomeKind.TRANSFER,
    "2": IncomeKind.TRADE,
    "3": IncomeKind.DELIVERY,
    "4": IncomeKind.CONVERSION,
    "5": IncomeKind.TRADE,
    "6": IncomeKind.TRANSFER,
    "7": IncomeKind.INTEREST,
    "8": IncomeKind.FUNDING,
    "9": IncomeKind.TRADE,
    "10": IncomeKind.INSURANCE,
    "11": IncomeKind.CONVERSION,
    "12": IncomeKind.TRANSFER,
    "14": IncomeKind.TRADE,
    "24": IncomeKind.TRADE,
    "27": IncomeKind.CONVERSION,
    "28": IncomeKind.CONVERSION,
    "29": IncomeKind.CONVERSION,
    "30": IncomeKind.CONVERSION,
    "250": IncomeKind.FEE,
    "251": IncomeKind.REBATE,
    "381": IncomeKind.INTEREST,
}
"""By type; all others are ``OTHER``.

https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-3-months
"""
KINDS_OF_SUBTYPES = {
    # Of liquidations, but not listed among the fills.
    "108": IncomeKind.INSURANCE,
    "109": IncomeKind.FEE,
    # Listed among the fills, too.
    "112": IncomeKind.TRADE,
    "113": IncomeKind.TRADE,
    "170": IncomeKind.EXERCISE,
    "171": IncomeKind.EXERCISE,
    "172": IncomeKind.EXERCISE,
    "173": IncomeKind.FUNDING,
    "174": IncomeKind.FUNDING,
}
"""Where the subtype says more than the type."""

_BILL_DETAILS = (
    *("type", "subType", "bal", "posBal", "posBalChg", "sz", "px", "pnl", "fee", "mgnMode"),
    *("interest", "from", "to", "notes", "tag", "ordId", "clOrdId", "tradeId", "execType"),
    *("fillTime", "earnAmt", "earnApr"),
)


def _moved(row: Row) -> Decimal:
    """What came or went. That of an isolated position touches its own balance alone, funding say:
    the account's isn't changed by it. https://github.com/ccxt/ccxt/issues/28103
    """
    amount = fields.needed_amount(row, "balChg")
    return amount or fields.amount(row, "posBalChg") or amount


def bill(row: Row, received_time_ns: int) -> IncomeReport:
    """What a row says of money that came or went."""
    kind, further = fields.needed(row, "type"), fields.text(row, "subType")
    native = fields.text(row, "instId")
    market = fields.market_of(row) if native and fields.text(row, "instType") else None
    told = INCOME_KINDS.get(kind, IncomeKind.OTHER)
    return IncomeReport(
        income_id=fields.needed(row, "billId"),
        kind=KINDS_OF_SUBTYPES.get(further, told),
        asset=fields.needed(row, "ccy"),
        amount=_moved(row),
        market=market,
        native=native if market is not None else "",
        exchange_time_ns=ns_of_ms(row["ts"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, _BILL_DETAILS),
    )
