"""A toy exchange with the simplest possible protocol, and its server with faults, for core tests.

Frames are JSON. ``{"sub": [topics], "id": "1"}`` is answered by ``{"ok": "1"}`` or
``{"no": "1", "why": text, "bad": [topics]}``; data by topic: ``top.X``, ``trades.X``, ``book.X``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Access,
    Ack,
    Answer,
    BookUpdate,
    Budget,
    Capabilities,
    Channel,
    Closing,
    Codec,
    Data,
    DecodeError,
    Endpoint,
    Environment,
    Exchange,
    ExchangeError,
    GetInstruments,
    GetServerTime,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    Instrument,
    Limits,
    LoggedIn,
    LoginRefused,
    Market,
    Message,
    Outbound,
    Pong,
    RateLimited,
    Refused,
    Route,
    SequenceScope,
    Side,
    Subscription,
    TopOfBook,
    Trade,
    Unrecognised,
)
from ccrs_core.errors import ConnectFailed
from ccrs_core.transport.memory import Peer

CHANNELS = {Channel.TOP_OF_BOOK: "top", Channel.TRADES: "trades", Channel.BOOK: "book"}


def instrument(native: str) -> Instrument:
    return Instrument(
        exchange="toy",
        symbol=f"{native}/USD",
        native=native,
        market=Market.SPOT,
        base=native,
        quote="USD",
    )


class ToyCodec(Codec):
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def topic(self, subscription: Subscription) -> str:
        return f"{CHANNELS[subscription.channel]}.{subscription.instrument.native}"

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self.known[self.topic(subscription)] = subscription.symbol
        topics = [self.topic(s) for s in subscriptions]
        return orjson.dumps({"sub": topics, "id": request_id}).decode()

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self.known.pop(self.topic(subscription), None)
        topics = [self.topic(s) for s in subscriptions]
        return orjson.dumps({"unsub": topics, "id": request_id}).decode()

    def ping(self, request_id: str) -> Outbound | None:
        return '{"ping":1}'

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return orjson.dumps({"login": access.credentials.key}).decode()

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        try:
            message = orjson.loads(frame)
            topic = message["t"]
            if topic.startswith("trades."):
                return topic, ",".join(message["ids"]).encode(), False
            return topic, message["n"], message.get("restart", False)
        except (ValueError, KeyError, TypeError):
            return None

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            message: dict[str, Any] = orjson.loads(frame)
            return (self._read(message, received_time_ns),)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise DecodeError(str(error), frame) from error

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if "ok" in message:
            return Ack(message["ok"])
        if "no" in message:
            bad = message.get("bad")
            return Refused(message["no"], "404", message["why"], tuple(bad) if bad else None)
        if "pong" in message:
            return Pong()
        if "bye" in message:
            return Closing(message["bye"])
        if "login" in message:
            return LoggedIn() if message["login"] else LoginRefused("401", "bad key")
        topic = message["t"]
        symbol = self.known.get(topic)
        if symbol is None:
            return Unrecognised(topic)
        if topic.startswith("trades."):
            trades = [
                Trade("toy", symbol, now_ns, now_ns, None, i, Decimal(1), Decimal(1), Side.BUY)
                for i in message["ids"]
            ]
            return Data(topic, trades)
        number, restart = message["n"], message.get("restart", False)
        if topic.startswith("top."):
            bid, ask = map(Decimal, message["q"])
            top = TopOfBook("toy", symbol, now_ns, now_ns, number, bid, Decimal(1), ask, Decimal(1))
            return Data(topic, (top,), number, restart)
        sides = [tuple((Decimal(p), Decimal(s)) for p, s in message[side]) for side in ("b", "a")]
        update = BookUpdate(
            "toy", symbol, now_ns, now_ns, number, message["snap"], *sides, message.get("p")
        )
        return Data(topic, (update,), number, restart)


def _instruments(
    _: GetInstruments, response: HttpResponse, now: int, cursor: str | None
) -> Answer[list[Instrument]]:
    return Answer([instrument(native) for native in orjson.loads(response.body)])


class Toy(Exchange):
    name = "toy"
    contract = 2
    capabilities = Capabilities(
        channels={Market.SPOT: frozenset(CHANNELS)}, book_depths={Market.SPOT: (10,)}
    )
    environments: ClassVar = {
        "mainnet": Environment(addresses={"rest": "https://rest.toy", "stream": "wss://ws.toy"})
    }
    endpoints: ClassVar = {
        GetInstruments: Endpoint(
            encode=lambda request, cursor: HttpRequest("GET", "/instruments"),
            decode=_instruments,
            markets=frozenset({Market.SPOT}),
        ),
        GetServerTime: Endpoint(
            encode=lambda request, cursor: HttpRequest("GET", "/time"),
            decode=lambda request, response, now, cursor: Answer(int(response.body)),
            markets=frozenset(Market),
        ),
    }
    limits = Limits(connects=Budget(amount=50, seconds=60.0))

    def __init__(
        self,
        *,
        scope: SequenceScope = SequenceScope.GLOBAL,
        topics_per_connection: int | None = None,
        topics_per_request: int = 3,
        messages: Budget | None = None,
        max_age: float | None = None,
        private: bool = False,
        codec: type[Codec] | None = None,
        **route: Any,
    ) -> None:
        self._codec = ToyCodec if codec is None else codec
        self._route = Route(
            url="{stream}/v1",
            private=private,
            sequence_scope=scope,
            topics_per_connection=topics_per_connection,
            topics_per_request=topics_per_request,
            messages=messages,
            max_age=max_age,
            **route,
        )

    def route(self, subscription: Subscription) -> Route:
        return self._route

    def codec(self, route: Route) -> Codec:
        return self._codec()

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        return request

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        if response.status == 429:
            return RateLimited("429", "slow down", float(response.headers["retry-after"]))
        return None if response.status == 200 else ExchangeError(str(response.status), "failed")

    def max_silence(self, subscription: Subscription) -> float | None:
        return 10.0 if subscription.channel is Channel.TOP_OF_BOOK else None


class ToyServer:
    """The toy exchange's side. ``tick`` moves a market; faults are attributes and methods."""

    NATIVES = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC")

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.topics: dict[Peer, set[str]] = {}
        self.sequence: dict[str, int] = {}
        self.books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
        self.bad: set[str] = set()
        """Topics that are refused."""
        self.named = False
        """Whether refusals name the bad topics."""
        self.mute_acks = 0
        """How many of the next requests get no answer and no effect."""
        self.refuse_connects = 0
        self.stalled: set[tuple[Peer, str]] = set()
        self.dead: set[Peer] = set()
        """Peers that vanished without a word: nothing goes in or out."""
        self.skip: set[Peer] = set()
        """Peers that miss the next book update."""
        self.attempts: list[float] = []
        self.sent: list[tuple[float, Peer, dict[str, Any]]] = []
        self.requests: list[str] = []
        self.respond: Callable[[HttpRequest], HttpResponse] | None = None
        self.accept_login = True
        self.now: Callable[[], float] = lambda: 0.0

    # --- Server protocol ---

    def opened(self, peer: Peer) -> None:
        self.attempts.append(self.now())
        if self.refuse_connects:
            self.refuse_connects -= 1
            raise ConnectFailed(f"{peer.url}: refused")
        self.peers.append(peer)
        self.topics[peer] = set()

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        self.sent.append((self.now(), peer, message))
        if peer in self.dead:
            return
        if "ping" in message:
            peer.push('{"pong":1}')
        elif "login" in message:
            peer.push(orjson.dumps({"login": self.accept_login}))
        elif "unsub" in message:
            self.topics[peer] -= set(message["unsub"])
            peer.push(orjson.dumps({"ok": message["id"]}))
        else:
            self._subscribe(peer, message)

    def _subscribe(self, peer: Peer, message: dict[str, Any]) -> None:
        topics = message["sub"]
        if self.mute_acks:
            self.mute_acks -= 1
            return
        bad = [t for t in topics if t in self.bad]
        if bad:
            refusal = {"no": message["id"], "why": f"no such topic {bad[0]}"}
            if self.named:
                refusal["bad"] = bad
            peer.push(orjson.dumps(refusal))
            return
        for topic in topics:
            self.topics[peer].add(topic)
            # As at real exchanges, the first snapshot may come before the acknowledgement.
            self.show(peer, topic)
        peer.push(orjson.dumps({"ok": message["id"]}))

    def closed(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.requests.append(request.path)
        if self.respond is not None:
            return self.respond(request)
        if request.path == "/time":
            return HttpResponse(200, {}, b"1700000000000000000")
        return HttpResponse(200, {}, orjson.dumps(self.NATIVES))

    # --- the market ---

    def book(self, native: str) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        if native not in self.books:
            self.books[native] = (
                {Decimal(100 - i): Decimal(1) for i in range(3)},
                {Decimal(101 + i): Decimal(1) for i in range(3)},
            )
        return self.books[native]

    def show(self, peer: Peer, topic: str) -> None:
        """Send the present state of a topic to one peer."""
        kind, _, native = topic.partition(".")
        number = self.sequence.setdefault(topic, 100)
        if kind == "top":
            self._push(peer, topic, self._top(topic, number))
        elif kind == "book":
            bids, asks = self.book(native)
            self._push(
                peer,
                topic,
                {"t": topic, "n": number, "snap": True, "b": _rows(bids), "a": _rows(asks)},
            )

    def _top(self, topic: str, number: int) -> dict[str, Any]:
        return {"t": topic, "n": number, "q": [f"{number}.10", f"{number}.20"]}

    def _push(self, peer: Peer, topic: str, message: dict[str, Any]) -> None:
        if peer in self.dead or (peer, topic) in self.stalled:
            return
        peer.push(orjson.dumps(message))

    def tick(
        self, topic: str, *, restart: bool = False, peers: Sequence[Peer] | None = None
    ) -> int:
        """The market moves once; every subscribed connection (or just ``peers``) is told."""
        kind, _, native = topic.partition(".")
        number = self.sequence[topic] = 1 if restart else self.sequence.get(topic, 100) + 1
        message: dict[str, Any]
        if kind == "top":
            message = self._top(topic, number)
        elif kind == "trades":
            message = {"t": topic, "ids": [f"{native}-{number}"]}
        else:
            bids, asks = self.book(native)
            price = Decimal(100 - number % 3)
            bids[price] = Decimal(number)
            message = {
                "t": topic,
                "n": number,
                "p": number - 1,
                "snap": False,
                "b": [[str(price), str(number)]],
                "a": [],
            }
            if restart:
                message |= {"snap": True, "b": _rows(bids), "a": _rows(asks)}
        if restart:
            message["restart"] = True
        for peer in list(self.peers) if peers is None else peers:
            if topic not in self.topics.get(peer, ()):
                continue
            if kind == "book" and peer in self.skip:
                self.skip.discard(peer)
                continue
            self._push(peer, topic, message)
        return number

    def repeat_tops(self) -> None:
        """Repeat the last top of book to all, as exchanges do on quiet markets."""
        for peer in self.peers:
            for topic in self.topics[peer]:
                if topic.startswith("top."):
                    self._push(peer, topic, self._top(topic, self.sequence[topic]))

    @property
    def open(self) -> list[Peer]:
        """Connections that are open, oldest first."""
        return [peer for peer in self.peers if peer.open]

    def subscribed(self) -> list[set[str]]:
        """What each open connection is subscribed to."""
        return [self.topics[peer] for peer in self.open]


def _rows(side: dict[Decimal, Decimal]) -> list[list[str]]:
    return [[str(p), str(s)] for p, s in side.items()]
