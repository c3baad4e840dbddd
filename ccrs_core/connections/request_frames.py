"""Writes requests to subscribe and to unsubscribe, none larger than the exchange takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ccrs_core.connections.effects import Effect, Send
from ccrs_core.connections.open_requests import Outstanding, chunks
from ccrs_core.connections.wanted import WantedTopic
from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.model.subscriptions import Subscription


class RequestFrames:
    """The requests of one connection.

    :param topics: how many one may name at most.
    :param most_bytes: how long one may be at most, as far as that is in our power: one topic is
        asked for in any case.
    """

    def __init__(
        self, codec: Codec, requests: Outstanding, topics: int, most_bytes: int | None
    ) -> None:
        self._codec = codec
        self._requests = requests
        self._topics = topics
        self._most_bytes = most_bytes

    def batches(self, topics: Iterable[WantedTopic]) -> list[list[WantedTopic]]:
        """What may share a request."""
        kind = self._codec.request_kind
        return chunks(list(topics), self._topics, lambda t: kind(next(iter(t.subscriptions))))

    def subscribe(self, topics: Iterable[WantedTopic], effects: list[Effect]) -> None:
        """Ask for topics."""
        for batch in self.batches(topics):
            for topic in batch:
                topic.attempts += 1
            self._ask(batch, effects)

    def _ask(self, topics: Sequence[WantedTopic], effects: list[Effect]) -> None:
        request_id = self._requests.new_id()
        subscriptions = [each for topic in topics for each in topic.subscriptions]
        frame = self._codec.subscribe(subscriptions, request_id)
        if len(topics) > 1 and self._too_long(frame):
            middle = (len(topics) + 1) // 2
            self._ask(topics[:middle], effects)
            self._ask(topics[middle:], effects)
            return
        self._requests.add(request_id, [topic.name for topic in topics])
        effects.append(Send(frame, request_id))

    def unsubscribe_all(self, subscriptions: Sequence[Subscription], effects: list[Effect]) -> None:
        """End these, in as many requests as it takes."""
        for batch in chunks(list(subscriptions), self._topics, self._codec.request_kind):
            self.unsubscribe(batch, effects)

    def unsubscribe(
        self, subscriptions: Sequence[Subscription], effects: list[Effect], attempts: int = 1
    ) -> None:
        """End these, which may share a request; ``attempts`` counts those to end them."""
        request_id = self._requests.new_id()
        frame = self._codec.unsubscribe(subscriptions, request_id)
        names = list(dict.fromkeys(map(self._codec.topic, subscriptions)))
        if len(names) > 1 and self._too_long(frame):
            early = set(names[: (len(names) + 1) // 2])
            for first in (True, False):
                half = [s for s in subscriptions if (self._codec.topic(s) in early) is first]
                self.unsubscribe(half, effects, attempts)
            return
        self._requests.add(request_id, names, ends=subscriptions, attempts=attempts)
        effects.append(Send(frame, request_id))

    def _too_long(self, frame: Outbound) -> bool:
        if self._most_bytes is None:
            return False
        size = len(frame.encode()) if isinstance(frame, str) else len(frame)
        return size > self._most_bytes
