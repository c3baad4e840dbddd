"""Requests that go over a connection, each from when it waits to leave until it is answered. Pure.

One ends in exactly one way: answered, never written, or written and left without an answer. Nothing
is written twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from ccrs_core.contract.codec import EntryReply, Outbound
from ccrs_core.contract.rest import Request


class EntryState(enum.Enum):
    """How far a request has come."""

    WAITING = enum.auto()
    """Nothing of it has left."""
    WRITTEN = enum.auto()
    """It has left, or may have."""
    VOID = enum.auto()
    """Nothing of it has left, and nothing will."""
    ANSWERED = enum.auto()
    LOST = enum.auto()
    """Its connection has ended, or nobody waits for its answer any more; that may still come."""


@attrs.define(eq=False)
class Entry:
    """One request.

    ``frame`` writes it, ``leaves`` is called right before it is written, and keeps it from that by
    raising; ``changed`` whenever it has come further.
    """

    request: Request[Any]
    urgent: bool
    _frame: Callable[[], Outbound]
    _leaves: Callable[[], None]
    _changed: Callable[[], None]
    state: EntryState = EntryState.WAITING
    reply: EntryReply | None = None
    received_ns: int | None = None
    why: str = ""
    """Why it was never written, or why no answer comes."""
    error: Exception | None = None
    """What kept it from being written."""

    @property
    def void(self) -> bool:
        """Whether it isn't to be written."""
        return self.state is not EntryState.WAITING

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state not in (EntryState.WAITING, EntryState.WRITTEN)

    def make(self) -> Outbound | None:
        """The frame, which is written now; None where it isn't to be."""
        if self.void:
            return None
        try:
            frame = self._frame()
            self._leaves()
        except Exception as error:  # a plugin's mistake, or too late: the connection is fine
            self.error = error
            self._go(EntryState.VOID, str(error))
            return None
        self._go(EntryState.WRITTEN)
        return frame

    def unwritten(self, why: str) -> None:
        """What was to be written wasn't, for certain."""
        if self.state is EntryState.WRITTEN:
            self._go(EntryState.VOID, why)

    def withdraw(self, why: str) -> bool:
        """Nobody waits for it any more. Whether it is certain that nothing of it leaves."""
        if self.state is EntryState.WAITING:
            self._go(EntryState.VOID, why)
        elif self.state is EntryState.WRITTEN:
            self._go(EntryState.LOST, why)
        return self.state is EntryState.VOID

    def answer(self, reply: EntryReply, now_ns: int) -> bool:
        """Its answer has come; False where nobody waits for it any more."""
        if self.state is not EntryState.WRITTEN:
            return False
        self.reply, self.received_ns = reply, now_ns
        self._go(EntryState.ANSWERED)
        return True

    def _go(self, state: EntryState, why: str = "") -> None:
        self.state, self.why = state, why
        self._changed()


class OpenEntries:
    """Those of one connection, by request id."""

    LATE = 1000
    """So many of those that nobody waits for any more are kept, in case they are answered late."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._late: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def add(self, request_id: str, entry: Entry) -> None:
        """One more is to leave."""
        self._entries[request_id] = entry

    def settle(self, request_id: str) -> None:
        """Nobody waits for it any more, for whatever reason."""
        entry = self._entries.pop(request_id, None)
        if entry is not None and entry.state is EntryState.LOST:
            self._late[request_id] = entry
            if len(self._late) > self.LATE:
                del self._late[next(iter(self._late))]

    def take(self, reply: EntryReply, now_ns: int) -> Entry | None:
        """An answer has come. The request that it belongs to where nobody waits for it any more;
        an answer to nothing that is known is nobody's."""
        entry = self._entries.get(reply.request_id)
        if entry is not None and entry.answer(reply, now_ns):
            return None
        late = self._late.pop(reply.request_id, None)
        if late is not None:
            late.reply, late.received_ns = reply, now_ns
        return late

    def end(self, why: str) -> None:
        """The connection has ended."""
        for entry in self:
            entry.withdraw(why)
        self._entries.clear()
        self._late.clear()
