"""Rows of positions, wallets and the transaction log.

https://bybit-exchange.github.io/docs/v5/position
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ccrs_bybit import fields
from ccrs_bybit.fields import NOTHING, Row
from ccrs_bybit.fill_rows import funding_id
from ccrs_bybit.symbols import EXCHANGE
from ccrs_core import (
    Balance,
    IncomeKind,
    IncomeReport,
    Margin,
    MarginCallReport,
    Market,
    PositionReport,
    PositionSide,
    Side,
)
from ccrs_core.wire import fast_constructor, ns_of_ms
from ccrs_core.wire import size as size_of

_position, _balance = fast_constructor(PositionReport), fast_constructor(Balance)

# --- positions -------------------------------------------------------------------------------

POSITION_DETAILS = (
    *("positionStatus", "positionValue", "breakEvenPrice", "cumRealisedPnl", "sessionAvgPrice"),
    *("takeProfit", "stopLoss", "trailingStop", "riskId", "riskLimitValue", "adlRankIndicator"),
    *("isReduceOnly", "autoAddMargin", "delta", "gamma", "vega", "theta"),
)


def position(row: Row, market: Market | None, received_time_ns: int) -> PositionReport:
    """What a row says of a position. ``size`` comes without a sign."""
    market = fields.market_of(row, market)
    size, side = size_of(row["size"]), fields.side(row)
    which = fields.position_side(row)
    if which is None:
        which = PositionSide.NET
    if side is None and size and which is PositionSide.NET:
        raise ValueError("a position without a side")
    short = which is PositionSide.SHORT or (which is PositionSide.NET and side is Side.SELL)
    return _position(
        market=market,
        native=fields.needed(row, "symbol"),
        side=which,
        size=-size if short and size else size,
        entry_price=fields.price(row, "entryPrice") or fields.price(row, "avgPrice"),
        mark_price=fields.price(row, "markPrice"),
        liquidation_price=fields.price(row, "liqPrice"),
        leverage=fields.price(row, "leverage"),
        initial_margin=fields.amount(row, "positionIM"),
        maintenance_margin=fields.amount(row, "positionMM"),
        unrealised_profit=fields.amount(row, "unrealisedPnl"),
        realised_profit=fields.amount(row, "curRealisedPnl"),
        exchange_time_ns=fields.time(row, "updatedTime"),
        received_time_ns=received_time_ns,
        sequence=fields.count(row, "seq"),
        native_fields=fields.details(row, POSITION_DETAILS),
    )


def margin_call(row: Row, market: Market | None, received_time_ns: int) -> MarginCallReport | None:
    """The warning of a position that is being liquidated; None where it isn't.

    https://bybit-exchange.github.io/docs/v5/enum#positionstatus
    """
    if row.get("positionStatus") != "Liq":
        return None
    return MarginCallReport(
        text="the position is being liquidated (positionStatus Liq)",
        market=fields.market_of(row, market),
        native=fields.needed(row, "symbol"),
        exchange_time_ns=fields.time(row, "updatedTime"),
        received_time_ns=received_time_ns,
    )


# --- wallets ---------------------------------------------------------------------------------

UNIFIED = "UNIFIED"
OTHER_WALLETS = frozenset({"CONTRACT", "FUND", "OPTION", "SPOT"})
"""https://bybit-exchange.github.io/docs/v5/enum#accounttype"""
_TIED_UP = ("totalPositionIM", "totalOrderIM", "locked", "bonus")


def balance(row: Row, account: str, time_ns: int | None, received_time_ns: int) -> Balance:
    """What a wallet's row says of one coin.

    ``total`` is the coin's equity: with the profit and loss of open positions, and less what is
    borrowed. https://bybit-exchange.github.io/docs/v5/account/wallet-balance
    """
    held = fields.needed_amount(row, "walletBalance")
    wallet = held - (fields.amount(row, "spotBorrow") or Decimal(0))
    equity = fields.amount(row, "equity")
    return _balance(
        EXCHANGE,
        "",
        time_ns,
        received_time_ns,
        account,
        fields.needed(row, "coin"),
        wallet if equity is None else equity,
        _available(row, held),
        wallet,
    )


def _available(row: Row, held: Decimal) -> Decimal | None:
    """What neither orders nor positions tie up; None where the row doesn't say all of it, as of
    portfolio margin. ``availableToWithdraw`` is no more kept."""
    tied = [fields.amount(row, name) for name in _TIED_UP if name in row]
    if None in tied or "locked" not in row:
        return None
    return held - sum((each for each in tied if each is not None), Decimal(0))


def margin(row: Row) -> Margin:
    """An account's margin as a whole, in US dollars. All of it is blank of isolated margin."""
    return Margin(
        asset="USD",
        equity=fields.amount(row, "totalEquity"),
        wallet=fields.amount(row, "totalWalletBalance"),
        available=fields.amount(row, "totalAvailableBalance"),
        initial_margin=fields.amount(row, "totalInitialMargin"),
        maintenance_margin=fields.amount(row, "totalMaintenanceMargin"),
        unrealised_profit=fields.amount(row, "totalPerpUPL"),
        initial_rate=fields.amount(row, "accountIMRate"),
        maintenance_rate=fields.amount(row, "accountMMRate"),
    )


# --- the transaction log ---------------------------------------------------------------------

