"""One client's process: run one job, print what was measured as a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import attrs

from benchmarks.clients import CONTENDERS
from benchmarks.job import Job
from benchmarks.measure import Meter, pin, raise_file_limit, resident_bytes
from benchmarks.source import symbols

_PATIENCE = 60.0
"""Seconds for all connections to come up."""
_SETTLE = 1.0


@attrs.define
class Arrivals:
    """What arrived per symbol, checked against the numbers that the source stamps them with."""

    events: int = 0
    lost: int = 0
    _numbers: dict[str, int] = attrs.Factory(dict)

    def __call__(self, symbol: str, number: int) -> None:
        expected = self._numbers.get(symbol, 0) + 1
        self.lost += abs(number - expected)
        self._numbers[symbol] = number
        self.events += 1

    @property
    def symbols(self) -> int:
        """Symbols of which something arrived."""
        return len(self._numbers)


async def stream(job: Job) -> dict[str, Any]:
    """Consume the frames of one topic to the last."""
    meter = Meter(job.count)
    paced = job.rate is not None
    take = meter.sample if paced else meter.woke
    await CONTENDERS[job.client].load().consume(job, take)
    return meter.latency() if paced else meter.throughput()


async def hold(job: Job) -> dict[str, Any]:
    """Hold many connections and say what each of them costs."""
    arrivals = Arrivals()
    listed = symbols(job.connections + 1)[1:]
    module = CONTENDERS[job.client].load()
    async with module.holder(job, arrivals) as open_all:
        before = resident_bytes()
        started = time.perf_counter()
        await open_all([native for native, _ in listed])
        deadline = time.monotonic() + _PATIENCE
        while arrivals.symbols < job.connections:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{arrivals.symbols} of {job.connections} connections brought data"
                )
            await asyncio.sleep(0.05)
        ready = time.perf_counter() - started
        await asyncio.sleep(_SETTLE)
        memory = resident_bytes() - before
        events, cpu, wall = arrivals.events, time.process_time(), time.perf_counter()
        await asyncio.sleep(job.seconds)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        events = arrivals.events - events
    return {
        "connections": job.connections,
        "ready_s": ready,
        "memory_bytes": memory,
        "kib_each": memory / 1024 / job.connections,
        "events": events,
        "lost": arrivals.lost,
        "cpu_s": cpu,
        "wall_s": wall,
        "cpu_percent": 100 * cpu / wall,
        "cpu_us_each_per_s": 1e6 * cpu / wall / job.connections,
        "cpu_us_per_event": 1e6 * cpu / events if events else 0.0,
    }


async def work(job: Job, limit: float) -> dict[str, Any]:
    async with asyncio.timeout(limit):
        return await (hold(job) if job.kind == "connections" else stream(job))


def main(arguments: list[str]) -> None:
    job = Job(**json.loads(arguments[0]))
    limit = float(arguments[1])
    pin(int(arguments[2]) if len(arguments) > 2 else None)
    raise_file_limit()
    result = asyncio.run(work(job, limit))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
