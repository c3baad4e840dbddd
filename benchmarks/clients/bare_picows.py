"""The hand-written loop on picows, a WebSocket client in Cython: what a faster transport offers."""

from __future__ import annotations

import asyncio

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.bare import subscribe_text
from benchmarks.clients.values import SIZES, Size
from benchmarks.exchanges import wire
from benchmarks.job import Job, Take


async def consume(job: Job, take: Take) -> None:
    await listen(job, SIZES[job.exchange][job.case], take)


async def listen(job: Job, size_of: Size, take: Take) -> None:
    """Call ``take`` with every message's stamp, from within picows' callback, until it is True."""
    key, loads = wire(job.exchange).data_key, orjson.loads
    ended = asyncio.get_running_loop().create_future()

    class Listener(WSListener):  # type: ignore[misc,unused-ignore] # untyped where not installed
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, subscribe_text(job).encode())

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                message = loads(frame.get_payload_as_memoryview())
                if key in message and take(1, size_of(message)):
                    ended.set_result(None)

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            if not ended.done():
                ended.set_exception(ConnectionError("the source closed the connection"))

    transport, _ = await ws_connect(Listener, job.stream_url)
    await ended
    transport.disconnect()
