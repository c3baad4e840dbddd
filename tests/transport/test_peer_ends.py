"""Pings, and how a WebSocket ends when the other side is the cause."""

from __future__ import annotations

import asyncio
import struct

import pytest

from ccrs_core.errors import (
    ConnectionLost,
)
from ccrs_core.transport.base import Connection, TransportOptions
from ccrs_core.transport.http import HttpTransport
from tests.transport.servers import (
    BINARY,
    BOTH,
    CLOSE,
    GUARD,
    PING,
    PONG,
    TEXT,
    Make,
    Peer,
    echo,
    everything,
    frame,
    with_peer,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_a_ping_is_answered_with_its_payload_and_is_no_frame(make: Make) -> None:
    pongs: list[tuple[int, bytes]] = []

    async def ping(peer: Peer) -> None:
        await peer.send(frame(PING, b"42"))
        pongs.append(await peer.read())
        await peer.send(frame(TEXT, b"a"), frame(PING, b"43"), frame(TEXT, b"b"), frame(PONG))
        pongs.append(await peer.read())
        await peer.send(frame(CLOSE))

    async def client(connection: Connection) -> None:
        assert (await everything(connection))[0] == [b"a", b"b"]

    with_peer(make, ping, client)
    assert pongs == [(PONG, b"42"), (PONG, b"43")]


def test_a_protocol_ping_is_sent_on_request(make: Make) -> None:
    async def client(connection: Connection) -> None:
        await connection.ping()
        await connection.send("x")
        assert await connection.receive() == [b"x"]

    seen: list[int] = []

    async def note(peer: Peer) -> None:
        seen.append((await peer.read())[0])
        await echo(peer)

    with_peer(make, note, client)
    assert seen == [PING]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012, 4001])
def test_the_exchanges_close_code_and_reason_are_told_after_its_last_frames(
    make: Make, code: int
) -> None:
    replies: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def end(peer: Peer) -> None:
        goodbye = struct.pack("!H", code) + b"too slow"
        await peer.send(frame(TEXT, b"last"), frame(CLOSE, goodbye), frame(TEXT, b"too late"))
        replies.put_nowait(await peer.read())

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code == code
        assert "too slow" in str(lost)
        with pytest.raises(ConnectionLost):
            await connection.receive()
        assert await replies.get() == (CLOSE, struct.pack("!H", code))

    with_peer(make, end, client)


def test_a_close_frame_is_told_at_once_even_where_the_socket_stays_open(make: Make) -> None:
    async def linger(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"last"), frame(CLOSE))
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code is None

    with_peer(make, linger, client, TransportOptions(close_timeout=10 * GUARD))


def test_an_end_without_close_frame_is_a_lost_connection_without_code(make: Make) -> None:
    async def vanish(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"last"))

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code is None

    with_peer(make, vanish, client)


def test_a_reset_is_a_lost_connection(make: Make) -> None:
    async def reset(peer: Peer) -> None:
        await peer.read()
        peer.reset()

    async def client(connection: Connection) -> None:
        await connection.send("go")
        with pytest.raises(ConnectionLost):
            await connection.receive()

    with_peer(make, reset, client)


def reserved(bits: int, wire: bytes) -> bytes:
    """A frame with reserved bits set: 4, 2 and 1 are the first, second and third."""
    return bytes((wire[0] | bits << 4,)) + wire[1:]


RESERVED = [
    *(reserved(bits, frame(TEXT, b"whole")) for bits in range(1, 8)),
    *(reserved(bits, frame(opcode, b"")) for opcode in (BINARY, PING, PONG) for bits in (1, 2, 4)),
    *(reserved(bits, frame(TEXT, b"a", fin=False)) for bits in (1, 2, 4)),
    *(frame(TEXT, b"a", fin=False) + reserved(bits, frame(0, b"b")) for bits in (1, 2, 4)),
    *(reserved(bits, frame(CLOSE, struct.pack("!H", 1000))) for bits in (1, 2, 4)),
    *(frame(opcode, b"reserved") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
]
"""What extensions may be agreed on for, and none is (RFC 6455 §5.2)."""


@pytest.mark.parametrize(
    "wire",
    [
        *RESERVED,
        b"\xff\xff\xff\xff",
        *(frame(opcode, b"in parts", fin=False) for opcode in (PING, PONG)),
        frame(CLOSE, struct.pack("!H", 1000), fin=False),
        *(frame(opcode, bytes(126)) for opcode in (PING, PONG)),
        frame(0, b"continues nothing"),
        frame(TEXT, b"begins", fin=False) + frame(TEXT, b"begins anew"),
        frame(CLOSE, struct.pack("!H", 999)),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_bytes_that_break_the_protocol_end_the_connection(make: Make, wire: bytes) -> None:
    _breaks_the_protocol(make, wire)


def test_a_masked_frame_breaks_the_protocol_or_is_read_without_its_mask(make: Make) -> None:
    """RFC 6455 §5.1 has the client close. aiohttp's reader takes masks off and doesn't tell."""
    wire = b"\x81\x82\x01\x02\x03\x04hk"
    if make is not HttpTransport:
        _breaks_the_protocol(make, wire)
        return

    async def mask(peer: Peer) -> None:
        await peer.send(wire, frame(CLOSE))

    async def client(connection: Connection) -> None:
        assert (await everything(connection))[0] == [b"ii"]

    with_peer(make, mask, client)


def _breaks_the_protocol(make: Make, wire: bytes) -> None:
    async def rave(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"fine"), wire)
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"fine"]
        assert lost.code == 1002

    with_peer(make, rave, client)
