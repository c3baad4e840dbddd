"""How long connections live: the exchange's limit of age, and its demands for signs of life."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ccrs_core.conformance.judges.agreement import disagreement, watching, world_of
from ccrs_core.conformance.themes.healing import chattiest, of_each_route, quietest_of_each_route
from ccrs_core.conformance.workbench.line import Line, next_due_ns
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.emulator import Changed, EmulatedExchange, HttpRefusal, Oddity, Peer
from ccrs_core.model.events import Gap, Notice, Reason, Resumed, Stale
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND

_HOUR = 3600.0
_LONGEST = 26 * _HOUR
"""The longest life of a connection that exchanges are known to set is a day."""
_SEVERAL = 4.2
"""Of the exchange's deadlines: what works once may not work again."""
STILL = Changed.BOOK | Changed.TRADES | Changed.LIQUIDATIONS | Changed.REFERENCE


class LifetimeProperties:
    """Connections end when we want it, and not when the exchange does."""

    @proves(34, quick=False)
    def test_a_connection_lives_until_the_exchanges_limit_of_age(self, subject: Subject) -> None:
        """Over 26 hours, in which hardly anything happens, the exchange ends no connection whose
        heartbeats are sent and whose pings are answered, unless ``Route.max_age`` says so."""
        quietest = quietest_of_each_route(subject)
        for sub in {subject.exchange.route(sub).url: sub for sub in quietest}.values():
            route = subject.exchange.route(sub)
            lived = _lifetime(subject, route, sub, _LONGEST)
            declared = float("inf") if route.max_age is None else route.max_age
            assert lived is None or declared <= lived, (
                f"the exchange ends a healthy connection to {route.url} after {_told(lived)}, and "
                f"Route.max_age is {route.max_age}: if that is its limit of age, declare it; else "
                "Codec.heartbeat, ping() or a Reply isn't what it demands"
            )

    @proves(34, quick=False)
    def test_each_deadline_of_the_exchange_is_met(self, subject: Subject) -> None:
        """Connections outlive several of the exchange's deadlines (for silence, and for the pongs
        of its pings), whether data pass all the time or none do."""
        subs = [*quietest_of_each_route(subject), chattiest(subject)]
        for number, sub in enumerate(subs):
            route = subject.exchange.route(sub)
            session = subject.line().open(route).peer.visitor
            pongs = 0.0 if session.ping_interval is None else session.pong_timeout
            beat = subject.exchange.codec(route).heartbeat
            own = 0.0 if beat is None else beat.interval + beat.timeout
            deadline = max(session.idle_timeout or 0.0, pongs, own, 30.0)
            self._meets_deadlines(subject, sub, _SEVERAL * deadline, busy=number == len(subs) - 1)

    def _meets_deadlines(
        self, subject: Subject, sub: Subscription, seconds: float, *, busy: bool
    ) -> None:
        async def scenario(world: World) -> None:
            ended = endings(world.venue)
            if not busy:
                lacks = Oddity.STANDSTILL in world.venue.dialect.lacks
                world.venue.hold(STILL & ~Changed.REFERENCE if lacks else STILL)
            async with watching(world, sub) as watch:
                await asyncio.sleep(seconds)
                url = world.exchange.route(sub).url
                how = "with data all the time" if busy else "without data"
                assert not ended, (
                    f"the exchange ended the connection to {url}, {how}, "
                    f"{ended[0]:.0f} s after it began: Codec.heartbeat and ping() must be what it "
                    "demands, every time, and what it asks be answered by a Reply, every time with "
                    "what it asked for"
                )
                reason = disagreement(world, subject, watch.feed, [sub])
                assert reason is None, f"{how}, after {seconds:.0f} s: {reason}"

        world_of(subject, rate=0.2).run(scenario)

    @proves(39, quick=False)
    def test_connections_are_replaced_before_the_exchange_ends_them(self, subject: Subject) -> None:
        """Past the exchange's own limit of age, with two connections where they may race and with
        one elsewhere, the exchange ends none: each was replaced before. Nothing is missed, or
        where each connection counts for itself, what may be missed is told as the replacement's."""
        aged = {
            route.sequence_scope: (route, found)
            for route, found in reversed(of_each_route(subject).items())
            if route.max_age is not None
        }
        if not aged:
            subject.undeclared("limit of a connection's age")
        for route, found in aged.values():
            self._are_replaced(subject, route, found)

    def _are_replaced(self, subject: Subject, route: Route, found: Sequence[Subscription]) -> None:
        quiet = max(found, key=lambda sub: subject.exchange.max_silence(sub) is None)
        races = route.sequence_scope is SequenceScope.GLOBAL
        count = 2 if races else 1

        async def scenario(world: World) -> None:
            ended = endings(world.venue)
            world.venue.hold(STILL)
            async with watching(world, quiet, connections=count) as watch:
                await asyncio.sleep((route.max_age or 0.0) + 2 * _HOUR)
                status = world.client.status()
                assert not ended, f"the exchange ended a connection, {ended[0] / _HOUR:.1f} h old"
                if races:
                    watch.no_notices("planned replacements")
                for notice in watch.notices():
                    assert _is_owed(notice), f"a planned replacement has led to {notice}"
                stale, resumed = (len(watch.notices(kind)) for kind in (Stale, Resumed))
                assert stale == resumed, f"{quiet} was interrupted {stale} times, resumed {resumed}"
                assert status.rollovers >= count, (
                    f"{status.rollovers} replacements of connections, where {count} are open"
                )
                assert status.reconnects == 0, f"{status.reconnects} connections were lost"

        world_of(subject, rate=0.001).run(scenario)


