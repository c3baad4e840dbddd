"""How the emulated OKX writes orders that wait: two of the desk's are one where a take profit and a
stop loss belong together.

https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ccrs_core import OrderType, Side
from ccrs_core.emulator import DeskOrder, Ending, Stage, trimmed
from ccrs_okx.emulator_listings import OPTION, SPOT
from ccrs_okx.emulator_order_rows import POSITION_WORDS, Ids, mode, sized
from ccrs_okx.emulator_wire import SIDES, ms


def exit_name(order: DeskOrder) -> str:
    """``tp`` or ``sl`` of what is one."""
    said = order.exit_kind or str(order.asked.labels.get("exit", ""))
    return {"take_profit": "tp", "stop_loss": "sl"}.get(said, "")


def state(members: Sequence[DeskOrder]) -> str:
    """https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-get-algo-order-list"""
    if any(each.ending is Ending.REPLACED and each.triggered for each in members):
        return "effective"
    if any(each.stage is Stage.REJECTED for each in members):
        return "order_failed"
    return "canceled" if all(each.stage.ended for each in members) else "live"


def order_type(members: Sequence[DeskOrder]) -> str:
    if len(members) > 1:
        return "oco"
    usual = "move_order_stop" if members[0].asked.trails else "conditional"
    return str(members[0].asked.labels.get("algo") or usual)


def algo_row(ids: Ids, members: Sequence[DeskOrder], last_price: Decimal) -> dict[str, Any]:
    """An order that waits; ``members`` are the desk's, the first of them names it."""
    head = members[0]
    listing, asked, labels = head.listing, head.asked, head.asked.labels
    fired = next((each for each in members if each.replaced_by is not None), None)
    child = "" if fired is None or fired.replaced_by is None else ids.order(fired.replaced_by)
    spot, option = listing.category == SPOT, listing.category == OPTION
    in_quote = asked.quote_size is not None
    size = asked.quote_size if asked.quote_size is not None else head.size or Decimal(0)
    kind = order_type(members)
    newest = max(members, key=lambda each: each.updated_ns)
    row: dict[str, Any] = {
        "instType": listing.category,
        "instId": listing.symbol,
        "ccy": "",
        "ordId": child,
        "ordIdList": [child] if child else [],
        "algoId": ids.algo(head.number),
        "clOrdId": "",
        "algoClOrdId": head.client_order_id or str(labels.get("exits", "")),
        "sz": trimmed(size) if in_quote else "" if asked.closing else sized(listing, size),
        "closeFraction": "1" if asked.closing else "",
        "ordType": kind,
        "side": SIDES[head.side],
        "posSide": "" if spot else POSITION_WORDS[asked.position_side],
        "tdMode": mode(head),
        "tgtCcy": labels.get("unit", ""),
        "state": state(members),
        "lever": "" if spot or option else "10",
        "notionalUsd": "",
        "triggerPx": "",
        "triggerPxType": "",
        "ordPx": "",
        "last": trimmed(last_price),
        "actualSz": sized(listing, size) if child and not in_quote else "0",
        "actualPx": "",
        "actualSide": "" if fired is None else exit_name(fired),
        "triggerTime": "" if fired is None else ms(fired.updated_ns),
        "tag": labels.get("tag", ""),
        "reduceOnly": "true" if asked.reduce_only else "false",
        "failCode": "51008" if state(members) == "order_failed" else "",
        "callbackRatio": labels.get("ratio", ""),
        "callbackSpread": labels.get("spread", ""),
        "activePx": labels.get("begins", ""),
        "moveTriggerPx": "",
        "attachAlgoOrds": [],
        "linkedOrd": {"ordId": "" if head.parent is None else ids.order(head.parent)},
        "cTime": ms(head.created_ns),
        "uTime": ms(newest.updated_ns),
    }
    for name in ("tp", "sl"):
        row |= {f"{name}TriggerPx": "", f"{name}TriggerPxType": "", f"{name}OrdPx": ""}
    for each in members:
        _with_trigger(row, each, kind)
    return row


def _with_trigger(row: dict[str, Any], order: DeskOrder, kind: str) -> None:
    asked = order.asked
    assert asked.trigger is not None
    at_market = asked.type is OrderType.MARKET or asked.price is None
    limit = "-1" if at_market else trimmed(asked.price or Decimal(0))
    price, by = trimmed(asked.trigger.price), asked.trigger.by.value
    if kind == "trigger":
        row |= {"triggerPx": price, "triggerPxType": by, "ordPx": limit}
    elif kind == "move_order_stop":
        row |= {"moveTriggerPx": price}
    else:
        name = exit_name(order) or _by_direction(order)
        row |= {f"{name}TriggerPx": price, f"{name}TriggerPxType": by, f"{name}OrdPx": limit}


def _by_direction(order: DeskOrder) -> str:
    """A take profit sells once the price has risen, and buys once it has fallen."""
    assert order.asked.trigger is not None
    return "tp" if order.asked.trigger.rises is (order.side is Side.SELL) else "sl"
