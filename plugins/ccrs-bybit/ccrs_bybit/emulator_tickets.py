"""What a request to place or amend an order says to the emulated Bybit, read as strictly as Bybit
reads it: words, types and grammar; whether it fits the instrument is
:mod:`ccrs_bybit.emulator_fitting`.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse, wrong
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_core import Side
from ccrs_core.emulator import BadRequest

_NUMBER = re.compile(r"\d{1,20}(\.\d{0,20})?", re.ASCII)
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_LIFETIMES = frozenset({"GTC", "IOC", "FOK", "PostOnly", "RPI"})
_FOLLOWED = frozenset({"LastPrice", "IndexPrice", "MarkPrice"})
_SPOT_FILTERS = frozenset({"Order", "tpslOrder", "StopOrder"})
_PREVENTIONS = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
_TPSL_MODES = frozenset({"Full", "Partial"})
_TYPES = frozenset({"Market", "Limit"})


class Fields:
    """The fields of a request's JSON object; null is as if not sent."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def text(self, name: str, default: str = "") -> str:
        """A text; any other type is refused."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise wrong(name)
        return value

    def word(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """One of some words, or what stands for none."""
        value = self.text(name) or default
        if value and value not in allowed:
            raise wrong(name)
        return value

    def number(self, name: str, *, refusal: BadRequest | None = None) -> Decimal | None:
        """A number above or equal to zero, written as text: never as a JSON number."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise refusal or wrong(name)
        return Decimal(value)

    def whole(self, name: str, allowed: Collection[int], default: int) -> int:
        """A whole number, as a JSON number; some clients write it as text."""
        value = self.values.get(name, default)
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            raise wrong(name)
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise wrong(name)
        return value


@attrs.frozen(kw_only=True)
class ExitTerms:
    """A take-profit or stop-loss as it was asked for."""

    price: Decimal
    follows: str
    limit_price: Decimal | None


@attrs.frozen(kw_only=True)
class Ticket:
    """An order as it was asked for; texts are Bybit's own words."""

    category: str
    symbol: str
    side: Side
    market: bool
    qty: Decimal
    in_quote: bool
    """``qty`` counts the quote coin: a spot market buy, unless told otherwise."""
    market_unit: str
    price: Decimal | None
    lifetime: str
    link_id: str
    position_idx: int
    reduce_only: bool
    close_on_trigger: bool
    order_filter: str
    trigger_price: Decimal | None
    trigger_direction: int
    """1 where the price is to rise to it, 2 where it is to fall; 0 of spot and where there is no
    trigger."""
    trigger_follows: str
    take_profit: ExitTerms | None
    stop_loss: ExitTerms | None
    tpsl_mode: str
    prevention: str
    leverage: str
    volatility: Decimal | None
    mmp: bool
    slippage_type: str
    slippage: Decimal | None
    best_of: str
    best_level: int

    @property
    def closes_all(self) -> bool:
        """Size 0 closes the whole position."""
        return not self.qty and self.reduce_only and self.close_on_trigger


def category_of(values: Mapping[str, Any]) -> str:
    """A body's category.

    :raises BadRequest: where it is none that there is.
    """
    category = values.get("category")
    if category not in CATEGORIES:
        raise BadRequest(PARAMETER, "Illegal category")
    assert isinstance(category, str)
    return category


def create_ticket(category: str, values: Mapping[str, Any]) -> Ticket:
    """Read a request to place an order.

    :raises BadRequest: naming the first field that is wrong.
    """
    fields = Fields(values)
    contract = category in {LINEAR, INVERSE}
    side = _SIDES.get(fields.text("side"))
    if side is None:
        raise refuse(category, Complaint.SIDE)
    kind = fields.text("orderType")
    if kind not in _TYPES:
        raise refuse(category, Complaint.TYPE)
    qty = fields.number("qty", refusal=refuse(category, Complaint.QTY))
    reduce_only, close = fields.flag("reduceOnly"), fields.flag("closeOnTrigger")
    if qty is None or (not qty and not (contract and reduce_only and close)):
        raise refuse(category, Complaint.QTY)
    lifetime = "IOC" if kind == "Market" else fields.text("timeInForce") or "GTC"
    if lifetime not in _LIFETIMES:
        raise refuse(category, Complaint.TIME_IN_FORCE)
    if lifetime == "RPI":
        raise refuse(category, Complaint.RPI)
    volatility = fields.number("orderIv") if category == OPTION else None
    price = fields.number("price", refusal=refuse(category, Complaint.PRICE))
    best = fields.word("bboSideType", ("Queue", "Counterparty")) if contract else ""
    if kind == "Market":
        price, volatility, best = None, None, ""
    elif (price is None and volatility is None and not best) or price == 0:
        raise refuse(category, Complaint.PRICE)
    follows = fields.word("triggerBy", _FOLLOWED, "LastPrice")
    trigger = fields.number("triggerPrice") or None
    order_filter = fields.text("orderFilter") or "Order" if category == SPOT else ""
    if category == SPOT and order_filter not in _SPOT_FILTERS:
        raise refuse(category, Complaint.FILTER)
    if category == SPOT and (order_filter == "Order") is not (trigger is None):
        raise refuse(category, Complaint.TRIGGER_MISSING if trigger is None else Complaint.FILTER)
    if category == OPTION and trigger is not None:
        raise wrong("triggerPrice")
    direction = fields.whole("triggerDirection", (0, 1, 2), 0)
    if contract and trigger is not None and not direction:
        raise wrong("TriggerDirection")
    slippage_type, slippage = _slippage(fields, market=kind == "Market", plain=trigger is None)
    take_profit = _exit(fields, "tp", "takeProfit", category)
    stop_loss = _exit(fields, "sl", "stopLoss", category)
    mode = fields.word("tpslMode", _TPSL_MODES)
    limited = any(each and each.limit_price for each in (take_profit, stop_loss))
    if contract and limited and mode != "Partial":
        raise wrong("tpslMode")
    if (take_profit or stop_loss) and (reduce_only or (category == SPOT and kind == "Market")):
        raise BadRequest(PARAMETER, "TP/SL can't be set for this order")
    borrows = fields.whole("isLeverage", (0, 1), 0) == 1
    if borrows and category == SPOT:
        # Nobody has switched borrowing on: spot orders spend what is there.
        raise refuse(category, Complaint.BORROWING)
    unit = fields.word("marketUnit", ("baseCoin", "quoteCoin"))
    if category != SPOT or kind != "Market":
        unit = ""
    in_quote = (
        kind == "Market"
        and category == SPOT
        and (unit == "quoteCoin" or (not unit and side is Side.BUY))
    )
    return Ticket(
        category=category,
        symbol=fields.text("symbol"),
        side=side,
        market=kind == "Market",
        qty=qty,
        in_quote=in_quote,
        market_unit=unit,
        price=price,
        lifetime=lifetime,
        link_id=_link_id(fields, required=category == OPTION),
        position_idx=fields.whole("positionIdx", (0, 1, 2), 0),
        reduce_only=reduce_only and category != SPOT,
        close_on_trigger=close and contract,
        order_filter=order_filter,
        trigger_price=trigger,
        trigger_direction=direction if contract and trigger is not None else 0,
        trigger_follows=follows if contract else "LastPrice",
        take_profit=take_profit,
        stop_loss=stop_loss,
        tpsl_mode=(mode or "Full") if contract and (take_profit or stop_loss) else mode,
        prevention=fields.word("smpType", _PREVENTIONS, "None"),
        leverage="0" if category == SPOT else "",
        volatility=volatility,
        mmp=fields.flag("mmp") and category == OPTION,
        slippage_type=slippage_type,
        slippage=slippage,
        best_of=best,
        best_level=int(fields.word("bboLevel", ("1", "2", "3", "4", "5"), "1")) if best else 0,
    )


