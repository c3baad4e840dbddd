"""My Exchange's WebSocket requests and answers. No I/O, no clock, no randomness.

REPLACE BY YOUR EXCHANGE'S. The protocol here is invented, so that the whole package works before
you change anything. A client sends::

    {"op": "subscribe", "id": "1", "topics": ["top.BTC-USD", "book.10.BTC-USD"]}
    {"op": "ping", "id": "2"}

and hears ``done``, ``refused`` and ``pong``, and the data of its topics, each numbered within its
topic by ``n``: what that says is declared in ``channels.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Ack,
    Heartbeat,
    Message,
    Outbound,
    Pong,
    Refused,
    Subscription,
)
from ccrs_core.wire import Head, TableCodec, spelled

from .channels import CHANNELS

# Refusals that aren't for good: the core asks again.
NOT_NOW = ("busy",)


class MyExchangeCodec(TableCodec):
    """One connection's translator."""

    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)
    channels = CHANNELS
    # Frames of data begin with {"topic":"…
    head = Head("topic")

    # --- to the exchange ---

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return self._request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.close(subscriptions)
        return self._request("unsubscribe", subscriptions, request_id)

    def _request(self, op: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
        topics = [self.topic(subscription) for subscription in subscriptions]
        return orjson.dumps({"op": op, "id": request_id, "topics": topics}).decode()

    def ping(self, request_id: str) -> Outbound:
        return orjson.dumps({"op": "ping", "id": request_id}).decode()

    # --- from the exchange, but for data ---

    def control(self, frame: Any) -> Sequence[Message]:
        kind = frame.get("type")
        if kind == "done":
            return (Ack(spelled(frame["id"]), _texts(frame["topics"])),)
        if kind == "refused":
            code, text = spelled(frame["code"]), str(frame["text"])
            topics, later = _texts(frame["topics"]), code in NOT_NOW
            return (Refused(spelled(frame["id"]), code, text, topics, later),)
        # Anything else is new, or late data of a topic that was unsubscribed.
        return (Pong(),) if kind == "pong" else ()


def _texts(values: Any) -> tuple[str, ...]:
    if type(values) is not list:
        raise TypeError(f"{type(values).__name__}, not a list")
    return tuple(map(spelled, values))
