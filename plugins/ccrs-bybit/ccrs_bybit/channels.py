"""What the frames of each topic say, declared. Rows come oldest first.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context
from typing import Any, ClassVar

from ccrs_bybit.tickers import TickerReader
from ccrs_core import (
    NS_PER_MS,
    BookUpdate,
    Candle,
    Channel,
    Data,
    Liquidation,
    Message,
    Side,
    TopOfBook,
    Trade,
)
from ccrs_core.wire import (
    ROWS,
    Best,
    By,
    Choice,
    Count,
    Flag,
    Levels,
    Ms,
    Price,
    Shape,
    ShapeReader,
    Size,
    Stream,
    Text,
    fresh_size,
)

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}

# Snapshots, repeated with the same u every 3 s while nothing changes.
# https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
TOP_OF_BOOK = Shape(
    TopOfBook,
    usual=[
        (
            '{"topic":"orderbook.1.BTCUSDT","ts":1672304484978,"type":"snapshot","data":{'
            '"s":"BTCUSDT","b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,'
            '"seq":7961638724},"cts":1672304484976}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("cts", other="ts"),
        "sequence": Count("data.u"),
        "bid": Best("data.b"),
        "ask": Best("data.a"),
    },
    only={"type": "snapshot"},
    numbered_by="sequence",
    restart=1,  # the service has restarted
)


class TopOfBookReader(ShapeReader):
    """``orderbook.1``, also as it was until 2023: with deltas, in which a side without change was
    left empty. They are completed from the update before, where this connection decoded exactly
    that one; and they may delete the best level and bring the next one in the same side."""

    shape = TOP_OF_BOOK
    remembers: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data, kind = frame["data"], frame["type"]
        if kind != "snapshot" or len(data["b"]) > 1 or len(data["a"]) > 1:
            last = None
            if kind != "snapshot" and data["u"] != 1:
                if kind != "delta":
                    return self.unknown(f"type {kind}")
                if self.last is not None and self.last.sequence == data["u"] - 1:
                    last = self.last
                elif not (data["b"] and data["a"]):
                    return self.unknown("delta without the update before it")
            bids = _side(data["b"], last and (last.bid_price, last.bid_size))
            asks = _side(data["a"], last and (last.ask_price, last.ask_size))
            frame = {**frame, "type": "snapshot", "data": {**data, "b": bids, "a": asks}}
        messages = self.read(frame, received_time_ns)
        if isinstance(messages[0], Data):
            (self.last,) = messages[0].events
        return messages


def _side(rows: Any, last: Any) -> Any:
    """Of a side's levels, best first, those that aren't deleted; all where none is left, and the
    last one where it isn't told."""
    if rows or last is None or last[0] is None:
        return [row for row in rows if fresh_size(row[1])] or rows
    return [list(map(str, last))]


def replaces(kind: str, number: int) -> bool:
    """Whether an update replaces the book; one with number 1 says that the service restarted."""
    return kind == "snapshot" or number == 1


# A snapshot, then deltas whose u rises by one; a further snapshot replaces the book.
BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1672304484978,"data":{'
            '"s":"BTCUSDT","b":[["16493.50","0"]],"a":[],"u":18521288,"seq":7961638724},'
            '"cts":1672304484976}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("cts", other="ts"),
        "sequence": Count("data.u"),
        "snapshot": By(
            replaces,
            Choice({"snapshot": "snapshot", "delta": "delta"}, "type"),
            Count("data.u"),
        ),
        "bids": Levels("data.b"),
        "asks": Levels("data.a"),
        "previous_sequence": Count("data.u", minus=1, unless="snapshot"),
    },
    numbered_by="sequence",
    restart=1,
)

_EXACT = Context(prec=60)


class RpiBookReader(ShapeReader):
    """``orderbook.rpi``: levels are ``[price, size without orders of retail price improvement, size
    of these]``. Their sum is the level's size; it has gone where both are zero.
    https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook-rpi
    """

    shape = BOOK

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
        sides = {side: [_total(row) for row in data[side]] for side in ("b", "a")}
        return self.read({**frame, "data": {**data, **sides}}, received_time_ns)


def _total(row: Any) -> list[str]:
    price, others, improving = row
    return [price, f"{_EXACT.add(fresh_size(others), fresh_size(improving)):f}"]


