"""The exchange's end of one WebSocket, and what a dialect hears of the client at the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

import attrs

from ccrs_core.emulator.broadcasts import Broadcast
from ccrs_core.emulator.frame import Frame, Handshake
from ccrs_core.emulator.venue import Venue
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND


@attrs.frozen
class CloseAction:
    """Close the WebSocket in good order."""

    code: int
    reason: str


@attrs.frozen
class AbortAction:
    """Drop the TCP connection."""


@attrs.frozen
class PingAction:
    """Send a WebSocket ping, whose pong must have the same payload."""

    payload: bytes


Action = Frame | CloseAction | AbortAction | PingAction


class Visitor(ABC):
    """A client at the other end of a WebSocket, as the dialect hears it; ``peer`` is what answers
    it."""

    idle_timeout: ClassVar[float | None] = None
    """Seconds without any frame in either direction after which the exchange hangs up."""
    idle_close: ClassVar[tuple[int, str]] = (1000, "idle")
    """The code and reason with which it then hangs up."""
    ping_interval: float | None = None
    """Seconds between the WebSocket pings that the exchange sends; None where it sends none."""
    largest_frame: ClassVar[int | None] = None
    """Bytes that a frame of the client's may have; who sends a larger one is hung up on."""
    pong_timeout: float = 60.0
    """Seconds without the pong of a ping after which the exchange hangs up."""

    peer: Peer

    def opened(self, now_ns: int) -> None:  # noqa: B027 - saying nothing is fine
        """The connection is open. Say hello here, where the exchange does."""

    @abstractmethod
    def received(self, frame: str | bytes, now_ns: int) -> None:
        """The client sent a frame; answer by the peer's methods."""

    def closed(self, now_ns: int) -> None:  # noqa: B027 - most forget with the object
        """The connection has ended, from whichever side; its subscriptions are about to."""

    def heartbeat(self, now_ns: int) -> None:  # noqa: B027 - most exchanges don't count them
        """The client sent a WebSocket ping, which is answered already, or a pong."""


class Interference(Protocol):
    """What comes between a peer and its client: the faults that were added. ``quiet`` while there
    are none."""

    quiet: bool

    def busy(self, peer: Peer, request: str | bytes, now_ns: int) -> bool:
        """Whether a client's frame has been answered in the dialect's place."""

    def subscribed(self, peer: Peer, topic: str) -> None:
        """A subscription begins."""

    def data(self, peer: Peer, frame: Frame, topic: str) -> None:
        """Send data of a topic."""

    def reply(self, peer: Peer, frame: Frame, ack: bool) -> None:
        """Send an answer."""

    def answered(self, peer: Peer, frame: Frame, what: str, unclear: Frame | None) -> None:
        """Send the answer to an order or a login."""


