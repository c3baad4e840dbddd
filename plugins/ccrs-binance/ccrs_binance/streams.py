"""What the frames of each stream say. One object per subscribed stream of one connection.

``decode`` takes a frame's parsed ``data`` and raises one of ``MALFORMED`` where it is malformed;
the codec turns that into ``DecodeError``.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams and
https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ccrs_binance import plain
from ccrs_core import (
    BookUpdate,
    Candle,
    Channel,
    Data,
    Funding,
    Level,
    Liquidation,
    MarketData,
    MarkPrice,
    Message,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
    Unchanged,
    Unrecognised,
)
from ccrs_core.wire import (
    PRICES,
    SIZES,
    decimal_or_none,
    fast_constructor,
    later,
    ns_of_ms,
    ns_or_none,
    price,
    price_or_none,
    size_or_none,
    whole,
)

_new_top_of_book = fast_constructor(TopOfBook)
_new_book_update = fast_constructor(BookUpdate)
_new_trade = fast_constructor(Trade)

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


class Stream(ABC):
    """Decoder of one stream."""

    number: ClassVar[bytes | None] = None
    """The key of the number that rises from frame to frame, for racing."""
    name: ClassVar[bytes | None] = None
    """The key of what identifies a frame, for racing."""
    lead: ClassVar[bytes | None] = None
    """What usually stands between the stream's name and the number, where each frame is the whole
    state."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        self.topic = topic
        self.exchange = subscription.instrument.exchange
        self.symbol = subscription.instrument.symbol
        self.native = subscription.instrument.native

    def add(self, subscription: Subscription) -> None:  # noqa: B027 - most have one only
        """Another subscription shares the stream."""

    @abstractmethod
    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        """The messages of one frame of this stream."""

    def unknown(self, what: object) -> tuple[Unrecognised]:
        """For frames that say something new, which is not an error."""
        return (Unrecognised(f"{self.topic}: {what}"[:200]),)


def best(at: Any, much: Any) -> tuple[Decimal, Decimal] | tuple[None, None]:
    """Price and size of a side's best level; None where it has none, which is told by zeros."""
    quantity = size_or_none(much)
    return (price(at), quantity) if quantity else (None, None)


class TopOfBookStream(Stream):
    """``bookTicker``: best bid and ask on every change. Spot says no time.

    https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#individual-symbol-book-ticker-streams
    """

    number: ClassVar[bytes | None] = b"u"

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        u = whole(data["u"])
        event = _new_top_of_book(
            self.exchange,
            self.symbol,
            ns_or_none(data.get("T")),
            received_time_ns,
            u,
            *best(data["b"], data["B"]),
            *best(data["a"], data["A"]),
        )
        return (Data(self.topic, (event,), u, False, True),)


