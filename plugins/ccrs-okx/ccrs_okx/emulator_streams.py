"""The emulated OKX's public channels and the frames in them.

Written from OKX's documents and recorded frames, on purpose without the plugin's codec.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ccrs_core.emulator import (
    Bar,
    BookFeed,
    CandleFeed,
    Changed,
    Figure,
    ForcedClose,
    ForcedCloseFeed,
    Frame,
    Interval,
    Levels,
    MarketFeed,
    SimulatedMarket,
    StateFeed,
    TapeTrade,
    TradeFeed,
    one_by_one,
)
from ccrs_okx.emulator_listings import FUTURES, OPTION, SWAP, family
from ccrs_okx.emulator_wire import (
    SIDES,
    OkxSpeller,
    RetailSpeller,
    blanked,
    checksum,
    funding,
    held,
    index_ticker,
    liquidated,
    ms,
    source,
    ticker,
)

INTERVALS: Mapping[str, Interval] = {
    **{f"{minutes}m": Interval.minutes(minutes) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}H": Interval.minutes(hours * 60) for hours in (1, 2, 4)},
    **{f"{hours}Hutc": Interval.minutes(hours * 60) for hours in (6, 12)},
    "1Dutc": Interval.minutes(24 * 60),
    "1Wutc": Interval.minutes(7 * 24 * 60),
    "1Mutc": Interval(None),
}
"""By what follows "candle" in a channel's name: those that begin at midnight UTC."""
_ALWAYS = frozenset({"instType", "instId", "ts"})
"""Fields of a state that are never blank."""


def _frame(feed: MarketFeed, *rows: Any, **head: Any) -> Frame:
    arg = {"channel": feed.topic.partition(":")[0], "instId": feed.market.listing.symbol}
    return Frame.json({"arg": arg, **head, "data": rows})


class Viewing(BookFeed):
    """A channel of a book's best levels; ``number`` is that of the published state, ``before`` that
    of the one before it."""

    number = before = _offset = 0

    def refresh(self) -> tuple[Levels, Levels] | None:
        self.before = self.number
        changes = super().refresh()
        if changes is not None:
            self.number = self.view.sequence - self._offset
        return changes


def _whole_book(feed: Viewing, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
    """``bbo-tbt`` and ``books5``: whole, every 10 and 100 ms in which something changed."""
    named = {} if feed.depth == 1 else {"instId": feed.market.listing.symbol}
    row = {"asks": asks, "bids": bids, **named, "ts": ms(feed.view.time_ns)}
    return _frame(feed, {**row, "seqId": feed.number})


class Books(Viewing):
    """``books``: the best 400 levels, whole once and then what changed, every 100 ms.

    An update without change comes after a minute of quiet. With ``checksums`` frames carry the sum
    that OKX sent until 2026-06-23, without it 0. Without ``snapshots`` the first frame is left out,
    as OKX has announced it: the book must be asked for.
    """

    def __init__(
        self, topic: str, market: SimulatedMarket, *, checksums: bool, snapshots: bool
    ) -> None:
        pace: dict[str, Any] = {"every_ms": 100, "repeats_s": 60, "greets": snapshots}
        super().__init__(topic, OkxSpeller(market), 400, _books, **pace)
        self.checksums = checksums

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        """As after OKX's maintenance: the chain goes on, from a lower number."""
        bids, asks = self.refresh() or ([], [])
        if self.before < 2:
            return ()
        self.number = min(self.before - 1, 7)
        self._offset = self.market.sequence - self.number
        return (self.told(False, bids, asks, now_ns),)


class RetailBooks(Books):
    """``books-rpi``: as ``books``, but that each level tells how much of it is no order of retail
    price improvement. Of the emulated crowd's orders some are said to be such; they are in the
    other books, too."""

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, market, checksums=False, snapshots=True)
        self.speller = RetailSpeller(market)


