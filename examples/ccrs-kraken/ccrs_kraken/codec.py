"""One connection to WebSocket v2: frames in, messages out, and back.

https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/book and the pages beside it
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import ccrs_core as ccrs
from ccrs_core import Channel, Subscription
from ccrs_core.wire import (
    MALFORMED,
    Choice,
    Count,
    Digits,
    Flag,
    Levels,
    Price,
    Quote,
    Rfc3339,
    Shape,
    Size,
    read_exact_json,
    row_by_row,
    row_reader,
)

SIDES = {"buy": ccrs.Side.BUY, "sell": ccrs.Side.SELL}

TOP_OF_BOOK = Shape(
    ccrs.TopOfBook,
    usual=[
        (
            '{"symbol":"BTC/USD","bid":71234.4,"bid_qty":0.5,"ask":71234.5,"ask_qty":1.25,'
            '"timestamp":"2026-02-03T04:05:06.123456Z"}'
        )
    ],
    fields={
        "exchange_time_ns": Rfc3339("timestamp", absent=None),
        "bid": Quote("bid", "bid_qty", bare=True),
        "ask": Quote("ask", "ask_qty", bare=True),
    },
)
TRADE = Shape(
    ccrs.Trade,
    usual=[
        (
            '{"symbol":"BTC/USD","side":"buy","price":71234.5,"qty":0.0002,"ord_type":"market",'
            '"trade_id":80000001,"timestamp":"2026-02-03T04:05:06.400001Z"}'
        )
    ],
    fields={
        "exchange_time_ns": Rfc3339("timestamp", absent=None),
        "sequence": Count("trade_id"),
        "trade_id": Digits("trade_id"),
        "price": Price("price", bare=True),
        "size": Size("qty", bare=True),
        "side": Choice(SIDES, "side"),
    },
)
# Kraken doesn't number books' updates: the codec does, and says whether they are snapshots.
BOOK = Shape(
    ccrs.BookUpdate,
    usual=[
        (
            '{"symbol":"BTC/USD","bids":[{"price":71234.4,"qty":0.75}],"asks":[],"checksum":891433559,'
            '"timestamp":"2026-02-03T04:05:06.7Z","snapshot":false,"number":3,"before":2}'
        )
    ],
    fields={
        "exchange_time_ns": Rfc3339("timestamp", absent=None),
        "sequence": Count("number"),
        "snapshot": Flag("snapshot"),
        "bids": Levels("bids", cells=("price", "qty"), bare=True),
        "asks": Levels("asks", cells=("price", "qty"), bare=True),
        "previous_sequence": Count("before", unless="snapshot"),
        "checksum": Count("checksum"),
    },
)
CHANNELS = {Channel.TOP_OF_BOOK: "ticker", Channel.TRADES: "trade", Channel.BOOK: "book"}
ROWS = {"ticker": TOP_OF_BOOK, "trade": TRADE, "book": BOOK}
"""What a row of a channel's frames says."""


class KrakenCodec(ccrs.Codec):
    """Translator of one connection, all of whose topics are of one channel (and depth)."""

    heartbeat = ccrs.Heartbeat(interval=10.0, timeout=5.0)

    def __init__(self) -> None:
        self._channel = ""
        self._subscriptions: dict[str, Subscription] = {}
        # Kraken doesn't number books' updates: here they are, all of a connection together.
        self._count = 0
        self._updates: dict[str, int] = {}  # the last of each book

    def topic(self, subscription: Subscription) -> str:
        return f"{CHANNELS[subscription.channel]}.{subscription.instrument.native}"

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self._subscriptions |= {self.topic(each): each for each in subscriptions}
        return self._request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        for topic in map(self.topic, subscriptions):
            self._subscriptions.pop(topic, None)
            self._updates.pop(topic, None)
        return self._request("unsubscribe", subscriptions, request_id)

    def _request(self, method: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self._channel = CHANNELS[subscriptions[0].channel]
        natives = [each.instrument.native for each in subscriptions]
        params: dict[str, Any] = {"channel": self._channel, "symbol": natives}
        if self._channel == "ticker":
            params["event_trigger"] = "bbo"
        elif self._channel == "book":
            params["depth"] = subscriptions[0].depth
        return json.dumps({"method": method, "params": params, "req_id": int(request_id)})

    def ping(self, request_id: str) -> str:
        return json.dumps({"method": "ping", "req_id": int(request_id)})

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[ccrs.Message]:
        topics: tuple[str, ...] = ()
        try:
            message = read_exact_json(frame)
            if message.get("method") is not None:
                return (self._answer(message),)
            channel, rows = message.get("channel"), message.get("data", ())
            symbols = [row["symbol"] for row in rows if isinstance(row, dict) and "symbol" in row]
            topics = tuple(f"{channel}.{symbol}" for symbol in dict.fromkeys(symbols))
            try:
                return self._data(message, received_time_ns)
            except MALFORMED:
                if channel != "trade" or len(topics) != 1:
                    raise
                # Each trade says something by itself: a strange one takes none of the others away.
                return row_by_row(
                    topics[0],
                    rows,
                    lambda row: self._data({**message, "data": [row]}, received_time_ns),
                )
        except MALFORMED as error:
            raise ccrs.DecodeError(f"malformed frame: {error!r}"[:200], frame, topics) from error

    def _answer(self, message: dict[str, Any]) -> ccrs.Message:
        """What Kraken answers to a request: to each of its symbols separately."""
        method, number, text = message["method"], message.get("req_id"), message.get("error", "")
        if method == "pong":
            return ccrs.Pong()
        if method not in ("subscribe", "unsubscribe"):
            return ccrs.Unrecognised(f"method {method}"[:200])
        request_id = str(number) if type(number) is int else None
        symbol = message.get("result", message).get("symbol")
        topics = None if symbol is None else (f"{self._channel}.{symbol}",)
        if message["success"] is True or text == "Already subscribed":
            return ccrs.Ack(request_id, topics)
        return ccrs.Refused(request_id, "", str(text), topics, later=text == "Exceeded msg rate")

    def _data(self, message: dict[str, Any], received_time_ns: int) -> Sequence[ccrs.Message]:
        channel, kind = message.get("channel"), message.get("type")
        if channel == "heartbeat":
            return (ccrs.Alive(),)
        found: dict[str, list[Any]] = {}
        for row in message["data"] if kind in ("snapshot", "update") else ():
            symbol = row["symbol"] if channel == "trade" else row.get("symbol")
            topic = f"{channel}.{symbol}"
            subscription = self._subscriptions.get(topic)
            if subscription is None or (channel == "trade" and row["side"] not in SIDES):
                continue
            told = row
            if channel == "book":
                before = self._updates.get(topic, 0)
                self._count += 1
                self._updates[topic] = number = self._count
                told = {**row, "number": number, "before": before, "snapshot": kind == "snapshot"}
            read = row_reader(ROWS[str(channel)], subscription.instrument, received_time_ns)
            found.setdefault(topic, []).append(read(told))
        data = [ccrs.Data(topic, rows, self._updates.get(topic)) for topic, rows in found.items()]
        return data or (ccrs.Unrecognised(f"{kind} of channel {channel}"[:200]),)
