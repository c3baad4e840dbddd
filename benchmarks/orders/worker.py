"""One client's process: run one job, print what was measured as a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.measure import pin
from benchmarks.orders.job import Job
from benchmarks.orders.meter import Meter


async def work(job: Job, limit: float) -> Meter:
    meter = Meter()
    client = job.contender.load()
    async with asyncio.timeout(limit):
        await (client.fills if job.kind.startswith("fills") else client.orders)(job, meter)
    return meter


def main(arguments: list[str]) -> None:
    job = Job(**json.loads(arguments[0]))
    pin(int(arguments[2]) if len(arguments) > 2 else None)
    meter = asyncio.run(work(job, float(arguments[1])))
    print(json.dumps(meter.figures(job.count)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
