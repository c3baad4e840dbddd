"""A matching engine with price-time priority for one instrument.

Prices are whole numbers of ticks and sizes whole numbers of lots; :class:`Rules` converts from and
to decimals. The engine reads no clock and draws no random numbers.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from decimal import Decimal
from typing import Protocol

import attrs

from ccrs_core.emulator.listing import Listing, Steps
from ccrs_core.model.instruments import Market, Side


class Lifetime(enum.StrEnum):
    """How long an order waits: its time in force."""

    GTC = "gtc"
    """Rests until it is filled or canceled."""
    IOC = "ioc"
    """Fills what it can at once; the rest is canceled."""
    FOK = "fok"
    """Fills whole and at once, or not at all."""
    POST_ONLY = "post_only"
    """Rests, or is canceled where it would take."""


class RestingStatus(enum.StrEnum):
    """Where an order stands."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"


class CancelReason(enum.StrEnum):
    """Why the engine, not the owner, ended an order."""

    NO_LIQUIDITY = "no_liquidity"
    """The rest of an IOC or market order found no counterpart."""
    NOT_WHOLE = "not_whole"
    """A FOK order could not be filled whole."""
    WOULD_TAKE = "would_take"
    """A post-only order would have taken."""
    SELF_TRADE = "self_trade"
    """It would have traded with an order of the same owner."""
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    """Of an order that may only reduce a position: nothing was left of that."""


class SelfTrade(enum.StrEnum):
    """What happens where both sides of a trade would belong to the same owner."""

    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"
    ALLOWED = "allowed"
    """They trade with each other."""


class Broken(enum.StrEnum):
    """Which trading rule an order breaks."""

    SIZE_STEP = "size_step"
    SIZE_MIN = "size_min"
    SIZE_MAX = "size_max"
    PRICE_STEP = "price_step"
    PRICE_MIN = "price_min"
    NOTIONAL_MIN = "notional_min"


class RuleBroken(ValueError):
    """An order breaks a rule of its instrument; nothing of it was entered."""

    def __init__(self, rule: Broken, text: str) -> None:
        super().__init__(text)
        self.rule = rule


class UnknownOrder(KeyError):
    """There is no open order of that id."""


@attrs.define(eq=False, kw_only=True)
class Resting:
    """One order. The engine alone changes it. ``owner`` None is the anonymous crowd."""

    order_id: int
    side: Side
    price: int | None
    """Ticks; None for a market order."""
    size: int
    remaining: int
    owner: str | None = None
    client_order_id: str = ""
    lifetime: Lifetime = Lifetime.GTC
    status: RestingStatus = RestingStatus.NEW
    reason: CancelReason | None = None
    """Why it ended, where the engine canceled it."""
    met: Resting | None = None
    """With which resting order it would have traded, where that ended it."""
    self_trade: SelfTrade | None = None
    """What happens where it takes an order of its owner's; None: what the engine does."""
    bounded: bool = False
    """Whether the registrar says, before each trade, how much of it may still trade."""

    @property
    def filled(self) -> int:
        return self.size - self.remaining


@attrs.frozen
class Execution:
    """A trade between two orders, at the maker's price (ticks) for some lots."""

    price: int
    size: int
    taker: Resting
    maker: Resting


@attrs.frozen
class Outcome:
    """What came of an order: executions in order, and makers canceled so as not to self-trade."""

    order: Resting
    executions: tuple[Execution, ...] = ()
    canceled: tuple[Resting, ...] = ()


class Registrar(Protocol):
    """Who is told at once what becomes of owners' orders, whoever trades with them. It must not
    enter, amend or cancel orders meanwhile."""

    def executed(self, execution: Execution) -> None:
        """A trade of which at least one side has an owner."""

    def ended(self, order: Resting, by: Resting) -> None:
        """The engine took an owner's order off the book, as another one came."""

    def bound(self, order: Resting) -> int:
        """How many lots a bounded order may still trade."""


