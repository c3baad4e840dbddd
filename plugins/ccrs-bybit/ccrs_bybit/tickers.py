"""Topics ``tickers.…``, which carry tickers, funding rates, mark and index prices, open interest.

https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ccrs_core import (
    NS_PER_MS,
    Channel,
    Data,
    Funding,
    IndexPrice,
    MarketData,
    MarkPrice,
    Message,
    OpenInterest,
    Subscription,
    Ticker,
    Unchanged,
)
from ccrs_core.wire import (
    MALFORMED,
    By,
    Count,
    Ms,
    Price,
    Quote,
    Rate,
    Shape,
    ShapeReader,
    Size,
)

_LIMIT = 2**49
"""More than any count of Bybit's; its numbers still fit 63 bits."""


def one_sided(one: Decimal | None, both: Decimal | None) -> Decimal | None:
    """Since 2026-06 ``openInterest`` counts both sides of each contract, as no other exchange
    does."""
    return both if one is None else one


TICKER = Shape(
    Ticker,
    usual=[
        (
            '{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT",'
            '"lastPrice":"17216.00","highPrice24h":"17281.50","lowPrice24h":"16915.00",'
            '"prevPrice24h":"17141.50","volume24h":"91705.276","turnover24h":"1570383121.9",'
            '"markPrice":"17217.33","indexPrice":"17227.36","openInterest":"68744.761",'
            '"fundingRate":"-0.000212","nextFundingTime":"1673280000000","bid1Price":"17215.50",'
            '"bid1Size":"84.489","ask1Price":"17216.00","ask1Size":"83.020"},"cs":24987956059,'
            '"ts":1673272861686}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("ts"),
        "sequence": Count("cs", absent=None),
        "last_price": Price("data.lastPrice", absent=None),
        "bid": Quote("data.bid1Price", "data.bid1Size", absent=None),
        "ask": Quote("data.ask1Price", "data.ask1Size", absent=None),
        "open_price": Price("data.prevPrice24h", absent=None),
        "high_price": Price("data.highPrice24h", absent=None),
        "low_price": Price("data.lowPrice24h", absent=None),
        "volume": Size("data.volume24h", absent=None),
        "turnover": Size("data.turnover24h", absent=None),
        "mark_price": Price("data.markPrice", absent=None),
        "index_price": Price("data.indexPrice", absent=None),
        "open_interest": By(
            one_sided,
            Size("data.singleOpenInterest", absent=None),
            Size("data.openInterest", absent=None),
        ),
        "funding_rate": Rate("data.fundingRate", absent=None),
        "next_funding_time_ns": Ms("data.nextFundingTime", absent=None),
    },
)


class TickerReader(ShapeReader):
    """Tickers of spot, linear and inverse, with funding rate, mark price, index price and open
    interest on their changes.

    Spot sends whole snapshots. Linear and inverse send one, then only the fields that changed,
    which are completed here from what this connection has seen.
    """

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription, TICKER)
        self._channels = {subscription.channel}
        self._fields: dict[str, Any] | None = None
        self._cross = self._time_ns = 0
        self._funding: tuple[Decimal, int | None] | None = None
        self._mark: tuple[Decimal, Decimal | None] | None = None
        self._index: Decimal | None = None
        self._held: Decimal | None = None

    def add(self, subscription: Subscription) -> None:
        """Yield this channel's events too: the next frame tells the present state, whether it has
        just changed or not."""
        channel = subscription.channel
        self._channels.add(channel)
        if channel is Channel.FUNDING:
            self._funding = None
        elif channel is Channel.MARK_PRICE:
            self._mark = None
        elif channel is Channel.INDEX_PRICE:
            self._index = None
        elif channel is Channel.OPEN_INTEREST:
            self._held = None

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
            return self._told({**frame, "data": fields}, received_time_ns)
        except MALFORMED:
            # What else a delta changed isn't told again: only what can't be read is forgotten.
            self._fields = {name: each for name, each in fields.items() if self._reads(name, each)}
            raise

    def _reads(self, name: str, value: Any) -> bool:
        """Whether a field has a value that can be read, or is none that is read."""
        try:
            self.read({"ts": 10**12, "data": {**_QUOTED, name: value}}, 0)
        except MALFORMED:
            return False
        return True

    def _told(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        (told,) = self.read(frame, received_time_ns)
        assert isinstance(told, Data)
        (ticker,) = told.events
        assert isinstance(ticker, Ticker)
        cross, ts = ticker.sequence, ticker.exchange_time_ns or 0
        if cross is not None and cross >= _LIMIT:
            raise TypeError("cs isn't a count")
        # Dated contracts have empty fields of funding.
        funding = mark = None
        if ticker.funding_rate is not None:
            funding = ticker.funding_rate, ticker.next_funding_time_ns
        if ticker.mark_price is not None:
            mark = ticker.mark_price, ticker.index_price
        events: list[tuple[int, MarketData]] = []
        head = (self.exchange, self.symbol, ts, received_time_ns)
        if Channel.TICKER in self._channels:
            events.append((0, ticker))
        if Channel.FUNDING in self._channels and funding and funding != self._funding:
            events.append((1, Funding(*head, *funding)))
            self._funding = funding
        if Channel.MARK_PRICE in self._channels and mark and mark != self._mark:
            events.append((2, MarkPrice(*head, *mark)))
            self._mark = mark
        index, held = ticker.index_price, ticker.open_interest
        if Channel.INDEX_PRICE in self._channels and index is not None and index != self._index:
            events.append((3, IndexPrice(*head, index)))
            self._index = index
        if Channel.OPEN_INTEREST in self._channels and held is not None and held != self._held:
            events.append((4, OpenInterest(*head, held)))
            self._held = held
        self._fields = frame["data"]
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


_QUOTED = {"bid1Price": "1", "bid1Size": "1", "ask1Price": "1", "ask1Size": "1"}
"""Of prices and sizes either says nothing without the other, however it is spelled."""


def _sequence(cross: int | None, ts_ns: int) -> int | None:
    """A number that rises from one ticker to the next, equal on all connections, below 2^63.

    ``cs`` counts what the matching engine did. A mark or index price may move while that does
    nothing, and several tickers may share a millisecond. Neither falls, so that their sum rises
    whenever one of them does. ``cs`` weighs more, because of two machines' clocks one may be ahead.
    The last three bits are left free for telling one frame's events apart.
    """
    return None if cross is None else ((cross << 10) + ts_ns // NS_PER_MS) << 3
