"""Who joins late (67): streams that several share, connections, feeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, zip_longest
from typing import Any

from ccrs_core.conformance.judges.agreement import Watch, about, watching, world_of
from ccrs_core.conformance.judges.sharing import (
    LASTING,
    Joined,
    Lone,
    lively_rate,
    of_routes,
    shared,
    states_of,
)
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.line import next_due_ns
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.emulator import Changed
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

_BEGUN = 4.0
"""Seconds after which a stream runs."""
_PATIENCE = 30.0
"""Seconds in which a lone subscriber hears the present state, or nothing is to be heard."""
_LATER = 2.0
"""So much later than a lone one, at most, does who joins hear it."""
_EVERYTHING = Changed.BOOK | Changed.REFERENCE


class JoiningProperties:
    """Of streams that more than one wants."""

    @proves(67)
    def test_who_joins_a_shared_stream_hears_the_present_state(self, subject: Subject) -> None:
        """A second channel or instrument that one server stream carries, wanted later, hears the
        present state as soon as a lone subscriber does, not only its next change; again, when it
        comes back. Those that were there go on undisturbed."""
        for sharers in shared(subject):
            pairs = list(permutations(sharers, 2))
            if not any(each.channel in LASTING for each in sharers):
                pairs = pairs[: len(sharers)]  # of what has no state little is due
            for first, joiner in pairs:
                _joins(subject, first, joiner)

    @proves(67)
    def test_what_joins_a_connection_is_told_as_it_is_told_alone(self, subject: Subject) -> None:
        """Whatever joins a connection on which other channels, instruments or markets are
        subscribed, and whoever leaves it, each subscription is told just what it is told on a
        connection of its own."""
        for subscriptions in of_routes(subject):
            _as_alone(subject, subscriptions)

    @proves(67)
    def test_a_second_feed_hears_the_present_state_at_once(self, subject: Subject) -> None:
        """A second feed of a channel that has a state hears it at once, though nothing changes, and
        so it does when it comes back; the first feed is not disturbed by either."""
        cases = [c.subscription for c in subject.cases() if c.channel in LASTING]
        if not cases:
            subject.undeclared("channel with a state")
        by_market: dict[Any, list[Subscription]] = {}
        for each in cases:
            by_market.setdefault(each.instrument.market, []).append(each)
        for subscriptions in by_market.values():
            _second_feed(subject, subscriptions)


# --- joining --------------------------------------------------------------------------------------


def _joins(subject: Subject, first: Subscription, joiner: Subscription) -> None:
    # What is told of it stays as it is, while the stream goes on.
    references = {Channel.MARK_PRICE, Channel.INDEX_PRICE, Channel.GREEKS, Channel.FUNDING}
    slow = joiner.channel in references
    still = Changed.REFERENCE if slow else Changed.NOTHING
    if joiner.channel is Channel.OPEN_INTEREST:
        still = Changed.REFERENCE | Changed.TRADES

    async def scenario(world: World) -> None:
        async with watching(world, first) as there:
            await subscribed(there.feed)
            await settle(_BEGUN)
            for again in (False, True):
                world.venue.hold(still)
                await settle(1.0)
                async with watching(world, joiner) as joining:
                    await _hears(subject, world, joining, first, joiner, again)
                    there.no_notices(f"{joiner} joined the stream of {first}")
                world.venue.hold(Changed.NOTHING)
                await settle(1.0)
            there.no_notices(f"{joiner} left the stream of {first}")
            strange = [each for each in there.events if not about(each, first)]
            assert not strange, (
                f"a feed of {first} is told {strange[0]}, once {joiner} has joined the same stream "
                "of the exchange: what a row is about must be read from the row itself"
            )

    world_of(subject, rate=lively_rate([first, joiner])).run(scenario)


async def _hears(
    subject: Subject,
    world: World,
    joining: Watch,
    first: Subscription,
    joiner: Subscription,
    again: bool,
) -> None:
    """Fails unless who joins hears the present state about as soon as a lone subscriber does."""
    lone = Lone(subject, world, joiner)
    try:
        waited, alone_at = 0.0, None
        while waited < _PATIENCE:
            await settle(0.25)
            waited += 0.25
            told = lone.states()
            if told and alone_at is None:
                alone_at = waited
            heard = states_of(joining.events, joiner)
            if told and heard and heard[-1] == told[-1]:
                return
            if alone_at is not None and waited > alone_at + _LATER:
                raise AssertionError(
                    f"{joiner}{' (for the second time)' if again else ''} joins {first}, which the "
                    f"same stream of the exchange carries, and hears "
                    f"{heard[-1] if heard else 'nothing'} in {waited:g} s, though a lone "
                    f"subscriber is told {told[-1]} after {alone_at:g} s. Nothing is sent again "
                    "for who joins: Codec.subscribe of a further channel must let the next frame "
                    "tell all that is known of it, changed or not"
                )
    finally:
        lone.close()


# --- beside others --------------------------------------------------------------------------------


def _as_alone(subject: Subject, subscriptions: Sequence[Subscription]) -> None:
    line = subject.line()
    route = subject.exchange.route(subscriptions[0])
    joined = Joined(line.open(route))
    lone: dict[Subscription, Joined] = {}
    since: dict[Subscription, int] = {}

    def run(seconds: float) -> None:
        end_ns = line.venue.now_ns + round(seconds * NS_PER_SECOND)
        wires = [joined, *lone.values()]
        while (due := next_due_ns(line.venue, [w.wire for w in wires])) is not None:
            if due > end_ns:
                break
            line.venue.advance(due)
            for each in wires:
                each.take()
        line.venue.advance(end_ns)
        for each in wires:
            each.take()

    def judge(here: Sequence[Subscription], what: str) -> None:
        for each in here:
            due, told = _aligned(
                states_of(lone[each].events, each), states_of(joined.events[since[each] :], each)
            )
            assert told == due, (
                f"{what}, {each} is told {_first_other(told, due)} on a connection of "
                f"{len(here)} subscriptions: what a frame is about must be read from the frame "
                "itself, and what a codec knows must be kept for each topic"
            )

    for each in subscriptions:
        since[each] = len(joined.events)
        joined.join(each)
        lone[each] = Joined(line.open(route))
        lone[each].join(each)
        run(0.4)
    run(2.0)
    judge(list(lone), "after all have joined")
    half = list(lone)[::2]
    for each in half:
        joined.leave(each)
    here = [each for each in lone if each not in half]
    run(2.0)
    judge(here, "after others have left")


def _aligned(due: list[Any], told: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both from the first state that they have in common on. Who joins may hear one frame more or
    less in the beginning: of what was pending, or of what who was there knows already."""
    for skipped in range(min(len(told), 2)):
        if told[skipped] in due:
            return due[due.index(told[skipped]) :], told[skipped:]
    return due, told


def _first_other(told: Sequence[Any], due: Sequence[Any]) -> str:
    for at, (one, other) in enumerate(zip_longest(told, due)):
        if one != other:
            return f"{one} as number {at}, where {other} is told alone,"
    return "the same"


def _second_feed(subject: Subject, subscriptions: Sequence[Subscription]) -> None:
    async def scenario(world: World) -> None:
        async with watching(world, *subscriptions) as first:
            await subscribed(first.feed)
            await settle(_BEGUN)
            world.venue.hold(_EVERYTHING)
            await settle(1.5)
            for again in ("", " again"):
                async with watching(world, *subscriptions) as second:
                    await settle(1.0)
                    for each in subscriptions:
                        known, told = (
                            states_of(first.of(each), each),
                            states_of(second.of(each), each),
                        )
                        if known and each.channel is not Channel.BOOK:
                            assert told[-1:] == known[-1:], (
                                f"a second feed of {each} that joins{again} is told "
                                f"{told[-1:] or 'nothing'}, though the first one was told "
                                f"{known[-1]}"
                            )
                        assert bool(told) >= bool(known), f"a second feed of {each} has no book"
                first.no_notices("a second feed came and went")

    world_of(subject, rate=10.0).run(scenario)
