"""The emulated OKX's public channels and the frames in them.

Written from OKX's documents and recorded frames, on purpose without the plugin's codec.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

import orjson

from ccrs_core import NS_PER_MS, NS_PER_SECOND, Side
from ccrs_core.emulator import (
    Bar,
    BookView,
    Broadcast,
    Changed,
    Figure,
    Frame,
    Interval,
    SimulatedMarket,
    TapeTrade,
)
from ccrs_okx.emulator_listings import family
from ccrs_okx.emulator_wire import (
    SIDES,
    Row,
    Speller,
    blanked,
    checksum,
    funding,
    liquidated,
    ms,
    source,
    ticker,
)

_MINUTE_NS = 60 * NS_PER_SECOND
INTERVALS: Mapping[str, Interval] = {
    **{f"{minutes}m": Interval(minutes * _MINUTE_NS) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}H": Interval(hours * 60 * _MINUTE_NS) for hours in (1, 2, 4)},
    **{f"{hours}Hutc": Interval(hours * 60 * _MINUTE_NS) for hours in (6, 12)},
    "1Dutc": Interval(24 * 60 * _MINUTE_NS),
    "1Wutc": Interval(7 * 24 * 60 * _MINUTE_NS),
    "1Mutc": Interval(None),
}
"""By what follows "candle" in a channel's name: those that begin at midnight UTC."""

_KEEP_ALIVE_NS = 60 * NS_PER_SECOND
_MARK_NS = 10 * NS_PER_SECOND
_FUNDING_NS = 60 * NS_PER_SECOND


class OkxStream(Broadcast):
    """A channel of one instrument."""

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, [market])
        self.market = market
        self.speller = Speller(market)
        self._arg = {"channel": topic.partition(":")[0], "instId": market.listing.symbol}

    def frame(self, *rows: Any, action: str | None = None) -> Frame:
        head: dict[str, Any] = {"arg": self._arg}
        if action is not None:
            head["action"] = action
        return Frame(orjson.dumps({**head, "data": rows}))


class _Viewing(OkxStream):
    """A channel of a book's best levels; ``number`` is that of the published state."""

    triggers: ClassVar[Changed] = Changed.BOOK

    def __init__(self, topic: str, market: SimulatedMarket, depth: int, every_ms: int) -> None:
        super().__init__(topic, market)
        self.interval_ns = every_ms * NS_PER_MS
        self.view = BookView(market, depth, 0)
        self.number = 0
        self._offset = 0

    def refresh(self) -> tuple[list[Row], list[Row]] | None:
        """Publish the present state: what changed of it, None where nothing did."""
        changes = self.view.refresh()
        if changes is None:
            return None
        self.number = self.view.sequence - self._offset
        return self.speller.rows(changes[0], Side.BUY), self.speller.rows(changes[1], Side.SELL)

    def started(self, now_ns: int) -> None:
        self.refresh()

    def whole(self) -> tuple[list[Row], list[Row]]:
        """The published book."""
        view, rows = self.view, self.speller.rows
        return rows(view.bids, Side.BUY), rows(view.asks, Side.SELL)


