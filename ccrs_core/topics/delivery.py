"""Who gets what of the topics that a shard's connections bring: feeds, their books, and how far
each subscription has come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol

from ccrs_core.connections.shard import Shard
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.stream import EVENT_OF, Stream
from ccrs_core.model.events import BookUpdate, Reason
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.topics.topic import Topic
from ccrs_core.topics.waiting_changes import Ask

log = logging.getLogger("ccrs.delivery")


class Proof(Protocol):
    """Who knows whether a quiet stream is known to live."""

    def unproved(self, shard: Shard, topic: str) -> bool: ...


class Delivery:
    """Hands what one shard brings to the feeds that want it.

    :param pool: what the shard has in common with others.
    :param changed: called when a subscription's state has changed.
    """

    def __init__(
        self,
        shard: Shard,
        pool: Hashable,
        snapshots: SnapshotQueue,
        proof: Proof,
        changed: Callable[[], None],
    ) -> None:
        self.shard = shard
        self.pool = pool
        self._topics: dict[str, Topic] = {}
        self._names: dict[Subscription, str] = {}
        self._snapshots = snapshots
        self._proof = proof
        self._changed = changed

    # --- feeds come and go ---

    def attach(self, wanted: Mapping[Subscription, int | None], feed: Feed) -> None:
        """Let a feed have these (of a book so many levels, None: as many as come), subscribing to
        those that no feed had before."""
        shard = self.shard
        for each, levels in wanted.items():
            name = self._names[each] = shard.topic_of(each)
            topic = self._topics.get(name)
            if topic is None:
                topic = self._topics[name] = self._new_topic(name)
                shard.carry(topic)
            topic.attach(topic.stream(each), feed, levels)
            if each in shard.refusals:
                feed.fail(shard.refusals[each])
        new = shard.want(wanted)
        if new:
            first = shard.context.options.patience.first
            shard.later(first, lambda: self._unheard(new))

    def _new_topic(self, name: str) -> Topic:
        shard = self.shard
        return Topic(
            name,
            shard.runners,
            live=shard.carried_by,
            resync=self._resync,
            arm=lambda: shard.arm(name),
            exchange=shard.context.exchange,
            trail=shard.trail,
            unproved=shard.doubts.add,
            relieved=shard.relieved,
        )

    def detach(self, subs: Sequence[Subscription], feed: Feed, why: str) -> list[Subscription]:
        """Take these from a feed, unsubscribing from those (returned) that no feed has any more."""
        gone: list[Subscription] = []
        for each in subs:
            stream = self.stream(each)
            if stream is None or not self.topic(each).has(stream, feed):
                continue
            if self.topic(each).detach(stream, feed):
                gone.append(each)
        for each in gone:
            name = self._names.pop(each)
            topic = self._topics[name]
            keeper = topic.drop(topic.streams[EVENT_OF[each.channel]], why)
            if keeper is not None:
                self._snapshots.drop(keeper)
            if not topic.streams:
                del self._topics[name]
        self.shard.release(gone)
        return gone

    # --- how far it has come ---

    def topic(self, subscription: Subscription) -> Topic:
        """The topic that brings a subscription, which some feed has."""
        return self._topics[self._names[subscription]]

    def stream(self, subscription: Subscription) -> Stream | None:
        """The stream of a subscription; None where no feed has it."""
        name = self._names.get(subscription)
        return None if name is None else self._topics[name].streams[EVENT_OF[subscription.channel]]

    def state(self, subscription: Subscription) -> SubscriptionState:
        """A subscription's state over all connections."""
        shard, name = self.shard, self._names[subscription]
        if subscription in shard.refusals:
            return SubscriptionState.REFUSED
        stream = self.stream(subscription)
        if stream is not None and stream.stale_since_ns is not None:
            return SubscriptionState.STALE
        if not shard.acknowledged_anywhere(name):
            return SubscriptionState.PENDING
        unproved = self._proof.unproved(shard, name)
        return SubscriptionState.UNPROVED if unproved else SubscriptionState.ACTIVE

    def carried_by(self, subscription: Subscription) -> int:
        """How many connections bring a subscription now."""
        return self.shard.carried_by(self._names[subscription])

    def _unheard(self, subscriptions: Sequence[Subscription]) -> None:
        """The time for a first acknowledgement is over: tell of those that have none, and why."""
        shard = self.shard
        now_ns, told = shard.context.clock.time_ns(), []
        for each in subscriptions:
            stream = self.stream(each)
            if stream is None or stream.acknowledged or stream.delivered:
                continue
            if each in shard.refusals or self.carried_by(each):
                continue
            stream.stale(Reason.DISCONNECTED, now_ns)
            told.append(each)
        if told:
            more = "" if len(told) == 1 else f" and {len(told) - 1} more"
            log.warning("%s%s: nothing yet; %s", told[0], more, shard.trouble)
            self._changed()

    # --- books ---

    def _resync(self, name: str, what: Ask) -> None:
        """Ask for a book, in the way that the exchange has for it."""
        topic, shard = self._topics[name], self.shard
        subscription, keeper = topic.streams[BookUpdate].subscription, topic.keeper
        exchange, wider = shard.context.exchange, what is Ask.WIDER
        request = (exchange.wider_snapshot if wider else exchange.book_snapshot)(subscription)
        if request is None or keeper is None:
            shard.resubscribe(name)
            return

        def failed() -> None:
            if wider:
                return  # the book is right meanwhile
            if keeper.brings_snapshots and not shard.closed and self._topics.get(name) is topic:
                # The stream itself may tell the whole book, as it has done before.
                shard.resubscribe(name)

        self._snapshots.want(request, keeper, what, failed)

    # --- the end ---

    def end(self, why: str = "") -> None:
        """Let all connections end; nothing can keep them from it any more. Books say ``why``."""
        if self.shard.closed:
            return
        self.shard.end()
        for topic in self._topics.values():
            if topic.keeper is not None:
                self._snapshots.drop(topic.keeper)
                topic.keeper.end(why)

    async def aclose(self) -> None:
        """End all connections, and wait until they have."""
        self.end()
        await self.shard.aclose()
