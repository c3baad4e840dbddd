"""How the emulated Binance writes orders that wait for a price in a service of their own.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order
and
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Algo-Order-Update
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_binance.emulator_contract_rows import POSITION_SIDES, SIDES, Spelled, average
from ccrs_core.emulator import DeskOrder, Ending, Stage, milliseconds

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_FIRST = 2_148_719_004
_NOTHING = Decimal(0)


def algo_id(order: DeskOrder) -> int:
    """``algoId``: no order's id."""
    return _FIRST + order.number


def number_of(found: int) -> int:
    """The desk's number of an order by its ``algoId``."""
    return found - _FIRST


def reject_text(order: DeskOrder) -> str:
    """Why its child was refused."""
    if order.stage is not Stage.REJECTED:
        return ""
    return "Margin is insufficient." if order.ending is Ending.BALANCE else "Order is rejected."


def trigger_price(order: DeskOrder) -> Decimal | None:
    found: Decimal | None = order.asked.labels.get("stopPrice")
    trigger = order.asked.trigger
    if found is None and trigger is not None and not order.asked.trails:
        return trigger.price
    return found


def row(trading: Trading, order: DeskOrder, status: str) -> dict[str, Any]:
    """An order that waits, or did, as answers and lists have it."""
    asked, labels, spelled = order.asked, order.asked.labels, Spelled(order.listing)
    child = trading.algo.child_of(order)
    return {
        "algoId": algo_id(order),
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": labels.get("type", "STOP_MARKET"),
        "symbol": order.listing.symbol,
        "side": SIDES[order.side],
        "positionSide": POSITION_SIDES[asked.position_side],
        "timeInForce": labels.get("tif", "GTC"),
        "quantity": spelled.size(asked.size),
        "algoStatus": status,
        "triggerPrice": spelled.price(trigger_price(order)),
        "price": spelled.price(asked.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": labels.get("stp", "NONE"),
        "workingType": labels.get("workingType", "CONTRACT_PRICE"),
        "priceMatch": labels.get("priceMatch", "NONE"),
        "closePosition": asked.closing,
        "priceProtect": labels.get("priceProtect", False),
        "reduceOnly": asked.reduce_only,
        "activatePrice": labels.get("activatePrice", ""),
        "callbackRate": labels.get("callbackRate", ""),
        "createTime": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
        "triggerTime": milliseconds(order.updated_ns) if order.triggered else 0,
        "goodTillDate": labels.get("goodTillDate", 0),
        "actualOrderId": "" if child is None else str(trading.ids.order(child)),
        "actualPrice": spelled.price(None if child is None else average(child)),
    }


def event_row(
    trading: Trading, order: DeskOrder, status: str, child: DeskOrder | None
) -> dict[str, Any]:
    """``o`` of ``ALGO_UPDATE``."""
    asked, labels, spelled = order.asked, order.asked.labels, Spelled(order.listing)
    found: dict[str, Any] = {
        "caid": order.client_order_id,
        "aid": algo_id(order),
        "at": "CONDITIONAL",
        "o": labels.get("type", "STOP_MARKET"),
        "s": order.listing.symbol,
        "S": SIDES[order.side],
        "ps": POSITION_SIDES[asked.position_side],
        "f": labels.get("tif", "GTC"),
        "q": spelled.size(asked.size),
        "X": status,
        "ai": "" if child is None else str(trading.ids.order(child)),
        "ap": spelled.price(None if child is None else average(child)),
        "aq": spelled.size(None if child is None else child.filled),
        "act": "" if child is None else child.asked.type.value.upper(),
        "tp": spelled.price(trigger_price(order)),
        "p": spelled.price(asked.price),
        "V": labels.get("stp", "NONE"),
        "wt": labels.get("workingType", "CONTRACT_PRICE"),
        "pm": labels.get("priceMatch", "NONE"),
        "cp": asked.closing,
        "pP": labels.get("priceProtect", False),
        "R": asked.reduce_only,
        "tt": milliseconds(order.updated_ns) if order.triggered else 0,
        "gtd": labels.get("goodTillDate", 0),
        "rm": reject_text(order),
    }
    if asked.trails:
        found["ia"] = asked.activates_at is None
    return found
