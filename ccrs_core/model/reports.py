"""What an exchange says of an account, row by row, in its own symbols and sizes: what plugins read.

A report names its instrument by ``market`` and ``native``, the exchange's own symbol, and counts
sizes as the exchange does (contracts of an exchange that counts those): the core finds the
instrument, converts, and merges reports into orders, fills and positions. What a row doesn't say
is None; a plugin never guesses.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal

import attrs

from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import IncomeKind, MarginMode
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import OrderType, PositionSide, TimeInForce, Trailing, Trigger
from ccrs_core.model.orders import FillKind, Liquidity, OrderState


@attrs.frozen(kw_only=True, weakref_slot=False)
class OrderReport:
    """The exchange's word on one order at one time. ``filled_size`` and kin are cumulative."""

    market: Market
    native: str
    exchange_order_id: str
    client_order_id: str
    """Empty where it has none. Where an exchange renames on cancel, the id it was placed with."""
    state: OrderState
    """ACCEPTED, WAITING, OPEN or a final one."""
    reason: EndReason | None = None
    reason_text: str = ""
    side: Side | None = None
    type: OrderType | None = None
    size: Decimal | None = None
    quote_size: Decimal | None = None
    price: Decimal | None = None
    filled_size: Decimal | None = None
    filled_value: Decimal | None = None
    average_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    position_side: PositionSide | None = None
    trigger: Trigger | Trailing | None = None
    parent_id: str = ""
    fired: bool = False
    """Of one that waited: its trigger has fired, what that places has an id of its own, and
    nothing else is to be placed. Its ``state`` is WAITING then: what it has placed decides."""
    children: tuple[str, ...] = ()
    """Exchange's ids of what it has placed, as far as the row names them."""
    fired_by: str = ""
    """Of what a trigger has placed: the exchange's id, or else the client's, of what waited."""
    by_exchange: bool = False
    """Whether the exchange made the order itself: a liquidation, deleveraging, settlement."""
    created_ns: int | None = None
    exchange_time_ns: int | None
    """When this was so, by the exchange's clock."""
    received_time_ns: int
    sequence: int | None = None
    """Where the exchange numbers its words on an order: rises."""
    late: bool = False
    """Whether a final state may be repeated by a row that is to be ignored, in whole: as where a
    cancel came after the order was filled."""
    native_fields: Mapping[str, str] = attrs.field(factory=dict)


class FeeIn(enum.StrEnum):
    """Which of an instrument's assets a fee is in."""

    BASE = "base"
    QUOTE = "quote"
    SETTLE = "settle"


@attrs.frozen(kw_only=True, weakref_slot=False)
class FillReport:
    """One fill. ``price`` and ``size`` are never zero; a row without a trade is none."""

    market: Market
    native: str
    fill_id: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    size: Decimal
    value: Decimal | None = None
    fee: Decimal | None = None
    """Above zero paid, below zero a rebate; None where the row doesn't say."""
    fee_asset: str = ""
    """Empty where the row doesn't name it: then ``fee_in`` says which it is."""
    fee_in: FeeIn | None = None
    """Which of the instrument's assets the fee is in, by the exchange's rules; None where
    ``fee_asset`` says it, or nothing does."""
    liquidity: Liquidity | None = None
    kind: FillKind = FillKind.TRADE
    by_exchange: bool = False
    position_side: PositionSide | None = None
    exchange_time_ns: int
    received_time_ns: int
    sequence: int | None = None
    native_fields: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class EarlyFillReport:
    """An unconfirmed fill, ahead of its :class:`FillReport` of the same id."""

    market: Market
    native: str
    fill_id: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    size: Decimal
    exchange_time_ns: int
    received_time_ns: int


@attrs.frozen(kw_only=True, weakref_slot=False)
class PositionReport:
    """A position as it is; ``size`` above zero for a long, below for a short, zero where flat."""

    market: Market
    native: str
    side: PositionSide
    size: Decimal
    settle: str = ""
    """Empty: the instrument's."""
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    unrealised_profit: Decimal | None = None
    realised_profit: Decimal | None = None
    exchange_time_ns: int | None
    received_time_ns: int
    sequence: int | None = None
    """Where the exchange orders its words on positions by a number."""
    native_fields: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class IncomeReport:
    """Money that came (``amount`` above zero) or went, otherwise than by a fill."""

    income_id: str
    kind: IncomeKind
    asset: str
    """Empty: what the instrument is settled in."""
    amount: Decimal
    market: Market | None = None
    native: str = ""
    exchange_time_ns: int
    received_time_ns: int
    of_fill: bool = False
    """Whether the exchange tells it as a fill, too (of a delivery, say): ledgers count that."""
    native_fields: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class MarginCallReport:
    """The exchange's warning that positions may be liquidated; ``native`` empty: of the account."""

    text: str
    market: Market | None = None
    native: str = ""
    maintenance_rate: Decimal | None = None
    exchange_time_ns: int | None
    received_time_ns: int


@attrs.frozen(kw_only=True)
class StrangeReport:
    """A row that tells of an account something that nobody knows how to book: kept, told, and never
    counted as a fill."""

    what: str
    """The exchange's word for its kind."""
    market: Market | None = None
    native: str = ""
    exchange_time_ns: int | None
    received_time_ns: int
    native_fields: Mapping[str, str] = attrs.field(factory=dict)


class Act(enum.StrEnum):
    """What was asked of an open order."""

    AMEND = "amend"
    CANCEL = "cancel"


@attrs.frozen(kw_only=True)
class ConfirmationReport:
    """What came of an amendment or a cancel of which the answer said only that it was received
    (``Trading.confirms``). What the same row says of the order is an :class:`OrderReport` beside
    it, before it."""

    act: Act
    market: Market
    native: str
    exchange_order_id: str
    client_order_id: str
    request_id: str = ""
    """Of an amendment: the ``AmendOrder.request_id`` with which it was sent; another one's, or an
    empty one, is of another program and settles nothing here."""
    done: bool
    """Whether it took effect; else ``code``, ``text`` and ``reason`` say why not."""
    code: str = ""
    text: str = ""
    reason: EndReason | None = None
    exchange_time_ns: int | None
    received_time_ns: int


Report = (
    OrderReport
    | FillReport
    | EarlyFillReport
    | PositionReport
    | IncomeReport
    | MarginCallReport
    | StrangeReport
    | ConfirmationReport
    | Balance
)
"""What streams and answers tell of an account."""
