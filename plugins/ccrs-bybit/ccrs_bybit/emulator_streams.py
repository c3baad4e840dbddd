"""The emulated Bybit's public streams and the frames in them.

Written from Bybit's documents and recorded frames, on purpose without the plugin's codec.
https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_wire import (
    SIDES,
    BybitSpeller,
    contract_ticker,
    option_ticker,
    spot_ticker,
    untold_of_contracts,
    untold_of_options,
    untold_of_spot,
)
from ccrs_core import NS_PER_MS, InstrumentStatus, Side
from ccrs_core.emulator import (
    Bar,
    BookFeed,
    CandleFeed,
    Changed,
    ForcedClose,
    ForcedCloseFeed,
    Frame,
    Interval,
    Levels,
    SimulatedMarket,
    SpelledLevel,
    StateFeed,
    TapeTrade,
    TradeFeed,
    milliseconds,
)

_TRADES_PER_FRAME = 1024

# Pushes no faster than this, in milliseconds, by depth.
_FUTURES_SPEED = {1: 10, 50: 20, 200: 100, 1000: 200}
BOOK_SPEEDS: Mapping[str, Mapping[int, int]] = {
    SPOT: _FUTURES_SPEED,
    LINEAR: _FUTURES_SPEED,
    INVERSE: _FUTURES_SPEED,
    OPTION: {25: 20, 100: 100},
}
_DAY = 24 * 60
INTERVALS: Mapping[str, Interval] = {
    **{
        str(minutes): Interval.minutes(minutes)
        for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
    },
    "D": Interval.minutes(_DAY),
    "W": Interval.minutes(7 * _DAY),
    "M": Interval(None),
}
_SENT_AFTER_MS = 2
"""Frames that tell when the matching engine did something say that they were sent later."""
_ENGINES = (
    *("lastPrice", "bid1Price", "bid1Size", "ask1Price", "ask1Size"),
    *("bidPrice", "bidSize", "askPrice", "askSize"),
)
"""What a ticker says of the matching engine."""


def _sent(now_ns: int) -> int:
    return milliseconds(now_ns) + _SENT_AFTER_MS


class Book(BookFeed):
    """``orderbook``: a snapshot, then what changed, numbered without holes; of one level snapshots
    only, and the same one again after three quiet seconds."""

    def __init__(self, topic: str, market: SimulatedMarket, depth: int, seed: int) -> None:
        category = market.listing.category
        super().__init__(
            *(topic, BybitSpeller(market), depth, _book),
            update=random.Random(f"{seed}/u/{category}/{topic}").randrange(10**5, 10**7),
            every_ms=BOOK_SPEEDS[category][depth],
            whole=depth == 1,
            repeats_s=3 if depth == 1 else None,
        )

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        self.view.restart()
        return self.standing(now_ns)


class RetailBook(Book):
    """``orderbook.rpi``: 50 levels, of which each tells the size without orders of retail price
    improvement, and that of these. Of the emulated crowd's orders some are said to be such; they
    are in the other books, too."""

    def __init__(self, topic: str, market: SimulatedMarket, depth: int, seed: int) -> None:
        super().__init__(topic, market, depth, seed)
        self.interval_ns = 100 * NS_PER_MS
        self.speller = RetailSpeller(market)


class RetailSpeller(BybitSpeller):
    """Levels in two parts."""

    def levels(self, levels: Levels, side: Side) -> list[SpelledLevel]:
        found: list[SpelledLevel] = []
        for price, size in levels:
            improving = size // 4 if price % 3 == 0 else 0
            found.append([self.price(price), self.size(size - improving), self.size(improving)])
        return found


def _book(feed: Book, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
    view, listing, topic = feed.view, feed.market.listing, feed.topic
    kind = "snapshot" if snapshot else "delta"
    data: dict[str, Any] = {"s": listing.symbol, "b": bids, "a": asks, "u": view.update}
    # Frames of 2023 told neither.
    told: dict[str, Any] = {}
    if not feed.blank():
        data["seq"] = view.sequence
        told["cts"] = milliseconds(view.time_ns)
    ts = _sent(now_ns)
    if listing.category == OPTION:
        head = {"id": f"{topic}-{view.sequence}-{ts}", "topic": topic, "ts": ts, "data": data}
        return Frame.json({**head, "type": kind, **told})
    if listing.category in {LINEAR, INVERSE} and feed.depth > 1:
        return Frame.json({"topic": topic, "type": kind, "ts": ts, "data": data, **told})
    return Frame.json({"topic": topic, "ts": ts, "type": kind, "data": data, **told})


def trade_feed(topic: str, market: SimulatedMarket) -> TradeFeed:
    """``publicTrade``: trades as they happen, oldest first."""
    return TradeFeed(topic, BybitSpeller(market), _trades, batches=_batches)


def _batches(trades: Sequence[TapeTrade]) -> Iterable[Sequence[TapeTrade]]:
    starts = range(0, len(trades), _TRADES_PER_FRAME)
    return [trades[start : start + _TRADES_PER_FRAME] for start in starts]


def _trades(feed: TradeFeed, trades: Sequence[TapeTrade], now_ns: int) -> Frame:
    write = _TRADES[feed.market.listing.category]
    rows = [write(feed.speller, trade) for trade in trades]
    if feed.blank():  # as until 2023
        rows = [{k: v for k, v in row.items() if k not in {"RPI", "seq"}} for row in rows]
    topic, ts = feed.topic, _sent(now_ns)
    match feed.market.listing.category:
        case "option":
            name = f"{topic}-{trades[-1].sequence}-{ts}"
            frame = {"id": name, "topic": topic, "ts": ts, "data": rows}
            return Frame.json({**frame, "type": "snapshot"})
        case "spot":
            return Frame.json({"topic": topic, "ts": ts, "type": "snapshot", "data": rows})
    return Frame.json({"topic": topic, "type": "snapshot", "ts": ts, "data": rows})


def _spot_trade(speller: BybitSpeller, trade: TapeTrade) -> dict[str, Any]:
    return {
        "i": speller.trade_id(trade),
        "T": milliseconds(trade.time_ns),
        "p": speller.price(trade.price),
        "v": speller.size(trade.size),
        "S": SIDES[trade.side],
        "seq": trade.sequence,
        "s": speller.listing.symbol,
        "BT": trade.block,
        "RPI": trade.rpi,
    }


def _contract_trade(speller: BybitSpeller, trade: TapeTrade) -> dict[str, Any]:
    return {
        "T": milliseconds(trade.time_ns),
        "s": speller.listing.symbol,
        "S": SIDES[trade.side],
        "v": speller.size(trade.size),
        "p": speller.price(trade.price),
        "L": speller.direction(trade.rising, trade.repeated),
        "i": speller.trade_id(trade),
        "BT": trade.block,
        "RPI": trade.rpi,
        "seq": trade.sequence,
    }


def _option_trade(speller: BybitSpeller, trade: TapeTrade) -> dict[str, Any]:
    market = speller.market
    return {
        "p": speller.price(trade.price),
        "v": speller.size(trade.size),
        "i": speller.trade_id(trade),
        "T": milliseconds(trade.time_ns),
        "BT": trade.block,
        "s": speller.listing.symbol,
        "S": SIDES[trade.side],
        "mP": speller.fine(market.mark),
        "iP": speller.fine(market.index),
        "mIv": f"{market.volatility:.4f}",
        "iv": f"{market.volatility:.4f}",
        "seq": trade.sequence,
    }


_TRADES: Mapping[str, Callable[[Any, TapeTrade], dict[str, Any]]] = {
    SPOT: _spot_trade,
    LINEAR: _contract_trade,
    INVERSE: _contract_trade,
    OPTION: _option_trade,
}


class Ticker(StateFeed):
    """``tickers``: whole on spot and options, elsewhere whole once and then what changed.

    ``sequence`` counts what the matching engine does, which sets no mark price and no day's high.
    """

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        self.sequence = 0
        speller = BybitSpeller(market)
        super().__init__(
            *(topic, speller, partial(_ticker, speller), _told),
            triggers=Changed.BOOK | Changed.TRADES | Changed.REFERENCE,
            every_ms=50 if market.listing.category == SPOT else 100,
        )

    def take(self, row: Mapping[str, Any]) -> None:
        if not self.row or any(row.get(key) != self.row.get(key) for key in _ENGINES):
            self.sequence = self.market.sequence
        super().take(row)


def _ticker(speller: BybitSpeller, feed: Ticker, now_ns: int) -> dict[str, str]:
    blank = feed.blank() or speller.listing.status is InstrumentStatus.PRELAUNCH
    if speller.listing.category == SPOT:
        fields, untold = spot_ticker(speller, now_ns), untold_of_spot
    elif speller.listing.category == OPTION:
        fields, untold = option_ticker(speller, now_ns), untold_of_options
    else:
        fields, untold = contract_ticker(speller, now_ns), untold_of_contracts
    return {**fields, **untold(fields)} if blank else fields


def _told(feed: Ticker, row: Mapping[str, Any], before: Any, now_ns: int) -> Frame:
    category, topic = feed.market.listing.category, feed.topic
    ts, cs = milliseconds(now_ns), feed.sequence
    if category == SPOT:
        return Frame.json({"topic": topic, "ts": ts, "type": "snapshot", "cs": cs, "data": row})
    if category == OPTION:
        head = {"topic": topic, "ts": ts, "type": "snapshot", "id": f"{topic}-{cs}-{ts}"}
        return Frame.json({**head, "data": row})
    if before is None:
        return Frame.json({"topic": topic, "type": "snapshot", "data": row, "cs": cs, "ts": ts})
    changed = {key for key, value in row.items() if before.get(key) != value} | {"symbol"}
    # Price and size of a best quote come together, whichever of them changed.
    for quote in ({"bid1Price", "bid1Size"}, {"ask1Price", "ask1Size"}):
        if changed & quote:
            changed |= quote
    delta = {key: value for key, value in row.items() if key in changed}
    return Frame.json({"topic": topic, "type": "delta", "data": delta, "cs": cs, "ts": ts})


def candle_feed(topic: str, market: SimulatedMarket, interval: str) -> CandleFeed:
    """``kline``: every 1 to 60 s: https://bybit-exchange.github.io/docs/v5/websocket/public/kline"""
    write = partial(_candle, interval)
    pace: dict[str, Any] = {"every_ms": 1000, "repeats_s": 60}
    return CandleFeed(topic, BybitSpeller(market), INTERVALS[interval], write, **pace)


