"""Index prices: one channel brings those of all instruments that follow the same index.

https://www.okx.com/docs-v5/en/#public-data-websocket-index-tickers-channel
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from ccrs_core import Data, IndexPrice, Message, Subscription
from ccrs_core.wire import Ms, Price, Shape, ShapeReader, Stream, StreamReader

INDICES = "index-tickers"

# On change at most every 100 ms, else once a minute.
INDEX_PRICE = Shape(
    IndexPrice,
    usual=[
        (
            '{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
            '"idxPx":"42310.6","high24h":"43001","low24h":"41000","open24h":"42000",'
            '"sodUtc0":"42100","sodUtc8":"42200","ts":"1794000123100"}]}'
        )
    ],
    rows="data",
    fields={"exchange_time_ns": Ms("ts"), "index_price": Price("idxPx", blank="no price yet")},
    numbered_by="exchange_time_ns",
)


class IndexReader(StreamReader):
    """``index-tickers``: what is told of an index holds for each instrument that follows it."""

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._wanted: dict[str, ShapeReader] = {}
        self.add(subscription)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(reader.topic for reader in self._wanted.values())

    def add(self, subscription: Subscription) -> None:
        native = subscription.instrument.native
        self._wanted[native] = ShapeReader(f"{INDICES}:{native}", subscription, INDEX_PRICE)

    def drop(self, subscription: Subscription) -> bool:
        self._wanted.pop(subscription.instrument.native, None)
        return bool(self._wanted)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        found: list[Message] = []
        for reader in self._wanted.values():
            for message in reader.read(frame, received_time_ns):
                if isinstance(message, Data):
                    # One frame is of several topics, of which no glance at it tells.
                    message.peek_agrees = False
                found.append(message)
        return found


@cache
def index_stream(index: str) -> Stream:
    """The stream of an index."""
    return Stream(f"{INDICES}:{index}", IndexReader)
