"""The transport: dialling, through proxies too, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import attrs
import picows
import python_socks
from python_socks.async_.asyncio import Proxy as SocksProxy

from ccrs_core import (
    CcrsError,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
    TransportOptions,
    UsageError,
)
from ccrs_core.transport import (
    SOCKS,
    Deadline,
    HttpTransport,
    Proxies,
    Proxy,
    dial,
    one_address,
    said,
)
from ccrs_picows.connection import PicowsConnection, Watch
from ccrs_picows.handshake import quiet_handshake

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_PORTS = {"ws": 80, "wss": 443}

_NETWORK = (OSError, ValueError, picows.WSError, python_socks.ProxyError)
"""What is raised where the network or the other side is at fault."""


class PicowsTransport:
    """picows behind the ``Transport`` protocol. Opens nothing before its first use.

    :raises UsageError: where the options ask for permessage-deflate, which picows doesn't have, or
        for what the default transport can't do either.
    """

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = options = TransportOptions() if options is None else options
        if options.compression:
            raise UsageError(
                "picows has no permessage-deflate: leave compression out, or ask for "
                'transport="aiohttp"'
            )
        self._rest = HttpTransport(options)
        self._proxies = Proxies(options)
        self._context = options.ssl
        # Less than the time for all of it, so that where a host isn't found, that is what is told.
        self._seconds = 0.9 * options.connect_timeout
        self._connections: set[PicowsConnection] = set()
        self._dialling: set[_Attempt] = set()
        self._closed = False

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> PicowsConnection:
        target = _parsed(url)
        if self._closed:
            raise ConnectFailed(f"{target.where}: the transport is closed")
        attempt = _Attempt(self._options, self._connections)
        self._dialling.add(attempt)
        try:
            async with Deadline(self._options.connect_timeout) as attempt.deadline:
                await self._dial(target, headers, attempt)
            return attempt.made()
        except Exception as error:
            attempt.drop()
            failure = self._not_connected(target, error)
        except BaseException:
            attempt.drop()
            raise
        finally:
            self._dialling.discard(attempt)
            attempt.over.set()
        # Raised out here, so that no foreign error hangs on to it: theirs may show credentials.
        raise failure

    async def _dial(
        self, target: _Target, headers: Sequence[tuple[str, str]], attempt: _Attempt
    ) -> None:
        options, proxy = self._options, self._proxies.to(target.url)
        if target.secure and self._context is None:
            self._context = ssl.create_default_context()
        tunnelled = proxy is not None and proxy.scheme not in SOCKS

        async def plug(endpoint: picows.WSParsedURL) -> socket.socket:
            if proxy is None or tunnelled:  # then the endpoint is the proxy
                attempt.socket = await self._plain(endpoint.host, endpoint.port, proxy)
            else:
                found = await one_address(proxy.host, self._seconds)
                way = attrs.evolve(proxy, host=found)
                attempt.socket = await _through_socks(way, endpoint.host, endpoint.port)
            return attempt.socket

        with quiet_handshake() if target.secure else contextlib.nullcontext():
            await picows.ws_connect(
                attempt.listener,
                target.url,
                ssl_context=self._context,
                websocket_handshake_timeout=None,
                enable_auto_pong=False,
                max_frame_size=options.max_frame_bytes,
                max_redirects=0,
                extra_headers=[*target.headers.items(), *headers],
                proxy=_url(proxy) if proxy is not None and tunnelled else None,
                socket_factory=plug,
                logger_name=cast(Any, attempt.watch),
            )

    async def _plain(self, host: str, port: int, proxy: Proxy | None) -> socket.socket:
        """A socket that is connected to one of the host's addresses."""
        source = self._options.source_address
        try:
            return await dial(host, port, seconds=self._seconds, source=source)
        except (OSError, ConnectFailed) as error:
            where = "" if proxy is None else f"proxy {proxy}: "
            raise ConnectFailed(f"{where}{said(error)}") from error

    def _not_connected(self, target: _Target, error: Exception) -> CcrsError:
        where = target.where
        if self._closed:
            return ConnectFailed(f"{where}: the transport is closed")
        if isinstance(error, python_socks.ProxyError):
            return ConnectFailed(f"{where}: proxy {self._proxies.to(target.url)}: {error}")
        if isinstance(error, TimeoutError):
            seconds = self._options.connect_timeout
            return ConnectFailed(f"{where}: no connection within {seconds:g} s")
        if isinstance(error, picows.WSHandshakeError):
            status = None if error.response is None else int(error.response.status)
            if status is not None and status != 101:
                return ConnectFailed(f"{where}: handshake refused with HTTP {status}", status)
            return ConnectFailed(f"{where}: no WebSocket handshake: {error.args[0]}")
        if isinstance(error, CcrsError | picows.WSError | OSError | ValueError):
            return ConnectFailed(f"{where}: {said(error)}")
        raise error

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        return await self._rest.request(base_url, request)

    def along(self, options: TransportOptions) -> PicowsTransport:
        return PicowsTransport(options)

    async def aclose(self) -> None:
        self._closed = True
        dialling = tuple(self._dialling)
        for attempt in dialling:
            attempt.stop()
        for connection in tuple(self._connections):
            connection.abort()
        await self._rest.aclose()
        for attempt in dialling:
            await attempt.over.wait()
        # Sockets are closed by the loop, one round after their connections were dropped.
        await asyncio.sleep(0)


