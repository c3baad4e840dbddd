"""HTTP requests, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import (
    ConnectFailed,
    GarbledAnswer,
    TimedOut,
    TransportError,
    UsageError,
)
from ccrs_core.transport.base import TransportOptions
from tests.transport.servers import (
    BOTH,
    MIB,
    Make,
    Peer,
    answer,
    certificates,
    run,
    serve,
    silent,
)

pytestmark = [pytest.mark.sockets, BOTH]

GET = HttpRequest("GET", "/v1/time")


async def head(peer: Peer) -> tuple[str, dict[str, str]]:
    """Request line and headers (names in lower case) of the client's next request."""
    text = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = text.rstrip().split("\r\n")
    pairs = [h.partition(":") for h in rest]
    return line, {name.lower(): value.strip() for name, _, value in pairs}


async def ask(
    make: Make,
    handler: Callable[[Peer], Awaitable[None]],
    request: HttpRequest = GET,
    options: TransportOptions | None = None,
) -> HttpResponse:
    async with serve(handler) as address:
        transport = make(options)
        try:
            return await transport.request(f"http://{address}", request)
        finally:
            await transport.aclose()


def test_a_request_is_sent_as_it_is_and_its_answer_brings_snapshots(make: Make) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            line, headers = await head(peer)
            assert line == "POST /v1/order HTTP/1.1"
            assert headers["x-sign"] == "MAC=="
            assert headers["content-type"] == "application/json"
            assert await peer.reader.readexactly(int(headers["content-length"])) == b'{"a": 1}'
            await answer(peer, "418 Teapot", "X-Limit: 7\r\nContent-Type: a/b\r\n", b"\x00short")

        headers = {"X-SIGN": "MAC==", "Content-Type": "application/json"}
        request = HttpRequest("POST", "/v1/order", headers=headers, body=b'{"a": 1}')
        response = await ask(make, handle, request)
        assert response.status == 418
        assert response.body == b"\x00short"
        assert response.headers["x-limit"] == "7"
        assert all(name == name.lower() for name in response.headers)

    run(main)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1, max_size=5))
def test_the_query_goes_over_the_wire_exactly_as_it_was_signed(
    make: Make,
    query: list[tuple[str, str]],
) -> None:
    request = HttpRequest("GET", "/v1/a%2Fb", tuple(query))

    async def main() -> None:
        async def handle(peer: Peer) -> None:
            line, headers = await head(peer)
            assert line == f"GET /v1/a%2Fb?{request.query_string} HTTP/1.1"
            assert parse_qsl(request.query_string, keep_blank_values=True) == query
            assert "content-length" not in headers
            await answer(peer)

        await ask(make, handle, request)

    run(main)


def test_a_query_that_no_encoding_has_is_a_usage_error(make: Make) -> None:
    async def main() -> None:
        transport = make()
        with pytest.raises(UsageError):
            await transport.request(
                "http://127.0.0.1:9", HttpRequest("GET", "/", (("a", "\ud800"),))
            )
        with pytest.raises(UsageError):
            await transport.request("127.0.0.1:9", GET)
        await transport.aclose()

    run(main)


def test_redirects_are_answers_and_not_followed(make: Make) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            await head(peer)
            await answer(peer, "302 Found", "Location: http://127.0.0.1:9/\r\n")

        response = await ask(make, handle)
        assert response.status == 302

    run(main)


def test_a_compressed_answer_is_unpacked(make: Make) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            assert "gzip" in (await head(peer))[1]["accept-encoding"]
            await answer(peer, "200 OK", "Content-Encoding: gzip\r\n", gzip.compress(b"plain"))

        assert (await ask(make, handle)).body == b"plain"

    run(main)


