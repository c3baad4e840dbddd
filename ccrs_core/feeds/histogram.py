"""How durations are distributed: counted in buckets as wide as 1/64 of what they hold.

The buckets are HdrHistogram's: 64 of equal width in every power of two, so that a quantile is right
to 1/64 anywhere between a nanosecond and 73 minutes. The ``hdrhistogram`` on PyPI isn't used: it
takes four times as long to record, on a path that every frame takes, allocates its whole range at
once (over 40 kB), and leaves out what is beyond it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from decimal import Decimal

import attrs

_BITS = 6
_PER_OCTAVE = 1 << _BITS
_LARGEST = (1 << 42) - 1
_OCTAVES = _LARGEST.bit_length() - _BITS


@attrs.frozen(kw_only=True)
class LatencySummary:
    """A histogram in eight figures, nanoseconds but for ``count``; quantiles at most 1/64 high."""

    count: int
    min_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    mean_ns: int


class Histogram:
    """Counts of durations in integer nanoseconds, in about 600 bytes per power of two in use.

    Negative ones count as 0. Ones above 73 minutes count in the last bucket. ``min_ns`` and
    ``max_ns`` are exact all the same. Not for several threads at a time.
    """

    __slots__ = ("_highest", "_least", "_most", "_octaves")

    def __init__(self) -> None:
        self._octaves: list[array[int]]
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        # An octave is empty, not absent, until it is used: its IndexError costs nothing before.
        self._octaves = [array("Q") for _ in range(_OCTAVES)]
        self._least = _LARGEST + 1
        self._most = -1
        self._highest = -1

    def record(self, ns: int, count: int = 1) -> None:
        """Count a duration, ``count`` times.

        :raises ValueError: where ``count`` is negative.
        """
        if count < 1 or not self._least <= ns <= self._most:
            ns = self._widen(ns, count)
        shift = (ns | _PER_OCTAVE).bit_length() - (_BITS + 1)
        # From the end, as the first octave is twice as long: it holds 0 to 63, too.
        try:
            self._octaves[shift][(ns >> shift) - 2 * _PER_OCTAVE] += count
        except IndexError:
            self._octave(shift)[(ns >> shift) - 2 * _PER_OCTAVE] += count

    def _widen(self, ns: int, count: int) -> int:
        """Make room for a duration outside of what there was so far; where it is counted."""
        if count < 0:
            raise ValueError(f"a count can't be negative: {count}")
        kept = min(max(ns, 0), _LARGEST)
        if count:
            self._least = min(self._least, kept)
            self._most = max(self._most, kept)
            self._highest = max(self._highest, ns, 0)
        return kept

    def _octave(self, shift: int) -> array[int]:
        octave = self._octaves[shift]
        if not octave:
            octave.frombytes(bytes(octave.itemsize * (_PER_OCTAVE if shift else 2 * _PER_OCTAVE)))
        return octave

    @property
    def count(self) -> int:
        """How many were recorded; summed up anew each time."""
        return sum(map(sum, self._octaves))

    @property
    def min_ns(self) -> int | None:
        """The shortest, exactly; None where nothing was recorded. One above the range counts as
        the range's end."""
        return None if self._most < 0 else self._least

    @property
    def max_ns(self) -> int | None:
        """The longest, exactly; None where nothing was recorded."""
        return None if self._most < 0 else self._highest

    @property
    def mean_ns(self) -> int | None:
        """The mean, right to 1/128 (in the range); None where nothing was recorded."""
        if self._most < 0:
            return None
        count = total = 0
        for lower, upper, times in self._filled():
            count += times
            total += times * (max(lower, self._least) + min(upper, self._most))
        return round(total / (2 * count))

    def quantile(self, q: float) -> int:
        """The smallest duration that a part ``q`` (0 to 1) doesn't exceed, at most 1/64 too high.

        Never above ``max_ns``; ``quantile(1)`` is that, and ``quantile(0)`` is ``min_ns``.

        :raises ValueError: where nothing was recorded, or ``q`` is not from 0 to 1.
        """
        return self._quantiles(q)[0]

    def _quantiles(self, *parts: float) -> list[int]:
        """Several, in rising order, in one pass."""
        if not all(0 <= q <= 1 for q in parts):
            raise ValueError(f"not from 0 to 1: {parts}")
        count = self.count
        if not count:
            raise ValueError("nothing was recorded")
        # 0.07 of 100 is the seventh; in binary it would be a little more, and thus the eighth.
        ranks = [math.ceil(Decimal(str(q)) * count) for q in parts]
        found = [self._least for rank in ranks if not rank]
        seen = 0
        for _, upper, times in self._filled():
            seen += times
            while len(found) < len(ranks) and ranks[len(found)] <= seen:
                last = ranks[len(found)] == count
                found.append(self._highest if last else min(upper, self._most))
        return found

    def summary(self) -> LatencySummary | None:
        """What a status tells; None where nothing was recorded."""
        least, most, mean = self.min_ns, self.max_ns, self.mean_ns
        if least is None or most is None or mean is None:
            return None
        p50, p90, p99, p999 = self._quantiles(0.5, 0.9, 0.99, 0.999)
        return LatencySummary(
            count=self.count,
            min_ns=least,
            p50_ns=p50,
            p90_ns=p90,
            p99_ns=p99,
            p999_ns=p999,
            max_ns=most,
            mean_ns=mean,
        )

    def buckets(self) -> Iterator[tuple[int, int]]:
        """The longest duration of each bucket and its count, in rising order, empty ones left out.

        Not to be recorded to meanwhile.
        """
        return ((upper, times) for _, upper, times in self._filled())

    def _filled(self) -> Iterator[tuple[int, int, int]]:
        for shift, octave in enumerate(self._octaves):
            first = 2 * _PER_OCTAVE - len(octave)
            for place, times in enumerate(octave, start=first):
                if times:
                    yield place << shift, ((place + 1) << shift) - 1, times

    def merge(self, other: Histogram) -> None:
        """Count all that another one has counted, as though it had been recorded here."""
        for shift, counts in enumerate(other._octaves):
            if counts:
                octave = self._octave(shift)
                for place, times in enumerate(counts):
                    octave[place] += times
        self._least = min(self._least, other._least)
        self._most = max(self._most, other._most)
        self._highest = max(self._highest, other._highest)

    def copy(self) -> Histogram:
        """Another one of the same content."""
        made = Histogram()
        made.merge(self)
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        mine = (self._least, self._highest, *self.buckets())
        return mine == (other._least, other._highest, *other.buckets())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Histogram {self.summary()}>"
