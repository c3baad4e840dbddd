"""What a feed delivers: market data, and the notices that tell when it is interrupted.

All are frozen values. ``exchange_time_ns`` is the exchange's own time of the event (matching time
where it gives one), ``received_time_ns`` the local time at which the frame arrived, both integer
nanoseconds UTC. ``sequence`` is the exchange's number of the update, rising within one symbol and
channel; None where the exchange gives none. Prices and sizes keep the wire's exact digits.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

import attrs

from ccrs_core.model.constructors import Deferrable
from ccrs_core.model.instruments import Instrument, Side
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND

Level = tuple[Decimal, Decimal]
"""Price and size of one level of an order book."""


@attrs.define(eq=False)
class Event(Deferrable):
    """What all events have in common. (The kinds of event are frozen.)"""

    type: ClassVar[str]
    channel: ClassVar[Channel | None] = None

    exchange: str
    symbol: str
    exchange_time_ns: int | None
    received_time_ns: int

    @property
    def time(self) -> datetime:
        """The exchange's time (the local one where there is none) for people: microseconds, UTC."""
        ns = self.received_time_ns if self.exchange_time_ns is None else self.exchange_time_ns
        return _moment(ns)


def _moment(ns: int) -> datetime:
    seconds, rest = divmod(ns, NS_PER_SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


_SHOWN = 3
"""Levels of a side that an update shows when it is printed."""


def _some_levels(levels: tuple[Level, ...]) -> str:
    if len(levels) <= _SHOWN:
        return repr(levels)
    return f"({', '.join(map(repr, levels[:_SHOWN]))}, … {len(levels) - _SHOWN} more)"


@attrs.frozen
class TopOfBook(Event):
    """Best bid and ask. A side without orders has None for price and size."""

    type: ClassVar[str] = "top_of_book"
    channel: ClassVar[Channel | None] = Channel.TOP_OF_BOOK

    sequence: int | None
    bid_price: Decimal | None
    bid_size: Decimal | None
    ask_price: Decimal | None
    ask_size: Decimal | None


@attrs.frozen
class Trade(Event):
    """A public trade; ``side`` is the taker's. Oldest first within a frame."""

    type: ClassVar[str] = "trade"
    channel: ClassVar[Channel | None] = Channel.TRADES

    sequence: int | None
    trade_id: str
    price: Decimal
    size: Decimal
    side: Side
    block: bool = False
    """Negotiated off the book; its price says little about the market."""
    rpi: bool | None = None
    """Made by an order of a retail price improvement programme; None where nobody says.

    Public books leave such orders out, so that the price may lie inside their spread."""


@attrs.frozen
class BookUpdate(Event):
    """A change of an order book: levels with their new absolute sizes, size zero removes.

    A ``snapshot`` replaces the whole book. Otherwise it applies to a book whose sequence lies in
    ``previous_sequence <= book.sequence < sequence``; one whose ``sequence`` is below its
    ``previous_sequence`` begins a new count, and applies where the book is at exactly the latter.
    The maintained book is ``feed.book(symbol)``.
    """

    type: ClassVar[str] = "book"
    channel: ClassVar[Channel | None] = Channel.BOOK

    sequence: int
    snapshot: bool
    bids: tuple[Level, ...] = attrs.field(repr=_some_levels)
    asks: tuple[Level, ...] = attrs.field(repr=_some_levels)
    previous_sequence: int | None = None
    checksum: int | None = None


@attrs.frozen
class Ticker(Event):
    """Statistics of the last 24 hours; None where the exchange doesn't say."""

    type: ClassVar[str] = "ticker"
    channel: ClassVar[Channel | None] = Channel.TICKER

    sequence: int | None
    last_price: Decimal | None = None
    bid_price: Decimal | None = None
    bid_size: Decimal | None = None
    ask_price: Decimal | None = None
    ask_size: Decimal | None = None
    open_price: Decimal | None = None
    high_price: Decimal | None = None
    low_price: Decimal | None = None
    volume: Decimal | None = None
    turnover: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    open_interest: Decimal | None = None
    funding_rate: Decimal | None = None
    next_funding_time_ns: int | None = None


@attrs.frozen
class Candle(Event):
    """One interval's prices; ``closed`` candles never change again."""

    type: ClassVar[str] = "candle"
    channel: ClassVar[Channel | None] = Channel.CANDLES

    interval: str
    open_time_ns: int
    close_time_ns: int
    """First nanosecond after the interval."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal | None
    closed: bool

    @property
    def time(self) -> datetime:
        """The exchange's time of this state; of candles that were asked for, which have none, the
        time at which they open."""
        ns = self.open_time_ns if self.exchange_time_ns is None else self.exchange_time_ns
        return _moment(ns)


@attrs.frozen
class Funding(Event):
    """The funding rate that will be (or, in a history, was) paid at ``funding_time_ns``."""

    type: ClassVar[str] = "funding"
    channel: ClassVar[Channel | None] = Channel.FUNDING

    rate: Decimal
    funding_time_ns: int | None
    special: bool = False
    """Whether it is paid besides the regular one of that time, and doesn't replace it: what a
    position pays then is the sum of both."""


@attrs.frozen
class MarkPrice(Event):
    """The price that margin is computed from, and the index behind it."""

    type: ClassVar[str] = "mark_price"
    channel: ClassVar[Channel | None] = Channel.MARK_PRICE

    mark_price: Decimal
    index_price: Decimal | None


@attrs.frozen
class Greeks(Event):
    """How an option's price moves with what it depends on, and what it implies; None where the
    exchange doesn't say.

    The greeks are those of Black and Scholes, of an option on one base unit, in quote units.
    Implied volatilities are a year's, as fractions: 0.45 is 45 %.
    """

    type: ClassVar[str] = "greeks"
    channel: ClassVar[Channel | None] = Channel.GREEKS

    delta: Decimal | None = None
    """Change of the option's price per unit of the underlying's; below zero for puts."""
    gamma: Decimal | None = None
    """Change of ``delta`` per unit of the underlying's price."""
    vega: Decimal | None = None
    """Change of the option's price per hundredth of volatility."""
    theta: Decimal | None = None
    """Change of the option's price per day, mostly below zero."""
    mark_iv: Decimal | None = None
    """Volatility that the mark price implies."""
    bid_iv: Decimal | None = None
    """Volatility that the best bid implies; None without one."""
    ask_iv: Decimal | None = None
    """Volatility that the best ask implies; None without one."""
    underlying_price: Decimal | None = None
    """Price of the underlying that they are computed from: the forward, where there is one."""


@attrs.frozen
class IndexPrice(Event):
    """The price of what a derivative is on, averaged over several exchanges."""

    type: ClassVar[str] = "index_price"
    channel: ClassVar[Channel | None] = Channel.INDEX_PRICE

    index_price: Decimal


@attrs.frozen
class OpenInterest(Event):
    """How much of a derivative is held open: its long positions, which equal its short ones.

    ``open_interest`` counts one side, in the unit of the instrument's sizes; ``value`` is its worth
    in quote units, None where the exchange doesn't say.
    """

    type: ClassVar[str] = "open_interest"
    channel: ClassVar[Channel | None] = Channel.OPEN_INTEREST

    open_interest: Decimal
    value: Decimal | None = None


@attrs.frozen
class Liquidation(Event):
    """A position closed by force; ``side`` is that of the liquidated position (BUY: a long)."""

    type: ClassVar[str] = "liquidation"
    channel: ClassVar[Channel | None] = Channel.LIQUIDATIONS

    side: Side
    price: Decimal
    size: Decimal


@attrs.frozen
class InstrumentNews(Event):
    """The exchange tells that it has changed what it lists: an instrument, its rules, its status.

    What has changed says a fresh list; feeds are told by :class:`InstrumentChanged`. ``symbol`` is
    that of any instrument of the market, as subscribed to; ``natives`` are the exchange's names of
    those that it tells of, with blanks between them.
    """

    type: ClassVar[str] = "instrument_news"
    channel: ClassVar[Channel | None] = Channel.INSTRUMENTS

    natives: str


MarketData = (
    TopOfBook
    | Trade
    | BookUpdate
    | Ticker
    | Candle
    | Funding
    | MarkPrice
    | Greeks
    | IndexPrice
    | OpenInterest
    | Liquidation
    | InstrumentNews
)
"""What an exchange's streams bring of instruments."""


# --- Of accounts ---


@attrs.frozen
class Balance(Event):
    """What an account has of one asset from now on. ``symbol`` is empty."""

    type: ClassVar[str] = "balance"
    channel: ClassVar[Channel | None] = Channel.BALANCES

    account: str
    """The user's name of it, as subscribed to."""
    asset: str
    total: Decimal
    available: Decimal | None = None
    """What no order or position ties up; None where the exchange doesn't say."""
    wallet: Decimal | None = None
    """Of ``total`` what fills, fees, funding and transfers add up to, where the exchange tells it
    apart: without the profit or loss of open positions. None: all of it."""
    number: int = 0
    """Of the ledger, in an account's events; 0 elsewhere."""
    purse: str = ""
    """Which of the account's wallets it is in, where the exchange has several that hold the same
    assets apart: its name of it, such as ``spot``. Empty where there is one."""

    @property
    def name(self) -> str:
        """The asset, and where there are several wallets which: ``USDT``, ``USDT spot``."""
        return named_asset(self.asset, self.purse)


def named_asset(asset: str, purse: str) -> str:
    """An asset in a wallet: see :attr:`Balance.name`."""
    return f"{asset} {purse}" if purse else asset


AccountData = Balance
"""What an exchange's streams bring of accounts."""
StreamData = MarketData | AccountData
"""What an exchange's streams bring, as opposed to the notices."""


# --- Notices: in the same feed as the data, so that no consumer can miss a discontinuity -----


class Reason(enum.StrEnum):
    """Why a notice was given."""

    DISCONNECTED = "disconnected"
    SILENT = "silent"
    RECONNECTED = "reconnected"
    RESUBSCRIBED = "resubscribed"
    SEQUENCE = "sequence"
    CROSSED = "crossed"
    CHECKSUM = "checksum"
    OVERFLOW = "overflow"
    ROLLOVER = "rollover"
    RESTART = "restart"
    UNREADABLE = "unreadable"
    RANGE = "range"
    """The market has left the prices at which a book knows all levels."""
    CLOSED = "closed"
    """Its subscription has ended."""


@attrs.frozen
class Gap(Event):
    """Updates between ``last_sequence`` and ``next_sequence`` may be missing; the next is fresh.

    ``lost`` counts them where that is known (a feed's overflow), else it is None.
    """

    type: ClassVar[str] = "gap"

    about: Channel
    reason: Reason
    last_sequence: int | None = None
    next_sequence: int | None = None
    lost: int | None = None
    account: str | None = None
    """The account that it is about, where that is no instrument; ``symbol`` is empty then."""


@attrs.frozen
class Stale(Event):
    """What was delivered last may be out of date: no connection brings this subscription's data, or
    nothing was heard of it for as long as its exchange promises, or as the feed's ``stale_after``,
    or although the exchange shows elsewhere that something has happened.

    A book of which it is only silent for ``stale_after`` stays valid.
    """

    type: ClassVar[str] = "stale"

    about: Channel
    reason: Reason
    silent_ns: int | None = None
    """Time since the last data (or since the subscribe request, where none came)."""
    account: str | None = None
    """As of :class:`Gap`."""


@attrs.frozen
class Resumed(Event):
    """After :class:`Stale`, a connection brings the subscription's data again; what follows is
    fresh.

    Where nothing may be sent for long (trades of a quiet instrument) the acknowledgement is what
    tells so; elsewhere, and of what was found dead, data itself does.
    """

    type: ClassVar[str] = "resumed"

    about: Channel
    stale_ns: int | None = None
    account: str | None = None
    """As of :class:`Gap`."""


@attrs.frozen
class InstrumentChanged(Event):
    """The exchange has changed what it says of a symbol: a tick size, say, or its status.

    Given once to each feed that has an interest in the symbol, when a fresh list of instruments
    shows it. ``after`` is None where the symbol is listed no more; if the exchange goes on with the
    same instrument under another name, ``after`` has that name. ``before`` is None where the
    symbol is listed again. Data goes on as long as the exchange sends any.
    """

    type: ClassVar[str] = "instrument_changed"

    before: Instrument | None
    after: Instrument | None

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields of the instrument that differ; all of them where one side is None."""
        fields = [field.name for field in attrs.fields(Instrument)]
        if self.before is None or self.after is None:
            return tuple(fields)
        return tuple(f for f in fields if getattr(self.before, f) != getattr(self.after, f))


Notice = Gap | Stale | Resumed
"""What tells of an interruption."""
AnyEvent = StreamData | Notice | InstrumentChanged
"""Everything that a feed delivers."""
