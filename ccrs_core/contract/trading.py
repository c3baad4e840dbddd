"""What an exchange's plugin declares about trading: what may be asked, and what may be relied on.

The requests are in :mod:`ccrs_core.contract.trading_requests`, what streams and answers say in
:mod:`ccrs_core.model.reports`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from ccrs_core.contract.rest import Request
from ccrs_core.errors import EndReason, UsageError
from ccrs_core.model import checks
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel


class Feature(enum.StrEnum):
    """What may be asked of an order; anything else is refused with ``Unsupported`` before any
    I/O."""

    MARKET_ORDERS = "market_orders"
    QUOTE_SIZE_BUY = "quote_size_buy"
    """Market buys for an amount of the quote currency."""
    QUOTE_SIZE_SELL = "quote_size_sell"
    POST_ONLY = "post_only"
    IOC = "ioc"
    FOK = "fok"
    REDUCE_ONLY = "reduce_only"
    TRIGGER_LAST = "trigger_last"
    TRIGGER_MARK = "trigger_mark"
    TRIGGER_INDEX = "trigger_index"
    TRAILING_DISTANCE = "trailing_distance"
    """Triggers that follow the price by so much of the quote currency."""
    TRAILING_SHARE = "trailing_share"
    TRAILING_LIMIT = "trailing_limit"
    """Limit orders, too, may wait for such a trigger; elsewhere market orders alone."""
    TAKE_PROFIT = "take_profit"
    """Take-profit and stop-loss attached to an order."""
    SELF_TRADE_NONE = "self_trade_none"
    SELF_TRADE_MAKER = "self_trade_maker"
    SELF_TRADE_TAKER = "self_trade_taker"
    SELF_TRADE_BOTH = "self_trade_both"
    AMEND = "amend"
    AMEND_SMALLER = "amend_smaller"
    """Amendments that make an order smaller, and change nothing else: it keeps its place."""
    AMEND_CONDITIONAL = "amend_conditional"
    VOLATILITY = "volatility"
    """Options priced by implied volatility."""
    HEDGE = "hedge"
    """Two positions of one instrument."""
    SPOT_MARGIN = "spot_margin"


@attrs.frozen(kw_only=True)
class ClientIds:
    """The grammar of client order ids."""

    longest: int = attrs.field(validator=checks.count)
    letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    """Characters that may be in one."""
    separator: str = "-"
    """One of ``letters`` or beside them, allowed too, that made ids use between their parts; empty
    where there is none."""
    for_ever: bool = True
    """Whether an id may never be used again; else only not while its order is open."""

    def __attrs_post_init__(self) -> None:
        if self.longest < 24:
            raise UsageError("client order ids need room for 24 characters")

    def allows(self, client_order_id: str) -> bool:
        """Whether the exchange would take an id."""
        fine = {*self.letters, *self.separator}
        return 0 < len(client_order_id) <= self.longest and set(client_order_id) <= fine


@attrs.frozen(kw_only=True)
class Absence:
    """When the exchange's denial of an order proves that it never arrived."""

    proved_after: float | None = None
    """Seconds after the request was signed by which it is refused or visible, by the exchange's own
    word; None: it names no such bound, and a denial never proves anything."""


class DeadManKind(enum.StrEnum):
    """How an exchange's disconnect protection works."""

    CONNECTION = "connection"
    """It fires once every private connection that takes part has been dead for the window."""
    TIMER = "timer"
    """It fires unless it is renewed in time."""


class DeadManScope(enum.StrEnum):
    """What one request of a protection is about."""

    ACCOUNT = "account"
    """The whole account, of all of its markets."""
    MARKET = "market"
    INSTRUMENT = "instrument"


@attrs.frozen(kw_only=True)
class DeadMan:
    """An exchange's disconnect protection."""

    kind: DeadManKind
    scope: DeadManScope = DeadManScope.MARKET
    own: bool = False
    """Whether it can be of those orders alone that the plugin marks as its own (by a tag, say):
    that is what is set then, and all of an account only where the user asks for ``everything``."""
    markets: frozenset[Market]
    shortest: float
    longest: float
    covers: str
    """For people: which orders it cancels, of the scope that it has by default."""
    covers_everything: str = ""
    """For people: which it cancels where ``everything`` is asked for; of one that has ``own``."""
    spares: str
    """For people: what it doesn't, and what can keep it from firing."""
    takes_effect_after: float = 0.0
    """Seconds until a change of it holds."""


@attrs.frozen(kw_only=True)
class Trading:
    """What a plugin offers of trading; its requests' endpoints stand in ``Exchange.endpoints``, its
    private streams in ``Capabilities.account_channels``."""

    features: Mapping[Market, frozenset[Feature]]
    """By market in which orders can be placed."""
    client_ids: ClientIds
    absence: Absence = Absence()
    receive_window: float = attrs.field(default=5.0, validator=checks.positive_seconds)
    """Seconds after its timestamp at which the exchange refuses a request that arrives late."""
    unsigned_headers: frozenset[str] = frozenset()
    """Headers of signed requests that the exchange's signatures don't cover."""
    visible_within: float = attrs.field(default=120.0, validator=checks.positive_seconds)
    """Seconds by which what happened is surely in the exchange's lists: reads overlap by so
    much."""
    batch: Mapping[Market, int] = attrs.field(factory=dict)
    """Orders that a batch may have."""
    alone: frozenset[type[Request]] = frozenset()  # type: ignore[type-arg]
    """Batches that take no orders that wait for a trigger: such leave by themselves."""
    by_socket: frozenset[type[Request]] = frozenset()  # type: ignore[type-arg]
    """Requests that can go over the socket of ``Exchange.entry_route``."""
    confirms: frozenset[type[Request]] = frozenset()  # type: ignore[type-arg]
    """Those of ``AmendOrder`` and ``CancelOrder`` whose answer says only that they were received:
    the stream of orders says what came of each, as a ``ConfirmationReport``. Batches of them
    count alike. Calls wait for that."""
    cancels_both: frozenset[Market] = frozenset()
    """Markets in which one ``CancelAll`` cancels orders of both kinds; elsewhere those that wait
    for a trigger are asked for by themselves (``conditional``)."""
    settles: Mapping[Market, tuple[str, ...]] = attrs.field(factory=dict)
    """Where lists of open orders or positions need a settlement asset: all that there are. Others
    are asked for by market."""
    purses: Mapping[Market, str] = attrs.field(factory=dict)
    """Where an account has several wallets that hold the same assets apart: by market the one that
    its fills and income move, as :attr:`Balance.purse` names it."""
    streams: Mapping[Market, frozenset[Channel]] = attrs.field(factory=dict)
    """Where an account's streams are of one market each: the channels of each, which are asked for
    by market. Elsewhere ``Capabilities.account_channels`` are of all of it."""
    by_symbol: frozenset[type[Request]] = frozenset()  # type: ignore[type-arg]
    """Lists (``GetFills``, ``GetOrderHistory``) that are to be had of one instrument at a time
    alone: they are read of each that the account is known to have to do with."""
    waiting_unlisted: frozenset[Market] = frozenset()
    """Markets whose past orders (``GetOrderHistory``) are told without those that waited for a
    trigger: such are asked for one by one. So are they where ``WAITING_ORDERS`` is a channel."""
    untold: frozenset[EndReason] = frozenset()
    """Reasons for which orders end without the exchange ever saying so: ``reason`` is None then."""
    untold_in_lists: frozenset[EndReason] = frozenset()
    """Those that streams tell, and lists of orders don't."""
    dead_man: DeadMan | None = None
    position_stream_whole: bool = True
    """Whether the stream of positions tells each that changes."""
