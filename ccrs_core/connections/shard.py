"""What one connection (or N racing ones) of a route is to carry.

Desired state lives here: whatever happens to the connections, what is wanted is what they are made
to carry. Who wanted it, and what becomes of what they bring, others know (:mod:`~.carried`). A
client opens further shards of a route where the exchange's limits ask for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from ccrs_core.connections.carried import Carried, Consumer
from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.doubts import Doubts
from ccrs_core.connections.effects import Silent, TopicRefused, TopicState, Unreadable
from ccrs_core.connections.link import Link
from ccrs_core.connections.quiet import GONE
from ccrs_core.connections.revival import Revival
from ccrs_core.connections.rollover import Rollover
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.codec import EntryReply
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.model.events import Reason
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.pace import Timer

log = logging.getLogger("ccrs.shard")


class Shard:
    """N redundant connections of one route and what they are subscribed to.

    :param account: for which its connections log in; None where they don't.
    :param exclusive: whom alone it is there for, where its connections are to wait for somebody.
    :param changed: called when an acknowledgement or a refusal has come.
    """

    def __init__(
        self,
        shared: Shared,
        route: Route,
        account: Account | None,
        connections: int,
        exclusive: Consumer | None,
        changed: Callable[[], None],
    ) -> None:
        self.shared = shared
        self.context = context = shared.context
        self.route = route
        self.account = account
        self.connections = connections
        self.topics: dict[str, Carried] = {}
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
        self.closed = False
        self._exclusive = exclusive
        self._changed = changed
        self._past_reconnects = 0
        self._wanted: dict[str, dict[Subscription, None]] = {}
        """By topic; those of one share its fate."""
        self._reserved: set[str] = set()
        self._reserved_chars = 0
        self._most = 0
        self._codec = context.exchange.codec(route)
        self._tasks: dict[Link, asyncio.Task[None]] = {}
        self._timers: dict[str, Timer] = {}
        self._polls: set[Timer] = set()
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

    @property
    def empty(self) -> bool:
        """Whether nothing is wanted."""
        return not self._wanted

    def topic_of(self, subscription: Subscription) -> str:
        """The name of the topic that brings a subscription here."""
        return self._codec.topic(subscription)

    def wanted(self) -> Sequence[Subscription]:
        """What a fresh connection has to subscribe to: all but what the exchange refused."""
        refusals = self.refusals
        # A refusal without a code is the exchange's silence, which may have been the connection's.
        return [s for s in self.subscriptions() if s not in refusals or not refusals[s].code]

    def subscriptions(self) -> list[Subscription]:
        """All that is wanted, topic by topic."""
        return [each for those in self._wanted.values() for each in those]

    def subscribed(self, topic: str) -> Sequence[Subscription]:
        """What is wanted of a topic."""
        return tuple(self._wanted.get(topic, ()))

    @property
    def reserved(self) -> int:
        """How many topics have a place."""
        return len(self._reserved)

    def reserve(self, subscription: Subscription) -> bool:
        """Keep a place for a subscription that is about to be wanted, if it stays within the
        exchange's limits of one connection."""
        name = self.topic_of(subscription)
        if name in self._reserved:
            # An instrument that was renamed can't share the topic with who knows the old name.
            return all(each.symbol == subscription.symbol for each in self.subscribed(name))
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

    def carry(self, topic: Carried) -> None:
        """Bring a topic that wasn't brought before, once something of it is wanted."""
        self.topics[topic.name] = topic
        self.trail.clear()
        for link in self.links:
            link.runner.apart.add(topic.name)

    def want(self, subscriptions: Iterable[Subscription]) -> list[Subscription]:
        """Subscribe to those (returned) that weren't wanted before, of topics that are carried."""
        new: list[Subscription] = []
        for each in subscriptions:
            those = self._wanted.setdefault(self.topic_of(each), {})
            if each not in those:
                those[each] = None
                new.append(each)
        self._conflate()
        for link in self.links:
            if new and link.session is not None and not link.waits_for_handover:
                link.apply(link.session.add(new))
        return new

    def ask_again(self, subscriptions: Iterable[Subscription]) -> None:
        """Ask once more for those of these that were refused. Where they are so again nobody is
        told a second time."""
        again = [each for each in subscriptions if each in self.refusals]
        for link in self.links:
            if again and link.session is not None and not link.waits_for_handover:
                link.apply(link.session.ask_again(again))

    def release(self, subscriptions: Sequence[Subscription]) -> None:
        """Unsubscribe from these, which nobody wants any more."""
        for each in subscriptions:
            name = self.topic_of(each)
            del self._wanted[name][each]
            self.refusals.pop(each, None)
            if not self._wanted[name]:
                del self._wanted[name], self.topics[name]
                self._reserved.discard(name)
                self._reserved_chars -= len(name)
                for link in self.links:
                    link.runner.forget(name)
                if (timer := self._timers.pop(name, None)) is not None:
                    timer.cancel()
        self._conflate()
        for link in self.links:
            if subscriptions and link.session is not None:
                link.apply(link.session.remove(subscriptions))

    def _conflate(self) -> None:
        self.replaceable.clear()
        self.replaceable.update(n for n, topic in self.topics.items() if topic.replaceable)

    # --- how far it has come ---

    def acknowledged_anywhere(self, topic: str) -> bool:
        """Whether the exchange has accepted a topic on a connection that is there."""
        sessions = [link.session for link in self.links if link.session is not None]
        return any(session.state(topic) is TopicState.ACTIVE for session in sessions)

    def carried_by(self, topic: str) -> int:
        """How many connections bring a topic now."""
        return sum(
            link.session is not None
            and not link.retired
            and link.session.carried_since(topic) is not None
            for link in self.links
        )

    @property
    def reconnects(self) -> int:
        """Connections opened again after a loss."""
        return self._past_reconnects + sum(max(link.connects - 1, 0) for link in self.links)

    @property
    def trouble(self) -> str:
        """What keeps the connections from being open."""
        errors = [link.error for link in self.links if link.error]
        return errors[-1] if errors else "the exchange has not answered"

    # --- connections ---

    def start(self, link: Link) -> None:
        """Let a link live."""
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
        """A connection is there; it subscribes to what is :meth:`wanted`."""
        link.runner.apart.update(self.topics)
        self.runners.append(link.runner)
        self._racing()

    def lost(self, link: Link, session: Session) -> None:
        """A connection has ended, whose session this was: what only it carried is stale now."""
        if link.runner in self.runners:
            self.runners.remove(link.runner)
        self.revival.lost(session)
        carried = [name for name in self.topics if session.carried_since(name) is not None]
        now_ns = self.context.clock.time_ns()
        for name in carried:
            self._interrupted(name, Reason.DISCONNECTED, Reason.RECONNECTED, now_ns)
        self._leaves(link, Reason.RECONNECTED)
        for name in carried:
            if name in self.topics:
                self.topics[name].narrowed(self.context.clock.monotonic())
        if not link.retired and link.successor is None:
            self.revival.explained()
        self._racing()

    def _interrupted(
        self, name: str, reason: Reason, missing: Reason, now_ns: int, silent_ns: int | None = None
    ) -> None:
        if not self.carried_by(name) and not self.closed:
            self.topics[name].lost(reason, missing, now_ns, silent_ns)

    def _leaves(self, link: Link, reason: Reason) -> None:
        """A connection brings nothing any more."""
        now = self.context.clock.monotonic()
        for topic in list(self.topics.values()):
            topic.coverage.leaves(link.runner, reason, now)

    def relieved(self) -> bool:
        """Whether a connection is being replaced that still brings things."""
        now = self.context.clock.monotonic()
        return len(self.runners) > self.connections and any(
            link.successor is not None
            and link.session is not None
            and now - link.session.last_received < Coverage.BOUND
            for link in self.links
        )

    def full_consumer(self) -> Consumer | None:
        """For whom nothing should be read at present."""
        consumer = self._exclusive
        return consumer if consumer is not None and consumer.full else None

    # --- what connections were told ---

    def acknowledged(self, link: Link, name: str, now_ns: int) -> None:
        """The exchange has accepted a topic on a connection."""
        topic, now = self.topics.get(name), self.context.clock.monotonic()
        if self.route.private and link.session is not None:
            link.session.useful(now)  # an account may be quiet for days
        if topic is not None:
            topic.acknowledged(link.runner, now, now_ns)
            for subscription in self.subscribed(name):
                self.refusals.pop(subscription, None)
        self._changed()

    def refused(self, link: Link, effect: TopicRefused) -> None:
        """The exchange has refused a topic on a connection."""
        topic = self.topics.get(effect.topic)
        if topic is None:
            return
        if self.carried_by(effect.topic):
            log.warning("%s refused on connection %d: %s", effect.topic, link.number, effect.text)
            return
        exchange = self.context.exchange.name
        for each in self.subscribed(effect.topic):
            if each in self.refusals:
                continue
            error = self.refusals[each] = SubscriptionRefused(
                effect.code, effect.text, exchange, each.symbol, each.channel.value
            )
            topic.refused(each, error)
            self.context.hook("ccrs_subscription_refused", exchange=exchange, error=error)
        self._changed()

    def answered(self, link: Link, asked_at: float) -> None:
        """What the exchange had sent on a connection before it was asked at a time has arrived."""
        self.doubts.answered(link, asked_at)

    def begun(self, link: Link) -> None:
        """A connection subscribes by itself, once it can."""

    def entered(self, link: Link, reply: EntryReply, now_ns: int) -> None:
        """Nobody has asked here."""

    def unchanged(self, name: str, now_ns: int) -> None:
        """A topic says that what is known still holds."""
        if name in self.topics:
            self.topics[name].unchanged(now_ns)

    def silent(self, link: Link, effect: Silent, now_ns: int) -> None:
        """A connection brings nothing of a topic that it should, and asks for it anew."""
        self.resubscriptions += 1
        topic, now = self.topics.get(effect.topic), self.context.clock.monotonic()
        if topic is None:
            return
        silent_ns = round(effect.seconds * 1e9)
        self._interrupted(topic.name, Reason.SILENT, Reason.RESUBSCRIBED, now_ns, silent_ns)
        sessions = [each.session for each in self.links if each.session and not each.retired]
        since = [at for each in sessions if (at := each.carried_since(topic.name)) is not None]
        if since and min(since) > now - effect.seconds + GONE:
            # It was taken to make up for what was there before those began, and may not have.
            topic.interrupt(Reason.SILENT)
        topic.coverage.leaves(link.runner, Reason.SILENT, now, ended=False)

    def unreadable(self, link: Link, effect: Unreadable, now_ns: int) -> None:
        """A frame was lost, of some topics or of whatever one. Where no other connection brings its
        copy, say so."""
        session = link.session
        if session is None:
            return
        now, numbered = session.last_received, self.route.sequence_scope is SequenceScope.GLOBAL
        # Copies of what comes next must not be taken for copies of what was lost.
        self.trail.clear()
        for name, topic in list(self.topics.items()):
            if effect.topics and name not in effect.topics:
                continue
            if session.carried_since(name) is not None:
                topic.missed(link.runner, effect.reason, now, now_ns, numbered)
            if name in effect.lasting and not self.carried_by(name):
                topic.garbled(now_ns)

    def resubscribe(self, name: str) -> None:
        """Have one connection ask for a topic anew."""
        self.resubscriptions += 1
        for link in self.links:
            session = link.session
            if session is not None and not link.retired and session.state(name) is not None:
                link.apply(session.resubscribe(name))
                return

    # --- planned replacement ---

    def replacing(self) -> bool:
        """Whether a connection is being replaced, and its successor hasn't taken over yet."""
        return any(link.successor is not None and not link.retired for link in self.links)

    def replace(self, link: Link, reason: str) -> None:
        """Open a connection in place of another one, which ends once the new one has taken over."""
        self.rollover.replace(link, reason)

    def retire(self, link: Link) -> None:
        """Let a connection that has been replaced end."""
        link.stop_delivering()
        self._leaves(link, Reason.ROLLOVER)
        if not link.hang_up():
            self._tasks[link].cancel()

    # --- timers and the end ---

    def later(self, delay: float, call: Callable[[], None]) -> None:
        """Call this after so many seconds, unless the shard has ended by then."""

        def fire() -> None:
            self._polls.discard(handle)
            if not self.closed:
                call()

        handle = self.shared.pace.later(delay, fire)
        self._polls.add(handle)

    def arm(self, name: str) -> None:
        """The time at which a topic wants to be woken has changed."""
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
            self.arm(name)

    def end(self) -> None:
        """Let all connections end; nothing can keep them from it any more."""
        if self.closed:
            return
        self.closed = True
        for timer in (*self._timers.values(), *self._polls):
            timer.cancel()
        self._timers.clear()
        self._polls.clear()
        for link, task in self._tasks.items():
            link.stop_delivering()
            task.cancel()

    async def aclose(self) -> None:
        """End all connections, and wait until they have."""
        self.end()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
