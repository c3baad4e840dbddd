"""Tells a quiet stream from a dead one, by what the exchange answers elsewhere. Pure.

A mark is a text that is another one after everything that the stream must tell of. Where the mark
has changed and the stream has said nothing, before or after, it is dead. Clocks of the exchange and
digits of its answers are left out of it: marks are compared with one another alone.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import attrs


class Verdict(enum.Enum):
    """What an answer proves of a stream."""

    NOTHING = "nothing"
    LIVES = "lives"
    """Nothing has happened that it should have told of."""
    DEAD = "dead"
    """It should have told of something, and didn't."""


BEGINNING = 5.0
"""Seconds in which a subscription shows the state that it begins with."""


GONE = 2.0
"""Seconds by which a connection may lag behind one that is lost before it lacks what that had."""


class Life(NamedTuple):
    """A stream's last sign of life."""

    at: float
    """Monotonic seconds."""
    told: bool
    """Whether it was more than being acknowledged."""
    goes_on: bool
    """Whether it was more than what a subscription begins with."""


@attrs.define(eq=False)
class Quiet:
    """One stream without cadence, as it may be quiet. All times are monotonic seconds."""

    FIRST = 10.0
    """Quiet for so long, a stream is asked about for the first time."""
    LONGEST = 600.0
    """Between two questions about a stream; they are spread out twice as far each time."""
    CACHE = 10.0
    """Answers may be so old: what happened since before that is no news."""
    GRACE = 5.0
    """What the stream lacks must be shown once more after this, by when it would have told it."""

    HOPES = 3
    """So often in a row something is done for a dead stream without delay."""

    heard: float
    """When it last said something, or was acknowledged."""
    due: float = 0.0
    """When it is to be asked about, unless it says something before."""
    deaths: int = 0
    """How often in a row it was found dead."""
    provable: bool = True
    """Whether the last answer told anything about it."""
    _interval: float = FIRST
    _rhythm: float = 0.0
    """The longest time that it lately took to say something."""
    _mark: str | None = None
    _suspected: float | None = None

    def __attrs_post_init__(self) -> None:
        self.due = self.heard + self.FIRST

    def begins(self, at: float) -> None:
        """The exchange has acknowledged it anew, or shown the state that it begins with: whether it
        lives has yet to be seen."""
        if at > self.heard:
            self._rhythm = 0.0
            self._hears(at)

    def hears(self, at: float) -> None:
        """It said something, last at this time."""
        if at > self.heard:
            self.deaths = 0
            self._rhythm = max(at - self.heard, self._rhythm / 2)
            self._hears(at)

    def _hears(self, at: float) -> None:
        self.heard = at
        self._forget()
        # Twice what is usual with it calls for no question; and what is dead whatever is done for
        # it is given more and more time.
        least = self.FIRST * 2.0 ** min(max(self.deaths - self.HOPES, 0), 10)
        self.due = at + min(max(least, 2 * self._rhythm), self.LONGEST)

    def _forget(self) -> None:
        self._mark = self._suspected = None
        self._interval = self.FIRST

    def soon(self, now: float) -> bool:
        """Whether an answer that others wait for will do for this one, too."""
        return self.due <= now + self._interval / 2

    def answered(self, mark: str | None, asked: float, now: float) -> Verdict:
        """Judge by an answer to what was asked at a time; None where it doesn't tell of this one.

        What was heard up to now must be known already.
        """
        self.provable = mark is not None
        if mark is None:
            self._suspected = None
            self._later(now)
            return Verdict.NOTHING
        if asked - self.heard < self.CACHE:
            self.due = max(self.due, self.heard + self.CACHE)
            return Verdict.NOTHING
        if self._mark is None:
            self._mark = mark
            self.due = now + self._interval
            return Verdict.NOTHING
        if mark == self._mark:
            self._suspected = None
            self._later(now)
            return Verdict.LIVES
        if self._suspected is None:
            self._suspected = now
            self.due = now + self.GRACE
            return Verdict.NOTHING
        if now - self._suspected < self.GRACE:
            return Verdict.NOTHING
        self.deaths += 1
        self._forget()
        self.due = now + self.FIRST
        return Verdict.DEAD

    def unanswered(self, now: float) -> None:
        """No answer came: that proves nothing."""
        self._later(now)

    def _later(self, now: float) -> None:
        self._interval = min(2 * self._interval, self.LONGEST)
        self.due = now + self._interval
