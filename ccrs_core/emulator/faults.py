"""The fault menu: what networks and exchanges do to their clients, on demand.

Some faults happen at a moment (a drop, a close), others for a while (a stall, delays, refusals).
Random choices come from the emulator's seed.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_core.emulator.dialect import Frame, HttpRefusal
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.model import NS_PER_SECOND

if TYPE_CHECKING:
    from ccrs_core.emulator.venue import EmulatedExchange, Peer


class FaultKind(enum.StrEnum):
    REFUSE = "refuse"
    """Refuse WebSocket handshakes, with ``status`` or, without one, by dropping TCP."""
    SLOW_HANDSHAKE = "slow_handshake"
    """Let handshakes take ``seconds``."""
    DROP = "drop"
    """Abort the TCP connection."""
    CLOSE = "close"
    """Close the WebSocket with ``code`` and ``reason``."""
    HALF_OPEN = "half_open"
    """Neither read nor send any more, and keep the socket open."""
    SHUTDOWN_NOTICE = "shutdown_notice"
    """Send the exchange's notice that it is going to shut down."""
    STALL = "stall"
    """Send no data of matching topics; answers to requests still come."""
    STALL_ALL = "stall_all"
    """Send nothing at all, not even answers."""
    DELAY = "delay"
    """Send frames ``seconds`` late, in order."""
    DUPLICATE = "duplicate"
    """Send a data frame twice."""
    REORDER = "reorder"
    """Send a data frame after the topic's next one."""
    TRUNCATE = "truncate"
    """Cut a data frame short."""
    CORRUPT = "corrupt"
    """Overwrite some characters of a data frame."""
    GAP = "gap"
    """Leave out a data frame; the exchange's numbers go on."""
    RESTART = "restart"
    """Let the exchange's update numbers of matching topics begin anew."""
    SLOW_ACK = "slow_ack"
    """Acknowledge subscriptions ``seconds`` late."""
    NO_ACK = "no_ack"
    """Don't acknowledge subscriptions, but serve them."""
    HTTP = "http"
    """Answer REST requests with ``status``."""


_OPENING = frozenset({FaultKind.REFUSE, FaultKind.SLOW_HANDSHAKE, FaultKind.HTTP})
_MOMENT = frozenset(
    {
        FaultKind.DROP,
        FaultKind.CLOSE,
        FaultKind.HALF_OPEN,
        FaultKind.SHUTDOWN_NOTICE,
        FaultKind.RESTART,
    }
)
_PER_FRAME = frozenset(
    {
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.TRUNCATE,
        FaultKind.CORRUPT,
        FaultKind.GAP,
    }
)
_REPLIES = frozenset({FaultKind.SLOW_ACK, FaultKind.NO_ACK})
_TIMED = frozenset({FaultKind.SLOW_HANDSHAKE, FaultKind.DELAY, FaultKind.SLOW_ACK})


def _probability(_: object, __: object, value: float) -> None:
    if not 0 < value <= 1:
        raise UsageError(f"probability={value:g} must be above 0 and at most 1")


