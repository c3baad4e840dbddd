"""Opening and closing over and over leaves memory flat (65)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

from ccrs_core.client.client import connect
from ccrs_core.conformance.themes.cleanup import (
    ends,
    first_events,
    lively,
    run,
)
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.emulator import EmulatorServer


@attrs.define
class _Growth:
    """How many objects of each type there are, and bytes resident, since a point in time."""

    objects: Counter[str] = attrs.field(factory=Counter)
    resident: int = 0

    @classmethod
    def now(cls) -> _Growth:
        gc.collect()
        kinds = Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:
            pages = 0
        return cls(kinds, pages * 4096)

    def with_as_much_again_since(self, before: _Growth) -> _Growth:
        """What there would be, had as much come once more as has come since then."""
        grown = max(0, self.resident - before.resident)
        return _Growth(self.objects + (self.objects - before.objects), self.resident + grown)

    def check(self, before: _Growth, cycles: int) -> None:
        """Fail where something is left for every few cycles."""
        allowed = max(5, cycles // 10)
        grown = {
            kind: count - before.objects[kind]
            for kind, count in self.objects.items()
            if count - before.objects[kind] > allowed
        }
        assert not grown, (
            f"after opening and closing a client {cycles} times these remain: {grown}; look for "
            "caches, registries and closures that the plugin keeps for each connection"
        )
        megabytes = (self.resident - before.resident) / 2**20
        assert megabytes < 24, f"{cycles} times open and close took {megabytes:.0f} MB for good"


class GrowthProperties:
    """What is gone after many clients."""

    @proves(65, against=Against.NOTHING, quick=False)
    def test_opening_and_closing_over_and_over_leaves_memory_flat(self, subject: Subject) -> None:
        """Connecting, reading and closing hundreds of times leaves the number of objects of every
        type, and the memory in use, as they were."""
        case = lively(subject, 1)[0]
        cycles = 300 if subject.profile is Profile.QUICK else 1000

        def cycle(times: int) -> None:
            async def scenario() -> None:
                for _ in range(times):
                    async with world._connect() as client, client.subscribe(case.interest) as feed:
                        await first_events(feed, 1)

            known = [case.subscription.instrument]
            world = subject.world(rate=1.0, instruments=known)
            run(world, scenario())

        # The emulator remembers what it served; both times it is gone when objects are counted.
        with _unlogged():
            cycle(20)
            before = _Growth.now()
            cycle(cycles)
            _Growth.now().check(before, cycles)

    @proves(65, against=Against.NOTHING, quick=False)
    def test_opening_and_closing_over_real_sockets_leaves_memory_flat(
        self, subject: Subject
    ) -> None:
        """The same over real sockets, a few dozen times."""
        case = lively(subject, 1)[0]
        cycles = 20 if subject.profile is Profile.QUICK else 60
        known = [case.subscription.instrument]

        async def cycle(times: int) -> None:
            async with EmulatorServer(subject.dialect(), seed=subject.seed) as server:
                for _ in range(times):
                    client = connect(subject.make(), base_url=server.url, instruments=known)
                    async with client, client.subscribe(case.interest) as feed:
                        await first_events(feed, 1)
                await ends(lambda: not server.connections, "the exchange's end of a connection")

        asyncio.run(cycle(8))
        first = _Growth.now()
        asyncio.run(cycle(8))
        # Each run is at an address of its own, whose budgets are kept: that isn't the clients'.
        before = _Growth.now().with_as_much_again_since(first)
        asyncio.run(cycle(cycles))
        _Growth.now().check(before, cycles)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Without log records, which who runs the tests may keep: clients that wait for the budget of
    connection attempts say so."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
