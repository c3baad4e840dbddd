"""Recordings played back through the same codecs, races and books that serve live connections.

What connections brought is replayed, what clocks did is not: a ``Stale`` for mere silence, say.

Pure: the same file gives the same events, to the byte, every time. ``received_time_ns`` comes from
the file; where a recording of other make has no receive times, an event's own exchange time stands
in for it (so that latencies read as zero).

Besides this library's recordings (:mod:`ccrs_core.recording`) files of other make are accepted:
lines of ``{"recv_ts": seconds or null, "raw": "frame"}``, or just one raw frame per line. They
don't say what was subscribed to; the exchange's plugin guesses it from the frames.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from ccrs_core import plugins
from ccrs_core.codec import Codec, Data
from ccrs_core.errors import DecodeError, UsageError
from ccrs_core.events import AnyEvent, InstrumentChanged, MarketData, Notice, Reason
from ccrs_core.exchange import Exchange, Route, SequenceScope
from ccrs_core.feed import Feed
from ccrs_core.inflate import inflate
from ccrs_core.model import Channel, Market, Subscription
from ccrs_core.orderbook import OrderBook
from ccrs_core.outstanding import chunks
from ccrs_core.race import Runner
from ccrs_core.recording import Closed, End, Header, Opened, Received, Record, lines, read
from ccrs_core.topic import Topic


def replay(
    exchange: str | Exchange,
    path: str | Path,
    *,
    market: Market | None = None,
    channels: Collection[Channel] | None = None,
) -> Iterator[AnyEvent]:
    """The events of a recording, in order.

    :param market: of the frames, where the recording doesn't say and the plugin would guess wrong.
    :param channels: deliver these alone.
    :raises UsageError: where the file can't be read, isn't a recording, or is of another exchange.
    """
    for step in Replay(exchange, path, market=market, channels=channels).steps():
        yield from step.events


@attrs.frozen
class Step:
    """What one record led to."""

    time_ns: int
    """When it happened, nanoseconds UTC."""
    events: Sequence[AnyEvent]


class Replay:
    """One pass over a recording; see :func:`replay`. ``books`` and ``frames`` tell the state so
    far."""

    def __init__(
        self,
        exchange: str | Exchange,
        path: str | Path,
        *,
        market: Market | None = None,
        channels: Collection[Channel] | None = None,
    ) -> None:
        self.exchange: Exchange = (
            plugins.load(exchange)() if isinstance(exchange, str) else exchange
        )
        self.path = Path(path)
        self.guessed: tuple[Subscription, ...] = ()
        """What a recording of other make is taken to hold."""
        self.frames: Counter[str] = Counter()
        """Frames by what became of them: data, late, other, unreadable."""
        self._channels = channels
        self._foreign = not _is_ours(self.path)
        self._machine = _Machine(self.exchange, self.frames)
        if self._foreign:
            frames = [frame for _, frame in _foreign(self.path)]
            if not frames:
                raise UsageError(f"{path} holds no frames")
            self.guessed = tuple(self.exchange.guess(frames, market))
            if not self.guessed:
                raise UsageError(
                    f"{path} holds no frame of a stream that {self.exchange.name} is known for"
                )

    @property
    def books(self) -> dict[Subscription, OrderBook]:
        """The books as they stand now."""
        return self._machine.books()

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What the recording holds, as far as it was read."""
        return tuple(self._machine.subscriptions)

    def steps(self) -> Iterator[Step]:
        """Play the recording, once, one record after the other."""
        machine = self._machine
        for record in self._records():
            events = machine.play(record)
            if events:
                yield Step(machine.now_ns, events)

    def _records(self) -> Iterator[Record]:
        if self._foreign:
            machine = self._machine
            machine.want(self._chosen(self.guessed))
            for number, route in enumerate(machine.routes, start=1):
                machine.open(number, route)
            numbers = range(1, len(machine.routes) + 1)
            for ns, frame in _foreign(self.path):
                for number in numbers:
                    yield Received(ns, number, frame)
            return
        for record in read(self.path):
            if isinstance(record, Header):
                if record.exchange != self.exchange.name:
                    raise UsageError(
                        f"{self.path} was recorded from {record.exchange}, "
                        f"not from {self.exchange.name}"
                    )
                chosen = self._chosen(record.subscriptions)
                yield attrs.evolve(record, subscriptions=chosen)
            else:
                yield record

    def _chosen(self, subscriptions: Sequence[Subscription]) -> tuple[Subscription, ...]:
        wanted = self._channels
        chosen = tuple(s for s in subscriptions if wanted is None or s.channel in wanted)
        if not chosen:
            held = ", ".join(sorted({s.channel.value for s in subscriptions})) or "nothing"
            raise UsageError(f"{self.path} has no such channel; it holds {held}")
        return chosen


