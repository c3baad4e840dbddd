"""The emulated exchange itself: markets, connections and time, without any I/O.

Nothing here reads a clock or a socket. Whoever drives it (a server, a test) says what arrived and
what time it is, carries out what it finds in every peer's ``outbox``, and comes back at
``next_wake_ns``. The same calls give the same frames, byte for byte.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from email.utils import formatdate
from heapq import heappop, heappush
from itertools import count

import attrs

from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator.dialect import Dialect, Frame, HttpRefusal, Session
from ccrs_core.emulator.faults import Faults
from ccrs_core.emulator.intermediary import NEVER_ASKED, garbled
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.matching import Outcome, TimeInForce
from ccrs_core.emulator.replay import Replay
from ccrs_core.emulator.steering import Steerable
from ccrs_core.emulator.streams import Stream
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

_UNWATCHED_NS = 60 * NS_PER_SECOND
_EVERYTHING = Changed.BOOK | Changed.REFERENCE
_STANDING_NS = NS_PER_SECOND
"""After so long it is looked whether a market that stands still may go on."""


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


class Peer:
    """The exchange's end of one WebSocket.

    The driver calls ``received``, ``pinged``, ``ponged`` and ``gone`` and carries out ``outbox``,
    in order; while ``deaf`` it reads nothing more. The dialect's session calls the rest.
    """

    def __init__(
        self, venue: EmulatedExchange, number: int, path: str, session: Session, now_ns: int
    ) -> None:
        self.venue = venue
        self.number = number
        """Connections are numbered from 1 as they open."""
        self.path = path
        self.outbox: list[Action] = []
        self.open = True
        self.deaf = False
        """A half-open connection: nothing is read or sent any more."""
        self.opens_at_ns = now_ns
        """When the driver may complete the handshake."""
        self.subscriptions: dict[str, Stream] = {}
        self._session = session
        self._active_ns = now_ns
        self._pings: dict[bytes, int] = {}
        """When those were sent that have no pong yet, by their payload."""
        session.peer = self

    def __repr__(self) -> str:
        return f"Peer({self.number}, {self.path!r})"

    # --- for the driver ---

    def received(self, frame: str | bytes, now_ns: int) -> None:
        """The client sent a text (str) or binary (bytes) frame."""
        self.venue.advance(now_ns)
        if self.open and not self.deaf:
            self._active_ns = now_ns
            faults = self.venue.faults
            if faults.quiet or not faults.busy(self, frame, now_ns):
                self._session.received(frame, now_ns)

    def pinged(self, now_ns: int) -> None:
        """The client sent a ping, which the driver answers."""
        if self.open and not self.deaf:
            self._session.heartbeat(now_ns)

    def ponged(self, payload: bytes, now_ns: int) -> None:
        """The client sent a pong. Of a ping's payload, it answers that ping and those before it."""
        if self.open and not self.deaf:
            sent_ns = self._pings.get(payload, 0)
            self._pings = {of: at_ns for of, at_ns in self._pings.items() if at_ns > sent_ns}
            self._session.heartbeat(now_ns)

    def gone(self) -> None:
        """The connection has ended, from whichever side."""
        if self.open:
            self.open = False
            self.venue._closed(self)
        for stream in tuple(self.subscriptions.values()):
            stream.leave(self)
        self.subscriptions.clear()

    def take(self) -> list[Action]:
        """The actions to carry out now; the outbox is empty then."""
        actions, self.outbox = self.outbox, []
        return actions

    # --- for sessions and streams ---

    def send(self, frame: Frame, topic: str) -> None:
        """Send data of a topic."""
        faults = self.venue.faults
        if faults.quiet:
            self.put(frame)
        else:
            faults.data(self, frame, topic)

    def reply(self, frame: Frame, *, ack: bool = False) -> None:
        """Send an answer; ``ack`` marks those to subscribe and unsubscribe requests."""
        faults = self.venue.faults
        if faults.quiet:
            self.put(frame)
        else:
            faults.reply(self, frame, ack)

    def subscribe(self, stream: Stream, now_ns: int) -> None:
        """Join a stream; its first frames are sent."""
        self.subscriptions[stream.topic] = stream
        if not self.venue.faults.quiet:
            self.venue.faults.subscribed(self, stream.topic)
        for frame in stream.join(self.venue, self, now_ns):
            self.send(frame, stream.topic)

    def unsubscribe(self, topic: str) -> bool:
        """Leave a stream; False where the peer was not subscribed."""
        stream = self.subscriptions.pop(topic, None)
        if stream is not None:
            stream.leave(self)
        return stream is not None

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
            self.venue._ready[self] = None
        self.outbox.append(action)

    def _watch_pongs(self) -> None:
        seconds = self._session.ping_interval
        if seconds is None:
            return
        interval_ns = round(seconds * NS_PER_SECOND)
        limit_ns = round(self._session.pong_timeout * NS_PER_SECOND)

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
        timeout = self._session.idle_timeout
        if timeout is None:
            return
        limit_ns = round(timeout * NS_PER_SECOND)

        def look(now_ns: int) -> None:
            if self.open:
                if now_ns - self._active_ns >= limit_ns:
                    self.close(1000, "idle")
                else:
                    self.venue.at(self._active_ns + limit_ns, look)

        self.venue.at(self._active_ns + limit_ns, look)


