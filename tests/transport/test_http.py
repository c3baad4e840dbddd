"""The default transport's WebSockets, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.errors import ConnectFailed, ConnectionLost, UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.http import HttpConnection, HttpTransport
from tests.transport.servers import (
    BINARY,
    CLOSE,
    GUARD,
    PING,
    PONG,
    TEXT,
    Peer,
    answer,
    certificates,
    echo,
    frame,
    run,
    serve,
    silent,
    websocket,
)

pytestmark = pytest.mark.sockets

MIB = 1024 * 1024

WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n"
)


def with_peer(
    handler: Callable[[Peer], Awaitable[None]],
    client: Callable[[HttpConnection], Awaitable[None]],
    options: TransportOptions | None = None,
    extensions: str = "",
) -> None:
    """Run a client against a peer."""

    async def main() -> None:
        async with websocket(handler, extensions=extensions) as url:
            transport = HttpTransport(options)
            connection = await transport.connect(url)
            try:
                await client(connection)
            finally:
                await transport.aclose()

    run(main)


async def everything(connection: HttpConnection) -> tuple[list[bytes], ConnectionLost, int]:
    """All frames to the end, how it ended, and in how many batches they came."""
    frames: list[bytes] = []
    batches = 0
    while True:
        try:
            batch = await connection.receive()
        except ConnectionLost as lost:
            return frames, lost, batches
        assert batch
        frames += batch
        batches += 1


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


# --- our own ends ---


def test_abort_wakes_a_waiting_receive_at_once() -> None:
    async def client(connection: HttpConnection) -> None:
        waiting = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        connection.abort()
        with pytest.raises(ConnectionLost):
            await waiting
        connection.abort()

    with_peer(silent, client)


def test_after_its_end_a_connection_sends_nothing_and_says_so() -> None:
    async def client(connection: HttpConnection) -> None:
        connection.abort()
        for attempt in (connection.send("x"), connection.send(b"x"), connection.ping()):
            with pytest.raises(ConnectionLost):
                await attempt
        await connection.close()
        with pytest.raises(ConnectionLost):
            await connection.receive()

    with_peer(silent, client)

    async def end(peer: Peer) -> None:
        await peer.send(frame(CLOSE, struct.pack("!H", 1012)))
        await peer.read()

    async def after_theirs(connection: HttpConnection) -> None:
        await everything(connection)
        with pytest.raises(ConnectionLost) as lost:
            await connection.send("x")
        assert lost.value.code == 1012

    with_peer(end, after_theirs)


@pytest.mark.parametrize("code", [1000, 4000])
def test_closing_in_good_order_sends_the_code_and_waits_for_the_answer(code: int) -> None:
    said: list[tuple[int, bytes]] = []

    async def polite(peer: Peer) -> None:
        said.append(await peer.read())
        await peer.send(frame(TEXT, b"still on its way"), frame(CLOSE, said[0][1]))
        assert await peer.reader.read() == b""

    async def client(connection: HttpConnection) -> None:
        await connection.close(code)

    with_peer(polite, client, TransportOptions(close_timeout=10 * GUARD))
    assert said == [(CLOSE, struct.pack("!H", code))]


def test_closing_while_another_task_receives_ends_both() -> None:
    async def client(connection: HttpConnection) -> None:
        waiting = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        await connection.close()
        with pytest.raises(ConnectionLost):
            await waiting

    with_peer(echo, client, TransportOptions(close_timeout=10 * GUARD))


@pytest.mark.parametrize("receiving", [False, True])
def test_closing_is_bounded_in_time_where_the_peer_never_answers(receiving: bool) -> None:
    async def client(connection: HttpConnection) -> None:
        waiting = asyncio.ensure_future(connection.receive()) if receiving else None
        await asyncio.sleep(0)
        await connection.close()
        if waiting is not None:
            with pytest.raises(ConnectionLost):
                await waiting

    with_peer(silent, client, TransportOptions(close_timeout=0.05))


def test_closing_is_bounded_in_time_where_the_peer_floods_instead_of_answering() -> None:
    async def flood(peer: Peer) -> None:
        while True:
            await peer.send(frame(TEXT, bytes(1000)) * 50)

    async def client(connection: HttpConnection) -> None:
        await connection.close()

    with_peer(flood, client, TransportOptions(close_timeout=0.05))


def test_a_peer_that_reads_nothing_blocks_send_until_abort() -> None:
    async def client(connection: HttpConnection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        assert not filling.done()
        connection.abort()
        with pytest.raises(ConnectionLost):
            await filling

    with_peer(silent, client)


def test_closing_is_bounded_in_time_where_the_peer_reads_nothing() -> None:
    async def client(connection: HttpConnection) -> None:
        async def fill() -> None:
            while True:
                await connection.send(bytes(MIB))

        filling = asyncio.ensure_future(fill())
        await asyncio.wait([filling], timeout=0.1)
        await connection.close()
        with pytest.raises(ConnectionLost):
            await filling

    with_peer(silent, client, TransportOptions(close_timeout=0.05))


def test_a_cancelled_receive_loses_no_frame() -> None:
    async def send(peer: Peer) -> None:
        for n in range(200):
            await peer.send(frame(TEXT, b"%d" % n), frame(PING))
        await peer.send(frame(CLOSE))
        while (await peer.read())[0] != CLOSE:
            pass

    async def client(connection: HttpConnection) -> None:
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

    with_peer(send, client)


def test_a_receive_cancelled_while_it_answers_a_ping_loses_no_frame() -> None:
    full = asyncio.Event()

    async def send(peer: Peer) -> None:
        await full.wait()
        await peer.send(frame(TEXT, b"a"), *[frame(PING, bytes(120))] * 20, frame(TEXT, b"b"))
        await asyncio.Event().wait()

    async def client(connection: HttpConnection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    await connection.send(bytes(MIB))
        await connection.send(bytes(65_000))  # the next bytes must wait until the peer reads
        full.set()
        for _ in range(2):
            waiting = asyncio.ensure_future(connection.receive())
            await asyncio.wait([waiting], timeout=0.1)
            if waiting.done():
                break
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        else:
            pytest.fail("the frame is gone")
        assert (await waiting)[0] == b"a"

    with_peer(send, client)


# --- connecting ---


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
        import weakref

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