class SpotTopOfBookStream(TopOfBookStream):
    """As spot spells it."""

    lead: ClassVar[bytes | None] = b',"data":{"u":'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = plain.spot_top_of_book()

    def decode_plain(
        self,
        frame: bytes,
        start: int,
        received_time_ns: int,
        match: Any = plain.SPOT_TOP_OF_BOOK.fullmatch,
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        u = int(found[1])
        event = self._new(self.exchange, self.symbol, None, received_time_ns, u, found)
        return (Data(self.topic, (event,), u, False, True),)


class FuturesTopOfBookStream(TopOfBookStream):
    """As futures spell it, with times."""

    lead: ClassVar[bytes | None] = b',"data":{"e":"bookTicker","u":'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = plain.futures_top_of_book()

    def decode_plain(
        self,
        frame: bytes,
        start: int,
        received_time_ns: int,
        match: Any = plain.FUTURES_TOP_OF_BOOK.fullmatch,
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        u = int(found[1])
        event = self._new(self.exchange, self.symbol, received_time_ns, u, found)
        return (Data(self.topic, (event,), u, False, True),)


class TradeStream(Stream):
    """``trade`` of spot; ``m``: the buyer was the maker, the taker sold.

    https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#trade-streams
    """

    name: ClassVar[bytes | None] = b"t"
    key: ClassVar[str] = "t"
    other: ClassVar[tuple[str, str]] = "aggTrade", "a"
    """The stream that tells the same trades otherwise, and the key of its numbers."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = self._constructor()
        self.twin = f"{topic.partition('@')[0]}@{self.other[0]}"

    def _constructor(self) -> Any:
        return plain.trade()

    def decode_plain(
        self,
        frame: bytes,
        start: int,
        received_time_ns: int,
        match: Any = plain.SPOT_TRADE.fullmatch,
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        trade_id = found[1]
        event = self._new(
            self.exchange,
            self.symbol,
            received_time_ns,
            int(trade_id),
            trade_id,
            False,
            None,
            found,
        )
        return (Data(self.topic, (event,)),)

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        return self._decode(data, whole(data[self.key]), received_time_ns)

    def decode_twin(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        """The messages of a frame of the other stream, as recordings of other programs hold it."""
        return self._decode(data, whole(data[self.other[1]]), received_time_ns)

    def _decode(self, data: Any, number: int, received_time_ns: int) -> Sequence[Message]:
        maker = data["m"]
        if type(maker) is not bool:
            raise TypeError("m isn't true or false")
        at, size = price_or_none(data["p"]), SIZES[data["q"]]
        if at is None:
            return self.unknown("no trade of the book")
        event = _new_trade(
            self.exchange,
            self.symbol,
            ns_of_ms(data["T"]),
            received_time_ns,
            number,
            str(number),
            at,
            size,
            Side.SELL if maker else Side.BUY,
            False,
            improves_price(data, size),
        )
        return (Data(self.topic, (event,)),)


def improves_price(row: Mapping[str, Any], size: Decimal) -> bool | None:
    """Whether a part of an aggregate trade was made by orders of retail price improvement: its
    normal quantity leaves them out."""
    normal = size_or_none(row.get("nq"))
    return None if normal is None else normal != size


class AggregateTradeStream(TradeStream):
    """``aggTrade`` of futures: what one taker order traded at one price.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Aggregate-Trade-Streams
    """

    name: ClassVar[bytes | None] = b"a"
    key: ClassVar[str] = "a"
    other: ClassVar[tuple[str, str]] = "trade", "t"

    def _constructor(self) -> Any:
        return plain.aggregate_trade()

    def decode_plain(
        self,
        frame: bytes,
        start: int,
        received_time_ns: int,
        match: Any = plain.FUTURES_TRADE.fullmatch,
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        trade_id = found[1]
        event = self._new(
            self.exchange,
            self.symbol,
            received_time_ns,
            int(trade_id),
            trade_id,
            False,
            found,
        )
        return (Data(self.topic, (event,)),)


def levels(rows: Any) -> tuple[Level, ...]:
    """Levels as they are sent, size zero for those that are gone."""
    if type(rows) is not list:
        raise TypeError("levels aren't a list")
    return tuple([(PRICES[at], SIZES[much]) for at, much in rows])


class DiffBookStream(Stream):
    """``depth@100ms``: changes of all levels. The book starts from a request.

    Spot chains by ``U`` (the first number in a frame, one above the last one of the frame before),
    futures by ``pu`` (the last number of the frame before).
    https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
    """

    number: ClassVar[bytes | None] = b"u"

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        u = data["u"]
        futures = "pu" in data
        before = data["pu" if futures else "U"]
        if type(u) is not int or type(before) is not int:
            raise TypeError("a number isn't whole")
        event = _new_book_update(
            self.exchange,
            self.symbol,
            ns_of_ms(data["T"] if "T" in data else data["E"]),
            received_time_ns,
            u,
            False,
            levels(data["b"]),
            levels(data["a"]),
            before if futures else before - 1,
        )
        return (Data(self.topic, (event,), u, False, True),)


class PartialBookStream(Stream):
    """``depth5``, ``depth10``, ``depth20``: the best levels, whole, at most every 100 ms.

    Spot names neither symbol nor time in them, futures spell them as they do changes.
    """

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._depth = subscription.depth or 0

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        spot = "lastUpdateId" in data
        u = whole(data["lastUpdateId" if spot else "u"])
        event = _new_book_update(
            self.exchange,
            self.symbol,
            None if spot else ns_of_ms(data["T"]),
            received_time_ns,
            u,
            True,
            levels(data["bids" if spot else "b"])[: self._depth],
            levels(data["asks" if spot else "a"])[: self._depth],
        )
        return (Data(self.topic, (event,), u, False, True),)


class SpotPartialBookStream(PartialBookStream):
    """As spot spells them."""

    number: ClassVar[bytes | None] = b"lastUpdateId"
    lead: ClassVar[bytes | None] = b',"data":{"lastUpdateId":'


class FuturesPartialBookStream(PartialBookStream):
    """As futures spell them."""

    number: ClassVar[bytes | None] = b"u"


class TickerStream(Stream):
    """``ticker``: the last 24 hours, every second or two. Futures tell no quotes in it.

    COIN-M counts the volume in contracts and the turnover in the coin that settles them; so do its
    candles.
    """

    number: ClassVar[bytes | None] = b"E"

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        time = whole(data["E"])
        bid_price, bid_size = best(data.get("b"), data.get("B"))
        ask_price, ask_size = best(data.get("a"), data.get("A"))
        event = Ticker(
            self.exchange,
            self.symbol,
            ns_of_ms(time),
            received_time_ns,
            None,
            last_price=price_or_none(data.get("c")),
            bid_price=bid_price,
            bid_size=bid_size,
            ask_price=ask_price,
            ask_size=ask_size,
            open_price=price_or_none(data.get("o")),
            high_price=price_or_none(data.get("h")),
            low_price=price_or_none(data.get("l")),
            volume=size_or_none(data.get("v")),
            turnover=size_or_none(data.get("q")),
        )
        return (Data(self.topic, (event,), time, False, True),)


class CandleStream(Stream):
    """``kline``: the open candle every 0.25 to 2 s while it changes, and once more as it closes."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._interval = subscription.interval or ""

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        time, row = whole(data["E"]), data["k"]
        start, closed = whole(row["t"]), row["x"]
        if type(closed) is not bool:
            raise TypeError("x isn't true or false")
        opened, high, low, last = [price_or_none(row[name]) for name in ("o", "h", "l", "c")]
        volume = size_or_none(row["v"])
        if opened is None or high is None or low is None or last is None or volume is None:
            return self.unknown("no candle before the first trade")
        event = Candle(
            self.exchange,
            self.symbol,
            ns_of_ms(time),
            received_time_ns,
            self._interval,
            ns_of_ms(start),
            later(ns_of_ms(start), self._interval, 1),
            opened,
            high,
            low,
            last,
            volume,
            size_or_none(row.get("q")),
            closed,
        )
        # A number that rises from one state of a candle to the next, and stays below 2^63. The
        # candle after a closed one may be told in the same millisecond.
        elapsed = min(max(time - start, 0), 2**32 - 1)
        return (Data(self.topic, (event,), start // 60_000 << 33 | elapsed << 1 | closed),)


class MarkPriceStream(Stream):
    """``markPrice@1s``: mark price and index, and the rate and time of the next funding.

    Dated contracts have an empty rate.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Mark-Price-Stream
    """

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._channels = {subscription.channel}
        self._funding: tuple[Decimal, int | None] | None = None

    def add(self, subscription: Subscription) -> None:
        self._channels.add(subscription.channel)
        if subscription.channel is Channel.FUNDING:
            self._funding = None  # who comes back hears the present rate

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        time = whole(data["E"])
        head = (self.exchange, self.symbol, ns_of_ms(time), received_time_ns)
        mark = price_or_none(data["p"])
        rate = decimal_or_none(data.get("r"))
        funding = None if rate is None else (rate, ns_or_none(data.get("T")))
        events: list[tuple[int, MarketData]] = []
        if Channel.MARK_PRICE in self._channels and mark is not None:
            events.append((0, MarkPrice(*head, mark, price_or_none(data.get("i")))))
        if Channel.FUNDING in self._channels and funding and funding != self._funding:
            events.append((1, Funding(*head, *funding)))
            self._funding = funding
        # The last bit tells one frame's events apart.
        return [Data(self.topic, (event,), time << 1 | place) for place, event in events] or [
            Unchanged(self.topic)
        ]


class LiquidationStream(Stream):
    """``forceOrder``: at most the latest liquidation of each second.

    ``S`` is the side of the order that closes the position: a SELL liquidates a long. Copies are
    told by all that is said of an order: the time of the frame is the server's.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Liquidation-Order-Streams
    """

    def decode(self, data: Any, received_time_ns: int) -> Sequence[Message]:
        row: Mapping[str, Any] = data["o"]
        side = SIDES.get(row["S"])
        if side is None:
            return self.unknown(f"side {row['S']}")
        at, much = price_or_none(row["p"]), size_or_none(row["q"])
        if at is None or not much:
            return self.unknown("an order without price or size")
        event = Liquidation(
            self.exchange,
            self.symbol,
            ns_of_ms(row["T"]),
            received_time_ns,
            Side.SELL if side is Side.BUY else Side.BUY,
            at,
            much,
        )
        told = f"{row['T']} {side.value} {at} {much} {row.get('z')}"
        return (Data(self.topic, (event,), told.encode()),)
