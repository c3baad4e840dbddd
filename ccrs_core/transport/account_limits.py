"""What an exchange allows an account, wherever its requests come from.

No window of a pool is exceeded as the exchange counts, however long requests and answers are under
way: a request counts from when it leaves until a window's length after its answer has come, since
the exchange took it somewhere in between. What the exchange says is left is the truth about what
the account's other programs spend.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import attrs

from ccrs_core.contract.budgets import Budget, Pool, PoolLeft
from ccrs_core.model.accounts import BudgetLeft
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock
from ccrs_core.transport.gate import PARTS, Grant, Priority


class _Used:
    """How much of one limit is used: under way, or not yet out of its window."""

    def __init__(self, seconds: float) -> None:
        self.amount = 0
        self._seconds = seconds
        self.ended: deque[tuple[float, int]] = deque()

    def begin(self, weight: int) -> None:
        self.amount += weight

    def end(self, now: float, weight: int) -> None:
        """What began is over, and counts for a window's length from now on."""
        self.ended.append((now, weight))

    def drop(self, weight: int) -> None:
        """What began never was."""
        self.amount -= weight

    def clear(self) -> None:
        """All that is over never was."""
        self.amount -= sum(weight for _, weight in self.ended)
        self.ended.clear()

    def expire(self, now: float) -> None:
        ended, seconds = self.ended, self._seconds
        while ended and ended[0][0] + seconds <= now:
            self.amount -= ended.popleft()[1]

    def next_at(self) -> float:
        """When the next of it is out of its window; infinity where all is under way."""
        return self.ended[0][0] + self._seconds if self.ended else float("inf")


class _Limit:
    """One limit of a pool, and who has used how much of it."""

    def __init__(self, budget: Budget) -> None:
        self.amount = budget.amount
        self.seconds = budget.seconds
        self.own = _Used(budget.seconds)
        self.parts = {each: _Used(budget.seconds) for each in PARTS}
        """What of that is of priorities that may spend but a part."""
        self.others = _Used(budget.seconds)
        self._all = (self.own, self.others, *self.parts.values())

    def of(self, priority: Priority) -> list[_Used]:
        """What a request of a priority counts in."""
        part = self.parts.get(priority)
        return [self.own] if part is None else [self.own, part]

    def expire(self, now: float) -> None:
        for each in self._all:
            if each.ended:
                each.expire(now)

    def wait(
        self, now: float, weight: int, share: float, reserved: int, priority: Priority
    ) -> float:
        """Seconds until there may be room; 0.0 where there is."""
        weight, used = min(weight, self.amount), self.own.amount + self.others.amount
        short: list[_Used] = []
        # What is heavier than its part must have that to itself.
        if used and used + weight > max(self.amount - reserved, 1):
            short += self.own, self.others
        if self.own.amount and self.own.amount + weight > max(int(self.amount * share), 1):
            short.append(self.own)
        part = self.parts.get(priority)
        if part is not None and part.amount:
            few = max(int(self.amount * share * PARTS[priority]), 1)
            if part.amount + weight > few:
                short.append(part)
        if not short:
            return 0.0
        at = min(each.next_at() for each in short)
        # Where all is under way an answer tells; another thread's answers nobody tells of.
        return max(min(at - now, self.seconds), 0.001)

    def left(self, share: float) -> int:
        """How much a process with a share may still spend."""
        used = self.own.amount + self.others.amount
        return max(min(self.amount - used, max(int(self.amount * share), 1) - self.own.amount), 0)


@attrs.define(eq=False)
class _Taken:
    """One grant of a pool, whose end is told once."""

    _window: AccountWindow
    weight: int
    priority: Priority
    at: float
    number: int
    before: int
    """How much had been granted up to and including it."""
    over: bool = False

    def answered(self) -> None:
        self._window.end(self, used=True)

    def give_back(self) -> None:
        self._window.end(self, used=False)


