"""Asks connections for proof that nothing is missing between them, each at most so often."""

from __future__ import annotations

from collections.abc import Callable

from ccrs_core.connections.link import Link
from ccrs_core.connections.rollover import Owner
from ccrs_core.connections.runner import Runner

EVERY = 0.25
"""Seconds between two probes of a connection, at least."""


class Doubts:
    """The topics of a shard of which it isn't known whether all connections carry them on."""

    def __init__(self, shard: Owner, lacks: Callable[[Link, str], bool]) -> None:
        self._shard = shard
        self._lacks = lacks
        """Whether a connection hasn't brought what it must have brought by now, if it can prove
        anything."""
        self._topics: set[str] = set()
        self._asking = False

    def add(self, name: str) -> None:
        """Something may be missing of a topic: ask, in a moment."""
        self._topics.add(name)
        if not self._asking:
            self._later(0.0)

    def answered(self, link: Link, asked_at: float) -> None:
        """What the exchange had sent on a connection before it was asked at a time has arrived."""
        now = self._shard.context.clock.monotonic()
        for name in list(self._topics):
            topic = self._shard.topics.get(name)
            if topic is None:
                continue
            coverage = topic.coverage
            following = link.runner in coverage.following and coverage.apart
            if not (following and self._lacks(link, name)):
                coverage.answered(link.runner, asked_at, now)

    def _later(self, delay: float) -> None:
        self._asking = True
        self._shard.later(delay, self._ask)

    def _ask(self) -> None:
        """Ask those connections whose answer proves something."""
        shard = self._shard
        self._asking = False
        wanted: dict[Runner, float] = {}
        for name in list(self._topics):
            topic = shard.topics.get(name)
            if topic is None or not topic.coverage.apart:
                self._topics.discard(name)
                continue
            for runner, at in topic.coverage.unproved():
                wanted[runner] = max(at, wanted.get(runner, at))
        now, again = shard.context.clock.monotonic(), 0.0
        for link in shard.links:
            session, since = link.session, wanted.get(link.runner)
            if session is None or since is None or link.retired or session.probed_at >= since:
                continue
            wait = session.probed_at + self._every - now
            if wait > 0 or not link.ask(now):
                again = max(again, wait, EVERY)
        if again and not self._asking:
            self._later(again)

    @property
    def _every(self) -> float:
        """Seconds between two probes of a connection, which leave most of its budget to others."""
        budget = self._shard.route.messages
        limits = () if budget is None else budget.all
        return max(EVERY, *(2 * e.seconds / e.amount for e in limits if e.seconds <= 10.0), 0.0)
