"""Mutants that misbehave on a connection: requests, answers, heartbeats, unknown and bad frames."""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from typing import Any

import attrs
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.emulator import BybitDialect

from ccrs_core.contract.codec import (
    Ack,
    Alive,
    Closing,
    Heartbeat,
    Message,
    Outbound,
    Pong,
    Refused,
    Unrecognised,
)
from ccrs_core.contract.compression import Compression
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect, Frame, Handshake, HttpRefusal, Visitor
from ccrs_core.errors import DecodeError
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.wire import MALFORMED
from tests.mutants.mutant import Misread, caught_by

# --- requests and answers -------------------------------------------------------------------


@caught_by("test_every_subscribe_request_is_accepted_and_its_answer_matched")
class AckOfAnotherRequest(Misread):
    """An answer is read as that to the request before."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Ack) and message.request_id is not None:
            return Ack(str(int(message.request_id) - 1), message.topics)
        return super().message(message)


@caught_by("test_cancelling_any_call_at_any_point_leaves_everything_consistent")
class AcksEndConnections(Misread):
    """Answers to subscribe requests are read as the end of the connection: none is ever ready."""

    def message(self, message: Message) -> Message | None:
        return Closing("answered") if isinstance(message, Ack) else super().message(message)


@caught_by("test_answers_to_requests_in_flight_are_told_apart")
class RequestsNotNumbered(BybitCodec):
    """All requests carry the same number."""

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return super().subscribe(subscriptions, "1")


@caught_by("test_every_subscribe_request_is_accepted_and_its_answer_matched")
class AcksUnrecognised(Misread):
    """Answers to subscribe requests aren't recognised."""

    def message(self, message: Message) -> Message | None:
        return Unrecognised("answer") if isinstance(message, Ack) else super().message(message)


@caught_by("test_a_bad_symbol_in_a_request_fails_alone")
class RefusalIgnored(Misread):
    """A refusal is read as an acknowledgement."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            return Ack(message.request_id, message.topics)
        return super().message(message)


@caught_by("test_a_bad_symbol_in_a_request_fails_alone")
class RefusalDropped(Misread):
    """A refusal isn't recognised, so that its request seems unanswered."""

    def message(self, message: Message) -> Message | None:
        return Unrecognised("refusal") if isinstance(message, Refused) else super().message(message)


@caught_by("test_a_bad_symbol_in_a_request_fails_alone")
class BadSymbolFailsTheWholeBatch(Misread):
    """One bad topic is read as a refusal of everything that is subscribed."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            return Refused(message.request_id, message.code, message.text, tuple(self.topics))
        return super().message(message)


@caught_by(
    "test_after_unsubscribing_nothing_of_a_topic_is_data",
    "test_subscribing_and_unsubscribing_is_idempotent_commutes_and_takes_effect",
)
class UnsubscribeWithoutEffect(BybitCodec):
    """The request to unsubscribe names no topic that the exchange knows."""

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().unsubscribe(subscriptions, request_id)
        assert isinstance(frame, str)
        return frame.lower()


@caught_by("test_after_unsubscribing_nothing_of_a_topic_is_data")
class OnlyTheFirstIsUnsubscribed(BybitCodec):
    """Of several subscriptions in a request to unsubscribe only the first is ended."""

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return super().unsubscribe(subscriptions[:1], request_id)


@caught_by("test_every_subscribe_request_is_accepted_and_its_answer_matched")
class TooManyTopicsInARequest(Bybit):
    """More topics are put into a request than the exchange takes."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topics_per_request=50)


@caught_by(
    "test_candles_of_every_interval_are_of_that_interval",
    "test_topics_of_one_route_tell_depths_intervals_and_symbols_apart",
)
class TopicNotUnique(BybitCodec):
    """Candles of all intervals have the same topic."""

    def topic(self, subscription: Subscription) -> str:
        return super().topic(attrs.evolve(subscription, interval=subscription.interval and "1m"))


@caught_by("test_the_codec_is_pure")
class RandomnessInTheCodec(BybitCodec):
    """The codec draws its own request ids."""

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().subscribe(subscriptions, request_id)
        assert isinstance(frame, str)
        return frame[:-1] + f',"nonce":{random.randrange(10**9)}}}'


# --- heartbeats and closing -----------------------------------------------------------------


@caught_by("test_heartbeats_keep_a_quiet_connection_alive")
class HeartbeatNeverSent(BybitCodec):
    """No heartbeat is declared, though the exchange cuts idle connections."""

    heartbeat = None


@caught_by("test_heartbeats_keep_a_quiet_connection_alive")
class HeartbeatTooSlow(BybitCodec):
    """Heartbeats come less often than the exchange demands."""

    heartbeat = Heartbeat(interval=700.0, timeout=10.0)


@caught_by("test_the_answer_to_a_heartbeat_is_a_sign_of_life")
class HeartbeatAsTheWrongFrame(BybitCodec):
    """The heartbeat is written as another exchange wants it."""

    def ping(self, request_id: str) -> Outbound:
        return "ping"


