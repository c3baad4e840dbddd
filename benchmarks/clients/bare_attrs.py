"""The hand-written loop on aiohttp that also builds what a user wants: values with Decimals."""

from __future__ import annotations

import aiohttp
import orjson

from benchmarks.clients.bare import subscribe_text
from benchmarks.clients.values import builder
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    build, loads = builder(job), orjson.loads
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(job.stream_url, compress=0, decode_text=False) as socket,
    ):
        await socket.send_str(subscribe_text(job.case))
        async for frame in socket:
            message = loads(frame.data)
            if "topic" in message and take(1, build(message)):
                return
