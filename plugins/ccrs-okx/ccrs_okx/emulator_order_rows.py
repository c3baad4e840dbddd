"""How the emulated OKX writes orders and fills, in lists and in pushes.

Written from OKX's documents and recorded frames, on purpose without the plugin's reading side.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ccrs_core import FillKind, Market, OrderType, PositionSide, Side
from ccrs_core.emulator import (
    DeskFill,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    MoneyRow,
    SelfTrade,
    Stage,
    trimmed,
)
from ccrs_okx.emulator_listings import OPTION, SPOT
from ccrs_okx.emulator_wire import SIDES, ms

POSITION_WORDS = {PositionSide.NET: "net", PositionSide.LONG: "long", PositionSide.SHORT: "short"}
_KINDS = {
    Lifetime.GTC: "limit",
    Lifetime.IOC: "ioc",
    Lifetime.FOK: "fok",
    Lifetime.POST_ONLY: "post_only",
}
_PREVENTED = {
    SelfTrade.CANCEL_MAKER: "cancel_maker",
    SelfTrade.CANCEL_TAKER: "cancel_taker",
    SelfTrade.CANCEL_BOTH: "cancel_both",
}
_SOURCES: Mapping[Ending, str] = {
    Ending.BY_USER: "1",
    Ending.WOULD_TAKE: "31",
    Ending.NO_LIQUIDITY: "14",
    Ending.NOT_WHOLE: "13",
    Ending.SELF_TRADE: "32",
    Ending.REDUCE_ONLY: "2",
    Ending.BALANCE: "9",
    Ending.LIQUIDATION: "3",
    Ending.DELEVERAGING: "6",
    Ending.SETTLEMENT: "7",
    Ending.DEAD_MAN: "20",
    Ending.EXCHANGE: "0",
    Ending.PARTNER: "36",
    Ending.POSITION_CLOSED: "17",
    Ending.REPLACED: "0",
}
"""``cancelSource``."""
_BY_EXCHANGE: Mapping[Ending, str] = {
    Ending.LIQUIDATION: "full_liquidation",
    Ending.DELEVERAGING: "adl",
    Ending.SETTLEMENT: "delivery",
    Ending.EXCHANGE: "auto_conversion",
}
_SPREAD = 65_536


class Ids:
    """The ids of orders, fills, bills and positions: numbers, told apart from any that were never
    given."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"okx/{seed}/ids")
        self._orders = rng.randrange(24 * 10**17, 25 * 10**17)
        self._algos = rng.randrange(26 * 10**17, 27 * 10**17)
        self._fills = rng.randrange(28 * 10**17, 29 * 10**17)
        self._bills = rng.randrange(30 * 10**17, 31 * 10**17)
        self._trades = rng.randrange(10**8, 10**9)
        self._seed = seed

    def order(self, number: int) -> str:
        return str(self._orders + _SPREAD * number)

    def algo(self, number: int) -> str:
        """The id of an order that waits, by its number."""
        return str(self._algos + _SPREAD * number)

    def order_number(self, text: str) -> int | None:
        """The number of an order's id; None where there is no such id."""
        return self._number(text, self._orders)

    def algo_number(self, text: str) -> int | None:
        return self._number(text, self._algos)

    @staticmethod
    def _number(text: str, base: int) -> int | None:
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            return None
        number, rest = divmod(int(text) - base, _SPREAD)
        return number if not rest and number > 0 else None

    def trade(self, fill: DeskFill) -> str:
        """A fill's trade, of both its sides the same; below zero of what the exchange forced."""
        number = self._trades + fill.number
        return str(number if fill.kind is FillKind.TRADE else -number)

    def bill_of(self, fill: DeskFill) -> int:
        """The bill by which lists of fills are paged."""
        return self._fills + 64 * (2 * fill.number + (fill.side is Side.SELL))

    def bill(self, row: MoneyRow) -> int:
        return self._bills + 64 * row.number

    def position(self, account: str, listing: Listing, side: PositionSide) -> str:
        name = f"okx/{self._seed}/{account}/{listing.symbol}/{side.value}"
        return str(random.Random(name).randrange(20 * 10**17, 22 * 10**17))


def sized(listing: Listing, size: Decimal) -> str:
    """A size as OKX counts it."""
    return trimmed(listing.counted(size))


FINEST_DIGITS = 12
"""Digits behind the point that amounts of money have at most."""


def money(amount: Decimal, digits: int = FINEST_DIGITS) -> str:
    """An amount, cut to some digits and without trailing zeros; never an exponent."""
    return trimmed(round(amount, digits))


def average(order: DeskOrder) -> Decimal | None:
    """The average price of what is filled."""
    if not order.filled or not order.value:
        return None
    listing = order.listing
    worth = order.filled * listing.worth_of_one
    return worth / order.value if listing.market is Market.INVERSE else order.value / worth


def is_algo(order: DeskOrder) -> bool:
    """Whether it is one that waits (or waited) for a trigger: OKX counts those apart."""
    return order.asked.trigger is not None


