"""What the garbage collector does during a run: how often, how long, and on account of what."""

from __future__ import annotations

import gc
import time
from typing import Any

import attrs

from benchmarks.job import Collector

FROZEN_THRESHOLDS = (50_000, 20, 100)
"""What ``frozen`` sets: a collection of the young after 50,000 net allocations, and so on."""


def settle(collector: Collector) -> None:
    """Set the collector up as a program would once it has started."""
    match collector:
        case "frozen":
            gc.collect()
            gc.freeze()
            gc.set_threshold(*FROZEN_THRESHOLDS)
        case "off":
            gc.collect()
            gc.disable()
        case "default":
            pass


@attrs.define
class Watch:
    """Notes every collection from ``begin`` to ``end``, through ``gc.callbacks``."""

    collections: list[int] = attrs.Factory(lambda: [0, 0, 0])
    longest_ns: list[int] = attrs.Factory(lambda: [0, 0, 0])
    total_ns: int = 0
    allocations: int = 0
    """Containers allocated less those freed again: what makes the collector run."""
    watching: bool = False
    _collection_at: int = 0
    _began_at: int = 0
    _wall_ns: int = 0

    def begin(self) -> None:
        self.watching = True
        self._began_at = time.perf_counter_ns()
        self.allocations = -gc.get_count()[0]
        gc.callbacks.append(self._called)

    def end(self) -> None:
        gc.callbacks.remove(self._called)
        self.allocations += gc.get_count()[0]
        self._wall_ns = time.perf_counter_ns() - self._began_at

    def _called(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self.allocations += gc.get_count()[0]
            self._collection_at = time.perf_counter_ns()
            return
        spent = time.perf_counter_ns() - self._collection_at
        generation = info["generation"]
        self.collections[generation] += 1
        self.longest_ns[generation] = max(self.longest_ns[generation], spent)
        self.total_ns += spent

    def figures(self) -> dict[str, Any]:
        """Collections and longest pauses (µs) by generation, and the collector's share of time."""
        return {
            **{f"collections_{i}": count for i, count in enumerate(self.collections)},
            **{f"longest_{i}_us": spent / 1000 for i, spent in enumerate(self.longest_ns)},
            "collecting_share": self.total_ns / self._wall_ns,
            "allocations_per_s": self.allocations / self._wall_ns * 1e9,
        }
