"""Orders of accounts: as they are asked for, as they stand, and why they are refused or end."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.matching import Lifetime, SelfTrade
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import Exit, OrderType, PositionSide, Trigger

ZERO = Decimal(0)


class Stage(enum.StrEnum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    """Acknowledged, not yet looked at by the matching engine."""
    WAITING = "waiting"
    """For its trigger."""
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    """Ended unfilled or partly filled, by whomever (``ending``)."""
    REJECTED = "rejected"
    """Acknowledged, and refused afterwards."""

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({Stage.FILLED, Stage.CANCELED, Stage.REJECTED})


class Ending(enum.StrEnum):
    """Why an order ended otherwise than filled."""

    BY_USER = "by_user"
    WOULD_TAKE = "would_take"
    NO_LIQUIDITY = "no_liquidity"
    NOT_WHOLE = "not_whole"
    SELF_TRADE = "self_trade"
    REDUCE_ONLY = "reduce_only"
    """Nothing was left that it could reduce."""
    BALANCE = "balance"
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    SETTLEMENT = "settlement"
    DEAD_MAN = "dead_man"
    EXCHANGE = "exchange"
    PARTNER = "partner"
    """The other one of take profit and stop loss was triggered."""
    POSITION_CLOSED = "position_closed"
    """The position that it was to close is gone."""
    REPLACED = "replaced"


class Refusal(enum.StrEnum):
    """Why a request was refused at once, before anything happened."""

    NOT_FOUND = "not_found"
    """There never was such an order of the account."""
    ENDED = "ended"
    """The order has ended."""
    DUPLICATE_ID = "duplicate_id"
    """The client's id was used before."""
    MARKET_STATE = "market_state"
    """The instrument doesn't trade."""
    SIZE_STEP = "size_step"
    SIZE_MIN = "size_min"
    SIZE_MAX = "size_max"
    PRICE_STEP = "price_step"
    PRICE_MIN = "price_min"
    NOTIONAL_MIN = "notional_min"
    BALANCE = "balance"
    """Not enough of an asset, or not enough margin."""
    CAP_OPEN = "cap_open"
    """Too many open orders of the instrument."""
    CAP_WAITING = "cap_waiting"
    """Too many that wait for a trigger."""
    REDUCE_ONLY = "reduce_only"
    """There is no position that it could reduce."""
    POSITION_SIDE = "position_side"
    """The account's position mode has no such side there."""
    TRIGGER_PASSED = "trigger_passed"
    """The price is beyond the trigger already."""
    EXIT_SIDE = "exit_side"
    """Take profit or stop loss on the wrong side of the price."""
    NOTHING_CHANGES = "nothing_changes"
    BELOW_FILLED = "below_filled"
    """An amended size that is no more than what has been filled."""
    NOT_AMENDABLE = "not_amendable"
    LEVERAGE = "leverage"
    """Out of the instrument's range."""
    IN_USE = "in_use"
    """Positions or orders stand in the way of another mode."""
    MODE = "mode"
    """The instrument, or the margin mode, has no such thing."""
    BUSY = "busy"
    """Its last amendment isn't carried out yet."""
    RISK_LIMIT = "risk_limit"
    """The position could get larger than its leverage allows; the text is the leverage that would
    allow it, 0 where none does."""


class Refused(Exception):
    """A request that changes nothing, as it was refused; ``order`` is the one that it is about."""

    def __init__(self, why: Refusal, text: str = "", order: DeskOrder | None = None) -> None:
        super().__init__(text or why.value)
        self.why = why
        self.order = order


