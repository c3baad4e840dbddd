"""One connection to a public (or private) Bybit stream: frames in, messages out, and back.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_bybit.bursts import rising_snapshots
from ccrs_bybit.error_codes import NOT_NOW
from ccrs_bybit.streams import (
    BookStream,
    CandleStream,
    LiquidationStream,
    Stream,
    TopOfBookStream,
    TradeStream,
)
from ccrs_bybit.tickers import OptionTopOfBookStream, TickerStream
from ccrs_core import (
    Access,
    Ack,
    Channel,
    Codec,
    DecodeError,
    Heartbeat,
    LoggedIn,
    LoginRefused,
    Market,
    Message,
    Outbound,
    Pong,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED, row_by_row

_APART = ("publicTrade.", "kline.")
"""Topics whose frames hold rows that say something each by itself."""

INTERVALS = {
    "1m": "1",
    "3m": "3",
    "5m": "5",
    "15m": "15",
    "30m": "30",
    "1h": "60",
    "2h": "120",
    "4h": "240",
    "6h": "360",
    "12h": "720",
    "1d": "D",
    "1w": "W",
    "1M": "M",
}
"""Bybit's names of the candle intervals by their unified ones."""

TOPICS: dict[Channel, Callable[[Subscription], str]] = {
    Channel.TOP_OF_BOOK: lambda sub: f"orderbook.1.{sub.instrument.native}",
    Channel.BOOK: lambda sub: f"orderbook.{sub.depth}.{sub.instrument.native}",
    Channel.TRADES: lambda sub: f"publicTrade.{sub.instrument.native}",
    Channel.TICKER: lambda sub: f"tickers.{sub.instrument.native}",
    Channel.FUNDING: lambda sub: f"tickers.{sub.instrument.native}",
    Channel.MARK_PRICE: lambda sub: f"tickers.{sub.instrument.native}",
    Channel.CANDLES: lambda sub: f"kline.{INTERVALS[sub.interval or '']}.{sub.instrument.native}",
    Channel.LIQUIDATIONS: lambda sub: f"allLiquidation.{sub.instrument.native}",
}

STREAMS: dict[Channel, type[Stream]] = {
    Channel.TOP_OF_BOOK: TopOfBookStream,
    Channel.BOOK: BookStream,
    Channel.TRADES: TradeStream,
    Channel.TICKER: TickerStream,
    Channel.FUNDING: TickerStream,
    Channel.MARK_PRICE: TickerStream,
    Channel.CANDLES: CandleStream,
    Channel.LIQUIDATIONS: LiquidationStream,
}

LOGIN_VALIDITY_MS = 10_000
"""How far ahead of now a login expires: room for a slow handshake and a clock that is behind."""

_TOPIC_IN_TEXT = re.compile(r"[A-Za-z]\w*(?:\.[\w-]+)+")
_LONGEST_IDENTITY = 512
_UNUSED = b"\x00"
"""What no frame begins with."""

Handler = Callable[[Any, int], Sequence[Message]]
PlainDecoder = Callable[[bytes, int, int], Sequence[Message] | None]


