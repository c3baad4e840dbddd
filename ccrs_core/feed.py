"""What a consumer holds: a bounded queue of events with a stated policy for when it is too slow.

A feed never makes its producers wait: with the policy ``block`` the connection behind it stops
reading instead. Every loss is counted and, where it is a loss, reported in the feed itself.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

import attrs

from ccrs_core.errors import CcrsError, FeedClosed, FeedOverflow, SubscriptionRefused
from ccrs_core.events import AnyEvent, Gap, MarketData, Notice, Reason
from ccrs_core.model import Channel, Interest
from ccrs_core.orderbook import OrderBook

log = logging.getLogger("ccrs.feed")


class Policy(enum.StrEnum):
    """What happens when a consumer is slower than the market for ``maxsize`` events."""

    DROP_OLDEST = "drop_oldest"
    """The oldest events are dropped; a ``Gap`` in their place says how many."""
    CONFLATE = "conflate"
    """At any time only the newest event per instrument and channel waits: always fresh."""
    BLOCK = "block"
    """Nothing is lost here: the feed has connections of its own, which stop reading. An exchange
    may cut a connection that isn't read for long; then a ``Gap`` tells."""
    RAISE = "raise"
    """``FeedOverflow`` is raised at the place of the loss, once; reading may go on after it."""


@attrs.frozen(kw_only=True)
class FeedStatus:
    """Counters of a feed; offered = delivered + waiting + conflated + dropped + discarded."""

    policy: Policy
    maxsize: int
    waiting: int
    offered: int
    delivered: int
    conflated: int
    dropped: int
    discarded: int
    """Removed unread by an unsubscribe or by closing the feed."""
    error: str | None


class FeedOwner(Protocol):
    """What a feed asks of its client."""

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def ready(self, feed: Feed) -> None: ...
    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook: ...
    def overflowed(self, feed: Feed, lost: int) -> None: ...


