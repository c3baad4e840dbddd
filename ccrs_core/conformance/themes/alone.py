"""Each channel by itself, in a market that stands still (32): silence is one thing, repetition
another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ccrs_core.conformance.judges.agreement import interest_of, world_of
from ccrs_core.conformance.themes.shared_state import SharedStateProperties
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.codec import Data, Unchanged
from ccrs_core.emulator import Changed, Oddity
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.transport.options import Options
from ccrs_core.transport.patience import Patience

_TIMES, _BRIEFLY = 3.2, 2.3
"""So many times as long as a stream may be silent its state stays the same; where it is quick."""
_HOURS, _WHILE = 5400.0, 600.0
"""Seconds for which streams without cadence have nothing to tell: one of each channel, others."""
_RATE = 0.5
"""Changes a second of what doesn't stand still: enough for frames that tell nothing new."""

_ALL = Changed.BOOK | Changed.TRADES | Changed.LIQUIDATIONS | Changed.REFERENCE
_NO_TRADES = Changed.TRADES | Changed.LIQUIDATIONS
_NO_ORDERS = _NO_TRADES | Changed.BOOK
_STATE_OF: dict[Channel, Sequence[Changed]] = {
    Channel.TOP_OF_BOOK: (_NO_ORDERS,),
    Channel.BOOK: (_NO_ORDERS,),
    Channel.TRADES: (_NO_TRADES,),
    Channel.LIQUIDATIONS: (_NO_TRADES,),
    Channel.CANDLES: (_NO_TRADES,),
    Channel.TICKER: (_NO_ORDERS, Changed.REFERENCE),
    Channel.FUNDING: (Changed.REFERENCE,),
    Channel.MARK_PRICE: (Changed.REFERENCE,),
    Channel.GREEKS: (Changed.REFERENCE,),
    Channel.INDEX_PRICE: (Changed.REFERENCE,),
    Channel.OPEN_INTEREST: (_NO_TRADES | Changed.REFERENCE,),
}
"""What stands still where a channel has nothing new to tell while the rest of the market moves. A
ticker tells of both: each of its halves stands still in turn."""


class AloneProperties(SharedStateProperties):
    """What a stream's neighbours would hide."""

    @proves(32, quick=False)
    def test_a_stream_that_lives_alone_is_never_called_silent(self, subject: Subject) -> None:
        """Subscribed to by itself, in a market in which hardly anything happens, a stream with a
        cadence is neither stale nor asked for again: a frame that says what is known already is a
        sign of life (``Unchanged``)."""
        paced = [each for each in _usual(subject) if _silence(subject, each) is not None]
        if not paced:
            subject.undeclared("stream with a cadence")
        for subscription in paced:
            still = _STATE_OF[subscription.channel][-1]
            _lives(
                subject, subscription, still, _BRIEFLY * (_silence(subject, subscription) or 0.0)
            )

    @proves(32, quick=False)
    def test_a_stream_whose_state_stays_the_same_is_healthy_for_hours(
        self, subject: Subject
    ) -> None:
        """Every depth, the shortest, a middling and the longest interval, and another instrument's
        streams, each subscribed to by itself, are healthy while what they tell of stays the same
        for several times ``max_silence``, for an hour and more where they have none: not stale, not
        asked for again, not reconnected. Meanwhile the rest of the market moves, and nothing at all
        does (unless ``Dialect.lacks`` says that this never happens)."""
        standstill = Oddity.STANDSTILL not in subject.dialect().lacks
        lasted: set[Channel] = set()
        for subscription in _variants(subject):
            silence = _silence(subject, subscription)
            if silence is None:
                long = subscription.channel not in lasted
                lasted.add(subscription.channel)
                _lives(subject, subscription, _ALL, _HOURS if long else _WHILE)
                continue
            for still in (*_STATE_OF[subscription.channel], *([_ALL] if standstill else [])):
                _lives(subject, subscription, still, _TIMES * silence)


