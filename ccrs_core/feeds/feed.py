"""What a consumer holds: the events of its subscriptions, to be read one by one or in batches.

A feed never makes its producers wait: with the policy ``block`` the connection behind it stops
reading instead.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from ccrs_core.errors import CcrsError, FeedClosed, FeedOverflow, SubscriptionRefused, UsageError
from ccrs_core.feeds.backlog import Backlog
from ccrs_core.feeds.freshness import Freshness, checked_seconds
from ccrs_core.feeds.histogram import Histogram
from ccrs_core.feeds.policy import FeedStatus, Policy, PolicyName
from ccrs_core.feeds.readers import Batches, Reader
from ccrs_core.model.events import AnyEvent, InstrumentChanged, Notice, StreamData
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Interest
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock
from ccrs_core.transport.pace import Unhurried

_SHOWN = 3
"""Interests that a feed names when it is printed."""

log = logging.getLogger("ccrs.feed")


MissingName = Literal["raise", "skip"]
"""What becomes of symbols that aren't listed."""


class FeedOwner(Protocol):
    """What a feed asks of its client."""

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def ready(self, feed: Feed, everywhere: bool) -> None: ...
    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook: ...
    def subscribed(self, feed: Feed) -> tuple[Interest, ...]: ...
    def missing(self, feed: Feed) -> dict[str, str]: ...
    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool: ...
    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None: ...