class Feed:
    """Events of one or more subscriptions. Use it in ``async with``, iterate it with ``async for``.

    Iterating raises what ended the feed: :class:`SubscriptionRefused` (once for each; reading may
    go on with the other subscriptions), :class:`FeedOverflow`, or what brought the client down.
    One consumer at a time.
    """

    def __init__(
        self,
        owner: FeedOwner,
        interests: Sequence[Interest],
        *,
        connections: int = 1,
        policy: Policy = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        callback: Callable[[AnyEvent], object] | None = None,
    ) -> None:
        self.connections = connections
        self.policy = policy
        self.maxsize = maxsize
        self._owner = owner
        self._interests = list(dict.fromkeys(interests))
        self._callback = callback
        self._runner: asyncio.Task[None] | None = None
        self._queue: deque[AnyEvent] = deque()
        self._newest: dict[object, AnyEvent] = {}
        self._conflating = policy is Policy.CONFLATE
        self._errors: deque[CcrsError] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._space: asyncio.Event | None = None
        self._open = False
        self._closed = False
        self._losses: dict[tuple[str, str, Channel], int] = {}
        self._overflow = 0
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
        self._raise_error()

    def book(self, symbol: str, depth: int | None = None) -> OrderBook:
        """The live order book of a symbol that this feed subscribes to. It is always as new as the
        last frame received, and so may be ahead of the events still waiting in the feed.

        :raises UsageError: where the feed has no book of that symbol (and depth).
        """
        return self._owner.book(self, symbol, depth)

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self._events()

    async def _events(self) -> AsyncIterator[AnyEvent]:
        while not self._closed:
            if self._queue:
                # One by one, so that a loop that is left loses nothing of what it didn't see.
                self._delivered += 1
                yield self._queue.popleft()
                if self._space is not None and len(self._queue) < self.maxsize:
                    self._space.set()
                continue
            batch = await self._take()
            self._delivered -= len(batch)
            self._queue.extendleft(reversed(batch))

    async def batches(self) -> AsyncIterator[list[AnyEvent]]:
        """All events that have arrived, at one wake-up, in order; never an empty list."""
        while not self._closed:
            batch = await self._take()
            if batch:
                yield batch

    async def each(self, callback: Callable[[AnyEvent], object]) -> None:
        """Call a plain function with every event, until the feed ends. What it raises ends this."""
        async for batch in self.batches():
            for event in batch:
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

    async def _take(self) -> list[AnyEvent]:
        while True:
            if self._queue or self._newest or self._losses:
                return self._drain()
            self._raise_error()
            if self._closed:
                return []
            if not self._open:
                raise FeedClosed("open the feed first: async with client.subscribe(…) as feed")
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None

    def _drain(self) -> list[AnyEvent]:
        if self._conflating:
            batch: list[AnyEvent] = list(self._newest.values())
            self._newest.clear()
        else:
            batch = [*self._reports(), *self._queue]
            self._queue.clear()
        self._delivered += len(batch)
        if self._space is not None:
            self._space.set()
        return batch

    def _reports(self) -> list[Gap]:
        """The notices of dropped events, to stand where those would have stood."""
        if not self._losses or self.policy is Policy.RAISE:
            return []
        losses, self._losses = self._losses, {}
        first = self._queue[0] if self._queue else None
        now = first.received_time_ns if first is not None else 0
        self._offered += len(losses)
        return [
            Gap(exchange, symbol, None, now, channel, Reason.OVERFLOW, lost=lost)
            for (exchange, symbol, channel), lost in losses.items()
        ]

    def _raise_error(self) -> None:
        if self._overflow:
            lost, self._overflow = self._overflow, 0
            self._losses.clear()
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
        self._offered += len(events)
        if self._conflating:
            newest = self._newest
            for event in events:
                key = (event.__class__, event.symbol)
                if newest.pop(key, None) is not None:
                    self._conflated += 1
                newest[key] = event
        else:
            queue = self._queue
            queue.extend(events)
            if len(queue) > self.maxsize:
                self._overfull(len(events))
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    def notify(self, notice: Notice) -> None:
        """Offer a notice; notices are neither conflated nor dropped."""
        self._offered += 1
        if self._conflating:
            self._newest[id(notice)] = notice
        else:
            self._queue.append(notice)
        self._notify()

    def fail(self, error: CcrsError) -> None:
        """Let the consumer's next read, after all that waits, raise this."""
        self._errors.append(error)
        self._notify()

    def _overfull(self, added: int) -> None:
        queue = self._queue
        if self.policy is Policy.BLOCK:
            if self._space is None:
                self._space = asyncio.Event()
            self._space.clear()
            return
        lost: list[AnyEvent] = []
        if self.policy is Policy.RAISE:
            excess = min(len(queue) - self.maxsize, added)
            lost = [queue.pop() for _ in range(excess)]
            self._overflow += len(lost)
        else:
            excess = len(queue) - self.maxsize
            kept: list[AnyEvent] = []
            while excess > 0 and queue:
                event = queue.popleft()
                if event.channel is None:
                    kept.append(event)
                else:
                    lost.append(event)
                    excess -= 1
            queue.extendleft(reversed(kept))
            for event in lost:
                assert event.channel is not None
                key = (event.exchange, event.symbol, event.channel)
                self._losses[key] = self._losses.get(key, 0) + 1
        self._dropped += len(lost)
        self._owner.overflowed(self, len(lost))

    def discard(self, symbol: str, channel: Channel) -> None:
        """Remove what waits of a subscription that is no longer wanted."""

        def unwanted(event: AnyEvent) -> bool:
            about = event.channel or getattr(event, "about", None)
            return event.symbol == symbol and about is channel

        before = self.waiting
        self._queue = deque(e for e in self._queue if not unwanted(e))
        self._newest = {k: e for k, e in self._newest.items() if not unwanted(e)}
        self._losses = {k: n for k, n in self._losses.items() if k[1:] != (symbol, channel)}
        self._discarded += before - self.waiting

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
        return len(self._queue) + len(self._newest)

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
        )
