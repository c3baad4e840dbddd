"""One connection to Binance's combined market streams: frames in, messages out, and back.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_binance.streams import (
    AggregateTradeStream,
    CandleStream,
    DiffBookStream,
    FuturesPartialBookStream,
    LiquidationStream,
    MarkPriceStream,
    SpotPartialBookStream,
    Stream,
    TickerStream,
    TopOfBookStream,
    TradeStream,
)
from ccrs_core.codec import (
    Ack,
    Closing,
    Codec,
    Heartbeat,
    Message,
    Outbound,
    Refused,
    Unrecognised,
)
from ccrs_core.errors import DecodeError
from ccrs_core.model import Channel, Market, Subscription
from ccrs_core.wire import MALFORMED

INTERVALS = {
    each: each
    for each in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")
}
"""Binance's names of the candle intervals by their unified ones."""

PARTIAL_DEPTHS = (5, 10, 20)
FULL_DEPTH = 1000
"""Levels of the snapshot that the stream of changes starts from."""

Handler = Callable[[Any, int], Sequence[Message]]


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
            return TopOfBookStream
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
        self._peeks: dict[bytes, tuple[str, re.Pattern[bytes], bool]] = {}

    # --- requests ---

    def topic(self, subscription: Subscription) -> str:
        return stream_name(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            topic = stream_name(subscription)
            stream = self._streams.get(topic)
            if stream is not None:
                stream.add(subscription)
                continue
            stream = self._streams[topic] = _kind(subscription)(topic, subscription)
            for name in (topic, *_aliases(topic)):
                self._handlers[name] = stream.decode
            key = stream.number or stream.name
            if key is not None:
                numbered = stream.number is not None
                self._peeks[topic.encode()] = topic, _digits_after(key), numbered
        return _request("SUBSCRIBE", map(stream_name, subscriptions), request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the streams, with all the channels that they carry."""
        topics = list(map(stream_name, subscriptions))
        for topic in topics:
            self._streams.pop(topic, None)
            for name in (topic, *_aliases(topic)):
                self._handlers.pop(name, None)
            self._peeks.pop(topic.encode(), None)
        return _request("UNSUBSCRIBE", topics, request_id)

    # --- answers and data ---

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            message = orjson.loads(frame)
            handler = self._handlers[message["stream"]]
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
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error

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

    # --- copies ---

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`; None where anything is unusual."""
        if not frame.startswith(b'{"stream":"') or frame[-2:] != b"}}":
            return None
        known = self._peeks.get(frame[11 : frame.find(b'"', 11)])
        if known is None:
            return None
        topic, digits_after, numbered = known
        found = digits_after.findall(frame)
        if len(found) != 1:
            return None
        return topic, int(found[0]) if numbered else found[0], False


def _aliases(topic: str) -> Iterable[str]:
    """The same stream at other speeds, as recordings of other programs hold it."""
    name, speed = topic.rsplit("@", 1)
    if speed not in {"100ms", "1s"}:
        return ()
    return (name, *(f"{name}@{other}" for other in ("0ms", "250ms", "500ms", "1000ms")))


def _digits_after(key: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'"' + key + rb'":(\d{1,18})[,}]')


def _request(method: str, topics: Iterable[str], request_id: str) -> str:
    params = list(dict.fromkeys(topics))
    message = {"method": method, "params": params, "id": int(request_id)}
    return orjson.dumps(message).decode()