class AccountWindow:
    """A pool of an account. Threads may share it."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self.pool = pool
        self._clock = clock
        self._limits = [_Limit(each) for each in pool.budget.all]
        self._alone = threading.Lock()
        self._paused_until = 0.0
        self._granted = 0
        self._number = 0
        self._newest = 0
        """The newest request whose answer has told what is left."""

    @property
    def amounts(self) -> list[int]:
        """How much each of its limits allows in all, as far as is known by now."""
        with self._alone:
            return [limit.amount for limit in self._limits]

    def room(self, weight: int, share: float, priority: Priority) -> float:
        """Seconds until there may be a grant, 0.0 where there is one."""
        with self._alone:
            return self._room(self._clock.monotonic(), weight, share, priority)

    def _room(self, now: float, weight: int, share: float, priority: Priority) -> float:
        wait = max(self._paused_until - now, 0.0)
        reserved = 0 if priority is Priority.URGENT else self.pool.reserved
        for limit in self._limits:
            limit.expire(now)
            wait = max(wait, limit.wait(now, weight, share, reserved, priority))
        return wait

    def grant(self, weight: int, share: float, priority: Priority) -> Grant | None:
        """Take it; None where it is gone."""
        with self._alone:
            now = self._clock.monotonic()
            if self._room(now, weight, share, priority):
                return None
            self._number += 1
            self._granted += weight
            for limit in self._limits:
                for each in limit.of(priority):
                    each.begin(weight)
            return _Taken(self, weight, priority, now, self._number, self._granted)

    def end(self, grant: _Taken, *, used: bool) -> None:
        """What was granted is over."""
        with self._alone:
            if grant.over:
                return
            grant.over, now = True, self._clock.monotonic()
            for limit in self._limits:
                for each in limit.of(grant.priority):
                    if used:
                        each.end(now, grant.weight)
                    else:
                        each.drop(grant.weight)
            if not used:
                self._granted -= grant.weight

    def told(self, grant: Grant | None, left: PoolLeft, resets_in: float | None) -> None:
        """The exchange has said with the answer to what was granted how much is left; ``resets_in``
        is how many seconds it has said that to last."""
        with self._alone:
            now = self._clock.monotonic()
            limit = next((e for e in self._limits if e.seconds == left.seconds), self._limits[0])
            limit.expire(now)
            if left.of is not None:
                limit.amount = max(left.of, 1)
            if left.left <= 0 and resets_in is not None and resets_in > 0:
                self._paused_until = max(self._paused_until, now + min(resets_in, limit.seconds))
            # An answer that was long under way tells of a window that is over.
            if not isinstance(grant, _Taken) or now - grant.at > limit.seconds / 2:
                return
            if grant.number < self._newest:
                return
            self._newest = grant.number
            later = self._granted - grant.before
            known = limit.own.amount - later
            limit.others.clear()
            others = limit.amount - max(left.left, 0) - known
            if others > 0:
                limit.others.begin(others)
                limit.others.end(now, others)

    def pause(self, seconds: float | None) -> None:
        """The exchange has refused a request for this pool; nothing more of it leaves before so
        many seconds (None: a window's length) have passed."""
        with self._alone:
            seconds = self._limits[0].seconds if seconds is None else seconds
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def left(self, share: float) -> BudgetLeft:
        """What is left of the pool's own limit for a process with a share."""
        with self._alone:
            limit, now = self._limits[0], self._clock.monotonic()
            wait = self._room(now, 1, share, Priority.NORMAL)
            return BudgetLeft(
                self.pool.name,
                limit.left(share),
                limit.amount,
                limit.seconds,
                self.pool.reserved,
                wait,
            )


class AccountLimits:
    """The pools of one account at one environment of an exchange."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pools: dict[str, AccountWindow] = {}

    def pool(self, pool: Pool) -> AccountWindow:
        """The budget of some endpoints."""
        known = self._pools.get(pool.name)
        return known or self._pools.setdefault(pool.name, AccountWindow(pool, self._clock))

    @property
    def pools(self) -> Sequence[AccountWindow]:
        """Those that were asked for."""
        return tuple(self._pools.values())


_Key = tuple[int, str, tuple[str, ...], str]
_accounts: dict[_Key, tuple[AccountLimits, asyncio.AbstractEventLoop]] = {}
_alone = threading.Lock()


def account_limits(
    exchange: str, addresses: Sequence[str], key: str, clock: Clock
) -> AccountLimits:
    """The pools of the account that an API key is of, one per process (strictly: per clock),
    whatever clients, event loops and threads share it."""
    loop = asyncio.get_running_loop()
    # A pool holds its clock, so the id can't be reused while the entry lives.
    known_as = id(clock), exchange, tuple(sorted(addresses)), key
    with _alone:
        known = _accounts.get(known_as)
        if known is not None and (clock is SYSTEM_CLOCK or not known[1].is_closed()):
            found = known[0]
        else:
            system = id(SYSTEM_CLOCK)
            for each in [k for k, (_, by) in _accounts.items() if by.is_closed()]:
                if each[0] != system:
                    del _accounts[each]
            found = AccountLimits(clock)
        _accounts[known_as] = found, loop
        return found


__all__ = ["AccountLimits", "AccountWindow", "account_limits"]
