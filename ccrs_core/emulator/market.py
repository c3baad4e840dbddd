"""A lively market of one listing: a matching engine and the crowd that trades in it.

Every draw comes from a generator seeded with the emulator's seed and the listing, and every moment
is handed in: the same seed, start and steps make the same market, to the last order.
"""

from __future__ import annotations

import enum
import math
import random
from collections import deque
from collections.abc import Callable
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.matching import (
    Ladder,
    Lifetime,
    MatchingEngine,
    Outcome,
    Resting,
    Rules,
    SelfTrade,
)
from ccrs_core.emulator.options import BlackScholes, years_until
from ccrs_core.emulator.tape import HOUR_NS, MINUTE_NS, Past, Tape
from ccrs_core.model.instruments import InstrumentStatus, Market, OptionKind, Side
from ccrs_core.model.units import NS_PER_SECOND

_REFERENCE_EVERY_NS = 200_000_000
_FUNDING_EVERY_NS = MINUTE_NS
_SATOSHI = Decimal(10) ** 8
_RETAIL_EVERY = 16
_TEND_EVERY = 32
_CARRY = 0.012
"""By which share of the index a forward is above it, per year."""


class Changed(enum.IntFlag):
    """What a step changed."""

    NOTHING = 0
    BOOK = 1
    TRADES = 2
    LIQUIDATIONS = 4
    REFERENCE = 8
    """Index and mark price, funding rate."""


class Figure(enum.StrEnum):
    """What a market may have none of (``SimulatedMarket.has``), besides orders on a side."""

    LAST_PRICE = "last_price"
    """Nothing has ever been traded: neither are there prices of a day."""
    MARK_PRICE = "mark_price"
    INDEX_PRICE = "index_price"
    OPEN_INTEREST = "open_interest"
    FUNDING_RATE = "funding_rate"
    NEXT_FUNDING_TIME = "next_funding_time_ns"


@attrs.frozen
class ForcedClose:
    """A position closed by force: ``side`` is the position's (BUY: a long)."""

    number: int
    time_ns: int
    side: Side
    price: int
    size: int


