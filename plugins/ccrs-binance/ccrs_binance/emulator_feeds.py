"""How the emulated Binance's user data gets out: one sequence of events for each account of a
market, to whoever listens then; nothing is repeated, and nothing has a snapshot.

Answers and events come from different machines: an event may be there before the answer to what
caused it, or a little later.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ccrs_core import NS_PER_MS
from ccrs_core.emulator import Broadcast, Frame, Venue, milliseconds

_BEFORE_THE_ANSWER = 0.3
"""The share of answers that what they caused overtakes."""
_SLOWEST_NS = 12 * NS_PER_MS
Event = dict[str, Any]
Wrap = Callable[[Event], Event]


class UserStream(Broadcast):
    """One subscription of one connection.

    :param wrap: what is written around an event.
    :param kinds: which events it wants; none: all.
    """

    def __init__(self, feed: UserFeed, topic: str, wrap: Wrap, kinds: frozenset[str]) -> None:
        super().__init__(topic, ())
        self._feed = feed
        self._wrap = wrap
        self._kinds = kinds
        feed.streams[self] = None

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def leave(self, listener: Any) -> None:
        super().leave(listener)
        self._feed.streams.pop(self, None)

    def write(self, event: Event) -> None:
        """Send an event, where it is of a kind that is wanted."""
        if self._kinds and event["e"] not in self._kinds:
            return
        frame = Frame.json(self._wrap(event))
        for subscriber in tuple(self.subscribers):
            subscriber.send(frame, self.topic)


class UserFeed:
    """What is told of one account of one market. Events of a lane leave in the order in which they
    came; lanes aren't ordered against each other."""

    def __init__(self, venue: Venue, name: str) -> None:
        self.streams: dict[UserStream, None] = {}
        self._venue = venue
        self._rng = random.Random(f"{venue.seed}/user data/{name}")
        self._lanes: dict[str, deque[Event]] = {}

    def tell(self, event: Event, now_ns: int, lane: str = "") -> bool:
        """Send an event to whoever listens when its turn comes; False where nobody does."""
        if not self.streams:
            return False
        waiting = self._lanes.setdefault(lane, deque())
        waiting.append(event)
        if len(waiting) == 1:
            due_ns = now_ns + self._rng.randrange(1, _SLOWEST_NS)
            self._venue.at(due_ns, lambda now_ns: self._flush(waiting, now_ns))
        return True

    def hurry(self, now_ns: int) -> None:
        """Something is about to be answered: perhaps what it caused is told first."""
        for waiting in self._lanes.values():
            if waiting and self._rng.random() < _BEFORE_THE_ANSWER:
                self._flush(waiting, now_ns)

    def _flush(self, waiting: deque[Event], now_ns: int) -> None:
        while waiting:
            event = waiting.popleft()
            event["E"] = milliseconds(now_ns)
            for stream in tuple(self.streams):
                stream.write(event)


class UserFeeds:
    """The feeds of all accounts."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._feeds: dict[str, UserFeed] = {}

    def of(self, account: str) -> UserFeed:
        found = self._feeds.get(account)
        if found is None:
            found = self._feeds[account] = UserFeed(self._venue, account)
        return found
