"""Connections that replace one another or race: each update comes once, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest

import attrs

from ccrs_core.conformance.judges.agreement import (
    Order,
    Watch,
    healing_time,
    path_of,
    peers_of,
    watching,
    world_of,
)
from ccrs_core.conformance.themes.healing import of_each_route, well
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.material import captures
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.spy import SpiedExchange
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.feeds.stream import STATES
from ccrs_core.model.events import AnyEvent, BookUpdate, Gap, Reason, StreamData, Trade
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND as _NS
from ccrs_core.transport.options import Options

_PROMPT = Options(backoff_initial=0.2, backoff_max=2.0, stable_after=2.0)

_DELAYS = (0.02, 0.3, 1.0, 2.5)
"""What the slower of racing connections are late by, in seconds."""


class RacingProperties:
    """Planned replacement, retired connections, redundant connections."""

    @proves(39, quick=False)
    def test_a_planned_rollover_delivers_everything_once(self, subject: Subject) -> None:
        """Connections replaced at an age deliver each update exactly once, and are replaced before
        the exchange's own cut."""
        for subs in of_each_route(subject).values():
            self._roll(subject, subs, "max_connection_age=20", Options(max_connection_age=20.0))
        subs = next(iter(of_each_route(subject).values()))
        aged = SpiedExchange(subject.make(), reroute=lambda r: attrs.evolve(r, max_age=20.0))
        self._roll(subject, subs, "max_age=20", Options(), aged)

    def _roll(
        self,
        subject: Subject,
        subs: list[Subscription],
        why: str,
        options: Options,
        exchange: SpiedExchange | None = None,
    ) -> None:
        world = world_of(subject, exchange, rate=3.0, options=options)
        path = path_of(world.exchange, world.exchange.route(subs[0]))
        lossless = world.exchange.route(subs[0]).sequence_scope is SequenceScope.GLOBAL
        born: dict[int, float] = {}

        async def scenario(world: World) -> None:
            async with reference(world, subs) as other, watching(world, *subs) as watch:
                for _ in range(90):
                    await asyncio.sleep(0.5)
                    for peer in peers_of(world, path):
                        age = world.tap.now() - born.setdefault(peer.number, world.tap.now())
                        assert age < 20.0 or peer.number == other.number, (
                            f"a connection of age {age:.1f} s is still open, with {why}"
                        )
                assert world.client.status().rollovers >= 2, f"no two rollovers in 45 s with {why}"
                Order(subs, subject.exchange).take(watch.events)
                if lossless:
                    watch.no_notices(f"rollovers ({why})")
                    same(watch.events, other.events, world, 3.0)
                else:
                    strange = [n for n in watch.notices(Gap) if n.reason is not Reason.ROLLOVER]
                    assert not strange, f"a rollover has led to {strange[0]}"

        world.run(scenario)

    @proves(40, quick=False)
    def test_an_undisturbed_connection_is_not_replaced(self, subject: Subject) -> None:
        """No answer and no data of an undisturbed connection decodes to ``Closing``: for half a
        minute the client opens one connection to each route, and no other."""
        for route, subs in of_each_route(subject).items():
            self._left_alone(subject, route, subs)

    def _left_alone(self, subject: Subject, route: Route, subs: list[Subscription]) -> None:
        async def scenario(world: World) -> None:
            async with watching(world, *subs):
                await asyncio.sleep(30.0)
            times = [f"{at:.2f}" for at, _ in world.tap.attempts]
            assert len(times) == 1, (
                f"{len(times)} connections were opened to {route.url} in 30 undisturbed s, at "
                f"{', '.join(times[:8])} s: only an announcement of the exchange that it will end "
                "the connection may decode to Closing()"
            )

        world_of(subject, rate=3.0, options=_PROMPT).run(scenario)

    @proves(36, quick=False)
    def test_ends_announced_over_and_over_lead_to_few_connections(self, subject: Subject) -> None:
        """Where each new connection, too, is announced to end, replacements back off as after
        losses do, and never are more than two connections open in place of one."""
        if not subject.dialect().announces_shutdown:
            subject.undeclared("notice of a shutdown (Dialect.announces_shutdown)")
        for route, subs in of_each_route(subject).items():
            self._announced_over_and_over(subject, route, subs)

    def _announced_over_and_over(
        self, subject: Subject, route: Route, subs: list[Subscription]
    ) -> None:
        async def scenario(world: World) -> None:
            path = path_of(world.exchange, route)
            async with watching(world, *subs):
                await asyncio.sleep(3.0)
                world.fault("shutdown_notice,every=0.05")
                for _ in range(1200):
                    await asyncio.sleep(0.1)
                    there = peers_of(world, path)
                    assert len(there) <= 2, f"{len(there)} connections are open in place of one"
            attempts = len(world.tap.attempts)
            assert attempts <= 40, f"{attempts} connections were opened in 120 s"

        world_of(subject, rate=1.0).run(scenario)

    @proves(40)
    def test_a_shutdown_notice_leads_to_a_rollover(self, subject: Subject) -> None:
        """After the exchange announces that it ends a connection, another one takes over before
        that, without an interruption."""
        if not subject.dialect().announces_shutdown:
            subject.undeclared("notice of a shutdown (Dialect.announces_shutdown)")
        for route, subs in of_each_route(subject).items():
            self._announced(subject, route, subs)

    def _announced(self, subject: Subject, route: Route, subs: list[Subscription]) -> None:
        async def scenario(world: World) -> None:
            bound = healing_time(world.exchange, subs, _PROMPT)
            async with watching(world, *subs) as watch:
                await asyncio.sleep(3.0)
                path = path_of(world.exchange, route)
                (old,) = peers_of(world, path)
                world.fault("shutdown_notice")
                for _ in range(200):
                    await asyncio.sleep(0.05)
                    if not old.open:
                        break
                dialled = len(world.tap.attempts)
                status = world.client.status()
                assert status.rollovers == 1, (
                    "the exchange's notice that it will end the connection has led to no planned "
                    "replacement: decode it to Closing"
                )
                assert dialled == 2, "the old connection was ended before the new one was open"
                await well(world, subject, watch, subs, bound, "a shutdown notice")
                assert len(world.tap.attempts) == 2, "more than one connection was opened"
                if route.sequence_scope is SequenceScope.GLOBAL:
                    watch.no_notices("a shutdown notice")
                Order(subs, subject.exchange).take(watch.events)

        world_of(subject, rate=5.0, options=_PROMPT).run(scenario)

    @proves(41, quick=False)
    def test_nothing_of_a_retired_connection_is_delivered(self, subject: Subject) -> None:
        """Once a connection has been replaced, nothing that comes of it late is delivered."""
        for route, subs in of_each_route(subject).items():
            if route.sequence_scope is SequenceScope.GLOBAL:
                self._retired(subject, subs)

    def _retired(self, subject: Subject, subs: list[Subscription]) -> None:
        options = Options(max_connection_age=20.0, rollover_overlap=0.5)

        async def scenario(world: World) -> None:
            async with reference(world, subs) as other, watching(world, *subs) as watch:
                await asyncio.sleep(3.0)
                # What the first connection brings from now on is older than what the next one does.
                world.fault("delay,seconds=3,target=2")
                await asyncio.sleep(12.0)
                for _ in range(200):
                    await asyncio.sleep(0.1)
                    if len(world.tap.attempts) > 1:
                        world.quieten()  # what is on its way stays late
                    if world.client.status().rollovers:
                        break
                switched_ns, before = world.clock.time_ns(), len(watch.events)
                await asyncio.sleep(5.0)
                Order(subs, subject.exchange).take(watch.events)
                other.look()
                # The reference is read every 50 ms.
                due = [e for e in other.events if e.received_time_ns >= switched_ns - _NS // 10]
                recent = {attrs.evolve(e, received_time_ns=0) for e in due}
                for event in watch.events[before:]:
                    if isinstance(event, BookUpdate) and event.snapshot and fetched(subject, subs):
                        continue
                    if event.channel is not None:
                        assert attrs.evolve(event, received_time_ns=0) in recent, (
                            f"{event} came after its connection had been replaced"
                        )

        world_of(subject, rate=10.0, options=options).run(scenario)

    @proves(41, against=Against.NOTHING)
    def test_each_connection_has_a_codec_of_its_own(self, subject: Subject) -> None:
        """Two codecs of one exchange, used in turns, each behave as they do alone: nothing that one
        is told reaches the other."""
        for route, subs in of_each_route(subject).items():
            half = subs[: max(1, len(subs) // 2)]
            rest = subs[len(half) :] or half
            lone = subject.line().open(route)
            lone.subscribe(*half)
            expected = _topics(lone.run(3.0))
            # The same again, while another codec of the same exchange is told the contrary.
            apart = subject.line()
            one, two = apart.open(route), apart.open(route)
            two.subscribe(*rest)
            one.subscribe(*half)
            two.unsubscribe(*rest)
            two.subscribe(*half)
            two.unsubscribe(*half)
            told = _topics(one.run(3.0))
            assert told == expected, (
                f"a codec on {route.url} reads {sorted(told)} after another one of the same "
                f"exchange was told to unsubscribe, and {sorted(expected)} alone: codecs must not "
                "share state (class attributes, module globals, one object for all)"
            )

    @proves(42, against=Against.NOTHING)
    def test_a_glance_at_a_frame_says_what_decoding_it_says(self, subject: Subject) -> None:
        """What ``peek`` tells of a frame is the topic, the number and the restart that decoding it
        tells. ``Data.peek_agrees`` only says of a frame what ``peek`` says of it; where that says
        nothing, the frame says the same without those before, and those after it without it."""
        for capture in captures(subject):
            codec, sparing = capture.codec(subject.make()), capture.codec(subject.make())
            for frame in capture.frames:
                told = codec.peek(frame)
                data = _data(codec.decode(frame, RECEIVED_NS))
                where = f"{capture.name}: peek() of {frame[:300]!r}\n  says    {told}\n"
                for message in data:
                    said = message.topic, message.sequence, message.restart
                    where += f"  decoded {said}"
                    if told is not None:
                        assert told[0] == message.topic, where
                        if isinstance(told[1], int):
                            assert told[1:] == said[1:], where
                    if message.peek_agrees and isinstance(message.sequence, int):
                        assert told in (None, said), f"{where}, independent"
                assert told is None or data, where
                # Copies of such frames aren't decoded.
                vouched = told is None and any(message.peek_agrees for message in data)
                other = capture.codec(subject.make()) if vouched else sparing
                again = _data(other.decode(frame, RECEIVED_NS))
                assert again == data, (
                    f"{where}: a codec that was spared frames with Data.peek_agrees, or what came "
                    f"before one, says {again}"
                )

    @proves(42, against=Against.NOTHING)
    def test_a_burst_keeps_the_newest_state_of_each_topic(self, subject: Subject) -> None:
        """``newest`` leaves out of a burst nothing but earlier states of the topics that it may
        take them from, and counts them."""
        for capture in captures(subject):
            whole, thinned = capture.codec(subject.make()), capture.codec(subject.make())
            for start in range(0, len(capture.frames), _BURST):
                burst = capture.frames[start : start + _BURST]
                before = [_data(whole.decode(frame, RECEIVED_NS)) for frame in burst]
                topics = {data.topic for said in before for data in said if _is_state(data)}
                kept, counts = thinned.newest(burst, topics)
                after = [_data(thinned.decode(frame, RECEIVED_NS)) for frame in kept]
                where = f"{capture.name}, frames from {start} on, {len(kept)} kept"
                assert len(kept) + sum(counts.values()) == len(burst), f"{where}, {counts}"
                assert set(counts) <= topics, f"{where}, {counts}"
                assert _ends(after) == _ends(before), f"{where}: other states at the end"
                others = [[d for said in side for d in said if d.topic not in topics]
                          for side in (before, after)]  # fmt: skip
                assert others[0] == others[1], f"{where}: frames of other topics are missing"

    @proves(42)
    def test_racing_connections_deliver_what_one_does(self, subject: Subject) -> None:
        """However late any of several racing connections are, what they deliver together equals
        what the fastest delivers alone, in content and order, and nothing comes later."""
        rng = random.Random(subject.seed)
        for subs in racing_routes(subject).values():
            for _ in range(subject.profile.examples(6)):
                self._race(subject, subs, [rng.choice(_DELAYS) for _ in range(2)])

    def _race(self, subject: Subject, subs: list[Subscription], delays: list[float]) -> None:
        async def scenario(world: World) -> None:
            async with alone_and_racing(world, subs) as (lone, w):
                await asyncio.sleep(2.0)
                # The first connection is the reference's, the next three race.
                world.fault(*(f"delay,seconds={d},target={n + 3}" for n, d in enumerate(delays)))
                await asyncio.sleep(10.0)
                w.no_notices("delays on all connections but the fastest")
                same(w.events, lone.events, world, 2.5, timed=True)

        world_of(subject, rate=10.0).run(scenario)

    @proves(43, quick=False)
    def test_losing_all_racing_connections_but_one_goes_unnoticed(self, subject: Subject) -> None:
        """Killing all of several racing connections but one, in whatever way, makes no gap and no
        notice, and the output goes on as if nothing had happened."""
        for subs in racing_routes(subject).values():
            for fault in ("drop", "half_open", "close"):
                self._kill(subject, subs, fault)

    def _kill(self, subject: Subject, subs: list[Subscription], fault: str) -> None:
        async def scenario(world: World) -> None:
            bound = healing_time(world.exchange, subs, _PROMPT)
            async with alone_and_racing(world, subs) as (lone, w):
                await asyncio.sleep(2.0)
                # Numbers shift as connections go: struck from the last one on.
                world.fault(f"{fault},target=4", f"{fault},target=3")
                for _ in range(round(bound)):
                    await asyncio.sleep(1.0)
                    if len(world.tap.attempts) >= 6:
                        break
                await asyncio.sleep(5.0)
                w.no_notices(f"{fault} of 2 of 3 racing connections")
                same(w.events, lone.events, world, 2.5)
                Order(subs, subject.exchange).take(w.events)
                assert len(world.tap.attempts) == 6, "both lost connections must be replaced"

        world_of(subject, rate=3.0, options=_PROMPT).run(scenario)


def fetched(subject: Subject, subs: Sequence[Subscription]) -> bool:
    """Whether books start from requests, whose answers no connection brings."""
    return any(
        subject.exchange.book_snapshot(sub) is not None
        for sub in subs
        if sub.channel is Channel.BOOK
    )


def racing_routes(subject: Subject) -> dict[Route, list[Subscription]]:
    """The routes that can be raced."""
    found = {
        route: subs
        for route, subs in of_each_route(subject).items()
        if route.sequence_scope is SequenceScope.GLOBAL
    }
    if not found:
        subject.undeclared("route with numbers that are the same on every connection")
    return found


def _topics(messages: Sequence[Message]) -> set[str]:
    """The topics that brought data."""
    return {message.topic for message in messages if isinstance(message, Data)}


@asynccontextmanager
async def alone_and_racing(
    world: World, subs: Sequence[Subscription]
) -> AsyncIterator[tuple[Watch, Watch]]:
    """One feed on the first connection alone, another one racing the next three."""
    async with watching(world, *subs) as lone:
        await asyncio.sleep(0.5)
        async with watching(world, *subs, connections=3) as racing:
            yield lone, racing


# --- what one undisturbed connection brings ---


_BURST = 25


def _data(messages: Sequence[Message]) -> list[Data]:
    return [message for message in messages if isinstance(message, Data)]


def _is_state(data: Data) -> bool:
    return data.events[0].channel in STATES


def _ends(said: Sequence[Sequence[Data]]) -> dict[tuple[str, type], StreamData]:
    """The last event of each kind of each topic."""
    every = [data for messages in said for data in messages]
    return {(data.topic, type(data.events[-1])): data.events[-1] for data in every}


class Reference:
    """A WebSocket into the emulator beside the client's, and all that its frames say."""

    def __init__(self, world: World, subs: Sequence[Subscription]) -> None:
        exchange, venue = world.exchange, world.venue
        self._venue = venue
        self.wire: Wire = Line(exchange, venue).open(exchange.route(subs[0]))
        self._numbers: dict[str, int] = {}
        self._trades: set[tuple[str, str]] = set()
        self.events: list[AnyEvent] = []
        size = exchange.route(subs[0]).topics_per_request
        for start in range(0, len(subs), size):
            self._take(self.wire.subscribe(*subs[start : start + size]))

    @property
    def number(self) -> int:
        """The number of its connection."""
        return self.wire.peer.number

    def look(self) -> None:
        """Read what has come."""
        self._take(self.wire.take())

    def close(self) -> None:
        self.look()
        self.wire.peer.gone()

    def _take(self, messages: Sequence[Message]) -> None:
        for data in messages:
            if not isinstance(data, Data):
                continue
            last, number = self._numbers.get(data.topic), data.sequence
            if isinstance(number, int):
                # Told again: the core, too, delivers it once.
                if last is not None and number <= last and not data.restart:
                    continue
                self._numbers[data.topic] = number
            for event in data.events:
                if isinstance(event, Trade):
                    key = (event.symbol, event.trade_id)
                    if key in self._trades:
                        continue
                    self._trades.add(key)
                self.events.append(event)


@asynccontextmanager
async def reference(world: World, subs: Sequence[Subscription]) -> AsyncIterator[Reference]:
    """One undisturbed connection beside the client's, which is read until the block ends."""
    found = Reference(world, subs)

    async def look() -> None:
        while True:
            found.look()
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(look())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
        found.close()


def same(
    events: Sequence[AnyEvent],
    expected: Sequence[AnyEvent],
    world: World,
    since: float,
    *,
    timed: bool = False,
) -> None:
    """Fail where what was delivered differs from what one connection brought, of the time from
    ``since`` seconds after the start up to a second ago; with ``timed``, where anything came later.
    """
    first_ns = world.venue.start_ns + round(since * _NS)
    last_ns = world.venue.now_ns - _NS
    delivered, brought = _by_stream(events), _by_stream(expected)
    for key, wanted in brought.items():
        got = [e for e in delivered.get(key, []) if first_ns <= _time(e) <= last_ns]
        due = [e for e in wanted if first_ns <= _time(e) <= last_ns]
        for there, should in zip_longest(got, due):
            if there is None or should is None or not _alike(there, should):
                raise AssertionError(
                    f"{' '.join(key)}: one undisturbed connection brings {should}, delivered was "
                    f"{there}: copies must have the same Data.sequence (and Codec.peek the same "
                    "number) on every connection, and every update another one"
                )
            late = there.received_time_ns - should.received_time_ns
            assert not timed or late <= 0, f"{there} came {late / 1e9:.3f} s after the fastest copy"


def _by_stream(events: Sequence[AnyEvent]) -> dict[tuple[str, ...], list[AnyEvent]]:
    found: dict[tuple[str, ...], list[AnyEvent]] = {}
    for event in events:
        if event.channel is not None:
            key = (event.channel.value, event.symbol, getattr(event, "interval", ""))
            known = found.setdefault(key, [])
            # A connection that joins may tell the present state again, at a later time.
            if event.channel in _STATES and known and _untimed(event) == _untimed(known[-1]):
                continue
            known.append(event)
    return found


_STATES = frozenset(Channel) - {Channel.TRADES, Channel.BOOK, Channel.LIQUIDATIONS}


def _untimed(event: AnyEvent) -> AnyEvent:
    return attrs.evolve(event, received_time_ns=0, exchange_time_ns=None)


def _time(event: AnyEvent) -> int:
    at = event.exchange_time_ns
    return event.received_time_ns if at is None else at


def _alike(one: AnyEvent, other: AnyEvent) -> bool:
    return attrs.evolve(one, received_time_ns=0) == attrs.evolve(other, received_time_ns=0)
