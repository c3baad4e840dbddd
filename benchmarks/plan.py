"""Which jobs a run consists of, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from benchmarks.clients import CONTENDERS, OURS
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import Bursts
from benchmarks.job import Job, Kind, Loop

LATENCY_RATE = 10_000.0
RACERS = 5
TOPICS = (1, 20, 100, 300)
"""Topics whose frames take turns on one connection."""
INTERLEAVED = ("top_of_book", "trades")
"""Cases of which that is measured."""
RACING_RATES: dict[Kind, float] = {"racing_bursts": 20_000.0, "racing_paced": 2_000.0}
"""Updates per second of the races that are not saturated."""
HELD_RATE = 1_000.0
"""Frames per second over all connections of one run."""
BUSY_RATE = 10_000.0
"""The same where they are busy."""


@attrs.frozen(kw_only=True)
class Scale:
    """How long the runs are and how often they are repeated. Times are seconds."""

    repetitions: int
    saturated: float
    paced: float
    held: float
    held_repetitions: int
    """In how many of the rounds connections are held; their figures hardly vary."""
    connections: tuple[int, ...]
    busy_connections: int


FULL = Scale(
    repetitions=5,
    saturated=0.8,
    paced=1.5,
    held=3.0,
    held_repetitions=2,
    connections=(1, 50, 500, 2000),
    busy_connections=2000,
)
QUICK = Scale(
    repetitions=1,
    saturated=0.2,
    paced=0.5,
    held=0.6,
    held_repetitions=1,
    connections=(1, 100),
    busy_connections=200,
)


@attrs.frozen
class _Round:
    """Makes the jobs of one round."""

    scale: Scale
    loop: Loop
    exchange: str

    def saturated(
        self, kind: Kind, client: str, case: str, connections: int = 1, topics: int = 1
    ) -> Job:
        """As fast as the client can take it: as many frames as should keep it busy for the time."""
        # Five copies of each frame take longer than one, but not five times as long.
        count = CONTENDERS[client].speed * self.scale.saturated / (1 if connections == 1 else 2)
        count /= wire(self.exchange).effort.get(case, 1.0) * (1 if topics == 1 else 2)
        return Job(
            kind=kind,
            client=client,
            exchange=self.exchange,
            case=case,
            count=max(1, round(count / Bursts.BLOCK)) * Bursts.BLOCK,
            connections=connections,
            topics=topics,
            seconds=self.scale.saturated,
            loop=self._loop(client),
        )

    def paced(self, kind: Kind, client: str, case: str, rate: float, connections: int = 1) -> Job:
        """At a steady rate."""
        return Job(
            kind=kind,
            client=client,
            exchange=self.exchange,
            case=case,
            count=int(rate * self.scale.paced),
            rate=rate,
            connections=connections,
            seconds=self.scale.paced,
            loop=self._loop(client),
        )

    def held(self, kind: Kind, client: str, rate: float, connections: int) -> Job:
        """Many connections, each with a topic of its own."""
        return Job(
            kind=kind,
            client=client,
            exchange=self.exchange,
            rate=rate,
            connections=connections,
            seconds=self.scale.held,
            loop=self._loop(client),
        )

    def _loop(self, client: str) -> Loop:
        return self.loop if CONTENDERS[client].any_loop else "asyncio"


def one_round(
    scale: Scale,
    clients: Iterable[str],
    loop: Loop = "asyncio",
    *,
    exchange: str = NAMES[0],
    held: bool = True,
) -> list[Job]:
    """Every job of an exchange once. Clients follow one another within a case, so that they share
    the weather. What does not depend on the exchange is measured on the first one alone: racing,
    what connections cost, and what many topics cost the others' clients."""
    clients = list(clients)
    ours = [client for client in clients if client in OURS]
    cases = wire(exchange).cases
    make = _Round(scale, loop, exchange)
    jobs = [make.saturated("throughput", client, case) for case in cases for client in clients]
    jobs += [
        make.saturated("throughput_read", client, "top_of_book")
        for client in clients
        if CONTENDERS[client].reads
    ]
    jobs += [make.saturated("conflate", client, "top_of_book") for client in ours]
    jobs += [
        make.saturated("interleaved", client, case, topics=topics)
        for case in INTERLEAVED
        for topics in TOPICS
        for client in (clients if exchange == NAMES[0] else ours)
    ]
    jobs += [
        make.paced("latency", client, case, LATENCY_RATE) for case in cases for client in clients
    ]
    if exchange != NAMES[0]:
        return jobs
    for client in ours:
        jobs += [
            make.saturated("racing", client, "top_of_book", connections)
            for connections in (1, RACERS)
        ]
        jobs += [
            make.paced(kind, client, "top_of_book", rate, connections)
            for kind, rate in RACING_RATES.items()
            for connections in (1, RACERS)
        ]
    if held:
        holders = [client for client in clients if CONTENDERS[client].holds]
        jobs += [
            make.held("connections", client, HELD_RATE, connections)
            for connections in scale.connections
            for client in holders
        ]
        jobs += [
            make.held("connections_busy", client, BUSY_RATE, scale.busy_connections)
            for client in holders
        ]
    return jobs


def jobs(
    scale: Scale, clients: Iterable[str], loop: Loop = "asyncio", exchange: str = NAMES[0]
) -> list[Job]:
    """All repetitions, interleaved: whole rounds, one after the other."""
    clients = list(clients)
    return [
        job
        for number in range(scale.repetitions)
        for job in one_round(
            scale, clients, loop, exchange=exchange, held=number < scale.held_repetitions
        )
    ]
