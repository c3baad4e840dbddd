"""What Binance's words for an order's state, and for why it ended, mean.

https://developers.binance.com/docs/binance-spot-api-docs/enums
https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_core import EndReason, FillKind, OrderState, OrderType, TimeInForce

STATES: Mapping[str, OrderState] = {
    "NEW": OrderState.OPEN,
    # Of a list, until the order before it is filled.
    "PENDING_NEW": OrderState.WAITING,
    "PARTIALLY_FILLED": OrderState.OPEN,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "PENDING_CANCEL": OrderState.OPEN,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
    # Orders that the exchange makes itself: liquidation, and deleveraging.
    "NEW_INSURANCE": OrderState.OPEN,
    "NEW_ADL": OrderState.OPEN,
}

ALGO_STATES: Mapping[str, OrderState] = {
    "NEW": OrderState.WAITING,
    "TRIGGERING": OrderState.WAITING,
    # What it has placed is an order of its own, and decides.
    "TRIGGERED": OrderState.WAITING,
    "FINISHED": OrderState.WAITING,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "REJECTED": OrderState.REJECTED,
}
"""Of orders that wait in the service for conditional orders.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Algo-Order-Update
"""
FIRED = frozenset({"TRIGGERED", "FINISHED"})
"""Those of orders whose trigger has fired."""

_CANCELED, _EXPIRED, _REJECTED = OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED

SPOT_ENDS: Mapping[str, tuple[OrderState, EndReason]] = {
    # As it was to be put into the book, by a trigger, or by the order that it belongs to.
    "REJECTED": (_REJECTED, EndReason.OTHER),
    "EXCHANGE_CANCELED": (_CANCELED, EndReason.EXCHANGE),
    "OCO_TRIGGER": (_CANCELED, EndReason.TRIGGER),
    "OTO_PHASE_ONE_EXPIRED": (_EXPIRED, EndReason.OTHER),
    "UNFILLED_IOC_QUANTITY_EXPIRED": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "UNFILLED_FOK_ORDER_EXPIRED": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "INSUFFICIENT_LIQUIDITY": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "EXECUTION_RULE_PRICE_RANGE_EXCEEDED": (_EXPIRED, EndReason.PRICE_LIMIT),
}
"""How an order that spot calls expired, or canceled, ended, and why.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream#order-expiry-reason
"""

SPOT_REJECTIONS: Mapping[str, EndReason] = {
    "INSUFFICIENT_BALANCES": EndReason.BALANCE,
    "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY": EndReason.TRIGGER,
    "WOULD_MATCH_IMMEDIATELY": EndReason.POST_ONLY,
    "OCO_BAD_PRICES": EndReason.TRIGGER,
}
"""https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream#order-reject-reason"""

FUTURES_ENDS: Mapping[str, tuple[OrderState, EndReason]] = {
    "1": (_EXPIRED, EndReason.SELF_TRADE),
    "2": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "3": (_EXPIRED, EndReason.SELF_TRADE),
    "4": (_EXPIRED, EndReason.REDUCE_ONLY),
    "5": (_CANCELED, EndReason.LIQUIDATION),
    "6": (_EXPIRED, EndReason.OTHER),
    "7": (_CANCELED, EndReason.SETTLEMENT),
    "8": (_EXPIRED, EndReason.TRIGGER),
    "9": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "10": (_EXPIRED, EndReason.NO_LIQUIDITY),
    "11": (_EXPIRED, EndReason.POST_ONLY),
}
"""How an order that futures call expired, or canceled, ended, and why.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Order-Update
"""

NO_REASON = frozenset({"", "0", "NONE"})

IN_MATCH = "EXPIRED_IN_MATCH"
"""By self-trade prevention."""

TYPES: Mapping[str, tuple[OrderType, bool]] = {
    "LIMIT": (OrderType.LIMIT, False),
    "MARKET": (OrderType.MARKET, False),
    "LIMIT_MAKER": (OrderType.LIMIT, True),
    "STOP_LOSS": (OrderType.MARKET, False),
    "STOP_LOSS_LIMIT": (OrderType.LIMIT, False),
    "TAKE_PROFIT_LIMIT": (OrderType.LIMIT, False),
    "STOP": (OrderType.LIMIT, False),
    "STOP_MARKET": (OrderType.MARKET, False),
    "TAKE_PROFIT_MARKET": (OrderType.MARKET, False),
    "TRAILING_STOP_MARKET": (OrderType.MARKET, False),
    "LIQUIDATION": (OrderType.LIMIT, False),
}
"""How it is priced, and whether it must rest. ``TAKE_PROFIT`` is a market order of spot's, and a
limit order of futures'."""

TIMES_IN_FORCE: Mapping[str, tuple[TimeInForce, bool]] = {
    "GTC": (TimeInForce.GTC, False),
    "IOC": (TimeInForce.IOC, False),
    "FOK": (TimeInForce.FOK, False),
    "GTX": (TimeInForce.GTC, True),
    # For retail price improvement: they must rest, too.
    "RPI": (TimeInForce.GTC, True),
    "GTD": (TimeInForce.GTC, False),
    # Until the position that it closes is gone, and of the exchange's own orders.
    "GTE_GTC": (TimeInForce.GTC, False),
}
"""How long it waits, and whether it must rest."""

STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "STOP", "STOP_MARKET"})
PROFITS = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "TAKE_PROFIT_MARKET"})

OF_EXCHANGE: Mapping[str, FillKind] = {
    "autoclose-": FillKind.LIQUIDATION,
    "adl_autoclose": FillKind.DELEVERAGING,
    "settlement_autoclose-": FillKind.SETTLEMENT,
    "delivery_autoclose-": FillKind.SETTLEMENT,
    "delivery-": FillKind.SETTLEMENT,
}
"""What the exchange's own orders are for, by what their client ids begin with.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Order-Update
"""


def of_exchange(client_order_id: str) -> FillKind | None:
    """What an order is for that the exchange has made itself; None where it hasn't."""
    found = [kind for start, kind in OF_EXCHANGE.items() if client_order_id.startswith(start)]
    return found[0] if found else None


def ended(
    status: str,
    why: str,
    ends: Mapping[str, tuple[OrderState, EndReason]],
    *,
    at_once: bool,
    filled: bool,
) -> tuple[OrderState, EndReason | None]:
    """What an order that has ended really is, and why, by the reason that its row gives.

    ``at_once``: it was to be filled at once (IOC, FOK, market); ``filled``: a part of it was.
    """
    state = STATES[status]
    if state is OrderState.FILLED:
        return state, None
    if status == IN_MATCH:
        return state, EndReason.SELF_TRADE
    if why not in NO_REASON:
        found, reason = ends.get(why, (state, EndReason.OTHER))
        # What has fills was in the book.
        return (state if filled and found is _REJECTED else found), reason
    if state is _CANCELED:
        return state, None
    if state is _REJECTED:
        return state, EndReason.OTHER
    # Lists don't always say why. Who is to be filled at once never rests.
    return state, EndReason.NO_LIQUIDITY if at_once else None
