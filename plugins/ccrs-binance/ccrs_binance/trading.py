"""What Binance offers of trading, and what may be relied on.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_binance.account_calls import LONGEST_PROTECTION, SHORTEST_PROTECTION, GetListenKey
from ccrs_binance.account_rows import PURSES
from ccrs_binance.entry_codec import BY_SOCKET, EntryCodec
from ccrs_binance.order_calls import LONGEST_BATCH
from ccrs_binance.private_codec import (
    COINM_CHANNELS,
    SPOT_CHANNELS,
    USDM_CHANNELS,
    CoinTwinCodec,
    CoinUserCodec,
    FuturesUserCodec,
    SpotUserCodec,
)
from ccrs_binance.rest import FUTURES
from ccrs_binance.signing import RECEIVE_WINDOW_MS
from ccrs_core import (
    Absence,
    Budget,
    Channel,
    ClientIds,
    Codec,
    DeadMan,
    DeadManKind,
    DeadManScope,
    EndReason,
    Feature,
    GetFills,
    GetOrderHistory,
    Market,
    PlaceOrders,
    Request,
    Route,
    Token,
    Trading,
)

_ALL = {
    *(Feature.MARKET_ORDERS, Feature.POST_ONLY, Feature.IOC, Feature.FOK, Feature.TRIGGER_LAST),
    *(Feature.SELF_TRADE_NONE, Feature.SELF_TRADE_MAKER, Feature.SELF_TRADE_TAKER),
    Feature.SELF_TRADE_BOTH,
}
_SPOT = {
    *(*_ALL, Feature.QUOTE_SIZE_BUY, Feature.QUOTE_SIZE_SELL, Feature.TAKE_PROFIT),
    *(Feature.AMEND_SMALLER, Feature.TRAILING_SHARE, Feature.TRAILING_LIMIT),
}
_FUTURES = {
    *(*_ALL, Feature.TRIGGER_MARK, Feature.REDUCE_ONLY, Feature.HEDGE, Feature.AMEND),
    Feature.TRAILING_SHARE,
}

CHANNELS: Mapping[Market, frozenset[Channel]] = {
    Market.SPOT: frozenset(SPOT_CHANNELS),
    Market.LINEAR: frozenset(USDM_CHANNELS) | {Channel.EARLY_FILLS},
    Market.INVERSE: frozenset(COINM_CHANNELS),
}
"""What each market's streams tell of an account."""

UNTOLD = frozenset(
    {EndReason.BY_USER, EndReason.DEAD_MAN, EndReason.EXCHANGE, EndReason.DELEVERAGING}
)
"""Who canceled an order isn't said.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Order-Update
"""
UNTOLD_IN_LISTS = frozenset(
    {
        *(EndReason.POST_ONLY, EndReason.REDUCE_ONLY, EndReason.TRIGGER, EndReason.LIQUIDATION),
        *(EndReason.SETTLEMENT, EndReason.BALANCE),
    }
)
"""Rows of lists have a state, and no word why.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Query-Order
"""

TRADING = Trading(
    features={
        Market.SPOT: frozenset(_SPOT),
        Market.LINEAR: frozenset(_FUTURES),
        Market.INVERSE: frozenset(_FUTURES),
    },
    # Grammars differ in what else they allow. An id may be used again once its order has ended.
    client_ids=ClientIds(longest=36, separator="-", for_ever=False),
    # Nothing is taken after its window, but by when lists show what was taken Binance doesn't say.
    absence=Absence(proved_after=None),
    receive_window=RECEIVE_WINDOW_MS / 1000,
    batch=LONGEST_BATCH,
    alone=frozenset({PlaceOrders}),
    by_socket=BY_SOCKET,
    cancels_both=frozenset({Market.SPOT}),
    purses=PURSES,
    streams=CHANNELS,
    by_symbol=frozenset({GetFills, GetOrderHistory}),
    waiting_unlisted=FUTURES,
    untold=UNTOLD,
    untold_in_lists=UNTOLD_IN_LISTS,
    dead_man=DeadMan(
        kind=DeadManKind.TIMER,
        scope=DeadManScope.INSTRUMENT,
        markets=FUTURES,
        shortest=SHORTEST_PROTECTION,
        longest=LONGEST_PROTECTION,
        covers="all open orders of a symbol of futures, whoever placed them",
        spares="positions, orders that wait for a trigger in a service of their own, and spot",
    ),
)

_DAY = 24 * 3600.0
_SPOT_MESSAGES = Budget(amount=3, seconds=1.0)
_FUTURES_MESSAGES = Budget(amount=7, seconds=1.0)


def _private(url: str, name: str, messages: Budget | None = None) -> Route:
    return Route(url=url, name=name, private=True, messages=messages, max_age=_DAY)


# https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/general-api-information
SPOT_USER = _private("{ws_api}/ws-api/v3", "user", _SPOT_MESSAGES)
# How many messages come in a second is limited of streams alone: orders have limits of their own.
SPOT_ENTRY = _private("{ws_api}/ws-api/v3", "orders")
# https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Important-WebSocket-Change-Notice
USDM_USER = _private("{stream_usdm}/private/ws?listenKey={token}", "user", _FUTURES_MESSAGES)
USDM_ENTRY = _private("{ws_api_usdm}/ws-fapi/v1", "orders")
# Where COIN-M's is is contested: its documents say the one, programs have found it at the other.
# https://developers.binance.com/docs/derivatives/coin-margined-futures/user-data-streams/Connect
# https://github.com/roq-trading/roq-binance-futures
COINM_USER = _private("{stream_coinm}/ws/{token}", "user", _FUTURES_MESSAGES)
COINM_TWIN = _private("{stream_coinm}/private/ws?listenKey={token}", "user", _FUTURES_MESSAGES)
COINM_ENTRY = _private("{ws_api_coinm}/ws-dapi/v1", "orders")

CODECS: Mapping[Route, type[Codec]] = {
    SPOT_USER: SpotUserCodec,
    USDM_USER: FuturesUserCodec,
    COINM_USER: CoinUserCodec,
    COINM_TWIN: CoinTwinCodec,
    SPOT_ENTRY: EntryCodec,
    USDM_ENTRY: EntryCodec,
    COINM_ENTRY: EntryCodec,
}
"""What is spoken on private routes."""

ENTRIES: Mapping[Market, Route] = {
    Market.SPOT: SPOT_ENTRY,
    Market.LINEAR: USDM_ENTRY,
    Market.INVERSE: COINM_ENTRY,
}

_KEYED = {
    USDM_USER: Market.LINEAR,
    COINM_USER: Market.INVERSE,
    COINM_TWIN: Market.INVERSE,
}


def user_route(channel: Channel, market: Market) -> Route:
    """The connection that tells a channel of an account, of one market."""
    if market is Market.SPOT:
        return SPOT_USER
    if market is Market.LINEAR:
        return USDM_USER
    return COINM_TWIN if channel in CoinTwinCodec.channels else COINM_USER


def token(route: Route, held: str = "") -> Request[Token] | None:
    """The question for the listen key that connections of a route show; None where they show
    none."""
    market = _KEYED.get(route)
    return None if market is None else GetListenKey(market, held)
