"""What is measured about orders and fills, and the arithmetic on it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from benchmarks.measure import percentile, preemptions

QUANTILES = {"p50": 0.5, "p99": 0.99}


@attrs.define
class Meter:
    """Times of pairs or of fills, and the CPU time of the process (all its threads, user and
    system) from :meth:`begin` to :meth:`end`."""

    placed: list[int] = attrs.Factory(list)
    """Nanoseconds from the call to the answer."""
    canceled: list[int] = attrs.Factory(list)
    arrivals: list[tuple[str, int]] = attrs.Factory(list)
    """Of each fill its execution id, and when the consumer had it (monotonic nanoseconds)."""
    _cpu: float = 0.0
    _wall: float = 0.0
    _preempted: int = 0
    _done: tuple[float, float, int] | None = None

    def begin(self) -> None:
        self._preempted = preemptions()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def pair(self, called_ns: int, placed_ns: int, canceled_ns: int) -> None:
        """An order was placed, and canceled right after that."""
        self.placed.append(placed_ns - called_ns)
        self.canceled.append(canceled_ns - placed_ns)

    def filled(self, execution_id: str) -> int:
        """The consumer has a fill; how many it has."""
        self.arrivals.append((execution_id, time.monotonic_ns()))
        return len(self.arrivals)

    def end(self) -> None:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        self._done = cpu, wall, preemptions() - self._preempted

    def figures(self, count: int) -> dict[str, Any]:
        """Of ``count`` orders or fills; arrivals as they are, to be joined with the venue's."""
        assert self._done is not None
        cpu, wall, preempted = self._done
        found: dict[str, Any] = {
            "cpu_us": 1e6 * cpu / count,
            "per_cpu_s": count / cpu,
            "per_s": count / wall,
            "wall_s": wall,
            "preempted_per_s": preempted / wall,
        }
        for what, times in (("place", self.placed), ("cancel", self.canceled)):
            if times:
                found |= quantiles(what, times)
        if self.arrivals:
            found["arrivals"] = self.arrivals
        return found


def quantiles(what: str, times_ns: Sequence[int]) -> dict[str, float]:
    """Of times in nanoseconds, microseconds."""
    ordered = sorted(times_ns)
    return {
        f"{what}_{name}_us": percentile(ordered, share) / 1000 for name, share in QUANTILES.items()
    }


def joined(figures: Mapping[str, Any], stamps: Mapping[str, int], skip: int) -> dict[str, float]:
    """The figures with the way of each fill from the venue's socket to the consumer, without the
    first ones, and how many were missing or came twice."""
    arrivals = figures["arrivals"]
    times = [at_ns - stamps[identity] for identity, at_ns in arrivals[skip:]]
    seen = {identity for identity, _ in arrivals}
    lost = len(stamps.keys() - seen) + len(arrivals) - len(seen)
    plain = {name: value for name, value in figures.items() if name != "arrivals"}
    return {**plain, **quantiles("fill", times), "lost": lost}
