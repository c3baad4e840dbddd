"""What users hold: one exchange's market data through one small typed API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ccrs_core.client.accounts import _Accounts
from ccrs_core.client.credentials import PLAY_MONEY
from ccrs_core.client.keeping import Openable
from ccrs_core.client.listing_watch import InstrumentWatch
from ccrs_core.client.patient import PatientSearch
from ccrs_core.client.placement import Placement
from ccrs_core.client.questions import _Questions
from ccrs_core.client.status import ClientStatus, survey
from ccrs_core.client.tokens import Tokens
from ccrs_core.connections.shard import Shard
from ccrs_core.connections.shared import Shared
from ccrs_core.contract.access import Token
from ccrs_core.contract.accounts import DEFAULT, Account
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetBook
from ccrs_core.errors import CcrsError, UsageError
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.feeds.feed import Feed, MissingName
from ccrs_core.feeds.policy import Policy, PolicyName
from ccrs_core.model.events import (
    AnyEvent,
    BookUpdate,
)
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Interest
from ccrs_core.requests.exchange_clock import ExchangeClock
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.requests.requester import Requester
from ccrs_core.topics.delivery import Delivery
from ccrs_core.topics.lookout import Lookout
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.transport.addresses import (
    EMULATOR,
    Reachable,
    everything_at,
    headers_of,
    named,
    resolve_addresses,
)
from ccrs_core.transport.alternatives import Alternatives
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock, Transport
from ccrs_core.transport.choice import make_transport
from ccrs_core.transport.context import Context
from ccrs_core.transport.masking import all_shown
from ccrs_core.transport.options import Options
from ccrs_core.transport.pace import Pace
from ccrs_core.transport.paths import Paths
from ccrs_core.transport.ways import check_ways

if TYPE_CHECKING:
    from ccrs_core.emulator.server import EmulatorServer

T = TypeVar("T")

_SPARE = 0.8
"""The part of the request budget of which nothing is left for questions about quiet streams."""
# Quiet unless the application configures logging.
logging.getLogger("ccrs").addHandler(logging.NullHandler())


def connect(
    exchange: str | Exchange,
    *,
    environment: str = "mainnet",
    base_url: str | None = None,
    addresses: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    options: Options | None = None,
    transport: Transport | str | None = None,
    clock: Clock | None = None,
    instruments: Iterable[Instrument] = (),
    listeners: Iterable[object] = (),
    seed: int = 0,
    rate: float = 50.0,
) -> Client:
    """A client of an exchange; use it in ``async with``. Nothing is dialled before that.

    :param exchange: the name of an installed plugin, or an ``Exchange`` of your own.
    :param environment: ``mainnet``, ``testnet``, ``demo`` where the exchange has them, or
        ``emulator``: a simulated market of the exchange's own protocol, run inside this process
        with ``seed`` and ``rate`` (changes per second and instrument).
    :param base_url: one address instead of all of the environment's, such as
        ``http://127.0.0.1:8080``; no other is dialled. Streams use ws:// for http://. With
        ``environment="emulator"`` it is an emulator that runs there, whose account ``default`` has
        play money, too.
    :param addresses: addresses by name instead of the environment's; those that aren't named are
        the environment's.
    :param transport: your own, which is closed with the client, or the name of one: ``"aiohttp"``,
        or what an installed package offers (``"picows"``). None: that of the only such package
        that can serve the options, and aiohttp where there is none.
    :param instruments: known instruments; their markets are then not fetched.
    :param listeners: objects with methods that :data:`hookimpl` marks; what happens to this client
        is told to them as to installed plugins. See the guide on metrics for the hooks.
    :raises PluginError: where the exchange isn't installed or can't be loaded.
    :raises UsageError: where the environment doesn't exist, or has no address of such a name.
    """
    found: Exchange = plugins.load(exchange)() if isinstance(exchange, str) else exchange
    for what, value, kind in (
        ("exchange", found, Exchange),
        ("options", options, Options),
        ("credentials", credentials, Credentials),
    ):
        if not isinstance(value, kind) and (value is not None or kind is Exchange):
            shown = "that" if kind is Credentials else repr(value)[:100]
            raise UsageError(f"{what} must be of the type {kind.__name__}, not {shown}")
    settings = Options() if options is None else options
    keys = credentials
    if keys is None and environment == EMULATOR and (base_url or addresses):
        # One that runs elsewhere has the same play money.
        keys = PLAY_MONEY
    check_ways(found, settings.ways)
    return Client(
        found,
        environment=named(environment, base_url, addresses),
        addresses=resolve_addresses(found, environment, base_url, addresses),
        headers=headers_of(found, environment),
        accounts=() if keys is None else (Account(DEFAULT, keys),),
        options=settings,
        transport=transport,
        clock=SYSTEM_CLOCK if clock is None else clock,
        instruments=tuple(instruments),
        hooks=plugins.hook_manager_with(listeners),
        seed=seed,
        rate=rate,
    )


class Client(_Questions, _Accounts, Openable):
    """One exchange. Made by :func:`connect`; use it in ``async with``, in one task, or by
    :meth:`open` and :meth:`aclose`.

    What goes wrong for good (a refused login, an exhausted limit of reconnects) ends the ``async
    with`` block with that error, or with an ``ExceptionGroup`` of several.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        environment: str,
        addresses: dict[str, str] | None,
        headers: Mapping[str, str],
        accounts: Iterable[Account],
        options: Options,
        transport: Transport | str | None,
        clock: Clock,
        instruments: Sequence[Instrument],
        hooks: Any,
        seed: int,
        rate: float,
    ) -> None:
        self.exchange = exchange
        self.environment = environment
        """Its name, or the host that was given in place of all of its addresses."""
        self.emulator: EmulatorServer | None = None
        """The running emulator of the environment ``emulator``, for its faults and its address."""
        self._addresses = addresses
        self._headers = headers
        self._tokens: dict[str, Tokens] = {}
        self._accounts = {account.name: account for account in accounts}
        self._held = {}
        self._options = options
        self._transport = transport
        self._clock = clock
        self._known = instruments
        self._emulation = (seed, rate)
        self._shared: Shared | None = None
        self._snapshots: SnapshotQueue | None = None
        self._lookout: Lookout | None = None
        self._requester: Requester | None = None
        self._instruments: InstrumentStore | None = None
        self._group: asyncio.TaskGroup | None = None
        self._hooks = hooks
        self._closed = False
        self._failure: BaseException | None = None
        """The first thing that went wrong for good."""
        self._watches = weakref.WeakSet[InstrumentWatch]()
        self._patient = PatientSearch(exchange.name, self.instrument, self._store, options, clock)
        self.placement = Placement(
            self._opened, self._new_delivery, self._accounts, self._patient, self._overflowed
        )
        """Which connections carry what; for feeds."""

    @property
    def addresses(self) -> dict[str, str]:
        """What is dialled, by name, without user, password and tokens; empty for an emulator that
        hasn't been started yet."""
        return all_shown(self._addresses or {})

    @property
    def options(self) -> Options:
        """The settings in force."""
        return self._options

    # --- life ---

    async def __aenter__(self) -> Self:
        if self._shared is not None or self._group is not None or self._closed:
            raise UsageError("a client is opened once; call connect() for another one")
        transport = self._transport
        async with contextlib.AsyncExitStack() as undo:
            if self._addresses is None:
                await self._start_emulator(undo)
            if transport is None or isinstance(transport, str):
                transport = make_transport(transport, self._options.transport)
            undo.push_async_callback(transport.aclose)
            context = self._new_context(transport)
            self._requester = Requester(context, self._accounts.get(DEFAULT))
            self._requester.clock = ExchangeClock(self._requester, context)
            self._shared = self._new_shared(context)
            for made in self._shared.paths.made:
                undo.push_async_callback(made.aclose)
            self._instruments = InstrumentStore(
                self.exchange.name,
                self._requester,
                self._clock,
                self._options.instruments_max_age,
                self._known,
            )
            self._instruments.listen(self.placement.listed)
            self._group = asyncio.TaskGroup()
            await self._group.__aenter__()
            self._undo = undo.pop_all()
        return self

    async def _start_emulator(self, undo: contextlib.AsyncExitStack) -> None:
        from ccrs_core.emulator.server import EmulatorServer

        dialect = self.exchange.dialect()
        assert dialect is not None
        seed, rate = self._emulation
        emulator = EmulatorServer(dialect, seed=seed, rate=rate)
        self.emulator = await undo.enter_async_context(emulator)
        self._addresses = everything_at(emulator.url, self.exchange)

    def _new_context(self, transport: Transport) -> Context:
        assert self._addresses is not None
        return Context(
            exchange=self.exchange,
            transport=transport,
            clock=self._clock,
            options=self._options,
            addresses=Reachable(self._addresses, f"{self.exchange.name} ({self.environment})"),
            hook=lambda name, **arguments: plugins.call(self._hooks, name, **arguments),
            headers=self._headers,
        )

    def _new_shared(self, context: Context) -> Shared:
        pace, options = Pace(), self._options
        alternatives = Alternatives(context.addresses)
        paths = Paths(
            options.ways, context.transport, options.transport, context.addresses, alternatives
        )
        self._snapshots = SnapshotQueue(self._snapshot, self._clock, self._spawn)
        self._lookout = Lookout(
            self.exchange,
            self._clock,
            lambda question: self._ready().ask(question, share=_SPARE, tries=1),
            lambda question: self._ready().price(question),
            lambda: [each.shard for each in self.placement.deliveries],
            self._spawn,
            pace,
            self._options.patience.unproved,
        )
        return Shared(
            context=context,
            alternatives=alternatives,
            paths=paths,
            pace=pace,
            lookout=self._lookout,
            token=self._token,
            spawn=self._spawn,
        )

    async def _token(self, account: Account, route: Route) -> Token | None:
        tokens = self._tokens.get(account.name)
        if tokens is None:
            requester = Requester(self._opened().context, account)
            requester.clock = self._ready().clock
            tokens = Tokens(self._opened().context, requester)
            self._tokens[account.name] = tokens
        return await tokens.get(route)

    def _snapshot(self, request: GetBook, share: float) -> Coroutine[Any, Any, BookUpdate]:
        return self._ready().ask(request, share=share)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(work)
        task.add_done_callback(self._note_failure)
        return task

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """Of what goes wrong within, the first ends the client."""
        error = None if task.cancelled() or self._failure is not None else task.exception()
        if error is not None:
            self._failure = error
            self.placement.why = f"its client has ended: {type(error).__name__}: {error}"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._closed:
            return  # by aclose() within the block
        group, snapshots, lookout = self._group, self._snapshots, self._lookout
        assert group is not None
        assert snapshots is not None
        assert lookout is not None
        self._closed = True
        self._patient.end()
        for watch in self._watches:
            watch.end()
        try:
            # Before anything is awaited: a cancellation here must not leave it running.
            if self._failure is None:
                self.placement.why = "its client was closed"
            ending = self.placement.end(self._failure)
            snapshots.end()
            lookout.end()
            await self._close_accounts()
            await asyncio.gather(snapshots.aclose(), *(each.aclose() for each in ending))
            # The group turns the cancellation by which it ends this block into what went wrong; any
            # other error of the block goes on as it is.
            if isinstance(error, asyncio.CancelledError):
                await group.__aexit__(kind, error, traceback)
            else:
                await group.__aexit__(None, None, None)
        except BaseExceptionGroup as failures:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise BaseExceptionGroup(
                    "a client's block and its connections failed", [error, *failures.exceptions]
                ) from None
            # One thing that went wrong is raised as itself.
            if len(failures.exceptions) == 1 and isinstance(failures.exceptions[0], CcrsError):
                raise failures.exceptions[0] from None
            raise
        finally:
            await self._undo.aclose()

    async def _close(self) -> None:
        if self._group is not None:
            await self.__aexit__(None, None, None)
        self._closed = True

    def __repr__(self) -> str:
        state = "open" if self._group is not None else "not open"
        if self._closed:
            failure = self._failure
            state = "closed" if failure is None else f"ended by {type(failure).__name__}"
        elif self._group is not None:
            connections = sum(each.shard.connections for each in self.placement.deliveries)
            state += f", {_plural(connections, 'connection')}"
            state += f", {_plural(len(self.placement.feeds), 'feed')}"
        return f"<Client {self.exchange.name} ({self.environment}): {state}>"

    # --- streams ---

    def subscribe(
        self,
        *interests: Interest,
        connections: int = 1,
        policy: Policy | PolicyName = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        callback: Callable[[AnyEvent], object] | None = None,
        stale_after: float | None = None,
        missing: MissingName = "raise",
    ) -> Feed:
        """A feed of these; it subscribes when entered with ``async with``.

        A symbol may be a pattern: ``top_of_book("*/USDT:USDT")`` means each that is listed and has
        the channel (``feed.subscribed``). What is listed later is added, what is delisted is taken
        away, and the feed is told by ``InstrumentChanged``.

        Entering waits for an exchange that can't be reached, which is logged once: until its
        instruments are known, or ``Options.max_failures`` tries have failed.

        :param connections: redundant connections to race; each update is delivered once, from
            whichever brought it first.
        :param policy: what happens where the consumer falls ``maxsize`` events behind.
        :param callback: called with every event instead of iterating; what it raises ends the
            ``async with`` block, wherever it is, with that error. A coroutine function is awaited,
            one event after the other, and cancelled where the block ends before it does.
        :param stale_after: seconds without anything heard of a subscription, of any channel (data,
            or word that nothing has changed), after which this feed is told ``Stale``; None: after
            the exchange's own ``max_silence``. Books stay as valid as they are. It doesn't
            count for an account's streams, which are normally quiet.
        :param missing: ``"skip"`` leaves out symbols that aren't listed (``feed.missing``, and one
            warning) and subscribes to them once they are; else all of them are named by one error.
        :raises UsageError: where the arguments can't work.
        :raises Unsupported: (on entering) where the exchange doesn't offer it.
        :raises UnknownInstrument: (on entering) where it lists no such symbol.
        :raises ExchangeError: (on entering) where it refuses for good to list its instruments.
        :raises ReconnectsExhausted: (on entering) where ``Options.max_failures`` was reached.
        """
        return Feed(
            self.placement,
            interests,
            connections=connections,
            policy=policy,
            maxsize=maxsize,
            callback=callback,
            stale_after=stale_after,
            missing=missing,
            clock=self._clock,
        )

    def watch_instruments(
        self, market: Market | str, *, every: float | None = None
    ) -> InstrumentWatch:
        """Changes of a market's instruments as they are told: use it in ``async with``, iterate it
        by ``async for``. Feeds that a changed instrument concerns are told at once, too, as long as
        it is open.

        :param every: seconds after which the list is fetched anew in any case; None: after five
            minutes where the exchange tells of changes, else after one.
        :raises UsageError: where ``every`` isn't a number of seconds above zero.
        """
        market = Market(market)
        if every is None:
            told = market in self.exchange.capabilities.instrument_news
            every = 300.0 if told else 60.0
        if not 0 < every < float("inf"):
            raise UsageError(f"every must be a number of seconds above zero, not {every!r}")
        watch = InstrumentWatch(
            self.exchange, market, self._store, self.subscribe, self._spawn, every
        )
        self._watches.add(watch)
        return watch

    # --- requests ---

    @property
    def _emulates(self) -> bool:
        return self.emulator is not None

    def _opened(self) -> Shared:
        self._ready()
        assert self._shared is not None
        return self._shared

    def _new_delivery(self, shard: Shard, pool: Hashable, changed: Callable[[], None]) -> Delivery:
        assert self._snapshots is not None
        assert self._lookout is not None
        return Delivery(shard, pool, self._snapshots, self._lookout, changed)

    def _overflowed(self, exchange: str, lost: int) -> None:
        plugins.call(self._hooks, "ccrs_feed_overflowed", exchange=exchange, lost=lost)

    def _ready(self) -> Requester:
        if self._requester is None:
            raise UsageError("open the client first: async with ccrs_core.connect(…) as client")
        if self._closed:
            if self._failure is not None:
                raise self._failure.with_traceback(None)  # told many times, it mustn't grow
            raise UsageError("the client is closed; call connect() for another one")
        return self._requester

    def _store(self) -> InstrumentStore:
        self._ready()
        assert self._instruments is not None
        return self._instruments

    # --- figures ---

    def status(self) -> ClientStatus:
        """Connections, subscriptions, feeds and counters at this moment."""
        requester, placement, shared = self._requester, self.placement, self._shared
        lookout = self._lookout
        return survey(
            self.exchange.name,
            self.environment,
            placement.deliveries,
            placement.feeds,
            placement.spent,
            private=[shard for each in self._held.values() for shard in each._shards],
            accounts=self._account_statuses(),
            found_dead=0 if lookout is None else lookout.found_dead,
            address_changes=0 if shared is None else shared.paths.changes,
            requests=0 if requester is None else requester.requests,
            request_errors=0 if requester is None else requester.errors,
            rows_left_out=0 if requester is None else requester.left_out,
            host_paused=0.0 if requester is None else requester.paused,
        )


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