class BybitCodec(Codec):
    """Translator of one connection to a v5 stream."""

    # Bybit recommends a ping every 20 s and cuts connections that are idle for 10 minutes.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._handlers: dict[str, Handler] = {}
        self._numbered: dict[bytes, tuple[str, bool]] = {}
        self._identified: dict[bytes, str] = {}
        self._plain: dict[bytes, PlainDecoder] = {}
        self._head = _UNUSED
        self._plain_decoder: PlainDecoder | None = None

    # --- Requests ---------------------------------------------------------------------------

    def topic(self, subscription: Subscription) -> str:
        channel, instrument = subscription.channel, subscription.instrument
        if channel is Channel.TOP_OF_BOOK and instrument.market is Market.OPTION:
            return f"tickers.{instrument.native}"
        return TOPICS[channel](subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self._open(self.topic(subscription), subscription)
        return _request("subscribe", map(self.topic, subscriptions), request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the topics, with all the channels that a ticker's topic carries."""
        topics = list(map(self.topic, subscriptions))
        for topic in topics:
            self._close(topic)
        return _request("unsubscribe", topics, request_id)

    def ping(self, request_id: str) -> Outbound:
        return f'{{"req_id":{_json(request_id)},"op":"ping"}}'

    def login(self, access: Access, request_id: str) -> Outbound:
        credentials = access.credentials
        expires = access.now_ms + LOGIN_VALIDITY_MS
        proof = hmac.new(
            credentials.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256
        ).hexdigest()
        args = f"[{_json(credentials.key)},{expires},{_json(proof)}]"
        return f'{{"req_id":{_json(request_id)},"op":"auth","args":{args}}}'

    def _open(self, topic: str, subscription: Subscription) -> None:
        channel, instrument = subscription.channel, subscription.instrument
        stream = self._streams.get(topic)
        if isinstance(stream, TickerStream):
            stream.add(channel)
            return
        if channel is Channel.TOP_OF_BOOK and instrument.market is Market.OPTION:
            stream = OptionTopOfBookStream(topic, subscription)
        else:
            stream = STREAMS[channel](topic, subscription)
        self._streams[topic] = stream
        self._handlers[topic] = stream.decode
        self._head, self._plain_decoder = _UNUSED, None
        # Patterns count characters and topics bytes.
        if isinstance(stream, (TopOfBookStream, TradeStream)) and topic.isascii():
            self._plain[topic.encode()] = stream.decode_plain
        if isinstance(stream, (TopOfBookStream, BookStream)):
            self._numbered[topic.encode()] = topic, isinstance(stream, BookStream)
        elif isinstance(stream, (TradeStream, LiquidationStream)):
            self._identified[topic.encode()] = topic

    def _close(self, topic: str) -> None:
        self._streams.pop(topic, None)
        self._handlers.pop(topic, None)
        self._plain.pop(topic.encode(), None)
        self._head, self._plain_decoder = _UNUSED, None
        self._numbered.pop(topic.encode(), None)
        self._identified.pop(topic.encode(), None)

    # --- Answers and data -------------------------------------------------------------------

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        # The topic of a frame is often that of the one before.
        if not frame.startswith(self._head):
            self._look_up(frame)
        if self._plain_decoder is not None:
            messages = self._plain_decoder(frame, len(self._head) - 1, received_time_ns)
            if messages is not None:
                return messages
        try:
            message = orjson.loads(frame)
            handler = self._handlers[message["topic"]]
        except KeyError:
            try:
                return self._control(message)
            except MALFORMED as error:
                raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error
        except (TypeError, ValueError) as error:
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error
        try:
            return handler(message, received_time_ns)
        except MALFORMED as error:
            if message["topic"].startswith(_APART):
                try:
                    return self._row_by_row(message, received_time_ns)
                except MALFORMED:
                    pass
            text = f"malformed frame: {error!r}"[:200]
            raise DecodeError(text, frame, (message["topic"],)) from error

    # Apart from ``decode``, whose variables would cost more in a closure.
    def _row_by_row(self, message: Any, received_time_ns: int) -> Sequence[Message]:
        topic = message["topic"]
        handler = self._handlers[topic]
        return row_by_row(
            topic,
            message["data"],
            lambda row: handler({**message, "data": [row]}, received_time_ns),
        )

    def _look_up(self, frame: bytes) -> None:
        """Find the decoder of a frame's topic, for it and those that begin alike."""
        self._head, self._plain_decoder = _UNUSED, None
        if frame.startswith(b'{"topic":"'):
            end = frame.find(b'"', 10)
            self._head = frame[: end + 1] or _UNUSED
            self._plain_decoder = self._plain.get(frame[10:end])

    def _control(self, message: dict[str, Any]) -> Sequence[Message]:
        """What a frame says that belongs to no subscribed topic."""
        if "topic" in message:
            return (Unrecognised(f"topic {message['topic']}"[:200]),)
        if message.get("type") == "COMMAND_RESP":
            return _option_answer(message)
        op = message.get("op")
        text = str(message.get("ret_msg") or message.get("retMsg") or "")
        if op == "pong" or (op == "ping" and message.get("success") is not False):
            return (Pong(),)
        code = message.get("retCode", 0)
        refused = message.get("success") is False or code != 0
        accepted = not refused and ("success" in message or "retCode" in message)
        if op == "auth" and refused:
            return (LoginRefused("" if code == 0 else str(code), text),)
        if op == "auth" and accepted:
            return (LoggedIn(),)
        request_id = message.get("req_id") or message.get("reqId") or None
        if not isinstance(request_id, str):
            request_id = None
        if refused and op in {"subscribe", "unsubscribe", None}:
            return (self._refusal(request_id, "" if code == 0 else str(code), text),)
        if accepted and op in {"subscribe", "unsubscribe"}:
            return (Ack(request_id),)
        return (Unrecognised(f"op {op}"[:200]),)

    def _refusal(self, request_id: str | None, code: str, text: str) -> Message:
        """One bad topic fails a whole request, and the text says which; the others of the request
        stay unanswered."""
        named = [t.rstrip(".") for t in _TOPIC_IN_TEXT.findall(text)]
        topics = tuple(t for t in named if t in self._streams) or (
            tuple(named) if request_id is None else ()
        )
        if "already subscribed" in text.lower():
            return Ack(request_id, topics or None)
        return Refused(request_id, code, text, topics or None, code in NOT_NOW)

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        plain, head = self._plain.get(topic.encode()), f'{{"topic":"{topic}"'.encode()
        if plain is None:
            return None
        return lambda frame, ns: plain(frame, len(head) - 1, ns) if frame.startswith(head) else None

    # --- Copies -----------------------------------------------------------------------------

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`. Finds keys wherever they stand; None where anything is unusual.

        Level-1 deltas and tickers build on earlier frames and are never told as copies. Trades and
        liquidations are identified by their rows: the numbers and times around them may repeat, or
        differ between connections.
        """
        # Bybit's frames begin with the topic (options' now and then with an id).
        start = 10 if frame.startswith(b'{"topic":"') else frame.find(b'"topic":"') + 9
        if start == 8 or frame[-1] != 125:  # a closing brace
            return None
        topic = frame[start : frame.find(b'"', start)]
        numbered = self._numbered.get(topic)
        if numbered is None:
            return self._peek_rows(topic, frame)
        name, deltas = numbered
        if frame.find(b'"type":"snapshot"') < 0 and not (
            deltas and frame.find(b'"type":"delta"') >= 0
        ):
            return None
        place = frame.rfind(b'"u":')
        # Were there a second "u", this might be the wrong one.
        if place < 0 or frame.find(b'"u":', 0, place) >= 0:
            return None
        digits = frame[place + 4 : frame.find(b",", place)]
        if not digits.isdigit():
            digits = frame[place + 4 : place + 24].partition(b"}")[0]
        if not digits.isdigit() or len(digits) > 18:
            return None
        u = int(digits)
        return name, u, u == 1

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        last = frames[-1]
        if last.startswith(b'{"topic":"'):
            end = last.find(b'"', 10)
            name, deltas = self._numbered.get(last[10:end], ("", True))
            if not deltas and name in replaceable and rising_snapshots(frames, last[: end + 1]):
                return frames[-1:], {name: len(frames) - 1}
        return super().newest(frames, replaceable)

    def _peek_rows(self, topic: bytes, frame: bytes) -> tuple[str, bytes, bool] | None:
        name = self._identified.get(topic)
        if name is None:
            return None
        start = frame.find(b'"data":[') + 8
        end = frame.find(b"]", start)
        rows = frame[start:end]
        if start == 7 or end < 0 or not rows or b"[" in rows:
            return None
        if len(rows) > _LONGEST_IDENTITY:
            rows = hashlib.blake2b(rows, digest_size=16).digest()
        return name, rows, False


def _request(op: str, topics: Iterable[str], request_id: str) -> str:
    args = ",".join(map(_json, dict.fromkeys(topics)))
    return f'{{"req_id":{_json(request_id)},"op":"{op}","args":[{args}]}}'


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _option_answer(message: dict[str, Any]) -> Sequence[Message]:
    """The answer on option streams, which names topics instead of the request."""
    data = message["data"]
    text = str(message.get("ret_msg") or "refused, without a reason")
    accepted, failed = _topics(data.get("successTopics")), _topics(data.get("failTopics"))
    answers: list[Message] = []
    if accepted:
        answers.append(Ack(None, accepted))
    if failed:
        answers.append(Refused(None, "", text, failed))
    return answers or (Unrecognised("answer about no topic"),)


def _topics(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | None) or not all(isinstance(n, str) for n in names or ()):
        raise TypeError("topics must be a list of texts")
    return tuple(names or ())