def _link_id(fields: Fields, *, required: bool) -> str:
    found = fields.text("orderLinkId")
    if not found and required:
        raise BadRequest(PARAMETER, "orderLinkId is required")
    if found and not _LINK_ID.fullmatch(found):
        raise wrong("OrderLinkId")
    return found


def _slippage(fields: Fields, *, market: bool, plain: bool) -> tuple[str, Decimal | None]:
    kind = fields.word("slippageToleranceType", ("TickSize", "Percent"))
    value = fields.number("slippageTolerance")
    if not kind:
        return "", None
    if not market or not plain:
        raise wrong("slippageToleranceType")
    if kind == "TickSize":
        if value is None or value != int(value) or not 1 <= value <= 10_000:
            raise BadRequest(110108, "Allowable range: 1 to 10000 tick size")
    elif value is None or not Decimal("0.01") <= value <= 10 or value != round(value, 2):
        raise BadRequest(110109, "Allowable range: 0.01% to 10%")
    return kind, value


def _exit(fields: Fields, short: str, name: str, category: str) -> ExitTerms | None:
    price = fields.number(name) or None
    kind = fields.word(f"{short}OrderType", _TYPES, "Market")
    limit = fields.number(f"{short}LimitPrice") or None
    follows = fields.word(f"{short}TriggerBy", _FOLLOWED, "LastPrice")
    if price is None:
        return None
    if kind == "Limit" and limit is None:
        raise wrong(f"{short}LimitPrice")
    if category == OPTION and kind == "Limit":
        raise wrong(f"{short}OrderType")
    return ExitTerms(price=price, follows=follows, limit_price=limit if kind == "Limit" else None)


@attrs.frozen(kw_only=True)
class Change:
    """An amendment as it was asked for. None leaves as it is; of an exit, 0 removes it."""

    symbol: str
    order_id: str
    link_id: str
    qty: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    volatility: Decimal | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    tp_follows: str
    sl_follows: str
    tp_limit: Decimal | None
    sl_limit: Decimal | None


def amend_ticket(category: str, values: Mapping[str, Any]) -> Change:
    """Read a request to amend an order.

    :raises BadRequest: naming the first field that is wrong.
    """
    fields = Fields(values)
    order_id, link_id = which_order(fields)
    qty = fields.number("qty", refusal=refuse(category, Complaint.QTY))
    price = fields.number("price", refusal=refuse(category, Complaint.PRICE))
    if qty == 0:
        raise refuse(category, Complaint.QTY)
    if price == 0:
        raise refuse(category, Complaint.PRICE)
    return Change(
        symbol=fields.text("symbol"),
        order_id=order_id,
        link_id=link_id,
        qty=qty,
        price=price,
        trigger_price=fields.number("triggerPrice") or None,
        volatility=fields.number("orderIv") if category == OPTION else None,
        take_profit=fields.number("takeProfit"),
        stop_loss=fields.number("stopLoss"),
        tp_follows=fields.word("tpTriggerBy", _FOLLOWED),
        sl_follows=fields.word("slTriggerBy", _FOLLOWED),
        tp_limit=fields.number("tpLimitPrice"),
        sl_limit=fields.number("slLimitPrice"),
    )


def which_order(fields: Fields) -> tuple[str, str]:
    """The order's id and link id; Bybit goes by the first where both are there.

    :raises BadRequest: where there is neither.
    """
    order_id, link_id = fields.text("orderId"), fields.text("orderLinkId")
    if not order_id and not link_id:
        raise BadRequest(PARAMETER, "params error: orderId or orderLinkId is required")
    return order_id, "" if order_id else link_id
