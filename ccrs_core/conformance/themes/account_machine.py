"""Properties 47 to 51, 55, 56: an account through random disconnects, lost answers, reordered
pushes, orders of others, and kills of its process. In the end its ledger is the exchange's."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from ccrs_core.conformance.judges.account_truth import (
    fills_are_true,
    instruments_by_key,
    money_is_true,
    nothing_is_unexplained,
    orders_are_true,
    positions_are_true,
    profits_are_true,
)
from ccrs_core.conformance.judges.accountant import AccountBooks, account_books
from ccrs_core.conformance.themes.account_life import timer_seconds
from ccrs_core.conformance.workbench.account_world import NAME, Life
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.schedule_acts import ScheduleActs
from ccrs_core.conformance.workbench.schedules import (
    BEGINNINGS,
    CONDITIONAL,
    FATES,
    ORDERS,
    Beginning,
    Fate,
    Wanted,
    is_named,
    request_of,
)
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, money_of, trading_of, untold_of
from ccrs_core.contract.trading import DeadManKind, DeadManScope, Feature
from ccrs_core.contract.trading_requests import GetIncome, PlaceEither
from ccrs_core.errors import CcrsError
from ccrs_core.model.accounts import Adjustment, Income, IncomeKind, PositionMode
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderRequest, Trigger
from ccrs_core.model.orders import Fill, Order, OrderUpdate, Origin
from ccrs_core.trading.amending import WhenFull
from ccrs_core.trading.checks import Amendment
from ccrs_core.trading.dead_man import DeadManSwitch

_CALM = 1000.0
"""Seconds of virtual time within which all must be known once faults have stopped: some exchanges
are not to be asked for ten minutes once they have banned an address."""
_LEAST_CALM = 210.0
"""Within which the lists are read, twice."""
_STEP = 5.0


class AccountMachineProperties:
    """Random schedules."""

    @proves(50, quick=False)
    def test_an_account_survives_random_schedules(self, subject: Subject) -> None:
        """Orders placed, amended and canceled, singly and in batches, by several programs and by
        the exchange, while connections drop, answers are lost or unclear with and without effect,
        pushes are late, doubled, out of order or missing, lists lag, and the process is killed
        between any two steps with its store kept: once that is over each order, fill, position and
        balance of the ledger is the exchange's, by the money tape; nothing was placed twice; each
        fill was delivered once, or again, marked, where it wasn't acknowledged."""
        trading_of(subject)
        thorough = subject.profile is Profile.THOROUGH
        machine = type("Schedule", (AccountSchedule,), {"subject": subject})
        # A thousand schedules, where it may take as long as it takes.
        subject.check_machine(machine, examples=84 if thorough else 16, steps=25)


