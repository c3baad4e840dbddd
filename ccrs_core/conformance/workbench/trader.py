"""An account of the emulated exchange and a plugin that acts for it: no client, no waiting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import attrs
import pytest

from ccrs_core.conformance.workbench.account_wallets import Wallets, wallets_of
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import LoggedIn, Message
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import HttpRequest, Request
from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.contract.trading_requests import (
    CancelOrder,
    GetOrder,
    Placed,
    PlaceOrder,
)
from ccrs_core.emulator import (
    ApiKey,
    Desk,
    DeskOrder,
    EmulatedExchange,
    Happening,
    Listing,
    Stage,
    TradingAccount,
    account_of,
)
from ccrs_core.emulator.matching import Lifetime
from ccrs_core.errors import EndReason, Unsupported
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market, Side
from ccrs_core.model.order_requests import OrderRequest, OrderType
from ccrs_core.model.orders import Order, OrderState, Origin
from ccrs_core.model.reports import OrderReport, Report
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

T = TypeVar("T")

_PAUSE = 0.25
"""Seconds between two requests: within what exchanges grant, and more than the desk takes."""
_BREATH_NS = NS_PER_SECOND // 4
"""Some calls may be made five times a second."""
_LEVELS = 5
_MONEY = Decimal(1_000_000)
_COINS = Decimal(1_000)


def trading_of(subject: Subject) -> Trading:
    """What the exchange declares of trading. Skips the test where it is nothing."""
    declared = subject.exchange.trading
    if declared is None:
        subject.undeclared("trading")
    return declared


def desk_of(venue: EmulatedExchange) -> Desk:
    """The desk of an emulated exchange. Fails the test where its dialect has none."""
    if venue.dialect.desk is None:
        pytest.fail(
            "the plugin declares trading, but its dialect has no desk: make one in attach(), and "
            "let the dialect read and answer the requests of accounts, so that it can be tested"
        )
    return venue.dialect.desk


@attrs.frozen
class Stall:
    """A market that stands still, with five levels a side: what may be traded there.

    ``size`` is a modest order's, as listings count; each level has ten times as much.
    """

    instrument: Instrument
    listing: Listing
    price: Decimal
    step: Decimal
    size: Decimal

    def bid(self, level: int = 1) -> Decimal:
        """The price of a level of bids, 1 the best."""
        return self.price - self.step * level

    def ask(self, level: int = 1) -> Decimal:
        return self.price + self.step * level

    def passive(self, side: Side, level: int = 2) -> Decimal:
        """A price at which an order rests."""
        return self.bid(level) if side is Side.BUY else self.ask(level)

    def crossing(self, side: Side, level: int = 1) -> Decimal:
        """A price at which an order takes so many levels."""
        return self.ask(level) if side is Side.BUY else self.bid(level)

    @property
    def level_size(self) -> Decimal:
        return self.size * 10

    def own(self, size: Decimal) -> Decimal:
        """A size as users count it: as listings do, base units, of inverse ones contracts."""
        return size

    def limit(self, side: Side, price: Decimal, lots: int = 1, **more: Any) -> OrderRequest:
        """A limit order of so many times the modest size."""
        return OrderRequest(
            symbol=self.instrument.symbol,
            side=side,
            type=OrderType.LIMIT,
            size=self.own(self.size * lots),
            price=price,
            **more,
        )

    def market(self, side: Side, lots: int = 1, **more: Any) -> OrderRequest:
        if "quote_size" not in more:
            more["size"] = self.own(self.size * lots)
        return OrderRequest(symbol=self.instrument.symbol, side=side, type=OrderType.MARKET, **more)

    @property
    def figures(self) -> dict[str, Any]:
        """The market's state."""
        levels = range(1, _LEVELS + 1)
        return {
            "bids": [(self.bid(level), self.level_size) for level in levels],
            "asks": [(self.ask(level), self.level_size) for level in levels],
            "last_price": self.price,
            "mark_price": self.price,
            "index_price": self.price,
        }


