"""The default transport: aiohttp for WebSocket and REST. The only module that imports aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
from yarl import URL

from ccrs_core.codec import Outbound
from ccrs_core.errors import ConnectFailed, ConnectionLost, TimedOut, TransportError, UsageError
from ccrs_core.rest import HttpRequest, HttpResponse
from ccrs_core.transport.base import TransportOptions

_TEXT = aiohttp.WSMsgType.TEXT
_BINARY = aiohttp.WSMsgType.BINARY


class HttpTransport:
    """aiohttp behind the ``Transport`` protocol. Opens nothing before its first use."""

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = TransportOptions() if options is None else options
        self._session: aiohttp.ClientSession | None = None
        self._connections: set[HttpConnection] = set()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        options = self._options
        settings: dict[str, Any] = {"limit": 0, "ssl": options.ssl or True}
        if options.source_address is not None:
            settings["local_addr"] = (options.source_address, 0)
        if options.proxy is None or options.proxy.startswith(("http://", "https://")):
            return aiohttp.TCPConnector(**settings)
        if options.proxy.startswith(("socks5://", "socks5h://", "socks4://")):
            try:
                from aiohttp_socks import ProxyConnector
            except ImportError:
                raise UsageError(
                    "SOCKS proxies need the extra: pip install 'ccrs-core[socks]'"
                ) from None
            url = options.proxy.replace("socks5h://", "socks5://")
            return ProxyConnector.from_url(url, rdns=True, **settings)
        scheme = options.proxy.partition("://")[0]
        raise UsageError(f"no proxy scheme {scheme!r}; known: http, https, socks5, socks5h, socks4")

    @property
    def _http_proxy(self) -> str | None:
        proxy = self._options.proxy
        return proxy if proxy is not None and proxy.startswith("http") else None

    async def connect(self, url: str) -> HttpConnection:
        options = self._options
        try:
            async with asyncio.timeout(options.connect_timeout):
                socket = await self._client().ws_connect(
                    URL(url, encoded=True),
                    timeout=aiohttp.ClientWSTimeout(ws_close=options.close_timeout),
                    autoping=False,
                    autoclose=False,
                    compress=15 if options.compression else 0,
                    max_msg_size=options.max_frame_bytes,
                    proxy=self._http_proxy,
                    decode_text=False,
                )
        except TimeoutError:
            raise ConnectFailed(f"{url}: no connection in {options.connect_timeout:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            raise ConnectFailed(
                f"{url}: handshake refused with HTTP {error.status}", error.status
            ) from None
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise ConnectFailed(f"{url}: {_text(error)}") from error
        except Exception as error:
            if type(error).__module__.startswith("python_socks"):
                raise ConnectFailed(f"{url}: proxy: {_text(error)}") from error
            raise
        connection = HttpConnection(socket, options, self._connections)
        self._connections.add(connection)
        return connection

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        options = self._options
        query = request.query_string
        url = f"{base_url}{request.path}" + (f"?{query}" if query else "")
        try:
            async with (
                asyncio.timeout(options.request_timeout),
                self._client().request(
                    request.method,
                    URL(url, encoded=True),
                    headers=dict(request.headers),
                    data=request.body or None,
                    proxy=self._http_proxy,
                    allow_redirects=False,
                ) as response,
            ):
                body = await response.content.read(options.max_frame_bytes + 1)
                while not response.content.at_eof() and len(body) <= options.max_frame_bytes:
                    body += await response.content.read(options.max_frame_bytes)
                if len(body) > options.max_frame_bytes:
                    raise TransportError(
                        f"{request.method} {base_url}{request.path}: the answer is larger than "
                        f"{options.max_frame_bytes} bytes"
                    )
                headers = {name.lower(): value for name, value in response.headers.items()}
                return HttpResponse(response.status, headers, body)
        except TimeoutError:
            raise TimedOut(
                f"{request.method} {base_url}{request.path}: no answer in "
                f"{options.request_timeout:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TransportError(
                f"{request.method} {base_url}{request.path}: {_text(error)}"
            ) from error
        except Exception as error:
            if type(error).__module__.startswith("python_socks"):
                raise TransportError(f"{base_url}: proxy: {_text(error)}") from error
            raise

    async def aclose(self) -> None:
        for connection in tuple(self._connections):
            connection.abort()
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class HttpConnection:
    """One aiohttp WebSocket, read in batches."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool],
        options: TransportOptions,
        registry: set[HttpConnection],
    ) -> None:
        self._socket = socket
        self._options = options
        self._registry = registry
        # ClientWebSocketResponse.receive() costs a coroutine, a timeout check and a message object
        # for each frame; its queue, read directly, hands over a burst in one wake-up.
        self._queue = socket._reader
        self._buffered: Any = getattr(self._queue, "_buffer", ())
        self._lost: ConnectionLost | None = None

    async def receive(self) -> Sequence[bytes]:
        frames: list[bytes] = []
        queue, buffered, append = self._queue, self._buffered, frames.append
        while not frames:
            if self._lost is not None:
                raise self._lost
            message: Any = await self._read()
            while True:
                kind = message[0]
                if kind is _TEXT or kind is _BINARY:
                    append(message[1])
                elif not await self._control(message):
                    break
                if not buffered:
                    break
                try:
                    message = _finish(queue.read())
                except (aiohttp.ClientError, aiohttp.EofStream, aiohttp.WebSocketError) as error:
                    self._end(error)
                    break
        return frames

    async def _read(self) -> Any:
        try:
            return await self._queue.read()
        except (aiohttp.ClientError, aiohttp.EofStream, aiohttp.WebSocketError, OSError) as error:
            raise self._end(error) from None

    def _end(self, error: BaseException) -> ConnectionLost:
        code = getattr(error, "code", None)
        if self._lost is None:
            self._lost = ConnectionLost(_text(error) or "connection reset", code)
        self._release()
        return self._lost

    async def _control(self, message: Any) -> bool:
        """Deal with a control frame; False where the connection has ended."""
        kind = message[0]
        if kind is aiohttp.WSMsgType.PING:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.pong(message[1])
            return True
        if kind is aiohttp.WSMsgType.PONG:
            return True
        if kind is aiohttp.WSMsgType.CLOSE:
            code, text = message[1], message[2]
            reason = f"closed by the exchange with code {code}" + (f": {text}" if text else "")
            self._lost = ConnectionLost(reason, code)
            with contextlib.suppress(Exception):
                await self._socket.close(code=code or 1000)
        else:
            self._lost = self._lost or ConnectionLost("connection closed")
        self._release()
        return False

    async def send(self, frame: Outbound) -> None:
        try:
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {_text(error)}") from error

    async def ping(self) -> None:
        try:
            await self._socket.ping()
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {_text(error)}") from error

    async def close(self, code: int = 1000) -> None:
        try:
            async with asyncio.timeout(self._options.close_timeout):
                await self._socket.close(code=code)
        except (TimeoutError, ConnectionError, aiohttp.ClientError, RuntimeError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        if self._lost is None:
            self._lost = ConnectionLost("aborted")
        connection = self._socket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._socket._response.close()
        self._release()
        # Wakes a receive() that is waiting; the connection's end would do so a little later.
        self._queue.feed_eof()

    def _release(self) -> None:
        self._registry.discard(self)


def _finish(read: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that needn't wait, without a trip through the event loop."""
    try:
        read.send(None)
    except StopIteration as stop:
        return stop.value
    read.close()
    raise RuntimeError("the queue had a frame, yet reading it would wait")


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
