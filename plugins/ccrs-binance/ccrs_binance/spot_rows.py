"""Rows of spot's orders and fills: of answers, of lists, and of the user data stream, which has the
same fields by other names.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ccrs_binance import fields
from ccrs_binance.fields import Row
from ccrs_binance.order_states import (
    PROFITS,
    SPOT_ENDS,
    SPOT_REJECTIONS,
    STATES,
    STOPS,
    TIMES_IN_FORCE,
    TYPES,
    ended,
)
from ccrs_binance.spot_orders import BIPS
from ccrs_core import (
    EndReason,
    FillReport,
    Liquidity,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    StrangeReport,
    TimeInForce,
    Trailing,
    Trigger,
)
from ccrs_core.wire import ns_of_ms
from ccrs_core.wire import price as price_of

NAMES: Mapping[str, str] = {
    "s": "symbol",
    "i": "orderId",
    "g": "orderListId",
    "c": "clientOrderId",
    "C": "origClientOrderId",
    "S": "side",
    "o": "type",
    "f": "timeInForce",
    "q": "origQty",
    "p": "price",
    "P": "stopPrice",
    "F": "icebergQty",
    "x": "executionType",
    "X": "status",
    "r": "rejectReason",
    "z": "executedQty",
    "Z": "cummulativeQuoteQty",
    "Q": "origQuoteOrderQty",
    "O": "time",
    "T": "updateTime",
    "w": "isWorking",
    "W": "workingTime",
    "V": "selfTradePreventionMode",
    "v": "preventedMatchId",
    "A": "preventedQuantity",
    "u": "tradeGroupId",
    "U": "counterOrderId",
    "Cs": "counterSymbol",
    "d": "trailingDelta",
    "D": "trailingTime",
    "j": "strategyId",
    "J": "strategyType",
    "k": "workingFloor",
    "uS": "usedSor",
    "gP": "pegPriceType",
    "gOT": "pegOffsetType",
    "gOV": "pegOffsetValue",
    "gp": "peggedPrice",
    "eR": "expiryReason",
    "b": "matchType",
    "a": "allocId",
}
"""Fields of reports on executions by the names that answers give them."""

DETAILS = (
    *("type", "timeInForce", "orderListId", "stopPrice", "icebergQty", "trailingDelta"),
    *("trailingTime", "selfTradePreventionMode", "preventedMatchId", "preventedQuantity"),
    *("preventedQty", "tradeGroupId", "counterOrderId", "counterSymbol", "strategyId"),
    *("strategyType", "workingFloor", "usedSor", "pegPriceType", "pegOffsetType"),
    *("pegOffsetValue", "peggedPrice", "expiryReason"),
)
"""Fields that have no unified name."""

RENAMING = frozenset({"CANCELED", "REPLACED"})
"""What a row's own client id is then is the request's; the order's is the original one."""

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def spelled_out(row: Row) -> dict[str, object]:
    """A report on an execution, with the names of answers."""
    return {name: row[short] for short, name in NAMES.items() if short in row}


def order(row: Row, received_time_ns: int) -> OrderReport | StrangeReport:
    """What a row says of an order; one in a state that nobody knows is strange."""
    status, native = fields.needed(row, "status"), fields.needed(row, "symbol")
    state = STATES.get(status)
    time_ns = fields.time(row, "updateTime") or fields.time(row, "transactTime")
    if state is None:
        return StrangeReport(
            what=f"status {status}"[:80],
            market=Market.SPOT,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("orderId", "clientOrderId", "status", *DETAILS)),
        )
    word, side = fields.text(row, "type"), fields.side(row)
    kind, rests = _TYPES.get(word, (None, None))
    time_in_force, _ = TIMES_IN_FORCE.get(fields.text(row, "timeInForce"), (None, False))
    filled = fields.size(row, "executedQty")
    reason, told = None, ""
    if state.final:
        at_once = kind is OrderType.MARKET or time_in_force in _AT_ONCE
        why = fields.text(row, "expiryReason")
        state, reason = ended(status, why, SPOT_ENDS, at_once=at_once, filled=bool(filled))
        refused = fields.text(row, "rejectReason")
        if state is OrderState.REJECTED and refused not in _UNREFUSED:
            why, reason = refused, SPOT_REJECTIONS.get(refused, EndReason.OTHER)
        told = "" if why == "NONE" else why
    elif state is OrderState.OPEN and word in _CONDITIONAL and not _works(row):
        state = OrderState.WAITING
    quote_size = fields.price(row, "origQuoteOrderQty") or fields.price(row, "quoteOrderQty")
    value = fields.amount(row, "cummulativeQuoteQty") or fields.amount(row, "cumulativeQuoteQty")
    return OrderReport(
        market=Market.SPOT,
        native=native,
        exchange_order_id=fields.needed_identity(row, "orderId"),
        client_order_id=_own_id(row),
        state=state,
        reason=reason,
        reason_text=told,
        side=side,
        type=kind,
        size=None if quote_size else fields.price(row, "origQty") or fields.price(row, "qty"),
        quote_size=quote_size,
        price=fields.price(row, "price"),
        filled_size=filled,
        # Of orders of long ago it is below zero: nobody knows it any more.
        filled_value=None if value is None or value < 0 else value,
        time_in_force=time_in_force,
        post_only=rests,
        trigger=_trigger(row, word, side),
        created_ns=fields.time(row, "time"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, DETAILS),
    )