# --- Files ----------------------------------------------------------------------------------


def _is_ours(path: Path) -> bool:
    first = next(lines(path), None)
    if first is None:
        raise UsageError(f"{path} is empty")
    return first[1].startswith(b'{"kind":"header"')


def _foreign(path: Path) -> Iterator[tuple[int | None, bytes]]:
    """Receive time and frame of each line of a file of other make."""
    for number, line, torn in lines(path):
        try:
            # Times keep their digits: a float would lose the nanoseconds.
            content = json.loads(line, parse_float=Decimal)
        except ValueError:
            if torn:
                return
            raise UsageError(f"{path}:{number}: not JSON, so no recording") from None
        if not (isinstance(content, dict) and "raw" in content and "recv_ts" in content):
            yield None, line
            continue
        raw, seconds = content["raw"], content["recv_ts"]
        if not isinstance(raw, str) or not isinstance(seconds, Decimal | int | None):
            raise UsageError(f"{path}:{number}: raw must be text and recv_ts a number or null")
        yield None if seconds is None else int(Decimal(seconds).scaleb(9)), raw.encode()


def received_frames(path: str | Path) -> Iterator[tuple[int | None, bytes]]:
    """Receive time (nanoseconds UTC, or None) and content of each received frame of any recording.

    Of racing connections one speaks for all, so that nothing comes twice.
    """
    if not _is_ours(Path(path)):
        yield from _foreign(Path(path))
        return
    urls: dict[int, str] = {}
    racing = True
    for record in read(path):
        match record:
            case Header(connections=connections):
                racing = connections > 1
                urls.clear()
            case Opened(_, number, url):
                urls[number] = url
            case Closed(_, number):
                urls.pop(number, None)
            case Received(ns, number, frame) if number in urls:
                first = next(n for n, url in urls.items() if url == urls[number])
                if not racing or first == number:
                    yield ns, frame
            case _:
                pass


# --- The machine ----------------------------------------------------------------------------


