"""Trades that the exchange counts one by one: their numbers say whether any is missing. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from typing import Any, ClassVar

import attrs

from ccrs_core.model.events import Trade


@attrs.define
class Run:
    """Trades to be delivered in one go."""

    trades: list[Trade] = attrs.field(factory=list)
    hole: bool = False
    """Trades are missing before the first."""
    follows: bool = False
    """None is missing before the first."""


class Counted:
    """Puts what several connections bring of one topic in the exchange's order.

    What comes before its turn waits for :attr:`BOUND` at most, where another connection may bring
    what is missing. Trades without a number are passed on as they come.
    """

    BOUND: ClassVar[float] = 1.0
    HOLES: ClassVar[int] = 64
    """Holes that are remembered: what comes of them later is too late."""

    __slots__ = ("_holes", "ahead", "last", "late", "repeats", "since")

    def __init__(self) -> None:
        self.last: int | None = None
        self.ahead: dict[int, Trade] = {}
        self.since: float | None = None
        """Since when something waits."""
        self.repeats = 0
        self.late = 0
        """Trades that came after a gap had been told for them."""
        self._holes: deque[tuple[int, int]] = deque(maxlen=self.HOLES)

    def take(
        self,
        trades: Iterable[Trade],
        top: int | None,
        known: Container[str],
        now: float,
        *,
        alone: bool,
    ) -> list[Run]:
        """What is to be delivered, in order, once a connection has brought these.

        :param top: the number that this connection brought last.
        :param known: the ids of trades that were delivered lately.
        :param alone: whether no other connection may bring what is missing.
        """
        runs: list[Run] = []
        for trade in trades:
            number, last = trade.sequence, self.last
            if number is None:
                runs.append(Run([trade]))
                continue
            if last is None or number == last + 1:
                self._add(runs, trade, number, Run(follows=last is not None))
            elif number > last:
                self.ahead.setdefault(number, trade)
                if self.since is None:
                    self.since = now
            elif self._anew(number, trade, top, known):
                self.ahead.clear()
                self._holes.clear()
                runs.append(Run(hole=True))
                self._add(runs, trade, number, runs[-1])
            top = number
            self._absorb(runs)
        if alone and self.ahead:
            runs += self.release()
        return runs

    def release(self) -> list[Run]:
        """All that waits: nobody has brought what is missing before it."""
        runs: list[Run] = []
        for number in sorted(self.ahead):
            last = self.last
            assert last is not None
            if number != last + 1:
                self._holes.append((last + 1, number - 1))
                runs.append(Run(hole=True))
            self._add(runs, self.ahead[number], number, Run())
        self.ahead.clear()
        self.since = None
        return runs

    def follows(self, trade: Any) -> bool:
        """Whether nothing is missing before a trade."""
        number = trade.sequence
        return self.last is not None and number is not None and number <= self.last + 1

    def _add(self, runs: list[Run], trade: Trade, number: int, run: Run) -> None:
        if not runs:
            runs.append(run)
        runs[-1].trades.append(trade)
        self.last = number

    def _absorb(self, runs: list[Run]) -> None:
        ahead = self.ahead
        while ahead and self.last is not None:
            trade = ahead.pop(self.last + 1, None)
            if trade is None:
                break
            self._add(runs, trade, self.last + 1, Run(follows=True))
        if not ahead:
            self.since = None

    def _anew(self, number: int, trade: Trade, top: int | None, known: Container[str]) -> bool:
        """Whether the exchange counts anew: numbers fall on one connection, and what comes isn't
        told again, nor was it under way when a gap was told for it."""
        if trade.trade_id in known:
            self.repeats += 1
        elif any(first <= number <= last for first, last in self._holes):
            self.late += 1
        elif top is not None and number < top:
            return True
        else:
            self.repeats += 1
        return False
