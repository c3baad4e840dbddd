"""What an account has and may do, as users hold it: positions, money, modes, fees."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from ccrs_core.model.events import Balance, Event
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Fill, OrderUpdate
from ccrs_core.model.subscriptions import Channel


class MarginMode(enum.StrEnum):
    """What a position's losses may use up."""

    CROSS = "cross"
    """All of the account's margin in the position's settlement asset, or of the account."""
    ISOLATED = "isolated"
    """What was set aside for it."""
    PORTFOLIO = "portfolio"
    """The account's margin, by the risk of all positions together."""


class PositionMode(enum.StrEnum):
    """How many positions of one instrument there may be."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"
    """A long and a short one."""


@attrs.frozen(kw_only=True)
class Position(Event):
    """What an account holds of a contract from now on, by the exchange's word.

    ``size`` counts the instrument's size unit and is above zero for a long, below zero for a short
    position, zero where there is none. Prices are in quote units, profits and margins in
    ``settle``.
    """

    type: ClassVar[str] = "position"
    channel: ClassVar[Channel | None] = Channel.POSITIONS

    account: str
    market: Market
    side: PositionSide
    """LONG and SHORT are two positions (hedge mode); NET is the only one."""
    size: Decimal
    settle: str
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    unrealised_profit: Decimal | None = None
    realised_profit: Decimal | None = None
    """By the exchange's own method, since it was opened or ever, as the exchange has it."""
    number: int = 0
    """The ledger's; 0 where it was asked for and isn't of the ledger."""
    verified: bool = True
    """Whether the exchange's newest word on it could be read; else this is the last one."""
    native: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Profit:
    """What fills have earned of one instrument (and side, in hedge mode) since the ledger began, by
    average cost: what closes a position realises the difference to the average price of what is
    open; of inverse contracts that is the harmonic one. Fees aren't in ``realised``; of spot, sizes
    are what was bought and sold, whatever was paid of it as a fee."""

    exchange: str
    account: str
    symbol: str
    side: PositionSide
    asset: str
    """What ``realised`` is in."""
    size: Decimal
    """What opening, fills and adjustments add up to: above zero long, below short."""
    entry_price: Decimal | None
    """The average price of that; None where it is zero."""
    realised: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    """Paid (above zero) by asset."""
    out_of_order: int = 0
    """Fills that became known so late that ``realised`` may have them at another place than they
    had."""


class IncomeKind(enum.StrEnum):
    """What money came or went for."""

    FUNDING = "funding"
    TRANSFER = "transfer"
    """Deposits, withdrawals, and moves between accounts."""
    INTEREST = "interest"
    TRADE = "trade"
    """Of a fill; told as a :class:`~ccrs_core.Fill`, and listed here by ``income()`` alone."""
    FEE = "fee"
    REBATE = "rebate"
    DELIVERY = "delivery"
    EXERCISE = "exercise"
    INSURANCE = "insurance"
    BONUS = "bonus"
    CONVERSION = "conversion"
    OTHER = "other"
    """See ``native``."""


@attrs.frozen(kw_only=True)
class Income(Event):
    """Money came (``amount`` above zero) or went, otherwise than by a fill. Each is in the ledger
    once. ``symbol`` is empty where it is of no instrument."""

    type: ClassVar[str] = "income"
    channel: ClassVar[Channel | None] = Channel.INCOME

    account: str
    kind: IncomeKind
    income_id: str
    asset: str
    amount: Decimal
    number: int = 0
    """The ledger's; 0 where it was asked for and isn't of the ledger."""
    backfilled: bool = False
    again: bool = False
    native: Mapping[str, str] = attrs.field(factory=dict)
    purse: str = ""
    """In which of the account's wallets, where there are several; see :attr:`Balance.purse`."""


class AdjustmentKind(enum.StrEnum):
    """What explains a difference between the exchange's figure and the ledger's."""

    OPENING = "opening"
    """What was there before the ledger began."""
    UNEXPLAINED = "unexplained"
    FUNDING = "funding"
    TRANSFER = "transfer"
    INTEREST = "interest"
    DELIVERY = "delivery"
    EXERCISE = "exercise"
    INSURANCE = "insurance"


