"""An account's parts, put together once its store is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any

from ccrs_core.connections.entry_line import EntryLine
from ccrs_core.connections.shared import Shared
from ccrs_core.contract.accounts import Account as KeyHolder
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import Answer, Request
from ccrs_core.contract.trading import Trading
from ccrs_core.contract.trading_requests import GetAccountInfo, Wallet
from ccrs_core.errors import CcrsError, StoreFailed, SubscriptionRefused, UsageError
from ccrs_core.model.accounts import AccountInfo, Margin, PriceBand, Synced
from ccrs_core.model.events import Gap, Reason, Resumed, Stale
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import OrderRequest, PositionSide
from ccrs_core.model.orders import EarlyFill, Order, OrderState, OrderUpdate, Times
from ccrs_core.model.reports import ConfirmationReport, Report
from ccrs_core.model.subscriptions import Channel
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.requests.requester import Requester
from ccrs_core.trading.amending import Amending
from ccrs_core.trading.asks import Asks
from ccrs_core.trading.canceling import Canceling
from ccrs_core.trading.checks import check_band, check_order
from ccrs_core.trading.client_ids import ClientIdMaker
from ccrs_core.trading.confirmations import Confirmations
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.entry_lines import EntryLines
from ccrs_core.trading.flights import Flights
from ccrs_core.trading.hub import Hub
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.order_entry import OrderEntry
from ccrs_core.trading.order_state import OPEN_QUESTIONS
from ccrs_core.trading.outcomes import Bounds, Outcomes
from ccrs_core.trading.price_bands import PriceBands
from ccrs_core.trading.private_stream import PrivateStreams
from ccrs_core.trading.reading import Reconciliation
from ccrs_core.trading.reconcile import Reconciler
from ccrs_core.trading.rules import Rules
from ccrs_core.trading.settings import AccountSettings
from ccrs_core.trading.store import Store, Stored, Wanted
from ccrs_core.trading.taking import Natives, Taking
from ccrs_core.trading.upkeep import Upkeep
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")

_HOLD = 5.0
"""Seconds for which what streams bring waits for the lists, at most."""
_CHASE_AFTER, _CHASES = 2.0, 4
"""Seconds after which fills that an order is ahead of are asked for, and how often; each time after
twice as long."""


async def _nothing() -> None:
    """What is done once an account is being closed."""


class Parts:
    """An open account: its ledger and store, what asks and listens for it, and how they fare."""

    def __init__(
        self,
        shared: Shared,
        holder: KeyHolder,
        trading: Trading,
        settings: AccountSettings,
        instruments: InstrumentStore,
        requester: Requester,
        ledger: Ledger,
        natives: Natives,
        store: Store,
        stored: Stored,
        info: AccountInfo | None,
        keeping: asyncio.Task[None],
    ) -> None:
        context = shared.context
        self.info = info
        self.margin: Margin | None = None
        self.failure: CcrsError | None = None
        """What has ended it for good."""
        self.settings = settings
        self.store = store
        self.ledger = ledger
        self.natives = natives
        self.clock = context.clock
        self.requester = requester
        self._shared = shared
        self._holder = holder
        self._tasks = {keeping}
        self._closing = False
        self._stale_ns: dict[Channel, int] = {}
        self._chased: set[str] = set()
        self._held: list[Report] | None = None
        """What streams have brought since they began, until the lists were read."""
        self._first = asyncio.Event()
        """Set once it is synced, or has failed."""
        self.hub = Hub(store, stored)
        # Of that class alone: what one derived from it makes of commits is its own affair.
        at_once = store.commit_at_once if type(store) is MemoryStore else None
        self.journal = self.hub.journal = Journal(store, self, self._spawn, at_once)
        self.taking = Taking(
            *(ledger, self.journal, store, instruments, context.clock, context.now_ns, self.spawn),
            *(self._early, self._strange, natives.find),
        )
        self.lines = EntryLines(
            context.exchange, trading.features, context.addresses, self._dialled
        )
        self._asks = Asks(requester, context, self.lines, settings.via)
        self.context = AccountContext(
            exchange=context.exchange,
            trading=trading,
            name=holder.name,
            clock=context.clock,
            ledger=ledger,
            journal=self.journal,
            instruments=instruments,
            rules=Rules(instruments, natives, self.spawn, context.clock.monotonic),
            taking=self.taking,
            asks=self._asks,
            spawn=self.spawn,
        )
        self._bands = PriceBands(context.clock, self._asks.read, self.spawn)
        self.flights = Flights()
        self.confirmations = Confirmations()
        bounds = Bounds(proved=trading.absence.proved_after, presumed=settings.presume_absent_after)
        self.outcomes = Outcomes(self.context, bounds, self._indebted)
        ids = ClientIdMaker(trading.client_ids, context.clock.time_ns)
        self.entry = OrderEntry(
            *(self.context, self.flights, ids, self.outcomes, self.check, self.known),
            info=lambda: self.info,
        )
        self.canceling = Canceling(self.context, self.flights, self.outcomes, self.confirmations)
        self.amending = Amending(
            *(self.context, self.flights, self.outcomes, self.confirmations),
            *(ids, self.check_price),
        )
        self.reconciler = Reconciler(
            self.context, trading.features, natives.find, self._lost, self._wallet
        )
        self.upkeep = Upkeep(self._read, self._synced, lambda: self.reconciler.new)
        channels = context.exchange.capabilities.account_channels
        self.streams = PrivateStreams(shared, holder, channels, self, trading.streams)
        if not settings.follow:
            self.upkeep.trouble("lists", "it was opened with follow=False: what is asked is asked")

    # --- life ---

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the account; once that is being closed, none does
        anything."""
        if self._closing:
            work.close()
            work = _nothing()
        return self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._shared.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _dialled(self, route: Route) -> EntryLine:
        """A socket for orders."""
        turns, clock = self.requester.turns, self.requester.clock

        def late(request: Request[Any], outcome: Answer[Any] | CcrsError, times: Times) -> None:
            self.entry.late(request, outcome, times)  # which is made after the line

        return EntryLine(self._shared, self._holder, route, turns, clock, late)

    def start(self) -> None:
        """Listen, read the lists, and find out what became of what was under way."""
        self._asks.start()
        self.upkeep.trouble("streams", "the streams aren't acknowledged yet")
        self.streams.start()
        self.spawn(self.upkeep.run())
        for order in self.ledger.orders(states=OPEN_QUESTIONS):
            text = "the process ended before an answer came"
            change = self.ledger.unknown(order.client_order_id, text, self.clock.time_ns())
            self.journal.add(change)
            self.outcomes.find_out(order.client_order_id)
        for order in self.ledger.orders(states=(OrderState.PRESUMED_ABSENT,)):
            self.outcomes.watch(order.client_order_id)

    async def first_synced(self, patience: float) -> None:
        """Wait until it is synced for the first time, for so long.

        :raises CcrsError: where it has ended for good.
        """
        try:
            async with asyncio.timeout(patience):
                await self._first.wait()
        except TimeoutError:
            log.warning("account %s isn't synced yet: %s", self.context.name, self.upkeep.reason)
        if self.failure is not None:
            raise self.failure.with_traceback(None)

    async def aclose(self) -> None:
        """End everything, the store last."""
        self._closing = True
        self.natives.end()
        await self.streams.aclose()
        await self._asks.aclose()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        running = {self.journal.task}
        for task in tasks:
            if task not in running:
                task.cancel()
        if rest := [task for task in tasks if task not in running]:
            await asyncio.wait(rest)
        try:
            await self.journal.aclose(self.ledger.save(self.clock.time_ns()))
        except StoreFailed as error:
            log.error("what was learned last isn't stored, and will be learned anew: %s", error)
        finally:
            self.hub.end()
            await self.store.close()

    def fail(self, error: CcrsError) -> None:
        """Nothing is learned, nor done, any more."""
        if self.failure is None:
            self.failure = error
            log.error("account %s has ended: %s", self.context.name, error)
            self.upkeep.trouble("failed", str(error))
            self.hub.fail(error)
            self._first.set()

    def check_open(self) -> None:
        """:raises UsageError: where it is closed. Cancels need no more: they work whatever
        fails."""
        if self._closing:
            raise UsageError("the account is closed")

    def check_alive(self) -> None:
        """:raises CcrsError: what has ended it."""
        self.check_open()
        if self.failure is not None:
            raise self.failure.with_traceback(None)

    def check_follows(self, otherwise: str, *, alive: bool = True) -> None:
        """:raises UsageError: where it isn't followed, so that it can't do something.
        :raises CcrsError: what has ended it, where it has to be ``alive`` for that.
        """
        self.check_alive() if alive else self.check_open()
        if not self.settings.follow:
            raise UsageError(
                f"account {self.context.name} was opened with follow=False and {otherwise}: leave "
                "follow out"
            )

    # --- what the store says ---

    def committed(self, events: Sequence[Any]) -> None:
        """See :class:`~ccrs_core.trading.journal.Listener`."""
        self.hub.committed(events)
        for event in events:
            if isinstance(event, OrderUpdate) and not event.order.fills_complete:
                self._chase(event.order)

    def store_failed(self, error: StoreFailed) -> None:
        """See :class:`~ccrs_core.trading.journal.Listener`."""
        if not error.retryable:
            self.fail(error)
        self.upkeep.trouble("store", f"the store fails: {error}")

    def store_works(self) -> None:
        """See :class:`~ccrs_core.trading.journal.Listener`."""
        self.upkeep.over("store")

    # --- what streams say ---

    def brought(self, reports: Sequence[Report]) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        self.outcomes.heard(reports)
        facts = [each for each in reports if not isinstance(each, ConfirmationReport)]
        if self._held is not None:
            self._held += facts
        elif facts:
            self.taking.push(facts)
        self.confirmations.heard(reports)

    async def _read(self, priority: Priority) -> Reconciliation:
        """Read the lists; what streams bring meanwhile comes after what happened before."""
        try:
            done = await self.reconciler.read(priority)
        except asyncio.CancelledError:
            if self._closing:
                self._release()
            raise  # else another reading takes its place
        except BaseException:
            self._release()
            raise
        self._release()
        self.spawn(self._forget())
        return done

    async def _forget(self) -> None:
        try:
            await self.hub.forget(self.ledger.number, self.clock.time_ns())
        except StoreFailed as error:
            log.warning("the store can't let go of old entries: %s", error)

    def _hold(self) -> None:
        if self._held is None:
            self._held = []
            self.spawn(self._release_later())

    async def _release_later(self) -> None:
        await asyncio.sleep(_HOLD)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held:
            self.taking.push(held)

    def interrupted(self, channel: Channel, reason: Reason) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        why = f"{channel.value}: {reason.value}"
        if not self.streams.whole:
            self.upkeep.trouble("streams", why)
        self.upkeep.missed(why)

    def stale(self, channel: Channel, reason: Reason) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        self.upkeep.trouble("streams", f"{channel.value}: {reason.value}")
        if channel not in self._stale_ns:
            now_ns = self._stale_ns[channel] = self.clock.time_ns()
            self.hub.notice(
                Stale(self.exchange, "", None, now_ns, channel, reason, None, self.context.name)
            )

    def restored(self) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        now_ns = self.clock.time_ns()
        for channel, since in self._stale_ns.items():
            self.hub.notice(
                Resumed(self.exchange, "", None, now_ns, channel, now_ns - since, self.context.name)
            )
        self._stale_ns.clear()
        self.outcomes.forgive()
        self._hold()
        self.upkeep.restored("the streams have just begun")

    def refused(self, channel: Channel, error: SubscriptionRefused) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        self.upkeep.trouble("streams", str(error))
        if error.code:
            self.hub.fail(error)
            self._first.set()
            self.failure = self.failure or error

    def failed(self, error: CcrsError) -> None:
        """See :class:`~ccrs_core.trading.private_stream.Listener`."""
        self.fail(error)

    @property
    def exchange(self) -> str:
        """Its name."""
        return self.context.exchange.name

    # --- what parts say ---

    def _synced(self, synced: bool, reason: str) -> None:
        if synced:
            self._first.set()
        now_ns = self.clock.time_ns()
        self.hub.notice(
            Synced(
                exchange=self.exchange,
                symbol="",
                exchange_time_ns=None,
                received_time_ns=now_ns,
                account=self.context.name,
                synced=synced,
                reason=reason,
            )
        )

    def _lost(self, channel: Channel, start_ns: int, end_ns: int) -> None:
        log.error(
            "account %s: %s from %d to %d are gone: the exchange keeps them no more",
            *(self.context.name, channel.value, start_ns, end_ns),
        )
        self._gap(channel, Reason.RANGE)

    def _gap(self, channel: Channel, reason: Reason) -> None:
        now_ns = self.clock.time_ns()
        name = self.context.name
        self.hub.notice(
            Gap(self.exchange, "", None, now_ns, channel, reason, None, None, None, name)
        )

    def _wallet(self, wallet: Wallet) -> None:
        if wallet.margin is not None:
            self.margin = wallet.margin

    def _early(self, fills: Sequence[EarlyFill]) -> None:
        self.hub.told_early(fills)

    def _strange(self, text: str) -> None:
        log.warning("account %s: %s", self.context.name, text)
        self._gap(Channel.ORDERS, Reason.UNREADABLE)

    def _indebted(self, why: str) -> None:
        if self.settings.follow:
            self.streams.replace(Channel.ORDERS, why)

    def _chase(self, order: Order) -> None:
        """An order is ahead of its fills: ask for them, if they don't come by themselves."""
        key = self.context.key(order)
        if self.settings.follow and key not in self._chased:
            self._chased.add(key)
            self.spawn(self._chasing(key))

    async def _chasing(self, key: str) -> None:
        try:
            pause = _CHASE_AFTER
            for _ in range(_CHASES):
                await asyncio.sleep(pause)
                order = self.ledger.order(key)
                if order is None or order.fills_complete:
                    return
                try:
                    await self.reconciler.fills_of(order)
                except CcrsError as error:
                    log.info("fills of %s can't be read: %s", order, error)
                pause *= 2
        finally:
            self._chased.discard(key)

    # --- what order entry asks ---

    async def known(self, client_order_id: str) -> bool:
        """Whether the ledger or its store has, or had, an order of a client id."""
        if self.ledger.order(client_order_id) is not None:
            return True
        if not self.context.trading.client_ids.for_ever:
            return False
        symbols = {each.symbol for each in self.context.instruments.known()}
        wanted = frozenset((symbol, "", client_order_id) for symbol in symbols)
        known = await self.store.look_up(Wanted(orders=wanted))
        return any(row.client_order_id == client_order_id for row in known.orders)

    async def check(self, request: OrderRequest) -> Instrument:
        """The instrument of an order that passes all checks.

        :raises UsageError: (or kin) where it doesn't.
        """
        self.check_alive()
        context = self.context
        instrument = await context.rules.newest(request.symbol)
        held = []
        if self.upkeep.synced and instrument.market is not Market.SPOT:
            found = (self.ledger.position(instrument.symbol, side) for side in PositionSide)
            held = [each for each in found if each is not None]
        check_order(request, instrument, context.trading, self.info, held)
        await self.check_price(request.side, request.price, instrument)
        return instrument

    async def check_price(self, side: Side, price: Decimal | None, instrument: Instrument) -> None:
        """Refuse a price that the exchange would move in silence, unless that is wanted."""
        info = self.info
        if price is None or self.settings.outside_band == "send" or info is None:
            return
        if info.moves_prices.get(instrument.market):
            check_band(side, price, instrument, await self.band(instrument))

    async def band(self, instrument: Instrument) -> PriceBand:
        """The price band of an instrument, some seconds old at most."""
        return await self._bands.of(instrument)

    async def read_info(self) -> None:
        """Read the account's mode anew."""
        if GetAccountInfo in self.context.exchange.endpoints:
            self.info = await self.context.asks.read(GetAccountInfo(self.context.name))
