"""What the frames of each channel say, declared; and readers of those that are more than that.

Frames of before 2023 have no numbers. Levels are ``[price, size, "0", orders]``.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ccrs_core import (
    NS_PER_MS,
    BookUpdate,
    Channel,
    Data,
    Funding,
    Market,
    MarkPrice,
    Message,
    OpenInterest,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.wire import (
    Always,
    Best,
    By,
    Choice,
    Count,
    Kind,
    Levels,
    Ms,
    Price,
    Quote,
    Rate,
    Shape,
    ShapeReader,
    Size,
    Stream,
    Text,
    ns_of_ms,
)
from ccrs_okx.indices import index_stream
from ccrs_okx.news import NEWS
from ccrs_okx.options import family_of, summary_of
from ccrs_okx.sizes import contract_of
from ccrs_okx.symbols import INSTRUMENT_TYPES, index_of, instrument_type
from ccrs_okx.unnumbered import LIQUIDATIONS, CandleReader, LiquidationReader

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
RETAIL = {"0": False, "1": True}
"""Whether a ``source`` is an order of the retail price improvement programme, which public books
leave out; nothing is known of others.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel"""

# Best bid and ask, whole, on change and at most every 10 ms.
# https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
TOP_OF_BOOK = Shape(
    TopOfBook,
    usual=[
        (
            '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["64350.2","0.075",'
            '"0","13"]],"bids":[["64350.1","1.250","0","2"]],"ts":"1794000123005",'
            '"seqId":90123456789}]}'
        )
    ],
    rows="data",
    fields={
        "sequence": Count("seqId", absent=None),
        "bid": Best("bids", scale=contract_of),
        "ask": Best("asks", scale=contract_of),
        "exchange_time_ns": Ms("ts"),
    },
    numbered_by="sequence",
)

TRADED: Mapping[str, Kind] = {
    "side": Choice(SIDES, "side"),
    "trade_id": Text("tradeId"),
    "exchange_time_ns": Ms("ts"),
    "price": Price("px"),
    "size": Size("sz", scale=contract_of),
    "rpi": Choice(RETAIL, "source", absent=None),
}

# Each trade by itself.
TRADES = Shape(
    Trade,
    usual=[
        (
            '{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
            '"tradeId":"734864333","px":"64350.1","sz":"0.075","side":"buy","source":"0",'
            '"ts":"1794000123011"}]}'
        )
    ],
    rows="data",
    fields={**TRADED, "sequence": Count("seqId", absent=None)},
    told_apart_by="trade_id",
)

_TRADES_TO = (
    '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":'
    '"734864333","px":"64350.1","sz":"0.075","side":"buy","ts":"1794000123011"'
)
# What one taker order traded at one price, as it has been spelled in the course of time.
AGGREGATE_TRADES = attrs.evolve(
    TRADES,
    usual=[
        _TRADES_TO + ',"count":"3","source":"0","seqId":279183506666}]}',
        _TRADES_TO + ',"count":"3"}]}',
        _TRADES_TO + "}]}",
    ],
)


def checksum_or_none(checksum: int) -> int | None:
    """A checksum; it is 0 since 2026-06-23, which is none."""
    return checksum or None


_SIDES_OF_BOOK: Mapping[str, Kind] = {
    "bids": Levels("bids", scale=contract_of, columns=None),
    "asks": Levels("asks", scale=contract_of, columns=None),
    "exchange_time_ns": Ms("ts"),
}

# The whole book once, then changes, each of which names the number of the one before. One without
# change comes every 60 s, its numbers being the last one's.
BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":'
            '[["64350.2","0","0","0"]],"bids":[],"ts":"1794000123100","checksum":0,'
            '"prevSeqId":123456,"seqId":123461}]}'
        )
    ],
    rows="data",
    fields={
        "snapshot": Choice({"update": False, "snapshot": True}, "/action"),
        "sequence": Count("seqId"),
        **_SIDES_OF_BOOK,
        "checksum": By(checksum_or_none, Count("checksum", absent=0, signed=True)),
        "previous_sequence": Count("prevSeqId", signed=True, unless="snapshot"),
    },
    numbered_by="sequence",
)

# The best five levels, whole, when they have changed, at most every 100 ms.
BEST_FIVE = Shape(
    BookUpdate,
    usual=[
        (
            '{"arg":{"channel":"books5","instId":"BTC-USDT"},"data":[{"asks":[["64350.2","0.075",'
            '"0","13"]],"bids":[["64350.1","1.250","0","2"]],"instId":"BTC-USDT",'
            '"ts":"1794000123100","seqId":123461}]}'
        )
    ],
    rows="data",
    fields={"snapshot": Always(True), "sequence": Count("seqId"), **_SIDES_OF_BOOK},
    numbered_by="sequence",
)


class BestFiveReader(ShapeReader):
    """``books5``: frames of 2022 have no number; their time does as one."""

    shape = BEST_FIVE

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        for row in frame["data"]:
            if "seqId" not in row:
                break
        else:
            return self.read(frame, received_time_ns)
        rows = [{"seqId": ns_of_ms(row["ts"]) // NS_PER_MS, **row} for row in frame["data"]]
        return told_by_decoding(self.read({**frame, "data": rows}, received_time_ns))


class BookReader(ShapeReader):
    """``books`` and its faster kin. ``seqId`` below ``prevSeqId``: OKX counts anew.

    Until 2023 there were no numbers, but a checksum: such frames are counted per connection.
    """

    shape = BOOK

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._count = 0

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        for row in frame["data"]:
            if "seqId" not in row or "prevSeqId" not in row:
                return self._counted(frame, received_time_ns)
        return self._chained(self.read(frame, received_time_ns))

    def _counted(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        before = -1 if frame["action"] == "snapshot" else None
        count, rows = self._count, []
        for row in frame["data"]:
            if "seqId" in row:
                rows.append(row if before is None else {"prevSeqId": before, **row})
            else:
                rows.append({**row, "prevSeqId": count, "seqId": count + 1})
                count += 1
        messages = self._chained(self.read({**frame, "data": rows}, received_time_ns))
        if any(isinstance(message, Data) for message in messages):
            self._count = count
        return told_by_decoding(messages)

    def _chained(self, messages: Sequence[Message]) -> Sequence[Message]:
        for message in messages:
            if isinstance(message, Data):
                event: Any = message.events[0]
                before = event.previous_sequence
                message.restart = before is not None and event.sequence < before
        return messages

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        told = None if self.told is None else self.told(frame)
        place = frame.rfind(_BEFORE)
        # Were a key there a second time, this might be the wrong one.
        if told is None or place < 0 or frame.find(_BEFORE, 0, place) >= 0:
            return None
        before = _NUMBER(frame, place + len(_BEFORE))
        if before is None:
            return None
        topic, number, _ = told
        if int(number) >= int(before[0]) or b'"action":"update"' not in frame:
            return told
        return (topic, number, True) if frame.count(b'"action":') == 1 else None


_BEFORE = b'"prevSeqId":'
_NUMBER = re.compile(rb"-?\d{1,18}(?=[,}])").match


def told_by_decoding(messages: Sequence[Message]) -> Sequence[Message]:
    """The same, as what a glance at their frame doesn't tell."""
    for message in messages:
        if isinstance(message, Data):
            message.peek_agrees = False
    return messages


