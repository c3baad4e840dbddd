"""What a connection asks so as to be answered: heartbeats and probes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ccrs_core.connections.effects import Answered, Effect, Send
from ccrs_core.contract.codec import Codec

NEVER = float("inf")
NEVER_YET = float("-inf")


class Asked:
    """Pings and probes that aren't answered yet."""

    LIMIT = 1000
    """Where so many go unanswered, answers prove nothing any more."""

    def __init__(self) -> None:
        self._open: deque[tuple[str, float]] | None = deque()

    def add(self, request_id: str, now: float) -> None:
        """Something was asked."""
        if self._open is not None:
            # None may be left out: without ids, a later answer would seem to be that of another.
            self._open.append((request_id, now))
            if len(self._open) > self.LIMIT:
                self._open = None

    def answered(self, request_id: str | None) -> float | None:
        """When that was asked of which an answer has come, with it all that was asked before; None
        where it is an answer to nothing. Without an id, answers come in the order of the questions.
        """
        waiting = self._open
        if not waiting or (request_id is not None and all(i != request_id for i, _ in waiting)):
            return None
        while True:
            known, asked_at = waiting.popleft()
            if request_id is None or known == request_id:
                return asked_at


class Pings:
    """The heartbeats and probes of one connection."""

    def __init__(self, codec: Codec, new_id: Callable[[], str]) -> None:
        self._codec = codec
        self._new_id = new_id
        self._last = 0.0
        self._asked = Asked()
        self.probed_at = NEVER_YET
        """When the exchange was last asked what it answers at once."""

    def begin(self, now: float) -> None:
        """The connection is open."""
        self._last = now

    @property
    def due_at(self) -> float:
        """When the next heartbeat is."""
        heartbeat = self._codec.heartbeat
        return NEVER if heartbeat is None else self._last + heartbeat.interval

    def ping(self, now: float) -> Effect:
        """Ask for a sign of life."""
        self._last = now
        request_id = self._new_id()
        frame = self._codec.ping(request_id)
        if frame is not None:
            self._expect(request_id, now)
        return Send(frame)

    def probe(self, now: float) -> list[Effect]:
        """Ask what the exchange answers at once, after all that it has sent before."""
        request_id = self._new_id()
        frame = self._codec.probe(request_id)
        if frame is None:
            return []  # nothing answers in the order of what is sent
        self._expect(request_id, now)
        return [Send(frame)]

    def _expect(self, request_id: str, now: float) -> None:
        self.probed_at = now
        self._asked.add(request_id, now)

    def answered(self, request_id: str | None, effects: list[Effect]) -> None:
        """An answer has come."""
        asked_at = self._asked.answered(request_id)
        if asked_at is not None:
            effects.append(Answered(asked_at))
