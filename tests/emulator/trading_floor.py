"""A desk to trade at, without any dialect: three instruments, and time that tests move on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

import attrs

from ccrs_core.emulator import (
    Conduct,
    Desk,
    DeskOrder,
    Happening,
    Lag,
    Listing,
    NewOrder,
    OrderChanged,
    SimulatedMarket,
    TradingAccount,
    Venue,
)
from ccrs_core.model.instruments import Market, OptionKind, Side
from ccrs_core.model.units import NS_PER_SECOND

D = Decimal
START_NS = 1_760_000_000 * NS_PER_SECOND
HOUR_NS = 3600 * NS_PER_SECOND

SPOT = Listing(
    category="spot",
    symbol="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    price="60000",
)
LINEAR = Listing(
    category="linear",
    symbol="BTCUSDT",
    market=Market.LINEAR,
    base="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    price="60000",
    funding_interval_ns=8 * HOUR_NS,
)
INVERSE = Listing(
    category="inverse",
    symbol="BTCUSD",
    market=Market.INVERSE,
    base="BTC",
    quote="USD",
    tick="0.5",
    lot="1",
    price="60000",
    funding_interval_ns=8 * HOUR_NS,
)
OPTION = Listing(
    category="option",
    symbol="BTC-60000-C",
    market=Market.OPTION,
    base="BTC",
    quote="USDT",
    tick="5",
    lot="0.01",
    price="2000",
    strike=D(60000),
    option_kind=OptionKind.CALL,
    expiry_ns=START_NS + 48 * HOUR_NS,
    underlying=LINEAR.key,
)

PROMPT = Conduct(at_once=1.0)
"""All is done before it is answered."""
SLOW = Conduct(at_once=0.0, matching=Lag(1_000_000, 5_000_000))

_H = TypeVar("_H")


class PlainVenue(Venue):
    """Markets without a voice."""

    def blank(self, topic: str) -> bool:
        return False


class Exchange:
    """A desk with two accounts, and what it has told."""

    def __init__(self, conduct: Conduct = PROMPT, *, seed: int = 1, rate: float = 20.0) -> None:
        self.venue = PlainVenue(seed=seed, rate=rate, start_ns=START_NS)
        self.venue.relist([SPOT, LINEAR, INVERSE, OPTION])
        self.desk = Desk(self.venue, conduct)
        self.told: list[Happening] = []
        self.desk.listeners.append(self.told.append)
        self.ann = self.desk.open_account("ann")
        self.bob = self.desk.open_account("bob")

    def market(self, listing: Listing) -> SimulatedMarket:
        return self.venue.market(listing)

    def best(self, listing: Listing, side: Side) -> Decimal:
        """The best bid (BUY) or ask."""
        market = self.market(listing)
        ladder = market.engine.bids if side is Side.BUY else market.engine.asks
        assert ladder.best is not None
        return market.rules.price.value(ladder.best)

    def place(
        self, account: TradingAccount, listing: Listing, side: Side, size: str | None, **more: Any
    ) -> DeskOrder:
        asked = NewOrder(listing=listing, side=side, size=None if size is None else D(size), **more)
        return self.desk.place(account, asked)

    def wait(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(max(1, round(seconds / step))):
            self.venue.advance(self.venue.now_ns + round(step * NS_PER_SECOND))

    def book(self, listing: Listing, *, bids: Sequence[Any] = (), asks: Sequence[Any] = ()) -> None:
        """Let the market stand still with this book besides the accounts' orders."""
        level = lambda pair: (D(pair[0]), D(pair[1]))  # noqa: E731
        self.venue.steer(listing, bids=[], asks=[])
        self.venue.steer(listing, bids=list(map(level, bids)), asks=list(map(level, asks)))

    def now(self, account: TradingAccount, order: DeskOrder) -> DeskOrder:
        found = self.desk.find(account, number=order.number)
        assert found is not None
        return found

    def of(self, kind: type[_H]) -> list[_H]:
        return [each for each in self.told if isinstance(each, kind)]

    def versions(self, order: DeskOrder) -> list[DeskOrder]:
        changes = self.of(OrderChanged)
        return [each.order for each in changes if each.order.number == order.number]


def frozen(**changes: Any) -> Conduct:
    """The prompt conduct, otherwise."""
    return attrs.evolve(PROMPT, **changes)
