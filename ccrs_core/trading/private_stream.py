"""An account's private streams: its topics over connections of the same kind as market data's.

What they bring goes to the ledger, which takes each fact once and in any order; here is only known
whether they bring everything: a loss, a refusal, an acknowledgement, an event that is owed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import attrs

from ccrs_core.connections.carried import Outlet
from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Number, Runner
from ccrs_core.connections.shard import Shard
from ccrs_core.connections.shared import Shared
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import Route
from ccrs_core.errors import CcrsError, SubscriptionRefused
from ccrs_core.model.events import Reason
from ccrs_core.model.instruments import Market
from ccrs_core.model.reports import Report
from ccrs_core.model.subscriptions import Channel, Subscription

log = logging.getLogger("ccrs.account")

OPTIONAL = frozenset({Channel.EARLY_FILLS, Channel.DEAD_MAN})
"""Channels without which an account's data is whole; subscribed to when they are wanted."""


class Listener(Protocol):
    """Who is told what private streams bring, and how they fare."""

    def brought(self, reports: Sequence[Report]) -> None:
        """They have brought these, in the exchange's order within a topic."""

    def interrupted(self, channel: Channel, reason: Reason) -> None:
        """Something of a channel may be missing from now on; ``restored`` follows once all are
        acknowledged (again)."""

    def stale(self, channel: Channel, reason: Reason) -> None:
        """No connection brings a channel any more."""

    def restored(self) -> None:
        """The exchange has acknowledged all channels: what happens from now on is told."""

    def refused(self, channel: Channel, error: SubscriptionRefused) -> None:
        """The exchange gives a channel on no connection."""

    def failed(self, error: CcrsError) -> None:
        """The connections have ended for good: the login was refused, say."""


class _Merged(Coverage):
    """The ledger takes each fact once, in any order: whoever brings the topic follows on."""

    __slots__ = ()

    def carries(self, runner: Runner, now: float) -> bool:
        self.following.add(runner)
        runner.apart.discard(self._topic.name)
        return True

    def misses(self, runner: Runner, reason: Reason, now: float) -> None:
        self._topic.interrupt(reason)


class AccountTopic:
    """One topic of an account: what connections carry
    (:class:`~ccrs_core.connections.carried.Carried`)."""

    def __init__(self, name: str, channels: Sequence[Channel], streams: PrivateStreams) -> None:
        self.name = name
        self.channels = tuple(channels)
        """Those that it brings: more than one where they share it."""
        self.coverage: Coverage = _Merged(self, lambda: None)
        self.delivered = 0
        self.live = False
        """Whether a connection has it acknowledged."""
        self.waits = False
        self.confesses = False
        self.replaceable = False
        self.wake_at: float | None = None
        self._streams = streams

    @property
    def needed(self) -> bool:
        """Whether an account's data isn't whole without it."""
        return not OPTIONAL.issuperset(self.channels)

    @property
    def stale(self) -> bool:
        """Whether no connection brings it."""
        return not self.live

    # --- what connections bring ---

    def late(self, number: Number, restart: bool, runner: Runner, now: float, now_ns: int) -> bool:
        """Nothing is told apart before it is decoded."""
        return False

    def copied(self, number: Number, runner: Runner, now_ns: int) -> None:
        """Nothing is recognised as a copy here."""

    def take(self, data: Data, runner: Runner, now: float) -> Outlet | None:
        """All goes to the ledger."""
        return None

    def deliver_all(self, run: Sequence[Data], runner: Runner, now: float) -> None:
        """A connection has brought these, one after the other."""
        for data in run:
            self.deliver(data, runner, now)

    def deliver(self, data: Data, runner: Runner, now: float) -> None:
        """A connection has brought this."""
        self.delivered += len(data.events)
        self._streams.brought(cast("Sequence[Report]", data.events))

    def superseded(self, count: int) -> None:
        """Nothing is replaced by what follows."""

    def unchanged(self, now_ns: int) -> None:
        """What is known still holds."""

    def met(self, data: Data) -> int | None:
        """See :class:`~ccrs_core.connections.coverage.Covered`."""
        return 0

    def keys(self, data: Data) -> Sequence[object]:
        """See :class:`~ccrs_core.connections.coverage.Covered`."""
        return ()

    # --- how it fares ---

    def acknowledged(self, runner: Runner, now: float, now_ns: int) -> None:
        """The exchange has accepted the subscription on a connection."""
        self.coverage.carries(runner, now)
        self.live = True
        self._streams.progressed()

    def refused(self, subscription: Subscription, error: SubscriptionRefused) -> None:
        """The exchange gives it on no connection."""
        self._streams.refused(subscription.channel, error)

    def lost(
        self, reason: Reason, missing: Reason, now_ns: int, silent_ns: int | None = None
    ) -> None:
        """No connection brings it any more."""
        if self.live:
            self.live = False
            self._streams.lost(self, reason)

    def interrupt(self, reason: Reason) -> None:
        """Something may be missing before what comes next."""
        self._streams.interrupted(self, reason)

    def begin_stretch(self) -> None:
        """What was delivered is before a gap, which reconciliation closes."""

    def missed(
        self, runner: Runner, reason: Reason, now: float, now_ns: int, numbered: bool
    ) -> None:
        """A connection has lost something, and goes on."""
        self._streams.interrupted(self, reason)

    def garbled(self, now_ns: int) -> None:
        """What comes can't be read, over and over."""
        self._streams.interrupted(self, Reason.UNREADABLE)

    def narrowed(self, now: float) -> None:
        """A connection that brought it has gone."""

    def moved(self) -> None:
        """Another connection subscribes in the moment in which the one before ends: what happens
        before that is acknowledged may be told by neither."""
        self.live = False
        self._streams.interrupted(self, Reason.ROLLOVER)

    def found_dead(self) -> None:
        """Silence of an account proves nothing."""

    def excused(self) -> None:
        """Silence of an account proves nothing."""

    def tick(self, now: float, now_ns: int) -> None:
        """Nothing is waited for."""


