"""Fetches the snapshots that books start from: within the budget, a few at a time, urgent first.

Hundreds of books that start at once would spend an exchange's request budget in a moment and leave
nothing for their user's own requests, nor for a running book that has to heal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from itertools import count
from typing import Any

import attrs

from ccrs_core.errors import CcrsError
from ccrs_core.events import BookUpdate
from ccrs_core.keeper import Ask, BookKeeper
from ccrs_core.rest import GetBook
from ccrs_core.transport.base import Clock

log = logging.getLogger("ccrs.snapshots")


@attrs.define(eq=False)
class _Fetch:
    request: GetBook
    keeper: BookKeeper
    attempt: int
    failed: Callable[[], None]
    dropped: bool = False
    """Nobody wants it any more."""


class SnapshotQueue:
    """The snapshots that the books of one client wait for.

    ``ask(request, share)`` asks the exchange, once that much of the budget (1.0: all) isn't spent.
    """

    AT_ONCE = 4
    """Requests under way at a time."""
    SHARE = 0.8
    """Of the request budget; the rest is kept for the user's own requests."""

    def __init__(
        self,
        ask: Callable[[GetBook, float], Coroutine[Any, Any, BookUpdate]],
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._spawn = spawn
        self._waiting: list[tuple[int, int, _Fetch]] = []
        self._order = count()
        self._known: dict[BookKeeper, _Fetch] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._said: dict[BookKeeper, str] = {}
        """Which trouble the log was told of, by book."""

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._known)

    def want(
        self, request: GetBook, keeper: BookKeeper, what: Ask, failed: Callable[[], None]
    ) -> None:
        """Fetch a book's snapshot in its turn and hand it to its keeper; ``failed`` is called where
        the exchange didn't give it. What was wanted before, and still is, isn't asked for twice."""
        known = self._known.get(keeper)
        if known is not None:
            if known.attempt == keeper.attempt:
                return
            known.dropped = True
        fetch = self._known[keeper] = _Fetch(request, keeper, keeper.attempt, failed)
        heappush(self._waiting, (what is Ask.FIRST, next(self._order), fetch))
        if len(self._workers) < self.AT_ONCE:
            worker = self._spawn(self._work())
            if not worker.done():
                self._workers.add(worker)

    def drop(self, keeper: BookKeeper) -> None:
        """Nobody wants a book any more."""
        self._said.pop(keeper, None)
        fetch = self._known.pop(keeper, None)
        if fetch is not None:
            fetch.dropped = True

    async def aclose(self) -> None:
        """Ask for nothing more, and give up what is under way or waits for the budget."""
        for keeper in list(self._known):
            self.drop(keeper)
        self._waiting.clear()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    async def _work(self) -> None:
        try:
            while self._waiting:
                fetch = heappop(self._waiting)[2]
                if fetch.dropped:
                    continue
                if fetch.attempt == fetch.keeper.attempt:
                    await self._fetch(fetch)
                else:
                    # The book has begun anew meanwhile, and will ask by itself.
                    del self._known[fetch.keeper]
        finally:
            # At once: who wants something now must find that nobody is at work.
            worker = asyncio.current_task()
            assert worker is not None
            self._workers.discard(worker)

    async def _fetch(self, fetch: _Fetch) -> None:
        keeper, symbol = fetch.keeper, fetch.request.instrument.symbol
        snapshot: BookUpdate | None = None
        try:
            snapshot = await self._ask(fetch.request, self.SHARE)
        except CcrsError as error:
            self._tell(fetch, type(error).__name__, f"no snapshot of {symbol}: {error}")
        except Exception as error:
            # A plugin's bug: it must not take the client's other books down.
            self._tell(fetch, repr(error), f"no snapshot of {symbol}", error)
        if fetch.dropped:
            return
        del self._known[keeper]
        if keeper.attempt != fetch.attempt:
            return
        now = self._clock.monotonic()
        if snapshot is None:
            keeper.unanswered(now)
            fetch.failed()
            return
        if self._said.pop(keeper, None):
            log.info("snapshots of %s come again", symbol)
        keeper.fetched(snapshot, now)

    def _tell(self, fetch: _Fetch, kind: str, text: str, bug: BaseException | None = None) -> None:
        """Log each new kind of trouble with a book once: it is tried again and again."""
        if fetch.dropped or self._said.get(fetch.keeper) == kind:
            log.debug(text)
            return
        self._said[fetch.keeper] = kind
        log.warning(text, exc_info=bug)
