"""Connections by the hundred and thousand, and transports that are closed."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from ccrs_core.errors import (
    ConnectFailed,
    ConnectionLost,
)
from ccrs_core.transport.base import TransportOptions
from tests.transport.servers import (
    BOTH,
    GUARD,
    Make,
    echo,
    run,
    websocket,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_connections_one_after_another_leave_nothing_behind(make: Make) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = make()
            for n in range(200):
                connection = await transport.connect(url)
                await connection.send(f"{n}")
                assert await connection.receive() == [b"%d" % n]
                await connection.close() if n % 2 else connection.abort()
            await transport.aclose()

    run(main)


def test_a_thousand_connections_at_once_leave_nothing_behind(make: Make) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = make(TransportOptions(connect_timeout=GUARD))
            connections = await asyncio.gather(*(transport.connect(url) for _ in range(1000)))
            await asyncio.gather(*(c.send("x") for c in connections))
            assert all([await c.receive() == [b"x"] for c in connections])
            await asyncio.gather(*(c.close() for c in connections[:300]))
            for connection in connections[300:600]:
                connection.abort()
            await transport.aclose()  # the remaining 400

    run(main)


def test_a_dropped_connection_is_garbage_without_the_cycle_collector(make: Make) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = make()
            connection = await transport.connect(url)
            connection.abort()
            with pytest.raises(ConnectionLost):
                await connection.receive()
            gc.disable()
            try:
                ref = weakref.ref(connection)
                del connection
                for _ in range(5):  # the loop lets go of the socket some rounds later
                    await asyncio.sleep(0)
                assert ref() is None
            finally:
                gc.enable()
            await transport.aclose()

    run(main)


@pytest.mark.parametrize("rounds", range(16))
def test_a_closed_transport_opens_nothing_any_more(make: Make, rounds: int) -> None:
    async def main() -> None:
        async with websocket(echo) as url:
            transport = make()
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
