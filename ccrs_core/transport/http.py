"""The default transport: aiohttp for WebSocket and REST.

Of what RFC 6455 has a client refuse, one thing is accepted: frames that a server has masked (5.1).
aiohttp's reader, compiled, takes the masks off and tells nobody; to see them one would have to
parse every header a second time. What they say is read correctly.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import (
    CcrsError,
    ConnectFailed,
    ConnectionLost,
    GarbledAnswer,
    TimedOut,
    TransportError,
    UsageError,
)
from ccrs_core.transport.base import SYSTEM_CLOCK, TransportOptions
from ccrs_core.transport.connectors import connector
from ccrs_core.transport.departure import about_to_leave
from ccrs_core.transport.pace import Deadline
from ccrs_core.transport.proxies import Proxies
from ccrs_core.transport.proxy import SOCKS, Proxy
from ccrs_core.transport.trouble import said

_TEXT = aiohttp.WSMsgType.TEXT
_BINARY = aiohttp.WSMsgType.BINARY

_NETWORK = (aiohttp.ClientError, OSError, ValueError)
"""What aiohttp raises where the network or the other side is at fault."""
_SCHEMES = frozenset({"ws", "wss", "http", "https"})
_FOREIGN = ("aiohttp_socks", "python_socks")
"""Packages whose errors derive from nothing more special than Exception."""


class HttpTransport:
    """aiohttp behind the ``Transport`` protocol. Opens nothing before its first use.

    :raises UsageError: where the proxy isn't one, or can't be combined with the other options.
    """

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = TransportOptions() if options is None else options
        self._proxies = Proxies(self._options)
        if any(proxy.scheme in SOCKS for proxy in self._proxies.all):
            _check_socks(self._options)
        self._sessions: dict[Proxy | None, aiohttp.ClientSession] = {}
        self._connections: dict[HttpConnection, None] = {}
        self._closed = False

    def _client(self, url: str) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportError("the transport is closed")
        proxy = self._proxies.to(url)
        session = self._sessions.get(proxy)
        if session is None:
            session = self._sessions[proxy] = aiohttp.ClientSession(
                connector=connector(self._options, proxy),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_refuse_redirects,),
                request_class=_Request,
            )
            # aiohttp sends a second time what got no answer, and PUT and DELETE count as harmless;
            # here each attempt is the caller's decision, and within the caller's budget.
            session._retry_connection = False
        return session

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> HttpConnection:
        options = self._options
        where = _where(url)
        target = _parsed(url)
        try:
            async with Deadline(options.connect_timeout):
                socket = await self._client(url).ws_connect(
                    target,
                    headers=CIMultiDict(headers),
                    timeout=aiohttp.ClientWSTimeout(ws_close=options.close_timeout),
                    autoping=False,
                    autoclose=False,
                    compress=15 if options.compression else 0,
                    # aiohttp's bound is the first size that is refused.
                    max_msg_size=options.max_frame_bytes + 1,
                    decode_text=False,
                )
        except Exception as error:
            failure = self._not_connected(where, error)
        else:
            return HttpConnection(socket, options, self._connections)
        # Raised out here, so that no foreign error hangs on to it: theirs may show credentials.
        raise failure

    def _not_connected(self, where: str, error: Exception) -> CcrsError:
        if isinstance(error, TimeoutError):
            return ConnectFailed(
                f"{where}: no connection within {self._options.connect_timeout:g} s"
            )
        if isinstance(error, aiohttp.WSServerHandshakeError):
            if error.status == 101:
                return ConnectFailed(f"{where}: no WebSocket handshake: {error.message}")
            return ConnectFailed(
                f"{where}: handshake refused with HTTP {error.status}", error.status
            )
        if isinstance(error, CcrsError):
            return ConnectFailed(f"{where}: {error}")
        if self._is_network(error):
            return ConnectFailed(f"{where}: {said(error)}")
        raise error

    def _is_network(self, error: Exception) -> bool:
        return (
            isinstance(error, _NETWORK)
            or type(error).__module__.startswith(_FOREIGN)
            or self._closed  # in its midst; aiohttp raises all sorts of things then
        )

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        options = self._options
        try:
            query = request.query_string
        except UnicodeEncodeError as error:
            raise UsageError(f"{request.method} {request.path}: not encodable: {error}") from None
        target = _parsed(f"{base_url}{request.path}" + (f"?{query}" if query else ""))
        where = f"{request.method} {_where(base_url)}{request.path}"
        tried: list[aiohttp.ClientRequest] = []
        # Without that method nobody can tell when one leaves.
        leaves = about_to_leave() if hasattr(aiohttp.ClientRequest, "send") else None

        async def note(
            made: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            tried.append(made)
            if isinstance(made, _Request):
                made.leaves = leaves
            response = await handler(made)
            if isinstance(made, _Request) and not made.departed:
                _Request.departed = True  # they leave unseen: whatever was tried may have
            return response

        try:
            async with (
                Deadline(options.request_timeout),
                self._client(base_url).request(
                    request.method,
                    target,
                    headers={"Accept-Encoding": "gzip, deflate", **request.headers},
                    data=request.body or None,
                    allow_redirects=False,
                    auto_decompress=False,
                    middlewares=(note,),
                ) as response,
            ):
                body = await _read_body(response, options.max_frame_bytes, where)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return HttpResponse(response.status, headers, body)
        except Exception as error:
            failure = self._not_answered(where, error)
        if isinstance(failure, TransportError):
            failure.nothing_sent = not any(isinstance(r, _Request) and r.departed for r in tried)
        raise failure

    def _not_answered(self, where: str, error: Exception) -> CcrsError:
        if isinstance(error, TimeoutError):
            return TimedOut(f"{where}: no answer within {self._options.request_timeout:g} s")
        if isinstance(error, ConnectFailed | aiohttp.ClientConnectorError):
            return ConnectFailed(f"{where}: {said(error)}")
        if isinstance(error, CcrsError):
            return error
        if self._is_network(error):
            return TransportError(f"{where}: {said(error)}")
        raise error

    def along(self, options: TransportOptions) -> HttpTransport:
        return HttpTransport(options)

    async def aclose(self) -> None:
        self._closed = True
        for connection in tuple(self._connections):
            connection.abort()
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            # It waits for what is being sent; a peer that reads nothing must not hold us up.
            with contextlib.suppress(TimeoutError):
                async with Deadline(self._options.close_timeout):
                    await session.close()
        # Sockets are closed by the loop, one round after their connections were dropped.
        await asyncio.sleep(0)


class HttpConnection:
    """One aiohttp WebSocket, read in batches."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool],
        options: TransportOptions,
        registry: dict[HttpConnection, None],
    ) -> None:
        self.last_heard = 0.0
        self._socket = socket
        self._options = options
        self._registry = registry
        # ClientWebSocketResponse.receive() costs a coroutine, a timeout check and a message object
        # for each frame; its queue, read directly, hands over a burst in one wake-up.
        self._queue: Any = socket._reader
        batches = hasattr(self._queue, "_buffer") and hasattr(self._queue, "_size")
        self._buffered: Any = self._queue._buffer if batches else ()
        self._early: list[bytes] = []
        """Frames taken from the queue by a ``receive`` that was cancelled."""
        self._receiving = False
        self._parting = False
        """Our close frame has been sent."""
        self._ended: tuple[str, int | None] | None = None
        self._read: asyncio.Future[None] | None = None
        """What ``close`` waits for while another task is in ``receive``."""
        registry[self] = None

    async def receive(self) -> Sequence[bytes]:
        frames, self._early = self._early, []
        read, buffered, append = self._queue.read, self._buffered, frames.append
        self._receiving = True
        try:
            while not frames:
                if self._ended is not None:
                    break
                message: Any = await read()
                kind = message[0]
                if kind is _TEXT or kind is _BINARY:
                    append(message[1])
                elif not await self._control(message):
                    break
                while buffered and self._ended is None:
                    for message in self._take_all(append):
                        if not await self._control(message):
                            break
        except asyncio.CancelledError:
            self._early = frames
            raise
        except Exception as error:
            await self._failed(error)
        finally:
            self._receiving = False
            self._wake_drain()
        if not frames:
            raise ConnectionLost(*(self._ended or ("closed", None)))
        return frames

    def _take_all(self, append: Callable[[bytes], None]) -> list[Any]:
        """Take all that waits in the queue; returns the control frames among it.

        Reading frame by frame would cost a coroutine each. So the queue's buffer is emptied, and
        its account of bytes (on which backpressure and the parser's resumption depend) is settled
        by one read of a stand-in for all that was taken.
        """
        queue, controls, total = self._queue, [], 0
        items = list(self._buffered)
        self._buffered.clear()
        for message, size in items:
            total += size
            kind = message[0]
            if kind is _TEXT or kind is _BINARY:
                append(message[1])
            else:
                controls.append(message)
                if kind is aiohttp.WSMsgType.CLOSE:
                    append = _drop  # RFC 6455 §5.5.1: nothing counts after a close frame
        overhead = (queue._size - total) // len(items)
        self._buffered.appendleft((None, total + (len(items) - 1) * overhead))
        try:
            queue.read().send(None)
        except StopIteration:
            return controls
        raise RuntimeError("the queue had a frame, yet reading it would wait")

    async def _failed(self, error: Exception) -> None:
        """The queue brings no more frames: the other side is gone, or broke the protocol."""
        if isinstance(error, aiohttp.WebSocketError):
            await self._part(error.code)
            self._end(str(error), error.code)
        elif isinstance(error, aiohttp.EofStream):
            self._end("the connection ended without a close frame")
        else:
            self._end(said(error))

    async def _control(self, message: Any) -> bool:
        """Deal with a control frame; False where the connection has ended."""
        kind = message[0]
        if kind is aiohttp.WSMsgType.PING:
            self.last_heard = SYSTEM_CLOCK.monotonic()
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.pong(message[1])
            return True
        if kind is aiohttp.WSMsgType.PONG:
            self.last_heard = SYSTEM_CLOCK.monotonic()
            return True
        code, text = message[1], message[2]
        said = f" with code {code}" if code else " without a code"
        await self._part(code or 1000)
        self._end(f"closed by the exchange{said}" + (f": {text}" if text else ""), code or None)
        return False

    async def send(self, frame: Outbound) -> None:
        self._check_open()
        try:
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)
        except (OSError, aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {said(error)}") from error

    async def ping(self) -> None:
        self._check_open()
        try:
            await self._socket.ping()
        except (OSError, aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {said(error)}") from error

    def _check_open(self) -> None:
        if self._ended is not None:
            reason, code = self._ended
            error = ConnectionLost(f"can't send: {reason}", code)
            error.nothing_sent = True
            raise error

    async def close(self, code: int = 1000) -> None:
        try:
            if self._ended is None:
                with contextlib.suppress(TimeoutError, ConnectionLost):
                    async with Deadline(self._options.close_timeout):
                        await self._part(code)
                        await self._drain()
        finally:
            self._end("closed")

    async def _part(self, code: int) -> None:
        """Send our close frame, once."""
        if self._parting:
            return
        self._parting = True
        with contextlib.suppress(OSError, aiohttp.ClientError, RuntimeError, TimeoutError):
            async with Deadline(self._options.close_timeout):
                await self._socket.send_frame(code.to_bytes(2), aiohttp.WSMsgType.CLOSE)

    async def _drain(self) -> None:
        """Wait for the other side's close frame; what it sends before that is dropped."""
        while self._ended is None:
            if self._receiving:  # somebody else reads, and may come upon it
                self._read = asyncio.get_running_loop().create_future()
                await self._read
            else:
                await self.receive()

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, reason: str, code: int | None = None) -> None:
        if self._ended is not None:
            return
        self._ended = (reason, code)
        self._registry.pop(self, None)
        response = self._socket._response
        connection = response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        response.close()
        # Wakes a receive() that is waiting; the connection's end would do so a little later.
        self._queue.feed_eof()
        self._wake_drain()

    def _wake_drain(self) -> None:
        if self._read is not None and not self._read.done():
            self._read.set_result(None)


class _Request(aiohttp.ClientRequest):
    """Notes whether any of it may have left: so may each where aiohttp has no such method."""

    departed = not hasattr(aiohttp.ClientRequest, "send")
    leaves: Callable[[], None] | None = None

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if self.leaves is not None:
            self.leaves()
        self.departed = True
        return await super().send(conn)


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """``ws_connect`` follows redirects, to any host; nothing but what the user named is dialled."""
    response = await handler(request)
    if 300 <= response.status < 400 and "Upgrade" in request.headers:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info, (), status=response.status, headers=response.headers
        )
    return response


