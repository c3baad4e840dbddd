"""A loop that was blocked reads what waits in its sockets before it judges: on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar

import orjson
import pytest

import ccrs_core
from ccrs_core import (
    Codec,
    ConnectionLost,
    Gap,
    Heartbeat,
    HttpRequest,
    Options,
    Patience,
    Stale,
    Subscription,
    top_of_book,
    trades,
)
from ccrs_core.contract.exchange import Route
from ccrs_core.transport.base import TransportOptions
from tests.toy import Toy, ToyCodec, instrument
from tests.transport.servers import BOTH, GUARD, TEXT, Make, Peer, answer, frame, run, serve

pytestmark = pytest.mark.sockets

BLOCKED = 1.5
"""Seconds; longer than everything that Hasty waits for."""


class HastyCodec(ToyCodec):
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=0.5, timeout=0.4)


class Hasty(Toy):
    """The toy exchange, of which everything is dead within a second."""

    def codec(self, route: Route) -> Codec:
        return HastyCodec()

    def max_silence(self, subscription: Subscription) -> float | None:
        return 0.5


OPTIONS = Options(patience=Patience(ack=0.6, first=0.8))


def block(seconds: float) -> None:
    """Somebody computes, in the loop."""
    time.sleep(seconds)


@contextlib.contextmanager
def elsewhere(handler: Callable[[Peer], Awaitable[None]]) -> Iterator[str]:
    """Serve with another loop, on a thread of its own, so that it goes on while ours is blocked;
    yields ``host:port``."""
    address: list[str] = []
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with serve(handler) as found:
            address.append(found)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        assert ready.wait(GUARD)
        yield address[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(GUARD)
        loop.close()


class Market:
    """Tells each of many topics its newest price, over and over."""

    def __init__(self, every: float = 0.02) -> None:
        self.every = every
        self.connects = self.number = 0
        self.padding = ""

    async def __call__(self, peer: Peer) -> None:
        await peer.handshake()
        self.connects += 1
        topics: list[str] = []
        telling = asyncio.ensure_future(self._tell(peer, topics))
        try:
            while True:
                opcode, payload = await peer.read()
                if opcode != TEXT:
                    continue
                message = orjson.loads(payload)
                topics += message.get("sub", ())
                answer = {"pong": 1} if "ping" in message else {"ok": message["id"]}
                await peer.send(frame(TEXT, orjson.dumps(answer)))
        finally:
            telling.cancel()

    async def _tell(self, peer: Peer, topics: list[str]) -> None:
        while True:
            self.number += 1
            for topic in list(topics):
                what = {"t": topic, "n": self.number, "ids": [str(self.number)]}
                what |= {"q": ["1.1", "1.2"], "padding": self.padding}
                await peer.send(frame(TEXT, orjson.dumps(what)))
            await asyncio.sleep(self.every)


@BOTH
@pytest.mark.parametrize("padding", [0, 60_000])
def test_a_connection_is_alive_whose_data_waited_while_the_loop_was_blocked(
    make: Make, padding: int
) -> None:
    """With large frames the socket's buffers are full, and what waits takes many reads."""
    market = Market()
    market.padding = "x" * padding
    symbols = [f"{native}/USD" for native in ("BTC", "ETH", "SOL", "XRP")]

    async def main() -> None:
        client = ccrs_core.connect(
            Hasty(),
            base_url=f"http://{address}",
            transport=make(),
            options=OPTIONS,
            instruments=[instrument(symbol.partition("/")[0]) for symbol in symbols],
        )
        wishes = [make(symbol) for make in (top_of_book, trades) for symbol in symbols]
        async with client, client.subscribe(*wishes) as feed:
            await feed.ready()
            events, blocked, until = [], False, time.monotonic() + 0.3
            async for event in feed:
                events.append(event)
                if time.monotonic() > until:
                    if blocked:
                        break
                    block(BLOCKED)
                    blocked, until = True, time.monotonic() + 2.0
            assert not [event for event in events if isinstance(event, Gap | Stale)]
            assert client.status().reconnects == 0
            assert market.connects == 1

    with elsewhere(market) as address:
        run(main)


@BOTH
def test_a_peer_that_closed_while_the_loop_was_blocked_is_found_at_once(make: Make) -> None:
    async def leave(peer: Peer) -> None:
        await peer.handshake()
        await peer.send(frame(TEXT, b"last"))
        await asyncio.sleep(0.1)

    async def main() -> None:
        transport = make()
        connection = await transport.connect(f"ws://{address}/")
        block(0.5)
        began = time.monotonic()
        assert list(await connection.receive()) == [b"last"]
        with pytest.raises(ConnectionLost):
            await connection.receive()
        assert time.monotonic() - began < 1.0
        await transport.aclose()

    with elsewhere(leave) as address:
        run(main)


@BOTH
def test_an_answer_that_waited_while_the_loop_was_blocked_is_no_timeout(make: Make) -> None:
    async def slow(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        await answer(peer, body=b"here")

    async def main() -> None:
        transport = make(TransportOptions(request_timeout=0.5))
        asked = asyncio.ensure_future(
            transport.request(f"http://{address}", HttpRequest("GET", "/"))
        )
        await asyncio.sleep(0.1)
        block(BLOCKED)
        assert (await asked).body == b"here"
        await transport.aclose()

    with elsewhere(slow) as address:
        run(main)


@BOTH
def test_a_handshake_that_was_answered_while_the_loop_was_blocked_is_a_connection(
    make: Make,
) -> None:
    async def slow(peer: Peer) -> None:
        await asyncio.sleep(0.2)
        await peer.handshake()
        await peer.read()

    async def main() -> None:
        transport = make(TransportOptions(connect_timeout=0.5))
        dialling = asyncio.ensure_future(transport.connect(f"ws://{address}/"))
        await asyncio.sleep(0.1)
        block(BLOCKED)
        await dialling
        await transport.aclose()

    with elsewhere(slow) as address:
        run(main)