def _books(feed: Books, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> Frame:
    row = {
        "asks": asks,
        "bids": bids,
        "ts": ms(feed.view.time_ns),
        "checksum": checksum(*feed.spelled()) if feed.checksums else 0,
        "prevSeqId": -1 if snapshot else feed.before,
        "seqId": feed.number,
    }
    return _frame(feed, row, action="snapshot" if snapshot else "update")


def _of_one_order(new: Sequence[TapeTrade]) -> Iterable[Sequence[TapeTrade]]:
    grouped = groupby(new, key=lambda each: (each.sequence, each.price, each.side, source(each)))
    return [list(batch) for _, batch in grouped]


def _trade(feed: TradeFeed, batch: Sequence[TapeTrade], now_ns: int) -> Frame:
    """``trades-all``: each trade by itself."""
    told = {} if feed.blank() else {"source": source(batch[-1])}
    return _frame(feed, {**_traded(feed, batch), **told, "ts": ms(batch[-1].time_ns)})


def _trades(feed: TradeFeed, batch: Sequence[TapeTrade], now_ns: int) -> Frame:
    """``trades``: what a taker order traded at one price."""
    last = batch[-1]
    counted = {"ts": ms(last.time_ns), "count": str(len(batch)), "source": source(last)}
    return _frame(feed, {**_traded(feed, batch), **counted, "seqId": last.sequence})


def _traded(feed: TradeFeed, batch: Sequence[TapeTrade]) -> dict[str, Any]:
    last, speller = batch[-1], feed.speller
    assert isinstance(speller, OkxSpeller)
    return {
        "instId": feed.market.listing.symbol,
        "tradeId": speller.trade_id(last),
        "px": speller.price(last.price),
        "sz": speller.size(sum(each.size for each in batch)),
        "side": SIDES[last.side],
    }


def _stating(
    topic: str,
    market: SimulatedMarket,
    state: Callable[[OkxSpeller, int], dict[str, str]],
    **pace: Any,
) -> StateFeed:
    """A channel that tells a state; a new subscriber hears what was last told."""
    speller = OkxSpeller(market)

    def present(feed: StateFeed, now_ns: int) -> dict[str, str]:
        row = state(speller, now_ns)
        return blanked(row, _ALWAYS) if feed.blank() else row

    return StateFeed(topic, speller, present, _told, stamp="ts", **pace)


def _told(feed: StateFeed, row: Any, before: Any, now_ns: int) -> Frame:
    return _frame(feed, row)


def _mark_price(speller: OkxSpeller, now_ns: int) -> dict[str, str]:
    listing, market = speller.listing, speller.market
    price = speller.fine(market.mark) if market.has(Figure.MARK_PRICE) else ""
    head = {"instType": listing.category, "instId": listing.symbol}
    return {**head, "markPx": price, "ts": ms(now_ns)}


def index(topic: str, market: SimulatedMarket) -> StateFeed:
    """``index-tickers`` of what a market follows."""
    speller = OkxSpeller(market)

    def present(feed: StateFeed, now_ns: int) -> dict[str, str]:
        row = index_ticker(speller, now_ns)
        return blanked(row, _ALWAYS) if feed.blank() else row

    def told(feed: StateFeed, row: Any, before: Any, now_ns: int) -> Frame:
        channel, _, name = topic.partition(":")
        return Frame.json({"arg": {"channel": channel, "instId": name}, "data": [row]})

    pace: dict[str, Any] = {"every_ms": 100, "repeats_s": 60, "triggers": Changed.REFERENCE}
    return StateFeed(topic, speller, present, told, stamp="ts", **pace)


def _candle(feed: CandleFeed, bar: Bar, closed: bool, now_ns: int) -> Frame:
    assert isinstance(feed.speller, OkxSpeller)
    row = feed.speller.candle(bar, closed)
    return _frame(feed, [*row[:6], "", "", row[8]] if feed.blank() else row)


def liquidations(topic: str, market: SimulatedMarket) -> ForcedCloseFeed:
    """``liquidation-orders``: those of a second."""
    return ForcedCloseFeed(topic, OkxSpeller(market), _liquidations, every_ms=1000)


def _liquidations(feed: ForcedCloseFeed, closes: Sequence[ForcedClose], now_ns: int) -> Frame:
    channel, _, kind = feed.topic.partition(":")
    listing = feed.market.listing
    row = {
        "details": liquidated(feed.speller, closes),
        "instFamily": family(listing),
        "instId": listing.symbol,
        "instType": kind,
        "uly": f"{listing.base}-{listing.quote}",
    }
    return Frame.json({"arg": {"channel": channel, "instType": kind}, "data": [row]})


def public(channel: str, topic: str, market: SimulatedMarket) -> MarketFeed | None:
    """A channel under the public path, but for ``books``; None where there is none."""
    listing = market.listing
    match channel:
        case "bbo-tbt":
            return Viewing(topic, OkxSpeller(market), 1, _whole_book, whole=True, every_ms=10)
        case "books5":
            return Viewing(topic, OkxSpeller(market), 5, _whole_book, whole=True, every_ms=100)
        case "trades":
            return TradeFeed(topic, OkxSpeller(market), _trades, batches=_of_one_order)
        case "tickers":
            told = Changed.BOOK | Changed.TRADES
            return _stating(topic, market, ticker, triggers=told, every_ms=100)
        case "mark-price" if listing.category in {SWAP, FUTURES, OPTION}:
            pace: dict[str, Any] = {"every_ms": 200, "repeats_s": 10}
            return _stating(topic, market, _mark_price, triggers=Changed.REFERENCE, **pace)
        case "open-interest" if listing.category in {SWAP, FUTURES, OPTION}:
            pace = {"every_ms": 3000}
            return _stating(
                topic, market, held, triggers=Changed.TRADES | Changed.REFERENCE, **pace
            )
        case "funding-rate" if listing.funding_interval_ns is not None:
            return _stating(topic, market, lambda s, ns: funding(s.market, ns), repeats_s=60)
    return None


def business(channel: str, topic: str, market: SimulatedMarket) -> MarketFeed | None:
    """A channel under the business path; None where there is none."""
    interval = INTERVALS.get(channel.removeprefix("candle"))
    if channel.startswith("candle") and interval is not None:
        return CandleFeed(topic, OkxSpeller(market), interval, _candle, every_ms=1000)
    if channel == "trades-all":
        return TradeFeed(topic, OkxSpeller(market), _trade, batches=one_by_one)
    return None
