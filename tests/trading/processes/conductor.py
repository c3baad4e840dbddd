"""Lets a program trade, kills it at random moments, starts it again on the same store; in the end
its ledger must be what the exchange's money tape says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs

import ccrs_core
from ccrs_core import Account, SqliteStore
from ccrs_core.conformance.judges.account_truth import (
    fills_are_true,
    instruments_by_key,
    money_is_true,
    orders_are_true,
    positions_are_true,
)
from ccrs_core.conformance.judges.accountant import account_books
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import untold_of
from ccrs_core.emulator import DeskOrder
from ccrs_core.trading.store import LedgerName
from tests.trading.processes.deaths import kill
from tests.trading.processes.others.clients import installed
from tests.trading.processes.others.other import MARK
from tests.trading.processes.program import HEDGED, KEY

ROOT = Path(__file__).parents[3]
FAULTS = (
    *("", "", "", "lose_answer,path={path},count=2", "lose_answer,path={path},count=2,effect=no"),
    *("unclear,path={path},count=2", "http,status=502,path={path},count=2,effect=yes"),
    *("http,status=500,count=3", "slow_answer,seconds=0.5,path={path},count=4"),
    *("drop", "close", "half_open,count=1", "duplicate,probability=0.5,duration=3"),
    *("reorder,probability=0.5,duration=3", "gap,probability=0.4,duration=3"),
    *("delay,seconds=0.5,duration=3", "stall,duration=4", "lag,seconds=2,duration=4"),
    *("refuse,status=503,duration=2", "no_login,duration=2"),
)
MOMENTS = ("time", "time", "commit", "commit", "before", "after", "frozen", "reading", "closing")
_ITS_OWN = 9
"""Characters of the ids of what the exchange's own process places for the account."""
_BAN_NS = 10 * 10**9
_PATIENCE = 60.0
_CALM = 240.0


@attrs.define
class Figures:
    """What was done."""

    seconds: float = 0.0
    calm: float = 0.0
    """Seconds after all faults until all was known."""
    kills: Counter[str] = attrs.field(factory=Counter)
    wanted: int = 0
    orders: int = 0
    others: int = 0
    """Of ``orders``, those of other clients."""
    fills: int = 0
    entries: int = 0
    ended: Counter[str] = attrs.field(factory=Counter)
    """Why programs ended by themselves."""

    def __str__(self) -> str:
        kills = ", ".join(f"{count} by {how}" for how, count in sorted(self.kills.items()))
        return (
            f"{self.seconds:.0f} s, whole {self.calm:.0f} s after all faults, "
            f"{self.kills.total()} kills ({kills}), {self.wanted} orders "
            f"wanted, {self.orders} at the exchange ({self.others} by others' clients), "
            f"{self.fills} fills, {self.entries} entries of the ledger, ended by itself "
            f"{dict(self.ended)}"
        )


