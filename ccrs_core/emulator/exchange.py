"""The emulated exchange itself: connections, requests and faults around a venue, without any I/O.

Nothing here reads a clock or a socket. Whoever drives it (a server, a test) says what arrived and
what time it is, carries out what it finds in every peer's ``outbox``, and comes back at
``next_wake_ns``. The same calls give the same frames, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from itertools import count

import attrs

from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator.answer_faults import Answer
from ccrs_core.emulator.dialect import Dialect
from ccrs_core.emulator.fault_menu import FaultKind
from ccrs_core.emulator.faults import Faults
from ccrs_core.emulator.frame import Handshake, HttpRefusal
from ccrs_core.emulator.intermediary import NEVER_ASKED, garbled
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.peer import Peer
from ccrs_core.emulator.rebroadcast import Rebroadcast
from ccrs_core.emulator.trading.desk import Desk
from ccrs_core.emulator.venue import Venue
from ccrs_core.errors import ConnectionLost, Unsupported
from ccrs_core.model.units import NS_PER_SECOND


class EmulatedExchange(Venue):
    """An exchange with simulated markets, or with a recording played back: a venue that clients
    connect to and ask, in a dialect's words, through the faults that were added.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        seed: int = 0,
        rate: float = 50.0,
        start_ns: int,
        instruments: Sequence[Listing] | None = None,
        rebroadcast: Rebroadcast | None = None,
    ) -> None:
        super().__init__(seed=seed, rate=rate, start_ns=start_ns, rebroadcast=rebroadcast)
        self.dialect = dialect
        self.peers: dict[Peer, None] = {}
        """Open connections, in order of opening."""
        self.faults = Faults(self, dialect, self.peers)
        self._numbers = count(1)
        self._ready: dict[Peer, None] = {}
        dialect.attach(self)
        self.relist(dialect.listings(start_ns) if instruments is None else instruments)
        if rebroadcast is not None:
            rebroadcast.attach(self, dialect.recorded)

    # --- for the driver ---

    def open(
        self,
        path: str,
        query: Mapping[str, str],
        now_ns: int,
        address: str = "127.0.0.1",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Peer | HttpRefusal:
        """A client asks for a WebSocket: the exchange's end of it, or how to refuse it."""
        self.advance(now_ns)
        refusal = self.faults.refusal(path)
        if refusal is not None:
            return refusal
        handshake = Handshake(
            path=path,
            query=query,
            headers={name.lower(): value for name, value in headers},
            address=address,
        )
        visitor = self.dialect.open(handshake)
        if isinstance(visitor, HttpRefusal):
            return visitor
        peer = Peer(
            self,
            self.faults,
            next(self._numbers),
            handshake,
            visitor,
            ready=self._has_said,
            ended=self._ended,
        )
        self.peers[peer] = None
        peer.begin()
        self.faults.opened(peer)
        return peer

    def http(self, request: HttpRequest, now_ns: int, address: str = "127.0.0.1") -> HttpResponse:
        """Answer a REST request, at once.

        :raises ConnectionLost: where the connection is dropped instead.
        """
        answer = self.ask(request, now_ns, address)
        if answer.response is None:
            raise ConnectionLost("the connection was reset before an answer came")
        return answer.response

    def ask(self, request: HttpRequest, now_ns: int, address: str = "127.0.0.1") -> Answer:
        """Answer a REST request, perhaps late, or by dropping the connection."""
        self.advance(now_ns)
        faults = self.faults
        if faults.quiet:
            return Answer(self._answered(request, now_ns, address))
        path = request.path
        untaken = self._spoiled(path, now_ns, effect=False)
        if untaken is not None:
            return untaken
        how = faults.garbled(path)
        if how is not None and how in NEVER_ASKED:
            return Answer(garbled(how, None))
        response = self._answered(request, now_ns, address)
        spoiled = self._spoiled(path, now_ns, effect=True)
        if spoiled is not None:
            return spoiled
        if how is not None:
            response = garbled(how, response)
        return Answer(response, faults.lateness_ns(path))

    def _answered(self, request: HttpRequest, now_ns: int, address: str) -> HttpResponse:
        answer = self.dialect.http(request, address, now_ns)
        if any(name.lower() == "date" for name in answer.headers):
            return answer
        date = formatdate(self.told_ns / NS_PER_SECOND, usegmt=True)
        return attrs.evolve(answer, headers={**answer.headers, "Date": date})

    def _spoiled(self, path: str, now_ns: int, *, effect: bool) -> Answer | None:
        """What is said instead of the answer to a request that was, or wasn't, carried out."""
        faults, dialect = self.faults, self.dialect
        banned = None if effect else faults.banned(path)
        if banned is not None:
            return Answer(dialect.failure(banned, now_ns))
        failed = faults.struck(FaultKind.HTTP, path, effect=effect)
        if failed is not None and failed.status is not None:
            return Answer(dialect.failure(failed.status, now_ns))
        if faults.struck(FaultKind.LOSE_ANSWER, path, effect=effect) is not None:
            return Answer(None)
        if faults.struck(FaultKind.UNCLEAR, path, effect=effect) is not None:
            return Answer(dialect.unclear(now_ns))
        return None

    def ready(self) -> list[Peer]:
        """The peers whose outbox is to be emptied, each once until it fills again."""
        if not self._ready:
            return []
        found = list(self._ready)
        self._ready.clear()
        return found

    def blank(self, topic: str) -> bool:
        """Whether what is written now of a topic, or as the answer of a path, leaves its optional
        fields blank, null or absent: whichever of it the exchange may (``FaultKind.BLANK``)."""
        faults = self.faults
        return not faults.quiet and faults.blank(topic)

    def revoked(self, key: str) -> bool:
        return not self.faults.quiet and self.faults.revoked(key)

    def lag_ns(self, path: str) -> int:
        return 0 if self.faults.quiet else self.faults.lag_ns(path)

    @property
    def told_ns(self) -> int:
        return self.now_ns + (0 if self.faults.quiet else self.faults.clock_error_ns())

    @property
    def desk(self) -> Desk:
        """Where its clients trade.

        :raises Unsupported: where the dialect has no trading.
        """
        if self.dialect.desk is None:
            raise Unsupported(f"the emulator of {self.dialect.name} doesn't trade")
        return self.dialect.desk

    def _has_said(self, peer: Peer) -> None:
        self._ready[peer] = None

    def _ended(self, peer: Peer) -> None:
        self.peers.pop(peer, None)
        self.faults.closed(peer)
