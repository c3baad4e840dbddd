"""What gives the emulated exchange its voice: the part that a plugin writes.

The emulator's core keeps the markets, the connections, the clock and the faults. A dialect says
which instruments there are, reads requests as strictly as the exchange does, and writes every
frame. It is written from the exchange's documents, apart from the plugin's codec, so that the two
prove each other.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator.frame import Frame, Handshake, HttpRefusal
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.peer import Peer, Visitor
from ccrs_core.emulator.trading.desk import Desk
from ccrs_core.emulator.trading.orders import DeskOrder
from ccrs_core.emulator.venue import Venue
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import Exit


class Oddity(enum.StrEnum):
    """What exchanges do all the time that a client written from examples doesn't expect."""

    PRELAUNCH = "prelaunch"
    """An instrument is listed that doesn't trade yet."""
    DEAD = "dead"
    """An instrument is listed that doesn't trade any more: halted, settling, closed, expired."""
    UNREADABLE_ROW = "unreadable_row"
    """A list of instruments has a row that lacks what every instrument must have."""
    BLANK_FIELDS = "blank_fields"
    """Optional fields are blank, null or absent (``EmulatedExchange.blank``)."""
    DEEP_BOOK = "deep_book"
    """A book has a thousand levels a side, or more."""
    MANY_COINS = "many_coins"
    """There are options of three coins, or more."""
    NON_ASCII = "non_ascii"
    """A symbol has characters beyond ASCII."""
    HOLES = "holes"
    """Histories have holes where nothing was traded (``Listing.halts``)."""
    NEW_LISTING = "new_listing"
    """An instrument is listed while the exchange runs (``EmulatedExchange.relist``)."""
    SEVERAL_ROWS = "several_rows"
    """A frame that lists rows has several where it usually has one. The suite makes such frames
    itself."""
    STANDSTILL = "standstill"
    """Nothing changes for minutes, reference prices and the day's figures included, and streams
    with a cadence repeat themselves all the same (``EmulatedExchange.hold``)."""
    UNLISTED = "unlisted"
    """A subscription to a symbol that isn't listed is refused."""
    BUSY = "busy"
    """A subscription is refused for now, which is granted later (``Dialect.busy``)."""
    HALTED = "halted"
    """A listed instrument is told to be halted."""
    SETTLING = "settling"
    """A listed instrument is told to be settling."""
    CLOSED = "closed"
    """What trades no more is told to be over, or isn't listed."""
    ONE_SIDED = "one_sided"
    """There are no bids, or no asks (``EmulatedExchange.steer``)."""
    UNTRADED = "untraded"
    """Nothing has ever been traded: no last price (``SimulatedMarket.has``)."""
    NO_MARK_PRICE = "no_mark_price"
    NO_INDEX_PRICE = "no_index_price"
    NO_OPEN_INTEREST = "no_open_interest"
    NO_FUNDING_RATE = "no_funding_rate"
    NO_FUNDING_TIME = "no_funding_time"
    """When funding is next paid isn't known."""
    BLOCK_TRADE = "block_trade"
    """Trades that were negotiated off the book are told among the others (``TapeTrade.block``)."""
    RPI_TRADE = "rpi_trade"
    """A trade is told to be one of an order of retail price improvement (``TapeTrade.rpi``)."""


class Dialect(ABC):
    """An exchange's voice. One object serves one emulator."""

    name: ClassVar[str]
    announces_shutdown: ClassVar[bool] = False
    """Whether ``shutdown_notice`` ever has something to say."""
    lacks: ClassVar[Mapping[Oddity, str]] = {}
    """What this exchange never does, and how one knows. All else the suite asks the emulator to
    show, since what an emulator never says is proved by nothing."""
    account_kinds: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """The kinds of accounts that the exchange has, the usual one first: what each has set
    otherwise (``TradingAccount.settings``). The suite's random schedules try all of them."""
    venue: Venue
    desk: Desk | None = None
    """Where clients trade, made in ``attach``; None where they can't."""

    def attach(self, venue: Venue) -> None:
        """Called once, before anything else."""
        self.venue = venue

    def checked(self) -> Dialect:
        """This exchange, fresh, with checksums in its books: itself, unless it doesn't send those
        any more that recordings and the plugin still know."""
        return self

    @abstractmethod
    def listings(self, start_ns: int) -> Sequence[Listing]:
        """The instruments that the exchange lists at a time."""

    @abstractmethod
    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        """Accept or refuse a WebSocket."""

    @abstractmethod
    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        """Answer a REST request; unknown paths too."""

    def wallet(self, account: str, market: Market) -> str:
        """The desk's account that holds what an account has in a market, opened where it isn't
        there yet: itself, unless the exchange keeps money of some markets apart
        (``Trading.purses`` of the plugin)."""
        return account

    def exits(self, order: DeskOrder) -> tuple[Exit | None, Exit | None]:
        """The take-profit and the stop-loss that an order was placed with: the desk's, unless the
        dialect keeps them itself until the order is filled."""
        return order.asked.take_profit, order.asked.stop_loss

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        """What the exchange, or the network before it, says with an HTTP status such as 403, 429
        or 503. An exchange with error codes in the body may take those for ``status`` as well."""
        return HttpResponse(status, {"content-type": "text/plain"}, b"")

    def unclear(self, now_ns: int) -> HttpResponse | None:
        """The answer by which the exchange says that it doesn't know what came of a request, such
        as a timeout inside; None where it never says so."""
        return None

    def shutdown_notice(self, peer: Peer, now_ns: int) -> Frame | None:
        """The frame by which the exchange announces that it will end a connection, or None."""
        return None

    def busy(self, peer: Peer, request: str | bytes, now_ns: int) -> Frame | None:
        """The refusal of a client's request to subscribe (or unsubscribe) by which the exchange
        says that it would be granted later: asked too often, busy, restarting. None for other
        frames, and where there is none (then ``lacks`` says so: ``Oddity.BUSY``)."""
        return None

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        """The topic of a recorded frame and the exchange's time in it, nanoseconds UTC.

        None for frames that belong to no topic, such as acknowledgements.
        """
        return None
