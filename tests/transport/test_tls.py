"""TLS: verified by default, or as the user's own context says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from ccrs_core.errors import ConnectFailed
from ccrs_core.transport.base import TransportOptions
from tests.transport.servers import (
    BOTH,
    Make,
    Peer,
    answer,
    certificates,
    echo,
    refused,
    run,
    serve,
    silent,
    websocket,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_a_certificate_that_nobody_vouches_for_is_refused(make: Make) -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            assert "certificate" in str(await refused(make, url)).lower()
            name = url.replace("127.0.0.1", "localhost")  # not in the certificate
            await refused(make, name, TransportOptions(ssl=client))

    run(main)


def test_a_custom_ssl_context_is_used(make: Make) -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            transport = make(TransportOptions(ssl=client))
            connection = await transport.connect(url)
            await connection.send("over tls")
            assert await connection.receive() == [b"over tls"]
            await connection.close()
            aborted = await transport.connect(url)
            aborted.abort()
            await transport.connect(url)  # left open for aclose
            await transport.aclose()

    run(main)


async def leave(peer: Peer) -> None:
    """A peer that ends the connection instead of saying hello."""
    await peer.reader.read(1)


async def reset(peer: Peer) -> None:
    await peer.reader.read(1)
    peer.reset()


async def plain(peer: Peer) -> None:
    """A peer that speaks HTTP, without TLS."""
    await peer.reader.read(1)
    await answer(peer, "400 Bad Request")


async def half(peer: Peer) -> None:
    """A peer that ends the connection within its hello."""
    await peer.reader.read(1)
    await peer.send(b"\x16\x03\x03\x00\x7a\x02")


TROUBLE = pytest.mark.parametrize("trouble", [leave, reset, plain, half, silent])


@TROUBLE
def test_a_tls_handshake_that_fails_is_told_by_its_error_and_nowhere_else(
    make: Make,
    trouble: Callable[[Peer], Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serve(trouble) as address:
            error = await refused(make, f"wss://{address}/", TransportOptions(connect_timeout=0.3))
            assert "TLS" in str(error) or "reset" in str(error) or "no connection" in str(error)
            assert loop.get_exception_handler() is None
            loop.set_exception_handler(lambda _, context: told.append(context))
            own = loop.get_exception_handler()
            await refused(make, f"wss://{address}/", TransportOptions(connect_timeout=0.3))
            assert loop.get_exception_handler() is own

    with caplog.at_level(logging.INFO):
        run(main)
    assert not told
    assert not caplog.records
    assert capfd.readouterr().err == ""


@TROUBLE
@pytest.mark.parametrize("rounds", [3, 6, 12])
def test_a_tls_handshake_that_is_cancelled_is_told_nowhere(
    make: Make,
    trouble: Callable[[Peer], Any],
    rounds: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def main() -> None:
        async with serve(trouble) as address:
            transport = make()
            dialling = asyncio.ensure_future(transport.connect(f"wss://{address}/"))
            for _ in range(rounds):
                await asyncio.sleep(0)
            dialling.cancel()
            await asyncio.wait([dialling])
            if not dialling.cancelled():
                assert isinstance(dialling.exception(), ConnectFailed)
            await transport.aclose()
            await asyncio.sleep(0.05)

    with caplog.at_level(logging.INFO):
        run(main)
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_others_errors_are_told_while_a_tls_handshake_is_under_way(make: Make) -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with serve(silent) as address:
            transport = make()
            dialling = [
                asyncio.ensure_future(transport.connect(f"wss://{address}/")) for _ in range(3)
            ]
            await asyncio.sleep(0.05)
            context = {"message": "somebody's", "exception": ValueError()}
            loop.call_exception_handler(context)
            assert told == [context]
            await transport.aclose()
            await asyncio.wait(dialling)
            assert all(isinstance(each.exception(), ConnectFailed) for each in dialling)

    run(main)