class AccountSchedule(ScheduleActs):
    """One account's fate."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self.wanted = 0
        """Orders that the user asked for: each has its count for a tag."""
        self.read: set[int] = set()
        """Fills that were delivered and not acknowledged."""
        self.due: set[int] = set()
        """Those of them that have to come again, after a kill."""
        self.newest: dict[tuple[str, str], Order] = {}
        self.acknowledged = 0
        self.told: set[int] = set()
        """All that were delivered, those included that may have been before."""
        self.delivered: dict[int, int] = {}
        """How often each fill was delivered without a mark, by its number."""
        self.working: list[asyncio.Task[Any]] = []
        self.switch: DeadManSwitch | None = None
        self.strange: list[Exception] = []
        """What calls have raised that isn't typed."""

    @initialize(beginning=BEGINNINGS)
    def begin(self, beginning: Beginning) -> None:
        self._prepare(beginning)
        try:
            self._begin()
            self._acquaint()
        except BaseException:
            self.world.close()
            raise
        self.begun = True

    def _acquaint(self) -> None:
        """Let the account have to do with each market, where past orders and fills are told of one
        instrument at a time: nobody can know of what others do in one that was never heard of."""
        if trading_of(self.subject).by_symbol:
            for at in self.stalls:
                request = self._request(at, (True, -30, 1, 0))
                self._do(lambda request=request: self.life.account.place(request))  # type: ignore[misc]

    # --- the user ---

    def _do(self, work: Callable[[], Awaitable[Any]], patience: float = 2.0) -> None:
        """Begin something; it goes on while other things happen."""

        async def tried() -> None:
            try:
                await work()
            except (CcrsError, TimeoutError):
                pass
            except Exception as error:
                self.strange.append(error)

        async def begin() -> None:
            task = asyncio.ensure_future(tried())
            self.working.append(task)
            await asyncio.wait([task], timeout=patience)

        self.world.do(begin())

    def _request(self, at: Stall, order: Wanted) -> OrderRequest:
        self.wanted += 1
        tag = f"n{self.wanted:04d}n"
        trading = trading_of(self.subject)
        return request_of(trading, at, order, hedged=self.beginning.hedged, tag=tag)

    def _fated(self, what: str, fate: Fate, work: Callable[[], Awaitable[Any]]) -> None:
        """Begin something whose answer may not come."""
        patience, trouble = fate
        if trouble:
            for path in sorted(self.world.paths(what)):
                self.world.fault(trouble.format(path=path))
        self._do(work, patience)

    @rule(which=st.integers(0, 1), order=ORDERS, fate=FATES)
    def place(self, which: int, order: Wanted, fate: Fate) -> None:
        request = self._request(self._at(which), order)
        account = self.life.account
        self._fated("place", fate, lambda: account.place(request))

    @rule(
        which=st.integers(0, 1),
        order=CONDITIONAL,
        fate=FATES,
        after=st.sampled_from([0.0, 0.02, 0.5, 5.0]),
    )
    def place_and_reach(self, which: int, order: Wanted, fate: Fate, after: float) -> None:
        """An order that waits, and what it waits for comes."""
        self.place(which, order, fate)
        self.world.pass_time(after)
        self.a_trigger_is_reached(-1)

    @precondition(lambda self: bool(trading_of(self.subject).batch))
    @rule(which=st.integers(0, 1), several=st.lists(ORDERS, min_size=2, max_size=4), fate=FATES)
    def place_many(self, which: int, several: list[Wanted], fate: Fate) -> None:
        requests = [self._request(self._at(which), each) for each in several]
        account = self.life.account
        self._fated("place", fate, lambda: account.place_many(requests))

    def _open(self, number: int) -> Order | None:
        found = self.life.account.open_orders()
        return found[number % len(found)] if found else None

    def _stall_of(self, order: Order) -> Stall | None:
        return next((s for s in self.stalls if s.instrument.symbol == order.symbol), None)

    @rule(
        number=st.integers(0, 20),
        level=st.integers(-3, 3),
        lots=st.one_of(st.integers(1, 14), st.just(200_000)),
        fate=FATES,
    )
    def amend(self, number: int, level: int, lots: int, fate: Fate) -> None:
        order = self._open(number)
        at = None if order is None else self._stall_of(order)
        if order is None or at is None:
            return
        account, price, size = self.life.account, at.price + level * at.step, at.size * lots
        own = at.own(size)
        if Feature.AMEND_SMALLER in trading_of(self.subject).features[order.market]:
            self._fated("amend", fate, lambda: account.amend(order, size=own))
        else:
            self._fated("amend", fate, lambda: account.amend(order, price=price, size=own))

    @precondition(lambda self: PlaceEither in self.subject.exchange.endpoints)
    @rule(
        which=st.integers(0, 1),
        buys=st.booleans(),
        levels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        fate=FATES,
    )
    def place_either(self, which: int, buys: bool, levels: tuple[int, int], fate: Fate) -> None:
        """Two of which one ends the other."""
        at, side = self._at(which), Side.BUY if buys else Side.SELL
        profit, loss = levels if not buys else (-levels[0], -levels[1])
        self.wanted += 2
        tags = [f"n{self.wanted - n:04d}n" for n in (1, 0)]
        rests = at.limit(side, at.price + profit * at.step, post_only=True, tag=tags[0])
        at_loss = Trigger(price=at.price - loss * at.step, rises=buys)
        stop = at.market(side, trigger=at_loss, tag=tags[1])
        account = self.life.account
        self._fated("place", fate, lambda: account.place_either(rests, stop))

    @rule(number=st.integers(0, 20), fate=FATES)
    def cancel(self, number: int, fate: Fate) -> None:
        order = self._open(number)
        account = self.life.account
        if order is not None:
            self._fated("cancel", fate, lambda: account.cancel(order))

    @rule(
        first=st.integers(0, 20),
        levels=st.lists(st.integers(-3, 3), min_size=2, max_size=4),
        collapse=st.booleans(),
        fate=FATES,
    )
    def amend_many(self, first: int, levels: list[int], collapse: bool, fate: Fate) -> None:
        """Some of one order, some of others."""
        wanted: list[tuple[Order, Amendment]] = []
        for number, level in enumerate(levels, first):
            order = self._open(number)
            at = None if order is None else self._stall_of(order)
            if order is None or at is None:
                return
            price = at.price + level * at.step
            if isinstance(order.trigger, Trigger) and level % 2:
                moved = attrs.evolve(order.trigger, price=order.trigger.price + level * at.step)
                wanted.append((order, Amendment(trigger=moved)))
            else:
                wanted.append((order, Amendment(price=price)))
        how: WhenFull = "collapse" if collapse else "wait"
        account = self.life.account
        self._fated("amend", fate, lambda: account.amend_many(wanted, when_full=how))

    @rule(first=st.integers(0, 20), count=st.integers(2, 5), fate=FATES)
    def cancel_many(self, first: int, count: int, fate: Fate) -> None:
        found = [self._open(number) for number in range(first, first + count)]
        wanted = [each for each in found if each is not None]
        account = self.life.account
        if wanted:
            self._fated("cancel", fate, lambda: account.cancel_many(wanted))

    @rule(number=st.integers(0, 20), order=ORDERS, fate=FATES)
    def replace(self, number: int, order: Wanted, fate: Fate) -> None:
        old = self._open(number)
        at = None if old is None else self._stall_of(old)
        if old is not None and at is not None:
            request, account = self._request(at, order), self.life.account
            self._fated("cancel", fate, lambda: account.replace(old, request))

    @rule(which=st.integers(0, 1), level=st.integers(-1, 1), count=st.integers(8, 16))
    def many_at_once(self, which: int, level: int, count: int) -> None:
        """As many as the exchange grants in a second, or more."""
        at, account = self._at(which), self.life.account
        requests = [self._request(at, (n % 2 == 0, level, 1, 0)) for n in range(count)]

        async def all_of_them() -> None:
            # Tasks in their order: of coroutines alone asyncio would begin any of them first.
            sent = [asyncio.ensure_future(account.place(each)) for each in requests]
            for done in asyncio.as_completed(sent):
                with suppress(CcrsError):
                    await done

        self._do(all_of_them, 0.05)

    @rule(which=st.integers(0, 1), leverage=st.integers(1, 30))
    def set_leverage(self, which: int, leverage: int) -> None:
        account, symbol = self.life.account, self._at(which).instrument.symbol
        self._do(lambda: account.set_leverage(symbol, leverage))

    @rule(which=st.integers(0, 1), hedge=st.booleans())
    def set_position_mode(self, which: int, hedge: bool) -> None:
        """Which is refused mostly."""
        account, symbol = self.life.account, self._at(which).instrument.symbol
        mode = PositionMode.HEDGE if hedge else PositionMode.ONE_WAY
        self._do(lambda: account.set_position_mode(mode, symbol=symbol))

    @rule(own=st.booleans())
    def cancel_all(self, own: bool) -> None:
        account = self.life.account
        self._do(lambda: account.cancel_all(own=own))

    @rule()
    def acknowledge(self) -> None:
        """What was read so far is dealt with."""
        self._count()

    @rule(seconds=st.sampled_from([0.0, 1.0, 40.0]))
    def the_process_is_killed(self, seconds: float) -> None:
        """At once, with what its store holds; it is started again after a while."""
        self.world.do(self.life.kill())
        self._count(acknowledge=False)
        self._forget()
        self._reap()
        self.world.pass_time(seconds)
        self._begin()

    @rule(
        which=st.integers(0, 1),
        order=ORDERS,
        fate=FATES,
        after=st.sampled_from([0.0, 0.002, 0.004, 0.006, 0.009, 0.013, 0.02, 0.5]),
    )
    def the_process_is_killed_placing(
        self, which: int, order: Wanted, fate: Fate, after: float
    ) -> None:
        """In the middle of it: before the intent is stored, before it has left, on its way,
        before the answer, or after it."""
        self.place(which, order, (after, fate[1]))
        self.the_process_is_killed(1.0)

    def _forget(self) -> None:
        """What wasn't committed was never known; what was read and not acknowledged is due."""
        self.due |= self.read
        self.read.clear()
        self.newest.clear()

    def _begin(self) -> None:
        for tried in range(60):
            try:
                self.life = self.world.live()
                self._protect()
                return
            except CcrsError:
                # It can't be opened while the exchange is out of reach, or has banned the address.
                self.world.pass_time(3.0 if tried < 30 else 30.0)
                self.world.quieten()
        raise AssertionError("the account can't be opened again, whatever is tried")

    def _protect(self) -> None:
        """Let the exchange cancel what is open once it doesn't hear of the process any more."""
        declared = trading_of(self.subject).dead_man
        self.switch = None
        some = [] if declared is None else [m for m in self.markets if m in declared.markets]
        if self.beginning.protected and declared is not None and some:
            which = [e.instrument.symbol for e in self.stalls if e.instrument.market in some]
            alone = declared.scope is DeadManScope.INSTRUMENT
            timed = declared.kind is DeadManKind.TIMER
            seconds = timer_seconds(declared) if timed else declared.shortest
            symbols = which if alone else None
            switch = self.life.account.dead_man(seconds, symbols=symbols, share=0.5)

            async def on() -> None:
                await switch.__aenter__()
                self.switch = switch

            self._do(on)

    def _reap(self) -> None:
        async def gone() -> None:
            for task in self.working:
                task.cancel()
            if self.working:
                await asyncio.wait(self.working)

        self.world.do(gone())
        self.working.clear()

    def _count(self, *, acknowledge: bool = True) -> None:
        """Look at what was delivered, once; acknowledge it or not."""
        events, life = self.life.events, self.life
        for event in events:
            if isinstance(event, Fill):
                self._fill_came(event)
            elif isinstance(event, OrderUpdate):
                self._order_came(event.order)
        last = max((getattr(e, "number", 0) or 0 for e in events), default=0)
        events.clear()
        if acknowledge and last:
            self.world.do(life.acknowledge(last))
            self.acknowledged = max(self.acknowledged, last)
            self.read = {number for number in self.read if number > last}

    def _fill_came(self, fill: Fill) -> None:
        number = fill.number
        self.read.add(number)
        self.told.add(number)
        if fill.again:
            assert number > self.acknowledged, (
                f"the fill {number} comes again, though {self.acknowledged} was acknowledged"
            )
            self.due.discard(number)
            return
        count = self.delivered[number] = self.delivered.get(number, 0) + 1
        assert count == 1, f"the fill {number} was delivered {count} times, unmarked"

    def _order_came(self, order: Order) -> None:
        # Others may use an id again, and what a trigger has placed may have that of what waited.
        own = order.client_order_id if order.origin is Origin.OWN and not order.fired_by else ""
        key = order.symbol, own or order.exchange_order_id
        before = self.newest.get(key)
        self.newest[key] = order
        if before is None:
            return
        assert not before.state.final or order.state is before.state, (
            f"an order that had ended changed its state: {before}, then {order}"
        )
        assert order.filled_size >= before.filled_size, (
            f"what was filled of an order became less: {before}, then {order}"
        )

    # --- the end ---

    def teardown(self) -> None:
        if not self.begun:
            return
        try:
            self._judge()
        finally:
            self.world.close()

    def _judge(self) -> None:
        world = self.world
        world.quieten()
        if self.beginning.appointment:
            world.pass_time(60.0)  # what is due comes before all is calm
        world.do(_calm(self.life))
        if self.strange:
            raise self.strange[0]
        self._count()
        account = self.life.account
        store = world.stores["trader"]
        orders: list[Order] = world.do(store.orders(limit=10**6))
        fills: list[Fill] = world.do(store.fills(limit=10**6))
        find = instruments_by_key(world.venue.listings.values(), self.subject.instruments)
        wallets, desk = account_books(world.money, world.wallets().accounts), world.desk_orders()
        books = wallets.together
        exits = {
            (find[order.listing.key].symbol, each.price)
            for order in desk.values()
            for each in world.venue.dialect.exits(order)
            if each is not None and not order.stage.ended
        }
        orders_are_true(orders, desk, find, "web0", untold_of(self.subject), is_named, exits)
        for number in range(1, self.wanted + 1):
            tag = f"n{number:04d}n"
            several = [
                each
                for each in desk.values()
                if each.client_order_id.endswith(tag) and each.origin is None
            ]
            assert len(several) <= 1, f"one order was asked for, there are {several}"
        # Lists of fills may not say whose a child is, and its order can't be read for a while.
        placed = {e.client_order_id for e in desk.values() if e.origin is not None} - {""}
        fills_are_true(fills, books, find, ("web", *sorted(placed)))
        positions_are_true(account.positions(), books, find)
        profits_are_true(account.profit, books, find)
        money_is_true(list(account.balances().values()), wallets)
        entries = world.do(store.entries_after(0, 10**6, {"adjustment"}))
        adjustments = [e.event for e in entries if isinstance(e.event, Adjustment)]
        nothing_is_unexplained(adjustments, books, self._with_untold(wallets))
        assert not self.due, (
            f"fills that were read before a kill and not acknowledged don't come again: "
            f"{sorted(self.due)}, acknowledged: {self.acknowledged}"
        )
        missing = [fill for fill in fills if fill.number not in self.told]
        assert not missing, f"a fill was never delivered: {missing[0]}"
        self._reap()
        if self.switch is not None:
            world.do(self.switch.__aexit__(None, None, None))
        world.do(self.life.stop())

    def _with_untold(self, books: AccountBooks) -> dict[tuple[str, str], Decimal]:
        """What adjustments come to, by asset and purse, where money came that no stream told into
        wallets of which income is in no list: that, and what there was in the beginning."""
        world, trading = self.world, trading_of(self.subject)
        listing = self.subject.exchange.endpoints.get(GetIncome)
        listed = {trading.purses.get(each, "") for each in listing.markets} if listing else set()
        entries = world.do(world.stores[NAME].entries_after(0, 10**6, {"income"}))
        told: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in (entry.event for entry in entries):
            if isinstance(row, Income) and row.kind is IncomeKind.TRANSFER:
                told[row.asset, row.purse] += row.amount
        opened, found = money_of(world.venue), {}
        for purse, its in books.by_purse.items():
            for (kind, asset), amount in its.income.items() if purse not in listed else ():
                whole = amount - Fraction(told[asset, purse])
                if kind == "transfer" and whole != opened.get(asset, 0):
                    found[asset, purse] = Decimal(whole.numerator) / whole.denominator
        return found


async def _calm(life: Life) -> None:
    """Wait until all is known, as it will be by itself: nothing is asked for."""
    account = life.account
    waited = 0.0
    while waited < _CALM:
        await asyncio.sleep(_STEP)
        waited += _STEP
        if account.synced and not account.unknown_orders() and waited >= _LEAST_CALM:
            return
    raise AssertionError(
        f"{_CALM:g} s after all faults the account isn't whole: synced={account.synced} "
        f"({account.reason}), of unknown outcome {account.unknown_orders()}"
    )
