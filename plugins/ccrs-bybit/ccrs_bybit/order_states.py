"""What Bybit's words for an order's state, and for why it ended, mean.

https://bybit-exchange.github.io/docs/v5/enum#orderstatus
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_core import EndReason, OrderState

STATES: Mapping[str, OrderState] = {
    "New": OrderState.OPEN,
    "PartiallyFilled": OrderState.OPEN,
    "Untriggered": OrderState.WAITING,
    # For a moment: it is New next.
    "Triggered": OrderState.WAITING,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    # Of spot alone.
    "PartiallyFilledCanceled": OrderState.CANCELED,
    # Canceled before its trigger.
    "Deactivated": OrderState.CANCELED,
    "Rejected": OrderState.REJECTED,
}

CANCEL_TYPES: Mapping[str, EndReason] = {
    "CancelByUser": EndReason.BY_USER,
    "CancelByReduceOnly": EndReason.REDUCE_ONLY,
    "CancelByPrepareLiq": EndReason.LIQUIDATION,
    "CancelAllBeforeLiq": EndReason.LIQUIDATION,
    "CancelByPrepareAdl": EndReason.DELEVERAGING,
    "CancelAllBeforeAdl": EndReason.DELEVERAGING,
    "CancelByAdmin": EndReason.EXCHANGE,
    "CancelBySettle": EndReason.SETTLEMENT,
    "CancelByTpSlTsClear": EndReason.TRIGGER,
    "CancelBySmp": EndReason.SELF_TRADE,
    "CancelByDCP": EndReason.DEAD_MAN,
    "CancelByRebalance": EndReason.PRICE_LIMIT,
    "CancelByOCOTpCanceledBySlTriggered": EndReason.TRIGGER,
    "CancelByOCOSlCanceledByTpTriggered": EndReason.TRIGGER,
    # Of options.
    "CancelByCannotAffordOrderCost": EndReason.BALANCE,
    "CancelByPmTrialMmOverEquity": EndReason.BALANCE,
    "CancelByAccountBlocking": EndReason.PERMISSION,
    "CancelByDelivery": EndReason.SETTLEMENT,
    "CancelByMmpTriggered": EndReason.EXCHANGE,
    "CancelByCrossSelfMuch": EndReason.SELF_TRADE,
    "CancelByCrossReachMaxTradeNum": EndReason.EXCHANGE,
}
"""https://bybit-exchange.github.io/docs/v5/enum#canceltype"""

OWN_TERMS: Mapping[str, EndReason] = {
    "EC_NoImmediateQtyToFill": EndReason.NO_LIQUIDITY,
    "EC_NoEnoughQtyToFill": EndReason.NO_LIQUIDITY,
    "EC_CancelForNoFullFill": EndReason.NO_LIQUIDITY,
    "EC_ReachMaxTradeNum": EndReason.EXCHANGE,
    "EC_ReachMarketPriceLimit": EndReason.PRICE_LIMIT,
    "EC_ReachRiskPriceLimit": EndReason.PRICE_LIMIT,
    "EC_CancelByOrderValueZero": EndReason.SIZE,
    "EC_CancelByMatchValueZero": EndReason.SIZE,
    "EC_BySelfMatch": EndReason.SELF_TRADE,
    "EC_StopBySelfMatch": EndReason.SELF_TRADE,
}
"""Reasons of an order that ended by its own terms."""

