"""What OKX offers of trading, and what may be relied on.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
"""

from __future__ import annotations

from ccrs_core import (
    Absence,
    AmendOrder,
    AmendOrders,
    Budget,
    CancelOrders,
    Channel,
    ClientIds,
    DeadMan,
    DeadManKind,
    DeadManScope,
    Feature,
    Market,
    PlaceOrders,
    Route,
    Trading,
)
from ccrs_okx.account_calls import LONGEST_PROTECTION, SHORTEST_PROTECTION
from ccrs_okx.entry_codec import BY_SOCKET
from ccrs_okx.orders import LONGEST_BATCH, TAG
from ccrs_okx.signing import DEADLINE_MS, VALIDITY_SECONDS

_ALL = {
    *(Feature.POST_ONLY, Feature.IOC, Feature.FOK, Feature.AMEND),
    *(Feature.SELF_TRADE_MAKER, Feature.SELF_TRADE_TAKER, Feature.SELF_TRADE_BOTH),
}
_CONTRACTS = {
    *(*_ALL, Feature.MARKET_ORDERS, Feature.TAKE_PROFIT, Feature.REDUCE_ONLY, Feature.HEDGE),
    *(Feature.TRIGGER_LAST, Feature.TRIGGER_MARK, Feature.TRIGGER_INDEX),
    *(Feature.TRAILING_DISTANCE, Feature.TRAILING_SHARE),
}
_SPOT = {
    *(*_ALL, Feature.MARKET_ORDERS, Feature.TAKE_PROFIT, Feature.TRIGGER_LAST),
    *(Feature.QUOTE_SIZE_BUY, Feature.QUOTE_SIZE_SELL),
    *(Feature.TRAILING_DISTANCE, Feature.TRAILING_SHARE),
}

TRADING = Trading(
    features={
        Market.SPOT: frozenset(_SPOT),
        Market.LINEAR: frozenset(_CONTRACTS),
        Market.INVERSE: frozenset(_CONTRACTS),
        Market.OPTION: frozenset({*_ALL, Feature.VOLATILITY}),
    },
    # They may be used again once their order has ended; then the newest alone is found by it.
    client_ids=ClientIds(longest=32, separator="", for_ever=False),
    # A placement is refused after its deadline, and one that waits for a trigger, which takes none,
    # after its timestamp's. https://www.okx.com/docs-v5/en/#overview-transaction-timeouts
    absence=Absence(proved_after=VALIDITY_SECONDS),
    receive_window=DEADLINE_MS / 1000,
    # https://www.okx.com/docs-v5/en/#overview-rest-authentication-signature
    unsigned_headers=frozenset({"expTime"}),
    batch=LONGEST_BATCH,
    alone=frozenset({PlaceOrders, CancelOrders, AmendOrders}),
    by_socket=BY_SOCKET,
    # That an order has ended tells of a cancel; of one that comes to nothing nothing does.
    confirms=frozenset({AmendOrder}),
    dead_man=DeadMan(
        kind=DeadManKind.TIMER,
        scope=DeadManScope.ACCOUNT,
        own=True,
        markets=frozenset(Market),
        shortest=float(SHORTEST_PROTECTION),
        longest=float(LONGEST_PROTECTION),
        covers=(
            f"open orders that this package has placed (tag {TAG}), of all products of the order "
            "book, one by one within some seconds"
        ),
        covers_everything=(
            "all open orders of the account in the order book, whoever placed them, one by one "
            "within some seconds"
        ),
        spares="positions, orders that wait for a trigger, attached exits, and spreads",
    ),
)

ACCOUNT_CHANNELS = frozenset(
    {
        *(Channel.ORDERS, Channel.WAITING_ORDERS, Channel.FILLS),
        *(Channel.POSITIONS, Channel.BALANCES),
    }
)

_MESSAGES = Budget(amount=480, seconds=3600.0)
"""Requests to subscribe, unsubscribe or log in, on each connection; orders aren't counted.

https://www.okx.com/docs-v5/en/#overview-websocket-connect
"""

PRIVATE = Route(url="{private}/ws/v5/private", private=True, messages=_MESSAGES)
WAITING = Route(url="{business}/ws/v5/business", private=True, messages=_MESSAGES)
ENTRY = Route(url="{private}/ws/v5/private", name="orders", private=True)
