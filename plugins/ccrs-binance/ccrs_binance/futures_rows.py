"""Rows of USD-M's and COIN-M's orders and fills: of answers, of lists, and of the user data stream,
which has the same fields by other names.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Order-Update
https://developers.binance.com/docs/derivatives/coin-margined-futures/user-data-streams/Event-Order-Update
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_binance import fields
from ccrs_binance.fields import Row
from ccrs_binance.order_states import (
    FUTURES_ENDS,
    NO_REASON,
    PROFITS,
    STATES,
    STOPS,
    TIMES_IN_FORCE,
    TYPES,
    ended,
    of_exchange,
)
from ccrs_core import (
    EarlyFillReport,
    FillKind,
    FillReport,
    Liquidity,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    StrangeReport,
    TimeInForce,
    Trigger,
    TriggerBy,
)
from ccrs_core.wire import ns_of_ms
from ccrs_core.wire import price as price_of

NAMES: Mapping[str, str] = {
    "s": "symbol",
    "i": "orderId",
    "c": "clientOrderId",
    "S": "side",
    "o": "type",
    "ot": "origType",
    "f": "timeInForce",
    "q": "origQty",
    "p": "price",
    "ap": "avgPrice",
    "sp": "stopPrice",
    "x": "executionType",
    "X": "status",
    "z": "executedQty",
    "T": "updateTime",
    "R": "reduceOnly",
    "wt": "workingType",
    "ps": "positionSide",
    "cp": "closePosition",
    "AP": "activatePrice",
    "cr": "priceRate",
    "pP": "priceProtect",
    "V": "selfTradePreventionMode",
    "pm": "priceMatch",
    "gtd": "goodTillDate",
    "M": "modifyId",
    "er": "expiryReason",
    "st": "st",
    "fs": "fs",
}
"""Fields of updates of orders by the names that answers give them."""

DETAILS = (
    *("type", "origType", "timeInForce", "stopPrice", "closePosition", "activatePrice"),
    *("priceRate", "workingType", "priceProtect", "priceMatch", "selfTradePreventionMode"),
    *("goodTillDate", "modifyId", "pair", "expiryReason"),
)
"""Fields that have no unified name."""

OF_EXCHANGE = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""States of orders that the exchange makes itself."""

TRIGGERED_BY = {
    "": TriggerBy.LAST,
    "CONTRACT_PRICE": TriggerBy.LAST,
    "MARK_PRICE": TriggerBy.MARK,
}

VALUES = {Market.LINEAR: "cumQuote", Market.INVERSE: "cumBase"}
"""What says for how much an order was filled: in quote units, or in the coin."""

_TYPES = {**TYPES, "TAKE_PROFIT": (OrderType.LIMIT, False)}
_CONDITIONAL = STOPS | PROFITS | {"TRAILING_STOP_MARKET"}
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def spelled_out(row: Row) -> dict[str, object]:
    """An update of an order, with the names of answers."""
    return {name: row[short] for short, name in NAMES.items() if short in row}


def order(row: Row, market: Market, received_time_ns: int) -> OrderReport | StrangeReport:
    """What a row says of an order; one in a state that nobody knows is strange."""
    status, native = fields.needed(row, "status"), fields.needed(row, "symbol")
    market, time_ns = fields.family(row, market), fields.time(row, "updateTime")
    state = STATES.get(status)
    if state is None:
        return StrangeReport(
            what=f"status {status}"[:80],
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("orderId", "clientOrderId", "status", *DETAILS)),
        )
    word, side = fields.text(row, "type"), fields.side(row)
    kind, _ = _TYPES.get(word, (None, False))
    time_in_force, rests = TIMES_IN_FORCE.get(fields.text(row, "timeInForce"), (None, None))
    filled, reason = fields.size(row, "executedQty"), None
    why = "" if row.get("expiryReason") is None else str(row["expiryReason"])
    if state.final:
        at_once = kind is OrderType.MARKET or time_in_force in _AT_ONCE
        # One that reduces may also have found nothing to reduce: lists don't say which.
        at_once = at_once and not fields.truth(row, "reduceOnly")
        state, reason = ended(status, why, FUTURES_ENDS, at_once=at_once, filled=bool(filled))
    elif state is OrderState.OPEN and word in _CONDITIONAL:
        # Once it has fired, it has the type of what it has become.
        state = OrderState.WAITING
    own = fields.text(row, "clientOrderId")
    return OrderReport(
        market=market,
        native=native,
        exchange_order_id=fields.needed_identity(row, "orderId"),
        client_order_id=own,
        state=state,
        reason=reason,
        reason_text=f"er {why}" if state.final and why not in NO_REASON else "",
        side=side,
        type=kind,
        size=fields.price(row, "origQty"),
        price=fields.price(row, "price"),
        filled_size=filled,
        filled_value=fields.size(row, VALUES[market]),
        average_price=fields.price(row, "avgPrice"),
        time_in_force=time_in_force,
        post_only=rests,
        reduce_only=fields.truth(row, "reduceOnly"),
        position_side=fields.position_side(row),
        trigger=_trigger(row, side),
        by_exchange=of_exchange(own) is not None or status in OF_EXCHANGE,
        created_ns=fields.time(row, "time"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, DETAILS),
    )


