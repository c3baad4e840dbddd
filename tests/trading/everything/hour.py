"""An hour of trading on three exchanges at once, six accounts in one loop, in virtual time:
connections that drop, answers that are lost, pushes that come late, twice or out of order, others
on the same accounts. In the end each ledger is what its exchange's money tape says."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

import ccrs_core
from ccrs_core import Account, CcrsError, Fill, MergedEvents, SubscriptionRefused, TopOfBook
from ccrs_core.conformance.workbench.account_stores import SteppedStore
from ccrs_core.conformance.workbench.account_world import Lifeline
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import HOST
from ccrs_core.trading.client_ids import ClientIdMaker
from ccrs_core.trading.store import LedgerName
from ccrs_core.transport.memory import START_NS, VirtualClock, run
from tests.trading.everything.exchange import Floor
from tests.trading.everything.venues import (
    ACCOUNTS,
    EXCHANGES,
    OTHER,
    entry_paths,
    key_of,
)
from tests.trading.everything.verdict import Figures, Held, judge, nothing_twice, stored
from tests.trading.hours import objects
from tests.trading.processes.program import Program

_FAULTS = (
    *("drop", "drop", "close", "half_open,count=1", "lose_answer,path={path},count=1"),
    *("lose_answer,path={path},count=1,effect=no", "unclear,path={path},count=1"),
    *("duplicate,probability=0.5,duration=5", "reorder,probability=0.5,duration=5"),
    *("gap,probability=0.4,duration=5", "delay,seconds=0.5,duration=5", "lag,seconds=2,duration=4"),
    *("http,status=500,count=2", "refuse,status=503,duration=2"),
)
_AT_ONCE = 2
"""Calls of one account that are under way at most."""
_SETTLES = 200.0
"""Seconds within which all that was unclear is found out."""


class _NoDiary:
    """Nobody reads it: this program isn't killed."""

    def note(self, **what: Any) -> None: ...


class Trading(Program):
    """One account's orders."""

    def __init__(self, client: Any, account: Account, seed: int, symbols: Sequence[str]) -> None:
        super().__init__(client, account, _NoDiary(), seed, symbols, 0)  # type: ignore[arg-type]
        self.tasks: set[asyncio.Task[None]] = set()
        self.fills: list[tuple[int, bool]] = []

    async def look(self) -> None:
        listed = await self.client.get_instruments()
        self.rules = {each.symbol: each for each in listed if each.symbol in self.symbols}

    def step(self) -> bool:
        """Do something, unless much is under way."""
        if len(self.tasks) >= _AT_ONCE or not self.prices:
            return False
        task = asyncio.ensure_future(self._one(self.act()))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return True

    async def _one(self, work: Any) -> None:
        with contextlib.suppress(CcrsError):
            await work


@attrs.define
class Outcome:
    """What the hour has come to."""

    objects: list[Counter[str]] = attrs.field(factory=list)
    """Of the client, at the moments that were asked for."""
    acts: int = 0
    faults: Counter[str] = attrs.field(factory=Counter)
    notices: Counter[str] = attrs.field(factory=Counter)
    quotes: int = 0
    accounts: list[Figures] = attrs.field(factory=list)

    @property
    def wrong(self) -> list[str]:
        return [each for account in self.accounts for each in account.wrong]

    def __str__(self) -> str:
        rows = [
            f"{each.name}: {each.wanted} wanted, {each.orders} orders, {each.others} of others, "
            f"{each.fills} fills, {each.entries} entries, {len(each.wrong)} differences"
            for each in self.accounts
        ]
        rows.append(
            f"{self.acts} acts, {self.quotes} quotes, {self.faults.total()} faults, "
            f"{dict(self.notices)}"
        )
        return "\n".join(rows + [f"WRONG {each}" for each in self.wrong])


