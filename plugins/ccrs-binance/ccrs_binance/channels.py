"""What the frames of each stream say, declared; and readers of those that are more than that.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams and
https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from ccrs_core import (
    BookUpdate,
    Candle,
    Channel,
    Data,
    Funding,
    IndexPrice,
    InstrumentNews,
    Liquidation,
    Market,
    MarketData,
    MarkPrice,
    Message,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
    Unchanged,
)
from ccrs_core.wire import (
    Always,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Levels,
    Ms,
    Price,
    Quote,
    Shape,
    Size,
    Stream,
    StreamReader,
    decimal_or_none,
    ns_of_ms,
    ns_or_none,
    price_or_none,
    size_or_none,
    whole,
)

PARTIAL_DEPTHS = (5, 10, 20)
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
MAKERS = {True: Side.SELL, False: Side.BUY}
"""The taker's side by whether the buyer was the maker."""

TOP_OF_BOOK = Shape(
    TopOfBook,
    usual=[
        # Spot says no time; futures say their market (``st``) and pair since 2025.
        (
            '{"stream":"btcusdt@bookTicker","data":{"u":51234567890,"s":"BTCUSDT","b":"64350.10000000",'
            '"B":"1.25000000","a":"64350.11000000","A":"0.07500000"}}'
        ),
        (
            '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9012345678901,"s":"BTCUSDT",'
            '"ps":"BTCUSDT","b":"64350.10","B":"1.250","a":"64350.20","A":"0.075","T":1794000123005,'
            '"E":1794000123006,"st":1}}'
        ),
    ],
    fields={
        "exchange_time_ns": Ms("data.T", absent=None),
        "sequence": Count("data.u"),
        "bid": Quote("data.b", "data.B"),
        "ask": Quote("data.a", "data.A"),
    },
    numbered_by="sequence",
)

_TRADED = {
    "exchange_time_ns": Ms("data.T"),
    "price": Price("data.p", blank="no trade of the book"),
    "size": Size("data.q"),
    "side": Choice(MAKERS, "data.m"),
}


def improves_price(normal: Decimal | None, size: Decimal) -> bool | None:
    """Whether a part of an aggregate trade was made by orders of retail price improvement: its
    normal quantity leaves them out."""
    return None if normal is None else normal != size


TRADES = Shape(
    Trade,
    usual=[
        (
            '{"stream":"btcusdt@trade","data":{"e":"trade","E":1794000123012,"s":"BTCUSDT",'
            '"t":1844100231,"p":"64350.11000000","q":"0.31250000","T":1794000123011,"m":false,"M":true}}'
        )
    ],
    fields={"sequence": Count("data.t"), "trade_id": Digits("data.t"), **_TRADED},
    told_apart_by="trade_id",
)

AGGREGATE_TRADES = Shape(
    Trade,
    usual=[
        # The symbol stands before or after ``a``; COIN-M says no ``nq``.
        (
            '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1794000123020,"a":3312345678,'
            '"s":"BTCUSDT","p":"64350.20","q":"0.250","nq":"0.250","f":6600000001,"l":6600000003,'
            '"T":1794000123018,"m":true,"st":1}}'
        ),
        (
            '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1794000123020,"s":"BTCUSDT",'
            '"a":3312345678,"p":"64350.20","q":"0.250","nq":"0.250","f":6600000001,"l":6600000003,'
            '"T":1794000123018,"m":true,"st":1}}'
        ),
        (
            '{"stream":"btcusd_perp@aggTrade","data":{"e":"aggTrade","E":1794000223120,"a":77123456,'
            '"s":"BTCUSD_PERP","p":"64350.2","q":"3","f":99123456,"l":99123457,"T":1794000223018,'
            '"m":false,"st":2}}'
        ),
    ],
    fields={
        "sequence": Count("data.a"),
        "trade_id": Digits("data.a"),
        **_TRADED,
        "rpi": By(improves_price, Size("data.nq", absent=None), Size("data.q")),
    },
    told_apart_by="trade_id",
)

_CHANGES = {
    "snapshot": Always(False),
    "sequence": Count("data.u"),
    "bids": Levels("data.b"),
    "asks": Levels("data.a"),
}

# The book starts from a request. Spot chains by U, the first number in a frame, one above the last
# one of the frame before; futures by pu, the last number of the frame before.
SPOT_BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1794000123100,"s":"BTCUSDT",'
            '"U":51234567891,"u":51234567895,"b":[["64350.10000000","0.00000000"]],"a":[]}}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("data.E"),
        **_CHANGES,
        "previous_sequence": Count("data.U", minus=1),
    },
    numbered_by="sequence",
)

