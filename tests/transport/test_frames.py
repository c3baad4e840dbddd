"""What a WebSocket receives, whichever transport opened it, on real loopback sockets."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.errors import (
    ConnectionLost,
)
from ccrs_core.transport.base import Connection, TransportOptions
from tests.transport.servers import (
    BINARY,
    BOTH,
    CLOSE,
    MIB,
    PING,
    TEXT,
    Make,
    Peer,
    echo,
    everything,
    frame,
    with_peer,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_a_burst_comes_in_few_batches_in_order_with_nothing_lost(make: Make) -> None:
    count = 20_000

    async def burst(peer: Peer) -> None:
        for start in range(0, count, 250):
            await peer.send(*(frame(TEXT, b'{"n":%d}' % n) for n in range(start, start + 250)))
        await peer.send(frame(CLOSE, struct.pack("!H", 1000)))
        await peer.read()

    async def client(connection: Connection) -> None:
        frames, lost, batches = await everything(connection)
        assert frames == [b'{"n":%d}' % n for n in range(count)]
        assert lost.code == 1000
        assert batches < count / 20

    with_peer(make, burst, client)


def test_frames_that_arrived_together_are_handed_over_together(make: Make) -> None:
    async def burst(peer: Peer) -> None:
        await peer.read()
        await peer.send(*(frame(TEXT, b"%d" % n) for n in range(100)))
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        await connection.send("go")
        assert await connection.receive() == [b"%d" % n for n in range(100)]

    with_peer(make, burst, client)


def test_text_and_binary_come_as_their_bytes_and_go_out_as_they_are(make: Make) -> None:
    async def client(connection: Connection) -> None:
        await connection.send('{"€":"👍"}')
        assert await connection.receive() == ['{"€":"👍"}'.encode()]
        await connection.send(b"\x00\xff")
        assert await connection.receive() == [b"\x00\xff"]

    with_peer(make, echo, client)

    kinds: list[int] = []

    async def note(peer: Peer) -> None:
        kinds.extend([(await peer.read())[0], (await peer.read())[0]])
        await peer.send(frame(CLOSE))

    async def both(connection: Connection) -> None:
        await connection.send("a")
        await connection.send(b"b")
        await everything(connection)

    with_peer(make, note, both)
    assert kinds == [TEXT, BINARY]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_however_the_stream_is_cut_and_fragmented_the_frames_are_the_same(
    make: Make,
    data: st.DataObject,
) -> None:
    payloads = data.draw(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
    wire = b""
    for payload in payloads:
        kind = data.draw(st.sampled_from((TEXT, BINARY)))
        cut = data.draw(st.integers(0, len(payload)))
        if data.draw(st.booleans()):
            wire += frame(kind, payload[:cut], fin=False)
            wire += frame(PING, b"between fragments") + frame(0, payload[cut:])
        else:
            wire += frame(kind, payload)
    ends = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))

    async def pieces(peer: Peer) -> None:
        peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *ends], [*ends, len(wire)], strict=True):
            await peer.send(wire[start:end])
            await asyncio.sleep(0)
        await peer.send(frame(CLOSE, struct.pack("!H", 1001)))
        while (await peer.read())[0] != CLOSE:
            pass

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == payloads
        assert lost.code == 1001

    with_peer(make, pieces, client)


# --- the size bound ---


def test_a_frame_of_16_mib_arrives_whole(make: Make) -> None:
    payload = random.Random(1).randbytes(16 * MIB)

    async def client(connection: Connection) -> None:
        assert await connection.receive() == [payload]

    async def send(peer: Peer) -> None:
        await peer.send(frame(BINARY, payload))
        await peer.reader.read()

    with_peer(make, send, client)


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_frame_above_the_bound_ends_the_connection_with_1009(make: Make, fragments: int) -> None:
    options = TransportOptions(max_frame_bytes=1000)
    replies: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def send(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"x" * 1000))
        part = b"y" * (1001 // fragments + 1)
        parts = [frame(0 if n else TEXT, part, fin=n == fragments - 1) for n in range(fragments)]
        await peer.send(*parts)
        replies.put_nowait(await peer.read())

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"x" * 1000]
        assert lost.code == 1009
        kind, payload = await replies.get()
        assert (kind, payload[:2]) == (CLOSE, struct.pack("!H", 1009))  # a reason may follow

    with_peer(make, send, client, options)


def test_an_announced_giant_is_refused_before_its_bytes_are_read(make: Make) -> None:
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        peer.writer.write(bytes((0x82, 127)) + struct.pack("!Q", 2**40))
        while True:  # until the client drops the connection
            peer.writer.write(bytes(MIB))
            sent += 1
            await peer.writer.drain()

    async def client(connection: Connection) -> None:
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()
        assert lost.value.code == 1009

    with_peer(make, flood, client)
    assert sent < 64