_TYPES = {**TYPES, "TAKE_PROFIT": (OrderType.MARKET, False)}
_CONDITIONAL = STOPS | PROFITS
_UNREFUSED = frozenset({"", "NONE"})


def _own_id(row: Row) -> str:
    """The client id that the order was placed with.

    Answers to cancels have no kind of execution: of all others the original id is blank.
    """
    original = fields.text(row, "origClientOrderId")
    if original and fields.text(row, "executionType") in RENAMING | {""}:
        return original
    return fields.text(row, "clientOrderId")


def _works(row: Row) -> bool:
    """Whether its trigger has brought it to life."""
    told = fields.truth(row, "isWorking")
    if told is not None:
        return told
    working = row.get("workingTime")
    return working is not None and working != fields.NO_ID


def _trigger(row: Row, word: str, side: Side) -> Trigger | Trailing | None:
    price = fields.price(row, "stopPrice")
    steps = row.get("trailingDelta")
    if type(steps) is int and steps:
        # While it follows, the price beside it is where it has come to.
        waits = row.get("trailingTime") == fields.NO_ID
        return Trailing(share=Decimal(steps) / BIPS, activation=price if waits else None)
    if price is None or word not in _CONDITIONAL:
        return None
    # Stops fire where the price moves on, the others where it turns.
    return Trigger(price=price, rises=(word in STOPS) is (side is Side.BUY))


# --- fills -----------------------------------------------------------------------------------

FILL_DETAILS = ("matchType", "allocId", "workingFloor", "orderListId", "tradeGroupId")


def pushed_fill(row: Row, received_time_ns: int) -> FillReport | None:
    """The fill that a report on an execution tells of; None where it tells of none."""
    if row["x"] != "TRADE":
        return None
    named = spelled_out(row)
    trade = fields.identity(row, "t")
    if not trade:
        # What is filled by smart routing is an allocation, and no trade of this symbol's book.
        trade = f"allocation-{fields.needed_identity(row, 'a')}"
    return FillReport(
        market=Market.SPOT,
        native=fields.needed(row, "s"),
        fill_id=trade,
        exchange_order_id=fields.needed_identity(row, "i"),
        client_order_id=fields.text(row, "c"),
        side=fields.side(row, "S"),
        price=price_of(row["L"]),
        size=price_of(row["l"]),
        value=fields.price(row, "Y"),
        fee=fields.amount(row, "n"),
        fee_asset=fields.text(row, "N"),
        liquidity=Liquidity.MAKER if fields.truth(row, "m") else Liquidity.TAKER,
        exchange_time_ns=ns_of_ms(row["T"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details(named, FILL_DETAILS),
    )


def fill(row: Row, received_time_ns: int) -> FillReport:
    """What a row of the list of an account's trades is."""
    return FillReport(
        market=Market.SPOT,
        native=fields.needed(row, "symbol"),
        fill_id=fields.needed_identity(row, "id", least=0),
        exchange_order_id=fields.needed_identity(row, "orderId"),
        client_order_id="",
        side=Side.BUY if fields.truth(row, "isBuyer") else Side.SELL,
        price=price_of(row["price"]),
        size=price_of(row["qty"]),
        value=fields.price(row, "quoteQty"),
        fee=fields.amount(row, "commission"),
        fee_asset=fields.text(row, "commissionAsset"),
        liquidity=Liquidity.MAKER if fields.truth(row, "isMaker") else Liquidity.TAKER,
        exchange_time_ns=ns_of_ms(row["time"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, ("orderListId",)),
    )
