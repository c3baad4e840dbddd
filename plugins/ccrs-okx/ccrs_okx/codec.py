"""One connection to OKX's public or business streams: frames in, messages out, and back.

https://www.okx.com/docs-v5/en/#overview-websocket
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Access,
    Ack,
    Channel,
    Closing,
    Codec,
    DecodeError,
    Heartbeat,
    LoggedIn,
    LoginRefused,
    Message,
    Outbound,
    Pong,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED, row_by_row
from ccrs_okx.bursts import rising
from ccrs_okx.error_codes import NOT_NOW
from ccrs_okx.peeking import Peek, peek_of
from ccrs_okx.streams import (
    BookStream,
    CandleStream,
    FundingStream,
    LiquidationStream,
    MarkPriceStream,
    ShallowBookStream,
    Stream,
    TickerStream,
    TopOfBookStream,
    TradeStream,
    liquidations,
)
from ccrs_okx.symbols import instrument_type

INTERVALS = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1H",
    "2h": "2H",
    "4h": "4H",
    "6h": "6Hutc",
    "12h": "12Hutc",
    "1d": "1Dutc",
    "1w": "1Wutc",
    "1M": "1Mutc",
}
"""OKX's names of the candle intervals by their unified ones. Without ``utc`` the longer ones begin
at midnight in Hong Kong."""

BOOKS = {5: "books5", 50: "books50-l2-tbt", 400: "books"}
"""Channels of books by depth. Who isn't logged in can't have the one of 50 levels, but it may be in
recordings."""

CHANNELS: Mapping[Channel, str] = {
    Channel.TOP_OF_BOOK: "bbo-tbt",
    Channel.TRADES: "trades-all",
    Channel.TICKER: "tickers",
    Channel.FUNDING: "funding-rate",
    Channel.MARK_PRICE: "mark-price",
    Channel.LIQUIDATIONS: "liquidation-orders",
}

_APART = ("trades", "candle")
"""What the names of channels begin with whose rows say something each by itself."""

ALIASES = {"trades-all": "trades", "books": "books-l2-tbt"}
"""Channels that say the same as others, as recordings of other programs hold them."""

STREAMS: Mapping[Channel, type[Stream]] = {
    Channel.TOP_OF_BOOK: TopOfBookStream,
    Channel.TRADES: TradeStream,
    Channel.TICKER: TickerStream,
    Channel.CANDLES: CandleStream,
    Channel.FUNDING: FundingStream,
    Channel.MARK_PRICE: MarkPriceStream,
    Channel.LIQUIDATIONS: LiquidationStream,
}

SERVICE_UPGRADE = "64008"

# https://www.okx.com/docs-v5/en/#error-code-websocket-public
LOGIN_ERRORS = frozenset(
    {"60001", "60002", "60003", "60004", "60005", "60006", "60007", "60008", "60009", "60010",
     "60022", "60024", "60031", "60032"}
)  # fmt: skip

_UNUSED = b"\x00"
"""What no frame begins with."""
_HEAD = b'{"arg":{"channel":"'
_PONG = (Pong(),)

Key = tuple[str, str]
"""A channel, and the instrument (or type of instruments) that it is about."""
Handler = Callable[[Any, int], Sequence[Message]]
PlainDecoder = Callable[[bytes, int, int], Sequence[Message] | None]


def channel_of(subscription: Subscription) -> str:
    """OKX's name of the channel that carries a subscription."""
    if subscription.channel is Channel.BOOK:
        return BOOKS[subscription.depth or 0]
    if subscription.channel is Channel.CANDLES:
        return f"candle{INTERVALS[subscription.interval or '']}"
    return CHANNELS[subscription.channel]


