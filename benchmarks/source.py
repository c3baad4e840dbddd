"""The frame source: a small server of an exchange's REST and streams on one loopback port.

It runs in a process of its own (``python -m benchmarks.source``), is told what to do by lines of
JSON on standard input and answers each with one on standard output; it ends with its standard
input, so it can't outlive whoever started it. Bursts are encoded beforehand and written in blocks
of many frames, so that sending costs the kernel's copy and hardly more.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import attrs

from benchmarks.exchanges import NAMES, wire
from benchmarks.exchanges.wire import Topic
from benchmarks.frames import END, STAMP_MODULUS, Bursts, Frames, Interleaved, server_frame
from benchmarks.measure import pin, raise_file_limit

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LINGER = 120.0
"""Seconds after which a run's sending stops, whatever its client does."""


@attrs.frozen(kw_only=True)
class Order:
    """What the source is to do next.

    ``burst``: once ``connections`` have subscribed, send ``count`` frames to each of them, blocks
    of ``block`` frames to one after the other, as fast as they are taken, or ``rate`` frames per
    second where there is a rate. ``paced``: the same, one frame every 1/``rate`` seconds, stamped
    with the time. ``spread``: to every topic one frame at once and then its share of ``rate``,
    which is that of all ``connections`` together; each topic's frames are numbered by their stamps.

    Of bursts with several ``topics`` each connection subscribes to so many, whose frames take turns
    and are numbered together.

    Where the rest is ``held_back``, just the first frame is sent until someone asks for the book.
    """

    mode: Literal["burst", "paced", "spread"]
    channel: str
    exchange: str = NAMES[0]
    count: int = 0
    rate: float = 0.0
    connections: int = 1
    topics: int = 1
    instruments: int = 1
    block: int = Bursts.BLOCK
    held_back: bool = False


class Peer(asyncio.Protocol):
    """One connection: HTTP requests until it upgrades, WebSocket frames from then on."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._topics: list[Topic] = []
        self._target = ""
        self.can_write = asyncio.Event()
        self.can_write.set()
        self.transport: asyncio.Transport
        self._buffer = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.can_write.set()
        self.source.left(self)

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            self._requests()
        if self._upgraded:
            while (parsed := client_frame(self._buffer)) is not None:
                opcode, payload, used = parsed
                self._buffer = self._buffer[used:]
                self._frame(opcode, payload)

    def send(self, text: str) -> None:
        self.transport.write(server_frame(text.encode()))

    def _requests(self) -> None:
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._request(head.decode("latin-1"))
            if self._upgraded:
                return

    def _request(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        target = first.split(" ")[1]
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if "sec-websocket-key" in headers:
            digest = hashlib.sha1(headers["sec-websocket-key"].encode() + _ACCEPT).digest()
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + base64.b64encode(digest)
            )
            self.transport.write(b"\r\n\r\n")
            self._upgraded = True
            self._target = target
            self._subscribe(self.source.wire.opened(target))
            return
        answer = self.source.answer(target)
        status = b"404 Not Found" if answer is None else b"200 OK"
        body = json.dumps({} if answer is None else answer).encode()
        self.transport.write(
            b"HTTP/1.1 "
            + status
            + b"\r\nContent-Type: application/json\r\nContent-Length: "
            + str(len(body)).encode()
            + b"\r\n\r\n"
            + body
        )

    def _frame(self, opcode: int, payload: bytes) -> None:
        match opcode:
            case 1:
                heard = self.source.wire.heard(
                    self._target, payload.decode(), self.source.order.channel
                )
                for reply in heard.replies:
                    self.send(reply)
                self._subscribe(heard.topics)
            case 8:
                self.transport.write(server_frame(payload, 8))
                self.transport.close()
            case 9:
                self.transport.write(server_frame(payload, 10))

    def _subscribe(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            if topic not in self._topics and topic[0] == self.source.order.channel:
                self._topics.append(topic)
                self.source.subscribed(self, topic)


def first_frame(block: bytes) -> bytes:
    """The first of a server's frames, header and all."""
    size, start = block[1], 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(block[2:start], "big")
    return block[: start + size]


def client_frame(data: bytes) -> tuple[int, bytes, int] | None:
    """The first frame of a client in ``data``: opcode, payload and size on the wire, if whole."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    end = start + 4 + size
    if len(data) < end:
        return None
    mask = data[start : start + 4] * (size // 4 + 1)
    payload = bytes(a ^ b for a, b in zip(data[start + 4 : end], mask, strict=False))
    return data[0] & 0x0F, payload, end


@attrs.define
class Numbered:
    """One topic's frames, stamped 1, 2, 3 …"""

    frames: Frames
    count: int = 0

    def __call__(self, now_ms: int) -> str:
        self.count += 1
        return self.frames(now_ms, self.count)


