"""Of a request that fails: whether any of it can have left, on real sockets of the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from ccrs_core.contract.rest import HttpRequest
from ccrs_core.errors import ConnectFailed, TimedOut, TransportError
from ccrs_core.transport import http
from ccrs_core.transport.base import TransportOptions
from tests.transport.servers import BOTH, Make, Peer, answer, certificates, run, serve, silent

pytestmark = [pytest.mark.sockets, BOTH]

ORDER = HttpRequest("POST", "/v1/order", body=b'{"side":"buy"}')
LARGE = HttpRequest("POST", "/v1/order", body=bytes(1_000_000))


async def request_of(peer: Peer) -> bytes:
    """The client's next request, with its body."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return head + await peer.reader.readexactly(length)


async def failure(
    make: Make,
    handler: Callable[[Peer], Awaitable[None]],
    request: HttpRequest = ORDER,
    options: TransportOptions | None = None,
) -> TransportError:
    async with serve(handler) as address:
        transport = make(options)
        try:
            with pytest.raises(TransportError) as failed:
                await transport.request(f"http://{address}", request)
            return failed.value
        finally:
            await transport.aclose()


def test_where_no_connection_comes_about_nothing_was_sent(make: Make) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            transport = make()
            for host in (f"127.0.0.1:{unused.getsockname()[1]}", "no-such-name.invalid"):
                with pytest.raises(ConnectFailed) as failed:
                    await transport.request(f"http://{host}", ORDER)
                assert failed.value.nothing_sent
            await transport.aclose()
            with pytest.raises(TransportError) as closed:
                await transport.request("http://127.0.0.1:9", ORDER)
            assert closed.value.nothing_sent

    run(main)


def test_where_the_server_is_not_who_it_should_be_nothing_was_sent(make: Make) -> None:
    async def main() -> None:
        tls, _ = certificates()
        async with serve(silent, tls=tls) as address:
            transport = make()
            with pytest.raises(ConnectFailed) as failed:
                await transport.request(f"https://{address}", ORDER)
            await transport.aclose()
        assert failed.value.nothing_sent

    run(main)


def test_time_that_is_over_while_connecting_sent_nothing(make: Make) -> None:
    async def main() -> None:
        _, trusting = certificates()
        # It takes the connection, and never answers the handshake of TLS.
        async with serve(silent) as address:
            transport = make(TransportOptions(request_timeout=0.05, ssl=trusting))
            with pytest.raises(TimedOut) as failed:
                await transport.request(f"https://{address}", ORDER)
            await transport.aclose()
        assert failed.value.nothing_sent

    run(main)


@pytest.mark.parametrize("request_", [ORDER, LARGE], ids=["small", "large"])
def test_time_that_is_over_afterwards_may_have_sent_it(make: Make, request_: HttpRequest) -> None:
    async def main() -> None:
        options = TransportOptions(request_timeout=0.05)
        failed = await failure(make, silent, request_, options)
        assert isinstance(failed, TimedOut)
        assert not failed.nothing_sent

    run(main)


async def _reset_at_once(peer: Peer) -> None:
    await peer.reader.readexactly(1)
    peer.reset()


async def _reset_when_read(peer: Peer) -> None:
    await request_of(peer)
    peer.reset()


async def _hang_up_when_read(peer: Peer) -> None:
    await request_of(peer)


async def _half_an_answer(peer: Peer) -> None:
    await request_of(peer)
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


async def _no_http(peer: Peer) -> None:
    await request_of(peer)
    await peer.send(b"ready\r\n\r\n")


async def _damaged(peer: Peer) -> None:
    await request_of(peer)
    await answer(peer, "200 OK", "Content-Encoding: gzip\r\n", b"no gzip")


@pytest.mark.parametrize(
    "handler",
    [_reset_at_once, _reset_when_read, _hang_up_when_read, _half_an_answer, _no_http, _damaged],
)
@pytest.mark.parametrize("request_", [ORDER, LARGE], ids=["small", "large"])
def test_what_fails_once_a_byte_may_have_left_says_so(
    make: Make, handler: Callable[[Peer], Awaitable[None]], request_: HttpRequest
) -> None:
    async def main() -> None:
        assert not (await failure(make, handler, request_)).nothing_sent

    run(main)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_kept_connection_that_ends_as_it_is_used_again_may_have_sent_it_and_once_at_most(
    make: Make, method: str, reset: bool
) -> None:
    async def main() -> None:
        arrived: list[bytes] = []

        async def handle(peer: Peer) -> None:
            while True:
                arrived.append(await peer.reader.readuntil(b"\r\n\r\n"))
                if len(arrived) % 2 == 0:
                    if reset:
                        peer.reset()
                    return
                await answer(peer)

        async with serve(handle) as address:
            transport = make()
            url = f"http://{address}"
            for _ in range(3):
                await transport.request(url, HttpRequest("GET", "/v1/time"))
                with pytest.raises(TransportError) as failed:
                    await transport.request(url, HttpRequest(method, "/v1/order"))
                assert not failed.value.nothing_sent
            await transport.aclose()
        assert len(arrived) == 6

    run(main)


def test_a_kept_connection_that_ended_while_it_was_idle_is_not_used_again(make: Make) -> None:
    async def main() -> None:
        gone = asyncio.Event()
        arrived: list[bytes] = []

        async def handle(peer: Peer) -> None:
            arrived.append(await peer.reader.readuntil(b"\r\n\r\n"))
            await answer(peer)
            gone.set()

        async with serve(handle) as address:
            transport = make()
            for _ in range(3):
                gone.clear()
                found = await transport.request(f"http://{address}", HttpRequest("POST", "/v1/x"))
                assert found.status == 200
                await gone.wait()
                for _ in range(10):  # until the news of its end is here
                    await asyncio.sleep(0)
            await transport.aclose()
        assert len(arrived) == 3

    run(main)


def test_where_requests_leave_unseen_none_is_known_not_to_have_left(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers_once(peer: Peer) -> None:
        await request_of(peer)
        await answer(peer, body=b"{}")
        await request_of(peer)

    async def main() -> None:
        # As if aiohttp sent by another method.
        monkeypatch.setattr(http._Request, "departed", False)
        monkeypatch.setattr(http._Request, "send", aiohttp.ClientRequest.send)
        async with serve(answers_once) as address:
            transport = make()
            await transport.request(f"http://{address}", ORDER)
            with pytest.raises(TransportError) as failed:
                await transport.request(f"http://{address}", ORDER)
            await transport.aclose()
        assert not failed.value.nothing_sent

    run(main)
