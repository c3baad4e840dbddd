"""How the emulated Binance writes orders and fills of spot, in answers, lists and events.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints and
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccrs_binance.emulator_ids import Ids
from ccrs_core import OrderType, Side
from ccrs_core.emulator import (
    DeskBalance,
    DeskFill,
    DeskOrder,
    Ending,
    Lifetime,
    Stage,
    milliseconds,
)

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
_NOTHING = Decimal(0)
_REASONS: Mapping[Ending, str] = {
    Ending.NO_LIQUIDITY: "UNFILLED_IOC_QUANTITY_EXPIRED",
    Ending.NOT_WHOLE: "UNFILLED_FOK_ORDER_EXPIRED",
    Ending.EXCHANGE: "EXCHANGE_CANCELED",
    Ending.PARTNER: "OCO_TRIGGER",
}
_EXPIRED = frozenset({Ending.NO_LIQUIDITY, Ending.NOT_WHOLE, Ending.PARTNER, Ending.BALANCE})


def money(value: Decimal | None) -> str:
    return f"{value or _NOTHING:.8f}"


def status(order: DeskOrder) -> str:
    """``status`` of lists, ``X`` of events."""
    if order.asked.labels.get("pending"):
        return "PENDING_NEW"
    match order.stage:
        case Stage.FILLED:
            return "FILLED"
        case Stage.CANCELED | Stage.REJECTED:
            return _ended(order)
    return "PARTIALLY_FILLED" if order.filled else "NEW"


def _ended(order: DeskOrder) -> str:
    if order.ending is Ending.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return "EXPIRED" if order.ending in _EXPIRED else "CANCELED"


def expiry_reason(order: DeskOrder) -> str | None:
    """``expiryReason``, ``eR``; None of an order that hasn't expired."""
    if status(order) not in {"EXPIRED", "EXPIRED_IN_MATCH"} or order.ending is None:
        return None
    if order.ending is Ending.NO_LIQUIDITY and order.asked.type is OrderType.MARKET:
        return "INSUFFICIENT_LIQUIDITY"
    return _REASONS.get(order.ending)


def size(order: DeskOrder) -> Decimal:
    """``origQty``: of an order for so much money, what became of it."""
    return order.filled if order.size is None else order.size


def stop_price(order: DeskOrder) -> Decimal | None:
    """As it was asked for; of a trailing order without one, where its trigger is now."""
    asked = order.asked
    found: Decimal | None = asked.labels.get("stopPrice")
    return found if found is not None or asked.trigger is None else asked.trigger.price


def client_id(order: DeskOrder) -> str:
    """The client's id; of an order that has none, as those of the site have it."""
    return order.asked.client_order_id or f"web_{order.number:032x}"


def kind_of(order: DeskOrder) -> str:
    """``type``; also of orders that didn't come over the wire."""
    asked = order.asked
    found: str | None = asked.labels.get("type")
    if found is not None:
        return found
    if asked.trigger is not None:
        return "STOP_LOSS" if asked.type is OrderType.MARKET else "STOP_LOSS_LIMIT"
    if asked.type is OrderType.MARKET:
        return "MARKET"
    return "LIMIT_MAKER" if asked.lifetime is Lifetime.POST_ONLY else "LIMIT"


def lifetime(order: DeskOrder) -> str:
    """``timeInForce``."""
    asked = order.asked
    usual = "GTC" if asked.lifetime is Lifetime.POST_ONLY else asked.lifetime.value.upper()
    return str(asked.labels.get("tif", usual))


def prevention(order: DeskOrder) -> str:
    """``selfTradePreventionMode``."""
    return str(order.asked.labels.get("stp", "NONE"))


def waits(order: DeskOrder) -> bool:
    if order.asked.labels.get("pending"):
        return True
    return order.asked.trigger is not None and not order.triggered


def _about(order: DeskOrder) -> dict[str, Any]:
    """What an order is, in every row of it."""
    asked = order.asked
    return {
        "price": money(asked.price),
        "origQty": money(size(order)),
        "executedQty": money(order.filled),
        "origQuoteOrderQty": money(asked.quote_size),
        "cummulativeQuoteQty": money(order.value),
        "status": status(order),
        "timeInForce": lifetime(order),
        "type": kind_of(order),
        "side": SIDES[order.side],
    }


def _besides(order: DeskOrder) -> dict[str, Any]:
    """What rows have of orders that have it."""
    asked, labels = order.asked, order.asked.labels
    found: dict[str, Any] = {}
    if asked.trigger is not None or "stopPrice" in labels:
        found["stopPrice"] = money(stop_price(order))
    if "trailingDelta" in labels:
        found["trailingDelta"] = labels["trailingDelta"]
        found["trailingTime"] = milliseconds(order.created_ns) if not asked.activates_at else -1
    if "icebergQty" in labels:
        found["icebergQty"] = money(labels["icebergQty"])
    for name in ("strategyId", "strategyType"):
        if name in labels:
            found[name] = labels[name]
    if order.ending is Ending.SELF_TRADE:
        found["preventedMatchId"] = order.number
        found["preventedQuantity"] = money(size(order) - order.filled)
    reason = expiry_reason(order)
    return found if reason is None else {**found, "expiryReason": reason}


def list_id(order: DeskOrder) -> int:
    return int(order.asked.labels.get("list", -1))


