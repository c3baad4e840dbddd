"""Properties 8 and 9: requests to subscribe are accepted, and answers are matched to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from random import Random

import attrs
import pytest

from ccrs_core.conformance.workbench.coined import renamed
from ccrs_core.conformance.workbench.line import Wire
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.codec import Ack, Data, Message, Outbound, Refused
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Oddity
from ccrs_core.errors import DecodeError, SubscriptionRefused
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.subscriptions import Channel, Subscription

_PATIENCE = 3.0
"""Seconds of the emulator's time within which it must have answered."""
_READY = 60.0
"""Seconds of virtual time after which a client's subscription has failed."""
_STEP = 0.02
_MOST_TOPICS = 80
"""Of one connection; more would only take longer."""


class SubscribingProperties:
    """Properties 8 and 9."""

    @proves(8)
    def test_every_subscribe_request_is_accepted_and_its_answer_matched(
        self, subject: Subject
    ) -> None:
        """Requests of every channel, depth and interval, for one to as many topics as the route
        allows, are accepted by the emulator, and each is acknowledged by its own number or by its
        own topics; so is what each connection asks for once."""
        for route, topics in _topics(subject).items():
            _asked_once(subject, route)
            for size in _sizes(route, len(topics)):
                wire = subject.line().open(route)
                for number, batch in enumerate(_parts(topics, size), start=41):
                    request_id = str(number)
                    asked = {request_id: list(batch)}
                    frame = wire.codec.subscribe(_flat(batch), request_id)
                    _acknowledged(_answered(wire, frame, asked), asked, f"subscribe {frame!r}")

    @proves(8)
    def test_answers_to_requests_in_flight_are_told_apart(self, subject: Subject) -> None:
        """Of several requests that are sent before any is answered, each answer says which."""
        tried = False
        for route, topics in _topics(subject).items():
            batches = _parts(topics, max(1, min(route.topics_per_request, len(topics) // 4)))[:4]
            if len(batches) < 2:
                continue
            tried = True
            wire = subject.line().open(route)
            ids = [str(number) for number in Random(subject.seed).sample(range(7, 500), 4)]
            asked = dict(zip(ids, map(list, batches), strict=False))
            frames = [
                wire.codec.subscribe(_flat(batch), request_id)
                for request_id, batch in zip(ids, batches, strict=False)
            ]
            for frame in frames:
                wire.peer.received(frame, wire.line.venue.now_ns)
            messages = wire.take() + wire.run(_PATIENCE)
            _acknowledged(messages, asked, "requests in flight")
        if not tried:
            subject.undeclared("second topic on any route")

    @proves(8)
    def test_after_unsubscribing_nothing_of_a_topic_is_data(self, subject: Subject) -> None:
        """Requests to unsubscribe are acknowledged; afterwards the emulator sends nothing of their
        topics, and frames of them that were under way are no data."""
        for route, topics in _topics(subject).items():
            wire = subject.line().open(route)
            size = route.topics_per_request
            for batch in _parts(topics, size):
                wire.subscribe(*_flat(batch))
            wire.run(_PATIENCE)
            seen = list(wire.frames)
            half = {name: topics[name] for name in list(topics)[::2]}
            for number, batch in enumerate(_parts(half, size), start=941):
                frame = wire.codec.unsubscribe(_flat(batch), str(number))
                asked = {str(number): list(batch)}
                _acknowledged(_answered(wire, frame, asked), asked, f"unsubscribe {frame!r}")
            late = [m.topic for m in wire.run(5.0) if isinstance(m, Data) and m.topic in half]
            assert not late, (
                f"after unsubscribing {', '.join(sorted(set(late)))} the emulator still sends data "
                "of it: write the unsubscribe request as the exchange documents it, and let the "
                "dialect obey it"
            )
            for old in seen:
                for message in _decoded(wire, old):
                    assert not (isinstance(message, Data) and message.topic in half), (
                        f"a frame of {message.topic} that was under way while it was unsubscribed "
                        f"is still read as data: return Unrecognised\n  frame: {old[:300]!r}"
                    )

    @proves(9, quick=False)
    def test_a_bad_symbol_in_a_request_fails_alone(self, subject: Subject) -> None:
        """Where the exchange refuses one symbol of a request, that subscription is refused, once,
        and all others of the request become active and bring data."""
        tried: set[Route] = set()
        for case in subject.cases():
            route = subject.exchange.route(case.subscription)
            if route in tried or route.topics_per_request < 2:
                continue
            tried.add(route)
            for place in (0, 1, -1) if len(tried) == 1 else (1,):
                _fails_alone(subject, case, place)
        if not tried:
            subject.undeclared("route that takes several topics in one request")


async def subscribed(feed: Feed) -> None:
    """Wait for a feed's subscriptions to be acknowledged; fails where they aren't."""
    try:
        async with asyncio.timeout(_READY):
            await feed.ready()
    except TimeoutError:
        pytest.fail(
            f"no acknowledgement of {', '.join(map(str, feed.interests))} within {_READY:g} s: "
            "decode the exchange's answer to Ack, with the request's number or the topics"
        )


Asked = dict[str, list[str]]
"""Topics of requests by the requests' numbers."""
Topics = dict[str, list[Subscription]]
"""Subscriptions by the topic that carries them."""


def _asked_once(subject: Subject, route: Route) -> None:
    """What each connection of a route asks for once is granted."""
    wire = subject.line().open(route)
    for number, name in enumerate(wire.codec.once, start=41):
        found = wire.send(wire.codec.ask_once(name, str(number))) + wire.run(_PATIENCE)
        granted = [m for m in found if isinstance(m, Ack)]
        assert any(m.request_id == str(number) or name in (m.topics or ()) for m in granted), (
            f"{name} of Codec.once isn't acknowledged on {route.url} within {_PATIENCE:g} s, by "
            f"its number {number} or by its name; what came is {found}"
        )


def _topics(subject: Subject) -> dict[Route, Topics]:
    """Everything that can be subscribed of some instruments, by route; skips where nothing can."""
    exchange = subject.exchange
    found: dict[Route, Topics] = {}
    cases = subject.cases()
    for market in {case.market: None for case in cases}:
        for instrument in subject.some_instruments(market, 3):
            for channel in sorted(subject.channels[market]):
                for sub in _variants(subject, channel, instrument):
                    route = exchange.route(sub)
                    topics = found.setdefault(route, {})
                    topic = exchange.codec(route).topic(sub)
                    limit = min(route.topics_per_connection or _MOST_TOPICS, _MOST_TOPICS)
                    if topic in topics or len(topics) < limit:
                        topics.setdefault(topic, []).append(sub)
    return found


def _variants(subject: Subject, channel: Channel, instrument: Instrument) -> Iterator[Subscription]:
    """A subscription of every depth and interval."""
    capabilities = subject.exchange.capabilities
    if channel is Channel.BOOK:
        for depth in capabilities.book_depths.get(instrument.market, ()):
            yield Subscription(channel, instrument, depth)
    elif channel is Channel.CANDLES:
        for interval in capabilities.intervals:
            yield Subscription(channel, instrument, None, interval)
    else:
        yield Subscription(channel, instrument)


def _sizes(route: Route, topics: int) -> list[int]:
    most = min(route.topics_per_request, topics)
    return sorted({1, min(2, most), most})


def _parts(topics: Topics, size: int) -> list[Topics]:
    names = list(topics)
    return [
        {name: topics[name] for name in names[at : at + size]} for at in range(0, len(names), size)
    ]


def _flat(topics: Topics) -> list[Subscription]:
    return [subscription for subscriptions in topics.values() for subscription in subscriptions]


def _answered(wire: Wire, frame: Outbound, asked: Asked) -> list[Message]:
    """Send a request; everything that comes until all of it is answered."""
    messages = wire.send(frame)
    waited, refused = 0.0, False
    while waited < _PATIENCE and any(_unanswered(messages, asked).values()) and not refused:
        messages += wire.run(_STEP)
        waited += _STEP
        refused = any(isinstance(message, Refused) for message in messages)
    return messages + wire.run(_STEP)


def _unanswered(messages: Sequence[Message], asked: Asked) -> dict[str, set[str]]:
    """The topics of each request that nothing acknowledges."""
    left = {request_id: set(topics) for request_id, topics in asked.items()}
    for message in messages:
        if isinstance(message, Ack):
            for each in asked if message.request_id is None else {message.request_id} & set(asked):
                left[each] -= set(asked[each] if message.topics is None else message.topics)
    return left


def _acknowledged(messages: Sequence[Message], asked: Asked, what: str) -> None:
    """Check that each request (its topics by its number) is acknowledged, and nothing else."""
    for message in messages:
        if isinstance(message, Refused):
            pytest.fail(
                f"{what}: the emulator refuses it: {message}. Write it as the exchange documents "
                "it, and set the route's limits such as topics_per_request"
            )
        if not isinstance(message, Ack):
            continue
        request_id, topics = message.request_id, message.topics
        if request_id is None and topics is None:
            pytest.fail(f"{what}: {message} says neither the request's number nor its topics")
        if request_id is not None and request_id not in asked:
            pytest.fail(
                f"{what}: {message} is about no request that was made; made were those with the "
                f"numbers {', '.join(asked)}"
            )
        candidates = list(asked) if request_id is None else [request_id]
        named = {topic for each in candidates for topic in asked[each]}
        if topics is not None and not set(topics) <= named:
            strange = ", ".join(sorted(set(topics) - named))
            pytest.fail(f"{what}: {message} names {strange}, which it didn't ask for")
    for number, missing in _unanswered(messages, asked).items():
        if not missing:
            continue
        pytest.fail(
            f"{what}: of the request with the number {number} no answer acknowledges "
            f"{', '.join(sorted(missing)[:5])}: decode the exchange's answer to Ack. It answered "
            f"{', '.join(str(m)[:200] for m in messages if not isinstance(m, Data)) or 'nothing'}"
        )


def _decoded(wire: Wire, frame: bytes) -> Sequence[Message]:
    """What a frame says now."""
    codec = wire.codec
    try:
        content = frame if codec.compression is None else inflate(frame, codec.compression)
        return codec.decode(content, RECEIVED_NS)
    except DecodeError:
        return ()


# --- 9 --------------------------------------------------------------------------------------


def unlisted(instrument: Instrument) -> Instrument:
    """An instrument like another one, which the exchange doesn't list."""
    return renamed(instrument, "ZZNONE")


def _fails_alone(subject: Subject, case: Case, place: int) -> None:
    good = list(subject.some_instruments(case.market, 3))
    bad = unlisted(good[0])
    wanted = list(good)
    wanted.insert(place if place >= 0 else len(wanted), bad)
    interests = [attrs.evolve(case.interest, symbol=instrument.symbol) for instrument in wanted]
    refuses = _refuses(subject, case, bad)

    async def scenario(world: World) -> None:
        refusals: list[SubscriptionRefused] = []
        events: list[AnyEvent] = []

        async with world.client.subscribe(*interests) as feed:
            await _read_on(feed, 45.0, events, refusals)
            states = {s.symbol: s for s in world.client.status().subscriptions}
        for symbol, status in states.items():
            if symbol == bad.symbol and not refuses:
                # It is acknowledged, and nothing ever comes of it.
                assert status.delivered == 0, (
                    f"{symbol}, which isn't listed, has brought {status.delivered} events"
                )
            elif symbol == bad.symbol:
                assert status.state is SubscriptionState.REFUSED, (
                    f"{symbol}, which the exchange refuses, is {status.state.value}: decode its "
                    "refusal to Refused, with the request's number or the topics"
                )
            else:
                assert status.state.acknowledged, (
                    f"{symbol} is {status.state.value} ({status.refusal}), because {bad.symbol} "
                    "was refused in the same request: name the refused topics in Refused.topics"
                )
        told = [error.symbol for error in refusals]
        assert told == ([bad.symbol] if refuses else []), (
            f"refused were {told or 'none'}, though only {bad.symbol} is not listed; it must be "
            "told once"
        )
        brought = {event.symbol for event in events}
        assert bad.symbol not in brought, f"{bad.symbol}, which isn't listed, has brought events"
        if case.channel in _LIVELY:
            missing = {i.symbol for i in good} - brought
            assert not missing, (
                f"{', '.join(sorted(missing))} brought nothing after {bad.symbol} was refused"
            )

    subject.world(instruments=wanted).run(scenario)


def _refuses(subject: Subject, case: Case, bad: Instrument) -> bool:
    """Whether the exchange refuses what it doesn't list: asked of the exchange, not of the codec,
    which may take a refusal for a grant. Some look at a symbol's form alone, and some streams are
    of all symbols."""
    if Oddity.UNLISTED in subject.dialect().lacks:
        return False
    subscription = attrs.evolve(case.subscription, instrument=bad)
    wire = subject.line().open(subject.exchange.route(subscription))
    wire.subscribe(subscription)
    wire.run(_PATIENCE)
    return not wire.peer.subscriptions


_LIVELY = frozenset({Channel.TOP_OF_BOOK, Channel.BOOK, Channel.TICKER})


async def _read_on(
    feed: Feed, seconds: float, events: list[AnyEvent], refusals: list[SubscriptionRefused]
) -> None:
    """Read a feed for so long, past refusals."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async for batch in feed.batches():
                        events += batch
                    return
                except SubscriptionRefused as error:
                    refusals.append(error)
