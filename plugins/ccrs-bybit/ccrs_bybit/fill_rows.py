"""Rows of executions, of answers and of the topics ``execution`` alike: fills, funding, and what
nobody knows how to book.

https://bybit-exchange.github.io/docs/v5/websocket/private/execution
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from ccrs_bybit import fields
from ccrs_bybit.fields import NOTHING, Row
from ccrs_bybit.order_states import BY_EXCHANGE
from ccrs_core import (
    NS_PER_SECOND,
    EarlyFillReport,
    FeeIn,
    FillKind,
    FillReport,
    IncomeKind,
    IncomeReport,
    Liquidity,
    Market,
    Side,
    StrangeReport,
)
from ccrs_core.wire import ns_of_ms
from ccrs_core.wire import price as price_of
from ccrs_core.wire import size as size_of

KINDS = {
    "Trade": FillKind.TRADE,
    "AdlTrade": FillKind.DELEVERAGING,
    "BustTrade": FillKind.LIQUIDATION,
    "BlockTrade": FillKind.BLOCK,
    "FutureSpread": FillKind.SPREAD,
    "MovePosition": FillKind.TRANSFER,
    "Delivery": FillKind.SETTLEMENT,
    "Settle": FillKind.SETTLEMENT,
}
"""What changes a position. https://bybit-exchange.github.io/docs/v5/enum#exectype"""

FUNDING = "Funding"
"""Its size is that of the position, its fee the payment: no fill."""

OF_EXCHANGE = frozenset({"AdlTrade", "BustTrade", "Delivery", "Settle"})

DETAILS = (
    *("createType", "stopOrderType", "orderType", "orderPrice", "orderQty", "leavesQty"),
    *("feeRate", "extraFees", "closedSize", "execPnl", "blockTradeId", "isLeverage"),
    *("markPrice", "indexPrice", "underlyingPrice", "tradeIv", "markIv", "marketUnit"),
)
"""Fields that have no unified name."""


def fill(
    row: Row, market: Market | None, received_time_ns: int
) -> FillReport | IncomeReport | StrangeReport:
    """What a row of an execution is: see :data:`KINDS` and :data:`FUNDING`; else strange."""
    market = fields.market_of(row, market)
    kind = row["execType"]
    if kind == FUNDING:
        return _funding(row, market, received_time_ns)
    native, time_ns = fields.needed(row, "symbol"), ns_of_ms(row["execTime"])
    if kind not in KINDS:
        return StrangeReport(
            what=f"execType {fields.needed(row, 'execType')}",
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(
                row, ("execId", "orderId", "side", "execQty", "execPrice", "execFee", *DETAILS)
            ),
        )
    side, maker = fields.SIDES[row["side"]], fields.flag(row, "isMaker")
    fee, asset = _fee(row, market, kind), fields.text(row, "feeCurrency")
    asset = "" if asset in NOTHING else asset
    return FillReport(
        market=market,
        native=native,
        fill_id=fields.needed(row, "execId"),
        exchange_order_id=fields.text(row, "orderId"),
        client_order_id=fields.text(row, "orderLinkId"),
        side=side,
        # An option that expires worthless is settled at nothing.
        price=(size_of if KINDS[kind] is FillKind.SETTLEMENT else price_of)(row["execPrice"]),
        size=price_of(row["execQty"]),
        value=fields.size(row, "execValue"),
        fee=fee,
        fee_asset=asset,
        fee_in=None if asset or fee is None else _fee_in(row, market, side, maker, fee),
        liquidity=None if maker is None else Liquidity.MAKER if maker else Liquidity.TAKER,
        kind=KINDS[kind],
        by_exchange=kind in OF_EXCHANGE or row.get("createType") in BY_EXCHANGE,
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        sequence=fields.count(row, "seq"),
        native_fields=fields.details(row, DETAILS),
    )


def _fee(row: Row, market: Market, kind: str) -> Decimal | None:
    """Above zero paid, taxes included. The spot leg of a spread has its own."""
    own = fields.amount(row, "execFeeV2") if kind == "FutureSpread" else None
    fee = fields.amount(row, "execFee") if own is None or market is not Market.SPOT else own
    return None if fee is None else fee + _taxes(row, market)


def _taxes(row: Row, market: Market) -> Decimal:
    """What users of some countries pay beside the fee, in the same coin: it is taken from the
    wallet, too. https://bybit-exchange.github.io/docs/v5/enum#extrafeesfeetype

    What isn't as documented stays among the row's native fields.
    """
    listed, asset = row.get("extraFees"), fields.text(row, "feeCurrency")
    found = Decimal(0)
    for each in listed if type(listed) is list else ():
        with suppress(TypeError, ValueError):
            if not isinstance(each, dict):
                raise TypeError("no object")
            blank = asset in NOTHING and market is not Market.SPOT
            if blank or each.get("feeCoin") == asset:
                found += fields.amount(each, "fee") or 0
    return found


def _fee_in(row: Row, market: Market, side: Side, maker: bool | None, fee: Decimal) -> FeeIn | None:
    """https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction"""
    if market is not Market.SPOT:
        return FeeIn.SETTLE
    if maker is None:
        return None
    rate = fields.amount(row, "feeRate")
    rebate = maker and (fee if rate is None else rate) < 0
    return FeeIn.BASE if (side is Side.BUY) != rebate else FeeIn.QUOTE


def _funding(row: Row, market: Market, received_time_ns: int) -> IncomeReport:
    native, side = fields.needed(row, "symbol"), fields.text(row, "side")
    time_ns, asset = ns_of_ms(row["execTime"]), fields.text(row, "feeCurrency")
    return IncomeReport(
        income_id=funding_id(market, native, side, fields.text(row, "orderId"), time_ns),
        kind=IncomeKind.FUNDING,
        asset="" if asset in NOTHING else asset,
        amount=-fields.needed_amount(row, "execFee"),
        market=market,
        native=native,
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(
            row, ("execId", "side", "execQty", "execPrice", "execValue", "feeRate")
        ),
    )


def funding_id(market: Market, native: str, side: str, order_id: str, time_ns: int) -> str:
    """An id of a funding payment that rows of executions and of the transaction log share: both
    begin their ``orderId`` with the second at which it was settled."""
    settled = order_id.partition("-")[0]
    if not (settled.isascii() and settled.isdigit() and len(settled) == 10):
        settled = str(time_ns // NS_PER_SECOND)
    return f"funding-{market.value}-{native}-{side}-{settled}"


def early_fill(row: Row, received_time_ns: int) -> EarlyFillReport:
    """A row of ``execution.fast``.

    https://bybit-exchange.github.io/docs/v5/websocket/private/fast-execution
    """
    return EarlyFillReport(
        market=fields.MARKETS[row["category"]],
        native=fields.needed(row, "symbol"),
        fill_id=fields.needed(row, "execId"),
        exchange_order_id=fields.needed(row, "orderId"),
        client_order_id=fields.text(row, "orderLinkId"),
        side=fields.SIDES[row["side"]],
        price=price_of(row["execPrice"]),
        size=price_of(row["execQty"]),
        exchange_time_ns=ns_of_ms(row["execTime"]),
        received_time_ns=received_time_ns,
    )
