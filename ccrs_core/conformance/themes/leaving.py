"""Who leaves a stream that several share (67): the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from ccrs_core.conformance.judges.agreement import (
    Watch,
    about,
    emulated_topics,
    interest_of,
    path_of,
    peers_of,
    watching,
    world_of,
)
from ccrs_core.conformance.judges.sharing import (
    LASTING,
    Joined,
    Lone,
    beside,
    lively_rate,
    shared,
    states_of,
)
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.model.subscriptions import Subscription

_BEGUN, _WHILE = 4.0, 4.0
"""Seconds after which a stream runs, and between one leaving and the next."""
_STEP = 0.05
_HEALED = 30.0
"""Seconds after which lost connections are open again."""


class LeavingProperties:
    """Of streams that more than one has wanted."""

    @proves(67, quick=False)
    def test_who_leaves_a_shared_stream_leaves_it_to_the_others(self, subject: Subject) -> None:
        """Of several subscriptions that one server stream carries each leaves in turn, in each
        order, on one connection and on racing ones, before and after a reconnect: the others go
        on, without a gap and with all that a lone subscriber hears; the stream ends at the exchange
        with the last of them. Who comes back hears the present state."""
        for sharers in shared(subject):
            raced = subject.exchange.route(sharers[0]).sequence_scope is SequenceScope.GLOBAL
            # Each order is gone through in reverse, too, after the reconnect.
            for number in range(len(sharers)):
                order = [*sharers[number:], *sharers[:number]]
                _ends_with_the_last(subject, order)
                _leave_in_turn(subject, order, 2 if raced and number % 2 else 1)


# --- leaving --------------------------------------------------------------------------------------


class _Shared:
    """Feeds of one client, one of each sharer, and lone subscribers of the same."""

    def __init__(self, subject: Subject, world: World, connections: int) -> None:
        self.subject = subject
        self.world = world
        self.connections = connections
        self.watches: dict[Subscription, Watch] = {}
        self.lone: dict[Subscription, Lone] = {}
        self.since: dict[Subscription, int] = {}
        """Of each feed's events, those before were judged."""
        self.joined: dict[Subscription, tuple[int, int]] = {}
        """How much each feed, and its lone subscriber, had been told as the feed last joined."""

    async def enter(self, stack: AsyncExitStack, subscription: Subscription) -> None:
        feed = watching(self.world, subscription, connections=self.connections)
        watch = await stack.enter_async_context(feed)
        self.watches[subscription] = watch
        await subscribed(watch.feed)
        lone = self.lone[subscription] = Lone(self.subject, self.world, subscription)
        stack.callback(lone.close)
        self.since[subscription] = 0
        self.joined[subscription] = 0, 0

    async def come_back(self, subscription: Subscription) -> None:
        watch, lone = self.watches[subscription], self.lone[subscription]
        # What happened meanwhile is nothing to who was away; what lasts is.
        lasts = subscription.channel in LASTING
        self.joined[subscription] = len(watch.events), 0 if lasts else len(lone.events)
        await watch.feed.subscribe(interest_of(subscription))

    async def pause(self, seconds: float) -> None:
        """Let time pass; lone subscribers say that they live."""
        for _ in range(round(seconds)):
            await settle(1.0)
            for lone in self.lone.values():
                lone.states()

    def abort(self) -> None:
        """End all of the client's connections."""
        others = {lone.wire.peer for lone in self.lone.values()}
        for peer in [p for p in self.world.venue.peers if p not in others]:
            peer.abort()

    async def leave_in_turn(self, order: Sequence[Subscription]) -> None:
        """Unsubscribe one after the other."""
        left = list(order)
        for each in order:
            await self.watches[each].feed.unsubscribe(interest_of(each))
            left.remove(each)
            await self.pause(_WHILE)
            rest = ", ".join(map(str, left)) or "nobody"
            what = f"{each} left the stream that {rest} shares"
            self.carried(each, self.connections if left else 0, what)
            for other in left:
                await self.as_before(other, what)

    def carried(self, shared: Subscription, connections: int, what: str) -> None:
        """Fails unless so many of the client's connections are subscribed to a shared stream."""
        topics = emulated_topics(self.subject, shared)
        exchange, others = self.subject.exchange, {e.wire.peer for e in self.lone.values()}
        peers = peers_of(self.world, path_of(exchange, exchange.route(shared)))
        carrying = sum(bool(topics & set(p.subscriptions)) for p in peers if p not in others)
        assert carrying == connections, (
            f"after {what}, {carrying} of the client's connections are subscribed to "
            f"{', '.join(sorted(topics))} at the exchange instead of {connections}: look at the "
            "frame that Codec.unsubscribe builds, and when it is the last one that ends the stream"
        )

    async def as_before(self, subscription: Subscription, what: str) -> None:
        """Fails unless a feed was told what a lone subscriber was told, without interruption."""
        watch, lone = self.watches[subscription], self.lone[subscription]
        notices = [e for e in watch.events[self.since[subscription] :] if e.channel is None]
        assert not notices, f"after {what}, {subscription} is interrupted: {notices[0]}"
        strange = [e for e in watch.events if not about(e, subscription)]
        assert not strange, f"after {what}, a feed of {subscription} is told {strange[0]}"
        begun, lone_begun = self.joined[subscription]
        due = lone.states(lone_begun)
        await settle(_STEP)  # what came at this very moment has to be handed on
        heard, later = states_of(watch.events[begun:], subscription), lone.states(lone_begun)
        assert not due or (heard and heard[-1] in later[len(due) - 1 :]), (
            f"after {what}, {subscription} was last told {heard[-1:] or 'nothing'}, though a lone "
            f"subscriber was told {due[-1:] or 'nothing'}: who remains, or comes back, must hear "
            "all that is known. Codec.subscribe of a further channel must let the next frame tell "
            "it, changed or not, and Codec.unsubscribe of one must leave the others what they have"
        )

    def judged(self) -> None:
        """What came up to now isn't judged any more."""
        for each, watch in self.watches.items():
            self.since[each] = len(watch.events)


