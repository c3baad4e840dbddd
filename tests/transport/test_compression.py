"""permessage-deflate: by aiohttp, and refused where a transport hasn't got it."""

from __future__ import annotations

import zlib

import pytest

from ccrs_core.errors import UsageError
from ccrs_core.transport.base import Connection, TransportOptions
from tests.transport.servers import (
    AIOHTTP,
    CLOSE,
    MIB,
    PICOWS,
    TEXT,
    Make,
    Peer,
    everything,
    frame,
    with_peer,
)

pytestmark = pytest.mark.sockets

DEFLATING = pytest.mark.parametrize("make", [AIOHTTP])


@DEFLATING
def test_compression_is_offered_only_on_request(make: Make) -> None:
    offers: list[str | None] = []

    async def note(peer: Peer) -> None:
        offers.append(peer.header("Sec-WebSocket-Extensions"))

    async def client(connection: Connection) -> None:
        await everything(connection)

    with_peer(make, note, client)
    with_peer(make, note, client, TransportOptions(compression=True))
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


@DEFLATING
def test_compressed_frames_decode_to_the_same_bytes_as_plain_ones(make: Make) -> None:
    payloads = [b'{"topic":"a","n":%d}' % n * 5 for n in range(50)]

    async def send(peer: Peer) -> None:
        await peer.send(deflated(*payloads), frame(TEXT, b"plain"), frame(CLOSE))
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        assert (await everything(connection))[0] == [*payloads, b"plain"]

    with_peer(make, send, client, TransportOptions(compression=True), "permessage-deflate")


@DEFLATING
def test_a_decompression_bomb_is_refused_at_the_bound(make: Make) -> None:
    async def send(peer: Peer) -> None:
        await peer.send(deflated(b"fine", bytes(64 * MIB)))
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        frames, lost, _ = await everything(connection)
        assert frames == [b"fine"]
        assert lost.code == 1009

    options = TransportOptions(compression=True, max_frame_bytes=MIB)
    with_peer(make, send, client, options, "permessage-deflate")


@DEFLATING
def test_a_corrupt_compressed_frame_ends_the_connection(make: Make) -> None:
    async def send(peer: Peer) -> None:
        await peer.send(deflated(b"fine"), frame(TEXT, b"\xff" * 40, rsv1=True))
        await peer.reader.read()

    async def client(connection: Connection) -> None:
        frames, _, _ = await everything(connection)
        assert frames == [b"fine"]

    with_peer(make, send, client, TransportOptions(compression=True), "permessage-deflate")


@pytest.mark.parametrize("make", [PICOWS])
def test_a_transport_without_compression_says_so_and_which_one_has_it(make: Make) -> None:
    with pytest.raises(UsageError, match='transport="aiohttp"'):
        make(TransportOptions(compression=True))
