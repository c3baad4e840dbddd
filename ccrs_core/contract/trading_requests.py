"""The unified requests of an account, as :mod:`ccrs_core.contract.rest` has those of market data.

Their endpoints stand in ``Exchange.endpoints``, signed. What places, amends, cancels or sets is not
``idempotent``: it leaves once. Ids: where both are given the exchange's own goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

import attrs

from ccrs_core.contract.rest import Request, T
from ccrs_core.errors import CcrsError
from ccrs_core.model.accounts import (
    AccountInfo,
    FeeRate,
    Margin,
    MarginMode,
    PositionMode,
    PriceBand,
)
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.order_requests import Exit, OrderRequest, PositionSide, Trigger
from ccrs_core.model.orders import Order
from ccrs_core.model.reports import (
    FillReport,
    IncomeReport,
    OrderReport,
    PositionReport,
    StrangeReport,
)
from ccrs_core.model.times import ALL

# --- What is done ---------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Placed:
    """The exchange has taken an order (or an amendment, a cancel): acknowledged, not yet done."""

    exchange_order_id: str
    client_order_id: str = ""
    taken_ns: int | None = None
    """When, by the exchange's clock."""
    report: OrderReport | None = None
    """What the answer says of the order beyond that."""


@attrs.frozen
class _OfOne(Request[T]):
    instrument: Instrument

    @property
    def market(self) -> Market:
        return self.instrument.market


@attrs.frozen
class PlaceOrder(_OfOne[Placed]):
    """Place an order. ``client_order_id`` is always set, in the exchange's grammar; that of
    ``order`` isn't to be looked at. ``account`` is what is known of the account's mode, for
    exchanges that want orders said in its words; None where nothing is."""

    order: OrderRequest
    client_order_id: str
    account: AccountInfo | None = None


@attrs.frozen(kw_only=True)
class AmendOrder(_OfOne[Placed]):
    """Change an open order in place. ``size`` is the new whole size, filled part included. None
    leaves as it is."""

    instrument: Instrument
    exchange_order_id: str = ""
    client_order_id: str = ""
    price: Decimal | None = None
    size: Decimal | None = None
    volatility: Decimal | None = None
    trigger: Trigger | None = None
    take_profit: Exit | None = None
    stop_loss: Exit | None = None
    conditional: bool = False
    """Whether it waits for a trigger."""
    request_id: str = ""
    """An id of this amendment alone, in the grammar of client order ids, to be sent along where
    ``Trading.confirms`` has amendments: by it their confirmation is found. Else empty."""
    known: Order | None = attrs.field(default=None, eq=False, repr=False)
    """What is known of the order, for exchanges that want what stays said anew; None where nothing
    is."""


@attrs.frozen(kw_only=True)
class CancelOrder(_OfOne[Placed]):
    """Cancel an open order."""

    instrument: Instrument
    exchange_order_id: str = ""
    client_order_id: str = ""
    conditional: bool = False
    native: Mapping[str, str] = attrs.field(factory=dict)
    """What reports say of the order that has no unified name."""


Done = Placed | CcrsError
"""What became of one item of a batch."""


@attrs.frozen
class _Batch(Request[T]):
    """Items of one market; the answer has one outcome for each, in their order. An item's error is
    one of its own, never another's: what the exchange didn't come to is ``RateLimited`` or what it
    says; what nothing is said of is ``OutcomeUnknown``."""


@attrs.frozen
class PlaceOrders(_Batch[Sequence[Done]]):
    """Place several orders of one market."""

    items: tuple[PlaceOrder, ...]

    @property
    def market(self) -> Market:
        return self.items[0].market


@attrs.frozen
class PlaceEither(_Batch[Sequence[Done]]):
    """Place two orders of one instrument, of which one ends the other: both, or neither."""

    items: tuple[PlaceOrder, ...]

    @property
    def market(self) -> Market:
        return self.items[0].market


@attrs.frozen(kw_only=True)
class Replaced:
    """What became of both parts of a :class:`ReplaceOrder`."""

    canceled: Done
    placed: Done | None
    """None: the exchange didn't try, as the cancel failed."""


@attrs.frozen
class ReplaceOrder(_OfOne[Replaced]):
    """Cancel an order if nothing of it is filled, and once that is done place another one, in one
    request. An outcome that tells of both parts is an answer, whatever it says; only what leaves
    one open is an error."""

    cancel: CancelOrder
    place: PlaceOrder


@attrs.frozen
class AmendOrders(_Batch[Sequence[Done]]):
    """Amend several orders of one market."""

    items: tuple[AmendOrder, ...]

    @property
    def market(self) -> Market:
        return self.items[0].market


@attrs.frozen
class CancelOrders(_Batch[Sequence[Done]]):
    """Cancel several orders of one market."""

    items: tuple[CancelOrder, ...]

    @property
    def market(self) -> Market:
        return self.items[0].market


