"""Refused, granted or dead: the exchange's word, never the codec's (properties 8 and 9)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs

from ccrs_core.conformance.judges.agreement import (
    Watch,
    emulated_topics,
    healing_time,
    interest_of,
    watching,
    world_of,
)
from ccrs_core.conformance.themes.healing import of_each_route, one_of_each_route, well
from ccrs_core.conformance.workbench.coined import coined, renamed
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.spy import SpiedExchange
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import EmulatedExchange, Listing, Oddity
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.options import Options

_SOON = 3.0
"""Seconds in which what the exchange has said for good must be told."""
_MANY = 300
"""Streams of which no connection may carry more than a third."""
_BUSY = 90.0
"""Seconds for which the exchange refuses everything."""


class RefusalProperties:
    """What the client says of a subscription is what the exchange does about it."""

    @proves(9)
    def test_what_is_refused_is_told_and_nothing_else_is(self, subject: Subject) -> None:
        """Of subscriptions of every channel, some to symbols that aren't listed (of odd spelling,
        too), the client calls active what the exchange serves and refused what it refuses, tells
        each refusal once, and at once; and so again where they are asked for a second time."""
        if Oddity.UNLISTED in subject.dialect().lacks:
            subject.undeclared("refusal of what isn't listed (Dialect.lacks)")
        for market in {case.market: None for case in subject.cases()}:
            self._refused_is_told(subject, market)

    def _refused_is_told(self, subject: Subject, market: Market) -> None:
        good = [case.subscription for case in subject.cases() if case.market is market]
        odd = _odd(subject, market)
        bad = [
            attrs.evolve(sub, instrument=instrument)
            for sub in good
            for instrument in odd
            if not _served(subject, attrs.evolve(sub, instrument=instrument))
        ]

        async def scenario(world: World) -> None:
            async with watching(world, *good) as watch:
                await well(world, subject, watch, good, 60.0, "subscribing")
                for turn in ("the first time", "the second time"):
                    heard = len(watch.errors)
                    await watch.feed.subscribe(*map(interest_of, bad))
                    await asyncio.sleep(_SOON)
                    _as_the_exchange_says(world, good, bad, turn)
                    _told_once(watch, heard, bad, turn)
                    _unharmed(world, subject, good, turn)
                    await watch.feed.unsubscribe(*map(interest_of, bad))
                    await asyncio.sleep(1.0)

        known = [*subject.instruments[market], *odd]
        world = World(
            subject.make(), subject.venue(rate=0.5, listings=_listed(subject)), instruments=known
        )
        world.run(scenario)

    @proves(9)
    def test_what_is_refused_for_now_is_asked_for_again(self, subject: Subject) -> None:
        """A refusal that means "later" (asked too often, busy, restarting) is neither taken for a
        grant nor for good: the client asks again, ever more seldom, tells the user where that goes
        on, and has everything as soon as the exchange grants it."""
        if Oddity.BUSY in subject.dialect().lacks:
            subject.undeclared("refusal that is lifted later (Dialect.lacks)")
        for sub in one_of_each_route(subject):
            self._refused_once(subject, sub)
            self._refused_for_long(subject, sub)

    def _refused_once(self, subject: Subject, sub: Subscription) -> None:
        async def scenario(world: World) -> None:
            world.fault("busy,count=1")
            async with watching(world, sub) as watch:
                await well(world, subject, watch, [sub], 20.0, "a refusal for now")
                assert not watch.errors, (
                    f"{sub}: {watch.errors[0][1]!r}, though the exchange only said to come later: "
                    "set Refused.later for such codes"
                )
                world.fault("busy,count=1")
                await watch.feed.unsubscribe(interest_of(sub))
                await asyncio.sleep(20.0)
                left = [topic for peer in world.venue.peers for topic in peer.subscriptions]
                assert not left, (
                    f"the exchange still serves {left}, which nobody wants: the request to "
                    "unsubscribe was refused for now and must be made again"
                )

        world_of(subject, rate=0.5).run(scenario)

    def _refused_for_long(self, subject: Subject, sub: Subscription) -> None:
        spy = SpiedExchange(subject.make())

        async def scenario(world: World) -> None:
            world.fault(f"busy,duration={_BUSY}")
            async with watching(world, sub) as watch:
                for _ in range(round(_BUSY) - 1):
                    await asyncio.sleep(1.0)
                    (status,) = world.client.status().subscriptions
                    assert not status.state.acknowledged, (
                        f"{sub} is {status.state.value} while the exchange refuses it: a refusal "
                        "for now is Refused with later=True, no Ack"
                    )
                told = [error for _, error in watch.errors]
                assert len(told) == 1, (
                    f"{sub} was refused for {_BUSY:g} s; {len(told)} of that was told, not once"
                )
                asked = sum(each.subscribe for each in spy.asked)
                assert asked <= 8, (
                    f"{sub} was asked for {asked} times in {_BUSY:g} s of refusals for now: decode "
                    "them with Refused.later, so that the pauses between requests grow"
                )
                await well(world, subject, watch, [sub], 65.0, "the end of refusals for now")

        world_of(subject, spy, rate=0.5).run(scenario)

    @proves(38, quick=False)
    def test_hundreds_of_streams_are_carried(self, subject: Subject) -> None:
        """Several hundred streams of one route, on several connections, are all served by the
        exchange, none twice, also after connections are lost and while some are given up and
        others taken up."""
        for route, found in of_each_route(subject).items():
            if route.topics_per_connection is None or route.topics_per_connection > 20:
                self._hundreds(subject, found[0].instrument.market, route, found)

    def _hundreds(
        self, subject: Subject, market: Market, route: Route, found: Sequence[Subscription]
    ) -> None:
        listings, instruments = coined(subject, market, _MANY + 30)
        sub = next(each for each in found if each.instrument.market is market)
        wanted = [attrs.evolve(sub, instrument=each) for each in instruments]
        most = min(route.topics_per_connection or 10**6, _MANY // 3)

        def narrowed(route: Route) -> Route:
            return attrs.evolve(route, topics_per_connection=most)

        exchange = SpiedExchange(subject.make(), reroute=narrowed)
        venue = subject.venue(rate=0.001, listings=[*_listed(subject), *listings])
        world = World(exchange, venue, instruments=instruments)
        if _one_stream(subject, venue, wanted[:2]):
            return
        first, rest = wanted[:_MANY], wanted[_MANY:]

        async def scenario(world: World) -> None:
            async with watching(world, *first) as watch:
                await _all_carried(world, first, most, "subscribing")
                world.fault("drop")
                await _all_carried(world, first, most, "a drop of all connections")
                gone = first[::5]
                await watch.feed.unsubscribe(*map(interest_of, gone))
                await watch.feed.subscribe(*map(interest_of, rest))
                kept = [each for each in first if each not in gone] + rest
                await _all_carried(world, kept, most, "giving some up and taking up others")
                assert not watch.errors, (
                    f"of {len(kept)} streams some are refused: {watch.errors[0][1]!r}"
                )

        world.run(scenario)


# --- what the exchange says -----------------------------------------------------------------------


def _listed(subject: Subject) -> list[Listing]:
    return list(subject.listings.values())


def _odd(subject: Subject, market: Market) -> list[Instrument]:
    """Instruments that the exchange doesn't list, some of odd spelling."""
    instrument = subject.instrument(market)
    listed = {symbol for _, symbol in subject.listings}
    found = [
        renamed(instrument, "ZZNONE"),
        renamed(instrument, "1000ZZ"),
        renamed(instrument, "龙ZZ"),
        attrs.evolve(renamed(instrument, "ZZCASE"), native=instrument.native.swapcase()),
        attrs.evolve(renamed(instrument, "ZZMARK"), native=f"{instrument.native}.ZZ"),
    ]
    return [each for each in found if each.native not in listed]


