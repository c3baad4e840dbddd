"""What requests to place, amend and cancel orders say to the emulated OKX, read as strictly as OKX
reads them: words, types and grammar.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core import Exit, PositionSide, Side, TriggerBy
from ccrs_core.emulator import BadRequest, SelfTrade
from ccrs_okx.emulator_codes import empty, parameter
from ccrs_okx.emulator_listings import OPTION, SPOT

_NUMBER = re.compile(r"\d{1,20}(\.\d{0,20})?", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
POSITION_SIDES = {
    "": PositionSide.NET,
    "net": PositionSide.NET,
    "long": PositionSide.LONG,
    "short": PositionSide.SHORT,
}
FOLLOWED_BY = {
    "": TriggerBy.LAST,
    "last": TriggerBy.LAST,
    "mark": TriggerBy.MARK,
    "index": TriggerBy.INDEX,
}
PREVENTIONS = {
    "cancel_maker": SelfTrade.CANCEL_MAKER,
    "cancel_taker": SelfTrade.CANCEL_TAKER,
    "cancel_both": SelfTrade.CANCEL_BOTH,
}
_TYPES = frozenset({"market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc"})
AT_MARKET = "-1"


class Fields:
    """The fields of a request's JSON object; null is as if not sent."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def text(self, name: str) -> str:
        """A text; any other type is refused."""
        value = self.values.get(name, "")
        if not isinstance(value, str):
            raise parameter(name)
        return value

    def needed(self, name: str) -> str:
        found = self.text(name)
        if not found:
            raise empty(name)
        return found

    def word(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """One of some words, or what stands for none."""
        value = self.text(name) or default
        if value and value not in allowed:
            raise parameter(name)
        return value

    def number(self, name: str) -> Decimal | None:
        """A number above or equal to zero, written as text."""
        value = self.text(name)
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise parameter(name)
        return Decimal(value)

    def flag(self, name: str) -> bool:
        """A truth value; as text, too."""
        value = self.values.get(name, False)
        if value in ("true", "false", ""):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise parameter(name)
        return value

    def client_id(self, name: str) -> str:
        found = self.text(name)
        if found and not _CLIENT_ID.fullmatch(found):
            raise parameter(name)
        return found

    def tag(self) -> str:
        found = self.text("tag")
        if found and not _TAG.fullmatch(found):
            raise parameter("tag")
        return found


@attrs.frozen(kw_only=True)
class Ticket:
    """An order as it was asked for; sizes as OKX counts them."""

    side: Side
    kind: str
    """``ordType``."""
    mode: str
    """``tdMode``."""
    size: Decimal
    in_quote: bool
    unit: str
    """``tgtCcy``."""
    price: Decimal | None
    volatility: Decimal | None
    dollars: Decimal | None
    client_id: str
    tag: str
    position_side: PositionSide
    reduce_only: bool
    prevention: str
    take_profit: Exit | None
    stop_loss: Exit | None
    exits_id: str
    currency: str
    """``ccy``."""


def ticket(category: str, values: Mapping[str, Any], prevention: str) -> Ticket:
    """Read a request to place an order.

    :param prevention: the account's rule of self-trades where none is said.
    :raises BadRequest: for the first field that is wrong.
    """
    fields = Fields(values)
    mode, side, kind, position_side, reduce_only = _common(category, fields, _TYPES)
    if kind == "optimal_limit_ioc" and category in {SPOT, OPTION}:
        raise parameter("ordType")
    if kind == "market" and category == OPTION:
        raise parameter("ordType")
    size = _size(fields)
    price, volatility, dollars = _price(category, fields, kind)
    by_system = kind in {"market", "optimal_limit_ioc"}
    unit = fields.word("tgtCcy", ("base_ccy", "quote_ccy"))
    if category == SPOT and kind == "market":
        unit = unit or ("quote_ccy" if side is Side.BUY else "base_ccy")
    else:
        unit = ""
    rule = fields.word("stpMode", PREVENTIONS) or prevention
    if rule == "cancel_both" and kind == "fok":
        raise BadRequest(50016, "Parameter ordType and stpMode does not match.")
    take_profit, stop_loss, exits_id = _attached(category, fields)
    return Ticket(
        side=side,
        kind=kind,
        mode=mode,
        size=size,
        in_quote=unit == "quote_ccy",
        unit=unit,
        price=None if by_system else price,
        volatility=volatility,
        dollars=dollars,
        client_id=fields.client_id("clOrdId"),
        tag=fields.tag(),
        position_side=position_side,
        reduce_only=reduce_only,
        prevention=rule,
        take_profit=take_profit,
        stop_loss=stop_loss,
        exits_id=exits_id,
        currency=fields.text("ccy"),
    )


def _common(
    category: str, fields: Fields, types: Collection[str]
) -> tuple[str, Side, str, PositionSide, bool]:
    mode = fields.needed("tdMode")
    modes = {"cash", "cross", "isolated"} if category in {SPOT, OPTION} else {"cross", "isolated"}
    if mode not in modes:
        raise parameter("tdMode")
    side = SIDES.get(fields.needed("side"))
    if side is None:
        raise parameter("side")
    kind = fields.needed("ordType")
    if kind not in types:
        raise parameter("ordType")
    position_side = POSITION_SIDES.get(fields.text("posSide"))
    if position_side is None:
        raise parameter("posSide")
    reduce_only = fields.flag("reduceOnly") and category not in {SPOT, OPTION}
    return mode, side, kind, position_side, reduce_only


def _size(fields: Fields) -> Decimal:
    if not fields.text("sz"):
        raise empty("sz")
    size = fields.number("sz")
    if not size:
        raise parameter("sz")
    return size


def _price(
    category: str, fields: Fields, kind: str
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """An order's price, its volatility, or its price in dollars: options have exactly one."""
    found = [fields.number(name) for name in ("px", "pxVol", "pxUsd")]
    if kind in {"market", "optimal_limit_ioc"}:
        return None, None, None
    if category != OPTION:
        found[1:] = None, None
    if sum(each is not None for each in found) > 1:
        raise BadRequest(51000, "Parameter px, pxUsd and pxVol can't be set at the same time")
    if not any(found):
        raise parameter("px")
    return found[0], found[1], found[2]


def _attached(category: str, fields: Fields) -> tuple[Exit | None, Exit | None, str]:
    attached = fields.values.get("attachAlgoOrds")
    if not attached:
        return None, None, ""
    if not isinstance(attached, list) or len(attached) != 1 or not isinstance(attached[0], dict):
        raise parameter("attachAlgoOrds")
    if category == OPTION:
        raise parameter("attachAlgoOrds")
    one = Fields(attached[0])
    take_profit, stop_loss = exit_of(one, "tp"), exit_of(one, "sl")
    if take_profit is None and stop_loss is None:
        raise BadRequest(51053, "TP and SL trigger prices can't both be empty.")
    return take_profit, stop_loss, one.client_id("attachAlgoClOrdId")


def exit_of(fields: Fields, name: str) -> Exit | None:
    """A take profit (``tp``) or stop loss (``sl``)."""
    price = fields.number(f"{name}TriggerPx")
    limit = fields.text(f"{name}OrdPx")
    if not price:
        if limit:
            raise parameter(f"{name}TriggerPx")
        return None
    by = FOLLOWED_BY.get(fields.text(f"{name}TriggerPxType"))
    if by is None:
        raise parameter(f"{name}TriggerPxType")
    if not limit:
        raise parameter(f"{name}OrdPx")
    return Exit(price=price, limit_price=order_price(fields, f"{name}OrdPx"), by=by)


def order_price(fields: Fields, name: str) -> Decimal | None:
    """The price of what a trigger places; None where that is a market order."""
    text = fields.text(name)
    if text == AT_MARKET:
        return None
    price = fields.number(name)
    if not price:
        raise parameter(name)
    return price


@attrs.frozen(kw_only=True)
class Conditional:
    """What waits for a trigger, as it was asked for."""

    side: Side
    kind: str
    mode: str
    size: Decimal | None
    closes: bool
    """``closeFraction`` 1: the whole position, whatever its size then."""
    position_side: PositionSide
    reduce_only: bool
    client_id: str
    tag: str
    unit: str
    price: Decimal | None
    trigger: Decimal | None
    follows: TriggerBy
    take_profit: Exit | None
    stop_loss: Exit | None
    ratio: Decimal | None
    spread: Decimal | None
    begins: Decimal | None
    """From which price on a trailing stop follows."""


CONDITIONAL_TYPES = ("conditional", "oco", "trigger", "move_order_stop")


def conditional(category: str, values: Mapping[str, Any]) -> Conditional:
    """Read a request to place an order that waits.

    https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-post-place-algo-order

    :raises BadRequest: for the first field that is wrong.
    """
    fields = Fields(values)
    if category == OPTION:
        raise parameter("instId")
    mode, side, kind, position_side, reduce_only = _common(category, fields, CONDITIONAL_TYPES)
    closes = fields.text("closeFraction") == "1"
    size = None if closes else _size(fields)
    if closes and category == SPOT:
        raise parameter("closeFraction")
    follows = FOLLOWED_BY.get(fields.text("triggerPxType"))
    if follows is None:
        raise parameter("triggerPxType")
    price = trigger = None
    take_profit = stop_loss = None
    ratio = spread = begins = None
    if kind == "trigger":
        trigger = fields.number("triggerPx")
        if not trigger:
            raise parameter("triggerPx")
        price = order_price(fields, "orderPx")
    elif kind == "move_order_stop":
        ratio, spread = fields.number("callbackRatio"), fields.number("callbackSpread")
        begins = fields.number("activePx")
        if (ratio is None) is (spread is None):
            raise BadRequest(51311, "Failed to place trailing stop order. Callback rate is wrong.")
    else:
        take_profit, stop_loss = exit_of(fields, "tp"), exit_of(fields, "sl")
        both = take_profit is not None and stop_loss is not None
        if take_profit is None and stop_loss is None:
            raise BadRequest(51053, "TP and SL trigger prices can't both be empty.")
        if kind == "oco" and not both:
            raise parameter("tpTriggerPx" if take_profit is None else "slTriggerPx")
        if kind == "conditional" and both:
            take_profit = None  # of the two OKX looks at the stop alone
    return Conditional(
        side=side,
        kind=kind,
        mode=mode,
        size=size,
        closes=closes,
        position_side=position_side,
        reduce_only=reduce_only,
        client_id=fields.client_id("algoClOrdId"),
        tag=fields.tag(),
        unit=fields.word("tgtCcy", ("base_ccy", "quote_ccy")),
        price=price,
        trigger=trigger,
        follows=follows,
        take_profit=take_profit,
        stop_loss=stop_loss,
        ratio=ratio,
        spread=spread,
        begins=begins,
    )


@attrs.frozen(kw_only=True)
class Change:
    """An amendment as it was asked for. None leaves as it is."""

    size: Decimal | None
    price: Decimal | None
    volatility: Decimal | None
    dollars: Decimal | None
    cancels: bool
    """``cxlOnFail``."""
    request_id: str


def change(values: Mapping[str, Any]) -> Change:
    """Read a request to amend an order.

    :raises BadRequest: for the first field that is wrong.
    """
    fields = Fields(values)
    found = Change(
        size=fields.number("newSz"),
        price=fields.number("newPx"),
        volatility=fields.number("newPxVol"),
        dollars=fields.number("newPxUsd"),
        cancels=fields.flag("cxlOnFail"),
        request_id=fields.client_id("reqId"),
    )
    changed = (found.size, found.price, found.volatility, found.dollars)
    if not any(each is not None for each in changed):
        raise parameter("newSz")
    if any(each is not None and not each for each in changed):
        raise parameter("newSz" if found.size is not None and not found.size else "newPx")
    return found


def which_order(values: Mapping[str, Any], *, algo: bool = False) -> tuple[str, str]:
    """OKX's id and the client's; OKX goes by the first where both are there.

    :raises BadRequest: where there is neither.
    """
    fields = Fields(values)
    names = ("algoId", "algoClOrdId") if algo else ("ordId", "clOrdId")
    mine, its = (fields.text(name) for name in names)
    if not mine and not its:
        raise empty(names[0])
    return mine, "" if mine else its
