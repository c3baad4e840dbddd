"""Orders and fills, as users hold them: what was asked, and what the exchange made of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import attrs

from ccrs_core.errors import EndReason
from ccrs_core.model.events import Event
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import (
    OrderRequest,
    OrderType,
    PositionSide,
    TimeInForce,
    Trailing,
    Trigger,
)
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import PLAIN, QUOTIENT


class OrderState(enum.StrEnum):
    """How far an order has come. It only climbs; the last group is final."""

    PLANNED = "planned"
    """Its intent is stored; nothing has left."""
    SENT = "sent"
    """It has left, or may have; no answer yet."""
    UNKNOWN = "unknown"
    """The answer was lost, or doesn't tell: the exchange may have it or not."""
    PRESUMED_ABSENT = "presumed_absent"
    """No trace of it was found for so long that it counts as no exposure; any later trace reopens
    it. Not proved, and not final."""
    ACCEPTED = "accepted"
    """The exchange has acknowledged it; whether it is open isn't known yet."""
    WAITING = "waiting"
    """Waits for its trigger."""
    OPEN = "open"
    """In the book, maybe partly filled."""
    FILLED = "filled"
    CANCELED = "canceled"
    """Canceled, maybe partly filled, by whomever (``reason``)."""
    EXPIRED = "expired"
    """Ended by its own terms: the rest of an IOC, FOK or market order, self-trade prevention."""
    REJECTED = "rejected"
    """The exchange refused it."""
    NOT_SENT = "not_sent"
    """Nothing of it has left, for certain."""
    ABSENT = "absent"
    """Proved that it never arrived: the exchange denies it, after the time by which it would have
    it."""

    @property
    def final(self) -> bool:
        """Whether nothing changes it any more (fills are taken for ever)."""
        return self in _FINAL

    @property
    def rank(self) -> int:
        """States only go to one of a higher rank; final ones share the highest."""
        return _RANKS[self]

    @property
    def exposed(self) -> bool:
        """Whether it may trade, as far as is known: so of an unknown one."""
        return self not in _FINAL and self not in (
            OrderState.PLANNED,
            OrderState.PRESUMED_ABSENT,
        )


_FINAL = frozenset(
    {
        *(OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED),
        *(OrderState.REJECTED, OrderState.NOT_SENT, OrderState.ABSENT),
    }
)
_RANKS = {state: rank for rank, state in enumerate(OrderState) if state not in _FINAL}
_RANKS |= dict.fromkeys(_FINAL, len(_RANKS))


class Origin(enum.StrEnum):
    """Who made an order."""

    OWN = "own"
    """This account's store holds its intent."""
    OTHER = "other"
    """Another program, or a person."""
    EXCHANGE = "exchange"
    """The exchange: a liquidation, deleveraging, settlement."""


class Liquidity(enum.StrEnum):
    """Which side of a trade a fill was."""

    MAKER = "maker"
    TAKER = "taker"


class FillKind(enum.StrEnum):
    """How a fill came about."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    BLOCK = "block"
    """Negotiated off the book."""
    SPREAD = "spread"
    """A leg of a spread."""
    TRANSFER = "transfer"
    """A position moved between accounts."""
    SETTLEMENT = "settlement"
    """Delivery or settlement, as far as the exchange tells it as a fill."""


@attrs.frozen(kw_only=True, weakref_slot=False)
class Times:
    """When a request and its answer passed where, nanoseconds UTC; None where that isn't known.
    ``planned``, ``sent`` and ``received`` are of the local clock, the others of the exchange's."""

    planned_ns: int | None = None
    """Its intent was stored."""
    sent_ns: int | None = None
    """Its first byte left."""
    taken_ns: int | None = None
    """The exchange took it."""
    answered_ns: int | None = None
    """The exchange answered."""
    received_ns: int | None = None
    """The answer arrived."""


