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

from ccrs_core.contract.rest import GetBook
from ccrs_core.errors import CcrsError
from ccrs_core.model.events import BookUpdate
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.waiting_changes import Ask
from ccrs_core.transport.base import Clock

log = logging.getLogger("ccrs.snapshots")

_RANK = {Ask.AGAIN: 0, Ask.WIDER: 1, Ask.FIRST: 2}
"""What goes first: books that are lost, then those that soon would be, then new ones."""


@attrs.define(eq=False)
class _Fetch:
    request: GetBook
    keeper: BookKeeper
    attempt: int
    what: Ask
    failed: Callable[[], None]
    worker: asyncio.Task[None] | None = None
    """Who is at it; None while it waits in line."""
    dropped: bool = False

    @property
    def wanted(self) -> bool:
        return not self.dropped and self.keeper.wants(self.attempt)


class SnapshotQueue:
    """The snapshots that the books of one client wait for.

    ``ask(request, share)`` asks the exchange, once that much of the budget (1.0: all) isn't spent;
    ``spawn`` starts a task, and raises RuntimeError where no more are to be started.
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
        self._workers: dict[asyncio.Task[None], _Fetch | None] = {}
        """What each is at; None where it hasn't begun yet."""
        self._said: dict[BookKeeper, tuple[str, str]] = {}
        """Which trouble the log was told of, by book."""
        self._ended = False

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._known)

    def want(
        self, request: GetBook, keeper: BookKeeper, what: Ask, failed: Callable[[], None]
    ) -> None:
        """Fetch a book's snapshot in its turn and hand it to its keeper; ``failed`` is called where
        the exchange didn't give it. What was wanted before, and still is, isn't asked for twice,
        but goes forward where it has become urgent."""
        if self._ended:
            return
        known = self._known.get(keeper)
        if known is not None:
            urgent = _RANK[what] < _RANK[known.what] and known.worker is None
            if known.attempt == keeper.attempt and not urgent:
                return
            self._give_up(known)
        fetch = self._known[keeper] = _Fetch(request, keeper, keeper.attempt, what, failed)
        heappush(self._waiting, (_RANK[what], next(self._order), fetch))
        # Answers that may be long in coming must not keep others waiting who are waited for.
        for each in self._workers.values():
            if each is not None and not each.dropped and not each.wanted:
                self._give_up(each)
        self._start()

    def drop(self, keeper: BookKeeper) -> None:
        """Nobody wants a book any more."""
        self._said.pop(keeper, None)
        fetch = self._known.get(keeper)
        if fetch is not None:
            self._give_up(fetch)

    def _give_up(self, fetch: _Fetch) -> None:
        self._forget(fetch)
        fetch.dropped = True
        if fetch.worker is not None:
            fetch.worker.cancel()

    def _forget(self, fetch: _Fetch) -> None:
        if self._known.get(fetch.keeper) is fetch:
            del self._known[fetch.keeper]

    def end(self) -> None:
        """Ask for nothing more, and give up what is under way or waits for the budget."""
        self._ended = True
        for keeper in list(self._known):
            self.drop(keeper)
        self._waiting.clear()
        for worker in self._workers:
            worker.cancel()

    async def aclose(self) -> None:
        """:meth:`end`, and wait until nothing is under way any more."""
        self.end()
        if self._workers:
            await asyncio.wait(list(self._workers))

    # --- at work ---

    def _start(self) -> None:
        if not self._waiting or len(self._workers) >= self.AT_ONCE:
            return
        work = self._work()
        try:
            worker = self._spawn(work)
        except RuntimeError:
            # The client's connections are ending for good, and say why.
            work.close()
            self.end()
            return
        self._workers.setdefault(worker, None)
        worker.add_done_callback(self._done)

    def _done(self, worker: asyncio.Task[None]) -> None:
        fetch = self._workers.pop(worker)
        if fetch is not None and not fetch.dropped and worker.cancelled():
            # Not by this queue, so that nobody else would ask again.
            self._forget(fetch)
            fetch.keeper.unanswered(self._clock.monotonic())
        self._start()

    async def _work(self) -> None:
        """Fetch the one that is the most urgent now, if any is left."""
        worker = asyncio.current_task()
        assert worker is not None
        while self._waiting:
            fetch = heappop(self._waiting)[2]
            if fetch.wanted:
                fetch.worker = worker
                self._workers[worker] = fetch
                await self._fetch(fetch)
                return
            # Dropped, or the book has begun anew meanwhile and will ask by itself.
            self._forget(fetch)

    async def _fetch(self, fetch: _Fetch) -> None:
        keeper, symbol = fetch.keeper, fetch.request.instrument.symbol
        snapshot: BookUpdate | None = None
        try:
            answer: object = await self._ask(fetch.request, self.SHARE)
            if not isinstance(answer, BookUpdate) or not answer.snapshot:
                raise TypeError(f"not a whole book: {answer!r:.200}")
            snapshot = answer
        except CcrsError as error:
            self._tell(fetch, error, f"no snapshot of {symbol}: {error}")
        except Exception as error:
            # A plugin's bug: it must not take the client's other books down.
            self._tell(fetch, error, f"no snapshot of {symbol}", error)
        self._forget(fetch)
        if not fetch.wanted:
            return
        now = self._clock.monotonic()
        if snapshot is None:
            keeper.unanswered(now)
            fetch.failed()
            return
        if self._said.pop(keeper, None):
            log.info("snapshots of %s come again", symbol)
        keeper.fetched(snapshot, now, fetch.request.depth)

    def _tell(
        self, fetch: _Fetch, error: Exception, text: str, bug: Exception | None = None
    ) -> None:
        """Log each new kind of trouble with a book once: it is tried again and again, and texts
        may tell how many seconds are left."""
        kind = type(error).__name__, str(getattr(error, "code", ""))
        if not fetch.wanted or self._said.get(fetch.keeper) == kind:
            log.debug(text)
            return
        self._said[fetch.keeper] = kind
        log.warning(text, exc_info=bug)
