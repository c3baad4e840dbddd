"""Several connections to one stream: the first copy of each update wins, later ones are measured.

Pure: no I/O, no clock. One :class:`Race` per topic judges copies; one :class:`Runner` per
connection keeps score. The same rules remove repeats where there is just one connection, and join
the old and the new connection of a planned rollover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ccrs_core.connections.runner import LAG, Number, Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.model.events import StreamData


def same_content(one: StreamData, other: StreamData | None) -> bool:
    """Whether two events say the same, whenever they came."""
    if other is None or one.__class__ is not other.__class__:
        return False
    first, second = (
        attrs.evolve(event, exchange_time_ns=None, received_time_ns=0) for event in (one, other)
    )
    return first == second


class Race:
    """Judges the copies of one topic's updates.

    Numbers that rise (ints) are compared with the last one delivered; identities (bytes) with the
    recent ones. With ``contiguous`` (order books) a number above the next expected one may be
    *ahead*: held by the book until another connection brings what is missing, so only numbers up
    to the book's own, and those ahead, count as delivered.
    """

    WINDOW: ClassVar[int] = 512
    """Updates whose time and winner are remembered at least."""
    STUCK: ClassVar[float] = 3.0
    """Where nothing new was delivered for so long (s) while numbers rise below the last one, the
    last one was wrong (a corrupted frame, an unannounced restart): start anew from there."""

    LAG: ClassVar[float] = LAG

    __slots__ = (
        "_older",
        "_recent",
        "_runners",
        "adrift",
        "advanced_at",
        "ahead",
        "contiguous",
        "generation",
        "last",
        "restarted_by",
        "topic",
        "trail",
    )

    def __init__(
        self,
        topic: str,
        runners: list[Runner],
        *,
        contiguous: bool = False,
        trail: Trail | None = None,
    ) -> None:
        self.topic = topic
        self.trail = Trail() if trail is None else trail
        self.contiguous = contiguous
        self.last: int | None = None
        self.ahead: set[int] = set()
        self.generation = 0
        self.adrift = False
        """No connection brought the topic for a while: the exchange may count anew by now."""
        self.advanced_at = 0.0
        self.restarted_by: Runner | None = None
        """Whose announcement that the exchange counts anew was followed last."""
        self._runners = runners
        # Two generations, swapped when full: evicting one by one would cost more than it saves.
        self._recent: dict[Number, tuple[float, Runner | None]] = {}
        self._older: dict[Number, tuple[float, Runner | None]] = {}

    def late(self, number: Number, restart: bool, runner: Runner, now: float) -> bool:
        """Whether an update was delivered already; scores it if so."""
        if number.__class__ is bytes:
            seen = self._recent.get(number) or self._older.get(number)
            if seen is None:
                return False
            self._score(number, seen, runner, now)
            return True
        assert isinstance(number, int)
        last = self.last
        if last is None:
            return False
        if not (restart or self.generation or self.ahead or self.adrift or self.contiguous):
            if number > last:
                return False
            plain = self._recent.get(number) or self._older.get(number)
            if plain is not None and (number == last or now - plain[0] < self.LAG):
                self._score(number, plain, runner, now)
                runner.tops[self.topic] = number
                return True
        if self.adrift and number != last:
            return False
        if (restart or self.generation) and not self._same_count(number, restart, runner, now):
            return number >= last or not restart
        if number > last and (not self.ahead or number not in self.ahead):
            return False
        if self.contiguous and self.backward(number, runner):
            return False
        seen = self._recent.get(number) or self._older.get(number)
        if seen is not None and (number == last or now - seen[0] < self.LAG):
            self._score(number, seen, runner, now)
        else:
            top = runner.tops.get(self.topic)
            if number != last and self._stuck(number, runner, now):
                return False
            if top == number:
                runner.repeats += 1
            else:
                runner.late += 1
        runner.tops[self.topic] = number
        return True

    def brought_at(self, number: Number) -> float | None:
        """When an update was brought first, as far as that is remembered."""
        seen = self._recent.get(number) or self._older.get(number)
        return None if seen is None else seen[0]

    def again(self, number: int, runner: Runner) -> None:
        """Note a connection's copy of the restart that is delivered already."""
        runner.generations[self.topic] = self.generation
        runner.tops[self.topic] = number
        runner.late += 1

    def may_be_another(self, number: Number, runner: Runner) -> bool:
        """Whether a connection that has announced a restart (or, where nobody has, any) announces
        one with the same number: either a repeat, or the exchange has begun anew once more. Only
        the content tells."""
        return number == self.last and self.restarted_by in (runner, None)

    def backward(self, number: int, runner: Runner) -> bool:
        """Whether a connection's numbers have fallen, as they do after a restart."""
        top = runner.tops.get(self.topic)
        return top is not None and number < top

    def _same_count(self, number: int, restart: bool, runner: Runner, now: float) -> bool:
        """Whether a number belongs to the count that ``last`` belongs to, rather than to the one
        before a restart (that another connection has shown already) or after it (shown here)."""
        assert self.last is not None
        mine = runner.generations.get(self.topic, self.generation)
        if mine == self.generation:
            if not restart or number >= self.last:
                return True
            # The first that a connection brings may be its copy of a restart that is known already.
            return self.topic not in runner.tops and (
                number in self._recent or number in self._older
            )
        # A connection whose numbers fall has restarted, whether or not it was seen to say so.
        if restart or self.backward(number, runner) or self._stuck(number, runner, now):
            runner.generations[self.topic] = self.generation
            runner.tops.pop(self.topic, None)  # of the former count
            return True
        runner.late += 1
        runner.tops[self.topic] = number
        return False

    def _stuck(self, number: int, runner: Runner, now: float) -> bool:
        top = runner.tops.get(self.topic)
        if now - self.advanced_at > self.STUCK and top is not None and top <= number:
            return True
        runner.tops[self.topic] = number
        return False

    def _score(
        self, number: Number, seen: tuple[float, Runner | None], runner: Runner, now: float
    ) -> None:
        when, winner = seen
        if winner is runner:
            runner.repeats += 1
            return
        if number.__class__ is int and self.topic not in runner.tops:
            # The state that a connection starts with says nothing about its speed.
            runner.repeats += 1
            return
        runner.late += 1
        runner.timed(when, winner, now)
        if number.__class__ is int:
            runner.tops[self.topic] = number
        if winner is not None:
            # Where it is: what is remembered anew would push others out before their time.
            memory = self._recent if number in self._recent else self._older
            memory[number] = (when, None)

    def announced(self, runner: Runner) -> None:
        """Note that a connection's announcement of a new count is followed."""
        self.restarted_by = runner

    def count_every_number(self) -> None:
        """From now on a number above the next expected one doesn't count as delivered."""
        self.contiguous = True

    def copied(self, number: Number, runner: Runner) -> None:
        """Note that a connection has brought copies of updates that were handed on, up to this."""
        if number.__class__ is int:
            assert isinstance(number, int)
            runner.tops[self.topic] = number

    def take(self, number: int, restart: bool, runner: Runner, now: float) -> bool:
        """:meth:`late` and, where it isn't, :meth:`won`: whether an update is to be delivered."""
        if not restart and self.follows(number, runner, now):
            return True
        if self.late(number, restart, runner, now):
            return False
        self.won(number, restart, runner, now)
        return True

    def follows(self, number: int, runner: Runner, now: float) -> bool:
        """Whether an update is the next one beyond doubt; if so, that it is delivered is noted."""
        last = self.last
        if last is None or number <= last or self.generation or self.ahead:
            return False
        self.last = number
        self.advanced_at = now
        self.adrift = False
        runner.wins += 1
        runner.tops[self.topic] = number
        if len(self._runners) > 1:
            self.remember(number, runner, now)
        return True

    @property
    def plain(self) -> bool:
        """Whether numbers above the last one are sure to be new."""
        return self.last is not None and not (self.generation or self.ahead)

    def advance(self, numbers: Sequence[int], runner: Runner, now: float) -> None:
        """Note that updates, all above the last one and rising, are delivered. (``plain``.)"""
        self.last = last = numbers[-1]
        self.advanced_at = now
        self.adrift = False
        runner.wins += len(numbers)
        runner.tops[self.topic] = last
        if len(self._runners) > 1:
            recent = self._recent
            recent.update(dict.fromkeys(numbers, (now, runner)))
            if len(recent) >= self.WINDOW:
                self._older, self._recent = recent, {}

    def won(self, number: Number, restart: bool, runner: Runner, now: float) -> None:
        """Note that an update, found not to be late, was decoded and delivered."""
        runner.wins += 1
        self.advanced_at = now
        self.adrift = False
        if number.__class__ is int:
            assert isinstance(number, int)
            last = self.last
            if last is not None and number <= last:
                self._forget()
                if restart:
                    self.restarted(runner)
            self.last = number
            runner.tops[self.topic] = number
        if len(self._runners) > 1 or number.__class__ is bytes:
            self.remember(number, runner, now)

    def restarted(self, runner: Runner) -> None:
        """Note that the exchange counts anew, as a connection was the first to tell."""
        # Copies of the former count may still be under way on the other connections.
        for other in self._runners:
            other.generations.setdefault(self.topic, self.generation)
        self.generation += 1
        runner.generations[self.topic] = self.generation

    def remember(self, number: Number, runner: Runner, now: float) -> None:
        """Keep time and winner of an update, to measure how far behind its copies come."""
        recent = self._recent
        recent[number] = (now, runner)
        if len(recent) >= self.WINDOW:
            self._older, self._recent = recent, {}

    def hold(self, number: int, runner: Runner, now: float) -> None:
        """Note that an update waits in the book for what comes before it."""
        runner.wins += 1
        runner.tops[self.topic] = number
        self.ahead.add(number)
        self.remember(number, runner, now)

    def released(self, number: int, *, delivered: bool) -> None:
        """Note that an update waits no more, and whether that is because it was delivered."""
        self.ahead.discard(number)
        if delivered:
            self.last = number

    def repeated(self, runner: Runner) -> None:
        """Note that a connection has brought what it had brought before."""
        runner.repeats += 1

    def counts_anew(self, runner: Runner) -> None:
        """Note that a connection's numbers are of the present count."""
        runner.generations[self.topic] = self.generation

    def begin(self, number: int, now: float) -> None:
        """Go on from a state that no connection brought: whatever is above its number is new."""
        self.reset()
        self.last = number
        self.advanced_at = now
        self.adrift = False

    def reset(self) -> None:
        """Forget everything: whatever comes next is new."""
        self.last = None
        self._forget()

    def uncarried(self) -> None:
        """No connection brings the topic any more."""
        self.adrift = True
        self.trail.clear()

    def _forget(self) -> None:
        self.trail.clear()
        self.ahead.clear()
        self._recent, self._older = {}, {}
