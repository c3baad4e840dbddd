"""Backpressure, concurrency and cleanup (59, 61-67): what consumers hold, and what they may do.

Here are the feeds' policies, the isolation of consumers, batches, and subscribing; cancellation and
what remains after the end are in ``cleanup``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NoReturn

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core.client.client import Client
from ccrs_core.conformance.themes.cleanup import CleanupProperties, first_events, lively
from ccrs_core.conformance.themes.growth import GrowthProperties
from ccrs_core.conformance.themes.joining import JoiningProperties
from ccrs_core.conformance.themes.leaving import LeavingProperties
from ccrs_core.conformance.themes.memory import MemoryProperties
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.errors import FeedOverflow
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import FeedStatus, Policy
from ccrs_core.model.events import AnyEvent, Gap, Reason
from ccrs_core.model.subscriptions import Channel

Key = tuple[str, Channel | None]

_STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.01, 0.1, 0.5, 2.0]), st.integers(0, 12)),
    min_size=1,
    max_size=8,
)
"""What a consumer does: pause for so many seconds, then read so many items."""
_SIZES = st.integers(1, 12)


@attrs.frozen
class _Lost:
    """So many events of one subscription were dropped."""

    key: Key
    count: int


class _Model:
    """What a feed must hold and give, in a dozen lines."""

    def __init__(self, policy: Policy, maxsize: int) -> None:
        self.policy = policy
        self.maxsize = maxsize
        self.queue: deque[AnyEvent] = deque()
        self.newest: OrderedDict[object, AnyEvent] = OrderedDict()
        self.losses: Counter[Key] = Counter()
        self.overflow = self.dropped = self.conflated = self.offered = self.delivered = 0

    def offer(self, events: Sequence[AnyEvent]) -> None:
        for event in events:
            self.offered += 1
            if self.policy is Policy.CONFLATE:
                key = (event.type, event.symbol, getattr(event, "interval", None))
                self.conflated += self.newest.pop(key, None) is not None
                self.newest[key] = event
            elif self.policy is Policy.RAISE and (self.overflow or len(self.queue) == self.maxsize):
                self.overflow += 1
                self.dropped += 1
            else:
                self.queue.append(event)
                if len(self.queue) > self.maxsize:
                    oldest = self.queue.popleft()
                    self.losses[oldest.symbol, oldest.channel] += 1
                    self.dropped += 1

    @property
    def waiting(self) -> int:
        return len(self.queue) + len(self.newest)

    def read(self) -> list[AnyEvent | _Lost]:
        """What the next event is, and a loss that must be told before it."""
        if self.policy is Policy.CONFLATE:
            found: list[AnyEvent | _Lost] = [self.newest.popitem(last=False)[1]]
        else:
            event = self.queue.popleft()
            found = [event]
            lost = self.losses.pop((event.symbol, event.channel), 0)
            if lost:
                found.insert(0, _Lost((event.symbol, event.channel), lost))
                self.offered += 1
                self.delivered += 1
        self.delivered += 1
        return found


async def _everything(feed: Feed) -> list[AnyEvent]:
    """The data that waits in a feed."""
    if not feed.status().waiting:
        return []
    return [event for event in await anext(feed.batches()) if event.channel is not None]


def _tell(item: AnyEvent) -> AnyEvent | _Lost:
    """An item as the model says it."""
    if isinstance(item, Gap) and item.reason is Reason.OVERFLOW:
        assert item.lost is not None, "a Gap for dropped events doesn't say how many were lost"
        return _Lost((item.symbol, item.about), item.lost)
    return item


def _reconcile(status: FeedStatus) -> None:
    accounted = (
        status.delivered + status.waiting + status.conflated + status.dropped + status.discarded
    )
    assert status.offered == accounted, f"a feed's counters don't add up: {status}"


def _instruments(cases: Sequence[Case]) -> list[object]:
    return [case.subscription.instrument for case in cases]


def _under_policy(subject: Subject, policy: Policy) -> None:
    """A feed that is read by fits and starts holds what the model of its policy holds."""
    cases = lively(subject, 2)
    interests = [case.interest for case in cases]
    losses = 0

    def check(steps: list[tuple[float, int]], maxsize: int) -> None:
        async def scenario(world: World) -> FeedStatus:
            model = _Model(policy, maxsize)
            client = world.client
            async with (
                client.subscribe(*interests, maxsize=10**6) as tape,
                client.subscribe(*interests, policy=policy, maxsize=maxsize) as feed,
            ):
                for pause, reads in [*steps, (1.0, 10**6)]:
                    await asyncio.sleep(pause)
                    model.offer(await _everything(tape))
                    for _ in range(min(reads, model.waiting)):
                        for expected in model.read():
                            given = _tell(await anext(aiter(feed)))
                            assert given == expected, (
                                f"policy {policy} with maxsize {maxsize}: after a pause of "
                                f"{pause} s the feed gave {given}, not {expected}"
                            )
                    if not model.waiting and model.overflow:
                        with pytest.raises(FeedOverflow) as told:
                            await anext(aiter(feed))
                        assert told.value.lost == model.overflow, "it counts the loss wrongly"
                        model.overflow = 0
                    assert _figures(feed.status()) == _figures(model), "counters differ from losses"
                    _reconcile(feed.status())
                return feed.status()

        status = subject.world(rate=40.0, instruments=_instruments(cases)).run(scenario)
        nonlocal losses
        assert status.offered, f"nothing came of {', '.join(map(str, cases))} in a second"
        losses += status.dropped + status.conflated

    subject.check(check, _STEPS, _SIZES, examples=25)
    # Whatever was drawn above: a long pause with little room loses something.
    check([(5.0, 2), (5.0, 1)], 1)
    assert losses, "no event was ever lost: the emulator is too quiet to prove a policy"


def _figures(of: FeedStatus | _Model) -> dict[str, int]:
    names = ("offered", "delivered", "waiting", "conflated", "dropped")
    return {name: getattr(of, name) for name in names}


class FeedProperties(
    CleanupProperties, GrowthProperties, JoiningProperties, LeavingProperties, MemoryProperties
):
    """What holds for every consumer, however slow, impatient or faulty."""

    # --- 59: overflow policies ---

    @proves(59, against=Against.NOTHING)
    def test_drop_oldest_keeps_the_newest_and_says_how_many_were_lost(
        self, subject: Subject
    ) -> None:
        """Under any consumer speed ``drop_oldest`` keeps the newest n events, in order, and a Gap
        before the next one of each subscription counts exactly those that were dropped."""
        _under_policy(subject, Policy.DROP_OLDEST)

    @proves(59, against=Against.NOTHING)
    def test_conflate_keeps_the_newest_event_of_each_key(self, subject: Subject) -> None:
        """Under any consumer speed ``conflate`` holds exactly the newest event of each instrument
        and channel, and counts the others as conflated."""
        _under_policy(subject, Policy.CONFLATE)

    @proves(59, against=Against.NOTHING)
    def test_raise_raises_once_at_the_place_of_the_loss(self, subject: Subject) -> None:
        """Under any consumer speed ``raise`` delivers what came before the loss, raises
        FeedOverflow once with the number lost, and goes on."""
        _under_policy(subject, Policy.RAISE)

    @proves(59, against=Against.NOTHING)
    def test_block_loses_nothing_under_any_consumer_speed(self, subject: Subject) -> None:
        """A feed with the policy ``block`` delivers every event of a consumer that reads all the
        time, in the same order, however slowly it is read itself."""
        cases = lively(subject, 1)
        interests = [case.interest for case in cases]

        def check(steps: list[tuple[float, int]], maxsize: int) -> None:
            async def scenario(world: World) -> None:
                client = world.client
                # The blocking feed has a connection of its own, which begins a moment later.
                async with client.subscribe(*interests, maxsize=10**6) as tape:
                    await subscribed(tape)
                    async with client.subscribe(
                        *interests, policy=Policy.BLOCK, maxsize=maxsize
                    ) as feed:
                        await subscribed(feed)
                        given: list[AnyEvent] = []
                        for pause, reads in [*steps, (2.0, 0)]:
                            await asyncio.sleep(pause)
                            given += await first_events(feed, min(reads, feed.status().waiting))
                        every = [_bare(event) for event in await _everything(tape)]
                        # What comes later is read, and not compared.
                        while len(given) < len(every) + 50 and feed.status().waiting:
                            given.append(await anext(aiter(feed)))
                            await asyncio.sleep(0)
                        status = feed.status()
                assert status.dropped == status.conflated == 0, f"block lost events: {status}"
                _reconcile(status)
                notices = [event for event in given if event.channel is None]
                assert not notices, f"a slow reader of a blocking feed was told of {notices[0]}"
                _is_stretch_of([_bare(event) for event in given], every)

            subject.world(rate=40.0, instruments=_instruments(cases)).run(scenario)

        subject.check(check, _STEPS, _SIZES, examples=15)
        check([(5.0, 2), (1.0, 1), (3.0, 40)], 1)

    # --- 61: consumers don't disturb each other ---

    @proves(61, against=Against.NOTHING)
    def test_a_slow_or_failing_consumer_disturbs_no_other_feed_and_no_heartbeat(
        self, subject: Subject
    ) -> None:
        """Consumers that never read, or whose callback raises, delay neither the heartbeats of any
        connection nor the events of other feeds."""
        cases = lively(subject, 2)
        interests = [case.interest for case in cases]
        route = subject.exchange.route(cases[0].subscription)
        heartbeat = subject.exchange.codec(route).heartbeat
        duration = 20.0 if heartbeat is None else 2.5 * heartbeat.interval

        def fails(event: AnyEvent) -> NoReturn:
            raise _Broken

        async def breaks(client: Client) -> None:
            with pytest.raises(_Broken):
                async with client.subscribe(*interests, callback=fails):
                    await asyncio.Event().wait()

        async def scenario(world: World) -> None:
            client = world.client
            late = 0.0
            async with (
                client.subscribe(*interests, policy=Policy.BLOCK, maxsize=1),
                client.subscribe(*interests, policy=Policy.RAISE, maxsize=1),
                client.subscribe(*interests, maxsize=1),
                client.subscribe(*interests) as good,
            ):
                # In a task of its own, which the failure ends.
                broken = asyncio.ensure_future(breaks(client))
                await subscribed(good)
                begin, begin_ns = world.tap.now(), world.clock.time_ns()
                seen = 0
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(duration):
                        async for event in good:
                            seen += event.channel is not None
                            since_ns = max(event.received_time_ns, begin_ns)
                            waited = world.clock.time_ns() - since_ns
                            late = max(late, waited / 1e9)
                end = world.tap.now()
                assert end - begin >= duration, "a feed ended because of another one's consumer"
                async with asyncio.timeout(1.0):
                    await broken
                assert len(client.status().connections) == len(world.tap.attempts), (
                    "a connection was lost because of a consumer"
                )
            assert seen, f"nothing came of {', '.join(map(str, cases))} in {duration} s"
            assert late < 0.1, f"an event waited {late:.3f} s because of other consumers"
            if heartbeat is not None:
                for number in range(1, len(world.tap.attempts) + 1):
                    _beats(world, number, begin, end, heartbeat.interval)

        subject.world(rate=4.0, instruments=_instruments(cases)).run(scenario)

    # --- 66: batches ---

    @proves(66, against=Against.NOTHING)
    def test_a_batch_is_everything_received_and_batches_join_to_single_reads(
        self, subject: Subject
    ) -> None:
        """A batch read returns all events that have arrived, in order, and the batches together
        equal what single reads give, however they are mixed."""
        cases = lively(subject, 2)
        interests = [case.interest for case in cases]

        def check(pauses: list[tuple[float, int]]) -> None:
            async def scenario(world: World) -> None:
                client = world.client
                async with (
                    client.subscribe(*interests) as one_by_one,
                    client.subscribe(*interests) as at_once,
                ):
                    singles: list[AnyEvent] = []
                    joined: list[AnyEvent] = []
                    for pause, reads in pauses:
                        await asyncio.sleep(pause)
                        joined += await first_events(at_once, min(reads, at_once.status().waiting))
                        waiting = at_once.status().waiting
                        batch = await anext(at_once.batches())
                        assert batch, "a batch was empty"
                        assert waiting in (0, len(batch)), (
                            f"{waiting} events had arrived, but the batch has {len(batch)}"
                        )
                        joined += batch
                        while one_by_one.status().waiting:
                            singles.append(await anext(aiter(one_by_one)))
                    assert joined == singles, "batches and single reads gave different events"

            subject.world(rate=40.0, instruments=_instruments(cases)).run(scenario)

        subject.check(check, _STEPS, examples=20)

    # --- 67: subscribing and unsubscribing ---

    @proves(67)
    def test_subscribing_and_unsubscribing_is_idempotent_commutes_and_takes_effect(
        self, subject: Subject
    ) -> None:
        """Any order of subscribing and unsubscribing, repeats included, ends with exactly the
        wanted subscriptions at the exchange, and nothing of a subscription is delivered once its
        unsubscribe has returned."""
        cases = _subscribable(subject)
        instruments = _instruments(cases)
        alone = [_held_for(subject, [case]) for case in cases]
        for case, held in zip(cases, alone, strict=True):
            assert held, f"the emulator holds no stream after subscribing to {case}"
        calls = st.lists(
            st.tuples(
                st.booleans(),
                st.integers(0, len(cases) - 1),
                st.sampled_from([0.0, 0.0, 0.2, 1.0]),
                st.booleans(),
            ),
            min_size=2,
            max_size=10,
        )

        def check(script: list[tuple[bool, int, float, bool]]) -> None:
            async def scenario(world: World) -> None:
                wanted: set[int] = set()
                # One subscription of another feed keeps the connections open meanwhile.
                async with (
                    world.client.subscribe(cases[0].interest) as other,
                    world.client.subscribe() as feed,
                ):
                    for add, at, pause, reads in script:
                        interest = cases[at].interest
                        if add:
                            await feed.subscribe(interest)
                            wanted.add(at)
                        else:
                            await feed.unsubscribe(interest)
                            wanted.discard(at)
                            _none_waits(await _everything(feed), cases[at])
                        assert set(feed.interests) == {cases[w].interest for w in wanted}, (
                            f"subscribed to are {feed.interests}, wanted {wanted} of {cases}"
                        )
                        await asyncio.sleep(pause)
                        if reads:
                            _only(await _everything(feed), [cases[w] for w in wanted])
                    await settle(2.0)
                    due = set(alone[0]).union(*(alone[w] for w in wanted))
                    _compare(_held(world), due)
                    # Ending one feed leaves the other one what it has.
                    await feed.aclose()
                    await settle(2.0)
                    _compare(_held(world), set(alone[0]))
                    assert await first_events(other, 1), "another feed's end took this one's events"

            subject.world(rate=20.0, instruments=instruments).run(scenario)

        subject.check(check, calls, examples=20)
        every = range(len(cases))
        check([(True, at, 0.0, False) for at in every] * 2)
        check([(add, at, 1.0, False) for at in every for add in (True, False, False)])

    @proves(67)
    def test_different_orders_of_the_same_calls_send_the_exchange_to_the_same_state(
        self, subject: Subject
    ) -> None:
        """Subscribing to different keys commutes: any order leaves the exchange with the same
        streams, each once."""
        cases = _subscribable(subject)
        due = _held_for(subject, cases)

        def check(order: list[Case]) -> None:
            _compare(_held_for(subject, order), due)

        subject.check(check, st.permutations(cases), examples=6)


class _Broken(Exception):
    """A consumer's own fault."""


