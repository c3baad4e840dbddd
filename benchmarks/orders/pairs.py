"""Orders placed and canceled by a client whose calls are awaited: the same loop for all of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from benchmarks.orders.job import Job
from benchmarks.orders.meter import Meter

T = TypeVar("T")


async def measure(
    job: Job,
    meter: Meter,
    place: Callable[[], Awaitable[T]],
    cancel: Callable[[T], Awaitable[Any]],
    settle: Callable[[Iterable[T]], Awaitable[None]] | None = None,
) -> None:
    """Measure a job's pairs after those that warm up.

    :param place: places one, and returns what it answers.
    :param cancel: cancels what ``place`` has returned.
    :param settle: waits until the last ones have ended, within what is measured.
    """
    last: deque[T] = deque(maxlen=job.flights)

    async def flight(count: int, note: Callable[[int, int, int], object]) -> None:
        for _ in range(count):
            called = time.monotonic_ns()
            order = await place()
            placed = time.monotonic_ns()
            await cancel(order)
            note(called, placed, time.monotonic_ns())
            last.append(order)

    async def pairs(count: int, note: Callable[[int, int, int], object]) -> None:
        each = count // job.flights
        await asyncio.gather(*(flight(each, note) for _ in range(job.flights)))
        if settle is not None:
            await settle(last)

    await pairs(job.warm_up, lambda *_: None)
    meter.begin()
    await pairs(job.count, meter.pair)
    meter.end()
