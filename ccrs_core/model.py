"""What is traded and what can be subscribed to: instruments, channels, subscriptions.

Prices and sizes are :class:`~decimal.Decimal` with exactly the digits on the wire, ids are text,
times are integer nanoseconds UTC.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime
from decimal import Decimal

import attrs

from ccrs_core import rules
from ccrs_core.errors import InvalidOrder, UsageError

NS_PER_SECOND = 1_000_000_000
"""Nanoseconds."""
NS_PER_MS = 1_000_000
"""Nanoseconds in a millisecond."""


class Market(enum.StrEnum):
    """Kind of market; with the exchange's own symbol it identifies an instrument."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    OPTION = "option"


class Side(enum.StrEnum):
    """Direction of a trade or order. For public trades: the taker's side."""

    BUY = "buy"
    SELL = "sell"


class OptionKind(enum.StrEnum):
    """The right that an option gives: to buy (call) or to sell (put)."""

    CALL = "call"
    PUT = "put"


class InstrumentStatus(enum.StrEnum):
    """Whether an instrument can be traded now."""

    PRELAUNCH = "prelaunch"
    TRADING = "trading"
    HALTED = "halted"
    SETTLING = "settling"
    CLOSED = "closed"


class Channel(enum.StrEnum):
    """Kind of public stream."""

    TOP_OF_BOOK = "top_of_book"
    TRADES = "trades"
    BOOK = "book"
    TICKER = "ticker"
    CANDLES = "candles"
    FUNDING = "funding"
    MARK_PRICE = "mark_price"
    LIQUIDATIONS = "liquidations"


INTERVALS: dict[str, int] = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "12h": 43200,
    "1d": 86400,
    "1w": 604800,
    "1M": 2592000,
}
"""Candle intervals by their unified name, in seconds (a month is nominally 30 days). All open in
UTC, weeks on Mondays, months on their first day: what begins otherwise isn't declared."""


@attrs.frozen(kw_only=True)
class Instrument:
    """One thing that an exchange trades.

    ``symbol`` is the unified name (see :func:`unified_symbol`), ``native`` the exchange's own.
    Both are unique within (exchange, market); ``symbol`` is unique within the exchange.
    Sizes are in base units for spot and linear, in contracts of ``contract_size`` quote units for
    inverse. ``None`` means that the exchange states no such rule.
    """

    exchange: str
    symbol: str
    native: str
    market: Market
    base: str
    quote: str
    settle: str | None = None
    status: InstrumentStatus = InstrumentStatus.TRADING
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    min_notional: Decimal | None = None
    contract_size: Decimal = Decimal(1)
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option_kind: OptionKind | None = None

    def quantise_price(
        self, price: Decimal, side: Side | None = None, *, rounding: str | None = None
    ) -> Decimal:
        """A price on the tick, with the tick's digits: a buy's is never moved up, a sell's never
        down; without a side it is the nearest one.

        :param rounding: one of the decimal module's modes, instead of the side's.
        :raises UsageError: where the price is no finite ``Decimal``.
        """
        return rules.quantised_price(self, price, side, rounding)

    def quantise_size(self, size: Decimal) -> Decimal:
        """The largest multiple of the lot that isn't above a size, with the lot's digits.

        :raises UsageError: where the size is no finite ``Decimal``.
        """
        return rules.quantised_size(self, size)

    def violations(
        self, side: Side, price: Decimal | None, size: Decimal
    ) -> tuple[InvalidOrder, ...]:
        """The rules that an order breaks, none where it is valid. A market order has no price; its
        value is then not judged.

        :raises UsageError: where price or size is no finite ``Decimal``.
        """
        return tuple(rules.violations(self, side, price, size))

    def check_order(self, side: Side, price: Decimal | None, size: Decimal) -> None:
        """Refuse an order that breaks the instrument's rules, before anything is sent.

        :raises InvalidOrder: the first of :meth:`violations`; the message names all.
        """
        broken = self.violations(side, price, size)
        if broken:
            raise InvalidOrder(
                broken[0].rule, "; ".join(map(str, broken)), broken[0].nearest
            ) from None


