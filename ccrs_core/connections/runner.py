"""One of the connections that bring the same topics, and how it fares among them."""

from __future__ import annotations

import attrs

Number = int | bytes
"""What tells updates of a topic apart: a number that rises, or an identity."""

LAG = 10.0
"""A copy this late (s), with nothing new in between, is none: the exchange counts anew."""


@attrs.define(eq=False)
class Runner:
    """One connection's score, over all topics. Times are seconds."""

    epoch: int
    wins: int = 0
    """Updates that this connection brought first."""
    late: int = 0
    """Copies that another connection had brought before."""
    repeats: int = 0
    """Updates that this connection itself had brought before."""
    ahead_total: float = 0.0
    """Summed lead of its wins over the runner-up."""
    ahead_count: int = 0
    behind_total: float = 0.0
    """Summed lag behind the winner of those late copies that were timed."""
    behind_count: int = 0
    generations: dict[str, int] = attrs.field(factory=dict, repr=False)
    tops: dict[str, int] = attrs.field(factory=dict, repr=False)
    opened_at: float = 0.0
    apart: set[str] = attrs.field(factory=set, repr=False)
    """Topics in which what it brings isn't known to follow on what was delivered (see
    ``coverage``)."""

    def timed(self, when: float, winner: Runner | None, now: float) -> None:
        """Score a late copy of what was won at a time. ``winner`` is None where another one was
        late before: only the first to arrive after the winner tells its lead."""
        behind = now - when
        self.behind_total += behind
        self.behind_count += 1
        if winner is not None:
            winner.ahead_total += behind
            winner.ahead_count += 1

    def forget(self, topic: str) -> None:
        """Nobody wants a topic any more: where it is wanted again, it may count anew meanwhile."""
        self.tops.pop(topic, None)
        self.generations.pop(topic, None)
        self.apart.discard(topic)

    @property
    def mean_ahead(self) -> float | None:
        return self.ahead_total / self.ahead_count if self.ahead_count else None

    @property
    def mean_behind(self) -> float | None:
        return self.behind_total / self.behind_count if self.behind_count else None
