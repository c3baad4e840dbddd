"""A hand-written loop: aiohttp and orjson, building nothing. What Python could do at best."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import orjson

from benchmarks.clients.values import SIZES, Size
from benchmarks.exchanges import wire
from benchmarks.frames import stamp_of
from benchmarks.job import Arrived, Job, OpenAll, Take


def subscribe_text(job: Job) -> str:
    return wire(job.exchange).subscription(job.channel, job.natives)


async def consume(job: Job, take: Take) -> None:
    await read(job, SIZES[job.exchange][job.case], take)


async def read(job: Job, size_of: Size, take: Take) -> None:
    """Call ``take`` with every message's stamp, until it is True."""
    key, loads = wire(job.exchange).data_key, orjson.loads
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(job.stream_url, compress=0, decode_text=False) as socket,
    ):
        await socket.send_str(subscribe_text(job))
        async for frame in socket:
            message = loads(frame.data)
            if key in message and take(1, size_of(message)):
                return


@contextlib.asynccontextmanager
async def holder(job: Job, arrived: Arrived) -> AsyncIterator[OpenAll]:
    """One connection per symbol, one task each, until the end of the context. For Bybit."""
    connecting = asyncio.Semaphore(50)
    exchange = wire(job.exchange)

    async def watch(session: aiohttp.ClientSession, symbol: str) -> None:
        async with connecting:
            socket = await session.ws_connect(job.stream_url, compress=0, decode_text=False)
        async with socket:
            await socket.send_str(exchange.subscription(job.channel, [symbol]))
            async for frame in socket:
                message = orjson.loads(frame.data)
                if "topic" in message:
                    data = message["data"]
                    arrived(data["s"], stamp_of(data["b"][0][1]))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        tasks: list[asyncio.Task[None]] = []

        async def open_all(symbols: list[str]) -> None:
            tasks.extend(asyncio.create_task(watch(session, symbol)) for symbol in symbols)

        try:
            yield open_all
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
