"""One long connection on which symbols come and go: nothing of those that are gone is kept."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from ccrs_core.conformance import Subject
from ccrs_core.conformance.judges.agreement import interest_of, watching
from ccrs_core.conformance.workbench.coined import coined
from ccrs_core.conformance.workbench.reach import containers, growing
from ccrs_core.conformance.workbench.world import Tap, World, _TappedConnection
from ccrs_core.emulator import EmulatorConnection, EmulatorTransport
from ccrs_core.transport.limits import Window

OTHERS = (
    World,
    Tap,
    asyncio.Task,
    _TappedConnection,
    EmulatorConnection,
    EmulatorTransport,
    Window,
)
"""The other side, tasks that begin with it, and budgets, which forget as time passes."""
EACH = 25


@pytest.mark.parametrize("name", ["bybit", "kraken"])
def test_nothing_of_symbols_that_are_gone_is_kept(name: str) -> None:
    subject = Subject(name)
    subs = [case.subscription for case in subject.cases()]
    subs = [sub for sub in subs if sub.instrument.market is subs[0].instrument.market]
    listings, instruments = coined(subject, subs[0].instrument.market, 4 * EACH)
    venue = subject.venue(rate=2.0, listings=[*subject.listings.values(), *listings])
    world = World(subject.make(), venue, instruments=instruments)
    sizes: list[dict[str, int]] = []

    async def scenario(world: World) -> None:
        stays = [attrs.evolve(sub, instrument=instruments[0]) for sub in subs]
        async with watching(world, *stays) as watch:
            for number, instrument in enumerate(instruments[1:], start=2):
                each = [interest_of(attrs.evolve(sub, instrument=instrument)) for sub in subs]
                await watch.feed.subscribe(*each)
                await asyncio.sleep(1.0)
                await watch.feed.unsubscribe(*each)
                await asyncio.sleep(0.5)
                if number % EACH == 0:
                    watch.events.clear()
                    watch.times.clear()
                    sizes.append(containers(world.client, *OTHERS))

    world.run(scenario)
    assert not growing(sizes, EACH - 2), growing(sizes, EACH - 2)
