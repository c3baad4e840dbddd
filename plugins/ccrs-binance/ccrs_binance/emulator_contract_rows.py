"""How the emulated Binance writes orders and fills of contracts, in answers, lists and events.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_binance.emulator_ids import Ids
from ccrs_binance.emulator_listings import COINM
from ccrs_core import FillKind, OrderType, PositionSide, Side
from ccrs_core.emulator import (
    DeskFill,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    Stage,
    decimals,
    milliseconds,
)

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
POSITION_SIDES = {
    PositionSide.NET: "BOTH",
    PositionSide.LONG: "LONG",
    PositionSide.SHORT: "SHORT",
}
_NOTHING = Decimal(0)
_EXPIRED: Mapping[Ending, str] = {
    Ending.NO_LIQUIDITY: "2",
    Ending.NOT_WHOLE: "10",
    Ending.REDUCE_ONLY: "4",
    Ending.POSITION_CLOSED: "4",
    Ending.LIQUIDATION: "5",
    # No document says why.
    Ending.DELEVERAGING: "0",
    Ending.SETTLEMENT: "7",
    Ending.BALANCE: "0",
}
_FORCED = {Ending.LIQUIDATION: "autoclose-", Ending.DELEVERAGING: "adl_autoclose-"}
FORCED_FILLS = frozenset({FillKind.LIQUIDATION, FillKind.DELEVERAGING})


@attrs.frozen
class Spelled:
    """A contract's numbers, with the decimals that it has."""

    listing: Listing

    def price(self, value: Decimal | None) -> str:
        return f"{value or _NOTHING:.{decimals(self.listing.tick)}f}"

    def size(self, value: Decimal | None) -> str:
        return f"{value or _NOTHING:.{decimals(self.listing.lot)}f}"


def plain(value: Decimal) -> str:
    """An amount of money."""
    return f"{value:.8f}"


def average(order: DeskOrder) -> Decimal:
    """What was paid for one: of COIN-M's the harmonic mean."""
    if not order.filled:
        return _NOTHING
    worth = order.filled * order.listing.worth_of_one
    if order.listing.category == COINM:
        return worth / order.value
    return order.value / worth


def status(order: DeskOrder) -> str:
    """``status`` of lists, ``X`` of events."""
    match order.stage:
        case Stage.FILLED:
            return "FILLED"
        case Stage.CANCELED | Stage.REJECTED:
            if order.ending is Ending.SELF_TRADE:
                return "EXPIRED_IN_MATCH"
            return "EXPIRED" if order.ending in _EXPIRED else "CANCELED"
    return "PARTIALLY_FILLED" if order.filled else "NEW"


def expiry_reason(order: DeskOrder) -> str:
    """``er``."""
    if order.ending is Ending.SELF_TRADE:
        return "1"
    if order.ending is Ending.NO_LIQUIDITY and order.asked.type is OrderType.MARKET:
        return "9"
    return _EXPIRED.get(order.ending, "0") if order.ending is not None else "0"


def client_id(order: DeskOrder) -> str:
    """The client's id; of orders that the exchange made, its own."""
    prefix = _FORCED.get(order.by) if order.by is not None else None
    if prefix is None:
        return order.client_order_id or f"web_{order.number:032x}"
    return f"{prefix}{milliseconds(order.created_ns)}{order.number:04d}"


def kind_of(order: DeskOrder) -> str:
    """``type``; of what came of an order that waited for a price, what it is since then."""
    labels = order.asked.labels
    if "algo" in labels and order.asked.trigger is None:
        return "MARKET" if order.asked.type is OrderType.MARKET else "LIMIT"
    usual = "MARKET" if order.asked.type is OrderType.MARKET else "LIMIT"
    return str(labels.get("type", usual))


def lifetime(order: DeskOrder) -> str:
    """``timeInForce``."""
    asked = order.asked
    usual = "GTX" if asked.lifetime is Lifetime.POST_ONLY else asked.lifetime.value.upper()
    return str(asked.labels.get("tif", usual))


def pair(listing: Listing) -> str:
    return f"{listing.base}{listing.quote}"


def _about(ids: Ids, order: DeskOrder) -> dict[str, Any]:
    """What every row of an order has."""
    asked, labels, spelled = order.asked, order.asked.labels, Spelled(order.listing)
    row: dict[str, Any] = {
        "orderId": ids.order(order),
        "symbol": order.listing.symbol,
        "status": status(order),
        "clientOrderId": client_id(order),
        "price": spelled.price(None if asked.type is OrderType.MARKET else asked.price),
        "origQty": spelled.size(order.size),
        "executedQty": spelled.size(order.filled),
        "timeInForce": lifetime(order),
        "type": kind_of(order),
        "reduceOnly": asked.reduce_only,
        "closePosition": asked.closing,
        "side": SIDES[order.side],
        "positionSide": POSITION_SIDES[asked.position_side],
        "stopPrice": spelled.price(labels.get("stopPrice")),
        "workingType": labels.get("workingType", "CONTRACT_PRICE"),
        "priceProtect": labels.get("priceProtect", False),
        "origType": labels.get("origType", kind_of(order)),
        "priceMatch": labels.get("priceMatch", "NONE"),
        "selfTradePreventionMode": labels.get("stp", "EXPIRE_MAKER"),
        "updateTime": milliseconds(order.updated_ns),
    }
    if order.listing.category == COINM:
        return {**row, "pair": pair(order.listing)}
    return {**row, "goodTillDate": labels.get("goodTillDate", 0)}