class SimulatedMarket:
    """One listing's market. ``step()`` makes the next thing happen, at ``next_ns``.

    ``rate`` is the number of times per second that the best bid or ask changes; deeper levels
    change besides.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        seed: int,
        rate: float,
        start_ns: int,
        underlying: Callable[[], Decimal] | None = None,
    ) -> None:
        self.listing = listing
        self._underlying = underlying
        self.rules = Rules(listing)
        self.engine = MatchingEngine()
        self.now_ns = start_ns
        self._rng = rng = random.Random(f"{seed}/{listing.category}/{listing.symbol}")
        self.sequence = rng.randrange(10**9, 10**11)
        """Rises with every step: the exchange's number of the matching engine's state."""
        self._event_ns = NS_PER_SECOND / max(rate * listing.pace, 1e-9)
        self._trading = listing.status is InstrumentStatus.TRADING
        self.still = Changed.NOTHING
        """What doesn't change at present, though time passes."""
        price = self.rules.price.nearest(listing.price)
        self._anchor = price
        self._drift = 0.0
        self._lots = self._ordinary_lots(price)
        self._gap = max(1, round(price * 2e-5))
        """Ordinary distance between levels, in ticks."""
        inverse = listing.market is Market.INVERSE
        lot_value = listing.lot * listing.worth_of_one
        unit = int(lot_value / listing.tick * _SATOSHI) if inverse else None
        per_minute = round(self._lots * min(rate, 200) * listing.pace * 6)
        self.tape = Tape(Past(rng, price, start_ns, per_minute), start_ns, unit)
        self.liquidations: deque[ForcedClose] = deque(maxlen=100)
        self.liquidation_count = 0
        self._basis = rng.gauss(0, 2e-4)
        self.index = price * 100
        """Index price in hundredths of a tick; of an option, that of what it is on."""
        self.volatility = 0.0
        """What an option's mark price implies, per year, as a fraction."""
        self.mark = price * 100
        """Mark price in hundredths of a tick."""
        self.open_interest = self._lots * 3000
        """In lots."""
        self.funding_rate = 100
        """In millionths of the position's value, per interval."""
        self.held = False
        """Stands still: nothing happens in it by itself (``EmulatedExchange.steer``)."""
        self.lacks: set[Figure] = set()
        self.steered_funding_ns: int | None = None
        """When funding is next paid, where somebody has set it."""
        self._steps = 0
        self._next_event = start_ns + round(self._event_ns)
        self._next_reference = start_ns + _REFERENCE_EVERY_NS
        if self._trading:
            self._populate(price)
        self._reference()

    # --- what it is now ---

    @property
    def next_ns(self) -> int | None:
        """When the next thing happens; None in a market that does not trade, or stands still."""
        if not self._trading or self.held:
            return None
        return min(self._next_event, self._next_reference)

    @property
    def next_funding_ns(self) -> int | None:
        """When funding is next paid; None where that is unknown, or nothing is ever paid."""
        if Figure.NEXT_FUNDING_TIME in self.lacks:
            return None
        if self.steered_funding_ns is not None:
            return self.steered_funding_ns
        return self.listing.funding_after(self.now_ns)

    def has(self, figure: Figure) -> bool:
        """Whether there is such a figure now. Where not, write what the exchange writes then."""
        return figure not in self.lacks

    def funding_at(self, time_ns: int) -> int:
        """The rate that was paid at a past funding time, in millionths."""
        slow = math.sin(time_ns / (40 * HOUR_NS) + self._anchor % 7)
        return round(100 + 60 * slow + (time_ns // HOUR_NS * 7919) % 41 - 20)

    def open_interest_at(self, time_ns: int) -> int:
        """What was held open at a past time, in lots."""
        slow = math.sin(time_ns / (50 * HOUR_NS) + self._anchor % 5)
        return self._lots * 3000 + round(self._lots * 400 * slow) + time_ns // MINUTE_NS * 7919 % 97

    # --- what happens ---

    def rest_until(self, now_ns: int) -> None:
        """Let time pass without anything happening, as in a market that nobody watches."""
        if self._trading and now_ns > self.now_ns:
            self.now_ns = now_ns
            self._next_event = now_ns + round(self._event_ns)
            self._next_reference = now_ns + _REFERENCE_EVERY_NS

    def step(self) -> Changed:
        """Let the next thing happen, and time with it."""
        rng = self._rng
        # The exchange's other instruments use up numbers of the same sequence.
        self.sequence += rng.randrange(1, 4)
        if self._next_reference <= self._next_event:
            self.now_ns = self._next_reference
            self._next_reference += _REFERENCE_EVERY_NS
            if self.still & Changed.REFERENCE:
                return Changed.NOTHING
            self._reference()
            return Changed.REFERENCE
        self.now_ns = self._next_event
        self._next_event += max(1, round(self._event_ns * rng.uniform(0.5, 1.5)))
        if self.still & Changed.BOOK:
            return Changed.NOTHING
        self._steps += 1
        changed = Changed.BOOK
        if rng.random() < 0.5:
            self._deep_event()
        changed |= self._touch_event()
        if self._steps % _TEND_EVERY == 0:
            self._tend()
        return changed

    def advance(self, now_ns: int) -> Changed:
        """Let everything happen that is due until a time."""
        changed = Changed.NOTHING
        while (due := self.next_ns) is not None and due <= now_ns:
            changed |= self.step()
        self.now_ns = max(self.now_ns, now_ns)
        return changed

    def submit(
        self,
        side: Side,
        size: Decimal,
        price: Decimal | None = None,
        *,
        owner: str,
        lifetime: Lifetime = Lifetime.GTC,
        client_order_id: str = "",
    ) -> Outcome:
        """Enter somebody's order, by the listing's rules; the crowd may then trade with it.

        :raises RuleBroken: where it breaks a rule.
        """
        best = (self.engine.asks if side is Side.BUY else self.engine.bids).best
        reference = self.rules.price.value(best or self.tape.last)
        self.rules.check(size, price, reference)
        lots = self.rules.size.count(size)
        ticks = None if price is None else self.rules.price.count(price)
        assert lots is not None
        return self.enter(
            side,
            lots,
            ticks,
            owner=owner,
            lifetime=lifetime,
            client_order_id=client_order_id,
        )

    def enter(
        self,
        side: Side,
        lots: int,
        ticks: int | None = None,
        *,
        owner: str | None,
        lifetime: Lifetime = Lifetime.GTC,
        client_order_id: str = "",
        self_trade: SelfTrade | None = None,
        bounded: bool = False,
    ) -> Outcome:
        """Enter somebody's order, whatever the listing's rules say."""
        self.sequence += 1
        outcome = self.engine.submit(
            side,
            lots,
            ticks,
            owner=owner,
            lifetime=lifetime,
            client_order_id=client_order_id,
            self_trade=self_trade,
            bounded=bounded,
        )
        self.print_trades(outcome)
        return outcome

    # --- the crowd ---

    def _ordinary_lots(self, price: int) -> int:
        listing = self.listing
        value = self.rules.price.value(price)
        per_unit = Decimal(1) if listing.market is Market.INVERSE else value
        return max(4, round(listing.level_value / per_unit / listing.worth_of_one / listing.lot))

    def _size(self) -> int:
        # Most orders are small, a few are many times as large.
        return 1 + int(self._rng.paretovariate(1.4) * self._lots * 0.25) % (self._lots * 40)

    def _limit(self, side: Side, price: int) -> None:
        price = max(1, price)
        if self.listing.coarser:
            price = self.rules.allowed(price, side)
        self.engine.submit(side, self._size(), price)

    def _hop(self) -> int:
        return 1 + int(self._rng.expovariate(1 / self._gap))

    def _populate(self, price: int) -> None:
        bid, ask = price, price + 1
        for _ in range(self.listing.levels):
            if bid > 0:
                self._limit(Side.BUY, bid)
            self._limit(Side.SELL, ask)
            bid -= self._hop()
            ask += self._hop()

    def _lean(self) -> float:
        """How much likelier the next taker is to buy than to sell."""
        self._drift = 0.97 * self._drift + self._rng.gauss(0, 0.03)
        pull = 8.0 * math.log(self._anchor / max(1, self.tape.last))
        # Far from where it belongs, as cheap instruments with coarse ticks get, it is brought back.
        most = 0.4 if abs(pull) < 2.0 else 0.48
        return max(-most, min(most, self._drift + pull))

    def _touch_event(self) -> Changed:
        """Something that changes the best bid or ask."""
        rng, engine = self._rng, self.engine
        bid, ask = engine.bids.best, engine.asks.best
        if bid is None or ask is None:
            self._refill(self.tape.last)
            return Changed.NOTHING
        buy = rng.random() < 0.5 + self._lean()
        side = Side.BUY if buy else Side.SELL
        what = rng.random()
        step = self.rules.step_at(ask) if self.listing.coarser else 1
        spread = (ask - bid) // step
        if spread > 1 and what < 0.5:
            inside = step * (1 + (spread - 2) * int(rng.random() ** 2 * 100) // 100)
            self._limit(side, bid + inside if buy else ask - inside)
            return Changed.NOTHING
        if what < 0.3 and not self.still & Changed.TRADES:
            return self._take(side)
        if what < 0.5:
            self._limit(side, bid if buy else ask)
            return Changed.NOTHING
        self._withdraw(engine.asks if buy else engine.bids)
        return Changed.NOTHING

    def _take(self, side: Side) -> Changed:
        rng = self._rng
        other = self.engine.asks if side is Side.BUY else self.engine.bids
        total = other.levels[other.keys[-1]].total
        sweeps = rng.random() < 0.5 and len(other.keys) > 2
        # A taker may fill many resting orders, each of which is a trade of its own.
        size = total + self._size() // 8 if sweeps else 1 + int(rng.random() ** 2 * (total - 1))
        outcome = self.engine.submit(side, max(1, size), lifetime=Lifetime.IOC)
        changed = self.print_trades(outcome)
        may_be = self.listing.market in _LIQUIDATED and not self.still & Changed.LIQUIDATIONS
        if may_be and rng.random() < 0.02 and not self._one_just_was():
            changed |= self._liquidated(outcome.order)
        return changed

    def _one_just_was(self) -> bool:
        """Whether there was a liquidation within the last second: exchanges that tell no more than
        one a second would leave out what nobody could miss."""
        last = self.liquidations[-1].time_ns if self.liquidations else None
        return last is not None and self.now_ns < last + NS_PER_SECOND

    def _liquidated(self, taker: Resting) -> Changed:
        self.liquidation_count += 1
        position = Side.SELL if taker.side is Side.BUY else Side.BUY
        # The bankruptcy price, where the position's margin is used up, lies beyond the market.
        beyond = 1.005 if position is Side.SELL else 0.995
        self.liquidations.append(
            ForcedClose(
                self.liquidation_count,
                self.now_ns,
                position,
                max(1, round(self.tape.last * beyond)),
                max(1, taker.filled),
            )
        )
        return Changed.LIQUIDATIONS

    def print_trades(self, outcome: Outcome) -> Changed:
        """Write an order's executions on the tape."""
        if outcome.executions:
            self.lacks.discard(Figure.LAST_PRICE)
        for fill in outcome.executions:
            self.tape.record(
                self.now_ns,
                fill.taker.side,
                fill.price,
                fill.size,
                self.sequence,
                nonce := self._rng.getrandbits(128),
                rpi=nonce % _RETAIL_EVERY == 0,
            )
            self.open_interest = max(
                self._lots * 100, self.open_interest + self._rng.choice((-1, 0, 1)) * fill.size
            )
        return Changed.TRADES if outcome.executions else Changed.NOTHING

    def _withdraw(self, ladder: Ladder) -> None:
        """Cancel or cut one of the crowd's orders at the best level."""
        level = ladder.levels[ladder.keys[-1]]
        side = Side.BUY if ladder.sign > 0 else Side.SELL
        crowd = [order for order in level.orders.values() if order.owner is None]
        if not crowd:
            self._limit(side, ladder.keys[-1] * ladder.sign)
            return
        order = self._rng.choice(crowd)
        if order.remaining > 1 and self._rng.random() < 0.5:
            cut = self._rng.randrange(1, order.remaining)
            self.engine.amend(order.order_id, size=order.size - cut)
        elif len(ladder.keys) > 2:
            self.engine.cancel(order.order_id)
        else:
            self._limit(side, ladder.keys[-1] * ladder.sign)

    def _deep_event(self) -> None:
        """Something that changes a level behind the best one."""
        rng = self._rng
        ladder = self.engine.bids if rng.random() < 0.5 else self.engine.asks
        count = len(ladder.keys)
        if count < 4:
            return
        reach = count if rng.random() < 0.15 else min(count, 60)
        depth = 1 + int(rng.random() ** 1.5 * (reach - 1))
        key = ladder.keys[max(0, count - 1 - depth)]
        if rng.random() < 0.5:
            behind = key - rng.randrange(self._gap + 1)
            if behind * ladder.sign > 0:
                self._limit(Side.BUY if ladder.sign > 0 else Side.SELL, behind * ladder.sign)
            return
        order = next(iter(ladder.levels[key].orders.values()))
        if order.owner is None:
            self.engine.cancel(order.order_id)

    def _tend(self) -> None:
        """Keep both sides about as deep as they were."""
        for ladder, side in ((self.engine.bids, Side.BUY), (self.engine.asks, Side.SELL)):
            if not ladder.keys:
                self._refill(self.tape.last)
                continue
            worst = ladder.keys[0]
            for _ in range(self.listing.levels - len(ladder.keys)):
                worst -= self._hop()
                if worst * ladder.sign < 1:
                    break
                self._limit(side, worst * ladder.sign)
            while len(ladder.keys) > self.listing.levels * 1.2:
                orders = list(ladder.levels[ladder.keys[0]].orders.values())
                if any(order.owner is not None for order in orders):
                    break
                for order in orders:
                    self.engine.cancel(order.order_id)

    def _refill(self, price: int) -> None:
        """Put orders where a side has none, which somebody's large order can bring about."""
        bid, ask = self.engine.bids.best, self.engine.asks.best
        if bid is None and (ask is None or ask > 1):
            self._limit(Side.BUY, price if ask is None else min(price, ask - 1))
        if ask is None:
            self._limit(Side.SELL, max(price, (self.engine.bids.best or price) + 1))

    def _reference(self) -> None:
        """Move index, mark price and funding rate along with the market."""
        bid, ask = self.engine.bids.best, self.engine.asks.best
        middle = self.tape.last * 100
        if bid is not None and ask is not None:
            middle = (bid + ask) * 50
        rng = self._rng
        if self.listing.strike is not None:
            self._value_option()
            return
        self._basis = 0.99 * self._basis + rng.gauss(0, 2e-5)
        self.index = max(1, round(middle * (1 + self._basis)))
        # Funding pulls the perpetual towards the index, and the mark price lies in between.
        self.mark = max(1, round(0.2 * middle + 0.8 * self.index + rng.gauss(0, 5)))
        if self.now_ns % _FUNDING_EVERY_NS < _REFERENCE_EVERY_NS:
            self.funding_rate = max(-3000, min(3000, round(100 - self._basis * 4e5)))

    def _value_option(self) -> None:
        """Mark an option by what it is on, which moves a little whoever trades that; and let the
        crowd believe in the mark price."""
        listing = self.listing
        assert listing.strike is not None
        spot = listing.strike if self._underlying is None else self._underlying()
        seconds = self.now_ns / NS_PER_SECOND
        swing = 2e-4 * math.sin(seconds / 37) + 5e-5 * math.sin(seconds / 1.3)
        underlying = max(float(spot) * (1 + swing), 1e-9)
        self.index = max(1, self.rules.price.nearest(Decimal(underlying) * 100))
        skew = math.log(float(listing.strike) / underlying)
        self.volatility = 0.5 + 0.02 * math.sin(seconds / 101) + min(2.0, 0.3 * skew * skew)
        value = self.greeks().price / (underlying if listing.settle == listing.base else 1)
        self.mark = max(1, round(Decimal(value) * 100 / listing.tick))
        self._anchor = max(1, self.mark // 100)

    @property
    def forward(self) -> float:
        """What an option's underlying is worth at its expiry: a little more than now."""
        assert self.listing.expiry_ns is not None
        years = max(0.0, years_until(self.listing.expiry_ns, self.now_ns))
        return float(self.rules.price.value(self.index)) / 100 * (1 + _CARRY * years)

    def greeks(self, volatility: float | None = None) -> BlackScholes:
        """What an option is worth now, at the market's volatility or another one."""
        listing = self.listing
        assert listing.strike is not None
        assert listing.expiry_ns is not None
        return BlackScholes.of(
            self.forward,
            float(listing.strike),
            max(0.0, years_until(listing.expiry_ns, self.now_ns)),
            listing.option_kind is OptionKind.CALL,
            self.volatility if volatility is None else volatility,
        )


_LIQUIDATED = frozenset({Market.LINEAR, Market.INVERSE})