def _is_owed(notice: Notice) -> bool:
    """Whether a notice only tells that another connection counts from here on, or that what was
    silent for long has been asked for again."""
    if isinstance(notice, Gap):
        return notice.reason in {Reason.ROLLOVER, Reason.RESUBSCRIBED}
    return not isinstance(notice, Resumed) or (notice.stale_ns or 0) < NS_PER_SECOND


def _lifetime(subject: Subject, route: Route, sub: Subscription, longest: float) -> float | None:
    """How long the exchange lets a connection live that does what the plugin says; None where it
    doesn't end it."""
    venue = subject.venue(rate=0.001)
    venue.hold(STILL)
    line = Line(subject.make(), venue)
    wire = line.open(route)
    begun_ns = venue.now_ns
    wire.subscribe(sub)
    end_ns = begun_ns + round(longest * NS_PER_SECOND)
    while not wire.closed and (due := next_due_ns(venue, [wire])) is not None and due <= end_ns:
        venue.advance(due)
        wire.take()
        wire.frames.clear()
    return (venue.now_ns - begun_ns) / NS_PER_SECOND if wire.closed else None


def endings(venue: EmulatedExchange) -> list[float]:
    """The ages (s) of connections that the exchange has ended; it grows as it ends them."""
    ended: list[float] = []
    opened = venue.open

    def opening(*args: Any, **named: Any) -> Peer | HttpRefusal:
        peer = opened(*args, **named)
        return peer if isinstance(peer, HttpRefusal) else _noted(peer, venue.now_ns, ended)

    venue.open = opening  # type: ignore[method-assign]
    return ended


def _noted(peer: Peer, begun_ns: int, ended: list[float]) -> Peer:
    end = peer._end

    def ending(action: Any) -> None:
        if peer.open:
            ended.append((peer.venue.now_ns - begun_ns) / NS_PER_SECOND)
        end(action)

    peer._end = ending  # type: ignore[method-assign]
    return peer


def _told(seconds: float | None) -> str:
    seconds = seconds or 0.0
    return f"{seconds / _HOUR:.1f} h" if seconds > _HOUR else f"{seconds:.0f} s"
