"""Budgets at full speed, over several windows, and beside other programs of the same address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import attrs

from ccrs_core.conformance.judges.agreement import disagreement, interest_of, watching
from ccrs_core.conformance.themes.healing import of_each_route
from ccrs_core.conformance.themes.lifetimes import STILL, endings
from ccrs_core.conformance.workbench.allowance import (
    Allowance,
    Question,
    most_within,
    question,
)
from ccrs_core.conformance.workbench.coined import coined
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import HttpResponse, Request
from ccrs_core.emulator import Broadcast, EmulatedExchange, HttpRefusal, Peer
from ccrs_core.errors import CcrsError, RateLimited
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.options import Options
from ccrs_core.transport.patience import Patience

_ADDRESS = "192.0.2.77"
_MOST = 1100
"""Requests of one kind in a row; budgets of more would only take longer."""
_LONG = 660.0
"""Seconds: longer than the windows in which exchanges count what they count apart."""
_MESSAGES = 1500
"""Messages sent at full speed."""
_PINGED = 200.0
"""Seconds in which the exchange has sent pings of its own, whose pongs are messages, too."""
_SIZES = (5, 100, 101, 500, 501, 1000, 1001, 5000)
"""How much is asked for at once: from some sizes on, requests weigh more."""
_FULL = 2100
"""Topics on one connection."""
_SHORT = 600
_READ = 5_000_000
"""Bytes of answers of one kind, after which writing more of them only takes longer."""
_LIMITED = frozenset({403, 418, 429})


class SpendingProperties:
    """What is declared of budgets is what the exchange counts."""

    @proves(37, quick=False)
    def test_requests_weigh_what_the_exchange_counts(self, subject: Subject) -> None:
        """Where the exchange says with its answers how much of a budget is spent, each request of
        any size weighs what it counts for it, and ``Exchange.weight_used`` reads the total."""
        read_of: dict[str, bool] = {}
        for request in _kinds(subject, _SIZES):
            endpoint = subject.exchange.endpoints[type(request)]
            answers = [_asked(subject, request, line) for line in _lines(subject) for _ in range(3)]
            for name, totals in _rising(answers).items():
                step, weight = totals[1] - totals[0], endpoint.weight_of(request)
                read = [subject.exchange.weight_used(answer) for answer in answers]
                assert step <= weight, (
                    f"{request} weighs {step} by the exchange's own {name}, {weight} by "
                    "Endpoint.weight: at full speed the address is banned"
                )
                # Of some calls the exchange says by itself that their totals aren't accurate.
                assert read == totals or not any(read), (
                    f"the exchange says {totals} in {name} with three {type(request).__name__}, "
                    f"and Exchange.weight_used reads {read}"
                )
                pool = _pool(subject, request)
                read_of[pool] = read_of.get(pool, False) or read == totals
        overlooked = [pool for pool, read_once in read_of.items() if not read_once]
        assert not overlooked, (
            f"what the exchange says of the budget of {', '.join(overlooked)} is never read by "
            "Exchange.weight_used: what other programs of the same address spend is overlooked"
        )
        if not read_of:
            subject.undeclared("budget of which the exchange says how much is spent")

    @proves(37, quick=False)
    def test_full_speed_over_several_windows_is_never_refused(self, subject: Subject) -> None:
        """At the declared speed, as soon as one stretch of the budget is over the next begins,
        requests of each kind alone, and of all kinds in turn, are never refused: for two stretches
        at least, and for eleven minutes where that is no more than a thousand requests."""
        requests = list(_kinds(subject, (5, 1000)))
        if not requests:
            subject.undeclared("request")
        tried: set[object] = set()
        for request in requests:
            endpoint = subject.exchange.endpoints[type(request)]
            encoded = endpoint.encode(request, None)
            key = type(request), subject.exchange.rest_address(encoded), endpoint.weight_of(request)
            if key not in tried:
                tried.add(key)
                self._at_full_speed(subject, [request])
        by_pool: dict[str, list[Request[Any]]] = {}
        for request in requests:
            by_pool.setdefault(_pool(subject, request), []).append(request)
        for found in by_pool.values():
            self._at_full_speed(subject, found)

    @staticmethod
    def _at_full_speed(subject: Subject, requests: Sequence[Request[Any]]) -> None:
        line = _small(subject)
        kinds = [question(subject.exchange, request) for request in requests]
        seconds = kinds[0].budget.seconds
        per_window = max(min(_in_turn(kinds, seconds)), 1)
        windows = max(2, min(_MOST // per_window, round(_LONG / seconds) + 1))
        if windows * per_window > 2 * _MOST:
            return
        allowance, start_ns, turn, read = Allowance(), line.venue.now_ns, 0, 0
        while True:
            asked = kinds[turn % len(kinds)]
            if wait := allowance.take(asked):
                allowance.seconds += wait
                if allowance.seconds >= windows * seconds:
                    return
                line.venue.advance(start_ns + round(allowance.seconds * NS_PER_SECOND))
                continue
            turn += 1
            answer = line.http(asked.http)
            read += len(answer.body)
            if read > _READ:
                return
            assert not _is_limit(line, answer), (
                f"{turn} {type(asked.request).__name__} (of {len(kinds)} kinds in turn) in "
                f"{allowance.seconds:g} s, as its declared budgets allow ({asked.told}): the "
                f"exchange answers HTTP {answer.status} {answer.body[:200]!r}. Lower "
                "Exchange.limits, raise the weight of what the exchange counts apart, or give it "
                "an Endpoint.pool"
            )

    @proves(37, quick=False)
    def test_room_is_left_to_other_programs_of_the_address(self, subject: Subject) -> None:
        """Where the exchange says how much is spent, and another program has spent two fifths of
        the budget at the begin of each stretch, a client at full speed is never refused."""
        spoken = [
            request
            for request in _kinds(subject, (1000,))
            if _rising([_asked(subject, request, line) for line in _lines(subject) for _ in "123"])
        ]
        if not spoken:
            subject.undeclared("budget of which the exchange says how much is spent")
        endpoints = subject.exchange.endpoints
        heaviest: dict[str, Request[Any]] = {}
        for request in spoken:
            pool, weight = _pool(subject, request), endpoints[type(request)].weight_of(request)
            read = subject.exchange.weight_used(_asked(subject, request, subject.line()))
            known = heaviest.get(pool)
            if read and (known is None or weight > endpoints[type(known)].weight_of(known)):
                heaviest[pool] = request
        assert heaviest, "Exchange.weight_used reads none of what the exchange says is spent"
        for pool, request in heaviest.items():
            self._beside_another(subject, pool, request)

    @staticmethod
    def _beside_another(subject: Subject, pool: str, request: Request[Any]) -> None:
        exchange = subject.make()
        endpoint, budget = exchange.endpoints[type(request)], exchange.rest_budget(pool)
        weight, encoded = endpoint.weight_of(request), endpoint.encode(request, None)
        path = exchange.base_url_paths.get(exchange.rest_address(encoded), "")
        theirs = attrs.evolve(encoded, path=path + encoded.path)
        ours = budget.amount // weight + 5

        async def scenario(world: World) -> None:
            for window in range(3):
                wait = window * budget.seconds - asyncio.get_running_loop().time()
                await asyncio.sleep(max(wait, 0.0))
                for _ in range(round(0.4 * budget.amount / weight)):
                    world.venue.http(theirs, world.clock.time_ns())
                await asyncio.sleep(1.0)
                async with asyncio.TaskGroup() as group:
                    for _ in range(4):
                        group.create_task(_asks(world, request, ours // 4, budget.seconds - 2.0))

        world = World(exchange, subject.venue(rate=0.5))
        world.run(scenario)

    @proves(37, quick=False)
    def test_messages_at_full_speed_are_never_too_many(self, subject: Subject) -> None:
        """Subscribing and unsubscribing as fast as ``Route.messages`` allows, for several of its
        stretches, with heartbeats and the exchange's own pings among it, the exchange neither
        refuses anything nor ends the connection, and serves what is wanted in the end."""
        limited = [
            (route, found) for route, found in of_each_route(subject).items() if route.messages
        ]
        if not limited:
            subject.undeclared("limit of messages (Route.messages)")
        tried: set[object] = set()
        for route, found in limited:
            if route.messages not in tried:
                tried.add(route.messages)
                self._churn(subject, route, found[0])

    @staticmethod
    def _churn(subject: Subject, route: Route, sub: Subscription) -> None:
        budget = route.messages
        assert budget is not None
        beat = subject.exchange.codec(route).heartbeat
        left = budget.rate - (1 / beat.interval if beat is not None else 0.0)
        assert left > 0, f"heartbeats alone ({beat}) are more than {budget} on {route.url}"
        pace = 1 / min(left, left if route.requests is None else route.requests.rate)
        seconds = min(max(3.1 * budget.seconds, _PINGED), _MESSAGES * pace)
        listings, instruments = coined(subject, sub.instrument.market, 12)
        venue = subject.venue(rate=0.001, listings=[*subject.listings.values(), *listings])
        known = [*subject.instruments[sub.instrument.market], *instruments]
        # One connection for all the time: what is counted is counted of each.
        options = Options(patience=Patience(unproved=100 * seconds))
        world = World(subject.make(), venue, instruments=known, options=options)
        venue.hold(STILL)
        ended, begun = endings(venue), _beginnings(venue)

        async def scenario(world: World) -> None:
            now = asyncio.get_running_loop().time
            async with watching(world, sub) as watch:
                turn = 0
                while now() < seconds or turn % 2:
                    other = attrs.evolve(sub, instrument=instruments[turn // 2 % len(instruments)])
                    act = watch.feed.unsubscribe if turn % 2 else watch.feed.subscribe
                    await act(interest_of(other))
                    turn += 1
                    # A little faster than allowed, so that some wait for their turn.
                    await asyncio.sleep(0.98 * pace)
                # What waited for its turn has had it after one more stretch.
                await asyncio.sleep(30.0 + 1.1 * budget.seconds)
                assert not ended, (
                    f"the exchange ended the connection to {route.url} {ended[0]:.1f} s after it "
                    f"began, at {budget}: Route.messages must leave room for all that it counts, "
                    "the pongs of its own pings included"
                )
                assert len(begun) > 0.98 * turn / 2, (
                    f"of {turn // 2 + 1} subscriptions at {budget} on {route.url} the exchange "
                    f"served {len(begun)}: Route.messages is more than it allows"
                )
                assert not watch.errors, (
                    f"at {budget} on {route.url} the exchange refuses: {watch.errors[0][1]!r}"
                )
                reason = disagreement(world, subject, watch.feed, [sub])
                assert reason is None, f"after {turn} messages at {budget}: {reason}"

        world.run(scenario)

    @proves(38, quick=False)
    def test_the_largest_requests_and_the_fullest_connections_are_taken(
        self, subject: Subject
    ) -> None:
        """As many topics of long names as the route allows, in requests as large as it allows, are
        served by the exchange on one connection, each of them."""
        for route, found in of_each_route(subject).items():
            _fill(subject, route, found[0])


def _beginnings(venue: EmulatedExchange) -> list[str]:
    """The streams that the exchange begins to serve; it grows."""
    begun: list[str] = []
    opened = venue.open

    def opening(*args: Any, **named: Any) -> Peer | HttpRefusal:
        peer = opened(*args, **named)
        if isinstance(peer, Peer):
            subscribe = peer.subscribe

            def beginning(broadcast: Broadcast, now_ns: int) -> None:
                begun.append(broadcast.topic)
                subscribe(broadcast, now_ns)

            peer.subscribe = beginning  # type: ignore[method-assign]
        return peer

    venue.open = opening  # type: ignore[method-assign]
    return begun


def _fill(subject: Subject, route: Route, sub: Subscription) -> None:
    most = min(route.topics_per_connection or 10**6, 2 * route.topics_per_request, _FULL)
    if route.topics_per_connection is not None:
        most = min(route.topics_per_connection, _FULL)
    listings, instruments = coined(subject, sub.instrument.market, most)
    venue = subject.venue(rate=0.001, listings=listings)
    wire = Line(subject.make(), venue).open(route)
    wanted = [attrs.evolve(sub, instrument=each) for each in instruments]
    chars = 0
    for number, each in enumerate(wanted):
        chars += len(wire.codec.topic(each))
        if chars > (route.topic_chars_per_connection or 10**9):
            wanted = wanted[:number]
            break
    for at in range(0, len(wanted), route.topics_per_request):
        chunk = wanted[at : at + route.topics_per_request]
        before = len(wire.peer.subscriptions)
        _sent(wire, wire.codec.subscribe(chunk, str(at + 1)))
        served = len(wire.peer.subscriptions) - before
        if at == 0 and served == 1 < len(chunk):
            return  # a stream of all symbols
        assert served == len(chunk) and not wire.closed, (  # noqa: PT018
            f"of {len(chunk)} topics in one request, on {route.url} with {before} before, the "
            f"exchange serves {served}{' and hangs up' if wire.closed else ''}: lower "
            "Route.topics_per_request, topics_per_connection or topic_chars_per_connection; it "
            f"said {wire.frames[-1:]!r}"[:900]
        )


def _sent(wire: Wire, frame: str | bytes) -> None:
    delay = wire.delay()
    if delay:
        wire.run(delay)
    wire.peer.received(frame, wire.line.venue.now_ns)
    wire.raw()


async def _asks(world: World, request: Request[Any], count: int, seconds: float) -> None:
    """Ask as fast as the client lets one, for so long."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(count):
                await world.client.request(request)
    except TimeoutError:
        pass
    except RateLimited as error:
        raise AssertionError(
            f"the exchange refuses a request: {error!r}, though with each answer before it had "
            "said how much was spent, by another program, too: does Exchange.weight_used read it, "
            "and do Endpoint.weight and Exchange.rest_budget say what it counts?"
        ) from None


