"""Which connections carry what: a client's feeds, their subscriptions and the shards they share."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from urllib.parse import urlsplit

import attrs

from ccrs_core.client.following import (
    Following,
    Listed,
    Resolution,
    Resolved,
    all_missing,
    candidates,
    expanded,
    nothing_like,
)
from ccrs_core.client.status import Totals
from ccrs_core.connections.shard import Shard
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.contract.accounts import DEFAULT, Account
from ccrs_core.contract.exchange import Route, SequenceScope, resolve, unsupported_reason
from ccrs_core.errors import (
    CcrsError,
    ConnectFailed,
    SubscriptionRefused,
    UnknownInstrument,
    Unsupported,
    UsageError,
)
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import InstrumentChanged
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Interest, Subscription
from ccrs_core.model.symbol_patterns import is_pattern
from ccrs_core.requests.instruments import markets_of
from ccrs_core.topics.delivery import Delivery

log = logging.getLogger("ccrs.client")

_Pool = tuple[Route, str | None, int, int]
"""What shards have in common: route, account, number of racing connections, feed they are reserved
for."""


def identity(subscription: Subscription) -> Hashable:
    """What tells subscriptions apart for good: an instrument's rules may change."""
    if subscription.account is not None:
        return subscription.channel, subscription.account
    names = subscription.instrument.native, subscription.symbol
    detail = subscription.depth, subscription.interval, subscription.rpi
    return subscription.channel, *names, *detail


