"""Whether the exchange's figure of something is explained by what the ledger knows of it.

The figure is the exchange's, always. What the ledger has (fills, money that came or went) is added
up from an anchor, a figure that was explained before. Figure and entries arrive in any order, so a
difference says nothing by itself: it is judged only once the entries are known to be whole up to
the time of the figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from ccrs_core.model.units import NS_PER_SECOND, PLAIN
from ccrs_core.trading.moves import ZERO, Move, Moves, Told, within

_NEAR_NS = 5 * NS_PER_SECOND
"""By how much the times of a figure and of the entries in it may differ."""
_MOST = 4096
"""Entries beyond which the oldest ones are added to the anchor."""
_MOST_WAYS = 1024
"""Sums of a millisecond's entries that are tried."""


class TallyState(NamedTuple):
    """What a store keeps of it."""

    anchor: Decimal = ZERO
    anchor_ns: int = 0
    begun: bool = False
    """Whether it is known what there was before the ledger began."""
    moves: tuple[Move, ...] = ()
    told: Told | None = None
    waiting: Told | None = None
    differences: int = 0
    """Of how many it was told: no two are the same one, though they may look alike."""


_NONE = TallyState()


class Judged(NamedTuple):
    """What isn't explained of a figure."""

    rest: Decimal
    told: Told
    before_ns: int
    """The time of the anchor that it was reckoned from."""
    difference: int
    """Which one it is."""
    opening: bool
    """Whether it is what there was before the ledger began."""

    @property
    def content(self) -> tuple[str, ...]:
        """What tells it from all others of the same figure."""
        times = str(self.before_ns), str(self.difference)
        return (f"{self.rest:f}", f"{self.told.figure:f}", *times)


