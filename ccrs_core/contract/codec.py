"""The sans-I/O contract of one WebSocket connection: frames in, messages out, and back.

A codec does no I/O, reads no clock, draws no random numbers: the same calls give the same answers.
Each connection gets a fresh one, so nothing stale can survive a reconnect. Timers, request and ack
matching, resubscription, limits and book assembly are the core's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import attrs

from ccrs_core.contract.compression import Compression
from ccrs_core.model import checks

if TYPE_CHECKING:
    from ccrs_core.contract.access import Access
    from ccrs_core.contract.rest import Answer, Request
    from ccrs_core.model.events import StreamData
    from ccrs_core.model.reports import Report
    from ccrs_core.model.subscriptions import Subscription

Outbound = str | bytes
"""A frame to send: text frames are str, binary frames bytes. (Received ones are always bytes.)"""


@attrs.define(slots=True)
class Data:
    """Events of one topic, in the exchange's order, all of one type and never empty.

    ``sequence`` is the number by which repeats are recognised: within the topic, a frame whose
    number isn't above the last delivered one brings nothing new. None where repeats can't occur or
    are recognised by trade id. (The core puts the bytes of ``Codec.peek`` there.) ``restart`` says
    that the exchange began to count anew here. ``peek_agrees``: ``Codec.peek`` says the same of the
    frame, or could (decoding depends on no earlier frame, and no later one on this), so that the
    core may spare itself asking.
    """

    topic: str
    events: Sequence[StreamData]
    sequence: int | bytes | None = None
    restart: bool = False
    peek_agrees: bool = attrs.field(default=False, eq=False, repr=False)


def account_data(topic: str, reports: Sequence[Report], sequence: int | None = None) -> Data:
    """Reports of one of an account's topics, in the exchange's order, never empty: what private
    streams bring in the place of events. The core makes events of them."""
    return Data(topic, cast("Sequence[StreamData]", reports), sequence)


@attrs.frozen
class Unchanged:
    """A frame of a topic that says what is known already: the topic lives, and there is no event.

    For streams that repeat themselves, such as a funding rate that is told every second. Without
    it they would count as silent.
    """

    topic: str


@attrs.frozen
class LeftOut:
    """A row of a frame that can't be read, of a topic whose other rows are ``Data`` beside it: it
    is counted, and told as a ``Gap`` at its place. For rows that say something each by itself, such
    as trades; see :func:`ccrs_core.wire.row_by_row`."""

    topic: str
    reason: str


@attrs.frozen
class Lost:
    """Something that was sent on this connection hasn't arrived: of ``topics``, or of nobody knows
    which, so of any that it carries. It stands before what came after it.

    For exchanges that count the messages of a connection. A codec that counts must see each frame:
    its ``peek`` returns None.
    """

    reason: str
    topics: tuple[str, ...] | None = None


@attrs.frozen
class Ack:
    """The exchange accepted the request, or just the named topics of it.

    ``request_id`` is None where the exchange doesn't repeat it: then ``topics`` are named.
    """

    request_id: str | None
    topics: tuple[str, ...] | None = None


@attrs.frozen
class Refused:
    """The exchange refused the request, or just the named topics of it.

    ``later``: not for good, but for now (too many requests, busy, restarting): the core asks again
    after a while, and tells only where that goes on.
    """

    request_id: str | None
    code: str
    text: str
    topics: tuple[str, ...] | None = None
    later: bool = False


@attrs.frozen
class LoggedIn:
    """The login was accepted: for good, or until it has to be made anew ``renew_after`` seconds
    from now (by ``Codec.login``, which may then write another frame)."""

    renew_after: float | None = None


@attrs.frozen
class LoginRefused:
    """The login was refused. Terminal: the core doesn't try again, unless it is ``later``: refused
    but for now (too many logins, busy, restarting)."""

    code: str
    text: str
    later: bool = False


@attrs.frozen
class Reply:
    """Send this frame (an answer to the server's ping, say)."""

    frame: Outbound


@attrs.frozen
class Alive:
    """A sign of life without data, which nobody has asked for."""


@attrs.frozen
class Pong(Alive):
    """The answer to :meth:`Codec.ping` or :meth:`Codec.probe`: what the exchange had sent before it
    has arrived. Never what it sends of its own accord, which is :class:`Alive`.

    ``request_id`` is that of the ping, where the exchange repeats it; without one, answers are
    taken to come in the order of the pings.
    """

    request_id: str | None = None


@attrs.frozen
class Closing:
    """The exchange announces that it will end this connection: replace it before that."""

    reason: str


@attrs.frozen
class EntryReply:
    """The answer to a request that was sent by :meth:`Codec.entry`. ``content`` is read by
    :meth:`Codec.entry_answer`; the core only matches it. ``headers`` is what it says in the manner
    of HTTP headers, names in lower case, for ``Exchange.pools_left``."""

    request_id: str
    content: Any
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Unrecognised:
    """A well-formed frame that the codec has no use for; counted, never an error."""

    what: str


Message = (
    Data
    | Unchanged
    | LeftOut
    | Lost
    | Ack
    | Refused
    | LoggedIn
    | LoginRefused
    | Reply
    | Alive
    | Pong
    | Closing
    | EntryReply
    | Unrecognised
)
"""What a codec reads out of a frame."""


@attrs.frozen
class Heartbeat:
    """Send ``Codec.ping()`` every ``interval`` seconds.

    Where nothing at all is received for ``interval + timeout`` seconds the connection is dead.

    :raises UsageError: where one of the two isn't above zero.
    """

    interval: float = attrs.field(validator=checks.positive_seconds)
    timeout: float = attrs.field(validator=checks.positive_seconds)


class Codec(ABC):
    """Translator of one connection. Implement the abstract methods; override the rest as needed."""

    heartbeat: ClassVar[Heartbeat | None] = None
    once: ClassVar[tuple[str, ...]] = ()
    """Names of what each connection asks for once, after the login and before any subscription: a
    heartbeat of the server's, or that orders are cancelled when the connection ends. An
    :class:`Ack` or :class:`Refused` of its request id answers it, or one that has its name among
    the ``topics``; what isn't answered, or is refused, is told (``ccrs_request_unanswered``), and
    the connection goes on."""
    compression: ClassVar[Compression | None] = None
    """Where the exchange compresses each frame's content: the core inflates it, so that ``decode``
    and ``peek`` get the content."""

    @abstractmethod
    def topic(self, subscription: Subscription) -> str:
        """The exchange's name of the stream that carries a subscription, unique on its route.

        Several subscriptions may share one topic (funding and mark price in a ticker, say).
        """

    def request_kind(self, subscription: Subscription) -> Hashable:
        """Only subscriptions of one kind share a request. By default all may: override it where a
        request names one channel, or one depth, for all of its symbols."""
        return None

    @abstractmethod
    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """One frame that subscribes to all of them; never more than ``Route.topics_per_request``.

        ``request_id`` is decimal digits, for exchanges whose ids are numbers, and rises.
        From this call on, frames of their topics decode to their events.
        """

    @abstractmethod
    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """One frame that ends all of them; afterwards their frames are ``Unrecognised``."""

    @abstractmethod
    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        """What a received frame says. Unknown fields, topics and enum values are never errors.

        :raises DecodeError: where the bytes are malformed, whatever they are; nothing else.
        """

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        """The short way by which ``decode`` reads the usual frames of a subscribed topic: what it
        says of (frame, received_time_ns), None of a frame that goes the general way. None where the
        topic has none. Only to be measured: the core calls ``decode`` alone.
        """
        return None

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """Tell cheaply, without decoding, what a data frame is a copy of, for racing.

        Returns (topic, number, restart). ``number`` is the same for copies of one update on all
        connections: an int rises within the topic, so that a copy with a number not above the last
        one is late; bytes identify an update among the recent ones (trades). ``restart`` as in
        :class:`Data`. None where the frame is no data frame, or where decoding it depends on
        earlier frames of the same connection, so that it must be decoded in any case.
        """
        return None

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        """Leave out frames that a later one of the same burst replaces, and count them by topic.

        Only frames of the ``replaceable`` topics may be left out, and only where a later frame with
        a greater number tells the topic's whole state, with no restart from there to it. What it
        can't judge, it keeps. Should that later frame say nothing after all, the core decodes those
        left out, the newest first. By default it goes by ``peek``: override it where the exchange's
        spelling allows a whole burst to be judged at once.
        """
        newest: dict[str, int] = {}
        superseded: dict[str, int] = {}
        kept: list[bytes] = []
        for frame in reversed(frames):
            peeked = self.peek(frame)
            if peeked is None:
                newest.clear()  # it may build on any frame before it
            else:
                name, number, restart = peeked
                if isinstance(number, int) and name in replaceable:
                    later = newest.get(name)
                    if restart:
                        newest.pop(name, None)
                    elif later is None or number >= later:
                        newest[name] = number
                    else:
                        superseded[name] = superseded.get(name, 0) + 1
                        continue
            kept.append(frame)
        kept.reverse()
        return kept, superseded

    def ask_once(self, name: str, request_id: str) -> Outbound:
        """The frame of one of ``once``."""
        raise LookupError(name)

    def ping(self, request_id: str) -> Outbound | None:
        """The heartbeat frame, where ``heartbeat`` is set. None sends a protocol-level ping."""
        return None

    def probe(self, request_id: str) -> Outbound | None:
        """A frame that the exchange answers at once, by :class:`Pong` or by an :class:`Ack` of this
        request. What it had sent before has arrived then, so that nothing is missing between two
        connections. By default :meth:`ping`: override it where that writes no frame.
        """
        return self.ping(request_id)

    def login(self, access: Access, request_id: str) -> Outbound | None:
        """The frame that logs in a private connection; None where none does: where the address
        holds a token, or each frame proves by itself who sends it (:meth:`sign`)."""
        return None

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        """A frame as it is sent, right before it leaves: with the time, a token, a signature,
        wherever the exchange wants these. Of all that the other methods write but the login's; on
        public routes there are no credentials."""
        return frame

    def entry(self, request: Request[Any], request_id: str, access: Access) -> Outbound:
        """The frame by which a request of ``Trading.by_socket`` is made, written when it leaves;
        it is sent as it is. ``request_id`` is unique on the connection."""
        raise LookupError(type(request).__name__)

    def entry_answer(
        self, request: Request[Any], content: Any, received_time_ns: int
    ) -> Answer[Any]:
        """What an :class:`EntryReply` says to a request.

        :raises ExchangeError: (or kin) what the exchange says; ``ExchangeUnavailable`` where that
            leaves open whether it was taken.
        :raises DecodeError: where it can't be read.
        """
        raise LookupError(type(request).__name__)