def _bare(event: AnyEvent) -> AnyEvent:
    """Without the time of receipt, which differs between connections."""
    return attrs.evolve(event, received_time_ns=0)


def _is_stretch_of(part: list[AnyEvent], whole: list[AnyEvent]) -> None:
    """What one connection brought is what another one did, from where both were there."""
    common = next((at for at, event in enumerate(part) if event in whole), None)
    assert common is not None, "a blocking feed and another one have no event in common"
    begin = whole.index(part[common])
    there = whole[begin:]
    assert part[common : common + len(there)] == there, (
        "a blocking feed lost, repeated or reordered events"
    )


def _beats(world: World, number: int, begin: float, end: float, interval: float) -> None:
    """What was sent on a connection in peaceful times are its heartbeats, each in time."""
    times = [at for at, on, _ in world.tap.sent if on == number]
    quiet = [begin, *(at for at in times if begin < at <= end), end]
    longest = max(b - a for a, b in pairwise(quiet))
    assert longest <= interval + 0.5, (
        f"connection {number} sent nothing for {longest:.1f} s, though a heartbeat is due every "
        f"{interval:g} s: a consumer held it up, or codec.ping() is not sent"
    )


def _subscribable(subject: Subject) -> list[Case]:
    """Up to five cases, of several markets and channels."""
    cases = subject.cases()
    first = [c for c in cases if c.market is cases[0].market]
    others = [c for c in cases if c.market is not cases[0].market]
    return [*first[:3], *others[:2]]


