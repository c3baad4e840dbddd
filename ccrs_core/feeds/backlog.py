"""What waits in a feed to be read: bounded, with a policy for consumers that are too slow. Pure.

Every event is counted once for what became of it; every loss is told in its place.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import attrs

from ccrs_core.feeds.histogram import Histogram
from ccrs_core.feeds.policy import FeedStatus, Policy
from ccrs_core.model.events import (
    AnyEvent,
    Balance,
    Candle,
    Gap,
    InstrumentChanged,
    Notice,
    Reason,
    StreamData,
)
from ccrs_core.model.subscriptions import Channel

_About = tuple[str, str, Channel | None, str | None]
"""Exchange, symbol, channel and account of a subscription."""


class Backlog:
    """Events in the order in which they are to be read; never waits.

    :param overflowed: called with an exchange and how many of its events were lost.
    :param relieved: called when a ``full`` backlog has room again.
    """

    NOTICES: ClassVar[int] = 4096
    """Notices that may wait unread; beyond, those that nothing happened between are merged."""

    UNTIMED: ClassVar[int] = 15
    """Events between two whose latency is noted, while the consumer has no need to wait."""

    def __init__(
        self,
        policy: Policy,
        maxsize: int,
        time_ns: Callable[[], int],
        overflowed: Callable[[str, int], None],
        relieved: Callable[[], None],
    ) -> None:
        self.policy = policy
        self.maxsize = maxsize
        self.full = False
        """With the policy ``block``: no more should be put."""
        self.overflow = 0
        """With the policy ``raise``: how many were lost since that was last told."""
        self.untimed = 0
        """How many events more need no look at the clock."""
        self.latency = Histogram()
        """From the arrival of a frame to the consumer, see ``FeedStatus.latency``."""
        self._time_ns = time_ns
        self._overflowed = overflowed
        self._relieved = relieved
        self._conflating = policy is Policy.CONFLATE
        self._queue: deque[AnyEvent] = deque()
        self._newest: OrderedDict[object, AnyEvent] = OrderedDict()
        self._next: AnyEvent | None = None
        self._losses: dict[_About, _Loss] = {}
        self._notices = 0
        self._notices_limit = self.NOTICES
        self._offered = self._delivered = self._conflated = self._dropped = self._discarded = 0

    # --- reading ---

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read; a loss that hasn't been told is something."""
        return not (self._queue or self._newest or self._losses or self._next is not None)

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._newest) + (self._next is not None)

    @property
    def head_ns(self) -> int | None:
        """When what :meth:`pop` would return arrived, None where nothing waits."""
        if self._next is not None:
            return self._next.received_time_ns
        if self._queue:
            return self._queue[0].received_time_ns
        if self._newest:
            return next(iter(self._newest.values())).received_time_ns
        if self._losses:
            return next(iter(self._losses.values())).last.received_time_ns
        return None

    def pop(self) -> AnyEvent | None:
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
        if self.untimed:
            self.untimed -= 1
        else:
            self._time(event)
        if self.full:
            self._make_room()
        return event

    def drain(self) -> list[AnyEvent]:
        """All that waits."""
        if self._losses or self._next is not None:
            batch = []
            while (event := self.pop()) is not None:
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
        self._make_room()
        return batch

    def _time(self, event: AnyEvent) -> None:
        """Note how long ago an event's frame arrived."""
        self.untimed = self.UNTIMED
        self.latency.record(self._time_ns() - event.received_time_ns)

    # --- writing ---

    def put(self, events: Sequence[StreamData]) -> None:
        """Offer events of one topic."""
        self._offered += len(events)
        if self._conflating:
            newest = self._newest
            for event in events:
                key: object = (event.__class__, event.exchange, event.symbol)
                if event.__class__ is Candle:
                    key = (key, event.interval)
                elif event.__class__ is Balance:
                    key = (key, event.account, event.asset)
                if newest.pop(key, None) is not None:
                    self._conflated += 1
                newest[key] = event
        elif self.overflow:
            self._lost({events[0].exchange: len(events)})
        else:
            queue = self._queue
            queue.extend(events)
            if len(queue) - self._notices > self.maxsize:
                self._overfull()

    def superseded(self, count: int) -> None:
        """Count events that a newer one, about to be put, has replaced before they were made."""
        self._offered += count
        self._conflated += count

    def notify(self, notice: Notice | InstrumentChanged) -> None:
        """Offer a notice; notices are neither conflated nor dropped (but see ``NOTICES``)."""
        self._offered += 1
        self._notices += 1
        if self._conflating:
            self._newest[object()] = notice
        else:
            self._queue.append(notice)
        if self._notices > self._notices_limit:
            self._merge_notices()

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

    def _overfull(self) -> None:
        queue = self._queue
        if self.policy is Policy.BLOCK:
            self.full = True
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
                self.overflow += count
            self._dropped += count
            self._overflowed(exchange, count)

    def discard(
        self,
        exchange: str,
        symbol: str,
        channel: Channel,
        interval: str | None = None,
        *,
        account: str | None = None,
        elsewhere: bool,
    ) -> None:
        """Remove what waits of a subscription (of one interval, for candles) no longer wanted;
        ``elsewhere`` is whether something else of the instrument is."""
        unwanted = exchange, symbol, channel, account

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
        self._make_room()

    def clear(self) -> None:
        """Remove all that waits, for the feed's end."""
        self._discarded += self.waiting
        self._queue.clear()
        self._newest.clear()
        self._losses.clear()
        self._next = None
        self._notices = self.overflow = 0
        self._make_room()

    def _make_room(self) -> None:
        if self.full and len(self._queue) - self._notices < self.maxsize:
            self.full = False
            self._relieved()

    # --- figures ---

    def status(self, error: str | None) -> FeedStatus:
        return FeedStatus(
            policy=self.policy,
            maxsize=self.maxsize,
            waiting=self.waiting,
            offered=self._offered,
            delivered=self._delivered,
            conflated=self._conflated,
            dropped=self._dropped,
            discarded=self._discarded,
            error=error,
            latency=self.latency.summary(),
        )


@attrs.define(eq=False)
class _Loss:
    """What was dropped of one subscription and not told yet."""

    last: AnyEvent
    count: int = 1

    def gap(self) -> Gap:
        last, (_, symbol, channel, account) = self.last, _key(self.last)
        assert channel is not None  # what is about an instrument is never dropped
        now, lost = last.received_time_ns, self.count
        return Gap(
            last.exchange, symbol, None, now, channel, Reason.OVERFLOW, lost=lost, account=account
        )


def _key(event: AnyEvent) -> _About:
    """The subscription that an event belongs to; what concerns an instrument has no channel."""
    channel = event.channel
    if channel is None and isinstance(event, Notice):
        channel = event.about
    return event.exchange, event.symbol, channel, getattr(event, "account", None)


def _merged(items: Iterable[tuple[object, AnyEvent]]) -> list[tuple[object, AnyEvent]]:
    """Without notices that are followed by another one of their kind before any data."""
    kept: list[tuple[object, AnyEvent]] = []
    later: dict[_About, set[type[AnyEvent]]] = {}
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
