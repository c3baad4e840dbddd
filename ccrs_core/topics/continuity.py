"""Whether what was delivered of a topic goes on, and what consumers are told where not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.stream import EVENT_OF, STATES, Consumer, Stream
from ccrs_core.model.events import Balance, BookUpdate, Liquidation, Reason, StreamData, Trade
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.counted import Counted
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.race import Race
from ccrs_core.topics.shown import Shown
from ccrs_core.topics.waiting_changes import Ask


def new_book(exchange: Exchange, subscription: Subscription) -> OrderBook:
    """An empty book, as an exchange tells the one of a subscription."""
    request, kept = exchange.book_snapshot(subscription), exchange.book_depth(subscription)
    return OrderBook(
        subscription.symbol,
        depth=subscription.depth if kept is None else kept,
        checksum=exchange.checksum(subscription),
        every_level=kept is None,
        reach=None if request is None else request.depth,
        may_cross=subscription.rpi,
    )


class Continuity:
    """The streams of one topic and what interrupts them; see :class:`~.topic.Topic`."""

    coverage: Coverage

    def __init__(
        self,
        name: str,
        runners: list[Runner],
        *,
        live: Callable[[str], int],
        resync: Callable[[str, Ask], None],
        arm: Callable[[], None],
        exchange: Exchange,
        trail: Trail | None,
    ) -> None:
        self.name = name
        self.streams: dict[type[StreamData], Stream] = {}
        self.race = Race(name, runners, trail=trail)
        self.keeper: BookKeeper | None = None
        self._shown: dict[Feed, Shown] = {}
        """What feeds have of the book that want fewer levels than come."""
        self.counted: Counted | None = None
        """Where the exchange counts its trades one by one."""
        self._live = live
        self._resync = resync
        self._arm = arm
        self._exchange = exchange

    # --- who takes part ---

    def stream(self, subscription: Subscription) -> Stream:
        """The stream of a subscription, made where there is none yet."""
        kind = EVENT_OF[subscription.channel]
        stream = self.streams.get(kind)
        if stream is None:
            stream = self.streams[kind] = Stream(subscription, self._exchange.name)
            if kind is BookUpdate:
                self.keeper = self._new_keeper(subscription, stream)
                self.race.count_every_number()
            elif kind is Trade and self._exchange.consecutive(subscription):
                self.counted = Counted()
            self._added(kind)
        return stream

    def _added(self, kind: type[StreamData]) -> None:
        """There is a stream of a kind that there was none of."""

    def _new_keeper(self, subscription: Subscription, stream: Stream) -> BookKeeper:
        exchange = self._exchange
        return BookKeeper(
            new_book(exchange, subscription),
            self.race,
            stream,
            fetched=exchange.book_snapshot(subscription) is not None,
            live=lambda: self._live(self.name),
            ask=lambda what: self._resync(self.name, what),
            arm=self._arm,
            confirmed=self._confirmed,
        )

    def attach(self, stream: Stream, feed: Feed, levels: int | None = None) -> None:
        """Let a feed take part; it starts with the present state, if it is known. ``levels``: of a
        book, how many a side it is told of (None: as many as come)."""
        taker: Consumer = feed
        if levels is not None:
            assert self.book is not None
            taker = self._shown[feed] = Shown(self.book, levels, feed)
        stream.feeds.append(taker)
        self._show(stream, taker)
        if feed.freshness is not None and stream.subscription.account is None:
            state = stream.subscription.channel in STATES
            feed.freshness.watch(taker, stream, self.states if state else stream.alone)
        stream.welcome(taker)

    def has(self, stream: Stream, feed: Feed) -> bool:
        """Whether a feed takes part in a stream."""
        return self._taker(stream, feed) in stream.feeds

    def _taker(self, stream: Stream, feed: Feed) -> Consumer:
        """Who takes part in a stream for a feed."""
        book = stream.subscription.channel is Channel.BOOK
        return self._shown.get(feed, feed) if book else feed

    def book_of(self, feed: Feed) -> OrderBook:
        """The book of a feed that takes part in it, with as many levels as it wants."""
        shown, book = self._shown.get(feed), self.book
        assert book is not None
        return book if shown is None else shown.book

    def _show(self, stream: Stream, feed: Consumer) -> None:
        latest = stream.latest
        if latest is None or stream.stale_since_ns is not None:
            return
        if latest.__class__ is BookUpdate:
            book = self.book
            if book is not None and book.valid and book.sequence is not None:
                assert isinstance(latest, BookUpdate)
                feed.put((book.snapshot(latest),))
        elif latest.__class__ not in (Trade, Liquidation, Balance):
            feed.put((latest,))

    def detach(self, stream: Stream, feed: Feed) -> bool:
        """Let a feed take part no more; whether no other one does."""
        taker, subscription = self._taker(stream, feed), stream.subscription
        stream.feeds.remove(taker)
        if subscription.channel is Channel.BOOK:
            self._shown.pop(feed, None)
        if feed.freshness is not None and taker not in stream.feeds:
            feed.freshness.unwatch(stream)
        feed.discard(
            self._exchange.name,
            subscription.symbol,
            subscription.channel,
            subscription.interval,
            subscription.account,
        )
        return not stream.feeds

    def drop(self, stream: Stream, why: str) -> BookKeeper | None:
        """Nobody takes part in a stream any more; its book, whose keeper this was, says why."""
        del self.streams[EVENT_OF[stream.subscription.channel]]
        keeper = self.keeper if stream.subscription.channel is Channel.BOOK else None
        if keeper is not None:
            keeper.end(why)
        return keeper

    @property
    def book(self) -> OrderBook | None:
        """The book that is kept, where somebody subscribes to one."""
        return None if self.keeper is None else self.keeper.book

    @property
    def replaceable(self) -> bool:
        """See :class:`~ccrs_core.connections.carried.Carried`."""
        return bool(self.streams) and all(s.replaceable for s in self.streams.values())

    @property
    def stale(self) -> bool:
        """See :class:`~ccrs_core.connections.carried.Carried`."""
        return all(stream.stale_since_ns is not None for stream in self.streams.values())

    @property
    def delivered(self) -> int:
        """How many events were delivered, of all kinds."""
        return sum(stream.delivered for stream in self.streams.values())

    def superseded(self, count: int) -> None:
        """Updates were replaced by a later one before they were decoded."""
        for stream in self.streams.values():
            stream.superseded(count)

    # --- what still holds ---

    def _confirmed(self, now_ns: int) -> None:
        """The last update came again: nothing is missing and it is up to date."""
        for stream in self.streams.values():
            if stream.broken:
                if self.book is not None and not self.book.valid:
                    continue
                stream.follows()
                stream.wake(now_ns, None)
            if stream.watches:
                self._repeated(stream, now_ns)

    def _repeated(self, stream: Stream, now_ns: int) -> None:
        """Where feeds want to know it: what was delivered last still holds."""
        if stream.subscription.channel is Channel.BOOK:
            book = self.book
            if book is None or not book.valid:
                return
        stream.repeat(now_ns)
        if stream.hushed:
            stream.wake(now_ns, None)

    def unchanged(self, now_ns: int) -> None:
        """The exchange says that what is known still holds."""
        for stream in self.streams.values():
            if stream.broken:
                if not stream.silenced or stream.subscription.channel not in STATES:
                    continue  # a new connection doesn't know what was before it
                stream.wake(now_ns, None)
            if stream.watches:
                self._repeated(stream, now_ns)

    def states(self) -> Sequence[Stream]:
        """Those streams that tell a whole state. What an exchange tells of several in one topic, it
        leaves out where nothing has changed."""
        return [s for s in self.streams.values() if s.subscription.channel in STATES]

    def _told_together(self, told: Stream, now_ns: int) -> None:
        """One of several streams has brought something: the others' states still hold."""
        if told.subscription.channel not in STATES:
            return
        for stream in self.states():
            if stream is told or (stream.broken and not stream.silenced):
                continue
            if stream.hushed or stream.stale_since_ns is not None:
                stream.wake(now_ns, None)

    # --- what the exchange says to being asked for it ---

    def acknowledged(self, runner: Runner, now: float, now_ns: int) -> None:
        """The exchange has accepted the subscription on a connection, which brings everything of
        the topic from now on."""
        self.coverage.carries(runner, now)
        dead = any(stream.dead for stream in self.streams.values())
        if self.keeper is not None and not dead:
            self.keeper.acknowledged(now)
        for stream in self.streams.values():
            stream.accepted()
            if dead:
                continue
            # Where silence is normal the acknowledgement is what proves that all is well again;
            # elsewhere the data itself does.
            if (
                stream.subscription.channel is not Channel.BOOK
                and self._exchange.max_silence(stream.subscription) is None
            ):
                # Where trades are counted, the next number says whether any is missing.
                stream.resume(now_ns, None, gap=self.counted is None)

    def refused(self, subscription: Subscription, error: SubscriptionRefused) -> None:
        """The exchange gives this part of the topic on no connection."""
        stream = self.streams.get(EVENT_OF[subscription.channel])
        if stream is not None:
            stream.refuse(error)

    # --- trouble ---

    def interrupt(self, reason: Reason) -> None:
        """Updates may be missing before the next one. Books see that for themselves."""
        for kind, stream in self.streams.items():
            if kind is not BookUpdate:
                stream.interrupt(reason)

    def lost(
        self, reason: Reason, missing: Reason, now_ns: int, silent_ns: int | None = None
    ) -> None:
        """No connection brings the topic any more: what is known of it is not up to date."""
        self._lose_sync(reason)
        for stream in self.streams.values():
            stream.interrupt(missing)
            stream.stale(reason, now_ns, silent_ns)

    def _lose_sync(self, reason: Reason) -> None:
        self.race.uncarried()
        if self.keeper is not None:
            self.keeper.lost_sync(reason)

    def moved(self) -> None:
        """The topic begins anew on another connection, in the moment in which the one before
        ends."""
        self._lose_sync(Reason.ROLLOVER)
        self.race.reset()
        for stream in self.streams.values():
            stream.interrupt(Reason.ROLLOVER)

    def missed(
        self, runner: Runner, reason: Reason, now: float, now_ns: int, numbered: bool
    ) -> None:
        """A connection has lost an update, and goes on."""
        self.coverage.misses(runner, reason, now)
        if self.keeper is not None and not numbered:
            # The exchange's own numbers may not be there to show a book what it missed.
            self.keeper.doubt(reason, now, now_ns)

    def garbled(self, now_ns: int) -> None:
        """What comes can't be read, over and over. Books know it by themselves."""
        for kind, stream in self.streams.items():
            if kind is not BookUpdate:
                stream.stale(Reason.UNREADABLE, now_ns)

    def narrowed(self, now: float) -> None:
        """A connection has gone."""
        if self.keeper is not None:
            self.keeper.narrowed(now)

    def found_dead(self) -> None:
        """It said nothing although something had happened: acknowledgements prove nothing of it
        any more, until it speaks. What has a cadence proves its life by that alone."""
        for stream in self.streams.values():
            if self._exchange.max_silence(stream.subscription) is None:
                stream.found_dead()

    def excused(self) -> None:
        """What it was found dead on is gone, and explains it."""
        for stream in self.streams.values():
            stream.excused()
