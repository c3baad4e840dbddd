"""What others do in a random schedule: the exchange, other programs of the account, other accounts,
the network, the machine on which the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ccrs_core.conformance.workbench.account_wallets import Wallets
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life
from ccrs_core.conformance.workbench.schedules import FAULTS, USUAL, Beginning, pairs_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, money_of, tradable, trading_of
from ccrs_core.contract.trading import Feature
from ccrs_core.emulator import Ending, NewOrder, Refused, Stage, TradingAccount
from ccrs_core.errors import CcrsError, UsageError
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import OrderType, PositionSide, Trigger
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_BEFORE_NS = 60 * NS_PER_SECOND
"""How long before an appointment of the exchange's schedules begin."""


class ScheduleActs(RuleBasedStateMachine):
    """The part of a schedule that the account's program has no hand in."""

    subject: ClassVar[Subject]
    world: AccountWorld
    life: Life
    markets: Sequence[Market]
    stalls: Sequence[Stall]
    mine: Wallets
    others: Wallets
    beginning: Beginning

    def _prepare(self, beginning: Beginning) -> None:
        """The exchange as it is when the schedule begins."""
        subject, trading = self.subject, trading_of(self.subject)
        self.beginning = beginning
        pairs = pairs_of(trading)
        self.markets = pairs[beginning.markets % len(pairs)]
        usual = beginning.via == "rest" or not trading.by_socket
        self.world = world = AccountWorld(
            subject,
            seed=beginning.seed,
            start_ns=self._start_ns(beginning.appointment),
            on_disk=beginning.on_disk,
            institutional=beginning.protected,
            via="rest" if usual else "websocket",
        )
        world.desk.open_account("other", money=money_of(world.venue))
        self.others = world.wallets("other")
        self.mine = world.wallets()
        self.stalls = [world.stall(market) for market in self.markets]
        self.placed = 0
        kinds = world.venue.dialect.account_kinds
        world.desk.accounts[NAME].settings |= kinds[beginning.account % len(kinds)]
        for at in self.stalls:
            mine = self.mine.of(at.instrument.market)
            if beginning.hedged and Feature.HEDGE in trading.features[at.instrument.market]:
                # Of all of its kind: some exchanges have one mode for them.
                category = at.listing.category
                with suppress(Refused):  # it is set already
                    world.desk.settings.position_mode(mine, category, PositionMode.HEDGE)
        world.fault(*beginning.weather)

    def _start_ns(self, appointment: str) -> int:
        found = []
        for market in self.markets:
            instrument = tradable(self.subject, market)[0]
            listing = self.subject.listings[market, instrument.native]
            if appointment == "funding" and (due_ns := listing.funding_after(START_NS)) is not None:
                found.append(due_ns)
            if appointment == "delivery" and listing.expiry_ns is not None:
                found.append(listing.expiry_ns)
        return min(found) - _BEFORE_NS if found else START_NS

    def _at(self, which: int) -> Stall:
        return self.stalls[which % len(self.stalls)]

    def _happens(self, act: Callable[[], Any]) -> None:
        """Something happens at the exchange, if it can."""

        async def happen() -> None:
            self.world.venue.advance(self.world.clock.time_ns())
            with suppress(Refused, UsageError):
                act()
            self.life.tap.poke()
            await asyncio.sleep(0.02)

        self.world.do(happen())

    # --- others ---

    @rule(which=st.integers(0, 1), buys=st.booleans(), lots=st.integers(1, 25))
    def somebody_takes(self, which: int, buys: bool, lots: int) -> None:
        """Whoever it is trades with what rests in the book, ours included; the crowd has come
        back to it before."""
        self._happens(lambda: self.world.stall(self._at(which).instrument.market))
        self._by_desk(self.others, which, buys, 5 if buys else -5, lots, "")

    @rule(
        which=st.integers(0, 1), buys=st.booleans(), level=st.integers(-2, 2), again=st.booleans()
    )
    def another_program_places(self, which: int, buys: bool, level: int, again: bool) -> None:
        """Under an id that it used before, too, where that may be once its order has ended."""
        if not (again and self.placed) or trading_of(self.subject).client_ids.for_ever:
            self.placed += 1
        self._by_desk(self.mine, which, buys, level, 2, f"web{self.placed:05d}")

    @rule(
        which=st.integers(0, 1),
        buys=st.booleans(),
        far=st.integers(1, 4),
        kind=st.sampled_from(["limit", "market", "trailing", "pair"]),
    )
    def another_program_waits(self, which: int, buys: bool, far: int, kind: str) -> None:
        """For a price, for a fall from the best one, or for whichever of two comes first."""
        at = self._at(which)
        mine = self.mine.of(at.instrument.market)
        if Feature.TRIGGER_LAST not in trading_of(self.subject).features[at.instrument.market]:
            return
        self.placed += 1
        pair = f"pair{self.placed}" if kind == "pair" else ""
        worth = None
        if buys and kind != "limit" and at.instrument.market is Market.SPOT:
            worth = Decimal(round(at.size * at.price * 2))
        plain = NewOrder(
            listing=at.listing,
            side=Side.BUY if buys else Side.SELL,
            size=at.size * 2 if worth is None else None,
            quote_size=worth,
            price=at.price if kind == "limit" else None,
            type=OrderType.LIMIT if kind == "limit" else OrderType.MARKET,
            client_order_id="" if pair else f"web{self.placed:05d}",
            position_side=self._side(mine, at, buys),
            trailing=at.step if kind == "trailing" else None,
            pair=pair,
        )
        prices = [(at.ask(far), True), (at.bid(far), False)]
        if kind == "trailing":
            prices = [(at.ask(1), True) if buys else (at.bid(1), False)]
        for price, rises in prices if pair else prices[:1]:
            wanted = attrs.evolve(plain, trigger=Trigger(price=price, rises=rises))
            self._happens(partial(self.world.desk.place, mine, wanted))

    @staticmethod
    def _side(account: TradingAccount, at: Stall, buys: bool) -> PositionSide:
        if account.position_mode(at.listing) is not PositionMode.HEDGE:
            return PositionSide.NET
        return PositionSide.LONG if buys else PositionSide.SHORT

    def _by_desk(
        self,
        wallets: Wallets,
        which: int,
        buys: bool,
        level: int,
        lots: int,
        identity: str,
    ) -> None:
        at = self._at(which)
        account = wallets.of(at.instrument.market)
        wanted = NewOrder(
            listing=at.listing,
            side=Side.BUY if buys else Side.SELL,
            size=at.size * lots,
            price=at.price + level * at.step,
            client_order_id=identity,
            position_side=self._side(account, at, buys),
        )
        self._happens(lambda: self.world.desk.place(account, wanted))

    @rule(number=st.integers(0, 20), why=st.sampled_from([Ending.BY_USER, Ending.EXCHANGE]))
    def an_order_is_canceled_elsewhere(self, number: int, why: Ending) -> None:
        """By another program, or by the exchange."""
        found = self.mine.open_orders()
        if found:
            order = found[number % len(found)]
            mine = self.world.desk.accounts[order.account]
            self._happens(lambda: self.world.desk.cancel(mine, order.number, why))

    @rule(number=st.integers(0, 20), lots=st.integers(1, 14))
    def another_program_amends(self, number: int, lots: int) -> None:
        found = [each for each in self.mine.open_orders() if each.size is not None]
        if found:
            order = found[number % len(found)]
            at = next((s for s in self.stalls if s.listing.key == order.listing.key), None)
            if at is not None:
                mine = self.world.desk.accounts[order.account]
                asked = attrs.evolve(order.asked, size=at.size * lots)
                self._happens(lambda: self.world.desk.amend(mine, order.number, asked))

    # --- the exchange ---

    @rule(which=st.integers(0, 1), amount=st.integers(-50, 50))
    def money_comes_or_goes(self, which: int, amount: int) -> None:
        if amount:
            at = self._at(which)
            account, asset = self.mine.of(at.instrument.market), at.listing.quote
            self._happens(lambda: self.world.desk.transfer(account, asset, Decimal(amount)))

    @rule(which=st.integers(0, 1), steps=st.integers(-8, 8))
    def prices_move(self, which: int, steps: int) -> None:
        """Triggers are reached."""
        at = self._at(which)
        self._prices_are(at, at.price + steps * at.step)

    def _prices_are(self, at: Stall, price: Decimal) -> None:
        self._happens(
            lambda: self.world.venue.steer(
                at.listing, last_price=price, mark_price=price, index_price=price
            )
        )

    @rule(number=st.integers(0, 20))
    def a_trigger_is_reached(self, number: int) -> None:
        """Of an own order, an exit, or another program's."""
        mine = self.world.desk.accounts[NAME]
        waiting = [each for each in mine.open_orders() if each.stage is Stage.WAITING]
        if not waiting:
            return
        order = waiting[number % len(waiting)]
        at = next((s for s in self.stalls if s.listing.key == order.listing.key), None)
        trigger = order.asked.trigger
        if at is not None and trigger is not None:
            beyond = at.step if trigger.rises else -at.step
            self._prices_are(at, trigger.price // at.step * at.step + beyond)

    @rule(number=st.integers(0, 5), by_others=st.booleans())
    def a_position_is_closed_by_force(self, number: int, by_others: bool) -> None:
        """It is liquidated, or deleveraged in part."""
        desk = self.world.desk
        held = [e for wallet in self.mine.all for e in wallet.positions.values() if e.size]
        if not held:
            return
        position = held[number % len(held)]
        at = next((s for s in self.stalls if s.listing.key == position.listing.key), None)
        if at is None:
            return

        mine = self.mine.of(at.instrument.market)

        def close() -> None:
            self.world.stall(at.instrument.market)
            if by_others:
                lot = at.listing.lot
                size = max(abs(position.size) // 2 // lot * lot, lot)
                desk.deleverage(mine, at.listing, size, at.price, position.side)
            else:
                desk.liquidate(mine, at.listing, position.side)

        self._happens(close)

    # --- what goes wrong ---

    @rule(fault=st.sampled_from(FAULTS))
    def something_goes_wrong(self, fault: str) -> None:
        with suppress(CcrsError):  # of which the exchange has none
            self.world.fault(fault)

    @rule(seconds=st.sampled_from([0.4, 3.0, 12.0, 33.0]))
    def requests_crawl(self, seconds: float) -> None:
        """They arrive so much later from now on, even those that nobody waits for any more."""
        self.life.tap.crawl = seconds

    @rule()
    def all_is_well_again(self) -> None:
        self.world.quieten()
        self.world.fault(USUAL)

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 12.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.3, 4.0, 25.0, 90.0]))
    def the_process_stands_still(self, seconds: float) -> None:
        """Its loop is blocked, or the machine swaps: all timers are late at once."""
        self.world.loop.now += seconds

    @rule(seconds=st.sampled_from([-3600.0, -4.0, 2.0, 30.0, 7200.0]))
    def the_local_clock_is_set(self, seconds: float) -> None:
        self.life.clock.jump(seconds)