def _positive(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and value <= 0:
        raise UsageError(f"{attribute.name}={value:g} must be above 0")


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value < 0:
        raise UsageError(f"{attribute.name}={value:g} must not be negative")


@attrs.frozen(kw_only=True)
class Fault:
    """One fault: what, to whom, when, how often. Times are seconds of the emulator's clock.

    ``target``: ``all`` connections, ``random`` for one of them at each turn, or a number n for the
    n-th that is open (for handshakes and requests: the n-th attempt from now). ``path`` and
    ``topic`` are patterns with ``*`` and ``?``.

    It begins ``after`` seconds and is over after ``duration`` or after ``count`` hits, and starts
    over ``every`` so many seconds. Faults of single frames hit one frame per turn unless
    ``duration``, ``probability`` or ``count`` says otherwise. ``seconds`` is how long delays are.

    :raises UsageError: where the values make no sense together.
    """

    kind: FaultKind = attrs.field(converter=FaultKind)
    target: str | int = "all"
    path: str = "*"
    topic: str = "*"
    after: float = attrs.field(default=0.0, validator=_not_negative)
    every: float | None = attrs.field(default=None, validator=_positive)
    duration: float | None = attrs.field(default=None, validator=_positive)
    probability: float = attrs.field(default=1.0, validator=_probability)
    count: int | None = attrs.field(default=None, validator=_positive)
    seconds: float = attrs.field(default=1.0, validator=_positive)
    status: int | None = None
    code: int = 1001
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        if isinstance(self.target, int):
            if self.target < 1:
                raise UsageError("connections are numbered from 1")
        elif self.target not in {"all", "random"}:
            raise UsageError(f"target={self.target} must be all, random or a number")
        if self.kind is FaultKind.HTTP and self.status is None:
            raise UsageError("http needs a status, such as http,status=429")

    @property
    def hits_per_turn(self) -> int | None:
        if self.count is not None:
            return self.count
        once = self.kind in _PER_FRAME and self.duration is None and self.probability == 1.0
        return 1 if once else None


_NUMBERS: Mapping[str, Callable[[str], float]] = {
    "after": float,
    "every": float,
    "duration": float,
    "probability": float,
    "seconds": float,
    "count": int,
    "status": int,
    "code": int,
}
_TEXTS = frozenset({"target", "path", "topic", "reason"})


def parse_fault(text: str) -> Fault:
    """Read a fault from text such as ``drop,every=5,target=random``.

    :raises UsageError: naming what can't be read, and what could be.
    """
    name, *settings = [part.strip() for part in text.split(",")]
    name = name.replace("-", "_")
    kinds = [kind.value for kind in FaultKind]
    if name not in kinds:
        raise UsageError(f"no fault {name!r}; there are {', '.join(kinds)}")
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or (key not in _NUMBERS and key not in _TEXTS):
            known = ", ".join(sorted({*_NUMBERS, *_TEXTS}))
            raise UsageError(f"no fault setting {setting!r}; settings are {known}, as in every=5")
        if key in values:
            raise UsageError(f"the fault setting {key} is given twice")
        if key in _NUMBERS:
            try:
                values[key] = _NUMBERS[key](value)
            except ValueError:
                raise UsageError(f"{key}={value} is no number") from None
        else:
            values[key] = int(value) if key == "target" and value.isdecimal() else value
    return Fault(kind=FaultKind(name), **values)


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
            for peer in self._board.venue.peers
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
            for stream in board.venue.streams:
                if stream.subscribers and fnmatchcase(stream.topic, fault.topic):
                    struck = True
                    self.hits += 1
                    stream.begin_anew(now_ns)
            self._waiting = not struck and fault.every is None
            return
        victims = self._victims()
        self._waiting = not victims and fault.every is None
        for peer in victims:
            if fault.probability == 1.0 or self._rng.random() < fault.probability:
                self.hits += 1
                board.strike(self, peer, now_ns)


class Faults:
    """The faults of one emulator: add them, clear them. ``quiet`` while there are none."""

    def __init__(self, venue: EmulatedExchange) -> None:
        self.venue = venue
        self.rng = random.Random(f"{venue.seed}/faults")
        self.quiet = True
        self._active: list[ActiveFault] = []
        self._late: dict[Peer, int] = {}
        """Until when a peer's delayed frames are on their way: later ones may not overtake them."""
        self._held: dict[tuple[Peer, str], Frame] = {}

    def add(self, fault: Fault | str) -> ActiveFault:
        """Let a fault happen; text is read by :func:`parse_fault`.

        :raises Unsupported: where the exchange has no such thing.
        """
        if isinstance(fault, str):
            fault = parse_fault(fault)
        venue = self.venue
        if fault.kind is FaultKind.SHUTDOWN_NOTICE and not venue.dialect.announces_shutdown:
            raise Unsupported(f"{venue.dialect.name} announces no shutdowns")
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
            peer.put(frame)
        self._held.clear()

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults that were added and not taken back."""
        return tuple(self._active)

    # --- where the venue asks ---

    def refusal(self, path: str) -> HttpRefusal | None:
        for active in self._of(FaultKind.REFUSE):
            if active.attempt(path):
                status = active.fault.status
                if status is None:
                    return HttpRefusal(status=None)
                failure = self.venue.dialect.failure(status, self.venue.now_ns)
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

    def http_status(self, path: str) -> int | None:
        for active in self._of(FaultKind.HTTP):
            if active.attempt(path):
                return active.fault.status
        return None

    def data(self, peer: Peer, frame: Frame, topic: str) -> None:
        """Send a data frame through the faults."""
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
            notice = self.venue.dialect.shutdown_notice(peer, now_ns)
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
        # Frames under way still decide about the order of those that follow.
        self.quiet = not self._active and not self._late and not self._held

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
                self.quiet = not self._active and not self._late and not self._held
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
