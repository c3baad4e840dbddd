"""Binance as the core sees it: capabilities, addresses, limits, routes.

https://developers.binance.com/docs/binance-spot-api-docs,
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info and
https://developers.binance.com/docs/derivatives/coin-margined-futures/general-info
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ccrs_binance import error_codes
from ccrs_binance.account_calls import ACCOUNT_CALLS
from ccrs_binance.algos import waits
from ccrs_binance.budgets import left
from ccrs_binance.channels import BOOK_INTERVAL, PARTIAL_DEPTHS
from ccrs_binance.codec import FULL_DEPTH, INTERVALS, BinanceCodec
from ccrs_binance.fundings import FUNDINGS
from ccrs_binance.histories import HISTORIES, PERIODS
from ccrs_binance.linked_calls import LINKED_CALLS
from ccrs_binance.order_calls import ORDER_CALLS
from ccrs_binance.rest import ENDPOINTS, PATHS, most_levels
from ccrs_binance.signing import signed
from ccrs_binance.symbols import EXCHANGE
from ccrs_binance.trading import CHANNELS, CODECS, ENTRIES, TRADING, token, user_route
from ccrs_core import (
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
)

if TYPE_CHECKING:
    from ccrs_core import (
        Access,
        CcrsError,
        Endpoint,
        HttpRequest,
        HttpResponse,
        PoolLeft,
        Request,
        Token,
        Trading,
    )
    from ccrs_core.emulator import Dialect

_SPOT = frozenset(
    {Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK, Channel.TICKER, Channel.CANDLES}
)
_FUTURES = _SPOT | {
    Channel.FUNDING,
    Channel.MARK_PRICE,
    Channel.INDEX_PRICE,
    Channel.LIQUIDATIONS,
}

_DAY = 24 * 3600.0


def _route(
    url: str, messages: int, topics: int, name: str = "", alternatives: tuple[str, ...] = ()
) -> Route:
    return Route(
        url=url,
        name=name,
        alternatives=alternatives,
        sequence_scope=SequenceScope.GLOBAL,
        topics_per_connection=topics,
        topics_per_request=100,
        messages=Budget(amount=messages, seconds=1.0),
        max_age=_DAY,
    )


# Spot takes 5 messages a second and 1,024 streams, futures 10 messages; pings and pongs count, so
# that room is left for them. Futures once took 200 streams, which all versions of the documents
# allow. https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
SPOT_ROUTE = _route("{stream}/stream", 3, 1000)
# What was served at one path until 2026-04-23 has two since, of quotes and of the rest; at the old
# one much is acknowledged and never sent.
# https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
_OLD = ("{stream_usdm}/stream",)
PUBLIC_ROUTE = _route("{stream_usdm}/public/stream", 7, 200, alternatives=_OLD)
MARKET_ROUTE = _route("{stream_usdm}/market/stream", 7, 200, alternatives=_OLD)
# Whether COIN-M has gone the same way is contested: its documents say no, and authors of programs
# have seen streams acknowledged and silent until they asked for them at the new paths.
# https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams/Connect
# https://github.com/Tucsky/aggr/pull/444
_COINM = "{stream_coinm}/stream"
COINM_PUBLIC = _route(_COINM, 7, 200, "public", ("{stream_coinm}/public/stream",))
COINM_MARKET = _route(_COINM, 7, 200, "market", ("{stream_coinm}/market/stream",))

_KINDS = ("", "_usdm", "_coinm")


def _environment(*hosts: tuple[str, str] | tuple[str, str, str]) -> Environment:
    """Hosts of requests, of streams and, where there is one, of the WebSocket API: of spot, and of
    both kinds of futures where there are."""
    addresses: dict[str, str] = {}
    for kind, (rest, stream, *api) in zip(_KINDS, hosts, strict=False):
        addresses |= {f"rest{kind}": f"https://{rest}", f"stream{kind}": f"wss://{stream}"}
        addresses |= {f"ws_api{kind}": f"wss://{host}" for host in api}
    return Environment(addresses=addresses)


_ADDRESSES = {"/fapi/": "rest_usdm", "/dapi/": "rest_coinm"}
_PUBLIC = frozenset({Channel.TOP_OF_BOOK, Channel.BOOK})

# How long a healthy stream may say nothing, in seconds. Mark prices come every second and tickers
# of markets that trade too. Everything else comes when something happens, or may be illiquid.
_SILENCE: Mapping[Channel, float] = {
    Channel.MARK_PRICE: 15.0,
    Channel.INDEX_PRICE: 15.0,
    Channel.FUNDING: 15.0,
}
# The speeds of the streams that are subscribed to, in seconds; futures' trades are aggregated.
# https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
# https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
_INTERVALS: Mapping[Channel, float] = {
    Channel.TOP_OF_BOOK: 0.0,
    Channel.MARK_PRICE: 1.0,
    Channel.INDEX_PRICE: 1.0,
    Channel.FUNDING: 1.0,
}


class Binance(Exchange):
    """Binance: spot, USD-M and COIN-M futures: market data, orders and accounts."""

    name: ClassVar[str] = EXCHANGE
    contract: ClassVar[int] = 2
    title: ClassVar[str] = "Binance"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels={Market.SPOT: _SPOT, Market.LINEAR: _FUTURES, Market.INVERSE: _FUTURES},
        book_depths=dict.fromkeys(PATHS, (*PARTIAL_DEPTHS, FULL_DEPTH)),
        rpi_book_depths={Market.LINEAR: (FULL_DEPTH,)},
        intervals=tuple(INTERVALS),
        open_interest_intervals=PERIODS,
        # Spot has no such stream.
        instrument_news=frozenset({Market.LINEAR, Market.INVERSE}),
        account_channels=frozenset().union(*CHANNELS.values()),
    )
    environments: ClassVar[Mapping[str, Environment]] = {
        "mainnet": _environment(
            ("api.binance.com", "stream.binance.com:9443", "ws-api.binance.com:443"),
            ("fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com"),
            ("dapi.binance.com", "dstream.binance.com", "ws-dapi.binance.com"),
        ),
        # The same, of spot, for who wants no more than market data, and from where the others are
        # out of reach. https://developers.binance.com/docs/binance-spot-api-docs/faqs/market_data_only
        "data": _environment(("data-api.binance.vision", "data-stream.binance.vision")),
        "testnet": _environment(
            (
                *("testnet.binance.vision", "stream.testnet.binance.vision"),
                "ws-api.testnet.binance.vision",
            ),
            (
                *("testnet.binancefuture.com", "fstream.binancefuture.com"),
                "testnet.binancefuture.com",
            ),
            (
                *("testnet.binancefuture.com", "dstream.binancefuture.com"),
                "testnet.binancefuture.com",
            ),
        ),
        # Mainnet's prices, with money of its own.
        # https://developers.binance.com/docs/binance-spot-api-docs/demo-mode/general-info
        "demo": _environment(
            ("demo-api.binance.com", "demo-stream.binance.com", "demo-ws-api.binance.com"),
            ("demo-fapi.binance.com", "demo-fstream.binance.com"),
            ("demo-dapi.binance.com", "demo-dstream.binance.com"),
        ),
        # Another exchange, of spot, that speaks alike. https://docs.binance.us
        "us": _environment(("api.binance.us", "stream.binance.us:9443")),
    }
    # All have paths in common.
    base_url_paths: ClassVar[Mapping[str, str]] = {
        "stream_usdm": "/fstream",
        "stream_coinm": "/dstream",
    }
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **ENDPOINTS,
        **HISTORIES,
        **FUNDINGS,
        **ORDER_CALLS,
        **LINKED_CALLS,
        **ACCOUNT_CALLS,
    }
    trading: ClassVar[Trading | None] = TRADING
    # Per IP address, which other programs may share: 300 connections in 5 minutes, and weights of
    # 6,000 (spot) and 2,400 (both kinds of futures together) a minute, of which a part is left to
    # them. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
    limits: ClassVar[Limits] = Limits(
        connects=Budget(amount=250, seconds=300.0), requests=Budget(amount=5000, seconds=60.0)
    )

    def route(self, subscription: Subscription) -> Route:
        if subscription.account is not None:
            return user_route(subscription.channel, subscription.market or Market.SPOT)
        if subscription.instrument.market is Market.SPOT:
            return SPOT_ROUTE
        public = subscription.channel in _PUBLIC
        if subscription.instrument.market is Market.INVERSE:
            return COINM_PUBLIC if public else COINM_MARKET
        return PUBLIC_ROUTE if public else MARKET_ROUTE

    def codec(self, route: Route) -> Codec:
        return CODECS[route]() if route.private else BinanceCodec()

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        return signed(request, access)

    def token(self, route: Route, held: str = "") -> Request[Token] | None:
        return token(route, held)

    def entry_route(self, market: Market) -> Route | None:
        return ENTRIES.get(market)

    def enters(self, request: Request[Any]) -> bool:
        """COIN-M's socket has no service for orders that wait."""
        return request.market is not Market.INVERSE or not waits(request)

    def pools_left(self, request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
        return left(request, headers)

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return error_codes.error_of(response)

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        if subscription.channel is not Channel.BOOK or subscription.depth in PARTIAL_DEPTHS:
            return None
        return GetBook(subscription.instrument, FULL_DEPTH, subscription.rpi)

    def wider_snapshot(self, subscription: Subscription) -> GetBook | None:
        # The deepest there is, of spot at five times the weight: a lively market leaves 1,000
        # levels within minutes, and few markets are so lively.
        if self.book_snapshot(subscription) is None or subscription.rpi:
            return None
        return GetBook(subscription.instrument, most_levels(subscription.instrument))

    def book_depth(self, subscription: Subscription) -> int | None:
        return subscription.depth if subscription.depth in PARTIAL_DEPTHS else None

    def push_interval(self, subscription: Subscription) -> float | None:
        if subscription.account is not None:
            return 0.0
        if subscription.channel is Channel.BOOK:
            return 0.5 if subscription.rpi else BOOK_INTERVAL
        if subscription.channel is Channel.TRADES:
            return 0.0 if subscription.instrument.market is Market.SPOT else 0.1
        return _INTERVALS.get(subscription.channel)

    def rest_address(self, request: HttpRequest) -> str:
        if request.path.startswith("/futures/"):
            # Both kinds of futures have it at hosts of their own; COIN-M tells it by pair.
            pair = any(name == "pair" for name, _ in request.query)
            return "rest_coinm" if pair else "rest_usdm"
        return _ADDRESSES.get(request.path[:6], "rest")

    def rest_pool(self, address: str) -> str:
        # https://developers.binance.com/docs/derivatives/coin-margined-futures (since 2026-06-30)
        return "rest_usdm" if address == "rest_coinm" else address

    def rest_budget(self, address: str) -> Budget:
        return Budget(amount=2000, seconds=60.0) if address == "rest_usdm" else self.limits.requests

    def weight_used(self, response: HttpResponse) -> int | None:
        # What futures say with their best prices isn't accurate.
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Symbol-Order-Book-Ticker
        if b'"bidPrice"' in response.body[:200]:
            return None
        used = response.headers.get("x-mbx-used-weight-1m", "")
        return int(used) if used.isascii() and used.isdigit() and len(used) < 10 else None

    def max_silence(self, subscription: Subscription) -> float | None:
        if subscription.account is not None:
            return None  # an account in which nothing happens is silent
        if subscription.instrument.status is not InstrumentStatus.TRADING:
            return None
        return _SILENCE.get(subscription.channel)

    def consecutive(self, subscription: Subscription) -> bool:
        """Trades of spot symbols, and aggregate trades of contracts, are numbered one by one.
        https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
        """
        return subscription.channel is Channel.TRADES

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        from ccrs_binance.foreign import subscriptions_in

        return subscriptions_in(frames, market)

    def dialect(self) -> Dialect:
        from ccrs_binance.emulator import BinanceDialect

        return BinanceDialect()
