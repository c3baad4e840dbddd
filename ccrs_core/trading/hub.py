"""Who gets what the ledger tells once it is committed: feeds, and waits for orders."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from ccrs_core.model.accounts import AccountEvent
from ccrs_core.model.orders import EarlyFill, OrderUpdate
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.change import Change
from ccrs_core.trading.delivery import AccountFeed, AccountNotice, EarlyFills
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.recall import others_key
from ccrs_core.trading.store import Acknowledged, Entry, Store, Stored

_CHANGES = frozenset({"order", "position", "balance", "margin_call"})
"""Events that tell how something is now, unlike fills and money, which are kept."""
_IDLE_ORDERS_NS = 30 * 86_400 * NS_PER_SECOND
"""For how long an order stays that ended without a fill."""
_KEPT, _MOST, _AT_ONCE = 10_000, 200_000, 5_000
"""So many of the newest entries are kept in any case, and of changes at most; it is looked at so
rarely."""


class Hub:
    """Hands committed events to an account's feeds, and wakes who waits for an order."""

    def __init__(self, store: Store, stored: Stored) -> None:
        self.journal: Journal | None = None
        """Commits what is acknowledged."""
        self.early: list[EarlyFills] = []
        self._store = store
        self._begins = stored.number
        """What has a higher number came since the account was opened."""
        self._acknowledged = {each.consumer: each.number for each in stored.acknowledged}
        self._handed: dict[str, int] = {}
        self._feeds: list[AccountFeed] = []
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        """By either id of an order."""
        self._ended: BaseException | None = None
        self.closed = False
        self._forgotten = 0

    # --- what comes ---

    def committed(self, events: Sequence[AccountEvent]) -> None:
        """These are in the store."""
        for feed in self._feeds:
            feed.put(events)
        if self._waiting:
            for event in events:
                if isinstance(event, OrderUpdate):
                    self.wake(event.order.client_order_id)
                    self.wake(event.order.exchange_order_id)
                    self.wake(others_key(event.symbol, event.order.exchange_order_id))

    def notice(self, notice: AccountNotice) -> None:
        """Tell all feeds of this."""
        for feed in self._feeds:
            feed.put([notice])

    def told_early(self, fills: Sequence[EarlyFill]) -> None:
        """Unconfirmed fills were told."""
        for each in self.early:
            each.put(fills)

    def fail(self, error: BaseException) -> None:
        """The account learns nothing any more: readers and waits are told, once."""
        self._ended = error
        for feed in self._feeds:
            feed.fail(error)
        self._wake_all()

    def end(self) -> None:
        """The account has been closed."""
        self.closed = True
        for feed in list(self._feeds):
            feed.end()
        self._feeds.clear()
        for each in self.early:
            each.end()
        self._wake_all()

    # --- waits ---

    def wake(self, key: str) -> None:
        """An order has changed."""
        for waiter in self._waiting.pop(key, ()) if key else ():
            if not waiter.done():
                waiter.set_result(None)

    def _wake_all(self) -> None:
        for key in list(self._waiting):
            self.wake(key)

    async def changed(self, key: str) -> None:
        """Wait until an order has changed.

        :raises BaseException: what has ended the account.
        """
        if self._ended is not None:
            raise self._ended.with_traceback(None)
        if self.closed:
            from ccrs_core.errors import FeedClosed

            raise FeedClosed("the account was closed: nothing more is learned of its orders")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(key, [])
        waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters and self._waiting.get(key) is waiters:
                del self._waiting[key]

    # --- what feeds ask (see :class:`~ccrs_core.trading.delivery.Source`) ---

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None
    ) -> list[Entry]:
        """What the store has after a number, oldest first."""
        return await self._store.entries_after(number, limit, kinds)

    def first_of(self, consumer: str) -> int:
        """The number up to which a consumer has acknowledged all; of a new one, that with which the
        account was opened, which is remembered from now on."""
        if consumer not in self._acknowledged:
            self.acknowledge(consumer, self._begins)
        return self._acknowledged[consumer]

    def handed(self, consumer: str) -> int:
        """The highest number that may have been handed to a consumer."""
        return self._handed.get(consumer, self._begins)

    def hand(self, consumer: str, number: int) -> None:
        """It is handed this one now."""
        self._handed[consumer] = number

    def acknowledge(self, consumer: str, number: int) -> None:
        """It has dealt with all up to a number."""
        if number > self._acknowledged.get(consumer, -1):
            self._acknowledged[consumer] = number
            assert self.journal is not None
            self.journal.add(Change(rows=(Acknowledged(consumer, number),)))

    async def forget(self, number: int, now_ns: int) -> None:
        """Let the store go of what only told changes: what all consumers have acknowledged, and
        whatever lies far back; and of orders that ended long ago without a fill."""
        upto = max(min(self.acknowledged, number - _KEPT), number - _MOST)
        if upto >= self._forgotten + _AT_ONCE:
            self._forgotten = upto
            before_ns = now_ns - _IDLE_ORDERS_NS
            await self._store.forget(upto, _CHANGES, orders_before_ns=before_ns)

    @property
    def acknowledged(self) -> int:
        """Up to which number all consumers have acknowledged all."""
        return min(self._acknowledged.values(), default=self._begins)

    def join(self, feed: AccountFeed) -> None:
        """Let a feed have what is committed from now on."""
        self._feeds.append(feed)
        if self._ended is not None:
            feed.fail(self._ended.with_traceback(None))
        if self.closed:
            feed.end()

    def leave(self, feed: AccountFeed) -> None:
        """It is to have nothing any more."""
        if feed in self._feeds:
            self._feeds.remove(feed)
