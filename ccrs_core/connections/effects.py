"""What a session says: topic states, effects to carry out, and what became of its frames."""

from __future__ import annotations

import enum

import attrs

from ccrs_core.contract.codec import Data, EntryReply, LoginRefused, Outbound, Unchanged
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Reason


class TopicState(enum.StrEnum):
    """How far a topic has come on this connection."""

    PENDING = "pending"
    """Wanted or asked for, not acknowledged yet."""
    ACTIVE = "active"
    """Acknowledged."""
    REFUSED = "refused"
    """Refused."""


# --- Effects (besides codec.Data, which stands for "deliver these events") -------------------


@attrs.frozen
class Send:
    """Send a frame, then call ``sent(request_id)``. A frame of None is a protocol-level ping."""

    frame: Outbound | None
    request_id: str | None = None
    signed: bool = False
    """Whether it is sent as it is; else ``Codec.sign`` has the last word."""


@attrs.frozen
class Acknowledged:
    topic: str


@attrs.frozen
class TopicRefused:
    topic: str
    code: str
    text: str


@attrs.frozen
class Silent:
    """A topic said nothing for ``seconds``; the session is already asking for it anew."""

    topic: str
    seconds: float


@attrs.frozen
class Superseded:
    """So many updates of a topic were replaced by a later one before they were decoded."""

    topic: str
    count: int


@attrs.frozen
class Unreadable:
    """A frame couldn't be read, or hasn't arrived: one of ``topics``, or, where none is named, of
    nobody knows which.

    ``lasting`` are those topics of which several in a row couldn't.
    """

    error: DecodeError
    topics: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    reason: Reason = Reason.UNREADABLE


@attrs.frozen
class Unanswered:
    """What was to be asked for once wasn't granted."""

    name: str
    text: str


@attrs.frozen
class Answered:
    """The exchange has answered what it was asked at a time (s): what it had sent before that on
    this connection has arrived."""

    asked_at: float


@attrs.frozen
class Begun:
    """The connection is open, logged in for where need be: what is to be sent can be."""


@attrs.frozen
class Replace:
    """The exchange will end this connection: open another one before that."""

    reason: str


@attrs.frozen
class Close:
    """Give this connection up. ``fatal`` (a refused login) forbids another attempt."""

    reason: str
    fatal: LoginRefused | None = None


Effect = (
    Data
    | Unchanged
    | Send
    | Acknowledged
    | TopicRefused
    | Silent
    | Superseded
    | Unreadable
    | Unanswered
    | Answered
    | Begun
    | EntryReply
    | Replace
    | Close
)


@attrs.define(eq=False)
class Counters:
    """What became of the frames of a connection: they add up to ``frames``."""

    frames: int = 0
    data: int = 0
    """Frames decoded to events."""
    late: int = 0
    """Copies of what another connection brought first, recognised without decoding."""
    superseded: int = 0
    """Frames that a later one of the same burst replaces, where only the newest is wanted; not
    decoded."""
    control: int = 0
    unrecognised: int = 0
    unwanted: int = 0
    """Data of topics that are not (or no longer) subscribed."""
    unreadable: int = 0
    retired: int = 0
    """Frames of a connection that had already been replaced."""
    rows_left_out: int = 0
    """Rows that couldn't be read, of frames whose others were delivered: besides the frames."""

    def add(self, other: Counters) -> None:
        """Count what others have counted."""
        for field in attrs.fields(Counters):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
