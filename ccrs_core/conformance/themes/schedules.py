"""The state machines of the theme: any schedule of faults, in virtual time and over sockets."""

from __future__ import annotations

import asyncio
import time

import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from ccrs_core.conformance.judges.agreement import watching, world_of
from ccrs_core.conformance.themes.healing import of_each_route
from ccrs_core.conformance.themes.machine import (
    CompletenessMachine,
    FaultMachine,
    SteppedWorld,
    machine,
)
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.sockets import SocketWorld
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.emulator import EmulatedExchange
from ccrs_core.model.subscriptions import Channel
from ccrs_core.transport.options import Options
from ccrs_core.transport.patience import Patience


class MachineProperties:
    """Any schedule of faults."""

    @proves(31)
    def test_one_connection_survives_any_schedule_of_faults(self, subject: Subject) -> None:
        """Whatever faults strike, what is delivered is true, in order and complete or confessed;
        once they stop, the acknowledged set equals the desired one in time and books are right."""
        subject.check_machine(machine(subject), examples=20, steps=25)

    @proves(31, quick=False)
    def test_racing_connections_survive_any_schedule_of_faults(self, subject: Subject) -> None:
        """The same holds for three racing connections."""
        racing = machine(subject, counts=(3,))
        subject.check_machine(racing, examples=12, steps=25)

    @proves(43)
    def test_nothing_is_lost_in_silence_however_many_connections_race(
        self, subject: Subject
    ) -> None:
        """Half-open, late, replaced and joining connections, one, two, three or five of them: what
        is delivered of trades and liquidations is the tape, in its order, or a Gap stands at the
        place of what is missing."""
        found = machine(subject, CompletenessMachine, (Channel.TRADES, Channel.LIQUIDATIONS))
        thorough = subject.profile is Profile.THOROUGH
        subject.check_machine(found, examples=84 if thorough else 20, steps=20)

    @proves(31, quick=False)
    def test_connections_over_real_sockets_survive_faults(self, subject: Subject) -> None:
        """The same holds over real sockets: the emulator's server and the core's own transport, in
        real time."""
        found = hypothesis.seed(subject.seed)(machine(subject, SocketMachine))
        # Real time doesn't repeat itself, so that there is nothing to shrink.
        settings = subject.settings(5, stateful_step_count=8, phases=[hypothesis.Phase.generate])
        run_state_machine_as_test(found, settings=settings)

    @proves(31, against=Against.NOTHING, quick=False)
    def test_the_same_seed_makes_the_same_events(self, subject: Subject) -> None:
        """Two runs of one schedule of faults deliver the same events at the same moments and send
        the same frames: a failure can be repeated by its seed."""
        first, second = (event_log(subject) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert one == other, (
                f"two runs of the same seed differ: {one} and {other}; is a clock read, a random "
                "number drawn (use venue.rng in the dialect) or the order of a set relied on?"
            )


class SocketMachine(FaultMachine):
    """The machine in real time. Nobody waits for what takes heartbeats to notice."""

    times = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
    moments = ("drop", "close")
    spells = ("delay", "no_ack", "slow_ack", "refuse", "slow_handshake")
    frames = ("duplicate", "reorder", "truncate", "gap")
    rate = 100.0
    # Missing acknowledgements and books must be asked for sooner than over the real network.
    options = Options(
        backoff_initial=0.02,
        backoff_max=0.1,
        stable_after=0.2,
        patience=Patience(ack=0.5, ack_attempts=5),
    )

    def make_world(self, seed: int) -> SteppedWorld:
        venue = EmulatedExchange(
            self.subject.dialect(),
            seed=seed,
            rate=self.rate,
            start_ns=time.time_ns(),
            instruments=list(self.subject.listings.values()),
        )
        return SocketWorld(self.subject.make(), venue, self.options)


def event_log(subject: Subject) -> list[str]:
    """All that a schedule of faults leads to, in words: events, attempts, frames sent."""
    subs = [sub for found in of_each_route(subject).values() for sub in found]

    async def scenario(world: World) -> list[str]:
        async with watching(world, *subs) as watch:
            await asyncio.sleep(1.0)
            world.fault("drop,every=3,target=random", "duplicate,probability=0.05", "gap,every=5")
            world.fault("delay,seconds=0.4,probability=0.02", "slow_handshake,seconds=0.3")
            await asyncio.sleep(15.0)
            world.quieten()
            await asyncio.sleep(10.0)
        log = [f"{at:.9f} {event}" for at, event in zip(watch.times, watch.events, strict=True)]
        log += map(repr, world.tap.attempts)
        return log + list(map(repr, world.tap.sent))

    return world_of(subject, seed=subject.seed, rate=5.0).run(scenario)
