"""What a feed delivered, and whether client and exchange agree about what is subscribed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from glob import escape
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ccrs_core.client.client import Client
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.codec import Heartbeat
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.emulator import EmulatedExchange, Peer
from ccrs_core.errors import CcrsError
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import AnyEvent, BookUpdate, Gap, Resumed, Stale, TopOfBook, Trade
from ccrs_core.model.orderbook import Applied, OrderBook
from ccrs_core.model.subscriptions import Channel, Interest, Subscription
from ccrs_core.topics.continuity import new_book
from ccrs_core.transport.addresses import everything_at
from ccrs_core.transport.options import Options


class Watched(Protocol):
    """What a :class:`Watch` needs of a world."""

    venue: EmulatedExchange
    client: Client


def interest_of(subscription: Subscription) -> Interest:
    """What a user would ask for to get a subscription."""
    sub = subscription
    return Interest(sub.channel, sub.symbol, sub.depth, sub.interval)


def world_of(subject: Subject, exchange: Exchange | None = None, **settings: Any) -> World:
    """A world whose client knows the instruments, so that only what is tested takes time."""
    listings = list(subject.listings.values())
    venue = subject.venue(
        seed=settings.pop("seed", 0), rate=settings.pop("rate", 20.0), listings=listings
    )
    known = [instrument for found in subject.instruments.values() for instrument in found]
    return World(exchange or subject.make(), venue, instruments=known, **settings)


class Watch:
    """All that one feed delivered, with the loop's time of each event."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.events: list[AnyEvent] = []
        self.times: list[float] = []
        self.errors: list[tuple[float, CcrsError]] = []

    async def read(self) -> None:
        """Read the feed to its end."""
        now = asyncio.get_running_loop().time
        while True:
            try:
                async for event in self.feed:
                    self.events.append(event)
                    self.times.append(now())
                return
            except CcrsError as error:
                self.errors.append((now(), error))

    def of(self, subscription: Subscription) -> list[AnyEvent]:
        """The events and notices about a subscription."""
        return [event for event in self.events if about(event, subscription)]

    def notices(self, *kinds: type[Any]) -> list[Any]:
        """Gaps and the like, as far as they have come."""
        return [event for event in self.events if isinstance(event, kinds or (Gap, Stale, Resumed))]

    def no_notices(self, after: str) -> None:
        """Fail where anything was interrupted."""
        found = self.notices()
        assert not found, f"after {after} nothing may be interrupted, but the feed says {found[0]}"


def about(event: AnyEvent, subscription: Subscription) -> bool:
    """Whether an event or a notice concerns a subscription."""
    channel = event.channel or getattr(event, "about", None)
    if (event.symbol, channel) != (subscription.symbol, subscription.channel):
        return False
    return getattr(event, "interval", None) in (None, subscription.interval)


@asynccontextmanager
async def watching(
    world: Watched,
    *subscriptions: Subscription,
    connections: int = 1,
    policy: Policy = Policy.DROP_OLDEST,
) -> AsyncIterator[Watch]:
    """Subscribe, and read everything, until the block ends."""
    interests = list(map(interest_of, subscriptions))
    feed = world.client.subscribe(*interests, connections=connections, policy=policy)
    async with feed:
        watch = Watch(feed)
        reader = asyncio.ensure_future(watch.read())
        try:
            yield watch
        finally:
            reader.cancel()
            await asyncio.wait([reader])


# --- what the exchange knows of it ---


class _Asking:
    """Asks an emulator, once for each subscription, what carries it."""

    _MOST = 100
    """Connections to one emulator, which may limit them."""

    def __init__(self) -> None:
        self.known: dict[Subscription, frozenset[str]] = {}
        self._line: Line | None = None

    def ask(self, subject: Subject, subscription: Subscription) -> None:
        if self._line is None or len(self.known) % self._MOST == 0:
            self._line = subject.line(subject.venue(rate=0.001))
        wire = self._line.open(self._line.exchange.route(subscription))
        answer = wire.subscribe(subscription)
        self.known[subscription] = frozenset(wire.peer.subscriptions)
        wire.peer.gone()
        assert self.known[subscription], (
            f"the emulator serves no stream after subscribing to {subscription}; it answered "
            f"{answer}: compare Codec.subscribe with what the dialect's session accepts, and let "
            "the session call peer.subscribe() for each topic"
        )