Held = set[tuple[str, str]]


def _held(world: World) -> list[tuple[str, str]]:
    """The streams that the exchange serves now, by path and topic."""
    return [(peer.path, topic) for peer in world.venue.peers for topic in peer.subscriptions]


def _held_for(subject: Subject, cases: Sequence[Case]) -> Held:
    """The streams that the exchange serves to a client with these subscriptions alone."""

    async def scenario(world: World) -> Held:
        async with world.client.subscribe(*(case.interest for case in cases)) as feed:
            await subscribed(feed)
            held = _held(world)
            _compare(held, set(held))
            return set(held)

    return subject.world(instruments=_instruments(cases)).run(scenario)


def _compare(held: Collection[tuple[str, str]], due: Held) -> None:
    twice = [stream for stream, count in Counter(held).items() if count > 1]
    assert not twice, f"the exchange serves {twice} more than once to one client"
    assert not due - set(held), f"not subscribed at the exchange: {due - set(held)}"
    assert not set(held) - due, (
        f"still subscribed at the exchange: {set(held) - due}; look at the frame that "
        "codec.unsubscribe() builds"
    )


def _keys(cases: Sequence[Case]) -> set[Key]:
    return {(case.subscription.symbol, case.channel) for case in cases}


def _only(events: Sequence[AnyEvent], wanted: Sequence[Case]) -> None:
    strange = {(e.symbol, e.channel) for e in events} - _keys(wanted)
    assert not strange, f"events of {strange} came, which are not subscribed"


def _none_waits(events: Sequence[AnyEvent], gone: Case) -> None:
    left = [e for e in events if (e.symbol, e.channel) in _keys([gone])]
    assert not left, f"{left[0]} was delivered after unsubscribing from {gone}"


__all__ = ["FeedProperties"]
