"""Properties 47 to 51, 55, 56: an account through random disconnects, lost answers, reordered
pushes, orders of others, and kills of its process. In the end its ledger is the exchange's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ccrs_core.conformance.judges.account_truth import (
    balances_are_true,
    books_of,
    fills_are_true,
    instruments_by_key,
    orders_are_true,
    positions_are_true,
)
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, markets_of, money_of, trading_of
from ccrs_core.contract.trading import Feature
from ccrs_core.emulator import NewOrder, Refused
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import OrderRequest, TimeInForce
from ccrs_core.model.orders import Fill, Order, OrderUpdate

_CALM = 400.0
"""Seconds of virtual time within which all must be known once faults have stopped."""
_LEAST_CALM = 140.0
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
        thorough = subject.profile is Profile.THOROUGH
        machine = _machine(subject, _markets(subject))
        # A thousand schedules, where it may take as long as it takes.
        subject.check_machine(machine, examples=84 if thorough else 16, steps=25)


def _markets(subject: Subject) -> list[Market]:
    """Two markets: a spot one and one with positions, where there are such."""
    offered = markets_of(subject)
    spot = [market for market in offered if market is Market.SPOT]
    others = [market for market in offered if market is not Market.SPOT]
    return [*spot[:1], *others[:1]]


Wanted = tuple[bool, int, int, int]
"""An order: whether it buys, its price in steps from the middle, its size in lots, its kind."""
ORDERS = st.tuples(st.booleans(), st.integers(-3, 3), st.integers(1, 14), st.integers(0, 5))
Fate = tuple[float, str]
"""How long is waited for an answer (whatever is next may happen before it comes, at every stage),
and what happens to it."""
FATES = st.tuples(
    st.sampled_from([2.0, 2.0, 0.0, 0.001, 0.003, 0.006, 0.009, 0.012]),
    st.sampled_from(
        (
            *("", "", "", "", "slow_answer,seconds=7,path={path},count=1"),
            *("lose_answer,path={path},count=1", "lose_answer,path={path},count=1,effect=no"),
            *("unclear,path={path},count=1", "unclear,path={path},count=1,effect=no"),
            "http,status=502,path={path},count=1",
            "http,status=502,path={path},count=1,effect=yes",
            "garble,path={path},count=1,how=html",
        )
    ),
)
USUAL = "delay,seconds=0.008"
"""Pushes take their time, too: answers may come first."""
WEATHER = (
    (USUAL,),
    ("delay,seconds=0.05",),
    ("reorder,probability=0.4",),
    ("duplicate,probability=0.4", "reorder,probability=0.2"),
    ("delay,seconds=0.3", "lag,seconds=2"),
)
FAULTS = (
    "http,status=500,count=3",
    "drop",
    "close",
    "half_open,count=1",
    "duplicate,probability=0.7,duration=5",
    "reorder,probability=0.7,duration=5",
    "gap,probability=0.5,duration=5",
    "delay,seconds=3,duration=8",
    "stall,duration=20",
    "stall_all,duration=10",
    "lag,seconds=4,duration=30",
    "refuse,status=503,duration=6",
    "no_login,duration=6",
    "clock,seconds=7,duration=30",
    "truncate",
)
"""Faults of anything."""


def _machine(subject: Subject, markets: Sequence[Market]) -> type[RuleBasedStateMachine]:
    trading = trading_of(subject)

    class Schedule(RuleBasedStateMachine):
        """One account's fate."""

        def __init__(self) -> None:
            super().__init__()
            self.world = AccountWorld(subject)
            self.other = self.world.desk.open_account("other", money=money_of(self.world.venue))
            self.stalls = [self.world.stall(market) for market in markets]
            self.placed = 0
            self.wanted = 0
            """Orders that the user asked for: each has its count for a tag."""
            self.read: set[int] = set()
            """Fills that were delivered and not acknowledged."""
            self.due: set[int] = set()
            """Those of them that have to come again, after a kill."""
            self.newest: dict[tuple[str, str], Order] = {}
            self.acknowledged = 0
            self.delivered: dict[int, int] = {}
            """How often each fill was delivered without a mark, by its number."""
            self.working: list[asyncio.Task[Any]] = []
            self.strange: list[Exception] = []
            """What calls have raised that isn't typed."""
            self.life: Life = self.world.live()
            self.judged = False

        @initialize(weather=st.sampled_from(WEATHER))
        def begin(self, weather: Sequence[str]) -> None:
            """What the network is like, until all is well."""
            self.world.fault(*weather)

        # --- the user ---

        def _at(self, which: int) -> Stall:
            return self.stalls[which % len(self.stalls)]

        def _do(self, work: Callable[[], Awaitable[Any]], patience: float = 2.0) -> None:
            """Begin something; it goes on while other things happen."""

            async def tried() -> None:
                try:
                    await work()
                except CcrsError:
                    pass
                except Exception as error:
                    self.strange.append(error)

            async def begin() -> None:
                task = asyncio.ensure_future(tried())
                self.working.append(task)
                await asyncio.wait([task], timeout=patience)

            self.world.do(begin())

        def _request(self, at: Stall, buys: bool, level: int, lots: int, kind: int) -> OrderRequest:
            self.wanted += 1
            tag = f"n{self.wanted:04d}n"
            side = Side.BUY if buys else Side.SELL
            features = trading.features[at.instrument.market]
            price = at.price + level * at.step
            if kind == 1 and Feature.MARKET_ORDERS in features:
                return at.market(side, lots, tag=tag)
            if kind == 2 and Feature.POST_ONLY in features:
                return at.limit(side, price, lots, post_only=True, tag=tag)
            if kind == 3 and Feature.IOC in features:
                return at.limit(side, price, lots, time_in_force=TimeInForce.IOC, tag=tag)
            return at.limit(side, price, lots, tag=tag)

        def _fated(self, what: str, fate: Fate, work: Callable[[], Awaitable[Any]]) -> None:
            """Begin something whose answer may not come."""
            patience, trouble = fate
            if trouble:
                for path in sorted(self.world.paths(what)):
                    self.world.fault(trouble.format(path=path))
            self._do(work, patience)

        @rule(which=st.integers(0, 1), order=ORDERS, fate=FATES)
        def place(self, which: int, order: Wanted, fate: Fate) -> None:
            request = self._request(self._at(which), *order)
            account = self.life.account
            self._fated("place", fate, lambda: account.place(request))

        @precondition(lambda self: bool(trading.batch))
        @rule(which=st.integers(0, 1), several=st.lists(ORDERS, min_size=2, max_size=4), fate=FATES)
        def place_many(self, which: int, several: list[Wanted], fate: Fate) -> None:
            requests = [self._request(self._at(which), *each) for each in several]
            account = self.life.account
            self._fated("place", fate, lambda: account.place_many(requests))

        def _open(self, number: int) -> Order | None:
            found = self.life.account.open_orders()
            return found[number % len(found)] if found else None

        @rule(
            number=st.integers(0, 20), level=st.integers(-3, 3), lots=st.integers(1, 14), fate=FATES
        )
        def amend(self, number: int, level: int, lots: int, fate: Fate) -> None:
            order = self._open(number)
            if order is None:
                return
            at = next(each for each in self.stalls if each.instrument.symbol == order.symbol)
            account, price, size = self.life.account, at.price + level * at.step, at.size * lots
            own = at.own(size)
            self._fated("amend", fate, lambda: account.amend(order, price=price, size=own))

        @rule(number=st.integers(0, 20), fate=FATES)
        def cancel(self, number: int, fate: Fate) -> None:
            order = self._open(number)
            account = self.life.account
            if order is not None:
                self._fated("cancel", fate, lambda: account.cancel(order))

        @rule(own=st.booleans())
        def cancel_all(self, own: bool) -> None:
            account = self.life.account
            self._do(lambda: account.cancel_all(own=own))

        @rule()
        def acknowledge(self) -> None:
            """What was read so far is dealt with."""
            self._count()

        @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 12.0, 70.0]))
        def wait(self, seconds: float) -> None:
            self.world.pass_time(seconds)

        # --- others ---

        @rule(which=st.integers(0, 1), buys=st.booleans(), lots=st.integers(1, 25))
        def somebody_takes(self, which: int, buys: bool, lots: int) -> None:
            """Whoever it is trades with what rests in the book, ours included; the crowd has come
            back to it before."""
            self.world.do(self._restored(markets[which % len(markets)]))
            self._by_desk(self.other, which, buys, 5 if buys else -5, lots, "")

        @rule(which=st.integers(0, 1), buys=st.booleans(), level=st.integers(-2, 2))
        def another_program_places(self, which: int, buys: bool, level: int) -> None:
            mine = self.world.desk.accounts["trader"]
            self.placed += 1
            self._by_desk(mine, which, buys, level, 2, f"web{self.placed:05d}")

        def _by_desk(
            self, account: Any, which: int, buys: bool, level: int, lots: int, identity: str
        ) -> None:
            at = self._at(which)

            async def act() -> None:
                self.world.venue.advance(self.world.clock.time_ns())
                wanted = NewOrder(
                    listing=at.listing,
                    side=Side.BUY if buys else Side.SELL,
                    size=at.size * lots,
                    price=at.price + level * at.step,
                    client_order_id=identity,
                )
                with suppress(Refused):
                    self.world.desk.place(account, wanted)
                self.life.tap.poke()
                await asyncio.sleep(0.02)

            self.world.do(act())

        async def _restored(self, market: Market) -> None:
            self.world.venue.advance(self.world.clock.time_ns())
            self.world.stall(market)
            self.life.tap.poke()

        @rule(amount=st.integers(-50, 50))
        def money_comes_or_goes(self, amount: int) -> None:
            if not amount:
                return
            account = self.world.desk.accounts["trader"]

            async def act() -> None:
                self.world.venue.advance(self.world.clock.time_ns())
                asset = self.stalls[0].listing.quote
                self.world.desk.transfer(account, asset, Decimal(amount))
                self.life.tap.poke()

            self.world.do(act())

        # --- what goes wrong ---

        @rule(fault=st.sampled_from(FAULTS))
        def something_goes_wrong(self, fault: str) -> None:
            self.world.fault(fault)

        @rule()
        def all_is_well_again(self) -> None:
            self.world.quieten()
            self.world.fault(USUAL)

        @rule(seconds=st.sampled_from([0.0, 1.0, 40.0]))
        def the_process_is_killed(self, seconds: float) -> None:
            """At once, with what its store holds; it is started again after a while."""
            self._count(acknowledge=False)
            self.world.do(self.life.kill())
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
            for _ in range(40):
                try:
                    self.life = self.world.live()
                    return
                except CcrsError:
                    # It can't be opened while the exchange is out of reach.
                    self.world.pass_time(3.0)
                    self.world.quieten()
            raise AssertionError("the account can't be opened again, whatever is tried")

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
            if fill.again:
                assert number > self.acknowledged, (
                    f"the fill {number} comes again, though {self.acknowledged} was acknowledged"
                )
                self.due.discard(number)
                return
            count = self.delivered[number] = self.delivered.get(number, 0) + 1
            assert count == 1, f"the fill {number} was delivered {count} times, unmarked"

        def _order_came(self, order: Order) -> None:
            key = order.symbol, order.client_order_id or order.exchange_order_id
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
            try:
                self._judge()
            finally:
                self.world.close()

        def _judge(self) -> None:
            world = self.world
            world.quieten()
            world.do(_calm(self.life))
            if self.strange:
                raise self.strange[0]
            self._count()
            account = self.life.account
            store = world.stores["trader"]
            orders: list[Order] = world.do(store.orders(limit=10**6))
            fills: list[Fill] = world.do(store.fills(limit=10**6))
            find = instruments_by_key(world.venue.listings.values(), subject.instruments)
            books, desk = books_of(world.money, NAME), world.desk_orders()
            orders_are_true(orders, desk, find)
            for number in range(1, self.wanted + 1):
                several = [
                    e for e in desk.values() if e.client_order_id.endswith(f"n{number:04d}n")
                ]
                assert len(several) <= 1, f"one order was asked for, there are {several}"
            fills_are_true(fills, books, find)
            positions_are_true(account.positions(), books, find)
            balances_are_true(list(account.balances().values()), books)
            assert not self.due, (
                f"fills that were read before a kill and not acknowledged don't come again: "
                f"{sorted(self.due)}, acknowledged: {self.acknowledged}"
            )
            told = set(self.delivered)
            missing = [fill for fill in fills if fill.number not in told]
            assert not missing, f"a fill was never delivered: {missing[0]}"
            self._reap()
            world.do(self.life.stop())

    return Schedule


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