def _kinds(subject: Subject, sizes: Sequence[int]) -> Iterator[Request[Any]]:
    """Requests of each declared kind, market and size."""
    seen: set[str] = set()
    for market in subject.markets:
        instrument = subject.instrument(market)
        for size in sizes:
            for request in requests_of(subject, instrument, size):
                try:
                    encoded = subject.exchange.endpoints[type(request)].encode(request, None)
                except CcrsError:
                    continue
                if repr(encoded) not in seen:
                    seen.add(repr(encoded))
                    yield request


def _in_turn(kinds: Sequence[Question], seconds: float) -> Iterator[int]:
    """How many questions, of all kinds in turn, each limit lets leave in so many seconds."""
    weights = sum(each.weight for each in kinds)
    for limit in kinds[0].budget.all:
        yield most_within(limit, seconds) * len(kinds) // weights
    pools = Counter(each.pool for each in kinds if each.pool is not None)
    for pool, count in pools.items():
        for limit in pool.budget.all:
            yield most_within(limit, seconds) * len(kinds) // count


def _pool(subject: Subject, request: Request[Any]) -> str:
    """The name of the budget that a request is counted to."""
    exchange = subject.exchange
    encoded = exchange.endpoints[type(request)].encode(request, None)
    return exchange.rest_pool(exchange.rest_address(encoded))