class Tally:
    """One figure and its entries."""

    __slots__ = ("anchor", "anchor_ns", "begun", "differences", "moves", "told", "waiting")

    def __init__(self, state: TallyState = _NONE) -> None:
        self.anchor = state.anchor
        self.anchor_ns = state.anchor_ns
        self.begun = state.begun
        self.moves = Moves(state.moves)
        """Those since the anchor, or told so late that they aren't in it."""
        self.told = state.told
        """The newest figure."""
        self.differences = state.differences
        self.waiting = state.waiting
        """The oldest one that nothing explains yet: it waits for its judgement, however many come
        after it."""

    @property
    def state(self) -> TallyState:
        """What a store keeps of it."""
        return TallyState(
            *(self.anchor, self.anchor_ns, self.begun, tuple(self.moves), self.told),
            *(self.waiting, self.differences),
        )

    def move(self, move: Move) -> None:
        """One more entry, whenever it was."""
        self.moves.add(move)
        if len(self.moves) > _MOST and self.waiting is None:
            self.anchor = PLAIN.add(self.anchor, self.moves.total(_MOST // 2))
            self.moves.drop(_MOST // 2)
        if self.told is not None and within(move, self.told):
            self._explain()

    def take_back(self, move: Move) -> None:
        """An entry turned out to be none of this figure's."""
        if self.moves.remove(move):
            self._explain()
        else:
            self.move(move._replace(amount=-move.amount))

    def tell(self, told: Told, *, corrects: bool = False) -> bool:
        """The exchange's figure; False where a newer one is known already, unless this one
        ``corrects`` what was only guessed to be newer."""
        known = self.told
        if known is not None and not corrects and not _newer(told, known):
            return False
        self.told = told
        self._explain()
        return True

    def _explain(self) -> None:
        """Move the anchor to a figure where the entries up to it explain it."""
        told = self.told
        if told is None:
            return
        if self._explains(told):
            self._anchored(told, self.moves.before(told))
            self.waiting = None
            return
        waiting = self.waiting
        if waiting is not None and waiting is not told and self._explains(waiting):
            self._anchored(waiting, self.moves.before(waiting))
            waiting = None
        self.waiting = told if waiting is None else waiting

    def _explains(self, told: Told) -> bool:
        return self.begun and self._at(self.moves.before(told)) == told.figure

    def _at(self, count: int) -> Decimal:
        """The anchor and the first entries after it."""
        return PLAIN.add(self.anchor, self.moves.total(count))

    def _anchored(self, told: Told, cut: int) -> None:
        self.anchor, self.anchor_ns, self.begun = told.figure, told.time_ns, True
        self.moves.drop(cut)

    def at(self, time_ns: int) -> Decimal | None:
        """What the entries add up to at a time; None where that was before its anchor, or it has
        none."""
        if not self.begun or time_ns < self.anchor_ns:
            return None
        return self._at(self.moves.until(time_ns))

    def judge(self, before_ns: int, crumb: Decimal = ZERO) -> Judged | None:
        """What isn't explained of the oldest figure that waits for it, if that was before a time up
        to which all entries are known: the anchor is at that figure then. None where there is
        nothing to judge, or nothing to tell.

        :param crumb: what rounding may come to: it is no difference.
        """
        told = self.waiting
        if told is None or told.time_ns > before_ns:
            return None
        cut, apart = self.moves.before(told), list[Move]()
        rest = PLAIN.subtract(told.figure, self._at(cut))
        if abs(rest) > crumb:
            apart = self._unordered(told, cut, rest)
            if apart:
                rest = ZERO
        if abs(rest) > crumb:
            # Their times may differ a little: does it add up a few entries earlier or later? Of the
            # first figure only what was in its millisecond may have come after it.
            for other in self._near(told.time_ns) if self.begun else self._since(told, cut):
                if self._at(other) == told.figure:
                    cut, rest = other, ZERO
                    break
        known_late = self.begun and told.time_ns <= self.anchor_ns
        if abs(rest) > crumb and told.sequence < 0 and not known_late:
            # They may have become known in another order than they came in.
            apart = _coming_to(-rest, self._within_its_millisecond(told, cut))
            if apart:
                rest = ZERO
        before_ns, opening = self.anchor_ns, not self.begun
        self._anchored(told, cut)
        for each in apart:
            self.moves.add(each)
        self.waiting = None
        if self.told is not told:
            self._explain()
        if abs(rest) <= crumb:
            return None
        self.differences += 1
        return Judged(rest, told, before_ns, self.differences, opening)

    def judgements(self, before_ns: int, crumb: Decimal = ZERO) -> Iterator[Judged]:
        """:meth:`judge`, until all is judged that was before that time."""
        while self.waiting is not None and self.waiting.time_ns <= before_ns:
            judged = self.judge(before_ns, crumb)
            if judged is not None:
                yield judged

    def _unordered(self, told: Told, cut: int, rest: Decimal) -> list[Move]:
        """Entries that the figure hasn't seen, though they were in its millisecond: those without a
        number, of which nobody knows whether they came before it, or one side of a trade with
        oneself, where it was told between the two. Empty where that explains nothing."""
        if told.sequence < 0:
            return []
        there = self._within_its_millisecond(told, cut)
        sides = [each for each in there if each.sequence == told.sequence]
        tried = [[each for each in there if each.sequence < 0]]
        tried += [[each] for each in sides] if len(sides) > 1 else []
        for some in tried:
            unseen = ZERO
            for each in some:
                unseen = PLAIN.add(unseen, each.amount)
            if some and unseen == -rest:
                return some
        return []

    def _since(self, told: Told, cut: int) -> list[int]:
        """Places in the entries of a figure's own millisecond, where nothing tells which of them it
        has seen; the last first."""
        if told.sequence >= 0:
            return []
        there = len(self._within_its_millisecond(told, cut))
        return list(range(cut - 1, cut - there - 1, -1))

    def _within_its_millisecond(self, told: Told, cut: int) -> list[Move]:
        """Those of the first entries that were when a figure was."""
        return [each for each in self.moves.first(cut) if each.time_ns == told.time_ns]

    def _near(self, time_ns: int) -> list[int]:
        """Places in the entries around a time, the nearest first."""
        times = [each.time_ns for each in self.moves]
        late = sum(each <= self.anchor_ns for each in times)  # told after their figure was
        places = [
            place
            for place in range(late, len(times) + 1)
            if (place == 0 or times[place - 1] <= time_ns + _NEAR_NS)
            and (place == len(times) or times[place] >= time_ns - _NEAR_NS)
        ]
        middle = sum(each <= time_ns for each in times)
        return sorted(places, key=lambda place: abs(place - middle))


def _coming_to(amount: Decimal, entries: Sequence[Move]) -> list[Move]:
    """Some of several entries that come to an amount together, the latest where it may be any;
    empty where none do, or there are more ways to choose than are tried."""
    found: dict[Decimal, tuple[Move, ...]] = {ZERO: ()}
    for each in reversed(entries):
        for total, some in list(found.items()):
            found.setdefault(PLAIN.add(total, each.amount), (*some, each))
        if amount in found:
            return list(found[amount])
        if len(found) > _MOST_WAYS:
            break
    return []


def time_of(exchange_time_ns: int | None, received_time_ns: int) -> int:
    """When a figure was so. Where the exchange doesn't say, some time before it arrived: what it
    tells afterwards with a time is never taken for older, though that time is before this arrival.
    """
    return received_time_ns - _NEAR_NS if exchange_time_ns is None else exchange_time_ns


def guessed_ns(
    *, zero: bool, known: bool, timed: bool, told: Told | None, listed: bool, arrived_ns: int
) -> int | None:
    """When a figure was so that is told without a time; None where that is no news.

    :param zero: whether it is of nothing.
    :param known: whether a figure is known already, and that ``timed`` by the exchange.
    :param told: the newest one.
    :param listed: whether it was asked for, not pushed.
    :param arrived_ns: by the exchange's clock.
    """
    if not listed:
        # A stream may bring it however late: it says no more than what came before.
        if known and timed:
            return None
        return 0 if told is None else told.time_ns
    if not known and zero:
        return 0  # nothing, nobody knows since when: whatever has a time is newer
    return time_of(None, arrived_ns)


def _newer(told: Told, known: Told) -> bool:
    """Whether a figure isn't older than another: by their numbers where both have one."""
    if told.sequence >= 0 and known.sequence >= 0 and told.sequence != known.sequence:
        return told.sequence > known.sequence
    return told.time_ns >= known.time_ns
