"""Look-ups of names that hang: they don't pile up, harm nobody else, and are given up in time."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ccrs_core.contract.rest import HttpRequest
from ccrs_core.errors import ConnectFailed
from ccrs_core.transport import names
from ccrs_core.transport.base import Transport, TransportOptions
from ccrs_core.transport.names import dial, look_up
from tests.transport.servers import BOTH, GUARD, Make, Peer, answer, echo, run, serve, websocket

pytestmark = pytest.mark.sockets

HANGING = "hanging.test"
TIME = HttpRequest("GET", "/time")


class NameServer:
    """Answers with the loopback interface, or not at all."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.asked: Counter[str] = Counter()
        self.under_way = self.most = 0
        self.failure: Exception | None = None
        self.hang: Callable[[int], bool] = lambda number: True
        """Whether a look-up hangs, by its number, while the server is down."""
        self._real = socket.getaddrinfo
        self._lock = threading.Lock()

    def getaddrinfo(self, host: Any, *how: Any, **more: Any) -> Any:
        if not str(host).endswith(".test"):
            return self._real(host, *how, **more)
        flags = how[4] if len(how) > 4 else more.get("flags", 0)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        with self._lock:
            self.asked[host] += 1
            number = self.asked[host]
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        if self.hang(number):
            self.up.wait(GUARD)
        with self._lock:
            self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        return self._real("127.0.0.1", *how, **more)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    found = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    monkeypatch.setattr(names, "AGAIN", 0.1)
    yield found
    found.up.set()
    until = time.monotonic() + GUARD
    while names._names and time.monotonic() < until:
        time.sleep(0.01)
    assert not names._names, "nothing is kept of look-ups that are over"


async def everybody_else_is_served() -> None:
    """The executor that everybody uses is free."""
    async with asyncio.timeout(5.0):
        await asyncio.get_running_loop().run_in_executor(None, int)


async def failures(what: list[Awaitable[Any]]) -> list[BaseException]:
    done = await asyncio.gather(*what, return_exceptions=True)
    assert all(isinstance(each, BaseException) for each in done)
    return done


def attempts(transport: Transport, port: int = 1) -> list[Awaitable[Any]]:
    connects = [transport.connect(f"ws://{HANGING}:{port}/") for _ in range(40)]
    return [*connects, *(transport.request(f"http://{HANGING}:{port}", TIME) for _ in range(40))]


@BOTH
@pytest.mark.parametrize("proxy", [None, f"http://{HANGING}:9", f"socks5://{HANGING}:9"])
def test_look_ups_that_hang_are_few_and_given_up_with_a_typed_error(
    make: Make, server: NameServer, proxy: str | None
) -> None:
    if proxy is not None and proxy.startswith("socks"):
        pytest.importorskip("aiohttp_socks")

    async def main() -> None:
        transport = make(TransportOptions(connect_timeout=4.0, proxy=proxy))
        try:
            errors = await failures(attempts(transport))
            assert all(isinstance(error, ConnectFailed) for error in errors)
            told = [f"no address of {HANGING} found within 3.6 s" in str(error) for error in errors]
            assert any(told)
            # Where the machine is so busy that all of the time is over, that is said.
            late = [error for error, looked in zip(errors, told, strict=True) if not looked]
            assert all("no connection within 4 s" in str(error) for error in late)
            assert server.most <= names.MOST
            await everybody_else_is_served()
        finally:
            await transport.aclose()

    run(main)


@BOTH
def test_all_who_want_a_name_share_one_look_up(make: Make, server: NameServer) -> None:
    async def both(peer: Peer) -> None:
        await peer.handshake()
        await echo(peer)

    async def main() -> None:
        async with serve(both) as address:
            first, second = make(), make()
            url = f"ws://{HANGING}:{address.rpartition(':')[2]}/"
            dialling = [
                asyncio.ensure_future(transport.connect(url))
                for transport in (first, second)
                for _ in range(20)
            ]
            await asyncio.sleep(0.05)
            server.up.set()
            await asyncio.gather(*dialling)
            assert server.asked[HANGING] == 1
            await first.aclose()
            await second.aclose()

    run(main)


@BOTH
def test_once_the_name_server_is_back_a_fresh_look_up_finds_the_host(
    make: Make, server: NameServer
) -> None:
    """Those that hang go on hanging."""
    back = threading.Event()
    server.hang = lambda number: not back.is_set()

    async def main() -> None:
        async with websocket(echo) as url:
            transport = make()
            there = url.replace("127.0.0.1", HANGING)
            dialling = asyncio.ensure_future(transport.connect(there))
            await asyncio.sleep(0.5)
            assert not dialling.done()
            back.set()
            began = time.monotonic()
            await dialling
            assert time.monotonic() - began < 2.0
            assert server.under_way > 0
            await transport.aclose()

    run(main)


@BOTH
def test_closing_waits_for_no_look_up(make: Make, server: NameServer) -> None:
    async def main() -> None:
        transport = make()
        trying = [asyncio.ensure_future(each) for each in attempts(transport)]
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await transport.aclose()
        await failures(list(trying))
        assert time.monotonic() - began < 2.0

    run(main)


