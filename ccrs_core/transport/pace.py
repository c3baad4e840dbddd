"""Time in which the loop did nothing isn't held against anybody: timers and deadlines that know.

A callback that computes, or a process that is stopped, keeps the loop from reading its sockets.
Afterwards all timers fire at once, many before what waits in the sockets has been read. Judged
then, a healthy connection is dead. So such a time doesn't count, and what waits is read first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ccrs_core.transport.base import Connection

EVERY = 0.25
"""Seconds between two looks at whether the loop still goes round."""
TOLERANCE = 0.25
"""Seconds that a loop may be late, as loops are that have something to do."""
SETTLE = 0.5
"""Seconds for reading what waits in the sockets, before anything is judged."""


class Pace:
    """What a client's connections know of the pauses of the loop that they run on.

    Watches while anybody has joined; who has is told of each pause once it is over.
    """

    def __init__(self) -> None:
        self.lost = 0.0
        """Seconds for which the loop was blocked so far."""
        self._members: dict[Callable[[float], None], None] = {}
        self._seen = 0.0
        """When the loop was last known to go round."""
        self._settled_at = 0.0
        self._settling = False
        """A pause has ended, and nothing was judged since."""
        self._timer: asyncio.TimerHandle | None = None

    def join(self, tell: Callable[[float], None]) -> None:
        """Call this with the length (s) of each pause from now on, until it leaves."""
        if not self._members:
            self._seen = asyncio.get_running_loop().time()
            self._watch()
        self._members[tell] = None

    def leave(self, tell: Callable[[float], None]) -> None:
        self._members.pop(tell, None)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._watched)

    def _watched(self) -> None:
        self._watch()
        self.look()

    def look(self) -> None:
        """Find out whether the loop has just been blocked."""
        if not self._members:
            return
        now = asyncio.get_running_loop().time()
        gap, self._seen = now - self._seen, now
        over = now >= self._settled_at
        if gap <= EVERY + TOLERANCE:
            self._settling = self._settling and not over
            return
        if self._settling and over:
            # Blocked while it was to settle: judge now. A loop that is blocked over and over would
            # never come to it.
            self._settling = False
        elif over:
            self._settled_at, self._settling = now + SETTLE, True
        pause = gap - EVERY
        self.lost += pause
        for tell in tuple(self._members):
            tell(pause)

    @property
    def wait(self) -> float:
        """Seconds until what waited in the sockets after a pause will have been read."""
        return max(self._settled_at - asyncio.get_running_loop().time(), 0.0)

    def later(self, delay: float, call: Callable[..., object], *args: Any) -> Timer:
        """Call something after so many seconds in which the loop went round."""
        return Timer(self, delay, call, args)


class Timer:
    """A call that is to come, not counting pauses of the loop. See :meth:`Pace.later`."""

    __slots__ = ("_args", "_call", "_due", "_handle", "_lost", "_now", "_pace")

    def __init__(
        self, pace: Pace, delay: float, call: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._pace, self._call, self._args = pace, call, args
        loop = asyncio.get_running_loop()
        self._now = delay <= 0
        """To be done at once: it judges nothing."""
        self._due = loop.time() + delay
        self._lost = pace.lost
        self._handle: asyncio.TimerHandle | None = loop.call_at(self._due, self._fire)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        pace = self._pace
        pace.look()
        if self._handle is None:
            return  # who was told of a pause has cancelled it
        if not self._now:
            self._due += pace.lost - self._lost
            self._lost = pace.lost
            loop = asyncio.get_running_loop()
            delay = max(self._due - loop.time(), pace.wait)
            if delay > 0:
                self._handle = loop.call_later(delay, self._fire)
                return
        self._handle = None
        self._call(*self._args)


class Unhurried:
    """``call_later``, but where the loop was blocked when it was time, what has come meanwhile is
    read first. For those who know of no :class:`Pace`, or to whom a pause counts as time."""

    __slots__ = ("_call", "_due", "_handle")

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._call, self._due = call, loop.time() + seconds
        self._handle = loop.call_at(self._due, self._fire)

    def cancel(self) -> None:
        self._handle.cancel()

    def _fire(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._due > TOLERANCE:
            self._handle = loop.call_later(SETTLE, self._call)
        else:
            self._call()


class Overdue:
    """Calls that come due unless they are dropped before, as most are: one timer for all."""

    def __init__(self) -> None:
        self._calls: dict[object, tuple[float, Callable[[], object], bool]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0
        """When the timer goes off, if there is one."""

    def set(
        self, key: object, seconds: float, call: Callable[[], object], *, unhurried: bool = False
    ) -> None:
        """Call something after so many seconds, instead of what was to be called for the key;
        ``unhurried``: as :class:`Unhurried` does."""
        due = asyncio.get_running_loop().time() + seconds
        self._calls[key] = due, call, unhurried
        if self._handle is None or due < self._at:
            self._arm(due)

    def drop(self, key: object) -> None:
        """Call nothing for a key."""
        self._calls.pop(key, None)

    def end(self) -> None:
        """Call nothing any more."""
        self._calls.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = asyncio.get_running_loop().time()
        over: list[Callable[[], object]] = []
        # A timer may go off a little early, by the clock's grain.
        for key, (due, call, unhurried) in list(self._calls.items()):
            if due > max(now, self._at):
                continue
            if unhurried and now - due > TOLERANCE:
                self._calls[key] = now + SETTLE, call, False
            else:
                del self._calls[key]
                over.append(call)
        if self._calls:
            self._arm(min(due for due, *_ in self._calls.values()))
        for call in over:
            call()


async def hang_up(connection: Connection, seconds: float) -> None:
    """Close a connection in good order, or drop it where that takes longer."""
    try:
        with contextlib.suppress(TimeoutError):
            async with Deadline(seconds):
                await connection.close()
    finally:
        connection.abort()


class Deadline:
    """``asyncio.timeout``, but where the loop was blocked when the time was over, what has come
    meanwhile is looked at before that is a ``TimeoutError``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._timer: Unhurried | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = Unhurried(self._seconds, self.expire)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def expire(self) -> None:
        """Let the time be over now."""
        loop = asyncio.get_running_loop()
        self._timeout.reschedule(loop.time())
