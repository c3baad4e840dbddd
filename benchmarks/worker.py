"""One client's process: run one job, print what was measured as a line of JSON."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import attrs

from benchmarks.clients import CONTENDERS
from benchmarks.collector import Watch, settle
from benchmarks.exchanges import wire
from benchmarks.job import Job
from benchmarks.measure import Meter, pin, raise_file_limit, resident_bytes

_PATIENCE = 60.0
"""Seconds for all connections to come up."""
_SETTLE = 1.0
_DUE = 1.25
"""Frames due to each connection above which one that brings none has lost something."""


@attrs.define
class Arrivals:
    """What arrived per symbol, checked against the numbers that the source stamps them with."""

    events: int = 0
    lost: int = 0
    _numbers: dict[str, int] = attrs.Factory(dict)
    _before: dict[str, int] = attrs.Factory(dict)

    def __call__(self, symbol: str, number: int) -> None:
        expected = self._numbers.get(symbol, 0) + 1
        self.lost += abs(number - expected)
        self._numbers[symbol] = number
        self.events += 1

    @property
    def symbols(self) -> int:
        """Symbols of which something arrived."""
        return len(self._numbers)

    def begin(self) -> None:
        """From here on, see who is silent."""
        self._before = dict(self._numbers)

    @property
    def silent(self) -> int:
        """Symbols that have brought nothing since ``begin``, though they had before."""
        return sum(self._numbers[symbol] == number for symbol, number in self._before.items())


async def stream(job: Job) -> dict[str, Any]:
    """Consume the frames of one topic to the last."""
    meter = Meter(job.count)
    take = meter.sample if job.clocked else meter.woke
    await CONTENDERS[job.client].load().consume(job, take)
    return meter.latency() if job.clocked else meter.throughput()


async def collect(job: Job) -> dict[str, Any]:
    """Consume the frames of one topic and watch the garbage collector meanwhile."""
    watch = Watch()
    meter = Meter(job.count)
    measure = meter.sample if job.clocked else meter.woke

    def take(events: int, size: object) -> bool:
        if not watch.watching:
            settle(job.collector)
            watch.begin()
        ended = measure(events, size)
        if ended:
            watch.end()
        return ended

    await CONTENDERS[job.client].load().consume(job, take)
    figures = meter.latency() if job.clocked else meter.throughput()
    return figures | watch.figures()


async def hold(job: Job) -> dict[str, Any]:
    """Hold many connections and say what each of them costs."""
    arrivals = Arrivals()
    listed = wire(job.exchange).symbols(job.connections + 1)[1:]
    module = CONTENDERS[job.client].load()
    assert job.rate is not None
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
        await asyncio.sleep(_SETTLE / 4)  # what came during the collection isn't the rate
        arrivals.begin()
        events, cpu, wall = arrivals.events, time.process_time(), time.perf_counter()
        await asyncio.sleep(job.seconds)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        events = arrivals.events - events
    due = job.rate * wall / job.connections
    return {
        "connections": job.connections,
        "ready_s": ready,
        "memory_bytes": memory,
        "kib_each": memory / 1024 / job.connections,
        "events": events,
        "lost": arrivals.lost + (arrivals.silent if due >= _DUE else 0),
        "cpu_s": cpu,
        "wall_s": wall,
        "cpu_percent": 100 * cpu / wall,
        "cpu_us_each_per_s": 1e6 * cpu / wall / job.connections,
        "cpu_us_per_event": 1e6 * cpu / events if events else 0.0,
    }


async def work(job: Job, limit: float) -> dict[str, Any]:
    async with asyncio.timeout(limit):
        match job.kind:
            case "connections" | "connections_busy":
                return await hold(job)
            case "garbage":
                return await collect(job)
            case _:
                return await stream(job)


def loop_factory(job: Job) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop that the job asks for; None: asyncio's own."""
    if job.loop == "asyncio":
        return None
    factory: Callable[[], asyncio.AbstractEventLoop]
    factory = importlib.import_module("uvloop").new_event_loop
    return factory


def main(arguments: list[str]) -> None:
    job = Job(**json.loads(arguments[0]))
    limit = float(arguments[1])
    pin(int(arguments[2]) if len(arguments) > 2 else None)
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory(job)) as runner:
        result = runner.run(work(job, limit))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