def answer_row(ids: Ids, order: DeskOrder, *, accepted: bool = False) -> dict[str, Any]:
    """The answer to placing, modifying and canceling an order, which hasn't its average price.

    :param accepted: says that it was taken and no more, whatever has come of it since.
    """
    row = _about(ids, order)
    row["cumQty"] = row["executedQty"]
    if accepted:
        nothing = Spelled(order.listing).size(None)
        row |= {"status": "NEW", "executedQty": nothing, "cumQty": nothing}
    if "modifyId" in order.asked.labels:
        row["modifyId"] = order.asked.labels["modifyId"]
    return row


def order_row(ids: Ids, order: DeskOrder) -> dict[str, Any]:
    """An order as lists and queries have it."""
    spelled = Spelled(order.listing)
    row = _about(ids, order)
    row["avgPrice"] = spelled.price(average(order))
    row["time"] = milliseconds(order.created_ns)
    name = "cumBase" if order.listing.category == COINM else "cumQuote"
    return {**row, name: plain(order.value)}


def trade_row(ids: Ids, fill: DeskFill) -> dict[str, Any]:
    """A fill as ``userTrades`` has it."""
    listing, spelled = fill.listing, Spelled(fill.listing)
    inverse = listing.category == COINM
    worth = fill.size * listing.worth_of_one
    return {
        "symbol": listing.symbol,
        "id": ids.trade(fill),
        "orderId": ids.order(fill.order),
        "side": SIDES[fill.side],
        "price": spelled.price(fill.price),
        "qty": spelled.size(fill.size),
        "realizedPnl": plain(fill.profit),
        "baseQty": plain(fill.value if inverse else worth),
        "quoteQty": plain(worth if inverse else fill.value),
        "marginAsset": listing.settle,
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.time_ns),
        "positionSide": POSITION_SIDES[fill.order.asked.position_side],
        "buyer": fill.side is Side.BUY,
        "maker": fill.maker,
        "pair": pair(listing),
    }


def event_row(
    ids: Ids, order: DeskOrder, kind: str, now_ns: int, fill: DeskFill | None = None
) -> dict[str, Any]:
    """``o`` of ``ORDER_TRADE_UPDATE``.

    :param kind: ``x``, what happened.
    """
    asked, labels, spelled = order.asked, order.asked.labels, Spelled(order.listing)
    named = "LIQUIDATION" if order.by is not None else kind_of(order)
    market = asked.type is OrderType.MARKET
    row: dict[str, Any] = {
        "s": order.listing.symbol,
        "c": client_id(order),
        "S": SIDES[order.side],
        "o": named,
        "f": lifetime(order),
        "q": spelled.size(order.size),
        "p": spelled.price(None if market else asked.price),
        "ap": spelled.price(average(order)),
        "sp": spelled.price(labels.get("stopPrice")),
        "x": kind,
        "X": status(order),
        "i": ids.order(order),
        "l": spelled.size(None if fill is None else fill.size),
        "z": spelled.size(order.filled),
        "L": spelled.price(None if fill is None else fill.price),
        "T": milliseconds(now_ns),
        "t": 0 if fill is None else ids.trade(fill),
        "b": "0",
        "a": "0",
        "m": fill is not None and fill.maker,
        "R": asked.reduce_only,
        "wt": labels.get("workingType", "CONTRACT_PRICE"),
        "ot": labels.get("origType", named),
        "ps": POSITION_SIDES[asked.position_side],
        "cp": asked.closing,
        "rp": plain(_NOTHING if fill is None else fill.profit),
        "pP": labels.get("priceProtect", False),
        "si": 0,
        "ss": 0,
        "V": labels.get("stp", "EXPIRE_MAKER"),
        "pm": labels.get("priceMatch", "NONE"),
        "er": expiry_reason(order),
    }
    # The fees of what was closed by force aren't told here.
    if fill is not None and fill.kind not in FORCED_FILLS:
        row |= {"N": fill.fee_asset, "n": plain(fill.fee)}
    if order.listing.category == COINM:
        row["ma"] = order.listing.settle
    else:
        row["gtd"] = labels.get("goodTillDate", 0)
    if kind == "AMENDMENT" and "modifyId" in labels:
        row["M"] = labels["modifyId"]
    return row
