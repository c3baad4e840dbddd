"""What the default transport's WebSockets receive, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.errors import ConnectionLost
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.http import HttpConnection
from tests.transport.servers import (
    BINARY,
    CLOSE,
    GUARD,
    MIB,
    PING,
    PONG,
    TEXT,
    Peer,
    echo,
    everything,
    frame,
    with_peer,
)

pytestmark = pytest.mark.sockets


# --- frames ---


def test_a_burst_comes_in_few_batches_in_order_with_nothing_lost() -> None:
    count = 20_000

    async def burst(peer: Peer) -> None:
        for start in range(0, count, 250):
            await peer.send(*(frame(TEXT, b'{"n":%d}' % n) for n in range(start, start + 250)))
        await peer.send(frame(CLOSE, struct.pack("!H", 1000)))
        await peer.read()

    async def client(connection: HttpConnection) -> None:
        frames, lost, batches = await everything(connection)
        assert frames == [b'{"n":%d}' % n for n in range(count)]
        assert lost.code == 1000
        assert batches < count / 20

    with_peer(burst, client)


def test_frames_that_arrived_together_are_handed_over_together() -> None:
    async def burst(peer: Peer) -> None:
        await peer.read()
        await peer.send(*(frame(TEXT, b"%d" % n) for n in range(100)))
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        await connection.send("go")
        assert await connection.receive() == [b"%d" % n for n in range(100)]

    with_peer(burst, client)


def test_text_and_binary_come_as_their_bytes_and_go_out_as_they_are() -> None:
    async def client(connection: HttpConnection) -> None:
        await connection.send('{"€":"👍"}')
        assert await connection.receive() == ['{"€":"👍"}'.encode()]
        await connection.send(b"\x00\xff")
        assert await connection.receive() == [b"\x00\xff"]

    with_peer(echo, client)

    kinds: list[int] = []

    async def note(peer: Peer) -> None:
        kinds.extend([(await peer.read())[0], (await peer.read())[0]])
        await peer.send(frame(CLOSE))

    async def both(connection: HttpConnection) -> None:
        await connection.send("a")
        await connection.send(b"b")
        await everything(connection)

    with_peer(note, both)
    assert kinds == [TEXT, BINARY]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_however_the_stream_is_cut_and_fragmented_the_frames_are_the_same(
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

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == payloads
        assert lost.code == 1001

    with_peer(pieces, client)


# --- the size bound ---


def test_a_frame_of_16_mib_arrives_whole() -> None:
    payload = random.Random(1).randbytes(16 * MIB)

    async def client(connection: HttpConnection) -> None:
        assert await connection.receive() == [payload]

    async def send(peer: Peer) -> None:
        await peer.send(frame(BINARY, payload))
        await peer.reader.read()

    with_peer(send, client)


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_frame_above_the_bound_ends_the_connection_with_1009(fragments: int) -> None:
    options = TransportOptions(max_frame_bytes=1000)
    replies: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def send(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"x" * 1000))
        part = b"y" * (1001 // fragments + 1)
        parts = [frame(0 if n else TEXT, part, fin=n == fragments - 1) for n in range(fragments)]
        await peer.send(*parts)
        replies.put_nowait(await peer.read())

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"x" * 1000]
        assert lost.code == 1009
        assert await replies.get() == (CLOSE, struct.pack("!H", 1009))

    with_peer(send, client, options)


def test_an_announced_giant_is_refused_before_its_bytes_are_read() -> None:
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        peer.writer.write(bytes((0x82, 127)) + struct.pack("!Q", 2**40))
        while True:  # until the client drops the connection
            peer.writer.write(bytes(MIB))
            sent += 1
            await peer.writer.drain()

    async def client(connection: HttpConnection) -> None:
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()
        assert lost.value.code == 1009

    with_peer(flood, client)
    assert sent < 64


# --- compression ---


def test_compression_is_offered_only_on_request() -> None:
    offers: list[str | None] = []

    async def note(peer: Peer) -> None:
        offers.append(peer.header("Sec-WebSocket-Extensions"))

    async def client(connection: HttpConnection) -> None:
        await everything(connection)

    with_peer(note, client)
    with_peer(note, client, TransportOptions(compression=True))
    assert offers[0] is None
    assert offers[1] is not None
    assert "permessage-deflate" in offers[1]


def deflated(*payloads: bytes) -> bytes:
    """Frames of one compressor whose window goes on from each to the next."""
    squeeze = zlib.compressobj(wbits=-15)
    wire = b""
    for payload in payloads:
        squeezed = squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        wire += frame(TEXT, squeezed.removesuffix(b"\x00\x00\xff\xff"), rsv1=True)
    return wire


def test_compressed_frames_decode_to_the_same_bytes_as_plain_ones() -> None:
    payloads = [b'{"topic":"a","n":%d}' % n * 5 for n in range(50)]

    async def send(peer: Peer) -> None:
        await peer.send(deflated(*payloads), frame(TEXT, b"plain"), frame(CLOSE))
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        assert (await everything(connection))[0] == [*payloads, b"plain"]

    with_peer(send, client, TransportOptions(compression=True), "permessage-deflate")


def test_a_decompression_bomb_is_refused_at_the_bound() -> None:
    async def send(peer: Peer) -> None:
        await peer.send(deflated(b"fine", bytes(64 * MIB)))
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"fine"]
        assert lost.code == 1009

    options = TransportOptions(compression=True, max_frame_bytes=MIB)
    with_peer(send, client, options, "permessage-deflate")


def test_a_corrupt_compressed_frame_ends_the_connection() -> None:
    async def send(peer: Peer) -> None:
        await peer.send(deflated(b"fine"), frame(TEXT, b"\xff" * 40, rsv1=True))
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        frames, _, _ = await everything(connection)
        assert frames == [b"fine"]

    with_peer(send, client, TransportOptions(compression=True), "permessage-deflate")


# --- pings and the end ---


def test_a_ping_is_answered_with_its_payload_and_is_no_frame() -> None:
    pongs: list[tuple[int, bytes]] = []

    async def ping(peer: Peer) -> None:
        await peer.send(frame(PING, b"42"))
        pongs.append(await peer.read())
        await peer.send(frame(TEXT, b"a"), frame(PING, b"43"), frame(TEXT, b"b"), frame(PONG))
        pongs.append(await peer.read())
        await peer.send(frame(CLOSE))

    async def client(connection: HttpConnection) -> None:
        assert (await everything(connection))[0] == [b"a", b"b"]

    with_peer(ping, client)
    assert pongs == [(PONG, b"42"), (PONG, b"43")]


def test_a_protocol_ping_is_sent_on_request() -> None:
    async def client(connection: HttpConnection) -> None:
        await connection.ping()
        await connection.send("x")
        assert await connection.receive() == [b"x"]

    seen: list[int] = []

    async def note(peer: Peer) -> None:
        seen.append((await peer.read())[0])
        await echo(peer)

    with_peer(note, client)
    assert seen == [PING]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012, 4001])
def test_the_exchanges_close_code_and_reason_are_told_after_its_last_frames(code: int) -> None:
    replies: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def end(peer: Peer) -> None:
        goodbye = struct.pack("!H", code) + b"too slow"
        await peer.send(frame(TEXT, b"last"), frame(CLOSE, goodbye), frame(TEXT, b"too late"))
        replies.put_nowait(await peer.read())

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code == code
        assert "too slow" in str(lost)
        with pytest.raises(ConnectionLost):
            await connection.receive()
        assert await replies.get() == (CLOSE, struct.pack("!H", code))

    with_peer(end, client)


def test_a_close_frame_is_told_at_once_even_where_the_socket_stays_open() -> None:
    async def linger(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"last"), frame(CLOSE))
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code is None

    with_peer(linger, client, TransportOptions(close_timeout=10 * GUARD))


def test_an_end_without_close_frame_is_a_lost_connection_without_code() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"last"))

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"last"]
        assert lost.code is None

    with_peer(vanish, client)


def test_a_reset_is_a_lost_connection() -> None:
    async def reset(peer: Peer) -> None:
        await peer.read()
        peer.reset()

    async def client(connection: HttpConnection) -> None:
        await connection.send("go")
        with pytest.raises(ConnectionLost):
            await connection.receive()

    with_peer(reset, client)


@pytest.mark.parametrize(
    "wire",
    [
        b"\xff\xff\xff\xff",
        frame(3, b"reserved opcode"),
        frame(0, b"continues nothing"),
        frame(TEXT, b"not negotiated", rsv1=True),
        frame(CLOSE, struct.pack("!H", 999)),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_bytes_that_break_the_protocol_end_the_connection(wire: bytes) -> None:
    async def rave(peer: Peer) -> None:
        await peer.send(frame(TEXT, b"fine"), wire)
        await peer.reader.read()

    async def client(connection: HttpConnection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"fine"]
        assert lost.code == 1002

    with_peer(rave, client)