FUTURES_BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1794000123101,'
            '"T":1794000123099,"s":"BTCUSDT","ps":"BTCUSDT","U":157,"u":160,"pu":149,'
            '"b":[["64350.10","12.500"]],"a":[],"st":1}}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("data.T", other="data.E"),
        **_CHANGES,
        "previous_sequence": Count("data.pu"),
    },
    numbered_by="sequence",
)

SPOT_PARTIAL_BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":51234567896,'
            '"bids":[["64350.10000000","2.50000000"]],"asks":[["64350.11000000","1.00000000"]]}}'
        )
    ],
    fields={
        "snapshot": Always(True),
        "sequence": Count("data.lastUpdateId"),
        "bids": Levels("data.bids", cut=True),
        "asks": Levels("data.asks", cut=True),
    },
    numbered_by="sequence",
)

FUTURES_PARTIAL_BOOK = Shape(
    BookUpdate,
    usual=[text.replace("depth@", "depth5@") for text in FUTURES_BOOK.usual],
    fields={
        "exchange_time_ns": Ms("data.T"),
        "snapshot": Always(True),
        "sequence": Count("data.u"),
        "bids": Levels("data.b", cut=True),
        "asks": Levels("data.a", cut=True),
    },
    numbered_by="sequence",
)

TICKER = Shape(
    # COIN-M counts the volume in contracts and the turnover in the coin that settles them; so do
    # its candles. Futures tell no quotes.
    Ticker,
    usual=[
        (
            '{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1794000123999,"s":"BTCUSDT",'
            '"p":"-12.2","P":"-0.352","w":"3460.1","x":"3469.0","c":"3456.7","Q":"1.3","b":"3456.2",'
            '"B":"2.5","a":"3456.7","A":"19.3","o":"3469.0","h":"3501.0","l":"3440.0","v":"123456.7",'
            '"q":"427175720.1","O":1793913723999,"C":1794000123999,"F":1843,"L":1844,"n":2}}'
        ),
        (
            '{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1794000124500,"s":"BTCUSDT",'
            '"ps":"BTCUSDT","p":"1.71","P":"0.049","w":"3455.10","c":"3456.71","Q":"0.250",'
            '"o":"3455.00","h":"3500.10","l":"3401.55","v":"5123456.789","q":"17700000000.12",'
            '"O":1793913724500,"C":1794000124499,"F":6500000001,"L":6600000003,"n":99999,"st":1}}'
        ),
    ],
    fields={
        "exchange_time_ns": Ms("data.E"),
        "last_price": Price("data.c", absent=None),
        "bid": Quote("data.b", "data.B", absent=None),
        "ask": Quote("data.a", "data.A", absent=None),
        "open_price": Price("data.o", absent=None),
        "high_price": Price("data.h", absent=None),
        "low_price": Price("data.l", absent=None),
        "volume": Size("data.v", absent=None),
        "turnover": Size("data.q", absent=None),
    },
    numbered_by="exchange_time_ns",
)


def candle_number(time_ns: int, start_ns: int, closed: bool) -> int:
    """A number that rises from one state of a candle to the next, and stays below 2^63. The candle
    after a closed one may be told in the same millisecond."""
    time, start = time_ns // 1_000_000, start_ns // 1_000_000
    elapsed = min(max(time - start, 0), 2**32 - 1)
    return start // 60_000 << 33 | elapsed << 1 | closed


_NO_CANDLE = "no candle before the first trade"

