"""Whether nothing is missing, nor out of order, between what several connections bring of a topic.

A connection *follows on* where all that the exchange published before what it brings next has been
delivered, or is missing in a gap that was told. What such a connection brings is the next in order,
so it may be delivered at once, and copies of it from others that follow on are mere copies. The
first connection that carries a topic follows on; every other one has to be proved to:

- it brings what was delivered already, so that it goes on from there; or one that follows on brings
  what it has brought (they *meet*);
- one that follows on answers a ping that was sent after the new one was acknowledged: what was
  published before that has arrived.

Until then it is *apart*. What it brings waits, and goes in order once there is proof; what has
waited for :attr:`Coverage.BOUND` without any goes after a gap. From then on only that connection
follows on, and whatever others still bring from before the gap is left out. Nobody has to know
which connection is dead, half-open or late: one of which that isn't proved makes up for nothing.

Pure: no I/O, no clock. Live clients and replays use the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Protocol

import attrs

from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.model.events import Reason


class Covered(Protocol):
    """What a coverage asks of its topic."""

    name: str

    @property
    def waits(self) -> bool:
        """Whether what a connection brings apart has to wait: where each event counts, and nothing
        in it says whether one is missing before it."""

    @property
    def delivered(self) -> int:
        """How many events were delivered so far."""

    @property
    def confesses(self) -> bool:
        """Whether gaps are told here: books tell theirs themselves."""

    def deliver(self, data: Data, runner: Runner, now: float) -> None:
        """Deliver what follows on."""

    def met(self, data: Data) -> int | None:
        """Where some of this was delivered since the last gap: how many events, from the first on,
        are not to be delivered any more. None where none of it was."""

    def keys(self, data: Data) -> Sequence[object]:
        """What tells this from other data of the topic."""

    def interrupt(self, reason: Reason) -> None:
        """Something may be missing before what is delivered next."""

    def begin_stretch(self) -> None:
        """What was delivered so far is before a gap."""


@attrs.define(eq=False)
class Apart:
    """A connection that isn't known to follow on."""

    at: float
    """Nothing that was published after this is missing on it."""
    behind: bool
    """It may bring what is older than what was delivered: until it has answered itself, so that
    this is over, what it brings is left out."""
    older: bool = False
    """It may bring what is older than what the others begin with: until it has answered itself."""
    waiting: list[Data] = attrs.field(factory=list)
    since: float | None = None
    """When it brought first what may not follow on."""
    until: float | None = None
    """Until when that waits."""
    ended_at: float | None = None
    """When the connection ended. What it has brought still waits."""


