"""One topic of the exchange as several connections bring it: each update once, in order. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import Exchange
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.stream import EVENT_OF, STATES, Stream
from ccrs_core.model.events import BookUpdate, Candle, Liquidation, MarketData, Reason, Trade
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.counted import Counted, Run
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.race import Race, same_content
from ccrs_core.topics.recent import followed
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
    )


_ONE_BY_ONE = frozenset({BookUpdate, Trade})
"""Events that aren't judged by their topic's rising numbers alone."""

_EACH_COUNTS = frozenset({Trade, Liquidation, Candle})
"""Events that no later one makes up for."""


class Topic:
    """One exchange topic as its connections bring it, merged.

    ``resync(topic, what)`` is called when the book has to be asked for; ``live()`` tells how many
    connections carry the topic now; ``arm()`` when ``wake_at`` has moved; ``unproved(topic)`` when
    connections have to be asked whether nothing is missing between them; ``relieved()`` tells
    whether one is being replaced that still brings things.
    """

    TRADE_WINDOW = 8192
    """Trade ids that are remembered, to deliver each trade once."""

    def __init__(
        self,
        name: str,
        runners: list[Runner],
        *,
        live: Callable[[str], int],
        resync: Callable[[str, Ask], None],
        arm: Callable[[], None],
        exchange: Exchange,
        trail: Trail | None = None,
        unproved: Callable[[str], None] | None = None,
        relieved: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.streams: dict[type[MarketData], Stream] = {}
        self.race = Race(name, runners, trail=trail)
        self.keeper: BookKeeper | None = None
        self.coverage = Coverage(self, self._uncertain, relieved)
        self.counted: Counted | None = None
        """Where the exchange counts its trades one by one."""
        self.repeated_trades = 0
        self.unwanted = 0
        self.waits = False
        self.confesses = False
        self._floor: int | None = None
        """Numbers up to this are from before the last gap between connections."""
        self._unproved = unproved
        self._live = live
        self._resync = resync
        self._arm = arm
        self._exchange = exchange
        self._trade_ids: OrderedDict[str, None] = OrderedDict()
        self._former_ids: OrderedDict[str, None] = OrderedDict()
        """The latest of those from before the last gap between connections."""

    def stream(self, subscription: Subscription) -> Stream:
        """The stream of a subscription, made where there is none yet."""
        kind = EVENT_OF[subscription.channel]
        stream = self.streams.get(kind)
        if stream is None:
            stream = self.streams[kind] = Stream(subscription)
            if kind is BookUpdate:
                self.keeper = self._new_keeper(subscription, stream)
                self.race.contiguous = True
            elif kind is Trade and self._exchange.consecutive(subscription):
                self.counted = Counted()
            self.waits |= kind in _EACH_COUNTS and self.counted is None
            self.confesses |= kind is not BookUpdate
        return stream

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

    def attach(self, stream: Stream, feed: Feed) -> None:
        """Let a feed take part; it starts with the present state, if it is known."""
        stream.feeds.append(feed)
        self._show(stream, feed)
        if feed.freshness is not None:
            state = stream.subscription.channel in STATES
            feed.freshness.watch(feed, stream, self.states if state else stream.alone)
        stream.welcome(feed)

    def _show(self, stream: Stream, feed: Feed) -> None:
        latest = stream.latest
        if latest is None or stream.stale_since_ns is not None:
            return
        if latest.__class__ is BookUpdate:
            book = self.book
            if book is not None and book.valid and book.sequence is not None:
                assert isinstance(latest, BookUpdate)
                feed.put((book.snapshot(latest),))
        elif latest.__class__ not in (Trade, Liquidation):
            feed.put((latest,))

    # --- data in ---

    def late(
        self, number: int | bytes, restart: bool, runner: Runner, now: float, now_ns: int
    ) -> bool:
        """Whether a peeked update was delivered already."""
        if runner.apart and self.name in runner.apart:
            return False  # whether it meets what was delivered is for :meth:`deliver` to find
        if restart and self.race.may_be_another(number, runner):
            return False
        if not self.race.late(number, restart, runner, now):
            return False
        if number == self.race.last:
            self._confirmed(now_ns)
        return True

    def copied(self, number: int | bytes, runner: Runner, now_ns: int) -> None:
        """A connection has brought copies, up to this one, of what was handed on."""
        self.race.copied(number, runner)
        if number == self.race.last:
            self._confirmed(now_ns)

    def superseded(self, count: int) -> None:
        """Updates were replaced by a later one before they were decoded."""
        for stream in self.streams.values():
            stream.superseded(count)

    @property
    def replaceable(self) -> bool:
        """Whether of several updates that arrive together only the last is of use to anybody."""
        return bool(self.streams) and all(s.replaceable for s in self.streams.values())

    def _confirmed(self, now_ns: int) -> None:
        """The last update came again: nothing is missing and it is up to date."""
        for stream in self.streams.values():
            if stream.broken:
                if self.book is not None and not self.book.valid:
                    continue
                stream.interrupted = None
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

    def deliver_all(self, run: Sequence[Data], runner: Runner, now: float) -> None:
        """:meth:`deliver` them one after the other, at less cost where nothing is special."""
        coverage, apart = self.coverage, runner.apart
        keeper = self.keeper if BookUpdate in self.streams else None
        if (
            len(run) == 1
            or run[0].events[0].__class__ in _ONE_BY_ONE
            or coverage.apart
            or (apart and self.name in apart)
        ):
            for data in run:
                update = data.events[0]
                if (
                    keeper is None
                    or len(data.events) > 1
                    or coverage.apart
                    or (apart and self.name in apart)
                    or not isinstance(update, BookUpdate)
                ):
                    self.deliver(data, runner, now)
                else:
                    keeper.update(update, data.restart, runner, now)
            return
        events: list[MarketData] = []
        numbers: list[int] = []
        kind: type[MarketData] | None = None
        last = 0
        for data in run:
            number = data.sequence
            if number.__class__ is int and not data.restart:
                assert isinstance(number, int)
                new = data.events[0].__class__
                if numbers and (new is not kind or number <= last):
                    self._advance(numbers, events, runner, now)
                    numbers, events = [], []
                if numbers or self._simple(new, number):
                    kind = new
                    numbers.append(number)
                    events += data.events
                    last = number
                    continue
            if numbers:
                self._advance(numbers, events, runner, now)
                numbers, events = [], []
            self.deliver(data, runner, now)
        if numbers:
            self._advance(numbers, events, runner, now)

    def _simple(self, kind: type[MarketData], number: int) -> bool:
        race = self.race
        return (
            kind not in _ONE_BY_ONE
            and kind in self.streams
            and race.plain
            and race.last is not None
            and number > race.last
        )

    def _advance(
        self, numbers: list[int], events: list[MarketData], runner: Runner, now: float
    ) -> None:
        self.race.advance(numbers, runner, now)
        stream = self.streams[events[0].__class__]
        stream.put(events)
        stream.last_sequence = numbers[-1]
        if len(self.streams) > 1:
            self._told_together(stream, events[-1].received_time_ns)

    def deliver(self, data: Data, runner: Runner, now: float) -> None:
        """Decoded data from one of the connections."""
        if runner.apart and self.name in runner.apart:
            if not self.coverage.brings(data, runner, now):
                return
        elif self.coverage.apart:
            self.coverage.delivered(data, now)
        events = data.events
        kind = events[0].__class__
        stream = self.streams.get(kind)
        if stream is None:
            self.unwanted += 1
            return
        if kind is BookUpdate:
            keeper = self.keeper
            assert keeper is not None
            for update in events:
                assert isinstance(update, BookUpdate)
                keeper.update(update, data.restart, runner, now)
            return
        race = self.race
        number = data.sequence
        if isinstance(number, int):
            if (
                data.restart
                and self.race.may_be_another(number, runner)
                and not same_content(events[-1], stream.latest)
            ):
                race.reset()
                stream.interrupt(Reason.RESTART)
            last = race.last
            if not race.take(number, data.restart, runner, now):
                if number == last:
                    self._confirmed(events[0].received_time_ns)
                return
            if last is not None and number <= last:
                stream.interrupt(Reason.RESTART if data.restart else Reason.SEQUENCE)
            if data.restart:
                race.restarted_by = runner
        elif number is not None:
            if race.late(number, False, runner, now):
                return
            race.won(number, False, runner, now)
        if kind is Trade:
            counted = self.counted
            if counted is not None:
                self._count(counted, events, stream, runner, now)
                return
            events = self._new_trades(events)
            if not events:
                return
        stream.put(events)
        if isinstance(number, int):
            stream.last_sequence = number
        if len(self.streams) > 1:
            self._told_together(stream, events[-1].received_time_ns)

    def _new_trades(self, events: Sequence[MarketData]) -> Sequence[MarketData]:
        known, former = self._trade_ids, self._former_ids
        if len(events) == 1:
            event = events[0]
            assert isinstance(event, Trade)
            trade_id = event.trade_id
            if trade_id not in known and not (former and trade_id in former):
                known[trade_id] = None
                if len(known) > self.TRADE_WINDOW:
                    known.popitem(last=False)
                return events
        new = []
        for event in events:
            assert isinstance(event, Trade)
            trade_id = event.trade_id
            if trade_id in known or (former and trade_id in former):
                self.repeated_trades += 1
                continue
            known[trade_id] = None
            new.append(event)
        while len(known) > self.TRADE_WINDOW:
            known.popitem(last=False)
        return new

    def _count(
        self,
        counted: Counted,
        events: Sequence[MarketData],
        stream: Stream,
        runner: Runner,
        now: float,
    ) -> None:
        """Deliver trades by their numbers, which say whether any is missing."""
        first = events[0]
        assert isinstance(first, Trade)
        number, last = first.sequence, counted.last
        if len(events) == 1 and last is not None and number == last + 1 and not counted.ahead:
            counted.last = number
            runner.tops[self.name] = number
            known = self._trade_ids
            known[first.trade_id] = None
            if len(known) > self.TRADE_WINDOW:
                known.popitem(last=False)
            stream.interrupted = None  # whatever happened, nothing is missing
            stream.put(events)
            stream.last_sequence = number
            return
        trades = [event for event in events if isinstance(event, Trade)]
        before, top = counted.since, runner.tops.get(self.name)
        alone = self._live(self.name) <= 1
        self._put_runs(counted.take(trades, top, self._trade_ids, now, alone=alone), stream)
        number = trades[-1].sequence
        if number is not None:
            runner.tops[self.name] = number
        if counted.since != before:
            self._arm()

    def _put_runs(self, runs: Sequence[Run], stream: Stream) -> None:
        for run in runs:
            if run.hole:
                stream.interrupt(Reason.SEQUENCE)
            elif run.follows:
                stream.interrupted = None
            new = self._new_trades(run.trades)
            if new:
                stream.put(new)
            stream.last_sequence = run.trades[-1].sequence

    # --- which connections follow on ---

    def _resume(self, stream: Stream, now_ns: int) -> None:
        """Data will flow again."""
        reason = stream.interrupted
        if self.counted is not None:
            stream.interrupted = None  # the next number says whether anything is missing
        stream.resume(now_ns, None)
        if self.counted is not None:
            stream.interrupted = reason

    def interrupt(self, reason: Reason) -> None:
        """Updates may be missing before the next one. Books see that for themselves."""
        for kind, stream in self.streams.items():
            if kind is not BookUpdate:
                stream.interrupt(reason)

    def begin_stretch(self) -> None:
        """What was delivered so far is before a gap: nobody goes on from there."""
        self._former_ids = followed(self._former_ids, self._trade_ids, self.TRADE_WINDOW)
        self._trade_ids = OrderedDict()
        self._floor = self.race.last
        self.race.trail.clear()

    @property
    def delivered(self) -> int:
        """How many events were delivered, of all kinds."""
        return sum(stream.delivered for stream in self.streams.values())

    def met(self, data: Data) -> int | None:
        """See :class:`~ccrs_core.connections.coverage.Delivery`."""
        number = data.sequence
        if data.events[0].__class__ is Trade:
            if self.counted is not None:
                return 0 if self.counted.follows(data.events[0]) else None
            known = self._trade_ids
            for place in range(len(data.events) - 1, -1, -1):
                event = data.events[place]
                assert isinstance(event, Trade)
                if event.trade_id in known:
                    return place + 1
            return None
        if isinstance(number, int):
            last, floor = self.race.last, self._floor
            if last is None or number > last or data.restart:
                return None
            return 0 if floor is None or floor > last or number > floor else None
        if number is None:
            return None
        brought_at = self.race.brought_at(number)
        return 0 if brought_at is not None and brought_at >= self.coverage.began else None

    def keys(self, data: Data) -> Sequence[object]:
        """See :class:`~ccrs_core.connections.coverage.Delivery`."""
        if data.events[0].__class__ is Trade:
            return [event.trade_id for event in data.events if isinstance(event, Trade)]
        return () if data.sequence is None else (data.sequence,)

    def _uncertain(self) -> None:
        """Who follows on has changed, or who is to be asked for proof."""
        self._arm()
        if self._unproved is not None and self.coverage.apart:
            self._unproved(self.name)

    # --- what only books have ---

    @property
    def book(self) -> OrderBook | None:
        """The book that is kept, where somebody subscribes to one."""
        return None if self.keeper is None else self.keeper.book

    def doubt(self, reason: Reason, now: float, now_ns: int) -> None:
        """An update may have been lost without a trace: a book is not to be trusted any more."""
        if self.keeper is not None:
            self.keeper.doubt(reason, now, now_ns)

    def narrowed(self, now: float) -> None:
        """A connection has gone."""
        if self.keeper is not None:
            self.keeper.narrowed(now)

    def acknowledged(self, runner: Runner, now: float, now_ns: int) -> None:
        """The exchange has accepted the subscription on a connection, which brings everything of
        the topic from now on."""
        self.coverage.carries(runner, now)
        dead = any(stream.dead for stream in self.streams.values())
        if self.keeper is not None and not dead:
            self.keeper.acknowledged(now)
        for stream in self.streams.values():
            stream.acknowledged = True
            if dead:
                continue
            # Where silence is normal the acknowledgement is what proves that all is well again;
            # elsewhere the data itself does.
            if (
                stream.subscription.channel is not Channel.BOOK
                and self._exchange.max_silence(stream.subscription) is None
            ):
                self._resume(stream, now_ns)

    def lost_sync(self, reason: Reason) -> None:
        """No connection brings the topic any more: what is known of it is not up to date."""
        self.race.drift()
        if self.keeper is not None:
            self.keeper.lost_sync(reason)

    @property
    def wake_at(self) -> float | None:
        """When ``tick`` should be called, None for never."""
        times = [self.coverage.wake_at]
        if self.keeper is not None:
            times.append(self.keeper.wake_at)
        if self.counted is not None and self.counted.since is not None:
            times.append(self.counted.since + self.counted.BOUND)
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float, now_ns: int) -> None:
        """What was waited for didn't come in time."""
        self.coverage.tick(now)
        counted = self.counted
        if (
            counted is not None
            and counted.since is not None
            and (now >= counted.since + counted.BOUND)
        ):
            self._put_runs(counted.release(), self.streams[Trade])
        if self.keeper is not None:
            self.keeper.tick(now, now_ns)
