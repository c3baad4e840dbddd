"""Budgets: what an exchange allows per host or per connection in any stretch of time.

Budgets per host are shared by everything in the process that goes there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ccrs_core.exchange import Budget
from ccrs_core.transport.base import Clock


class Window:
    """Grants at most ``budget.amount`` in *every* window of ``budget.seconds``, first come first
    served. A grant that would exceed it waits."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.budget = budget
        self._clock = clock
        self._granted: deque[tuple[float, int]] = deque()
        self._used = 0
        self._turn: asyncio.Lock | None = None

    def _expire(self, now: float) -> None:
        granted, seconds = self._granted, self.budget.seconds
        while granted and granted[0][0] + seconds <= now:
            self._used -= granted.popleft()[1]

    def take(self, weight: int = 1) -> float:
        """Take a grant if there is one: 0.0; else the seconds until there may be one."""
        now = self._clock.monotonic()
        self._expire(now)
        weight = min(weight, self.budget.amount)
        if self._used + weight <= self.budget.amount:
            self._granted.append((now, weight))
            self._used += weight
            return 0.0
        excess, when = self._used + weight - self.budget.amount, now
        for granted_at, amount in self._granted:
            excess -= amount
            when = granted_at
            if excess <= 0:
                break
        return max(when + self.budget.seconds - now, 0.001)

    async def acquire(self, weight: int = 1, hold: Callable[[], float] | None = None) -> None:
        """Wait for a grant and take it.

        ``hold`` tells for how many seconds nobody may have one at present; it may also raise, which
        ends the waiting.
        """
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            while True:
                # Asked again after each wait, right before the grant: what is granted leaves now.
                wait = 0.0 if hold is None else hold()
                wait = wait or self.take(weight)
                if not wait:
                    return
                await asyncio.sleep(wait)


class HostLimits:
    """The budgets of one host: connection attempts, REST weight, and a pause it has asked for."""

    def __init__(self, connects: Budget, requests: Budget, clock: Clock) -> None:
        self.connects = Window(connects, clock)
        self.requests = Window(requests, clock)
        self._clock = clock
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Let no request leave before ``seconds`` have passed (HTTP 429, 418, 403)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    @property
    def paused(self) -> float:
        """Seconds that the pause still lasts, 0.0 where there is none."""
        return max(self._paused_until - self._clock.monotonic(), 0.0)


_hosts: dict[asyncio.AbstractEventLoop, dict[tuple[int, str], HostLimits]] = {}


def host_limits(host: str, connects: Budget, requests: Budget, clock: Clock) -> HostLimits:
    """The budgets of a host, one per process (strictly: per clock) and running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hosts:
        for ended in [known for known in _hosts if known.is_closed()]:
            del _hosts[ended]
        _hosts[loop] = {}
    known = _hosts[loop]
    # A budget holds its clock, so the id can't be reused while the entry lives.
    key = (id(clock), host)
    if key not in known:
        known[key] = HostLimits(connects, requests, clock)
    return known[key]
