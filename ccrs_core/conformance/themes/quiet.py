"""Streams that may be silent (32): the dead are told from the quiet, in either direction."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import attrs

from ccrs_core.client.status import SubscriptionStatus
from ccrs_core.conformance.judges.agreement import Watch, watching, world_of
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.exchange import Exchange, SequenceScope
from ccrs_core.model.events import Gap, Resumed, Stale
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.transport.options import Options
from ccrs_core.transport.patience import Patience

_BOUND = 600.0
"""Seconds within which a dead stream is found out, in a market in which something happens."""
_SELDOM = 3 * _BOUND
"""The same of liquidations, which are rare."""
_READY = 30.0
_HOUR = 3600.0
_FEW = 40
"""Questions of one kind in an hour in which little happens."""


class QuietProperties:
    """What proves that a stream lives that has nothing to say."""

    @proves(32, quick=False)
    def test_a_stream_that_is_acknowledged_and_stays_silent_is_told_of_and_revived(
        self, subject: Subject
    ) -> None:
        """Where the exchange can be asked what happened last (``Exchange.activity``), a stream
        without cadence that is acknowledged and dead is told of as stale, subscribed to anew, and
        taken to a fresh connection; once the exchange sends again, so does the feed, with a
        ``Gap``."""
        for market, subscriptions in _askable(subject).items():
            world = world_of(subject, rate=_rate(subscriptions))

            async def muted(world: World, wanted: Sequence[Subscription] = subscriptions) -> None:
                world.fault("mute")
                async with _feeds(world, wanted) as watches:
                    await _all(world, _stale, _longest(wanted), "found dead")
                    status = world.client.status()
                    assert status.found_dead >= len(watches), (
                        f"{status.found_dead} of {len(watches)} dead streams are counted"
                    )
                    assert status.resubscriptions, "nothing was asked for anew"
                    await _until(
                        lambda: world.client.status().rollovers > 0,
                        2 * _longest(wanted),
                        "what stays silent after it was subscribed to anew is not taken to a fresh "
                        "connection",
                    )
                    world.quieten()
                    await _all(world, _speaks, 3 * _longest(wanted), "revived")
                    for subscription, watch in watches.items():
                        _told(watch, subscription)

            _run(world, market, muted)

    @proves(32, quick=False)
    def test_a_stream_that_falls_silent_while_requests_are_answered_is_told_of_and_revived(
        self, subject: Subject
    ) -> None:
        """So it is with one that has spoken, and then falls silent on a connection that lives."""
        for market, subscriptions in _askable(subject).items():
            world = world_of(subject, rate=_rate(subscriptions))

            async def fallen(world: World, wanted: Sequence[Subscription] = subscriptions) -> None:
                async with _feeds(world, wanted) as watches:
                    await _all(world, _speaks, _longest(wanted), "begun")
                    world.fault("silence")
                    before = {s: len(watch.of(s)) for s, watch in watches.items()}
                    await _all(world, lambda told: told.stales > 0, _longest(wanted), "found dead")
                    await _all(world, _speaks, _longest(wanted), "revived")
                    for subscription, watch in watches.items():
                        _told(watch, subscription, before[subscription])

            _run(world, market, fallen)

    @proves(32, quick=False)
    def test_a_market_in_which_nothing_happens_is_never_called_dead(self, subject: Subject) -> None:
        """In a market that stands still, a stream without cadence is neither stale nor asked for
        again for an hour. The exchange is asked about it ever more seldom, and for no more than a
        twentieth of its request budget."""
        for market, subscriptions in _askable(subject).items():
            # A market wakes once in a while; so do its streams.
            listings = [attrs.evolve(e, pace=e.pace / 5000) for e in subject.listings.values()]
            world = subject.world(rate=2.0, listings=listings)

            async def quiet(world: World, wanted: Sequence[Subscription] = subscriptions) -> None:
                async with _feeds(world, wanted):
                    asked_before = len(world.tap.requests)
                    await asyncio.sleep(_HOUR)
                    status = world.client.status()
                    for told in status.subscriptions:
                        assert told.stales == told.gaps == 0, (
                            f"{told.channel.value} of {told.symbol} is called dead in a market "
                            "that stands still: the marks of GetActivity must change when "
                            "something happens that the stream tells of, and not otherwise (no "
                            "clock, no volume of a day)"
                        )
                    assert not status.found_dead, (
                        "a stream is counted as dead in a market that stands still"
                    )
                    assert not status.resubscriptions, (
                        "a stream is asked for anew in a market that stands still"
                    )
                    _asked_seldom(world, wanted, asked_before)

            _run(world, market, quiet)

    @proves(32, quick=False)
    def test_what_cannot_be_asked_about_is_called_unproved_and_subscribed_to_anew(
        self, subject: Subject
    ) -> None:
        """Where nothing can be asked about a stream without cadence, its status says ``unproved``
        until it speaks, and after ``Patience.unproved`` without a word it is subscribed to anew, on
        a fresh connection without anything being interrupted, where connections can be raced."""
        found = [s for s in _quiet(subject) if subject.exchange.activity(s) is None]
        if not found:
            subject.undeclared("stream about which nothing can be asked")
        patience = Patience(unproved=300.0)
        for subscription in found:
            world = world_of(subject, options=Options(patience=patience))

            async def unproved(world: World, wanted: Subscription = subscription) -> None:
                world.fault("mute")
                async with watching(world, wanted) as watch:
                    await _until(
                        lambda: _state(world) is SubscriptionState.UNPROVED,
                        60.0,
                        f"{wanted} has said nothing, and nothing can be asked about it, but isn't "
                        "called unproved",
                    )
                    await asyncio.sleep(2.5 * patience.unproved)
                    status = world.client.status()
                    again = status.rollovers + status.resubscriptions
                    assert again >= 2, (
                        f"{wanted} was subscribed to anew {again} times in "
                        f"{2.5 * patience.unproved:g} s of silence"
                    )
                    if subject.exchange.route(wanted).sequence_scope is SequenceScope.GLOBAL:
                        watch.no_notices("subscribing anew on a fresh connection")

            _run(world, subscription.instrument.market, unproved)

    @proves(32, against=Against.NOTHING)
    def test_what_can_be_asked_about_is(self, subject: Subject) -> None:
        """A plugin that answers what happened last to an instrument doesn't forbid to ask it."""
        for subscription in _quiet(subject):
            exchange = subject.exchange
            possible = Exchange.activity(exchange, subscription)
            assert possible is None or exchange.activity(subscription) is not None, (
                f"activity({subscription}) is None, though the exchange answers "
                f"{type(possible).__name__}: a dead stream would go unnoticed"
            )


