"""What a consumer holds: a bounded queue of events with a stated policy for when it is too slow.

A feed never makes its producers wait: with the policy ``block`` the connection behind it stops
reading instead. Every loss is counted and, where it is a loss, reported in the feed itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Protocol, Self

import attrs

from ccrs_core.errors import CcrsError, FeedClosed, FeedOverflow, SubscriptionRefused, UsageError
from ccrs_core.events import AnyEvent, Candle, Gap, InstrumentChanged, MarketData, Notice, Reason
from ccrs_core.histogram import Histogram
from ccrs_core.model import Channel, Interest
from ccrs_core.orderbook import OrderBook
from ccrs_core.policy import FeedStatus, Policy
from ccrs_core.transport.base import SYSTEM_CLOCK

log = logging.getLogger("ccrs.feed")


class FeedOwner(Protocol):
    """What a feed asks of its client."""

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def ready(self, feed: Feed) -> None: ...
    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook: ...
    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None: ...


class Feed:
    """Events of one or more subscriptions. Use it in ``async with``, iterate it with ``async for``.

    Iterating raises what ended the feed: :class:`SubscriptionRefused` (once for each; reading may
    go on with the other subscriptions), :class:`FeedOverflow`, or what brought the client down.
    One consumer at a time.
    """

    NOTICES: ClassVar[int] = 4096
    """Notices that may wait unread; beyond, those that nothing happened between are merged."""

    UNTIMED: ClassVar[int] = 15
    """Events between two whose latency is noted, while the consumer has no need to wait."""

    def __init__(
        self,
        owner: FeedOwner,
        interests: Sequence[Interest],
        *,
        connections: int = 1,
        policy: Policy | str = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        callback: Callable[[AnyEvent], object] | None = None,
        time_ns: Callable[[], int] = SYSTEM_CLOCK.time_ns,
    ) -> None:
        if connections < 1:
            raise UsageError(f"connections must be at least 1, not {connections}")
        if maxsize < 1:
            raise UsageError(f"maxsize must be at least 1, not {maxsize}")
        self.connections = connections
        self.policy = Policy.named(policy)
        self.maxsize = maxsize
        self._owner = owner
        self._interests = list(dict.fromkeys(interests))
        self._callback = callback
        self._runner: asyncio.Task[None] | None = None
        self._queue: deque[AnyEvent] = deque()
        self._newest: OrderedDict[object, AnyEvent] = OrderedDict()
        self._conflating = self.policy is Policy.CONFLATE
        self._errors: deque[CcrsError] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._space: asyncio.Event | None = None
        self._open = False
        self._closed = False
        self._losses: dict[tuple[str, str, Channel | None], _Loss] = {}
        self._next: AnyEvent | None = None
        self._notices = 0
        self._notices_limit = self.NOTICES
        self._overflow = 0
        self.latency = Histogram()
        """From the arrival of a frame to the consumer, see ``FeedStatus.latency``."""
        self._time_ns = time_ns
        self._untimed = 0
        self._offered = self._delivered = self._conflated = self._dropped = self._discarded = 0

    # --- life ---

    async def __aenter__(self) -> Self:
        if self._open or self._closed:
            raise FeedClosed("a feed is opened once; call subscribe() for another one")
        self._open = True
        try:
            await self._owner.start(self, self._interests)
        except BaseException:
            self.end()
            raise
        if self._callback is not None:
            self._runner = asyncio.ensure_future(self._run(self._callback))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        failed: BaseException | None = None
        await self.aclose()
        if runner is not None:
            # It ends by itself now that the feed is closed.
            await asyncio.wait([runner])
            failed = None if runner.cancelled() else runner.exception()
        if failed is not None and error is None:
            raise failed

    async def aclose(self) -> None:
        """Unsubscribe from everything; what was not read is discarded. Idempotent."""
        if self._closed:
            return
        try:
            if self._open:
                await self._owner.stop(self, self.interests)
        finally:
            self.end()

    def end(self) -> None:
        """Deliver nothing any more; for the client's end."""
        self._closed = True
        self._open = False
        self._discarded += self.waiting
        self._queue.clear()
        self._newest.clear()
        self._losses.clear()
        self._next = None
        self._notices = self._overflow = 0
        self._notify()
        if self._space is not None:
            self._space.set()

    @property
    def interests(self) -> tuple[Interest, ...]:
        """What the feed is subscribed to."""
        return tuple(self._interests)

    async def subscribe(self, *interests: Interest) -> None:
        """Add to the feed; what it has already stays undisturbed.

        :raises UnknownInstrument: (and kin) where one is wrong; then none is added.
        """
        new = [i for i in dict.fromkeys(interests) if i not in self._interests]
        if self._closed:
            raise FeedClosed("the feed is closed")
        if new and self._open:
            await self._owner.start(self, new)
        self._interests.extend(i for i in new if i not in self._interests)

    async def unsubscribe(self, *interests: Interest) -> None:
        """Take away from the feed. Once this returns, nothing of them is delivered any more."""
        gone = [i for i in dict.fromkeys(interests) if i in self._interests]
        self._interests = [i for i in self._interests if i not in gone]
        if gone and self._open:
            await self._owner.stop(self, gone)

    async def ready(self) -> None:
        """Wait until the exchange has acknowledged every subscription.

        :raises SubscriptionRefused: where it refused one.
        """
        await self._owner.ready(self)
        if self._errors:
            raise self._errors.popleft()

    def book(self, symbol: str, depth: int | None = None) -> OrderBook:
        """The live order book of a symbol that this feed subscribes to. It is always as new as the
        last frame received, and so may be ahead of the events still waiting in the feed.

        :raises UsageError: where the feed has no book of that symbol (and depth).
        """
        return self._owner.book(self, symbol, depth)

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return _Reader(self)

    async def batches(self) -> AsyncIterator[list[AnyEvent]]:
        """All events that have arrived, at one wake-up, in order; never an empty list."""
        while await self._wait():
            yield self._drain()

    async def each(self, callback: Callable[[AnyEvent], object]) -> None:
        """Call a plain function with every event, until the feed ends. What it raises ends this."""
        pop = self._pop
        while await self._wait():
            while (event := pop()) is not None:
                callback(event)

    async def _run(self, callback: Callable[[AnyEvent], object]) -> None:
        refused: list[SubscriptionRefused] = []
        while not self._closed:
            try:
                await self.each(callback)
            except SubscriptionRefused as error:
                log.error("%s", error)
                refused.append(error)
            except Exception as error:
                log.error("the callback of a feed failed, the feed ends: %r", error)
                await self.aclose()
                raise
        if refused:
            raise refused[0]

    async def _wait(self) -> bool:
        """Wait until there is something to read; False once the feed has ended."""
        while not (self._queue or self._newest or self._losses or self._next is not None):
            self._raise_error()
            if self._closed:
                return False
            if not self._open:
                raise FeedClosed("open the feed first: async with client.subscribe(…) as feed")
            if self._wake is not None and not self._wake.done():
                raise UsageError("somebody reads this feed already; it has one reader at a time")
            wake = self._wake = asyncio.get_running_loop().create_future()
            try:
                await wake
            finally:
                # A reader that was cancelled may end after its follower has begun to wait.
                if self._wake is wake:
                    self._wake = None
            self._untimed = 0
        return True

    def _pop(self) -> AnyEvent | None:
        """The next event, None where nothing waits. What isn't popped can't be lost by a reader."""
        event: AnyEvent
        queue = self._queue
        if self._next is not None:
            event, self._next = self._next, None
        elif self._conflating:
            if not self._newest:
                return None
            _, event = self._newest.popitem(last=False)
            self._notices -= event.channel is None
        elif queue:
            event = queue.popleft()
            self._notices -= event.channel is None
            if self._losses and (loss := self._losses.pop(_key(event), None)) is not None:
                # The event doesn't go back into the queue: it could be dropped there, and a slow
                # reader would be given nothing but gaps.
                self._next = event
                event = loss.gap()
                self._offered += 1
        elif self._losses:
            event = self._losses.pop(next(iter(self._losses))).gap()
            self._offered += 1
        else:
            return None
        self._delivered += 1
        if self._untimed:
            self._untimed -= 1
        else:
            self._time(event)
        if self._space is not None and len(queue) - self._notices < self.maxsize:
            self._space.set()
        return event

    def _drain(self) -> list[AnyEvent]:
        """All that waits."""
        if self._losses or self._next is not None:
            batch = []
            while (event := self._pop()) is not None:
                batch.append(event)
            return batch
        if self._conflating:
            batch = list(self._newest.values())
            self._newest.clear()
        else:
            batch = list(self._queue)
            self._queue.clear()
        self._notices = 0
        self._delivered += len(batch)
        if batch:
            self._time(batch[0])
        if self._space is not None:
            self._space.set()
        return batch

    def _time(self, event: AnyEvent) -> None:
        """Note how long ago an event's frame arrived."""
        self._untimed = self.UNTIMED
        self.latency.record(self._time_ns() - event.received_time_ns)

    def _raise_error(self) -> None:
        if self._overflow:
            lost, self._overflow = self._overflow, 0
            raise FeedOverflow(
                f"the feed was not read for {self.maxsize} events; {lost} were lost "
                "(read faster, or choose another policy)",
                lost,
            )
        if self._errors:
            raise self._errors.popleft()

    # --- writing: called by the streams, never waits ---

    def put(self, events: Sequence[MarketData]) -> None:
        """Offer events of one topic."""
        if self._closed:
            return
        self._offered += len(events)
        if self._conflating:
            newest = self._newest
            for event in events:
                key: object = (event.__class__, event.exchange, event.symbol)
                if event.__class__ is Candle:
                    key = (key, event.interval)
                if newest.pop(key, None) is not None:
                    self._conflated += 1
                newest[key] = event
        elif self._overflow:
            self._lost({events[0].exchange: len(events)})
        else:
            queue = self._queue
            queue.extend(events)
            if len(queue) - self._notices > self.maxsize:
                self._overfull()
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    def superseded(self, count: int) -> None:
        """Count events that a newer one, about to be put, has replaced before they were made."""
        if not self._closed:
            self._offered += count
            self._conflated += count

    def notify(self, notice: Notice | InstrumentChanged) -> None:
        """Offer a notice; notices are neither conflated nor dropped (but see ``NOTICES``)."""
        if self._closed:
            return
        self._offered += 1
        self._notices += 1
        if self._conflating:
            self._newest[object()] = notice
        else:
            self._queue.append(notice)
        if self._notices > self._notices_limit:
            self._merge_notices()
        self._notify()

    def _merge_notices(self) -> None:
        """Of notices of one kind and subscription without data in between, keep the last."""
        before = self.waiting
        if self._conflating:
            self._newest = OrderedDict(_merged(self._newest.items()))
        else:
            self._queue = deque(event for _, event in _merged(enumerate(self._queue)))
        merged = before - self.waiting
        self._conflated += merged
        self._notices -= merged
        self._notices_limit = max(self.NOTICES, 2 * self._notices)

    def fail(self, error: CcrsError) -> None:
        """Let the consumer's next read, after all that waits, raise this."""
        self._errors.append(error)
        self._notify()

    def _overfull(self) -> None:
        queue = self._queue
        if self.policy is Policy.BLOCK:
            if self._space is None:
                self._space = asyncio.Event()
            self._space.clear()
            return
        excess = len(queue) - self._notices - self.maxsize
        lost: Counter[str] = Counter()
        if self.policy is Policy.RAISE:
            for _ in range(excess):
                lost[queue.pop().exchange] += 1
        else:
            kept: list[AnyEvent] = []
            for _ in range(excess):
                event = queue.popleft()
                while event.channel is None:
                    kept.append(event)
                    event = queue.popleft()
                lost[event.exchange] += 1
                self._count_loss(event)
            queue.extendleft(reversed(kept))
        self._lost(lost)

    def _count_loss(self, event: AnyEvent) -> None:
        key = _key(event)
        loss = self._losses.get(key)
        if loss is None:
            self._losses[key] = _Loss(event)
        else:
            loss.last = event
            loss.count += 1

    def _lost(self, lost: Mapping[str, int]) -> None:
        for exchange, count in lost.items():
            if self.policy is Policy.RAISE:
                self._overflow += count
            self._dropped += count
            self._owner.overflowed(self, exchange, count)

    def _wants(self, exchange: str, symbol: str) -> bool:
        """Whether something of an instrument is wanted."""
        return any(interest.symbol == symbol for interest in self._interests)

    def discard(
        self, exchange: str, symbol: str, channel: Channel, interval: str | None = None
    ) -> None:
        """Remove what waits of a subscription (of one interval, for candles) no longer wanted."""
        unwanted = exchange, symbol, channel
        elsewhere = self._wants(exchange, symbol)

        def keep(event: AnyEvent) -> bool:
            if event.__class__ is InstrumentChanged:
                return (event.exchange, event.symbol) != unwanted[:2] or elsewhere
            if _key(event) != unwanted:
                return True
            return interval is not None and getattr(event, "interval", None) != interval

        before = self.waiting
        self._queue = deque(filter(keep, self._queue))
        self._newest = OrderedDict((k, e) for k, e in self._newest.items() if keep(e))
        self._losses.pop(unwanted, None)
        if self._next is not None and not keep(self._next):
            self._next = None
        self._discarded += before - self.waiting
        waiting = self._queue if not self._conflating else self._newest.values()
        self._notices = sum(event.channel is None for event in waiting)
        if self._space is not None and len(self._queue) - self._notices < self.maxsize:
            self._space.set()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- backpressure and figures ---

    @property
    def full(self) -> bool:
        """Whether a feed with the policy ``block`` wants its connections to stop reading."""
        return self._space is not None and not self._space.is_set() and not self._closed

    async def space(self) -> None:
        """Wait until the feed is no longer full."""
        if self._space is not None:
            await self._space.wait()

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._newest) + (self._next is not None)

    def status(self) -> FeedStatus:
        return FeedStatus(
            policy=self.policy,
            maxsize=self.maxsize,
            waiting=self.waiting,
            offered=self._offered,
            delivered=self._delivered,
            conflated=self._conflated,
            dropped=self._dropped,
            discarded=self._discarded,
            error=str(self._errors[0]) if self._errors else None,
            latency=self.latency.summary(),
        )


