"""Each channel by itself, in a market that stands still (32): silence is one thing, repetition
another."""

from __future__ import annotations

import attrs

from ccrs_core.conformance.properties import proves
from ccrs_core.conformance.subject import Case, Subject
from ccrs_core.conformance.world import World, settle
from ccrs_core.policy import Policy

_TIMES = 2.5
"""So many times as long as a stream may be silent it stands still."""


class AloneProperties:
    """What a stream's neighbours would hide."""

    @proves(32)
    def test_a_stream_that_lives_alone_is_never_called_silent(self, subject: Subject) -> None:
        """Subscribed to by itself, in a market in which hardly anything happens, a stream with a
        cadence is neither stale nor asked for again: a frame that says what is known already is a
        sign of life (``Unchanged``)."""
        tried = False
        for case in subject.cases():
            silence = subject.exchange.max_silence(case.subscription)
            if silence is not None:
                tried = True
                _lives(subject, case, silence)
        if not tried:
            subject.undeclared("stream with a cadence")


def _lives(subject: Subject, case: Case, silence: float) -> None:
    # The market wakes once in a while, so that nobody's best price is as old as the stream.
    listings = [attrs.evolve(each, pace=each.pace / 50) for each in subject.listings.values()]
    world = subject.world(rate=1.0, listings=listings)

    async def alone(world: World) -> None:
        async with world.client.subscribe(case.interest, policy=Policy.CONFLATE) as feed:
            await feed.ready()
            await settle(_TIMES * silence)
            status = world.client.status()
            (told,) = status.subscriptions
            again = status.resubscriptions + status.reconnects
            called_silent = told.stales or told.gaps or again
            assert not called_silent, (
                f"{case}, alone in a market that hardly moves, is called silent within "
                f"{_TIMES * silence:g} s (max_silence: {silence:g} s): {told.stales} times stale, "
                f"{again} times asked for again. Where a frame tells nothing new, decode() must "
                "say Unchanged(topic); else max_silence is too short"
            )

    world.run(alone)
