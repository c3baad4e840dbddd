"""``python -m benchmarks.interleaved [--exchange NAME] [--case CASE]``: many topics.

What a frame costs where the topics of a connection take turns, over what it costs with one topic.
Frames are handed to the parts, and to the whole client, within this process: there is no socket and
no source. Each turn measures every number of topics once; times are CPU time, figures medians, and
ratios are taken turn by turn.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import attrs
from rich.console import Console
from rich.table import Table

import ccrs_core
from benchmarks.clients import CONTENDERS
from benchmarks.clients.ours import interests
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import Interleaved
from benchmarks.job import Job
from benchmarks.measure import cores, pin
from benchmarks.plan import INTERLEAVED, TOPICS
from benchmarks.stages import BURST, cpu_us
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.memory import MemoryTransport, Peer
from ccrs_core.transport.patience import Patience

NOW_MS = 1_700_000_000_000


@attrs.define
class Handing:
    """The exchange's side of a client in this process: it answers as the source does."""

    job: Job
    peers: list[Peer] = attrs.Factory(list)
    wanted: set[tuple[str, str]] = attrs.Factory(set)

    def opened(self, peer: Peer) -> None:
        self.peers.append(peer)

    def received(self, peer: Peer, frame: str | bytes) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        heard = wire(self.job.exchange).heard(urlsplit(peer.url).path, text, self.job.channel)
        peer.push(*heard.replies)
        self.wanted.update(heard.topics)

    def closed(self, peer: Peer) -> None:
        self.peers.remove(peer)

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        said = wire(self.job.exchange)
        answer = said.answer(request.path, dict(request.query), self.job.topics)
        return HttpResponse(404 if answer is None else 200, {}, json.dumps(answer or {}).encode())


def bursts(job: Job, size: int = BURST) -> list[list[bytes]]:
    """Payloads as they would come off a socket, so many at a time."""
    make = wire(job.exchange).channels[job.channel]
    frames = Interleaved([make(native) for native in job.natives])
    texts = [frames(NOW_MS + number, number).encode() for number in range(1, job.count + 1)]
    return [texts[start : start + size] for start in range(0, job.count, size)]


@asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[Peer, AsyncIterator[Sequence[Any]]]]:
    """The exchange's end of a client's one connection, and what the client's feed brings.

    :raises RuntimeError: where the client doesn't want what is measured.
    """
    server = Handing(job)
    # The address is never dialled: it makes that of the exchange's streams a plain one.
    client = ccrs_core.connect(
        job.exchange, base_url="http://127.0.0.1:1", transport=MemoryTransport(server)
    )
    async with client, client.subscribe(*interests(job)) as feed:
        await feed.ready()
        if len(server.wanted) != job.topics or len(server.peers) != 1:
            raise RuntimeError(f"{len(server.wanted)} topics on {len(server.peers)} connections")
        yield server.peers[0], feed.batches()


