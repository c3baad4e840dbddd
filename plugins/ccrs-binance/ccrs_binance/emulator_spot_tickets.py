"""Orders of spot as the emulated Binance reads them.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs

from ccrs_binance.emulator_params import Params, missing, unneeded
from ccrs_core import OrderType, Side, Trigger, TriggerBy
from ccrs_core.emulator import BadRequest, Lifetime, Listing, NewOrder, SelfTrade, SimulatedMarket

CLIENT_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}", re.ASCII)
NEW_ORDER = (
    *("symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price"),
    *("newClientOrderId", "strategyId", "strategyType", "stopPrice", "trailingDelta"),
    *("icebergQty", "newOrderRespType", "selfTradePreventionMode"),
    *("pegPriceType", "pegOffsetValue", "pegOffsetType"),
)
PREVENTIONS = {
    "NONE": None,
    "EXPIRE_TAKER": SelfTrade.CANCEL_TAKER,
    "EXPIRE_MAKER": SelfTrade.CANCEL_MAKER,
    "EXPIRE_BOTH": SelfTrade.CANCEL_BOTH,
}
USUAL_PREVENTION = "EXPIRE_MAKER"
TYPES = (
    *("LIMIT", "LIMIT_MAKER", "MARKET"),
    *("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
)
MOST_ICEBERGS = 100
MARKET_PART = 8
"""An order without a price may be so many times smaller than others."""
MOST_NOTIONAL = Decimal(9_000_000)
OFFERED = {
    "orderTypes": list(TYPES),
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": True,
    "cancelReplaceAllowed": True,
    "amendAllowed": True,
    "pegInstructionsAllowed": False,
    "defaultSelfTradePreventionMode": USUAL_PREVENTION,
    "allowedSelfTradePreventionModes": list(PREVENTIONS),
}
"""What ``exchangeInfo`` says of the orders of a pair."""
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "FOK": Lifetime.FOK}
_PRICED = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_TIMED = _PRICED - {"LIMIT_MAKER"}
_TRIGGERED = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
_DELTAS = range(10, 2001)
_BIPS = Decimal(10_000)
_HUGE_STRATEGY = 1_000_000


@attrs.frozen(kw_only=True)
class Ticket:
    """A new order as it was asked for, and how it is to be answered."""

    order: NewOrder
    answer: str


def read(params: Params, listing: Listing, market: SimulatedMarket, made_up: str) -> Ticket:
    """Read a new order.

    :param made_up: the id of an order that comes without one.
    :raises BadRequest: naming the first thing that is wrong with it.
    """
    side = params.word("side", _SIDES, params.needed("side"), _wrong(-1117, "side"))
    kind = params.word("type", TYPES, params.needed("type"), _wrong(-1116, "orderType"))
    tif = params.word("timeInForce", ("", *_LIFETIMES), "", _wrong(-1115, "timeInForce"))
    price, quantity = params.number("price"), params.number("quantity")
    money, stop = params.number("quoteOrderQty"), params.number("stopPrice")
    delta = params.whole("trailingDelta")
    for name, needed, there in (
        ("timeInForce", kind in _TIMED, bool(tif)),
        ("price", kind in _PRICED, price is not None),
    ):
        if needed and not there:
            raise missing(name)
        if there and not needed:
            raise unneeded(name)
    if quantity is None and not (kind == "MARKET" and money is not None):
        raise missing("quantity")
    if money is not None and (kind != "MARKET" or quantity is not None):
        raise unneeded("quoteOrderQty")
    if kind in _TRIGGERED and stop is None and delta is None:
        raise missing("stopPrice")
    if kind not in _TRIGGERED and (stop is not None or delta is not None):
        raise unneeded("trailingDelta" if stop is None else "stopPrice")
    if delta is not None and delta not in _DELTAS:
        raise BadRequest(-1013, "Filter failure: TRAILING_DELTA", 400)
    if "pegPriceType" in params:
        raise BadRequest(-2010, "Pegged orders are not supported for this symbol.", 400)
    labels = _labels(params, kind, tif or ("GTC"), price, stop, delta)
    usual = "FULL" if kind in {"LIMIT", "MARKET"} else "ACK"
    answer = params.word("newOrderRespType", ("ACK", "RESULT", "FULL"), usual)
    prevention = labels["stp"]
    lifetime = _LIFETIMES.get(tif, Lifetime.GTC)
    order = NewOrder(
        listing=listing,
        side=_SIDES[side],
        size=quantity,
        quote_size=money,
        price=price,
        type=OrderType.LIMIT if price is not None else OrderType.MARKET,
        lifetime=Lifetime.POST_ONLY if kind == "LIMIT_MAKER" else lifetime,
        self_trade=PREVENTIONS[prevention],
        client_order_id=params.client_id("newClientOrderId", CLIENT_ID) or made_up,
        labels=labels,
        **_trigger(kind, _SIDES[side], stop, delta, market),
    )
    return Ticket(order=order, answer=answer)


def _labels(
    params: Params,
    kind: str,
    tif: str,
    price: Decimal | None,
    stop: Decimal | None,
    delta: int | None,
) -> dict[str, Any]:
    """What rows say of an order that the desk needn't know."""
    stp = params.text("selfTradePreventionMode", USUAL_PREVENTION)
    if stp not in PREVENTIONS:
        text = "This symbol does not allow the specified self-trade prevention mode."
        raise BadRequest(-2010, text, 400)
    labels: dict[str, Any] = {"type": kind, "tif": tif, "stp": stp}
    iceberg = params.number("icebergQty")
    if iceberg is not None:
        if price is None:
            raise unneeded("icebergQty")
        if tif != "GTC":
            text = "Order type/timeInForce combination does not support icebergQty."
            raise BadRequest(-1013, text, 400)
        whole = params.number("quantity") or Decimal(0)
        if not iceberg or whole / iceberg > MOST_ICEBERGS:
            raise BadRequest(-1013, "Filter failure: ICEBERG_PARTS", 400)
        labels["icebergQty"] = iceberg
    strategy, strategy_kind = params.whole("strategyId"), params.whole("strategyType")
    if strategy_kind is not None and strategy_kind < _HUGE_STRATEGY:
        raise BadRequest(-1128, "Combination of optional parameters invalid.", 400)
    more: dict[str, Any] = {"strategyId": strategy, "strategyType": strategy_kind}
    more |= {"stopPrice": stop, "trailingDelta": delta}
    return labels | {name: value for name, value in more.items() if value is not None}


def _trigger(
    kind: str, side: Side, stop: Decimal | None, delta: int | None, market: SimulatedMarket
) -> dict[str, Any]:
    """How the desk is to wait with an order: a stop loss for a price that goes against it, a take
    profit for one that goes its way; trailing ones for a turn of so much against it, once they have
    begun, and that is where the two kinds differ.

    https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md
    """
    if kind not in _TRIGGERED:
        return {}
    stops = kind.startswith("STOP_LOSS")
    if delta is None:
        assert stop is not None
        rises = (side is Side.BUY) is stops
        return {"trigger": Trigger(price=stop, rises=rises, by=TriggerBy.LAST)}
    rises = side is Side.BUY
    share, last = delta / _BIPS, market.rules.price.value(market.tape.last)
    tick = market.listing.tick
    away = tick * int(last * share / tick)
    begins = last + away if rises else max(last - away, tick)
    trailing: dict[str, Any] = {
        "trigger": Trigger(price=begins, rises=rises, by=TriggerBy.LAST),
        "trailing_share": share,
    }
    return (
        trailing if stop is None else {**trailing, "activates_at": stop, "activates_towards": stops}
    )


def _wrong(code: int, name: str) -> BadRequest:
    return BadRequest(code, f"Invalid {name}.", 400)
