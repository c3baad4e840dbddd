"""The emulator behind real sockets: WebSocket and REST on one port of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import WSMsgType, web

from ccrs_core.emulator.dialect import Dialect
from ccrs_core.emulator.exchange import EmulatedExchange
from ccrs_core.emulator.fault_menu import Fault
from ccrs_core.emulator.frame import Frame, HttpRefusal, ReceivedRequest
from ccrs_core.emulator.peer import AbortAction, CloseAction, Peer, PingAction
from ccrs_core.errors import UsageError
from ccrs_core.model.units import NS_PER_SECOND

_LEAST_WAIT = 0.001
_MOST_LAG_NS = NS_PER_SECOND
_CLOSE_TIMEOUT = 1.0


class _Link:
    """A peer and the socket that it speaks through."""

    __slots__ = ("closing", "peer", "socket", "transport", "window")

    def __init__(
        self, peer: Peer, socket: web.WebSocketResponse, transport: asyncio.Transport
    ) -> None:
        self.peer = peer
        self.socket = socket
        self.transport = transport
        self.window = int(socket.compress)
        self.closing: asyncio.Task[bool] | None = None


class EmulatorServer:
    """Serves an emulated exchange; use it in ``async with``.

    :param exchange: a dialect, or an :class:`EmulatedExchange` of your own, whose clock then runs
        on from where it is.
    :param port: 0 takes any free one.
    :param seed: decides everything that is random.
    :param rate: how often per second the best bid or ask of each market changes.
    :param tls: serve https:// and wss:// with a throw-away certificate; needs ``ccrs-core[tls]``.
    :param faults: faults from the beginning, as :class:`Fault` or text.
    :param max_backlog: bytes that may wait for a slow reader before it is cut off.
    :raises UsageError: for TLS without the extra.
    """

    def __init__(
        self,
        exchange: Dialect | EmulatedExchange,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        rate: float = 50.0,
        tls: bool = False,
        faults: Sequence[Fault | str] = (),
        max_backlog: int = 8 * 1024 * 1024,
    ) -> None:
        if isinstance(exchange, Dialect):
            exchange = EmulatedExchange(exchange, seed=seed, rate=rate, start_ns=time.time_ns())
        self.venue = exchange
        self.ssl_context: ssl.SSLContext | None = None
        """For clients: trusts the throw-away certificate. None without TLS."""
        self._server_ssl: ssl.SSLContext | None = None
        if tls:
            self._server_ssl, self.ssl_context = _throw_away_tls(host)
        for fault in faults:
            self.venue.faults.add(fault)
        self._host = host
        self._port = port
        self._max_backlog = max_backlog
        self._links: dict[Peer, _Link] = {}
        self._runner: web.AppRunner | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._offset_ns = 0

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, or https with TLS."""
        return f"{'https' if self.ssl_context else 'http'}://{self._host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """``ws://127.0.0.1:PORT``, or wss with TLS."""
        return f"{'wss' if self.ssl_context else 'ws'}://{self._host}:{self._port}"

    @property
    def connections(self) -> int:
        """WebSockets that are open now."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._offset_ns = self.venue.now_ns - self._elapsed()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_CLOSE_TIMEOUT,
            # A client that leaves during a slow handshake is not waited for.
            handler_cancellation=True,
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._host, self._port, ssl_context=self._server_ssl, backlog=4096
        )
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(f"can't serve on {self._host}:{self._port}: {error}") from error
        self._port = self._runner.addresses[0][1]
        self._run()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = -1  # never armed again
        for link in tuple(self._links.values()):
            if link.peer.deaf:
                link.transport.abort()
            elif link.closing is None:
                link.closing = self._close(link, 1001, "going away")
        closing = [link.closing for link in self._links.values() if link.closing is not None]
        if closing:
            await asyncio.wait(closing, timeout=_CLOSE_TIMEOUT)
        for link in tuple(self._links.values()):
            link.transport.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- time ---

    def _elapsed(self) -> int:
        return round(self._loop.time() * NS_PER_SECOND)

    def _now(self) -> int:
        return self._elapsed() + self._offset_ns

    def _run(self) -> None:
        """Let the venue catch up with the clock, send what it has to say, and set the timer."""
        venue = self.venue
        now_ns = self._now()
        due_ns = venue.next_wake_ns
        if due_ns is not None and now_ns - due_ns > _MOST_LAG_NS:
            # More markets than this machine can simulate: emulated time slows down, or the
            # backlog would only ever grow.
            self._offset_ns -= now_ns - due_ns - _MOST_LAG_NS
            now_ns = due_ns + _MOST_LAG_NS
        venue.advance(now_ns)
        self._flush()
        self._arm()

    def _arm(self) -> None:
        due_ns = self.venue.next_wake_ns
        if due_ns is None or self._timer_ns < 0:
            return
        if self._timer is not None:
            if self._timer_ns <= due_ns:
                return
            self._timer.cancel()
        self._timer_ns = due_ns
        delay = (due_ns - self._now()) / NS_PER_SECOND
        self._timer = self._loop.call_later(max(_LEAST_WAIT, delay), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._run()

    # --- sending ---

    def _flush(self) -> None:
        links = self._links
        for peer in self.venue.ready():
            link = links.get(peer)
            if link is not None:
                self._carry_out(link)
            # Else the handshake is still under way, which ends with carrying it out.
        self._arm()

    def _carry_out(self, link: _Link) -> None:
        transport, window = link.transport, link.window
        parts: list[bytes] = []
        for action in link.peer.take():
            if isinstance(action, Frame):
                wire = action.wire.get(window)
                parts.append(_encode(action, window) if wire is None else wire)
            elif isinstance(action, CloseAction):
                self._write(link, parts)
                parts = []
                link.closing = self._close(link, action.code, action.reason)
            elif isinstance(action, PingAction):
                # RFC 6455: a final frame of opcode 9; a server's is not masked.
                parts.append(bytes((0x89, len(action.payload))) + action.payload)
            elif isinstance(action, AbortAction):
                transport.abort()
                return
        self._write(link, parts)
        if link.peer.deaf and transport.is_reading():
            transport.pause_reading()

    def _write(self, link: _Link, parts: list[bytes]) -> None:
        transport = link.transport
        if not parts or transport.is_closing():
            return
        # Straight to the transport, which never waits: a reader that is slow, or gone without a
        # word, costs the others nothing.
        transport.write(b"".join(parts))
        if transport.get_write_buffer_size() > self._max_backlog:
            link.peer.gone()
            transport.abort()

    def _close(self, link: _Link, code: int, reason: str) -> asyncio.Task[bool]:
        return self._loop.create_task(link.socket.close(code=code, message=reason.encode()))

    # --- serving ---

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        asked = ReceivedRequest(
            method=request.method,
            path=request.path,
            query=tuple(request.query.items()),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            raw_query=request.raw_path.partition("?")[2].partition("#")[0],
        )
        answer = self.venue.ask(asked, self._now(), request.remote or "")
        self._flush()
        if answer.delay_ns:
            await asyncio.sleep(answer.delay_ns / NS_PER_SECOND)
        response = answer.response
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return web.Response(status=400)
        query = dict(request.query)
        told = request.headers.items()
        peer = self.venue.open(request.path, query, self._now(), request.remote or "", told)
        if isinstance(peer, HttpRefusal):
            self._flush()
            if peer.status is None:
                transport.abort()
                return web.Response()
            return web.Response(status=peer.status, headers=peer.headers, body=peer.body)
        try:
            self._arm()
            wait_ns = peer.opens_at_ns - self._now()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / NS_PER_SECOND)
            socket = web.WebSocketResponse(
                timeout=_CLOSE_TIMEOUT, autoclose=True, autoping=False, max_msg_size=1024 * 1024
            )
            try:
                await socket.prepare(request)
            except ConnectionError:  # it has gone in the meantime
                return web.Response()
            link = _Link(peer, socket, transport)
            self._links[peer] = link
            self._carry_out(link)
            await self._listen(link)
            return socket
        finally:
            peer.gone()
            self._links.pop(peer, None)

    async def _listen(self, link: _Link) -> None:
        peer, receive = link.peer, link.socket.receive
        while True:
            message = await receive()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                peer.received(message.data, self._now())
                self._flush()
            elif message.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError):
                    await link.socket.pong(message.data)
                peer.pinged(self._now())
                self._flush()
            elif message.type is WSMsgType.PONG:
                peer.ponged(bytes(message.data), self._now())
                self._flush()
            elif message.type in _ENDS:
                break
        if link.closing is not None:
            await asyncio.wait([link.closing])


_ENDS = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


def _encode(frame: Frame, window: int) -> bytes:
    """A server's WebSocket message of a frame (RFC 6455), compressed (RFC 7692) with a window."""
    payload = frame.payload
    head = 0x81 if frame.text else 0x82
    if window:
        # Without context of earlier messages, so that one encoding fits every connection.
        deflate = zlib.compressobj(level=1, wbits=-window)
        payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = payload[:-4]
        head |= 0x40
    size = len(payload)
    if size < 126:
        header = bytes((head, size))
    elif size < 1 << 16:
        header = bytes((head, 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((head, 127)) + size.to_bytes(8, "big")
    wire = frame.wire[window] = header + payload
    return wire


def _throw_away_tls(host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    try:
        import trustme
    except ImportError:
        raise UsageError("TLS needs the extra: pip install 'ccrs-core[tls]'") from None
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
