"""An emulated Bybit behind sockets, in a thread of its own: for clients that block."""

from __future__ import annotations

import asyncio
import queue
import threading

from ccrs_bybit.emulator import BybitDialect

from ccrs_core.emulator import EmulatorServer, parse_fault

_PATIENCE = 15.0


class Served:
    """An emulator on an event loop in a thread of its own."""

    def __init__(self, *faults: str) -> None:
        self._faults = [parse_fault(fault) for fault in faults]
        self._started: queue.Queue[EmulatorServer | BaseException] = queue.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with EmulatorServer(BybitDialect(), seed=5, faults=self._faults) as server:
            self._started.put(server)
            await self._stop.wait()

    def __enter__(self) -> EmulatorServer:
        self._thread.start()
        server = self._started.get(timeout=_PATIENCE)
        assert isinstance(server, EmulatorServer)
        return server

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()
