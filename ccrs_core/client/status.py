"""What a client tells of itself: states, counters and last-seen times, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from ccrs_core.client.account_status import AccountStatus
from ccrs_core.client.connection_status import ConnectionStatus, connection_of
from ccrs_core.connections.link import Link
from ccrs_core.connections.shard import Shard
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import FeedStatus
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import BookState
from ccrs_core.model.subscriptions import Channel
from ccrs_core.topics.delivery import Delivery


@attrs.frozen(kw_only=True)
class SubscriptionStatus:
    """One subscription, over all of its connections."""

    symbol: str
    """Empty where it is about an account."""
    account: str | None
    channel: Channel
    stream: str
    """What brings it, as the exchange names its topic."""
    depth: int | None
    """Levels a side of that stream's book; feeds may be shown fewer."""
    push_interval: float | None
    """Seconds between two updates in a lively market, by the exchange's documents: 0.0 where each
    change is told at once, None where they don't say."""
    state: SubscriptionState
    refusal: str | None
    connections: int
    carried_by: int
    """Connections that bring it now."""
    delivered: int
    gaps: int
    stales: int
    last_sequence: int | None
    last_exchange_time_ns: int | None
    last_received_ns: int | None
    book: BookState | None
    resyncs: int


@attrs.frozen(kw_only=True)
class ClientStatus:
    """Everything at one moment."""

    exchange: str
    environment: str
    connections: tuple[ConnectionStatus, ...]
    subscriptions: tuple[SubscriptionStatus, ...]
    feeds: tuple[FeedStatus, ...]
    accounts: tuple[AccountStatus, ...] = ()
    """Those that are open."""
    rollovers: int
    resubscriptions: int
    reconnects: int
    found_dead: int
    """How often a stream was found to be silent although something had happened."""
    address_changes: int
    """How often a route's next address was tried."""
    requests: int
    request_errors: int
    rows_left_out: int
    """Rows of answers that couldn't be read: each kind is told in the log."""
    host_paused: float
    """Seconds for which no REST request will leave, because the exchange said so."""


# --- reading it ---


@attrs.define
class Totals:
    """Counters of shards; those of closed ones are kept, so that no figure ever falls."""

    rollovers: int = 0
    resubscriptions: int = 0
    reconnects: int = 0

    def add(self, shard: Shard) -> None:
        self.rollovers += shard.rollover.count
        self.resubscriptions += shard.resubscriptions
        self.reconnects += shard.reconnects


def survey(
    exchange: str,
    environment: str,
    deliveries: Sequence[Delivery],
    feeds: Iterable[Feed],
    spent: Totals,
    *,
    private: Iterable[Shard],
    accounts: Iterable[AccountStatus],
    found_dead: int,
    address_changes: int,
    requests: int,
    request_errors: int,
    rows_left_out: int,
    host_paused: float,
) -> ClientStatus:
    """Everything at this moment; ``private`` are the connections of accounts."""
    totals = attrs.evolve(spent)
    shards = [*(delivery.shard for delivery in deliveries), *private]
    for shard in shards:
        totals.add(shard)
    links: list[tuple[Link, tuple[Market, ...]]] = []
    for shard in shards:
        markets = _markets(shard)
        links += [(link, markets) for link in shard.links]
    return ClientStatus(
        exchange=exchange,
        environment=environment,
        connections=tuple(
            connection_of(link, markets)
            for link, markets in sorted(links, key=lambda x: x[0].number)
        ),
        subscriptions=tuple(s for delivery in deliveries for s in _subscriptions(delivery)),
        feeds=tuple(feed.status() for feed in feeds),
        accounts=tuple(accounts),
        rollovers=totals.rollovers,
        resubscriptions=totals.resubscriptions,
        reconnects=totals.reconnects,
        found_dead=found_dead,
        address_changes=address_changes,
        requests=requests,
        request_errors=request_errors,
        rows_left_out=rows_left_out,
        host_paused=host_paused,
    )


def _markets(shard: Shard) -> tuple[Market, ...]:
    found = {subscription.market for subscription in shard.subscriptions()}
    return tuple(market for market in Market if market in found)


def _subscriptions(delivery: Delivery) -> Iterable[SubscriptionStatus]:
    shard = delivery.shard
    for subscription in shard.subscriptions():
        topic, stream = delivery.topic(subscription), delivery.stream(subscription)
        if stream is None:
            continue
        refusal = shard.refusals.get(subscription)
        book = topic.book
        yield SubscriptionStatus(
            symbol=subscription.symbol,
            account=subscription.account,
            channel=subscription.channel,
            stream=topic.name,
            depth=subscription.depth,
            push_interval=shard.context.exchange.push_interval(subscription),
            state=delivery.state(subscription),
            refusal=None if refusal is None else str(refusal),
            connections=shard.connections,
            carried_by=delivery.carried_by(subscription),
            delivered=stream.delivered,
            gaps=stream.gaps,
            stales=stream.stales,
            last_sequence=stream.last_sequence,
            last_exchange_time_ns=stream.last_exchange_time_ns,
            last_received_ns=stream.last_received_ns,
            book=None if book is None else book.state,
            resyncs=0 if topic.keeper is None else topic.keeper.resyncs,
        )
