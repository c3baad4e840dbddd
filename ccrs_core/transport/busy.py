"""An event loop that never sleeps: a core's time for the microseconds that waking up takes."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ccrs_core.errors import UsageError
from ccrs_core.transport.base import SYSTEM_CLOCK

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_Ready = list[tuple[selectors.SelectorKey, int]]


def busy_loop(*, idle_after: float | None = None) -> asyncio.SelectorEventLoop:
    """An event loop that asks for events over and over, instead of sleeping until there are some.

    For ``asyncio.Runner(loop_factory=ccrs_core.busy_loop)``. It takes one core wholly, even while
    nothing happens. With ``idle_after``, once nothing has arrived for so many seconds, it sleeps
    as others do until something arrives; 0 never spins. Timers don't count as arriving, and are
    kept to the microsecond while it spins. Signals, other threads and ``call_soon_threadsafe`` work
    as ever; the interpreter's lock is let go with every look.

    :raises UsageError: where ``idle_after`` is negative or no number.
    """
    if idle_after is not None and not idle_after >= 0:
        raise UsageError(f"idle_after must be seconds from zero, not {idle_after}")
    return asyncio.SelectorEventLoop(BusySelector(selectors.DefaultSelector(), idle_after))


class BusySelector(selectors.BaseSelector):
    """Another selector, asked without waiting until it has something or the time is over.

    The spinning is here, not in the loop's turns: a turn takes several times as long as a look.
    """

    def __init__(self, inner: selectors.BaseSelector, idle_after: float | None = None) -> None:
        self._inner = inner
        self._idle_after = idle_after
        self._arrived = SYSTEM_CLOCK.monotonic()

    def select(self, timeout: float | None = None) -> _Ready:
        """What is ready; waits for it up to ``timeout`` seconds, for ever where it is None."""
        look = self._inner.select
        ready = look(0)
        if self._idle_after is None:
            if ready or (timeout is not None and timeout <= 0):
                return ready
            return self._spin(None if timeout is None else SYSTEM_CLOCK.monotonic() + timeout)
        now = SYSTEM_CLOCK.monotonic()
        if not ready and (timeout is None or timeout > 0):
            until = None if timeout is None else now + timeout
            asleep_at = self._arrived + self._idle_after
            ready = self._spin(asleep_at if until is None else min(until, asleep_at))
            now = SYSTEM_CLOCK.monotonic()
            if not ready and (until is None or now < until):
                ready = look(None if until is None else until - now)
                now = SYSTEM_CLOCK.monotonic()
        if ready:
            self._arrived = now
        return ready

    def _spin(self, until: float | None) -> _Ready:
        look = self._inner.select
        if until is None:
            while not (ready := look(0)):
                pass
            return ready
        now = SYSTEM_CLOCK.monotonic
        while not (ready := look(0)) and now() < until:
            pass
        return ready

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._inner.get_map()

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._inner.get_key(fileobj)

    def close(self) -> None:
        self._inner.close()
