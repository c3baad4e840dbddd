"""An emulated exchange and a client of it in virtual time: an hour passes in a moment."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import pytest

from ccrs_core.client.client import Client, connect
from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import EmulatedExchange, EmulatorConnection, EmulatorTransport
from ccrs_core.transport.memory import VirtualClock, VirtualTimeLoop
from ccrs_core.transport.options import Options

T = TypeVar("T")

HOST = "http://emulator.invalid"


class _TappedConnection:
    """Passes everything on, and notes what is sent."""

    def __init__(self, tap: Tap, number: int, connection: EmulatorConnection) -> None:
        self._tap = tap
        self._number = number
        self._connection = connection
        self.receive = connection.receive
        self.close = connection.close
        self.abort = connection.abort

    @property
    def last_heard(self) -> float:
        return self._connection.last_heard

    async def send(self, frame: Outbound) -> None:
        self._tap.sent.append((self._tap.now(), self._number, frame))
        await self._connection.send(frame)

    async def ping(self) -> None:
        self._tap.sent.append((self._tap.now(), self._number, b""))
        await self._connection.ping()


class Tap:
    """The emulator's transport, with a note of everything that goes out, by the loop's time."""

    def __init__(self, venue: EmulatedExchange, clock: VirtualClock) -> None:
        self._inner = EmulatorTransport(venue, clock)
        self.attempts: list[tuple[float, str]] = []
        """When each WebSocket was dialled, and its URL."""
        self.sent: list[tuple[float, int, Outbound]] = []
        """When each frame was sent, on the how manieth connection (from 1), and the frame; empty
        for protocol pings."""
        self.requests: list[tuple[float, str, HttpRequest]] = []
        """When each HTTP request left, its base URL and itself."""
        self._connections = 0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> _TappedConnection:
        self.attempts.append((self.now(), url))
        self._connections += 1
        number = self._connections
        return _TappedConnection(self, number, await self._inner.connect(url, headers))

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.requests.append((self.now(), base_url, request))
        return await self._inner.request(base_url, request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    @property
    def hosts(self) -> set[str]:
        """Every host that was dialled."""
        urls = [url for _, url in self.attempts] + [base for _, base, _ in self.requests]
        return {urlsplit(url).netloc for url in urls}


_LONGEST = 90.0
"""Seconds of work that one world may take; what goes on after that waits for what never comes."""


class BoundedLoop(VirtualTimeLoop):
    """A loop that goes round for ever in virtual time is ended: first its tasks, then itself."""

    def __init__(self) -> None:
        super().__init__()
        self.overdue = False
        # The process's own time: a busy machine makes nothing overdue.
        self._until = time.process_time() + _LONGEST
        self._turns = 0

    def _run_once(self) -> None:
        self._turns += 1
        if not self._turns % 512 and time.process_time() > self._until:
            assert not self.overdue, f"a scenario went on after {_LONGEST:g} s of work"
            self.overdue = True
            self._until += 10.0
            for task in asyncio.all_tasks(self):
                task.cancel()
        super()._run_once()  # type: ignore[misc]


class World:
    """One emulated exchange, one client of it, one virtual-time loop.

    :meth:`run` runs a whole scenario. State machines go step by step instead: :meth:`start`, then
    :meth:`do` and :meth:`pass_time`, and :meth:`stop` in the end.
    """

    def __init__(
        self,
        exchange: Exchange,
        venue: EmulatedExchange,
        *,
        options: Options | None = None,
        **settings: Any,
    ) -> None:
        self.exchange = exchange
        self.venue = venue
        self.clock = VirtualClock(venue.start_ns)
        self.tap = Tap(venue, self.clock)
        self.client: Client
        self._options = options
        self._settings = settings
        self._random = random.getstate()

    @cached_property
    def loop(self) -> BoundedLoop:
        """Made when it is first needed: a world in which nothing happens has nothing to close."""
        return BoundedLoop()

    def _connect(self) -> Client:
        return connect(
            self.exchange,
            base_url=HOST,
            transport=self.tap,
            clock=self.clock,
            options=self._options,
            **self._settings,
        )

    # --- a whole scenario ---

    def run(self, scenario: Callable[[Self], Awaitable[T]]) -> T:
        """Run ``scenario(world)`` while the client is open; nothing may remain of it afterwards."""
        # Back-off draws random numbers: the same scenario must go the same way every time.
        random.seed(self.venue.seed)

        async def main() -> T:
            async with self._connect() as self.client:
                return await scenario(self)

        try:
            self.loop.set_exception_handler(self._unhandled)
            result = self.loop.run_until_complete(main())
            self._nothing_remains()
            return result
        except asyncio.CancelledError:
            if self.loop.overdue:
                pytest.fail(
                    f"a scenario took more than {_LONGEST:g} s of work, and had come to second "
                    f"{self.loop.now:.0f} of its own time: it waits for what never comes, such as "
                    "an acknowledgement, data or an answer"
                )
            raise
        finally:
            self._close()

    @staticmethod
    def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        raise AssertionError(f"unhandled in the event loop: {context['message']}") from error

    def _nothing_remains(self) -> None:
        remaining = asyncio.all_tasks(self.loop)
        assert not remaining, f"tasks remain after the client was closed: {remaining}"
        assert not self.venue.peers, "connections remain after the client was closed"

    def _close(self) -> None:
        self.loop.close()
        random.setstate(self._random)

    # --- step by step ---

    def start(self) -> None:
        """Open the client."""
        random.seed(self.venue.seed)
        self.loop.set_exception_handler(self._unhandled)
        self._end = asyncio.Event()
        opened = asyncio.Event()

        async def main() -> None:
            async with self._connect() as self.client:
                opened.set()
                await self._end.wait()

        self._main = self.loop.create_task(main())
        self.do(opened.wait())

    def do(self, work: Awaitable[T]) -> T:
        """Carry out one coroutine."""
        return self.loop.run_until_complete(work)

    def pass_time(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.do(asyncio.sleep(seconds))

    def stop(self) -> None:
        """Close the client; nothing may remain of it."""
        try:
            self._end.set()
            self.do(self._main)
            self._nothing_remains()
        finally:
            self._close()

    # --- faults ---

    def fault(self, *texts: str) -> None:
        """Add faults to the exchange, written as for ``ccrs emulator --fault``."""
        for text in texts:
            self.venue.faults.add(text)

    def quieten(self) -> None:
        """End all faults."""
        self.venue.faults.clear()


def settle(seconds: float = 1.0) -> Awaitable[None]:
    """For scenarios: let virtual time pass."""
    return asyncio.sleep(seconds)


Sent = Sequence[tuple[float, int, Outbound]]