def _served(subject: Subject, sub: Subscription) -> bool:
    """Whether the exchange serves anything for a subscription, as with streams of all symbols."""
    wire = subject.line().open(subject.exchange.route(sub))
    wire.peer.received(wire.codec.subscribe([sub], "1"), wire.line.venue.now_ns)
    return bool(wire.peer.subscriptions)


def _one_stream(subject: Subject, venue: EmulatedExchange, subs: Sequence[Subscription]) -> bool:
    """Whether the exchange serves several subscriptions by one stream."""
    wire = subject.line(venue).open(subject.exchange.route(subs[0]))
    for sub in subs:
        wire.subscribe(sub)
    streams = len(wire.peer.subscriptions)
    wire.peer.gone()
    return streams < len(subs)


def _as_the_exchange_says(
    world: World, good: Sequence[Subscription], bad: Sequence[Subscription], turn: str
) -> None:
    """Nothing is called active but what the exchange serves, and what it refuses is refused."""
    refused = {(sub.symbol, sub.channel) for sub in bad}
    for status in world.client.status().subscriptions:
        what = f"{status.channel.value} of {status.symbol}, asked for {turn},"
        if (status.symbol, status.channel) in refused:
            assert status.state is SubscriptionState.REFUSED, (
                f"{what} is {status.state.value}: the exchange has refused it, and serves nothing. "
                "Decode its refusal to Refused, with the request's number or the topics that it "
                "names, and whatever it says only of what it grants to an Ack of those topics"
            )
        else:
            assert status.state.acknowledged, (
                f"{what} is {status.state.value} ({status.refusal}), though the exchange serves it"
            )
    shown = len(world.client.status().subscriptions)
    assert len(good) <= shown, f"{len(good)} streams are served, client.status() shows {shown}"


def _told_once(watch: Watch, heard: int, bad: Sequence[Subscription], turn: str) -> None:
    told = [error for _, error in watch.errors[heard:] if isinstance(error, SubscriptionRefused)]
    for sub in bad:
        about = [e for e in told if (e.symbol, e.channel) == (sub.symbol, sub.channel.value)]
        assert len(about) == 1, (
            f"{sub}, asked for {turn}: its refusal was told {len(about)} times within {_SOON:g} s "
            "of asking, not once; a refusal for good isn't Refused.later"
        )


def _unharmed(world: World, subject: Subject, good: Sequence[Subscription], turn: str) -> None:
    served = {topic for peer in world.venue.peers for topic in peer.subscriptions}
    wanted = {topic for sub in good for topic in emulated_topics(subject, sub)}
    assert served == wanted, (
        f"with some refused {turn}, the exchange serves {sorted(served - wanted)} too much and "
        f"{sorted(wanted - served)} too little"
    )


async def _all_carried(world: World, wanted: Sequence[Subscription], most: int, after: str) -> None:
    """Wait until the exchange serves as many streams as are wanted, and the client says so."""
    bound = healing_time(world.exchange, wanted, Options()) + 60.0
    reason = ""
    for _ in range(round(bound)):
        await asyncio.sleep(1.0)
        carried = [len(peer.subscriptions) for peer in world.venue.peers]
        states = [s.state.acknowledged for s in world.client.status().subscriptions]
        reason = (
            f"connections carry {carried} streams, {sum(states)} of {len(wanted)} wanted ones are "
            "acknowledged"
        )
        if sum(carried) == len(wanted) == sum(states) == len(states) and max(carried) <= most:
            assert len(carried) > 1, "one connection took it all"
            return
    raise AssertionError(f"{bound:.0f} s after {after}: {reason}")
