"""Which connections carry what: a client's feeds, their subscriptions and the shards they share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

from ccrs_core.client.status import Totals
from ccrs_core.connections.shard import Shard, identity
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.accounts import DEFAULT, Account
from ccrs_core.contract.exchange import Route, SequenceScope, resolve, unsupported_reason
from ccrs_core.errors import ConnectFailed, Unsupported, UsageError
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import InstrumentChanged
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Interest, Subscription

_Pool = tuple[Route, str | None, int, int]
"""What shards have in common: route, account, number of racing connections, feed they are reserved
for."""

Resolved = tuple[Interest, Subscription, Route]
"""An interest, what it is at the exchange, and the connections that can carry it."""


class Placement:
    """Places what feeds are interested in, and lets go of what nobody wants any more.

    :param shared: what connections of the client share; raises ``UsageError`` unless it is open.
    :param accounts: those that private connections may log in for, by name.
    :param find: the instrument of a symbol.
    :param overflowed: called with an exchange and how many of its events a feed has lost.
    """

    def __init__(
        self,
        shared: Callable[[], Shared],
        accounts: Mapping[str, Account],
        find: Callable[[str], Awaitable[Instrument]],
        overflowed: Callable[[str, int], None],
    ) -> None:
        self.spent = Totals()
        """What connections did that are there no more."""
        self.why = ""
        """Why books end that do so now, where it isn't with their subscription alone."""
        self._shared = shared
        self._accounts = accounts
        self._find = find
        self._overflowed = overflowed
        self._shards: dict[_Pool, list[Shard]] = {}
        self._homes: dict[tuple[Hashable, Hashable], tuple[Subscription, Shard]] = {}
        self._placed: dict[Feed, dict[Interest, tuple[Subscription, Shard]]] = {}
        self._progress: set[asyncio.Future[None]] = set()

    @property
    def shards(self) -> list[Shard]:
        """All that carry something."""
        return [shard for shards in self._shards.values() for shard in shards]

    @property
    def feeds(self) -> list[Feed]:
        """All that are open."""
        return list(self._placed)

    # --- what feeds ask for ---

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """Resolve, check and place a feed's interests, all or none."""
        self.place(feed, await self.resolve(feed, interests))

    async def resolve(self, feed: Feed, interests: Sequence[Interest]) -> list[Resolved]:
        """What a feed's interests are at the exchange, and how they are carried; checked.

        An exchange that can't be reached is waited for.
        """
        return [(i, *await self._resolve(i, feed.connections)) for i in interests]

    def place(self, feed: Feed, resolved: Sequence[Resolved]) -> None:
        """Place what was resolved."""
        self._shared()  # still open, after that
        placed = self._placed.setdefault(feed, {})
        batches: dict[Shard, list[Subscription]] = {}
        for interest, found, route in resolved:
            if interest not in placed:
                placed[interest] = subscription, shard = self._place(found, route, feed)
                batches.setdefault(shard, []).append(subscription)
        for shard, subscriptions in batches.items():
            shard.attach(subscriptions, feed)

    async def _resolve(self, interest: Interest, connections: int) -> tuple[Subscription, Route]:
        instrument = await self._find(interest.symbol)
        exchange = self._shared().context.exchange
        subscription = resolve(
            exchange, interest.channel, instrument, interest.depth, interest.interval
        )
        reason = unsupported_reason(exchange, subscription)
        if reason is not None:
            raise Unsupported(reason)
        route = exchange.route(subscription)
        if route.private and DEFAULT not in self._accounts:
            raise UsageError(f"{subscription} needs credentials")
        if connections > 1 and route.sequence_scope is not SequenceScope.GLOBAL:
            raise Unsupported(
                f"{exchange.name} numbers {subscription} per connection, so that copies can't "
                "be recognised: connections must be 1"
            )
        return subscription, route

    def _place(
        self, subscription: Subscription, route: Route, feed: Feed
    ) -> tuple[Subscription, Shard]:
        """The shard that has it, else the last one if it has room, else a new one.

        Room that removals leave in earlier shards is used once the last one is full. What is
        subscribed to already stays what it was, even if the instrument's rules have changed since.
        """
        exclusive = feed if feed.policy is Policy.BLOCK else None
        account = self._accounts[DEFAULT] if route.private else None
        name = None if account is None else account.name
        key = (route, name, feed.connections, id(exclusive))
        known = self._homes.get((key, identity(subscription)))
        if known is not None:
            return known
        shards = self._shards.setdefault(key, [])
        for shard in (*shards[-1:], *(s for s in shards if s.thinned)):
            if shard.reserve(subscription):
                break
        else:
            shard = Shard(
                self._shared(), route, account, feed.connections, exclusive, key, self._moved
            )
            shard.reserve(subscription)
            shards.append(shard)
        self._homes[key, identity(subscription)] = subscription, shard
        return subscription, shard

    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """Take a feed's interests away; connections that nobody needs any more are closed."""
        placed = self._placed.get(feed, {})
        batches: dict[Shard, list[Subscription]] = {}
        for interest in interests:
            if interest in placed:
                subscription, shard = placed.pop(interest)
                batches.setdefault(shard, []).append(subscription)
        if not placed:
            self._placed.pop(feed, None)
        for shard, subscriptions in batches.items():
            for gone in shard.detach(subscriptions, feed, self.why):
                self._homes.pop((shard.pool, identity(gone)), None)
        idle: list[Shard] = []
        for key, shards in list(self._shards.items()):
            for shard in [s for s in shards if s.empty]:
                shards.remove(shard)
                idle.append(shard)
            if not shards:
                del self._shards[key]
        self._moved()
        if idle:
            for shard in idle:
                self.spent.add(shard)
                # Before anything is awaited: a cancellation here must not leave it running.
                shard.end()
            await asyncio.gather(*(shard.aclose() for shard in idle))

    async def ready(self, feed: Feed, everywhere: bool = False) -> None:
        """Wait until none of a feed's subscriptions is pending, and its books are valid.

        :raises ConnectFailed: where no connection has come about within ``Patience.first``.
        """
        while pending := [
            (subscription, shard)
            for subscription, shard in self._placed.get(feed, {}).values()
            if _pending(subscription, shard, everywhere)
        ]:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._progress.add(waiter)
            # Books, and the other racing connections, are ready without anybody being told.
            quiet = all(s.state(sub) is not SubscriptionState.PENDING for sub, s in pending)
            try:
                async with asyncio.timeout(_LOOK_AGAIN if quiet else None):
                    await waiter
            except TimeoutError:
                pass
            finally:
                self._progress.discard(waiter)
        for subscription, shard in self._placed.get(feed, {}).values():
            stream = shard.stream(subscription)
            if stream is not None and stream.stale_since_ns is not None and not stream.acknowledged:
                raise ConnectFailed(f"{subscription}: nothing yet; {shard.trouble}")

    def _moved(self) -> None:
        for waiter in self._progress:
            if not waiter.done():
                waiter.set_result(None)

    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook:
        """The live book of one of a feed's subscriptions."""
        for subscription, shard in self._placed.get(feed, {}).values():
            if (
                subscription.channel is Channel.BOOK
                and subscription.symbol == symbol
                and depth in (None, subscription.depth)
            ):
                found = shard.topic(subscription).book
                assert found is not None
                return found
        raise UsageError(f"the feed has no book of {symbol}; subscribe to book({symbol!r})")

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        """A feed has lost events."""
        self._overflowed(exchange, lost)

    # --- what the client asks for ---

    def changed(self, changes: Sequence[InstrumentChanged]) -> None:
        """Tell feeds of changed instruments that concern them."""
        for feed, placed in self._placed.items():
            symbols = {interest.symbol for interest in placed}
            for change in (each for each in changes if each.symbol in symbols):
                feed.notify(change)

    def end(self) -> list[Shard]:
        """End all feeds and connections; those that have yet to be waited for."""
        for feed in self.feeds:
            feed.end()
        shards = self.shards
        self._shards.clear()
        for shard in shards:
            shard.end(self.why)
        return shards


_LOOK_AGAIN = 0.05
"""Seconds between looks at what nobody tells of."""


def _pending(subscription: Subscription, shard: Shard, everywhere: bool) -> bool:
    """Whether a subscription is still waited for: on all racing connections, if asked."""
    state = shard.state(subscription)
    if state is SubscriptionState.PENDING:
        return True
    if not state.acknowledged:
        return False
    if everywhere and shard.carried_by(subscription) < shard.connections:
        return True
    book = shard.topic(subscription).book if subscription.channel is Channel.BOOK else None
    return book is not None and not book.valid