class _Run:
    """A market that runs, and the streams that watch it."""

    __slots__ = ("market", "resting", "streams", "wanted_ns")

    def __init__(self, market: SimulatedMarket, now_ns: int) -> None:
        self.market = market
        self.streams: dict[Stream, None] = {}
        self.wanted_ns = now_ns
        self.resting = True


class EmulatedExchange(Steerable):
    """An exchange with simulated markets, or with a recording played back.

    A listing's market starts when somebody first asks for it, and rests after a minute without
    anyone watching or asking. ``rate`` is how often per second the best bid or ask of a market
    changes. Streams are shared: an update has the same numbers, and the same bytes, for everyone.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        seed: int = 0,
        rate: float = 50.0,
        start_ns: int,
        instruments: Sequence[Listing] | None = None,
        replay: Replay | None = None,
    ) -> None:
        self.dialect = dialect
        self.seed = seed
        if not 0 < rate < math.inf:
            raise UsageError(f"rate must be a number above zero, of changes per second, not {rate}")
        self.rate = rate
        self.start_ns = start_ns
        self.now_ns = start_ns
        self.rng = random.Random(f"{seed}/venue")
        """For choices that an exchange leaves open, such as the order of ack and first data."""
        self.faults = Faults(self)
        self.replay = replay
        dialect.attach(self)
        found = dialect.listings(start_ns) if instruments is None else instruments
        self.listings: dict[tuple[str, str], Listing] = {each.key: each for each in found}
        self.peers: dict[Peer, None] = {}
        """Open connections, in order of opening."""
        self.witnesses: list[Callable[[SimulatedMarket], None]] = []
        """Called as a market starts and after everything that happens in it, before any stream
        tells of it."""
        self._numbers = count(1)
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._entries = count()
        self._runs: dict[tuple[str, str], _Run] = {}
        self._held = Changed.NOTHING
        self._still: dict[tuple[str, str], SimulatedMarket] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._ready: dict[Peer, None] = {}
        if replay is not None:
            replay.attach(self)

    # --- for the driver ---

    def open(
        self, path: str, query: Mapping[str, str], now_ns: int, address: str = "127.0.0.1"
    ) -> Peer | HttpRefusal:
        """A client asks for a WebSocket: the exchange's end of it, or how to refuse it."""
        self.advance(now_ns)
        refusal = self.faults.refusal(path)
        if refusal is not None:
            return refusal
        session = self.dialect.open(path, query, address)
        if isinstance(session, HttpRefusal):
            return session
        peer = Peer(self, next(self._numbers), path, session, now_ns)
        self.peers[peer] = None
        peer._watch_idleness()
        peer._watch_pongs()
        session.opened(now_ns)
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

    def relist(self, listings: Sequence[Listing]) -> None:
        """List these from now on. Markets and streams that run go on by the rules that they began
        with; what is asked or subscribed to from now on finds the new list.

        Dialects read ``listings`` anew for every request, or whenever it is another mapping.
        """
        self.listings = {each.key: each for each in listings}

    def hold(self, what: Changed) -> None:
        """Let the crowd change nothing of this from now on, in any market; ``Changed.NOTHING`` lets
        all go on. Where books stand still, so do trades. Time passes meanwhile, and streams repeat
        themselves as they do."""
        self._held = what | Changed.TRADES if what & Changed.BOOK else what
        for run in self._runs.values():
            run.market.still = self._held

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due until a time; times before the last one do nothing."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= now_ns:
            due_ns, _, act = heappop(agenda)
            self.now_ns = max(self.now_ns, due_ns)
            act(self.now_ns)
        self.now_ns = max(self.now_ns, now_ns)

    @property
    def next_wake_ns(self) -> int | None:
        """When something will next happen by itself; None where nothing will."""
        return self._agenda[0][0] if self._agenda else None

    def ready(self) -> list[Peer]:
        """The peers whose outbox is to be emptied, each once until it fills again."""
        if not self._ready:
            return []
        found = list(self._ready)
        self._ready.clear()
        return found

    def submit(
        self,
        listing: Listing,
        side: Side,
        size: Decimal,
        price: Decimal | None = None,
        *,
        owner: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> Outcome:
        """Enter somebody's order now; the streams tell of what comes of it.

        :raises RuleBroken: where it breaks a rule of the listing.
        """
        run = self._run(listing)
        market = run.market
        market.now_ns = max(market.now_ns, self.now_ns)
        outcome = market.submit(side, size, price, owner=owner, time_in_force=time_in_force)
        fills = Changed.TRADES if outcome.fills else Changed.NOTHING
        self._happened(run, Changed.BOOK | fills, self.now_ns)
        return outcome

    def _act(self, listing: Listing, act: Callable[[SimulatedMarket], Changed]) -> None:
        run = self._run(listing)
        run.market.now_ns = max(run.market.now_ns, self.now_ns)
        self._happened(run, act(run.market), self.now_ns)
        self._run(listing)  # which may go on now

    # --- for dialects ---

    def at(self, time_ns: int, act: Callable[[int], None]) -> None:
        """Call ``act(now_ns)`` once it is a certain time."""
        heappush(self._agenda, (max(time_ns, self.now_ns), next(self._entries), act))

    def market(self, listing: Listing) -> SimulatedMarket:
        """The running market of a listing."""
        return self._run(listing).market

    def blank(self, topic: str) -> bool:
        """Whether what is written now of a topic, or as the answer of a path, leaves its optional
        fields blank, null or absent: whichever of it the exchange may (``FaultKind.BLANK``)."""
        faults = self.faults
        return not faults.quiet and faults.blank(topic)

    def quoted(self, listing: Listing) -> SimulatedMarket:
        """A market to quote in a list of all: the one that was started, which goes on, or one that
        stands still."""
        if listing.key in self._runs:
            return self.market(listing)
        market = self._still.get(listing.key)
        if market is None:
            # A book of one level is enough for that, and the list may be of hundreds.
            shallow = attrs.evolve(listing, levels=1)
            market = self._still[listing.key] = SimulatedMarket(
                shallow, seed=self.seed, rate=self.rate, start_ns=self.now_ns
            )
        market.rest_until(self.now_ns)
        return market

    def peek(self, listing: Listing) -> SimulatedMarket | None:
        """The market of a listing if it has ever been started; it is not woken."""
        run = self._runs.get(listing.key)
        return None if run is None else run.market

    def stream(self, category: str, topic: str, make: Callable[[], Stream]) -> Stream:
        """The one stream of a topic, made on the first call."""
        stream = self._streams.get((category, topic))
        if stream is None:
            stream = self._streams[category, topic] = make()
        return stream

    @property
    def streams(self) -> Sequence[Stream]:
        """All streams that anybody ever subscribed to."""
        return tuple(self._streams.values())

    # --- for streams and peers ---

    def watch(self, stream: Stream) -> None:
        """Keep a stream's markets running, and tell it of their changes."""
        for market in stream.markets:
            self._run(market.listing).streams[stream] = None

    def unwatch(self, stream: Stream) -> None:
        """Stop telling a stream."""
        for market in stream.markets:
            self._runs[market.listing.key].streams.pop(stream, None)

    def _run(self, listing: Listing) -> _Run:
        run = self._runs.get(listing.key)
        if run is None:
            market = SimulatedMarket(listing, seed=self.seed, rate=self.rate, start_ns=self.now_ns)
            market.still = self._held
            run = self._runs[listing.key] = _Run(market, self.now_ns)
            for witness in self.witnesses:
                witness(market)
        run.wanted_ns = self.now_ns
        if run.resting and run.market.next_ns is not None:
            run.resting = False
            run.market.rest_until(self.now_ns)
            self._schedule(run)
        return run

    def _schedule(self, run: _Run) -> None:
        due_ns = run.market.next_ns
        assert due_ns is not None
        self.at(due_ns, lambda now_ns: self._step(run, now_ns))

    def _step(self, run: _Run, now_ns: int) -> None:
        if not run.streams and now_ns - run.wanted_ns > _UNWATCHED_NS:
            run.resting = True
            return
        if run.market.held:
            run.resting = True
            return
        if self._held & _EVERYTHING == _EVERYTHING:
            run.market.rest_until(now_ns)
            self.at(now_ns + _STANDING_NS, lambda now_ns: self._step(run, now_ns))
            return
        self._happened(run, run.market.step(), now_ns)
        self._schedule(run)

    def _happened(self, run: _Run, changed: Changed, now_ns: int) -> None:
        for witness in self.witnesses:
            witness(run.market)
        for stream in tuple(run.streams):
            if stream.triggers & changed:
                stream.touch(now_ns)

    def _closed(self, peer: Peer) -> None:
        self.peers.pop(peer, None)
        self.faults.closed(peer)
