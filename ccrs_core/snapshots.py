"""Fetches the snapshots that books start from: within the budget, a few at a time, urgent first.

Hundreds of books that start at once would spend an exchange's request budget in a moment and leave
nothing for their user's own requests, nor for a running book that has to heal.
"""

from __future__ import annotations

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
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._spawn = spawn
        self._waiting: list[tuple[int, int, _Fetch]] = []
        self._order = count()
        self._known: dict[BookKeeper, _Fetch] = {}
        self._workers = 0

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
        if self._workers < self.AT_ONCE:
            self._workers += 1
            self._spawn(self._work())

    def drop(self, keeper: BookKeeper) -> None:
        """Nobody wants a book any more."""
        fetch = self._known.pop(keeper, None)
        if fetch is not None:
            fetch.dropped = True

    async def _work(self) -> None:
        try:
            while self._waiting:
                fetch = heappop(self._waiting)[2]
                if not fetch.dropped:
                    await self._fetch(fetch)
        finally:
            self._workers -= 1

    async def _fetch(self, fetch: _Fetch) -> None:
        snapshot: BookUpdate | None = None
        try:
            snapshot = await self._ask(fetch.request, self.SHARE)
        except CcrsError as error:
            log.warning("no snapshot of %s: %s", fetch.request.instrument.symbol, error)
        keeper = fetch.keeper
        if fetch.dropped:
            return
        del self._known[keeper]
        if keeper.attempt != fetch.attempt:
            return
        now = self._clock.monotonic()
        if snapshot is not None:
            keeper.fetched(snapshot, now)
        else:
            keeper.unanswered(now)
            fetch.failed()
