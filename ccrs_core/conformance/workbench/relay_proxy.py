"""An HTTP CONNECT proxy on the loopback interface that alone knows where a name leads."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Tunnels to one server under a name that nobody else can resolve; use it in ``async with``.

    :param host: the name that it knows.
    :param port: of the server on the loopback interface.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.targets: list[str] = []
        """``host:port`` of each tunnel that was asked for."""
        self.clients: set[str] = set()
        """The addresses that clients came from."""
        self.bytes = 0
        """Bytes that passed, both ways."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
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
        self._writers.append(writer)
        self.clients.add(writer.get_extra_info("peername")[0])
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self.targets.append(target)
        if method != "CONNECT" or target.rpartition(":")[0] != self._host:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        there, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(to_server)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for source, sink in ((reader, to_server), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass(source, sink)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while content := await reader.read(65536):
                self.bytes += len(content)
                writer.write(content)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