def stands_still(subject: Subject) -> bool | None:
    """Whether the emulated streams with a cadence keep it while nothing at all changes; None where
    there are none. For :mod:`ccrs_core.conformance.themes.oddities`."""
    paced = [each for each in _usual(subject) if _silence(subject, each) is not None]
    if not paced:
        return None
    return all(_repeats(subject.line(), each, _silence(subject, each) or 0.0) for each in paced)


def _repeats(line: Line, subscription: Subscription, silence: float) -> bool:
    venue = line.venue
    wire = line.open(line.exchange.route(subscription))
    wire.subscribe(subscription)
    wire.run(2.0)
    venue.hold(_ALL)
    wire.run(silence)
    before = len(wire.frames)
    wire.run(silence)
    return any(_is_of(wire, frame, subscription) for frame in wire.frames[before:])


def _is_of(wire: Wire, frame: bytes, subscription: Subscription) -> bool:
    """Whether a frame tells of a subscription's topic, be it something new or not."""
    messages = wire.decode(frame)
    topic = wire.codec.topic(subscription)
    return any(isinstance(m, Data | Unchanged) and m.topic == topic for m in messages)


def _silence(subject: Subject, subscription: Subscription) -> float | None:
    return subject.exchange.max_silence(subscription)


def _usual(subject: Subject) -> list[Subscription]:
    return [case.subscription for case in subject.cases()]


def _variants(subject: Subject) -> Iterator[Subscription]:
    """Each declared channel, every depth, several intervals, and another instrument's."""
    capabilities = subject.exchange.capabilities
    intervals = capabilities.intervals
    some = dict.fromkeys(intervals[at] for at in (0, len(intervals) // 2, -1)) if intervals else ()
    for case in subject.cases():
        depths = capabilities.book_depths.get(case.market, ())
        first, *others = subject.some_instruments(case.market, 2)
        for each in depths if case.channel is Channel.BOOK else (None,):
            for interval in some if case.channel is Channel.CANDLES else (None,):
                yield subject.subscription(case.channel, first, each, interval)
        for other in others:
            yield subject.subscription(case.channel, other)


def _lives(subject: Subject, subscription: Subscription, still: Changed, seconds: float) -> None:
    """Fails unless a stream alone is healthy for so long while something stands still."""
    # What can't be asked about is subscribed to anew in time, which is no complaint about it.
    patience = Patience(unproved=2 * seconds)
    world = world_of(subject, rate=_RATE, options=Options(patience=patience))

    async def alone(world: World) -> None:
        interest = interest_of(subscription)
        async with world.client.subscribe(interest, policy=Policy.CONFLATE) as feed:
            await subscribed(feed)
            await settle(2.0)
            world.venue.hold(still)
            await settle(seconds)
            status = world.client.status()
            (told,) = status.subscriptions
            again = status.resubscriptions + status.reconnects + status.rollovers
            healthy = not (told.stales or told.gaps or again)
            assert healthy, (
                f"{subscription}, subscribed to by itself, is called silent in {seconds:g} s in "
                f"which {_NAMES[still]} (max_silence: {_silence(subject, subscription)} s): "
                f"{told.stales} times stale, {told.gaps} gaps, {again} times asked for again or "
                "connected anew; a user would be told that a healthy stream is dead, over and "
                "over. Where a frame tells nothing new, Codec.decode must say Unchanged(topic); "
                "where the exchange sends none, Exchange.max_silence must be None or longer; where "
                "it repeats itself, so must the dialect's stream (alarm)"
            )

    world.run(alone)


_NAMES: dict[Changed, str] = {
    _NO_TRADES: "nothing is traded",
    _NO_ORDERS: "the book stands still, and mark price and index move",
    Changed.REFERENCE: "mark price, index and funding stand still, and the book moves",
    _ALL: "nothing at all changes",
}
