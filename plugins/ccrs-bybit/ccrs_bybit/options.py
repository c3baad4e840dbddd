"""Options: tickers that carry all but books, and trades of all of a coin's options at once.

https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from ccrs_bybit.channels import BOOK, TRADES
from ccrs_core import (
    Channel,
    Data,
    Greeks,
    IndexPrice,
    MarkPrice,
    Message,
    OpenInterest,
    Subscription,
    Ticker,
    TopOfBook,
    Unchanged,
    Unsupported,
)
from ccrs_core.wire import (
    Kind,
    Ms,
    Price,
    Quote,
    Rate,
    Shape,
    ShapeReader,
    SharedRowsReader,
    Size,
    Stream,
    StreamReader,
)

PUBLIC_TRADE = "publicTrade"

_USUAL = (
    '{"topic":"tickers.BTC-6JAN23-17500-C","ts":1672917511074,"type":"snapshot","data":{'
    '"symbol":"BTC-6JAN23-17500-C","bidPrice":"5","bidSize":"5.1","bidIv":"0","askPrice":"10",'
    '"askSize":"5.1","askIv":"0.514","lastPrice":"10","highPrice24h":"25","lowPrice24h":"5",'
    '"markPrice":"7.86976724","indexPrice":"16823.73","markPriceIv":"0.4896",'
    '"underlyingPrice":"16815.1","openInterest":"49.85","turnover24h":"446802.8473",'
    '"volume24h":"26.55","totalVolume":"86","totalTurnover":"1437431","delta":"0.047831",'
    '"gamma":"0.00021453","vega":"0.81351067","theta":"-19.9115368","predictedDeliveryPrice":"0",'
    '"change24h":"-0.33333334"}}'
)


def _shape(event: Any, **fields: Kind) -> Shape:
    """Whole snapshots every 100 ms, unnumbered."""
    usual = [_USUAL]
    return Shape(event, usual, {"exchange_time_ns": Ms("ts"), **fields}, only={"type": "snapshot"})


def _implied(path: str) -> Kind:
    """A volatility, above zero as prices are: 0 is written where no price implies one."""
    return Price(path, absent=None)


# Options have no orderbook.1; orderbook.25 is made of deltas, of which a lost one would leave a
# wrong top for good.
TOP_OF_BOOK = _shape(
    TopOfBook,
    bid=Quote("data.bidPrice", "data.bidSize"),
    ask=Quote("data.askPrice", "data.askSize"),
)
# What "turnover24h" counts is the worth of what the options are on, not what was paid for them.
TICKER = _shape(
    Ticker,
    last_price=Price("data.lastPrice", absent=None),
    bid=Quote("data.bidPrice", "data.bidSize", absent=None),
    ask=Quote("data.askPrice", "data.askSize", absent=None),
    high_price=Price("data.highPrice24h", absent=None),
    low_price=Price("data.lowPrice24h", absent=None),
    volume=Size("data.volume24h", absent=None),
    mark_price=Size("data.markPrice", absent=None),
    index_price=Price("data.indexPrice", absent=None),
    open_interest=Size("data.openInterest", absent=None),
)
# An option may be worth nothing; nothing else is.
MARK_PRICE = _shape(
    MarkPrice,
    mark_price=Size("data.markPrice", blank="no mark price yet"),
    index_price=Price("data.indexPrice", absent=None),
)
INDEX_PRICE = _shape(IndexPrice, index_price=Price("data.indexPrice", blank="no index price yet"))
OPEN_INTEREST = _shape(OpenInterest, open_interest=Size("data.openInterest", blank="none told"))
GREEKS = _shape(
    Greeks,
    delta=Rate("data.delta", absent=None),
    gamma=Rate("data.gamma", absent=None),
    vega=Rate("data.vega", absent=None),
    theta=Rate("data.theta", absent=None),
    mark_iv=_implied("data.markPriceIv"),
    bid_iv=_implied("data.bidIv"),
    ask_iv=_implied("data.askIv"),
    underlying_price=Price("data.underlyingPrice", absent=None),
)

IN_TICKERS: Mapping[Channel, Shape] = {
    Channel.TOP_OF_BOOK: TOP_OF_BOOK,
    Channel.TICKER: TICKER,
    Channel.MARK_PRICE: MARK_PRICE,
    Channel.INDEX_PRICE: INDEX_PRICE,
    Channel.OPEN_INTEREST: OPEN_INTEREST,
    Channel.GREEKS: GREEKS,
}
"""What each channel reads of a ticker."""
_EVERY = frozenset({Channel.TOP_OF_BOOK, Channel.TICKER})
"""Channels of which each frame is delivered; the others tell changes."""


class OptionTickerReader(StreamReader):
    """``tickers`` of an option, of which each channel that is subscribed to reads its part."""

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._readers: dict[Channel, ShapeReader] = {}
        self._told: dict[Channel, Any] = {}
        self.add(subscription)

    def add(self, subscription: Subscription) -> None:
        """Yield this channel's events too: the next frame tells the present state, whether it has
        just changed or not."""
        channel = subscription.channel
        if channel not in IN_TICKERS:
            raise Unsupported(f"tickers of options don't tell {channel.value}")
        self._readers[channel] = ShapeReader(self.topic, subscription, IN_TICKERS[channel])
        self._told.pop(channel, None)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        if frame["type"] != "snapshot":
            return self.unknown(f"type {frame['type']}")
        found: list[Message] = []
        for channel, reader in self._readers.items():
            (message,) = reader.read(frame, received_time_ns)
            if not isinstance(message, Data):
                continue  # there is none of it
            if channel in _EVERY:
                found.append(message)
                continue
            (event,) = message.events
            told = attrs.evolve(event, exchange_time_ns=None, received_time_ns=0)
            if told == Greeks(self.exchange, self.symbol, None, 0):
                continue  # all is blank
            if told != self._told.get(channel):
                self._told[channel] = told
                found.append(message)
        return found or (Unchanged(self.topic),)


class OptionTradesReader(SharedRowsReader):
    """``publicTrade`` of a coin: trades of all its options, of which some are wanted.

    https://bybit-exchange.github.io/docs/v5/websocket/public/trade
    """

    of_row: ClassVar[Shape] = TRADES
    native_at: ClassVar[str] = "s"
    own_topic: ClassVar[str] = f"{PUBLIC_TRADE}.{{native}}"


_TICKER = Stream("tickers.{native}", OptionTickerReader)
BOOKS = Stream("orderbook.{depth}.{native}", BOOK)


def stream_of(subscription: Subscription) -> Stream:
    """The stream that carries a subscription to an option."""
    channel = subscription.channel
    if channel is Channel.BOOK:
        return BOOKS
    if channel is Channel.TRADES:
        return trades_of(subscription.instrument.base)
    return _TICKER


_TRADES: dict[str, Stream] = {}


def trades_of(coin: str) -> Stream:
    """The stream of the trades of all options of a coin."""
    if coin not in _TRADES:
        name = f"{PUBLIC_TRADE}.{coin.replace('{', '{{').replace('}', '}}')}"
        _TRADES[coin] = Stream(name, OptionTradesReader)
    return _TRADES[coin]
