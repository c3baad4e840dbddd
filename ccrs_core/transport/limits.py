"""Budgets: what an exchange allows per host or per connection in any stretch of time.

Budgets per host are shared by everything in the process that goes there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import attrs

from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.contract.exchange import Exchange
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock
from ccrs_core.transport.budgets_kept import KeptBudgets, Spent
from ccrs_core.transport.gate import PARTS, Grant, Priority


class _Count:
    """What was granted of one limit."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.used = 0
        self.granted: deque[tuple[float, int]] = deque()
        """When how much, the oldest first."""

    def expire(self, now: float) -> None:
        granted, seconds = self.granted, self.budget.seconds
        while granted and granted[0][0] + seconds <= now:
            self.used -= granted.popleft()[1]

    def grant(self, now: float, weight: int) -> None:
        weight = min(weight, self.budget.amount)
        self.granted.append((now, weight))
        self.used += weight

    def spent_before(self, at: float, weight: int) -> None:
        """Another process was granted that."""
        weight = min(weight, self.budget.amount)
        self.granted = deque(sorted([*self.granted, (at, weight)]))
        self.used += weight

    def give_back(self, at: float, weight: int) -> None:
        """What was granted at a time wasn't used."""
        weight = min(weight, self.budget.amount)
        try:
            self.granted.remove((at, weight))
        except ValueError:
            return  # it has expired
        self.used -= weight

    def wait(self, now: float, weight: int, share: float, kept: float = 0.0) -> float:
        """Seconds until there may be a grant that leaves a part of all ``kept`` for others."""
        amount = max(min(int(self.budget.amount * share), int(self.budget.amount * (1 - kept))), 1)
        weight = min(weight, self.budget.amount)
        # What is heavier than the share alone must have the window to itself.
        if self.used + weight <= amount or not self.used:
            return 0.0
        excess, when = self.used + weight - amount, now
        for granted_at, granted in self.granted:
            excess -= granted
            when = granted_at
            if excess <= 0:
                break
        return max(when + self.budget.seconds - now, 0.001)


