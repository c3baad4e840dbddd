"""What Bybit offers of trading, and what may be relied on.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from ccrs_bybit.account_calls import LONGEST_PROTECTION, SHORTEST_PROTECTION
from ccrs_bybit.entry_codec import BY_SOCKET
from ccrs_bybit.orders import LONGEST_BATCH
from ccrs_bybit.signing import RECEIVE_WINDOW_MS
from ccrs_core import (
    Absence,
    AmendOrders,
    Channel,
    ClientIds,
    DeadMan,
    DeadManKind,
    Feature,
    Market,
    Route,
    Trading,
)

_ALL = {
    *(Feature.MARKET_ORDERS, Feature.POST_ONLY, Feature.IOC, Feature.FOK, Feature.AMEND),
    *(Feature.SELF_TRADE_NONE, Feature.SELF_TRADE_MAKER, Feature.SELF_TRADE_TAKER),
    *(Feature.SELF_TRADE_BOTH, Feature.TAKE_PROFIT),
}
_CONTRACTS = {
    *_ALL,
    *(Feature.REDUCE_ONLY, Feature.AMEND_CONDITIONAL),
    *(Feature.TRIGGER_LAST, Feature.TRIGGER_MARK, Feature.TRIGGER_INDEX),
}
_SPOT = {
    *_ALL,
    *(Feature.QUOTE_SIZE_BUY, Feature.QUOTE_SIZE_SELL),
    *(Feature.TRIGGER_LAST, Feature.AMEND_CONDITIONAL),
}

TRADING = Trading(
    features={
        Market.SPOT: frozenset(_SPOT),
        # Two positions of one instrument: of perpetuals that are settled in USDT.
        # https://bybit-exchange.github.io/docs/v5/position/position-mode
        Market.LINEAR: frozenset({*_CONTRACTS, Feature.HEDGE}),
        Market.INVERSE: frozenset(_CONTRACTS),
        Market.OPTION: frozenset({*_ALL, Feature.REDUCE_ONLY, Feature.VOLATILITY}),
    },
    # "Always unique": for how long isn't said, so that none is used again.
    client_ids=ClientIds(
        longest=36,
        letters="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        separator="-",
        for_ever=True,
    ),
    # No bound is documented within which an order is refused or seen.
    absence=Absence(proved_after=None),
    receive_window=RECEIVE_WINDOW_MS / 1000,
    batch=LONGEST_BATCH,
    # https://bybit-exchange.github.io/docs/v5/order/batch-amend
    alone=frozenset({AmendOrders}),
    by_socket=BY_SOCKET,
    cancels_both=frozenset({Market.LINEAR, Market.INVERSE, Market.OPTION}),
    # https://bybit-exchange.github.io/docs/v5/order/open-order
    settles={Market.LINEAR: ("USDT", "USDC")},
    dead_man=DeadMan(
        kind=DeadManKind.CONNECTION,
        markets=frozenset(Market),
        shortest=float(SHORTEST_PROTECTION),
        longest=float(LONGEST_PROTECTION),
        covers=(
            "all open orders of the product, whoever placed them: spot, options, or both linear "
            "and inverse contracts"
        ),
        spares=(
            "positions, and orders of other products. Nothing is canceled while any connection of "
            "the account that takes part is alive, another program's included. Bybit switches it "
            "on for institutions alone"
        ),
        takes_effect_after=10.0,
    ),
)

ACCOUNT_CHANNELS = frozenset(
    {
        *(Channel.ORDERS, Channel.FILLS, Channel.EARLY_FILLS, Channel.POSITIONS),
        *(Channel.BALANCES, Channel.DEAD_MAN),
    }
)
"""Funding comes among the fills."""

PRIVATE = Route(url="{private}/v5/private", private=True, topics_per_request=10)
ENTRY = Route(url="{trade}/v5/trade", private=True)
