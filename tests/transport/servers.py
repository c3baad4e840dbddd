"""Small servers on the loopback interface for the transport's tests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from ccrs_core.errors import ConnectFailed, ConnectionLost
from ccrs_core.transport.base import Connection, Transport, TransportOptions
from ccrs_core.transport.http import HttpTransport

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

MIB = 1024 * 1024

GUARD = 30.0
"""No test waits for longer than this (s), whatever goes wrong."""


@contextlib.asynccontextmanager
async def no_leftovers() -> AsyncIterator[None]:
    """After the block the loop has no other tasks than before, and the process no other sockets.

    The servers in this process may take some rounds of the loop to notice that a client is gone.
    """
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    yield
    for _ in range(1000):
        if asyncio.all_tasks() <= tasks and open_sockets() == sockets:
            return
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= tasks
    assert open_sockets() == sockets


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test; afterwards neither a task nor a socket may be left."""

    async def guarded() -> None:
        async with asyncio.timeout(GUARD), no_leftovers():
            await main()

    asyncio.run(guarded())


def open_sockets() -> int:
    """How many sockets this process has, 0 where the system doesn't tell."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return 0
    count = 0
    for entry in list(folder.iterdir()):
        with contextlib.suppress(OSError):
            count += os.readlink(entry).startswith("socket:")
    return count


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A WebSocket frame as servers send them."""
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + struct.pack("!H", size) + payload
    return bytes((first, 127)) + struct.pack("!Q", size) + payload


class Peer:
    """The server's end of a WebSocket, by the byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.writer.get_extra_info("peername")
        return address

    def header(self, name: str) -> str | None:
        for line in self.head.decode().split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    async def handshake(self, *, extensions: str = "") -> None:
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        key = (self.header("Sec-WebSocket-Key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        extra = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
        self.writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"{extra}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    async def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        await self.writer.drain()

    async def read(self) -> tuple[int, bytes]:
        """The client's next frame: opcode and payload."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Handler = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def serve(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Serve raw connections with the handler; yields ``host:port``. Its errors fail the test."""
    tasks: set[asyncio.Task[None]] = set()
    failures: list[Exception] = []
    closing = False

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            if not closing:
                await handler(Peer(reader, writer))
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        except Exception as error:
            failures.append(error)
        finally:
            tasks.discard(task)
            writer.transport.abort()
            # A transport is done with its socket one round of the loop later.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    server = await asyncio.start_server(run, host, 0, ssl=tls)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        closing = True
        server.close()
        for task in tuple(tasks):
            task.cancel()
        while tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)
    assert not failures, failures


@contextlib.asynccontextmanager
async def websocket(
    handler: Handler, *, tls: ssl.SSLContext | None = None, extensions: str = ""
) -> AsyncIterator[str]:
    """Serve WebSockets; yields the URL. The handler starts after the handshake."""

    async def run(peer: Peer) -> None:
        await peer.handshake(extensions=extensions)
        await handler(peer)

    async with serve(run, tls=tls) as address:
        yield f"{'ws' if tls is None else 'wss'}://{address}/stream"


async def silent(peer: Peer) -> None:
    """A peer that never says anything and reads nothing."""
    await asyncio.Event().wait()


async def echo(peer: Peer) -> None:
    """A peer that repeats frames, and closes when asked to."""
    while True:
        opcode, payload = await peer.read()
        await peer.send(frame(opcode, payload))
        if opcode == CLOSE:
            return


async def answer(peer: Peer, status: str = "200 OK", headers: str = "", body: bytes = b"") -> None:
    """Answer one HTTP request and end."""
    peer.writer.write(
        f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
    )
    await peer.writer.drain()


@cache
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client context of a throw-away authority, for 127.0.0.1 and venue.test."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "venue.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


class Make(Protocol):
    """What makes a transport of options."""

    def __call__(self, options: TransportOptions | None = None) -> Transport: ...


def _picows(options: TransportOptions | None = None) -> Transport:
    from ccrs_picows import PicowsTransport

    return PicowsTransport(options)


def _installed(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} isn't installed")


AIOHTTP = pytest.param(HttpTransport, id="aiohttp")
PICOWS = pytest.param(_picows, id="picows", marks=_installed("ccrs_picows"))

BOTH = pytest.mark.parametrize("make", [AIOHTTP, PICOWS])
"""For tests that every transport must pass."""


async def refused(make: Make, url: str, options: TransportOptions | None = None) -> ConnectFailed:
    """How a connection fails."""
    transport = make(options)
    try:
        with pytest.raises(ConnectFailed) as failed:
            await transport.connect(url)
    finally:
        await transport.aclose()
    return failed.value


def with_peer(
    make: Make,
    handler: Callable[[Peer], Awaitable[None]],
    client: Callable[[Connection], Awaitable[None]],
    options: TransportOptions | None = None,
    extensions: str = "",
) -> None:
    """Run a client against a peer."""

    async def main() -> None:
        async with websocket(handler, extensions=extensions) as url:
            transport = make(options)
            connection = await transport.connect(url)
            try:
                await client(connection)
            finally:
                await transport.aclose()

    run(main)


async def everything(connection: Connection) -> tuple[list[bytes], ConnectionLost, int]:
    """All frames to the end, how it ended, and in how many batches they came."""
    frames: list[bytes] = []
    batches = 0
    while True:
        try:
            batch = await connection.receive()
        except ConnectionLost as lost:
            return frames, lost, batches
        assert batch
        frames += batch
        batches += 1
