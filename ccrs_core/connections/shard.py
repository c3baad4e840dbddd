"""The subscriptions that one connection (or N racing ones) of a route carry.

Desired state lives here: whatever happens to the connections, what is wanted is what they are made
to carry. A client opens further shards of a route where the exchange's limits ask for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.doubts import Doubts
from ccrs_core.connections.effects import Silent, TopicRefused, TopicState, Unreadable
from ccrs_core.connections.link import Link
from ccrs_core.connections.quiet import GONE
from ccrs_core.connections.revival import Revival
from ccrs_core.connections.rollover import Rollover
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.stream import EVENT_OF, Stream
from ccrs_core.model.events import BookUpdate, Reason
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.topic import Topic
from ccrs_core.topics.waiting_changes import Ask
from ccrs_core.transport.pace import Timer

log = logging.getLogger("ccrs.shard")


def identity(subscription: Subscription) -> Hashable:
    """What tells subscriptions apart for good: an instrument's rules may change."""
    names = subscription.instrument.native, subscription.symbol
    return subscription.channel, *names, subscription.depth, subscription.interval


class Shard:
    """N redundant connections of one route and what they are subscribed to."""

    def __init__(
        self,
        shared: Shared,
        route: Route,
        account: Account | None,
        connections: int,
        exclusive: Feed | None,
        pool: Hashable,
        changed: Callable[[], None],
    ) -> None:
        self.shared = shared
        self.context = context = shared.context
        self.route = route
        self.account = account
        """For which its connections log in; None where they don't."""
        self.connections = connections
        self.exclusive = exclusive
        self.pool = pool
        self.topics: dict[str, Topic] = {}
        self.runners: list[Runner] = []
        self.trail = Trail()
        self.replaceable: set[str] = set()
        """Topics of which nobody wants but the newest state."""
        self.links: list[Link] = []
        self.refusals: dict[Subscription, SubscriptionRefused] = {}
        self.rollover = Rollover(self)
        self.revival = Revival(self)
        self.doubts = Doubts(self, self.revival.lacks)
        self.resubscriptions = 0
        self._past_reconnects = 0
        self._wanted: dict[Subscription, str] = {}
        self._reserved: set[str] = set()
        self._reserved_chars = 0
        self._most = 0
        self._codec = context.exchange.codec(route)
        self._changed = changed
        self._tasks: dict[Link, asyncio.Task[None]] = {}
        self._timers: dict[str, Timer] = {}
        self._polls: set[Timer] = set()
        self.closed = False
        for _ in range(connections):
            self.start(Link(self, shared))
        if context.options.replace_losers and connections > 1:
            self.rollover.replace_losers()
        shared.lookout.wake()

    # --- what is wanted ---

    @property
    def thinned(self) -> bool:
        """Whether a removal has left room that was once taken."""
        return self._most > len(self._reserved)

    def topic_of(self, subscription: Subscription) -> str:
        return self._codec.topic(subscription)

    def wanted(self) -> Sequence[Subscription]:
        """What a fresh connection has to subscribe to: all but what the exchange refused."""
        refusals = self.refusals
        # A refusal without a code is the exchange's silence, which may have been the connection's.
        return [s for s in self._wanted if s not in refusals or not refusals[s].code]

    def reserve(self, subscription: Subscription) -> bool:
        """Keep a place for a subscription that is about to be attached, if it stays within the
        exchange's limits of one connection."""
        name = self.topic_of(subscription)
        if name in self._reserved:
            # An instrument that was renamed can't share the topic with who knows the old name.
            topic = self.topics.get(name)
            streams = () if topic is None else topic.streams.values()
            return all(s.subscription.symbol == subscription.symbol for s in streams)
        route, chars = self.route, self._reserved_chars + len(name)
        if route.topics_per_connection is not None and (
            len(self._reserved) >= route.topics_per_connection
        ):
            return False
        if route.topic_chars_per_connection is not None and (
            chars > route.topic_chars_per_connection
        ):
            return False
        self._reserved.add(name)
        self._most = max(self._most, len(self._reserved))
        self._reserved_chars = chars
        return True

    @property
    def reconnects(self) -> int:
        """Connections opened again after a loss."""
        return self._past_reconnects + sum(max(link.connects - 1, 0) for link in self.links)

    @property
    def empty(self) -> bool:
        return not self._wanted

    def attach(self, subscriptions: Sequence[Subscription], feed: Feed) -> None:
        """Let a feed have these, subscribing to those that no feed had before."""
        new: list[Subscription] = []
        for subscription in subscriptions:
            name = self.topic_of(subscription)
            topic = self.topics.get(name)
            if topic is None:
                topic = self.topics[name] = Topic(
                    name,
                    self.runners,
                    live=self._carried,
                    resync=self._resync,
                    arm=lambda name=name: self._arm(name),  # type: ignore[misc]
                    exchange=self.context.exchange,
                    trail=self.trail,
                    unproved=self.doubts.add,
                    relieved=self._relieved,
                )
                self.trail.clear()
                for link in self.links:
                    link.runner.apart.add(name)
            stream = topic.stream(subscription)
            topic.attach(stream, feed)
            if subscription not in self._wanted:
                self._wanted[subscription] = name
                new.append(subscription)
            elif subscription in self.refusals:
                feed.fail(self.refusals[subscription])
        self._conflate()
        for link in self.links:
            if new and link.session is not None and not link.held:
                link.apply(link.session.add(new))
        if new:
            self.later(self.context.options.patience.first, lambda: self._unheard(new))

    def _unheard(self, subscriptions: Sequence[Subscription]) -> None:
        """The time for a first acknowledgement is over: tell of those that have none, and why."""
        now_ns, told = self.context.clock.time_ns(), []
        for subscription in subscriptions:
            stream = self.stream(subscription)
            if stream is None or stream.acknowledged or stream.delivered:
                continue
            if subscription in self.refusals or self.carried_by(subscription):
                continue
            stream.stale(Reason.DISCONNECTED, now_ns)
            told.append(subscription)
        if told:
            more = "" if len(told) == 1 else f" and {len(told) - 1} more"
            log.warning("%s%s: nothing yet; %s", told[0], more, self.trouble)
            self._changed()

    @property
    def trouble(self) -> str:
        """What keeps the connections from being open."""
        errors = [link.error for link in self.links if link.error]
        return errors[-1] if errors else "the exchange has not answered"

    def detach(self, subs: Sequence[Subscription], feed: Feed, why: str) -> list[Subscription]:
        """Take these from a feed, unsubscribing from those (returned) that no feed has any more."""
        gone: list[Subscription] = []
        for each in subs:
            stream = self.stream(each)
            if stream is None or feed not in stream.feeds:
                continue
            stream.feeds.remove(feed)
            if feed.freshness is not None and feed not in stream.feeds:
                feed.freshness.unwatch(stream)
            feed.discard(each.instrument.exchange, each.symbol, each.channel, each.interval)
            if not stream.feeds:
                gone.append(each)
        for subscription in gone:
            name = self._wanted.pop(subscription)
            self.refusals.pop(subscription, None)
            topic = self.topics[name]
            del topic.streams[EVENT_OF[subscription.channel]]
            if not topic.streams:
                del self.topics[name]
                self._reserved.discard(name)
                self._reserved_chars -= len(name)
                for link in self.links:
                    link.runner.forget(name)
                if (timer := self._timers.pop(name, None)) is not None:
                    timer.cancel()
            if subscription.channel is Channel.BOOK and topic.keeper is not None:
                self.shared.snapshots.drop(topic.keeper)
                topic.keeper.end(why)
        self._conflate()
        for link in self.links:
            if gone and link.session is not None:
                link.apply(link.session.remove(gone))
        return gone

    def _conflate(self) -> None:
        self.replaceable.clear()
        self.replaceable.update(n for n, topic in self.topics.items() if topic.replaceable)

    def stream(self, subscription: Subscription) -> Stream | None:
        name = self._wanted.get(subscription)
        return None if name is None else self.topics[name].streams[EVENT_OF[subscription.channel]]

    def topic(self, subscription: Subscription) -> Topic:
        return self.topics[self._wanted[subscription]]

    def subscriptions(self) -> list[Subscription]:
        return list(self._wanted)

    def state(self, subscription: Subscription) -> SubscriptionState:
        """A subscription's state over all connections."""
        if subscription in self.refusals:
            return SubscriptionState.REFUSED
        stream, name = self.stream(subscription), self._wanted[subscription]
        if stream is not None and stream.stale_since_ns is not None:
            return SubscriptionState.STALE
        sessions = [link.session for link in self.links if link.session is not None]
        if all(s.state(name) is not TopicState.ACTIVE for s in sessions):
            return SubscriptionState.PENDING
        unproved = self.shared.lookout.unproved(self, self.topics[name])
        return SubscriptionState.UNPROVED if unproved else SubscriptionState.ACTIVE

    def carried_by(self, subscription: Subscription) -> int:
        return self._carried(self._wanted[subscription])

    def _carried(self, topic: str) -> int:
        return sum(
            link.session is not None
            and not link.retired
            and link.session.carried_since(topic) is not None
            for link in self.links
        )

    # --- connections ---

    def start(self, link: Link) -> None:
        self.links.append(link)
        task = self.shared.spawn(link.run())
        self._tasks[link] = task
        task.add_done_callback(lambda _: self._gone(link))

    def _gone(self, link: Link) -> None:
        self._tasks.pop(link, None)
        if link in self.links:
            self.links.remove(link)
            self._past_reconnects += max(link.connects - 1, 0)

    def _racing(self) -> None:
        on = len(self.runners) > 1 and self.route.sequence_scope is SequenceScope.GLOBAL
        for link in self.links:
            link.compete(on)

    def opened(self, link: Link) -> None:
        link.runner.apart.update(self.topics)
        self.runners.append(link.runner)
        self._racing()

    def lost(self, link: Link) -> None:
        """A connection has ended: what only it carried is stale now."""
        session = link.session
        if link.runner in self.runners:
            self.runners.remove(link.runner)
        if session is not None:
            self.revival.lost(link)
            carried = [n for n in self.topics if session.carried_since(n) is not None]
            link.session = None
            now_ns = self.context.clock.time_ns()
            for name in carried:
                self._interrupted(name, Reason.DISCONNECTED, now_ns)
            self._leaves(link, Reason.RECONNECTED)
            for name in carried:
                if name in self.topics:
                    self.topics[name].narrowed(self.context.clock.monotonic())
            link.session = session
            if not link.retired and link.successor is None:
                self.revival.explained(link)
        self._racing()

    def _interrupted(
        self, name: str, reason: Reason, now_ns: int, silent: int | None = None
    ) -> None:
        if self._carried(name) or self.closed:
            return
        topic = self.topics[name]
        topic.lost_sync(reason)
        for stream in topic.streams.values():
            stream.interrupt(Reason.RESUBSCRIBED if reason is Reason.SILENT else Reason.RECONNECTED)
            stream.stale(reason, now_ns, silent)

    def _leaves(self, link: Link, reason: Reason) -> None:
        """A connection brings nothing any more."""
        now = self.context.clock.monotonic()
        for topic in list(self.topics.values()):
            topic.coverage.leaves(link.runner, reason, now)

    def answered(self, link: Link, asked_at: float) -> None:
        """What the exchange had sent on a connection before it was asked at a time has arrived."""
        self.doubts.answered(link, asked_at)

    def _relieved(self) -> bool:
        """Whether a connection is being replaced that still brings things."""
        now = self.context.clock.monotonic()
        return len(self.runners) > self.connections and any(
            link.successor is not None
            and link.session is not None
            and now - link.session.last_received < Coverage.BOUND
            for link in self.links
        )

    def silent(self, link: Link, effect: Silent, now_ns: int) -> None:
        self.resubscriptions += 1
        if effect.topic in self.topics:
            self._interrupted(effect.topic, Reason.SILENT, now_ns, round(effect.seconds * 1e9))
            now, topic = self.context.clock.monotonic(), self.topics[effect.topic]
            sessions = [each.session for each in self.links if each.session and not each.retired]
            since = [at for each in sessions if (at := each.carried_since(topic.name)) is not None]
            if since and min(since) > now - effect.seconds + GONE:
                # It was taken to make up for what was there before those began, and may not have.
                topic.interrupt(Reason.SILENT)
            topic.coverage.leaves(link.runner, Reason.SILENT, now, ended=False)

    def unchanged(self, name: str, now_ns: int) -> None:
        """A topic says that what is known still holds."""
        if name in self.topics:
            self.topics[name].unchanged(now_ns)

    def unreadable(self, link: Link, effect: Unreadable, now_ns: int) -> None:
        """A frame was lost, of some topics or of whatever one. Where no other connection brings its
        copy, say so."""
        session = link.session
        if session is None:
            return
        now = session.last_received
        # Copies of what comes next must not be taken for copies of what was lost.
        self.trail.clear()
        for name, topic in list(self.topics.items()):
            if effect.topics and name not in effect.topics:
                continue
            if session.carried_since(name) is not None:
                topic.coverage.misses(link.runner, Reason.UNREADABLE, now)
                if self.route.sequence_scope is not SequenceScope.GLOBAL:
                    # The exchange's own numbers may not be there to show a book what it missed.
                    topic.doubt(Reason.UNREADABLE, now, now_ns)
            if name in effect.lasting and not self._carried(name):
                # Books know it by themselves.
                for kind, stream in topic.streams.items():
                    if kind is not BookUpdate:
                        stream.stale(Reason.UNREADABLE, now_ns)

    def acknowledged(self, link: Link, topic: str, now_ns: int) -> None:
        found = self.topics.get(topic)
        if found is not None:
            found.acknowledged(link.runner, self.context.clock.monotonic(), now_ns)
            for stream in found.streams.values():
                stream.refused = False
                self.refusals.pop(stream.subscription, None)
        self._changed()

    def refused(self, link: Link, effect: TopicRefused) -> None:
        topic = self.topics.get(effect.topic)
        if topic is None:
            return
        if self._carried(effect.topic):
            log.warning("%s refused on connection %d: %s", effect.topic, link.number, effect.text)
            return
        for stream in topic.streams.values():
            subscription = stream.subscription
            if subscription in self.refusals:
                continue
            exchange, channel = self.context.exchange.name, subscription.channel.value
            error = SubscriptionRefused(
                effect.code, effect.text, exchange, subscription.symbol, channel
            )
            self.refusals[subscription] = error
            stream.refused = True
            for feed in stream.feeds:
                feed.fail(error)
            self.context.hook("ccrs_subscription_refused", exchange=exchange, error=error)
        self._changed()

    def _resync(self, name: str, what: Ask) -> None:
        """Ask for a book, in the way that the exchange has for it."""
        topic = self.topics[name]
        subscription, keeper = topic.streams[BookUpdate].subscription, topic.keeper
        exchange, wider = self.context.exchange, what is Ask.WIDER
        request = (exchange.wider_snapshot if wider else exchange.book_snapshot)(subscription)
        if request is None or keeper is None:
            self.resubscribe(name)
            return

        def failed() -> None:
            if wider:
                return  # the book is right meanwhile
            if keeper.told_whole and not self.closed and self.topics.get(name) is topic:
                # The stream itself may tell the whole book, as it has done before.
                self.resubscribe(name)

        self.shared.snapshots.want(request, keeper, what, failed)

    def resubscribe(self, name: str) -> None:
        """Have one connection ask for a topic anew."""
        self.resubscriptions += 1
        for link in self.links:
            session = link.session
            if session is not None and not link.retired and session.state(name) is not None:
                link.apply(session.resubscribe(name))
                return

    def full_feed(self) -> Feed | None:
        feed = self.exclusive
        return feed if feed is not None and feed.full else None

    # --- planned replacement ---

    def replacing(self) -> bool:
        """Whether a connection is being replaced, and its successor hasn't taken over yet."""
        return any(link.successor is not None and not link.retired for link in self.links)

    def replace(self, link: Link, reason: str) -> None:
        self.rollover.replace(link, reason)

    def retire(self, link: Link) -> None:
        """Let a connection that has been replaced end."""
        link.retired = True
        self._leaves(link, Reason.ROLLOVER)
        if not link.retire():
            self._tasks[link].cancel()

    # --- timers and the end ---

    def later(self, delay: float, call: Callable[[], None]) -> None:
        def fire() -> None:
            self._polls.discard(handle)
            if not self.closed:
                call()

        handle = self.shared.pace.later(delay, fire)
        self._polls.add(handle)

    def _arm(self, name: str) -> None:
        topic = self.topics.get(name)
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if topic is None or topic.wake_at is None or self.closed:
            return
        pace = self.shared.pace
        delay = max(topic.wake_at - self.context.clock.monotonic(), pace.wait)
        self._timers[name] = pace.later(delay, self._tick, name)

    def _tick(self, name: str) -> None:
        topic = self.topics.get(name)
        self._timers.pop(name, None)
        if topic is not None:
            topic.tick(self.context.clock.monotonic(), self.context.clock.time_ns())
            self._arm(name)

    def end(self, why: str = "") -> None:
        """Let all connections end; nothing can keep them from it any more. Books say ``why``."""
        if self.closed:
            return
        self.closed = True
        for timer in (*self._timers.values(), *self._polls):
            timer.cancel()
        self._timers.clear()
        self._polls.clear()
        for topic in self.topics.values():
            if topic.keeper is not None:
                self.shared.snapshots.drop(topic.keeper)
                topic.keeper.end(why)
        for link, task in self._tasks.items():
            link.retired = True
            task.cancel()

    async def aclose(self) -> None:
        """End all connections, and wait until they have."""
        self.end()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