@attrs.define(eq=False)
class _Loss:
    """What was dropped of one subscription and not told yet."""

    last: AnyEvent
    count: int = 1

    def gap(self) -> Gap:
        last, (_, symbol, channel) = self.last, _key(self.last)
        assert channel is not None  # what is about an instrument is never dropped
        now, lost = last.received_time_ns, self.count
        return Gap(last.exchange, symbol, None, now, channel, Reason.OVERFLOW, lost=lost)


class _Reader:
    """Takes one event at a time, so that leaving the loop or cancelling it loses nothing, and a
    cancelled read can be tried again."""

    __slots__ = ("_feed",)

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyEvent:
        feed = self._feed
        while (event := feed._pop()) is None:
            if not await feed._wait():
                raise StopAsyncIteration
        return event


def _key(event: AnyEvent) -> tuple[str, str, Channel | None]:
    """The subscription that an event belongs to; what concerns an instrument has no channel."""
    channel = event.channel
    if channel is None and isinstance(event, Notice):
        channel = event.about
    return event.exchange, event.symbol, channel


def _merged(items: Iterable[tuple[object, AnyEvent]]) -> list[tuple[object, AnyEvent]]:
    """Without notices that are followed by another one of their kind before any data."""
    kept: list[tuple[object, AnyEvent]] = []
    later: dict[tuple[str, str, Channel | None], set[type[AnyEvent]]] = {}
    for place, event in reversed(list(items)):
        if event.channel is not None:
            later.pop(_key(event), None)
        elif event.__class__ is not InstrumentChanged:
            kinds = later.setdefault(_key(event), set())
            if event.__class__ in kinds:
                continue
            kinds.add(event.__class__)
        kept.append((place, event))
    kept.reverse()
    return kept
