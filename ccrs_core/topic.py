"""One topic of the exchange as several connections bring it: merged, each update once, in order.

Pure. Books are kept here, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import attrs

from ccrs_core.codec import Data
from ccrs_core.events import BookUpdate, Liquidation, MarketData, Reason, Trade
from ccrs_core.feed import Feed
from ccrs_core.model import Subscription
from ccrs_core.orderbook import Applied, BookState, Checksum, OrderBook
from ccrs_core.race import Race, Runner
from ccrs_core.stream import EVENT_OF, Stream
from ccrs_core.trail import Trail


def same_content(one: MarketData, other: MarketData | None) -> bool:
    """Whether two events say the same, whenever they came."""
    if other is None or one.__class__ is not other.__class__:
        return False
    first, second = (
        attrs.evolve(event, exchange_time_ns=None, received_time_ns=0) for event in (one, other)
    )
    return first == second


_ONE_BY_ONE = frozenset({BookUpdate, Trade})
"""Events that aren't judged by their topic's rising numbers alone."""


class Topic:
    """One exchange topic as its connections bring it, merged.

    ``resync(topic)`` is called when the book has to be asked for anew; ``live()`` tells how many
    connections carry the topic now; ``arm()`` when ``wake_at`` has moved.
    """

    HOLD = 0.5
    """Seconds for which a book update waits for what comes before it from another connection."""
    HOLD_LIMIT = 512
    """Updates that may wait."""
    TRADE_WINDOW = 8192
    """Trade ids that are remembered, to deliver each trade once."""
    RESYNC_PATIENCE = 10.0
    """Seconds after which a book that is asked for is asked for again."""

    def __init__(
        self,
        name: str,
        runners: list[Runner],
        *,
        live: Callable[[str], int],
        resync: Callable[[str], None],
        arm: Callable[[], None],
        checksum: Callable[[Subscription], Checksum | None],
        trail: Trail | None = None,
    ) -> None:
        self.name = name
        self.streams: dict[type[MarketData], Stream] = {}
        self.race = Race(name, runners, trail=trail)
        self.book: OrderBook | None = None
        self.repeated_trades = 0
        self.unwanted = 0
        self.resyncs = 0
        self.resync_seconds = 0.0
        self._live = live
        self._resync = resync
        self._arm = arm
        self._checksum = checksum
        self._invalid_at: float | None = None
        self._asked_at: float | None = None
        self._held: dict[int, tuple[BookUpdate, Runner]] = {}
        self._held_since = 0.0
        self._fallback: BookUpdate | None = None
        self._joined: set[int] = set()
        self._trade_ids: OrderedDict[str, None] = OrderedDict()
        self._restarted_by: Runner | None = None
        """Whose announcement that the exchange counts anew was followed last."""

    def stream(self, subscription: Subscription) -> Stream:
        """The stream of a subscription, made where there is none yet."""
        kind = EVENT_OF[subscription.channel]
        stream = self.streams.get(kind)
        if stream is None:
            stream = self.streams[kind] = Stream(subscription)
            if kind is BookUpdate:
                self.book = OrderBook(
                    subscription.symbol,
                    depth=subscription.depth,
                    checksum=self._checksum(subscription),
                )
                self.race.contiguous = True
        return stream

    def attach(self, stream: Stream, feed: Feed) -> None:
        """Let a feed take part; it starts with the present state, where there is one."""
        stream.feeds.append(feed)
        latest = stream.latest
        if latest is None or stream.stale_since_ns is not None:
            return
        if latest.__class__ is BookUpdate:
            book = self.book
            if book is not None and book.valid and book.sequence is not None:
                state = attrs.evolve(
                    latest,
                    sequence=book.sequence,
                    snapshot=True,
                    bids=tuple(book.bids()),
                    asks=tuple(book.asks()),
                    previous_sequence=None,
                    checksum=None,
                )
                feed.put((state,))
        elif latest.__class__ not in (Trade, Liquidation):
            feed.put((latest,))

    # --- data in ---

    def late(
        self, number: int | bytes, restart: bool, runner: Runner, now: float, now_ns: int
    ) -> bool:
        """Whether a peeked update was delivered already."""
        if restart and self._may_be_another(number, runner):
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

    def _may_be_another(self, number: int | bytes, runner: Runner) -> bool:
        """Whether a connection that has announced a restart announces one with the same number:
        either a repeat, or the exchange has begun anew once more. Only the content tells."""
        return number == self.race.last and runner is self._restarted_by

    def _confirmed(self, now_ns: int) -> None:
        """The last update came again: nothing is missing and it is up to date."""
        for stream in self.streams.values():
            if stream.stale_since_ns is not None or stream.interrupted is not None:
                if self.book is not None and not self.book.valid:
                    continue
                stream.interrupted = None
                stream.resume(now_ns, None)

    def deliver_all(self, run: Sequence[Data], runner: Runner, now: float) -> None:
        """:meth:`deliver` them one after the other, at less cost where nothing is special."""
        if len(run) == 1 or run[0].events[0].__class__ in _ONE_BY_ONE:
            for data in run:
                self.deliver(data, runner, now)
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

    def deliver(self, data: Data, runner: Runner, now: float) -> None:
        """Decoded data from one of the connections."""
        events = data.events
        stream = self.streams.get(events[0].__class__)
        if stream is None:
            self.unwanted += 1
            return
        race = self.race
        number = data.sequence
        kind = events[0].__class__
        if kind is BookUpdate:
            for update in events:
                assert isinstance(update, BookUpdate)
                self._update(update, data.restart, stream, runner, now)
            return
        if isinstance(number, int):
            if (
                data.restart
                and self._may_be_another(number, runner)
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
                self._restarted_by = runner
        elif number is not None:
            if race.late(number, False, runner, now):
                return
            race.won(number, False, runner, now)
        if kind is Trade:
            events = self._new_trades(events)
            if not events:
                return
        stream.put(events)
        if isinstance(number, int):
            stream.last_sequence = number

    def _new_trades(self, events: Sequence[MarketData]) -> Sequence[MarketData]:
        known = self._trade_ids
        new = []
        for event in events:
            assert isinstance(event, Trade)
            if event.trade_id in known:
                self.repeated_trades += 1
                continue
            known[event.trade_id] = None
            new.append(event)
        while len(known) > self.TRADE_WINDOW:
            known.popitem(last=False)
        return new

    # --- books ---

    def _update(
        self, update: BookUpdate, restart: bool, stream: Stream, runner: Runner, now: float
    ) -> None:
        book, race = self.book, self.race
        assert book is not None
        number = update.sequence
        if restart and number == race.last:
            if book.shows(update):
                race.again(number, runner)
                self._confirmed(update.received_time_ns)
                return
            if self._may_be_another(number, runner):
                race.reset()
        if race.late(number, restart, runner, now):
            if number == race.last:
                self._confirmed(update.received_time_ns)
            return
        if restart:
            self._restarted_by = runner
        if update.snapshot and not restart and book.valid and self._joins(runner):
            # A connection that has just joined shows the state it starts from. The others bring
            # every step up to there: keep it for the case that they don't.
            if self._fallback is None or number > self._fallback.sequence:
                self._fallback = update
            return
        if restart and book.valid:
            stream.interrupt(Reason.RESTART)
        applied = book.apply(update)
        if applied is Applied.APPLIED:
            self._applied(update, restart, stream, runner, now)
        elif applied is Applied.AHEAD:
            if self._live(self.name) > 1 and len(self._held) < self.HOLD_LIMIT:
                self._held[number] = (update, runner)
                self._wait(number, runner, now)
            elif self._fall_back(stream, now):
                self._update(update, restart, stream, runner, now)
            else:
                self._broken(Reason.SEQUENCE, stream, now, update.received_time_ns)
        elif applied is Applied.BROKEN:
            assert book.reason is not None
            self._broken(book.reason, stream, now, update.received_time_ns)
        elif applied is Applied.OLD:
            # No late copy, yet behind the book: the exchange began to count anew, and what said so
            # was lost on the way.
            runner.tops[self.name] = number
            self._broken(Reason.SEQUENCE, stream, now, update.received_time_ns)
        elif self._invalid_at is None:
            # Deltas, but no snapshot before them.
            self._invalid_at = now
            self._ask(now)

    def _joins(self, runner: Runner) -> bool:
        if runner.epoch in self._joined:
            return False
        self._joined.add(runner.epoch)
        return self._live(self.name) > 1

    def _wait(self, number: int, runner: Runner, now: float) -> None:
        if not self.race.held:
            self._held_since = now
        self.race.hold(number, runner, now)
        self._arm()

    def _applied(
        self, update: BookUpdate, restart: bool, stream: Stream, runner: Runner, now: float
    ) -> None:
        race, number = self.race, update.sequence
        if update.snapshot:
            self._joined.add(runner.epoch)
            if self._invalid_at is not None:
                self.resync_seconds += now - self._invalid_at
                self._invalid_at = self._asked_at = None
        race.won(number, restart, runner, now)
        stream.put((update,))
        stream.last_sequence = number
        if race.held or self._fallback is not None:
            self._release(stream, now)

    def _release(self, stream: Stream, now: float) -> None:
        """Apply what waited, as far as it follows now."""
        book, race = self.book, self.race
        assert book is not None
        for number in sorted(self._held):
            update, _ = self._held[number]
            applied = book.apply(update)
            if applied is Applied.AHEAD:
                break
            del self._held[number]
            race.held.discard(number)
            if applied is Applied.APPLIED:
                race.last = number
                stream.put((update,))
                stream.last_sequence = number
            elif applied is Applied.BROKEN:
                assert book.reason is not None
                self._broken(book.reason, stream, now, update.received_time_ns)
                return
        fallback = self._fallback
        if (
            fallback is not None
            and book.sequence is not None
            and (fallback.sequence <= book.sequence)
        ):
            self._fallback = None
        if race.held:
            self._held_since = now

    def _broken(self, reason: Reason, stream: Stream, now: float, now_ns: int) -> None:
        """The book can't be trusted any more: say so and ask for it anew."""
        book = self.book
        assert book is not None
        if book.valid or book.reason is None:
            book.invalidate(reason)
        self._held.clear()
        self._fallback = None
        self.race.reset()
        stream.interrupt(reason)
        stream.stale(reason, now_ns)
        if self._invalid_at is None:
            self._invalid_at = now
        self._ask(now)

    def doubt(self, reason: Reason, now: float, now_ns: int) -> None:
        """An update may have been lost without a trace: a book is not to be trusted any more."""
        if self.book is not None and self.book.valid:
            self._broken(reason, self.streams[BookUpdate], now, now_ns)

    def _ask(self, now: float) -> None:
        self.resyncs += 1
        self._asked_at = now
        self._joined.clear()
        self._resync(self.name)
        self._arm()

    def _fall_back(self, stream: Stream, now: float) -> bool:
        """Go on from the state that a joining connection has shown, where it is ahead."""
        book, fallback = self.book, self._fallback
        self._fallback = None
        assert book is not None
        if fallback is None or not book.valid or fallback.sequence <= (book.sequence or 0):
            return False
        stream.interrupt(Reason.SEQUENCE)
        if book.apply(fallback) is not Applied.APPLIED:
            return False
        self.race.held.discard(fallback.sequence)
        self._held.pop(fallback.sequence, None)
        self.race.last = fallback.sequence
        stream.put((fallback,))
        stream.last_sequence = fallback.sequence
        self._release(stream, now)
        return True

    def narrowed(self, now: float) -> None:
        """A connection has gone. Where just one is left, nobody else brings the steps up to the
        state that it has shown on joining."""
        if self._fallback is not None and self._live(self.name) <= 1:
            self._fall_back(self.streams[BookUpdate], now)

    def lost_sync(self, reason: Reason) -> None:
        """No connection brings the topic any more: what is known of it is not up to date."""
        self.race.drift()
        book = self.book
        if book is None or book.state is not BookState.VALID:
            return
        book.invalidate(reason)
        self._held.clear()
        self._fallback = None
        self._joined.clear()
        self.race.reset()

    # --- time ---

    @property
    def wake_at(self) -> float | None:
        """When ``tick`` should be called, None for never."""
        if self.race.held:
            return self._held_since + self.HOLD
        if self._asked_at is not None:
            return self._asked_at + self.RESYNC_PATIENCE
        return None

    def tick(self, now: float, now_ns: int) -> None:
        """What was waited for didn't come in time."""
        if self.race.held and now >= self._held_since + self.HOLD:
            stream = self.streams[BookUpdate]
            if self._fall_back(stream, now):
                return
            self._broken(Reason.SEQUENCE, stream, now, now_ns)
        if self._asked_at is not None and now >= self._asked_at + self.RESYNC_PATIENCE:
            self._ask(now)
