"""A TCP relay on the loopback interface that cuts what passes into other pieces, and notes it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_SIZES = (1, 1, 2, 3, 5, 7, 13, 64, 300, 1500)


class Relay:
    """Relays connections to a server; use it in ``async with``.

    :param url: of the server, ``http://127.0.0.1:PORT``.
    :param rng: decides where the stream is cut; None passes it on as it comes.
    """

    def __init__(self, url: str, rng: Random | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._rng = rng
        self.answers: list[bytearray] = []
        """All that the server sent, for each connection in order of opening."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.netloc = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = None, bytearray()
        self.answers.append(from_server)
        there, to_server = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, to_server]
        for source, target, noted in (
            (reader, to_server, None),
            (there, writer, from_server),
        ):
            task = asyncio.create_task(self._pass(source, target, noted))
            self._tasks.add(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noted: bytearray | None
    ) -> None:
        try:
            while content := await reader.read(65536):
                if noted is not None:
                    noted += content
                for piece in self._pieces(content):
                    writer.write(piece)
                    await writer.drain()
                    # The other side reads this piece before the next one is sent.
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        if self._rng is None:
            yield content
            return
        at = 0
        while at < len(content):
            # Long answers in longer pieces, or they would take their time.
            size = self._rng.choice(_SIZES) * (1 + len(content) // 20_000)
            yield content[at : at + size]
            at += size


def messages_in(stream: bytes) -> Iterator[bytes]:
    """The whole WebSocket data messages in what a server sent, its handshake first (RFC 6455);
    compressed ones inflated (RFC 7692, each on its own)."""
    at = stream.index(b"\r\n\r\n") + 4
    while at + 2 <= len(stream):
        head, size = stream[at], stream[at + 1] & 0x7F
        at += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(stream[at : at + width], "big")
            at += width
        payload = bytes(stream[at : at + size])
        if len(payload) < size:
            return
        at += size
        if head & 0x0F in (1, 2):
            compressed = head & 0x40
            yield _inflated(payload) if compressed else payload


def _inflated(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
