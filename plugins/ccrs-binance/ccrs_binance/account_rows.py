"""Rows of positions, balances and income: of lists and of user data streams.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Balance-and-Position-Update
"""

from __future__ import annotations

from decimal import Decimal

from ccrs_binance import fields
from ccrs_binance.fields import Row
from ccrs_binance.symbols import EXCHANGE
from ccrs_core import (
    Balance,
    IncomeKind,
    IncomeReport,
    MarginCallReport,
    MarginMode,
    Market,
    PositionReport,
)
from ccrs_core.wire import ns_of_ms

# --- positions -------------------------------------------------------------------------------

MARGIN_MODES = {
    "cross": MarginMode.CROSS,
    "crossed": MarginMode.CROSS,
    "isolated": MarginMode.ISOLATED,
}

POSITION_DETAILS = (
    *("breakEvenPrice", "isolatedMargin", "isolatedWallet", "notional", "notionalValue", "adl"),
    *("positionInitialMargin", "openOrderInitialMargin", "bidNotional", "askNotional", "maxQty"),
    *("isAutoAddMargin", "maxNotionalValue"),
)
"""Fields that have no unified name."""


def position(row: Row, market: Market, received_time_ns: int) -> PositionReport:
    """What a row of a list says of a position; COIN-M's count contracts."""
    return PositionReport(
        market=fields.family(row, market),
        native=fields.needed(row, "symbol"),
        side=fields.position_side(row),
        size=fields.needed_amount(row, "positionAmt"),
        settle=fields.text(row, "marginAsset"),
        entry_price=fields.price(row, "entryPrice"),
        mark_price=fields.price(row, "markPrice"),
        liquidation_price=fields.price(row, "liquidationPrice"),
        leverage=fields.price(row, "leverage"),
        margin_mode=_margin_mode(row, "marginType"),
        initial_margin=fields.amount(row, "initialMargin"),
        maintenance_margin=fields.amount(row, "maintMargin"),
        unrealised_profit=fields.amount(row, "unRealizedProfit"),
        exchange_time_ns=fields.time(row, "updateTime"),
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, POSITION_DETAILS),
    )


def pushed_position(
    row: Row, market: Market, time_ns: int, received_time_ns: int
) -> PositionReport:
    """What a row of ``ACCOUNT_UPDATE`` says of a position."""
    return PositionReport(
        market=market,
        native=fields.needed(row, "s"),
        side=fields.position_side(row, "ps"),
        size=fields.needed_amount(row, "pa"),
        entry_price=fields.price(row, "ep"),
        margin_mode=_margin_mode(row, "mt"),
        unrealised_profit=fields.amount(row, "up"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, ("iw", "cr")),
    )


def _margin_mode(row: Row, name: str) -> MarginMode | None:
    told = fields.text(row, name).lower()
    return MARGIN_MODES[told] if told else None


# --- balances --------------------------------------------------------------------------------
#
# Spot, USD-M and COIN-M are wallets of their own: one asset may be in all three.


def spot_balance(row: Row, account: str, time_ns: int | None, received_time_ns: int) -> Balance:
    """What there is of an asset in the spot wallet, by a list."""
    free, locked = fields.needed_amount(row, "free"), fields.needed_amount(row, "locked")
    asset = fields.needed(row, "asset")
    return _balance(account, asset, free + locked, free, time_ns, received_time_ns, Market.SPOT)


def pushed_spot_balance(row: Row, account: str, time_ns: int, received_time_ns: int) -> Balance:
    """What there is of an asset in the spot wallet, by the stream."""
    named = {"asset": row["a"], "free": row["f"], "locked": row["l"]}
    return spot_balance(named, account, time_ns, received_time_ns)


def futures_balance(
    row: Row, account: str, market: Market, told_ns: int | None, received_time_ns: int
) -> Balance:
    """What there is of an asset in a wallet of futures: without the profit of open positions.

    Of an asset that never was there the row has no time: it says what was so as it was written.
    """
    return _balance(
        account,
        fields.needed(row, "asset"),
        fields.needed_amount(row, "balance"),
        fields.amount(row, "availableBalance"),
        told_ns,
        received_time_ns,
        market,
    )


def pushed_futures_balance(
    row: Row, account: str, market: Market, time_ns: int, received_time_ns: int
) -> Balance:
    """What there is of an asset in a wallet of futures, by the stream: what is available it doesn't
    say, since ``cw`` is the cross wallet."""
    wallet = fields.needed_amount(row, "wb")
    return _balance(
        account, fields.needed(row, "a"), wallet, None, time_ns, received_time_ns, market
    )


