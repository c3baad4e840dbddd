"""Wakes one connection's session when it wants to be, whose mind may change with each frame."""

from __future__ import annotations

from collections.abc import Callable

from ccrs_core.transport.base import Clock
from ccrs_core.transport.pace import Pace, Timer

NEVER = float("inf")

_GRAIN = 0.02
"""It goes off at most this often (s), so that thousands of deadlines don't."""


class Alarm:
    """Calls ``wake`` at one time, monotonic seconds."""

    def __init__(self, clock: Clock, pace: Pace, wake: Callable[[], None]) -> None:
        self._clock, self._pace, self._wake = clock, pace, wake
        self._timer: Timer | None = None
        self._at = NEVER

    def set(self, at: float) -> None:
        """Go off at this time and no other; at infinity: never."""
        if at == self._at:
            return
        self.cancel()
        self._at = at
        if at != NEVER:
            delay = max(at - self._clock.monotonic(), self._pace.wait)
            self._timer = self._pace.later(delay, self._gone_off)

    def _gone_off(self) -> None:
        self._timer, self._at = None, NEVER
        self._wake()

    def again(self, at: float) -> None:
        """:meth:`set` after it has gone off, which was just now."""
        now = self._clock.monotonic()
        self.cancel()
        if at != NEVER:
            self._at = max(at, now + _GRAIN)
            self._timer = self._pace.later(self._at - now, self._gone_off)

    def cancel(self) -> None:
        """Don't go off."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._at = None, NEVER
