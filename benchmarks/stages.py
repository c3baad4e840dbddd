"""``python -m benchmarks.stages [--exchange NAME]``: where a top-of-book frame's microseconds go.

The stages within the library run on generated frames without any socket, in turns, in one process;
receiving alone is the transport with a sink that counts, and the whole path is the client on a
saturated connection, from a source in a process of its own. Times are CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

import ccrs_core
from benchmarks.clients import CONTENDERS, OURS
from benchmarks.clients.bare import subscribe_text
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import END, stamp_text
from benchmarks.job import Job
from benchmarks.measure import cores, pin
from benchmarks.runner import RunFailed, Running, order_of, run, source
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from ccrs_core.contract.codec import Codec, Data
from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.topic import Topic
from ccrs_core.transport.base import TransportOptions, serve
from ccrs_core.transport.choice import make_transport
from ccrs_core.transport.patience import Patience

BURST = 250
_ENDING = stamp_text(END).encode()


class Nobody:
    """A feed's owner that owns nothing: only putting and taking are of interest."""

    async def start(self, feed: Feed, interests: Sequence[Any]) -> None: ...
    async def stop(self, feed: Feed, interests: Sequence[Any]) -> None: ...
    async def ready(self, feed: Feed, everywhere: bool) -> None: ...
    def subscribed(self, feed: Feed) -> tuple[Any, ...]:
        return feed.interests

    def missing(self, feed: Feed) -> dict[str, str]:
        return {}

    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool:
        return False

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None: ...
    def book(self, feed: Feed, symbol: str, depth: int | None) -> Any:
        raise LookupError(symbol)


@attrs.define
class Bench:
    """The parts of one connection, without the connection."""

    exchange: Exchange
    subscription: Subscription

    def codec(self) -> Codec:
        codec = self.exchange.codec(self.exchange.route(self.subscription))
        codec.subscribe([self.subscription], "1")
        return codec

    def session(self) -> Session:
        session = Session(
            self.exchange.codec(self.exchange.route(self.subscription)),
            topics_per_request=1,
            max_silence=lambda _: None,
            patience=Patience(),
            runner=Runner(1),
        )
        session.opened(0.0)
        session.add([self.subscription])
        return session

    def topic(self, feed: Feed | None = None) -> Topic:
        topic = Topic(
            self.codec().topic(self.subscription),
            [Runner(1)],
            live=lambda _: 1,
            resync=lambda _, what: None,
            arm=lambda: None,
            exchange=self.exchange,
        )
        stream = topic.stream(self.subscription)
        if feed is not None:
            stream.feeds.append(feed)
        return topic


def bench(name: str = NAMES[0]) -> Bench:
    """For the symbol that the frames are of."""
    said = wire(name)
    market = Market(said.market)
    instrument = Instrument(
        exchange=name,
        symbol=said.symbol,
        native=said.native,
        market=market,
        base="BTC",
        quote="USDT",
        settle=None if market is Market.SPOT else "USDT",
    )
    subscription = Subscription(channel=Channel.TOP_OF_BOOK, instrument=instrument)
    return Bench(plugins.load(name)(), subscription)


def bursts(count: int, name: str = NAMES[0]) -> list[list[bytes]]:
    """Payloads as they would come off a socket, ``BURST`` at a time."""
    make = wire(name).channels[wire(name).cases["top_of_book"]](wire(name).native)
    frames = [make(1_700_000_000_000 + number, number).encode() for number in range(count)]
    return [frames[start : start + BURST] for start in range(0, count, BURST)]


def cpu_us(work: Callable[[], object], frames: int) -> float:
    """Microseconds of CPU time per frame."""
    gc.collect()
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / 1000 / frames


def opened_feed(parts: Bench) -> Feed:
    """A feed that takes events, as its client would have opened it."""
    feed = Feed(Nobody(), [ccrs_core.top_of_book(parts.subscription.symbol)])
    asyncio.run(feed.__aenter__())
    return feed


async def _fed(feed: Feed, batches: Sequence[Sequence[Any]]) -> None:
    taken = feed.batches()
    for batch in batches:
        feed.put(batch)
        await anext(taken)
    await feed.aclose()