def _balance(
    account: str,
    asset: str,
    total: Decimal,
    available: Decimal | None,
    time_ns: int | None,
    received_time_ns: int,
    market: Market,
) -> Balance:
    return Balance(
        EXCHANGE,
        "",
        time_ns,
        received_time_ns,
        account,
        asset,
        total,
        available,
        purse=PURSES[market],
    )


PURSES = {Market.SPOT: "spot", Market.LINEAR: "usdm", Market.INVERSE: "coinm"}
"""What wallets are called here."""


# --- income ----------------------------------------------------------------------------------

INCOME_KINDS = {
    "TRANSFER": IncomeKind.TRANSFER,
    "INTERNAL_TRANSFER": IncomeKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": IncomeKind.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": IncomeKind.TRANSFER,
    "WELCOME_BONUS": IncomeKind.BONUS,
    "CONTEST_REWARD": IncomeKind.BONUS,
    "BFUSD_REWARD": IncomeKind.BONUS,
    "FUNDING_FEE": IncomeKind.FUNDING,
    "SPECIAL_FUNDING_FEE": IncomeKind.FUNDING,
    # Its fill says it.
    "REALIZED_PNL": IncomeKind.TRADE,
    "COMMISSION": IncomeKind.TRADE,
    "INSURANCE_CLEAR": IncomeKind.INSURANCE,
    "REFERRAL_KICKBACK": IncomeKind.REBATE,
    "COMMISSION_REBATE": IncomeKind.REBATE,
    "API_REBATE": IncomeKind.REBATE,
    "FEE_RETURN": IncomeKind.REBATE,
    "POSITION_LIMIT_INCREASE_FEE": IncomeKind.FEE,
    "OPTIONS_PREMIUM_FEE": IncomeKind.FEE,
    "OPTIONS_SETTLE_PROFIT": IncomeKind.EXERCISE,
    "AUTO_EXCHANGE": IncomeKind.CONVERSION,
    "COIN_SWAP_DEPOSIT": IncomeKind.CONVERSION,
    "COIN_SWAP_WITHDRAW": IncomeKind.CONVERSION,
    # Binance's spelling.
    "DELIVERED_SETTELMENT": IncomeKind.DELIVERY,
}
"""By type; all others are ``OTHER``.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Get-Income-History
"""


def income(row: Row, market: Market, received_time_ns: int) -> IncomeReport:
    """What a row says of money that came or went. Its id is one of its wallet, type, asset and
    symbol: both sides of a move have one number."""
    kind, native = fields.needed(row, "incomeType"), fields.text(row, "symbol")
    number = fields.needed_identity(row, "tranId", least=0)
    if number == "0":
        # None: its time stands for one.
        number = f"0 {row['time']}"
    return IncomeReport(
        income_id=f"{PURSES[market]} {kind} {number}",
        kind=INCOME_KINDS.get(kind, IncomeKind.OTHER),
        asset=fields.needed(row, "asset"),
        amount=fields.needed_amount(row, "income"),
        market=market,
        native=native,
        exchange_time_ns=ns_of_ms(row["time"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, ("incomeType", "info", "tradeId", "tranId")),
    )


def spot_transfer(row: Row, received_time_ns: int) -> IncomeReport:
    """What a ``balanceUpdate`` says: a deposit, a withdrawal, a move between wallets. It has no id:
    its time and amount are it."""
    moment, amount = ns_of_ms(row["T"]), fields.needed_amount(row, "d")
    return IncomeReport(
        income_id=f"{row['T']} {amount:f}",
        kind=IncomeKind.TRANSFER,
        asset=fields.needed(row, "a"),
        amount=amount,
        market=Market.SPOT,
        exchange_time_ns=moment,
        received_time_ns=received_time_ns,
    )


def margin_call(row: Row, market: Market, time_ns: int, received_time_ns: int) -> MarginCallReport:
    """What a row of ``MARGIN_CALL`` says of one position.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Margin-Call
    """
    size, needed = fields.needed_amount(row, "pa"), fields.needed_amount(row, "mm")
    side = fields.needed(row, "ps")
    return MarginCallReport(
        text=f"margin call: {side} {size:f}, maintenance margin {needed:f}",
        market=market,
        native=fields.needed(row, "s"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
    )