def _quiet(subject: Subject) -> list[Subscription]:
    """Declared streams without cadence."""
    subscriptions = [case.subscription for case in subject.cases()]
    found = [s for s in subscriptions if subject.exchange.max_silence(s) is None]
    if not found:
        subject.undeclared("stream without cadence")
    return found


def _askable(subject: Subject) -> dict[Market, list[Subscription]]:
    """Those about which the exchange can be asked, by market."""
    found: dict[Market, list[Subscription]] = {}
    for subscription in _quiet(subject):
        if subject.exchange.activity(subscription) is not None:
            found.setdefault(subscription.instrument.market, []).append(subscription)
    if not found:
        subject.undeclared("request by which a quiet stream could be told from a dead one")
    return found


def _rate(subscriptions: Sequence[Subscription]) -> float:
    rare = any(each.channel is Channel.LIQUIDATIONS for each in subscriptions)
    return 20.0 if rare else 4.0


def _longest(subscriptions: Sequence[Subscription]) -> float:
    rare = any(each.channel is Channel.LIQUIDATIONS for each in subscriptions)
    return _SELDOM if rare else _BOUND


@asynccontextmanager
async def _feeds(
    world: World, subscriptions: Sequence[Subscription]
) -> AsyncIterator[dict[Subscription, Watch]]:
    """A feed for each of some subscriptions, read while the block lasts."""
    async with AsyncExitStack() as stack:
        found = {}
        for each in subscriptions:
            found[each] = await stack.enter_async_context(watching(world, each))
            with suppress(TimeoutError):  # a muted book is never ready
                async with asyncio.timeout(_READY):
                    await found[each].feed.ready()
        yield found


async def _until(done: Callable[[], bool], seconds: float, failure: str) -> None:
    waited = 0.0
    while not done():
        assert waited < seconds, f"{failure} within {seconds:g} s"
        await asyncio.sleep(5.0)
        waited += 5.0


async def _all(
    world: World, state: Callable[[SubscriptionStatus], bool], seconds: float, what: str
) -> None:
    """Wait until all subscriptions are as they should be."""

    def those_that_are_not() -> list[str]:
        told = world.client.status().subscriptions
        return [f"{each.channel.value} of {each.symbol}" for each in told if not state(each)]

    waited = 0.0
    while lacking := those_that_are_not():
        assert waited < seconds, (
            f"{', '.join(lacking)}: not {what} after {seconds:g} s. activity() must name a "
            "question, and GetActivity answer with another mark after all that the stream tells of"
        )
        await asyncio.sleep(5.0)
        waited += 5.0


def _state(world: World) -> SubscriptionState:
    (told,) = world.client.status().subscriptions
    return told.state


def _stale(told: SubscriptionStatus) -> bool:
    return told.state is SubscriptionState.STALE


def _speaks(told: SubscriptionStatus) -> bool:
    return told.delivered > 0 and told.state is SubscriptionState.ACTIVE


def _told(watch: Watch, subscription: Subscription, since: int = 0) -> None:
    """The interruption stands in the feed, from its begin to its end."""
    events = watch.of(subscription)[since:]
    for kind in (Stale, Gap, Resumed):
        assert any(isinstance(event, kind) for event in events), (
            f"{subscription} was dead and came back without a {kind.__name__}"
        )


def _asked_seldom(world: World, wanted: Sequence[Subscription], since: int) -> None:
    exchange = world.exchange
    spent: Counter[str] = Counter()
    for question in {exchange.activity(each): None for each in wanted}:
        assert question is not None
        endpoint = exchange.endpoints[type(question)]
        http = endpoint.encode(question, None)
        asked = sum(request == http for _, _, request in world.tap.requests[since:])
        assert asked <= _FEW, (
            f"{question} was asked {asked} times in an hour in which nothing happened"
        )
        name = exchange.rest_pool(exchange.rest_address(http))
        spent[name] += asked * endpoint.weight_of(question)
    for name, weight in spent.items():
        budget = exchange.rest_budget(name)
        assert weight <= 0.05 * budget.rate * _HOUR, (
            f"questions about quiet streams took {weight:g} of weight from {name} in an hour"
        )


def _run(world: World, market: Market, scenario: Callable[[World], object]) -> None:
    try:
        world.run(scenario)  # type: ignore[arg-type]
    except AssertionError as error:
        raise AssertionError(f"{market.value}: {error}") from None