# A message may be one of several with the same seq, so that the number identifies neither trades
# nor messages. https://bybit-exchange.github.io/docs/v5/websocket/public/trade
TRADES = Shape(
    Trade,
    usual=[
        # Contracts and spot have their fields in orders of their own.
        (
            '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{'
            '"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick",'
            '"i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"RPI":false,"seq":1783284617}]}'
        ),
        (
            '{"topic":"publicTrade.BTCUSDT","ts":1672304486868,"type":"snapshot","data":[{'
            '"i":"2100000000188691524","T":1672304486865,"p":"16578.50","v":"0.001","S":"Sell",'
            '"seq":1783284617,"s":"BTCUSDT","BT":false,"RPI":true}]}'
        ),
    ],
    rows="data",
    fields={
        "side": Choice(SIDES, "S"),
        "exchange_time_ns": Ms("T"),
        "sequence": Count("seq", absent=None),
        "trade_id": Text("i"),
        "price": Price("p"),
        "size": Size("v"),
        "block": Flag("BT", absent=False),
        "rpi": Flag("RPI", absent=None),
    },
    told_apart_by=ROWS,
)

# Every liquidation, in batches twice a second. S is the side of the position: "Buy" means that a
# long was liquidated; p is the bankruptcy price.
# https://bybit-exchange.github.io/docs/v5/websocket/public/all-liquidation
LIQUIDATIONS = Shape(
    Liquidation,
    usual=[
        (
            '{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{'
            '"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50"}]}'
        )
    ],
    rows="data",
    fields={
        "side": Choice(SIDES, "S"),
        "exchange_time_ns": Ms("T"),
        "price": Price("p"),
        "size": Size("v"),
    },
    told_apart_by=ROWS,
)


def candle_number(start_ns: int, last_ns: int, told_ns: int, closed: bool) -> int:
    """A number that rises from one state of a candle to the next, equal on all connections.

    Bybit doesn't number candles. A state is later than another one where ``timestamp``, the time of
    the last trade in it, or the time of the frame is, and neither falls: so their sum tells states
    apart, even where several trades of one millisecond are told in two frames. Closing comes last.
    All intervals are whole minutes, and the longest has fewer than 2^32 milliseconds, so that this
    stays below 2^63.
    """
    start, last, told = (ns // NS_PER_MS for ns in (start_ns, last_ns, told_ns))
    elapsed = min(max(last + told - 2 * start, 0), 2**33 - 1)
    return start // 60_000 << 34 | elapsed << 1 | closed


# The open candle every 1-60 s, and once more when it has closed.
# https://bybit-exchange.github.io/docs/v5/websocket/public/kline
CANDLES = Shape(
    Candle,
    usual=[
        (
            '{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,'
            '"interval":"5","open":"16649.5","close":"16677","high":"16677","low":"16608",'
            '"volume":"2.081","turnover":"34666.4","confirm":false,"timestamp":1672324988882}],'
            '"ts":1672324988882,"type":"snapshot"}'
        )
    ],
    rows="data",
    fields={
        "exchange_time_ns": Ms("/ts"),
        "open_time_ns": Ms("start"),
        "closed": Flag("confirm"),
        "open": Price("open"),
        "high": Price("high"),
        "low": Price("low"),
        "close": Price("close"),
        "volume": Size("volume"),
        "turnover": Size("turnover"),
    },
    numbered_by=By(candle_number, Ms("start"), Ms("timestamp"), Ms("/ts"), Flag("confirm")),
)

RPI_BOOK = Stream("orderbook.rpi.{native}", RpiBookReader)

_TICKER = Stream("tickers.{native}", TickerReader)

CHANNELS: Mapping[Channel, Stream] = {
    Channel.TOP_OF_BOOK: Stream("orderbook.1.{native}", TopOfBookReader),
    Channel.BOOK: Stream("orderbook.{depth}.{native}", BOOK),
    Channel.TRADES: Stream("publicTrade.{native}", TRADES),
    Channel.TICKER: _TICKER,
    Channel.FUNDING: _TICKER,
    Channel.MARK_PRICE: _TICKER,
    Channel.INDEX_PRICE: _TICKER,
    Channel.OPEN_INTEREST: _TICKER,
    Channel.CANDLES: Stream("kline.{interval}.{native}", CANDLES),
    Channel.LIQUIDATIONS: Stream("allLiquidation.{native}", LIQUIDATIONS),
}
