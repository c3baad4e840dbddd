"""What rows of orders say: each state and reason of Bybit's documents, and nothing guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit.order_rows import order
from ccrs_bybit.order_states import BY_EXCHANGE, CANCEL_TYPES, REJECT_REASONS, STATES
from trading_rows import NOW_NS, order_row

from ccrs_core import (
    EndReason,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    PositionSide,
    Side,
    StrangeReport,
    TimeInForce,
    Trigger,
    TriggerBy,
)


def read(market: Market | None = None, **changes: Any) -> OrderReport:
    found = order(order_row(**changes), market, NOW_NS)
    assert isinstance(found, OrderReport)
    return found


def ended(**changes: Any) -> tuple[OrderState, EndReason | None]:
    found = read(**{"orderStatus": "Cancelled", **changes})
    return found.state, found.reason


# https://bybit-exchange.github.io/docs/v5/enum
DOCUMENTED_STATES = {
    *("New", "PartiallyFilled", "Untriggered", "Rejected", "PartiallyFilledCanceled", "Filled"),
    *("Cancelled", "Triggered", "Deactivated"),
}
DOCUMENTED_CANCEL_TYPES = {
    *("CancelByUser", "CancelByReduceOnly", "CancelByPrepareLiq", "CancelAllBeforeLiq"),
    *("CancelByPrepareAdl", "CancelAllBeforeAdl", "CancelByAdmin", "CancelBySettle"),
    *("CancelByTpSlTsClear", "CancelBySmp", "CancelByDCP", "CancelByRebalance"),
    *("CancelByOCOTpCanceledBySlTriggered", "CancelByOCOSlCanceledByTpTriggered"),
    *("CancelByCannotAffordOrderCost", "CancelByPmTrialMmOverEquity", "CancelByAccountBlocking"),
    *("CancelByDelivery", "CancelByMmpTriggered", "CancelByCrossSelfMuch"),
    "CancelByCrossReachMaxTradeNum",
}
DOCUMENTED_REJECT_REASONS = {
    *("EC_Others", "EC_UnknownMessageType", "EC_MissingClOrdID", "EC_MissingOrigClOrdID"),
    *("EC_ClOrdIDOrigClOrdIDAreTheSame", "EC_DuplicatedClOrdID", "EC_OrigClOrdIDDoesNotExist"),
    *("EC_TooLateToCancel", "EC_UnknownOrderType", "EC_UnknownSide", "EC_UnknownTimeInForce"),
    *("EC_WronglyRouted", "EC_MarketOrderPriceIsNotZero", "EC_LimitOrderInvalidPrice"),
    *("EC_NoEnoughQtyToFill", "EC_NoImmediateQtyToFill", "EC_PerCancelRequest"),
    *("EC_MarketOrderCannotBePostOnly", "EC_PostOnlyWillTakeLiquidity", "EC_CancelReplaceOrder"),
    *("EC_InvalidSymbolStatus", "EC_CancelForNoFullFill", "EC_BySelfMatch"),
    *("EC_InCallAuctionStatus", "EC_QtyCannotBeZero", "EC_MarketOrderNoSupportTIF"),
    *("EC_ReachMaxTradeNum", "EC_InvalidPriceScale", "EC_BitIndexInvalid", "EC_StopBySelfMatch"),
    *("EC_InvalidSmpType", "EC_CancelByMMP", "EC_InvalidUserType", "EC_InvalidMirrorOid"),
    *("EC_InvalidMirrorUid", "EC_EcInvalidQty", "EC_InvalidAmount", "EC_LoadOrderCancel"),
    *("EC_MarketQuoteNoSuppSell", "EC_DisorderOrderID", "EC_InvalidBaseValue"),
    *("EC_LoadOrderCanMatch", "EC_SecurityStatusFail", "EC_ReachRiskPriceLimit"),
    *("EC_OrderNotExist", "EC_CancelByOrderValueZero", "EC_CancelByMatchValueZero"),
    "EC_ReachMarketPriceLimit",
}


def test_the_tables_hold_all_words_of_the_documents_and_no_other() -> None:
    assert set(STATES) == DOCUMENTED_STATES
    assert set(CANCEL_TYPES) == DOCUMENTED_CANCEL_TYPES
    assert set(REJECT_REASONS) == DOCUMENTED_REJECT_REASONS
    assert {
        *("CreateByLiq", "CreateByTakeOver_PassThrough", "CreateByAdl_PassThrough"),
        *("CreateByAdminClosing", "CreateBySettle"),
    } == BY_EXCHANGE


def test_a_resting_order_is_read_whole() -> None:
    found = read(takeProfit="99000", cumFeeDetail={"USDT": "0.1"})
    assert found == OrderReport(
        market=Market.LINEAR,
        native="BTCUSDT",
        exchange_order_id="0a1b",
        client_order_id="ccrs-1",
        state=OrderState.OPEN,
        side=Side.BUY,
        type=OrderType.LIMIT,
        size=Decimal("0.020"),
        price=Decimal("98000.10"),
        filled_size=Decimal("0.000"),
        filled_value=Decimal(0),
        time_in_force=TimeInForce.GTC,
        post_only=False,
        reduce_only=False,
        position_side=PositionSide.NET,
        created_ns=1794000300000000000,
        exchange_time_ns=1794000300250000000,
        received_time_ns=NOW_NS,
        native_fields={
            "createType": "CreateByUser",
            "takeProfit": "99000",
            "leavesValue": "1960.002",
            "cumFeeDetail": '{"USDT":"0.1"}',
        },
    )
    assert str(found.price) == "98000.10"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("New", OrderState.OPEN),
        ("PartiallyFilled", OrderState.OPEN),
        ("Untriggered", OrderState.WAITING),
        ("Triggered", OrderState.WAITING),
        ("Filled", OrderState.FILLED),
        ("Cancelled", OrderState.CANCELED),
        ("PartiallyFilledCanceled", OrderState.CANCELED),
        ("Deactivated", OrderState.CANCELED),
        ("Rejected", OrderState.REJECTED),
    ],
)
def test_each_state_is_the_one_that_it_means(status: str, state: OrderState) -> None:
    assert read(orderStatus=status).state is state


def test_an_order_that_was_triggered_long_ago_has_fired_where_another_one_takes_its_place() -> None:
    second = 10**9
    for market, seconds, fired in (
        (Market.SPOT, 1, False),
        (Market.SPOT, 5, True),
        (Market.LINEAR, 5, False),
    ):
        row = order_row(orderStatus="Triggered", category=market.value)
        told_ns = int(row["updatedTime"]) * 10**6 + seconds * second
        found = order(row, market, NOW_NS, told_ns)
        assert isinstance(found, OrderReport)
        assert (found.state, found.fired) == (OrderState.WAITING, fired)
        pushed = order(row, market, NOW_NS)
        assert isinstance(pushed, OrderReport)
        assert (pushed.state, pushed.fired) == (OrderState.WAITING, False)


def test_a_state_that_nobody_knows_is_strange() -> None:
    found = order(order_row(orderStatus="Frozen"), None, NOW_NS)
    assert isinstance(found, StrangeReport)
    assert (found.what, found.native) == ("orderStatus Frozen", "BTCUSDT")
    assert found.native_fields["orderId"] == "0a1b"


@pytest.mark.parametrize("reason", ["EC_NoImmediateQtyToFill", "EC_NoEnoughQtyToFill"])
def test_the_rest_of_an_order_that_is_filled_at_once_expires(reason: str) -> None:
    found = read(
        orderStatus="Cancelled",
        rejectReason=reason,
        cancelType="CancelByUser",
        timeInForce="IOC",
        cumExecQty="0.012",
        leavesQty="0",
    )
    assert (found.state, found.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
    assert found.filled_size == Decimal("0.012")


def test_post_only_that_would_take_is_rejected_by_whatever_status() -> None:
    for status in ("Cancelled", "Rejected"):
        found = ended(orderStatus=status, rejectReason="EC_PostOnlyWillTakeLiquidity")
        assert found == (OrderState.REJECTED, EndReason.POST_ONLY)
    late = ended(rejectReason="EC_PostOnlyWillTakeLiquidity", cumExecQty="0.001")
    assert late == (OrderState.CANCELED, EndReason.POST_ONLY)


@pytest.mark.parametrize(
    "why",
    [
        {"rejectReason": "EC_BySelfMatch"},
        {"rejectReason": "EC_StopBySelfMatch"},
        {"cancelType": "CancelBySmp"},
        {"cancelType": "CancelByCrossSelfMuch"},
    ],
)
def test_self_trade_prevention_ends_by_own_terms(why: dict[str, str]) -> None:
    assert ended(**why) == (OrderState.EXPIRED, EndReason.SELF_TRADE)


@pytest.mark.parametrize(
    ("cancel_type", "reason"),
    [
        ("CancelByUser", EndReason.BY_USER),
        ("CancelByReduceOnly", EndReason.REDUCE_ONLY),
        ("CancelByPrepareLiq", EndReason.LIQUIDATION),
        ("CancelAllBeforeLiq", EndReason.LIQUIDATION),
        ("CancelByPrepareAdl", EndReason.DELEVERAGING),
        ("CancelAllBeforeAdl", EndReason.DELEVERAGING),
        ("CancelByAdmin", EndReason.EXCHANGE),
        ("CancelBySettle", EndReason.SETTLEMENT),
        ("CancelByTpSlTsClear", EndReason.TRIGGER),
        ("CancelByDCP", EndReason.DEAD_MAN),
        ("CancelByRebalance", EndReason.PRICE_LIMIT),
        ("CancelByCannotAffordOrderCost", EndReason.BALANCE),
        ("CancelByDelivery", EndReason.SETTLEMENT),
        ("CancelByANewWord", EndReason.OTHER),
    ],
)
def test_who_canceled_is_told(cancel_type: str, reason: EndReason) -> None:
    found = read(
        orderStatus="Cancelled", cancelType=cancel_type, rejectReason="EC_PerCancelRequest"
    )
    assert (found.state, found.reason) == (OrderState.CANCELED, reason)
    assert cancel_type in found.reason_text


def test_a_second_filled_row_after_a_late_cancel_is_late() -> None:
    second = read(
        orderStatus="Filled", cancelType="CancelByUser", rejectReason="EC_OrigClOrdIDDoesNotExist"
    )
    assert (second.state, second.late, second.reason) == (OrderState.FILLED, True, None)
    assert not read(orderStatus="Filled").late


@pytest.mark.parametrize(
    ("changes", "size", "quote_size"),
    [
        ({"orderType": "Market", "side": "Buy", "marketUnit": ""}, None, "10"),
        ({"orderType": "Market", "side": "Buy", "marketUnit": "quoteCoin"}, None, "10"),
        ({"orderType": "Market", "side": "Buy", "marketUnit": "baseCoin"}, "10", None),
        ({"orderType": "Market", "side": "Sell", "marketUnit": ""}, "10", None),
        ({"orderType": "Market", "side": "Sell", "marketUnit": "quoteCoin"}, None, "10"),
        ({"orderType": "Limit", "side": "Buy", "marketUnit": ""}, "10", None),
    ],
)
def test_sizes_of_spot_are_in_the_unit_that_they_were_asked_in(
    changes: dict[str, str], size: str | None, quote_size: str | None
) -> None:
    found = read(Market.SPOT, qty="10", **changes)
    told = None if found.size is None else str(found.size)
    quote = None if found.quote_size is None else str(found.quote_size)
    assert (told, quote) == (size, quote_size)


def test_a_market_buy_of_spot_that_leaves_crumbs_has_ended() -> None:
    found = read(
        Market.SPOT,
        orderStatus="PartiallyFilledCanceled",
        orderType="Market",
        timeInForce="IOC",
        qty="50",
        price="0",
        cumExecQty="0.00051",
        cumExecValue="49.9968",
        leavesValue="0.0032",
    )
    assert (found.state, found.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
    assert (found.quote_size, found.filled_value) == (Decimal(50), Decimal("49.9968"))
    assert found.native_fields["leavesValue"] == "0.0032"
    assert found.price is None


@pytest.mark.parametrize(
    ("changes", "trigger"),
    [
        ({"triggerDirection": 1, "triggerBy": "MarkPrice"}, (True, TriggerBy.MARK)),
        ({"triggerDirection": 2, "triggerBy": "IndexPrice"}, (False, TriggerBy.INDEX)),
        ({"triggerDirection": 0, "basePrice": "97000"}, (True, TriggerBy.LAST)),
        ({"triggerDirection": 0, "basePrice": "99500"}, (False, TriggerBy.LAST)),
        ({"lastPriceOnCreated": "", "triggerDirection": 0}, None),
        ({"stopOrderType": "TrailingStop", "triggerDirection": 1}, None),
    ],
)
def test_triggers_say_which_way_or_nothing(
    changes: dict[str, Any], trigger: tuple[bool, TriggerBy] | None
) -> None:
    found = read(orderStatus="Untriggered", triggerPrice="99000", **changes)
    expected = None if trigger is None else Trigger(price="99000", rises=trigger[0], by=trigger[1])
    assert found.trigger == expected
    assert found.native_fields["triggerPrice"] == "99000"


def test_a_market_stop_that_never_came_to_life_did_not_find_no_liquidity() -> None:
    dead = {"orderType": "Market", "timeInForce": "IOC", "triggerPrice": "99000"}
    assert ended(orderStatus="Deactivated", **dead) == (OrderState.CANCELED, None)
    assert ended(**dead) == (OrderState.CANCELED, None)


@pytest.mark.parametrize(
    ("index", "side"),
    [(0, PositionSide.NET), (1, PositionSide.LONG), (2, PositionSide.SHORT), (None, None)],
)
def test_orders_say_which_position_they_are_of(index: int | None, side: object) -> None:
    assert read(positionIdx=index).position_side is side


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("PostOnly", (TimeInForce.GTC, True)),
        ("RPI", (TimeInForce.GTC, True)),
        ("FOK", (TimeInForce.FOK, False)),
        ("UNKNOWN", (None, None)),
    ],
)
def test_how_long_it_waits_is_told(word: str, expected: object) -> None:
    found = read(timeInForce=word)
    assert (found.time_in_force, found.post_only) == expected


def test_orders_of_the_exchange_are_told_from_those_of_users() -> None:
    assert read(createType="CreateByLiq", orderLinkId="").by_exchange
    assert not read(createType="CreateByClosing").by_exchange
    assert not read(createType=None).by_exchange
