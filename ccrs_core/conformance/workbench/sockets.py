"""The world over real sockets and in real time: the emulator's server and the core's transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from ccrs_core.client.client import Client, connect
from ccrs_core.conformance.workbench.world import Tap
from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.exchange import Exchange
from ccrs_core.emulator import EmulatedExchange
from ccrs_core.emulator.server import EmulatorServer
from ccrs_core.transport.base import Connection
from ccrs_core.transport.http import HttpTransport
from ccrs_core.transport.options import Options

T = TypeVar("T")


class _DiallingTap(Tap):
    """The core's own transport, with a note of what it dials."""

    def __init__(self, transport: HttpTransport) -> None:
        self._http = transport
        self.attempts = []
        self.sent: list[tuple[float, int, Outbound]] = []
        self.requests = []
        self.request = transport.request  # type: ignore[method-assign]
        self.aclose = transport.aclose  # type: ignore[method-assign]

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> Connection:  # type: ignore[override]
        self.attempts.append((self.now(), url))
        return await self._http.connect(url, headers)


class SocketWorld:
    """Like :class:`~.world.World`, step by step, but in real time."""

    tap: Tap

    def __init__(self, exchange: Exchange, venue: EmulatedExchange, options: Options) -> None:
        self.venue = venue
        self.loop = asyncio.new_event_loop()
        self.client: Client
        self._exchange = exchange
        self._options = options

    def start(self) -> None:
        """Serve the exchange and open the client."""
        self._end = asyncio.Event()
        opened = asyncio.Event()

        async def main() -> None:
            transport = HttpTransport(self._options.transport)
            self.tap = _DiallingTap(transport)
            async with EmulatorServer(self.venue) as server:
                client = connect(
                    self._exchange, base_url=server.url, transport=self.tap, options=self._options
                )
                async with client as self.client:
                    opened.set()
                    await self._end.wait()

        self._main = self.loop.create_task(main())
        self.do(opened.wait())

    def do(self, work: Awaitable[T]) -> T:
        """Carry out one coroutine."""
        return self.loop.run_until_complete(work)

    def pass_time(self, seconds: float) -> None:
        """Wait."""
        self.do(asyncio.sleep(seconds))

    def stop(self) -> None:
        """Close the client, then the server; nothing may remain."""
        try:
            self._end.set()
            self.do(self._main)
            remaining = asyncio.all_tasks(self.loop)
            assert not remaining, f"tasks remain after the client was closed: {remaining}"
        finally:
            self.loop.close()

    def fault(self, *texts: str) -> None:
        """Add faults to the exchange."""
        for text in texts:
            self.venue.faults.add(text)

    def quieten(self) -> None:
        """End all faults."""
        self.venue.faults.clear()
