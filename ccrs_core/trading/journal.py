"""The one way from the ledger to the store and on to who listens: what changed is committed, in
order, and delivered after that. What can't be committed is kept, told, and tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import attrs

from ccrs_core.errors import StoreFailed
from ccrs_core.trading.change import NOTHING, Change
from ccrs_core.trading.store import Row

log = logging.getLogger("ccrs.account")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a failed commit is tried again; each time twice as long."""


class Commits(Protocol):
    """What a journal asks of the store."""

    async def commit(self, rows: Sequence[Row]) -> None: ...


class Listener(Protocol):
    """Who is told what was committed."""

    def committed(self, events: Sequence[Any]) -> None:
        """These are on disk: deliver them."""

    def store_failed(self, error: StoreFailed) -> None:
        """Nothing can be committed for now; told once until it works again."""

    def store_works(self) -> None:
        """It works again."""


@attrs.define(eq=False)
class _Entry:
    change: Change
    done: asyncio.Future[None] | None = None


class Journal:
    """Commits changes in the order in which they were made, many at a time under load.

    :param spawn: starts the task that commits.
    :param at_once: commits without waiting, where the store can do that; so nothing waits for a
        turn of the event loop.
    """

    def __init__(
        self,
        store: Commits,
        listener: Listener,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        at_once: Callable[[Sequence[Row]], None] | None = None,
    ) -> None:
        self._store = store
        self._at_once = at_once
        self._delivering = False
        self._listener = listener
        self._spawn = spawn
        self._waiting: list[_Entry] = []
        self._running: asyncio.Task[None] | None = None
        self._failed: StoreFailed | None = None
        self._closed = False
        self._broken = False
        """Whether something can't be committed at all: nothing that came after it is."""

    @property
    def failed(self) -> StoreFailed | None:
        """What keeps it from committing at present."""
        return self._failed

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The one that commits at present."""
        return self._running

    def add(self, change: Change) -> None:
        """Commit what has changed, and deliver it then; nobody waits for that."""
        if (change.rows or change.events) and not self._kept_at_once(change):
            self._put(_Entry(change))

    async def commit(self, change: Change) -> None:
        """Commit what has changed, and wait until it is.

        :raises StoreFailed: where it can't be for now. It is kept, and committed once that works.
        """
        if self._broken and self._failed is not None:
            raise self._failed.with_traceback(None)
        if self._closed:
            raise StoreFailed("the account is closed")
        if self._failed is not None:
            self._put(_Entry(change))
            raise self._failed.with_traceback(None)
        if self._kept_at_once(change):
            return
        done = asyncio.get_running_loop().create_future()
        self._put(_Entry(change, done))
        await done

    async def flush(self) -> None:
        """Wait until all that was added is committed, or a commit has failed."""
        while self._running is not None and self._failed is None:
            await asyncio.wait([self._running], timeout=0.05)

    def _kept_at_once(self, change: Change) -> bool:
        """Commit it now, and deliver it, where that can be and it is its turn."""
        idle = self._running is None and not self._waiting and not self._delivering
        if self._at_once is None or not idle or self._failed is not None or self._closed:
            return False
        try:
            self._at_once(change.rows)
        except Exception:
            return False  # it fails in the task, too, which tells of it and tries again
        if events := change.events:
            self._delivering = True
            try:
                self._listener.committed(events)
            finally:
                self._delivering = False
        return True

    def _put(self, entry: _Entry) -> None:
        if self._broken:
            return  # it is learned again once the account is opened anew
        self._waiting.append(entry)
        if self._running is None and not self._closed:
            self._running = self._spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting and not self._broken:
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
        finally:
            self._running = None

    async def _commit(self, batch: list[_Entry]) -> None:
        rows = [row for entry in batch for row in entry.change.rows]
        pause = _FIRST_PAUSE
        while rows:
            try:
                await self._store.commit(rows)
                break
            except StoreFailed as error:
                self._fails(error, batch)
                if not error.retryable:
                    self._closed = self._broken = True
                    return
            except Exception as error:  # a store of others that doesn't keep to the protocol
                failure = StoreFailed(f"the store fails: {error!r}")
                failure.__cause__ = error
                self._fails(failure, batch)
            except BaseException:
                self._waiting[:0] = batch
                raise
            try:
                await asyncio.sleep(pause)
            except BaseException:
                self._waiting[:0] = batch
                raise
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._failed is not None:
            self._failed = None
            self._listener.store_works()
        for entry in batch:
            if entry.done is not None and not entry.done.done():
                entry.done.set_result(None)
        events = [event for entry in batch for event in entry.change.events]
        if events:
            self._listener.committed(events)

    def _fails(self, error: StoreFailed, batch: list[_Entry]) -> None:
        first = self._failed is None
        self._failed = error
        if first:
            log.error("the ledger's store fails: %s", error)
            self._listener.store_failed(error)
        for entry in (*batch, *self._waiting):
            if entry.done is not None and not entry.done.done():
                entry.done.set_exception(error)
                entry.done.exception()  # who stopped waiting needn't hear of it

    async def aclose(self, last: Change = NOTHING) -> None:
        """Commit what is left, and a last change, once more, and end.

        :raises StoreFailed: where that fails; what it was is learned again from the exchange.
        """
        self._closed = True
        running = self._running
        if running is not None:
            if self._failed is not None:
                running.cancel()
            await asyncio.wait([running])
        left, self._waiting = self._waiting, []
        for entry in left:
            if entry.done is not None and not entry.done.done():
                entry.done.set_exception(StoreFailed("the account is closed"))
                entry.done.exception()  # who stopped waiting needn't hear of it
        rows = [row for entry in left for row in entry.change.rows] + [*last.rows]
        if self._broken:
            return
        try:
            if rows:
                await self._store.commit(rows)
        except StoreFailed:
            raise
        except Exception as error:
            raise StoreFailed(f"the store fails: {error!r}") from error
