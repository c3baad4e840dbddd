"""Budgets: what an exchange allows per host or per connection in any stretch of time.

Budgets per host are shared by everything in the process that goes there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

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
        granted, horizon = self._granted, now - self.budget.seconds
        while granted and granted[0][0] <= horizon:
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

    async def acquire(self, weight: int = 1) -> None:
        """Wait for a grant and take it."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            wait = self.take(weight)
            while wait:
                await asyncio.sleep(wait)
                wait = self.take(weight)


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

    async def unpaused(self) -> None:
        """Wait until the host may be asked again."""
        left = self.paused
        while left:
            await asyncio.sleep(left)
            left = self.paused


_hosts: WeakKeyDictionary[object, dict[tuple[int, str], HostLimits]] = WeakKeyDictionary()


def host_limits(host: str, connects: Budget, requests: Budget, clock: Clock) -> HostLimits:
    """The budgets of a host, one per process (strictly: per clock) and running event loop."""
    loop = asyncio.get_running_loop()
    known = _hosts.setdefault(loop, {})
    # A budget holds its clock, so the id can't be reused while the entry lives.
    key = (id(clock), host)
    if key not in known:
        known[key] = HostLimits(connects, requests, clock)
    return known[key]