def stall(instrument: Instrument, listing: Listing) -> Stall:
    """A market's state by its rules."""
    tick = max([listing.tick, *(listing.tick * times for _, times in listing.coarser)])
    step = max(tick, listing.price // 1000 // tick * tick)
    price = max(listing.price // step, Decimal(100)) * step
    worth = listing.lot * listing.worth_of_one
    value = worth if listing.market is Market.INVERSE else worth * price
    wanted = max(listing.min_notional * 20, Decimal(200))
    if listing.market is Market.OPTION and listing.settle == listing.base:
        wanted /= listing.strike or 1  # prices are in coins
    lots = max(listing.min_size // listing.lot, wanted // value, Decimal(1)) + 1
    return Stall(instrument, listing, price, step, listing.lot * lots)


class Trader:
    """One account: places orders by the plugin, looks at what the desk made of them.

    Time passes between requests, so that what exchanges grant in a second doesn't matter.
    """

    def __init__(
        self,
        subject: Subject,
        name: str = "trader",
        *,
        venue: EmulatedExchange | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        trading_of(subject)
        self.subject = subject
        self.name = name
        self.venue = subject.venue(rate=2.0) if venue is None else venue
        self.desk = desk_of(self.venue)
        self._all: list[Happening] = []
        self.desk.listeners.append(self._note)
        self.desk.open_account(name, money=money_of(self.venue))
        self.wallets: Wallets = wallets_of(self.venue, trading_of(subject), name)
        self.key = ApiKey(key=f"{name}Key", secret=f"{name}Secret", account=name)
        self.desk.add_key(self.key)
        credentials = Credentials(self.key.key, self.key.secret, "emulator")
        self.line = _Paced(
            subject.make() if exchange is None else exchange,
            self.venue,
            credentials=credentials,
        )
        self._ids = count(1)

    def _note(self, happening: Happening) -> None:
        self._all.append(happening)

    @property
    def exchange(self) -> Exchange:
        return self.line.exchange

    def wallet(self, market: Market) -> TradingAccount:
        """What holds the account's orders, positions and money of a market."""
        return self.wallets.of(market)

    def of(self, kind: type[T]) -> list[T]:
        """What has happened to the account, of a kind."""
        names = self.wallets.names
        return [each for each in self._all if isinstance(each, kind) and account_of(each) in names]

    # --- markets ---

    def stall(self, market: Market, number: int = 0) -> Stall:
        """Let the market of one of the liveliest instruments stand still."""
        return self.prepare(tradable(self.subject, market)[number])

    def prepare(self, instrument: Instrument) -> Stall:
        """Let an instrument's market stand still, its book whole (again)."""
        listing = self.venue.listings[
            self.subject.listings[instrument.market, instrument.native].key
        ]
        found = stall(instrument, listing)
        self.venue.steer(listing, bids=(), asks=())
        self.venue.steer(listing, **found.figures)
        return found

    # --- requests ---

    def pause(self, seconds: float = _PAUSE) -> None:
        """Let time pass."""
        self.venue.advance(self.venue.now_ns + round(seconds * NS_PER_SECOND))

    def ask(self, request: Request[T]) -> T:
        """Ask, or let something be done, some time after what was before.

        :raises CcrsError: what the exchange says.
        """
        self.pause()
        return self.line.ask(request)

    def answers(self, kind: type[Request[Any]], market: Market | None = None) -> bool:
        """Whether the plugin declares a request (of a market)."""
        endpoint = self.exchange.endpoints.get(kind)
        return endpoint is not None and (market is None or market in endpoint.markets)

    def about(self, kind: type[Request[Any]], at: Stall) -> dict[str, Any]:
        """What a list of an instrument's market is asked with: the instrument, where there is no
        list of more than one."""
        alone = kind in trading_of(self.subject).by_symbol
        return {"instrument": at.instrument} if alone else {}

    def known(self, at: Stall, order: DeskOrder) -> Order:
        """What a client knows of an order before it amends it."""
        asked = order.asked
        return Order(
            exchange=self.exchange.name,
            account=self.name,
            symbol=at.instrument.symbol,
            market=at.instrument.market,
            client_order_id=order.client_order_id,
            side=order.side,
            type=asked.type,
            state=OrderState.WAITING if order.stage is Stage.WAITING else OrderState.OPEN,
            origin=Origin.OWN,
            size=None if order.size is None else at.own(order.size),
            price=order.price,
            filled_size=at.own(order.filled),
            post_only=asked.lifetime is Lifetime.POST_ONLY,
            reduce_only=asked.reduce_only,
            position_side=asked.position_side,
            trigger=asked.trigger,
        )

    def new_id(self) -> str:
        """A client order id that wasn't used before."""
        return f"{self.name[:12]}{next(self._ids):08d}"

    def place(
        self, at: Stall, order: OrderRequest, client_order_id: str = ""
    ) -> tuple[Placed, DeskOrder]:
        """Place an order: the answer, and the desk's order once it has looked at it."""
        identity = client_order_id or self.new_id()
        placed = self.ask(PlaceOrder(at.instrument, order, identity))
        self.pause()
        return placed, self.desk_order(identity)

    def find(self, client_order_id: str) -> DeskOrder | None:
        """What the desk knows of an order, if there is one."""
        for wallet in self.wallets.all:
            found = self.desk.find(wallet, client_order_id=client_order_id)
            if found is not None:
                return found
        return None

    def desk_order(self, client_order_id: str) -> DeskOrder:
        """What the desk knows of an order. Fails where there is none."""
        found = self.find(client_order_id)
        assert found is not None, (
            f"the exchange has no order of the client's id {client_order_id!r}: PlaceOrder must "
            "send the id that it is given"
        )
        return found

    def cancel(self, at: Stall, order: DeskOrder) -> None:
        """Cancel an order by its client id, if it is open still."""
        if not self.desk_order(order.client_order_id).stage.ended:
            conditional = order.asked.trigger is not None
            self.ask(
                CancelOrder(
                    instrument=at.instrument,
                    client_order_id=order.client_order_id,
                    conditional=conditional,
                )
            )
            self.pause()

    def word(self, at: Stall, order: DeskOrder, *, history: bool = False) -> OrderReport | None:
        """The exchange's word on an order, asked for by the client's id; of its history, where it
        has a list of past orders apart."""
        asked = GetOrder(
            instrument=at.instrument,
            client_order_id=order.client_order_id,
            history=history,
            conditional=order.asked.trigger is not None and not order.triggered,
        )
        try:
            return self.ask(asked)
        except Unsupported:
            if not history:
                raise
            return self.ask(attrs.evolve(asked, history=False))

    # --- streams ---

    def routes(self, channel: Channel) -> list[tuple[Subscription, Route]]:
        """An account's subscriptions to a channel, and the sockets that carry them: several where
        streams are of one market each."""
        streams = trading_of(self.subject).streams
        markets: list[Market | None] = [
            market for market, channels in streams.items() if channel in channels
        ]
        subscriptions = [
            Subscription(channel, account=self.name, exchange=self.exchange.name, market=market)
            for market in markets or [None]
        ]
        return [(each, self.exchange.route(each)) for each in subscriptions]

    def listen(self, *channels: Channel) -> Listening:
        """Sockets that are logged in and subscribed to those channels that are declared."""
        declared = self.exchange.capabilities.account_channels
        return Listening(self, [channel for channel in channels if channel in declared])


class _Paced(Line):
    """A line on which a little time passes before each signed request, those of pages included."""

    def signed(self, request: HttpRequest) -> HttpRequest:
        self.venue.advance(self.venue.now_ns + _BREATH_NS)
        return super().signed(request)


class Listening:
    """The private sockets of a trader, and what they have brought."""

    def __init__(self, trader: Trader, channels: Sequence[Channel]) -> None:
        self.trader = trader
        self.wires: dict[Route, Wire] = {}
        self.messages: list[Message] = []
        wanted: dict[Route, list[Subscription]] = {}
        for channel in channels:
            for subscription, route in trader.routes(channel):
                wanted.setdefault(route, []).append(subscription)
        for route, subscriptions in wanted.items():
            wire = self.wires[route] = trader.line.open(route)
            self.messages += logged_in(wire)
            self.messages += wire.subscribe(*subscriptions)

    def wait(self, seconds: float = 1.0) -> list[Message]:
        """Let time pass; what has come since the last time."""
        found: list[Message] = []
        for wire in self.wires.values():
            found += wire.take()
        for wire in self.wires.values():
            found += wire.run(seconds)
        self.messages += found
        return found

    def reports(self, kind: type[T]) -> list[T]:
        """All reports of a kind so far, in the order of their coming."""
        return list(reports_of(self.messages, kind))


def logged_in(wire: Wire) -> list[Message]:
    """Log a private wire in, where its codec has a frame for that. Fails where it isn't."""
    found = wire.login()
    if found is None:
        return []
    assert any(isinstance(message, LoggedIn) for message in found), (
        f"the login of a private connection was answered by {found}, not by LoggedIn: see "
        "Codec.login and Codec.decode"
    )
    return found


def reports_of(messages: Sequence[Message], kind: type[T]) -> Iterator[T]:
    """The reports of a kind in messages."""
    from ccrs_core.contract.codec import Data

    for message in messages:
        if isinstance(message, Data):
            yield from (each for each in message.events if isinstance(each, kind))


def all_reports(messages: Sequence[Message]) -> list[Report]:
    """All reports in messages."""
    from ccrs_core.contract.codec import Data

    return [
        report  # type: ignore[misc]
        for message in messages
        if isinstance(message, Data)
        for report in message.events
    ]


def money_of(venue: EmulatedExchange) -> dict[str, Decimal]:
    """Enough of every asset that the listings need."""
    assets: dict[str, Decimal] = {}
    for listing in venue.listings.values():
        assets[listing.quote] = assets[listing.settle or listing.quote] = _MONEY
    for listing in venue.listings.values():
        if listing.market is not Market.OPTION and listing.base not in assets:
            assets[listing.base] = max(_COINS, Decimal(round(_MONEY / listing.price)))
    return assets


def tradable(subject: Subject, market: Market) -> list[Instrument]:
    """The liveliest instruments of a market that trade, and don't expire within a day."""
    later = subject.venue().now_ns + 86_400 * NS_PER_SECOND
    found = [
        each
        for each in subject.some_instruments(market, 40)
        if each.status is InstrumentStatus.TRADING and ((each.expiry_ns or later) >= later)
    ]
    assert found, f"the emulator lists no {market.value} instrument that trades for a day"
    return found


def untold_of(subject: Subject, *, lists: bool = True) -> frozenset[EndReason]:
    """Reasons for which orders end that streams, or ``lists`` besides, don't tell."""
    trading = trading_of(subject)
    return trading.untold | trading.untold_in_lists if lists else trading.untold


def channels_of(subject: Subject, market: Market) -> frozenset[Channel]:
    """The declared channels of accounts that tell of a market."""
    declared = subject.exchange.capabilities.account_channels
    streams = trading_of(subject).streams
    return declared & streams.get(market, frozenset()) if streams else declared


def markets_of(subject: Subject, *features: Feature) -> list[Market]:
    """The markets of which all of these are declared; skips the test where there are none."""
    declared = trading_of(subject).features
    found = [market for market, having in declared.items() if having.issuperset(features)]
    if not found:
        subject.undeclared(" and ".join(each.value for each in features) or "market to trade in")
    return found
