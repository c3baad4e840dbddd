"""How a WebSocket is ended from this side."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest

from ccrs_core.errors import (
    ConnectionLost,
)
from ccrs_core.transport.base import Connection, TransportOptions
from tests.transport.servers import (
    BOTH,
    CLOSE,
    GUARD,
    MIB,
    PING,
    TEXT,
    Make,
    Peer,
    everything,
    frame,
    silent,
    with_peer,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_abort_wakes_a_waiting_receive_at_once(make: Make) -> None:
    async def client(connection: Connection) -> None:
        waiting = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        connection.abort()
        with pytest.raises(ConnectionLost):
            await waiting
        connection.abort()

    with_peer(make, silent, client)


def test_after_its_end_a_connection_sends_nothing_and_says_so(make: Make) -> None:
    async def client(connection: Connection) -> None:
        connection.abort()
        for attempt in (connection.send("x"), connection.send(b"x"), connection.ping()):
            with pytest.raises(ConnectionLost):
                await attempt
        await connection.close()
        with pytest.raises(ConnectionLost):
            await connection.receive()

    with_peer(make, silent, client)

    async def end(peer: Peer) -> None:
        await peer.send(frame(CLOSE, struct.pack("!H", 1012)))
        await peer.read()

    async def after_theirs(connection: Connection) -> None:
        await everything(connection)
        with pytest.raises(ConnectionLost) as lost:
            await connection.send("x")
        assert lost.value.code == 1012

    with_peer(make, end, after_theirs)


@pytest.mark.parametrize("code", [1000, 4000])
def test_closing_in_good_order_sends_the_code_and_waits_for_the_answer(
    make: Make, code: int
) -> None:
    said: list[tuple[int, bytes]] = []

    async def polite(peer: Peer) -> None:
        said.append(await peer.read())
        await peer.send(frame(TEXT, b"still on its way"), frame(CLOSE, said[0][1]))
        assert await peer.reader.read() == b""

    async def client(connection: Connection) -> None:
        await connection.close(code)

    with_peer(make, polite, client, TransportOptions(close_timeout=10 * GUARD))
    assert said == [(CLOSE, struct.pack("!H", code))]


@pytest.mark.parametrize("goes_on", [True, False])
def test_closing_while_another_task_receives_is_in_good_order_for_both(
    make: Make, goes_on: bool
) -> None:
    read = asyncio.Event()
    complete: asyncio.Queue[bytes] = asyncio.Queue()

    async def polite(peer: Peer) -> None:
        goodbye = await peer.read()
        await peer.send(frame(TEXT, b"still on its way"))
        await read.wait()
        await peer.send(frame(CLOSE, goodbye[1]))
        complete.put_nowait(await peer.reader.read())

    async def client(connection: Connection) -> None:
        waiting = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(connection.close())
        assert await waiting == [b"still on its way"]
        if goes_on:
            waiting = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        assert not closing.done()
        read.set()
        await closing
        if goes_on:
            with pytest.raises(ConnectionLost):
                await waiting
        assert await complete.get() == b""

    with_peer(make, polite, client, TransportOptions(close_timeout=10 * GUARD))


@pytest.mark.parametrize("receiving", [False, True])
def test_closing_is_bounded_in_time_where_the_peer_never_answers(
    make: Make, receiving: bool
) -> None:
    async def client(connection: Connection) -> None:
        waiting = asyncio.ensure_future(connection.receive()) if receiving else None
        await asyncio.sleep(0)
        await connection.close()
        if waiting is not None:
            with pytest.raises(ConnectionLost):
                await waiting

    with_peer(make, silent, client, TransportOptions(close_timeout=0.05))


def test_closing_is_bounded_in_time_where_the_peer_floods_instead_of_answering(make: Make) -> None:
    async def flood(peer: Peer) -> None:
        while True:
            await peer.send(frame(TEXT, bytes(1000)) * 50)

    async def client(connection: Connection) -> None:
        await connection.close()

    with_peer(make, flood, client, TransportOptions(close_timeout=0.05))


def test_a_peer_that_reads_nothing_blocks_send_until_abort(make: Make) -> None:
    async def client(connection: Connection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        assert not filling.done()
        connection.abort()
        with pytest.raises(ConnectionLost):
            await filling

    with_peer(make, silent, client)


def test_closing_is_bounded_in_time_where_the_peer_reads_nothing(make: Make) -> None:
    async def client(connection: Connection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        await connection.close()
        with pytest.raises(ConnectionLost):
            await filling

    with_peer(make, silent, client, TransportOptions(close_timeout=0.05))


def test_a_cancelled_receive_loses_no_frame(make: Make) -> None:
    async def send(peer: Peer) -> None:
        for n in range(200):
            await peer.send(frame(TEXT, b"%d" % n), frame(PING))
        await peer.send(frame(CLOSE))
        while (await peer.read())[0] != CLOSE:
            pass

    async def client(connection: Connection) -> None:
        frames: list[bytes] = []
        chance = random.Random(7)
        while True:
            waiting = asyncio.ensure_future(connection.receive())
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            if not waiting.done() and chance.random() < 0.5:
                waiting.cancel()
            try:
                frames += await waiting
            except asyncio.CancelledError:
                continue
            except ConnectionLost:
                break
        assert frames == [b"%d" % n for n in range(200)]

    with_peer(make, send, client)


def test_a_receive_cancelled_while_it_answers_a_ping_loses_no_frame(make: Make) -> None:
    full = asyncio.Event()

    async def send(peer: Peer) -> None:
        await full.wait()
        await peer.send(frame(TEXT, b"a") + frame(PING, bytes(125)) * 1000)
        await asyncio.Event().wait()

    async def client(connection: Connection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        filling.cancel()
        await asyncio.wait([filling])
        # What comes on top of this must wait until the peer reads, which it doesn't.
        sending = asyncio.ensure_future(connection.send(bytes(200_000)))
        await asyncio.sleep(0)
        full.set()
        answering = asyncio.ensure_future(connection.receive())
        await asyncio.wait([answering], timeout=0.1)
        answering.cancel()
        try:
            frames = await answering
        except asyncio.CancelledError:
            frames = await connection.receive()
        assert frames == [b"a"]
        sending.cancel()
        await asyncio.wait([sending])

    with_peer(make, send, client)
