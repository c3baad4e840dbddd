"""A user's program as a process of its own: it trades until it is killed, and writes down what it
is about to do and what it was told.

Started as ``python -m tests.trading.processes.program NAME URL FOLDER SEED VIA SYMBOL…``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccrs_core
from ccrs_core import (
    Account,
    CcrsError,
    Client,
    Credentials,
    Fill,
    Instrument,
    Market,
    OrderRequest,
    Side,
    SqliteStore,
    limit,
    market,
)

KEY = Credentials("traderKey", "traderSecret", "emulator")
HEDGED = "!"
"""After the symbol of what has two positions."""
_AT_ONCE = 8
"""Calls that are under way at most."""


class Diary:
    """Lines that stay, whatever ends the process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def note(self, **what: Any) -> None:
        self._file.write(json.dumps(what).encode() + b"\n")


class Leaving(Exception):
    """It was asked to end."""


class Program:
    """Places, amends, cancels at random, and reads."""

    def __init__(
        self,
        client: Client,
        account: Account,
        diary: Diary,
        seed: int,
        symbols: Sequence[str],
        count: int,
    ) -> None:
        self.client, self.account, self.diary = client, account, diary
        self.random = random.Random(seed)
        self.symbols = [each.removesuffix(HEDGED) for each in symbols]
        self.hedged = {each.removesuffix(HEDGED) for each in symbols if each.endswith(HEDGED)}
        self.count = count
        """Orders that were wanted, in all lives."""
        self.prices: dict[str, Decimal] = {}
        self.rules: dict[str, Instrument] = {}

    async def look(self) -> None:
        if not self.rules:
            listed = await self.client.get_instruments()
            self.rules = {each.symbol: each for each in listed if each.symbol in self.symbols}
        for symbol in self.symbols:
            top = await self.client.get_top_of_book(symbol)
            if price := top.ask_price or top.bid_price:
                self.prices[symbol] = price

    def request(self) -> OrderRequest:
        rng, symbol = self.random, self.random.choice(list(self.prices))
        rules, side = self.rules[symbol], rng.choice(list(Side))
        tick, lot = rules.tick_size, rules.lot_size
        assert tick is not None
        assert lot is not None
        price = (self.prices[symbol] * (1000 + rng.randint(-2, 2)) / 1000) // tick * tick
        least = max(rules.min_size or lot, (rules.min_notional or Decimal(5)) / price * 2)
        size = (least * rng.randint(1, 8)) // lot * lot + lot
        self.count += 1
        tag = f"n{self.count:06d}n"
        self.diary.note(want=self.count)
        more: dict[str, Any] = {"size": size, "tag": tag}
        if symbol in self.hedged:
            more["position_side"] = rng.choice(["long", "short"])
        match rng.randrange(6):
            case 0 if rules.market is not Market.OPTION:
                return market(symbol, side, **more)
            case 1:
                return limit(symbol, side, price=price, post_only=True, **more)
            case 2:
                return limit(symbol, side, price=price, time_in_force="ioc", **more)
            case _:
                return limit(symbol, side, price=price, **more)

    def act(self) -> Awaitable[Any]:
        rng, account = self.random, self.account
        found = account.open_orders()
        chance = rng.random()
        if found and chance < 0.25:
            return account.cancel(rng.choice(found))
        if found and chance < 0.4:
            order = rng.choice(found)
            if order.symbol in self.prices:
                tick = self.rules[order.symbol].tick_size
                assert tick is not None
                price = self.prices[order.symbol] * (1000 + rng.randint(-2, 2)) / 1000
                return account.amend(order, price=price // tick * tick)
        if chance < 0.45:
            return account.cancel_all(own=rng.random() < 0.5)
        if chance < 0.55:
            return account.place_many([self.request() for _ in range(rng.randint(2, 4))])
        return account.place(self.request())

    async def trade(self) -> None:
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(work: Awaitable[Any]) -> None:
            try:
                await work
            except CcrsError:
                pass
            finally:
                free.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                if self.random.random() < 0.02:
                    with contextlib.suppress(CcrsError):
                        await self.look()
                group.create_task(one(self.act()))
                await asyncio.sleep(self.random.choice([0.0, 0.0, 0.01, 0.05]))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.read())
            group.create_task(self.heed())
            await self.look()
            group.create_task(self.trade())

    async def heed(self) -> None:
        """Read the lists when told so, and leave when told so, as long as it comes to that."""
        loop, reads, ends = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, reads.set)
        loop.add_signal_handler(signal.SIGTERM, ends.set)

        async def again() -> None:
            while await reads.wait():
                reads.clear()
                self.diary.note(reconciles=True)
                await self.account.reconcile()

        async with asyncio.TaskGroup() as group:
            group.create_task(again())
            await ends.wait()
            self.diary.note(closes=True)
            raise Leaving

    async def read(self) -> None:
        begin = self.account.number
        async with self.account.events(consumer="judge") as feed:
            self.diary.note(reads=begin)
            async for event in feed:
                number = getattr(event, "number", None)
                if isinstance(event, Fill):
                    self.diary.note(fill=number, again=event.again)
                if number and self.random.random() < 0.3:
                    feed.acknowledge(number)
                    self.diary.note(acknowledged=number)


async def main(name: str, url: str, folder: str, seed: str, via: str, *symbols: str) -> None:
    home = Path(folder)
    path = home / "diary"
    lines = path.read_text().splitlines() if path.exists() else []
    count = max((json.loads(line).get("want", 0) for line in lines), default=0)
    diary = Diary(path)
    diary.note(life=True)
    random.seed(int(seed))
    leaving = False
    while not leaving:
        try:
            async with ccrs_core.connect(name, base_url=url, credentials=KEY) as client:
                account = client.account(
                    store=SqliteStore(home / "ledger.db"),
                    via=via,
                    presume_absent_after=3.0,
                )
                async with account:
                    diary.note(open=True)
                    await Program(client, account, diary, int(seed), symbols, count).run()
        except* Leaving:
            diary.note(left=True)
            leaving = True
        except* CcrsError as error:
            # As a program does that is run by a supervisor: it says why, and is started again.
            diary.note(ended=repr(error.exceptions[0]))
            lines = path.read_text().splitlines()
            count = max((json.loads(line).get("want", 0) for line in lines), default=0)
            await asyncio.sleep(0.2)
        except* BaseException as error:
            diary.note(broken=repr(error))
            raise


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
