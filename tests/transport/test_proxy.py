"""Proxies: real ones on the loopback interface, with target names that only they can resolve."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import socket
import struct
import traceback
from collections.abc import AsyncIterator

import pytest

from ccrs_core.contract.rest import HttpRequest
from ccrs_core.errors import (
    CcrsError,
    ConnectFailed,
    TransportError,
    UsageError,
)
from ccrs_core.transport.base import Transport, TransportOptions
from ccrs_core.transport.proxy import parse_proxy
from tests.transport.servers import (
    BOTH,
    Make,
    Peer,
    answer,
    certificates,
    echo,
    run,
    serve,
    websocket,
)

pytestmark = [pytest.mark.sockets, BOTH]

HIDDEN = "venue.test"
"""A name that nobody but the proxies here can resolve."""
LOGIN = "wolf:hunter2%40%3A"
"""User and password as they stand in a URL: the password is ``hunter2@:``."""


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Forwarder:
    """What both kinds of proxies do once they know where to go."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.logins: list[str | None] = []

    async def forward(self, peer: Peer, host: str, port: int, welcome: bytes) -> None:
        self.targets.append(host)
        assert host == HIDDEN, "the client has resolved the name"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await peer.send(welcome)
            both = [pump(peer.reader, writer), pump(reader, peer.writer)]
            done, rest = await asyncio.wait(
                [asyncio.ensure_future(way) for way in both], return_when=asyncio.FIRST_COMPLETED
            )
            for way in rest:
                way.cancel()
            await asyncio.wait({*done, *rest})
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


class HttpProxy(Forwarder):
    """A proxy that knows CONNECT and nothing else."""

    status = "200 Connection established"

    async def __call__(self, peer: Peer) -> None:
        peer.head = await peer.reader.readuntil(b"\r\n\r\n")
        method, target, _ = peer.head.split(b"\r\n")[0].decode().split(" ")
        assert method == "CONNECT"
        assert peer.header("Host") == target
        self.logins.append(peer.header("Proxy-Authorization"))
        if not self.status.startswith("200"):
            await answer(peer, self.status, body=b"go away")
            return
        host, _, port = target.rpartition(":")
        await self.forward(peer, host, int(port), f"HTTP/1.1 {self.status}\r\n\r\n".encode())


