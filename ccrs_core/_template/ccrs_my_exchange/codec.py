"""My Exchange's WebSocket frames, both ways. No I/O, no clock, no randomness.

REPLACE BY YOUR EXCHANGE'S. The protocol here is invented, so that the whole package works before
you change anything. A client sends::

    {"op": "subscribe", "id": "1", "topics": ["top.BTC-USD", "book.10.BTC-USD"]}
    {"op": "ping", "id": "2"}

and hears ``done``, ``refused`` and ``pong``, and the data of its topics: ``top``, ``trades``,
``book``, each numbered within its topic by ``n``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Ack,
    BookUpdate,
    Channel,
    Codec,
    Data,
    DecodeError,
    Heartbeat,
    Message,
    Outbound,
    Pong,
    Refused,
    Side,
    Subscription,
    TopOfBook,
    Trade,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED, ns_of_ms, price, read_json, row_by_row, size

# Switch channels on one by one. Each needs a sample as well: they wait in samples/later.
CHANNELS: Mapping[Channel, str] = {
    # Channel.TOP_OF_BOOK: "top",
    # Channel.TRADES: "trades",
    # Channel.BOOK: "book",
}

# Refusals that aren't for good: the core asks again.
NOT_NOW = ("busy",)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class MyExchangeCodec(Codec):
    """One connection's translator."""

    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    def __init__(self) -> None:
        self._symbols: dict[str, str] = {}
        """Unified symbols by topic."""

    # --- to the exchange ---

    def topic(self, subscription: Subscription) -> str:
        parts = [CHANNELS[subscription.channel], subscription.instrument.native]
        if subscription.depth is not None:
            parts.insert(1, str(subscription.depth))
        return ".".join(parts)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self._symbols[self.topic(subscription)] = subscription.symbol
        return self._request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for subscription in subscriptions:
            self._symbols.pop(self.topic(subscription), None)
        return self._request("unsubscribe", subscriptions, request_id)

    def _request(self, op: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
        topics = [self.topic(subscription) for subscription in subscriptions]
        return orjson.dumps({"op": op, "id": request_id, "topics": topics}).decode()

    def ping(self, request_id: str) -> Outbound:
        return orjson.dumps({"op": "ping", "id": request_id}).decode()

    # --- from the exchange ---

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        message = read_json(frame)
        topics: tuple[str, ...] = ()
        try:
            topic = message.get("topic")
            topics = () if topic is None else (str(topic),)
            return self._message(message, received_time_ns)
        except MALFORMED as error:
            # Where it is known whose values are strange, the others aren't doubted.
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame, topics) from error

    def _message(self, message: Mapping[str, Any], now_ns: int) -> Sequence[Message]:
        kind = message.get("type")
        if kind == "done":
            return (Ack(_text(message["id"]), _texts(message["topics"])),)
        if kind == "refused":
            code, text = _text(message["code"]), _text(message["text"])
            later = code in NOT_NOW
            return (Refused(_text(message["id"]), code, text, _texts(message["topics"]), later),)
        if kind == "pong":
            return (Pong(),)
        topic = message.get("topic")
        if kind not in _READERS or topic not in self._symbols:
            # Something new, or late data of a topic that was unsubscribed.
            return (Unrecognised(f"{kind} {topic}"[:100]),)
        return _READERS[kind](message, topic, self._symbols[topic], now_ns)


def _top(message: Mapping[str, Any], topic: str, symbol: str, now_ns: int) -> Sequence[Message]:
    """``bid`` and ``ask`` are [price, size], or null on a side without orders."""
    number = _number(message["n"])
    bid, ask = (
        (None, None) if level is None else _level(level)
        for level in (message["bid"], message["ask"])
    )
    time_ns = ns_of_ms(message["time"])
    event = TopOfBook("my-exchange", symbol, time_ns, now_ns, number, *bid, *ask)
    return (Data(topic, (event,), number),)


def _trades(message: Mapping[str, Any], topic: str, symbol: str, now_ns: int) -> Sequence[Message]:
    """Oldest first, as the exchange sends them; ``side`` is the taker's. Known by their ids."""

    def read(rows: Sequence[Mapping[str, Any]]) -> Sequence[Message]:
        events = [
            Trade(
                "my-exchange",
                symbol,
                ns_of_ms(row["time"]),
                now_ns,
                None,
                _text(row["id"]),
                price(row["price"]),
                size(row["size"]),
                SIDES[row["side"]],
            )
            for row in rows
            if row["side"] in SIDES
        ]
        return (Data(topic, events) if events else Unrecognised("trades of no known side"),)

    try:
        return read(message["trades"])
    except MALFORMED:
        # Each says something by itself: one that can't be read takes none of the others away.
        return row_by_row(topic, message["trades"], lambda row: read([row]))


def _book(message: Mapping[str, Any], topic: str, symbol: str, now_ns: int) -> Sequence[Message]:
    """The whole book at first, then changed levels with their new sizes; size 0 removes one."""
    number, snapshot = _number(message["n"]), message["snapshot"]
    if type(snapshot) is not bool:
        raise TypeError("snapshot must be true or false")
    event = BookUpdate(
        exchange="my-exchange",
        symbol=symbol,
        exchange_time_ns=ns_of_ms(message["time"]),
        received_time_ns=now_ns,
        sequence=number,
        snapshot=snapshot,
        bids=tuple(_level(level) for level in message["bids"]),
        asks=tuple(_level(level) for level in message["asks"]),
        # The number of the update that this one follows: a hole invalidates the book.
        previous_sequence=None if snapshot else number - 1,
    )
    return (Data(topic, (event,), number),)


_READERS = {"top": _top, "trades": _trades, "book": _book}


# --- values ---


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{type(value).__name__}, not text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if type(values) is not list:
        raise TypeError(f"{type(values).__name__}, not a list")
    return tuple(_text(value) for value in values)


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{type(value).__name__}, not a whole number")
    return value


def _level(value: Any) -> Any:
    at, left = value
    return price(at), size(left)
