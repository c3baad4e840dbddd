"""Rows of orders of futures that wait for a trigger, which Binance keeps apart: of lists, and of
the events ``ALGO_UPDATE``.

What a trigger places is an order of its own, which the row names.
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Algo-Order-Update
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_binance import fields
from ccrs_binance.algos import PERCENT, TRAILING, algo_id
from ccrs_binance.fields import Row
from ccrs_binance.futures_rows import TRIGGERED_BY
from ccrs_binance.order_states import ALGO_STATES, FIRED, PROFITS, STOPS, TIMES_IN_FORCE, TYPES
from ccrs_core import (
    EndReason,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    StrangeReport,
    Trailing,
    Trigger,
)

NAMES: Mapping[str, str] = {
    "caid": "clientAlgoId",
    "aid": "algoId",
    "at": "algoType",
    "o": "orderType",
    "s": "symbol",
    "S": "side",
    "ps": "positionSide",
    "f": "timeInForce",
    "q": "quantity",
    "X": "algoStatus",
    "ai": "actualOrderId",
    "ap": "actualPrice",
    "aq": "actualQty",
    "act": "actualType",
    "tp": "triggerPrice",
    "p": "price",
    "V": "selfTradePreventionMode",
    "wt": "workingType",
    "pm": "priceMatch",
    "cp": "closePosition",
    "pP": "priceProtect",
    "R": "reduceOnly",
    "tt": "triggerTime",
    "gtd": "goodTillDate",
    "rm": "rejectMessage",
    "ia": "isActivated",
    "st": "st",
}
"""Fields of events by the names that answers give them."""

DETAILS = (
    *("algoType", "orderType", "timeInForce", "actualOrderId", "actualPrice", "actualQty"),
    *("actualType", "selfTradePreventionMode", "workingType", "priceMatch", "closePosition"),
    *("priceProtect", "triggerTime", "goodTillDate", "activatePrice", "callbackRate"),
    *("icebergQuantity", "isActivated", "rejectMessage"),
)
"""Fields that have no unified name."""

_TYPES = {**TYPES, "TAKE_PROFIT": (OrderType.LIMIT, False)}


def spelled_out(row: Row, time: object) -> dict[str, object]:
    """What an event says, with the names of answers. ``time``: when it was so."""
    named = {name: row[short] for short, name in NAMES.items() if short in row}
    return {**named, "updateTime": time}


def algo(row: Row, market: Market, received_time_ns: int) -> OrderReport | StrangeReport:
    """What a row says of an order that waits; one in a state that nobody knows is strange."""
    status, native = fields.needed(row, "algoStatus"), fields.needed(row, "symbol")
    market, state = fields.family(row, market), ALGO_STATES.get(status)
    created_ns = fields.time(row, "createTime")
    time_ns = fields.time(row, "updateTime") or created_ns
    if state is None:
        return StrangeReport(
            what=f"algoStatus {status}"[:80],
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("algoId", "clientAlgoId", "algoStatus", *DETAILS)),
        )
    word, side = fields.text(row, "orderType"), fields.side(row)
    kind, _ = _TYPES.get(word, (None, False))
    time_in_force, rests = TIMES_IN_FORCE.get(fields.text(row, "timeInForce"), (None, None))
    reason, told = _why(row, state)
    return OrderReport(
        market=market,
        native=native,
        exchange_order_id=algo_id(fields.needed_identity(row, "algoId")),
        client_order_id=fields.text(row, "clientAlgoId"),
        state=state,
        reason=reason,
        reason_text=told,
        side=side,
        type=kind,
        size=fields.price(row, "quantity"),
        price=fields.price(row, "price"),
        # What it has placed is filled, under an id of its own.
        filled_size=None,
        time_in_force=time_in_force,
        post_only=rests,
        reduce_only=fields.truth(row, "reduceOnly"),
        position_side=fields.position_side(row),
        trigger=_trigger(row, word, side),
        fired=status in FIRED,
        children=_placed(row),
        created_ns=created_ns,
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, DETAILS),
    )


def _placed(row: Row) -> tuple[str, ...]:
    """What a trigger has placed; nothing before that."""
    identity = fields.identity(row, "actualOrderId")
    return (identity,) if identity not in {"", "0"} else ()


def _why(row: Row, state: OrderState) -> tuple[EndReason | None, str]:
    if state is OrderState.REJECTED:
        return EndReason.OTHER, str(row.get("rejectMessage") or "")[:200]
    return None, ""


def _trigger(row: Row, word: str, side: Side) -> Trigger | Trailing | None:
    """Stops fire where the price moves on, the others where it turns; by how much trailing ones
    follow it events don't say."""
    if word == TRAILING:
        rate = fields.price(row, "callbackRate")
        if rate is None:
            return None
        return Trailing(
            share=rate / PERCENT,
            activation=fields.price(row, "activatePrice"),
            by=TRIGGERED_BY[fields.text(row, "workingType")],
        )
    price = fields.price(row, "triggerPrice")
    if price is None or word not in STOPS | PROFITS:
        return None
    by = TRIGGERED_BY[fields.text(row, "workingType")]
    return Trigger(price=price, rises=(word in STOPS) is (side is Side.BUY), by=by)
