"""Which exchange moves first, and by how long. Pure.

A *move* is a change of an exchange's price in one direction, at the time at which it arrived here.
Moves of two exchanges in the same direction belong together where each is the other's nearest one
in time, and no more than a window apart. The difference of their times is one sample.

- Where one exchange repeats the other's moves a time later, and that time is less than half of what
  lies between moves in one direction, every sample is exactly that time.
- Where two exchanges move independently of each other, the mean tends to zero, however much more
  often one of them moves: "nearest" treats earlier and later alike. (To take the last move before,
  or the first one after, would make a leader of the busier one.)
- A lead of A over B is a lag of B behind A: both are read from the same sum.

What is measured is arrival here, not what happened there: the way that data take to this machine is
part of it, which is what matters to whoever acts here. An exchange that publishes in intervals lags
by half of one.
"""

from __future__ import annotations

import attrs

_FAR = 1 << 62
"""Nanoseconds that no two moves are apart."""


@attrs.frozen(kw_only=True)
class Lead:
    """How far one exchange is ahead of another, or of all others."""

    samples: int
    """Pairs of moves that belong together."""
    mean_ns: float | None
    """Mean time by which it moved before the other; below zero: after it. None without samples."""
    first: float | None
    """Share of the samples in which it was first; what came at the same time counts half."""


@attrs.define(eq=False, slots=True)
class _Direction:
    """Moves of two exchanges, 0 and 1, in one direction."""

    times: list[int | None] = attrs.field(factory=lambda: [None, None])
    """Of the last move of each."""
    latest: int = 0
    """Whose move was the last one."""
    follower: int = 0
    lag: int | None = None
    """A move of ``follower`` that came so long after one of the other, nearer than any before;
    a nearer one may follow."""
    followed_at: int = 0


@attrs.define(eq=False, slots=True)
class _Pair:
    """What is known of two exchanges; times count from the view of the first, 0."""

    window_ns: int
    rising: _Direction = attrs.field(factory=_Direction)
    falling: _Direction = attrs.field(factory=_Direction)
    samples: int = 0
    total_ns: int = 0
    firsts: int = 0
    """In half samples."""

    def moved(self, mover: int, rising: bool, at_ns: int) -> None:
        state = self.rising if rising else self.falling
        other = 1 - mover
        theirs, ours = state.times[other], state.times[mover]
        if theirs is not None:
            # The clock may have been set back: that isn't a lead.
            since = max(at_ns - theirs, 0)
            if state.lag is not None and state.follower == other:
                # The leader's next move: which of its two is the follower's move nearer to?
                if max(at_ns - state.followed_at, 0) >= state.lag:
                    self._sample(other, state.lag)
                state.lag = None
            if state.latest == other and since <= self.window_ns:
                before = _FAR if ours is None else max(theirs - ours, 0)
                if since < before:
                    state.follower, state.lag, state.followed_at = mover, since, at_ns
        state.times[mover] = at_ns
        state.latest = mover

    def _sample(self, follower: int, lag: int) -> None:
        self.samples += 1
        self.total_ns += lag if follower == 1 else -lag
        self.firsts += 1 if lag == 0 else 2 * follower


class LeadLag:
    """Counts leads between exchanges, a few operations per move and other exchange.

    :param window_ns: moves further apart than this have nothing to do with each other.
    """

    def __init__(self, window_ns: int = 1_000_000_000) -> None:
        self._window_ns = window_ns
        self._last: dict[str, dict[bool, int]] = {}
        """Each exchange's last moves by direction, for those that come later."""
        self._of: dict[str, list[tuple[_Pair, int]]] = {}
        """Each exchange's pairs, and its place in them."""

    def moved(self, exchange: str, rising: bool, at_ns: int) -> None:
        """An exchange's price moved. To be told in the order of arrival."""
        pairs = self._of.get(exchange)
        if pairs is None:
            pairs = self._join(exchange)
        for pair, place in pairs:
            pair.moved(place, rising, at_ns)
        self._last[exchange][rising] = at_ns

    def _join(self, exchange: str) -> list[tuple[_Pair, int]]:
        own = self._of[exchange] = []
        for other, last in self._last.items():
            pair = _Pair(self._window_ns)
            for rising, at_ns in last.items():
                pair.moved(0, rising, at_ns)
            self._of[other].append((pair, 0))
            own.append((pair, 1))
        self._last[exchange] = {}
        return own

    def remove(self, exchange: str) -> None:
        """Forget an exchange, and all samples that it is part of."""
        self._last.pop(exchange, None)
        gone = {id(pair) for pair, _ in self._of.pop(exchange, [])}
        for pairs in self._of.values():
            pairs[:] = [(pair, place) for pair, place in pairs if id(pair) not in gone]

    def between(self, exchange: str, other: str) -> Lead:
        """The lead of one exchange over another one. A sample counts once the next move, of
        whichever exchange moved first, has shown that the moves belong together."""
        pairs = self._of.get(exchange, [])
        theirs = {id(pair) for pair, _ in self._of.get(other, [])} if other != exchange else set()
        return _lead([(pair, place) for pair, place in pairs if id(pair) in theirs])

    def of(self, exchange: str) -> Lead:
        """The lead of an exchange over all others, every sample counting the same."""
        return _lead(self._of.get(exchange, []))


def _lead(pairs: list[tuple[_Pair, int]]) -> Lead:
    samples = sum(pair.samples for pair, _ in pairs)
    if not samples:
        return Lead(samples=0, mean_ns=None, first=None)
    total = sum(pair.total_ns if place == 0 else -pair.total_ns for pair, place in pairs)
    halves = sum(
        pair.firsts if place == 0 else 2 * pair.samples - pair.firsts for pair, place in pairs
    )
    return Lead(samples=samples, mean_ns=total / samples, first=halves / (2 * samples))