INCOME_KINDS = {
    "SETTLEMENT": IncomeKind.FUNDING,
    **dict.fromkeys(("TRADE", "LIQUIDATION", "ADL"), IncomeKind.TRADE),
    **dict.fromkeys(("DELIVERY",), IncomeKind.DELIVERY),
    **dict.fromkeys(
        (
            *("TRANSFER_IN", "TRANSFER_OUT", "TRANSFER_IN_INS_LOAN", "TRANSFER_OUT_INS_LOAN"),
            *("INSTITUTION_LOAN_TRANSFER_IN", "INSTITUTION_LOAN_TRANSFER_OUT"),
            *("INSTITUTION_LOAN_WITHOUT_WITHDRAW", "INSTITUTION_LOAN_RESERVE_IN"),
            *("INSTITUTION_LOAN_RESERVE_OUT", "PREMARKET_TRANSFER_OUT"),
            *("PEF_TRANSFER_IN", "PEF_TRANSFER_OUT", "DBS_CASH_IN", "DBS_CASH_OUT"),
            *("DBS_CASH_IN_TR", "DBS_CASH_OUT_TR", "CUSTODY_CASH_RECOVER_TR"),
            *("CUSTODY_LOCK", "CUSTODY_UNLOCK", "CUSTODY_UNLOCK_REFUND"),
        ),
        IncomeKind.TRANSFER,
    ),
    **dict.fromkeys(
        (
            *("INTEREST", "INTEREST_REPAYMENT_INS_LOAN", "AUTO_INTEREST_REPAYMENT_INS_LOAN"),
            *("INSTITUTION_PAYBACK_INTEREST_OUT", "INSTITUTION_LIQ_INTEREST_OUT"),
        ),
        IncomeKind.INTEREST,
    ),
    **dict.fromkeys(
        (
            *("CUSTODY_NETWORK_FEE", "CUSTODY_SETTLE_FEE", "SPREAD_FEE_OUT"),
            *("BROKER_ABACCOUNT_FEE", "PEF_PROFIT_SHARE"),
        ),
        IncomeKind.FEE,
    ),
    "FEE_REFUND": IncomeKind.REBATE,
    **dict.fromkeys(
        (
            *("AIRDROP", "BONUS", "BONUS_RECOLLECT", "BONUS_TRANSFER_IN", "BONUS_TRANSFER_OUT"),
            *("TWAP_BUDGET_AIRDROP", "TWAP_BUDGET_RECALL"),
        ),
        IncomeKind.BONUS,
    ),
    **dict.fromkeys(
        (
            *("CURRENCY_BUY", "CURRENCY_SELL", "CONVERT", "IDN_CONVERT_IN", "IDN_CONVERT_OUT"),
            *("SPOT_REPAYMENT_BUY", "SPOT_REPAYMENT_SELL", "EARNING_REDEMPTION_BUY"),
            *("EARNING_REDEMPTION_SELL", "INSTITUTION_EXCHANGE_BUY", "INSTITUTION_EXCHANGE_SELL"),
            *("AUTO_BUY_LIABILITY_INS_LOAN", "AUTO_SOLD_COLLATERAL_INS_LOAN"),
        ),
        IncomeKind.CONVERSION,
    ),
}
"""The kinds of the log; all others are ``OTHER``.

https://bybit-exchange.github.io/docs/v5/enum#typeuta-translog
"""

_LOG_DETAILS = (
    *("type", "transSubType", "side", "qty", "size", "tradePrice", "funding", "fee", "cashFlow"),
    *("cashBalance", "feeRate", "bonusChange", "tradeId", "orderId", "orderLinkId", "extraFees"),
)


def income(row: Row, received_time_ns: int) -> Sequence[IncomeReport]:
    """What a row of the log says of money: of a funding settlement the funding and, of contracts
    settled in USDC, what the position earned since the settlement before.

    ``id`` isn't unique in spite of its name: a settlement and a trade may share one.
    """
    kind, time_ns = fields.needed(row, "type"), ns_of_ms(row["transactionTime"])
    category, native = fields.text(row, "category"), fields.text(row, "symbol")
    market = None if category in NOTHING else fields.MARKETS[category]
    shared: dict[str, Any] = {
        "asset": fields.needed(row, "currency"),
        "market": market,
        "native": native,
        "exchange_time_ns": time_ns,
        "received_time_ns": received_time_ns,
        "native_fields": fields.details(row, _LOG_DETAILS),
    }
    trade = fields.text(row, "tradeId") or fields.text(row, "orderId")
    own_id = ":".join((kind, fields.text(row, "id"), trade, str(row["transactionTime"])))
    told = INCOME_KINDS.get(kind, IncomeKind.OTHER)
    if kind == "LIQUIDATION" and not trade:
        told = IncomeKind.INSURANCE  # no fill tells of it
    paid = fields.amount(row, "funding")
    if kind != "SETTLEMENT" or market is None or paid is None:
        amount = fields.needed_amount(row, "change")
        # Of deliveries the executions have a row, too: "Delivery", "Settle".
        of_fill = told is IncomeKind.DELIVERY
        return [IncomeReport(income_id=own_id, kind=told, amount=amount, of_fill=of_fill, **shared)]
    side, order_id = fields.text(row, "side"), fields.text(row, "orderId")
    found = [
        IncomeReport(
            income_id=funding_id(market, native, side, order_id, time_ns),
            kind=told,
            amount=paid,
            **shared,
        )
    ]
    rest = fields.needed_amount(row, "change") - paid
    if rest:
        found.append(IncomeReport(income_id=own_id, kind=IncomeKind.OTHER, amount=rest, **shared))
    return found
