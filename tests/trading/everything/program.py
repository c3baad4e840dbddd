"""A user's program as a process of its own: it trades on two accounts of each of three exchanges,
with their market data and all that happens to the accounts in one loop, until it is killed. It
writes down what it is about to do and what it was told.

Started as ``python -m tests.trading.everything.program FOLDER SEED VIA NAME=URL=SYMBOL,…  …``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import ccrs_core
from ccrs_core import (
    Account,
    CcrsError,
    Client,
    Clients,
    Fill,
    SqliteStore,
    SubscriptionRefused,
    TopOfBook,
    top_of_book,
)
from tests.trading.everything.venues import ACCOUNTS, key_of
from tests.trading.processes.program import Diary, Leaving, Program

_AT_ONCE = 4
"""Calls of one account that are under way at most."""
_PAUSES = (0.0, 0.01, 0.05, 0.2)


class Desk(Program):
    """One account: places, amends, cancels at random. Prices come from the one loop."""

    def __init__(
        self, client: Client, account: Account, home: Path, seed: int, symbols: Sequence[str]
    ) -> None:
        self._priced = asyncio.Event()
        self._tried: set[str] = set()
        path = home / "diary"
        lines = path.read_text().splitlines() if path.exists() else []
        count = max((json.loads(line).get("want", 0) for line in lines), default=0)
        super().__init__(client, account, Diary(path), seed, symbols, count)

    async def look(self) -> None:
        """The rules of what is traded."""
        listed = await self.client.get_instruments()
        self.rules = {each.symbol: each for each in listed if each.symbol in self.symbols}

    def quoted(self, top: TopOfBook) -> None:
        price = top.ask_price or top.bid_price
        if price and top.symbol in self.rules:
            self.prices[top.symbol] = price
            self._priced.set()

    def act(self) -> Awaitable[Any]:
        new = [each for each in self.prices if each not in self._tried]
        if not new:
            return super().act()
        # Each is traded once before all else: of what it has nothing to do with an account is told
        # no list.
        self._tried.add(new[0])
        kept, self.prices = self.prices, {new[0]: self.prices[new[0]]}
        try:
            return self.account.place(self.request())
        finally:
            self.prices = kept

    async def trade(self) -> None:
        self._tried = {each.symbol for each in self.account.orders()}
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(work: Awaitable[Any]) -> None:
            try:
                with contextlib.suppress(CcrsError):
                    await work
            finally:
                free.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                await self._priced.wait()
                group.create_task(one(self.act()))
                await asyncio.sleep(self.random.choice(_PAUSES))

    def told(self, event: Any) -> bool:
        """Note what is to be delivered once; whether it is dealt with."""
        number = getattr(event, "number", None)
        if isinstance(event, Fill):
            self.diary.note(fill=number, again=event.again)
        if number and self.random.random() < 0.3:
            self.diary.note(acknowledged=number)
            return True
        return False


class Everything:
    """The six accounts and the market data of all."""

    def __init__(self, clients: Clients, desks: Sequence[Desk]) -> None:
        self.clients = clients
        self.desks = {(each.client.exchange.name, each.account.name): each for each in desks}

    async def run(self) -> None:
        for each in self.desks.values():
            await each.look()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.read())
            group.create_task(self.heed())
            for each in self.desks.values():
                group.create_task(each.trade())

    async def read(self) -> None:
        """All that comes, in one loop."""
        wanted = [
            top_of_book(f"{exchange}:{symbol}")
            for exchange in self.clients
            for symbol in self.desks[exchange, ACCOUNTS[0]].symbols
        ]
        quotes = self.clients.subscribe(*wanted, policy="conflate")
        begins = {name: each.account.number for name, each in self.desks.items()}
        events = [each.account.events(consumer="judge") for each in self.desks.values()]
        async with ccrs_core.merge(quotes, *events) as feed:
            for name, each in self.desks.items():
                each.diary.note(reads=begins[name])
            while True:
                try:
                    async for event in feed:
                        if isinstance(event, TopOfBook):
                            for account in ACCOUNTS:
                                self.desks[event.exchange, account].quoted(event)
                            continue
                        account = getattr(event, "account", None)
                        if account and self.desks[event.exchange, account].told(event):
                            feed.acknowledge(event)
                    return
                except SubscriptionRefused:
                    continue  # of market data, while an exchange is out of order

    async def heed(self) -> None:
        """Read the lists when told so, and leave when told so, as long as it comes to that."""
        loop, reads, ends = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, reads.set)
        loop.add_signal_handler(signal.SIGTERM, ends.set)

        async def again() -> None:
            while await reads.wait():
                reads.clear()
                await asyncio.gather(*(each.account.reconcile() for each in self.desks.values()))

        async with asyncio.TaskGroup() as group:
            group.create_task(again())
            await ends.wait()
            raise Leaving


async def life(folder: Path, seed: int, via: str, venues: dict[str, tuple[str, list[str]]]) -> None:
    """Until something ends it."""
    made = [
        ccrs_core.connect(name, base_url=url, credentials=key_of(ACCOUNTS[0]))
        for name, (url, _) in venues.items()
    ]
    async with ccrs_core.connect_many(*made) as clients, contextlib.AsyncExitStack() as stack:
        desks = []
        for name, (_, symbols) in venues.items():
            for number, account in enumerate(ACCOUNTS):
                home = folder / f"{name}-{account}"
                opened = clients[name].account(
                    account,
                    credentials=key_of(account),
                    store=SqliteStore(home / "ledger.db"),
                    via=via,
                    presume_absent_after=3.0,
                )
                desks.append(Desk(clients[name], opened, home, seed + number, symbols))
        async with asyncio.TaskGroup() as group:
            for each in desks:
                group.create_task(stack.enter_async_context(each.account))
        for each in desks:
            each.diary.note(open=True)
        await Everything(clients, desks).run()


async def main(folder: str, seed: str, via: str, *venues: str) -> None:
    wanted = {}
    for each in venues:
        name, url, symbols = each.split("=")
        wanted[name] = url, symbols.split(",")
        for account in ACCOUNTS:
            (Path(folder) / f"{name}-{account}").mkdir(exist_ok=True)
    diary = Diary(Path(folder) / "diary")
    diary.note(life=True)
    random.seed(int(seed))
    leaving = False
    while not leaving:
        try:
            await life(Path(folder), int(seed), via, wanted)
        except* Leaving:
            diary.note(left=True)
            leaving = True
        except* CcrsError as error:
            # As a program does that is run by a supervisor: it says why, and is started again.
            found: BaseException = error
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            diary.note(ended=repr(found))
            await asyncio.sleep(0.2)
        except* BaseException as error:
            diary.note(broken=repr(error))
            raise


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