async def _read_body(response: aiohttp.ClientResponse, limit: int, where: str) -> bytes:
    body = bytearray()
    # Not by aiohttp, which takes a compressed body that is cut short for a whole one.
    machine = _inflating(response.headers.get("Content-Encoding", ""), where)
    while chunk := await response.content.readany():
        if machine is not None:
            try:
                chunk = machine.decompress(chunk, limit + 1 - len(body))
            except zlib.error as error:
                text = f"{where}: the compressed answer is damaged: {error}"
                raise GarbledAnswer(text, response.status) from None
        body += chunk
        if len(body) > limit:
            raise TransportError(f"{where}: the answer is larger than {limit} bytes")
    if machine is not None and not machine.eof and (machine.started or body):
        raise GarbledAnswer(f"{where}: the compressed answer is cut short", response.status)
    return bytes(body)


class _Inflating:
    """Inflates a body piece by piece. As deflate, servers send what has a header, or hasn't."""

    def __init__(self, windows: Sequence[int]) -> None:
        self._windows = windows
        self._machine: Any = None
        self.started = False

    @property
    def eof(self) -> bool:
        return self._machine is not None and self._machine.eof

    def decompress(self, piece: bytes, most: int) -> bytes:
        """What a piece adds, or as much of it as is bearable."""
        if self._machine is not None:
            return self._more(piece, most)
        self.started = True
        for window in self._windows[:-1]:
            self._machine = zlib.decompressobj(window)
            with contextlib.suppress(zlib.error):
                return self._more(piece, most)
        self._machine = zlib.decompressobj(self._windows[-1])
        return self._more(piece, most)

    def _more(self, piece: bytes, most: int) -> bytes:
        found: bytes = self._machine.decompress(piece, most)
        return found


def _inflating(encoding: str, where: str) -> _Inflating | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Inflating((31,))
        case "deflate":
            return _Inflating((zlib.MAX_WBITS, -zlib.MAX_WBITS))
        case other:
            raise TransportError(
                f"{where}: an answer in an encoding that wasn't asked for: {other}"
            )


def _check_socks(options: TransportOptions) -> None:
    try:
        import aiohttp_socks  # noqa: F401
    except ImportError:
        raise UsageError("SOCKS proxies need the extra: pip install 'ccrs-core[socks]'") from None
    if options.source_address is not None:
        raise UsageError("a source address can't be combined with a SOCKS proxy")


def _parsed(url: str) -> URL:
    try:
        parsed = URL(url, encoded=True)
    except ValueError:
        parsed = URL()
    if not parsed.host or parsed.scheme not in _SCHEMES:
        raise UsageError(f"{_where(url)} is not a URL that can be dialled")
    return parsed


def _where(url: str) -> str:
    """A URL as messages show it: no user, no password, no query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _drop(frame: bytes) -> None:
    """Takes what is not to be taken."""