class SocksProxy(Forwarder):
    """A SOCKS5 proxy, with or without user and password."""

    login: bytes | None = None
    refuse = False

    async def __call__(self, peer: Peer) -> None:
        version, count = await peer.reader.readexactly(2)
        methods = await peer.reader.readexactly(count)
        assert version == 5
        if self.login is None:
            await peer.send(b"\x05\x00")
        else:
            assert 2 in methods
            await peer.send(b"\x05\x02")
            _, size = await peer.reader.readexactly(2)
            user = await peer.reader.readexactly(size)
            password = await peer.reader.readexactly((await peer.reader.readexactly(1))[0])
            good = user + b":" + password == self.login
            await peer.send(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        assert await peer.reader.readexactly(4) == b"\x05\x01\x00\x03"  # connect, by name
        host = await peer.reader.readexactly((await peer.reader.readexactly(1))[0])
        (port,) = struct.unpack("!H", await peer.reader.readexactly(2))
        if self.refuse:
            await peer.send(b"\x05\x05\x00\x01" + bytes(6))
            return
        await self.forward(peer, host.decode(), port, b"\x05\x00\x00\x01" + bytes(6))


async def time(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")
    await answer(peer, body=b"noon")


@contextlib.asynccontextmanager
async def transport_through(
    make: Make, proxy: HttpProxy | SocksProxy, login: str = "", *, source: str | None = None
) -> AsyncIterator[Transport]:
    scheme = "http" if isinstance(proxy, HttpProxy) else "socks5"
    if scheme == "socks5":
        pytest.importorskip("aiohttp_socks")
    async with serve(proxy) as address:
        transport = make(
            TransportOptions(
                proxy=f"{scheme}://{login}{address}",
                ssl=certificates()[1],
                source_address=source,
            )
        )
        try:
            yield transport
        finally:
            await transport.aclose()


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
@pytest.mark.parametrize("secure", [True, False])
def test_streams_and_requests_alike_go_through_the_proxy(
    make: Make, kind: type[HttpProxy | SocksProxy], secure: bool
) -> None:
    async def main() -> None:
        tls = certificates()[0] if secure else None
        proxy = kind()
        async with (
            transport_through(make, proxy) as transport,
            websocket(echo, tls=tls) as url,
            serve(time, tls=tls) as address,
        ):
            connection = await transport.connect(url.replace("127.0.0.1", HIDDEN))
            await connection.send("hello")
            assert await connection.receive() == [b"hello"]
            base_url = ("https://" if secure else "http://") + address.replace("127.0.0.1", HIDDEN)
            response = await transport.request(base_url, HttpRequest("GET", "/time"))
            assert response.body == b"noon"
            await connection.close()
        assert proxy.targets == [HIDDEN, HIDDEN]

    run(main)


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_on_request_the_way_is_the_environment_s_for_streams_and_requests(
    make: Make, kind: type[HttpProxy | SocksProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        proxy = kind()
        scheme = "http" if kind is HttpProxy else "socks5"
        async with (
            serve(proxy) as through,
            websocket(echo) as url,
            serve(time) as address,
        ):
            monkeypatch.setenv("HTTP_PROXY", f"{scheme}://{through}")
            monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # for wss:// and https:// alone
            port = address.rpartition(":")[2]
            hidden, base_url = url.replace("127.0.0.1", HIDDEN), f"http://{HIDDEN}:{port}"
            silent = make(TransportOptions())
            with pytest.raises(ConnectFailed):
                await silent.connect(hidden)
            await silent.aclose()
            transport = make(TransportOptions(trust_env=True))
            connection = await transport.connect(hidden)
            await connection.send("hello")
            assert await connection.receive() == [b"hello"]
            assert (await transport.request(base_url, HttpRequest("GET", "/time"))).body == b"noon"
            local = await transport.request(f"http://{address}", HttpRequest("GET", "/time"))
            assert local.body == b"noon"
            await connection.close()
            with pytest.raises(ConnectFailed, match=r"refused|127"):
                await transport.connect(hidden.replace("ws:", "wss:"))
            await transport.aclose()
            monkeypatch.setenv("NO_PROXY", f"{HIDDEN}:1, {HIDDEN}:{port}")
            direct = make(TransportOptions(trust_env=True))
            with pytest.raises(ConnectFailed):
                await direct.request(base_url, HttpRequest("GET", "/time"))
            await (await direct.connect(hidden)).close()
            await direct.aclose()
        assert proxy.targets == [HIDDEN] * 3

    pytest.importorskip("aiohttp_socks")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    run(main)


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_the_name_is_not_resolvable_without_the_proxy(make: Make, kind: type[object]) -> None:
    async def main() -> None:
        transport = make()
        with pytest.raises(ConnectFailed):
            await transport.connect(f"ws://{HIDDEN}:9/")
        await transport.aclose()

    run(main)


def test_an_http_proxy_gets_the_login_and_the_exchange_does_not(make: Make) -> None:
    async def main() -> None:
        heads: list[bytes] = []

        async def exchange(peer: Peer) -> None:
            heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
            await answer(peer)

        proxy = HttpProxy()
        async with (
            transport_through(make, proxy, f"{LOGIN}@") as transport,
            serve(exchange) as address,
        ):
            base_url = "http://" + address.replace("127.0.0.1", HIDDEN)
            await transport.request(base_url, HttpRequest("GET", "/"))
        assert proxy.logins == ["Basic " + base64.b64encode(b"wolf:hunter2@:").decode()]
        assert b"roxy" not in heads[0]

    run(main)


def test_a_socks_proxy_gets_the_login(make: Make) -> None:
    async def main() -> None:
        proxy = SocksProxy()
        proxy.login = b"wolf:hunter2@:"
        async with transport_through(make, proxy, f"{LOGIN}@") as transport, websocket(echo) as url:
            connection = await transport.connect(url.replace("127.0.0.1", HIDDEN))
            await connection.close()

    run(main)


def failing() -> list[HttpProxy | SocksProxy]:
    refusing, closed, gibberish = HttpProxy(), HttpProxy(), HttpProxy()
    refusing.status, closed.status = "407 Proxy Authentication Required", "403 Forbidden"
    gibberish.status = "20x Perhaps"
    wrong, refused = SocksProxy(), SocksProxy()
    wrong.login, refused.refuse = b"somebody:else", True
    return [refusing, closed, gibberish, wrong, refused]


@pytest.mark.parametrize("number", range(5))
def test_a_proxy_that_refuses_is_a_typed_error_without_the_login(
    make: Make, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = failing()[number]

    async def main() -> None:
        async with transport_through(make, proxy, f"{LOGIN}@") as transport:
            with pytest.raises(ConnectFailed) as failed:
                await transport.connect(f"wss://{HIDDEN}:443/")
            assert failed.value.status is None  # the exchange has said nothing
            clean(failed.value)
            with pytest.raises(TransportError) as failed_request:
                await transport.request(f"https://{HIDDEN}", HttpRequest("GET", "/"))
            clean(failed_request.value)

    run(main)
    assert "hunter2" not in caplog.text


def clean(error: CcrsError) -> None:
    """Neither an error nor anything that hangs on to it shows the password."""
    link: BaseException | None = error
    while link is not None:
        assert "hunter2" not in repr(link) + str(link) + repr(vars(link))
        link = link.__cause__ or link.__context__
    assert "hunter2" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks4"])
def test_a_proxy_that_isnt_there_is_a_failed_connection(make: Make, scheme: str) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            if scheme.startswith("socks"):
                pytest.importorskip("aiohttp_socks")
            transport = make(TransportOptions(proxy=f"{scheme}://{LOGIN}@127.0.0.1:{port}"))
            for url in ("ws://venue.test/", "wss://venue.test/"):
                with pytest.raises(ConnectFailed) as failed:
                    await transport.connect(url)
                clean(failed.value)
            await transport.aclose()

    run(main)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 403 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nbanner"]
)
def test_a_proxy_that_does_not_let_through_is_let_go_at_once(
    make: Make, scheme: str, answer: bytes
) -> None:
    if scheme == "socks5":
        pytest.importorskip("aiohttp_socks")

    async def main() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()

        async def stubborn(peer: Peer) -> None:
            await peer.send(answer)
            with contextlib.suppress(ConnectionError):
                await peer.reader.read()
            gone.put_nowait(True)

        async with serve(stubborn) as address:
            options = TransportOptions(proxy=f"{scheme}://{address}", connect_timeout=0.05)
            transport = make(options)
            with pytest.raises(ConnectFailed):
                await transport.connect(f"wss://{HIDDEN}/")
            assert await gone.get()  # before the transport is closed
            await transport.aclose()

    run(main)


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_a_certificate_is_checked_through_the_proxy_too(
    make: Make,
    kind: type[HttpProxy | SocksProxy],
) -> None:
    if kind is SocksProxy:
        pytest.importorskip("aiohttp_socks")

    async def main() -> None:
        scheme = "http" if kind is HttpProxy else "socks5"
        async with serve(kind()) as proxy, websocket(echo, tls=certificates()[0]) as url:
            transport = make(TransportOptions(proxy=f"{scheme}://{proxy}"))
            with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
                await transport.connect(url.replace("127.0.0.1", HIDDEN))
            await transport.aclose()

    run(main)


def test_a_proxy_is_reached_over_tls_where_its_url_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = certificates()
    monkeypatch.setattr("ssl.create_default_context", lambda: client)

    async def main() -> None:
        async with (
            serve(HttpProxy(), tls=server) as proxy,
            websocket(echo, tls=server) as secure,
            websocket(echo) as plain,
        ):
            transport = make(TransportOptions(proxy=f"https://{proxy}"))
            for url in (secure, plain):
                connection = await transport.connect(url.replace("127.0.0.1", HIDDEN))
                await connection.send("x")
                assert await connection.receive() == [b"x"]
                await connection.close()
            await transport.aclose()

    run(main)


def test_the_source_address_is_where_the_proxy_is_reached_from(make: Make) -> None:
    async def main() -> None:
        seen = []

        class Noting(HttpProxy):
            async def __call__(self, peer: Peer) -> None:
                seen.append(peer.address[0])
                await super().__call__(peer)

        async with (
            transport_through(make, Noting(), source="127.0.0.2") as transport,
            websocket(echo) as url,
        ):
            await transport.connect(url.replace("127.0.0.1", HIDDEN))
        assert seen == ["127.0.0.2"]

    run(main)


def test_what_cannot_be_honoured_is_a_usage_error(make: Make) -> None:
    pytest.importorskip("aiohttp_socks")
    with pytest.raises(UsageError, match="source address"):
        make(TransportOptions(proxy="socks5://127.0.0.1:1", source_address="127.0.0.2"))


@pytest.mark.parametrize(
    "text",
    ["", "wolf:hunter2@127.0.0.1:3128", "ftp://wolf:hunter2@127.0.0.1", "http://", "http://h:port"],
)
def test_what_is_no_proxy_is_a_usage_error_that_does_not_repeat_it(make: Make, text: str) -> None:
    with pytest.raises(UsageError, match="proxy must look like") as wrong:
        make(TransportOptions(proxy=text))
    clean(wrong.value)


def test_no_repr_shows_the_login(make: Make) -> None:
    options = TransportOptions(proxy="http://wolf:hunter2@127.0.0.1:3128")
    assert "hunter2" not in repr(options) + repr(make(options))
    proxy = parse_proxy("http://wolf:hunter2@127.0.0.1:3128")
    assert proxy.password == "hunter2"
    assert "hunter2" not in repr(proxy) + str(proxy)
    assert "wolf" not in repr(proxy) + str(proxy)


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
@pytest.mark.parametrize("rounds", range(0, 12, 2))
def test_a_connect_cancelled_on_its_way_leaves_nothing_behind(
    make: Make, kind: type[HttpProxy | SocksProxy], rounds: int
) -> None:
    async def main() -> None:
        tls = certificates()[0]
        async with transport_through(make, kind()) as transport, websocket(echo, tls=tls) as url:
            target = url.replace("127.0.0.1", HIDDEN)
            connecting = asyncio.ensure_future(transport.connect(target))
            for _ in range(rounds):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            for _ in range(50):  # let the servers notice before they are closed themselves
                await asyncio.sleep(0)

    run(main)