@pytest.mark.parametrize("deflate", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
def test_a_deflated_answer_is_unpacked_with_and_without_a_header(make: Make, deflate: int) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            await head(peer)
            packing = zlib.compressobj(wbits=deflate)
            body = packing.compress(b"plain") + packing.flush()
            await answer(peer, "200 OK", "Content-Encoding: deflate\r\n", body)

        assert (await ask(make, handle)).body == b"plain"

    run(main)


@pytest.mark.parametrize("missing", [1, 8, 12, 40])
def test_a_compressed_answer_that_is_cut_short_or_damaged_is_no_answer(
    make: Make, missing: int
) -> None:
    async def main() -> None:
        whole = gzip.compress(bytes(range(256)) * 4)

        def sends(body: bytes) -> Callable[[Peer], Awaitable[None]]:
            async def handle(peer: Peer) -> None:
                await head(peer)
                await answer(peer, "200 OK", "Content-Encoding: gzip\r\n", body)

            return handle

        damaged = whole[:20] + bytes(20) + whole[40:]
        for body in (whole[:-missing], damaged):
            with pytest.raises(
                GarbledAnswer, match=r"GET .*/v1/time: the compressed answer"
            ) as told:
                await ask(make, sends(body))
            assert told.value.status == 200
            assert told.value.retryable

    run(main)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_above_the_bound_is_refused_and_one_at_the_bound_is_not(
    make: Make, packed: bool
) -> None:
    async def main() -> None:
        def zeros(size: int) -> Callable[[Peer], Awaitable[None]]:
            async def handle(peer: Peer) -> None:
                await head(peer)
                body = gzip.compress(bytes(size)) if packed else bytes(size)
                await answer(peer, "200 OK", "Content-Encoding: gzip\r\n" * packed, body)

            return handle

        options = TransportOptions(max_frame_bytes=MIB)
        assert (await ask(make, zeros(MIB), GET, options)).body == bytes(MIB)
        for size in (MIB + 1, 256 * MIB if packed else 4 * MIB):
            with pytest.raises(TransportError, match="larger"):
                await ask(make, zeros(size), GET, options)

    run(main)


def test_an_endless_answer_is_refused_at_the_bound(make: Make) -> None:
    async def main() -> None:
        sent = 0

        async def handle(peer: Peer) -> None:
            nonlocal sent
            await head(peer)
            peer.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await peer.send(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent += 65536

        with pytest.raises(TransportError, match="larger"):
            await ask(make, handle, GET, TransportOptions(max_frame_bytes=MIB))
        assert sent < 16 * MIB

    run(main)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_broken_answer_is_a_transport_error_and_nothing_is_sent_twice(
    make: Make, reply: bytes, method: str
) -> None:
    async def main() -> None:
        requests = []

        async def handle(peer: Peer) -> None:
            requests.append(await head(peer))
            await peer.send(reply)

        with pytest.raises(TransportError):
            await ask(make, handle, HttpRequest(method, "/v1/order"))
        assert len(requests) == 1

    run(main)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_a_request_on_a_kept_connection_that_drops_is_not_sent_again(
    make: Make, method: str
) -> None:
    async def main() -> None:
        requests = []

        async def handle(peer: Peer) -> None:
            requests.append((await head(peer))[0])
            await answer(peer)
            requests.append((await head(peer))[0])

        async with serve(handle) as address:
            transport = make()
            await transport.request(f"http://{address}", GET)
            with pytest.raises(TransportError):
                await transport.request(f"http://{address}", HttpRequest(method, "/v1/order"))
            await transport.aclose()
        assert requests == ["GET /v1/time HTTP/1.1", f"{method} /v1/order HTTP/1.1"]

    run(main)


def test_no_answer_in_time_is_timed_out(make: Make) -> None:
    async def main() -> None:
        with pytest.raises(TimedOut, match=r"0\.05 s"):
            await ask(make, silent, GET, TransportOptions(request_timeout=0.05))

    run(main)


def test_a_trickling_answer_is_timed_out_too(make: Make) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            await head(peer)
            peer.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await peer.send(b"1\r\nx\r\n")
                await asyncio.sleep(0)

        with pytest.raises(TimedOut):
            await ask(make, handle, GET, TransportOptions(request_timeout=0.1))

    run(main)


def test_where_nobody_listens_the_request_was_not_sent(make: Make) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            transport = make()
            with pytest.raises(ConnectFailed):
                await transport.request(f"http://127.0.0.1:{unused.getsockname()[1]}", GET)
            with pytest.raises(ConnectFailed):
                await transport.request("http://no-such-name.invalid", GET)
            await transport.aclose()

    run(main)


def test_a_custom_ssl_context_is_used_and_the_default_one_verifies(make: Make) -> None:
    async def main() -> None:
        server, client = certificates()

        async def handle(peer: Peer) -> None:
            await head(peer)
            await answer(peer, body=b"secret")

        async with serve(handle, tls=server) as address:
            trusting = make(TransportOptions(ssl=client))
            assert (await trusting.request(f"https://{address}", GET)).body == b"secret"
            await trusting.aclose()
            strict = make()
            with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
                await strict.request(f"https://{address}", GET)
            await strict.aclose()

    run(main)


def test_the_source_address_is_honoured(make: Make) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def handle(peer: Peer) -> None:
            seen.append(peer.address[0])
            await head(peer)
            await answer(peer)

        await ask(make, handle, GET, TransportOptions(source_address="127.0.0.2"))
        assert seen == ["127.0.0.2"]

    run(main)


def test_cookies_and_proxies_of_the_environment_are_ignored(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def main() -> None:
        cookies = []

        async def handle(peer: Peer) -> None:
            for _ in range(2):
                cookies.append((await head(peer))[1].get("cookie"))
                await answer(peer, headers="Set-Cookie: track=me\r\n")

        async with serve(handle) as address:
            transport = make()
            await transport.request(f"http://{address}", GET)
            await transport.request(f"http://{address}", GET)
            await transport.aclose()
        assert cookies == [None, None]

    run(main)


@pytest.mark.parametrize("rounds", range(8))
def test_a_cancelled_request_leaves_nothing_behind(make: Make, rounds: int) -> None:
    async def main() -> None:
        async with serve(silent) as address:
            transport = make()
            request = HttpRequest("POST", "/", body=bytes(100_000))
            asking = asyncio.ensure_future(transport.request(f"http://{address}", request))
            for _ in range(rounds):
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await transport.aclose()

    run(main)


def test_closing_the_transport_ends_a_request_that_waits(make: Make) -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def handle(peer: Peer) -> None:
            await head(peer)
            arrived.set()
            await peer.reader.read()

        async with serve(handle) as address:
            transport = make()
            asking = asyncio.ensure_future(transport.request(f"http://{address}", GET))
            await arrived.wait()
            await transport.aclose()
            with pytest.raises(TransportError):
                await asking
            with pytest.raises(TransportError):
                await transport.request(f"http://{address}", GET)

    run(main)


def test_messages_show_no_query(make: Make) -> None:
    async def main() -> None:
        async def handle(peer: Peer) -> None:
            await head(peer)

        request = HttpRequest("GET", "/v1/x", (("signature", "hunter2"),))
        with pytest.raises(TransportError) as failed:
            await ask(make, handle, request)
        assert "GET http://127.0.0.1" in str(failed.value)
        assert "/v1/x" in str(failed.value)
        error: BaseException | None = failed.value
        while error is not None:
            assert "hunter2" not in repr(error) + str(error)
            error = error.__cause__ or error.__context__

    run(main)
