"""What OKX's words for an order's state, and for why it ended, mean.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_core import EndReason, OrderState, OrderType, TimeInForce

STATES: Mapping[str, OrderState] = {
    "live": OrderState.OPEN,
    "partially_filled": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    # By the protection of market makers.
    "mmp_canceled": OrderState.CANCELED,
}

ALGO_STATES: Mapping[str, OrderState] = {
    "live": OrderState.WAITING,
    "pause": OrderState.WAITING,
    "partially_effective": OrderState.WAITING,
    # What it has placed is an order of its own.
    "effective": OrderState.WAITING,
    "canceled": OrderState.CANCELED,
    "order_failed": OrderState.REJECTED,
    "partially_failed": OrderState.CANCELED,
}
"""Of orders that wait for a trigger.

https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel
"""

_CANCELED, _EXPIRED, _REJECTED = OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED

CANCEL_SOURCES: Mapping[str, tuple[OrderState, EndReason]] = {
    "0": (_CANCELED, EndReason.EXCHANGE),
    "1": (_CANCELED, EndReason.BY_USER),
    "2": (_CANCELED, EndReason.REDUCE_ONLY),
    "3": (_CANCELED, EndReason.LIQUIDATION),
    "4": (_CANCELED, EndReason.CAP),
    "6": (_CANCELED, EndReason.DELEVERAGING),
    "7": (_CANCELED, EndReason.SETTLEMENT),
    "9": (_CANCELED, EndReason.BALANCE),
    "10": (_CANCELED, EndReason.SETTLEMENT),
    "13": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "14": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "15": (_EXPIRED, EndReason.PRICE_LIMIT),
    "17": (_CANCELED, EndReason.REDUCE_ONLY),
    "20": (_CANCELED, EndReason.DEAD_MAN),
    "21": (_CANCELED, EndReason.TRIGGER),
    "22": (_CANCELED, EndReason.REDUCE_ONLY),
    "23": (_CANCELED, EndReason.REDUCE_ONLY),
    "27": (_CANCELED, EndReason.PRICE_LIMIT),
    "31": (_REJECTED, EndReason.POST_ONLY),
    "32": (_EXPIRED, EndReason.SELF_TRADE),
    "33": (_EXPIRED, EndReason.EXCHANGE),
    "36": (_CANCELED, EndReason.TRIGGER),
    "37": (_CANCELED, EndReason.TRIGGER),
    "38": (_CANCELED, EndReason.BY_USER),
    "39": (_CANCELED, EndReason.EXCHANGE),
    "42": (_CANCELED, EndReason.EXCHANGE),
    "43": (_CANCELED, EndReason.PRICE_LIMIT),
    "44": (_CANCELED, EndReason.BALANCE),
    "45": (_REJECTED, EndReason.PRICE_LIMIT),
    "46": (_CANCELED, EndReason.EXCHANGE),
}
"""How an order that OKX calls canceled really ended, and why. One that is refused although OKX has
acknowledged it pushes nothing else than that.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""

TYPES: Mapping[str, tuple[OrderType, TimeInForce, bool]] = {
    "market": (OrderType.MARKET, TimeInForce.IOC, False),
    "limit": (OrderType.LIMIT, TimeInForce.GTC, False),
    "post_only": (OrderType.LIMIT, TimeInForce.GTC, True),
    "fok": (OrderType.LIMIT, TimeInForce.FOK, False),
    "ioc": (OrderType.LIMIT, TimeInForce.IOC, False),
    "optimal_limit_ioc": (OrderType.MARKET, TimeInForce.IOC, False),
    "mmp": (OrderType.LIMIT, TimeInForce.GTC, False),
    "mmp_and_post_only": (OrderType.LIMIT, TimeInForce.GTC, True),
    "op_fok": (OrderType.LIMIT, TimeInForce.FOK, False),
    # For retail price improvement; ``elp`` until July 2026.
    "rpi": (OrderType.LIMIT, TimeInForce.GTC, True),
    "elp": (OrderType.LIMIT, TimeInForce.GTC, True),
}
"""How it is priced, how long it waits, and whether it must rest.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
"""

BY_EXCHANGE = frozenset(
    {"full_liquidation", "partial_liquidation", "adl", "delivery", "ddh", "auto_conversion"}
)
"""Categories of orders that OKX makes itself."""


def ended(
    state: OrderState, source: str, *, at_once: bool, filled: bool
) -> tuple[OrderState, EndReason | None]:
    """What an order that has ended really is, and why, by the source that its row gives.

    ``at_once``: it was to be filled at once (IOC, FOK, market); ``filled``: a part of it was.
    """
    if state is not OrderState.CANCELED:
        return state, None
    if not source:
        # Lists don't always say it. Who is to be filled at once never rests.
        return (OrderState.EXPIRED, EndReason.NO_LIQUIDITY) if at_once else (state, None)
    found, reason = CANCEL_SOURCES.get(source, (state, EndReason.OTHER))
    # With fills it had rested, until an amendment.
    return (state if filled and found is OrderState.REJECTED else found), reason
