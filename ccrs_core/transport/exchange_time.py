"""What is known of an exchange's clock. Pure.

Each answer that tells the exchange's time bounds it from below: when the answer arrived, it was at
least that late there. The latest of these bounds is taken, less what clocks may drift apart: so it
errs into the past by less than the quickest answer was under way, and is never ahead. It goes on
with monotonic time, so that setting the local clock changes nothing.
"""

from __future__ import annotations

from collections import deque

import attrs

from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import Clock

DRIFT = 200e-6
"""Seconds a second that two clocks may drift apart."""
_KEPT = 16
"""Samples that are looked at."""
_JUMP_NS = NS_PER_SECOND
"""So much the local clocks may go apart before that is a jump."""


@attrs.frozen
class _Sample:
    at: float
    """When the answer arrived, monotonic seconds."""
    told_ns: int
    round_trip: float


@attrs.frozen(kw_only=True)
class ClockOffset:
    """How an exchange's clock stands to the local one.

    ``offset_ns`` is what it is ahead at least (below zero: behind), by up to ``uncertainty_ns``
    more; ``age`` are the seconds since it was last asked.
    """

    offset_ns: int
    uncertainty_ns: int
    age: float


class ExchangeTime:
    """The time of one exchange, by what it has told."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._best: _Sample | None = None
        """The one that says most; all grow alike, so that it goes on to."""
        self._apart_ns: int | None = None
        """By how much the local clocks were apart when it was last heard of."""
        self.generation = 0
        """How often what was known was forgotten."""

    def heard(self, told_ns: int, asked_at: float, clock: Clock, *, anew: bool = False) -> None:
        """An answer has just come that tells the time, to what was asked at a time (monotonic).
        ``anew``: what was known before has proved wrong."""
        now = clock.monotonic()
        if anew:
            self._samples.clear()
            self.generation += 1
        self._samples.append(_Sample(now, told_ns, now - asked_at))
        self._best = max(self._samples, key=lambda each: _bound(each, now))
        self._apart_ns = _apart(clock)

    @property
    def known(self) -> bool:
        return bool(self._samples)

    def age(self, clock: Clock) -> float:
        """Seconds since it was last told; infinity where it wasn't."""
        return clock.monotonic() - self._samples[-1].at if self._samples else float("inf")

    def jumped(self, clock: Clock) -> bool:
        """Whether the local clocks have gone apart since it was last told: one was set, or the
        machine slept, in which monotonic time may have stood still."""
        return self._apart_ns is not None and abs(_apart(clock) - self._apart_ns) > _JUMP_NS

    def now_ns(self, clock: Clock) -> int:
        """The exchange's time, never ahead of it; the local clock's where nothing is known."""
        best = self._best
        return clock.time_ns() if best is None else _bound(best, clock.monotonic())

    def offset(self, clock: Clock) -> ClockOffset | None:
        """How it stands to the local clock; None where nothing is known."""
        if not self._samples:
            return None
        now, local_ns, here_ns = clock.monotonic(), clock.time_ns(), self.now_ns(clock)
        latest = min(
            each.told_ns
            + round((now - each.at + each.round_trip) * (1 + DRIFT) * NS_PER_SECOND)
            + NS_PER_SECOND // 1000
            for each in self._samples
        )
        return ClockOffset(
            offset_ns=here_ns - local_ns,
            uncertainty_ns=max(latest - here_ns, 0),
            age=self.age(clock),
        )


def _bound(sample: _Sample, now: float) -> int:
    """The earliest that it can be there."""
    return sample.told_ns + int((now - sample.at) * (1 - DRIFT) * NS_PER_SECOND)


def _apart(clock: Clock) -> int:
    return clock.time_ns() - round(clock.monotonic() * NS_PER_SECOND)


__all__ = ["ClockOffset", "ExchangeTime"]