class Source:
    """Serves one run at a time, as the last order says."""

    def __init__(self) -> None:
        self.order = Order(mode="spread", channel="")
        self.wire = wire(self.order.exchange)
        self._peers: list[tuple[Peer, Topic]] = []
        self._task: asyncio.Task[None] | None = None
        self._bursts: dict[tuple[str, int, int], Bursts] = {}
        self._blocks: list[bytes] = []
        self._numbered: dict[Topic, Numbered] = {}
        self._asked = asyncio.Event()
        """Whether somebody asked for the book."""

    def begin(self, order: Order) -> None:
        """Forget the run before and wait for the next one's subscriptions."""
        self.end()
        if order.exchange != self.order.exchange:
            self._bursts = {}  # some hundred megabytes
        self.order, self.wire = order, wire(order.exchange)
        self._asked.clear()
        if order.mode == "burst":
            key = order.channel, order.block, order.topics
            if key not in self._bursts:
                # Of many topics none but the last ones are kept, or it would be gigabytes.
                kept = {k: bursts for k, bursts in self._bursts.items() if k[2] == 1}
                now_ms = time.time_ns() // 1_000_000
                self._bursts = kept | {key: Bursts(self._all(), now_ms, block=order.block)}
            self._blocks = self._bursts[key].blocks(order.count)

    def end(self) -> None:
        """Stop sending and drop every connection."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._numbered = {}
        peers, self._peers = self._peers, []
        for peer, _ in peers:
            peer.transport.abort()

    def subscribed(self, peer: Peer, topic: Topic) -> None:
        self._peers.append((peer, topic))
        match self.order.mode:
            case "spread":
                peer.send(self._next(topic, time.time_ns() // 1_000_000))
                if self._task is None:
                    self._task = asyncio.create_task(self._spread())
            case "burst" if len(self._peers) == self.order.connections * self.order.topics:
                self._task = asyncio.create_task(self._burst())
            case "paced" if len(self._peers) == self.order.connections:
                self._task = asyncio.create_task(self._paced())

    def left(self, peer: Peer) -> None:
        self._peers = [entry for entry in self._peers if entry[0] is not peer]

    async def _burst(self) -> None:
        moments = ticks(self.order.rate / self.order.block) if self.order.rate else None
        blocks = iter(self._blocks)
        if self.order.held_back:
            block = next(blocks)
            first = first_frame(block)
            for peer in self._connected():
                peer.transport.write(first)
            await self._asked.wait()
            blocks = itertools.chain([block[len(first) :]], blocks)
        for block in blocks:
            if moments is not None:
                await until(next(moments))
            for peer in self._connected():
                await peer.can_write.wait()
                peer.transport.write(block)

    def _connected(self) -> Sequence[Peer]:
        """Each that has subscribed to anything, once."""
        return tuple(dict.fromkeys(peer for peer, _ in self._peers))

    async def _paced(self) -> None:
        make, last = self._frames(), self.order.count - 1
        sent = 0

        def send(now: int) -> None:
            stamp = END if sent == last else time.monotonic_ns() % STAMP_MODULUS
            frame = server_frame(make(now, stamp).encode())
            for peer, _ in tuple(self._peers):
                peer.transport.write(frame)

        if self.order.held_back:
            send(time.time_ns() // 1_000_000)
            sent = 1
            await self._asked.wait()
        for number in ticks(self.order.rate):
            now = await until(number)
            if sent > last:
                break
            send(now)
            sent += 1

    async def _spread(self) -> None:
        slots = self.order.connections
        deadline = time.monotonic() + _LINGER
        for number in ticks(self.order.rate):
            now = await until(number)
            if not self._peers or time.monotonic() > deadline:
                return
            # Who isn't there yet is passed over: the first ones aren't sent the others' share.
            if (slot := number.index % slots) < len(self._peers):
                peer, topic = self._peers[slot]
                peer.send(self._next(topic, now))

    def _all(self) -> Frames:
        """Those of all topics of a connection."""
        listed = self.wire.symbols(self.order.topics)
        return Interleaved([self._frames(native) for native, _ in listed])

    def _frames(self, native: str | None = None) -> Frames:
        return self.wire.channels[self.order.channel](native or self.wire.native)

    def _next(self, topic: Topic, now_ms: int) -> str:
        numbered = self._numbered.get(topic)
        if numbered is None:
            numbered = self._numbered[topic] = Numbered(self._frames(topic[1]))
        return numbered(now_ms)

    def answer(self, target: str) -> object | None:
        """The answer to a GET request; None: not found."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == self.wire.book_path:
            self._asked.set()  # whoever waits runs after the answer is written
        return self.wire.answer(url.path, query, self.order.instruments)


@attrs.frozen
class Tick:
    """A moment of a paced run."""

    index: int
    at: float


def ticks(rate: float) -> Iterator[Tick]:
    """Moments at ``rate`` a second from now on."""
    start, index = time.monotonic(), 0
    while True:
        yield Tick(index, start + index / rate)
        index += 1


async def until(tick: Tick) -> int:
    """Wait for a moment by polling, far more exact than the loop's timers; the time in ms."""
    yielded = False
    while time.monotonic() < tick.at or not yielded:
        await asyncio.sleep(0)
        yielded = True
        if tick.at - time.monotonic() > 0.005:
            await asyncio.sleep(0.002)
    return time.time_ns() // 1_000_000


async def serve(cpu: int | None) -> None:
    """Serve until standard input ends."""
    pin(cpu)
    raise_file_limit()
    gc.disable()  # its pauses would be measured as the clients' latency
    loop = asyncio.get_running_loop()
    source = Source()
    server = await loop.create_server(lambda: Peer(source), "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    orders = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer
    )
    try:
        while line := await orders.readline():
            source.begin(Order(**json.loads(line)))
            print(json.dumps({"ready": True}), flush=True)
    finally:
        source.end()
        pipe.close()
        server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else None))