@pytest.mark.parametrize(
    "transport", ["ccrs_core.transport.http:HttpTransport", "ccrs_picows:PicowsTransport"]
)
def test_a_look_up_that_hangs_does_not_keep_the_process_from_its_end(transport: str) -> None:
    module, _, name = transport.partition(":")
    pytest.importorskip(module)
    program = f"""
import asyncio, socket, time
real = socket.getaddrinfo
def hang(host, *how, **more):
    if host == "{HANGING}" and not (how and how[-1] & socket.AI_NUMERICHOST):
        time.sleep(1000)
    return real(host, *how, **more)
socket.getaddrinfo = hang
from ccrs_core.errors import ConnectFailed
from ccrs_core.transport.base import TransportOptions
from {module} import {name}
async def main():
    transport = {name}(TransportOptions(connect_timeout=0.3))
    try:
        await transport.connect("ws://{HANGING}:1/")
    except ConnectFailed as error:
        print(error)
    await transport.aclose()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=GUARD, check=True
    )
    assert "the name server doesn't answer" in done.stdout
    assert not done.stderr


# --- look-ups ---


async def looked_up(seconds: float = GUARD, host: str = HANGING) -> list[str]:
    return [each[4][0] for each in await look_up(host, 80, seconds=seconds)]


def test_a_look_up_that_fails_fails_for_all_who_wait_for_it(server: NameServer) -> None:
    server.failure = socket.gaierror(socket.EAI_NONAME, "unknown")

    async def main() -> None:
        waiting = [asyncio.ensure_future(looked_up()) for _ in range(5)]
        await asyncio.sleep(0.01)
        server.up.set()
        errors = await failures(list(waiting))
        assert [str(error) for error in errors] == [str(server.failure)] * 5
        assert len({id(error) for error in errors}) == 5

    run(main)


def test_the_failure_of_one_that_hung_is_not_that_of_a_later_one(server: NameServer) -> None:
    first, second = threading.Event(), threading.Event()

    def hang(number: int) -> bool:
        (first if number == 1 else second).wait(GUARD)
        server.failure = socket.gaierror("gone") if number == 1 else None
        return False

    server.hang = hang

    async def main() -> None:
        waiting = asyncio.ensure_future(looked_up())
        while server.asked[HANGING] < 2:  # noqa: ASYNC110 - threads ask
            await asyncio.sleep(0.01)
        first.set()
        await asyncio.sleep(0.05)
        assert not waiting.done()
        second.set()
        assert await waiting == ["127.0.0.1"]

    run(main)


def test_a_hanging_name_keeps_no_other_from_being_found(server: NameServer) -> None:
    server.hang = lambda number: server.asked["other.test"] == 0

    async def main() -> None:
        hanging = [asyncio.ensure_future(looked_up()) for _ in range(50)]
        await asyncio.sleep(0.3)
        assert await looked_up(5.0, "other.test") == ["127.0.0.1"]
        for each in hanging:
            each.cancel()
        await asyncio.wait(hanging)

    run(main)


def test_the_look_ups_of_all_names_together_are_bounded(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MOST_OF_ALL", 7)

    async def main() -> None:
        hosts = [f"host{number}.test" for number in range(30)]
        for error in await failures([looked_up(0.5, host) for host in hosts]):
            assert isinstance(error, ConnectFailed)
        assert server.most == 7

    run(main)


def test_two_loops_share_a_look_up_and_one_that_is_closed_meanwhile_harms_nobody(
    server: NameServer,
) -> None:
    found: list[list[str]] = []
    gone = asyncio.new_event_loop()
    left = gone.create_task(looked_up())
    gone.run_until_complete(asyncio.sleep(0.02))
    thread = threading.Thread(target=lambda: found.append(asyncio.run(looked_up())))
    thread.start()
    time.sleep(0.05)
    left.cancel()
    gone.run_until_complete(asyncio.wait([left]))
    gone.close()
    server.up.set()
    thread.join(GUARD)
    assert found == [["127.0.0.1"]]
    assert server.asked[HANGING] == 1


def test_an_address_needs_no_look_up(server: NameServer) -> None:
    async def main() -> None:
        threads = threading.active_count()
        assert await looked_up(host="127.0.0.1") == ["127.0.0.1"]
        assert await looked_up(host="::1") == ["::1"]
        assert threading.active_count() == threads

    run(main)


def test_a_host_is_dialled_at_its_port_from_the_source_address() -> None:
    async def hello(peer: Peer) -> None:
        await answer(peer, body=peer.address[0].encode())

    async def main() -> None:
        async with serve(hello) as address:
            port = int(address.rpartition(":")[2])
            made = await dial("localhost", port, seconds=5.0, source="127.0.0.2")
            reader, writer = await asyncio.open_connection(sock=made)
            assert (await reader.read()).endswith(b"127.0.0.2")
            writer.close()
            await writer.wait_closed()

    run(main)