@attrs.frozen(kw_only=True, weakref_slot=False)
class Order:
    """One order as far as is known. Sizes count the instrument's ``size_unit``, prices and values
    quote units.

    ``price``, ``size`` and the like are the exchange's once it has said them; what was asked is
    ``asked``. State and quantity are two facts: ``filled_size`` may be ahead of the fills that
    were delivered, and ``fills_complete`` says whether both agree.
    """

    exchange: str
    account: str
    symbol: str
    market: Market
    client_order_id: str
    """Empty where another program gave none."""
    exchange_order_id: str = ""
    """Empty until the exchange has said it."""
    side: Side
    type: OrderType
    state: OrderState
    reason: EndReason | None = None
    reason_text: str = ""
    """The exchange's own words (and code)."""
    origin: Origin
    tag: str = ""
    asked: OrderRequest | None = None
    """What was asked; None for orders of others. Amendments that were taken are in it."""
    size: Decimal | None = None
    quote_size: Decimal | None = None
    """Where the size is in quote units (``size`` is None then)."""
    price: Decimal | None = None
    filled_size: Decimal = Decimal(0)
    """In size units; never falls."""
    filled_value: Decimal | None = Decimal(0)
    """What was paid or received for that, in quote units (of inverse contracts: in base units);
    None where the exchange hasn't said it and fills are missing."""
    average_price: Decimal | None = None
    fills_complete: bool = True
    """Whether the fills in the ledger add up to ``filled_size``."""
    fees: tuple[tuple[str, Decimal], ...] = ()
    """Summed over the ledger's fills, by asset: above zero paid, below zero a rebate."""
    time_in_force: TimeInForce | None = None
    post_only: bool = False
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.NET
    trigger: Trigger | Trailing | None = None
    parent_id: str = ""
    """Of a take-profit or stop-loss: the exchange's or client's id of the order it belongs to."""
    fired: bool = False
    """Of one that waited for a trigger: it has fired, and what it placed is an order of its own.
    State, filled size, average and fees follow that from then on; ``native`` stays the exchange's
    word on this one."""
    children: tuple[str, ...] = ()
    """Exchange's ids of the orders that its trigger, or its schedule, has placed: each is an order,
    with fills, of its own, so figures of both aren't to be summed."""
    fired_by: str = ""
    """Of one that a trigger has placed: the exchange's or client's id of the order that waited."""
    created_ns: int | None = None
    updated_ns: int | None = None
    """By the exchange's clock."""
    verified_ns: int | None = None
    """When the exchange last spoke of it, by the local clock."""
    times: Times = Times()
    """Of the request that placed it."""
    native: Mapping[str, str] = attrs.field(factory=dict)
    """What the exchange says of it that has no unified name."""

    @property
    def remaining(self) -> Decimal | None:
        """What may still be filled, in size units: 0 once it has ended, None where the size is in
        quote units or unknown."""
        if self.state.final:
            return Decimal(0)
        return None if self.size is None else max(self.size - self.filled_size, Decimal(0))

    @property
    def altered(self) -> tuple[str, ...]:
        """Which of ``price``, ``size``, ``quote_size`` the exchange has made something else of than
        was asked: a price that it moved into its band, say."""
        asked = self.asked
        if asked is None:
            return ()
        names = ("price", "size", "quote_size")
        pairs = ((name, getattr(asked, name), getattr(self, name)) for name in names)
        return tuple(n for n, mine, its in pairs if None not in (mine, its) and mine != its)

    def __str__(self) -> str:
        what = self.size if self.size is not None else f"{self.quote_size} (quote)"
        price = "" if self.price is None else f" at {self.price:f}"
        identity = self.client_order_id or self.exchange_order_id
        return (
            f"{self.side.value} {what} {self.symbol}{price} ({self.state.value}, filled "
            f"{self.filled_size:f}, {identity})"
        )


@attrs.frozen(kw_only=True)
class OrderUpdate(Event):
    """An order has changed: ``order`` is what it is now. ``exchange_time_ns`` is the order's
    ``updated_ns``."""

    type: ClassVar[str] = "order"
    channel: ClassVar[Channel | None] = Channel.ORDERS

    account: str
    number: int
    """The ledger's, rising over fills, updates and all else of an account."""
    order: Order
    before: OrderState | None
    """Its state before; None where it is new to the ledger."""


@attrs.frozen(kw_only=True)
class Fill(Event):
    """A part of an order was traded. Each is in the ledger once.

    What it changes: ``size`` in the instrument's size unit at ``price``; ``value`` is what that is
    in quote units (of inverse contracts: in base units).
    """

    type: ClassVar[str] = "fill"
    channel: ClassVar[Channel | None] = Channel.FILLS

    account: str
    number: int
    """The ledger's, rising over fills, updates and all else of an account."""
    market: Market
    fill_id: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    size: Decimal
    value: Decimal | None
    fee: Decimal | None
    """Above zero paid, below zero a rebate; None as long as the exchange hasn't said it."""
    fee_asset: str
    liquidity: Liquidity | None
    kind: FillKind
    origin: Origin
    position_side: PositionSide
    backfilled: bool = False
    """Learned by asking, not from the stream."""
    again: bool = False
    """It may have been delivered before: whoever had it has not acknowledged it."""
    sequence: int | None = None
    """Where the exchange orders fills and positions by one number."""
    native: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class EarlyFill(Event):
    """An unconfirmed word of a fill, ahead of :class:`Fill`: without fee, not in the ledger, and
    some may never come. Lossy: for speed alone."""

    type: ClassVar[str] = "early_fill"
    channel: ClassVar[Channel | None] = Channel.EARLY_FILLS

    account: str
    market: Market
    fill_id: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    size: Decimal


def average(value: Decimal, size: Decimal, contract: Decimal | None = None) -> Decimal | None:
    """The average price of a size that was traded for a value, to 34 digits.

    ``contract``: of inverse contracts, whose values are in base units, the quote units that one is
    worth (``Instrument.quote_per_contract``); zero where that isn't known, and neither is the price
    then. None where no size or value is.
    """
    if not size or not value:
        return None
    if contract is None:
        return QUOTIENT.divide(value, size)
    return QUOTIENT.divide(PLAIN.multiply(size, contract), value) if contract else None
