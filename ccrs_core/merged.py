"""One feed that several exchanges' streams write into.

A :class:`~ccrs_core.feed.Feed` tells subscriptions apart by symbol and channel. Where exchanges
share symbols that isn't enough, so this one goes by the exchange, too: what waits, is conflated,
lost or taken away is always one exchange's.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ccrs_core.events import AnyEvent, Candle, InstrumentChanged, MarketData
from ccrs_core.feed import Feed, FeedOwner, _key, _Loss, _merged
from ccrs_core.model import Channel, Interest
from ccrs_core.policy import Policy
from ccrs_core.qualified import qualified


class MergedFeedOwner(FeedOwner, Protocol):
    """What a merged feed asks of its clients."""

    def qualify(self, interests: Iterable[Interest]) -> list[Interest]:
        """One interest for each exchange that is meant, its symbol with the exchange in front."""


class MergedFeed(Feed):
    """Events of several exchanges in the order in which they arrived; each names its exchange.

    It does what every :class:`Feed` does. Symbols are written ``exchange:SYMBOL`` when something is
    subscribed to, taken away or looked up; without an exchange they mean all of them. Events have
    the plain symbol.
    """

    def __init__(self, owner: MergedFeedOwner, interests: Iterable[Interest], **how: Any) -> None:
        self._qualify = owner.qualify
        self._putting = ""
        self._lost_by: Counter[str] = Counter()
        super().__init__(owner, owner.qualify(interests), **how)
        # The other policies write as every feed does, at no cost.
        if self.policy is Policy.CONFLATE:
            self.put = self._put_newest  # type: ignore[method-assign]
        elif self.policy is Policy.RAISE:
            self.put = self._put_noted  # type: ignore[method-assign]

    async def subscribe(self, *interests: Interest) -> None:
        await super().subscribe(*self._qualify(interests))

    async def unsubscribe(self, *interests: Interest) -> None:
        await super().unsubscribe(*self._qualify(interests))

    # --- reading ---

    def _pop(self) -> AnyEvent | None:
        # As in the class above, which knows of no exchange and finds no loss under its keys.
        if self._losses and self._next is None and self._queue:
            loss = self._losses.pop(_place(self._queue[0]), None)
            if loss is not None:
                self._next = self._queue.popleft()
                self._notices -= self._next.channel is None
                self._offered += 1
                self._delivered += 1
                return loss.gap()
        return super()._pop()

    # --- writing ---

    def _put_newest(self, events: Sequence[MarketData]) -> None:
        if self._closed:
            return
        self._offered += len(events)
        newest = self._newest
        for event in events:
            interval = event.interval if isinstance(event, Candle) else None
            key = (event.__class__, event.exchange, event.symbol, interval)
            if newest.pop(key, None) is not None:
                self._conflated += 1
            newest[key] = event
        self._notify()

    def _put_noted(self, events: Sequence[MarketData]) -> None:
        # What can't be taken any more is what is being put.
        self._putting = events[0].exchange
        super().put(events)

    def _count_loss(self, event: AnyEvent) -> None:
        self._lost_by[event.exchange] += 1
        key = _place(event)
        loss = self._losses.get(key)
        if loss is None:
            self._losses[key] = _Loss(event)
        else:
            loss.last = event
            loss.count += 1

    def losers(self, lost: int) -> Counter[str]:
        """Of which exchanges so many events were lost just now."""
        found, self._lost_by = self._lost_by, Counter()
        return found or Counter({self._putting: lost})

    def _merge_notices(self) -> None:
        items: Iterable[tuple[object, AnyEvent]] = enumerate(self._queue)
        waiting = list(self._newest.items() if self._conflating else items)
        kept: set[object] = set()
        for exchange in {event.exchange for _, event in waiting}:
            own = [(n, e) for n, (_, e) in enumerate(waiting) if e.exchange == exchange]
            kept.update(n for n, _ in _merged(own))
        left = [each for n, each in enumerate(waiting) if n in kept]
        if self._conflating:
            self._newest = OrderedDict(left)
        else:
            self._queue = deque(event for _, event in left)
        self._conflated += len(waiting) - len(left)
        self._notices -= len(waiting) - len(left)
        self._notices_limit = max(self.NOTICES, 2 * self._notices)

    def discard(self, symbol: str, channel: Channel, interval: str | None = None) -> None:
        """Nothing: the exchange isn't told here. See :meth:`withdraw`."""

    def withdraw(self, exchange: str, interest: Interest) -> None:
        """Remove what waits of an exchange's subscription that is no longer wanted."""
        symbol, channel, interval = interest.symbol, interest.channel, interest.interval
        name = qualified(exchange, symbol)
        elsewhere = any(each.symbol == name for each in self._interests)

        def keep(event: AnyEvent) -> bool:
            if event.exchange != exchange or event.symbol != symbol:
                return True
            if isinstance(event, InstrumentChanged):
                return elsewhere
            if _key(event)[1] is not channel:
                return True
            return interval is not None and getattr(event, "interval", None) != interval

        before = self.waiting
        self._queue = deque(filter(keep, self._queue))
        self._newest = OrderedDict((k, e) for k, e in self._newest.items() if keep(e))
        self._losses.pop((name, channel), None)
        if self._next is not None and not keep(self._next):
            self._next = None
        self._discarded += before - self.waiting
        waiting = self._newest.values() if self._conflating else self._queue
        self._notices = sum(event.channel is None for event in waiting)
        if self._space is not None and len(self._queue) - self._notices < self.maxsize:
            self._space.set()


def _place(event: AnyEvent) -> tuple[str, Channel | None]:
    """The subscription that an event belongs to, and its exchange."""
    symbol, channel = _key(event)
    return qualified(event.exchange, symbol), channel