class BestQuotes(_Viewing):
    """``bbo-tbt``: whole, every 10 ms in which something changed."""

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, market, 1, 10)

    def first(self, now_ns: int) -> Iterable[Frame]:
        bids, asks = self.whole()
        time = ms(self.view.time_ns)
        return (self.frame({"asks": asks, "bids": bids, "ts": time, "seqId": self.number}),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self.refresh() is None else self.first(now_ns)


class BestFive(_Viewing):
    """``books5``: whole, every 100 ms in which something changed."""

    def __init__(self, topic: str, market: SimulatedMarket) -> None:
        super().__init__(topic, market, 5, 100)

    def first(self, now_ns: int) -> Iterable[Frame]:
        bids, asks = self.whole()
        head = {"asks": asks, "bids": bids, "instId": self.market.listing.symbol}
        return (self.frame({**head, "ts": ms(self.view.time_ns), "seqId": self.number}),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return () if self.refresh() is None else self.first(now_ns)


class Books(_Viewing):
    """``books``: the best 400 levels, whole once and then what changed, every 100 ms.

    An update without change comes after a minute of quiet. With ``checksums`` frames carry the sum
    that OKX sent until 2026-06-23, without it 0. Without ``snapshots`` the first frame is left out,
    as OKX has announced it: the book must be asked for.
    """

    def __init__(
        self, topic: str, market: SimulatedMarket, *, checksums: bool, snapshots: bool
    ) -> None:
        super().__init__(topic, market, 400, 100)
        self._checksums = checksums
        self._snapshots = snapshots

    def first(self, now_ns: int) -> Iterable[Frame]:
        if not self._snapshots:
            return ()
        return (self._told("snapshot", *self.whole(), -1),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        before = self.number
        changes = self.refresh()
        return () if changes is None else (self._told("update", *changes, before),)

    def alarm_ns(self) -> int | None:
        return self.last_ns + _KEEP_ALIVE_NS

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        return tuple(self.update(now_ns)) or (self._told("update", [], [], self.number),)

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        """As after OKX's maintenance: the chain goes on, from a lower number."""
        before = self.number
        changes = self.refresh() or ([], [])
        if before < 2:
            return ()
        self.number = min(before - 1, 7)
        self._offset = self.market.sequence - self.number
        return (self._told("update", *changes, before),)

    def _told(self, action: str, bids: list[Row], asks: list[Row], before: int) -> Frame:
        row = {
            "asks": asks,
            "bids": bids,
            "ts": ms(self.view.time_ns),
            "checksum": checksum(*self.whole()) if self._checksums else 0,
            "prevSeqId": before,
            "seqId": self.number,
        }
        return self.frame(row, action=action)


Blank = Callable[[], bool]
"""Whether optional fields are left blank at present."""


class Trades(OkxStream):
    """``trades-all``: each trade by itself; ``trades``: what a taker order traded at one price."""

    triggers: ClassVar[Changed] = Changed.TRADES

    def __init__(self, topic: str, market: SimulatedMarket, together: bool, blank: Blank) -> None:
        super().__init__(topic, market)
        self._together = together
        self._blank = blank
        self._count = market.tape.count

    def started(self, now_ns: int) -> None:
        self._count = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        new = self.market.tape.since(self._count)
        self._count = self.market.tape.count
        if not self._together:
            return [self._told([trade]) for trade in new]
        grouped = groupby(
            new, key=lambda trade: (trade.sequence, trade.price, trade.side, source(trade))
        )
        return [self._told(list(trades)) for _, trades in grouped]

    def _told(self, trades: Sequence[TapeTrade]) -> Frame:
        last, speller = trades[-1], self.speller
        row: dict[str, Any] = {
            "instId": self.market.listing.symbol,
            "tradeId": speller.trade_id(last),
            "px": speller.price(last.price),
            "sz": speller.size(sum(trade.size for trade in trades)),
            "side": SIDES[last.side],
        }
        if self._together:
            counted = {"ts": ms(last.time_ns), "count": str(len(trades)), "source": source(last)}
            return self.frame({**row, **counted, "seqId": last.sequence})
        told = {} if self._blank() else {"source": source(last)}
        return self.frame({**row, **told, "ts": ms(last.time_ns)})


class _Stating(OkxStream):
    """A channel that tells a state; a new subscriber hears what was last told."""

    always: ClassVar[frozenset[str]] = frozenset({"instType", "instId", "ts"})
    """Fields that are never blank."""

    def __init__(self, topic: str, market: SimulatedMarket, blank: Blank) -> None:
        super().__init__(topic, market)
        self._row: dict[str, str] = {}
        self._blank = blank

    def _present(self, now_ns: int) -> dict[str, str]:
        row = self.state(now_ns)
        return blanked(row, self.always) if self._blank() else row

    def state(self, now_ns: int) -> dict[str, str]:
        raise AssertionError("each channel has a state")

    def started(self, now_ns: int) -> None:
        self._row = self._present(now_ns)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self.frame(self._row),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        before, self._row = self._row, self._present(now_ns)
        if {**before, "ts": ""} == {**self._row, "ts": ""}:
            self._row = before
            return ()
        return (self.frame(self._row),)

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        self._row = self._present(now_ns)
        return (self.frame(self._row),)


class Tickers(_Stating):
    """``tickers``: the last 24 hours, every 100 ms in which they changed."""

    triggers: ClassVar[Changed] = Changed.BOOK | Changed.TRADES
    interval_ns = 100 * NS_PER_MS

    def state(self, now_ns: int) -> dict[str, str]:
        return ticker(self.speller, now_ns)


class MarkPrices(_Stating):
    """``mark-price``: every 200 ms in which it changed, and after 10 s without change."""

    triggers: ClassVar[Changed] = Changed.REFERENCE
    interval_ns = 200 * NS_PER_MS

    def state(self, now_ns: int) -> dict[str, str]:
        listing = self.market.listing
        marked = self.market.has(Figure.MARK_PRICE)
        price = self.speller.fine(self.market.mark) if marked else ""
        head = {"instType": listing.category, "instId": listing.symbol}
        return {**head, "markPx": price, "ts": ms(now_ns)}

    def alarm_ns(self) -> int | None:
        return self.last_ns + _MARK_NS


class FundingRates(_Stating):
    """``funding-rate``: every minute."""

    def state(self, now_ns: int) -> dict[str, str]:
        return funding(self.market, now_ns)

    def alarm_ns(self) -> int | None:
        return self.last_ns + _FUNDING_NS


class Candles(OkxStream):
    """``candle1m`` and kin: the open candle as it changes, and each once more as it closes."""

    triggers: ClassVar[Changed] = Changed.TRADES
    interval_ns = NS_PER_SECOND

    def __init__(self, topic: str, market: SimulatedMarket, interval: str, blank: Blank) -> None:
        super().__init__(topic, market)
        self._blank = blank
        self._interval = INTERVALS[interval]
        self._open_ns = 0
        self._close_ns = 0

    def started(self, now_ns: int) -> None:
        self._open_ns = self._interval.open_of(now_ns)
        self._close_ns = self._interval.next_open(self._open_ns)

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(False),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return (self._told(False),)

    def alarm_ns(self) -> int | None:
        return self._close_ns

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        closed = self._told(True)
        self.started(self._close_ns)
        return (closed,)

    def _told(self, closed: bool) -> Frame:
        bar: Bar = self.market.tape.candle(self._interval, self._open_ns)
        row = self.speller.candle(bar, closed)
        return self.frame([*row[:6], "", "", row[8]] if self._blank() else row)


class Liquidations(Broadcast):
    """``liquidation-orders``: those of all instruments of a type, each second's together."""

    triggers: ClassVar[Changed] = Changed.LIQUIDATIONS
    interval_ns = NS_PER_SECOND

    def __init__(self, topic: str, markets: Sequence[SimulatedMarket]) -> None:
        super().__init__(topic, markets)
        self._spellers = [Speller(market) for market in markets]
        self._counts = [market.liquidation_count for market in markets]

    def started(self, now_ns: int) -> None:
        self._counts = [market.liquidation_count for market in self.markets]

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        for place, speller in enumerate(self._spellers):
            market, count = speller.market, self._counts[place]
            self._counts[place] = market.liquidation_count
            new = [each for each in market.liquidations if each.number > count]
            details = liquidated(speller, new)
            if details:
                yield self._told(speller, details)

    def _told(self, speller: Speller, details: Sequence[Mapping[str, str]]) -> Frame:
        channel, _, kind = self.topic.partition(":")
        listing = speller.listing
        row = {
            "details": details,
            "instFamily": family(listing),
            "instId": listing.symbol,
            "instType": kind,
            "uly": f"{listing.base}-{listing.quote}",
        }
        return Frame(orjson.dumps({"arg": {"channel": channel, "instType": kind}, "data": [row]}))