def _trigger(row: Row, side: Side) -> Trigger | None:
    """The condition of an order that has one: of COIN-M's ordinary ones."""
    price, word = fields.price(row, "stopPrice"), fields.text(row, "origType")
    if price is None or word not in STOPS | PROFITS:
        return None
    by = TRIGGERED_BY[fields.text(row, "workingType")]
    return Trigger(price=price, rises=(word in STOPS) is (side is Side.BUY), by=by)


# --- fills -----------------------------------------------------------------------------------

EXECUTED = frozenset({"TRADE", "CALCULATED"})
"""Kinds of executions that may tell of a fill: the second one of liquidation and deleveraging."""


def pushed_fill(row: Row, market: Market, received_time_ns: int) -> FillReport | None:
    """The fill that an update of an order tells of; None where it tells of none.

    What has no id is told by the list of trades alone.
    """
    size, trade = fields.price(row, "l"), fields.identity(row, "t")
    if row["x"] not in EXECUTED or size is None or trade in {"", "0"}:
        return None
    own = fields.text(row, "c")
    kind = of_exchange(own)
    return FillReport(
        market=fields.family(row, market),
        native=fields.needed(row, "s"),
        fill_id=trade,
        exchange_order_id=fields.needed_identity(row, "i"),
        client_order_id=own,
        side=fields.side(row, "S"),
        price=price_of(row["L"]),
        size=size,
        # Where it is left out it isn't zero: the list of trades has it.
        fee=fields.amount(row, "n"),
        fee_asset=fields.text(row, "N"),
        liquidity=Liquidity.MAKER if fields.truth(row, "m") else Liquidity.TAKER,
        kind=FillKind.TRADE if kind is None else kind,
        by_exchange=kind is not None or row["X"] in OF_EXCHANGE,
        position_side=fields.position_side(row, "ps"),
        exchange_time_ns=ns_of_ms(row["T"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details({"realizedPnl": row.get("rp")}, ("realizedPnl",)),
    )


def early_fill(row: Row, market: Market, received_time_ns: int) -> EarlyFillReport:
    """What a ``TRADE_LITE`` says: the same trade as an update of its order that comes later.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Trade-Lite
    """
    return EarlyFillReport(
        market=fields.family(row, market),
        native=fields.needed(row, "s"),
        fill_id=fields.needed_identity(row, "t", least=0),
        exchange_order_id=fields.needed_identity(row, "i"),
        client_order_id=fields.text(row, "c"),
        side=fields.side(row, "S"),
        price=price_of(row["L"]),
        size=price_of(row["l"]),
        exchange_time_ns=ns_of_ms(row["T"]),
        received_time_ns=received_time_ns,
    )


def fill(row: Row, market: Market, received_time_ns: int) -> FillReport:
    """What a row of the list of an account's trades is."""
    return FillReport(
        market=fields.family(row, market),
        native=fields.needed(row, "symbol"),
        fill_id=fields.needed_identity(row, "id", least=0),
        exchange_order_id=fields.needed_identity(row, "orderId"),
        client_order_id="",
        side=fields.side(row),
        price=price_of(row["price"]),
        size=price_of(row["qty"]),
        fee=fields.amount(row, "commission"),
        fee_asset=fields.text(row, "commissionAsset"),
        liquidity=Liquidity.MAKER if fields.truth(row, "maker") else Liquidity.TAKER,
        position_side=fields.position_side(row),
        exchange_time_ns=ns_of_ms(row["time"]),
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, ("realizedPnl", "pair", "baseQty", "quoteQty")),
    )
