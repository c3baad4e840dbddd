"""What happens to accounts, as values: what a dialect writes pushes and lists of.

Each is numbered in the order in which the desk knows of it; one that happens later has a higher
number, whatever the pushes of a dialect make of that.
"""

from __future__ import annotations

import enum
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.orders import ZERO, DeskOrder
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import FillKind


@attrs.frozen(kw_only=True)
class DeskFill:
    """One side of a trade. ``order`` is what its order was right after it."""

    number: int
    """The trade's: both sides of a trade between accounts have the same."""
    account: str
    order: DeskOrder
    listing: Listing
    side: Side
    price: Decimal
    size: Decimal
    value: Decimal
    """In quote units, of inverse contracts in base units."""
    fee: Decimal
    """Above zero paid."""
    fee_asset: str
    fee_rate: Decimal
    maker: bool
    kind: FillKind
    time_ns: int
    sequence: int
    """The market's."""
    closed: Decimal = ZERO
    """How much of it closed a position."""
    profit: Decimal = ZERO
    """What that realised, without fees."""
    entry_fee: Decimal = ZERO
    """What entering that part had cost in fees."""
    mark_price: Decimal = ZERO
    index_price: Decimal = ZERO


@attrs.frozen(kw_only=True)
class DeskPosition:
    """A position as it was at a time: ``size`` is below zero of a short one.

    ``cost`` is what it cost to enter, by average cost, with the sign of the size: quote units, of
    inverse contracts base units.
    """

    account: str
    listing: Listing
    side: PositionSide
    size: Decimal = ZERO
    cost: Decimal = ZERO
    leverage: Decimal = Decimal(1)
    margin_mode: MarginMode = MarginMode.CROSS
    isolated_margin: Decimal = ZERO
    """What is set aside for it, in the settlement asset."""
    entry_fees: Decimal = ZERO
    """What entering it, as far as it is still held, has cost in fees."""
    realised: Decimal = ZERO
    """Since it was opened, fees and funding included."""
    realised_ever: Decimal = ZERO
    created_ns: int = 0
    updated_ns: int = 0
    sequence: int = 0
    """The market's, at the last change."""

    @property
    def key(self) -> tuple[str, str, PositionSide]:
        return (*self.listing.key, self.side)


@attrs.frozen(kw_only=True)
class DeskBalance:
    """An asset of an account as it was at a time."""

    account: str
    asset: str
    total: Decimal
    locked: Decimal
    """By spot orders."""
    order_margin: Decimal
    """Of orders of contracts."""


class MoneyKind(enum.StrEnum):
    """What money moved for."""

    TRADE = "trade"
    FUNDING = "funding"
    TRANSFER = "transfer"
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    DELIVERY = "delivery"
    INSURANCE = "insurance"


@attrs.frozen(kw_only=True)
class MoneyRow:
    """One change of an asset of an account: ``cash + funding - fee`` came (went, below zero)."""

    number: int
    time_ns: int
    account: str
    asset: str
    kind: MoneyKind
    cash: Decimal = ZERO
    funding: Decimal = ZERO
    fee: Decimal = ZERO
    fee_rate: Decimal = ZERO
    balance: Decimal
    """Afterwards."""
    listing: Listing | None = None
    side: Side | None = None
    size: Decimal = ZERO
    price: Decimal = ZERO
    position_size: Decimal = ZERO
    """Afterwards."""
    fill: DeskFill | None = None

    @property
    def change(self) -> Decimal:
        return self.cash + self.funding - self.fee


@attrs.frozen
class OrderChanged:
    """An order is new, or not what it was."""

    number: int
    time_ns: int
    order: DeskOrder


@attrs.frozen
class TooLate:
    """A cancel (``amended`` False) or an amendment was acknowledged and came to nothing, as the
    order had ended by then."""

    number: int
    time_ns: int
    order: DeskOrder
    amended: bool


@attrs.frozen
class Filled:
    """A part of an order was traded."""

    number: int
    time_ns: int
    fill: DeskFill


@attrs.frozen
class PositionChanged:
    """A position is not what it was."""

    number: int
    time_ns: int
    position: DeskPosition


@attrs.frozen
class BalanceChanged:
    """An asset is not what it was, or what is locked of it."""

    number: int
    time_ns: int
    balance: DeskBalance


@attrs.frozen
class MoneyMoved:
    """Money came or went: by a fill, or otherwise."""

    number: int
    time_ns: int
    row: MoneyRow


@attrs.frozen
class MarginCalled:
    """Maintenance margin uses up most of the margin balance: ``rate`` is its share of it."""

    number: int
    time_ns: int
    account: str
    rate: Decimal


Happening = (
    OrderChanged | TooLate | Filled | PositionChanged | BalanceChanged | MoneyMoved | MarginCalled
)


def account_of(happening: Happening) -> str:
    """Whose it is."""
    match happening:
        case OrderChanged(order=it) | TooLate(order=it) | Filled(fill=it):
            return it.account
        case PositionChanged(position=it):
            return it.account
        case BalanceChanged(balance=it):
            return it.account
        case MoneyMoved(row=it):
            return it.account
        case MarginCalled(account=account):
            return account
