"""A transport without sockets and a clock without waiting, for tests and replay. Public API.

:func:`run` executes a coroutine on an event loop whose time is virtual: whenever nothing can
happen but the passing of time, time jumps to the next timer. An hour of heartbeats and back-offs
passes in milliseconds and in the same order every time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import ConnectFailed, ConnectionLost, TransportError
from ccrs_core.transport.departure import leaves_now

T = TypeVar("T")

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z, where virtual time starts unless told otherwise."""


class Deadlock(RuntimeError):
    """Every task waits for something that can't come: no timer is set and nothing is open."""


class _JumpingSelector(selectors.DefaultSelector):
    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock("all tasks wait and no timer is set")
        self.loop.now += timeout
        return []


class _NumberedTask(asyncio.Task[Any]):
    """Has its place in a set by its number: sets of tasks, of asyncio's own too, are gone through
    in the same order every time, which addresses in memory would not give."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _NumberedFuture(asyncio.Future[Any]):
    """Alike."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while anything can run, and then jumps.

    What happens at the same moment happens in the same order every time.
    """

    def __init__(self) -> None:
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self
        self.now = 0.0
        self._clock_resolution = 1e-6
        self._born = 0
        self.set_task_factory(VirtualTimeLoop._new_task)  # type: ignore[arg-type]

    def _next(self) -> int:
        self._born += 1
        return self._born

    def _new_task(self, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        # Numbered before it is anywhere: asyncio puts it into a set while it is made.
        task = _NumberedTask.__new__(_NumberedTask)
        task.number = self._next()
        task.__init__(coroutine, loop=self, **options)  # type: ignore[misc]
        return task

    def create_future(self) -> asyncio.Future[Any]:
        future = _NumberedFuture(loop=self)
        future.number = self._next()
        return future

    def time(self) -> float:
        return self.now


class VirtualClock:
    """The clock of a :class:`VirtualTimeLoop`. ``jump`` moves the wall clock alone."""

    def __init__(self, start_ns: int = START_NS) -> None:
        self._start_ns = start_ns
        self._loop: asyncio.AbstractEventLoop | None = None

    def time_ns(self) -> int:
        return self._start_ns + round(self.monotonic() * 1e9)

    def monotonic(self) -> float:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time goes on undisturbed."""
        self._start_ns += round(seconds * 1e9)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time.

    :raises Deadlock: where it would wait for ever.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Server(Protocol):
    """The other side of a :class:`MemoryTransport`; all calls are immediate."""

    def opened(self, peer: Peer) -> None:
        """A connection was opened; raise ``ConnectFailed`` to refuse it."""

    def received(self, peer: Peer, frame: Outbound) -> None:
        """The client sent a frame."""

    def closed(self, peer: Peer) -> None:
        """The client closed or dropped the connection."""

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        """The client made an HTTP request."""


class Peer:
    """The server's end of one in-memory connection."""

    def __init__(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.url = url
        self.headers = headers
        """Those of the handshake."""
        self.open = True
        self.lag = 0.0
        """Seconds that frames are under way; they stay in order."""
        self._due = 0.0
        self._frames: deque[bytes] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._lost: ConnectionLost | None = None

    def push(self, *frames: bytes | str) -> None:
        """Deliver frames to the client; ignored once the connection has ended."""
        if self._lost is not None:
            return
        if self.lag or self._due:
            loop = asyncio.get_running_loop()
            self._due = max(self._due, loop.time() + self.lag)
            loop.call_at(self._due, self._arrive, frames)
        else:
            self._arrive(frames)

    def _arrive(self, frames: Sequence[bytes | str]) -> None:
        if self._lost is None:
            self._frames.extend(f.encode() if isinstance(f, str) else f for f in frames)
            self._notify()

    def drop(self, code: int | None = None, reason: str = "connection reset") -> None:
        """End the connection; what was pushed before still arrives, unless it is under way."""
        if self._lost is None:
            self.open = False
            self._lost = ConnectionLost(reason, code)
            self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class MemoryConnection:
    """The client's end of one in-memory connection."""

    def __init__(self, peer: Peer, server: Server) -> None:
        self._peer = peer
        self._server = server
        self.pings = 0
        self.last_heard = 0.0

    async def receive(self) -> Sequence[bytes]:
        peer = self._peer
        while not peer._frames:
            if peer._lost is not None:
                raise peer._lost
            peer._wake = asyncio.get_running_loop().create_future()
            try:
                await peer._wake
            finally:
                peer._wake = None
        frames = list(peer._frames)
        peer._frames.clear()
        return frames

    async def send(self, frame: Outbound) -> None:
        if self._peer._lost is not None:
            error = ConnectionLost("can't send: the connection has ended")
            error.nothing_sent = True
            raise error
        self._server.received(self._peer, frame)

    async def ping(self) -> None:
        self.pings += 1

    async def close(self, code: int = 1000) -> None:
        self.abort()

    def abort(self) -> None:
        if self._peer.open:
            self._peer.drop(reason="aborted")
            self._server.closed(self._peer)


class MemoryTransport:
    """Connects to a :class:`Server` object in the same process.

    ``latency`` seconds pass before a connection is open or a request answered; ``reachable``, where
    given, must allow a URL, so that a test can prove that nothing else is dialled.
    """

    def __init__(
        self,
        server: Server,
        *,
        latency: float = 0.0,
        reachable: Callable[[str], bool] | None = None,
    ) -> None:
        self.server = server
        self.latency = latency
        self._reachable = reachable
        self.connections: list[MemoryConnection] = []

    def _check(self, url: str) -> None:
        if self._reachable is not None and not self._reachable(url):
            raise AssertionError(f"{url} must not be dialled")

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> MemoryConnection:
        self._check(url)
        await asyncio.sleep(self.latency)
        peer = Peer(url, headers)
        self.server.opened(peer)
        connection = MemoryConnection(peer, self.server)
        self.connections = [c for c in self.connections if c._peer.open]
        self.connections.append(connection)
        return connection

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self._check(base_url)
        leaves_now()
        await asyncio.sleep(self.latency)
        return self.server.requested(base_url, request)

    async def aclose(self) -> None:
        for connection in self.connections:
            connection.abort()


__all__ = [
    "START_NS",
    "ConnectFailed",
    "Deadlock",
    "MemoryConnection",
    "MemoryTransport",
    "Peer",
    "Server",
    "TransportError",
    "VirtualClock",
    "VirtualTimeLoop",
    "run",
]
