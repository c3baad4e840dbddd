"""Which jobs a run consists of, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from benchmarks.clients import CONTENDERS
from benchmarks.frames import MAKERS, Bursts
from benchmarks.job import Job, Kind

CASES = tuple(MAKERS)
LATENCY_RATE = 10_000.0
RACERS = 5
RACING_RATE = 2_000.0
"""Frames per second of the races that are not saturated."""


@attrs.frozen(kw_only=True)
class Scale:
    """How long the runs are and how often they are repeated. Times are seconds."""

    repetitions: int
    saturated: float
    paced: float
    held: float
    connections: tuple[int, ...]
    held_rate: float = 1000.0


FULL = Scale(repetitions=5, saturated=1.0, paced=3.0, held=3.0, connections=(1, 50, 500, 2000))
QUICK = Scale(repetitions=1, saturated=0.4, paced=1.0, held=1.0, connections=(1, 50, 500))


def saturated(kind: Kind, client: str, case: str, seconds: float, connections: int = 1) -> Job:
    """As fast as the client can take it: so many frames as it should handle in ``seconds``."""
    count = CONTENDERS[client].speed * seconds
    return Job(
        kind=kind,
        client=client,
        case=case,
        count=max(1, round(count / Bursts.BLOCK)) * Bursts.BLOCK,
        connections=connections,
        seconds=seconds,
    )


def one_round(scale: Scale, clients: Iterable[str]) -> list[Job]:
    """Every job once. Clients follow one another within a case, so that they share the weather."""
    clients = list(clients)
    jobs = [
        saturated("throughput", client, case, scale.saturated)
        for case in CASES
        for client in clients
    ]
    jobs += [
        Job(
            kind="latency",
            client=client,
            case=case,
            count=int(LATENCY_RATE * scale.paced),
            rate=LATENCY_RATE,
            seconds=scale.paced,
        )
        for case in CASES
        for client in clients
    ]
    if "aiohttp" in clients:
        jobs += [
            saturated("racing", "aiohttp", "top_of_book", scale.saturated, connections)
            for connections in (1, RACERS)
        ]
        jobs += [
            Job(
                kind="racing_paced",
                client="aiohttp",
                count=int(RACING_RATE * scale.paced),
                rate=RACING_RATE,
                connections=connections,
                seconds=scale.paced,
            )
            for connections in (1, RACERS)
        ]
    jobs += [
        Job(
            kind="connections",
            client=client,
            rate=scale.held_rate,
            connections=connections,
            seconds=scale.held,
        )
        for connections in scale.connections
        for client in clients
        if CONTENDERS[client].holds
    ]
    return jobs


def jobs(scale: Scale, clients: Iterable[str]) -> list[Job]:
    """All repetitions, interleaved: whole rounds, one after the other."""
    once = one_round(scale, clients)
    return once * scale.repetitions