def _small(subject: Subject) -> Line:
    """A line to an exchange that lists one instrument of each market, whose answers are short."""
    instruments = map(subject.instrument, subject.markets)
    listed = [subject.listings[each.market, each.native] for each in instruments]
    return Line(subject.make(), subject.venue(rate=1.0, listings=listed), _ADDRESS)


def _lines(subject: Subject) -> list[Line]:
    return [Line(subject.make(), subject.venue(rate=1.0), _ADDRESS)]


def _asked(subject: Subject, request: Request[Any], line: Line) -> HttpResponse:
    return line.http(subject.exchange.endpoints[type(request)].encode(request, None))


def _rising(answers: Sequence[HttpResponse]) -> dict[str, list[int]]:
    """The headers of equal requests in one moment that count up, by the same each time."""
    found: dict[str, list[int]] = {}
    for name in answers[0].headers:
        texts = [answer.headers.get(name, "") for answer in answers]
        if not all(text.isascii() and text.isdigit() for text in texts):
            continue
        totals = [int(text) for text in texts]
        steps = {b - a for a, b in pairwise(totals)}
        if len(steps) == 1 and steps.pop() > 0:
            found[name] = totals
    return found


def _is_limit(line: Line, answer: HttpResponse) -> bool:
    if answer.status in _LIMITED:
        return True
    # Refusals are short; of what was asked for there may be a megabyte.
    short = len(answer.body) < _SHORT
    return short and isinstance(line.exchange.error_of(answer), RateLimited)