_ASKING: WeakKeyDictionary[Subject, _Asking] = WeakKeyDictionary()


def path_of(exchange: Exchange, route: Route) -> str:
    """The path of a route's sockets."""
    return urlsplit(route.at(everything_at("http://emulator", exchange))).path


def emulated_topics(subject: Subject, subscription: Subscription) -> frozenset[str]:
    """The emulator's names of the streams that a subscription is carried by."""
    asking = _ASKING.setdefault(subject, _Asking())
    if subscription not in asking.known:
        asking.ask(subject, subscription)
    return asking.known[subscription]


def topic_pattern(subject: Subject, subscription: Subscription) -> str:
    """For faults: matches the one stream of a subscription."""
    return escape(min(emulated_topics(subject, subscription)))


def peers_of(world: Watched, path: str) -> list[Peer]:
    """The open connections to a path."""
    return [peer for peer in world.venue.peers if peer.path == path]


def disagreement(
    world: Watched,
    subject: Subject,
    feed: Feed,
    subscriptions: Iterable[Subscription],
    connections: int = 1,
) -> str | None:
    """Why all isn't well, or None: every connection is up and subscribed to exactly what is
    wanted, nothing is stale or refused, every book is valid."""
    wanted: dict[str, dict[Route, frozenset[str]]] = {}
    exchange = world.client.exchange
    for sub in subscriptions:
        route = exchange.route(sub)
        routes = wanted.setdefault(path_of(exchange, route), {})
        routes[route] = routes.get(route, frozenset()) | emulated_topics(subject, sub)
    for path, routes in wanted.items():
        peers, due = peers_of(world, path), list(routes.values()) * connections
        if len(peers) != len(due):
            return f"{path} has {len(peers)} connections instead of {len(due)}"
        for peer in peers:
            if peer.deaf:
                return f"{peer} is half open, and nobody has noticed"
            there = frozenset(peer.subscriptions)
            if there not in due:
                topics = min(due, key=lambda topics: len(topics ^ there))
                missing, extra = sorted(topics - there), sorted(there - topics)
                return f"{peer} serves too little {missing} or too much {extra}"
            due.remove(there)
    for status in world.client.status().subscriptions:
        if not status.state.acknowledged:
            return f"{status.channel.value} of {status.symbol} is {status.state.value}"
        if status.carried_by != connections:
            return (
                f"{status.channel.value} of {status.symbol} is on {status.carried_by} connections"
            )
    for sub in subscriptions:
        if sub.channel is Channel.BOOK and not feed.book(sub.symbol, sub.depth).valid:
            return f"the book of {sub.symbol} is {feed.book(sub.symbol, sub.depth).state.value}"
    return None


def healing_time(exchange: Exchange, subscriptions: Sequence[Subscription], o: Options) -> float:
    """The bound in which all must be well after the last fault, in seconds.

    A dead connection must be noticed, the back-off be over, a silent topic be asked for twice and
    the connection be replaced for it, acknowledgements be missed, and a book be asked for.
    """
    dead = 0.0
    for route in {exchange.route(sub) for sub in subscriptions}:
        beat: Heartbeat | None = exchange.codec(route).heartbeat
        dead = max(dead, o.patience.idle if beat is None else beat.interval + beat.timeout)
    silences = [exchange.max_silence(sub) or 0.0 for sub in subscriptions]
    waiting = o.backoff_max + o.transport.connect_timeout + 3 * o.patience.ack + 20.0
    return dead + 2 * max(silences, default=0.0) + waiting


# --- what must hold of whatever a feed delivered ---