def unified_symbol(
    base: str,
    quote: str,
    settle: str | None = None,
    expiry_ns: int | None = None,
    strike: Decimal | None = None,
    option_kind: OptionKind | None = None,
) -> str:
    """Name an instrument in the convention that ccxt and freqtrade users know.

    ``BTC/USDT`` spot, ``BTC/USDT:USDT`` linear perpetual, ``BTC/USD:BTC`` inverse perpetual,
    ``BTC/USDT:USDT-261225`` dated (yymmdd, UTC), ``BTC/USDT:USDT-261225-100000-C`` option.
    """
    name = f"{base}/{quote}"
    if settle is None:
        return name
    name += f":{settle}"
    if expiry_ns is not None:
        name += datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, UTC).strftime("-%y%m%d")
    if strike is not None and option_kind is not None:
        name += f"-{strike.normalize():f}-{'C' if option_kind is OptionKind.CALL else 'P'}"
    return name


_SYMBOL = re.compile(
    r"(?P<base>[^/:\s]+)/(?P<quote>[^/:\s]+)"
    r"(?::(?P<settle>[^/:\s-]+)(?:-(?P<expiry>\d{6})(?:-(?P<strike>[0-9.]+)-(?P<kind>[CP]))?)?)?"
)


def market_of(symbol: str) -> Market:
    """Tell the market from a unified symbol, without asking any exchange.

    :raises UsageError: where the text isn't a unified symbol.
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise UsageError(
            f"{symbol!r} is not a unified symbol; they look like BTC/USDT (spot), BTC/USDT:USDT "
            "(linear), BTC/USD:BTC (inverse), BTC/USDT:USDT-261225-100000-C (option)"
        )
    if match["settle"] is None:
        return Market.SPOT
    if match["kind"] is not None:
        return Market.OPTION
    return Market.INVERSE if match["settle"] == match["base"] else Market.LINEAR


@attrs.frozen
class Interest:
    """What a user asks for: a channel of a unified symbol. Made by :func:`top_of_book` and kin."""

    channel: Channel
    symbol: str
    depth: int | None = None
    interval: str | None = None


@attrs.frozen(cache_hash=True)
class Subscription:
    """An interest resolved to an instrument: what the core hands to exchange plugins."""

    channel: Channel
    instrument: Instrument
    depth: int | None = None
    interval: str | None = None

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def __str__(self) -> str:
        detail = self.depth if self.depth is not None else self.interval
        suffix = "" if detail is None else f" {detail}"
        return f"{self.channel.value}{suffix} of {self.instrument.symbol}"


def top_of_book(symbol: str) -> Interest:
    """Best bid and ask with their sizes, on every change."""
    return Interest(Channel.TOP_OF_BOOK, symbol)


def trades(symbol: str) -> Interest:
    """Every public trade, each once."""
    return Interest(Channel.TRADES, symbol)


def book(symbol: str, depth: int | None = None) -> Interest:
    """The order book, kept by the core: read it from ``feed.book(symbol)``.

    ``depth`` is in levels per side; None takes the exchange's shallowest.
    """
    return Interest(Channel.BOOK, symbol, depth=depth)


def ticker(symbol: str) -> Interest:
    """24-hour statistics, with mark price, funding and open interest where they exist."""
    return Interest(Channel.TICKER, symbol)


def candles(symbol: str, interval: str = "1m") -> Interest:
    """Candles of an interval (a key of :data:`INTERVALS`), open ones and exactly one closed each.

    :raises UsageError: on an interval that isn't in :data:`INTERVALS`.
    """
    if interval not in INTERVALS:
        raise UsageError(f"no interval {interval!r}; known: {', '.join(INTERVALS)}")
    return Interest(Channel.CANDLES, symbol, interval=interval)


def funding(symbol: str) -> Interest:
    """The funding rate of a perpetual, on every change."""
    return Interest(Channel.FUNDING, symbol)


def mark_price(symbol: str) -> Interest:
    """Mark and index price of a derivative, on every change."""
    return Interest(Channel.MARK_PRICE, symbol)


def liquidations(symbol: str) -> Interest:
    """Forced liquidations of positions in a derivative."""
    return Interest(Channel.LIQUIDATIONS, symbol)