class Place:
    """One exchange of the hour."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.subject = Subject(name)
        self.tape: list[str] = []
        self.floor = Floor(self.subject, seed, 0.5, START_NS, self.tape.append)
        self.clock = VirtualClock(START_NS)
        self.line = Lifeline(self.floor.venue, self.clock)
        self.paths = entry_paths(self.subject)
        self.symbols = [each.symbol for each in self.floor.traded]
        self.client = ccrs_core.connect(
            self.subject.make(),
            base_url=HOST,
            transport=self.line,
            clock=self.clock,
            credentials=key_of(ACCOUNTS[0]),
        )

    def act(self, what: Callable[[], object]) -> None:
        """Let something happen at the exchange now."""
        self.floor.venue.advance(self.clock.time_ns())
        what()
        self.line.poke()

    def forget(self) -> None:
        """What the bench writes down isn't the client's."""
        self.line.sent.clear()
        self.line.requests.clear()
        self.line.attempts.clear()


class Hour:
    """Six accounts, and all that happens to them."""

    def __init__(self, folder: Path, seed: int, exchanges: Sequence[str] = EXCHANGES) -> None:
        self.folder, self.seed = folder, seed
        self.random = random.Random(seed)
        self.places = {name: Place(name, seed) for name in exchanges}
        self.outcome = Outcome()
        self.desks: dict[tuple[str, str], Trading] = {}
        self.stores: dict[tuple[str, str], SteppedStore] = {}

    def run(self, *moments: int) -> Outcome:
        """:param moments: seconds after which objects are counted; the last one is the end."""
        kept = random.getstate()
        random.seed(self.seed)
        with pytest.MonkeyPatch.context() as seam:
            seam.setattr(ClientIdMaker, "drawn", staticmethod(random.randrange))
            try:
                held = run(self._main(moments))
            finally:
                random.setstate(kept)
        asyncio.run(self._judge(held))
        return self.outcome

    async def _main(self, moments: Sequence[int]) -> dict[tuple[str, str], Any]:
        made = [each.client for each in self.places.values()]
        async with ccrs_core.connect_many(*made) as clients, contextlib.AsyncExitStack() as stack:
            for number, (name, place) in enumerate(self.places.items()):
                for account in ACCOUNTS:
                    home = self.folder / f"{name}-{account}"
                    home.mkdir(parents=True)
                    store = self.stores[name, account] = SteppedStore(home)
                    opened = clients[name].account(
                        account, credentials=key_of(account), store=store
                    )
                    await stack.enter_async_context(opened)
                    seed = self.seed + 10 * number + ACCOUNTS.index(account)
                    desk = Trading(place.client, opened, seed, place.symbols)
                    self.desks[name, account] = desk
                    await desk.look()
            wanted = [
                ccrs_core.top_of_book(f"{name}:{symbol}")
                for name, place in self.places.items()
                for symbol in place.symbols
            ]
            events = [each.account.events(consumer="judge") for each in self.desks.values()]
            quotes = clients.subscribe(*wanted, policy="conflate")
            async with ccrs_core.merge(quotes, *events) as feed:
                reader = asyncio.ensure_future(self._read(feed))
                try:
                    await self._hour(moments)
                finally:
                    await asyncio.sleep(1.0)
                    reader.cancel()
                    await asyncio.wait([reader])
                if not reader.cancelled():
                    reader.result()
            return {
                name: (
                    LedgerName(name[0], each.client.environment, name[1]),
                    each.account.positions(),
                    list(each.account.balances().values()),
                )
                for name, each in self.desks.items()
            }

    async def _read(self, feed: MergedEvents) -> None:
        """Market data and accounts, in one loop."""
        while True:
            try:
                async for event in feed:
                    if isinstance(event, TopOfBook):
                        self._quoted(event)
                        continue
                    number = getattr(event, "number", None)
                    if number is None:
                        self.outcome.notices[event.type] += 1
                        continue
                    if isinstance(event, Fill):
                        fills = self.desks[event.exchange, event.account].fills
                        fills.append((event.number, event.again))
                    if number % 20 == 0:
                        feed.acknowledge(event)
                return
            except SubscriptionRefused:
                continue

    def _quoted(self, top: TopOfBook) -> None:
        self.outcome.quotes += 1
        price = top.ask_price or top.bid_price
        for account in ACCOUNTS:
            if price:
                self.desks[top.exchange, account].prices[top.symbol] = price

    async def _hour(self, moments: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        began, second = loop.time(), 0
        for moment in moments:
            while second < moment:
                second += 1
                self._second(second)
                await asyncio.sleep(max(0.0, began + second - loop.time()))
            await self._calm()
            began = loop.time() - second
            self.outcome.objects.append(objects())

    def _second(self, second: int) -> None:
        rng, desks = self.random, list(self.desks.values())
        self.outcome.acts += desks[second % len(desks)].step()
        place = rng.choice(list(self.places.values()))
        floor = place.floor
        if second % 3 == 0:
            mine = rng.random() < 0.3
            place.act(lambda: floor.somebody_acts(rng.choice(ACCOUNTS) if mine else OTHER))
        if second % 20 == 0:
            place.act(floor.end_one)
        if second % 25 == 0:
            fault = rng.choice(_FAULTS).format(path=rng.choice(place.paths))
            self.outcome.faults[fault.partition(",")[0]] += 1
            floor.venue.faults.add(fault)
        if second % 60 == 0:
            for each in self.places.values():
                each.forget()

    async def _calm(self) -> None:
        """Until all is known, without faults."""
        for place in self.places.values():
            place.floor.venue.faults.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLES
        await asyncio.sleep(130.0)
        while unclear := [each.account for each in self.desks.values() if not _clear(each)]:
            if loop.time() > until:
                why = {str(each): (each.reason, each.unknown_orders()) for each in unclear}
                raise AssertionError(f"not whole {_SETTLES:g} s after the last fault: {why}")
            await asyncio.sleep(1.0)
        for place in self.places.values():
            place.forget()

    async def _judge(self, held: dict[tuple[str, str], Any]) -> None:
        for (exchange, name), (ledger, positions, balances) in held.items():
            place, desk = self.places[exchange], self.desks[exchange, name]
            figures = Figures(f"{exchange}-{name}", wanted=desk.count)
            self.outcome.accounts.append(figures)
            orders, fills = await stored(self.stores[exchange, name].path, ledger)
            true = place.floor.orders[name]
            wallets = place.floor.wallets(name)
            judge(
                figures,
                place.subject,
                place.tape,
                wallets,
                true,
                Held(orders, fills, positions, balances),
            )
            placed = {k: v for k, v in place.floor.placements.items() if k.startswith(f"{name}:")}
            nothing_twice(figures, placed, true)
            told, kept = Counter(desk.fills), Counter((fill.number, False) for fill in fills)
            if told != kept or desk.fills != sorted(desk.fills):
                figures.wrong.append(
                    f"{figures.name}: not each fill was delivered once, in order: missing "
                    f"{sorted(kept - told)[:9]}, too many {sorted(told - kept)[:9]}"
                )


def _clear(desk: Trading) -> bool:
    return desk.account.synced and not desk.account.unknown_orders() and not desk.tasks
