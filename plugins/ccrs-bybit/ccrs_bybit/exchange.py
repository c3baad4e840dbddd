"""Bybit as the core sees it: capabilities, addresses, limits, routes.

https://bybit-exchange.github.io/docs/v5/intro
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ccrs_bybit import error_codes
from ccrs_bybit.account_calls import ACCOUNT_CALLS
from ccrs_bybit.budgets import pools_left
from ccrs_bybit.codec import INTERVALS, BybitCodec
from ccrs_bybit.entry_codec import EntryCodec
from ccrs_bybit.histories import HISTORIES, PERIODS
from ccrs_bybit.options import IN_TICKERS
from ccrs_bybit.order_calls import ORDER_CALLS
from ccrs_bybit.private_codec import PrivateCodec
from ccrs_bybit.rest import ENDPOINTS
from ccrs_bybit.signing import signed
from ccrs_bybit.symbols import EXCHANGE
from ccrs_bybit.trading import ACCOUNT_CHANNELS, ENTRY, PRIVATE, TRADING
from ccrs_core import (
    Access,
    Budget,
    Capabilities,
    Channel,
    Codec,
    Environment,
    Exchange,
    GetActivity,
    InstrumentStatus,
    Limits,
    Market,
    PoolLeft,
    Route,
    SequenceScope,
    Subscription,
    Trading,
)

if TYPE_CHECKING:
    from ccrs_core import CcrsError, Endpoint, HttpRequest, HttpResponse, Request
    from ccrs_core.emulator import Dialect

_SPOT = frozenset(
    {Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK, Channel.TICKER, Channel.CANDLES}
)
_OPTIONS = frozenset({Channel.TRADES, Channel.BOOK, *IN_TICKERS})
_DERIVATIVES = _SPOT | {
    Channel.FUNDING,
    Channel.MARK_PRICE,
    Channel.INDEX_PRICE,
    Channel.OPEN_INTEREST,
    Channel.LIQUIDATIONS,
}

# Bybit allows 21,000 characters of topics per connection, and leaves open whether the quotes and
# commas around them count. https://bybit-exchange.github.io/docs/v5/ws/connect
_TOPIC_CHARS = 18_000

ROUTES = {
    # Spot takes at most 10 topics in one request. Elsewhere there is no limit; but one bad topic
    # fails its whole request, so that requests stay moderate.
    Market.SPOT: Route(
        url="{public}/v5/public/spot",
        sequence_scope=SequenceScope.GLOBAL,
        topic_chars_per_connection=_TOPIC_CHARS,
        topics_per_request=10,
    ),
    Market.LINEAR: Route(
        url="{public}/v5/public/linear",
        sequence_scope=SequenceScope.GLOBAL,
        topic_chars_per_connection=_TOPIC_CHARS,
        topics_per_request=50,
    ),
    Market.INVERSE: Route(
        url="{public}/v5/public/inverse",
        sequence_scope=SequenceScope.GLOBAL,
        topic_chars_per_connection=_TOPIC_CHARS,
        topics_per_request=50,
    ),
    # Options' tickers carry no number by which copies could be told.
    Market.OPTION: Route(
        url="{public}/v5/public/option",
        sequence_scope=SequenceScope.CONNECTION,
        topics_per_connection=2000,
        topic_chars_per_connection=_TOPIC_CHARS,
        topics_per_request=50,
    ),
}

# How long a healthy stream may say nothing, in seconds. Level 1 repeats itself every 3 s. Mark
# prices move with an index made of several exchanges, and derivatives' tickers with them every
# 100 ms; options' carry greeks besides. Spot tickers change with trades and the 24-hour window.
# Candles come every 60 s at the latest. Trades and liquidations come when they happen, deeper
# books when orders do, and funding rates are reported on change: their silence proves nothing.
_SILENCE: Mapping[Channel, float] = {
    Channel.TOP_OF_BOOK: 10.0,
    Channel.TICKER: 60.0,
    Channel.MARK_PRICE: 60.0,
    Channel.GREEKS: 60.0,
    Channel.INDEX_PRICE: 60.0,
    Channel.CANDLES: 120.0,
}
_QUIET_TICKER = 120.0

# Push frequencies, in seconds. https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
_BOOK_INTERVALS: Mapping[int, float] = {25: 0.02, 50: 0.02, 100: 0.1, 200: 0.1, 1000: 0.2}
_INTERVALS: Mapping[Channel, float] = {Channel.TOP_OF_BOOK: 0.01, Channel.TRADES: 0.0}

_TICKERS_OF_OPTIONS = 0.1


def _environment(rest: str, stream: str) -> Environment:
    streams = f"wss://{stream}"
    addresses = {"rest": f"https://{rest}", "public": streams, "private": streams, "trade": streams}
    return Environment(addresses=addresses)


class Bybit(Exchange):
    """Bybit v5: spot, linear and inverse contracts, options; market data and trading."""

    name: ClassVar[str] = EXCHANGE
    contract: ClassVar[int] = 2
    title: ClassVar[str] = "Bybit"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels={
            Market.SPOT: _SPOT,
            Market.LINEAR: _DERIVATIVES,
            Market.INVERSE: _DERIVATIVES,
            Market.OPTION: _OPTIONS,
        },
        book_depths={
            Market.SPOT: (50, 200, 1000),
            Market.LINEAR: (50, 200, 1000),
            Market.INVERSE: (50, 200, 1000),
            Market.OPTION: (25, 100),
        },
        # https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook-rpi
        rpi_book_depths=dict.fromkeys((Market.SPOT, Market.LINEAR, Market.INVERSE), (50,)),
        intervals=tuple(INTERVALS),
        open_interest_intervals=tuple(PERIODS),
        account_channels=ACCOUNT_CHANNELS,
    )
    # Each country's customers have hosts of their own, and keys that count only there.
    # https://bybit-exchange.github.io/docs/v5/guide, https://bybit-exchange.github.io/docs/v5/demo
    environments: ClassVar[Mapping[str, Environment]] = {
        "mainnet": _environment("api.bybit.com", "stream.bybit.com"),
        # The same exchange under another name, for networks that don't reach the first.
        "bytick": _environment("api.bytick.com", "stream.bybit.com"),
        "testnet": _environment("api-testnet.bybit.com", "stream-testnet.bybit.com"),
        # Demo accounts trade at mainnet's prices: its public streams are mainnet's, and there is
        # no order entry over WebSocket.
        "demo": Environment(
            addresses={
                "rest": "https://api-demo.bybit.com",
                "public": "wss://stream.bybit.com",
                "private": "wss://stream-demo.bybit.com",
            }
        ),
        "ae": _environment("api.bybit.ae", "stream.bybit.ae"),
        "ge": _environment("api.bybitgeorgia.ge", "stream.bybitgeorgia.ge"),
        "hk": _environment("api.spark-fintech.com", "stream.spark-fintech.com"),
        "id": _environment("api.bybit.id", "stream.bybit.id"),
        "jp": _environment("api.manepa.jp", "stream.manepa.jp"),
        "kz": _environment("api.bybit.kz", "stream.bybit.kz"),
        "nl": _environment("api.bybit.nl", "stream.bybit.nl"),
    }
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **ENDPOINTS,
        **HISTORIES,
        **ORDER_CALLS,
        **ACCOUNT_CALLS,
    }
    trading: ClassVar[Trading | None] = TRADING
    # Both limits are per IP address, which other programs may share. Exceeding the one on requests
    # (600 in 5 s) bans the address for ten minutes, so that a sixth of it is left to them.
    # https://bybit-exchange.github.io/docs/v5/rate-limit
    limits: ClassVar[Limits] = Limits(
        connects=Budget(amount=500, seconds=300.0), requests=Budget(amount=500, seconds=5.0)
    )

    def route(self, subscription: Subscription) -> Route:
        if subscription.account is not None:
            return PRIVATE
        return ROUTES[subscription.instrument.market]

    def entry_route(self, market: Market) -> Route:
        return ENTRY

    def codec(self, route: Route) -> Codec:
        if route == ENTRY:
            return EntryCodec()
        return PrivateCodec() if route.private else BybitCodec()

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        """Headers as of https://bybit-exchange.github.io/docs/v5/guide#authentication."""
        return signed(request, access)

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return error_codes.error_of(response)

    def pools_left(self, request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
        return pools_left(headers)

    def push_interval(self, subscription: Subscription) -> float | None:
        if subscription.channel is Channel.BOOK:
            return 0.1 if subscription.rpi else _BOOK_INTERVALS.get(subscription.depth or 0)
        if subscription.account is not None:
            return 0.0
        if subscription.instrument.market is Market.OPTION and subscription.channel in IN_TICKERS:
            return _TICKERS_OF_OPTIONS
        return _INTERVALS.get(subscription.channel)

    def max_silence(self, subscription: Subscription) -> float | None:
        if subscription.account is not None:
            return None  # an account in which nothing happens is silent
        channel, instrument = subscription.channel, subscription.instrument
        if instrument.status is not InstrumentStatus.TRADING:
            # Before continuous trading, and after the last trade, streams are silent.
            return None
        silence = _SILENCE.get(channel)
        if instrument.market is Market.OPTION or (
            instrument.market is Market.SPOT and channel is Channel.TICKER
        ):
            return None if silence is None else _QUIET_TICKER
        return silence

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        found = super().activity(subscription)
        if subscription.instrument.market is Market.OPTION and isinstance(found, GetActivity):
            # Tickers of options are answered by coin.
            return attrs.evolve(found, part=subscription.instrument.base)
        return found

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        from ccrs_bybit.foreign import subscriptions_in

        return subscriptions_in(frames, market)

    def dialect(self) -> Dialect:
        from ccrs_bybit.emulator import BybitDialect

        return BybitDialect()