@attrs.frozen(kw_only=True)
class NewOrder:
    """What a client asks for, read by the dialect. Sizes are in the listing's units."""

    listing: Listing
    side: Side
    size: Decimal | None = None
    quote_size: Decimal | None = None
    """Of a market order of spot: for how much of the quote asset, instead of ``size``."""
    price: Decimal | None = None
    """None: at any price. Of a market order, the worst that it takes."""
    type: OrderType = OrderType.LIMIT
    lifetime: Lifetime = Lifetime.GTC
    reduce_only: bool = False
    closing: bool = False
    """Closes whatever there is of the position when it comes to life: ``size`` is the most."""
    position_side: PositionSide = PositionSide.NET
    self_trade: SelfTrade | None = None
    """None: it trades with the account's own orders."""
    client_order_id: str = ""
    trigger: Trigger | None = None
    trailing: Decimal | None = None
    """How far behind the best price since then ``trigger`` follows, never going back."""
    trailing_share: Decimal | None = None
    """The same as a share of that price."""
    activates_at: Decimal | None = None
    """Which price has to be reached before it does; None: it follows."""
    activates_towards: bool = False
    """Whether that is reached as the trigger would be; else from the other side, as a profit is."""
    locks_at_once: bool = True
    """Whether a spot order that waits for its trigger locks its assets meanwhile."""
    take_profit: Exit | None = None
    stop_loss: Exit | None = None
    partial_exits: bool = False
    """Whether take profit and stop loss close what this order filled, not the whole position."""
    contingent: str = ""
    """Orders that have the same are one or the other: one that is triggered, or of which something
    is filled, ends what waits or rests of the others."""
    pair: str = ""
    """Of orders that wait and have the same, one ends the others when it is triggered."""
    labels: Mapping[str, Any] = attrs.field(factory=dict)
    """The dialect's own; they stay with the order."""

    @property
    def trails(self) -> bool:
        """Whether its trigger follows the price."""
        return self.trailing is not None or self.trailing_share is not None

    def distance(self, price: Decimal) -> Decimal:
        """How far behind a best price its trigger stays, in whole ticks."""
        if self.trailing is not None:
            return self.trailing
        ticks = price * (self.trailing_share or ZERO) / self.listing.tick
        return self.listing.tick * int(ticks)

    @property
    def reduces(self) -> bool:
        """Whether it can only make a position smaller: it says so, or it sells a long (buys a
        short) one of two."""
        closes = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}
        return self.reduce_only or closes.get(self.position_side) is self.side


@attrs.frozen(kw_only=True)
class DeskOrder:
    """An order as it was at a time. The desk replaces it by another with every change.

    ``value`` is what was paid or received for what is ``filled``: quote units, of inverse
    contracts base units.
    """

    number: int
    """Counts the desk's orders: what a dialect makes its order id of."""
    account: str
    asked: NewOrder
    """What it is now: amendments are in it."""
    stage: Stage
    ending: Ending | None = None
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fees: Mapping[str, Decimal] = attrs.field(factory=dict)
    """By asset; above zero paid."""
    created_ns: int
    updated_ns: int
    version: int = 1
    """Counts its changes."""
    triggered: bool = False
    parent: int | None = None
    """The order whose take profit or stop loss it is."""
    exit_kind: str = ""
    """``take_profit`` or ``stop_loss``, of an order that is one."""
    by: Ending | None = None
    """Why the exchange made it, where the account did not: LIQUIDATION, DELEVERAGING,
    SETTLEMENT."""
    origin: int | None = None
    """The order that waited for the trigger which has brought this one to life."""
    replaced_by: int | None = None
    """The order that a reached trigger has brought to life in its place."""
    prevented_by: int | None = None
    """With which order it would have traded, where that ended it."""
    last_price: Decimal = ZERO
    """The last trade's when it was placed."""
    locked: Decimal = ZERO
    """Of the asset that it would spend (spot), or its initial margin in the settlement asset."""
    opens: bool = True
    """Whether it may open or enlarge a position, and so needs margin (or, of spot, assets)."""
    budget: Decimal | None = None
    """The most that a market order to buy may spend."""
    underlying_price: Decimal = ZERO
    """The index price when it was placed."""
    reduced_to: Decimal | None = None
    """What the exchange made of the size of a reduce-only order."""
    closed_profit: Decimal = ZERO
    """What it has made by closing positions, after the fees of entering and leaving them."""

    @property
    def listing(self) -> Listing:
        return self.asked.listing

    @property
    def side(self) -> Side:
        return self.asked.side

    @property
    def size(self) -> Decimal | None:
        return self.asked.size if self.reduced_to is None else self.reduced_to

    @property
    def price(self) -> Decimal | None:
        return self.asked.price

    @property
    def client_order_id(self) -> str:
        return self.asked.client_order_id

    @property
    def remaining(self) -> Decimal:
        """What may still be filled; zero once it has ended, and of a size in quote units."""
        size = self.size
        return ZERO if self.stage.ended or size is None else size - self.filled

    @property
    def resting(self) -> bool:
        return self.stage is Stage.OPEN
