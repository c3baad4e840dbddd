"""Rows of orders that wait for a trigger, which OKX keeps apart: of answers and of the channel
``orders-algo`` alike.

What a trigger places is an order of its own, whose row names the one that has placed it.
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel
"""

from __future__ import annotations

from decimal import Decimal

from ccrs_core import (
    EndReason,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    StrangeReport,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)
from ccrs_core.wire import price
from ccrs_okx import fields
from ccrs_okx.fields import Row
from ccrs_okx.meanings import MEANINGS
from ccrs_okx.order_states import ALGO_STATES

TRIGGERED_BY = {
    "": TriggerBy.LAST,
    "last": TriggerBy.LAST,
    "mark": TriggerBy.MARK,
    "index": TriggerBy.INDEX,
}

AT_MARKET = "-1"
"""The price of what a trigger places, where that is a market order."""

DETAILS = (
    *("instType", "ordType", "tag", "tdMode", "ccy", "lever", "tgtCcy", "tradeQuoteCcy"),
    *("tpTriggerPx", "tpTriggerPxType", "tpOrdPx", "slTriggerPx", "slTriggerPxType", "slOrdPx"),
    *("triggerPx", "triggerPxType", "ordPx", "advanceOrdType", "closeFraction", "failCode"),
    *("actualSz", "actualPx", "actualSide", "ordId", "ordIdList", "attachAlgoOrds", "linkedOrd"),
    *("callbackRatio", "callbackSpread", "activePx", "moveTriggerPx", "chaseType", "chaseVal"),
)
"""Fields that have no unified name."""


def algo(row: Row, received_time_ns: int) -> OrderReport | StrangeReport:
    """What a row says of an order that waits; one in a state that nobody knows is strange."""
    market, native = fields.market_of(row), fields.needed(row, "instId")
    state = ALGO_STATES.get(row["state"])
    time_ns = fields.time(row, "uTime") or fields.time(row, "cTime")
    if state is None or market is None:
        return StrangeReport(
            what=f"state {row['state']} of {row['ordType']} of {row['instType']}"[:80],
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("algoId", "algoClOrdId", "state", *DETAILS)),
        )
    side, (trigger, limit) = fields.side(row), (None, "")
    if row["ordType"] in _PRICED:
        trigger, limit = _condition(row, fields.side(row))
    size, in_quote = fields.price(row, "sz"), _in_quote(row, market, side, limit)
    reason = _reason(state, fields.text(row, "failCode"))
    return OrderReport(
        market=market,
        native=native,
        exchange_order_id=fields.needed(row, "algoId"),
        client_order_id=fields.text(row, "algoClOrdId"),
        state=state,
        reason=reason,
        reason_text=_why(row),
        side=side,
        type=OrderType.MARKET if limit in _NO_LIMIT else OrderType.LIMIT,
        size=None if in_quote else size,
        quote_size=size if in_quote else None,
        price=None if limit in _NO_LIMIT else price(limit),
        # Once it has fired, what it has placed is what is filled.
        filled_size=None if row["state"] == "effective" else Decimal(0),
        time_in_force=TimeInForce.GTC,
        post_only=False,
        reduce_only=fields.truth(row, "reduceOnly"),
        position_side=fields.position_side(row),
        trigger=trigger,
        fired=row["state"] == "effective",
        children=_placed(row),
        created_ns=fields.time(row, "cTime"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, DETAILS),
    )


_PRICED = frozenset({"conditional", "oco", "trigger", "move_order_stop"})
_NO_LIMIT = frozenset({"", AT_MARKET})


def _condition(row: Row, side: Side) -> tuple[Trigger | Trailing | None, str]:
    """The condition of an order that has one, and the price of what it places; both of two, of
    which one cancels the other, aren't one condition.

    Profits are taken where the price moves in favour of the position that is closed, losses are
    stopped on the other side; of plain triggers nothing says which way the price must go.
    """
    if row["ordType"] == "move_order_stop":
        return _trailing(row), AT_MARKET
    profit, loss = fields.price(row, "tpTriggerPx"), fields.price(row, "slTriggerPx")
    if profit is None and loss is None:
        plain, limit = fields.price(row, "triggerPx"), fields.text(row, "ordPx")
        last = fields.price(row, "last")
        if plain is None or last is None or plain == last:
            return None, limit
        return _trigger(row, "triggerPxType", plain, plain > last), limit
    if profit is not None and loss is not None:
        return None, ""
    if loss is not None:
        found = _trigger(row, "slTriggerPxType", loss, side is Side.BUY)
        return found, fields.text(row, "slOrdPx")
    assert profit is not None
    found = _trigger(row, "tpTriggerPxType", profit, side is Side.SELL)
    return found, fields.text(row, "tpOrdPx")


def _trailing(row: Row) -> Trailing | None:
    share, distance = fields.price(row, "callbackRatio"), fields.price(row, "callbackSpread")
    if share is not None:
        distance = None
    elif distance is None:
        return None
    return Trailing(share=share, distance=distance, activation=fields.price(row, "activePx"))


def _trigger(row: Row, name: str, price: Decimal, rises: bool) -> Trigger:
    return Trigger(price=price, rises=rises, by=TRIGGERED_BY[fields.text(row, name)])


def _in_quote(row: Row, market: Market, side: Side, limit: str) -> bool:
    if market is not Market.SPOT or limit not in _NO_LIMIT:
        return False
    unit = fields.text(row, "tgtCcy")
    return side is Side.BUY if not unit else unit == "quote_ccy"


def _reason(state: OrderState, code: str) -> EndReason | None:
    if state is OrderState.REJECTED:
        meaning = MEANINGS.get(code)
        return EndReason.OTHER if meaning is None else meaning.reason
    return None


def _why(row: Row) -> str:
    code, placed = fields.text(row, "failCode"), ", ".join(_placed(row))
    if row["state"] == "effective":
        return f"effective: it has placed {placed}" if placed else "effective"
    return f"failCode {code}" if code not in {"", "0"} else ""


def _placed(row: Row) -> tuple[str, ...]:
    """Ids of what its trigger has placed."""
    listed = row.get("ordIdList") or ()
    ids = [listed] if isinstance(listed, str) else [str(each) for each in listed]
    ids.append(fields.text(row, "ordId"))
    return tuple(dict.fromkeys(each for each in ids if each not in {"", "0"}))
