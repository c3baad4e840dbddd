"""The hand-written loop on picows that also builds what a user wants: values with Decimals."""

from __future__ import annotations

from benchmarks.clients.bare_picows import listen
from benchmarks.clients.values import builder
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    await listen(job, builder(job), take)
