"""Faults at work: what networks and exchanges do to their clients, on demand.

Some faults happen at a moment (a drop, a close), others for a while (a stall, delays, refusals).
Random choices come from the emulator's seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ccrs_core.emulator.answer_faults import AnswerFaults
from ccrs_core.emulator.dialect import Dialect
from ccrs_core.emulator.fault_menu import Fault, FaultKind, parse_fault
from ccrs_core.emulator.frame import Frame, HttpRefusal
from ccrs_core.emulator.peer import Peer
from ccrs_core.emulator.venue import Venue
from ccrs_core.errors import Unsupported
from ccrs_core.model.units import NS_PER_SECOND

_OPENING = frozenset(
    {
        *(FaultKind.REFUSE, FaultKind.SLOW_HANDSHAKE, FaultKind.HTTP, FaultKind.GARBLE),
        *(FaultKind.BLANK, FaultKind.LOSE_ANSWER, FaultKind.SLOW_ANSWER, FaultKind.UNCLEAR),
        *(FaultKind.LAG, FaultKind.NO_LOGIN, FaultKind.REVOKE, FaultKind.CLOCK, FaultKind.BAN),
    }
)
_MOMENT = frozenset(
    {
        FaultKind.DROP,
        FaultKind.CLOSE,
        FaultKind.HALF_OPEN,
        FaultKind.SHUTDOWN_NOTICE,
        FaultKind.RESTART,
        FaultKind.SILENCE,
    }
)
_REPLIES = frozenset({FaultKind.SLOW_ACK, FaultKind.NO_ACK, FaultKind.MUTE, FaultKind.BUSY})


class ActiveFault:
    """A fault that was added; ``hits`` counts what it did."""

    def __init__(self, fault: Fault, board: Faults) -> None:
        self.fault = fault
        self.hits = 0
        self._board = board
        self._rng = board.rng
        self._on = False
        self._left: int | None = None
        self._turn = 0
        self._victim: Peer | None = None
        self._attempts = 0
        self._waiting = False

    @property
    def active(self) -> bool:
        """Whether it can hit something now."""
        return self._on and self._left != 0

    def cancel(self) -> None:
        """Take it back."""
        self._on = False
        self._turn = -1
        self._board._drop(self)

    def begin(self, now_ns: int) -> None:
        """Start a turn."""
        if self._turn < 0:
            return
        fault = self.fault
        self._turn += 1
        turn = self._turn
        venue = self._board.venue
        if fault.every is not None:
            venue.at(now_ns + _ns(fault.every), self.begin)
        if fault.kind in _MOMENT:
            self._strike(now_ns)
            return
        self._on, self._left = True, fault.hits_per_turn
        self._victim = None
        if fault.duration is not None:

            def end(_: int) -> None:
                if self._turn == turn:
                    self._on = False

            venue.at(now_ns + _ns(fault.duration), end)

    def opened(self, now_ns: int) -> None:
        """A connection has opened, perhaps the one that was waited for."""
        if self._waiting:
            self._strike(now_ns)

    def attempt(self, path: str) -> bool:
        """Whether it hits a handshake or a request."""
        if not self.active or not fnmatchcase(path, self.fault.path):
            return False
        self._attempts += 1
        target = self.fault.target
        if isinstance(target, int):
            return self._attempts == target and self._hit()
        if target == "random" and self._rng.random() < 0.5:
            return False
        return self._hit()

    def frame(self, peer: Peer, topic: str) -> bool:
        """Whether it hits a data frame."""
        fault = self.fault
        return (
            self.active and fnmatchcase(topic, fault.topic) and self._concerns(peer) and self._hit()
        )

    def hit(self) -> bool:
        """Whether it hits something that nothing else is asked about."""
        return self.active and self._hit()

    def written(self, topic: str) -> bool:
        """Whether it hits what is being written for a topic, whoever will read it."""
        return self.active and fnmatchcase(topic, self.fault.topic) and self._hit()

    def answer(self, peer: Peer) -> bool:
        """Whether it hits an answer to a request."""
        return self.active and self._concerns(peer) and self._hit()

    def _concerns(self, peer: Peer) -> bool:
        fault = self.fault
        if not fnmatchcase(peer.path, fault.path):
            return False
        if fault.target == "all":
            return True
        if isinstance(fault.target, int):
            if self._victim is None or not self._victim.open:
                self._victim = self._nth(fault.target)
        elif self._victim is None or not self._victim.open:
            candidates = self._candidates()
            self._victim = self._rng.choice(candidates) if candidates else None
        return self._victim is peer

    def _hit(self) -> bool:
        probability = self.fault.probability
        if probability < 1.0 and self._rng.random() >= probability:
            return False
        self.hits += 1
        if self._left is not None:
            self._left -= 1
        return True

    def _candidates(self) -> list[Peer]:
        return [
            peer
            for peer in self._board.peers
            if not peer.deaf and fnmatchcase(peer.path, self.fault.path)
        ]

    def _nth(self, number: int) -> Peer | None:
        candidates = self._candidates()
        return candidates[number - 1] if number <= len(candidates) else None

    def _victims(self) -> list[Peer]:
        target = self.fault.target
        candidates = self._candidates()
        if isinstance(target, int):
            return candidates[target - 1 : target]
        if target == "random" and candidates:
            return [self._rng.choice(candidates)]
        return candidates

    def _strike(self, now_ns: int) -> None:
        """Do what happens at a moment; without anyone to do it to, wait for somebody."""
        fault, board = self.fault, self._board
        if fault.kind is FaultKind.RESTART:
            struck = False
            for broadcast in board.venue.broadcasts:
                if broadcast.subscribers and fnmatchcase(broadcast.topic, fault.topic):
                    struck = True
                    self.hits += 1
                    broadcast.begin_anew(now_ns)
            self._waiting = not struck and fault.every is None
            return
        victims = self._victims()
        if fault.kind is FaultKind.SILENCE:
            for peer in victims:
                for topic in peer.subscriptions:
                    if fnmatchcase(topic, fault.topic):
                        self.hits += 1
                        board.mute(peer, topic)
            return
        self._waiting = not victims and fault.every is None
        for peer in victims:
            if fault.probability == 1.0 or self._rng.random() < fault.probability:
                self.hits += 1
                board.strike(self, peer, now_ns)


class Faults(AnswerFaults):
    """The faults of one emulator: add them, clear them. ``quiet`` while there are none."""

    def __init__(self, venue: Venue, dialect: Dialect, peers: Iterable[Peer]) -> None:
        self.venue = venue
        self.dialect = dialect
        self.peers = peers
        """The open connections at any time, in order of opening."""
        self.rng = random.Random(f"{venue.seed}/faults")
        self.quiet = True
        self._active: list[ActiveFault] = []
        self._late: dict[Peer, int] = {}
        """Until when a peer's delayed frames are on their way: later ones may not overtake them."""
        self._held: dict[tuple[Peer, str], Frame] = {}
        self._muted: set[tuple[Peer, str]] = set()
        """Subscriptions of which nothing is ever sent."""

    def add(self, fault: Fault | str) -> ActiveFault:
        """Let a fault happen; text is read by :func:`parse_fault`.

        :raises Unsupported: where the exchange has no such thing.
        """
        if isinstance(fault, str):
            fault = parse_fault(fault)
        venue = self.venue
        if fault.kind is FaultKind.SHUTDOWN_NOTICE and not self.dialect.announces_shutdown:
            raise Unsupported(f"{self.dialect.name} announces no shutdowns")
        if fault.kind is FaultKind.UNCLEAR and self.dialect.unclear(venue.now_ns) is None:
            raise Unsupported(f"{self.dialect.name} has no words for not knowing what came of it")
        active = ActiveFault(fault, self)
        self._active.append(active)
        self.quiet = False
        if fault.after:
            venue.at(venue.now_ns + _ns(fault.after), active.begin)
        else:
            active.begin(venue.now_ns)
        return active

    def clear(self) -> None:
        """Take all faults back. What is delayed or held still arrives."""
        for active in tuple(self._active):
            active.cancel()
        for (peer, _), frame in self._held.items():
            self._send(peer, frame, 0.0)
        self._held.clear()
        self._muted.clear()
        self._settle()

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults that were added and not taken back."""
        return tuple(self._active)

    # --- where the venue asks ---

    def refusal(self, path: str) -> HttpRefusal | None:
        banned = self.banned(path)
        if banned is not None:
            failure = self.dialect.failure(banned, self.venue.now_ns)
            return HttpRefusal(status=failure.status, headers=failure.headers, body=failure.body)
        for active in self._of(FaultKind.REFUSE):
            if active.attempt(path):
                status = active.fault.status
                if status is None:
                    return HttpRefusal(status=None)
                failure = self.dialect.failure(status, self.venue.now_ns)
                return HttpRefusal(
                    status=failure.status, headers=failure.headers, body=failure.body
                )
        return None

    def opened(self, peer: Peer) -> None:
        now_ns = self.venue.now_ns
        for active in self._of(FaultKind.SLOW_HANDSHAKE):
            if active.attempt(peer.path):
                peer.opens_at_ns = now_ns + _ns(active.fault.seconds)
        for active in tuple(self._active):
            active.opened(now_ns)

    def closed(self, peer: Peer) -> None:
        """Forget a connection that has ended."""
        self._late.pop(peer, None)
        for key in [key for key in self._held if key[0] is peer]:
            del self._held[key]
        self._muted -= {key for key in self._muted if key[0] is peer}
        self._settle()

    def garbled(self, path: str) -> str | None:
        """What becomes of the answer to a request on its way to the client."""
        for active in self._of(FaultKind.GARBLE):
            if active.attempt(path):
                return active.fault.how
        return None

    def blank(self, topic: str) -> bool:
        """Whether the optional fields of a topic are left blank."""
        return any(active.written(topic) for active in self._of(FaultKind.BLANK))

    def busy(self, peer: Peer, request: str | bytes, now_ns: int) -> bool:
        """Whether a client's frame is refused for now; then it has been answered."""
        for active in self._of(FaultKind.BUSY):
            refusal = self.dialect.busy(peer, request, now_ns)
            if refusal is not None and active.answer(peer):
                peer.reply(refusal, ack=True)
                return True
        return False

    def subscribed(self, peer: Peer, topic: str) -> None:
        """A subscription begins."""
        self._muted.discard((peer, topic))
        if any(active.frame(peer, topic) for active in self._of(FaultKind.MUTE)):
            self.mute(peer, topic)

    def mute(self, peer: Peer, topic: str) -> None:
        """Send nothing of a subscription from now on."""
        self._muted.add((peer, topic))
        self.quiet = False

    def data(self, peer: Peer, frame: Frame, topic: str) -> None:
        """Send a data frame through the faults."""
        if (peer, topic) in self._muted:
            return
        delay = 0.0
        copies = 1
        held = False
        for active in tuple(self._active):
            kind = active.fault.kind
            if kind in _MOMENT or kind in _OPENING or kind in _REPLIES:
                continue
            if not active.frame(peer, topic):
                continue
            if kind in {FaultKind.STALL, FaultKind.STALL_ALL, FaultKind.GAP}:
                return
            if kind is FaultKind.DELAY:
                delay += active.fault.seconds
            elif kind is FaultKind.DUPLICATE:
                copies = 2
            elif kind is FaultKind.REORDER:
                held = True
            elif kind is FaultKind.TRUNCATE:
                cut = self.rng.randrange(1, max(2, len(frame.payload)))
                frame = Frame(frame.payload[:cut], frame.text)
            elif kind is FaultKind.CORRUPT:
                frame = Frame(self._corrupt(frame.payload), frame.text)
        before = self._held.pop((peer, topic), None)
        if held and before is None:
            self._held[peer, topic] = frame
            return
        for _ in range(copies):
            self._send(peer, frame, delay)
        if before is not None:
            self._send(peer, before, delay)

    def reply(self, peer: Peer, frame: Frame, ack: bool) -> None:
        """Send an answer through the faults."""
        if any(active.answer(peer) for active in self._of(FaultKind.STALL_ALL)):
            return
        delay = 0.0
        for active in self._of(FaultKind.DELAY):
            if active.fault.topic == "*" and active.answer(peer):
                delay += active.fault.seconds
        if ack:
            if any(active.answer(peer) for active in self._of(FaultKind.NO_ACK)):
                return
            slow = [a.fault.seconds for a in self._of(FaultKind.SLOW_ACK) if a.answer(peer)]
            if slow:
                # Data goes on meanwhile: only this answer is late.
                late_ns = _ns(sum(slow) + delay)
                self.venue.at(self.venue.now_ns + late_ns, lambda _: peer.put(frame))
                return
        self._send(peer, frame, delay)

    def strike(self, active: ActiveFault, peer: Peer, now_ns: int) -> None:
        """Do to a peer what happens at a moment."""
        fault = active.fault
        if fault.kind is FaultKind.DROP:
            peer.abort()
        elif fault.kind is FaultKind.CLOSE:
            peer.close(fault.code, fault.reason)
        elif fault.kind is FaultKind.SHUTDOWN_NOTICE:
            notice = self.dialect.shutdown_notice(peer, now_ns)
            if notice is not None:
                peer.put(notice)
        else:
            peer.deaf = True
            if fault.duration is not None:
                self.venue.at(now_ns + _ns(fault.duration), lambda _: peer.abort())

    # --- inside ---

    def _of(self, kind: FaultKind) -> list[ActiveFault]:
        return [active for active in self._active if active.fault.kind is kind]

    def _drop(self, active: ActiveFault) -> None:
        if active in self._active:
            self._active.remove(active)
        self._settle()

    def _settle(self) -> None:
        # Frames under way still decide about the order of those that follow.
        self.quiet = not (self._active or self._late or self._held or self._muted)

    def _send(self, peer: Peer, frame: Frame, delay: float) -> None:
        now_ns = self.venue.now_ns
        due_ns = max(now_ns + _ns(delay), self._late.get(peer, 0))
        if due_ns <= now_ns:
            peer.put(frame)
            return
        self._late[peer] = due_ns

        def arrive(now_ns: int) -> None:
            if self._late.get(peer, 0) <= now_ns:
                self._late.pop(peer, None)
                self._settle()
            peer.put(frame)

        self.venue.at(due_ns, arrive)

    def _corrupt(self, payload: bytes) -> bytes:
        # Overwritten with a character that no JSON has outside of its strings, and that keeps the
        # text valid: what is broken is the message, not the WebSocket.
        spoiled = bytearray(payload)
        for _ in range(3):
            where = self.rng.randrange(len(spoiled))
            if spoiled[where] < 0x80:
                spoiled[where] = 0x23
        return bytes(spoiled)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_SECOND)
