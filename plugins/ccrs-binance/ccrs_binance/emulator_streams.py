"""The emulated Binance's market streams and the frames in them.

Written from Binance's documents and recorded frames, on purpose without the plugin's codec.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_core import Side
from ccrs_core.emulator import (
    Bar,
    BookFeed,
    Broadcast,
    CandleFeed,
    Changed,
    Figure,
    ForcedClose,
    ForcedCloseFeed,
    Frame,
    Interval,
    Levels,
    Listing,
    SimulatedMarket,
    Speller,
    StateFeed,
    TapeTrade,
    TopFeed,
    TradeFeed,
    milliseconds,
    one_by_one,
)

_DAY = 24 * 60
_MINUTES = {
    **{f"{minutes}m": minutes for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}h": hours * 60 for hours in (1, 2, 4, 6, 8, 12)},
    **{f"{days}d": days * _DAY for days in (1, 3)},
    "1w": 7 * _DAY,
}
INTERVALS: Mapping[str, Interval] = {
    **{name: Interval.minutes(minutes) for name, minutes in _MINUTES.items()},
    "1M": Interval(None),
}
SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
ALL_LEVELS = 100_000
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(100|250|500|1000)ms)?")
_SENT_AFTER_MS = 3
"""Frames that tell when something happened say that they were sent a little later."""


def sent(now_ns: int) -> int:
    """When a frame says that it was sent that tells of a moment by itself."""
    return milliseconds(now_ns) + _SENT_AFTER_MS


Fields = dict[str, Any]


class Voice(Speller):
    """A market's numbers, and its update ids, which all of its streams and requests share: spot's
    rise by one from change to change, of futures' some belong to other symbols."""

    def __init__(self, market: SimulatedMarket, seed: int) -> None:
        super().__init__(market)
        self.symbol = self.listing.symbol
        self.futures = self.listing.category != SPOT
        self._step = 3 if self.futures else 1
        rng = random.Random(f"{seed}/u/{self.listing.category}/{self.symbol}")
        self._base = rng.randrange(10**9, 10**11)

    @property
    def number(self) -> int:
        """The id of the last change."""
        return self._base + self.market.engine.version * self._step

    def after(self, number: int) -> int:
        """The id of the first change after the one of a number."""
        return number + self._step

    def turnover(self, turnover: int) -> str:
        """In the quote currency; COIN-M's in the coin."""
        listing = self.listing
        unit = Decimal("1e-8") if listing.category == COINM else listing.tick * listing.lot
        return f"{unit * turnover:.8f}"

    def quote(self, side: Side) -> tuple[str, str]:
        """The best bid or ask; zeros where there is none."""
        return self.best(side) or (self.price(0), self.size(0))

    def named(self, feed: Broadcast | None = None) -> dict[str, str]:
        """The symbol, and what futures name besides."""
        named = {"s": self.symbol}
        if self.futures and not (feed is not None and feed.blank()):  # as until 2026
            named["ps"] = f"{self.listing.base}{self.listing.quote}"
        return named

    def tail(self, feed: Broadcast | None = None) -> dict[str, int]:
        """Which of futures' two markets a symbol is of."""
        if not self.futures or (feed is not None and feed.blank()):
            return {}
        return {"st": 2 if self.listing.category == COINM else 1}

    def book_ticker(self, feed: TopFeed, snapshot: bool, bid: Any, ask: Any, now_ns: int) -> Fields:
        """``bookTicker``: on every change of the best bid or ask; nothing at first."""
        nothing = self.price(0), self.size(0)
        (b, bq), (a, aq) = bid or nothing, ask or nothing
        quotes = {"u": self.number, **self.named(feed), "b": b, "B": bq, "a": a, "A": aq}
        if not self.futures:
            return quotes
        times = {"T": milliseconds(feed.view.time_ns), "E": sent(now_ns)}
        return {"e": "bookTicker", **quotes, **times, **self.tail(feed)}

    def depth_update(
        self, feed: BookFeed, before: int, number: int, bids: Any, asks: Any, now_ns: int
    ) -> Fields:
        """Changes, or all levels, of a book."""
        numbers = {**self.named(feed), "U": self.after(before), "u": number}
        sides = {"b": bids, "a": asks}
        if not self.futures:
            return {"e": "depthUpdate", "E": milliseconds(now_ns), **numbers, **sides}
        head = {"e": "depthUpdate", "E": sent(now_ns), "T": milliseconds(feed.view.time_ns)}
        return {**head, **numbers, "pu": before, **sides, **self.tail(feed)}

    def diff_depth(
        self, feed: DiffDepth, snapshot: bool, bids: Any, asks: Any, now_ns: int
    ) -> Fields:
        return self.depth_update(feed, feed.before, feed.number, bids, asks, now_ns)

    def partial_depth(
        self, feed: PartialDepth, snapshot: bool, bids: Any, asks: Any, now_ns: int
    ) -> Fields:
        number = self.number
        if not self.futures:
            return {"lastUpdateId": number, "bids": bids, "asks": asks}
        before, feed.told_number = feed.told_number or number, number
        return self.depth_update(feed, before, number, bids, asks, now_ns)

    def trade(self, feed: TradeFeed, trades: Sequence[TapeTrade], now_ns: int) -> Fields:
        """``trade``: a frame for each."""
        (each,) = trades
        traded = {"t": each.number, "p": self.price(each.price), "q": self.size(each.size)}
        named = {"s": self.symbol}
        return self._traded(feed, {"e": "trade", "E": sent(now_ns), **named, **traded}, each)

    def aggregate_trade(self, feed: TradeFeed, trades: Sequence[TapeTrade], now_ns: int) -> Fields:
        """``aggTrade``: a frame for each."""
        (each,) = trades
        number = each.number
        named: Fields = (
            {"a": number} if self.futures else {}
        )  # which name the trade before the symbol
        named |= {"s": self.symbol, "a": number}
        data = {"e": "aggTrade", "E": sent(now_ns), **named}
        data |= {"p": self.price(each.price), "q": self.size(each.size)}
        if self.listing.category == USDM and not feed.blank():
            # What of a trade wasn't made by orders of retail price improvement.
            data["nq"] = self.size(each.size // 2 if each.rpi else each.size)
        return self._traded(feed, {**data, "f": number, "l": number}, each)

    def _traded(self, feed: TradeFeed, data: Fields, trade: TapeTrade) -> Fields:
        data |= {"T": milliseconds(trade.time_ns), "m": trade.side is Side.SELL}
        return {**data, **({} if self.futures else {"M": True}), **self.tail(feed)}

    def day_fields(self, feed: Broadcast | None, now_ns: int) -> Fields:
        """``ticker``: the last 24 hours of a market."""
        market, price, size = self.market, self.price, self.size
        tape = market.tape
        day = tape.day(now_ns)
        change = tape.last - day.open
        percent = Decimal(change) * 100 / Decimal(max(1, day.open))
        now = milliseconds(now_ns)
        data: Fields = {"e": "24hrTicker", "E": now, **self.named(feed)}
        data |= {"p": price(change), "P": f"{percent:.3f}"}
        data["w"] = f"{_mean_price(market.listing, day):.8f}"
        if not self.futures:
            data["x"] = price(day.open + 1)  # of the last trade before these
        data |= {"c": price(tape.last), "Q": size(tape.trades[-1].size if tape.trades else 1)}
        if not self.futures:
            data["b"], data["B"] = self.quote(Side.BUY)
            data["a"], data["A"] = self.quote(Side.SELL)
        data |= {"o": price(day.open), "h": price(day.high), "l": price(day.low)}
        data |= {"v": size(day.lots), "q": self.turnover(day.turnover)}
        if not market.has(Figure.LAST_PRICE):
            data |= dict.fromkeys(data.keys() & set("pPwxcQohlvq"), "0.00000000")
        if feed is not None and feed.blank():  # as before the first trade, and without orders
            data |= dict.fromkeys(data.keys() & set("pPwxcQbBaAohlvq"), "0.00000000")
        closed, count = now - _SENT_AFTER_MS, max(1, tape.count)
        data |= {"O": closed - _DAY * 60_000, "C": closed, "F": 1, "L": count, "n": count}
        return {**data, **self.tail(feed)}

    def day_row(self, now_ns: int) -> Fields:
        """``ticker/24hr``: the same statistics under longer names."""
        fields = self.day_fields(None, now_ns)
        row = {name: fields[key] for key, name in _DAY_NAMES.items() if key in fields}
        row["lastId"] = self.market.tape.count
        if self.listing.category == COINM:
            row["baseVolume"] = row.pop("quoteVolume")
            row["pair"] = f"{self.listing.base}{self.listing.quote}"
        return row

    def kline(self, name: str, feed: CandleFeed, bar: Bar, closed: bool, now_ns: int) -> Fields:
        """``kline``: the open candle as it changes, and each candle once more when it closes."""
        price, size, count = self.price, self.size, max(1, self.market.tape.count)
        candle = {
            "t": milliseconds(feed.open_ns),
            "T": milliseconds(feed.close_ns) - 1,
            "s": self.symbol,
            "i": name,
            "f": 1,
            "L": count,
            "o": price(bar.open),
            "c": price(bar.close),
            "h": price(bar.high),
            "l": price(bar.low),
            "v": size(bar.lots),
            "n": bar.lots and 1,
            "x": closed,
            "q": self.turnover(bar.turnover),
            "V": size(bar.lots // 2),
            "Q": self.turnover(bar.turnover // 2),
            "B": "0",
        }
        if feed.blank() and not closed:  # as before the first trade
            candle |= dict.fromkeys("ochlvqVQ", "0.00000000")
        return {"e": "kline", "E": milliseconds(now_ns), "s": self.symbol, "k": candle}

    def mark_price(self, feed: StateFeed, now_ns: int) -> Fields:
        """``markPrice``: every second or every three, whether or not anything changes."""
        market = self.market
        dated = market.listing.funding_interval_ns is None
        step = market.rules.price.step
        data = {
            "e": "markPriceUpdate",
            "E": milliseconds(now_ns),
            "s": self.symbol,
            "p": f"{step * market.mark / 100:.8f}",
            # The mark price's average and the estimated settlement price, which is one of the
            # index's, are near them.
            "ap": f"{step * (market.mark + 370) / 100:.8f}",
            "P": f"{step * (market.index + 610) / 100:.8f}",
            "i": f"{step * market.index / 100:.8f}",
            "r": f"{Decimal(market.funding_rate).scaleb(-6):.8f}",
            "T": milliseconds(market.next_funding_ns or 0),
            **self.tail(feed),
        }
        if feed.blank():  # as before trading
            data |= {"i": "", "r": "", "T": 0}
        if not market.has(Figure.MARK_PRICE):
            data |= {"p": "", "ap": ""}
        if not market.has(Figure.INDEX_PRICE):
            data |= {"P": "", "i": ""}
        if dated or not market.has(Figure.FUNDING_RATE):
            data["r"] = ""
        return {**data, "T": 0} if dated else data

    def force_order(
        self, feed: ForcedCloseFeed, closes: Sequence[ForcedClose], now_ns: int
    ) -> Fields:
        """``forceOrder``: the latest liquidation of a second; ``S`` is the closing order's side."""
        last = closes[-1]
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
            "T": milliseconds(last.time_ns),
        }
        return {"e": "forceOrder", "E": milliseconds(now_ns), "o": order}


class DiffDepth(BookFeed):
    """``depth``: what changed of all levels, at most every so many milliseconds.

    A level that came and went meanwhile is told as gone: who fetched the book in between knows it.
    """

    def __init__(self, topic: str, voice: Voice, write: Any, every_ms: int) -> None:
        super().__init__(topic, voice, ALL_LEVELS, write, every_ms=every_ms, greets=False)
        self.before = self.number = 0
        self._voice = voice
        self._touched: tuple[dict[int, int], dict[int, int]] = {}, {}
        """Sizes by price of the levels that changed since the last frame."""

    def started(self, now_ns: int) -> None:
        self.view.refresh()
        self._touched = {}, {}
        self.number = self._voice.number

    def touch(self, now_ns: int) -> None:
        self._collect()
        super().touch(now_ns)

    def _collect(self) -> None:
        for touched, side in zip(self._touched, self.view.refresh() or (), strict=False):
            touched.update(side)

    def refresh(self) -> tuple[Levels, Levels] | None:
        self._collect()
        bids, asks = self._touched
        if not bids and not asks:
            return None
        self._touched = {}, {}
        self.before, self.number = self.number, self._voice.number
        return sorted(bids.items(), reverse=True), sorted(asks.items())


class PartialDepth(BookFeed):
    """``depth5`` and kin: the best levels, whole, when they have changed, and once a second of a
    quiet market."""

    told_number = 0


def _mean_price(listing: Listing, bar: Bar) -> Decimal:
    lots, turnover = Decimal(max(1, bar.lots)), Decimal(max(1, bar.turnover))
    if listing.category == COINM:
        return lots * listing.lot * listing.worth_of_one / turnover.scaleb(-8)
    return listing.tick * turnover / lots


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


class MarkPrice(StateFeed):
    """Tells when it is time, and never because somebody joins."""

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()


def made(category: str, topic: str, voice: Voice, combined: bool) -> Broadcast | None:
    """The stream of a name; None where there is none. Combined ones name themselves in frames."""

    def told(fields: Callable[..., Fields]) -> Callable[..., Frame]:
        def write(*what: Any) -> Frame:
            data = fields(*what)
            return Frame.json({"stream": topic, "data": data} if combined else data)

        return write

    def whole(feed: StateFeed, row: Fields, before: Any, now_ns: int) -> Fields:
        return row

    kind, spot = topic.partition("@")[2], category == SPOT
    depth = _DEPTH.fullmatch(kind)
    if depth is not None:
        # What comes unasked can't be asked for by its name.
        if depth[2] in (("250", "500") if spot else ("250", "1000")):
            return None
        every = int(depth[2] or (1000 if spot else 250))
        if not depth[1]:
            return DiffDepth(topic, voice, told(voice.diff_depth), every)
        levels, write = int(depth[1]), told(voice.partial_depth)
        return PartialDepth(topic, voice, levels, write, whole=True, repeats_s=1, every_ms=every)
    if kind == "rpiDepth@500ms":
        return DiffDepth(topic, voice, told(voice.diff_depth), 500)
    interval = kind.removeprefix("kline_")
    if interval != kind and interval in INTERVALS:
        candle, write = INTERVALS[interval], told(partial(voice.kline, interval))
        every = 2000 if spot else 250
        return CandleFeed(topic, voice, candle, write, every_ms=every, greets=False)
    match kind:
        case "bookTicker":
            return TopFeed(topic, voice, told(voice.book_ticker), greets=False)
        case "trade":
            return TradeFeed(topic, voice, told(voice.trade), batches=one_by_one)
        case "aggTrade":
            return TradeFeed(topic, voice, told(voice.aggregate_trade), batches=one_by_one)
        case "ticker":
            write, day = told(whole), Changed.BOOK | Changed.TRADES
            return StateFeed(
                *(topic, voice, voice.day_fields, write), triggers=day, every_ms=1000, greets=False
            )
        case "markPrice" | "markPrice@1s":
            every, write = 1 if kind.endswith("@1s") else 3, told(whole)
            return MarkPrice(topic, voice, voice.mark_price, write, repeats_s=every, greets=False)
        case "forceOrder":
            return ForcedCloseFeed(topic, voice, told(voice.force_order), every_ms=1000)
    return None
