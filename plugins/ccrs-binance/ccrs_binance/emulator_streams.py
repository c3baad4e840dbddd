"""The emulated Binance's market streams and the frames in them.

Written from Binance's documents and recorded frames, on purpose without the plugin's codec.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

import orjson

from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_core import NS_PER_MS, NS_PER_SECOND, Side
from ccrs_core.emulator import (
    Bar,
    BookView,
    Changed,
    Figure,
    Frame,
    Interval,
    Levels,
    Listing,
    MarketFeed,
    SimulatedMarket,
    TapeTrade,
)

_DAY = 24 * 60
INTERVALS: Mapping[str, Interval] = {
    **{
        name: Interval(minutes * 60 * NS_PER_SECOND)
        for name, minutes in {
            "1m": 1,
            "3m": 3,
            "5m": 5,
            "15m": 15,
            "30m": 30,
            "1h": 60,
            "2h": 120,
            "4h": 240,
            "6h": 360,
            "8h": 480,
            "12h": 720,
            "1d": _DAY,
            "3d": 3 * _DAY,
            "1w": 7 * _DAY,
        }.items()
    },
    "1M": Interval(None),
}
SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}

ALL_LEVELS = 100_000


_SENT_AFTER_MS = 3
"""Frames that tell when something happened say that they were sent a little later."""


def ms(time_ns: int) -> int:
    return time_ns // NS_PER_MS


def sent(now_ns: int) -> int:
    """When a frame says that it was sent that tells of a moment by itself."""
    return ms(now_ns) + _SENT_AFTER_MS


class Numbers:
    """A market's update ids, which all of its streams and requests share.

    Spot's rise by one from change to change; of futures' some belong to other symbols.
    """

    def __init__(self, market: SimulatedMarket, seed: int) -> None:
        listing = market.listing
        self._engine = market.engine
        self._step = 1 if listing.category == SPOT else 3
        rng = random.Random(f"{seed}/u/{listing.category}/{listing.symbol}")
        self._base = rng.randrange(10**9, 10**11)

    @property
    def now(self) -> int:
        """The id of the last change."""
        return self._base + self._engine.version * self._step

    def after(self, number: int) -> int:
        """The id of the first change after the one of a number."""
        return number + self._step


def spelled_turnover(listing: Listing, turnover: int) -> str:
    """In the quote currency; COIN-M's in the coin."""
    unit = Decimal("1e-8") if listing.category == COINM else listing.tick * listing.lot
    return f"{unit * turnover:.8f}"


class BinanceFeed(MarketFeed):
    """A stream of one market; ``combined`` ones wrap their frames."""

    def __init__(self, topic: str, market: SimulatedMarket, combined: bool, seed: int) -> None:
        super().__init__(topic, market)
        self.futures = market.listing.category != SPOT
        self.symbol = market.listing.symbol
        self.numbers = Numbers(market, seed)
        self._combined = combined
        self.blank: Callable[[], bool] = lambda: False
        """Whether what Binance may leave blank or absent is so now."""

    def frame(self, data: Mapping[str, Any]) -> Frame:
        if self._combined:
            return Frame(orjson.dumps({"stream": self.topic, "data": data}))
        return Frame(orjson.dumps(data))

    def pair(self) -> dict[str, str]:
        """What futures name besides the symbol."""
        listing = self.market.listing
        if not self.futures or self.blank():  # as until 2026
            return {}
        return {"ps": f"{listing.base}{listing.quote}"}

    def tail(self) -> dict[str, int]:
        """Which of futures' two markets a symbol is of."""
        if not self.futures or self.blank():
            return {}
        return {"st": 2 if self.market.listing.category == COINM else 1}

    def value(self, turnover: int) -> str:
        """A turnover of the market's tape."""
        return spelled_turnover(self.market.listing, turnover)


class BookTicker(BinanceFeed):
    """``bookTicker``: on every change of the best bid or ask; nothing at first."""

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(self, topic: str, market: SimulatedMarket, combined: bool, seed: int) -> None:
        super().__init__(topic, market, combined, seed)
        self._view = BookView(market, 1, 0)

    def started(self, now_ns: int) -> None:
        self._view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        if self._view.refresh() is None:
            return ()
        bid, bid_size = self._best(self._view.bids)
        ask, ask_size = self._best(self._view.asks)
        quotes = {"b": bid, "B": bid_size, "a": ask, "A": ask_size}
        head: dict[str, Any] = {"e": "bookTicker"} if self.futures else {}
        head |= {"u": self.numbers.now, "s": self.symbol, **self.pair(), **quotes}
        if self.futures:
            head |= {"T": ms(self._view.time_ns), "E": sent(now_ns), **self.tail()}
        return (self.frame(head),)

    def _best(self, levels: Levels) -> tuple[str, str]:
        return (
            (self.price(levels[0][0]), self.size(levels[0][1]))
            if levels
            else (
                self.price(0),
                self.size(0),
            )
        )


