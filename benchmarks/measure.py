"""What is measured about a process, and the arithmetic on it."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import os
import platform
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from benchmarks.frames import END, STAMP_MODULUS, stamp_of, stamp_text

_ENDS: dict[type, object] = {kind: kind(stamp_text(END)) for kind in (str, float, Decimal)}
"""The closing stamp as the sizes of the various clients."""

QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the sorted values don't exceed."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@functools.cache
def cores() -> tuple[int | None, int | None]:
    """The core of the clients and that of the source; equal where there is just one.

    Remembered, because a process that has pinned itself no longer sees the others.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(cpu: int | None) -> None:
    """Keep this process on one core, where the system can do that."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def raise_file_limit() -> None:
    """Allow this process as many open files as the system lets it have."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident_bytes() -> int:
    """Memory of this process that is in RAM, after a collection."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def preemptions() -> int:
    """How often the system took the processor away from this process to give it to another."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


@attrs.define
class Meter:
    """Counts what a consumer receives and the CPU time that its process spends meanwhile.

    The consumer calls :meth:`woke` (throughput) or :meth:`sample` (latency) with the number of
    events received and the size of the last one; True says that this was the run's last frame.
    """

    frames: int
    """Frames that the source sends."""
    delivered: int = 0
    _first: int = 0
    _first_delivered: int = 0
    _cpu: float = 0.0
    _wall: float = 0.0
    _cpu_spent: float = 0.0
    _wall_spent: float = 0.0
    _preempted: int = 0
    _times: list[int] = attrs.Factory(list)
    _sizes: list[object] = attrs.Factory(list)

    def woke(self, events: int, size: object) -> bool:
        """Count events; measuring begins with the first call after a fiftieth of the frames."""
        self.delivered += events
        if not self._first:
            stamp = stamp_of(size)
            if stamp == END:
                raise ValueError("the run was over before anything could be measured")
            if stamp > self.frames // 50:
                self._start(stamp)
            return False
        return self._ended(size)

    def sample(self, events: int, size: object) -> bool:
        """Note the time at which a stamp arrived, in a way that gives the collector no work."""
        self._times.append(time.monotonic_ns())
        self._sizes.append(size)
        self.delivered += events
        if not self._first:
            self._start(1)
            return False
        return self._ended(size)

    def _start(self, first: int) -> None:
        self._first, self._first_delivered = first, self.delivered
        self._preempted = preemptions()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def _ended(self, size: object) -> bool:
        if size != _ENDS[type(size)]:
            return False
        self._cpu_spent = time.process_time() - self._cpu
        self._wall_spent = time.perf_counter() - self._wall
        self._preempted = preemptions() - self._preempted
        return True

    def throughput(self) -> dict[str, float]:
        """Frames handled per CPU second, from the first measured one to the last."""
        handled = self.frames - self._first
        return {
            "events": handled,
            "delivered": self.delivered - self._first_delivered,
            "cpu_s": self._cpu_spent,
            "wall_s": self._wall_spent,
            "preempted_per_s": self._preempted / self._wall_spent,
            "events_per_cpu_s": handled / self._cpu_spent,
        }

    def latency(self) -> dict[str, float]:
        """Quantiles in microseconds, without the first tenth and the closing frame."""
        taken = zip(self._times, map(stamp_of, self._sizes), strict=True)
        delays = sorted(
            (received - stamp) % STAMP_MODULUS / 1000
            for received, stamp in itertools.islice(taken, len(self._times) // 10, None)
            if stamp != END
        )
        return {
            "samples": len(delays),
            "delivered": self.delivered - self._first_delivered,
            "cpu_s": self._cpu_spent,
            "wall_s": self._wall_spent,
            "preempted_per_s": self._preempted / self._wall_spent,
            **{f"{name}_us": percentile(delays, share) for name, share in QUANTILES.items()},
        }