class _Tap(Feed):
    """Takes what streams deliver, in order."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def put(self, events: Sequence[MarketData]) -> None:
        self.events.extend(events)

    def notify(self, notice: Notice | InstrumentChanged) -> None:
        self.events.append(notice)

    def taken(self) -> list[AnyEvent]:
        taken, self.events = self.events, []
        return taken


@attrs.define(eq=False)
class _Line:
    """One recorded connection."""

    route: Route
    codec: Codec
    runner: Runner
    carried: dict[str, float] = attrs.field(factory=dict)
    """Topics, and since when it has brought them."""
    last_received: float = 0.0


@attrs.define(eq=False)
class _Race:
    """Everything of one route."""

    subscriptions: dict[Subscription, None] = attrs.field(factory=dict)
    topics: dict[str, Topic] = attrs.field(factory=dict)
    runners: list[Runner] = attrs.field(factory=list)


class _Machine:
    """What a client's connections would have done with these records."""

    def __init__(self, exchange: Exchange, frames: Counter[str]) -> None:
        self.now_ns = 0
        self.routes: dict[Route, _Race] = {}
        self._exchange = exchange
        self._frames = frames
        self._tap = _Tap()
        self._lines: dict[int, _Line] = {}
        self._undecided: dict[int, list[Route]] = {}
        self._epochs = 0
        self._start_ns: int | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [s for race in self.routes.values() for s in race.subscriptions]

    def books(self) -> dict[Subscription, OrderBook]:
        found = {}
        for race in self.routes.values():
            for topic in race.topics.values():
                for stream in topic.streams.values():
                    if stream.subscription.channel is Channel.BOOK and topic.book is not None:
                        found[stream.subscription] = topic.book
        return found

    def want(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            route = self._exchange.route(subscription)
            race = self.routes.setdefault(route, _Race())
            if subscription in race.subscriptions:
                continue
            race.subscriptions[subscription] = None
            name = self._exchange.codec(route).topic(subscription)
            topic = race.topics.get(name)
            if topic is None:
                topic = race.topics[name] = Topic(
                    name,
                    race.runners,
                    live=lambda name, route=route: len(self._carrying(route, name)),  # type: ignore[misc]
                    resync=lambda _: None,  # whatever was done about it is in the recording
                    arm=lambda: None,
                    checksum=self._exchange.checksum,
                )
            topic.attach(topic.stream(subscription), self._tap)

    def play(self, record: Record) -> list[AnyEvent]:
        """The events that a record leads to, those of the time that has passed first."""
        self._pass_time(record)
        match record:
            case Header():
                self._undecided.clear()
                for number in list(self._lines):
                    self._close(number)
                self.want(record.subscriptions)
            case Opened(_, number, url):
                routes = self._routes_to(url)
                if len(routes) == 1:
                    self.open(number, routes[0])
                elif routes:
                    self._undecided[number] = routes
            case Received(ns, number, frame):
                if number in self._undecided:
                    self._decide(number, frame)
                line = self._lines.get(number)
                if line is not None:
                    self._receive(line, frame, timed=ns is not None)
            case Closed(_, number):
                self._undecided.pop(number, None)
                self._close(number)
            case _:
                pass
        return self._tap.taken()

    # --- time ---

    def _now(self) -> float:
        return 0.0 if self._start_ns is None else (self.now_ns - self._start_ns) / 1e9

    def _pass_time(self, record: Record) -> None:
        if record.ns is not None and not isinstance(record, End):
            self._advance(record.ns)

    def _advance(self, ns: int) -> None:
        if self._start_ns is None:
            self._start_ns = self.now_ns = ns
        start_ns = self._start_ns
        # A wall clock may have been set back while recording; time doesn't follow it.
        now = (max(ns, self.now_ns) - start_ns) / 1e9
        while True:
            due = [
                (topic.wake_at, topic)
                for race in self.routes.values()
                for topic in race.topics.values()
                if topic.wake_at is not None and topic.wake_at <= now
            ]
            if not due:
                break
            at, topic = min(due, key=lambda pair: pair[0])
            topic.tick(at, start_ns + round(at * 1e9))
        self.now_ns = max(ns, self.now_ns)

    # --- connections ---

    def _routes_to(self, url: str) -> list[Route]:
        """The routes of an address, those with the fewest connections first."""
        found = []
        for route in self.routes:
            parts = re.split(r"\{\w+\}", route.url)
            if re.fullmatch(".*".join(map(re.escape, parts)) + r"(?:\?.*)?", url):
                found.append(route)
        lines = self._lines.values()
        return sorted(found, key=lambda route: sum(line.route is route for line in lines))

    def _decide(self, number: int, frame: bytes) -> None:
        """Several routes share an address: the first data tells which one a connection is of."""
        for route in self._undecided[number]:
            codec = self._codec(route)
            try:
                if codec.compression is not None:
                    frame = inflate(frame, codec.compression)
                messages = codec.decode(frame, self.now_ns)
            except DecodeError:
                continue
            topics = self.routes[route].topics
            if any(isinstance(m, Data) and m.topic in topics for m in messages):
                del self._undecided[number]
                self.open(number, route)
                return

    def _codec(self, route: Route) -> Codec:
        """A codec that knows what its connection was subscribed to."""
        codec = self._exchange.codec(route)
        wanted = list(self.routes[route].subscriptions)
        for chunk in chunks(wanted, route.topics_per_request, codec.request_kind):
            codec.subscribe(chunk, "0")  # what it says was sent long ago
        return codec

    def open(self, number: int, route: Route) -> None:
        self._close(number)
        race = self.routes[route]
        codec = self._codec(route)
        self._epochs += 1
        self._lines[number] = line = _Line(route, codec, Runner(self._epochs))
        race.runners.append(line.runner)

    def _carrying(self, route: Route, topic: str) -> list[_Line]:
        return [x for x in self._lines.values() if x.route is route and topic in x.carried]

    def _close(self, number: int) -> None:
        line = self._lines.pop(number, None)
        if line is None:
            return
        race = self.routes[line.route]
        race.runners.remove(line.runner)
        for name in line.carried:
            topic = race.topics[name]
            others = self._carrying(line.route, name)
            if not others:
                topic.lost_sync(Reason.DISCONNECTED)
                for stream in topic.streams.values():
                    stream.interrupt(Reason.RECONNECTED)
                    stream.stale(Reason.DISCONNECTED, self.now_ns)
            elif not any(other.carried[name] <= line.last_received for other in others):
                # The others began to bring it after this one had stopped.
                self._missed(topic, Reason.RECONNECTED)

    def _missed(self, topic: Topic, reason: Reason) -> None:
        for stream in topic.streams.values():
            if stream.subscription.channel is not Channel.BOOK:
                stream.interrupt(reason)

    # --- frames ---

    def _receive(self, line: _Line, frame: bytes, *, timed: bool) -> None:
        race, runner, codec = self.routes[line.route], line.runner, line.codec
        now = line.last_received = self._now()
        identity: bytes | None = None
        if codec.compression is not None:
            try:
                frame = inflate(frame, codec.compression)
            except DecodeError:
                self._frames["unreadable"] += 1
                self._unreadable(line, now)
                return
        if len(race.runners) > 1 and line.route.sequence_scope is SequenceScope.GLOBAL:
            peeked = codec.peek(frame)
            topic = None if peeked is None else race.topics.get(peeked[0])
            if peeked is not None and topic is not None:
                line.carried.setdefault(peeked[0], now)
                if topic.late(peeked[1], peeked[2], runner, now, self.now_ns):
                    self._frames["late"] += 1
                    return
                if isinstance(peeked[1], bytes):
                    identity = peeked[1]
        try:
            messages = codec.decode(frame, self.now_ns)
        except DecodeError:
            self._frames["unreadable"] += 1
            self._unreadable(line, now)
            return
        useful = False
        for message in messages:
            if not isinstance(message, Data) or message.topic not in race.topics:
                continue
            useful = True
            if identity is not None:
                message.sequence = identity
            if not timed:
                message.events = [self._dated(event) for event in message.events]
                now = line.last_received = self._now()
            line.carried.setdefault(message.topic, now)
            race.topics[message.topic].deliver(message, runner, now)
        self._frames["data" if useful else "other"] += 1

    def _dated(self, event: Any) -> Any:
        """An event of unknown receive time, as if it had arrived at the exchange's time."""
        if event.exchange_time_ns is not None:
            self._advance(event.exchange_time_ns)
            return attrs.evolve(event, received_time_ns=event.exchange_time_ns)
        return attrs.evolve(event, received_time_ns=self.now_ns)

    def _unreadable(self, line: _Line, now: float) -> None:
        for name in line.carried:
            line.carried[name] = now
            if len(self._carrying(line.route, name)) < 2:
                topic = self.routes[line.route].topics[name]
                self._missed(topic, Reason.UNREADABLE)
                if line.route.sequence_scope is not SequenceScope.GLOBAL:
                    topic.doubt(Reason.UNREADABLE, now, self.now_ns)