class Peer:
    """The exchange's end of one WebSocket.

    The driver calls ``received``, ``pinged``, ``ponged`` and ``gone`` and carries out ``outbox``,
    in order; while ``deaf`` it reads nothing more. The dialect's visitor calls the rest.
    """

    def __init__(
        self,
        venue: Venue,
        faults: Interference,
        number: int,
        handshake: Handshake,
        visitor: Visitor,
        *,
        ready: Callable[[Peer], None],
        ended: Callable[[Peer], None],
    ) -> None:
        now_ns = venue.now_ns
        self.venue = venue
        self.number = number
        """Connections are numbered from 1 as they open."""
        self.path = handshake.path
        self.address = handshake.address
        """The client's network address, by which exchanges count."""
        self.outbox: list[Action] = []
        self.open = True
        self.deaf = False
        """A half-open connection: nothing is read or sent any more."""
        self.opens_at_ns = now_ns
        """When the driver may complete the handshake."""
        self.subscriptions: dict[str, Broadcast] = {}
        self.visitor = visitor
        self._faults = faults
        self._ready = ready
        self._ended = ended
        self._active_ns = now_ns
        self._pings: dict[bytes, int] = {}
        """When those were sent that have no pong yet, by their payload."""
        visitor.peer = self

    def __repr__(self) -> str:
        return f"Peer({self.number}, {self.path!r})"

    # --- for the driver ---

    def begin(self) -> None:
        """The connection is open: watch whether the client is alive, and let the dialect speak."""
        self._watch_idleness()
        self._watch_pongs()
        self.visitor.opened(self._active_ns)

    def received(self, frame: str | bytes, now_ns: int) -> None:
        """The client sent a text (str) or binary (bytes) frame."""
        self.venue.advance(now_ns)
        if self.open and not self.deaf:
            self._active_ns = now_ns
            most = self.visitor.largest_frame
            if most is not None and _bytes(frame) > most:
                self.close(1009, "message too big")
                return
            faults = self._faults
            if faults.quiet or not faults.busy(self, frame, now_ns):
                self.visitor.received(frame, now_ns)

    def pinged(self, now_ns: int) -> None:
        """The client sent a ping, which the driver answers."""
        if self.open and not self.deaf:
            self.visitor.heartbeat(now_ns)

    def ponged(self, payload: bytes, now_ns: int) -> None:
        """The client sent a pong. Of a ping's payload, it answers that ping and those before it."""
        if self.open and not self.deaf:
            sent_ns = self._pings.get(payload, 0)
            self._pings = {of: at_ns for of, at_ns in self._pings.items() if at_ns > sent_ns}
            self.visitor.heartbeat(now_ns)

    def gone(self) -> None:
        """The connection has ended, from whichever side."""
        if self.open:
            self.open = False
            self._ended(self)
            self.visitor.closed(self.venue.now_ns)
        for broadcast in tuple(self.subscriptions.values()):
            broadcast.leave(self)
        self.subscriptions.clear()

    def take(self) -> list[Action]:
        """The actions to carry out now; the outbox is empty then."""
        actions, self.outbox = self.outbox, []
        return actions

    # --- for visitors and broadcasts ---

    def send(self, frame: Frame, topic: str) -> None:
        """Send data of a topic."""
        faults = self._faults
        if faults.quiet:
            self.put(frame)
        else:
            faults.data(self, frame, topic)

    def reply(self, frame: Frame, *, ack: bool = False) -> None:
        """Send an answer; ``ack`` marks those to subscribe and unsubscribe requests."""
        faults = self._faults
        if faults.quiet:
            self.put(frame)
        else:
            faults.reply(self, frame, ack)

    def answer(self, frame: Frame, what: str, unclear: Frame | None = None) -> None:
        """Send the answer to an order, an amendment, a cancel, or to a login (``what`` is
        ``login`` then); ``unclear`` is what the exchange would say if it didn't know what came of
        it."""
        faults = self._faults
        if faults.quiet:
            self.put(frame)
        else:
            faults.answered(self, frame, what, unclear)

    def subscribe(self, broadcast: Broadcast, now_ns: int) -> None:
        """Join a broadcast; its first frames are sent."""
        topic = broadcast.topic
        self.subscriptions[topic] = broadcast
        if not self._faults.quiet:
            self._faults.subscribed(self, topic)
        for frame in broadcast.join(self.venue, self, now_ns):
            self.send(frame, topic)

    def unsubscribe(self, topic: str) -> bool:
        """Leave a broadcast; False where the peer was not subscribed."""
        broadcast = self.subscriptions.pop(topic, None)
        if broadcast is not None:
            broadcast.leave(self)
        return broadcast is not None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang up in good order."""
        self._end(CloseAction(code, reason))

    def abort(self) -> None:
        """Drop the TCP connection."""
        self.outbox.clear()
        self._end(AbortAction())

    def put(self, frame: Frame) -> None:
        """Send a frame past all faults."""
        if self.open and not self.deaf:
            self._active_ns = self.venue.now_ns
            self._queue(frame)

    def _end(self, action: Action) -> None:
        if self.open:
            self._queue(action)
            self.gone()

    def _queue(self, action: Action) -> None:
        if not self.outbox:
            self._ready(self)
        self.outbox.append(action)

    def _watch_pongs(self) -> None:
        seconds = self.visitor.ping_interval
        if seconds is None:
            return
        interval_ns = round(seconds * NS_PER_SECOND)
        limit_ns = round(self.visitor.pong_timeout * NS_PER_SECOND)

        def ping(now_ns: int) -> None:
            if not self.open or self.deaf:
                return
            if now_ns - next(iter(self._pings.values()), now_ns) >= limit_ns:
                self.close(1008, "no pong")
                return
            payload = str(now_ns // NS_PER_MS).encode()
            self._pings[payload] = now_ns
            self._queue(PingAction(payload))
            self.venue.at(now_ns + interval_ns, ping)

        self.venue.at(self._active_ns + interval_ns, ping)

    def _watch_idleness(self) -> None:
        timeout = self.visitor.idle_timeout
        if timeout is None:
            return
        limit_ns = round(timeout * NS_PER_SECOND)

        def look(now_ns: int) -> None:
            if self.open:
                if now_ns - self._active_ns >= limit_ns:
                    self.close(*self.visitor.idle_close)
                else:
                    self.venue.at(self._active_ns + limit_ns, look)

        self.venue.at(self._active_ns + limit_ns, look)


def _bytes(frame: str | bytes) -> int:
    return len(frame.encode() if isinstance(frame, str) else frame)