def state(order: DeskOrder) -> str:
    match order.stage:
        case Stage.FILLED:
            return "filled"
        case Stage.CANCELED | Stage.REJECTED:
            return "canceled"
    return "partially_filled" if order.filled else "live"


def kind(order: DeskOrder) -> str:
    """``ordType``."""
    asked = order.asked
    said = asked.labels.get("kind")
    if asked.type is OrderType.MARKET:
        return said if said in {"market", "optimal_limit_ioc"} else "market"
    return _KINDS[asked.lifetime]


def mode(order: DeskOrder) -> str:
    """``tdMode``."""
    said = order.asked.labels.get("mode")
    return str(said or ("cash" if order.listing.category == SPOT else "cross"))


def _cancel_source(order: DeskOrder) -> str:
    if order.ending is None:
        return ""
    option = order.listing.category == OPTION and order.ending is Ending.SETTLEMENT
    return "10" if option else _SOURCES[order.ending]


def fee_assets(listing: Listing, side: Side) -> tuple[str, str]:
    """What an order pays in, and what it is given rebates in."""
    if listing.category != SPOT:
        return listing.settle or "", listing.settle or ""
    base, quote = listing.base, listing.quote
    return (base, quote) if side is Side.BUY else (quote, base)


def _fees(order: DeskOrder) -> dict[str, str]:
    """Below zero what is paid; rebates by themselves."""
    asset, other = fee_assets(order.listing, order.side)
    paid = order.fees.get(asset, Decimal(0))
    given = order.fees.get(other, Decimal(0)) if other != asset else Decimal(0)
    return {
        "fee": money(-paid),
        "feeCcy": asset,
        "rebate": money(-given),
        "rebateCcy": other,
    }


def source(order: DeskOrder) -> str:
    """What has placed it: 6 a trigger, 7 a take profit or stop loss, 25 a trailing stop."""
    if order.origin is None:
        return ""
    if order.exit_kind:
        return "7"
    return {"trigger": "6", "move_order_stop": "25"}.get(order.asked.labels.get("algo", ""), "7")


def order_row(ids: Ids, order: DeskOrder, algo_id: str, algo_client: str) -> dict[str, Any]:
    """An order as lists tell it; of what a trigger has brought to life with the ids of that."""
    listing, asked, labels = order.listing, order.asked, order.asked.labels
    in_quote = asked.quote_size is not None
    size = asked.quote_size if asked.quote_size is not None else order.size or Decimal(0)
    mean = average(order)
    spot, option = listing.category == SPOT, listing.category == OPTION
    priced = "" if asked.type is OrderType.MARKET or order.price is None else trimmed(order.price)
    side = "" if spot else POSITION_WORDS[asked.position_side]
    waited = order.origin is not None
    forced = order.by is not None
    return {
        "instType": listing.category,
        "instId": listing.symbol,
        "tgtCcy": labels.get("unit", ""),
        "ccy": labels.get("ccy", ""),
        "tradeQuoteCcy": listing.quote if spot else "",
        "ordId": ids.order(order.number),
        "clOrdId": "" if waited or forced else order.client_order_id,
        "algoClOrdId": algo_client,
        "algoId": algo_id,
        "tag": labels.get("tag", ""),
        "px": priced,
        "pxUsd": labels.get("pxUsd", ""),
        "pxVol": labels.get("pxVol", ""),
        "pxType": labels.get("pxType", "px" if option else ""),
        "sz": trimmed(size) if in_quote else sized(listing, size),
        "ordType": kind(order),
        "side": SIDES[order.side],
        "posSide": side,
        "tdMode": mode(order),
        "accFillSz": sized(listing, order.filled),
        "avgPx": money(mean) if mean else "",
        "state": state(order),
        "lever": "" if spot or option else money(labels.get("lever") or Decimal(10)),
        "pnl": money(order.closed_profit),
        **_fees(order),
        "fillPx": "",
        "fillSz": "0",
        "fillTime": "",
        "tradeId": "",
        "category": _BY_EXCHANGE.get(order.by, "normal") if order.by else "normal",
        "source": source(order),
        "cancelSource": _cancel_source(order),
        "cancelSourceReason": "",
        "reduceOnly": "true" if asked.reduce_only else "false",
        "quickMgnType": "",
        "stpId": "",
        "stpMode": _PREVENTED.get(asked.self_trade, "") if asked.self_trade else "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": _attached(order),
        "linkedAlgoOrd": {"algoId": ""},
        "isTpLimit": "false",
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "cTime": ms(order.created_ns),
        "uTime": ms(order.updated_ns),
    }