class DiffDepth(BinanceFeed):
    """``depth``: what changed of all levels, at most every so many milliseconds.

    A level that came and went meanwhile is told as gone: who fetched the book in between knows it.
    """

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(
        self, topic: str, market: SimulatedMarket, combined: bool, seed: int, every_ms: int
    ) -> None:
        super().__init__(topic, market, combined, seed)
        self.interval_ns = every_ms * NS_PER_MS
        self._view = BookView(market, ALL_LEVELS, 0)
        self._told = 0
        self._touched: tuple[dict[int, int], dict[int, int]] = {}, {}
        """Sizes by price of the levels that changed since the last frame."""

    def started(self, now_ns: int) -> None:
        self._view.refresh()
        self._touched = {}, {}
        self._told = self.numbers.now

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def touch(self, now_ns: int) -> None:
        self._collect()
        super().touch(now_ns)

    def _collect(self) -> None:
        changes = self._view.refresh()
        for touched, side in zip(self._touched, changes or (), strict=False):
            touched.update(side)

    def update(self, now_ns: int) -> Iterable[Frame]:
        self._collect()
        bids, asks = self._touched
        if not bids and not asks:
            return ()
        self._touched = {}, {}
        changes = sorted(bids.items(), reverse=True), sorted(asks.items())
        before, self._told = self._told, self.numbers.now
        at = sent(now_ns) if self.futures else ms(now_ns)
        data: dict[str, Any] = {"e": "depthUpdate", "E": at}
        if self.futures:
            data["T"] = ms(self._view.time_ns)
        data |= {"s": self.symbol, **self.pair()}
        data |= {"U": self.numbers.after(before), "u": self._told}
        if self.futures:
            data["pu"] = before
        data |= {"b": self.levels(changes[0]), "a": self.levels(changes[1]), **self.tail()}
        return (self.frame(data),)