@caught_by("test_the_answer_to_a_heartbeat_is_a_sign_of_life")
class PongNotRecognised(Misread):
    """The answer to a heartbeat isn't recognised as a sign of life."""

    def message(self, message: Message) -> Message | None:
        return Unrecognised("pong") if isinstance(message, Alive) else super().message(message)


@caught_by("test_the_answer_to_a_heartbeat_is_a_sign_of_life")
class PongTakenForAnError(Misread):
    """The answer to a heartbeat is called malformed."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Alive):
            raise DecodeError("no topic", b"")
        return super().message(message)


# --- unknown and malformed frames -----------------------------------------------------------


@caught_by("test_a_probe_is_answered_after_all_that_was_sent_before")
class PongIsMereLife(Misread):
    """The answer to a ping is read as a sign of life that nobody asked for."""

    def message(self, message: Message) -> Message | None:
        return Alive() if isinstance(message, Pong) else super().message(message)


@caught_by("test_an_undisturbed_connection_is_not_replaced")
class AcksAnnounceTheEnd(Misread):
    """Every answer to a subscribe request is read as the announcement of the connection's end."""

    def message(self, message: Message) -> Message | None:
        return Closing("done") if isinstance(message, Ack) else super().message(message)


@caught_by("test_trades_that_are_counted_are_complete_or_their_hole_is_told")
class TradesSaidToBeCounted(Bybit):
    """Trades are said to be counted one by one, and aren't."""

    def consecutive(self, subscription: Subscription) -> bool:
        return subscription.channel is Channel.TRADES


@caught_by("test_unknown_messages_are_unrecognised")
class UnknownMessageRaises(Misread):
    """A message that the codec doesn't know is an error."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Unrecognised):
            raise DecodeError(f"unknown: {message.what}", b"")
        return super().message(message)


@caught_by("test_new_values_of_fields_are_never_errors")
class NewValueRaises(BybitCodec):
    """A value that the exchange adds one day to a field is an error."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        if any(isinstance(m, Unrecognised) and ": side" in m.what for m in messages):
            raise DecodeError("unknown side", frame)
        if any(isinstance(m, Unrecognised) and ": type" in m.what for m in messages):
            raise DecodeError("unknown type", frame)
        return messages


@caught_by("test_arbitrary_bytes_are_decoded_or_refused", raises=MALFORMED)
class MalformedFrameRaisesAnything(BybitCodec):
    """What parsing and reading raise isn't turned into DecodeError."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            return super().decode(frame, received_time_ns)
        except DecodeError as error:
            raise (error.__cause__ or error) from None


@caught_by("test_an_unreadable_frame_is_counted_and_survived")
class MalformedFrameSwallowed(BybitCodec):
    """Malformed frames are passed over in silence."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            return super().decode(frame, received_time_ns)
        except DecodeError:
            return ()


@caught_by("test_hostile_frames_take_bounded_time_and_memory")
class MemoryForEveryByte(BybitCodec):
    """Reading a frame takes a thousand times the memory that the frame has."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        seen = [bytes(1000) for _ in frame]
        return super().decode(frame[: len(seen)], received_time_ns)


# --- compressed frames ----------------------------------------------------------------------


class _Zipping(Visitor):
    """Speaks for another session, and compresses all that it says."""

    def __init__(self, inner: Visitor) -> None:
        self._inner = inner

    @property
    def idle_timeout(self) -> float | None:  # type: ignore[override]
        return self._inner.idle_timeout

    def opened(self, now_ns: int) -> None:
        peer = self.peer
        queue = peer._queue

        def zipped(action: Any) -> None:
            if isinstance(action, Frame):
                action = Frame(gzip.compress(action.payload, mtime=0), text=False)
            queue(action)

        peer._queue = zipped  # type: ignore[method-assign]
        self._inner.peer = peer
        self._inner.opened(now_ns)

    def received(self, frame: str | bytes, now_ns: int) -> None:
        self._inner.received(frame, now_ns)


class ZippingDialect(BybitDialect):
    """A Bybit that compresses its frames, as some exchanges do."""

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        session = super().open(handshake)
        return session if isinstance(session, HttpRefusal) else _Zipping(session)


class ZippedCodec(BybitCodec):
    """Declares that frames are compressed."""

    compression = Compression.GZIP


class ZippedBybit(Bybit):
    """Bybit, were its frames compressed: nothing is broken here."""

    def codec(self, route: Route) -> BybitCodec:
        return ZippedCodec()

    def dialect(self) -> Dialect:
        return ZippingDialect()


@caught_by("test_every_subscribe_request_is_accepted_and_its_answer_matched")
class CompressionNotDeclared(ZippedBybit):
    """The exchange compresses its frames, and the codec doesn't declare it."""

    def codec(self, route: Route) -> BybitCodec:
        return BybitCodec()


@caught_by("test_frames_are_compressed_as_declared")
class WrongCompressionDeclared(ZippedBybit):
    """Frames are gzip, and declared to be bare deflate."""

    def codec(self, route: Route) -> BybitCodec:
        codec = BybitCodec()
        codec.compression = Compression.DEFLATE  # type: ignore[misc]
        return codec
