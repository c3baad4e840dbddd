"""The emulated Bybit's public topics and the frames in them.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and the pages beside it
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar

import orjson

from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_wire import (
    SIDES,
    Speller,
    contract_ticker,
    milliseconds,
    option_ticker,
    spot_ticker,
    untold_of_contracts,
    untold_of_options,
    untold_of_spot,
)
from ccrs_core import NS_PER_MS, NS_PER_SECOND, InstrumentStatus
from ccrs_core.emulator import (
    Bar,
    BookView,
    Broadcast,
    Changed,
    Frame,
    Interval,
    Levels,
    SimulatedMarket,
    TapeTrade,
)

_REPEAT_NS = 3 * NS_PER_SECOND
_CANDLE_NS = 60 * NS_PER_SECOND
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
        str(minutes): Interval(minutes * 60 * NS_PER_SECOND)
        for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
    },
    "D": Interval(_DAY * 60 * NS_PER_SECOND),
    "W": Interval(7 * _DAY * 60 * NS_PER_SECOND),
    "M": Interval(None),
}


Blank = Callable[[], bool]
"""Whether what is written now leaves out what Bybit may leave out."""


_SENT_AFTER_MS = 2
"""Frames that tell when the matching engine did something say that they were sent later."""


def _sent(now_ns: int) -> int:
    return milliseconds(now_ns) + _SENT_AFTER_MS


def _json(value: Mapping[str, Any]) -> Frame:
    return Frame(orjson.dumps(value))


class _Books:
    """The two ways in which Bybit writes a book; their keys differ in order."""

    def __init__(
        self, topic: str, market: SimulatedMarket, depth: int, seed: int, blank: Blank
    ) -> None:
        self.topic = topic
        self._blank = blank
        self.speller = Speller(market)
        first = random.Random(f"{seed}/u/{market.listing.category}/{topic}").randrange(10**5, 10**7)
        self.view = BookView(market, depth, first)
        self._type_first = market.listing.category in {LINEAR, INVERSE} and depth > 1
        self._option = market.listing.category == OPTION
        self._symbol = market.listing.symbol

    def frame(self, kind: str, bids: Levels, asks: Levels, now_ns: int) -> Frame:
        view, price, size = self.view, self.speller.price, self.speller.size
        zero = "0"
        data: dict[str, Any] = {
            "s": self._symbol,
            "b": [(price(p), size(s) if s else zero) for p, s in bids],
            "a": [(price(p), size(s) if s else zero) for p, s in asks],
            "u": view.update,
        }
        # Frames of 2023 told neither.
        told: dict[str, Any] = {}
        if not self._blank():
            data["seq"] = view.sequence
            told["cts"] = milliseconds(view.time_ns)
        ts = _sent(now_ns)
        if self._option:
            name = f"{self.topic}-{view.sequence}-{ts}"
            head = {"id": name, "topic": self.topic, "ts": ts, "data": data, "type": kind}
            return _json({**head, **told})
        if self._type_first:
            head = {"topic": self.topic, "type": kind, "ts": ts}
        else:
            head = {"topic": self.topic, "ts": ts, "type": kind}
        return _json({**head, "data": data, **told})

    def snapshot(self, now_ns: int) -> Frame:
        return self.frame("snapshot", self.view.bids, self.view.asks, now_ns)


class BookStream(Broadcast):
    """``orderbook.50`` and deeper: a snapshot, then what changed, numbered without holes."""

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(
        self, topic: str, market: SimulatedMarket, depth: int, seed: int, blank: Blank
    ) -> None:
        super().__init__(topic, [market])
        self.interval_ns = BOOK_SPEEDS[market.listing.category][depth] * NS_PER_MS
        self._books = _Books(topic, market, depth, seed, blank)

    @property
    def view(self) -> BookView:
        """The published book."""
        return self._books.view

    def started(self, now_ns: int) -> None:
        self._books.view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._books.snapshot(now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        changes = self._books.view.refresh()
        return () if changes is None else (self._books.frame("delta", *changes, now_ns),)

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        self._books.view.restart()
        return (self._books.snapshot(now_ns),)


class TopStream(BookStream):
    """``orderbook.1``: snapshots only, and the same one again after three quiet seconds."""

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self._books.view.refresh() is None else (self._books.snapshot(now_ns),)

    def alarm_ns(self) -> int | None:
        return self.last_ns + _REPEAT_NS

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        self._books.view.refresh()
        return (self._books.snapshot(now_ns),)


class TradeStream(Broadcast):
    """``publicTrade``: trades as they happen, oldest first; of options by their base coin."""

    triggers: ClassVar[Changed] = Changed.TRADES

    def __init__(self, topic: str, markets: Sequence[SimulatedMarket], blank: Blank) -> None:
        super().__init__(topic, markets)
        self._blank = blank
        self._spellers = [Speller(market) for market in markets]
        self._counts = [market.tape.count for market in markets]

    def started(self, now_ns: int) -> None:
        self._counts = [market.tape.count for market in self.markets]

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        for index, speller in enumerate(self._spellers):
            tape = speller.market.tape
            new = iter(tape.since(self._counts[index]))
            self._counts[index] = tape.count
            while trades := list(islice(new, _TRADES_PER_FRAME)):
                yield self._frame(speller, trades, now_ns)

    def _frame(self, speller: Speller, trades: Sequence[TapeTrade], now_ns: int) -> Frame:
        write = _TRADES[speller.listing.category]
        rows = [write(speller, trade) for trade in trades]
        if self._blank():  # as until 2023
            rows = [{k: v for k, v in row.items() if k not in {"RPI", "seq"}} for row in rows]
        ts = _sent(now_ns)
        match speller.listing.category:
            case "option":
                name = f"{self.topic}-{trades[-1].sequence}-{ts}"
                frame = {"id": name, "topic": self.topic, "ts": ts, "data": rows}
                return _json({**frame, "type": "snapshot"})
            case "spot":
                return _json({"topic": self.topic, "ts": ts, "type": "snapshot", "data": rows})
        return _json({"topic": self.topic, "type": "snapshot", "ts": ts, "data": rows})


def _spot_trade(speller: Speller, trade: TapeTrade) -> dict[str, Any]:
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


def _contract_trade(speller: Speller, trade: TapeTrade) -> dict[str, Any]:
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


def _option_trade(speller: Speller, trade: TapeTrade) -> dict[str, Any]:
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
        "mIv": "0.5500",
        "iv": "0.5500",
        "seq": trade.sequence,
    }


_TRADES: Mapping[str, Callable[[Speller, TapeTrade], dict[str, Any]]] = {
    SPOT: _spot_trade,
    LINEAR: _contract_trade,
    INVERSE: _contract_trade,
    OPTION: _option_trade,
}


_ENGINES = (
    *("lastPrice", "bid1Price", "bid1Size", "ask1Price", "ask1Size"),
    *("bidPrice", "bidSize", "askPrice", "askSize"),
)
"""What a ticker says of the matching engine."""


class TickerStream(Broadcast):
    """``tickers``: whole on spot and options, elsewhere whole once and then what changed."""

    triggers: ClassVar[Changed] = Changed.BOOK | Changed.TRADES | Changed.REFERENCE

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket,
        underlying: Callable[[], Decimal] | None,
        blank: Blank,
    ) -> None:
        super().__init__(topic, [market])
        self._speller = Speller(market)
        self._category = market.listing.category
        self._underlying = underlying
        self._blank = blank
        self.interval_ns = (50 if self._category == SPOT else 100) * NS_PER_MS
        self._told: dict[str, str] = {}
        self._sequence = 0

    def started(self, now_ns: int) -> None:
        self._tell(self._fields(now_ns))

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame("snapshot", self._told, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        fields, told = self._fields(now_ns), self._told
        if fields == told:
            return ()
        self._tell(fields)
        if self._category in {SPOT, OPTION}:
            return (self._frame("snapshot", fields, now_ns),)
        changed = {key: value for key, value in fields.items() if told.get(key) != value}
        # Price and size of a best quote come together, whichever of them changed.
        for side in ("bid1", "ask1"):
            if f"{side}Price" in changed or f"{side}Size" in changed:
                for key in (f"{side}Price", f"{side}Size"):
                    changed[key] = fields[key]
        delta = {key: fields[key] for key in fields if key in changed or key == "symbol"}
        return (self._frame("delta", delta, now_ns),)

    def _tell(self, fields: dict[str, str]) -> None:
        # It counts what the matching engine does, which sets no mark price and no day's high.
        if not self._told or any(fields.get(key) != self._told.get(key) for key in _ENGINES):
            self._sequence = self._speller.market.sequence
        self._told = fields

    def _fields(self, now_ns: int) -> dict[str, str]:
        blank = self._blank() or self._speller.listing.status is InstrumentStatus.PRELAUNCH
        if self._category == SPOT:
            fields, untold = spot_ticker(self._speller, now_ns), untold_of_spot
        elif self._underlying is not None:
            fields = option_ticker(self._speller, self._underlying(), now_ns)
            untold = untold_of_options
        else:
            fields, untold = contract_ticker(self._speller, now_ns), untold_of_contracts
        return {**fields, **untold(fields)} if blank else fields

    def _frame(self, kind: str, data: dict[str, str], now_ns: int) -> Frame:
        topic, ts, cs = self.topic, milliseconds(now_ns), self._sequence
        if self._category == SPOT:
            return _json({"topic": topic, "ts": ts, "type": kind, "cs": cs, "data": data})
        if self._category == OPTION:
            name = f"{topic}-{cs}-{ts}"
            return _json({"topic": topic, "ts": ts, "type": kind, "id": name, "data": data})
        return _json({"topic": topic, "type": kind, "data": data, "cs": cs, "ts": ts})


class KlineStream(Broadcast):
    """``kline``: the open candle as it changes, and each candle once more when it closes.

    Every 1 to 60 s: https://bybit-exchange.github.io/docs/v5/websocket/public/kline
    """

    triggers: ClassVar[Changed] = Changed.TRADES
    interval_ns = NS_PER_SECOND

    def __init__(self, topic: str, market: SimulatedMarket, interval: str) -> None:
        super().__init__(topic, [market])
        self._speller = Speller(market)
        self._name = interval
        self._interval = INTERVALS[interval]
        self._open_ns = 0
        self._close_ns = 0

    def started(self, now_ns: int) -> None:
        self._open_ns = self._interval.open_of(now_ns)
        self._close_ns = self._interval.next_open(self._open_ns)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame(False, now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame(False, now_ns),)

    def alarm_ns(self) -> int | None:
        return min(self._close_ns, self.last_ns + _CANDLE_NS)

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        if now_ns < self._close_ns:
            return (self._frame(False, now_ns),)
        closed = self._frame(True, now_ns)
        self.started(self._close_ns)
        return (closed,)

    def _frame(self, closed: bool, now_ns: int) -> Frame:
        tape = self._speller.market.tape
        bar: Bar = tape.candle(self._interval, self._open_ns)
        open_, high, low, close, volume, turnover = self._speller.bar(bar)
        last = tape.trades[-1].time_ns if tape.trades else now_ns
        candle = {
            "start": milliseconds(self._open_ns),
            "end": milliseconds(self._close_ns) - 1,
            "interval": self._name,
            "open": open_,
            "close": close,
            "high": high,
            "low": low,
            "volume": volume,
            "turnover": turnover,
            "confirm": closed,
            "timestamp": milliseconds(max(self._open_ns, min(last, self._close_ns - NS_PER_MS))),
        }
        ts = milliseconds(now_ns)
        return _json({"topic": self.topic, "data": [candle], "ts": ts, "type": "snapshot"})


class LiquidationStream(Broadcast):
    """``allLiquidation``: the liquidations of half a second; ``S`` is the position's side."""

    triggers: ClassVar[Changed] = Changed.LIQUIDATIONS
    interval_ns = 500 * NS_PER_MS

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, [market])
        self._speller = Speller(market)
        self._count = market.liquidation_count

    def started(self, now_ns: int) -> None:
        self._count = self._speller.market.liquidation_count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        market, speller = self._speller.market, self._speller
        rows = [
            {
                "T": milliseconds(each.time_ns),
                "s": market.listing.symbol,
                "S": SIDES[each.side],
                "v": speller.size(each.size),
                "p": speller.price(each.price),
            }
            for each in market.liquidations
            if each.number > self._count
        ]
        self._count = market.liquidation_count
        if not rows:
            return ()
        ts = milliseconds(now_ns)
        return (_json({"topic": self.topic, "type": "snapshot", "ts": ts, "data": rows}),)
