"""Connections that carry as many streams as the exchange's documents allow, and one more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from ccrs_core.conformance.workbench.coined import coin, coined, renamed
from ccrs_core.conformance.workbench.facts import LimitFact
from ccrs_core.conformance.workbench.line import Wire
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Message, Refused
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Listing
from ccrs_core.model.subscriptions import Subscription

_MOST = 4000
"""Greater numbers of streams are compared, and not tried."""
_CHUNK = 50
"""Streams that are asked for in one request, where the route states no fewer."""


def is_refused(wire: Wire, frame: str | bytes) -> bool:
    """Whether a frame is refused, or ends the connection."""
    wire.peer.received(frame, wire.line.venue.now_ns)
    messages: list[Message] = wire.take()
    return wire.closed or any(isinstance(message, Refused) for message in messages)


def topics_of_a_connection(
    subject: Subject, fact: LimitFact, route: Route, sub: Subscription
) -> Iterator[str]:
    """What the emulator does otherwise than a limit on the streams of one connection says."""
    if fact.amount > _MOST:
        return
    listings, subs = _streams(subject, sub, fact.amount + 1)
    topic = subject.exchange.codec(route).topic
    chars, market = sum(len(topic(each)) for each in subs), sub.instrument.market
    if any(
        f.of == "topic_chars_per_connection" and market in f.markets and f.amount < chars
        for f in subject.facts.limits
    ):
        return  # Their names don't let it come so far.
    full, more = _filled(subject, route, listings, subs)
    if full is not None:
        yield f"the emulator refuses stream {full} of one connection on {route.url}, by {fact}"
    elif not more:
        yield (
            f"the emulator takes {fact.amount + 1} streams on one connection on {route.url}, by "
            f"{fact}"
        )


def characters_of_a_connection(
    subject: Subject, fact: LimitFact, route: Route, sub: Subscription
) -> Iterator[str]:
    """What the emulator does otherwise than a limit on the names of a connection's streams says."""
    topic = subject.exchange.codec(route).topic
    ((_, (each,)), size) = _streams(subject, sub, 1), 0
    size = len(topic(each))
    count = fact.amount // size
    if count > _MOST:
        return
    listings, subs = _streams(subject, sub, count + 1)
    # The last name is as long as it must be for the limit, and a letter longer.
    for over in (0, 1):
        length = fact.amount - (count - 1) * size + over
        listing, last = _named(subject, listings[-1], subs[-1], length - size)
        chars = (count - 1) * size + len(topic(last))
        if chars != fact.amount + over:
            return  # Names don't grow with their coin's.
        full, more = _filled(subject, route, [*listings[:-2], listing], [*subs[:-2], last])
        if (over and full is None and not more) or (not over and (full is not None or more)):
            does = "takes" if over else "refuses"
            yield f"the emulator {does} names of {chars} characters on {route.url}, by {fact}"


def _streams(
    subject: Subject, sub: Subscription, count: int
) -> tuple[list[Listing], list[Subscription]]:
    """So many streams of as many instruments that exist nowhere."""
    listings, instruments = coined(subject, sub.instrument.market, count)
    return listings, [attrs.evolve(sub, instrument=each) for each in instruments]


def _named(
    subject: Subject, listing: Listing, sub: Subscription, longer: int
) -> tuple[Listing, Subscription]:
    """A stream of a longer name."""
    base = coin(1, len(sub.instrument.base) + longer)
    found = renamed(sub.instrument, base)
    settle = base if listing.settle == listing.base else listing.settle
    changed = attrs.evolve(listing, symbol=found.native, base=base, settle=settle)
    return changed, attrs.evolve(sub, instrument=found)


def _filled(
    subject: Subject, route: Route, listings: Sequence[Listing], subs: Sequence[Subscription]
) -> tuple[int | None, bool]:
    """Subscribe to all but one at once, and to that one: the number of the first that is refused
    before it, and whether that one is."""
    wire = subject.line(subject.venue(listings=listings, rate=0.0001)).open(route)
    size = min(route.topics_per_request or _CHUNK, _CHUNK)
    asked = list(subs[:-1])
    for first in range(0, len(asked), size):
        wire.run(wire.delay())
        part = asked[first : first + size]
        if is_refused(wire, wire.codec.subscribe(part, str(first + 1))):
            return first + len(part), True
    wire.run(wire.delay())
    return None, is_refused(wire, wire.codec.subscribe(subs[-1:], str(len(subs) + 1)))
