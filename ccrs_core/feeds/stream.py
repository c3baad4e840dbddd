"""One subscription's consumers: they get its events, and notices where its continuity is broken.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from ccrs_core.errors import CcrsError, SubscriptionRefused
from ccrs_core.feeds.freshness import Told, Watch
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import (
    Balance,
    BookUpdate,
    Candle,
    Funding,
    Gap,
    Greeks,
    IndexPrice,
    InstrumentNews,
    Liquidation,
    MarkPrice,
    Notice,
    OpenInterest,
    Reason,
    Resumed,
    Stale,
    StreamData,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.subscriptions import Channel, Subscription

EVENT_OF: dict[Channel, type[StreamData]] = {
    Channel.TOP_OF_BOOK: TopOfBook,
    Channel.TRADES: Trade,
    Channel.BOOK: BookUpdate,
    Channel.TICKER: Ticker,
    Channel.CANDLES: Candle,
    Channel.FUNDING: Funding,
    Channel.MARK_PRICE: MarkPrice,
    Channel.GREEKS: Greeks,
    Channel.INDEX_PRICE: IndexPrice,
    Channel.OPEN_INTEREST: OpenInterest,
    Channel.LIQUIDATIONS: Liquidation,
    Channel.INSTRUMENTS: InstrumentNews,
    Channel.BALANCES: Balance,
}

STATES = frozenset(
    {
        *(Channel.TOP_OF_BOOK, Channel.TICKER, Channel.FUNDING, Channel.MARK_PRICE),
        *(Channel.GREEKS, Channel.INDEX_PRICE, Channel.OPEN_INTEREST),
    }
)
"""Channels whose updates tell the whole state."""


class Consumer(Protocol):
    """Whom a stream delivers to: a feed, or who passes on to one what it wants of it."""

    @property
    def policy(self) -> Policy: ...
    def put(self, events: Sequence[StreamData]) -> None: ...
    def superseded(self, count: int) -> None: ...
    def notify(self, notice: Notice) -> None: ...
    def fail(self, error: CcrsError) -> None: ...


@attrs.define(eq=False)
class Stream:
    """One subscription's consumers and its continuity."""

    subscription: Subscription
    exchange: str
    feeds: list[Consumer] = attrs.field(factory=list)
    delivered: int = 0
    gaps: int = 0
    stales: int = 0
    stale_since_ns: int | None = None
    interrupted: Reason | None = None
    """Why updates may be missing before the next one."""
    last_sequence: int | None = None
    last_received_ns: int | None = None
    latest: StreamData | None = None
    dead: bool = False
    """Whether it was found to say nothing although something had happened, and has not spoken
    since: an acknowledgement proves nothing of it."""
    acknowledged: bool = False
    """Whether the exchange has ever accepted the subscription: from then on updates count."""
    silenced: bool = False
    """Whether it was last found stale for saying nothing, which its exchange doesn't do."""
    refused: bool = False
    """Whether the exchange has refused the subscription, which its feeds were told."""
    repeated: int = 0
    """How often feeds with a :class:`Watch` were to know that what was delivered still holds."""
    repeated_ns: int | None = None
    watches: dict[Told, Watch] = attrs.field(factory=dict)
    """Those of feeds that have their own idea of how fresh data must be."""
    hushed: list[Watch] = attrs.field(factory=list)
    """Those for which it has been silent for too long."""
    _stale: Stale | None = None
    """The notice of the last time that it became stale."""

    def passed(self, events: Sequence[StreamData], number: int | None) -> None:
        """Note events that are being put into the feeds; ``number`` is the exchange's of the last
        of them."""
        self.delivered += len(events)
        self.latest = last = events[-1]
        self.last_received_ns = last.received_time_ns
        if number is not None:
            self.last_sequence = number

    def put(self, events: Sequence[StreamData], number: int | None = None) -> None:
        """Deliver events, after the notices that are due before them; ``number`` is the exchange's
        of the last of them."""
        if self.interrupted is not None or self.stale_since_ns is not None or self.hushed:
            self.wake(events[-1].received_time_ns, getattr(events[0], "sequence", None))
        self.delivered += len(events)  # as in passed(), whose call would be felt
        self.latest = last = events[-1]
        self.last_received_ns = last.received_time_ns
        if number is not None:
            self.last_sequence = number
        for feed in self.feeds:
            feed.put(events)

    def reached(self, number: int | None) -> None:
        """What was delivered last has this number, None where it has none."""
        self.last_sequence = number

    @property
    def broken(self) -> bool:
        """Whether what was delivered isn't known to go on."""
        return self.stale_since_ns is not None or self.interrupted is not None

    def alone(self) -> tuple[Stream]:
        """This one; for a :class:`Watch` of what nothing else tells about."""
        return (self,)

    @property
    def last_exchange_time_ns(self) -> int | None:
        return None if self.latest is None else self.latest.exchange_time_ns

    @property
    def replaceable(self) -> bool:
        """Whether each update replaces the one before, and all consumers want the newest alone."""
        return (
            self.subscription.channel in STATES
            and bool(self.feeds)
            and all(feed.policy is Policy.CONFLATE for feed in self.feeds)
        )

    def superseded(self, count: int) -> None:
        """Updates were replaced by a later one that is about to be delivered."""
        for feed in self.feeds:
            feed.superseded(count)

    def notify(self, notice: Notice) -> None:
        for feed in self.feeds:
            feed.notify(notice)

    def gap(self, reason: Reason, next_sequence: int | None, now_ns: int) -> None:
        """Say that updates may be missing between the last one delivered and the next."""
        self.gaps += 1
        self.notify(
            Gap(
                self.exchange,
                self.subscription.symbol,
                self.last_exchange_time_ns,
                now_ns,
                self.subscription.channel,
                reason,
                self.last_sequence,
                next_sequence,
                account=self.subscription.account,
            )
        )

    def interrupt(self, reason: Reason) -> None:
        """Updates may be missing from here on, if there can have been any before."""
        if (self.delivered or self.acknowledged) and self.interrupted is None:
            self.interrupted = reason

    def follows(self) -> None:
        """Whatever happened, nothing is missing before the next update."""
        self.interrupted = None

    def accepted(self) -> None:
        """The exchange has accepted the subscription."""
        self.acknowledged = True
        self.refused = False

    def refuse(self, error: SubscriptionRefused) -> None:
        """The exchange has refused the subscription: tell the feeds."""
        self.refused = True
        for feed in self.feeds:
            feed.fail(error)

    def found_dead(self) -> None:
        """It said nothing although something had happened."""
        self.dead = True

    def excused(self) -> None:
        """What it was found dead on is gone, and explains it."""
        self.dead = False

    def stale(self, reason: Reason, now_ns: int, silent_ns: int | None = None) -> None:
        """Say, once, that what was delivered last may be out of date."""
        self.silenced = reason is Reason.SILENT
        if self.stale_since_ns is not None:
            return
        self.stale_since_ns = now_ns
        self.stales += 1
        if silent_ns is None and self.last_received_ns is not None:
            silent_ns = max(now_ns - self.last_received_ns, 0)
        self._stale = self.stale_notice(reason, now_ns, silent_ns)
        for feed in self.feeds:
            self.welcome(feed)

    def welcome(self, feed: Consumer) -> None:
        """Tell a feed that the stream is stale, if it is."""
        notice, watch = self._stale, self.watches.get(feed)
        if notice is None or self.stale_since_ns is None:
            return
        if watch is None:
            feed.notify(notice)
        else:
            watch.stale(notice)

    def stale_notice(self, reason: Reason, now_ns: int, silent_ns: int | None) -> Stale:
        return Stale(
            self.exchange,
            self.subscription.symbol,
            self.last_exchange_time_ns,
            now_ns,
            self.subscription.channel,
            reason,
            silent_ns,
            self.subscription.account,
        )

    def resumed(self, now_ns: int, since_ns: int) -> Resumed:
        """The notice that it isn't stale any more, as it was since a time."""
        return Resumed(
            self.exchange,
            self.subscription.symbol,
            self.last_exchange_time_ns,
            now_ns,
            self.subscription.channel,
            max(now_ns - since_ns, 0),
            self.subscription.account,
        )

    def resume(self, now_ns: int, next_sequence: int | None, *, gap: bool = True) -> None:
        """Say that data flows again and (``gap``) what may be missing, where either is due. Without
        ``gap`` that has yet to be seen."""
        self.dead = False
        if self.interrupted is not None and gap:
            self.gap(self.interrupted, next_sequence, now_ns)
            self.interrupted = None
        since, self.stale_since_ns = self.stale_since_ns, None
        if since is not None:
            for feed in self.feeds:
                watch = self.watches.get(feed)
                if watch is None:
                    feed.notify(self.resumed(now_ns, since))
                else:
                    watch.resume(now_ns)

    def wake(self, now_ns: int, next_sequence: int | None) -> None:
        """:meth:`resume`, where the stream was heard: nobody calls it silent any more."""
        hushed, self.hushed = self.hushed, []
        for watch in hushed:
            watch.silent = False
        self.resume(now_ns, next_sequence)
        for watch in hushed:
            watch.resume(now_ns)

    def repeat(self, now_ns: int) -> None:
        """What was delivered last still holds: that is as good as data, for how fresh it is."""
        self.repeated += 1
        self.repeated_ns = now_ns
