"""Budgets: what an exchange allows per host or per connection in any stretch of time.

Budgets per host are shared by everything in the process that goes there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ccrs_core.contract.exchange import Budget, Exchange
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock


class Window:
    """Grants at most ``budget.amount`` in *every* window of ``budget.seconds``, first come first
    served. A grant that would exceed it waits. Threads and their event loops may share one."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.budget = budget
        self._clock = clock
        self._granted: deque[tuple[float, int]] = deque()
        self._used = 0
        self._alone = threading.Lock()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    def _expire(self, now: float) -> None:
        granted, seconds = self._granted, self.budget.seconds
        while granted and granted[0][0] + seconds <= now:
            self._used -= granted.popleft()[1]

    def take(self, weight: int = 1, share: float = 1.0) -> float:
        """Take a grant if there is one: 0.0; else the seconds until there may be one.

        ``share`` is the part of the budget beyond which nothing is taken.
        """
        with self._alone:
            now = self._clock.monotonic()
            self._expire(now)
            amount = max(int(self.budget.amount * share), 1)
            weight = min(weight, self.budget.amount)
            # What is heavier than the share alone must have the window to itself.
            if self._used + weight <= amount or not self._used:
                self._granted.append((now, weight))
                self._used += weight
                return 0.0
            excess, when = self._used + weight - amount, now
            for granted_at, granted in self._granted:
                excess -= granted
                when = granted_at
                if excess <= 0:
                    break
            return max(when + self.budget.seconds - now, 0.001)

    def spare(self, share: float) -> bool:
        """Whether less than a share of the budget is used."""
        with self._alone:
            self._expire(self._clock.monotonic())
            return self._used < self.budget.amount * share

    def correct(self, used: int) -> None:
        """Note that somebody counts more as used than was granted here: other programs of the same
        address, or another way to count."""
        with self._alone:
            now = self._clock.monotonic()
            self._expire(now)
            unknown = min(used, self.budget.amount) - self._used
            if unknown > 0:
                self._granted.append((now, unknown))
                self._used += unknown

    def _turn(self, share: float) -> asyncio.Lock:
        """Whose turn it is among those of an event loop who take the same share."""
        loop = asyncio.get_running_loop()
        with self._alone:
            return self._turns.setdefault(loop, {}).setdefault(share, asyncio.Lock())

    async def acquire(
        self,
        weight: int = 1,
        hold: Callable[[], float] | None = None,
        share: float = 1.0,
    ) -> None:
        """Wait for a grant and take it.

        ``hold`` tells for how many seconds nobody may have one at present; it may also raise, which
        ends the waiting. Who takes but a ``share`` of the budget is overtaken by those who may take
        all of it.
        """
        async with self._turn(share):
            while True:
                # Asked again after each wait, right before the grant: what is granted leaves now.
                wait = 0.0 if hold is None else hold()
                wait = wait or self.take(weight, share)
                if not wait:
                    return
                await asyncio.sleep(wait)


class HostLimits:
    """The budgets of one host: connection attempts, REST weight, and a pause it has asked for."""

    def __init__(self, connects: Budget, requests: Budget, clock: Clock) -> None:
        self.connects = Window(connects, clock)
        self.requests = Window(requests, clock)
        self.questions: Window | None = None
        """What whoever looks out for dead streams may ask, once one does."""
        self._clock = clock
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Let no request leave before ``seconds`` have passed (HTTP 429, 418, 403)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    @property
    def paused(self) -> float:
        """Seconds that the pause still lasts, 0.0 where there is none."""
        return max(self._paused_until - self._clock.monotonic(), 0.0)


_hosts: dict[tuple[int, str, str], tuple[HostLimits, asyncio.AbstractEventLoop]] = {}
"""By clock, host and name; with the event loop that asked last."""
_hosts_alone = threading.Lock()


def limits_of(exchange: Exchange, url: str, clock: Clock, name: str = "rest") -> HostLimits:
    """The budgets of an address of an exchange; ``name`` is the address's, where it is for REST."""
    host, connects = urlsplit(url).netloc, exchange.limits.connects
    return host_limits(host, connects, exchange.rest_budget(name), clock, name)


def host_limits(
    host: str, connects: Budget, requests: Budget, clock: Clock, name: str = ""
) -> HostLimits:
    """The budgets of a host, one per process (strictly: per clock), whatever event loops and
    threads share it. Those of other clocks than the system's end with the loop that used them.

    ``name`` tells budgets apart that an exchange keeps apart, even if they are of one host.
    """
    loop = asyncio.get_running_loop()
    # A budget holds its clock, so the id can't be reused while the entry lives.
    key = (id(clock), host, name)
    with _hosts_alone:
        known = _hosts.get(key)
        if known is not None and (clock is SYSTEM_CLOCK or not known[1].is_closed()):
            found = known[0]
        else:
            for each in [k for k, (_, by) in _hosts.items() if by.is_closed() and k[0] != _SYSTEM]:
                del _hosts[each]
            found = HostLimits(connects, requests, clock)
        _hosts[key] = found, loop
        return found


_SYSTEM = id(SYSTEM_CLOCK)
