"""One connection to Binance's combined market streams: frames in, messages out, and back.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_binance.bursts import rising
from ccrs_binance.streams import (
    AggregateTradeStream,
    CandleStream,
    DiffBookStream,
    FuturesPartialBookStream,
    FuturesTopOfBookStream,
    LiquidationStream,
    MarkPriceStream,
    SpotPartialBookStream,
    SpotTopOfBookStream,
    Stream,
    TickerStream,
    TradeStream,
)
from ccrs_core import (
    Ack,
    Channel,
    Closing,
    Codec,
    DecodeError,
    Heartbeat,
    Market,
    Message,
    Outbound,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED

INTERVALS = {
    each: each
    for each in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")
}
"""Binance's names of the candle intervals by their unified ones."""

PARTIAL_DEPTHS = (5, 10, 20)
FULL_DEPTH = 1000
"""Levels of the snapshot that the stream of changes starts from."""

_START = b'{"stream":"'
_UNUSED = b"\x00"
"""What no frame begins with."""

Handler = Callable[[Any, int], Sequence[Message]]
PlainDecoder = Callable[[bytes, int, int], Sequence[Message] | None]


def stream_name(subscription: Subscription) -> str:
    """The stream that carries a subscription."""
    instrument = subscription.instrument
    spot = instrument.market is Market.SPOT
    match subscription.channel:
        case Channel.TOP_OF_BOOK:
            suffix = "bookTicker"
        case Channel.TRADES:
            suffix = "trade" if spot else "aggTrade"
        case Channel.BOOK:
            depth = subscription.depth if subscription.depth in PARTIAL_DEPTHS else ""
            suffix = f"depth{depth}@100ms"
        case Channel.TICKER:
            suffix = "ticker"
        case Channel.CANDLES:
            suffix = f"kline_{INTERVALS[subscription.interval or '']}"
        case Channel.FUNDING | Channel.MARK_PRICE:
            suffix = "markPrice@1s"
        case Channel.LIQUIDATIONS:
            suffix = "forceOrder"
    return f"{instrument.native.lower()}@{suffix}"


def _kind(subscription: Subscription) -> type[Stream]:
    spot = subscription.instrument.market is Market.SPOT
    match subscription.channel:
        case Channel.TOP_OF_BOOK:
            return SpotTopOfBookStream if spot else FuturesTopOfBookStream
        case Channel.TRADES:
            return TradeStream if spot else AggregateTradeStream
        case Channel.BOOK:
            if subscription.depth not in PARTIAL_DEPTHS:
                return DiffBookStream
            return SpotPartialBookStream if spot else FuturesPartialBookStream
        case Channel.TICKER:
            return TickerStream
        case Channel.CANDLES:
            return CandleStream
        case Channel.FUNDING | Channel.MARK_PRICE:
            return MarkPriceStream
        case Channel.LIQUIDATIONS:
            return LiquidationStream


