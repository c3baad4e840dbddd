"""Lets a program trade on three exchanges at once, kills it at random moments, starts it again on
the same stores; in the end each ledger must be what its exchange's money tape says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs

import ccrs_core
from ccrs_core import Account, SqliteStore
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.trading.store import LedgerName
from tests.trading.everything.venues import (
    ACCOUNTS,
    EXCHANGES,
    OTHER,
    entry_paths,
    key_of,
)
from tests.trading.everything.verdict import (
    Figures,
    Held,
    desk_orders,
    diary,
    each_was_delivered,
    judge,
    nothing_twice,
    stored,
)
from tests.trading.processes.conductor import FAULTS, MOMENTS
from tests.trading.processes.deaths import kill
from tests.trading.processes.others.clients import installed

ROOT = Path(__file__).parents[3]
_PATIENCE = 60.0
_HEAD = ("account", "wanted", "orders", "others'", "fills", "entries", "whole after", "differences")
_CALM = 240.0


class Venue:
    """The process of an exchange, told what to do."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._turn = asyncio.Lock()
        self.subject: Subject = Subject(name)
        self.paths = entry_paths(self.subject)
        self.url = ""
        self.symbols: list[str] = []
        self.natives: list[str] = []

    async def hear(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            return json.loads(await self._process.stdout.readline())

    async def tell(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            return await self.hear()


@attrs.define
class Report:
    """What a run has come to."""

    seconds: float = 0.0
    calm: float = 0.0
    kills: Counter[str] = attrs.field(factory=Counter)
    lives: int = 0
    ended: Counter[str] = attrs.field(factory=Counter)
    """Why programs ended by themselves."""
    accounts: list[Figures] = attrs.field(factory=list)

    @property
    def wrong(self) -> list[str]:
        return [each for account in self.accounts for each in account.wrong]

    def __str__(self) -> str:
        rows = [
            (
                "account",
                "wanted",
                "orders",
                "others'",
                "fills",
                "entries",
                "whole after",
                "differences",
            )
        ]
        for each in sorted(self.accounts, key=lambda each: each.name):
            figures = each.wanted, each.orders, each.others, each.fills, each.entries
            calm = f"{each.calm:.0f} s"
            rows.append((each.name, *map(str, figures), calm, str(len(each.wrong))))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        kills = ", ".join(f"{count} {how}" for how, count in sorted(self.kills.items()))
        lines.append(
            f"{self.seconds:.0f} s, {self.kills.total()} kills ({kills}), all known "
            f"{self.calm:.0f} s after the last; ended by itself {dict(self.ended)}"
        )
        return "\n".join(lines + [f"WRONG {each}" for each in self.wrong])


async def _started(module: str, *arguments: object, **pipes: Any) -> asyncio.subprocess.Process:
    name = f"tests.trading.{module}"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", name, *map(str, arguments), cwd=ROOT, **pipes
    )


class Conductor:
    """One run: lives, and the judgement."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        exchanges: Sequence[str] = EXCHANGES,
        longest: float = 4.0,
        rate: float = 5.0,
    ) -> None:
        self.folder, self.seed, self.rate = folder, seed, rate
        self.names = exchanges
        self.random = random.Random(seed)
        self.longest = longest
        """Seconds of a life, at most, once all accounts are open."""
        self.report = Report()
        self.venues: list[Venue] = []

    async def run(self, *, kills: int | None = None, seconds: float | None = None) -> Report:
        """Go on for so many kills, or seconds, then judge."""
        async with contextlib.AsyncExitStack() as stack:
            starts = [stack.enter_async_context(self._venue(name)) for name in self.names]
            self.venues += await asyncio.gather(*starts)
            began = time.monotonic()
            async with contextlib.AsyncExitStack() as others:
                while (kills is None or self.report.lives < kills) and (
                    seconds is None or time.monotonic() < began + seconds
                ):
                    self.report.lives += 1
                    await self._life()
                    if self.report.lives == 1:
                        for each in self.venues:
                            await others.enter_async_context(self._others(each))
            for each in self.venues:
                await each.tell("quieten")
            self.report.seconds = time.monotonic() - began
            await self._judge()
        return self.report

    @contextlib.asynccontextmanager
    async def _venue(self, name: str) -> AsyncIterator[Venue]:
        pipe = asyncio.subprocess.PIPE
        about = name, self.folder, self.seed, self.rate
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await _started(
                "everything.exchange", *about, stdin=pipe, stdout=pipe, stderr=log
            )
            try:
                found = Venue(name, process)
                first = await found.hear()
                found.url, found.symbols = first["url"], first["symbols"]
                found.natives = first["natives"]
                yield found
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    @contextlib.asynccontextmanager
    async def _others(self, venue: Venue) -> AsyncIterator[None]:
        """Another program trades on the accounts, where its library is installed."""
        clients = installed(venue.name)
        if not clients:
            yield
            return
        about = venue.name, self.random.choice(clients), venue.url, self.seed, *venue.natives
        with (self.folder / f"{venue.name}.others.log").open("wb") as log:
            process = await _started("processes.others", *about, stderr=log, stdout=log)
            try:
                yield
                assert process.returncode is None, f"others at {venue.name} ended by themselves"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    # --- one life ---

    async def _life(self) -> None:
        rng = self.random
        path = self.folder / "diary"
        before = self._noted()
        targets = [f"{each.name}={each.url}={','.join(each.symbols)}" for each in self.venues]
        seed = self.seed * 10_000 + self.report.lives
        with (self.folder / "program.log").open("ab") as log:
            about = self.folder, seed, rng.choice(["rest", "websocket"]), *targets
            process = await _started("everything.program", *about, stderr=log)
        try:
            # Sometimes it doesn't even come to opening all of its accounts.
            early = self.report.lives > 1 and rng.random() < 0.4
            patience = rng.uniform(1.0, 2 * self.longest) if early else _PATIENCE
            until = time.monotonic() + patience
            while time.monotonic() < until and not self._reads(before):
                assert process.returncode is None, "the program has ended by itself: program.log"
                await asyncio.sleep(0.05)
            if self.report.lives == 1:
                # Others begin once the program has to do with all that they trade.
                while not all([await each.tell("traded") for each in self.venues]):
                    assert time.monotonic() < until, "the program doesn't trade all that it should"
                    await asyncio.sleep(0.1)
            await self._kill(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            for each in self.venues:
                await each.tell("disarm")
        assert path.exists()
        if rng.random() < 0.4:
            for each in self.venues:
                await each.tell("quieten")

    def _diaries(self) -> list[Path]:
        return [
            self.folder / f"{name}-{each}" / "diary" for name in self.names for each in ACCOUNTS
        ]

    def _noted(self) -> dict[Path, int]:
        """How long the diaries are."""
        return {each: each.stat().st_size if each.exists() else 0 for each in self._diaries()}

    def _reads(self, before: dict[Path, int]) -> bool:
        """Whether each of the accounts is read in this life."""
        return all(
            each.exists() and _after(each, size, b'"reads"') for each, size in before.items()
        )

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        rng = self.random
        how = rng.choice(MOMENTS)
        self.report.kills[how] += 1
        end = time.monotonic() + rng.uniform(0.0, self.longest)
        if how in ("before", "after"):
            arms = {"pid": process.pid, "count": rng.randint(1, 20), "when": how}
            await rng.choice(self.venues).tell("arm", **arms)
        while time.monotonic() < end and process.returncode is None:
            venue = rng.choice(self.venues)
            fault = rng.choice(FAULTS)
            if fault:
                await venue.tell("fault", text=fault.format(path=rng.choice(venue.paths)))
            await rng.choice(self.venues).tell("others", who=rng.choice([OTHER, *ACCOUNTS]))
            if rng.random() < 0.2:
                await rng.choice(self.venues).tell("end")
            await asyncio.sleep(rng.uniform(0.0, 0.4))
        log = rng.choice(self._diaries()).with_name("ledger.db-wal")
        await kill(process, how, rng, log)

    # --- the end ---

    async def _judge(self) -> None:
        began = time.monotonic()
        lines = diary(self.folder / "diary")
        self.report.ended.update(
            each["ended"].partition("(")[0] for each in lines if "ended" in each
        )
        broken = [each["broken"] for each in lines if "broken" in each]
        async with asyncio.TaskGroup() as group:
            for venue in self.venues:
                group.create_task(self._judge_at(venue))
        self.report.calm = time.monotonic() - began
        for each in broken:
            self.report.accounts[0].wrong.append(f"the program was broken by {each}")

    async def _judge_at(self, venue: Venue) -> None:
        connect = ccrs_core.connect(
            venue.subject.make(), base_url=venue.url, credentials=key_of(ACCOUNTS[0])
        )
        async with connect as client, asyncio.TaskGroup() as group:
            for name in ACCOUNTS:
                group.create_task(self._judge_one(venue, client, name))

    async def _judge_one(self, venue: Venue, client: ccrs_core.Client, name: str) -> None:
        home = self.folder / f"{venue.name}-{name}"
        figures = Figures(home.name)
        self.report.accounts.append(figures)
        file = home / "ledger.db"
        account = client.account(
            name, credentials=key_of(name), store=SqliteStore(file), presume_absent_after=3.0
        )
        async with account:
            began = time.monotonic()
            try:
                await _calm(account)  # opening has read the lists
                await account.cancel_all()
                await account.reconcile()
                await _calm(account)
            except AssertionError as error:
                figures.wrong.append(f"{home.name}: {error!s:.800}")
            figures.calm = time.monotonic() - began
            answer = await venue.tell("orders", path=str(home / "orders"))
            positions, balances = account.positions(), list(account.balances().values())
            told = await _delivered(account)
            ledger = LedgerName(client.exchange.name, client.environment, name)
        orders, fills = await stored(file, ledger)
        desk = desk_orders(home / "orders")[name]
        tape = (self.folder / f"{venue.name}.tape").read_text().splitlines()
        held = Held(orders, fills, positions, balances)
        lines = diary(home / "diary")
        figures.wanted = max((each.get("want", 0) for each in lines), default=0)
        judge(figures, venue.subject, tape, answer["wallets"][name], desk, held)
        mine = {k: v for k, v in answer["placements"].items() if k.startswith(f"{name}:")}
        nothing_twice(figures, mine, desk)
        each_was_delivered(figures, lines, told, fills)


def _after(path: Path, size: int, word: bytes) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        file.seek(size)
        return word in file.read()


async def _calm(account: Account) -> None:
    """Until all is known. What has to be read for it the account knows best."""
    until = time.monotonic() + _CALM
    while not account.synced or account.unknown_orders():
        assert time.monotonic() < until, (
            f"the account isn't whole after {_CALM:g} s: synced={account.synced} "
            f"({account.reason}), unknown: {account.unknown_orders()}"
        )
        await asyncio.sleep(0.2)


async def _delivered(account: Account) -> list[tuple[int, bool]]:
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
