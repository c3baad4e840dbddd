"""Topics ``tickers.…``, which carry tickers, funding rates and mark prices.

https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ccrs_core import (
    NS_PER_MS,
    Channel,
    Data,
    Funding,
    MarketData,
    MarkPrice,
    Message,
    Subscription,
    Ticker,
    Unchanged,
)
from ccrs_core.wire import (
    MALFORMED,
    StreamReader,
    decimal_or_none,
    ns_of_ms,
    ns_or_none,
    price_or_none,
    size_or_none,
)

_LIMIT = 2**50
"""More than any count of Bybit's; its numbers still fit 63 bits."""


class TickerReader(StreamReader):
    """Tickers of spot, linear and inverse, with funding rate and mark price on their changes.

    Spot sends whole snapshots. Linear and inverse send one, then only the fields that changed,
    which are completed here from what this connection has seen.
    """

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._channels = {subscription.channel}
        self._fields: dict[str, Any] | None = None
        self._cross = self._time_ns = 0
        self._funding: tuple[Decimal, int | None] | None = None
        self._mark: tuple[Decimal, Decimal | None] | None = None

    def add(self, subscription: Subscription) -> None:
        """Yield this channel's events too: the next frame tells the present state, whether it has
        just changed or not."""
        channel = subscription.channel
        self._channels.add(channel)
        if channel is Channel.FUNDING:
            self._funding = None
        elif channel is Channel.MARK_PRICE:
            self._mark = None

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
        kind = frame["type"]
        if type(data) is not dict:
            raise TypeError("data isn't an object")
        if kind == "snapshot":
            fields = data
        elif kind != "delta":
            return self.unknown(f"type {kind}")
        elif self._fields is None:
            return self.unknown("delta before its snapshot")
        else:
            fields = {**self._fields, **data}
        try:
            return self._told(frame, fields, received_time_ns)
        except MALFORMED:
            # What else a delta changed isn't told again: only what can't be read is forgotten.
            self._fields = {name: value for name, value in fields.items() if _readable(name, value)}
            raise

    def _told(self, frame: Any, fields: dict[str, Any], received_time_ns: int) -> Sequence[Message]:
        ts = ns_of_ms(frame["ts"])
        cross = frame.get("cs")
        if cross is not None and (type(cross) is not int or not 0 <= cross < _LIMIT):
            raise TypeError("cs isn't a count")
        funding, mark = _funding(fields), _mark(fields)
        events: list[tuple[int, MarketData]] = []
        head = (self.exchange, self.symbol, ts, received_time_ns)
        if Channel.TICKER in self._channels:
            events.append((0, _ticker(head, cross, fields)))
        if Channel.FUNDING in self._channels and funding and funding != self._funding:
            events.append((1, Funding(*head, *funding)))
            self._funding = funding
        if Channel.MARK_PRICE in self._channels and mark and mark != self._mark:
            events.append((2, MarkPrice(*head, *mark)))
            self._mark = mark
        self._fields = fields
        sequence, restart = _sequence(cross, ts), False
        if cross is not None:
            # Later and yet less: no frame that was late, but another count.
            restart = cross < self._cross and ts > self._time_ns
            self._cross, self._time_ns = cross, ts
        if not events:
            return (Unchanged(self.topic),)
        return [
            Data(
                self.topic,
                (event,),
                None if sequence is None else sequence + place,
                restart and event is events[0][1],
            )
            for place, event in events
        ]


def _best(fields: Mapping[str, Any], side: str) -> tuple[Decimal | None, Decimal | None]:
    """Best price and size of a side; both are "0", empty or absent where it has no orders."""
    price = price_or_none(fields.get(f"{side}Price"))
    size = size_or_none(fields.get(f"{side}Size"))
    return (price, size) if price is not None and size else (None, None)


def _readable(name: str, value: Any) -> bool:
    """Whether a field has a value that the codec can read, or is none that it reads."""
    try:
        _READERS.get(name, str)(value)
    except MALFORMED:
        return False
    return True


_READERS: Mapping[str, Callable[[Any], object]] = {
    **dict.fromkeys(
        (
            *("lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h", "markPrice"),
            *("indexPrice", "bid1Price", "ask1Price"),
        ),
        price_or_none,
    ),
    **dict.fromkeys(
        (
            *("bid1Size", "ask1Size", "volume24h", "turnover24h", "openInterest"),
            "singleOpenInterest",
        ),
        size_or_none,
    ),
    "fundingRate": decimal_or_none,
    "nextFundingTime": ns_or_none,
}


def _sequence(cross: int | None, ts_ns: int) -> int | None:
    """A number that rises from one ticker to the next, equal on all connections, below 2^63.

    ``cs`` counts what the matching engine did. A mark or index price may move while that does
    nothing, and several tickers may share a millisecond. Neither falls, so that their sum rises
    whenever one of them does. ``cs`` weighs more, because of two machines' clocks one may be ahead.
    The last two bits are left free for telling one frame's events apart.
    """
    return None if cross is None else ((cross << 10) + ts_ns // NS_PER_MS) << 2


def _funding(fields: Mapping[str, Any]) -> tuple[Decimal, int | None] | None:
    """Rate and time of the next funding; None for dated contracts, whose fields are empty."""
    rate = decimal_or_none(fields.get("fundingRate"))
    return None if rate is None else (rate, ns_or_none(fields.get("nextFundingTime")))


def _mark(fields: Mapping[str, Any]) -> tuple[Decimal, Decimal | None] | None:
    mark = price_or_none(fields.get("markPrice"))
    return None if mark is None else (mark, price_or_none(fields.get("indexPrice")))


def _ticker(
    head: tuple[str, str, int, int], cross: int | None, fields: Mapping[str, Any]
) -> Ticker:
    def price(name: str) -> Decimal | None:
        return price_or_none(fields.get(name))

    def size(name: str) -> Decimal | None:
        return size_or_none(fields.get(name))

    bid_price, bid_size = _best(fields, "bid1")
    ask_price, ask_size = _best(fields, "ask1")
    # Since 2026-06 ``openInterest`` counts both sides of each contract, as no other exchange does.
    one_sided = size("singleOpenInterest")
    return Ticker(
        *head,
        cross,
        last_price=price("lastPrice"),
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        open_price=price("prevPrice24h"),
        high_price=price("highPrice24h"),
        low_price=price("lowPrice24h"),
        volume=size("volume24h"),
        turnover=size("turnover24h"),
        mark_price=price("markPrice"),
        index_price=price("indexPrice"),
        open_interest=size("openInterest") if one_sided is None else one_sided,
        funding_rate=decimal_or_none(fields.get("fundingRate")),
        next_funding_time_ns=ns_or_none(fields.get("nextFundingTime")),
    )
