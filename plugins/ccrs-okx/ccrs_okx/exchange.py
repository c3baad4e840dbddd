"""OKX as the core sees it: capabilities, addresses, limits, routes.

https://www.okx.com/docs-v5/en/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ccrs_core import (
    Access,
    Budget,
    Capabilities,
    Channel,
    Codec,
    Environment,
    Exchange,
    GetBook,
    InstrumentStatus,
    Limits,
    Market,
    Route,
    SequenceScope,
    Subscription,
    Trading,
)
from ccrs_okx import error_codes
from ccrs_okx.account_calls import ACCOUNT_CALLS
from ccrs_okx.codec import INTERVALS, OkxCodec
from ccrs_okx.entry_codec import EntryCodec, enters
from ccrs_okx.histories import HISTORIES, PERIODS
from ccrs_okx.order_calls import ORDER_CALLS
from ccrs_okx.private_codec import PrivateCodec
from ccrs_okx.rest import ENDPOINTS, activity
from ccrs_okx.signing import signed
from ccrs_okx.sizes import contract_of, crc32
from ccrs_okx.symbols import EXCHANGE, instrument_type
from ccrs_okx.trading import ACCOUNT_CHANNELS, ENTRY, PRIVATE, TRADING, WAITING

if TYPE_CHECKING:
    from ccrs_core import (
        CcrsError,
        Checksum,
        Endpoint,
        HttpRequest,
        HttpResponse,
        OrderBook,
        Request,
    )
    from ccrs_core.emulator import Dialect

FULL_DEPTH = 400

_SPOT = frozenset(
    {Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK, Channel.TICKER, Channel.CANDLES}
)
_MARKED = _SPOT | {Channel.MARK_PRICE, Channel.OPEN_INTEREST}
_OPTIONS = _MARKED | {Channel.GREEKS}
_DERIVATIVES = _MARKED | {Channel.INDEX_PRICE, Channel.FUNDING, Channel.LIQUIDATIONS}
_DEPTHS = (5, FULL_DEPTH)

# 480 requests to subscribe, unsubscribe or log in per hour and connection; heartbeats, which OKX
# doesn't count, are in the budget. All arguments of a request may take 64 KB, of which a hundred
# take a tenth. https://www.okx.com/docs-v5/en/#overview-websocket-connect
_MESSAGES = Budget(amount=480, seconds=3600.0)


def _route(url: str, name: str = "", topics: int | None = None) -> Route:
    return Route(
        url=url,
        name=name,
        sequence_scope=SequenceScope.GLOBAL,
        topics_per_connection=topics,
        topics_per_request=100,
        messages=_MESSAGES,
    )


def _environment(rest: str, stream: str, *, demo: bool = False) -> Environment:
    streams = f"wss://{stream}.okx.com"
    return Environment(
        addresses={
            "rest": f"https://{rest}.okx.com",
            "public": streams,
            "business": streams,
            "private": streams,
        },
        # https://www.okx.com/docs-v5/en/#overview-demo-trading-services
        headers={"x-simulated-trading": "1"} if demo else {},
    )


PUBLIC = _route("{public}/ws/v5/public")
BUSINESS = _route("{business}/ws/v5/business")
# OKX asks for less than 30 channels of deep books on one connection.
# https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
BOOKS = _route("{public}/ws/v5/public", "books", 29)
# Liquidations come for a whole type of instruments. So that any number of them share one stream,
# and nothing else shares its requests, each type has a connection of its own.
LIQUIDATIONS = {
    kind: _route("{public}/ws/v5/public", f"liquidations {kind}") for kind in ("SWAP", "FUTURES")
}

# Lists are long: what comes on time isn't to wait for them.
INSTRUMENTS = _route("{public}/ws/v5/public", "instruments")

_BUSINESS = frozenset({Channel.TRADES, Channel.CANDLES})

# How long a healthy stream may say nothing, in seconds. A book without change is repeated about
# every 60 s, mark prices come every 10 s at the latest, index prices every 60 s, funding rates
# every 30 to 90 s. Everything else comes when something happens.
_SILENCE: Mapping[Channel, float] = {
    Channel.MARK_PRICE: 40.0,
    Channel.INDEX_PRICE: 150.0,
    Channel.FUNDING: 240.0,
}
_BOOK_SILENCE = 150.0

# Push frequencies, in seconds: of the best prices 10 ms, of both depths of books 100 ms.
# https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
_INTERVALS: Mapping[Channel, float] = {
    Channel.INDEX_PRICE: 0.1,
    Channel.OPEN_INTEREST: 3.0,
    Channel.TOP_OF_BOOK: 0.01,
    Channel.BOOK: 0.1,
    Channel.TRADES: 0.0,
}


class Okx(Exchange):
    """OKX v5: public market data of spot, perpetual and dated contracts, linear and inverse, and of
    options."""

    name: ClassVar[str] = EXCHANGE
    contract: ClassVar[int] = 2
    title: ClassVar[str] = "OKX"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels={
            Market.SPOT: _SPOT,
            Market.LINEAR: _DERIVATIVES,
            Market.INVERSE: _DERIVATIVES,
            Market.OPTION: _OPTIONS,
        },
        book_depths=dict.fromkeys(Market, _DEPTHS),
        # https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
        rpi_book_depths=dict.fromkeys((Market.SPOT, Market.LINEAR, Market.INVERSE), (FULL_DEPTH,)),
        intervals=tuple(INTERVALS),
        open_interest_intervals=PERIODS,
        instrument_news=frozenset(Market),
        account_channels=ACCOUNT_CHANNELS,
    )
    trading: ClassVar[Trading | None] = TRADING
    # Port 8443 of the streams, which OKX's documents still print, was closed on 2026-10-31.
    # https://www.okx.com/docs-v5/en/#overview-production-trading-services
    environments: ClassVar[Mapping[str, Environment]] = {
        "mainnet": _environment("openapi", "ws"),
        "demo": _environment("openapi", "wspap", demo=True),
        "eea": _environment("eea", "wseea"),
        "eea-demo": _environment("eea", "wseeapap", demo=True),
        "us": _environment("us", "wsus"),
        "us-demo": _environment("us", "wsuspap", demo=True),
    }
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **ENDPOINTS,
        **HISTORIES,
        **ORDER_CALLS,
        **ACCOUNT_CALLS,
    }
    # Per IP address: three connections a second, and of requests so many of each kind in 2 s, which
    # their weights tell. https://www.okx.com/docs-v5/en/#overview-rate-limits
    limits: ClassVar[Limits] = Limits(
        connects=Budget(amount=3, seconds=1.0), requests=Budget(amount=40, seconds=2.0)
    )

    def route(self, subscription: Subscription) -> Route:
        channel = subscription.channel
        if subscription.account is not None:
            return WAITING if channel is Channel.WAITING_ORDERS else PRIVATE
        if channel is Channel.INSTRUMENTS:
            return INSTRUMENTS
        if channel is Channel.LIQUIDATIONS:
            return LIQUIDATIONS[instrument_type(subscription.instrument)]
        if channel is Channel.BOOK and subscription.depth != 5:
            return BOOKS
        return BUSINESS if channel in _BUSINESS else PUBLIC

    def entry_route(self, market: Market) -> Route:
        return ENTRY

    def enters(self, request: Request[Any]) -> bool:
        return enters(request)

    def codec(self, route: Route) -> Codec:
        if route == ENTRY:
            return EntryCodec()
        return PrivateCodec() if route.private else OkxCodec()

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        """https://www.okx.com/docs-v5/en/#overview-rest-authentication-signature"""
        return signed(request, access)

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return error_codes.error_of(response)

    def checksum(self, subscription: Subscription) -> Checksum | None:
        """Of the books of 400 levels, as OKX sent it until 2026-06-23; the codec leaves out the
        zeros that it has sent since."""
        if subscription.depth == 5 or subscription.rpi:
            return None
        contract = contract_of(subscription.instrument)

        def checksum(book: OrderBook) -> int:
            return crc32(book, contract)

        return checksum

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        """Of the books of 400 levels: their stream begins with a snapshot, which OKX has announced
        to leave out; REST numbers the book as the stream does."""
        if subscription.depth != FULL_DEPTH or subscription.rpi:
            return None
        return GetBook(subscription.instrument, FULL_DEPTH)

    def push_interval(self, subscription: Subscription) -> float | None:
        if subscription.account is not None:
            return 0.0
        return _INTERVALS.get(subscription.channel)

    def max_silence(self, subscription: Subscription) -> float | None:
        if subscription.account is not None:
            return None  # an account in which nothing happens is silent
        if subscription.instrument.status is not InstrumentStatus.TRADING:
            return None
        if subscription.channel is Channel.BOOK and subscription.depth == FULL_DEPTH:
            # Whether those with retail price improvement repeat themselves isn't said.
            return None if subscription.rpi else _BOOK_SILENCE
        return _SILENCE.get(subscription.channel)

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        match subscription.channel:
            case Channel.TRADES | Channel.CANDLES | Channel.TICKER:
                return activity(subscription, Channel.TRADES)
            case Channel.BOOK | Channel.TOP_OF_BOOK:
                return activity(subscription, Channel.BOOK)
            case Channel.LIQUIDATIONS:
                return activity(subscription, Channel.LIQUIDATIONS)
            case _:
                return None

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        from ccrs_okx.foreign import subscriptions_in

        return subscriptions_in(frames, market)

    def dialect(self) -> Dialect:
        from ccrs_okx.emulator import OkxDialect

        return OkxDialect()
