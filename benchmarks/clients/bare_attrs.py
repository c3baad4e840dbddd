"""The hand-written loop on aiohttp that also builds what a user wants: values with Decimals."""

from __future__ import annotations

from benchmarks.clients.bare import read
from benchmarks.clients.values import builder
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    await read(job, builder(job), take)
