"""Entries of a figure in the exchange's order: how many of them a figure has seen, and what they
come to. Both are asked with every fill and every figure, however many entries wait to be explained,
so that neither looks at all of them.
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from ccrs_core.model.units import NS_PER_SECOND, PLAIN

ZERO = Decimal(0)
_LATER_NS = 5 * NS_PER_SECOND
"""By how much an entry may be later than the figure whose number it has: what the exchange does by
itself, such as a delivery, may have the last trade's."""
_sequence = attrgetter("sequence")


class Move(NamedTuple):
    """One entry, in the exchange's order."""

    time_ns: int
    sequence: int
    """-1 where it has none."""
    number: int
    amount: Decimal


class Told(NamedTuple):
    """The exchange's figure."""

    figure: Decimal
    time_ns: int
    sequence: int
    """-1 where it numbers none."""


class _Numbers(enum.Enum):
    """What is known of the entries' sequences."""

    NONE = enum.auto()
    """No entry has one."""
    RISING = enum.auto()
    """All have one, and none is below the one before."""
    MIXED = enum.auto()


class Moves:
    """Entries, by time, then sequence, then number."""

    __slots__ = ("_entries", "_numbers", "_sums")

    def __init__(self, entries: Iterable[Move] = ()) -> None:
        self._entries = list(entries)
        self._sums = [ZERO]
        """What the first entries come to: none of them, one, two, and so on as far as asked."""
        self._numbers: _Numbers | None = None
        """None: not looked at yet."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Move]:
        return iter(self._entries)

    def add(self, move: Move) -> None:
        """One more, whenever it was."""
        entries = self._entries
        if not entries or move > entries[-1]:
            if self._numbers is _Numbers.NONE and move.sequence >= 0:
                self._numbers = None
            elif self._numbers is _Numbers.RISING:
                least = entries[-1].sequence if entries else 0
                self._numbers = _Numbers.RISING if move.sequence >= least else None
            entries.append(move)
            return
        insort(entries, move)
        self._numbers = None
        del self._sums[entries.index(move) + 1 :]

    def remove(self, move: Move) -> bool:
        """It is none of them; whether it was."""
        entries = self._entries
        at = bisect_left(entries, move)
        if at == len(entries) or entries[at] != move:
            return False
        del entries[at]
        self._numbers = None
        del self._sums[at + 1 :]
        return True

    def before(self, told: Told) -> int:
        """How many of them were before a figure; these are taken for the first ones."""
        if told.sequence < 0:
            return self.until(told.time_ns)
        if self._numbers is None:
            self._numbers = self._looked()
        if self._numbers is _Numbers.NONE:
            return self.until(told.time_ns)
        if self._numbers is _Numbers.RISING:
            before = bisect_left(self._entries, told.sequence, key=_sequence)
            upto = bisect_right(self._entries, told.sequence, key=_sequence)
            return max(before, min(upto, self.until(told.time_ns + _LATER_NS)))
        return sum(within(each, told) for each in self._entries)

    def _looked(self) -> _Numbers:
        sequences = [each.sequence for each in self._entries]
        if max(sequences, default=-1) < 0:
            return _Numbers.NONE
        if sequences[0] >= 0 and sequences == sorted(sequences):
            return _Numbers.RISING
        return _Numbers.MIXED

    def first(self, count: int) -> list[Move]:
        """The first ones."""
        return self._entries[:count]

    def total(self, count: int) -> Decimal:
        """What the first ones come to, exactly."""
        sums = self._sums
        for each in self._entries[len(sums) - 1 : count]:
            sums.append(PLAIN.add(sums[-1], each.amount))
        return sums[count]

    def until(self, time_ns: int) -> int:
        """How many of them were up to a time."""
        return bisect_right(self._entries, (time_ns, math.inf))

    def drop(self, count: int) -> None:
        """The first ones aren't needed any more."""
        if count:
            del self._entries[:count]
            self._sums = [ZERO]
            if self._numbers is _Numbers.MIXED:
                self._numbers = None


def within(move: Move, told: Told) -> bool:
    """Whether an entry was before a figure: by their numbers where both have one."""
    if told.sequence >= 0 and move.sequence >= 0:
        same = move.sequence == told.sequence and move.time_ns <= told.time_ns + _LATER_NS
        return same or move.sequence < told.sequence
    return move.time_ns <= told.time_ns