class Window:
    """Grants at most ``budget.amount`` in *every* window of ``budget.seconds`` (and so for each
    limit that the budget has ``also``), first come first served. A grant that would exceed it
    waits. Threads and their event loops may share one."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.budget = budget
        self.reserved = 0.0
        """The part of it that is kept for what is urgent."""
        self._clock = clock
        self._counts = [_Count(each) for each in budget.all]
        self._parts = {each: [_Count(limit) for limit in budget.all] for each in PARTS}
        """What of that was granted to priorities that may spend but a part."""
        self._kept: dict[KeptBudgets, str] = {}
        """Where grants are noted, and under which name."""
        self._known_as = secrets.token_hex(6)
        """To those that keep what it grants."""
        self._noted: set[Spent] = set()
        """What other processes were granted, as far as it is counted."""
        self._was_kept = False
        self._alone = threading.Lock()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    def _wait(self, now: float, weight: int, share: float) -> float:
        for count in self._counts:
            count.expire(now)
        return max(count.wait(now, weight, share) for count in self._counts)

    def wait(self, weight: int = 1, share: float = 1.0) -> float:
        """Seconds until there may be a grant; 0.0 where there is one."""
        with self._alone:
            return self._wait(self._clock.monotonic(), weight, share)

    def take(self, weight: int = 1, share: float = 1.0) -> float:
        """Take a grant if there is one: 0.0; else the seconds until there may be one.

        ``share`` is the part of the budget beyond which nothing is taken.
        """
        with self._alone:
            now = self._clock.monotonic()
            wait = self._wait(now, weight, share)
            if not wait:
                for count in self._counts:
                    count.grant(now, weight)
                self._note(weight)
            return wait

    def _note(self, weight: int) -> None:
        if self._kept:
            spent = Spent(self._clock.time_ns(), self._known_as, weight)
            for kept, name in self._kept.items():
                kept.note(name, spent)

    def keep(self, kept: KeptBudgets, name: str) -> None:
        """Count what processes before this one were granted, as far as it isn't over, and note
        there what is granted from now on."""
        with self._alone:
            now, now_ns = self._clock.monotonic(), self._clock.time_ns()
            longest = max(self._counts, key=lambda each: each.budget.seconds)
            past = kept.spent(name, longest.budget.seconds)
            if not self._was_kept:  # what left before there was anything to note it in
                self._was_kept = True
                longest.expire(now)
                for at, weight in longest.granted:
                    at_ns = now_ns - round((now - at) * NS_PER_SECOND)
                    kept.note(name, Spent(at_ns, self._known_as, weight))
            new = [e for e in past if e.by != self._known_as and e not in self._noted]
            self._noted = {*self._noted.intersection(past), *new}
            for spent in new:
                # A clock that was set back makes nothing count for longer.
                ago = max(now_ns - spent.at_ns, 0) / NS_PER_SECOND
                for count in self._counts:
                    if ago < count.budget.seconds:
                        count.spent_before(now - ago, spent.weight)
            self._kept[kept] = name

    def let_go(self, kept: KeptBudgets) -> None:
        """Note nothing there any more."""
        with self._alone:
            self._kept.pop(kept, None)

    def room(self, weight: int, share: float, priority: Priority) -> float:
        """Seconds until something of a priority may have a grant; 0.0 where it may."""
        with self._alone:
            return self._room(self._clock.monotonic(), weight, share, priority)

    def _room(self, now: float, weight: int, share: float, priority: Priority) -> float:
        kept = 0.0 if priority is Priority.URGENT else self.reserved
        of_part = self._parts.get(priority, ())
        for count in (*self._counts, *of_part):
            count.expire(now)
        wait = max(count.wait(now, weight, share, kept) for count in self._counts)
        if not of_part:
            return wait
        small = share * PARTS[priority]
        return max(wait, *(count.wait(now, weight, small) for count in of_part))

    def grant(self, weight: int, share: float, priority: Priority) -> Grant | None:
        """What :meth:`room` tells of, taken; None where there is none any more."""
        with self._alone:
            now = self._clock.monotonic()
            if self._room(now, weight, share, priority):
                return None
            counts = [*self._counts, *self._parts.get(priority, ())]
            for count in counts:
                count.grant(now, weight)
            self._note(weight)
            return _Taken(self, counts, now, weight)

    def _give_back(self, counts: Sequence[_Count], at: float, weight: int) -> None:
        with self._alone:
            for count in counts:
                count.give_back(at, weight)

    @property
    def left(self) -> int:
        """How much of the budget's own limit isn't used."""
        with self._alone:
            count = self._counts[0]
            count.expire(self._clock.monotonic())
            return max(count.budget.amount - count.used, 0)

    def spare(self, share: float) -> bool:
        """Whether less than a share of the budget is used."""
        with self._alone:
            now = self._clock.monotonic()
            for count in self._counts:
                count.expire(now)
            return all(count.used < count.budget.amount * share for count in self._counts)

    def correct(self, used: int) -> None:
        """Note that somebody counts more as used, of the budget's own limit, than was granted here:
        other programs of the same address, or another way to count."""
        with self._alone:
            now = self._clock.monotonic()
            count = self._counts[0]
            count.expire(now)
            unknown = min(used, count.budget.amount) - count.used
            if unknown > 0:
                count.grant(now, unknown)

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


@attrs.frozen(eq=False)
class _Taken:
    """One grant of a window."""

    _window: Window
    _counts: Sequence[_Count]
    _at: float
    _weight: int

    def answered(self) -> None:
        """It counts from when it was granted."""

    def give_back(self) -> None:
        self._window._give_back(self._counts, self._at, self._weight)


def take_all(windows: Sequence[Window]) -> float:
    """Take a grant of each, if all have one: 0.0; else the seconds until they may."""
    wait = max((window.wait() for window in windows), default=0.0)
    if wait:
        return wait
    # Another thread may have been faster: what was taken then counts in vain.
    return max([window.take() for window in windows], default=0.0)


class Places:
    """So many at a time, first come first served, of all threads and event loops together."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._taken = 0
        self._alone = threading.Lock()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether who comes now has to wait."""
        return self.most is not None and self._taken >= self.most

    async def acquire(self) -> None:
        """Wait for a place and take it."""
        while True:
            with self._alone:
                if not self.full:
                    self._taken += 1
                    return
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                with self._alone:
                    if turn in self._waiting:
                        self._waiting.remove(turn)
                    else:
                        self._wake()
                raise

    def release(self) -> None:
        """Give a place back."""
        with self._alone:
            self._taken -= 1
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            with contextlib.suppress(RuntimeError):  # its loop has ended
                turn.get_loop().call_soon_threadsafe(_come, turn)
                return


def _come(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class HostLimits:
    """What one host allows: connection attempts, REST weight, connections at a time, frames; and a
    pause it has asked for."""

    def __init__(self, limits: Limits, requests: Budget, clock: Clock) -> None:
        self.connects = Window(limits.connects, clock)
        self.requests = Window(requests, clock)
        self.messages = None if limits.messages is None else Window(limits.messages, clock)
        self.connections = Places(limits.connections)
        self.questions: Window | None = None
        """What whoever looks out for dead streams may ask, once one does."""
        self._pools: dict[str, Window] = {}
        self._clock = clock
        self._paused_until = 0.0
        self._kept: dict[KeptBudgets, str] = {}

    def pool(self, pool: Pool) -> Window:
        """The budget of some of its endpoints."""
        known = self._pools.get(pool.name)
        if known is None:
            known = self._pools.setdefault(pool.name, Window(pool.budget, self._clock))
            for kept, name in self._kept.items():
                known.keep(kept, f"{name} pool {pool.name}")
        return known

    def pause(self, seconds: float) -> None:
        """Let no request leave before ``seconds`` have passed (HTTP 429, 418, 403)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)
        for kept, name in self._kept.items():
            kept.note_pause(name, seconds)

    def keep(self, kept: KeptBudgets, name: str) -> None:
        """Go on from what processes before this one have spent, and note there what is spent from
        now on. The name is the address's there."""
        if kept in self._kept:
            return
        self._kept[kept] = name
        self._paused_until = max(self._paused_until, self._clock.monotonic() + kept.pause(name))
        for what, window in self._windows(name):
            window.keep(kept, what)

    def let_go(self, kept: KeptBudgets) -> None:
        """Note nothing there any more."""
        name = self._kept.pop(kept, "")
        for _, window in self._windows(name):
            window.let_go(kept)

    def _windows(self, name: str) -> list[tuple[str, Window]]:
        pools = [(f"{name} pool {each}", window) for each, window in list(self._pools.items())]
        return [(f"{name} requests", self.requests), (f"{name} connects", self.connects), *pools]

    @property
    def paused(self) -> float:
        """Seconds that the pause still lasts, 0.0 where there is none."""
        return max(self._paused_until - self._clock.monotonic(), 0.0)


