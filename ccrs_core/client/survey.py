"""Reads the state of a client's parts into one :class:`~ccrs_core.client.status.ClientStatus`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from ccrs_core.client.status import ClientStatus, ConnectionStatus, SubscriptionStatus
from ccrs_core.connections.link import Link
from ccrs_core.connections.shard import Shard
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.instruments import Market


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
    shards: Sequence[Shard],
    feeds: Iterable[Feed],
    spent: Totals,
    *,
    found_dead: int,
    address_changes: int,
    requests: int,
    request_errors: int,
    rows_left_out: int,
    host_paused: float,
) -> ClientStatus:
    """Everything at this moment."""
    totals = attrs.evolve(spent)
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
            _connection(link, markets) for link, markets in sorted(links, key=lambda x: x[0].number)
        ),
        subscriptions=tuple(s for shard in shards for s in _subscriptions(shard)),
        feeds=tuple(feed.status() for feed in feeds),
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
    found = {subscription.instrument.market for subscription in shard.subscriptions()}
    return tuple(market for market in Market if market in found)


def _connection(link: Link, markets: tuple[Market, ...]) -> ConnectionStatus:
    runner = link.runner
    return ConnectionStatus(
        number=link.number,
        url=link.url,
        markets=markets,
        state=link.state,
        epoch=runner.epoch,
        topics=0 if link.session is None else len(link.session.topics),
        connects=link.connects,
        failures=link.failures,
        last_error=link.error,
        connected_at_ns=link.connected_at_ns,
        last_received_ns=link.last_received_ns,
        wins=runner.wins,
        repeats=runner.repeats,
        mean_ahead=runner.mean_ahead,
        mean_behind=runner.mean_behind,
        **attrs.asdict(link.counters()),
    )


def _subscriptions(shard: Shard) -> Iterable[SubscriptionStatus]:
    for subscription in shard.subscriptions():
        topic, stream = shard.topic(subscription), shard.stream(subscription)
        if stream is None:
            continue
        refusal = shard.refusals.get(subscription)
        book = topic.book
        yield SubscriptionStatus(
            symbol=subscription.symbol,
            channel=subscription.channel,
            state=shard.state(subscription),
            refusal=None if refusal is None else str(refusal),
            connections=shard.connections,
            carried_by=shard.carried_by(subscription),
            delivered=stream.delivered,
            gaps=stream.gaps,
            stales=stream.stales,
            last_sequence=stream.last_sequence,
            last_exchange_time_ns=stream.last_exchange_time_ns,
            last_received_ns=stream.last_received_ns,
            book=None if book is None else book.state,
            resyncs=0 if topic.keeper is None else topic.keeper.resyncs,
        )