CANDLES = Shape(
    # The open candle every 0.25 to 2 s while it changes, and once more as it closes.
    Candle,
    usual=[
        (
            '{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1794000123040,"s":"BTCUSDT","k":{'
            '"t":1794000120000,"T":1794000179999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"3456.7",'
            '"c":"3456.8","h":"3456.8","l":"3456.7","v":"41.25","n":33,"x":false,"q":"142590.1",'
            '"V":"20.0","Q":"69134.4","B":"0"}}}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("data.E"),
        "open_time_ns": Ms("data.k.t"),
        "closed": Flag("data.k.x"),
        "open": Price("data.k.o", blank=_NO_CANDLE),
        "high": Price("data.k.h", blank=_NO_CANDLE),
        "low": Price("data.k.l", blank=_NO_CANDLE),
        "close": Price("data.k.c", blank=_NO_CANDLE),
        "volume": Size("data.k.v", blank=_NO_CANDLE),
        "turnover": Size("data.k.q", absent=None),
    },
    numbered_by=By(candle_number, Ms("data.E"), Ms("data.k.t"), Flag("data.k.x")),
)


class MarkPriceReader(StreamReader):
    """``markPrice@1s``: mark price and index, and the rate and time of the next funding.

    Dated contracts have an empty rate.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Mark-Price-Stream
    """

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._channels = {subscription.channel}
        self._funding: tuple[Decimal, int | None] | None = None

    def add(self, subscription: Subscription) -> None:
        self._channels.add(subscription.channel)
        if subscription.channel is Channel.FUNDING:
            self._funding = None  # who comes back hears the present rate

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
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
        index = price_or_none(data.get("i"))
        if Channel.INDEX_PRICE in self._channels and index is not None:
            events.append((2, IndexPrice(*head, index)))
        # The last two bits tell one frame's events apart.
        return [Data(self.topic, (event,), time << 2 | place) for place, event in events] or [
            Unchanged(self.topic)
        ]


class LiquidationReader(StreamReader):
    """``forceOrder``: at most the latest liquidation of each second.

    ``S`` is the side of the order that closes the position: a SELL liquidates a long. Copies are
    told by all that is said of an order: the time of the frame is the server's.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Liquidation-Order-Streams
    """

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        row: Mapping[str, Any] = frame["data"]["o"]
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


class NewsReader(StreamReader):
    """``!contractInfo``: a contract is listed, settled, or has other brackets of leverage.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Contract-Info-Stream
    """

    joined: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
        native = data["s"]
        if type(native) is not str:
            raise TypeError("s isn't a text")
        head = self.exchange, self.symbol, ns_of_ms(whole(data["E"])), received_time_ns
        return (Data(self.topic, (InstrumentNews(*head, native),)),)


SPEEDS = ("0ms", "100ms", "250ms", "500ms", "1000ms")
"""Speeds at which books have been sent."""
BOOK_INTERVAL = 0.1
"""Seconds between two updates of those that are subscribed to."""


def _book(name: str, shape: Shape) -> Stream:
    """The same at other speeds, as recordings of other programs hold it, says the same."""
    others = (name, *(f"{name}@{speed}" for speed in SPEEDS if speed != "100ms"))
    return Stream(f"{name}@100ms", shape, tuple((other, shape) for other in others))


_MARKS = Stream(
    "{lower}@markPrice@1s",
    MarkPriceReader,
    (("{lower}@markPrice", MarkPriceReader), ("{lower}@markPrice@3s", MarkPriceReader)),
)

FUTURES: Mapping[Channel, Stream] = {
    Channel.TOP_OF_BOOK: Stream("{lower}@bookTicker", TOP_OF_BOOK),
    Channel.TRADES: Stream("{lower}@aggTrade", AGGREGATE_TRADES, (("{lower}@trade", TRADES),)),
    Channel.BOOK: _book("{lower}@depth", FUTURES_BOOK),
    Channel.TICKER: Stream("{lower}@ticker", TICKER),
    Channel.CANDLES: Stream("{lower}@kline_{interval}", CANDLES),
    Channel.FUNDING: _MARKS,
    Channel.MARK_PRICE: _MARKS,
    Channel.INDEX_PRICE: _MARKS,
    Channel.LIQUIDATIONS: Stream("{lower}@forceOrder", LiquidationReader),
    Channel.INSTRUMENTS: Stream("!contractInfo", NewsReader),
}

SPOT: Mapping[Channel, Stream] = {
    **FUTURES,
    Channel.TRADES: Stream("{lower}@trade", TRADES, (("{lower}@aggTrade", AGGREGATE_TRADES),)),
    Channel.BOOK: _book("{lower}@depth", SPOT_BOOK),
}


_PARTIAL_BOOKS = {
    spot: _book("{lower}@depth{depth}", SPOT_PARTIAL_BOOK if spot else FUTURES_PARTIAL_BOOK)
    for spot in (True, False)
}


RPI_BOOK = Stream(
    "{lower}@rpiDepth@500ms",
    attrs.evolve(
        FUTURES_BOOK,
        usual=[text.replace("depth@100ms", "rpiDepth@500ms") for text in FUTURES_BOOK.usual],
    ),
)
"""A book with orders of retail price improvement, which are hidden where they would cross it.
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Diff-Book-Depth-Streams-RPI"""


def stream_of(subscription: Subscription) -> Stream:
    """The stream that carries a subscription."""
    if subscription.rpi:
        return RPI_BOOK
    spot = subscription.instrument.market is Market.SPOT
    if subscription.channel is Channel.BOOK and subscription.depth in PARTIAL_DEPTHS:
        return _PARTIAL_BOOKS[spot]
    return (SPOT if spot else FUTURES)[subscription.channel]
