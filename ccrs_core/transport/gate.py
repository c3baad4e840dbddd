"""Whose turn it is where several budgets must all have room: what is urgent first, then in turn.

All that an event loop asks of exchanges goes through its one gate, so that a cancel overtakes
whatever waits for the same budget.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

import attrs

from ccrs_core.errors import RateLimited

NEVER = float("inf")


class Priority(enum.IntEnum):
    """What goes first where budgets have no room for all."""

    URGENT = 0
    """Cancels: before all others, and what budgets reserve is theirs."""
    NORMAL = 1
    RECOVERY = 2
    """Lists that somebody waits for, after a loss: after orders, and half of each budget at
    most."""
    BACKGROUND = 3
    """What is done every minute: after all others, and a tenth of each budget at most."""


PARTS: Mapping[Priority, float] = {Priority.RECOVERY: 0.5, Priority.BACKGROUND: 0.1}
"""The part of each budget that what is of a priority may spend, on an account of its own."""


class Grant(Protocol):
    """What was taken of one budget."""

    def answered(self) -> None:
        """The request has been answered, or never will be: the exchange has counted it by now."""

    def give_back(self) -> None:
        """Nothing has left for it."""


class Budgeted(Protocol):
    """A budget. Threads may share it."""

    def room(self, weight: int, share: float, priority: Priority) -> float:
        """Seconds until there may be a grant, 0.0 where there is one."""

    def grant(self, weight: int, share: float, priority: Priority) -> Grant | None:
        """Take it; None where it is gone."""


Wants = Sequence[tuple[Budgeted, int]]
"""Budgets, and what is wanted of each."""


class Grants:
    """What was taken of several budgets, all or nothing. It is either answered or given back."""

    def __init__(self, grants: Sequence[Grant], look: Callable[[], None]) -> None:
        self._grants = grants
        self._look = look

    def of(self, place: int) -> Grant:
        """That of the budget that stands at a place among the wants."""
        return self._grants[place]

    def answered(self) -> None:
        for each in self._grants:
            each.answered()
        self._look()

    def give_back(self) -> None:
        for each in self._grants:
            each.give_back()
        self._look()


def _taken(wants: Wants, share: float, priority: Priority) -> list[Grant] | None:
    found: list[Grant] = []
    for budget, weight in wants:
        grant = budget.grant(weight, share, priority)
        if grant is None:  # another thread was faster
            for each in found:
                each.give_back()
            return None
        found.append(grant)
    return found


@attrs.frozen(eq=False)
class _Claim:
    number: int
    wants: Wants
    share: float
    priority: Priority
    hold: Callable[[], float]
    turn: asyncio.Future[Grants]


_Line = tuple[Priority, float, tuple[int, ...]]
"""Claims that differ in nothing but when they came: one waits behind the other."""


class Gate:
    """Lets through who has room in all of the budgets that it wants.

    In order of priority, then of arrival. Who waits for a budget keeps those behind from it, unless
    they may spend a greater share, and from no other budget.
    """

    def __init__(self) -> None:
        self._lines: dict[_Line, deque[_Claim]] = {}
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(
        self,
        wants: Wants,
        *,
        priority: Priority = Priority.NORMAL,
        share: float = 1.0,
        hold: Callable[[], float] = lambda: 0.0,
        patience: float | None = None,
    ) -> Grants:
        """Wait for room in all of these, and take it.

        ``hold`` tells for how many seconds nobody may go there at present, or raises, which ends
        the waiting.

        :raises RateLimited: where there is none within ``patience`` seconds (None: as long as it
            takes; 0.0: now).
        """
        if not self._lines and not hold():  # usually nobody waits
            taken = _taken(wants, share, priority)
            if taken is not None:
                return Grants(taken, self.look)
        turn: asyncio.Future[Grants] = asyncio.get_running_loop().create_future()
        claim = _Claim(next(self._numbers), wants, share, priority, hold, turn)
        line = priority, share, tuple(id(budget) for budget, _ in wants)
        self._lines.setdefault(line, deque()).append(claim)
        wait = self._settle()
        if turn.done():
            return turn.result()
        try:
            if patience is not None and patience <= 0:
                raise TimeoutError
            async with asyncio.timeout(patience):
                return await turn
        except TimeoutError:
            if turn.done() and not turn.cancelled():
                return turn.result()  # it came in the last moment
            turn.cancel()
            self.look()
            text = "the budget of requests lets none leave"
            text += f" within {patience:g} s" if patience else " now"
            raise RateLimited("", text, None if patience or wait == NEVER else wait) from None
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().give_back()
            turn.cancel()
            self.look()
            raise

    def look(self) -> None:
        """A budget may have room that had none."""
        if self._lines:
            self._settle()

    def _settle(self) -> float:
        """Let through who may; the seconds until somebody else may."""
        heads: list[tuple[Priority, int, _Line]] = []
        for line in list(self._lines):
            self._push(heads, line)
        blocked: dict[int, float] = {}
        again = NEVER
        while heads:
            *_, line = heapq.heappop(heads)
            claim = self._lines[line][0]
            wait = self._try(claim, blocked)
            if wait:
                again = min(again, wait)
            else:
                self._lines[line].popleft()
                self._push(heads, line)
        self._wake_in(again)
        return again

    def _push(self, heads: list[tuple[Priority, int, _Line]], line: _Line) -> None:
        claims = self._lines[line]
        while claims and claims[0].turn.done():
            claims.popleft()
        if claims:
            heapq.heappush(heads, (claims[0].priority, claims[0].number, line))
        else:
            del self._lines[line]

    def _try(self, claim: _Claim, blocked: dict[int, float]) -> float:
        """Let a claim through: 0.0; or the seconds until it may be, with which budgets it keeps
        others from."""
        try:
            wait = claim.hold()
        except Exception as error:
            claim.turn.set_exception(error)
            return 0.0
        behind = any(blocked.get(id(each), -1.0) >= claim.share for each, _ in claim.wants)
        for budget, weight in claim.wants:
            room = budget.room(weight, claim.share, claim.priority)
            if room:
                blocked[id(budget)] = max(blocked.get(id(budget), 0.0), claim.share)
                wait = max(wait, room)
        if wait or behind:
            return wait or NEVER
        grants = _taken(claim.wants, claim.share, claim.priority)
        if grants is None:
            return 0.001
        claim.turn.set_result(Grants(grants, self.look))
        return 0.0

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds < NEVER:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._settle)


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
_gates_alone = threading.Lock()


def gate() -> Gate:
    """That of the running event loop."""
    loop = asyncio.get_running_loop()
    with _gates_alone:
        return _gates.setdefault(loop, Gate())


__all__ = ["PARTS", "Budgeted", "Gate", "Grant", "Grants", "Priority", "Wants", "gate"]
