"""A client of an emulated exchange in virtual time, and what one of its feeds delivers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from ccrs_core import AnyEvent, Client, Feed, Gap, Interest, Resumed, Stale, connect
from ccrs_core.contract.exchange import Exchange
from ccrs_core.emulator import Dialect, EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.transport.memory import START_NS, VirtualClock, run


@attrs.define
class Seen:
    """A feed of an emulated exchange, and what it has delivered."""

    venue: EmulatedExchange
    client: Client
    feed: Feed
    events: list[AnyEvent] = attrs.field(factory=list)

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def notices(self) -> list[str]:
        return [type(event).__name__ for event in self.of(Gap, Stale, Resumed)]

    @property
    def data(self) -> int:
        return len(self.events) - len(self.notices)

    @property
    def url(self) -> str:
        return self.client.status().connections[0].url


@asynccontextmanager
async def seen(
    exchange: str | Exchange,
    *interests: Interest,
    connections: int = 1,
    dialect: Dialect | None = None,
    before: str | None = None,
    rate: float = 20.0,
    pace: float = 1.0,
) -> AsyncIterator[Seen]:
    """Subscribe, with a fault (``before``) there from the beginning; ``pace`` is how lively the
    markets are, of what they usually are."""
    random.seed(0)  # back-off draws random numbers
    plugin = plugins.load(exchange)() if isinstance(exchange, str) else exchange
    found = dialect or plugin.dialect()
    assert found is not None
    listings = [attrs.evolve(e, pace=e.pace * pace) for e in found.listings(START_NS)]
    venue = EmulatedExchange(found, rate=rate, start_ns=START_NS, instruments=listings)
    clock = VirtualClock(START_NS)
    if before is not None:
        venue.faults.add(before)
    events: list[AnyEvent] = []
    async with connect(
        plugin,
        base_url="http://emulator",
        transport=EmulatorTransport(venue, clock),
        clock=clock,
    ) as client:
        feed = client.subscribe(*interests, connections=connections, callback=events.append)
        async with feed:
            yield Seen(venue, client, feed, events)


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in virtual time."""

    def runs(*values: Any, **named: Any) -> None:
        run(test(*values, **named))

    runs.__name__, runs.__doc__ = test.__name__, test.__doc__
    runs.__wrapped__ = test  # type: ignore[attr-defined]
    return runs


async def until(done: Callable[[], bool], seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < end, f"not within {seconds:g} s"
        await asyncio.sleep(1.0)
