"""What one connection is to carry, and how far it has come. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from ccrs_core.connections.effects import TopicState
from ccrs_core.connections.quiet import BEGINNING, Life
from ccrs_core.model.subscriptions import Subscription

MISREAD = 3
"""Frames in a row whose values can't be read after which a topic counts as not carried."""


@attrs.define(eq=False)
class WantedTopic:
    """A topic that a connection is to carry, and how far it has come."""

    name: str
    subscriptions: dict[Subscription, None]
    max_silence: float | None
    state: TopicState = TopicState.PENDING
    last_data: float | None = None
    """Of the last data, or of the subscribe request where none came yet."""
    since: float | None = None
    """From when on nothing of it can have been missed on this connection, up to its end."""
    had_data: bool = False
    unread: int = 0
    """Frames in a row whose values couldn't be read, ``unread_at`` the last of them."""
    unread_at: float = float("-inf")
    silences: int = 0
    attempts: int = 0
    told: bool = False
    """Whether a missing acknowledgement was told of."""

    def take(self, subscription: Subscription, silence: float | None) -> None:
        """It carries one more."""
        self.subscriptions[subscription] = None
        if silence is not None:
            self.max_silence = min(silence, self.max_silence or silence)

    def drop(
        self, subscription: Subscription, silence: Callable[[Subscription], float | None]
    ) -> bool:
        """It carries one less; whether any is left."""
        del self.subscriptions[subscription]
        left = [s for s in map(silence, self.subscriptions) if s is not None]
        self.max_silence = min(left, default=None)
        return bool(self.subscriptions)

    def first(self, now: float) -> None:
        """It brings something for the first time, or again after a silence."""
        self.had_data = True
        self.silences = 0
        if self.since is None:
            self.since = now

    def accepted(self, now: float) -> None:
        """The exchange has accepted it."""
        self.state = TopicState.ACTIVE
        if self.since is None:
            self.since = now

    def ask_again(self) -> None:
        """It is to be asked for, as if it never was."""
        self.state = TopicState.PENDING
        self.attempts, self.told = 0, False

    def refused_for_now(self) -> None:
        """Nothing is to come of it until it is asked for again: its silence proves nothing."""
        if not self.had_data:
            self.last_data = None

    def begin_anew(self) -> None:
        """It ends, and is to be asked for again: nothing is known of what comes of that."""
        self.ask_again()
        self.had_data = False
        self.since = self.last_data = None

    @property
    def overdue_at(self) -> float:
        """When it has been silent for too long; infinity for never."""
        silence, last = self.max_silence, self.last_data
        if silence is None or last is None or self.state is TopicState.REFUSED:
            return float("inf")
        return last + silence

    @property
    def carried(self) -> bool:
        """Whether it neither fell silent nor can't be read."""
        misread = self.unread >= MISREAD and not self._read_since
        return not (self.silences or misread)

    @property
    def _read_since(self) -> bool:
        return self.last_data is not None and self.last_data >= self.unread_at

    def misread(self, now: float) -> int:
        """Note a frame whose values couldn't be read; how many these are in a row."""
        # ``last_data`` is also set when it is asked for anew.
        self.unread = 1 if self._read_since and not self.silences else self.unread + 1
        self.unread_at = now
        return self.unread


class Wanted:
    """The topics that a connection is to carry."""

    def __init__(self, logged_in: bool) -> None:
        self._topics: dict[str, WantedTopic] = {}
        self._logged_in = logged_in
        self._closed = False
        self._closing = False
        """Whether the exchange has announced its end."""
        self.paused = False
        """Whether nothing is read at present."""
        self.first_data_at: float | None = None
        """When it first brought what it is there for."""

    @property
    def ready(self) -> bool:
        """Whether requests can leave on it, and are taken."""
        return self._logged_in and not self._closing and not self._closed

    def useful(self, now: float) -> None:
        """It brings what it is there for."""
        if self.first_data_at is None:
            self.first_data_at = now

    @property
    def topics(self) -> Mapping[str, TopicState]:
        """States of all wanted topics."""
        return {name: topic.state for name, topic in self._topics.items()}

    def state(self, topic: str) -> TopicState | None:
        entry = self._topics.get(topic)
        return None if entry is None else entry.state

    def settled(self) -> bool:
        """Whether every topic was answered, and those with a cadence have brought data."""
        return self._logged_in and all(
            t.state is TopicState.REFUSED
            or (t.state is TopicState.ACTIVE and (t.had_data or t.max_silence is None))
            for t in self._topics.values()
        )

    def carried_since(self, topic: str) -> float | None:
        """From when on this connection has brought everything of a topic; None where it doesn't."""
        entry = self._topics.get(topic)
        return entry.since if entry is not None and entry.carried else None

    def had_data(self, topic: str) -> bool:
        """Whether anything has come of a topic since it was last asked for."""
        entry = self._topics.get(topic)
        return entry is not None and entry.had_data

    def missed(self, now: float) -> None:
        """Something was lost: nothing counts as carried before this moment."""
        for topic in self._topics.values():
            if topic.since is not None:
                topic.since = now

    def life(self, name: str) -> Life | None:
        """A topic's last sign of life; None where it isn't acknowledged, or nothing is read at
        present."""
        topic = self._topics.get(name)
        if topic is None or self.paused or self._closed:
            return None
        at, since = topic.last_data, topic.since
        if topic.had_data and at is not None:
            found = Life(at, True, since is not None and at >= since + BEGINNING)
        elif topic.state is TopicState.ACTIVE and since is not None:
            found = Life(since, False, False)
        else:
            return None
        # What can't be read isn't silence either.
        return found if topic.unread_at <= found.at else Life(topic.unread_at, True, True)
