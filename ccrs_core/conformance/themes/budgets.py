"""What exchanges limit: connection attempts, frames, topics, requests after a refusal. And time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any

import attrs

from ccrs_core.conformance.judges.agreement import (
    Order,
    healing_time,
    interest_of,
    path_of,
    peers_of,
    watching,
    world_of,
)
from ccrs_core.conformance.themes.healing import of_each_route, one_of_each_route, well
from ccrs_core.conformance.workbench.allowance import Allowance, Question, question
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.spy import SpiedExchange
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import Tap, World
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.codec import Heartbeat, Refused
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import HttpResponse, Request
from ccrs_core.emulator import Peer
from ccrs_core.errors import CcrsError, RateLimited
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import Gap
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.transport.memory import VirtualClock
from ccrs_core.transport.options import Options

_HURRIED = Options(backoff_initial=0.01, backoff_max=0.05, stable_after=1.0)
_HOUR = 3600.0
_MOST_ATTEMPTS = 2000
_LARGE = 1000
"""Of what requests ask for: large enough to weigh more."""
"""Larger budgets are not filled up in a test."""


_FAULTS = (
    "drop,every=0.4", "close,every=0.7", "drop,every=0.3,target=random",
    "refuse,every=5,duration=3", "half_open,every=9", "slow_handshake,seconds=2",
    "stall_all,every=20,duration=10", "no_ack",
)  # fmt: skip


class BudgetProperties:
    """Limits hold in every sliding window, whatever goes wrong."""

    @proves(35, against=Against.NOTHING)
    def test_connection_attempts_keep_to_the_budget(self, subject: Subject) -> None:
        """In every sliding window there are no more connection attempts than
        ``Exchange.limits.connects`` allows, under any faults and with any number of connections."""
        subs = one_of_each_route(subject)
        # The declared limit with refused handshakes, which cost nothing, to the brim.
        self._attempts(subject, None, ["refuse"], 8, subs)
        small = attrs.evolve(subject.exchange.limits, connects=Budget(amount=7, seconds=10.0))
        rng = random.Random(subject.seed)
        for _ in range(subject.profile.examples(12)):
            faults = rng.sample(_FAULTS, rng.randint(1, 4))
            self._attempts(subject, small, faults, rng.randint(1, 9), subs)

    def _attempts(
        self,
        subject: Subject,
        limits: Limits | None,
        faults: Sequence[str],
        connections: int,
        subs: Sequence[Subscription],
    ) -> None:
        spy = SpiedExchange(subject.make(), limits=limits)
        budget = spy.limits.connects
        world = world_of(subject, spy, rate=1.0, options=_HURRIED)
        seconds = min(2.5 * budget.seconds, 1000.0)

        async def scenario(world: World) -> None:
            world.fault(*faults)
            # Feeds of this policy have connections of their own.
            async with asyncio.TaskGroup() as group:
                for _ in range(connections):
                    group.create_task(_hold(world, subs, seconds))

        world.run(scenario)
        times = [at for at, _ in world.tap.attempts]
        _within(times, budget, "connection attempts")
        if faults == ["refuse"] and budget.amount <= _MOST_ATTEMPTS:
            assert len(times) > budget.amount, "nothing tried the limit: the test proves nothing"

    @proves(37, quick=False)
    def test_frames_and_requests_keep_to_the_limits(self, subject: Subject) -> None:
        """Subscribing to many streams, and again after a reconnect, the client sends no more frames
        than ``Route.messages`` allows in any window, heartbeats included, names no more topics in a
        request than ``Route.topics_per_request``, and the exchange refuses none of it."""
        subject.cases()  # skips where nothing is declared
        for market in subject.channels:
            subs = many(subject, market, 40)
            self._mass(subject, subs, SpiedExchange(subject.make(), of_interest=(Refused,)))
        # The same with a budget so small that heartbeats and requests compete for it.
        beat = Heartbeat(interval=4.0, timeout=20.0)
        budget = Budget(amount=5, seconds=10.0)

        def tight(route: Route) -> Route:
            return attrs.evolve(route, messages=budget, topics_per_request=2)

        market = next(iter(subject.channels))
        spy = SpiedExchange(subject.make(), reroute=tight, heartbeat=beat, of_interest=(Refused,))
        self._mass(subject, many(subject, market, 12), spy, budget, settle=20.0)

    def _mass(
        self,
        subject: Subject,
        subs: Sequence[Subscription],
        spy: SpiedExchange,
        budget: Budget | None = None,
        *,
        drops: int = 2,
        settle: float = 1.0,
    ) -> None:
        async def scenario(world: World) -> None:
            async with watching(world, *subs) as watch:
                for _ in range(drops + 1):
                    await well(world, subject, watch, subs, 100.0, "subscribing to many")
                    await asyncio.sleep(settle)
                    world.fault("drop")

        world = world_of(subject, spy, rate=0.001)
        world.run(scenario)
        route = spy.route(subs[0])
        limit = route.messages
        assert budget is None or limit == budget, (
            f"the message budget {budget} was tried, and the route has {limit}"
        )
        for number in {number for _, number, _ in world.tap.sent}:
            times = [at for at, n, _ in world.tap.sent if n == number]
            if limit is not None:
                _within(times, limit, f"frames sent on one connection to {route.url}")
        if spy.limits.messages is not None:
            times = [at for at, _, _ in world.tap.sent]
            _within(times, spy.limits.messages, "frames sent on all connections")
        for asked in spy.asked:
            assert len(asked.topics) <= route.topics_per_request, (
                f"{len(asked.topics)} topics in one request, {route.topics_per_request} allowed"
            )
        assert not spy.read, (
            f"the exchange refuses a request of the core's for {len(subs)} subscriptions: "
            f"{spy.read[0]}; lower Route.topics_per_request (now {route.topics_per_request}) or "
            "the limits per connection to what the exchange allows"
        )

    @proves(38, quick=False)
    def test_streams_per_connection_keep_to_the_limit(self, subject: Subject) -> None:
        """No connection ever carries more streams, or more characters of their names, than the
        route allows; adding or removing one moves no other."""
        subject.cases()  # skips where nothing is declared
        market = max(subject.channels, key=lambda m: len(subject.instruments[m]))
        subs = many(subject, market, 24)
        codec = subject.exchange.codec(subject.exchange.route(subs[0]))
        topics = sorted({codec.topic(sub) for sub in subs})
        if len(topics) < 8:
            market_name = f"more than {len(topics)} streams of a market"
            subject.undeclared(market_name)
        chars = sum(map(len, topics)) // 4
        for change in ({"topics_per_connection": 5}, {"topic_chars_per_connection": chars}):
            self._few(subject, subs, change)

    def _few(self, subject: Subject, subs: list[Subscription], change: dict[str, int]) -> None:
        spy = SpiedExchange(subject.make(), reroute=lambda route: _changed(route, change))
        world = world_of(subject, spy, rate=0.001)
        path = path_of(spy, spy.route(subs[0]))
        topic = spy.codec(spy.route(subs[0])).topic

        def carried() -> set[tuple[str, Peer]]:
            peers = peers_of(world, path)
            for peer in peers:
                _check_room(peer, change)
            return {(name, peer) for peer in peers for name in peer.subscriptions}

        async def scenario(world: World) -> None:
            first, rest = subs[: len(subs) // 2], subs[len(subs) // 2 :]
            async with watching(world, *first) as watch:
                await asyncio.sleep(5.0)
                gone: set[str] = set()
                for index, sub in enumerate(rest):
                    before, asked = carried(), len(spy.asked)
                    if index % 3 == 1:
                        gone |= {topic(sub), topic(first[index])}
                        await watch.feed.unsubscribe(interest_of(first[index]))
                    await watch.feed.subscribe(interest_of(sub))
                    await asyncio.sleep(1.0)
                    lost = {name for name, _ in before - carried()}
                    moved = lost - gone
                    assert not moved, f"subscribing to {sub} has moved {sorted(moved)}"
                    named = {name for a in spy.asked[asked:] for name in a.topics}
                    assert named <= gone | {topic(sub)}, (
                        f"subscribing to {sub} has touched {sorted(named)}"
                    )
                reason_free = [s for s in world.client.status().subscriptions if s.refusal]
                assert not reason_free, reason_free

        world.run(scenario)
        assert len(world.tap.attempts) > 1, "one connection took it all: the test proves nothing"

    @proves(38, quick=False)
    def test_the_declared_limits_are_the_exchanges(self, subject: Subject) -> None:
        """As many streams as one connection may carry by ``Route.topics_per_connection`` and
        ``topic_chars_per_connection`` are accepted by the exchange."""
        limited = False
        for route, found in of_each_route(subject).items():
            chars, most = route.topic_chars_per_connection, route.topics_per_connection
            if chars is None and most is None:
                continue
            limited = True
            self._fill(subject, route, found[0].instrument.market)
        if not limited:
            subject.undeclared("limit of streams per connection")

    def _fill(self, subject: Subject, route: Route, market: Market) -> None:
        codec, taken = subject.exchange.codec(route), dict[str, Subscription]()
        most, most_chars = route.topics_per_connection, route.topic_chars_per_connection
        chars = 0
        for sub in many(subject, market, 3000, route):
            name = codec.topic(sub)
            if name not in taken:
                taken[name] = sub
                chars += len(name)
            # A little more than one connection takes.
            if len(taken) > (most or 10**6) + 2 or chars > (most_chars or 10**6) + 50:
                break
        spy = SpiedExchange(subject.make(), of_interest=(Refused,))
        subs = list(taken.values())

        async def scenario(world: World) -> None:
            async with watching(world, *subs):
                for _ in range(120):
                    await asyncio.sleep(1.0)
                    status = world.client.status().subscriptions
                    if all(s.state is not SubscriptionState.PENDING for s in status):
                        break

        world_of(subject, spy, rate=0.001).run(scenario)
        assert not spy.read, (
            f"of {len(subs)} streams ({chars} characters) on {route.url} some are refused, "
            f"{spy.read[0]}: lower Route.topics_per_connection (now {most}) or "
            f"topic_chars_per_connection (now {most_chars})"
        )

    @proves(37, quick=False)
    def test_the_declared_budgets_are_within_the_exchanges(self, subject: Subject) -> None:
        """As many requests of each kind and connections as their weights and ``Exchange.limits``
        allow are taken by the exchange within one window, also by all of its hosts at once."""
        line, limits = subject.line(address="192.0.2.1"), subject.exchange.limits
        if not subject.markets:
            subject.undeclared("channel or request")
        tried: set[tuple[object, ...]] = set()
        requests: list[Request[Any]] = []
        for market in subject.markets:
            for size in (5, _LARGE):
                requests += requests_of(subject, subject.instrument(market), size)
        for request in requests:
            _are_taken(subject, request, tried)
        _are_taken_together(subject, requests)
        for route in list(of_each_route(subject))[:1] if subject.channels else ():
            for number in range(min(limits.connects.amount, _MOST_ATTEMPTS)):
                try:
                    line.open(route).peer.gone()
                except AssertionError as refused:
                    raise AssertionError(
                        f"after {number} connections in one moment {refused}: "
                        f"Exchange.limits.connects ({limits.connects}) must be within the "
                        "exchange's limit"
                    ) from None

    @proves(45)
    def test_a_rate_limit_that_states_a_time_is_kept(self, subject: Subject) -> None:
        """After an HTTP 429 or 418 with Retry-After no request leaves for that host before the
        stated time."""
        if not subject.markets:
            subject.undeclared("channel or request")
        instrument = subject.instrument(subject.markets[0])
        requests = list(requests_of(subject, instrument))
        if not requests:
            subject.undeclared("request")
        for status in (429, 418):
            for seconds in (4, 37):
                self._limited(subject, status, seconds)

    def _limited(self, subject: Subject, status: int, seconds: int) -> None:
        venue = subject.venue(rate=1.0)
        said = venue.dialect.failure(status, venue.now_ns)
        headers = {"retry-after": str(seconds)}
        error = subject.exchange.error_of(HttpResponse(status, headers, said.body))
        assert isinstance(error, RateLimited), (
            f"Exchange.error_of makes {error!r} of HTTP {status}: it must be RateLimited"
        )
        assert (error.retry_after or 0) >= seconds, (
            f"Exchange.error_of reads retry_after={error.retry_after} from Retry-After: {seconds}"
        )
        failure = venue.dialect.failure

        def stating(status: int, now_ns: int) -> HttpResponse:
            answer = failure(status, now_ns)
            return attrs.evolve(answer, headers={**answer.headers, "Retry-After": str(seconds)})

        venue.dialect.failure = stating  # type: ignore[method-assign]
        world = World(subject.make(), venue)

        async def scenario(world: World) -> None:
            instrument = subject.instrument(subject.markets[0])
            requests = list(requests_of(subject, instrument))
            await world.client.request(requests[0])
            world.fault(f"http,status={status},count=1")
            refused_at = world.tap.now()
            before = len(world.tap.requests)

            async def ask(delay: float) -> None:
                await asyncio.sleep(delay)
                with contextlib.suppress(RateLimited):
                    await world.client.request(requests[round(delay * 10) % len(requests)])

            await asyncio.gather(*(ask(0.1 * n) for n in range(1, 30)))
            await asyncio.sleep(seconds)
            await world.client.request(requests[0])
            times = [at for at, _, _ in world.tap.requests[before:]]
            refused_at = times[0]
            early = [at for at in times[1:] if at < refused_at + seconds]
            assert not early, (
                f"{len(early)} requests left {early[0] - refused_at:.2f} s after an HTTP {status} "
                f"that asks for {seconds} s of quiet"
            )

        world.run(scenario)

    @proves(46, quick=False)
    def test_a_jumping_clock_does_no_harm(self, subject: Subject) -> None:
        """While the wall clock jumps by an hour either way, streams go on undisturbed, requests
        succeed, and no duration is negative."""
        subs = [sub for found in of_each_route(subject).values() for sub in found]
        instrument = subject.instrument(subject.markets[0])
        world = world_of(subject, rate=2.0)
        # The exchange's clock goes on: only the client's jumps.
        world.tap = Tap(world.venue, VirtualClock(world.venue.start_ns))

        async def scenario(world: World) -> None:
            bound = healing_time(world.exchange, subs, Options())
            async with watching(world, *subs) as watch:
                order = Order(subs, world.exchange)
                await asyncio.sleep(5.0)
                for jump in (_HOUR, -_HOUR, -_HOUR, _HOUR):
                    before = len(watch.notices())
                    world.clock.jump(jump)
                    for request in requests_of(subject, instrument):
                        await _answered(world, request, jump)
                    await asyncio.sleep(15.0)
                    found = [
                        n for n in watch.notices()[before:] if not _owed(n, subs, world.exchange)
                    ]
                    assert not found, f"a clock that jumps by {jump:g} s has led to {found[0]}"
                    # An interruption that a jump falls into must not have lasted a negative time.
                    world.fault("drop")
                    world.clock.jump(-jump)
                    await asyncio.sleep(0.1)
                    world.clock.jump(jump)
                    await well(world, subject, watch, subs, bound, "a drop")
                    order.take(watch.events)

        world.run(scenario)


def _owed(notice: Any, subs: Sequence[Subscription], exchange: Exchange) -> bool:
    """Whether a notice may tell of an earlier drop: where trades are counted, the next one has to
    come before anybody knows that some are missing."""
    return isinstance(notice, Gap) and any(
        exchange.consecutive(sub) and (sub.symbol, sub.channel) == (notice.symbol, notice.about)
        for sub in subs
    )


async def _answered(world: World, request: Request[Any], jump: float) -> None:
    try:
        await world.client.request(request)
    except CcrsError as error:
        raise AssertionError(
            f"{type(request).__name__} fails after the clock has jumped by {jump:g} s: {error}"
        ) from error


def many(
    subject: Subject,
    market: Market,
    count: int,
    route: Route | None = None,
    *,
    every_depth: bool = False,
) -> list[Subscription]:
    """So many subscriptions of a market (and route), of all channels, instruments and intervals;
    fewer where there are no more. Of a book each instrument's has another depth, for one feed has
    one of them; or each has every one."""
    exchange = subject.exchange
    capabilities = exchange.capabilities
    found: dict[Subscription, None] = {}
    channels = [c for c in Channel if c in capabilities.channels[market]]
    for at, instrument in enumerate(subject.some_instruments(market, count)):
        for channel in channels:
            depths = capabilities.book_depths.get(market, ()) if channel is Channel.BOOK else ()
            if depths and not every_depth:
                depths = (depths[at % len(depths)],)
            intervals = capabilities.intervals if channel is Channel.CANDLES else ()
            for depth in depths or (None,):
                for interval in intervals or (None,):
                    sub = subject.subscription(channel, instrument, depth, interval)
                    if route is None:
                        route = exchange.route(sub)
                    if exchange.route(sub) == route:
                        found[sub] = None
            if len(found) >= count:
                return list(found)[:count]
    return list(found)


def _changed(route: Route, change: dict[str, int]) -> Route:
    changes: dict[str, Any] = dict(change)
    return attrs.evolve(route, **changes)


async def _hold(world: World, subs: Sequence[Subscription], seconds: float) -> None:
    async with watching(world, *subs, policy=Policy.BLOCK):
        await asyncio.sleep(seconds)


def _within(times: Sequence[float], budget: Budget, what: str) -> None:
    """Fail where any window holds more than the budget."""
    for limit in budget.all:
        for first, last in zip(times, times[limit.amount :], strict=False):
            assert last - first >= limit.seconds - 1e-3, (
                f"{limit.amount + 1} {what} within {last - first:.2f} s, where {limit.amount} in "
                f"{limit.seconds:g} s are allowed"
            )


def _check_room(peer: Peer, change: dict[str, int]) -> None:
    most = change.get("topics_per_connection")
    assert most is None or len(peer.subscriptions) <= most, (
        f"{len(peer.subscriptions)} streams on one connection, {most} allowed"
    )
    chars = change.get("topic_chars_per_connection")
    if chars is not None:
        used = sum(map(len, peer.subscriptions))
        assert used <= chars, f"{used} characters of topics on one connection, {chars} allowed"


def _are_taken_together(subject: Subject, requests: Sequence[Request[Any]]) -> None:
    """All that all hosts allow, from one address: some may be counted together."""
    line, exchange = subject.line(address="192.0.2.2"), subject.exchange
    found = {(q.address, type(q.request), q.weight): q
             for q in (question(exchange, request) for request in requests)}  # fmt: skip
    # The heaviest first; where its own pool has no more of it, the next one.
    of_address: dict[str, list[Question]] = {}
    for each in sorted(found.values(), key=lambda each: -each.weight):
        of_address.setdefault(each.address, []).append(each)
    allowance = Allowance()
    for _ in range(_MOST_ATTEMPTS):
        for name, kinds in of_address.items():
            while kinds and allowance.take(kinds[0]):
                del kinds[0]
            if not kinds:
                continue
            error = exchange.error_of(line.http(kinds[0].http))
            assert not isinstance(error, RateLimited), (
                f"where the budgets of all hosts are spent at once, {name} answers {error!r}: if "
                "the exchange counts it together with another one, Exchange.rest_pool must say so"
            )


def _are_taken(subject: Subject, request: Request[Any], tried: set[tuple[object, ...]]) -> None:
    """As many requests of a kind as their budgets allow, from an address that asks nothing else."""
    line, exchange = subject.line(address="192.0.2.1"), subject.exchange
    held = question(exchange, request)
    most = max(130, subject.profile.examples(400))
    if not tried:
        most = _MOST_ATTEMPTS
    kind = type(request), held.address, held.weight
    if kind in tried:
        return
    tried.add(kind)
    for number in range(min(held.most, most)):
        error = exchange.error_of(line.http(held.http))
        if isinstance(error, RateLimited):
            raise AssertionError(
                f"after {number} {type(request).__name__} in one moment the exchange answers "
                f"{error!r}: with a weight of {held.weight}, {held.told} is more than it allows"
            )
