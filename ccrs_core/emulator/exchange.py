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
from ccrs_core.emulator.dialect import Dialect
from ccrs_core.emulator.faults import Faults
from ccrs_core.emulator.frame import Handshake, HttpRefusal
from ccrs_core.emulator.intermediary import NEVER_ASKED, garbled
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.peer import Peer
from ccrs_core.emulator.rebroadcast import Rebroadcast
from ccrs_core.emulator.venue import Venue
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
        """Answer a REST request."""
        self.advance(now_ns)
        status = self.faults.http_status(request.path)
        if status is not None:
            return self.dialect.failure(status, now_ns)
        how = self.faults.garbled(request.path)
        if how is not None and how in NEVER_ASKED:
            return garbled(how, None)
        answer = self.dialect.http(request, address, now_ns)
        if not any(name.lower() == "date" for name in answer.headers):
            date = formatdate(now_ns / NS_PER_SECOND, usegmt=True)
            answer = attrs.evolve(answer, headers={**answer.headers, "Date": date})
        return answer if how is None else garbled(how, answer)

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

    def _has_said(self, peer: Peer) -> None:
        self._ready[peer] = None

    def _ended(self, peer: Peer) -> None:
        self.peers.pop(peer, None)
        self.faults.closed(peer)
