"""The topics of an account's private streams, and how what is said of them travels: each by its own
way, so that topics aren't ordered against each other, nor against answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from ccrs_core import NS_PER_MS
from ccrs_core.emulator import Broadcast, Frame, Venue, milliseconds

_AT_ONCE = 0.3
"""The share of messages that leave at once, before anything else that happens then is told."""
_SLOWEST_NS = 15 * NS_PER_MS
_MOST_ROWS = 20
Make = Callable[[], dict[str, Any]]


class AccountFeed(Broadcast):
    """One topic of one account; what it says is made elsewhere.

    :param merges: whether rows that come while others wait go along in one message.
    """

    def __init__(self, venue: Venue, account: str, topic: str, *, merges: bool = True) -> None:
        super().__init__(topic, ())
        self._venue = venue
        self._rng = random.Random(f"{venue.seed}/{account}/{topic}")
        self._prefix = f"{self._rng.getrandbits(64):016x}"
        self._merges = merges
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self._count = 0
        self._due_ns = 0

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def tell(self, row: dict[str, Any], now_ns: int) -> None:
        """Send a row to whoever listens then, after those before it."""
        if not self.subscribers:
            return
        waits = bool(self._rows)
        self._rows.append((now_ns, row))
        if waits:
            return
        if self._rng.random() < _AT_ONCE:
            self._flush(now_ns)
        else:
            self._venue.at(now_ns + self._rng.randrange(_SLOWEST_NS), self._flush)

    def _flush(self, now_ns: int) -> None:
        rows, self._rows = [row for _, row in self._rows], []
        step = _MOST_ROWS if self._merges and self._rng.random() < 0.7 else 1
        for start in range(0, len(rows), step):
            self._write(rows[start : start + step], now_ns)

    def _write(self, rows: list[dict[str, Any]], now_ns: int) -> None:
        self._count += 1
        ms = milliseconds(now_ns)
        message: dict[str, Any] = {"topic": self.topic, "creationTime": ms, "data": rows}
        if not self.topic.startswith("execution.fast"):
            message = {"id": f"{self._prefix}-{self._count}-{ms}", **message}
        frame = Frame.json(message)
        for subscriber in tuple(self.subscribers):
            subscriber.send(frame, self.topic)


class AccountFeeds:
    """The feeds of all accounts; each is made when it is first subscribed to."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._feeds: dict[tuple[str, str], AccountFeed] = {}

    def feed(self, account: str, topic: str) -> AccountFeed:
        found = self._feeds.get((account, topic))
        if found is None:
            merges = topic != "wallet"
            found = AccountFeed(self._venue, account, topic, merges=merges)
            self._feeds[account, topic] = found
        return found

    def tell(
        self,
        account: str,
        kind: str,
        category: str,
        make: Make,
        now_ns: int,
    ) -> None:
        """Send a row on a kind's topic of all categories, and on that of its category; it is made
        where anybody listens."""
        for topic in (kind, f"{kind}.{category}") if category else (kind,):
            feed = self._feeds.get((account, topic))
            if feed is not None and feed.subscribers:
                feed.tell(make(), now_ns)