CANCEL_FAILED = frozenset({"EC_OrigClOrdIDDoesNotExist", "EC_TooLateToCancel", "EC_OrderNotExist"})
"""Reasons that are about a cancel that came too late, not about the order.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

REJECT_REASONS: Mapping[str, EndReason] = {
    **OWN_TERMS,
    "EC_PostOnlyWillTakeLiquidity": EndReason.POST_ONLY,
    "EC_PerCancelRequest": EndReason.BY_USER,
    "EC_CancelReplaceOrder": EndReason.BY_USER,
    "EC_CancelByMMP": EndReason.EXCHANGE,
    "EC_DuplicatedClOrdID": EndReason.DUPLICATE,
    "EC_ClOrdIDOrigClOrdIDAreTheSame": EndReason.DUPLICATE,
    "EC_InvalidSymbolStatus": EndReason.MARKET_STATE,
    "EC_InCallAuctionStatus": EndReason.MARKET_STATE,
    "EC_SecurityStatusFail": EndReason.MARKET_STATE,
    "EC_QtyCannotBeZero": EndReason.SIZE,
    "EC_EcInvalidQty": EndReason.SIZE,
    "EC_InvalidAmount": EndReason.SIZE,
    "EC_InvalidBaseValue": EndReason.SIZE,
    "EC_LimitOrderInvalidPrice": EndReason.PRICE_LIMIT,
    "EC_InvalidPriceScale": EndReason.INVALID,
    "EC_UnknownMessageType": EndReason.INVALID,
    "EC_MissingClOrdID": EndReason.INVALID,
    "EC_MissingOrigClOrdID": EndReason.INVALID,
    "EC_UnknownOrderType": EndReason.INVALID,
    "EC_UnknownSide": EndReason.INVALID,
    "EC_UnknownTimeInForce": EndReason.INVALID,
    "EC_MarketOrderPriceIsNotZero": EndReason.INVALID,
    "EC_MarketOrderCannotBePostOnly": EndReason.INVALID,
    "EC_MarketOrderNoSupportTIF": EndReason.INVALID,
    "EC_MarketQuoteNoSuppSell": EndReason.INVALID,
    "EC_InvalidSmpType": EndReason.INVALID,
    "EC_WronglyRouted": EndReason.EXCHANGE,
    "EC_BitIndexInvalid": EndReason.EXCHANGE,
    "EC_InvalidUserType": EndReason.EXCHANGE,
    "EC_InvalidMirrorOid": EndReason.EXCHANGE,
    "EC_InvalidMirrorUid": EndReason.EXCHANGE,
    "EC_LoadOrderCancel": EndReason.EXCHANGE,
    "EC_LoadOrderCanMatch": EndReason.EXCHANGE,
    "EC_DisorderOrderID": EndReason.EXCHANGE,
    "EC_Others": EndReason.OTHER,
    **dict.fromkeys(CANCEL_FAILED, EndReason.OTHER),
}
"""https://bybit-exchange.github.io/docs/v5/enum#rejectreason"""

NO_REASON = frozenset({"", "UNKNOWN", "EC_NoError"})

BY_EXCHANGE = frozenset(
    {
        "CreateByLiq",
        "CreateByTakeOver_PassThrough",
        "CreateByAdl_PassThrough",
        "CreateByAdminClosing",
        "CreateBySettle",
    }
)
"""Orders that Bybit makes itself. https://bybit-exchange.github.io/docs/v5/enum#createtype"""


def ended(
    state: OrderState, cancel_type: str, reject_reason: str, *, at_once: bool, filled: bool
) -> tuple[OrderState, EndReason | None]:
    """What an order that has ended really is, and why, by both reasons that its row gives.

    ``at_once``: it was to be filled at once (IOC, FOK, market); ``filled``: a part of it was.
    """
    if reject_reason in OWN_TERMS:
        return OrderState.EXPIRED, OWN_TERMS[reject_reason]
    if reject_reason == "EC_PostOnlyWillTakeLiquidity":
        # With fills it rested first, and was amended to where it would have taken.
        return (OrderState.CANCELED if filled else OrderState.REJECTED), EndReason.POST_ONLY
    if cancel_type not in NO_REASON:
        reason = CANCEL_TYPES.get(cancel_type, EndReason.OTHER)
        expires = reason is EndReason.SELF_TRADE and state is OrderState.CANCELED
        return (OrderState.EXPIRED if expires else state), reason
    if reject_reason not in NO_REASON:
        return state, REJECT_REASONS.get(reject_reason, EndReason.OTHER)
    if at_once and state is OrderState.CANCELED:
        # Nobody has canceled it: it never rested.
        return OrderState.EXPIRED, EndReason.NO_LIQUIDITY
    return state, None
