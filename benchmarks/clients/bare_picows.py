"""The hand-written loop on picows, a WebSocket client in Cython: what a faster transport offers."""

from __future__ import annotations

import asyncio

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.bare import SIZES, subscribe_text
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    size_of, loads = SIZES[job.case], orjson.loads
    done = asyncio.Event()

    class Listener(WSListener):  # type: ignore[misc,unused-ignore] # untyped where not installed
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, subscribe_text(job.case).encode())

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                message = loads(frame.get_payload_as_memoryview())
                if "topic" in message and take(1, size_of(message)):
                    done.set()

    transport, _ = await ws_connect(Listener, job.stream_url)
    await done.wait()
    transport.disconnect()
