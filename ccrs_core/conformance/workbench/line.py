"""A plugin's codec and endpoints wired straight to the emulated exchange: no client, no waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import attrs

from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import Codec, Data, Message, Outbound, Reply
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import Answer, HttpRequest, HttpResponse, Request
from ccrs_core.emulator import EmulatedExchange, Frame, HttpRefusal, Peer, PingAction
from ccrs_core.errors import CcrsError, ExchangeError
from ccrs_core.model.events import BookUpdate, MarketData
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND
from ccrs_core.requests.pages import Pages
from ccrs_core.requests.retention import check_retention
from ccrs_core.transport.addresses import everything_at

T = TypeVar("T")

_addresses = count()
_MOST_PAGES = 2_000
CREDENTIALS = Credentials("key of nobody", "c2VjcmV0IG9mIG5vYm9keQ==", "phrase of nobody")
"""What private connections of a line are signed with."""


class Wire:
    """One WebSocket of a line: what the codec reads out of everything that the exchange sends."""

    def __init__(self, line: Line, route: Route) -> None:
        exchange, venue = line.exchange, line.venue
        self.line = line
        self.codec: Codec = exchange.codec(route)
        self.frames: list[bytes] = []
        """Every frame so far, as it came."""
        self.closed = False
        question = exchange.token(route) if route.private else None
        self._token = "" if question is None else line.ask(question).value
        url = route.at(everything_at("http://emulator", exchange))
        self._url = url.replace("{token}", quote(self._token, safe=""))
        self._private = route.private
        parts = urlsplit(self._url)
        query = dict(parse_qsl(parts.query))
        address = line.address or line.another()
        peer = venue.open(parts.path, query, venue.now_ns, address, route.headers)
        if isinstance(peer, HttpRefusal):
            raise AssertionError(f"the emulator refuses {parts.path} with HTTP {peer.status}")
        self.peer: Peer = peer
        self._number = 0
        self._limit = route.messages
        self._sent_ns: list[int] = []
        self.ping_due_ns: int | None = None
        """When the exchange is due a ping, without which it may hang up."""
        self._ping_later()

    def _ping_later(self) -> None:
        heartbeat = self.codec.heartbeat
        if heartbeat is not None and not self.closed:
            self.ping_due_ns = self.line.venue.now_ns + round(heartbeat.interval * NS_PER_SECOND)
        else:
            self.ping_due_ns = None

    def send(self, frame: Outbound) -> list[Message]:
        """Send a frame as the client would, in its turn; what comes back until then."""
        delay = self.delay()
        found = self.run(delay) if delay else []
        self.peer.received(self.codec.sign(frame, self._access), self.line.venue.now_ns)
        return found + self.take()

    @property
    def _access(self) -> Access:
        return Access(
            now_ms=self.line.received_time_ns // NS_PER_MS,
            url=self._url,
            credentials=self.line.credentials if self._private else None,
            token=self._token,
        )

    def login(self) -> list[Message] | None:
        """Log in; what comes back at once. None where no frame does that."""
        self._number += 1
        frame = self.codec.login(self._access, str(self._number))
        if frame is None:
            return None
        self.peer.received(frame, self.line.venue.now_ns)
        return self.take()

    def delay(self) -> float:
        """Seconds that a frame which is sent next has to wait by the route's limits on messages."""
        now_ns, leaves_ns = self.line.venue.now_ns, self.line.venue.now_ns
        for limit in () if self._limit is None else self._limit.all:
            if len(self._sent_ns) >= limit.amount:
                length_ns = round(limit.seconds * NS_PER_SECOND)
                leaves_ns = max(leaves_ns, self._sent_ns[-limit.amount] + length_ns)
        if self._limit is not None:
            self._sent_ns.append(leaves_ns)
            del self._sent_ns[: -max(limit.amount for limit in self._limit.all)]
        return (leaves_ns - now_ns) / NS_PER_SECOND

    def subscribe(self, *subscriptions: Subscription) -> list[Message]:
        """Subscribe in one request; what comes back at once."""
        self._number += 1
        return self.send(self.codec.subscribe(subscriptions, str(self._number)))

    def unsubscribe(self, *subscriptions: Subscription) -> list[Message]:
        """Unsubscribe in one request; what comes back at once."""
        self._number += 1
        return self.send(self.codec.unsubscribe(subscriptions, str(self._number)))

    def raw(self) -> list[bytes]:
        """The frames that have come since the last call, not decoded."""
        found: list[bytes] = []
        for action in self.peer.take():
            if isinstance(action, Frame):
                found.append(action.payload)
            elif isinstance(action, PingAction):
                self.peer.ponged(action.payload, self.line.venue.now_ns)
            else:
                self.closed = True
        self.frames += found
        return found

    def take(self) -> list[Message]:
        """What the frames say that have come since the last call. Replies are sent, and a ping
        where one is due."""
        found: list[Message] = []
        if self.ping_due_ns is not None and self.line.venue.now_ns >= self.ping_due_ns:
            self._ping_later()
            self._number += 1
            ping = self.codec.ping(str(self._number))
            if ping is not None:
                found += self.send(ping)
            else:
                self.peer.pinged(self.line.venue.now_ns)
        for frame in self.raw():
            found += self.decode(frame)
        for message in found:
            if isinstance(message, Reply):
                found += self.send(message.frame)
        return found

    def decode(self, frame: bytes) -> Sequence[Message]:
        """What one frame says."""
        codec = self.codec
        if codec.compression is not None:
            frame = inflate(frame, codec.compression)
        return codec.decode(frame, self.line.received_time_ns)

    def run(self, seconds: float) -> list[Message]:
        """Let time pass at the exchange; all that comes meanwhile."""
        venue = self.line.venue
        end_ns = venue.now_ns + round(seconds * NS_PER_SECOND)
        found: list[Message] = []
        while (due := next_due_ns(venue, [self])) is not None and due <= end_ns:
            venue.advance(due)
            found += self.take()
        venue.advance(end_ns)
        return found + self.take()


