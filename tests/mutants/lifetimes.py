"""Mutants of long connections: what is never forgotten, and demands for life that go unmet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Alive, Codec, Message, Outbound, Reply
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.emulator import Dialect, Frame, Handshake, HttpRefusal, Visitor
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

SYMBOLS = "test_a_codec_keeps_nothing_of_symbols_that_are_gone"
VALUES = "test_a_codec_keeps_a_bounded_part_of_what_it_reads"


# --- memory ---------------------------------------------------------------------------------


class _Remembering(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._known: dict[str, Subscription] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._known |= {self.topic(each): each for each in subscriptions}
        return super().subscribe(subscriptions, request_id)


@caught_by(SYMBOLS)
class TopicsNeverForgotten(Bybit):
    """What was subscribed to once is remembered for ever."""

    def codec(self, route: Route) -> Codec:
        return _Remembering(super().codec(route))


class _Numbering(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._asked: list[tuple[str, int]] = []

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._asked.append((request_id, len(subscriptions)))
        return super().unsubscribe(subscriptions, request_id)


@caught_by(SYMBOLS)
class RequestsNeverForgotten(Okx):
    """The ids of all requests to unsubscribe are remembered for ever."""

    def codec(self, route: Route) -> Codec:
        return _Numbering(super().codec(route))


class _LastOfEach(Through):
    """The last event of each symbol, which outlives its subscription."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last: dict[str, Any] = {}

    def event(self, event: Any) -> Any:
        self._last[event.symbol] = event
        return event


@caught_by(SYMBOLS)
class LastEventsNeverForgotten(Binance):
    """The last event of each symbol is kept when nobody wants the symbol any more."""

    def codec(self, route: Route) -> Codec:
        return _LastOfEach(super().codec(route))


class _Cached(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._prices: dict[Any, Any] = {}

    def event(self, event: Any) -> Any:
        price = getattr(event, "price", None) or getattr(event, "bid_price", None)
        self._prices.setdefault(price, price)
        return event


@caught_by(VALUES)
class PricesCachedForEver(Kraken):
    """Every price that was ever read is kept, so that equal ones are one object."""

    def codec(self, route: Route) -> Codec:
        return _Cached(super().codec(route))


class _Repeats(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._seen: set[bytes] = set()

    def frame(self, frame: bytes) -> bytes:
        self._seen.add(frame[-60:])
        return frame


@caught_by(VALUES)
class FramesNeverForgotten(Okx):
    """The ends of all frames are kept, to recognise repeats."""

    def codec(self, route: Route) -> Codec:
        return _Repeats(super().codec(route))


# --- signs of life --------------------------------------------------------------------------

AGES = "test_a_connection_lives_until_the_exchanges_limit_of_age"
DEADLINES = "test_each_deadline_of_the_exchange_is_met"
REPLACED = "test_connections_are_replaced_before_the_exchange_ends_them"
HOUR_NS = 3600 * NS_PER_SECOND


@caught_by(AGES)
class AgeNotDeclared(Binance):
    """That connections end after a day isn't declared."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), max_age=None)


@caught_by(AGES, REPLACED)
class AgeTooHigh(Binance):
    """Connections are said to live for longer than a day."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), max_age=24.5 * 3600)


class Mortal(SpeaksThrough):
    """Every connection ends some hours after it was opened."""

    hours = 12

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        session = super().open(handshake)
        if isinstance(session, Visitor):
            opened, end_ns = session.opened, self.hours * HOUR_NS

            def opening(now_ns: int) -> None:
                opened(now_ns)
                session.peer.venue.at(now_ns + end_ns, lambda _: session.peer.close(1001, ""))

            session.opened = opening  # type: ignore[method-assign]
        return session


@caught_by(AGES)
class HalfADayNotDeclared(Okx):
    """The exchange ends connections after twelve hours, and that isn't declared."""

    def dialect(self) -> Dialect:
        return Mortal(super().dialect())


@caught_by(AGES)
class HalfADayOfKraken(Kraken):
    """The exchange ends connections after twelve hours, and that isn't declared."""

    def dialect(self) -> Dialect:
        return Mortal(super().dialect())


@caught_by(REPLACED)
class BooksAreLeftToTheExchange(Kraken):
    """Connections of books, which can't race, are said to live for longer than they do."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        hours = 11 if route.sequence_scope is SequenceScope.GLOBAL else 12.5
        return attrs.evolve(route, max_age=hours * 3600)

    def dialect(self) -> Dialect:
        return Mortal(super().dialect())


class _PingsOnce(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._pinged = False

    def ping(self, request_id: str) -> Outbound | None:
        if self._pinged:
            return None
        self._pinged = True
        return super().ping(request_id)


@caught_by(DEADLINES)
class PingsOnce(Okx):
    """Only the first heartbeat is the frame that the exchange demands."""

    def codec(self, route: Route) -> Codec:
        return _PingsOnce(super().codec(route))


class _DemandsPongs(SpeaksThrough):
    """Every 15 s the exchange asks in JSON whether the client lives, and hangs up 10 s later where
    it wasn't told what it had asked with: whatever else passes."""

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        session = super().open(handshake)
        if isinstance(session, HttpRefusal):
            return session
        opened, received = session.opened, session.received
        waiting: set[int] = set()

        def ask(now_ns: int) -> None:
            peer = session.peer
            if peer.open:
                waiting.add(now_ns)
                peer.put(Frame(orjson.dumps({"event": "ping", "ts": now_ns})))
                peer.venue.at(now_ns + 10 * NS_PER_SECOND, lambda _: look(now_ns))
                peer.venue.at(now_ns + 15 * NS_PER_SECOND, ask)

        def look(asked_ns: int) -> None:
            if asked_ns in waiting:
                session.peer.close(1008, "no pong")

        def opening(now_ns: int) -> None:
            opened(now_ns)
            session.peer.venue.at(now_ns + 15 * NS_PER_SECOND, ask)

        def hearing(frame: str | bytes, now_ns: int) -> None:
            if isinstance(frame, str) and '"op":"pong"' in frame:
                waiting.discard(orjson.loads(frame)["ts"])
            else:
                received(frame, now_ns)

        session.opened = opening  # type: ignore[method-assign]
        session.received = hearing  # type: ignore[method-assign]
        return session


class Answering(Through):
    """Answers what the exchange asks, as it should."""

    def answer(self, ts: int) -> Message:
        return Reply(f'{{"op":"pong","ts":{ts}}}')

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if frame.startswith(b'{"event":"ping"'):
            return (self.answer(orjson.loads(frame)["ts"]),)
        return super().decode(frame, received_time_ns)


class _Mute(Answering):
    def answer(self, ts: int) -> Message:
        return Alive()


class _Stuck(Answering):
    first = 0

    def answer(self, ts: int) -> Message:
        self.first = self.first or ts
        return super().answer(self.first)


@caught_by(DEADLINES)
class PingsUnanswered(Bybit):
    """The exchange's own pings are read as signs of life, and not answered."""

    def codec(self, route: Route) -> Codec:
        return _Mute(super().codec(route))

    def dialect(self) -> Dialect:
        return _DemandsPongs(super().dialect())


@caught_by(DEADLINES)
class FirstPingAnsweredForEver(Okx):
    """The exchange's pings are answered with what the first one said."""

    def codec(self, route: Route) -> Codec:
        return _Stuck(super().codec(route))

    def dialect(self) -> Dialect:
        return _DemandsPongs(super().dialect())