def _ticker(**more: Kind) -> Shape:
    """The last 24 hours, whole, on change and at most every 100 ms. Volumes of derivatives are in
    contracts.

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-tickers-channel
    """
    return Shape(
        Ticker,
        usual=[
            (
                '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT",'
                '"instId":"BTC-USDT","last":"29934","lastSz":"0.1","askPx":"29934.1","askSz":"0.3",'
                '"bidPx":"29934","bidSz":"0.05","open24h":"31588.3","high24h":"31899.8",'
                '"low24h":"29318.7","sodUtc0":"29806.5","sodUtc8":"30747","volCcy24h":"3021400.1",'
                '"vol24h":"99.4","ts":"1794000123100"}]}'
            )
        ],
        rows="data",
        fields={
            "exchange_time_ns": Ms("ts"),
            "last_price": Price("last", absent=None),
            "bid": Quote("bidPx", "bidSz", scale=contract_of, absent=None),
            "ask": Quote("askPx", "askSz", scale=contract_of, absent=None),
            "open_price": Price("open24h", absent=None),
            "high_price": Price("high24h", absent=None),
            "low_price": Price("low24h", absent=None),
            "volume": Size("vol24h", scale=contract_of, absent=None),
            **more,
        },
        numbered_by="exchange_time_ns",
    )


TICKER = _ticker(turnover=Size("volCcy24h", absent=None))
TICKER_WITHOUT_TURNOVER = _ticker()


# Every 30 to 90 s, the rate that will be paid at "fundingTime".
# https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel
FUNDING = Shape(
    Funding,
    usual=[
        (
            '{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"fundingRate":'
            '"0.0001","fundingTime":"1794009600000","instId":"BTC-USDT-SWAP","instType":"SWAP",'
            '"nextFundingRate":"","ts":"1794000123100"}]}'
        )
    ],
    rows="data",
    fields={
        "exchange_time_ns": Ms("ts", absent=None),
        "rate": Rate("fundingRate", blank="no rate yet, as it has just been listed"),
        "funding_time_ns": Ms("fundingTime", absent=None),
    },
    numbered_by="exchange_time_ns",
)


