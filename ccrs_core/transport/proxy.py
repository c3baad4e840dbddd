"""Ways through a proxy: what the ``proxy`` option may say, and HTTP CONNECT."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

from ccrs_core.errors import ConnectFailed, UsageError
from ccrs_core.transport.names import dial

SOCKS = frozenset({"socks5", "socks5h", "socks4"})

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}
_MAX_ANSWER = 64 * 1024


@attrs.frozen(kw_only=True)
class Proxy:
    """A proxy's address. Its credentials never occur in a repr or a message."""

    scheme: str
    host: str
    port: int
    user: str | None = attrs.field(default=None, repr=False)
    password: str | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{_authority(self.host, self.port)}"


def parse_proxy(text: str) -> Proxy:
    """The proxy that the option names.

    :raises UsageError: where it isn't one; the text isn't repeated, since it may hold a password.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise UsageError(
            "the proxy must look like http://[user:password@]host:port or socks5://…; "
            f"known schemes: {', '.join(_DEFAULT_PORTS)}"
        )
    return Proxy(
        scheme=parts.scheme,
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


async def open_tunnel(
    proxy: Proxy, host: str, port: int, source: str | None, seconds: float
) -> asyncio.Transport:
    """A transport to ``host:port`` through an HTTP proxy; the proxy resolves the name.

    :param seconds: for finding the proxy's own address.
    :raises ConnectFailed: where the proxy can't be reached or refuses.
    """
    loop = asyncio.get_running_loop()
    secure = ssl.create_default_context() if proxy.scheme == "https" else None
    try:
        socket = await dial(proxy.host, proxy.port, seconds=seconds, source=source)
        try:
            transport, greeting = await loop.create_connection(
                _Greeting,
                sock=socket,
                ssl=secure,
                server_hostname=proxy.host if secure else None,
            )
        except BaseException:
            socket.close()
            raise
    except ConnectFailed as error:
        raise ConnectFailed(f"proxy {proxy}: {error}") from None
    except OSError as error:
        raise ConnectFailed(f"proxy {proxy}: {error}") from error
    try:
        transport.write(_connect_request(proxy, host, port))
        status = await greeting.status
        if status // 100 != 2:
            raise ConnectFailed(f"proxy {proxy} refused the connection with HTTP {status}")
    except BaseException:
        transport.abort()
        raise
    return transport


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    target = _authority(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user is not None:
        login = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Greeting(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT, and not a byte further: the next ones are the target's.

    No target speaks before its client does, so anything more is a broken proxy.
    """

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end and len(head) <= _MAX_ANSWER:
            return
        words = head.split(b"\r\n", 1)[0].split(None, 2)
        good = end and len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
        if not good or (rest and words[1].startswith(b"2")):
            self._settle(ConnectFailed("the proxy doesn't answer as an HTTP proxy does"))
        else:
            self._settle(int(words[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(ConnectFailed("the proxy closed the connection"))

    def _settle(self, outcome: int | ConnectFailed) -> None:
        if self.status.done():
            return
        if isinstance(outcome, int):
            self.status.set_result(outcome)
        else:
            self.status.set_exception(outcome)
            self.status.exception()  # where nobody waits any more, nobody need be told


async def start_tls(
    transport: asyncio.Transport, protocol: Any, context: ssl.SSLContext, host: str
) -> asyncio.Transport:
    """TLS with the target, inside the tunnel."""
    loop = asyncio.get_running_loop()
    secured = await loop.start_tls(transport, protocol, context, server_hostname=host)
    if secured is None:
        raise ConnectFailed("the connection was closed during the TLS handshake")
    return secured
