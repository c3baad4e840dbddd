"""Subscriptions that one stream of the exchange carries, and what each of them is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import attrs

from ccrs_core.conformance.judges.agreement import about, emulated_topics
from ccrs_core.conformance.workbench.line import Line, Wire, events_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.exchange import Route
from ccrs_core.model.subscriptions import Channel, Subscription

_MOST = 3
"""Of those who share one stream."""
_TOGETHER = 14
"""Subscriptions that join one connection one after the other."""

LASTING = tuple(c for c in Channel if c not in (Channel.TRADES, Channel.LIQUIDATIONS))


# --- who shares what ------------------------------------------------------------------------------


def candidates(subject: Subject) -> Iterator[Subscription]:
    for case in subject.cases():
        for instrument in subject.some_instruments(case.market, 2):
            yield subject.subscription(case.channel, instrument)


def shared(subject: Subject) -> list[Sequence[Subscription]]:
    """Subscriptions of one route that one stream of the exchange carries, where there are several;
    one group of each set of markets and channels."""
    streams: dict[tuple[Route, frozenset[str]], list[Subscription]] = {}
    for each in candidates(subject):
        key = subject.exchange.route(each), emulated_topics(subject, each)
        streams.setdefault(key, []).append(each)
    found: dict[Any, Sequence[Subscription]] = {}
    for (route, _), sharers in streams.items():
        # Of several instruments and markets one of each kind, then others.
        kinds = {(s.channel, s.instrument.market): s for s in reversed(sharers)}
        some = list(kinds.values())[::-1]
        some += [each for each in sharers if each not in some]
        if len(some) > 1:
            found.setdefault((route, frozenset(kinds)), some[:_MOST])
    if not found:
        subject.undeclared("two subscriptions that share a stream of the exchange")
    return list(found.values())


def beside(subject: Subject, sharers: Sequence[Subscription]) -> Subscription | None:
    """Another subscription of their route, which another stream carries."""
    route = subject.exchange.route(sharers[0])
    taken = frozenset().union(*(emulated_topics(subject, each) for each in sharers))
    for each in candidates(subject):
        if subject.exchange.route(each) == route and not taken & emulated_topics(subject, each):
            return each
    return None


def of_routes(subject: Subject) -> list[Sequence[Subscription]]:
    """Some subscriptions of each route, of unlike markets, channels and instruments first."""
    routes: dict[Route, list[Subscription]] = {}
    for each in candidates(subject):
        routes.setdefault(subject.exchange.route(each), []).append(each)
    found: list[Sequence[Subscription]] = []
    for subscriptions in routes.values():
        unlike = {(s.channel, s.instrument.market): s for s in subscriptions}
        some = list(unlike.values())
        some += [each for each in subscriptions if each not in some]
        if len(some) > 1:
            found.append(some[:_TOGETHER])
    if not found:
        subject.undeclared("route of two subscriptions")
    return found


def _topic(subject: Subject, subscription: Subscription) -> str:
    exchange = subject.exchange
    return exchange.codec(exchange.route(subscription)).topic(subscription)


# --- what is heard --------------------------------------------------------------------------------


def bare(event: Any) -> Any:
    """What an event says, without when it came and what counts it."""
    fields = {f.name for f in attrs.fields(type(event))}
    bare = {"received_time_ns": 0, "exchange_time_ns": None, "sequence": None}
    bare["previous_sequence"] = None
    return attrs.evolve(event, **{k: v for k, v in bare.items() if k in fields})


def states_of(events: Sequence[Any], subscription: Subscription) -> list[Any]:
    """What is said of a subscription, one thing after the other, without immediate repeats."""
    found: list[Any] = []
    for event in events:
        if event.channel is not None and about(event, subscription):
            said = bare(event)
            if not found or found[-1] != said:
                found.append(said)
    return found


class Lone:
    """A subscriber of its own connection to the same exchange, at the same time."""

    def __init__(self, subject: Subject, world: World, subscription: Subscription) -> None:
        self.subscription = subscription
        line = Line(subject.make(), world.venue)
        self.wire = line.open(line.exchange.route(subscription))
        self.events = events_of(self.wire.subscribe(subscription))

    def states(self, begin: int = 0) -> list[Any]:
        """What it has heard so far, from the event of a number on."""
        self.events += events_of(self.wire.take())
        return states_of(self.events[begin:], self.subscription)

    def close(self) -> None:
        self.wire.peer.gone()


def lively_rate(subscriptions: Sequence[Subscription]) -> float:
    """Changes a second, so that each has something to tell."""
    seldom = any(each.channel is Channel.LIQUIDATIONS for each in subscriptions)
    return 100.0 if seldom else 8.0


class Joined:
    """One wire to which subscriptions come and from which they go, as a client's session does it:
    what the exchange sends already isn't asked for again."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.events: list[Any] = []
        self._sharers: dict[str, list[Subscription]] = {}
        self._requests = count(500)

    def join(self, subscription: Subscription) -> None:
        codec = self.wire.codec
        sharers = self._sharers.setdefault(codec.topic(subscription), [])
        if sharers:
            codec.subscribe([subscription], str(next(self._requests)))
        else:
            self.events += events_of(self.wire.subscribe(subscription))
        sharers.append(subscription)

    def leave(self, subscription: Subscription) -> None:
        sharers = self._sharers[self.wire.codec.topic(subscription)]
        sharers.remove(subscription)
        if not sharers:
            self.events += events_of(self.wire.unsubscribe(subscription))

    def take(self) -> None:
        self.events += events_of(self.wire.take())