_hosts: dict[tuple[int, str, str], tuple[HostLimits, asyncio.AbstractEventLoop]] = {}
"""By clock, host and name; with the event loop that asked last."""
_kept: dict[KeptBudgets, tuple[int, frozenset[str]]] = {}
"""Where is noted what is spent, with the clock and the hosts."""
_hosts_alone = threading.Lock()


def keep_budgets(kept: KeptBudgets, urls: Collection[str], clock: Clock) -> None:
    """Go on from what processes before this one have spent at some addresses, and note there what
    is spent from now on, until :func:`let_go`."""
    hosts = frozenset(urlsplit(url).netloc for url in urls)
    with _hosts_alone:
        _kept[kept] = id(clock), hosts
        for (clock_id, host, name), (limits, _) in _hosts.items():
            if clock_id == id(clock) and host in hosts:
                limits.keep(kept, _name_of(host, name))


def let_go(kept: KeptBudgets) -> None:
    """Note nothing there any more, and close it."""
    with _hosts_alone:
        _kept.pop(kept, None)
        for limits, _ in _hosts.values():
            limits.let_go(kept)
    kept.close()


def _name_of(host: str, name: str) -> str:
    # A user may have put a password into an address.
    return f"{host.rpartition('@')[2]} {name}"


def limits_of(
    exchange: Exchange, url: str, clock: Clock, name: str = "rest", leaves: str = ""
) -> HostLimits:
    """The budgets of an address of an exchange; ``name`` is the address's, where it is for REST.
    ``leaves`` tells by which exit, where that isn't the usual one."""
    host, limits = urlsplit(url).netloc, exchange.limits
    known_as = f"{name} {leaves}" if leaves else name
    return host_limits(host, limits, exchange.rest_budget(name), clock, known_as)


def host_limits(
    host: str, limits: Limits, requests: Budget, clock: Clock, name: str = ""
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
            found = HostLimits(limits, requests, clock)
            for kept, (clock_id, hosts) in _kept.items():
                if clock_id == id(clock) and host in hosts:
                    found.keep(kept, _name_of(host, name))
        _hosts[key] = found, loop
        return found


_SYSTEM = id(SYSTEM_CLOCK)