class Order:
    """Judges a feed's events as they come: numbers rise, trades come once, books can be rebuilt.

    Feed it with :meth:`take`; it fails with what is wrong, and is cheap enough to be called after
    each step.
    """

    def __init__(self, subscriptions: Iterable[Subscription], exchange: Exchange) -> None:
        self._numbers: dict[tuple[str, type], int] = {}
        self._trades: dict[tuple[str, str], Trade] = {}
        kept = [s for s in subscriptions if s.channel is Channel.BOOK]
        self._empty = {s.symbol: new_book(exchange, s) for s in kept}
        self.books: dict[str, OrderBook] = {}
        self._stale: dict[tuple[str, Channel], Stale] = {}
        self.seen = 0

    def take(self, events: Sequence[AnyEvent]) -> None:
        """Judge what is new in a growing list of events."""
        for event in events[self.seen :]:
            self._judge(event)
        self.seen = len(events)

    def forget(self, subscription: Subscription) -> None:
        """It was unsubscribed: what comes later begins anew."""
        for kind in (TopOfBook, BookUpdate):
            if kind.channel is subscription.channel:
                self._numbers.pop((subscription.symbol, kind), None)
        if subscription.channel is Channel.BOOK:
            self.books.pop(subscription.symbol, None)
        self._stale.pop((subscription.symbol, subscription.channel), None)

    def _judge(self, event: AnyEvent) -> None:
        match event:
            case Gap():
                self._durations(event)
                for kind in (TopOfBook, BookUpdate):
                    if kind.channel is event.about:
                        self._numbers.pop((event.symbol, kind), None)
                if event.about is Channel.BOOK:
                    self.books.pop(event.symbol, None)
            case Stale():
                key = (event.symbol, event.about)
                assert key not in self._stale, f"{event} after {self._stale[key]}, not resumed"
                self._stale[key] = event
                self._durations(event)
            case Resumed():
                stale = self._stale.pop((event.symbol, event.about), None)
                assert stale is not None, f"{event}, but nothing was stale"
                self._durations(event)
            case Trade():
                self._flows(event, Channel.TRADES)
                key2 = (event.symbol, event.trade_id)
                assert key2 not in self._trades, (
                    f"the trade {event.trade_id} of {event.symbol} was delivered twice; the core "
                    "recognises repeats by trade_id: does the codec read the same id of copies?"
                )
                self._trades[key2] = event
            case TopOfBook():
                self._flows(event, Channel.TOP_OF_BOOK)
                self._number(event, event.sequence)
            case BookUpdate():
                self._flows(event, Channel.BOOK)
                self._number(event, event.sequence)
                self._book(event)
            case _:
                if event.channel is not None:
                    self._flows(event, event.channel)

    def _flows(self, event: AnyEvent, channel: Channel) -> None:
        stale = self._stale.get((event.symbol, channel))
        assert stale is None, f"{event} came after {stale} without a Resumed between them"

    @staticmethod
    def _durations(notice: Gap | Stale | Resumed) -> None:
        for name in ("silent_ns", "stale_ns"):
            duration = getattr(notice, name, None)
            assert duration is None or duration >= 0, f"{notice} has a negative duration"

    def _number(self, event: TopOfBook | BookUpdate, number: int | None) -> None:
        if number is None:
            return
        key = (event.symbol, type(event))
        last = self._numbers.get(key)
        chained = isinstance(event, BookUpdate) and event.previous_sequence == last
        assert last is None or number > last or chained, (
            f"{event.symbol}'s {event.type} went from number {last} to {number}, no Gap told: "
            "it must rise with every one (is Data.restart set where the exchange begins "
            "to count anew?)"
        )
        self._numbers[key] = number

    def _book(self, update: BookUpdate) -> None:
        book = self.books.get(update.symbol)
        if book is None:
            assert update.snapshot, (
                f"the first update of {update.symbol}'s book is no snapshot: {update}"[:400]
            )
            book = self.books[update.symbol] = self._empty[update.symbol].twin()
        applied = book.apply(update)
        assert applied is Applied.APPLIED, (
            f"whoever rebuilds the book of {update.symbol} from the feed fails at sequence "
            f"{update.sequence} ({applied.name.lower()}): deltas must follow one another, or a Gap "
            "and a snapshot must come between them"
        )
