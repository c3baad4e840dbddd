"""The hand-written loop on picows, a WebSocket client in Cython: what a faster transport offers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.bare import SIZES, subscribe_text
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    await listen(job, SIZES[job.case], take)


async def listen(job: Job, stamp: Callable[[dict[str, Any]], Any], take: Take) -> None:
    """Call ``take`` with every message's stamp, from within picows' callback, until it is True."""
    loads = orjson.loads
    ended = asyncio.get_running_loop().create_future()

    class Listener(WSListener):  # type: ignore[misc,unused-ignore] # untyped where not installed
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, subscribe_text(job.case).encode())

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                message = loads(frame.get_payload_as_memoryview())
                if "topic" in message and take(1, stamp(message)):
                    ended.set_result(None)

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            if not ended.done():
                ended.set_exception(ConnectionError("the source closed the connection"))

    transport, _ = await ws_connect(Listener, job.stream_url)
    await ended
    transport.disconnect()
