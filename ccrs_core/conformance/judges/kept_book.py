"""A book as the core keeps it from a connection's frames, held against the market at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.truth import History, Truth
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Codec, Data
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Exchange
from ccrs_core.model.events import AnyEvent, BookUpdate, MarketData, Notice, Reason
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.topics.topic import Topic
from ccrs_core.topics.waiting_changes import Ask


@attrs.frozen
class Heard:
    """A frame and when it came; ``delta`` where it changes a book without replacing it.

    Where books start from a request, its answer is among them.
    """

    time_ns: int
    frame: bytes | BookUpdate
    delta: bool
    snapshot: bool
    previous: int | None = None
    """Number of the state that it changes."""


class Bench:
    """Feeds frames to the core's part that merges and keeps books, without client or time.

    After each frame a valid book is compared with the market: wrong and valid at once fails.
    """

    def __init__(self, exchange: Exchange, truth: Truth, subscription: Subscription) -> None:
        self.exchange = exchange
        self.subscription = sub = subscription
        self.history: History = truth.of(sub.instrument)
        self.runners = [Runner(1)]
        self.resyncs = 0
        """How often the book was asked for anew."""
        self.delivered: list[MarketData] = []
        self.log: list[AnyEvent] = []
        """All that was delivered, notices among it."""
        self.since = 0
        codec = self.codec()
        self.topic = Topic(
            codec.topic(sub),
            self.runners,
            live=lambda _: len(self.runners),
            resync=self._resync,
            arm=lambda: None,
            exchange=exchange,
        )
        self.stream = self.topic.stream(sub)
        self.stream.feeds.append(cast(Any, self))
        assert self.topic.book is not None
        self.book: OrderBook = self.topic.book

    def codec(self) -> Codec:
        """A fresh connection's codec, which has subscribed."""
        codec = self.exchange.codec(self.exchange.route(self.subscription))
        codec.subscribe([self.subscription], "1")
        return codec

    def _resync(self, _: str, what: Ask) -> None:
        self.resyncs += 1

    @property
    def fetched(self) -> bool:
        """Whether the book starts from a request."""
        return self.exchange.book_snapshot(self.subscription) is not None

    def fetch(self, line: Line) -> None:
        """Answer the request that the book starts from, until it is valid or nothing helps."""
        for _ in range(20):
            if self.book.valid or not self.fetched:
                return
            self.take(line.snapshot(self.subscription), line.venue.now_ns)
            if not self.book.valid:
                line.venue.advance(line.venue.now_ns + NS_PER_SECOND // 10)

    def take(self, snapshot: BookUpdate, time_ns: int) -> None:
        """A snapshot that was asked for comes."""
        assert self.topic.keeper is not None
        self.topic.keeper.fetched(snapshot, time_ns / NS_PER_SECOND)
        self.judge(time_ns)

    # --- as a feed ---

    def put(self, events: Sequence[MarketData]) -> None:
        self.delivered += events
        self.log += events

    def notify(self, notice: Notice) -> None:
        self.log.append(notice)

    # --- frames in ---

    def hear(
        self,
        codec: Codec,
        frame: bytes | BookUpdate,
        time_ns: int,
        runner: Runner | None = None,
    ) -> None:
        """One frame arrives on a connection, or a snapshot that was asked for."""
        if isinstance(frame, BookUpdate):
            self.take(frame, time_ns)
            return
        for data in updates(codec, frame, time_ns):
            self.deliver(data, time_ns, runner)

    def deliver(self, data: Data, time_ns: int, runner: Runner | None = None) -> None:
        """Decoded data arrive on a connection."""
        if data.topic == self.topic.name:
            now = time_ns / NS_PER_SECOND
            self.topic.deliver(data, self.runners[0] if runner is None else runner, now)
            self.judge(time_ns)

    def judge(self, time_ns: int) -> None:
        """Fails where the book is valid and wrong."""
        if self.book.valid:
            self.since = self.history.kept_is_true(
                self.book, self.subscription.depth, since=self.since, until_ns=time_ns
            )

    def reconnected(self) -> None:
        """The connection was lost, and another one takes its place."""
        self.topic.lost(Reason.DISCONNECTED, Reason.RECONNECTED, 0)
        self.runners[0] = Runner(self.runners[0].epoch + 1)


class Near(Bench):
    """A bench that compares the best levels alone, and makes the book know more when it asks."""

    def __init__(self, line: Line, truth: Truth, subscription: Subscription) -> None:
        self._line = line
        self._wider = False
        self._depth = min(truth.depth, subscription.depth or truth.depth)
        super().__init__(line.exchange, truth, subscription)

    def _resync(self, topic: str, what: Ask) -> None:
        super()._resync(topic, what)
        self._wider = self._wider or what is Ask.WIDER

    def widen(self) -> None:
        """Answer what was asked for to make a valid book know more."""
        request = self.exchange.wider_snapshot(self.subscription)
        if not self._wider or request is None or self.topic.keeper is None:
            return
        self._wider = False
        now_ns = self._line.venue.now_ns
        snapshot = self._line.ask(request)
        self.topic.keeper.fetched(snapshot, now_ns / NS_PER_SECOND, request.depth)
        self.judge(now_ns)

    def judge(self, time_ns: int) -> None:
        if self.book.valid:
            bids, asks = self.book.bids(self._depth), self.book.asks(self._depth)
            self.since = self.history.book_is_true(
                bids, asks, self._depth, since=self.since, until_ns=time_ns
            )


def updates(codec: Codec, frame: bytes, time_ns: int) -> list[Data]:
    """What a frame says of books."""
    if codec.compression is not None:
        frame = inflate(frame, codec.compression)
    messages = codec.decode(frame, time_ns)
    return [m for m in messages if isinstance(m, Data) and isinstance(m.events[0], BookUpdate)]


def hear(wire: Wire, found: list[Heard], seconds: float) -> None:
    """Let time pass at the exchange, and note the frames that come of it, with their times."""
    venue = wire.line.venue
    end_ns = venue.now_ns + round(seconds * NS_PER_SECOND)
    note(wire, found)
    while (due := venue.next_wake_ns) is not None and due <= end_ns:
        venue.advance(due)
        note(wire, found)
    venue.advance(end_ns)
    note(wire, found)


def note(wire: Wire, found: list[Heard]) -> None:
    """Note the frames that have just come."""
    now_ns = wire.line.venue.now_ns
    for frame in wire.raw():
        books = [e for data in updates(wire.codec, frame, now_ns) for e in data.events]
        kinds = {event.snapshot for event in books if isinstance(event, BookUpdate)}
        previous = next((e.previous_sequence for e in books if isinstance(e, BookUpdate)), None)
        found.append(Heard(now_ns, frame, kinds == {False}, True in kinds, previous))


def recorded(line: Line, subscription: Subscription, seconds: float) -> list[Heard]:
    """The frames of a fresh, undisturbed subscription."""
    wire = line.open(line.exchange.route(subscription))
    found: list[Heard] = []
    wire.peer.received(wire.codec.subscribe([subscription], "1"), line.venue.now_ns)
    if line.exchange.book_snapshot(subscription) is None:
        hear(wire, found, seconds)
        return found
    while seconds > 0 and not any(each.delta for each in found):
        hear(wire, found, 0.05)
        seconds -= 0.05
    snapshot = line.snapshot(subscription)
    while any(each.delta for each in found) and _too_old(snapshot, found):
        hear(wire, found, 0.05)
        snapshot = line.snapshot(subscription)
    found.append(Heard(line.venue.now_ns, snapshot, delta=False, snapshot=True))
    hear(wire, found, seconds)
    return found


def _too_old(snapshot: BookUpdate, found: Sequence[Heard]) -> bool:
    """Whether a snapshot doesn't reach to the first of some changes."""
    first = next(each for each in found if each.delta)
    return (first.previous or 0) > snapshot.sequence