def _mark_price(kind: Kind) -> Shape:
    """Every 200 ms while it changes, every 10 s while it doesn't. No index.

    https://www.okx.com/docs-v5/en/#public-data-websocket-mark-price-channel
    """
    return Shape(
        MarkPrice,
        usual=[
            (
                '{"arg":{"channel":"mark-price","instId":"BTC-USDT"},"data":[{"instType":"SWAP",'
                '"instId":"BTC-USDT","markPx":"42310.6","ts":"1794000123100"}]}'
            )
        ],
        rows="data",
        fields={
            "exchange_time_ns": Ms("ts"),
            "mark_price": kind,
            "index_price": Always(None),
        },
        numbered_by="exchange_time_ns",
    )


MARK_PRICE = _mark_price(Price("markPx", blank="no price yet"))
MARK_PRICE_OF_OPTIONS = _mark_price(Size("markPx", blank="no price yet"))
"""An option may be worth nothing; nothing else is."""


def open_interest(usual: str, prefix: str, **more: Kind) -> Shape:
    """Contracts that are held open, counted on one side, every 3 s when they have changed.

    https://www.okx.com/docs-v5/en/#public-data-websocket-open-interest-channel
    """
    return Shape(
        OpenInterest,
        usual=[usual],
        rows="data" if prefix else None,
        fields={
            "exchange_time_ns": Ms("ts"),
            "open_interest": Size("oi", scale=contract_of, blank="nothing is known of it yet"),
            **more,
        },
        numbered_by="exchange_time_ns" if prefix else None,
    )


_HELD = (
    '{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"2216113.01","oiCcy":"22161.1301",'
    '"oiUsd":"1939251795.54","ts":"1794000123100"}'
)
_HEAD_OF_HELD = '{"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":['
OPEN_INTEREST = {
    True: open_interest(f"{_HEAD_OF_HELD}{_HELD}]}}", "data", value=Size("oiUsd", absent=None)),
    False: open_interest(f"{_HEAD_OF_HELD}{_HELD}]}}", "data"),
}
"""By whether prices are in dollars, as what it is worth is told in."""


# --- what they are called ------------------------------------------------------------------------

BOOKS: Mapping[int, Stream] = {
    5: Stream("books5:{native}", BestFiveReader),
    # Who isn't logged in can't have these; but they may be in recordings.
    50: Stream("books50-l2-tbt:{native}", BookReader),
    400: Stream("books:{native}", BookReader, (("books-l2-tbt:{native}", BookReader),)),
}
"""Channels of books by depth."""

RPI_BOOK = Stream("books-rpi:{native}", BookReader)
"""Books with orders of retail price improvement: levels are ``[price, total, without, orders]``."""

CHANNELS: Mapping[Channel, Stream] = {
    Channel.TOP_OF_BOOK: Stream("bbo-tbt:{native}", TOP_OF_BOOK),
    Channel.TRADES: Stream("trades-all:{native}", TRADES, (("trades:{native}", AGGREGATE_TRADES),)),
    Channel.TICKER: Stream("tickers:{native}", TICKER),
    Channel.CANDLES: Stream("candle{interval}:{native}", CandleReader),
    Channel.FUNDING: Stream("funding-rate:{native}", FUNDING),
    Channel.MARK_PRICE: Stream("mark-price:{native}", MARK_PRICE),
}
HELD: Mapping[bool, Stream] = {
    dollars: Stream("open-interest:{native}", shape) for dollars, shape in OPEN_INTEREST.items()
}
"""Open interest, by whether prices are in dollars."""

LIQUIDATED: Mapping[str, Stream] = {
    kind: Stream(f"{LIQUIDATIONS}:{kind}", LiquidationReader)
    for kinds in INSTRUMENT_TYPES.values()
    for kind in kinds
}
"""Liquidations by type of instrument."""

_TICKER = Stream("tickers:{native}", TICKER_WITHOUT_TURNOVER)
_SPECIAL: Mapping[tuple[Market, Channel], Stream] = {
    (Market.LINEAR, Channel.TICKER): _TICKER,
    (Market.OPTION, Channel.TICKER): _TICKER,
    (Market.OPTION, Channel.MARK_PRICE): Stream("mark-price:{native}", MARK_PRICE_OF_OPTIONS),
}
"""Where a market has other frames than the others."""


def stream_of(subscription: Subscription) -> Stream:
    """The stream that carries a subscription."""
    channel, market = subscription.channel, subscription.instrument.market
    if channel is Channel.BOOK and subscription.rpi:
        return RPI_BOOK
    if channel is Channel.BOOK:
        return BOOKS[subscription.depth or 0]
    if channel is Channel.INSTRUMENTS:
        return NEWS[instrument_type(subscription.instrument)]
    if channel is Channel.INDEX_PRICE and market in {Market.LINEAR, Market.INVERSE}:
        return index_stream(index_of(subscription.instrument))
    if channel is Channel.OPEN_INTEREST:
        return HELD[subscription.instrument.quote == "USD"]
    if channel is Channel.GREEKS:
        return summary_of(family_of(subscription.instrument))
    if channel is Channel.LIQUIDATIONS:
        return LIQUIDATED[instrument_type(subscription.instrument)]
    return _SPECIAL.get((market, channel), CHANNELS[channel])
