"""The emulator behind real sockets: faults, slow readers, TLS, a thousand connections, the end."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from unittest import mock

import aiohttp
import pytest

from ccrs_core import ConnectFailed, ConnectionLost, TransportError, UsageError
from ccrs_core.contract.rest import HttpRequest
from ccrs_core.emulator import EmulatedExchange, EmulatorServer, Handshake, HttpRefusal, Visitor
from ccrs_core.transport.base import Connection, TransportOptions
from ccrs_core.transport.http import HttpTransport
from tests.emulator.plain import START_NS, PlainDialect, PlainVisitor
from tests.transport.servers import BOTH, Make

pytestmark = pytest.mark.sockets

TOPIC = "book.AB"


@asynccontextmanager
async def running(
    *faults: str,
    options: TransportOptions | None = None,
    exchange: EmulatedExchange | None = None,
    rate: float = 50.0,
    tls: bool = False,
    max_backlog: int = 8 * 1024 * 1024,
) -> AsyncIterator[tuple[EmulatorServer, HttpTransport]]:
    async with EmulatorServer(
        exchange or PlainDialect(), faults=faults, rate=rate, tls=tls, max_backlog=max_backlog
    ) as server:
        options = options or TransportOptions(ssl=server.ssl_context)
        transport = HttpTransport(options)
        try:
            yield server, transport
        finally:
            await transport.aclose()


async def heard(connection: Connection, count: int, seconds: float = 5) -> list[str]:
    frames: list[str] = []
    async with asyncio.timeout(seconds):
        while len(frames) < count:
            frames.extend(frame.decode() for frame in await connection.receive())
    return frames


async def end_of(connection: Connection) -> ConnectionLost:
    async with asyncio.timeout(60):
        try:
            while True:
                await connection.receive()
        except ConnectionLost as lost:
            return lost


async def quiet(connection: Connection) -> bool:
    """Whether a connection says nothing any more, after what was under way."""
    try:
        async with asyncio.timeout(0.2):
            while True:
                await connection.receive()
    except TimeoutError:
        return True


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the server's side has no event to wait for
            await asyncio.sleep(0.005)


def test_streams_and_requests_share_one_port() -> None:
    async def main() -> None:
        async with running() as (server, transport):
            before_ns = time.time_ns()
            answer = await transport.request(server.url, HttpRequest("GET", "/anything"))
            assert answer.status == 200
            assert abs(int(answer.body) - before_ns) < 2_000_000_000
            connection = await transport.connect(f"{server.ws_url}/ws")
            await connection.send(f"+{TOPIC}")
            frames = await heard(connection, 10)
            assert frames[0] == f"ok +{TOPIC}"
            numbers = [int(frame.split()[1]) for frame in frames[1:]]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert server.connections == 1
            with pytest.raises(ConnectFailed) as caught:
                await transport.connect(f"{server.ws_url}/nowhere")
            assert caught.value.status == 404

    asyncio.run(main())


def test_everybody_gets_the_same_bytes() -> None:
    async def main() -> None:
        async with running() as (server, transport):
            connections = [await transport.connect(f"{server.ws_url}/ws") for _ in range(5)]
            for connection in connections:
                await connection.send(f"+{TOPIC}")
            books = []
            for connection in connections:
                frames = (await heard(connection, 40))[1:]
                books.append({f.split()[1]: f for f in frames if " more " in f})
            shared = set.intersection(*(set(book) for book in books))
            assert len(shared) > 20
            for number in shared:
                assert len({book[number] for book in books}) == 1

    asyncio.run(main())


def test_frames_are_compressed_for_those_who_ask() -> None:
    async def main() -> None:
        options = TransportOptions(compression=True)
        async with running(options=options) as (server, transport):
            plain = HttpTransport()
            connections = [await each.connect(f"{server.ws_url}/ws") for each in (transport, plain)]
            for connection in connections:
                await connection.send(f"+{TOPIC}")
            compressed, other = [await heard(connection, 30) for connection in connections]
            assert len(set(compressed) & set(other)) > 10
            assert min(link.window for link in server._links.values()) == 0
            assert len({link.window for link in server._links.values()}) == 2
            await plain.aclose()

    asyncio.run(main())


def test_a_frame_of_any_length_arrives_whole() -> None:
    async def main() -> None:
        async with running() as (server, transport):
            from ccrs_core.emulator import Frame

            connection = await transport.connect(f"{server.ws_url}/ws")
            await eventually(lambda: server.connections == 1)
            [peer] = server.venue.peers
            for size in (0, 1, 125, 126, 65535, 65536, 200_000):
                peer.put(Frame(b"x" * size))
                peer.put(Frame(b"\xff" * size, text=False))
            server._flush()
            frames: list[bytes] = []
            async with asyncio.timeout(60):
                while len(frames) < 14:
                    frames.extend(await connection.receive())
            sizes = [0, 0, 1, 1, 125, 125, 126, 126, 65535, 65535, 65536, 65536, 200_000, 200_000]
            assert [len(frame) for frame in frames] == sizes

    asyncio.run(main())


def test_tls_is_trusted_by_the_context_that_comes_with_it() -> None:
    async def main() -> None:
        async with running(tls=True) as (server, transport):
            assert server.url.startswith("https://")
            assert server.ws_url.startswith("wss://")
            answer = await transport.request(server.url, HttpRequest("GET", "/"))
            assert answer.status == 200
            connection = await transport.connect(f"{server.ws_url}/ws")
            await connection.send(f"+{TOPIC}")
            assert len(await heard(connection, 5)) >= 5
            stranger = HttpTransport()
            with pytest.raises(ConnectFailed):
                await stranger.connect(f"{server.ws_url}/ws")
            await stranger.aclose()

    asyncio.run(main())


def test_tls_without_its_extra_says_what_to_install() -> None:
    with (
        mock.patch.dict(sys.modules, {"trustme": None}),
        pytest.raises(UsageError, match=r"ccrs-core\[tls\]"),
    ):
        EmulatorServer(PlainDialect(), tls=True)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async def main() -> None:
        async with running() as (server, _):
            port = int(server.url.rpartition(":")[2])
            with pytest.raises(UsageError, match=str(port)):
                async with EmulatorServer(PlainDialect(), port=port):
                    pass

    asyncio.run(main())


def test_refusals_drops_and_closes_reach_the_socket() -> None:
    async def main() -> None:
        async with running() as (server, transport):
            url = f"{server.ws_url}/ws"
            faults = server.venue.faults
            faults.add("refuse,status=503,count=1")
            with pytest.raises(ConnectFailed) as caught:
                await transport.connect(url)
            assert caught.value.status == 503
            faults.add("refuse,count=1")
            with pytest.raises(ConnectFailed) as caught:
                await transport.connect(url)
            assert caught.value.status is None
            faults.clear()
            for fault, code in (("drop", None), ("close,code=1013,reason=later", 1013)):
                connection = await transport.connect(url)
                await connection.send(f"+{TOPIC}")
                await heard(connection, 2)
                faults.add(fault)
                lost = await end_of(connection)
                assert lost.code in {code, 1006 if code is None else code}
                faults.clear()
            await eventually(lambda: server.connections == 0)
            faults.add("http,status=429")
            answer = await transport.request(server.url, HttpRequest("GET", "/"))
            assert answer.status == 429

    asyncio.run(main())


def test_a_half_open_connection_does_not_stall_the_others() -> None:
    async def main() -> None:
        async with running() as (server, transport):
            stuck, other = [await transport.connect(f"{server.ws_url}/ws") for _ in range(2)]
            for connection in (stuck, other):
                await connection.send(f"+{TOPIC}")
                await heard(connection, 2)
            server.venue.faults.add("half_open,target=1")
            await heard(other, 20)
            assert await quiet(stuck)
            await stuck.send("?")
            assert server.connections == 2

    asyncio.run(main())


def test_a_slow_handshake_is_slow_on_a_socket_too() -> None:
    async def main() -> None:
        options = TransportOptions(connect_timeout=0.1)
        async with running("slow_handshake,seconds=30", options=options) as (server, transport):
            with pytest.raises(ConnectFailed):
                await transport.connect(f"{server.ws_url}/ws")
            await eventually(lambda: not server.venue.peers)

    asyncio.run(main())


def test_a_reader_that_is_too_slow_is_cut_off() -> None:
    async def main() -> None:
        async with running(rate=2000.0, max_backlog=20_000) as (server, transport):
            url = server.ws_url.removeprefix("ws://")
            host, _, port = url.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            swift = await transport.connect(f"{server.ws_url}/ws")
            await swift.send(f"+{TOPIC}")
            masked = bytes(a ^ b for a, b in zip(f"+{TOPIC}".encode(), b"mask" * 2, strict=True))
            writer.write(bytes((0x81, 0x88)) + b"mask" + masked)
            await eventually(lambda: server.connections == 2)
            from ccrs_core.emulator import Frame

            slow = next(iter(server.venue.peers))
            bulk = Frame(b"x" * 500_000)
            for _ in range(40):  # more than the kernel's own buffers hold
                slow.put(bulk)
            server._flush()
            await eventually(lambda: server.connections == 1)
            await heard(swift, 5)
            writer.close()

    asyncio.run(main())


def test_a_thousand_connections_open_and_close_cleanly() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2_500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))

    async def main() -> None:
        async with running() as (server, transport):
            connections: list[Connection] = []
            for _ in range(20):
                connections += await asyncio.gather(
                    *(transport.connect(f"{server.ws_url}/ws") for _ in range(50))
                )
            assert server.connections == 1000
            for connection in connections:
                await connection.send("?")
            for connection in connections:
                assert await heard(connection, 1) == ["!"]
            started = time.monotonic()
        assert time.monotonic() - started < 5

    try:
        asyncio.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_end_is_quick_whatever_the_clients_do() -> None:
    async def main() -> None:
        transport = HttpTransport()
        async with EmulatorServer(PlainDialect()) as server:
            url = f"{server.ws_url}/ws"
            idle, stuck, fed = [await transport.connect(url) for _ in range(3)]
            server.venue.faults.add("half_open,target=2")
            server._flush()
            await fed.send(f"+{TOPIC}")
            await heard(fed, 2)
            started = time.monotonic()
        assert time.monotonic() - started < 4
        for connection in (idle, stuck, fed):
            await end_of(connection)
        with pytest.raises(TransportError):
            await transport.connect(url)
        await transport.aclose()

    asyncio.run(main())


def test_an_exchange_of_ones_own_keeps_its_time() -> None:
    async def main() -> None:
        venue = EmulatedExchange(PlainDialect(), start_ns=START_NS)
        async with running(exchange=venue) as (server, transport):
            answer = await transport.request(server.url, HttpRequest("GET", "/"))
            assert 0 <= int(answer.body) - START_NS < 5_000_000_000
            assert server.venue is venue

    asyncio.run(main())


class Pinging(PlainVisitor):
    ping_interval = 0.05
    pong_timeout = 0.4
    pings = 0

    def heartbeat(self, now_ns: int) -> None:
        type(self).pings += 1


class PingingDialect(PlainDialect):
    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        return Pinging(self)


@BOTH
def test_our_transports_answer_the_exchanges_pings(make: Make) -> None:
    async def main() -> None:
        async with EmulatorServer(PingingDialect()) as server:
            transport = make()
            connection = await transport.connect(f"{server.ws_url}/ws")
            answer = asyncio.create_task(heard(connection, 1, 10))  # whoever reads answers pings
            Pinging.pings = 0
            await eventually(lambda: Pinging.pings > 20)  # far beyond the timeout
            await connection.send("?")
            assert await answer == ["!"]
            assert server.connections == 1
            await transport.aclose()

    asyncio.run(main())


@BOTH
def test_the_emulator_answers_pings(make: Make) -> None:
    async def main() -> None:
        async with EmulatorServer(PlainDialect()) as server:
            transport = make()
            connection = await transport.connect(f"{server.ws_url}/ws")
            answer = asyncio.create_task(heard(connection, 1))
            before = connection.last_heard
            await connection.ping()
            await eventually(lambda: connection.last_heard > before)
            await connection.send("?")
            assert await answer == ["!"]
            await transport.aclose()

    asyncio.run(main())


def test_who_never_answers_pings_is_closed() -> None:
    async def main() -> None:
        async with (
            EmulatorServer(PingingDialect()) as server,
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{server.ws_url}/ws", autoping=False) as socket,
            asyncio.timeout(60),
        ):
            heard = [message async for message in socket]
            assert {message.type for message in heard} == {aiohttp.WSMsgType.PING}
            assert len(heard) >= 8
            assert socket.close_code == 1008

    asyncio.run(main())


def test_importing_the_emulator_brings_no_aiohttp() -> None:
    code = (
        "import sys, ccrs_core.emulator as e; e.EmulatedExchange; e.EmulatorTransport; "
        "e.Fault; sys.exit('aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
