"""How a connection begins: with a login, renewed in time, and what is asked for once. Pure."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ccrs_core.connections.effects import Effect, Send, Unanswered
from ccrs_core.contract.codec import Codec, Outbound, Refused
from ccrs_core.transport.patience import Patience

NEVER = float("inf")


class Login:
    """The login of one connection.

    :param frame: makes the frame of a request id; None where nobody logs in.
    """

    def __init__(self, frame: Callable[[str], Outbound | None] | None, patience: float) -> None:
        self._frame = frame
        self._patience = patience
        self._sent_at: float | None = None
        self._renew_at = NEVER

    def begin(self, now: float, new_id: Callable[[], str]) -> list[Effect]:
        """What is to be sent, if anything is."""
        frame = None if self._frame is None else self._frame(new_id())
        self._renew_at = NEVER
        if frame is None:
            return []
        self._sent_at = now
        return [Send(frame, signed=True)]

    def accepted(self, now: float, renew_after: float | None) -> None:
        """The exchange has let us in."""
        self._sent_at = None
        self._renew_at = NEVER if renew_after is None else now + renew_after

    @property
    def due_at(self) -> float:
        """When it is to be made anew."""
        return self._renew_at

    @property
    def overdue_at(self) -> float:
        """When an answer is missing."""
        return NEVER if self._sent_at is None else self._sent_at + self._patience

    def unobserved(self, seconds: float, now: float) -> None:
        """For so long, until now, nothing was read."""
        if self._sent_at is not None:
            self._sent_at = min(self._sent_at + seconds, now)


@attrs.define(eq=False)
class _Open:
    name: str
    attempts: int = 1
    sent_at: float | None = None
    again_at: float = NEVER
    """When it is asked for again, once it was refused for now."""


class Once:
    """What one connection asks for once, and what is unanswered of it."""

    def __init__(self, codec: Codec, patience: Patience, new_id: Callable[[], str]) -> None:
        self._codec = codec
        self._patience = patience
        self._new_id = new_id
        self._open: dict[str, _Open] = {}

    def begin(self) -> list[Effect]:
        """What is to be sent."""
        return [self._ask(_Open(name)) for name in self._codec.once]

    def _ask(self, what: _Open) -> Effect:
        request_id = self._new_id()
        what.sent_at, what.again_at = None, NEVER
        self._open[request_id] = what
        return Send(self._codec.ask_once(what.name, request_id), request_id)

    def sent(self, request_id: str, now: float) -> None:
        """A frame has left."""
        if request_id in self._open:
            self._open[request_id].sent_at = now

    def granted(self, request_id: str | None, topics: tuple[str, ...] | None) -> bool:
        """Whether this is an answer to something of it."""
        return self._settle(request_id, topics) is not None

    def refused(self, refused: Refused, now: float, effects: list[Effect]) -> bool:
        """Whether this is a refusal of something of it."""
        what = self._settle(refused.request_id, refused.topics)
        if what is None:
            return False
        if refused.later and what.attempts < self._patience.ack_attempts:
            what.attempts += 1
            what.sent_at, what.again_at = None, now + self._patience.ack
            self._open[self._new_id()] = what
        else:
            code = f" (code {refused.code})" if refused.code else ""
            effects.append(Unanswered(what.name, f"refused: {refused.text}{code}"))
        return True

    def _settle(self, request_id: str | None, topics: tuple[str, ...] | None) -> _Open | None:
        if request_id is None:
            named = (i for i, each in self._open.items() if each.name in (topics or ()))
            request_id = next(named, "")
        return self._open.pop(request_id, None)

    def _due_at(self, what: _Open) -> float:
        return what.again_at if what.sent_at is None else what.sent_at + self._patience.ack

    @property
    def wake_at(self) -> float:
        """When ``tick`` has something to do."""
        return min(map(self._due_at, self._open.values()), default=NEVER)

    def unobserved(self, seconds: float, now: float) -> None:
        """For so long, until now, nothing was read."""
        for what in self._open.values():
            if what.sent_at is not None:
                what.sent_at = min(what.sent_at + seconds, now)

    def tick(self, now: float, effects: list[Effect]) -> None:
        """Time has passed."""
        due = [(i, what) for i, what in self._open.items() if now >= self._due_at(what)]
        for request_id, what in due:
            del self._open[request_id]
            if what.sent_at is None:
                effects.append(self._ask(what))
            else:
                effects.append(Unanswered(what.name, "not answered"))