class _Attempt:
    """One attempt to connect, and all of it that must go where it fails."""

    def __init__(self, options: TransportOptions, registry: set[PicowsConnection]) -> None:
        self._options = options
        self._registry = registry
        self._connection: PicowsConnection | None = None
        self.watch = Watch()
        self.socket: socket.socket | None = None
        self.deadline: Deadline | None = None
        self.over = asyncio.Event()

    def listener(self, request: object, response: object) -> PicowsConnection:
        self._connection = PicowsConnection(self._options, self._registry, self.watch)
        return self._connection

    def made(self) -> PicowsConnection:
        if self._connection is None:
            raise ConnectFailed("the connection was closed during the handshake")
        return self._connection

    def stop(self) -> None:
        """Let the time be over."""
        if self.deadline is not None:
            with contextlib.suppress(RuntimeError):  # it is
                self.deadline.expire()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        # picows lets go of a handshake that nobody waits for any more, but not of its socket,
        # which belongs to the loop by then. So the loop must find it ended.
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


@attrs.frozen
class _Target:
    url: str
    where: str
    """The URL as messages show it: no user, no password, no query."""
    secure: bool
    headers: dict[str, str] = attrs.field(repr=False)


def _parsed(url: str) -> _Target:
    where = "the URL"
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        where = f"{parts.scheme}://{netloc}{parts.path}"
        scheme, host, _ = _SCHEMES[parts.scheme], parts.hostname, parts.port
        url.encode("ascii")
    except (KeyError, ValueError):
        host = None
    if not host:
        raise UsageError(f"{where} is not a URL that can be dialled")
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    clean = parts._replace(scheme=scheme, netloc=netloc, fragment="").geturl()
    return _Target(clean, where, scheme == "wss", headers)


def _url(proxy: Proxy) -> str:
    login = ""
    if proxy.user is not None:
        login = f"{quote(proxy.user, safe='')}:{quote(proxy.password or '', safe='')}@"
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"{proxy.scheme}://{login}{host}:{proxy.port}"


async def _through_socks(proxy: Proxy, host: str, port: int) -> socket.socket:
    """A socket that a SOCKS proxy has connected to the target; it resolves the name."""
    kind = (
        python_socks.ProxyType.SOCKS4 if proxy.scheme == "socks4" else python_socks.ProxyType.SOCKS5
    )
    way = SocksProxy(kind, proxy.host, proxy.port, proxy.user, proxy.password, rdns=True)
    made: socket.socket = await way.connect(dest_host=host, dest_port=port)
    return made
