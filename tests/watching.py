"""A client of the toy exchange whose feed is read all the while, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

import ccrs_core
from ccrs_core import (
    AnyEvent,
    Client,
    Credentials,
    Feed,
    Interest,
    Options,
    SubscriptionRefused,
    TopOfBook,
    top_of_book,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock
from tests.toy import Toy, ToyServer
from tests.virtual import follow

TOP = top_of_book("BTC/USD")


@attrs.define
class World:
    """A running client with one feed, everything it delivered, and the exchange's side."""

    server: ToyServer
    client: Client
    feed: Feed
    events: list[AnyEvent]
    refusals: list[SubscriptionRefused]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def sequences(self) -> list[int | None]:
        return [event.sequence for event in self.of(TopOfBook)]


@asynccontextmanager
async def world(
    *interests: Interest,
    exchange: Toy | None = None,
    options: Options | None = None,
    credentials: Credentials | None = None,
    latency: float = 0.01,
    server: ToyServer | None = None,
    **how: Any,
) -> AsyncIterator[World]:
    server = ToyServer() if server is None else server
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        Toy() if exchange is None else exchange,
        transport=MemoryTransport(server, latency=latency),
        clock=VirtualClock(),
        options=options,
        credentials=credentials,
    )
    async with client, client.subscribe(*interests, **how) as feed:
        seen = World(server, client, feed, [], [])
        reader = asyncio.ensure_future(follow(seen.feed, seen.events, seen.refusals))
        try:
            await asyncio.sleep(1.0)
            yield seen
        finally:
            reader.cancel()
            await asyncio.wait([reader])


async def market(seen: World, topic: str, ticks: int, every: float = 0.1) -> None:
    for _ in range(ticks):
        seen.server.tick(topic)
        await asyncio.sleep(every)