class Rules:
    """An instrument's rules: whole ticks and lots, smallest and largest size, least value."""

    def __init__(self, listing: Listing) -> None:
        self.price = Steps(listing.tick)
        self.size = Steps(listing.lot)
        self._listing = listing

    def step_at(self, ticks: int) -> int:
        """Of how many ticks prices at this one are multiples."""
        step = 1
        for from_ticks, each in self._listing.coarser:
            if from_ticks > ticks:
                break
            step = each
        return step

    def allowed(self, ticks: int, side: Side) -> int:
        """The price at which an order may stand, beside one: a buy's isn't above it."""
        step = self.step_at(ticks)
        return ticks // step * step if side is Side.BUY else -(-ticks // step) * step

    def check(self, size: Decimal, price: Decimal | None, reference: Decimal) -> None:
        """Raise where an order breaks a rule; ``reference`` values an order without a price.

        :raises RuleBroken: naming the rule.
        """
        listing = self._listing
        if size < listing.min_size:
            raise RuleBroken(Broken.SIZE_MIN, f"size {size} is below {listing.min_size}")
        if size > listing.max_size:
            raise RuleBroken(Broken.SIZE_MAX, f"size {size} is above {listing.max_size}")
        if self.size.count(size) is None:
            raise RuleBroken(Broken.SIZE_STEP, f"size {size} is no multiple of {listing.lot}")
        if price is not None:
            if price <= 0:
                raise RuleBroken(Broken.PRICE_MIN, f"price {price} is not above zero")
            if self.price.count(price) is None:
                raise RuleBroken(Broken.PRICE_STEP, f"price {price} is no multiple of the tick")
            ticks = self.price.count(price) or 0
            if ticks % self.step_at(ticks):
                raise RuleBroken(Broken.PRICE_STEP, f"price {price} is no multiple of the tick")
        value = size * listing.worth_of_one
        if listing.market is not Market.INVERSE:
            value *= reference if price is None else price
        if value < listing.min_notional:
            raise RuleBroken(Broken.NOTIONAL_MIN, f"value {value} is below {listing.min_notional}")


class Level:
    """The orders at one price, first come first, and their summed size."""

    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.total = 0
        self.orders: dict[int, Resting] = {}


class Ladder:
    """One side of the book.

    Keys are prices for bids and negated prices for asks, ascending, so that the best level is the
    last: most changes are there, and cost no shifting.
    """

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    @property
    def best(self) -> int | None:
        """The best price in ticks."""
        return self.keys[-1] * self.sign if self.keys else None

    def top(self, depth: int) -> list[tuple[int, int]]:
        """Price and size of the best levels, best first."""
        sign, levels, keys = self.sign, self.levels, self.keys
        best = keys[max(0, len(keys) - depth) :]
        best.reverse()
        return [(key * sign, levels[key].total) for key in best]

    def add(self, order: Resting) -> None:
        """Put an order at the end of its level's queue."""
        assert order.price is not None
        key = order.price * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level()
            insort(self.keys, key)
        level.orders[order.order_id] = order
        level.total += order.remaining

    def reduce(self, order: Resting, lots: int) -> None:
        """Take lots off a resting order, and the order off the book once nothing is left of it."""
        assert order.price is not None
        key = order.price * self.sign
        level = self.levels[key]
        level.total -= lots
        order.remaining -= lots
        if order.remaining == 0:
            self._drop(key, level, order)

    def remove(self, order: Resting) -> None:
        """Take an order off the book."""
        assert order.price is not None
        key = order.price * self.sign
        level = self.levels[key]
        level.total -= order.remaining
        self._drop(key, level, order)

    def _drop(self, key: int, level: Level, order: Resting) -> None:
        del level.orders[order.order_id]
        if not level.orders:
            del self.levels[key]
            if self.keys[-1] == key:
                self.keys.pop()
            else:
                del self.keys[bisect_left(self.keys, key)]


