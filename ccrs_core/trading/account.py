"""What users hold: one account of an exchange, and the truth about its orders."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Self

from ccrs_core.connections.shard import Shard
from ccrs_core.contract.trading_requests import GetDeadMan
from ccrs_core.errors import CcrsError, Unsupported, UsageError
from ccrs_core.model.accounts import AccountInfo, Margin
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.requests.exchange_clock import ExchangeClock
from ccrs_core.trading.account_questions import AccountQuestions
from ccrs_core.trading.canceling import CancelOutcome, open_ones
from ccrs_core.trading.dead_man import DeadManSwitch
from ccrs_core.trading.delivery import AccountFeed, EarlyFills, checked
from ccrs_core.trading.linked_orders import LinkedOrders
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.trading.parts import Parts
from ccrs_core.trading.reading import Reconciliation

log = logging.getLogger("ccrs.account")

_FIRST_SYNC = 30.0
"""Seconds that entering waits for everything to be known."""
_LAST_CANCELS = 10.0
_LAST_WORDS = 2.0
_LAST_ANSWERS = 5.0
"""Seconds that leaving takes at most, for cancels, for the stream's word that they are done, and
for answers that are under way."""


class Account(LinkedOrders, AccountQuestions):
    """One account. Made by :meth:`ccrs_core.Client.account`; use it in ``async with``, inside the
    client's block.

    Entering reads the account's mode, listens, reads the lists, and returns once all is known
    (``synced``), or after half a minute without; what is missing then is told by ``Synced``
    events. While ``synced`` is False, what is read here may be missing or old; cancels work all
    the time.

    Leaving, by an exception too, withdraws what hasn't left, waits some seconds for answers, and
    leaves orders as they are, unless the account was opened with ``on_exit="cancel_own"``.
    """

    def __init__(self, name: str, opening: Callable[[], Awaitable[Parts]]) -> None:
        self.name = name
        """The user's name of it."""
        self._opening = opening
        self._open: Parts | None = None
        self._entered = self._closed = False
        self._ending: asyncio.Task[None] | None = None

    @property
    def _parts(self) -> Parts:
        if self._open is None:
            raise UsageError("open the account first: async with client.account() as account")
        return self._open

    @property
    def open(self) -> bool:
        """Whether it was opened, and not closed yet."""
        return self._entered and not self._closed

    @property
    def _shards(self) -> list[Shard]:
        """Its private connections; for the client's status."""
        return self._open.streams.shards if self._open is not None and not self._closed else []

    # --- life ---

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("an account is opened once; call client.account() for another one")
        self._entered = True
        try:
            parts = self._open = await self._opening()
        except BaseException:
            self._closed = True
            raise
        try:
            if parts.settings.follow:
                parts.start()
                await parts.first_synced(_FIRST_SYNC)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        parts = self._open
        if parts is not None and not self._closed:
            try:
                if parts.settings.on_exit == "cancel_own":
                    await self._cancel_own()
                await self._settle_down()
            except BaseException:
                await self.aclose()
                raise
        await self.aclose()

    async def aclose(self) -> None:
        """End it at once: nothing is canceled, and what is under way has its outcome looked up when
        the account is opened the next time. Idempotent: whoever calls it returns once all has
        ended, also one who is cancelled meanwhile."""
        if self._open is None:
            return
        self._closed = True
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._open.aclose())
        cancelled: asyncio.CancelledError | None = None
        while not self._ending.done():
            try:
                await asyncio.wait([self._ending])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        self._ending.result()

    async def _cancel_own(self) -> None:
        """Cancel the own orders that are open, as far as that can be done in time."""
        try:
            async with asyncio.timeout(_LAST_CANCELS):
                outcomes = await self.cancel_all(own=True)
        except (TimeoutError, CcrsError) as error:
            log.error("account %s: own orders may be open still: %s", self.name, error)
            return
        for each in outcomes:
            if isinstance(each, CcrsError):
                log.error("account %s: an own order may be open still: %s", self.name, each)
        # Taken isn't ended: the streams tell so in a moment, and then the ledger knows, too.
        going = [each.order for each in outcomes if isinstance(each, CancelOutcome)]
        with contextlib.suppress(TimeoutError, CcrsError):
            async with asyncio.timeout(_LAST_WORDS):
                for order in going:
                    await LiveOrder(self, order).completed()

    async def _settle_down(self) -> None:
        """What hasn't left isn't sent; answers that are under way are waited for, but not long."""
        flights = self._parts.flights
        sendings = []
        for key in flights.keys():  # noqa: SIM118 - no mapping
            flight = flights.get(key)
            if flight is not None:
                flight.withdraw_amends("the account is being closed")
                placing = flight.placing
                if placing is not None:
                    placing.withdraw("the account is being closed")
                    sendings.append(placing)
                sendings += flight.amends
        if sendings:
            waits = [asyncio.ensure_future(each.finished()) for each in sendings]
            _, late = await asyncio.wait(waits, timeout=_LAST_ANSWERS)
            for each in late:
                each.cancel()

    def __repr__(self) -> str:
        if self._open is None:
            return f"<Account {self.name}: not open>"
        if self._closed:
            return f"<Account {self.name}: closed>"
        orders = len(open_ones(self._open.ledger.orders()))
        state = "synced" if self.synced else f"not synced ({self.reason})"
        return f"<Account {self.name} at {self._open.exchange}: {state}, {orders} open orders>"

    # --- how it fares ---

    @property
    def info(self) -> AccountInfo | None:
        """Its mode and what its key may do, as read when it was opened; None where the exchange
        doesn't say."""
        return self._parts.info

    @property
    def margin(self) -> Margin | None:
        """Its margin as a whole, as read last; None where the exchange doesn't say."""
        return self._parts.margin

    @property
    def synced(self) -> bool:
        """Whether what is told of it is known to be whole and current."""
        return self._parts.upkeep.synced

    @property
    def reason(self) -> str:
        """Why it is synced or not, for people."""
        return self._parts.upkeep.reason

    @property
    def number(self) -> int:
        """That of the ledger's last event: with ``events(since=account.number)`` only what comes
        from now on is delivered."""
        return self._parts.ledger.number

    async def reconcile(self) -> Reconciliation:
        """Read the exchange's lists now, and say what could be read. It happens by itself every
        minute, and after each loss."""
        self._parts.check_follows("reads no lists by itself")
        return await self._parts.upkeep.reconcile()

    def dead_man(
        self,
        seconds: float = 10.0,
        *,
        markets: Collection[Market | str] | None = None,
        symbols: Collection[str] | None = None,
        everything: bool = False,
        share: float = 0.1,
    ) -> DeadManSwitch:
        """The exchange's disconnect protection, to be used in ``async with``: it cancels open
        orders once it hasn't heard of this program for ``seconds``. Entering fails where it isn't
        in force; ``covers`` and ``spares`` of what is returned say what it does.

        :param markets: whose orders; None: of all that it can be had for.
        :param symbols: whose orders, where the exchange has a protection for each instrument.
        :param everything: orders of other programs, too, where it can spare them.
        :param share: of the budget of requests that renewals may take at most, where the protection
            is a timer: entering fails where they would take more.
        :raises Unsupported: where the exchange has none, or none of these.
        :raises UsageError: where it has none of so many seconds, or ``symbols`` are missing.
        """
        return DeadManSwitch(self._parts, seconds, markets, symbols, everything, share)

    async def protection(self) -> dict[Market, int | None] | None:
        """The exchange's disconnect protection as it says that it is, whoever set it: seconds by
        market, None where it is off. None where the exchange doesn't tell."""
        context = self._parts.context
        declared = context.trading.dead_man
        if declared is None or GetDeadMan not in context.exchange.endpoints:
            return None
        self._parts.check_alive()
        return {
            market: await context.asks.read(GetDeadMan(market))
            for market in Market
            if market in declared.markets
        }

    @property
    def clock(self) -> ExchangeClock | None:
        """The exchange's clock, and how it stands to the local one (``offset``)."""
        return self._parts.requester.clock

    # --- what happens ---

    def events(
        self,
        since: int | None = None,
        *,
        consumer: str = "default",
        kinds: Collection[str] | None = None,
    ) -> AccountFeed:
        """What happens to the account, from the last event that this ``consumer`` has acknowledged
        (``feed.acknowledge(event)``) on: nothing twice, unless it wasn't acknowledged.

        A consumer that is new begins with the opening of the account. What it doesn't acknowledge
        comes again when the program is started the next time, marked: of who doesn't care
        ``since=account.number`` says so.

        :param since: a number of the ledger, after which to begin instead.
        :param kinds: only events of these (``Fill.type``, say), and notices.
        :raises UsageError: where there is no such number, consumer or kind.
        """
        parts = self._parts
        parts.check_follows("has no events")
        wanted = checked(since, consumer, kinds)
        return AccountFeed(parts.hub, *wanted, exchange=parts.exchange, account=self.name)

    def fills(self, since: int | None = None, *, consumer: str = "fills") -> AccountFeed:
        """:meth:`events`, of fills alone (and notices)."""
        return self.events(since, consumer=consumer, kinds=("fill",))

    def early_fills(self) -> EarlyFills:
        """Unconfirmed words of fills, ahead of the ledger's: for speed alone, and lossy.

        :raises Unsupported: where the exchange tells none.
        """
        parts = self._parts
        if Channel.EARLY_FILLS not in parts.context.exchange.capabilities.account_channels:
            raise Unsupported(f"{parts.exchange} tells no fills ahead of their confirmation")

        def join(feed: EarlyFills) -> None:
            parts.streams.add(Channel.EARLY_FILLS)
            parts.hub.early.append(feed)

        return EarlyFills(join, parts.hub.early.remove)


__all__ = ["Account"]
