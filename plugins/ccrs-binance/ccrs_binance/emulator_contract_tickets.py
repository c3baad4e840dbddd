"""Orders of contracts as the emulated Binance reads them.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order and
https://developers.binance.com/docs/derivatives/coin-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_binance.emulator_listings import COINM
from ccrs_binance.emulator_params import Params, missing, unneeded
from ccrs_core import NS_PER_MS, NS_PER_SECOND, OrderType, PositionSide, Side
from ccrs_core.emulator import BadRequest, Lifetime, Listing, NewOrder, SelfTrade, SimulatedMarket

CLIENT_ID = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}", re.ASCII)
NEW_ORDER = (
    *("symbol", "side", "positionSide", "type", "reduceOnly", "quantity", "price"),
    *("newClientOrderId", "timeInForce", "newOrderRespType", "priceMatch"),
    *("selfTradePreventionMode", "goodTillDate"),
)
PREVENTIONS: Mapping[str, SelfTrade | None] = {
    "NONE": None,
    "EXPIRE_TAKER": SelfTrade.CANCEL_TAKER,
    "EXPIRE_MAKER": SelfTrade.CANCEL_MAKER,
    "EXPIRE_BOTH": SelfTrade.CANCEL_BOTH,
}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES = {
    "BOTH": PositionSide.NET,
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
}
LIFETIMES = {
    "GTC": Lifetime.GTC,
    "IOC": Lifetime.IOC,
    "FOK": Lifetime.FOK,
    "GTX": Lifetime.POST_ONLY,
    "GTD": Lifetime.GTC,
}
CONDITIONAL = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
_MATCHES = {
    name if level == 1 else f"{name}_{level}": (name, level)
    for name in ("OPPONENT", "QUEUE")
    for level in (1, 5, 10, 20)
}
_SOONEST_NS = 600 * NS_PER_SECOND
USE_ALGO = BadRequest(
    -4120,
    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    400,
)


@attrs.frozen(kw_only=True)
class Terms:
    """What orders of either kind have: plain ones, and those that wait for a price."""

    side: Side
    position_side: PositionSide
    reduce_only: bool
    lifetime: Lifetime
    price: Decimal | None
    labels: dict[str, Any]


def read_terms(
    params: Params, market: SimulatedMarket, *, priced: bool, usual_prevention: str, now_ns: int
) -> Terms:
    """Read them.

    :raises BadRequest: naming the first thing that is wrong.
    """
    listing = market.listing
    side = params.word("side", SIDES, params.needed("side"), _invalid(-1117, "side"))
    held = params.word("positionSide", POSITION_SIDES, "BOTH", _invalid(-1116, "positionSide"))
    reduce_only = params.flag("reduceOnly")
    if reduce_only and held != "BOTH":
        raise BadRequest(-1106, "Parameter 'reduceonly' sent when not required.", 400)
    lifetimes = [name for name in LIFETIMES if name != "GTD" or listing.category != COINM]
    tif = params.word("timeInForce", ("", *lifetimes), "", _invalid(-1115, "timeInForce"))
    price, match = params.number("price"), params.text("priceMatch", "NONE")
    if priced:
        if match not in {"NONE", *_MATCHES}:
            raise BadRequest(-5038, "Invalid price match.", 400)
        if match != "NONE":
            if price is not None:
                raise unneeded("price")
            price = matched_price(market, SIDES[side], match)
        elif price is None:
            raise missing("price")
    elif price is not None and price:
        raise unneeded("price")
    stp = params.text("selfTradePreventionMode", usual_prevention)
    if stp not in PREVENTIONS:
        raise BadRequest(-5039, "Invalid self trade prevention mode.", 400)
    labels: dict[str, Any] = {"tif": tif or "GTC", "stp": stp, "priceMatch": match}
    till = params.whole("goodTillDate")
    if tif == "GTD":
        if till is None:
            raise missing("goodTillDate")
        if till * NS_PER_MS <= now_ns + _SOONEST_NS:
            text = (
                "The goodTillDate timestamp must be greater than the current time plus 600 "
                "seconds and smaller than 253402300799000"
            )
            raise BadRequest(-5040, text, 400)
        labels["goodTillDate"] = till // 1000 * 1000
    return Terms(
        side=SIDES[side],
        position_side=POSITION_SIDES[held],
        reduce_only=reduce_only,
        lifetime=LIFETIMES.get(tif, Lifetime.GTC),
        price=price,
        labels=labels,
    )


def read(
    params: Params, listing: Listing, market: SimulatedMarket, made_up: str, now_ns: int
) -> NewOrder:
    """Read a new order; those that wait for a price have a service of their own.

    :raises BadRequest: naming the first thing that is wrong.
    """
    kind = params.needed("type")
    if kind in CONDITIONAL:
        raise USE_ALGO
    if kind not in {"LIMIT", "MARKET"}:
        raise _invalid(-1116, "orderType")
    limit = kind == "LIMIT"
    client_id = client_id_of(params, "newClientOrderId") or made_up
    if limit and not params.text("timeInForce"):
        raise missing("timeInForce")
    if not limit and "timeInForce" in params:
        raise unneeded("timeInForce")
    quantity = params.number("quantity")
    if quantity is None:
        raise missing("quantity")
    terms = read_terms(params, market, priced=limit, usual_prevention="EXPIRE_MAKER", now_ns=now_ns)
    check_quantity(quantity, listing, market_order=not limit)
    return NewOrder(
        listing=listing,
        side=terms.side,
        size=quantity,
        price=terms.price,
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        lifetime=terms.lifetime,
        reduce_only=terms.reduce_only,
        position_side=terms.position_side,
        self_trade=PREVENTIONS[terms.labels["stp"]],
        client_order_id=client_id,
        labels={**terms.labels, "type": kind},
    )


def client_id_of(params: Params, name: str) -> str:
    """The client's id.

    :raises BadRequest: -4015.
    """
    found = params.text(name)
    if found and not CLIENT_ID.fullmatch(found):
        raise BadRequest(-4015, "Client order id is not valid.", 400)
    return found


def check_quantity(quantity: Decimal, listing: Listing, *, market_order: bool) -> None:
    """Refuse what is none, or more than an order without a price may have.

    :raises BadRequest: -4003, -4005.
    """
    if not quantity:
        raise BadRequest(-4003, "Quantity less than or equal to zero.", 400)
    if market_order and quantity > listing.max_size // 8:
        raise BadRequest(-4005, "Quantity greater than max quantity.", 400)


def matched_price(market: SimulatedMarket, side: Side, match: str) -> Decimal:
    """The price that ``priceMatch`` stands for: so many levels deep on the other side, or the own.

    :raises BadRequest: -5041.
    """
    name, level = _MATCHES[match]
    other = name == "OPPONENT"
    asks = (side is Side.BUY) is other
    ladder = market.engine.asks if asks else market.engine.bids
    levels = ladder.top(level)
    if len(levels) < level:
        raise BadRequest(-5041, "No depth matches this BBO order.", 400)
    return market.rules.price.value(levels[-1][0])


def _invalid(code: int, name: str) -> BadRequest:
    return BadRequest(code, f"Invalid {name}.", 400)