def next_due_ns(venue: EmulatedExchange, wires: Iterable[Wire]) -> int | None:
    """When something happens next, at the exchange or on a wire."""
    due = [wire.ping_due_ns for wire in wires]
    return min((at for at in (venue.next_wake_ns, *due) if at is not None), default=None)


@attrs.frozen
class Page:
    """One page of an answer: what was asked by which cursor, and what came."""

    asked: HttpRequest
    cursor: str | None
    response: HttpResponse
    answer: Answer[Any]


class Line:
    """A fresh plugin and an emulated exchange.

    Without an ``address`` each connection and each request comes from one of its own, so that what
    the exchange allows an address doesn't matter.
    """

    def __init__(
        self,
        exchange: Exchange,
        venue: EmulatedExchange,
        address: str | None = None,
        credentials: Credentials = CREDENTIALS,
    ) -> None:
        self.exchange = exchange
        self.venue = venue
        self.address = address
        self.credentials = credentials
        self.clock_off_ns = 0
        """How far our own clock is ahead of the exchange's."""

    @property
    def received_time_ns(self) -> int:
        """The time by our own clock."""
        return self.venue.now_ns + self.clock_off_ns

    def another(self) -> str:
        """A network address that nobody else has."""
        return f"line-{next(_addresses)}"

    def open(self, route: Route) -> Wire:
        """Open a WebSocket of a route."""
        return Wire(self, route)

    def http(self, request: HttpRequest) -> HttpResponse:
        """Make one HTTP request."""
        name = self.exchange.rest_address(request)
        asked = attrs.evolve(
            request, path=self.exchange.base_url_paths.get(name, "") + request.path
        )
        address = self.address or self.another()
        response = self.venue.http(asked, self.venue.now_ns, address)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpResponse(response.status, headers, response.body)

    def signed(self, request: HttpRequest) -> HttpRequest:
        """A request with the proof of who sends it."""
        name = self.exchange.rest_address(request)
        access = Access(
            now_ms=self.received_time_ns // NS_PER_MS,
            url=everything_at("http://emulator", self.exchange)[name],
            credentials=self.credentials,
        )
        return self.exchange.sign(request, access)

    def snapshot(self, subscription: Subscription) -> BookUpdate:
        """What the exchange answers to the request that a book starts from."""
        request = self.exchange.book_snapshot(subscription)
        assert request is not None
        return self.ask(request)

    def pages(self, request: Request[Any]) -> Iterator[Page]:
        """Ask a unified question page by page; time may pass between them.

        :raises CcrsError: the typed error that the exchange answers with.
        """
        yield from self._turned(Pages(request, self.exchange.endpoints[type(request)]), request)

    def _turned(self, pages: Pages[Any], request: Request[Any]) -> Iterator[Page]:
        endpoint = self.exchange.endpoints[type(request)]
        for _ in range(_MOST_PAGES):
            asked, cursor = pages.next_request(), pages.cursor
            response = self.http(self.signed(asked) if endpoint.signed else asked)
            error: CcrsError | None = self.exchange.error_of(response)
            if error is None or not error.retryable:
                answered_ns = response.date_ns or self.received_time_ns
                name = self.exchange.name
                check_retention(name, endpoint, request, cursor, answered_ns)
            answer: Answer[Any] = Answer(None)
            if error is None:
                answer = endpoint.decode(request, response, self.received_time_ns, cursor)
            elif not isinstance(error, ExchangeError) or error.code not in endpoint.denied:
                raise error
            yield Page(asked, cursor, response, answer)
            pages.add(answer)
            if pages.complete:
                return
        raise AssertionError(
            f"{request} has no end after {_MOST_PAGES} pages; the next cursor is {pages.cursor!r}. "
            "decode() must return None where nothing that is wanted can lie further"
        )

    def ask(self, request: Request[T]) -> T:
        """Ask a unified question, all pages of it, joined as the client joins them.

        :raises CcrsError: the typed error that the exchange answers with.
        """
        pages = Pages(request, self.exchange.endpoints[type(request)])
        for _ in self._turned(pages, request):
            pass
        return pages.joined()


def events_of(messages: Sequence[Message]) -> list[MarketData]:
    """The market data among messages, in order."""
    events = [event for m in messages if isinstance(m, Data) for event in m.events]
    return [event for event in events if isinstance(event, MarketData)]
