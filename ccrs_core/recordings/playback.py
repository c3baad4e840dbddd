"""What a client's connections would have done with the records of a recording. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.frames import identify
from ccrs_core.connections.open_requests import chunks
from ccrs_core.connections.quiet import GONE
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.unread import topics_of
from ccrs_core.contract.codec import (
    Ack,
    Codec,
    Data,
    LeftOut,
    Lost,
    Message,
    Pong,
    Refused,
    Unchanged,
    Unrecognised,
)
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Exchange, Route, SequenceScope
from ccrs_core.contract.rest import GetBook, HttpResponse
from ccrs_core.errors import CcrsError
from ccrs_core.model.events import (
    AnyEvent,
    BookUpdate,
    Reason,
)
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.recordings.addresses import routes_to
from ccrs_core.recordings.format import (
    ABORTED,
    Closed,
    End,
    Header,
    Http,
    Opened,
    Received,
    Record,
    Sent,
)
from ccrs_core.recordings.line import Line
from ccrs_core.recordings.questions import Questions
from ccrs_core.recordings.tap import Tap
from ccrs_core.topics.topic import Topic


@attrs.define(eq=False)
class _Race:
    """Everything of one route."""

    subscriptions: dict[Subscription, None] = attrs.field(factory=dict)
    topics: dict[str, Topic] = attrs.field(factory=dict)
    runners: list[Runner] = attrs.field(factory=list)
    brought: dict[str, float] = attrs.field(factory=dict)
    """When connections that are gone had last brought something of a topic."""


class Playback:
    """What a client's connections would have done with these records."""

    def __init__(
        self, exchange: Exchange, frames: Counter[str], snapshots: Mapping[str, bytes]
    ) -> None:
        self.now_ns = 0
        self.fate = ""
        """What became of the last frame; nothing where it belongs to no connection played."""
        self.dropped: tuple[str, ...] = ()
        """What the last frame is of, in its codec's words, where nothing of it was delivered."""
        self.routes: dict[Route, _Race] = {}
        self._exchange = exchange
        self._addresses: Mapping[str, str] = {}
        self._frames = frames
        self._tap = Tap()
        self._lines: dict[int, Line] = {}
        self._undecided: dict[int, list[Route]] = {}
        self._epochs = 0
        self._start_ns: int | None = None
        self._given = dict(snapshots)
        """Snapshots that the recording lacks, by symbol, as the exchange answered."""
        self._connections = 1
        """How many are wanted for each route; there are more while one is being replaced."""
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
                    relieved=lambda route=route: self._relieved(route),  # type: ignore[misc]
                )
                for runner in race.runners:
                    runner.apart.add(name)
            topic.attach(topic.stream(subscription), self._tap)

    def play(self, record: Record) -> list[AnyEvent]:
        """The events that a record leads to, those of the time that has passed first."""
        self._pass_time(record)
        match record:
            case Header():
                self._undecided.clear()
                self._connections = record.connections
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
                self.fate, self.dropped = "", ()
                if number in self._undecided:
                    self._decide(number, frame)
                line = self._lines.get(number)
                if line is None:
                    self.dropped = self._stray(frame)
                else:
                    self.fate = self._receive(line, frame, timed=ns is not None)
                    self._frames[self.fate] += 1
            case Sent(_, number, frame):
                if number in self._undecided:
                    self._decide_by_request(number, frame)
                if number in self._lines:
                    self._asked_of(self._lines[number], frame)
            case Closed(_, number, reason):
                self._undecided.pop(number, None)
                self._close(number, ours=reason == ABORTED)
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
            requests = self._requests(topic)
            body = self._given.pop(topic.streams[BookUpdate].subscription.symbol, None)
            if body is not None and requests:
                self._begin(topic, requests[0], body, given=True)

    def _answered(self, url: str, body: bytes) -> None:
        bare, _, query = url.partition("?")
        for race in self.routes.values():
            for topic in race.topics.values():
                for request in self._requests(topic):
                    http = self._exchange.endpoints[GetBook].encode(request, None)
                    if http.query_string != query:
                        continue
                    host = self._addresses.get(self._exchange.rest_address(http))
                    # Old recordings don't tell where the host's address ends.
                    asked = urlsplit(bare).path if host is None else bare
                    if asked == (host or "") + http.path:
                        self._begin(topic, request, body)
                        break

    def _requests(self, topic: Topic) -> list[GetBook]:
        """The requests that a topic's book starts from, and is widened by."""
        stream, exchange = topic.streams.get(BookUpdate), self._exchange
        if stream is None:
            return []
        asked = (f(stream.subscription) for f in (exchange.book_snapshot, exchange.wider_snapshot))
        return list(dict.fromkeys(request for request in asked if request is not None))

    def _begin(self, topic: Topic, request: GetBook, body: bytes, *, given: bool = False) -> None:
        response = HttpResponse(200, {}, body)
        if topic.keeper is None:
            return
        try:
            if self._exchange.error_of(response) is not None:
                return
            endpoint = self._exchange.endpoints[GetBook]
            snapshot = endpoint.decode(request, response, self.now_ns, None).value
        except CcrsError:
            self._frames["unreadable"] += 1
            return
        # Nobody knows how much was asked for in what was given along with the recording.
        levels = max(len(snapshot.bids), len(snapshot.asks), 1)
        topic.keeper.fetched(snapshot, self._now(), levels if given else request.depth)

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
        lines = self._lines.values()
        found = routes_to(url, self.routes, self._addresses)
        return sorted(found, key=lambda route: sum(line.route is route for line in lines))

    def _decide_by_request(self, number: int, frame: bytes) -> None:
        """Several routes share an address: what a connection subscribes to tells which it is of."""
        for route in self._undecided[number]:
            if self._questions(route).asks(frame):
                del self._undecided[number]
                self.open(number, route)
                return

    def _questions(self, route: Route) -> Questions:
        wanted = list(self.routes[route].subscriptions)
        return Questions(lambda: self._exchange.codec(route), route, wanted)

    def _decide(self, number: int, frame: bytes) -> None:
        """The same where no such request is known: the first data tells."""
        for route in self._undecided[number]:
            messages, topics = self._tried(self._codec(route), frame), self.routes[route].topics
            if any(isinstance(m, Data) and m.topic in topics for m in messages):
                del self._undecided[number]
                self.open(number, route)
                return

    def _stray(self, frame: bytes) -> tuple[str, ...]:
        """What a frame is of that belongs to no connection played, as far as any codec says."""
        for route in self.routes:
            if found := tuple(_names(self._tried(self._exchange.codec(route), frame), ())):
                return found
        return ()

    def _tried(self, codec: Codec, frame: bytes) -> Sequence[Message]:
        """What a frame says that may be of another route, as far as anybody can say."""
        try:
            if codec.compression is not None:
                frame = inflate(frame, codec.compression)
            return codec.decode(frame, self.now_ns)
        except Exception:
            return ()

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
        runner = Runner(self._epochs, opened_at=self._now(), apart=set(race.topics))
        self._lines[number] = line = Line(route, codec, runner, self._questions(route))
        line.last_received = self._now()
        race.runners.append(runner)

    def _carrying(self, route: Route, topic: str) -> list[Line]:
        return [
            line
            for line in self._lines.values()
            if line.route is route and line.carried_since(topic) is not None
        ]

    def _close(self, number: int, *, ours: bool = False) -> None:
        line = self._lines.pop(number, None)
        if line is None:
            return
        race, now = self.routes[line.route], self._now()
        left = [other for other in self._lines.values() if other.route is line.route]
        # What the client ends while as many are open as are wanted has been replaced.
        planned = ours and len(left) >= self._connections
        for name in race.topics:
            life = line.life(name)
            if life is not None and life.goes_on:
                race.brought[name] = max(life.at, race.brought.get(name, life.at))
        race.runners.remove(line.runner)
        carried = [name for name in race.topics if line.carried_since(name) is not None]
        for name in carried:
            if not self._carrying(line.route, name):
                topic = race.topics[name]
                missing = Reason.ROLLOVER if planned else Reason.RECONNECTED
                topic.lost(Reason.DISCONNECTED, missing, self.now_ns)
        for topic in race.topics.values():
            reason = Reason.ROLLOVER if planned else Reason.RECONNECTED
            topic.coverage.leaves(line.runner, reason, now)
        for name in carried:
            race.topics[name].narrowed(now)

    def _relieved(self, route: Route) -> bool:
        """Whether a connection is being replaced that still brings things."""
        lines = [line for line in self._lines.values() if line.route is route]
        return len(lines) > self._connections and (
            self._now() - lines[0].last_received < Coverage.BOUND
        )

    # --- frames ---

    def _receive(self, line: Line, frame: bytes, *, timed: bool) -> str:
        """What becomes of a frame: data, late, other, unreadable."""
        race, runner, codec = self.routes[line.route], line.runner, line.codec
        now = line.last_received = self._now()
        identity: bytes | None = None
        if codec.compression is not None:
            try:
                frame = inflate(frame, codec.compression)
            except Exception:
                self._unreadable(line, now)
                return "unreadable"
        if len(race.runners) > 1 and line.route.sequence_scope is SequenceScope.GLOBAL:
            peeked = _peek(codec, frame)
            topic = None if peeked is None else race.topics.get(peeked[0])
            if peeked is not None and topic is not None:
                line.hears(peeked[0], now)
                if topic.late(peeked[1], peeked[2], runner, now, self.now_ns):
                    return "late"
                if isinstance(peeked[1], bytes):
                    identity = peeked[1]
        try:
            messages = codec.decode(frame, self.now_ns)
        except Exception as error:  # a codec's bug costs a frame, as it does live
            self.dropped = topics_of(codec, error, frame)
            self._unreadable(line, now, self.dropped)
            return "unreadable"
        useful = False
        if identity is not None:
            identify(messages, identity)
        for message in messages:
            if not isinstance(message, Data):
                useful |= isinstance(message, LeftOut | Unchanged)
                self._control(line, message, now)
                continue
            if message.topic not in race.topics:
                continue
            useful = True
            if not timed:
                message.events = [self._dated(event) for event in message.events]
                now = line.last_received = self._now()
            line.hears(message.topic, now)
            race.topics[message.topic].deliver(message, runner, now)
        if useful:
            return "data"
        self.dropped = tuple(_names(messages, race.topics))
        return "other"

    def _control(self, line: Line, message: Message, now: float) -> None:
        """What a connection was told that is no data, as far as it matters for what is missing."""
        match message:
            case LeftOut(name):
                self._unreadable(line, now, (name,))
                return
            case Lost(_, topics):
                self._unreadable(line, now, topics or (), Reason.SEQUENCE)
                return
            case Unchanged(name):
                if (topic := self.routes[line.route].topics.get(name)) is not None:
                    line.hears(name, now)
                    topic.unchanged(self.now_ns)
                return
            case Ack(request_id, topics):
                names = line.questions.subscribed(request_id, topics)
                for name in names:
                    topic = self.routes[line.route].topics.get(name)
                    if topic is not None:
                        line.acknowledged(name, now)
                        topic.acknowledged(line.runner, now, self.now_ns)
                if names or request_id is None:
                    return
                asked_at = line.questions.answered(request_id)
            case Refused(request_id) if request_id is None:
                return
            case Pong(request_id) | Refused(request_id):
                asked_at = line.questions.answered(request_id)
            case _:
                return
        if asked_at is None:
            return
        for topic in self.routes[line.route].topics.values():
            coverage = topic.coverage
            if line.runner in coverage.following and coverage.apart and self._lacks(line, topic):
                self._silent(line, topic)
            else:
                coverage.answered(line.runner, asked_at, now)

    # --- topics that are subscribed to anew, see :mod:`ccrs_core.connections.revival` ---

    def _lacks(self, line: Line, topic: Topic) -> bool:
        brought = self.routes[line.route].brought.get(topic.name)
        life = line.life(topic.name)
        return brought is not None and life is not None and life.at < brought - GONE

    def _asked_of(self, line: Line, frame: bytes) -> None:
        """A frame has left: of what it begins anew, something may be missing."""
        race = self.routes[line.route]
        for name in line.questions.sent(frame, self._now()):
            again = [s for s in race.subscriptions if line.codec.topic(s) == name]
            for ask in (line.codec.unsubscribe, line.codec.subscribe):
                ask(again, "0")  # the codec begins anew, too
            if line.brings(name) and name in race.topics:
                self._silent(line, race.topics[name])

    def _silent(self, line: Line, topic: Topic) -> None:
        """A connection brings nothing of a topic, and asks for it anew; see ``Shard.silent``."""
        name, now = topic.name, self._now()
        last = line.ends(name)
        book = topic.book
        if book is not None and not book.valid and len(topic.streams) == 1:
            return  # it is asked for because of that
        if not self._carrying(line.route, name):
            topic.found_dead()
            topic.lost(Reason.SILENT, Reason.RESUBSCRIBED, self.now_ns)
        elif last is not None:
            others = (each.carried_since(name) for each in self._carrying(line.route, name))
            if all(since is not None and since > last + GONE for since in others):
                topic.interrupt(Reason.SILENT)
        topic.coverage.leaves(line.runner, Reason.SILENT, now, ended=False)

    def _dated(self, event: Any) -> Any:
        """An event of unknown receive time, as if it had arrived at the exchange's time."""
        if event.exchange_time_ns is not None:
            self._advance(event.exchange_time_ns)
            return attrs.evolve(event, received_time_ns=event.exchange_time_ns)
        return attrs.evolve(event, received_time_ns=self.now_ns)

    def _unreadable(
        self,
        line: Line,
        now: float,
        of: tuple[str, ...] = (),
        reason: Reason = Reason.UNREADABLE,
    ) -> None:
        """A frame was lost, of some topics or of whatever one; see ``Shard.unreadable``."""
        topics = self.routes[line.route].topics
        known = [name for name in of if name in topics]
        unread = known if reason is Reason.UNREADABLE else ()
        lasting = [name for name in unread if line.misread(name, now)]
        for name, topic in topics.items():
            if known and name not in known:
                continue
            if name in lasting and not self._carrying(line.route, name):
                topic.garbled(self.now_ns)
            if line.carried_since(name) is None:
                continue
            numbered = line.route.sequence_scope is SequenceScope.GLOBAL
            topic.missed(line.runner, reason, now, self.now_ns, numbered)


def _names(messages: Sequence[Message], topics: Container[str]) -> Iterator[str]:
    """What messages are of that nobody asked for."""
    for message in messages:
        if isinstance(message, Unrecognised):
            yield message.what
        elif isinstance(message, Data) and message.topic not in topics:
            yield message.topic


def _peek(codec: Codec, frame: bytes) -> tuple[str, int | bytes, bool] | None:
    try:
        return codec.peek(frame)
    except Exception:
        return None  # decoding says what is wrong with it
