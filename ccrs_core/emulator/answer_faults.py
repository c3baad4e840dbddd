"""Faults of answers, of accounts and of the exchange's clock: what trading has to cope with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

import attrs

from ccrs_core.contract.rest import HttpResponse
from ccrs_core.emulator.fault_menu import Fault, FaultKind
from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.peer import Peer
from ccrs_core.model.units import NS_PER_SECOND

_BANNED = 403


@attrs.frozen
class Answer:
    """What becomes of a REST request."""

    response: HttpResponse | None
    """None: the connection is dropped instead."""
    delay_ns: int = 0
    """How much later it arrives than it was given."""


class Active(Protocol):
    """A fault at work."""

    @property
    def fault(self) -> Fault:
        """What it is."""

    @property
    def active(self) -> bool:
        """Whether it can hit something now."""

    def attempt(self, path: str) -> bool:
        """Whether it hits a request."""

    def frame(self, peer: Peer, topic: str) -> bool:
        """Whether it hits what is sent of a topic."""

    def hit(self) -> bool:
        """Whether it hits something that nothing else is asked about."""


class AnswerFaults(ABC):
    """The part of the faults that answers, accounts and the clock suffer from."""

    @abstractmethod
    def _of(self, kind: FaultKind) -> Sequence[Active]:
        """Those of a kind."""

    def struck(self, kind: FaultKind, path: str, *, effect: bool) -> Fault | None:
        """The fault of a kind that hits a request; of those with such an effect."""
        for active in self._of(kind):
            if active.fault.effect is effect and active.attempt(path):
                return active.fault
        return None

    def banned(self, path: str) -> int | None:
        """The status with which everything is refused."""
        for active in self._of(FaultKind.BAN):
            if active.attempt(path):
                return active.fault.status or _BANNED
        return None

    def lateness_ns(self, path: str) -> int:
        """How much later an answer is to arrive."""
        slow = [a.fault.seconds for a in self._of(FaultKind.SLOW_ANSWER) if a.attempt(path)]
        return round(sum(slow) * NS_PER_SECOND)

    def lag_ns(self, path: str) -> int:
        """How much later than usual a list tells of what has happened."""
        lags = [a.fault.seconds for a in self._of(FaultKind.LAG) if a.attempt(path)]
        return round(sum(lags) * NS_PER_SECOND)

    def revoked(self, key: str) -> bool:
        """Whether a key doesn't work."""
        return any(
            fnmatchcase(key, active.fault.key) and active.hit()
            for active in self._of(FaultKind.REVOKE)
        )

    def clock_error_ns(self) -> int:
        """How fast the exchange's clock is."""
        seconds = [a.fault.seconds for a in self._of(FaultKind.CLOCK) if a.active and a.hit()]
        return round(sum(seconds) * NS_PER_SECOND)

    def answered(self, peer: Peer, frame: Frame, what: str, unclear: Frame | None) -> None:
        """Send the answer to an order or a login through the faults."""
        login = what == LOGIN
        if login and any(a.frame(peer, what) for a in self._of(FaultKind.NO_LOGIN)):
            return
        for active in self._of(FaultKind.LOSE_ANSWER):
            if active.fault.effect and active.frame(peer, what):
                peer.abort()
                return
        if unclear is not None:
            for active in self._of(FaultKind.UNCLEAR):
                if active.fault.effect and active.frame(peer, what):
                    frame = unclear
        slow = [a.fault.seconds for a in self._of(FaultKind.SLOW_ANSWER) if a.frame(peer, what)]
        if slow:
            due_ns = peer.venue.now_ns + round(sum(slow) * NS_PER_SECOND)
            peer.venue.at(due_ns, lambda _: peer.put(frame))
        else:
            self.reply(peer, frame, False)

    @abstractmethod
    def reply(self, peer: Peer, frame: Frame, ack: bool) -> None:
        """Send an answer."""


LOGIN = "login"
"""What a login asks for."""
