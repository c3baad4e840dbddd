"""What can be subscribed to: channels, intervals, interests, subscriptions."""

from __future__ import annotations

import enum

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.checks import at_least_one
from ccrs_core.model.instruments import Instrument, Market


class Channel(enum.StrEnum):
    """Kind of stream: of an instrument, of an account (``ACCOUNT_CHANNELS``), or of all that a
    market lists (``MARKET_CHANNELS``)."""

    TOP_OF_BOOK = "top_of_book"
    TRADES = "trades"
    BOOK = "book"
    TICKER = "ticker"
    CANDLES = "candles"
    FUNDING = "funding"
    MARK_PRICE = "mark_price"
    GREEKS = "greeks"
    INDEX_PRICE = "index_price"
    OPEN_INTEREST = "open_interest"
    LIQUIDATIONS = "liquidations"
    INSTRUMENTS = "instruments"
    BALANCES = "balances"
    ORDERS = "orders"
    WAITING_ORDERS = "waiting_orders"
    """Orders that wait for a trigger, where the exchange tells of them on a stream of its own."""
    FILLS = "fills"
    EARLY_FILLS = "early_fills"
    POSITIONS = "positions"
    INCOME = "income"
    DEAD_MAN = "dead_man"
    """Says nothing: that it is subscribed to is what the exchange's disconnect protection of a
    market goes by."""


ACCOUNT_CHANNELS = frozenset(
    {
        *(Channel.BALANCES, Channel.ORDERS, Channel.WAITING_ORDERS),
        *(Channel.FILLS, Channel.EARLY_FILLS),
        *(Channel.POSITIONS, Channel.INCOME, Channel.DEAD_MAN),
    }
)
"""Channels that tell of an account: all that it has or does, whatever the instrument. Quiet is
normal for them."""

LEDGER_CHANNELS = ACCOUNT_CHANNELS - {Channel.BALANCES}
"""Those that an account's ledger reads (``client.account().events()``), and no feed of a client."""


MARKET_CHANNELS = frozenset({Channel.INSTRUMENTS})
"""Channels that tell of a market, or of a part of it. A subscription to one names any instrument of
it; quiet is normal for them."""


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


@attrs.frozen
class Interest:
    """What a user asks for: a channel of a unified symbol. Made by :func:`top_of_book` and kin."""

    channel: Channel
    symbol: str
    depth: int | None = None
    """Levels a side that a book is to show at least, and at most."""
    interval: str | None = None
    account: str | None = None
    """The name of the account that it is about; ``symbol`` is empty then."""
    exact: bool = False
    """Whether a book's stream must have ``depth`` levels, neither more nor less."""
    rpi: bool = False
    """Whether a book is to hold orders of retail price improvement programmes, too."""

    def __str__(self) -> str:
        return _described(self)


@attrs.frozen(cache_hash=True)
class Subscription:
    """An interest resolved: what the core hands to exchange plugins. It is about an instrument, or
    (``account``) about all of an account."""

    channel: Channel
    _instrument: Instrument | None = attrs.field(default=None)
    depth: int | None = None
    interval: str | None = None
    account: str | None = None
    """The user's name of the account."""
    _exchange: str | None = attrs.field(default=None)
    rpi: bool = False
    """Whether the book holds orders of retail price improvement programmes, too."""
    _market: Market | None = attrs.field(default=None)
    """Of an account's: the market that it is about, where it is about one."""

    def __attrs_post_init__(self) -> None:
        if (self._instrument is None) == (self.account is None):
            raise UsageError(f"{self.channel.value}: of an instrument or of an account, not both")
        if (self._exchange is None) != (self.account is None):
            raise UsageError(
                f"{self.channel.value}: say the exchange of an account, and only there"
            )

    @property
    def exchange(self) -> str:
        """The name of the exchange that brings it."""
        return self.instrument.exchange if self._exchange is None else self._exchange

    @property
    def instrument(self) -> Instrument:
        """What it is about.

        :raises UsageError: where that is an account.
        """
        if self._instrument is None:
            raise UsageError(f"{self} has no instrument")
        return self._instrument

    @property
    def symbol(self) -> str:
        """The instrument's; empty where it is about an account."""
        return "" if self._instrument is None else self._instrument.symbol

    @property
    def market(self) -> Market | None:
        """The instrument's; of an account's the one that it is about, None where that is all."""
        return self._market if self._instrument is None else self._instrument.market

    def __str__(self) -> str:
        return _described(self)


def _described(wanted: Interest | Subscription) -> str:
    if wanted.channel in MARKET_CHANNELS:
        return f"{wanted.channel.value} such as {wanted.symbol}"
    detail = wanted.depth if wanted.depth is not None else wanted.interval
    suffix = "" if detail is None else f" {detail}"
    suffix += " with RPI" if wanted.rpi else ""
    about = wanted.symbol if wanted.account is None else f"the account {wanted.account}"
    return f"{wanted.channel.value}{suffix} of {about}"


def top_of_book(symbol: str) -> Interest:
    """Best bid and ask with their sizes, on every change."""
    return Interest(Channel.TOP_OF_BOOK, symbol)


def trades(symbol: str) -> Interest:
    """Every public trade, each once."""
    return Interest(Channel.TRADES, symbol)


def book(
    symbol: str, depth: int | None = None, *, exact: bool = False, rpi: bool = False
) -> Interest:
    """The order book, kept by the core: read it from ``feed.book(symbol)``.

    ``depth`` is in levels per side, and any number up to what the exchange's deepest stream has:
    the smallest stream with at least so many brings them, and book and updates are of these alone
    (:meth:`Client.status` names the stream). None takes the exchange's shallowest, whole.

    :param exact: refuse (``Unsupported``, on entering) a depth that the exchange has no stream of.
    :param rpi: with orders of retail price improvement programmes, which ordinary books leave out;
        sizes are the totals of both. They trade with orders of people alone, or of who has asked
        for it, so that such a book may be better than what a program can take, and crossed: it
        stays valid then. It comes by a stream of its own, and a feed has either book of a symbol.
    :raises UsageError: where the depth is below 1, or ``exact`` without one.
    """
    if depth is not None:
        at_least_one("depth", depth)
    elif exact:
        raise UsageError("exact=True needs a depth: how many levels are to be exact?")
    return Interest(Channel.BOOK, symbol, depth=depth, exact=exact, rpi=rpi)


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


def greeks(symbol: str) -> Interest:
    """Greeks and implied volatilities of an option, on every change."""
    return Interest(Channel.GREEKS, symbol)


def index_price(symbol: str) -> Interest:
    """The index price of a derivative: that of what it is on, averaged over several exchanges."""
    return Interest(Channel.INDEX_PRICE, symbol)


def open_interest(symbol: str) -> Interest:
    """How much of a derivative is held open, counted on one side."""
    return Interest(Channel.OPEN_INTEREST, symbol)


def liquidations(symbol: str) -> Interest:
    """Forced liquidations of positions in a derivative."""
    return Interest(Channel.LIQUIDATIONS, symbol)