class BinanceCodec(Codec):
    """Translator of one connection to ``/stream``: frames come as ``{"stream":…,"data":…}``."""

    # Binance pings every 20 s (spot) or 3 min (futures), which the transport answers; pings of our
    # own tell sooner that a connection is dead.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._handlers: dict[str, Handler] = {}
        self._peeks: dict[bytes, tuple[str, Callable[[bytes], list[bytes]], bool]] = {}
        self._leads: dict[bytes, tuple[str, bytes]] = {}
        self._plain: dict[bytes, PlainDecoder] = {}
        self._undecided: dict[bytes, str] = {}
        """Streams that say the same as others, until one of them is heard: their topics by name."""
        self._head = _UNUSED
        self._plain_decoder: PlainDecoder | None = None

    # --- requests ---

    def topic(self, subscription: Subscription) -> str:
        return stream_name(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            topic = stream_name(subscription)
            if topic in self._streams:
                self._streams[topic].add(subscription)
            else:
                self._open(topic, _kind(subscription)(topic, subscription))
        return _request("SUBSCRIBE", map(stream_name, subscriptions), request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the streams, with all the channels that they carry."""
        topics = list(map(stream_name, subscriptions))
        for topic in topics:
            self._close(topic)
        return _request("UNSUBSCRIBE", topics, request_id)

    def probe(self, request_id: str) -> Outbound:
        """A small request: pings are the WebSocket's own, whose pongs aren't frames.
        https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#retrieving-properties
        """
        return f'{{"method":"GET_PROPERTY","params":["combined"],"id":{int(request_id)}}}'

    def _open(self, topic: str, stream: Stream) -> None:
        name = topic.encode()
        self._streams[topic] = stream
        self._handlers[topic] = stream.decode
        for alias in _aliases(topic):
            self._handlers[alias] = stream.decode
        if isinstance(stream, TradeStream):
            self._handlers[stream.twin] = stream.decode_twin
        for alias in _names(stream):
            self._undecided[alias.encode()] = topic
        key = stream.number or stream.name
        if key is not None:
            digits_after = re.compile(rb'"' + key + rb'":(\d{1,18})[,}]').findall
            self._peeks[name] = topic, digits_after, stream.number is not None
        if stream.lead is not None:
            self._leads[name] = topic, _START + name + b'"' + stream.lead
        if isinstance(stream, (SpotTopOfBookStream, FuturesTopOfBookStream, TradeStream)):
            self._plain[name] = stream.decode_plain
        self._head, self._plain_decoder = _UNUSED, None

    def _close(self, topic: str) -> None:
        stream = self._streams.pop(topic, None)
        for alias in () if stream is None else _names(stream):
            self._undecided.pop(alias.encode(), None)
            self._deafen(alias)
        self._head, self._plain_decoder = _UNUSED, None

    def _deafen(self, name: str) -> None:
        """Take no more frames of a stream."""
        self._handlers.pop(name, None)
        for known in (self._peeks, self._leads, self._plain):
            known.pop(name.encode(), None)

    def _heard(self, name: bytes) -> None:
        """Of streams that say the same, the one that is heard first counts: a recording that holds
        several says nothing twice."""
        for alias in _names(self._streams[self._undecided[name]]):
            other = alias.encode()
            del self._undecided[other]
            if other != name:
                self._deafen(alias)

    # --- answers and data ---

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        # The stream of a frame is often that of the one before.
        if not frame.startswith(self._head):
            self._look_up(frame)
        if self._plain_decoder is not None:
            messages = self._plain_decoder(frame, len(self._head), received_time_ns)
            if messages is not None:
                return messages
        try:
            message = orjson.loads(frame)
            stream = message["stream"]
            if self._undecided and type(stream) is str and stream.encode() in self._undecided:
                self._heard(stream.encode())
            handler = self._handlers[stream]
        except KeyError:
            try:
                return self._control(message)
            except MALFORMED as error:
                raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error
        except (TypeError, ValueError) as error:
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error
        try:
            return handler(message["data"], received_time_ns)
        except MALFORMED as error:
            text = f"malformed frame: {error!r}"[:200]
            raise DecodeError(text, frame, self._carried(handler)) from error

    def _carried(self, handler: Handler) -> tuple[str, ...]:
        """The topic whose frames a handler reads; they may come by other names."""
        streams = self._streams.items()
        return tuple(
            t for t, s in streams if handler in (s.decode, getattr(s, "decode_twin", None))
        )

    def _look_up(self, frame: bytes) -> None:
        """Find the decoder of a frame's stream, for it and those that begin alike."""
        self._head, self._plain_decoder = _UNUSED, None
        if frame.startswith(_START):
            end = frame.find(b'"', len(_START))
            name = frame[len(_START) : end]
            if self._undecided and name in self._undecided:
                self._heard(name)
            self._head = frame[: end + 1] or _UNUSED
            self._plain_decoder = self._plain.get(name)

    def _control(self, message: dict[str, Any]) -> Sequence[Message]:
        """What a frame says that belongs to no subscribed stream."""
        data = message.get("data", message)
        if type(data) is dict and data.get("e") == "serverShutdown":
            # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#server-shutdown
            return (Closing("the exchange announced a shutdown"),)
        if "stream" in message:
            return (Unrecognised(f"stream {message['stream']}"[:200]),)
        number = message.get("id")
        request_id = None if number is None else str(number)
        # The documents print errors flat; they are sent nested.
        error = message.get("error", message)
        if type(error) is dict and "code" in error:
            code, text = str(error["code"]), str(error.get("msg") or "no reason given")
            return (Refused(request_id, code, text),)
        if "result" in message and request_id is not None:
            return (Ack(request_id),)
        return (Unrecognised(str(message.get("e", "an unknown frame"))[:200]),)

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        plain, head = self._plain.get(topic.encode()), _START + topic.encode() + b'"'
        if plain is None:
            return None
        return lambda frame, ns: plain(frame, len(head), ns) if frame.startswith(head) else None

    # --- copies ---

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`; None where anything is unusual."""
        if not frame.startswith(_START) or frame[-2:] != b"}}":
            return None
        known = self._peeks.get(frame[11 : frame.find(b'"', 11)])
        if known is None:
            return None
        topic, digits_after, numbered = known
        found = digits_after(frame)
        # Were there a second one, this might be the wrong one.
        if len(found) != 1:
            return None
        return topic, int(found[0]) if numbered else found[0], False

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        last = frames[-1]
        if last.startswith(_START):
            topic, lead = self._leads.get(last[11 : last.find(b'"', 11)], ("", b""))
            if lead and topic in replaceable and rising(frames, lead):
                return frames[-1:], {topic: len(frames) - 1}
        return super().newest(frames, replaceable)


SPEEDS = ("0ms", "100ms", "250ms", "500ms", "1000ms")
"""Speeds at which books have been sent."""


def _aliases(topic: str) -> Iterable[str]:
    """The same stream at other speeds, as recordings of other programs hold it."""
    name, speed = topic.rsplit("@", 1)
    if speed == "1s":
        return (name, f"{name}@3s")
    if speed != "100ms":
        return ()
    return (name, *(f"{name}@{other}" for other in SPEEDS if other != speed))


def _names(stream: Stream) -> Sequence[str]:
    """All streams that say what a topic does: at other speeds, or trades aggregated or singly."""
    twins = (stream.twin,) if isinstance(stream, TradeStream) else ()
    return (stream.topic, *_aliases(stream.topic), *twins)


def _request(method: str, topics: Iterable[str], request_id: str) -> str:
    params = list(dict.fromkeys(topics))
    message = {"method": method, "params": params, "id": int(request_id)}
    return orjson.dumps(message).decode()
