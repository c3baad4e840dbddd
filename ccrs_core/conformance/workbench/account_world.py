"""An account of the emulated exchange, held by a client in virtual time, through anything:
connections that drop, answers that are lost, the client's process killed between any two steps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pytest

from ccrs_core.client.client import Client, connect
from ccrs_core.conformance.workbench.account_stores import (
    COMMIT,
    Mortal,
    SlowStore,
    SteppedStore,
    scratch,
)
from ccrs_core.conformance.workbench.account_wallets import Wallets, wallets_of
from ccrs_core.conformance.workbench.entry_paths import paths_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import (
    Stall,
    desk_of,
    money_of,
    stall,
    tradable,
    trading_of,
)
from ccrs_core.conformance.workbench.world import HOST, BoundedLoop, Tap
from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import (
    ApiKey,
    DeskOrder,
    EmulatedExchange,
    Happening,
    Listing,
    OrderChanged,
    account_of,
)
from ccrs_core.errors import CcrsError, ConnectFailed, ConnectionLost
from ccrs_core.model.instruments import Market
from ccrs_core.trading.account import Account
from ccrs_core.trading.client_ids import ClientIdMaker
from ccrs_core.trading.delivery import AccountFeed, AnyAccountEvent
from ccrs_core.transport.departure import leaves_now, leaving
from ccrs_core.transport.memory import START_NS, VirtualClock

T = TypeVar("T")

NAME = "trader"
_ON_THE_WAY = 0.001, 0.009
"""Between so many seconds requests and answers take."""


class _Crawling:
    """A connection of a lifeline: while requests crawl, what is sent arrives later, in order."""

    def __init__(self, line: Lifeline, connection: Any) -> None:
        self._line = line
        self._connection = connection
        self._due = 0.0
        self.receive = connection.receive
        self.ping = connection.ping
        self.close = connection.close
        self.abort = connection.abort

    @property
    def last_heard(self) -> float:
        found: float = self._connection.last_heard
        return found

    async def send(self, frame: Outbound) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._due = max(now + self._line.crawl, self._due)
        if self._due <= now:
            await self._connection.send(frame)
        else:
            loop.call_at(self._due, lambda: asyncio.ensure_future(self._arrive(frame)))

    async def _arrive(self, frame: Outbound) -> None:
        with suppress(ConnectionLost):
            await self._connection.send(frame)


class Lifeline(Tap):
    """The transport of one client, which can be cut: then nothing passes any more, either way."""

    def __init__(self, venue: EmulatedExchange, clock: VirtualClock) -> None:
        super().__init__(venue, clock)
        self.severed = False
        self.crawl = 0.0
        """Seconds by which requests arrive later."""
        self._open = WeakKeyDictionary[Any, None]()
        """In the order of their opening, so that the same seed cuts them in the same one."""

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> Any:
        if self.severed:
            raise ConnectFailed("the process is gone")
        connection = _Crawling(self, await super().connect(url, headers))
        self._open[connection] = None
        self._dead(connection)
        return connection

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        if self.severed:
            raise ConnectFailed("the process is gone")
        if self.crawl:
            leaves_now()
            # What has left arrives, whoever has given it up meanwhile.
            return await asyncio.shield(asyncio.ensure_future(self._late(base_url, request)))
        # On its way it may be that the process goes: before the exchange has it, or after.
        await asyncio.sleep(random.uniform(*_ON_THE_WAY))
        self._dead(None)
        answer = await super().request(base_url, request)
        await asyncio.sleep(random.uniform(*_ON_THE_WAY))
        self._dead(None)
        return answer

    async def _late(self, base_url: str, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(self.crawl)
        with leaving(lambda: None):
            answer = await super().request(base_url, request)
        self._dead(None)
        return answer

    def _dead(self, connection: Any) -> None:
        """Nothing comes any more to a process that has gone in the meantime."""
        if self.severed:
            if connection is not None:
                connection.abort()
            raise ConnectionLost("the process is gone")

    def poke(self) -> None:
        """Something happened at the exchange by itself: what it pushes is on its way."""
        if not self.severed:
            self._inner._deliver()

    def sever(self) -> None:
        self.severed = True
        for connection in list(self._open):
            connection.abort()


class Life:
    """One client's process with the account open: from a start to an end, or a kill."""

    def __init__(self, world: AccountWorld, name: str) -> None:
        self.world = world
        self.name = name
        self.tap = Lifeline(world.venue, world.clock)
        self.clock = VirtualClock(world.venue.start_ns)
        """The machine's own: it may be wrong, and jump."""
        self.events: list[AnyAccountEvent] = []
        """All that was delivered, in order."""
        self.client: Client
        self.account: Account
        self.feed: AccountFeed
        self._ended = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self.failed: BaseException | None = None
        """What has ended it by itself."""

    async def start(self) -> None:
        """Open client and account. Raises what entering raises."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def main() -> None:
            world = self.world
            try:
                client = connect(
                    world.subject.make(),
                    base_url=HOST,
                    transport=self.tap,
                    clock=self.clock,
                    credentials=world.credentials[self.name],
                )
                async with client as self.client:
                    account = client.account(
                        "default", store=world.stores[self.name], **world.settings
                    )
                    async with account as self.account:
                        reader = asyncio.ensure_future(self._read())
                        opened.set_result(None)
                        try:
                            await self._ended.wait()
                        finally:
                            reader.cancel()
                            await asyncio.wait([reader])
            except BaseException as error:
                if not opened.done():
                    opened.set_exception(error)
                elif not self.tap.severed:
                    self.failed = error
                    raise

        self._main = asyncio.ensure_future(main())
        await opened

    async def _read(self) -> None:
        try:
            async with self.account.events(consumer="judge") as self.feed:
                async for event in self.feed:
                    self.events.append(event)
        except CcrsError as error:
            self.failed = self.failed or error

    async def acknowledge(self, number: int) -> None:
        """All up to a number is dealt with; it is stored by then."""
        self.feed.acknowledge(number)
        await asyncio.sleep(3 * COMMIT[1] + 0.01)

    async def stop(self) -> None:
        """Leave account and client as programs do."""
        self._ended.set()
        assert self._main is not None
        await self._main

    async def kill(self) -> None:
        """End at once: what the store holds at this moment is all that is left."""
        world = self.world
        world.stores[self.name] = world.stores[self.name].left()
        told = list(self.events)
        self.tap.sever()
        self._ended.set()
        assert self._main is not None
        self._main.cancel()
        await asyncio.wait([self._main])
        self.events[:] = told

    @property
    def placements(self) -> int:
        """How many requests that place orders have left."""
        wanted = self.world.paths("place")
        # Where an order is placed it may be asked for, too.
        left = (each for _, _, each in self.tap.requests if each.method != "GET")
        return sum(1 for each in left if each.path in wanted)


class AccountWorld:
    """One emulated exchange with accounts, one virtual-time loop, and lives of clients.

    Step by step: :meth:`do`, :meth:`pass_time`; the end is :meth:`close`. With ``on_disk`` ledgers
    are kept in SQLite files; ``institutional`` accounts have what exchanges grant to such alone.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        names: Sequence[str] = (NAME,),
        seed: int = 0,
        rate: float = 2.0,
        start_ns: int = START_NS,
        on_disk: bool = False,
        institutional: bool = False,
        **settings: Any,
    ) -> None:
        self.subject = subject
        self.venue = subject.venue(
            seed=seed, rate=rate, listings=lively(subject), start_ns=start_ns
        )
        self.desk = desk_of(self.venue)
        self.settings = settings
        self.money: list[str] = []
        """The money tape's lines."""
        self.desk.tape.copy_to(self.money.append)
        self.told: list[Happening] = []
        self.desk.listeners.append(self.told.append)
        self.credentials: dict[str, Credentials] = {}
        self.stores: dict[str, Mortal] = {}
        self._scratch = scratch() if on_disk else None
        for name in names:
            self.desk.open_account(name, money=money_of(self.venue), institutional=institutional)
            self.wallets(name)
            self.desk.add_key(ApiKey(key=f"{name}Key", secret=f"{name}Secret", account=name))
            self.credentials[name] = Credentials(f"{name}Key", f"{name}Secret", "emulator")
            self.stores[name] = SlowStore()
            if self._scratch is not None:
                self.stores[name] = SteppedStore(Path(self._scratch.name) / name)
        self.clock = VirtualClock(self.venue.start_ns)
        self._random = random.getstate()
        random.seed(seed)
        self._seam = pytest.MonkeyPatch()
        # The same seed makes the same ids, or nothing goes the same way twice.
        self._seam.setattr(ClientIdMaker, "drawn", staticmethod(random.randrange))
        self.loop = BoundedLoop()
        self.loop.set_exception_handler(_unhandled)
        self.lives: list[Life] = []
        self._paths: dict[str, frozenset[str]] = {}

    # --- driving ---

    def do(self, work: Awaitable[T]) -> T:
        """Carry out one coroutine."""
        return self.loop.run_until_complete(work)

    def pass_time(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    def live(self, name: str = NAME) -> Life:
        """Start a client's process, with what the account's store holds."""

        async def begin() -> Life:
            life = Life(self, name)
            await life.start()
            return life

        life = self.do(begin())
        self.lives.append(life)
        return life

    def run(self, scenario: Callable[[Life], Awaitable[T]], name: str = NAME) -> T:
        """A whole scenario with one life; nothing may remain of it afterwards."""
        try:
            life = self.live(name)
            found = self.do(scenario(life))
            self.do(life.stop())
            return found
        finally:
            self.close()

    def close(self) -> None:
        """End it all."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        remaining = asyncio.all_tasks(self.loop)
        if remaining:
            self.loop.run_until_complete(asyncio.wait(remaining))
        for store in self.stores.values():
            store.abandon()
        self.loop.close()
        random.setstate(self._random)
        self._seam.undo()
        if self._scratch is not None:
            self._scratch.cleanup()

    # --- the exchange ---

    def wallets(self, name: str = NAME) -> Wallets:
        """What the desk has of an account."""
        return wallets_of(self.venue, trading_of(self.subject), name)

    def fault(self, *texts: str) -> None:
        for text in texts:
            self.venue.faults.add(text)

    def quieten(self) -> None:
        self.venue.faults.clear()
        for life in self.lives:
            life.tap.crawl = 0.0

    def stall(self, market: Market, number: int = 0) -> Stall:
        """One of the liveliest markets, standing still with a whole book."""
        instrument = tradable(self.subject, market)[number]
        listing = self.venue.listings[
            self.subject.listings[instrument.market, instrument.native].key
        ]
        found = stall(instrument, listing)
        self.venue.steer(listing, bids=(), asks=())
        self.venue.steer(listing, **found.figures)
        return found

    def paths(self, what: str) -> frozenset[str]:
        """The paths of requests that place (amend, cancel) orders."""
        if what not in self._paths:
            self._paths[what] = paths_of(self.subject, what)
        return self._paths[what]

    def desk_orders(self, name: str = NAME) -> dict[int, DeskOrder]:
        """All orders that there ever were of an account, as they are now, by number."""
        names = self.wallets(name).names
        found: dict[int, DeskOrder] = {}
        for happening in self.told:
            if isinstance(happening, OrderChanged) and account_of(happening) in names:
                found[happening.order.number] = happening.order
        return found


def lively(subject: Subject) -> list[Listing]:
    """Two instruments of each market that orders can be placed in: thousands take their time."""
    wanted: dict[tuple[str, str], None] = {}
    for market in trading_of(subject).features:
        for instrument in tradable(subject, market)[:2]:
            listing = subject.listings[market, instrument.native]
            wanted[listing.key] = None
            if listing.underlying is not None:
                wanted[listing.underlying] = None
    return [each for each in subject.listings.values() if each.key in wanted]


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, CcrsError):
        return  # of a process that was killed
    raise AssertionError(f"unhandled in the event loop: {context['message']}") from error