class PrivateStreams:
    """The connections of one account, and whether they bring all of its channels.

    :param spawned: told of each task that is started, so that its failure is this account's alone.
    :param by_market: the channels of each market, where streams are of one each.
    """

    def __init__(
        self,
        shared: Shared,
        account: Account,
        channels: Iterable[Channel],
        listener: Listener,
        by_market: Mapping[Market, frozenset[Channel]] | None = None,
    ) -> None:
        self._shared = attrs.evolve(shared, spawn=self._spawn)
        self._outer = shared
        self._account = account
        self._listener = listener
        self._shards: dict[Route, Shard] = {}
        self._topics: dict[str, AccountTopic] = {}
        self._whole = False
        """Whether all was acknowledged since the last loss."""
        self._closed = False
        self._by_market = by_market or {}
        self._subscriptions = [
            each
            for channel in sorted(channels, key=list(Channel).index)
            if channel not in OPTIONAL
            for each in self._of(channel, None)
        ]

    @property
    def shards(self) -> list[Shard]:
        """The connections, by route."""
        return list(self._shards.values())

    @property
    def topics(self) -> list[AccountTopic]:
        """What they bring."""
        return list(self._topics.values())

    @property
    def whole(self) -> bool:
        """Whether all channels are brought, so that nothing is missed from now on."""
        return self._whole

    @property
    def trouble(self) -> str:
        """What keeps them from it."""
        return next((s.trouble for s in self.shards), "the account has no streams")

    def start(self) -> None:
        """Connect and subscribe."""
        self._want(self._subscriptions)
        if not self._subscriptions:
            self.progressed()

    def add(self, channel: Channel, market: Market | None = None) -> Subscription:
        """Subscribe to one more channel, an optional one: of a market, where it is of one; of all
        that have it where streams are of one each, of which the first is returned."""
        wanted = self._of(channel, market)
        new = [each for each in wanted if each not in self._subscriptions]
        if new:
            self._subscriptions += new
            self._want(new)
        return wanted[0]

    def _of(self, channel: Channel, market: Market | None) -> list[Subscription]:
        """The subscriptions to a channel: one of all the account, or one of each market."""
        markets: list[Market | None] = [market]
        if market is None and self._by_market:
            markets = [each for each in Market if channel in self._by_market.get(each, ())]
        account, exchange = self._account.name, self._shared.context.exchange.name
        return [
            Subscription(channel, account=account, exchange=exchange, market=each)
            for each in markets
        ]

    def drop(self, subscription: Subscription) -> None:
        """Unsubscribe from one that was added."""
        if subscription in self._subscriptions and not self._closed:
            self._subscriptions.remove(subscription)
            shard = self._shards[self._shared.context.exchange.route(subscription)]
            name = shard.topic_of(subscription)
            shard.release([subscription])
            if not shard.subscribed(name):
                self._topics.pop(name, None)

    def acknowledged(self, subscription: Subscription) -> bool:
        """Whether the exchange has accepted a subscription on a connection that is there.

        :raises SubscriptionRefused: where it has refused it.
        """
        shard = self._shards[self._shared.context.exchange.route(subscription)]
        if subscription in shard.refusals:
            raise shard.refusals[subscription]
        return shard.acknowledged_anywhere(shard.topic_of(subscription))

    def _want(self, subscriptions: Sequence[Subscription]) -> None:
        exchange = self._shared.context.exchange
        by_route: dict[Route, list[Subscription]] = {}
        for each in subscriptions:
            by_route.setdefault(exchange.route(each), []).append(each)
        for route, those in by_route.items():
            shard = self._shards.get(route)
            if shard is None:
                shard = Shard(self._shared, route, self._account, 1, None, lambda: None)
                self._shards[route] = shard
            names: dict[str, list[Channel]] = {}
            for each in those:
                names.setdefault(shard.topic_of(each), []).append(each.channel)
                shard.reserve(each)
            for name, channels in names.items():
                known = self._topics.get(name)
                if known is not None:
                    known.channels = (*known.channels, *channels)
                else:
                    topic = self._topics[name] = AccountTopic(name, channels, self)
                    shard.carry(topic)
            shard.want(those)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def watched() -> None:
            try:
                await work
            except CcrsError as error:
                if not self._closed:
                    self._listener.failed(error)

        return self._outer.spawn(watched())

    # --- what topics say ---

    def brought(self, reports: Sequence[Report]) -> None:
        """A topic was brought these."""
        if not self._closed:
            self._listener.brought(reports)

    def progressed(self) -> None:
        """A topic was acknowledged."""
        needed = [topic for topic in self._topics.values() if topic.needed]
        if not self._whole and not self._closed and all(topic.live for topic in needed):
            self._whole = True
            self._listener.restored()

    def lost(self, topic: AccountTopic, reason: Reason) -> None:
        """No connection brings a topic any more."""
        if not topic.needed or self._closed:
            return
        self._whole = False
        for channel in topic.channels:
            self._listener.stale(channel, reason)

    def interrupted(self, topic: AccountTopic, reason: Reason) -> None:
        """Something of a topic may be missing; it may go on."""
        if not topic.needed or self._closed:
            return
        self._whole = self._whole and topic.live
        for channel in topic.channels:
            self._listener.interrupted(channel, reason)

    def refused(self, channel: Channel, error: SubscriptionRefused) -> None:
        """The exchange gives a channel on no connection."""
        if not self._closed and channel not in OPTIONAL:
            self._listener.refused(channel, error)

    # --- replaced, ended ---

    def replace(self, channel: Channel, reason: str) -> None:
        """Give up the connection that brings a channel, and open it anew: it is found not to tell
        what has happened."""
        route = self._shared.context.exchange.route
        routes = {route(each) for each in self._subscriptions if each.channel is channel}
        for each in routes:
            for link in list(self._shards[each].links):
                if link.session is not None and not link.retired:
                    log.warning("connection %d: %s", link.number, reason)
                    link.fail(reason)

    def end(self) -> None:
        """Let all connections end; nothing can keep them from it any more."""
        self._closed = True
        for shard in self._shards.values():
            shard.end()

    async def aclose(self) -> None:
        """End all connections, and wait until they have."""
        self.end()
        await asyncio.gather(*(shard.aclose() for shard in self._shards.values()))
