"""How a WebSocket is opened, and what comes of it where it can't be."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ccrs_core.errors import (
    UsageError,
)
from ccrs_core.transport.base import Connection, TransportOptions
from tests.transport.servers import (
    BOTH,
    MIB,
    Make,
    Peer,
    answer,
    echo,
    refused,
    run,
    serve,
    silent,
    websocket,
    with_peer,
)

pytestmark = [pytest.mark.sockets, BOTH]

WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n"
)


@pytest.mark.parametrize("status", [403, 429, 503, 200])
def test_a_refused_handshake_tells_its_status(make: Make, status: int) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await answer(peer, f"{status} No")

    async def main() -> None:
        async with serve(refuse) as address:
            failed = await refused(make, f"ws://{address}/")
            assert failed.status == status
            assert failed.__cause__ is failed.__context__ is None

    run(main)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_handshake_never_follows_a_redirect(make: Make, status: int) -> None:
    async def main() -> None:
        dialled = []

        async def elsewhere(peer: Peer) -> None:
            dialled.append(peer)

        async with serve(elsewhere) as other:

            async def redirect(peer: Peer) -> None:
                await peer.reader.readuntil(b"\r\n\r\n")
                await answer(peer, f"{status} Moved", f"Location: ws://{other}/\r\n")

            async with serve(redirect) as address:
                assert (await refused(make, f"ws://{address}/")).status == status
        assert not dialled

    run(main)


def test_a_handshake_that_is_dropped_is_not_dialled_again_behind_the_callers_back(
    make: Make,
) -> None:
    attempts = []

    async def drop(peer: Peer) -> None:
        attempts.append(await peer.reader.readuntil(b"\r\n\r\n"))

    async def main() -> None:
        async with serve(drop) as address:
            await refused(make, f"ws://{address}/")
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
def test_a_server_that_speaks_something_else_is_a_failed_connection(
    make: Make, reply: bytes
) -> None:
    async def speak(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(reply)

    async def main() -> None:
        async with serve(speak) as address:
            assert (await refused(make, f"ws://{address}/")).status is None

    run(main)


def test_a_closed_port_and_an_unknown_name_are_failed_connections(make: Make) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        port = unused.getsockname()[1]
        run(lambda: _fails(make, f"ws://127.0.0.1:{port}/"))
    run(lambda: _fails(make, "ws://no-such-name.invalid/"))


async def _fails(make: Make, url: str) -> None:
    await refused(make, url)


@pytest.mark.parametrize("url", ["", "nonsense", "ws://", "ws://[::1/", "ftp://127.0.0.1/"])
def test_what_is_no_url_is_a_usage_error_not_a_failure_to_try_again(make: Make, url: str) -> None:
    async def main() -> None:
        transport = make()
        with pytest.raises(UsageError):
            await transport.connect(url)
        await transport.aclose()

    run(main)


def test_a_handshake_that_never_comes_is_a_failed_connection_in_time(make: Make) -> None:
    async def main() -> None:
        async with serve(silent) as address:
            failed = await refused(make, f"ws://{address}/", TransportOptions(connect_timeout=0.05))
            assert "0.05 s" in str(failed)

    run(main)


def test_the_source_address_is_honoured(make: Make) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def note(peer: Peer) -> None:
            seen.append(peer.address[0])
            await echo(peer)

        async with websocket(note) as url:
            transport = make(TransportOptions(source_address="127.0.0.2"))
            connection = await transport.connect(url)
            await connection.close()
            await transport.aclose()
        assert seen == ["127.0.0.2"]

    run(main)


def test_messages_show_neither_the_query_nor_the_login_of_a_url(make: Make) -> None:
    async def main() -> None:
        async def refuse(peer: Peer) -> None:
            await answer(peer, "403 No")

        async with serve(refuse) as address:
            failed = await refused(make, f"ws://user:hunter2@{address}/v1?token=hunter2")
            assert f"ws://{address}/v1" in str(failed)
            assert "hunter2" not in repr(failed)

    run(main)


@pytest.mark.parametrize("rounds", range(6))
def test_a_cancelled_connect_leaves_nothing_behind(make: Make, rounds: int) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = make()
            connecting = asyncio.ensure_future(transport.connect(url))
            for _ in range(rounds):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await transport.aclose()

    run(main)


def test_a_cancelled_send_leaves_nothing_behind(make: Make) -> None:
    async def client(connection: Connection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await filling

    with_peer(make, silent, client)


def test_headers_of_the_caller_go_with_the_handshake(make: Make) -> None:
    async def main() -> None:
        heads: asyncio.Queue[str] = asyncio.Queue()

        async def handle(peer: Peer) -> None:
            heads.put_nowait(peer.head.decode())
            await silent(peer)

        async with websocket(handle) as url:
            transport = make()
            given = (("X-Size-Decimal", "1"), ("X-Twice", "a"), ("X-Twice", "b"))
            told = []
            for headers in (given, ()):
                (await transport.connect(url, headers)).abort()
                lines = (await heads.get()).split("\r\n")
                told.append([line for line in lines if line.startswith("X-")])
            await transport.aclose()
        assert told == [["X-Size-Decimal: 1", "X-Twice: a", "X-Twice: b"], []]

    run(main)
