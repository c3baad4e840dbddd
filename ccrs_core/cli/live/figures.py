"""Running figures of what a feed brings, for people to look at."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from decimal import Decimal

import attrs

from ccrs_core.model.events import (
    AnyEvent,
    Balance,
    Candle,
    Funding,
    Gap,
    Greeks,
    IndexPrice,
    InstrumentChanged,
    Liquidation,
    MarketData,
    MarkPrice,
    OpenInterest,
    Resumed,
    Stale,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel

_RATE_SECONDS = 5.0
_SAMPLES = 2048
_TAPE = 60
_NOTICES = 50


@attrs.define(eq=False)
class Figures:
    """Of one channel of one symbol."""

    symbol: str
    channel: Channel
    events: int = 0
    gaps: int = 0
    stales: int = 0
    stale: bool = False
    latest: MarketData | None = None
    book: OrderBook | None = None
    price: Decimal | None = None
    """What moves: the middle of the market, or the last price."""
    move: int = 0
    """+1 where the price rose last, -1 where it fell."""
    moved_at: float = 0.0
    started_at: float = attrs.field(factory=time.monotonic)
    latencies: deque[int] = attrs.field(factory=lambda: deque(maxlen=_SAMPLES))
    prices: deque[Decimal] = attrs.field(factory=lambda: deque(maxlen=120))
    arrivals: deque[tuple[float, int]] = attrs.field(factory=deque)

    def add(self, event: MarketData, book: OrderBook | None) -> None:
        self.events += 1
        self.stale = False
        self.latest = event
        if book is not None:
            self.book = book
        if event.exchange_time_ns is not None:
            self.latencies.append(event.received_time_ns - event.exchange_time_ns)
        price = _price(event, book)
        if price is not None:
            if self.price is not None and price != self.price:
                self.move = 1 if price > self.price else -1
                self.moved_at = time.monotonic()
            self.price = price

    def sample(self) -> None:
        """Note the price for the little chart; once per refresh."""
        if self.price is not None:
            self.prices.append(self.price)

    def arrived(self, now: float, count: int) -> None:
        arrivals = self.arrivals
        arrivals.append((now, count))
        while arrivals and arrivals[0][0] < now - _RATE_SECONDS:
            arrivals.popleft()

    def rate(self, now: float) -> float:
        """Events per second over the last seconds."""
        span = min(_RATE_SECONDS, max(now - self.started_at, 0.5))
        return sum(n for at, n in self.arrivals if at >= now - _RATE_SECONDS) / span

    def latency(self, *shares: float) -> list[float | None]:
        """Percentiles of received minus exchange time, in milliseconds."""
        if not self.latencies:
            return [None] * len(shares)
        ordered = sorted(self.latencies)
        return [ordered[min(int(len(ordered) * s), len(ordered) - 1)] / 1e6 for s in shares]

    def quote(self) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
        """Best bid and its size, best ask and its size."""
        event, book = self.latest, self.book
        if book is not None:
            if not book.valid:
                return None, None, None, None
            bid, ask = book.best_bid or (None, None), book.best_ask or (None, None)
            return *bid, *ask
        if isinstance(event, TopOfBook | Ticker):
            return event.bid_price, event.bid_size, event.ask_price, event.ask_size
        return None, None, None, None


def _price(event: MarketData, book: OrderBook | None) -> Decimal | None:
    match event:
        case TopOfBook(bid_price=bid, ask_price=ask):
            return (bid + ask) / 2 if bid is not None and ask is not None else bid or ask
        case Trade(price=price) | Liquidation(price=price):
            return price
        case Ticker(last_price=price):
            return price
        case Candle(close=price):
            return price
        case MarkPrice(mark_price=price) | IndexPrice(index_price=price):
            return price
        case Greeks(mark_iv=volatility):
            return volatility
        case OpenInterest(open_interest=held):
            return held
        case Funding(rate=rate):
            return rate
        case _:
            return book.mid if book is not None and book.valid else None


class Board:
    """Everything of one feed."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Channel], Figures] = {}
        self.tape: deque[Trade | Liquidation] = deque(maxlen=_TAPE)
        self.notices: deque[Gap | Stale | Resumed | InstrumentChanged] = deque(maxlen=_NOTICES)
        self.events = 0
        self.counts: Counter[str] = Counter()
        self.started_at = time.monotonic()

    def expect(self, symbol: str, channel: Channel) -> Figures:
        """The row of a symbol and channel, made where there is none yet."""
        row = self.rows.get((symbol, channel))
        if row is None:
            row = self.rows[symbol, channel] = Figures(symbol, channel)
        return row

    def take(self, followed: Sequence[tuple[AnyEvent, OrderBook | None]]) -> None:
        now = time.monotonic()
        arrived: Counter[tuple[str, Channel]] = Counter()
        for event, book in followed:
            self.counts[event.type] += 1
            if isinstance(event, Gap | Stale | Resumed):
                self._notice(event)
                continue
            if isinstance(event, InstrumentChanged):
                self.notices.append(event)
                continue
            self.events += 1
            if isinstance(event, Balance):
                continue  # what is shown is of instruments
            assert event.channel is not None
            self.expect(event.symbol, event.channel).add(event, book)
            arrived[event.symbol, event.channel] += 1
            if isinstance(event, Trade | Liquidation):
                self.tape.append(event)
        for key, count in arrived.items():
            self.rows[key].arrived(now, count)

    def _notice(self, notice: Gap | Stale | Resumed) -> None:
        self.notices.append(notice)
        row = self.expect(notice.symbol, notice.about)
        if isinstance(notice, Gap):
            row.gaps += 1
        elif isinstance(notice, Stale):
            row.stales += 1
            row.stale = True
        else:
            row.stale = False

    def of(self, channel: Channel) -> list[Figures]:
        return [row for row in self.rows.values() if row.channel is channel]

    def skew(self) -> float | None:
        """By how many milliseconds the exchange's clock is ahead of ours, where it seems so."""
        lows = [low for row in self.rows.values() for low in row.latency(0.5) if low is not None]
        lowest = min(lows, default=0.0)
        return -lowest if lowest < 0 else None