class Coverage:
    """Which connections of a topic follow on, and what the others have brought meanwhile."""

    BOUND: ClassVar[float] = 1.0
    """Seconds for which anything waits for a proof that nothing is missing before it."""
    PLANNED: ClassVar[float] = 5.0
    """The same in a planned replacement, while the old connection goes on bringing things."""
    AGAIN: ClassVar[float] = 0.25
    MOST: ClassVar[int] = 20_000
    """Frames of one connection that wait at most."""

    __slots__ = (
        "_before",
        "_changed",
        "_relieved",
        "_topic",
        "apart",
        "began",
        "dropped",
        "following",
    )

    def __init__(
        self,
        topic: Covered,
        changed: Callable[[], None],
        relieved: Callable[[], bool] = lambda: False,
    ) -> None:
        self.following: set[Runner] = set()
        self.apart: dict[Runner, Apart] = {}
        self.began = 0.0
        """When the first of those that follow on was known to."""
        self.dropped = 0
        """Events that came too late to be delivered in order."""
        self._before = 0
        """What had been delivered by then; -1 where others may bring what is older in any case."""
        self._topic = topic
        self._changed = changed
        self._relieved = relieved

    # --- connections come and go ---

    def carries(self, runner: Runner, now: float) -> bool:
        """A connection has begun to bring the topic, if it hasn't before; whether it follows on."""
        if runner in self.following:
            return True
        if runner in self.apart:
            return False
        if not self.following:
            before = self._topic.delivered
            if before or self.apart:
                # What was delivered, and what others still bring, is from before a gap.
                self._begin_stretch(runner, now)
            else:
                self._begin(runner, now)
            self._before = before
            return True
        runner.apart.add(self._topic.name)
        older = self._older(runner)
        self.apart[runner] = Apart(now, behind=older and not self._fresh, older=older)
        self._changed()
        return False

    def leaves(self, runner: Runner, reason: Reason, now: float, *, ended: bool = True) -> None:
        """A connection has ended, or doesn't bring the topic any more."""
        runner.apart.add(self._topic.name)
        entry = self.apart.get(runner)
        if entry is not None:
            if entry.waiting and ended:
                entry.ended_at = now
            else:
                # It isn't lost in silence: others bring it, or a gap is told.
                self._leave_out(entry)
                del self.apart[runner]
        elif runner in self.following:
            self.following.discard(runner)
            if not self.following:
                self._orphaned(reason, now)

    def misses(self, runner: Runner, reason: Reason, now: float) -> None:
        """Something that a connection has brought could not be read, and it goes on."""
        entry = self.apart.get(runner)
        if entry is None and runner not in self.following:
            return
        if self.following == {runner}:
            self._topic.interrupt(reason)
            self._begin_stretch(runner, now)
            self._changed()
            return
        self.following.discard(runner)
        runner.apart.add(self._topic.name)
        again = self.apart[runner] = Apart(now, behind=False)
        if entry is not None:
            self._leave_out_waiting(entry)
            again.behind, again.older = entry.behind, entry.older
            # What is missing again and again must not put off that somebody goes on.
            again.since, again.until = entry.since, entry.until
        self._changed()

    def makes_up(self, runner: Runner) -> bool:
        """Whether nothing is missing if a connection ends now."""
        return runner not in self.following or len(self.following) > 1

    # --- proofs ---

    def brings(self, data: Data, runner: Runner, now: float) -> bool:
        """A connection that is apart brings something: whether to deliver it now."""
        if self.carries(runner, now):
            return True
        entry = self.apart[runner]
        known = self._topic.met(data)
        if known is not None:
            self._leave_out(entry)
            self._follows(runner)
            if known:
                data.events = data.events[known:]
            return bool(data.events)
        if not self._topic.waits:
            if entry.since is None and not entry.behind and self._topic.confesses:
                self._wait(entry, now)
            return True
        if entry.behind:
            self.dropped += len(data.events)
            return False
        entry.waiting.append(data)
        if entry.since is None:
            self._wait(entry, now)
        if len(entry.waiting) > self.MOST:
            self._take_over(runner, Reason.RECONNECTED, now)
        return False

    def delivered(self, data: Data, now: float) -> None:
        """One that follows on has brought this: who has it waiting has met it."""
        fresh = self._fresh
        if not fresh and all(not entry.waiting for entry in self.apart.values()):
            return
        keys = self._topic.keys
        found = set(keys(data))
        for runner, entry in list(self.apart.items()):
            if self.apart.get(runner) is not entry:
                continue  # what another one had waiting has met it already
            for place, waiting in enumerate(entry.waiting):
                if not found.isdisjoint(keys(waiting)):
                    if not self._fresh:
                        before, entry.waiting = entry.waiting[:place], entry.waiting[place:]
                        self.dropped += sum(len(each.events) for each in before)
                    self._admit(runner, now)
                    break
        if fresh:
            # From now on there is something that others may bring what is older than.
            for entry in self.apart.values():
                if entry.older and not entry.behind:
                    self._leave_out(entry)
                    entry.behind, entry.at = True, now
            self._changed()

    def answered(self, runner: Runner, asked_at: float, now: float) -> None:
        """What the exchange had sent to a connection before it was asked at a time has arrived."""
        entry = self.apart.get(runner)
        if entry is not None and (entry.behind or entry.older) and asked_at >= entry.at:
            entry.behind, entry.older, entry.at = False, False, now
            if not self.following:
                self._take_over(runner, Reason.RECONNECTED, now)
            self._changed()
        elif runner in self.following:
            proved = [
                r for r, a in self.apart.items() if not (a.behind or a.older) and a.at <= asked_at
            ]
            for other in sorted(proved, key=self._order):
                if other in self.apart:  # what the one before had waiting may have met it already
                    self._admit(other, now)

    def unproved(self) -> Iterator[tuple[Runner, float]]:
        """The connections to be asked for a proof, and since when an answer is one."""
        for runner, entry in self.apart.items():
            if entry.behind or entry.older:
                yield runner, entry.at
            else:
                for other in self.following:
                    yield other, entry.at

    # --- time ---

    @property
    def wake_at(self) -> float | None:
        """When :meth:`tick` is due, None for never."""
        if not self.apart:
            return None
        return min((a.until for a in self.apart.values() if a.until is not None), default=None)

    def tick(self, now: float) -> None:
        """No proof has come in time."""
        due = [r for r, a in self.apart.items() if a.until is not None and now >= a.until]
        for runner in sorted(due, key=self._order):
            entry = self.apart[runner]
            assert entry.since is not None
            if now < entry.since + self.PLANNED and self._relieved():
                entry.until = now + self.AGAIN
                continue
            self._take_over(runner, Reason.RECONNECTED, now)
            return
        if due:
            self._changed()

    # --- inside ---

    @property
    def _fresh(self) -> bool:
        """Whether nothing was delivered since those that follow on began to."""
        return self._before == self._topic.delivered

    def _older(self, runner: Runner) -> bool:
        """Whether a connection may bring what is older than what those that follow on brought
        first: it was open before they began, and may have been asked for the topic before."""
        return runner.opened_at < self.began

    def _wait(self, entry: Apart, now: float) -> None:
        entry.since, entry.until = now, now + self.BOUND
        self._changed()

    def _leave_out(self, entry: Apart) -> None:
        self._leave_out_waiting(entry)
        entry.since = entry.until = None

    def _leave_out_waiting(self, entry: Apart) -> None:
        self.dropped += sum(len(data.events) for data in entry.waiting)
        entry.waiting.clear()

    def _order(self, runner: Runner) -> tuple[float, float, int]:
        entry = self.apart[runner]
        return (
            float("inf") if entry.since is None else entry.since,
            entry.at,
            runner.epoch,
        )

    def _orphaned(self, reason: Reason, now: float) -> None:
        """No connection follows on any more."""
        self._topic.interrupt(reason)
        able = [r for r, a in self.apart.items() if not a.behind]
        if able:
            self._take_over(min(able, key=self._order), reason, now)

    def _begin(self, runner: Runner, now: float) -> None:
        self.began = now
        self.following.add(runner)
        runner.apart.discard(self._topic.name)

    def _begin_stretch(self, runner: Runner, now: float, ended_at: float | None = None) -> None:
        """Only this connection follows on, after a gap: others may still bring what is before it.
        ``ended_at`` is when the connection ended, if it has."""
        self._topic.begin_stretch()
        self._before = -1
        for other, each in list(self.apart.items()):
            if ended_at is not None and other.opened_at >= ended_at and not each.behind:
                continue  # all that it brings is newer
            self._leave_out(each)
            each.behind, each.at = True, now
            if each.ended_at is not None:
                del self.apart[other]
        self._begin(runner, now)

    def _follows(self, runner: Runner) -> None:
        """A connection is proved to follow on."""
        entry = self.apart.pop(runner)
        if entry.ended_at is None:
            self.following.add(runner)
            runner.apart.discard(self._topic.name)
        self._changed()

    def _admit(self, runner: Runner, now: float) -> None:
        """Deliver what has waited, in order; from now on the connection follows on."""
        entry = self.apart[runner]
        self._follows(runner)
        runner.apart.discard(self._topic.name)
        for data in entry.waiting:
            self._topic.deliver(data, runner, now)
        if entry.ended_at is not None:
            runner.apart.add(self._topic.name)

    def _take_over(self, runner: Runner, reason: Reason, now: float) -> None:
        """Nothing proves that a connection follows on: go on from it, after a gap."""
        topic = self._topic
        topic.interrupt(reason)
        entry = self.apart.pop(runner)
        for other in self.following:
            other.apart.add(topic.name)
            self.apart[other] = Apart(now, behind=True)
        self.following.clear()
        ended_at = entry.ended_at
        self._begin_stretch(runner, now, ended_at)
        for data in entry.waiting:
            topic.deliver(data, runner, now)
        if ended_at is not None:
            self.following.discard(runner)
            runner.apart.add(topic.name)
            self._orphaned(reason, now)
        self._changed()
