"""Whatever accounts do, money and positions are conserved, orders are kept to, and the books agree
with the tape of the money."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from decimal import Decimal

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccrs_core.conformance.judges.accountant import Accountant
from ccrs_core.emulator import (
    BalanceChanged,
    Conduct,
    DeskOrder,
    Filled,
    Happening,
    Lag,
    Lifetime,
    Listing,
    NewOrder,
    OrderChanged,
    Refused,
    SelfTrade,
    Stage,
    TradingAccount,
    account_of,
)
from ccrs_core.model.accounts import MarginMode, PositionMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import Exit, OrderType, PositionSide, Trigger, TriggerBy
from tests.emulator.trading_floor import INVERSE, LINEAR, OPTION, SPOT, Exchange

LISTINGS = (SPOT, LINEAR, INVERSE, OPTION)
NAMED = {each.category: each for each in LISTINGS}
CONDUCTS = {
    "prompt": Conduct(at_once=1.0),
    "slow": Conduct(
        at_once=0.3, matching=Lag(0, 40_000_000), maker_rate=lambda _: Decimal("-0.0001")
    ),
    "strict": Conduct(
        ids_for_ever=False, shrinks_reduce_only=False, amends_keep_place=lambda listing: False
    ),
}
SIZES = {SPOT.key: 3, LINEAR.key: 60, INVERSE.key: 20_000, OPTION.key: 3}


class Trading(RuleBasedStateMachine):
    """Two accounts and a crowd."""

    @initialize(conduct=st.sampled_from(sorted(CONDUCTS)), seed=st.integers(0, 3))
    def open(self, conduct: str, seed: int) -> None:
        self.it = Exchange(CONDUCTS[conduct], seed=seed, rate=10.0)
        self.lines: list[str] = []
        self.it.desk.tape.copy_to(self.lines.append)
        self.accountant = Accountant()
        self.final: dict[int, DeskOrder] = {}
        self.it.desk.listeners.append(self.judge)
        self.number = 0

    def judge(self, happening: Happening) -> None:
        """What each thing that is told must be like."""
        assert happening.number > self.number
        assert happening.time_ns == self.it.venue.now_ns
        self.number = happening.number
        assert account_of(happening) in ("ann", "bob", "house")
        if isinstance(happening, BalanceChanged) and happening.balance.account in ("ann", "bob"):
            balance = happening.balance
            wallet = self.it.desk.accounts[balance.account].wallet
            assert balance == wallet[balance.asset], "older than what is there"
        if isinstance(happening, OrderChanged):
            order = happening.order
            assert order.number not in self.final, "something changed after the end"
            if order.stage.ended:
                self.final[order.number] = order
            assert order.size is None or order.filled <= order.size
            assert order.asked.quote_size is None or order.value <= order.asked.quote_size
        if isinstance(happening, Filled):
            fill = happening.fill
            price = fill.order.price
            if price is not None and fill.order.by is None and not fill.maker:
                assert fill.price <= price if fill.side is Side.BUY else fill.price >= price
            elif price is not None and fill.order.by is None:
                assert fill.price == price
            assert fill.size > 0
            if fill.order.asked.reduces:
                assert fill.closed == fill.size

    # --- what may happen ---

    def account(self, first: bool) -> TradingAccount:
        return self.it.ann if first else self.it.bob

    @rule(first=st.booleans(), category=st.sampled_from(sorted(NAMED)), seed=st.integers(0, 2**16))
    def trade(self, first: bool, category: str, seed: int) -> None:
        """A burst of orders, as a strategy has them."""
        rng = random.Random(seed)
        account, listing = self.account(first), NAMED[category]
        for _ in range(rng.randint(1, 6)):
            with contextlib.suppress(Refused):
                self.it.desk.place(account, self.order(account, listing, rng))

    def order(self, account: TradingAccount, listing: Listing, rng: random.Random) -> NewOrder:
        market, side = self.it.market(listing), rng.choice(list(Side))
        up = 1 if side is Side.BUY else -1
        last = market.rules.price.value(market.tape.last)
        gap = max(listing.tick, (last / 10_000 // listing.tick) * listing.tick)
        offset = rng.choice([rng.randint(-60, 60), rng.randint(-3, 3)])
        price = max(last + gap * offset, listing.tick)
        position = rng.choice([PositionSide.LONG, PositionSide.SHORT])
        if listing.market is Market.SPOT or account.position_mode(listing) is PositionMode.ONE_WAY:
            position = PositionSide.NET
        limited = rng.random() < 0.7
        size: Decimal | None = listing.lot * rng.randint(1, 400) * SIZES[listing.key]
        quote_size = None
        if listing is SPOT and not limited and side is Side.BUY and rng.random() < 0.5:
            size, quote_size = None, Decimal(rng.randint(1, 4000)) * 10
        waits, exits = rng.random() < 0.15, rng.random() < 0.25
        return NewOrder(
            listing=listing,
            side=side,
            size=size,
            quote_size=quote_size,
            price=price if limited else None,
            type=OrderType.LIMIT if limited else OrderType.MARKET,
            lifetime=rng.choice(list(Lifetime)) if limited else Lifetime.IOC,
            reduce_only=listing.market is not Market.SPOT and rng.random() < 0.25,
            self_trade=rng.choice([None, *SelfTrade]),
            position_side=position,
            trigger=Trigger(price=price, rises=offset > 0, by=rng.choice(list(TriggerBy)))
            if waits
            else None,
            take_profit=Exit(price=price + gap * 20 * up) if exits else None,
            stop_loss=Exit(price=price - gap * 20 * up) if exits and rng.random() < 0.7 else None,
            partial_exits=rng.random() < 0.5,
        )

    @precondition(lambda self: self.it.ann.orders or self.it.bob.orders)
    @rule(data=st.data(), offset=st.integers(-40, 40), more=st.integers(-50, 50))
    def amend(self, data: st.DataObject, offset: int, more: int) -> None:
        account, order = self.one(data)
        asked, listing = order.asked, order.listing
        size = None if asked.size is None else asked.size + listing.lot * more
        price = None if asked.price is None else asked.price + listing.tick * offset
        if (size is not None and size <= 0) or (price is not None and price <= 0):
            return
        with contextlib.suppress(Refused):
            self.it.desk.amend(account, order.number, attrs.evolve(asked, size=size, price=price))

    @precondition(lambda self: self.it.ann.orders or self.it.bob.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        account, order = self.one(data)
        self.it.desk.cancel(account, order.number)

    @rule(first=st.booleans())
    def cancel_all(self, first: bool) -> None:
        self.it.desk.cancel_all(self.account(first))

    def one(self, data: st.DataObject) -> tuple[TradingAccount, DeskOrder]:
        orders = [*self.it.ann.orders.values(), *self.it.bob.orders.values()]
        order = orders[data.draw(st.integers(0, len(orders) - 1))]
        return self.it.desk.accounts[order.account], order

    @rule(seconds=st.sampled_from([0.01, 0.2, 2.0]))
    def wait(self, seconds: float) -> None:
        self.it.wait(seconds, step=min(seconds, 0.1))

    @rule(
        category=st.sampled_from(sorted(NAMED)),
        side=st.sampled_from(Side),
        lots=st.integers(1, 300),
    )
    def somebody_trades(self, category: str, side: Side, lots: int) -> None:
        listing = NAMED[category]
        self.it.venue.submit(
            listing,
            side,
            listing.lot * lots * SIZES[listing.key],
            owner="x",
            lifetime=Lifetime.IOC,
        )

    @rule(category=st.sampled_from(["linear", "inverse"]), hundredths=st.integers(-25, 25))
    def prices_jump(self, category: str, hundredths: int) -> None:
        listing = NAMED[category]
        market = self.it.market(listing)
        mark = market.rules.price.value(market.mark) / 100
        moved = mark * (100 + hundredths) / 100
        self.it.venue.steer(listing, mark_price=max(moved, listing.tick * 10))
        self.it.venue.release(listing)

    @rule(category=st.sampled_from(["linear", "inverse"]))
    def funding(self, category: str) -> None:
        listing = NAMED[category]
        market = self.it.market(listing)
        market.steered_funding_ns = self.it.venue.now_ns + 300_000_000
        self.it.wait(0.6)
        market.steered_funding_ns = None

    @rule(first=st.booleans(), mode=st.sampled_from([MarginMode.CROSS, MarginMode.ISOLATED]))
    def margin_mode(self, first: bool, mode: MarginMode) -> None:
        with contextlib.suppress(Refused):
            self.it.desk.settings.margin_mode(self.account(first), mode)

    @rule(first=st.booleans(), mode=st.sampled_from(PositionMode))
    def position_mode(self, first: bool, mode: PositionMode) -> None:
        with contextlib.suppress(Refused):
            self.it.desk.settings.position_mode(self.account(first), LINEAR, mode)

    @rule(first=st.booleans(), leverage=st.sampled_from([3, 50, 100, 100]))
    def leverage(self, first: bool, leverage: int) -> None:
        with contextlib.suppress(Refused):
            each = Decimal(leverage)
            self.it.desk.settings.leverage(self.account(first), LINEAR, each, each)

    @rule(first=st.booleans(), category=st.sampled_from(["linear", "inverse"]))
    def deleverage(self, first: bool, category: str) -> None:
        account, listing = self.account(first), NAMED[category]
        held = account.positions_of(listing)
        if held:
            size = max(abs(held[0].size) // listing.lot // 2, Decimal(1)) * listing.lot
            market = self.it.market(listing)
            price = market.rules.price.value(market.tape.last)
            self.it.desk.deleverage(account, listing, size, price, held[0].side)

    # --- what is always so ---

    @invariant()
    def locks_are_those_of_orders(self) -> None:
        for account in (self.it.ann, self.it.bob):
            locked: dict[str, Decimal] = defaultdict(Decimal)
            margin: dict[str, Decimal] = defaultdict(Decimal)
            for order in account.orders.values():
                listing = order.listing
                if listing.market is Market.SPOT:
                    asset = listing.quote if order.side is Side.BUY else listing.base
                    locked[asset] += order.locked
                else:
                    margin[listing.settle or ""] += order.locked
                assert order.locked >= 0
            for asset, balance in account.wallet.assets.items():
                # Those of amendments that aren't carried out yet besides.
                more = account.reserved.get(asset, Decimal(0))
                assert balance.locked >= locked[asset], asset
                assert balance.order_margin >= margin[asset], asset
                held = locked[asset] + margin[asset] + more
                assert balance.locked + balance.order_margin == held, asset

    @invariant()
    def the_engine_has_the_orders_that_rest(self) -> None:
        for listing in LISTINGS:
            market = self.it.venue.peek(listing)
            if market is None:
                continue
            in_engine = {
                int(order.client_order_id): market.rules.size.value(order.remaining)
                for name in ("ann", "bob", "house")
                for order in market.engine.orders_of(name)
            }
            known = {
                order.number: order.remaining
                for account in (self.it.ann, self.it.bob)
                for order in account.open_orders(listing)
                if order.stage is Stage.OPEN
            }
            bounded = {
                number
                for account in (self.it.ann, self.it.bob)
                for number, order in account.orders.items()
                if order.asked.reduces
            }
            assert in_engine.keys() == known.keys()
            for number, remaining in known.items():
                if number in bounded:  # the engine makes those smaller as they come to trade
                    assert in_engine[number] <= remaining
                else:
                    assert in_engine[number] == remaining

    @invariant()
    def the_books_agree_with_the_tape(self) -> None:
        self.accountant.read(self.lines)
        self.lines.clear()
        books = self.accountant.books
        for account in (*self.it.desk.accounts.values(), self.it.desk.house):
            for asset, balance in account.wallet.assets.items():
                mine = books[account.name]
                assert mine.agrees(mine.balances[asset], balance.total), (account.name, asset)
            for position in account.positions.values():
                held = books[account.name].holdings[*position.listing.key, position.side.value]
                assert position.size == held.size
                assert books[account.name].agrees(held.cost, position.cost)

    @invariant()
    def nothing_comes_from_nowhere(self) -> None:
        # What all have, the crowd and fees included, is what came in, as soon as what open
        # positions have cost is counted with it.
        total, held = self.accountant.totals(), defaultdict(Decimal)
        for books in self.accountant.books.values():
            for (*key, _), holding in books.holdings.items():
                held[tuple(key)] += holding.size
                if holding.market != "option":
                    sign = 1 if holding.market == "inverse" else -1
                    total[holding.settle] += sign * holding.cost
        assert not any(total.values())
        assert not any(held.values())

    @invariant()
    def nobody_sells_coins_that_are_not_there(self) -> None:
        for account in (self.it.ann, self.it.bob):
            if not any(p.listing.settle == "BTC" for p in account.positions.values()):
                balance = account.wallet["BTC"]
                assert balance.total >= balance.locked


TestTrading = Trading.TestCase
TestTrading.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