async def whole(job: Job, material: Sequence[Sequence[bytes]]) -> float:
    """The client's microseconds for a frame, from its arrival to the consumer's batch.

    :raises RuntimeError: where an event is missing, or one too many.
    """
    async with opened(job) as (peer, batches):
        # What a topic brings first is not what is measured.
        ahead = -(-job.topics // len(material[0])) + 1
        taken = due = 0
        gc.collect()
        started = time.process_time_ns()
        for number, burst in enumerate(material):
            if number == ahead:
                started = time.process_time_ns()
            peer.push(*burst)
            due += len(burst)
            while taken < due:
                taken += len(await anext(batches))
        spent = time.process_time_ns() - started
    if taken != job.count:
        raise RuntimeError(f"of {job.count} frames came {taken} events")
    return spent / 1000 / sum(map(len, material[ahead:]))


@attrs.frozen
class Parts:
    """The parts of one connection with all the topics of a job, without the connection."""

    exchange: Exchange
    subscriptions: list[Subscription]

    def codec(self) -> Codec:
        codec = self.exchange.codec(self.exchange.route(self.subscriptions[0]))
        codec.subscribe(self.subscriptions, "1")
        return codec

    def session(self) -> Session:
        session = Session(
            self.exchange.codec(self.exchange.route(self.subscriptions[0])),
            topics_per_request=len(self.subscriptions),
            max_silence=lambda _: None,
            patience=Patience(),
            runner=Runner(1),
        )
        session.opened(0.0)
        session.add(self.subscriptions)
        return session


def parts(job: Job) -> Parts:
    """Those that a job's frames are for."""
    said = wire(job.exchange)
    market = Market(said.market)
    subscriptions = []
    for (native, base), interest in zip(said.symbols(job.topics), interests(job), strict=True):
        instrument = Instrument(
            exchange=job.exchange,
            symbol=interest.symbol,
            native=native,
            market=market,
            base=base,
            quote="USDT",
            settle=None if market is Market.SPOT else "USDT",
        )
        subscriptions.append(Subscription(channel=interest.channel, instrument=instrument))
    return Parts(ccrs_core.extensions.exchanges.load(job.exchange)(), subscriptions)


def turn(job: Job, size: int = BURST) -> dict[str, float]:
    """Microseconds of CPU time per frame, by stage, each on fresh parts."""
    material, made = bursts(job, size), parts(job)
    found: dict[str, float] = {}
    decode = made.codec().decode

    def decode_all() -> None:
        for burst in material:
            for frame in burst:
                decode(frame, 0)

    found["Codec.decode"] = cpu_us(decode_all, job.count)
    session = made.session()

    def receive() -> None:
        for burst in material:  # as in life, nothing of a burst outlives it
            session.received(burst, 0.0, 0)

    found["Session.received"] = cpu_us(receive, job.count)
    found["whole client"] = asyncio.run(whole(job, material))
    return found


def turns(jobs: Sequence[Job], count: int, size: int) -> dict[str, dict[int, list[float]]]:
    """By stage and number of topics: the figure of every turn."""
    found: dict[str, dict[int, list[float]]] = {}
    for _ in range(count):
        for job in jobs:
            for stage, micros in turn(job, size).items():
                found.setdefault(stage, {}).setdefault(job.topics, []).append(micros)
    return found


def ratios(found: dict[int, list[float]]) -> dict[int, float]:
    """By number of topics: what a frame costs over what it costs with the fewest."""
    least = found[min(found)]
    return {
        topics: median(a / b for a, b in zip(values, least, strict=True))
        for topics, values in found.items()
    }


def table(title: str, found: dict[str, dict[int, list[float]]]) -> Table:
    """Microseconds of each stage, and ratios."""
    shown = Table(title=title)
    shown.add_column("stage", no_wrap=True)
    counts = list(next(iter(found.values())))
    for topics in counts:
        shown.add_column(f"{topics}", justify="right")
    for topics in counts[1:]:
        shown.add_column(f"{topics} / {counts[0]}", justify="right")
    for stage, values in found.items():
        over = ratios(values)
        shown.add_row(
            stage,
            *(f"{median(values[topics]):.2f}" for topics in counts),
            *(f"{over[topics]:.2f}" for topics in counts[1:]),
        )
    return shown


def main() -> int:
    """0, or 1 where a plugin is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interleaved", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short turns instead of nine")
    parser.add_argument("--exchange", choices=NAMES, default=NAMES[0], help="whose frames")
    parser.add_argument("--case", choices=INTERLEAVED, default=INTERLEAVED[0])
    parser.add_argument("--burst", type=int, default=BURST, help=f"frames at a time ({BURST})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    if options.burst < 1:
        parser.error("at least one frame at a time")
    if absent := CONTENDERS["aiohttp"].missing(options.exchange):
        print(f"not installed: {', '.join(absent)}", file=sys.stderr)
        return 1
    count, frames = (3, 10_000) if options.quick else (9, 30_000)
    pin(cores()[0])
    jobs = [
        Job(
            kind="interleaved",
            client="aiohttp",
            exchange=options.exchange,
            case=options.case,
            count=frames,
            topics=topics,
        )
        for topics in TOPICS
    ]
    found = turns(jobs, count, options.burst)
    title = (
        f"{wire(options.exchange).title}, {options.case.replace('_', ' ')}, {options.burst} at a "
        "time: a frame's microseconds by topics"
    )
    Console().print(table(title, found))
    if options.json is not None:
        written = {name: {"us": each, "ratio": ratios(each)} for name, each in found.items()}
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
