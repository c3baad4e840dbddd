"""A hand-written loop: aiohttp and orjson, building nothing. What Python could do at best."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson

from benchmarks.frames import SYMBOL, TOPICS, stamp_of
from benchmarks.job import Arrived, Job, OpenAll, Take

SIZES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "top_of_book": lambda message: message["data"]["b"][0][1],
    "trades": lambda message: message["data"][-1]["v"],
    "book50": lambda message: message["data"]["b"][0][1],
}
"""Where the stamp is, by case."""


def subscribe_text(case: str, symbol: str = SYMBOL) -> str:
    return json.dumps({"op": "subscribe", "req_id": "1", "args": [TOPICS[case] + symbol]})


async def consume(job: Job, take: Take) -> None:
    size_of, loads = SIZES[job.case], orjson.loads
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(job.stream_url, compress=0, decode_text=False) as socket,
    ):
        await socket.send_str(subscribe_text(job.case))
        async for frame in socket:
            message = loads(frame.data)
            if "topic" in message and take(1, size_of(message)):
                return


@contextlib.asynccontextmanager
async def holder(job: Job, arrived: Arrived) -> AsyncIterator[OpenAll]:
    """One connection per symbol, one task each, until the end of the context."""
    connecting = asyncio.Semaphore(50)

    async def watch(session: aiohttp.ClientSession, symbol: str) -> None:
        async with connecting:
            socket = await session.ws_connect(job.stream_url, compress=0, decode_text=False)
        async with socket:
            await socket.send_str(subscribe_text(job.case, symbol))
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
