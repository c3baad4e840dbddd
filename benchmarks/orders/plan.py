"""Which jobs a run consists of, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import attrs

from benchmarks.orders.job import CONTENDERS, Job, Kind

FLIGHTS = 20
"""Orders in flight where there are many."""
FILLS_RATE = 250.0
"""Fills a second where they come now and then."""
FILLS_SPEED = 1000.0
"""Roughly the fills that the venue makes a second where they come as fast as they are made."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@attrs.frozen(kw_only=True)
class Scale:
    """How often all is repeated, and about how long a run takes, seconds."""

    rounds: int
    seconds: float


FULL = Scale(rounds=5, seconds=1.0)
QUICK = Scale(rounds=1, seconds=0.2)


def job(kind: Kind, exchange: str, client: str, seconds: float) -> Job | None:
    """A client's job at an exchange; None where it takes no part."""
    contender = CONTENDERS[client]
    if exchange not in contender.exchanges:
        return None
    if kind == "fills":
        count = round(FILLS_RATE * seconds)
        made = Job(kind=kind, exchange=exchange, client=client, count=count, rate=FILLS_RATE)
        return made if contender.fills else None
    if kind == "fills_busy":
        count = round(FILLS_SPEED * seconds)
        made = Job(kind=kind, exchange=exchange, client=client, count=count)
        return made if contender.fills else None
    flights = FLIGHTS if kind == "flight" else 1
    if not contender.orders or (flights > 1 and not contender.flight):
        return None
    # One at a time half of the time is the venue's.
    pairs = contender.speed * seconds / (1 if flights > 1 else 2)
    return Job(
        kind=kind,
        exchange=exchange,
        client=client,
        count=max(1, round(pairs / flights)) * flights,
        flights=flights,
    )


def jobs(
    scale: Scale,
    clients: Iterable[tuple[str, str]],
    kinds: Sequence[Kind] = KINDS,
) -> list[tuple[int, Job]]:
    """Whole rounds of these (exchange, client), one after the other, with their number; clients
    follow one another within a kind, so that they share the weather."""
    clients = list(clients)
    made = (
        (number, job(kind, exchange, client, scale.seconds))
        for number in range(scale.rounds)
        for kind in kinds
        for exchange, client in clients
    )
    return [(number, each) for number, each in made if each is not None]