def within(parts: Bench, material: list[list[bytes]]) -> dict[str, float]:
    """One turn of every stage within the library: microseconds per frame, each on fresh parts."""
    count = sum(map(len, material))
    frames = [frame for burst in material for frame in burst]
    found: dict[str, float] = {}

    peek = parts.codec().peek
    found["codec.peek"] = cpu_us(lambda: [peek(frame) and None for frame in frames], count)
    decode = parts.codec().decode
    found["codec.decode"] = cpu_us(lambda: [decode(frame, 0) and None for frame in frames], count)

    session = parts.session()

    def receive() -> None:
        for burst in material:  # as in life, nothing of a burst outlives it
            session.received(burst, 0.0, 0)

    found["session.received"] = cpu_us(receive, count)
    session = parts.session()
    effects = [session.received(burst, 0.0, 0) for burst in material]
    runs = [[effect for effect in each if effect.__class__ is Data] for each in effects]
    decoded = sum(len(data.events) for each in runs for data in each)
    if decoded != count:
        raise RuntimeError(f"of {count} frames {decoded} were decoded")

    topic, runner = parts.topic(), Runner(1)

    def deliver() -> None:
        for each in runs:
            topic.deliver_all(each, runner, 0.0)

    found["topic.deliver_all"] = cpu_us(deliver, count)

    feed = opened_feed(parts)
    events = [[event for data in each for event in data.events] for each in runs]
    found["feed.put, feed.batches"] = cpu_us(lambda: asyncio.run(_fed(feed, events)), count)
    return found


async def _receive(at: Running, exchange: str, client: str, count: int) -> float:
    """Microseconds per frame for receiving alone, from the first burst of frames to the last."""
    transport = make_transport(CONTENDERS[client].transport, TransportOptions())
    key = f'"{wire(exchange).data_key}":'.encode()
    taken, started, spent = 0, 0, 0

    def sink(frames: Sequence[bytes], _: int) -> bool:
        nonlocal taken, started, spent
        if not started:
            started = time.process_time_ns() if key in frames[-1] else 0
            return False
        taken += len(frames)
        if _ENDING in frames[-1]:
            spent = time.process_time_ns() - started
            return True
        return False

    job = Job(kind="throughput", client=client, exchange=exchange, count=count, port=at.port)
    at.ask(json.dumps(attrs.asdict(order_of(job))))
    try:
        connection = await transport.connect(job.stream_url)
        await connection.send(subscribe_text(job))
        await serve(connection, sink)
        await connection.close()
    finally:
        await transport.aclose()
    return spent / 1000 / taken


def table(exchange: str, rows: dict[str, list[float]], whole: dict[str, float]) -> Table:
    """Medians, with each stage's share of every whole path."""
    shown = Table(title=f"{wire(exchange).title}: a top-of-book frame's microseconds, saturated")
    shown.add_column("stage", no_wrap=True)
    shown.add_column("µs", justify="right")
    for client in whole:
        shown.add_column(f"of {CONTENDERS[client].title}", justify="right")
    for name, values in rows.items():
        micros = median(values)
        applies = [client for client in whole if name.endswith(f"({client})")]
        shown.add_row(
            name,
            f"{micros:.2f}",
            *(
                f"{micros / total:.0%}" if not name.endswith(")") or client in applies else ""
                for client, total in whole.items()
            ),
        )
    shown.caption = "session.received contains codec.decode; peek runs where copies race"
    return shown


def main() -> int:
    """0 where everything could be measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short turns instead of nine")
    parser.add_argument("--exchange", choices=NAMES, default=NAMES[0], help="whose frames")
    options = parser.parse_args()
    exchange = options.exchange
    turns, count = (3, 10_000) if options.quick else (9, 50_000)
    chosen = [client for client in OURS if not CONTENDERS[client].missing(exchange)]
    client_core, _ = cores()
    pin(client_core)
    parts, material = bench(exchange), bursts(count, exchange)
    rows: dict[str, list[float]] = {}
    failures: list[str] = []
    with source() as frames:
        for _ in range(turns):
            for client in chosen:
                micros = asyncio.run(_receive(frames, exchange, client, count))
                rows.setdefault(f"receiving ({client})", []).append(micros)
            for name, micros in within(parts, material).items():
                rows.setdefault(name, []).append(micros)
            for client in chosen:
                job = Job(
                    kind="throughput", client=client, exchange=exchange, count=count, seconds=1.0
                )
                try:
                    figures = run(job, frames)
                except RunFailed as failure:
                    failures.append(f"failed: {client}: {failure}")
                    continue
                whole = figures["cpu_s"] * 1e6 / figures["events"]
                rows.setdefault(f"whole path ({client})", []).append(whole)
    wholes = {
        client: median(values)
        for client in chosen
        if (values := rows.get(f"whole path ({client})"))
    }
    console = Console()
    console.print(table(exchange, rows, wholes))
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
