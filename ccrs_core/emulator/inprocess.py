"""A transport straight into an emulated exchange: no sockets, and on virtual time no waiting."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import deque
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import attrs

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator.exchange import EmulatedExchange
from ccrs_core.emulator.frame import Frame, HttpRefusal
from ccrs_core.emulator.peer import CloseAction, Peer, PingAction
from ccrs_core.errors import ConnectFailed, ConnectionLost, TransportError
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import Clock
from ccrs_core.transport.departure import leaves_now


class EmulatorConnection:
    """The client's end of a WebSocket into the emulator."""

    def __init__(self, transport: EmulatorTransport, peer: Peer) -> None:
        self.last_heard = 0.0
        self._transport = transport
        self._peer = peer
        self._frames: deque[bytes] = deque()
        self._lost: ConnectionLost | None = None
        self._wake: asyncio.Future[None] | None = None

    async def receive(self) -> Sequence[bytes]:
        while not self._frames:
            if self._lost is not None:
                raise self._lost
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        frames = list(self._frames)
        self._frames.clear()
        return frames

    async def send(self, frame: Outbound) -> None:
        if self._lost is not None:
            raise ConnectionLost("can't send: the connection has ended")
        self._peer.received(frame, self._transport._now())
        self._transport._deliver()

    async def ping(self) -> None:
        if self._lost is not None:
            raise ConnectionLost("can't send: the connection has ended")
        if not self._peer.deaf:
            self.last_heard = asyncio.get_running_loop().time()
            self._peer.pinged(self._transport._now())
            self._transport._deliver()

    async def close(self, code: int = 1000) -> None:
        self.abort()

    def abort(self) -> None:
        self._peer.gone()
        self._end(ConnectionLost("aborted"))

    def _carry_out(self) -> None:
        for action in self._peer.take():
            if isinstance(action, Frame):
                if self._lost is None:
                    self._frames.append(action.payload)
            elif isinstance(action, CloseAction):
                text = f": {action.reason}" if action.reason else ""
                self._end(
                    ConnectionLost(
                        f"closed by the exchange with code {action.code}{text}", action.code
                    )
                )
            elif isinstance(action, PingAction):
                self.last_heard = asyncio.get_running_loop().time()
                self._peer.ponged(action.payload, self._transport._now())
            else:
                self._end(ConnectionLost("connection reset"))
        self._notify()

    def _end(self, lost: ConnectionLost) -> None:
        if self._lost is None:
            self._lost = lost
            self._transport._forget(self._peer)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class EmulatorTransport:
    """The ``Transport`` of an emulated exchange in the same process, on the running loop's time.

    Every address leads to it. Without a ``clock`` the exchange's time is its ``start_ns`` plus the
    loop's time since the first use; timers are the loop's, so that on a virtual-time loop all is
    deterministic.
    """

    def __init__(
        self,
        venue: EmulatedExchange,
        clock: Clock | None = None,
        *,
        connect_timeout: float = 10.0,
    ) -> None:
        self.venue = venue
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._connections: dict[Peer, EmulatorConnection] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._started: float | None = None
        self._start_ns = 0

    async def connect(
        self, url: str, headers: Sequence[tuple[str, str]] = ()
    ) -> EmulatorConnection:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        peer = self.venue.open(parts.path, query, self._now(), headers=headers)
        if isinstance(peer, HttpRefusal):
            self._deliver()
            if peer.status is None:
                raise ConnectFailed(f"{url}: connection refused")
            raise ConnectFailed(f"{url}: handshake refused with HTTP {peer.status}", peer.status)
        connection = EmulatorConnection(self, peer)
        self._connections[peer] = connection
        try:
            async with asyncio.timeout(self._connect_timeout):
                self._deliver()
                wait_ns = peer.opens_at_ns - self._now()
                if wait_ns > 0:
                    await asyncio.sleep(wait_ns / NS_PER_SECOND)
        except TimeoutError:
            connection.abort()
            raise ConnectFailed(f"{url}: no connection in {self._connect_timeout:g} s") from None
        except BaseException:
            connection.abort()
            raise
        return connection

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/"):
            raise TransportError(f"{request.path!r} is no path")
        leaves_now()
        asked = attrs.evolve(request, path=urlsplit(base_url).path.rstrip("/") + request.path)
        answer = self.venue.ask(asked, self._now())
        self._deliver()
        if answer.delay_ns:
            await asyncio.sleep(answer.delay_ns / NS_PER_SECOND)
        if answer.response is None:
            raise ConnectionLost(f"{base_url}: the connection was reset before an answer came")
        response = answer.response
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = response.body
        if headers.pop("content-encoding", None) == "gzip":
            try:
                body = gzip.decompress(body)
            except (EOFError, OSError, zlib.error) as error:
                raise TransportError(f"{base_url}: the answer's gzip is broken: {error}") from error
        return HttpResponse(response.status, headers, body)

    async def aclose(self) -> None:
        for connection in tuple(self._connections.values()):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> int:
        if self._clock is not None:
            return self._clock.time_ns()
        time = asyncio.get_running_loop().time()
        if self._started is None:
            self._started, self._start_ns = time, self.venue.now_ns
        return self._start_ns + round((time - self._started) * NS_PER_SECOND)

    def _deliver(self) -> None:
        """Hand out what the venue has to say, and come back when it next has something."""
        for peer in self.venue.ready():
            connection = self._connections.get(peer)
            if connection is not None:
                connection._carry_out()
        due_ns = self.venue.next_wake_ns
        if due_ns is None or not self._connections:
            return
        if self._timer is not None:
            if self._timer_ns <= due_ns:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer_ns = due_ns
        # A nanosecond more than nothing: rounding must not bring it back before its time.
        delay = max(0.0, (due_ns - self._now()) / NS_PER_SECOND) + 1e-9
        self._timer = loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.venue.advance(self._now())
        self._deliver()

    def _forget(self, peer: Peer) -> None:
        self._connections.pop(peer, None)
        if not self._connections and self._timer is not None:
            self._timer.cancel()
            self._timer = None