class OkxCodec(Codec):
    """Translator of one connection to ``/ws/v5/public`` or ``/ws/v5/business``."""

    # OKX ends connections on which nothing was pushed for 30 s: whoever hears nothing for less
    # sends "ping". https://www.okx.com/docs-v5/en/#overview-websocket-connect
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=8.0)

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._handlers: dict[Key, Handler] = {}
        self._topics: dict[Key, str] = {}
        self._plain: dict[bytes, PlainDecoder] = {}
        self._peeks: dict[bytes, Peek] = {}
        self._wholes: dict[bytes, str] = {}
        """Topics whose frames tell a whole state and its number, by how they begin."""
        self._twins: dict[Key, Key] = {}
        """Of channels that say the same, the other one, until either is heard."""
        self._undecided: dict[bytes, Key] = {}
        """These channels, by how their frames begin."""
        self._liquidations: dict[str, dict[str, LiquidationStream]] = {}
        """By type of instrument and topic."""
        self._keys_of: dict[bytes, Key] = {}
        """What topics are asked for by, by how their frames begin."""
        self._head = _UNUSED
        self._key: Key | None = None
        self._plain_decoder: PlainDecoder | None = None

    # --- requests ---

    def topic(self, subscription: Subscription) -> str:
        return f"{channel_of(subscription)}:{subscription.instrument.native}"

    def request_kind(self, subscription: Subscription) -> Hashable:
        # Those of liquidations share one argument.
        liquidations = subscription.channel is Channel.LIQUIDATIONS
        return instrument_type(subscription.instrument) if liquidations else None

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self._open(self.topic(subscription), subscription)
        return _request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the topics. Liquidations of a type end with the last instrument that they are wanted
        of; until then they are asked for again instead, which changes nothing."""
        for subscription in subscriptions:
            self._close(self.topic(subscription), subscription)
        left = [
            subscription
            for subscription in subscriptions
            if subscription.channel is Channel.LIQUIDATIONS
            and self._liquidations.get(instrument_type(subscription.instrument))
        ]
        if left:
            return _request("subscribe", left, request_id)
        return _request("unsubscribe", subscriptions, request_id)

    def ping(self, request_id: str) -> Outbound:
        return "ping"

    def login(self, access: Access, request_id: str) -> Outbound:
        """https://www.okx.com/docs-v5/en/#overview-websocket-login"""
        credentials, seconds = access.credentials, str(access.now_ms // 1000)
        text = f"{seconds}GET/users/self/verify"
        proof = hmac.new(credentials.secret.encode(), text.encode(), hashlib.sha256).digest()
        argument = {
            "apiKey": credentials.key,
            "passphrase": credentials.passphrase,
            "timestamp": seconds,
            "sign": base64.b64encode(proof).decode(),
        }
        return orjson.dumps({"op": "login", "args": [argument]}).decode()

    def _open(self, topic: str, subscription: Subscription) -> None:
        if subscription.channel is Channel.LIQUIDATIONS:
            self._open_liquidations(topic, subscription)
            return
        if subscription.channel is Channel.BOOK:
            kind: type[Stream] = ShallowBookStream if subscription.depth == 5 else BookStream
        else:
            kind = STREAMS[subscription.channel]
        stream = self._streams[topic] = kind(topic, subscription)
        self._head, self._key, self._plain_decoder = _UNUSED, None, None
        keys = self._keys(subscription)
        if len(keys) > 1:
            self._twins.update(zip(keys, reversed(keys), strict=True))
            self._undecided.update((_head(*key), key) for key in keys)
        for key in keys:
            self._handlers[key] = stream.decode
            self._topics[key] = topic
            head = _head(*key)
            self._keys_of[head] = key
            if type(stream).decode_plain is not Stream.decode_plain:
                self._plain[head] = stream.decode_plain
            peek = peek_of(stream)
            if peek is not None:
                self._peeks[head] = peek
            if isinstance(stream, TopOfBookStream):
                self._wholes[head] = topic

    def _open_liquidations(self, topic: str, subscription: Subscription) -> None:
        kind = instrument_type(subscription.instrument)
        wanted = self._liquidations.setdefault(kind, {})
        if topic not in wanted:
            wanted[topic] = LiquidationStream(topic, subscription)
        key = channel_of(subscription), kind
        self._handlers[key] = lambda frame, ns: liquidations(wanted.values(), frame, ns)

    def _close(self, topic: str, subscription: Subscription) -> None:
        self._head, self._key, self._plain_decoder = _UNUSED, None, None
        if subscription.channel is Channel.LIQUIDATIONS:
            kind = instrument_type(subscription.instrument)
            wanted = self._liquidations.get(kind, {})
            wanted.pop(topic, None)
            if not wanted:
                self._liquidations.pop(kind, None)
                self._handlers.pop((channel_of(subscription), kind), None)
            return
        self._streams.pop(topic, None)
        for key in self._keys(subscription):
            self._topics.pop(key, None)
            self._decided(key)
            self._deafen(key)

    def _deafen(self, key: Key) -> None:
        """Take no more frames of a channel."""
        self._handlers.pop(key, None)
        head = _head(*key)
        self._keys_of.pop(head, None)
        self._plain.pop(head, None)
        self._peeks.pop(head, None)
        self._wholes.pop(head, None)

    def _heard(self, key: Key) -> None:
        """Of channels that say the same the one that is heard first counts: a recording that holds
        both says nothing twice."""
        other = self._twins[key]
        self._decided(key)
        self._decided(other)
        self._deafen(other)

    def _decided(self, key: Key) -> None:
        self._twins.pop(key, None)
        self._undecided.pop(_head(*key), None)

    @staticmethod
    def _keys(subscription: Subscription) -> list[Key]:
        channel, native = channel_of(subscription), subscription.instrument.native
        names = [channel, *([ALIASES[channel]] if channel in ALIASES else [])]
        return [(name, native) for name in names]

    # --- answers and data ---

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        # The topic of a frame is often that of the one before.
        if not frame.startswith(self._head):
            self._look_up(frame)
        if self._plain_decoder is not None:
            messages = self._plain_decoder(frame, len(self._head), received_time_ns)
            if messages is not None:
                return messages
        if frame == b"pong":
            return _PONG
        known: Key | None = None
        try:
            message = orjson.loads(frame)
            if "event" in message:
                return self._control(message)
            key = self._key
            if key is None:
                if "arg" not in message:
                    return (Unrecognised(f"a frame with {', '.join(map(str, message))}"[:200]),)
                key = _key(message["arg"])
                if key in self._twins:
                    self._heard(key)
            handler = self._handlers.get(key)
            if handler is None:
                return (Unrecognised(f"channel {' '.join(map(str, key))}"[:200]),)
            known = key
            return handler(message, received_time_ns)
        except MALFORMED as error:
            if known is not None and known[0].startswith(_APART):
                try:
                    return self._row_by_row(known, message, received_time_ns)
                except MALFORMED:
                    pass
            topics = () if known is None else self._carried(known)
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame, topics) from error

    def _row_by_row(self, key: Key, message: Any, received_time_ns: int) -> Sequence[Message]:
        handler = self._handlers[key]
        return row_by_row(
            self._carried(key)[0],
            message["data"],
            lambda row: handler({**message, "data": [row]}, received_time_ns),
        )

    def _carried(self, key: Key) -> tuple[str, ...]:
        """The topics that a channel's frames may bring."""
        channel, about = key
        if channel == CHANNELS[Channel.LIQUIDATIONS]:
            return tuple(self._liquidations.get(about, ()))
        return (self._topics[key],)

    def _look_up(self, frame: bytes) -> None:
        """Find the decoder of a frame's topic, for it and those that begin alike."""
        self._head, self._key, self._plain_decoder = _UNUSED, None, None
        if frame.startswith(_HEAD):
            self._head = frame[: frame.find(b"}") + 1] or _UNUSED
            self._key = self._keys_of.get(self._head)
            self._plain_decoder = self._plain.get(self._head)
            if self._head in self._undecided:
                self._heard(self._undecided[self._head])

    def _control(self, message: dict[str, Any]) -> Sequence[Message]:
        """What a frame says that is an event of the connection."""
        event, code = message["event"], str(message.get("code", ""))
        text = str(message.get("msg") or "no reason given")
        request_id = message.get("id")
        if not isinstance(request_id, str) or not request_id:
            request_id = None
        if event in {"subscribe", "unsubscribe"}:
            return (Ack(request_id, self._named(message["arg"], request_id)),)
        if event == "login":
            return (LoggedIn() if code == "0" else LoginRefused(code, text),)
        if event == "error":
            if code in LOGIN_ERRORS:
                return (LoginRefused(code, text),)
            later = code in NOT_NOW
            return (Refused(request_id, code, text, _refused(text) or None, later),)
        if event == "notice" and code == SERVICE_UPGRADE:
            return (Closing(text),)
        return (Unrecognised(f"event {event}"[:200]),)

    def _named(self, arg: Any, request_id: str | None) -> tuple[str, ...] | None:
        """The topics that an answer is about; None for all of its request."""
        channel, about = key = _key(arg)
        if channel == CHANNELS[Channel.LIQUIDATIONS]:
            # A request for them has no other argument.
            return tuple(self._liquidations.get(about, ())) if request_id is None else None
        return (self._topics.get(key, f"{channel}:{about}"),)

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        channel, _, native = topic.partition(":")
        plain, head = self._plain.get(_head(channel, native)), _head(channel, native)
        if plain is None:
            return None
        return lambda frame, ns: plain(frame, len(head), ns) if frame.startswith(head) else None

    # --- copies ---

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`; None where anything is unusual."""
        if not frame.startswith(_HEAD):
            return None
        found = self._peeks.get(frame[: frame.find(b"}") + 1])
        return None if found is None else found(frame)

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        last = frames[-1]
        if last.startswith(_HEAD):
            head = last[: last.find(b"}") + 1]
            topic = self._wholes.get(head)
            if topic is not None and topic in replaceable and rising(frames, head):
                return frames[-1:], {topic: len(frames) - 1}
        return super().newest(frames, replaceable)


def _key(arg: Any) -> Key:
    return arg["channel"], arg["instId"] if "instId" in arg else arg.get("instType", "")


def _head(channel: str, native: str) -> bytes:
    """What frames of a topic begin with."""
    return orjson.dumps({"arg": {"channel": channel, "instId": native}})[:-1]


def _refused(text: str) -> tuple[str, ...]:
    """The topic that a refusal names, in a text such as ``Wrong URL or channel:books,instId:X-Y
    doesn't exist. Please use…``."""
    _, _, named = text.partition("channel:")
    channel, _, rest = named.partition(",instId:")
    native = rest.partition(" ")[0].rstrip(".,")
    return (f"{channel}:{native}",) if channel and native else ()


def _request(op: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
    arguments: dict[Key, dict[str, str]] = {}
    for subscription in subscriptions:
        channel, instrument = channel_of(subscription), subscription.instrument
        if subscription.channel is Channel.LIQUIDATIONS:
            name, about = "instType", instrument_type(instrument)
        else:
            name, about = "instId", instrument.native
        arguments[channel, about] = {"channel": channel, name: about}
    return orjson.dumps({"id": request_id, "op": op, "args": list(arguments.values())}).decode()