class Feed:
    """Events of one or more subscriptions. Use it in ``async with`` (or :meth:`open` and
    :meth:`aclose`), iterate it with ``async for``.

    Iterating raises what ended the feed: :class:`SubscriptionRefused` (once for each; reading may
    go on with the other subscriptions), :class:`FeedOverflow`, or what brought the client down.
    One consumer at a time.
    """

    freshness: Freshness | None = None
    """What watches its subscriptions where ``stale_after`` is given; for streams."""

    def __init__(
        self,
        owner: FeedOwner,
        interests: Sequence[Interest],
        *,
        connections: int = 1,
        policy: Policy | PolicyName = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        callback: Callable[[AnyEvent], object] | None = None,
        stale_after: float | None = None,
        missing: MissingName = "raise",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        seconds = checked_seconds(stale_after)
        check_count("connections", connections)
        check_count("maxsize", maxsize)
        if callback is not None:
            _check_callable(callback)
        if missing not in ("raise", "skip"):
            raise UsageError(f'missing must be "raise" or "skip", not {missing!r:.100}')
        self.connections = connections
        self.skips_missing = missing == "skip"
        """Whether symbols that aren't listed are left out until they are."""
        self.policy = Policy.named(policy)
        self.maxsize = maxsize
        self._backlog = Backlog(
            self.policy, maxsize, clock.time_ns, self._overflowed, self._relieved
        )
        if seconds is not None:
            self.freshness = Freshness(seconds, clock, Unhurried)
        self._owner = owner
        self._interests = list(dict.fromkeys(checked(interests)))
        self._callback = callback
        self._runner: asyncio.Task[None] | None = None
        self._block: tuple[asyncio.Task[Any], int] | None = None
        """The task that holds the feed open, and its cancellations when it did so."""
        self._interrupted = False
        self._awaiting = False
        self._failure: BaseException | None = None
        self._errors: deque[BaseException] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._space: asyncio.Event | None = None
        self._open = False
        self._closed = False

    # --- life ---

    async def __aenter__(self) -> Self:
        await self.open()
        task = asyncio.current_task()
        if self._runner is not None and task is not None:
            self._block = task, task.cancelling()
        return self

    async def open(self) -> Self:
        """Subscribe without a block, for notebooks and the like; end it with :meth:`aclose`.

        :raises FeedClosed: where it has been opened before.
        :raises CcrsError: what entering the block raises, see :meth:`Client.subscribe`.
        """
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
        block, self._block = self._block, None  # from here on nothing interrupts it
        ours = block is not None and self._interrupted and await self._uninterrupt(*block, error)
        failed: BaseException | None = None
        await self.aclose()
        if runner is not None:
            failed = await self._end_of(runner)
        if failed is not None and (error is None or ours):
            raise failed

    async def _end_of(self, runner: asyncio.Task[None]) -> BaseException | None:
        """What a runner has ended with: by itself now that the feed is closed, unless a callback is
        being awaited."""
        if self._awaiting:
            runner.cancel()
        await asyncio.wait([runner])
        return None if runner.cancelled() else runner.exception()

    @staticmethod
    async def _uninterrupt(
        task: asyncio.Task[Any], before: int, error: BaseException | None
    ) -> bool:
        """Take back the cancellation that ended the block; whether nobody else has cancelled it."""
        alone = task.uncancel() <= before
        if not isinstance(error, asyncio.CancelledError):
            # The block has ended by itself before it took effect: that must not happen elsewhere.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if not alone:
                    raise
            return False
        return alone

    async def aclose(self) -> None:
        """Unsubscribe from everything; what was not read is discarded. Idempotent.

        Of a feed that was opened without a block it raises, once, what its callback did.
        """
        if not self._closed:
            try:
                if self._open:
                    await self._owner.stop(self, self.interests)
            finally:
                self.end()
        runner = self._runner
        if runner is None or self._block is not None or runner is asyncio.current_task():
            return  # a block waits for its runner at its end
        self._runner = None
        if (failed := await self._end_of(runner)) is not None:
            raise failed

    def end(self) -> None:
        """Deliver nothing any more; for the client's end."""
        self._closed = True
        self._open = False
        if self.freshness is not None:
            self.freshness.end()
        self._backlog.clear()
        self._notify()

    @property
    def interests(self) -> tuple[Interest, ...]:
        """What was asked for, patterns included."""
        return tuple(self._interests)

    @property
    def subscribed(self) -> tuple[Interest, ...]:
        """What the feed is subscribed to now: what the patterns stand for, without what is missing;
        empty while it isn't open."""
        return self._owner.subscribed(self)

    @property
    def missing(self) -> dict[str, str]:
        """What was asked for and isn't listed, or what of a pattern was refused, with why it was
        left out, by symbol or pattern. Once it is listed (anew), it is subscribed to."""
        return self._owner.missing(self)

    async def subscribe(self, *interests: Interest) -> None:
        """Add to the feed; what it has already stays undisturbed.

        :raises UnknownInstrument: (and kin) where one is wrong; then none is added.
        """
        new = [i for i in dict.fromkeys(checked(interests)) if i not in self._interests]
        if self._closed:
            raise FeedClosed("the feed is closed")
        if new and self._open:
            await self._owner.start(self, new)
        self._interests.extend(i for i in new if i not in self._interests)

    async def unsubscribe(self, *interests: Interest) -> None:
        """Take away from the feed. Once this returns, nothing of them is delivered any more."""
        gone = [i for i in dict.fromkeys(checked(interests)) if i in self._interests]
        self._interests = [i for i in self._interests if i not in gone]
        if gone and self._open:
            await self._owner.stop(self, gone)

    async def ready(self, *, everywhere: bool = False) -> None:
        """Wait until the exchange has acknowledged every subscription, and every book is valid.

        :param everywhere: on all racing connections, not just on one of them.
        :raises SubscriptionRefused: where it refused one.
        :raises ConnectFailed: where no connection has come about within ``Patience.first`` (the
            feed was told, by ``Stale``). Connecting goes on: call it again to wait on.
        """
        await self._owner.ready(self, everywhere)
        if self._errors:
            raise self._errors.popleft()

    def book(self, symbol: str, depth: int | None = None) -> OrderBook:
        """The live order book of a symbol that this feed subscribes to, of which it has one (by
        ``depth`` you may say which one you expect). It is always as new as the last frame received,
        and so may be ahead of the events still waiting in the feed.

        :raises UsageError: where the feed has no book of that symbol (and depth).
        """
        return self._owner.book(self, symbol, depth)

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return Reader(self._backlog.pop, self._wait)

    def batches(self) -> AsyncIterator[list[AnyEvent]]:
        """All events that have arrived, at one wake-up, in order; never an empty list.

        As with single events, a read that was cancelled, by a timeout say, can be tried again.
        """
        return Batches(self._backlog.drain, self._wait)

    async def each(self, callback: Callable[[AnyEvent], object]) -> None:
        """Call a function with every event, until the feed ends. What it raises ends this.

        What it returns is awaited where it can be, as that of an ``async def`` function, before
        the next event is taken: meanwhile events wait in the feed, under its policy.
        """
        _check_callable(callback)
        pop = self._backlog.pop
        while await self._wait():
            while (event := pop()) is not None:
                result = callback(event)
                if result is not None and inspect.isawaitable(result):
                    self._awaiting = True
                    try:
                        await result
                    finally:
                        self._awaiting = False

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
                self._failure = error
                try:
                    await self.aclose()
                finally:
                    # As a task group does: nobody waits for what never comes any more.
                    if self._block is not None:
                        self._interrupted = self._block[0].cancel()
                raise
        if refused:
            raise refused[0]

    async def _wait(self) -> bool:
        """Wait until there is something to read; False once the feed has ended."""
        while self._backlog.empty:
            self.raise_error()
            if self._closed:
                return False
            if not self._open:
                raise FeedClosed("open the feed first: async with client.subscribe(…) as feed")
            wake = asyncio.get_running_loop().create_future()
            self.wake_by(wake)
            try:
                await wake
            finally:
                self.forget(wake)
        return True

    # --- reading together with others: called by who merges feeds ---

    @property
    def has_callback(self) -> bool:
        """Whether a callback reads it."""
        return self._callback is not None

    @property
    def head_ns(self) -> int | None:
        """When the next event arrived here, None where none waits."""
        return self._backlog.head_ns

    def take(self) -> AnyEvent | None:
        """The next event, None where none waits."""
        return self._backlog.pop()

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._closed and self._backlog.empty and not self._errors

    def wake_by(self, wake: asyncio.Future[None]) -> None:
        """Let this be done as soon as there is something to read."""
        if self._wake is not None and not self._wake.done():
            raise UsageError("somebody reads this feed already; it has one reader at a time")
        self._wake = wake

    def forget(self, wake: asyncio.Future[None]) -> None:
        """It is awaited no more."""
        # A reader that was cancelled may end after its follower has begun to wait.
        if self._wake is wake:
            self._wake = None
        self._backlog.untimed = 0

    def raise_error(self) -> None:
        """Raise what the reader is to know, once."""
        lost, self._backlog.overflow = self._backlog.overflow, 0
        if lost:
            raise FeedOverflow(
                f"the feed was not read for {self.maxsize} events; {lost} were lost "
                "(read faster, or choose another policy)",
                lost,
            )
        if self._errors:
            raise self._errors.popleft()

    # --- writing: called by the streams, never waits ---

    def put(self, events: Sequence[StreamData]) -> None:
        """Offer events of one topic."""
        if not self._closed:
            self._backlog.put(events)
            wake = self._wake
            if wake is not None and not wake.done():
                wake.set_result(None)

    def superseded(self, count: int) -> None:
        """Count events that a newer one, about to be put, has replaced before they were made."""
        if not self._closed:
            self._backlog.superseded(count)

    def notify(self, notice: Notice | InstrumentChanged) -> None:
        """Offer a notice."""
        if not self._closed:
            self._backlog.notify(notice)
            self._notify()

    def fail(self, error: CcrsError) -> None:
        """Let the consumer's next read, after all that waits, raise this; but ``missing`` tells
        what is refused of patterns, or may be missing."""
        if isinstance(error, SubscriptionRefused) and self._owner.goes_without(self, error):
            return
        self._errors.append(error)
        self._notify()

    def broken(self, failure: BaseException) -> None:
        """Let readers know what has brought the client down; the feed is about to be ended."""
        if self._callback is None:
            self._errors.append(failure)
        elif self._failure is None:
            self._failure = failure

    def __repr__(self) -> str:
        wanted = ", ".join(map(str, self._interests[:_SHOWN]))
        if len(self._interests) > _SHOWN:
            wanted += f" and {len(self._interests) - _SHOWN} more"
        state = "closed" if self._closed else "open" if self._open else "not open"
        waiting = f", {self.waiting} waiting" if self._open else ""
        return f"<{type(self).__name__} {wanted or 'of nothing'}: {state}{waiting}>"

    def _overflowed(self, exchange: str, lost: int) -> None:
        self._owner.overflowed(self, exchange, lost)

    def discard(
        self,
        exchange: str,
        symbol: str,
        channel: Channel,
        interval: str | None = None,
        account: str | None = None,
    ) -> None:
        """Remove what waits of a subscription (of one interval, for candles) no longer wanted."""
        elsewhere = self._wants(exchange, symbol)
        self._backlog.discard(
            exchange, symbol, channel, interval, account=account, elsewhere=elsewhere
        )

    def _wants(self, exchange: str, symbol: str) -> bool:
        """Whether something of an instrument is wanted."""
        return any(interest.symbol == symbol for interest in self._interests)

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- backpressure and figures ---

    @property
    def full(self) -> bool:
        """Whether a feed with the policy ``block`` wants its connections to stop reading."""
        return self._backlog.full

    async def space(self) -> None:
        """Wait until the feed is no longer full."""
        if self.full:
            if self._space is None or self._space.is_set():
                self._space = asyncio.Event()
            await self._space.wait()

    def _relieved(self) -> None:
        if self._space is not None:
            self._space.set()

    @property
    def waiting(self) -> int:
        """How many events wait to be read."""
        return self._backlog.waiting

    @property
    def latency(self) -> Histogram:
        """From the arrival of a frame to the consumer, see ``FeedStatus.latency``."""
        return self._backlog.latency

    def status(self) -> FeedStatus:
        error = self._failure or (self._errors[0] if self._errors else None)
        if error is None or isinstance(error, CcrsError):
            return self._backlog.status(None if error is None else str(error))
        return self._backlog.status(repr(error))


def checked(interests: Iterable[Any]) -> list[Interest]:
    """What is asked for, as given.

    :raises UsageError: where something is none of it.
    """
    found: list[Interest] = []
    for interest in interests:
        if not isinstance(interest, Interest):
            if isinstance(interest, str):
                hint = f"which channel of it? Say trades({interest!r}), for one"
            elif isinstance(interest, Iterable):
                hint = "write each by itself, or a star before the list: subscribe(*interests)"
            else:
                hint = "make it by top_of_book(), trades(), order_book() and kin"
            raise UsageError(f"can't subscribe to {interest!r:.200}: {hint}")
        found.append(interest)
    return found


def check_count(what: str, value: Any) -> None:
    """:raises UsageError: unless it is a whole number above zero."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{what} must be a whole number, at least 1, not {value!r}")


def _check_callable(callback: Any) -> None:
    if not callable(callback):
        raise UsageError(f"a callback must be a function of one event, not {callback!r:.200}")