def _candle(name: str, feed: CandleFeed, bar: Bar, closed: bool, now_ns: int) -> Frame:
    tape, speller = feed.market.tape, feed.speller
    assert isinstance(speller, BybitSpeller)
    open_, high, low, close, volume, turnover = speller.bar(bar)
    last = tape.trades[-1].time_ns if tape.trades else now_ns
    candle = {
        "start": milliseconds(feed.open_ns),
        "end": milliseconds(feed.close_ns) - 1,
        "interval": name,
        "open": open_,
        "close": close,
        "high": high,
        "low": low,
        "volume": volume,
        "turnover": turnover,
        "confirm": closed,
        "timestamp": milliseconds(max(feed.open_ns, min(last, feed.close_ns - NS_PER_MS))),
    }
    ts = milliseconds(now_ns)
    return Frame.json({"topic": feed.topic, "data": [candle], "ts": ts, "type": "snapshot"})


def liquidation_feed(topic: str, market: SimulatedMarket) -> ForcedCloseFeed:
    """``allLiquidation``: the liquidations of half a second; ``S`` is the position's side."""
    return ForcedCloseFeed(topic, BybitSpeller(market), _liquidations, every_ms=500)


def _liquidations(feed: ForcedCloseFeed, closes: Sequence[ForcedClose], now_ns: int) -> Frame:
    rows = [
        {
            "T": milliseconds(each.time_ns),
            "s": feed.market.listing.symbol,
            "S": SIDES[each.side],
            "v": feed.size(each.size),
            "p": feed.price(each.price),
        }
        for each in closes
    ]
    ts = milliseconds(now_ns)
    return Frame.json({"topic": feed.topic, "type": "snapshot", "ts": ts, "data": rows})
