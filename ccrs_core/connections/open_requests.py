"""The requests of one connection that have not been answered yet. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import attrs

from ccrs_core.contract.codec import Refused
from ccrs_core.model.subscriptions import Subscription

T = TypeVar("T")

INFINITY = float("inf")
MOST_PATIENT = 60.0
"""Seconds between requests that are refused for now, at most."""


@attrs.define(eq=False)
class OpenRequest:
    """A subscribe or unsubscribe request and those of its topics that are unanswered."""

    topics: list[str]
    place: int
    """Its place in the order of all requests of the connection."""
    ends: Sequence[Subscription] = ()
    """What an unsubscribe request ends, to write it anew; empty for those that subscribe."""
    attempts: int = 1
    """The how manieth request it is to end these."""
    sent_at: float | None = None
    """When it left; answers are awaited only from then on."""
    _refusal: str = ""
    _pause: float = 0.0

    @property
    def subscribe(self) -> bool:
        return not self.ends

    @property
    def refused(self) -> bool:
        """Whether it was refused for now."""
        return bool(self._refusal)

    def put_off(self, refused: Refused, attempts: int, patience: float) -> None:
        """The exchange refuses it for now: leave it alone ever longer, since asking may be what
        there is too much of."""
        code = f" (code {refused.code})" if refused.code else ""
        self._refusal = f"{refused.text}{code}"
        longest = max(MOST_PATIENT - patience, 0.0)
        self._pause = min(patience * (2.0 ** min(attempts - 1, 10) - 1), longest)

    def overdue_at(self, patience: float) -> float:
        """When it is to be made again, where no answer comes; infinity until it has left."""
        return INFINITY if self.sent_at is None else self.sent_at + patience + self._pause

    def failure(self, attempts: int) -> str:
        """What has become of it and those before it."""
        if self._refusal:
            return f"refused for now, {attempts} times: {self._refusal}"
        return f"not acknowledged after {attempts} requests"


class Outstanding:
    """Hands out request ids and tells which request an answer belongs to."""

    def __init__(self) -> None:
        self._requests: dict[str, OpenRequest] = {}
        self._next_id = 0
        self._next_place = 0

    def __iter__(self) -> Iterator[OpenRequest]:
        return iter(list(self._requests.values()))

    def new_id(self) -> str:
        """An id that no other request of this connection has."""
        self._next_id += 1
        return str(self._next_id)

    def add(
        self,
        request_id: str,
        topics: list[str],
        *,
        ends: Sequence[Subscription] = (),
        attempts: int = 1,
    ) -> None:
        """Expect an answer to a request."""
        request = OpenRequest(list(topics), self._next_place, ends, attempts)
        self._requests[request_id] = request
        self._next_place += 1

    def get(self, request_id: str) -> OpenRequest | None:
        """The request of an id, while it is unanswered."""
        return self._requests.get(request_id)

    def forget(self, request: OpenRequest) -> None:
        """Expect no answer any more."""
        self._requests = {k: r for k, r in self._requests.items() if r is not request}

    def overdue_at(self, patience: float) -> float:
        """When the first that is unanswered is to be made again."""
        return min((each.overdue_at(patience) for each in self), default=INFINITY)

    def overdue(self, now: float, patience: float) -> list[OpenRequest]:
        """Those that are to be made again; no answer to them is expected any more."""
        found = [each for each in self if now >= each.overdue_at(patience)]
        for each in found:
            self.forget(each)
        return found

    def awaits(self, topic: str) -> bool:
        """Whether an open request subscribes to a topic."""
        return any(r.subscribe and topic in r.topics for r in self._requests.values())

    def ends(self, topic: str) -> bool:
        """Whether an open request unsubscribes from a topic."""
        return any(not r.subscribe and topic in r.topics for r in self._requests.values())

    def ended(self, topic: str, before: OpenRequest) -> None:
        """A topic has ended: the requests for that, up to another one, await no answer any more."""
        for request in self:
            if not request.subscribe and request.place < before.place and topic in request.topics:
                request.topics.remove(topic)
                if not request.topics:
                    self.forget(request)

    def answered(
        self, request_id: str | None, topics: tuple[str, ...] | None
    ) -> tuple[OpenRequest | None, list[str]]:
        """The request that an answer belongs to, and the topics of it that are answered by it."""
        request = self.meant(request_id, topics)
        if request is None:
            return None, []
        answered = [t for t in request.topics if topics is None or t in topics]
        request.topics = [t for t in request.topics if t not in answered]
        if not request.topics:
            self.forget(request)
        return request, answered

    def meant(self, request_id: str | None, topics: tuple[str, ...] | None) -> OpenRequest | None:
        """The request that an answer belongs to."""
        return self._by_topics(topics) if request_id is None else self.get(request_id)

    def _by_topics(self, topics: tuple[str, ...] | None) -> OpenRequest | None:
        """The request that an answer without id belongs to."""
        sent = [r for r in self._requests.values() if r.sent_at is not None]
        if topics is None:
            return sent[0] if len(sent) == 1 else None
        return next((r for r in sent if set(topics) & set(r.topics)), None)


def chunks(items: list[T], size: int, kind: Callable[[T], Hashable]) -> list[list[T]]:
    """The items in lists of one kind each and of at most ``size``; in order within a kind."""
    kinds: dict[Hashable, list[T]] = {}
    for item in items:
        kinds.setdefault(kind(item), []).append(item)
    return [same[i : i + size] for same in kinds.values() for i in range(0, len(same), size)]