@attrs.frozen(kw_only=True)
class CancelAll(Request[Sequence[Placed]]):
    """Cancel all open orders of an instrument, of a settlement asset, or of a market; those that
    wait for a trigger, too, where ``conditional``. The answer names what was canceled as far as
    the exchange says so; it may have to be repeated until nothing is open (``more``)."""

    market: Market
    instrument: Instrument | None = None
    settle: str = ""
    conditional: bool = False
    """Only those that wait for a trigger; False: only the others, or both where ``everything``."""
    everything: bool = True
    """Both kinds, where the exchange does that by one request (``Trading.cancels_both``)."""


@attrs.frozen
class SetLeverage(_OfOne[None]):
    """Set the leverage of an instrument's positions; ``side`` NET: of both."""

    leverage: Decimal
    side: PositionSide = PositionSide.NET


@attrs.frozen(kw_only=True)
class SetMarginMode(Request[None]):
    """Set the margin mode: of the account, or of an instrument where the exchange has it so."""

    mode: MarginMode
    instrument: Instrument | None = None

    @property
    def market(self) -> Market | None:
        return None if self.instrument is None else self.instrument.market


@attrs.frozen(kw_only=True)
class SetPositionMode(Request[None]):
    """Set one-way or hedge mode: of an instrument, or of a market's settlement asset."""

    mode: PositionMode
    market: Market
    instrument: Instrument | None = None
    settle: str = ""


@attrs.frozen(kw_only=True)
class SetDeadMan(Request[None]):
    """Set the disconnect protection of what ``DeadMan.scope`` says, or renew it: the exchange
    cancels orders once it hasn't heard of us for ``seconds``. 0 turns it off, where that can be; a
    timer is always told so where it isn't wanted any more."""

    market: Market | None
    """None where it is of the whole account."""
    seconds: float
    instrument: Instrument | None = None
    everything: bool = True
    """False: of those orders alone that the plugin marks as its own (``DeadMan.own``)."""


# --- What is asked --------------------------------------------------------------------------


@attrs.frozen
class _Asked(Request[T]):
    idempotent: ClassVar[bool] = True


@attrs.frozen
class GetAccountInfo(_Asked[AccountInfo]):
    """The account's mode, and what its key may do."""

    account: str = "default"


@attrs.frozen
class GetDeadMan(_Asked[int | None]):
    """The seconds of the disconnect protection of a market; None: there is none in force."""

    market: Market


@attrs.frozen(kw_only=True)
class GetOrder(_Asked[OrderReport | None]):
    """One order, by either id; None where this source denies it. ``history`` asks the exchange's
    list of past orders instead of the present one."""

    instrument: Instrument
    exchange_order_id: str = ""
    client_order_id: str = ""
    history: bool = False
    conditional: bool = False

    @property
    def market(self) -> Market:
        return self.instrument.market


@attrs.frozen(kw_only=True)
class GetOpenOrders(_Asked[list[OrderReport]]):
    """All orders that are open, those that wait for a trigger included; of an instrument, of a
    settlement asset, or of a market."""

    market: Market
    instrument: Instrument | None = None
    settle: str = ""


@attrs.frozen(kw_only=True)
class GetOrderHistory(_Asked[list[OrderReport]]):
    """Past orders in ``start_ns <= time < end_ns``, oldest first."""

    market: Market
    instrument: Instrument | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = ALL


@attrs.frozen(kw_only=True)
class GetFills(_Asked[list[FillReport | IncomeReport | StrangeReport]]):
    """Fills in ``start_ns <= time < end_ns``, oldest first, each once; what the exchange lists
    among them that is no fill (funding, say) comes as what it is."""

    market: Market
    instrument: Instrument | None = None
    exchange_order_id: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = ALL


@attrs.frozen(kw_only=True)
class GetPositions(_Asked[list[PositionReport]]):
    """Positions of an instrument, of a settlement asset, or of a market. What isn't listed is
    flat, of what was asked for."""

    market: Market
    instrument: Instrument | None = None
    settle: str = ""


@attrs.frozen(kw_only=True)
class Wallet:
    """What an account has, and its margin as a whole."""

    balances: tuple[Balance, ...]
    margin: Margin | None = None
    exchange_time_ns: int | None = None


@attrs.frozen
class GetWallet(_Asked[Wallet]):
    """All balances of an account. What isn't listed is zero."""

    account: str = "default"


@attrs.frozen(kw_only=True)
class GetFeeRates(_Asked[list[FeeRate]]):
    """What trading costs in a market, or of an instrument."""

    market: Market
    instrument: Instrument | None = None
    account: str = "default"


@attrs.frozen(kw_only=True)
class GetIncome(_Asked[list[IncomeReport]]):
    """Money that came or went in ``start_ns <= time < end_ns``, oldest first; that of fills is in
    it where the exchange lists it so (``IncomeKind.TRADE``)."""

    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = ALL


@attrs.frozen
class GetPriceBand(_Asked[PriceBand]):
    """Between which prices limit orders of an instrument are taken as they are."""

    instrument: Instrument

    @property
    def market(self) -> Market:
        return self.instrument.market