def _attached(order: DeskOrder) -> list[dict[str, Any]]:
    asked = order.asked
    if asked.take_profit is None and asked.stop_loss is None:
        return []
    row: dict[str, Any] = {
        "attachAlgoId": "",
        "attachAlgoClOrdId": asked.labels.get("exits", ""),
        "amendPxOnTriggerType": "0",
        "failCode": "",
        "failReason": "",
        "sz": "",
        "tpOrdKind": "condition",
    }
    for name, wanted in (("tp", asked.take_profit), ("sl", asked.stop_loss)):
        row[f"{name}TriggerPx"] = "" if wanted is None else trimmed(wanted.price)
        row[f"{name}TriggerPxType"] = "" if wanted is None else wanted.by.value
        limit = None if wanted is None else wanted.limit_price
        at_market = "" if wanted is None else "-1"
        row[f"{name}OrdPx"] = at_market if limit is None else trimmed(limit)
    return [row]


def with_last(row: dict[str, Any], ids: Ids, fill: DeskFill | None) -> dict[str, Any]:
    """An order with its last fill, as lists tell it: of what the exchange forced the trade is 0."""
    if fill is None:
        return row
    forced = fill.kind is not FillKind.TRADE
    return row | {
        "fillPx": trimmed(fill.price),
        "fillSz": sized(fill.listing, fill.size),
        "fillTime": ms(fill.time_ns),
        "tradeId": "0" if forced else ids.trade(fill),
    }


_NO_FILL = {
    "execType": "",
    "fillFee": "0",
    "fillFeeCcy": "",
    "fillFwdPx": "",
    "fillIdxPx": "",
    "fillMarkPx": "",
    "fillMarkVol": "",
    "fillNotionalUsd": "",
    "fillPnl": "0",
    "fillPxUsd": "",
    "fillPxVol": "",
}


def pushed(row: dict[str, Any], order: DeskOrder, **more: str) -> dict[str, Any]:
    """An order as it is pushed without a fill."""
    about = order.price or average(order) or order.last_price
    listing = order.listing
    worth = order.remaining * listing.worth_of_one
    value = worth if listing.market is Market.INVERSE else worth * about
    return row | {
        "amendResult": "",
        "amendSource": "",
        "reqId": "",
        "code": "0",
        "msg": "",
        "avgPx": row["avgPx"] or "0",
        "lastPx": trimmed(order.last_price),
        "notionalUsd": money(value, 8),
        "outcome": "",
        "riskBypassResult": "",
        "slippage": "",
        **_NO_FILL,
        **more,
    }


def with_fill(row: dict[str, Any], ids: Ids, fill: DeskFill) -> dict[str, Any]:
    """A push of an order with one fill."""
    forced = fill.kind is not FillKind.TRADE
    return with_last(row, ids, fill) | {
        "execType": "" if forced else "M" if fill.maker else "T",
        "fillFee": money(-fill.fee),
        "fillFeeCcy": fill.fee_asset,
        "fillIdxPx": money(fill.index_price, 8),
        "fillMarkPx": money(fill.mark_price, 8) if fill.listing.category != SPOT else "",
        "fillNotionalUsd": money(fill.value, 8),
        "fillPnl": money(fill.profit),
    }


def fill_row(ids: Ids, fill: DeskFill) -> dict[str, Any]:
    """A fill as lists tell it.

    https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-transaction-details-last-3-days
    """
    order, listing = fill.order, fill.listing
    forced = fill.kind is not FillKind.TRADE
    own = order.origin is None and not forced
    row = {
        "instType": listing.category,
        "instId": listing.symbol,
        "tradeId": ids.trade(fill),
        "ordId": ids.order(order.number),
        "clOrdId": order.client_order_id if own else "",
        "billId": str(ids.bill_of(fill)),
        "subType": sub_type(fill),
        "tag": order.asked.labels.get("tag", ""),
        "fillPx": trimmed(fill.price),
        "fillSz": sized(listing, fill.size),
        "fillIdxPx": money(fill.index_price, 8),
        "fillPnl": money(fill.profit),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": money(fill.mark_price, 8) if listing.category != SPOT else "",
        "side": SIDES[fill.side],
        "posSide": POSITION_WORDS[order.asked.position_side],
        "feeCcy": fill.fee_asset,
        "fee": money(-fill.fee),
        "feeRate": money(-fill.fee_rate, 8),
        "tradeQuoteCcy": listing.quote if listing.category == SPOT else "",
        "fillTime": ms(fill.time_ns),
        "ts": ms(fill.time_ns),
    }
    if not forced:
        row["execType"] = "M" if fill.maker else "T"
    return row


_OPENS = {
    (PositionSide.LONG, Side.BUY): "3",
    (PositionSide.SHORT, Side.SELL): "4",
    (PositionSide.LONG, Side.SELL): "5",
    (PositionSide.SHORT, Side.BUY): "6",
}


def sub_type(fill: DeskFill) -> str:
    """What kind of bill a fill makes.

    https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-7-days
    """
    closes_long = fill.side is Side.SELL
    if fill.kind is FillKind.LIQUIDATION:
        return "104" if closes_long else "105"
    if fill.kind is FillKind.DELEVERAGING:
        return "125" if closes_long else "126"
    usual = "1" if fill.side is Side.BUY else "2"
    return _OPENS.get((fill.order.asked.position_side, fill.side), usual)