class Placement:
    """Places what feeds are interested in, and lets go of what nobody wants any more.

    :param shared: what connections of the client share; raises ``UsageError`` unless it is open.
    :param delivery: hands what a new shard of a pool brings to feeds, and tells what has changed.
    :param accounts: those that private connections may log in for, by name.
    :param listed: the exchange's instruments.
    :param overflowed: called with an exchange and how many of its events a feed has lost.
    """

    def __init__(
        self,
        shared: Callable[[], Shared],
        delivery: Callable[[Shard, Hashable, Callable[[], None]], Delivery],
        accounts: Mapping[str, Account],
        listed: Listed,
        overflowed: Callable[[str, int], None],
    ) -> None:
        self.spent = Totals()
        """What connections did that are there no more."""
        self.why = ""
        """Why books end that do so now, where it isn't with their subscription alone."""
        self._shared = shared
        self._new_delivery = delivery
        self._accounts = accounts
        self._listed = listed
        self._following = Following()
        self._freshener: asyncio.Task[None] | None = None
        """Looks for news of what is followed."""
        self._overflowed = overflowed
        self._pools: dict[_Pool, list[Delivery]] = {}
        self._homes: dict[tuple[Hashable, Hashable], tuple[Subscription, Delivery]] = {}
        self._placed: dict[Feed, dict[Interest, tuple[Subscription, Delivery]]] = {}
        self._progress: dict[asyncio.Future[None], None] = {}
        self._closed = False

    @property
    def deliveries(self) -> list[Delivery]:
        """Those of all shards that carry something."""
        return [each for pool in self._pools.values() for each in pool]

    @property
    def feeds(self) -> list[Feed]:
        """All that are open."""
        return list(self._placed)

    # --- what feeds ask for ---

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """Resolve, check and place a feed's interests, all or none."""
        resolution = await self.resolve(feed, interests)
        if resolution.missing and not feed.skips_missing:
            missing = {each.symbol: error for each, error in resolution.missing.items()}
            raise all_missing(self._shared().context.exchange.name, missing)
        self.place(feed, resolution)

    async def resolve(self, feed: Feed, interests: Sequence[Interest]) -> Resolution:
        """What a feed's interests are at the exchange, and how they are carried; checked.

        An exchange that can't be reached is waited for.
        """
        found, patterns = list[tuple[Interest, Resolved]](), list[Interest]()
        missing: dict[Interest, UnknownInstrument] = {}
        for each in interests:
            try:
                if each.account is None and is_pattern(each.symbol):
                    for market in self.candidates(each):
                        await self._listed.load(market)
                    patterns.append(each)
                else:
                    instrument = None
                    if each.account is None:
                        instrument = await self._listed.find(each.symbol)
                    found.append((each, self._resolved(each, instrument, feed.connections)))
            except UnknownInstrument as error:
                missing[each] = error
        for each in patterns:  # in one go: lists may change meanwhile
            if not self._expanded(feed, each):
                exchange = self._shared().context.exchange
                missing[each] = nothing_like(exchange, each, self._listed.known())
        return Resolution(found, patterns, missing)

    def candidates(self, interest: Interest) -> list[Market]:
        """The markets in which a pattern may stand for something.

        :raises Unsupported: where there are none.
        """
        exchange = self._shared().context.exchange
        found = candidates(exchange, interest, self._all_markets())
        if not found:
            raise Unsupported(
                f"{exchange.name} offers no {interest.channel.value} of anything like "
                f"{interest.symbol}"
            )
        return found

    def _expanded(self, feed: Feed, asked: Interest) -> list[tuple[Interest, Resolved]]:
        """What something that is followed stands for now."""
        found = expanded(self._shared().context.exchange, asked, self._listed.known())
        return [(asked, self._resolved(each, i, feed.connections)) for each, i in found]

    def place(self, feed: Feed, resolution: Resolution) -> None:
        """Place what was resolved, and follow what is to be followed."""
        exchange = self._shared().context.exchange  # still open, after that
        found = list(resolution.found)
        for each in resolution.patterns:
            found += self._expanded(feed, each)
        self._put(feed, found, [*resolution.patterns, *resolution.missing])
        for each, error in resolution.missing.items():
            if not any(asked == each for asked, _ in found):
                self._following.misses(feed, each, str(error))
        if resolution.missing and (missing := self.missing(feed)):
            left_out = "; ".join(missing.values())
            log.warning("%s: left out until it is listed: %s", exchange.name, left_out)
        self._follow()

    def _put(
        self, feed: Feed, found: Sequence[tuple[Interest, Resolved]], followed: Sequence[Interest]
    ) -> None:
        """Place what interests stand for; all or none."""
        resolved = list({each[0]: each for _, each in found}.values())
        self._check_twice(feed, resolved)
        self._check_room(feed, resolved)
        placed = self._placed.setdefault(feed, {})
        for each in followed:
            self._following.ask(feed, each)
        for asked, (interest, _, _) in found:
            self._following.ask(feed, asked)
            self._following.stands_for(feed, asked, interest)
        batches: dict[Delivery, dict[Subscription, int | None]] = {}
        for interest, wanted_one, route in resolved:
            if interest not in placed:
                placed[interest] = subscription, delivery = self._place(wanted_one, route, feed)
                batches.setdefault(delivery, {})[subscription] = _levels(interest, subscription)
        for delivery, wanted in batches.items():
            delivery.attach(wanted, feed)

    def _follow(self) -> None:
        """Look for news of lists as long as somebody follows them."""
        idle = self._freshener is None or self._freshener.done() or self._freshener.cancelling()
        if idle and self._markets():
            self._freshener = self._shared().spawn(self._listed.keep_fresh(self._markets))

    def _markets(self) -> set[Market]:
        """Those whose lists are followed."""
        return self._following.markets(self._shared().context.exchange, self._all_markets())

    def _all_markets(self) -> list[Market]:
        """Those that the exchange lists instruments of, or that the user has."""
        context = self._shared().context
        listed = markets_of(context.exchange, None, context.addresses)
        given = {instrument.market for instrument in self._listed.known()}
        return [market for market in Market if market in listed or market in given]

    def _resolved(
        self, interest: Interest, instrument: Instrument | None, connections: int
    ) -> Resolved:
        exchange = self._shared().context.exchange
        if instrument is not None:
            subscription = resolve(
                exchange,
                interest.channel,
                instrument,
                interest.depth,
                interest.interval,
                interest.exact,
                interest.rpi,
            )
        else:
            subscription = Subscription(
                interest.channel, account=interest.account, exchange=exchange.name
            )
        reason = unsupported_reason(exchange, subscription)
        if reason is not None:
            raise Unsupported(reason)
        route = exchange.route(subscription)
        self._account_of(subscription, route)
        most = exchange.limits.connections
        if most is not None and self._shared().paths.shared(connections) > most:
            raise Unsupported(f"{exchange.name} allows {most} connections at a time")
        if connections > 1 and route.sequence_scope is not SequenceScope.GLOBAL:
            raise Unsupported(
                f"{exchange.name} numbers {subscription} per connection, so that copies can't "
                "be recognised: connections must be 1"
            )
        return interest, subscription, route

    def _check_twice(self, feed: Feed, resolved: Sequence[Resolved]) -> None:
        """Refuse two books of a symbol in one feed, and all else of which updates, losses and
        notices wouldn't say whose they are."""
        asked = [(interest, sub) for interest, (sub, _) in self._placed.get(feed, {}).items()]
        known: dict[Hashable, Interest] = {}
        for interest, sub in (*asked, *((interest, sub) for interest, sub, _ in resolved)):
            book = interest.channel is Channel.BOOK
            other = known.setdefault(("book", interest.symbol) if book else identity(sub), interest)
            if other != interest:
                what = "one book of a symbol" if book else "one of these"
                raise UsageError(
                    f"a feed has {what}, and {interest} would come beside {other}: take another "
                    "feed for it"
                )

    def _check_room(self, feed: Feed, resolved: Sequence[Resolved]) -> None:
        """Refuse what would be more streams than a host allows all connections together."""
        shared = self._shared()
        exchange, paths = shared.context.exchange, shared.paths
        most = exchange.limits.subscriptions
        if most is None:
            return

        def host(route: Route) -> str:
            return urlsplit(shared.alternatives.url(route)).netloc

        streams = Counter[str]()
        for delivery in self.deliveries:
            shard = delivery.shard
            streams[host(shard.route)] += shard.reserved * paths.shared(shard.connections)
        new: set[tuple[_Pool, str]] = set()
        for _, subscription, route in resolved:
            key = self._key(subscription, route, feed)
            if (key, identity(subscription)) not in self._homes:
                new.add((key, exchange.codec(route).topic(subscription)))
        for (route, *_), _ in new:
            streams[host(route)] += paths.shared(feed.connections)
        for name, count in streams.items():
            if new and count > most:
                raise Unsupported(
                    f"{exchange.name} allows {most} streams of one address at {name}, on all "
                    f"connections together; these would make {count}"
                )

    def _key(self, subscription: Subscription, route: Route, feed: Feed) -> _Pool:
        """What shards have in common that may carry this for a feed."""
        exclusive = feed if feed.policy is Policy.BLOCK else None
        account = self._account_of(subscription, route)
        return route, None if account is None else account.name, feed.connections, id(exclusive)

    def _place(
        self, subscription: Subscription, route: Route, feed: Feed
    ) -> tuple[Subscription, Delivery]:
        """The shard that has it, else the last one if it has room, else a new one.

        Room that removals leave in earlier shards is used once the last one is full. What is
        subscribed to already stays what it was, even if the instrument's rules have changed since.
        """
        exclusive = feed if feed.policy is Policy.BLOCK else None
        account = self._account_of(subscription, route)
        key = self._key(subscription, route, feed)
        known = self._homes.get((key, identity(subscription)))
        if known is not None:
            return known
        pool = self._pools.setdefault(key, [])
        for delivery in (*pool[-1:], *(each for each in pool if each.shard.thinned)):
            if delivery.shard.reserve(subscription):
                break
        else:
            shard = Shard(self._shared(), route, account, feed.connections, exclusive, self._moved)
            shard.reserve(subscription)
            delivery = self._new_delivery(shard, key, self._moved)
            pool.append(delivery)
        self._homes[key, identity(subscription)] = subscription, delivery
        return subscription, delivery

    def _account_of(self, subscription: Subscription, route: Route) -> Account | None:
        """The account for which the connections that carry a subscription log in.

        :raises UsageError: where the client has no such account.
        """
        name = subscription.account
        if name is None and not route.private:
            return None
        account = self._accounts.get(DEFAULT if name is None else name)
        if account is None:
            known = "" if name is None else f"; the client's accounts: {', '.join(self._accounts)}"
            raise UsageError(f"{subscription} needs credentials{known if self._accounts else ''}")
        return account

    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """Take a feed's interests away; connections that nobody needs any more are closed."""
        idle = self._take_away(feed, self._following.leave(feed, interests))
        if self._freshener is not None and not self._closed and not self._markets():
            self._freshener.cancel()
        await asyncio.gather(*(delivery.aclose() for delivery in idle))

    def _take_away(self, feed: Feed, interests: Sequence[Interest]) -> list[Delivery]:
        """Deliver these to a feed no more; the connections, being ended, that nobody needs now."""
        placed = self._placed.get(feed, {})
        batches: dict[Delivery, list[Subscription]] = {}
        for interest in interests:
            if interest in placed:
                subscription, delivery = placed.pop(interest)
                batches.setdefault(delivery, []).append(subscription)
        if not placed and feed not in self._following.feeds:
            self._placed.pop(feed, None)
        for delivery, subscriptions in batches.items():
            for gone in delivery.detach(subscriptions, feed, self.why):
                self._homes.pop((delivery.pool, identity(gone)), None)
        idle: list[Delivery] = []
        for key, pool in list(self._pools.items()):
            for delivery in [each for each in pool if each.shard.empty]:
                pool.remove(delivery)
                idle.append(delivery)
            if not pool:
                del self._pools[key]
        self._moved()
        for delivery in idle:
            self.spent.add(delivery.shard)
            # Before anything is awaited: a cancellation here must not leave it running.
            delivery.end()
        return idle

    async def ready(self, feed: Feed, everywhere: bool = False) -> None:
        """Wait until none of a feed's subscriptions is pending, and its books are valid.

        :raises ConnectFailed: where no connection has come about within ``Patience.first``.
        """
        while pending := [
            (subscription, delivery)
            for subscription, delivery in self._placed.get(feed, {}).values()
            if _pending(subscription, delivery, everywhere)
        ]:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._progress[waiter] = None
            # Books, and the other racing connections, are ready without anybody being told.
            quiet = all(d.state(sub) is not SubscriptionState.PENDING for sub, d in pending)
            try:
                async with asyncio.timeout(_LOOK_AGAIN if quiet else None):
                    await waiter
            except TimeoutError:
                pass
            finally:
                self._progress.pop(waiter, None)
        for subscription, delivery in self._placed.get(feed, {}).values():
            stream = delivery.stream(subscription)
            if stream is not None and stream.stale_since_ns is not None and not stream.acknowledged:
                raise ConnectFailed(f"{subscription}: nothing yet; {delivery.shard.trouble}")

    def _moved(self) -> None:
        for waiter in self._progress:
            if not waiter.done():
                waiter.set_result(None)

    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook:
        """The live book of one of a feed's subscriptions."""
        for interest, (subscription, delivery) in self._placed.get(feed, {}).items():
            if (
                subscription.channel is Channel.BOOK
                and interest.symbol == symbol
                and depth in (None, interest.depth, subscription.depth)
            ):
                return delivery.topic(subscription).book_of(feed)
        raise UsageError(f"the feed has no book of {symbol}; subscribe to book({symbol!r})")

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        """A feed has lost events."""
        self._overflowed(exchange, lost)

    # --- what the client asks for ---

    def listed(self, market: Market, changes: Sequence[InstrumentChanged]) -> None:
        """A market's list was fetched. Tell feeds of changed instruments that concern them, and let
        those that follow the list have what is new on it, and no more what is gone; ask once more
        for what was refused of them and is still on it: it may have been off it meanwhile."""
        if self._closed:
            return
        for feed in self.feeds:
            symbols = {interest.symbol for interest in self._placed[feed]}
            for change in changes:
                following = self._following.following(feed, change.symbol)
                if change.symbol in symbols or following:
                    self._changed(feed, change, following)
        refused: dict[Delivery, list[Subscription]] = {}
        for feed, homes in self._placed.items():
            for interest, (subscription, delivery) in homes.items():
                if (
                    subscription in delivery.shard.refusals
                    and subscription.account is None
                    and subscription.instrument.market is market
                    and self._following.follows(feed, interest)
                ):
                    refused.setdefault(delivery, []).append(subscription)
        for delivery, subscriptions in refused.items():
            delivery.shard.ask_again(subscriptions)

    def _changed(self, feed: Feed, change: InstrumentChanged, following: list[Interest]) -> None:
        new = change.after
        if new is None or new.symbol != change.symbol:
            idle = self._take_away(feed, self._following.drop(feed, change.symbol))
            for delivery in idle:
                self._shared().spawn(delivery.aclose())
            feed.notify(change)
            return
        feed.notify(change)
        for asked in following if change.before is None else ():
            exchange = self._shared().context.exchange
            try:
                found = expanded(exchange, asked, [new])
                resolved = [(asked, self._resolved(i, new, feed.connections)) for i, _ in found]
                self._put(feed, resolved, ())
            except CcrsError as error:
                log.warning("%s: %s is new, and left out: %s", exchange.name, new.symbol, error)
                self._following.misses(feed, attrs.evolve(asked, symbol=new.symbol), str(error))

    def subscribed(self, feed: Feed) -> tuple[Interest, ...]:
        """What a feed is subscribed to."""
        return tuple(self._placed.get(feed, ()))

    def missing(self, feed: Feed) -> dict[str, str]:
        """Why a feed doesn't have what it has asked for, by symbol."""
        homes = self._placed.get(feed, {}).items()
        refused = {i for i, (sub, by) in homes if by.state(sub) is SubscriptionState.REFUSED}
        return self._following.missing(feed, has=self._placed.get(feed, {}).keys() - refused)

    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool:
        """Whether a feed goes on without what was refused; then ``missing`` and the log tell."""
        return self._following.goes_without(feed, refused)

    def end(self, failure: BaseException | None = None) -> list[Delivery]:
        """End all feeds, by what went wrong if anything did, and connections; those that have yet
        to be waited for."""
        self._closed = True
        if self._freshener is not None:
            self._freshener.cancel()
        for feed in self.feeds:
            if failure is not None:
                feed.broken(failure)
            feed.end()
        ending = self.deliveries
        self._pools.clear()
        for delivery in ending:
            delivery.end(self.why)
        return ending


def _levels(interest: Interest, subscription: Subscription) -> int | None:
    """How many levels of a book a feed is to be shown; None for all that its stream brings."""
    return None if interest.depth == subscription.depth else interest.depth


_LOOK_AGAIN = 0.05
"""Seconds between looks at what nobody tells of."""


def _pending(subscription: Subscription, delivery: Delivery, everywhere: bool) -> bool:
    """Whether a subscription is still waited for: on all racing connections, if asked."""
    state = delivery.state(subscription)
    if state is SubscriptionState.PENDING:
        return True
    if not state.acknowledged:
        return False
    if everywhere and delivery.carried_by(subscription) < delivery.shard.connections:
        return True
    book = delivery.topic(subscription).book if subscription.channel is Channel.BOOK else None
    return book is not None and not book.valid
