"""How the default transport opens WebSockets, one and a thousand, on real sockets."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

import pytest

from ccrs_core.errors import ConnectFailed, ConnectionLost, UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.http import HttpConnection, HttpTransport
from tests.transport.servers import (
    GUARD,
    MIB,
    Peer,
    answer,
    certificates,
    echo,
    run,
    serve,
    silent,
    websocket,
    with_peer,
)

pytestmark = pytest.mark.sockets

WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n"
)


async def refused(url: str, options: TransportOptions | None = None) -> ConnectFailed:
    """How a connection fails."""
    transport = HttpTransport(options)
    try:
        with pytest.raises(ConnectFailed) as failed:
            await transport.connect(url)
    finally:
        await transport.aclose()
    return failed.value


@pytest.mark.parametrize("status", [403, 429, 503, 200])
def test_a_refused_handshake_tells_its_status(status: int) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await answer(peer, f"{status} No")

    async def main() -> None:
        async with serve(refuse) as address:
            failed = await refused(f"ws://{address}/")
            assert failed.status == status
            assert failed.__cause__ is failed.__context__ is None

    run(main)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_handshake_never_follows_a_redirect(status: int) -> None:
    async def main() -> None:
        dialled = []

        async def elsewhere(peer: Peer) -> None:
            dialled.append(peer)

        async with serve(elsewhere) as other:

            async def redirect(peer: Peer) -> None:
                await peer.reader.readuntil(b"\r\n\r\n")
                await answer(peer, f"{status} Moved", f"Location: ws://{other}/\r\n")

            async with serve(redirect) as address:
                assert (await refused(f"ws://{address}/")).status == status
        assert not dialled

    run(main)


def test_a_handshake_that_is_dropped_is_not_dialled_again_behind_the_callers_back() -> None:
    attempts = []

    async def drop(peer: Peer) -> None:
        attempts.append(await peer.reader.readuntil(b"\r\n\r\n"))

    async def main() -> None:
        async with serve(drop) as address:
            await refused(f"ws://{address}/")
        assert len(attempts) == 1

    run(main)


@pytest.mark.parametrize(
    "reply",
    [
        WRONG_ACCEPT,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"",
    ],
)
def test_a_server_that_speaks_something_else_is_a_failed_connection(reply: bytes) -> None:
    async def speak(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(reply)

    async def main() -> None:
        async with serve(speak) as address:
            assert (await refused(f"ws://{address}/")).status is None

    run(main)


def test_a_closed_port_and_an_unknown_name_are_failed_connections() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        port = unused.getsockname()[1]
        run(lambda: _fails(f"ws://127.0.0.1:{port}/"))
    run(lambda: _fails("ws://no-such-name.invalid/"))


async def _fails(url: str) -> None:
    await refused(url)


@pytest.mark.parametrize("url", ["", "nonsense", "ws://", "ws://[::1/", "ftp://127.0.0.1/"])
def test_what_is_no_url_is_a_usage_error_not_a_failure_to_try_again(url: str) -> None:
    async def main() -> None:
        transport = HttpTransport()
        with pytest.raises(UsageError):
            await transport.connect(url)
        await transport.aclose()

    run(main)


def test_a_handshake_that_never_comes_is_a_failed_connection_in_time() -> None:
    async def main() -> None:
        async with serve(silent) as address:
            failed = await refused(f"ws://{address}/", TransportOptions(connect_timeout=0.05))
            assert "0.05 s" in str(failed)

    run(main)


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            assert "certificate" in str(await refused(url)).lower()
            name = url.replace("127.0.0.1", "localhost")  # not in the certificate
            await refused(name, TransportOptions(ssl=client))

    run(main)


def test_a_custom_ssl_context_is_used() -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            transport = HttpTransport(TransportOptions(ssl=client))
            connection = await transport.connect(url)
            await connection.send("over tls")
            assert await connection.receive() == [b"over tls"]
            await connection.close()
            aborted = await transport.connect(url)
            aborted.abort()
            await transport.connect(url)  # left open for aclose
            await transport.aclose()

    run(main)


def test_the_source_address_is_honoured() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def note(peer: Peer) -> None:
            seen.append(peer.address[0])
            await echo(peer)

        async with websocket(note) as url:
            transport = HttpTransport(TransportOptions(source_address="127.0.0.2"))
            connection = await transport.connect(url)
            await connection.close()
            await transport.aclose()
        assert seen == ["127.0.0.2"]

    run(main)


def test_messages_show_neither_the_query_nor_the_login_of_a_url() -> None:
    async def main() -> None:
        async def refuse(peer: Peer) -> None:
            await answer(peer, "403 No")

        async with serve(refuse) as address:
            failed = await refused(f"ws://user:hunter2@{address}/v1?token=hunter2")
            assert f"ws://{address}/v1" in str(failed)
            assert "hunter2" not in repr(failed)

    run(main)


@pytest.mark.parametrize("rounds", range(6))
def test_a_cancelled_connect_leaves_nothing_behind(rounds: int) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = HttpTransport()
            connecting = asyncio.ensure_future(transport.connect(url))
            for _ in range(rounds):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await transport.aclose()

    run(main)


def test_a_cancelled_send_leaves_nothing_behind() -> None:
    async def client(connection: HttpConnection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await filling

    with_peer(silent, client)


# --- many ---


def test_connections_one_after_another_leave_nothing_behind() -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = HttpTransport()
            for n in range(200):
                connection = await transport.connect(url)
                await connection.send(f"{n}")
                assert await connection.receive() == [b"%d" % n]
                await connection.close() if n % 2 else connection.abort()
            await transport.aclose()

    run(main)


def test_a_thousand_connections_at_once_leave_nothing_behind() -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = HttpTransport(TransportOptions(connect_timeout=GUARD))
            connections = await asyncio.gather(*(transport.connect(url) for _ in range(1000)))
            await asyncio.gather(*(c.send("x") for c in connections))
            assert all([await c.receive() == [b"x"] for c in connections])
            await asyncio.gather(*(c.close() for c in connections[:300]))
            for connection in connections[300:600]:
                connection.abort()
            await transport.aclose()  # the remaining 400

    run(main)


def test_a_dropped_connection_is_garbage_without_the_cycle_collector() -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = HttpTransport()
            connection = await transport.connect(url)
            connection.abort()
            with pytest.raises(ConnectionLost):
                await connection.receive()
            gc.disable()
            try:
                ref = weakref.ref(connection)
                del connection
                assert ref() is None
            finally:
                gc.enable()
            await transport.aclose()

    run(main)


@pytest.mark.parametrize("rounds", range(16))
def test_a_closed_transport_opens_nothing_any_more(rounds: int) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = HttpTransport()
            pending = asyncio.ensure_future(transport.connect(url))
            for _ in range(rounds):
                await asyncio.sleep(0)
            await transport.aclose()
            try:
                connection = await pending
            except ConnectFailed:
                pass
            else:  # it was open already
                with pytest.raises(ConnectionLost):
                    await connection.receive()
            with pytest.raises(ConnectFailed):
                await transport.connect(url)
            await transport.aclose()

    run(main)
