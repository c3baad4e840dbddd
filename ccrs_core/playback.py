"""What a client's connections would have done with the records of a recording. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ccrs_core.codec import Codec, Data
from ccrs_core.errors import CcrsError, DecodeError
from ccrs_core.events import AnyEvent, BookUpdate, InstrumentChanged, MarketData, Notice, Reason
from ccrs_core.exchange import Exchange, Route, SequenceScope
from ccrs_core.feed import Feed
from ccrs_core.inflate import inflate
from ccrs_core.model import Channel, Subscription
from ccrs_core.orderbook import OrderBook
from ccrs_core.outstanding import chunks
from ccrs_core.race import Runner
from ccrs_core.recording import Closed, End, Header, Http, Opened, Received, Record
from ccrs_core.rest import GetBook, HttpRequest, HttpResponse
from ccrs_core.topic import Topic


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


class Playback:
    """What a client's connections would have done with these records."""

    def __init__(
        self, exchange: Exchange, frames: Counter[str], snapshots: Mapping[str, bytes]
    ) -> None:
        self.now_ns = 0
        self.routes: dict[Route, _Race] = {}
        self._exchange = exchange
        self._addresses: Mapping[str, str] = {}
        self._frames = frames
        self._tap = _Tap()
        self._lines: dict[int, _Line] = {}
        self._undecided: dict[int, list[Route]] = {}
        self._epochs = 0
        self._start_ns: int | None = None
        self._given = dict(snapshots)
        """Snapshots that the recording lacks, by symbol, as the exchange answered."""
        self._asked: list[Topic] = []
        """Topics whose book has just been found to need one."""

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
                    # Whatever was done about it is in the recording, or was given along with it.
                    resync=lambda name, what, race=race: self._asked.append(race.topics[name]),  # type: ignore[misc]
                    arm=lambda: None,
                    exchange=self._exchange,
                )
            topic.attach(topic.stream(subscription), self._tap)

    def play(self, record: Record) -> list[AnyEvent]:
        """The events that a record leads to, those of the time that has passed first."""
        self._pass_time(record)
        match record:
            case Header():
                self._undecided.clear()
                self._addresses = record.addresses
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
            case Http(_, "GET", url, status, body) if 200 <= status < 300:
                self._answered(url, body)
            case _:
                pass
        self._give()
        return self._tap.taken()

    # --- snapshots that requests brought ---

    def _give(self) -> None:
        """Let books that have begun to wait have what was given along with the recording."""
        while self._asked:
            topic = self._asked.pop()
            body = self._given.pop(topic.streams[BookUpdate].subscription.symbol, None)
            if body is not None:
                self._begin(topic, body)

    def _answered(self, url: str, body: bytes) -> None:
        bare, _, query = url.partition("?")
        for race in self.routes.values():
            for topic in race.topics.values():
                http = self._request(topic)
                if http is None or http.query_string != query:
                    continue
                host = self._addresses.get(self._exchange.rest_address(http))
                # Old recordings don't tell where the host's address ends.
                asked = urlsplit(bare).path if host is None else bare
                if asked != (host or "") + http.path:
                    continue
                if topic.book is not None and not topic.book.valid:
                    self._begin(topic, body)

    def _request(self, topic: Topic) -> HttpRequest | None:
        """The request that a topic's book starts from."""
        stream = topic.streams.get(BookUpdate)
        request = None if stream is None else self._exchange.book_snapshot(stream.subscription)
        if request is None:
            return None
        return self._exchange.endpoints[GetBook].encode(request, None)

    def _begin(self, topic: Topic, body: bytes) -> None:
        request = self._exchange.book_snapshot(topic.streams[BookUpdate].subscription)
        response = HttpResponse(200, {}, body)
        if request is None or topic.keeper is None:
            return
        try:
            if self._exchange.error_of(response) is not None:
                return
            endpoint = self._exchange.endpoints[GetBook]
            snapshot = endpoint.decode(request, response, self.now_ns, None).value
        except CcrsError:
            self._frames["unreadable"] += 1
            return
        topic.keeper.fetched(snapshot, self._now())

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
        bare, lines = url.partition("?")[0], self._lines.values()
        patterns = {route: self._pattern(route) for route in self.routes}
        found = [route for route, pattern in patterns.items() if re.fullmatch(pattern, bare)]
        # One route's path may be the end of another's.
        telling = max((len(patterns[route]) for route in found), default=0)
        found = [route for route in found if len(patterns[route]) == telling]
        return sorted(found, key=lambda route: sum(line.route is route for line in lines))

    def _pattern(self, route: Route) -> str:
        """What a route's addresses look like; a host may be any where the recording doesn't say."""
        literals = re.split(r"\{(\w+)\}", route.url.partition("?")[0])
        parts = [re.escape(each) for each in literals]
        for place, name in enumerate(literals[1::2]):
            known = self._addresses.get(name)
            parts[2 * place + 1] = ".*" if known is None else re.escape(known)
        return "".join(parts)

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