def _leave_in_turn(subject: Subject, order: Sequence[Subscription], connections: int) -> None:
    anchor = beside(subject, order)

    async def scenario(world: World) -> None:
        async with AsyncExitStack() as stack:
            group = _Shared(subject, world, connections)
            if anchor is not None:
                # Else the connection would end with the last that leaves.
                await stack.enter_async_context(watching(world, anchor, connections=connections))
            for each in order:
                await group.enter(stack, each)
            await group.pause(_BEGUN)
            await group.leave_in_turn(order)
            for each in order:
                await group.come_back(each)
                await group.pause(_WHILE)
            group.carried(order[0], connections, "all came back")
            for each in order:
                await group.as_before(each, f"all came back, {each} among them")
            group.abort()
            await group.pause(_HEALED)
            group.judged()
            group.carried(order[0], connections, "all connections were lost")
            await group.leave_in_turn(order[::-1])

    world_of(subject, rate=lively_rate(order)).run(scenario)


def _ends_with_the_last(subject: Subject, order: Sequence[Subscription]) -> None:
    """Fails unless a stream of one connection ends with the last that wants it, twice."""
    line, topics = subject.line(), emulated_topics(subject, order[0])
    joined = Joined(line.open(subject.exchange.route(order[0])))
    for _ in range(2):
        for each in order:
            joined.join(each)
            joined.wire.run(0.5)
        for left, each in zip(range(len(order) - 1, -1, -1), order, strict=True):
            joined.leave(each)
            joined.wire.run(0.5)
            carries = bool(topics & set(joined.wire.peer.subscriptions))
            assert carries == (left > 0), (
                f"{left} of {len(order)} subscriptions that {', '.join(sorted(topics))} carries "
                f"are left, and the exchange {'still sends' if carries else 'has ended'} it, once "
                f"{each} was unsubscribed: the frame of Codec.unsubscribe "
                "must end a stream with the last that wants it, not before and not never"
            )