class MatchingEngine:
    """One instrument's book and the rules by which orders meet in it."""

    def __init__(self, self_trade: SelfTrade = SelfTrade.CANCEL_MAKER) -> None:
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.version = 0
        """Rises with every change of the book."""
        self.registrar: Registrar | None = None
        self._orders: dict[int, Resting] = {}
        self._next_id = 1
        self._self_trade = self_trade

    def order(self, order_id: int) -> Resting:
        """An open order.

        :raises UnknownOrder: where it never was, or is open no more.
        """
        try:
            return self._orders[order_id]
        except KeyError:
            raise UnknownOrder(order_id) from None

    def orders_of(self, owner: str) -> list[Resting]:
        """The open orders of an owner, oldest first."""
        return [order for order in self._orders.values() if order.owner == owner]

    def submit(
        self,
        side: Side,
        size: int,
        price: int | None = None,
        *,
        lifetime: Lifetime = Lifetime.GTC,
        owner: str | None = None,
        client_order_id: str = "",
        self_trade: SelfTrade | None = None,
        bounded: bool = False,
    ) -> Outcome:
        """Enter an order for ``size`` lots, at ``price`` ticks or, without one, at any price."""
        if size < 1 or (price is not None and price < 1):
            raise ValueError("size and price must be positive")
        order = Resting(
            order_id=self._next_id,
            side=side,
            price=price,
            size=size,
            remaining=size,
            owner=owner,
            client_order_id=client_order_id,
            lifetime=lifetime,
            self_trade=self_trade,
            bounded=bounded,
        )
        self._next_id += 1
        return self._enter(order)

    def _enter(self, order: Resting) -> Outcome:
        own, other = self._sides(order.side)
        if order.lifetime is Lifetime.POST_ONLY and self._crosses(order, other):
            return self._ended(order, CancelReason.WOULD_TAKE)
        if order.lifetime is Lifetime.FOK and self._available(order, other) < order.size:
            return self._ended(order, CancelReason.NOT_WHOLE)
        fills: list[Execution] = []
        canceled: list[Resting] = []
        while order.remaining and order.reason is None and self._crosses(order, other):
            level = other.levels[other.keys[-1]]
            maker = next(iter(level.orders.values()))
            if order.owner is not None and maker.owner == order.owner:
                how = self._prevention(order)
                if how is not SelfTrade.ALLOWED:
                    self._prevent(order, maker, canceled, how)
                    continue
            if (order.bounded or maker.bounded) and not self._bounded(order, maker, canceled):
                continue
            fills.append(self._trade(order, maker, other))
        if order.reason is None and order.remaining:
            if order.price is not None and order.lifetime in _RESTING:
                own.add(order)
                self._orders[order.order_id] = order
                self.version += 1
            else:
                order.reason = CancelReason.NO_LIQUIDITY
        if order.reason is not None:
            order.status = RestingStatus.CANCELED
        return Outcome(order, tuple(fills), tuple(canceled))

    def cancel(self, order_id: int) -> Resting:
        """Take an order off the book.

        :raises UnknownOrder: where it isn't open.
        """
        order = self.order(order_id)
        self._sides(order.side)[0].remove(order)
        self._close(order, RestingStatus.CANCELED)
        return order

    def amend(
        self,
        order_id: int,
        *,
        price: int | None = None,
        size: int | None = None,
        keeps_place: bool = True,
    ) -> Outcome:
        """Change an open order's price (ticks) or whole size (lots, filled ones included).

        A smaller size keeps the place in the queue, unless told; anything else goes to its end, and
        a price that crosses trades at once.

        :raises UnknownOrder: where it isn't open.
        :raises ValueError: where the size is no more than what has been filled.
        """
        order = self.order(order_id)
        own, other = self._sides(order.side)
        new_price = order.price if price is None else price
        new_size = order.size if size is None else size
        if new_size <= order.filled or (new_price is not None and new_price < 1):
            raise ValueError("the size must be more than what has been filled, the price positive")
        smaller = keeps_place or new_size == order.size
        if new_price == order.price and new_size <= order.size and smaller:
            if new_size < order.size:
                own.reduce(order, order.size - new_size)
                order.size = new_size
                self.version += 1
            return Outcome(order)
        own.remove(order)
        del self._orders[order_id]
        self.version += 1
        order.remaining += new_size - order.size
        order.size, order.price = new_size, new_price
        if order.lifetime is Lifetime.POST_ONLY and self._crosses(order, other):
            return self._ended(order, CancelReason.WOULD_TAKE)
        return self._enter(order)

    def depth(self, side: Side, levels: int) -> list[tuple[int, int]]:
        """Price and size of a side's best levels, best first."""
        return self._sides(side)[0].top(levels)

    def _sides(self, side: Side) -> tuple[Ladder, Ladder]:
        return (self.bids, self.asks) if side is Side.BUY else (self.asks, self.bids)

    @staticmethod
    def _crosses(order: Resting, other: Ladder) -> bool:
        if not other.keys:
            return False
        if order.price is None:
            return True
        # Both in the other side's keys: a buyer reaches asks at or below its price.
        return other.keys[-1] >= order.price * other.sign

    def _available(self, order: Resting, other: Ladder) -> int:
        """How much of an order could be filled now, without its owner's own orders."""
        found = 0
        how = self._prevention(order)
        limit = None if order.price is None else order.price * other.sign
        for key in reversed(other.keys):
            if found >= order.remaining or (limit is not None and key < limit):
                break
            level = other.levels[key]
            if order.owner is None:
                found += level.total
                continue
            for maker in level.orders.values():
                if maker.owner != order.owner or how is SelfTrade.ALLOWED:
                    found += maker.remaining
                elif how is not SelfTrade.CANCEL_MAKER:
                    return found  # its own order would end it here
        return found

    def _trade(self, taker: Resting, maker: Resting, other: Ladder) -> Execution:
        assert maker.price is not None
        lots = min(taker.remaining, maker.remaining)
        other.reduce(maker, lots)
        taker.remaining -= lots
        self.version += 1
        if maker.remaining == 0:
            self._close(maker, RestingStatus.FILLED)
        else:
            maker.status = RestingStatus.PARTIALLY_FILLED
        taker.status = RestingStatus.PARTIALLY_FILLED if taker.remaining else RestingStatus.FILLED
        execution = Execution(maker.price, lots, taker, maker)
        if self.registrar is not None and (taker.owner is not None or maker.owner is not None):
            self.registrar.executed(execution)
        return execution

    def _prevention(self, taker: Resting) -> SelfTrade:
        return self._self_trade if taker.self_trade is None else taker.self_trade

    def _prevent(
        self, taker: Resting, maker: Resting, canceled: list[Resting], how: SelfTrade
    ) -> None:
        if how is not SelfTrade.CANCEL_TAKER:
            self._remove(maker, taker, canceled, CancelReason.SELF_TRADE)
        if how is not SelfTrade.CANCEL_MAKER:
            taker.reason, taker.met = CancelReason.SELF_TRADE, maker

    def _bounded(self, taker: Resting, maker: Resting, canceled: list[Resting]) -> bool:
        """Make bounded orders no larger than they may be; whether both may trade then."""
        if self.registrar is None:
            return True
        if maker.bounded:
            excess = maker.remaining - self.registrar.bound(maker)
            if excess >= maker.remaining:
                self._remove(maker, taker, canceled, CancelReason.NOTHING_TO_REDUCE)
                return False
            if excess > 0:
                self._sides(maker.side)[0].reduce(maker, excess)
                maker.size -= excess
                self.version += 1
        if taker.bounded:
            excess = taker.remaining - self.registrar.bound(taker)
            if excess > 0:
                taker.remaining -= excess
                taker.size -= excess
            if not taker.remaining:
                taker.reason = CancelReason.NOTHING_TO_REDUCE
                return False
        return True

    def _remove(
        self, maker: Resting, taker: Resting, canceled: list[Resting], reason: CancelReason
    ) -> None:
        self.cancel(maker.order_id)
        maker.reason = reason
        canceled.append(maker)
        if self.registrar is not None:
            self.registrar.ended(maker, taker)

    def _close(self, order: Resting, status: RestingStatus) -> None:
        order.status = status
        del self._orders[order.order_id]
        self.version += 1

    @staticmethod
    def _ended(order: Resting, reason: CancelReason) -> Outcome:
        order.status, order.reason = RestingStatus.CANCELED, reason
        return Outcome(order)


_RESTING = frozenset({Lifetime.GTC, Lifetime.POST_ONLY})