class Exchange:
    """The process of the exchange, told what to do."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""
        self.symbols: list[str] = []
        self.natives: list[str] = []
        """What other programs trade."""
        self.wallets: dict[str, str] = {}
        """What the tape calls the account's wallets, by purse."""

    async def hear(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            return json.loads(await self._process.stdout.readline())

    async def tell(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        return await self.hear()


async def _started(module: str, *arguments: object, **pipes: Any) -> asyncio.subprocess.Process:
    name = f"tests.trading.processes.{module}"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", name, *map(str, arguments), cwd=ROOT, **pipes
    )


@contextlib.asynccontextmanager
async def _exchange(name: str, folder: Path, seed: int, rate: float) -> AsyncIterator[Exchange]:
    pipe = asyncio.subprocess.PIPE
    process = await _started("exchange", name, folder, seed, rate, stdin=pipe, stdout=pipe)
    try:
        found = Exchange(process)
        first = await found.hear()
        found.url, found.natives = first["url"], first["natives"]
        found.wallets = first["wallets"]
        marks = dict.fromkeys(first["hedged"], HEDGED)
        found.symbols = [symbol + marks.get(symbol, "") for symbol in first["symbols"]]
        yield found
    finally:
        process.kill()
        await process.wait()


async def _end(client: str, process: asyncio.subprocess.Process) -> None:
    over = process.returncode
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    assert over is None, f"{client} has ended by itself"


class Conductor:
    """One run: lives, and the judgement."""

    def __init__(self, name: str, folder: Path, seed: int, *, longest: float = 4.0) -> None:
        self.name, self.folder, self.seed = name, folder, seed
        self.random = random.Random(seed)
        self.longest = longest
        """Seconds of a life, at most, once the account is open."""
        self.figures = Figures()
        self.subject = Subject(name)
        from ccrs_core.conformance.workbench.account_world import AccountWorld

        world = AccountWorld(self.subject)
        self.paths = sorted(world.paths("place") | world.paths("cancel") | world.paths("amend"))
        world.close()

    async def run(self, *, kills: int | None = None, seconds: float | None = None) -> Figures:
        """Go on for so many kills, or seconds, then judge.

        :raises AssertionError: where anything isn't as it should be.
        """
        began = time.monotonic()
        async with _exchange(self.name, self.folder, self.seed, 10.0) as exchange:
            async with self._others(exchange):
                lives = 0
                while (kills is None or lives < kills) and (
                    seconds is None or time.monotonic() < began + seconds
                ):
                    lives += 1
                    await self._life(exchange, lives)
            await exchange.tell("quieten")
            await self._judge(exchange)
        self.figures.seconds = time.monotonic() - began
        return self.figures

    @contextlib.asynccontextmanager
    async def _others(self, exchange: Exchange) -> AsyncIterator[None]:
        """Other programs trade on the account, by all clients of it that are installed."""
        async with contextlib.AsyncExitStack() as stack:
            for number, client in enumerate(installed(self.name)):
                about = self.name, client, exchange.url, self.seed + number
                said = stack.enter_context((self.folder / f"{client}.log").open("wb"))
                process = await _started("others", *about, *exchange.natives, stdout=said)
                stack.push_async_callback(_end, client, process)
            yield

    # --- one life ---

    async def _life(self, exchange: Exchange, number: int) -> None:
        rng = self.random
        via = rng.choice(["rest", "websocket"])
        diary = self.folder / "diary"
        before = diary.stat().st_size if diary.exists() else 0
        process = await _started(
            "program",
            *(self.name, exchange.url, self.folder, self.seed * 10_000 + number, via),
            *exchange.symbols,
        )
        try:
            # Sometimes it doesn't even come to opening its account.
            early = number > 1 and rng.random() < 0.15
            until = time.monotonic() + (rng.uniform(0.5, 2.0) if early else _PATIENCE)
            while time.monotonic() < until and not self._opened(before):
                assert process.returncode is None, "the program has ended by itself"
                await asyncio.sleep(0.02)
            await self._kill(exchange, process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await exchange.tell("disarm")
        if rng.random() < 0.3:
            await exchange.tell("quieten")

    def _opened(self, before: int) -> bool:
        diary = self.folder / "diary"
        if not diary.exists():
            return False
        with diary.open("rb") as file:
            file.seek(before)
            return b'"reads"' in file.read()

    async def _kill(self, exchange: Exchange, process: asyncio.subprocess.Process) -> None:
        rng = self.random
        how = rng.choice(MOMENTS)
        self.figures.kills[how] += 1
        end = time.monotonic() + rng.uniform(0.0, self.longest)
        if how in ("before", "after"):
            await exchange.tell("arm", pid=process.pid, count=rng.randint(1, 30), when=how)
        while time.monotonic() < end and process.returncode is None:
            fault = rng.choice(FAULTS)
            if fault:
                await exchange.tell("fault", text=fault.format(path=rng.choice(self.paths)))
            await exchange.tell("others")
            if rng.random() < 0.3:
                await exchange.tell("end")
            await asyncio.sleep(rng.uniform(0.0, 0.4))
        await kill(process, how, rng, self.folder / "ledger.db-wal")

    # --- the end ---

    async def _judge(self, exchange: Exchange) -> None:
        began = time.monotonic()
        file = self.folder / "ledger.db"
        connect = ccrs_core.connect(self.name, base_url=exchange.url, credentials=KEY)
        async with connect as client:
            store = SqliteStore(file)
            async with client.account(store=store, presume_absent_after=3.0) as account:
                await self._calm(account)
                self.figures.calm = time.monotonic() - began
                # Whatever others' orders do now is over at once.
                await account.cancel_all()
                await self._calm(account)
                placements = await exchange.tell("orders", path=str(self.folder / "orders"))
                positions, balances = account.positions(), list(account.balances().values())
                told = await self._delivered(account)
                ledger = LedgerName(client.exchange.name, client.environment, account.name)
        self._no_bans()
        await self._compare(ledger, exchange.wallets, placements, positions, balances, told)

    def _no_bans(self) -> None:
        """Fails where lives together asked for more than the address may. Of calls that have limits
        of their own, of which a life doesn't know what the one before has spent, the exchange may
        have asked for a short pause."""
        lines = (self.folder / "ledger.db.budgets").read_text().splitlines()
        told = [line.split("\t") for line in lines]
        pauses = [int(words[3]) for words in told if len(words) > 3 and words[1] == "p"]
        assert max(pauses, default=0) < _BAN_NS, "lives together got the address banned"

    async def _calm(self, account: Account) -> None:
        until, passes = time.monotonic() + _CALM, 0
        while passes < 3 or not account.synced or account.unknown_orders():
            done = await account.reconcile()
            passes += 1
            assert time.monotonic() < until, (
                f"the account isn't whole after {_CALM:g} s and {passes} readings ({done}): "
                f"synced={account.synced} ({account.reason}), unknown: {account.unknown_orders()}"
            )
            await asyncio.sleep(1.5)

    async def _delivered(self, account: Account) -> list[tuple[int, bool]]:
        """The fills that are delivered now, to the same reader."""
        found = []
        async with account.events(consumer="judge", kinds=("fill",)) as feed:
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(1.0):
                        event = await anext(aiter(feed))
                    if isinstance(event, ccrs_core.Fill):
                        found.append((event.number, event.again))
        return found

    async def _compare(
        self,
        ledger: LedgerName,
        names: dict[str, str],
        placements: dict[str, int],
        positions: Any,
        balances: Any,
        told: list[tuple[int, bool]],
    ) -> None:
        file = self.folder / "ledger.db"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store = SqliteStore(file, read_only=True)
        await store.open(ledger)
        orders = await store.orders(limit=10**7)
        fills = await store.fills(limit=10**7)
        self.figures.entries = max((fill.number for fill in fills), default=0)
        await store.close()
        desk: dict[int, DeskOrder] = pickle.loads((self.folder / "orders").read_bytes())
        tape = (self.folder / "tape").read_text().splitlines()
        wallets = account_books(tape, names)
        books = wallets.together
        listings = {order.listing.key: order.listing for order in desk.values()}
        wanted = {(each.category, each.symbol) for each in books.fills} | set(books.positions())
        assert {key[:2] for key in wanted} <= set(listings)
        find = instruments_by_key(listings.values(), self.subject.instruments)
        lines = [json.loads(line) for line in (self.folder / "diary").read_text().splitlines()]
        figures = self.figures
        figures.wanted = max((line.get("want", 0) for line in lines), default=0)
        figures.orders, figures.fills = len(desk), len(books.fills)
        links = [order.client_order_id for order in desk.values()]
        figures.others = sum(len(each) > _ITS_OWN and each.startswith(MARK) for each in links)
        figures.ended.update(line["ended"].partition("(")[0] for line in lines if "ended" in line)
        broken = [line for line in lines if "broken" in line]
        assert not broken, f"the program was broken by {broken[0]}"
        # The exchange's truth.
        orders_are_true(orders, desk, find, untold=untold_of(self.subject))
        fills_are_true(fills, books, find, (MARK,))
        positions_are_true(positions, books, find)
        money_is_true(balances, wallets)
        # Nothing twice.
        twice = {name: count for name, count in placements.items() if count > 1}
        assert not twice, f"placements that came more than once: {twice}"
        tags = Counter(order.client_order_id[-8:] for order in desk.values())
        for number in range(1, figures.wanted + 1):
            assert tags[f"n{number:06d}n"] <= 1, f"order {number} is there twice"
        # Each fill was delivered, and again only marked.
        delivered = [(line["fill"], line["again"]) for line in lines if "fill" in line] + told
        counts = Counter(number for number, again in delivered if not again)
        more = [number for number, count in counts.items() if count > 1]
        assert not more, f"fills that were delivered twice unmarked: {more}"
        first = next(line["reads"] for line in lines if "reads" in line)
        missing = {fill.number for fill in fills if fill.number > first}
        missing -= {number for number, _ in delivered}
        assert not missing, f"fills that were never delivered: {sorted(missing)}"