@attrs.frozen(kw_only=True)
class Adjustment(Event):
    """The exchange's position or balance differs from what the ledger's entries add up to, by
    ``amount``: never made up for by an invented fill. Its id follows from its content, so that the
    same difference is told once. Of a position, ``symbol`` and ``side`` say which; of a balance
    ``asset`` does."""

    type: ClassVar[str] = "adjustment"

    account: str
    kind: AdjustmentKind
    adjustment_id: str
    amount: Decimal
    asset: str = ""
    side: PositionSide | None = None
    number: int = 0
    again: bool = False
    purse: str = ""
    """Of a balance: which wallet it is in, where there are several."""


@attrs.frozen(kw_only=True)
class MarginCall(Event):
    """The exchange warns that positions may be liquidated. ``symbol`` is empty where it is about
    the account."""

    type: ClassVar[str] = "margin_call"

    account: str
    text: str
    maintenance_rate: Decimal | None = None
    """Maintenance margin by margin balance: at 1 positions are liquidated."""
    number: int = 0


@attrs.frozen(kw_only=True)
class Synced(Event):
    """Whether what is told of the account is known to be whole and current. While ``synced`` is
    False orders, fills, positions and balances may be missing or old; cancels work all the time."""

    type: ClassVar[str] = "synced"

    account: str
    synced: bool
    reason: str
    """Why, for people."""


@attrs.frozen(kw_only=True)
class LedgerConflict(Event):
    """Two facts contradict each other: ``known`` is what the ledger holds and keeps, ``told`` what
    came and wasn't taken. Nothing is guessed; look it up, and settle it by hand."""

    type: ClassVar[str] = "ledger_conflict"

    account: str
    what: str
    known: str
    told: str
    exchange_order_id: str = ""
    client_order_id: str = ""
    number: int = 0


AccountEvent = (
    OrderUpdate | Fill | Position | Balance | Income | Adjustment | MarginCall | LedgerConflict
)
"""What the ledger of an account tells, in the order of its numbers."""


@attrs.frozen(kw_only=True)
class Margin:
    """An account's margin as a whole, in ``asset``. None: the exchange doesn't say."""

    asset: str = "USD"
    equity: Decimal | None = None
    wallet: Decimal | None = None
    available: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    unrealised_profit: Decimal | None = None
    initial_rate: Decimal | None = None
    maintenance_rate: Decimal | None = None


@attrs.frozen(kw_only=True)
class Permissions:
    """What a key may do."""

    read: bool
    trade: frozenset[Market]
    """Where it may place orders."""
    withdraw: bool
    transfer: bool = False
    addresses: tuple[str, ...] = ()
    """To which it is bound; empty: to none."""
    expires_ns: int | None = None
    """When it ends; None: never."""
    native: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class AccountInfo:
    """What kind of account it is, and what its key may do, as read at login."""

    exchange: str
    account: str
    user_id: str
    """The exchange's, empty where it doesn't say."""
    kind: str
    """The exchange's word for it, such as ``unified``."""
    margin_mode: MarginMode | None
    position_modes: Mapping[Market, PositionMode] = attrs.field(factory=dict)
    """Where it is known; on some exchanges it may differ by instrument."""
    permissions: Permissions | None = None
    moves_prices: Mapping[Market, bool] = attrs.field(factory=dict)
    """Whether the exchange moves a limit price beyond its band into it instead of refusing the
    order."""
    refused: str = ""
    """Why orders aren't supported in this mode; empty: they are."""
    native: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class FeeRate:
    """What trading costs, as a share of value: 0.0006 is 6 basis points paid, below zero a rebate.
    ``symbol`` is empty where it is of a whole market."""

    exchange: str
    account: str
    market: Market
    symbol: str
    maker: Decimal
    taker: Decimal
    native: str = ""
    """The exchange's name of what it is of, where that isn't a whole market: its symbol of the
    instrument, or a coin."""


@attrs.frozen(kw_only=True)
class PriceBand:
    """Between which prices limit orders are taken as they are: a buy's isn't above ``highest``, a
    sell's not below ``lowest``."""

    symbol: str
    lowest: Decimal | None
    highest: Decimal | None
    exchange_time_ns: int | None = None


@attrs.frozen
class BudgetLeft:
    """What is left of one of an account's budgets."""

    pool: str
    left: int
    of: int
    seconds: float
    """The window that it is of."""
    reserved: int
    """What is kept for cancels."""
    wait: float = 0.0
    """Seconds until the next one may leave; 0.0 for now."""