class PartialDepth(BinanceFeed):
    """``depth5`` and kin: the best levels, whole, when they have changed."""

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(
        self,
        topic: str,
        market: SimulatedMarket,
        combined: bool,
        seed: int,
        depth: int,
        every_ms: int,
    ) -> None:
        super().__init__(topic, market, combined, seed)
        self.interval_ns = every_ms * NS_PER_MS
        self._view = BookView(market, depth, 0)
        self._told = 0

    def started(self, now_ns: int) -> None:
        self._view.refresh()

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame(now_ns),)

    def alarm_ns(self) -> int | None:
        # Those of a quiet market come, too.
        return self.last_ns + NS_PER_SECOND

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        self._view.refresh()
        return (self._frame(now_ns),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self._view.refresh() is None else (self._frame(now_ns),)

    def _frame(self, now_ns: int) -> Frame:
        bids, asks = self.levels(self._view.bids), self.levels(self._view.asks)
        u = self.numbers.now
        if not self.futures:
            return self.frame({"lastUpdateId": u, "bids": bids, "asks": asks})
        before, self._told = self._told or u, u
        head = {"e": "depthUpdate", "E": sent(now_ns), "T": ms(self._view.time_ns)}
        numbers = {"U": self.numbers.after(before), "u": u, "pu": before}
        named = {"s": self.symbol, **self.pair(), **numbers}
        return self.frame({**head, **named, "b": bids, "a": asks, **self.tail()})


class Trades(BinanceFeed):
    """``trade`` and ``aggTrade``: a frame for each."""

    triggers: ClassVar[Changed] = Changed.TRADES

    def __init__(
        self, topic: str, market: SimulatedMarket, combined: bool, seed: int, aggregate: bool
    ) -> None:
        super().__init__(topic, market, combined, seed)
        self._aggregate = aggregate
        self._count = market.tape.count

    def started(self, now_ns: int) -> None:
        self._count = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        new = self.market.tape.since(self._count)
        self._count = self.market.tape.count
        return [self._frame(trade, now_ns) for trade in new]

    def _frame(self, trade: TapeTrade, now_ns: int) -> Frame:
        price, size, number = self.price(trade.price), self.size(trade.size), trade.number
        time, maker = ms(trade.time_ns), trade.side is Side.SELL
        data: dict[str, Any] = {"e": "aggTrade" if self._aggregate else "trade", "E": sent(now_ns)}
        if self._aggregate:
            # Futures name the trade before the symbol.
            named = {"a": number, "s": self.symbol} if self.futures else {"s": self.symbol}
            data |= {**named, "a": number, "p": price, "q": size}
            if self.market.listing.category == USDM and not self.blank():
                data["nq"] = self._normal(trade)
            data |= {"f": number, "l": number, "T": time, "m": maker}
        else:
            data |= {"s": self.symbol, "t": number, "p": price, "q": size, "T": time, "m": maker}
        return self.frame({**data, **({} if self.futures else {"M": True}), **self.tail()})

    def _normal(self, trade: TapeTrade) -> str:
        """What of a trade wasn't made by orders of retail price improvement."""
        return self.size(trade.size // 2 if trade.rpi else trade.size)


class DayTicker(BinanceFeed):
    """``ticker``: the last 24 hours, once a second while they change."""

    triggers: ClassVar[Changed] = Changed.BOOK | Changed.TRADES
    interval_ns = NS_PER_SECOND

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return (self.frame(day_fields(self, now_ns)),)


def _mean_price(listing: Listing, bar: Bar) -> Decimal:
    lots, turnover = Decimal(max(1, bar.lots)), Decimal(max(1, bar.turnover))
    if listing.category == COINM:
        return lots * listing.lot * listing.contract_size / turnover.scaleb(-8)
    return listing.tick * turnover / lots


def day_fields(feed: BinanceFeed, now_ns: int) -> dict[str, Any]:
    """The statistics of a stream's market."""
    tape, price, size = feed.market.tape, feed.price, feed.size
    day = tape.day(now_ns)
    change = tape.last - day.open
    percent = Decimal(change) * 100 / Decimal(max(1, day.open))
    data: dict[str, Any] = {"e": "24hrTicker", "E": ms(now_ns), "s": feed.symbol, **feed.pair()}
    data |= {"p": price(change), "P": f"{percent:.3f}"}
    data["w"] = f"{_mean_price(feed.market.listing, day):.8f}"
    data["x"] = price(day.open + 1)  # of the last trade before these
    data |= {"c": price(tape.last), "Q": size(tape.trades[-1].size if tape.trades else 1)}
    if not feed.futures:
        for side, name, quantity in ((Side.BUY, "b", "B"), (Side.SELL, "a", "A")):
            top = feed.market.engine.depth(side, 1)
            data[name] = price(top[0][0]) if top else price(0)
            data[quantity] = size(top[0][1]) if top else size(0)
    else:
        del data["x"]
    data |= {"o": price(day.open), "h": price(day.high), "l": price(day.low)}
    data |= {"v": size(day.lots), "q": feed.value(day.turnover)}
    if not feed.market.has(Figure.LAST_PRICE):
        data |= dict.fromkeys(data.keys() & set("pPwxcQohlvq"), "0.00000000")
    if feed.blank():  # as before the first trade, and without orders
        data |= dict.fromkeys(data.keys() & set("pPwxcQbBaAohlvq"), "0.00000000")
    closed = ms(now_ns) - _SENT_AFTER_MS
    data |= {"O": closed - _DAY * 60_000, "C": closed}
    return {**data, "F": 1, "L": max(1, tape.count), "n": max(1, tape.count), **feed.tail()}


def day_row(market: SimulatedMarket, seed: int, now_ns: int) -> dict[str, Any]:
    """``ticker/24hr``: the same statistics under longer names."""
    feed = DayTicker("", market, False, seed)
    fields = day_fields(feed, now_ns)
    row = {name: fields[key] for key, name in _DAY_NAMES.items() if key in fields}
    row["lastId"] = market.tape.count
    if market.listing.category == COINM:
        row["baseVolume"] = row.pop("quoteVolume")
        row["pair"] = f"{market.listing.base}{market.listing.quote}"
    return row


_DAY_NAMES = {
    "s": "symbol",
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


class Klines(BinanceFeed):
    """``kline``: the open candle as it changes, and each candle once more when it closes."""

    triggers: ClassVar[Changed] = Changed.TRADES

    def __init__(
        self, topic: str, market: SimulatedMarket, combined: bool, seed: int, interval: str
    ) -> None:
        super().__init__(topic, market, combined, seed)
        self.interval_ns = (250 if self.futures else 2000) * NS_PER_MS
        self._name = interval
        self._interval = INTERVALS[interval]
        self._open_ns = 0
        self._close_ns = 0

    def started(self, now_ns: int) -> None:
        self._open_ns = self._interval.open_of(now_ns)
        self._close_ns = self._interval.next_open(self._open_ns)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame(False, now_ns),)

    def alarm_ns(self) -> int | None:
        return self._close_ns

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        closed = self._frame(True, now_ns)
        self.started(self._close_ns)
        return (closed,)

    def _frame(self, closed: bool, now_ns: int) -> Frame:
        bar: Bar = self.market.tape.candle(self._interval, self._open_ns)
        price = self.price
        candle = {
            "t": ms(self._open_ns),
            "T": ms(self._close_ns) - 1,
            "s": self.symbol,
            "i": self._name,
            "f": 1,
            "L": max(1, self.market.tape.count),
            "o": price(bar.open),
            "c": price(bar.close),
            "h": price(bar.high),
            "l": price(bar.low),
            "v": self.size(bar.lots),
            "n": bar.lots and 1,
            "x": closed,
            "q": self.value(bar.turnover),
            "V": self.size(bar.lots // 2),
            "Q": self.value(bar.turnover // 2),
            "B": "0",
        }
        if self.blank() and not closed:  # as before the first trade
            candle |= dict.fromkeys("ochlvqVQ", "0.00000000")
        return self.frame({"e": "kline", "E": ms(now_ns), "s": self.symbol, "k": candle})


class MarkPrice(BinanceFeed):
    """``markPrice``: every second or every three, whether or not anything changes."""

    def __init__(
        self, topic: str, market: SimulatedMarket, combined: bool, seed: int, every_s: int
    ) -> None:
        super().__init__(topic, market, combined, seed)
        self._every_ns = every_s * NS_PER_SECOND

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def alarm_ns(self) -> int | None:
        return self.last_ns + self._every_ns

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        market = self.market
        dated = market.listing.funding_interval_ns is None
        prices = market.rules.price
        data = {
            "e": "markPriceUpdate",
            "E": ms(now_ns),
            "s": self.symbol,
            "p": f"{prices.step * market.mark / 100:.8f}",
            # The mark price's average and the estimated settlement price, which is one of the
            # index's, are near them.
            "ap": f"{prices.step * (market.mark + 370) / 100:.8f}",
            "P": f"{prices.step * (market.index + 610) / 100:.8f}",
            "i": f"{prices.step * market.index / 100:.8f}",
            "r": f"{Decimal(market.funding_rate).scaleb(-6):.8f}",
            "T": ms(market.next_funding_ns or 0),
            **self.tail(),
        }
        if self.blank():  # as before trading
            data |= {"i": "", "r": "", "T": 0}
        if not market.has(Figure.MARK_PRICE):
            data |= {"p": "", "ap": ""}
        if not market.has(Figure.INDEX_PRICE):
            data |= {"P": "", "i": ""}
        if dated or not market.has(Figure.FUNDING_RATE):
            data["r"] = ""
        if dated:
            data["T"] = 0
        return (self.frame(data),)


class ForceOrder(BinanceFeed):
    """``forceOrder``: the latest liquidation of a second; ``S`` is the closing order's side."""

    triggers: ClassVar[Changed] = Changed.LIQUIDATIONS
    interval_ns = NS_PER_SECOND

    def __init__(self, topic: str, market: SimulatedMarket, combined: bool, seed: int) -> None:
        super().__init__(topic, market, combined, seed)
        self._count = market.liquidation_count

    def started(self, now_ns: int) -> None:
        self._count = self.market.liquidation_count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        market, count = self.market, self._count
        self._count = market.liquidation_count
        if self._count == count:
            return ()
        last = market.liquidations[-1]
        price, size = self.price(last.price), self.size(last.size)
        order = {
            "s": self.symbol,
            "S": SIDES[Side.SELL if last.side is Side.BUY else Side.BUY],
            "o": "LIMIT",
            "f": "IOC",
            "q": size,
            "p": price,
            # It was filled at better prices than its own, in parts.
            "ap": self.price(last.price + (3 if last.side is Side.BUY else -3)),
            "X": "FILLED",
            "l": self.size(max(1, last.size // 2)),
            "z": size,
            "T": ms(last.time_ns),
        }
        return (self.frame({"e": "forceOrder", "E": ms(now_ns), "o": order}),)