def order_row(ids: Ids, order: DeskOrder) -> dict[str, Any]:
    """An order as lists and queries have it."""
    created = milliseconds(order.created_ns)
    working = -1 if waits(order) else milliseconds(_working_ns(order))
    return {
        "symbol": order.listing.symbol,
        "orderId": ids.order(order),
        "orderListId": list_id(order),
        "clientOrderId": client_id(order),
        **_about(order),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": created,
        "updateTime": milliseconds(order.updated_ns),
        "isWorking": not waits(order),
        "workingTime": working,
        "selfTradePreventionMode": prevention(order),
        **_besides(order),
    }


def _working_ns(order: DeskOrder) -> int:
    return order.created_ns if order.asked.trigger is None else order.updated_ns


def ack_row(ids: Ids, order: DeskOrder, now_ns: int) -> dict[str, Any]:
    """The shortest answer to a new order."""
    return {
        "symbol": order.listing.symbol,
        "orderId": ids.order(order),
        "orderListId": list_id(order),
        "clientOrderId": client_id(order),
        "transactTime": milliseconds(now_ns),
    }


def result_row(ids: Ids, order: DeskOrder, now_ns: int) -> dict[str, Any]:
    """The longer one."""
    working = -1 if waits(order) else milliseconds(now_ns)
    return {
        **ack_row(ids, order, now_ns),
        **_about(order),
        "workingTime": working,
        **({"stopPrice": "0.00000000"} if waits(order) else {}),
        "selfTradePreventionMode": prevention(order),
        **_besides(order),
    }


def answered_fills(ids: Ids, fills: Sequence[DeskFill]) -> list[dict[str, Any]]:
    """``fills`` of the longest one."""
    return [
        {
            "price": money(fill.price),
            "qty": money(fill.size),
            "commission": money(fill.fee),
            "commissionAsset": fill.fee_asset,
            "tradeId": ids.trade(fill),
        }
        for fill in fills
    ]


def canceled_row(ids: Ids, order: DeskOrder, cancel_id: str, now_ns: int) -> dict[str, Any]:
    """The answer to a cancel: it has the cancel's own id beside the order's."""
    return {
        "symbol": order.listing.symbol,
        "origClientOrderId": client_id(order),
        "orderId": ids.order(order),
        "orderListId": list_id(order),
        "clientOrderId": cancel_id,
        "transactTime": milliseconds(now_ns),
        **_about(order),
        "selfTradePreventionMode": prevention(order),
        **_besides(order),
    }


def trade_row(ids: Ids, fill: DeskFill) -> dict[str, Any]:
    """A fill as ``myTrades`` has it."""
    return {
        "symbol": fill.listing.symbol,
        "id": ids.trade(fill),
        "orderId": ids.order(fill.order),
        "orderListId": list_id(fill.order),
        "price": money(fill.price),
        "qty": money(fill.size),
        "quoteQty": money(fill.value),
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.time_ns),
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def report(
    ids: Ids,
    order: DeskOrder,
    kind: str,
    execution: int,
    now_ns: int,
    *,
    fill: DeskFill | None = None,
    request_id: str = "",
) -> dict[str, Any]:
    """``executionReport``.

    :param kind: ``x``, what happened.
    :param execution: ``I``, the number of the event.
    :param request_id: the id of a cancel, which stands where the order's usually does.
    """
    asked, labels, waiting = order.asked, order.asked.labels, waits(order)
    ms = milliseconds(now_ns)
    row: dict[str, Any] = {
        "e": "executionReport",
        "E": ms,
        "s": order.listing.symbol,
        "c": request_id or client_id(order),
        "S": SIDES[order.side],
        "o": kind_of(order),
        "f": lifetime(order),
        "q": money(size(order)),
        "p": money(asked.price),
        "P": money(stop_price(order)),
        "F": money(labels.get("icebergQty")),
        "g": list_id(order),
        "C": client_id(order) if request_id else "",
        "x": kind,
        "X": status(order),
        "r": "NONE",
        "i": ids.order(order),
        "l": money(None if fill is None else fill.size),
        "z": money(order.filled),
        "L": money(None if fill is None else fill.price),
        "n": "0" if fill is None else money(fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": ms,
        "t": -1 if fill is None else ids.trade(fill),
        "I": execution,
        "w": not waiting and not order.stage.ended,
        "m": fill is not None and fill.maker,
        "M": False,
        "O": milliseconds(order.created_ns),
        "Z": money(order.value),
        "Y": money(None if fill is None else fill.value),
        "Q": money(asked.quote_size),
        "V": prevention(order),
    }
    if not waiting:
        row["W"] = milliseconds(_working_ns(order))
    if "trailingDelta" in labels:
        row["d"] = labels["trailingDelta"]
    for key, name in (("j", "strategyId"), ("J", "strategyType")):
        if name in labels:
            row[key] = labels[name]
    reason = expiry_reason(order)
    return row if reason is None else {**row, "eR": reason}


def prevented(row: Mapping[str, Any], order: DeskOrder, with_id: int) -> dict[str, Any]:
    """What a report says besides of a trade with one's own order that was prevented."""
    left = money(size(order) - order.filled)
    return {**row, "v": order.number, "A": left, "B": left, "u": 1, "U": with_id}


def balance_row(balance: DeskBalance) -> dict[str, str]:
    """An asset as ``outboundAccountPosition`` has it."""
    free = balance.total - balance.locked
    return {"a": balance.asset, "f": money(free), "l": money(balance.locked)}
