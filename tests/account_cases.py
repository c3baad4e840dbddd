"""A client's account at an emulated exchange for one case of what goes wrong in trading, and the
checks that every case ends in:

(a) one request to place for each call, (b) the ledger is the exchange's truth, (c) filled never
falls and what has ended stays so, (d) nothing is uncertain once faults have ended, (e) a restart
brings nothing that was acknowledged, (f) nothing is raised by itself, and nothing storms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import attrs
import pytest

from ccrs_core import (
    Adjustment,
    CcrsError,
    EndReason,
    Fill,
    HttpRequest,
    Market,
    Order,
    OrderRequest,
    OrderState,
    OrderUpdate,
    Side,
)
from ccrs_core.conformance.judges.account_truth import (
    balances_are_true,
    books_of,
    fills_are_true,
    instruments_by_key,
    orders_are_true,
    positions_are_true,
)
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, untold_of
from ccrs_core.emulator import DeskOrder, NewOrder, TradingAccount
from ccrs_core.trading.account import Account
from ccrs_core.transport.departure import leaves_now

T = TypeVar("T")
C = TypeVar("C", bound="AccountCase")
_LATER = 70.0
"""Seconds within which all is found that could be."""


class AccountCase:
    """One case: the exchange, and a client's account there. ``life`` is the process of now."""

    market = Market.LINEAR
    """Where things happen unless a test says otherwise."""
    purses: Mapping[str, str] = {NAME: ""}
    """What the desk calls the client's accounts, and which wallet each of them is."""

    def __init__(self, subject: Subject, **settings: Any) -> None:
        self.subject = subject
        self.world = AccountWorld(subject, **{"rate": 0.2, **settings})
        self.venue, self.desk = self.world.venue, self.world.desk
        self.life: Life
        self.calls = 0
        """Orders that the user has asked to place."""
        self.repeats = 0
        """Placements beyond those: after a refusal that proves that nothing was taken."""
        self.most_requests = 300
        self.presumed = 0
        """Orders of which no proof can come."""
        self.others: str | tuple[str, ...] = "web"
        """What client ids begin with that this program hasn't given."""
        self.unheard: frozenset[str] = frozenset()
        """Wallets of which no stream tells, and what they begin with is told late."""
        self.older: set[str] = set()
        """Client ids of orders whose fills no list tells any more."""
        self.reasons: dict[EndReason, EndReason] = {}
        """Reasons of ends that the exchange doesn't tell from others, and which it was."""
        self.twice: set[str] = set()
        """Client ids of which the exchange has two orders."""
        self._numbers = count(1)
        self._lives: list[Life] = []

    # --- the client ---

    @property
    def account(self) -> Account:
        return self.life.account

    async def begin(self) -> None:
        """Start the client's process, with what its store holds."""
        self.life = Life(self.world, NAME)
        self._lives.append(self.life)
        await self.life.start()

    async def kill(self) -> None:
        await self.life.kill()

    async def place(self, request: OrderRequest, **how: Any) -> Any:
        self.calls += 1
        return await self.account.place(request, **how)

    async def failed(self, work: Awaitable[Any], kind: type[T]) -> T:
        """The error that a call ends in."""
        with pytest.raises(CcrsError) as failure:
            await work
        error = failure.value
        assert isinstance(error, kind), repr(error)
        return error

    def of(self, kind: type[T]) -> list[T]:
        """The events of a kind that were delivered, by all lives."""
        return [event for life in self._lives for event in life.events if isinstance(event, kind)]

    def sent(self, path: str) -> list[HttpRequest]:
        """The requests of a path that have left."""
        return [
            request
            for life in self._lives
            for _, _, request in life.tap.requests
            if request.path == path
        ]

    def places(self, request: HttpRequest) -> bool:
        """Whether a request places orders."""
        return request.method != "GET" and request.path in self.world.paths("place")

    def named(self, fill: Fill) -> Fill:
        """Somebody else's fill with the client's id of its order, where its exchange's lists name
        none."""
        return fill

    def order(self, which: Any) -> Order:
        found = self.account.order(getattr(which, "client_order_id", which))
        assert found is not None
        return found

    def takes_long(self, path: str, seconds: float, *, method: str = "") -> None:
        """Requests of a path (and method) are on their way for so long."""
        tap = self.life.tap
        quick = tap.request

        async def request(base_url: str, asked: HttpRequest) -> Any:
            if asked.path == path and asked.method == (method or asked.method):
                leaves_now()
                await asyncio.sleep(seconds)
            return await quick(base_url, asked)

        tap.request = request  # type: ignore[method-assign]

    # --- the exchange ---

    def purse_of(self, market: Market) -> str:
        """The wallet that a market's orders are paid from."""
        declared = self.subject.exchange.trading
        assert declared is not None
        return declared.purses.get(market, "")

    def trader_of(self, market: Market) -> TradingAccount:
        """The desk's account that a market's orders are of."""
        names = {purse: name for name, purse in self.purses.items()}
        return self.desk.accounts[names[self.purse_of(market)]]

    @property
    def trader(self) -> TradingAccount:
        return self.trader_of(self.market)

    def stall(self, market: Market | None = None, number: int = 0) -> Stall:
        return self.world.stall(market or self.market, number)

    def by_hand(self, at: Stall, side: Side, size: Decimal | None = None, **more: Any) -> DeskOrder:
        """Somebody trades on the account, not by this program."""
        self._now()
        asked = {"price": at.crossing(side, 3), "client_order_id": f"web{next(self._numbers)}"}
        asked["size"] = at.size if size is None else size
        order = self.desk.place(
            self.trader_of(at.listing.market),
            NewOrder(listing=at.listing, side=side, **{**asked, **more}),
        )
        self.life.tap.poke()
        return order

    def meet(self, at: Stall, side: Side, size: Decimal, price: Decimal) -> None:
        """Somebody else takes what rests there: ``side`` is theirs."""
        self._now()
        self.venue.submit(at.listing, side, size, price=price, owner="somebody")
        self.life.tap.poke()

    def _now(self) -> None:
        self.venue.advance(max(self.world.clock.time_ns(), self.venue.now_ns))

    def triggers_anew(self) -> None:
        """Orders that a trigger brings to life have ids of their own."""
        object.__setattr__(self.desk.conduct, "triggers_anew", lambda listing: True)

    def drop(self) -> None:
        """All connections break."""
        for peer in tuple(self.venue.peers):
            peer.abort()
        self.life.tap.poke()

    def fault(self, *texts: str) -> None:
        self.world.fault(*texts)

    def heal(self) -> None:
        self.world.quieten()

    # --- the end ---

    async def is_true(self) -> None:
        """The ledger is what the exchange has."""
        store = self.world.stores[NAME]
        find = instruments_by_key(self.venue.listings.values(), self.subject.instruments)
        orders = {n: o for name in self.purses for n, o in self.world.desk_orders(name).items()}
        # What the exchange places itself is told by its fills alone.
        orders = {number: each for number, each in orders.items() if each.by is None}
        orders = {n: each for n, each in orders.items() if each.client_order_id not in self.twice}
        mine = [
            each
            for each in await store.orders(limit=10**6)
            if each.origin != "exchange" and each.client_order_id not in self.twice
        ]
        mine = [attrs.evolve(o, reason=self.reasons.get(o.reason, o.reason)) for o in mine]
        orders_are_true(mine, orders, find, self.others, untold_of(self.subject))
        fills = [self.named(each) for each in await store.fills(limit=10**6)]
        for name, purse in self.purses.items():
            books = books_of(self.world.money, name)
            books.fills[:] = [e for e in books.fills if e.client_order_id not in self.older]
            fills_are_true([e for e in fills if self.purse_of(e.market) == purse], books, find)
            positions_are_true(
                [e for e in self.account.positions() if self.purse_of(e.market) == purse],
                books,
                find,
            )
            balances = self.account.balances().values()
            balances_are_true([each for each in balances if each.purse == purse], books)

    async def end(self) -> None:
        """What every case ends in."""
        self.heal()
        await asyncio.sleep(_LATER)
        left = [each for life in self._lives for _, _, each in life.tap.requests]
        assert sum(map(self.places, left)) == self.calls + self.repeats
        assert len(left) <= self.most_requests, f"{len(left)} requests: a storm"
        await self.is_true()
        for life in self._lives:
            updates = [each for each in life.events if isinstance(each, OrderUpdate)]
            _only_climbs(e for e in updates if e.order.client_order_id not in self.twice)
        assert self.account.synced, self.account.reason
        assert not self.account.unknown_orders()
        absent = [o for o in self.account.orders() if o.state is OrderState.PRESUMED_ABSENT]
        assert len(absent) == self.presumed
        assert all(life.failed is None for life in self._lives)
        numbered = [e.number for e in self.life.events if hasattr(e, "number")]
        last = max(numbered, default=0)
        if last:
            await self.life.acknowledge(last)
        await self.kill()
        known = {(e.symbol, e.fill_id, e.exchange_order_id) for e in self.of(Fill)}
        await self.begin()
        await asyncio.sleep(5.0)
        for event in self.life.events:
            number = getattr(event, "number", None)
            assert number is None or number > last, f"it was acknowledged: {event}"
            if isinstance(event, Fill):
                key = (event.symbol, event.fill_id, event.exchange_order_id)
                assert key not in known, f"twice: {event}"
            made_up = isinstance(event, Adjustment) and event.purse not in self.unheard
            assert not made_up, f"made up by a restart: {event}"
        await self.is_true()
        assert self.life.failed is None


def play(case: C, scenario: Callable[[C], Awaitable[None]]) -> None:
    """One case from the start of its client to the checks."""

    async def whole() -> None:
        await case.begin()
        await scenario(case)
        await case.end()
        await case.life.stop()

    try:
        case.world.do(whole())
    finally:
        case.world.close()


def _only_climbs(updates: Iterable[OrderUpdate]) -> None:
    known: dict[str, Order] = {}
    for update in updates:
        order = update.order
        key = order.client_order_id or order.exchange_order_id
        before = known.get(key)
        if before is not None:
            assert order.filled_size >= before.filled_size, f"filled fell: {before} -> {order}"
            if before.state.final:
                assert order.state is before.state, f"ended twice: {before} -> {order}"
        known[key] = order


@attrs.frozen
class Said:
    """A state of an order as it was told."""

    state: OrderState
    filled: Decimal
    complete: bool


def told(case: AccountCase, which: Any) -> list[Said]:
    """What was told of an order, in order."""
    identity = getattr(which, "client_order_id", which)
    return [
        Said(each.order.state, each.order.filled_size, each.order.fills_complete)
        for each in case.of(OrderUpdate)
        if each.order.client_order_id == identity
    ]
