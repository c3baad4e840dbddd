"""Market data and accounts in one loop: feeds of any exchanges read as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from ccrs_core.errors import FeedClosed, UsageError
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.accounts import AccountEvent
from ccrs_core.model.events import AnyEvent
from ccrs_core.trading.delivery import AccountFeed, AnyAccountEvent

AnyMerged = AnyEvent | AnyAccountEvent
"""All that merged feeds deliver."""


def merge(*feeds: Feed | AccountFeed) -> MergedEvents:
    """Feeds of market data and of accounts as one, to be used in ``async with`` and iterated with
    ``async for``. Entering opens them, leaving closes them; clients and accounts stay open.

    :param feeds: made by ``subscribe()`` of clients, or by ``events()`` and ``fills()`` of
        accounts, and not opened yet; of each account one at most.
    :raises UsageError: of what is none of these, of one that is there twice or has a callback, and
        of two of one account.
    """
    return MergedEvents(feeds)


class MergedEvents:
    """What several feeds bring, one event at a time or all that waits (:meth:`batches`).

    Of what can be read, the next is always what arrived here first (``received_time_ns``); events
    of one feed keep their order. Market data can be read at once, an account's events when they
    are in its ledger's store, notices of either where they happened in their feed. Each feed keeps
    its own promises: policy and bound of market data; no event of an account is dropped.

    What one feed raises is raised once, and reading may go on with all of them. It ends when all
    have ended. One reader at a time.
    """

    def __init__(self, feeds: tuple[Feed | AccountFeed, ...]) -> None:
        accounts: dict[tuple[str, str], AccountFeed] = {}
        for each in feeds:
            if isinstance(each, AccountFeed):
                name = each.exchange, each.account
                if name in accounts:
                    raise UsageError(
                        f"two feeds of the account {name[1]} at {name[0]}: their events can't be "
                        "told apart; take one, of all kinds that you want"
                    )
                accounts[name] = each
            elif not isinstance(each, Feed):
                raise UsageError(
                    f"can't merge {each!r:.200}: give feeds, made by subscribe() or events()"
                )
            elif each.has_callback:
                raise UsageError("a feed with a callback is read by it, and not merged")
        if not feeds or len(set(map(id, feeds))) < len(feeds):
            raise UsageError("name feeds to merge, each once")
        self._feeds = feeds
        self._accounts = accounts
        self._fetches: dict[AccountFeed, asyncio.Task[None]] = {}
        self._open: contextlib.AsyncExitStack | None = None
        self._entered = False
        self._reads = False

    # --- life ---

    async def __aenter__(self) -> Self:
        if self._entered:
            raise FeedClosed("merged feeds are opened once; make other ones")
        self._entered = True
        async with contextlib.AsyncExitStack() as undo:
            for each in self._feeds:
                await undo.enter_async_context(each)
            undo.push_async_callback(self._end_fetches)
            self._open = undo.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._open is not None
        await self._open.__aexit__(kind, error, traceback)

    async def aclose(self) -> None:
        """Close all feeds. What of accounts wasn't acknowledged comes again. Idempotent."""
        if self._open is not None:
            await self._open.aclose()

    async def _end_fetches(self) -> None:
        for fetch in self._fetches.values():
            fetch.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[AnyMerged]:
        return self

    async def __anext__(self) -> AnyMerged:
        while (feed := self._first()) is None or (event := feed.take()) is None:
            if not await self._wait():
                raise StopAsyncIteration
        return event

    def batches(self) -> AsyncIterator[list[AnyMerged]]:
        """All events that have arrived, at one wake-up, in order; never an empty list.

        As with single events, a read that was cancelled, by a timeout say, can be tried again.
        """
        return _Batches(self)

    async def _batch(self) -> list[AnyMerged]:
        """The next of :meth:`batches`; empty once all have ended."""
        first = await anext(self, None)
        found = [] if first is None else [first]
        # What they raise has to wait for the next read, or what was taken would be lost.
        while found and (feed := self._earliest()) is not None:
            event = feed.take()
            assert event is not None
            found.append(event)
        return found

    def acknowledge(self, event: AnyMerged) -> None:
        """All of this event's account up to it is dealt with: it won't come again, after a restart
        either. Market data and notices need none, and are passed over.

        :raises UsageError: of an event of an account that isn't merged here, or hasn't been read.
        """
        if isinstance(event, AccountEvent):
            feed = self._accounts.get((event.exchange, event.account))
            if feed is None:
                raise UsageError(
                    f"no events of the account {event.account} at {event.exchange} are merged here"
                )
            feed.acknowledge(event)

    def _first(self) -> Feed | AccountFeed | None:
        """Whose next event arrived first; None where none waits. Raises what feeds do that have
        none."""
        for each in self._feeds:
            if each.head_ns is None:
                if isinstance(each, AccountFeed):
                    self._fetch(each)
                each.raise_error()
        return self._earliest()

    def _earliest(self) -> Feed | AccountFeed | None:
        first: Feed | AccountFeed | None = None
        first_ns = 0
        for each in self._feeds:
            arrived_ns = each.head_ns
            if arrived_ns is not None and (first is None or arrived_ns < first_ns):
                first, first_ns = each, arrived_ns
        return first

    def _fetch(self, feed: AccountFeed) -> None:
        """Have an account's next events read from its store, while others are delivered."""
        fetch = self._fetches.get(feed)
        if fetch is not None:
            if not fetch.done():
                return
            del self._fetches[feed]
            fetch.result()
        if feed.behind:
            self._fetches[feed] = asyncio.ensure_future(feed.fetch())

    async def _wait(self) -> bool:
        """Wait until there may be something to read; False once all have ended."""
        if self._open is None:
            raise FeedClosed("open merged feeds first: async with merge(…) as feed")
        if all(each.ended for each in self._feeds):
            return False
        if self._reads:
            raise UsageError("somebody reads these feeds already; they have one reader at a time")
        wake = asyncio.get_running_loop().create_future()

        def fetched(_: object) -> None:
            if not wake.done():
                wake.set_result(None)

        self._reads = True
        fetches = list(self._fetches.values())
        try:
            for each in self._feeds:
                each.wake_by(wake)
            for fetch in fetches:
                fetch.add_done_callback(fetched)
            await wake
        finally:
            self._reads = False
            for fetch in fetches:
                fetch.remove_done_callback(fetched)
            for each in self._feeds:
                each.forget(wake)
        return True


class _Batches:
    """Takes all that waits at a time; leaving the loop or cancelling it loses nothing."""

    __slots__ = ("_feeds",)

    def __init__(self, feeds: MergedEvents) -> None:
        self._feeds = feeds

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[AnyMerged]:
        if not (batch := await self._feeds._batch()):
            raise StopAsyncIteration
        return batch


__all__ = ["AnyMerged", "MergedEvents", "merge"]
