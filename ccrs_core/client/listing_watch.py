"""Hears at once what an exchange lists anew, delists or changes, while somebody wants to."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import CcrsError, FeedClosed
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.events import InstrumentChanged
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel, Interest, Subscription
from ccrs_core.requests.instruments import InstrumentStore

log = logging.getLogger("ccrs.instruments")

PAUSE = 5.0
"""Seconds between two fresh lists, however often the exchange tells that something has changed."""
MOST_KEPT = 100_000
"""Changes that wait for a consumer; the oldest of more are dropped, which is logged."""


class InstrumentWatch:
    """Changes of a market's instruments, by ``async with`` and ``async for``: listings (``before``
    is None), delistings (``after`` is None), new ticks and statuses, each once, in order.

    Where the exchange tells of changes (``Capabilities.instrument_news``) a connection of its own
    listens to that, and the list is fetched anew when there are news, at most once in five seconds;
    everywhere it is fetched every so many seconds besides. Feeds that concern a changed instrument
    are told, too. Made by ``Client.watch_instruments``.
    """

    def __init__(
        self,
        exchange: Exchange,
        market: Market,
        store: Callable[[], InstrumentStore],
        subscribe: Callable[..., Feed],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        every: float,
    ) -> None:
        self.market = market
        self._exchange = exchange
        self._store = store
        self._subscribe = subscribe
        self._spawn = spawn
        self._every = every
        self._changes: deque[InstrumentChanged] = deque()
        self._arrived = asyncio.Event()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._unhear: Callable[[], None] | None = None
        self._closed = False
        self._dropped = 0

    async def __aenter__(self) -> Self:
        """Fetch the list that changes are told against, where there is none yet.

        :raises CcrsError: where it can't be had.
        """
        if self._unhear is not None or self._closed:
            raise FeedClosed("a watch is opened once; call watch_instruments() for another one")
        store = self._store()
        listed = await store.market(self.market)
        self._unhear = store.listen(self._hear)
        self._tasks.append(self._spawn(self._refresh()))
        if self.market in self._exchange.capabilities.instrument_news:
            for symbol in one_of_each(self._exchange, list(listed.values())):
                self._tasks.append(self._spawn(self._listen(symbol)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hear no more; what is being waited for ends."""
        self.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def end(self) -> None:
        """As :meth:`aclose`, but for waiting until connections have been closed."""
        self._closed = True
        if self._unhear is not None:
            self._unhear()
        for task in self._tasks:
            task.cancel()
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> InstrumentChanged:
        """The next change."""
        while not self._changes:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._changes.popleft()

    # --- inside ---

    def _hear(self, market: Market, changes: Sequence[InstrumentChanged]) -> None:
        if market is not self.market or not changes:
            return
        self._changes.extend(changes)
        dropped = len(self._changes) - MOST_KEPT
        if dropped > 0:
            for _ in range(dropped):
                self._changes.popleft()
            if not self._dropped:
                log.warning(
                    "changes of %s's instruments aren't consumed: the oldest are dropped",
                    self._exchange.name,
                )
            self._dropped += dropped
        self._arrived.set()

    async def _listen(self, symbol: str) -> None:
        """Have the list fetched at whatever is said: news, but also that some may be missing."""
        try:
            async with self._subscribe(Interest(Channel.INSTRUMENTS, symbol)) as feed:
                async for _ in feed:
                    self._news.set()
        except CcrsError as error:
            if not self._closed:
                log.warning(
                    "%s doesn't tell of changed instruments any more, so that lists are fetched "
                    "every %.0f s alone: %s",
                    self._exchange.name,
                    self._every,
                    error,
                )

    async def _refresh(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._every):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._store().refresh(self.market)
            except CcrsError as error:
                # What runs goes on; the next time comes.
                log.warning(
                    "%s: the %s instruments can't be fetched anew: %s",
                    self._exchange.name,
                    self.market.value,
                    error,
                )
                self._news.set()
            await asyncio.sleep(PAUSE)


def one_of_each(exchange: Exchange, listed: Sequence[Instrument]) -> list[str]:
    """A symbol for each of the streams in which the exchange tells of a market's instruments."""
    found: dict[str, str] = {}
    for each in listed:
        subscription = Subscription(Channel.INSTRUMENTS, each)
        route = exchange.route(subscription)
        found.setdefault(exchange.codec(route).topic(subscription), each.symbol)
    return list(found.values())


__all__ = ["InstrumentWatch"]
