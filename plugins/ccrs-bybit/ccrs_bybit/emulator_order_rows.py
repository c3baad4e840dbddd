"""How the emulated Bybit writes orders and fills, in lists and in pushes: nearly the same.

https://bybit-exchange.github.io/docs/v5/order/open-order,
https://bybit-exchange.github.io/docs/v5/websocket/private/order and
https://bybit-exchange.github.io/docs/v5/websocket/private/execution
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_push_rows import pushed_fill, pushed_order
from ccrs_bybit.emulator_wire import SIDES
from ccrs_core import FillKind, OrderType, PositionSide, TriggerBy
from ccrs_core.emulator import (
    DeskFill,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    SelfTrade,
    Stage,
    decimals,
    milliseconds,
    trimmed,
)

CONTRACTS = frozenset({LINEAR, INVERSE})
FOLLOWED = {TriggerBy.LAST: "LastPrice", TriggerBy.MARK: "MarkPrice", TriggerBy.INDEX: "IndexPrice"}
POSITION_INDEX = {PositionSide.NET: 0, PositionSide.LONG: 1, PositionSide.SHORT: 2}
_LIFETIMES = {
    Lifetime.GTC: "GTC",
    Lifetime.IOC: "IOC",
    Lifetime.FOK: "FOK",
    Lifetime.POST_ONLY: "PostOnly",
}
PREVENTIONS = {
    "CancelMaker": SelfTrade.CANCEL_MAKER,
    "CancelTaker": SelfTrade.CANCEL_TAKER,
    "CancelBoth": SelfTrade.CANCEL_BOTH,
}
_PREVENTED = {kind: word for word, kind in PREVENTIONS.items()}
_ENDINGS: Mapping[Ending, tuple[str, str]] = {
    Ending.BY_USER: ("CancelByUser", "EC_PerCancelRequest"),
    Ending.WOULD_TAKE: ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    Ending.NO_LIQUIDITY: ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    Ending.NOT_WHOLE: ("UNKNOWN", "EC_NoEnoughQtyToFill"),
    Ending.SELF_TRADE: ("CancelBySmp", "EC_BySelfMatch"),
    Ending.REDUCE_ONLY: ("CancelByReduceOnly", "EC_PerCancelRequest"),
    Ending.BALANCE: ("UNKNOWN", "EC_Others"),
    Ending.LIQUIDATION: ("CancelAllBeforeLiq", "EC_PerCancelRequest"),
    Ending.DELEVERAGING: ("CancelAllBeforeAdl", "EC_PerCancelRequest"),
    Ending.SETTLEMENT: ("CancelBySettle", "EC_PerCancelRequest"),
    Ending.DEAD_MAN: ("CancelByDCP", "EC_PerCancelRequest"),
    Ending.EXCHANGE: ("CancelByAdmin", "EC_PerCancelRequest"),
    Ending.PARTNER: ("CancelByTpSlTsClear", "EC_PerCancelRequest"),
    Ending.POSITION_CLOSED: ("CancelByTpSlTsClear", "EC_PerCancelRequest"),
    Ending.REPLACED: ("CancelByTpSlTsClear", "EC_PerCancelRequest"),
}
_CREATED: Mapping[Ending | None, str] = {
    Ending.LIQUIDATION: "CreateByTakeOver_PassThrough",
    Ending.DELEVERAGING: "CreateByAdl_PassThrough",
    Ending.SETTLEMENT: "CreateBySettle",
    Ending.EXCHANGE: "CreateByAdminClosing",
}
EXECUTION_KINDS = {
    FillKind.TRADE: "Trade",
    FillKind.LIQUIDATION: "BustTrade",
    FillKind.DELEVERAGING: "AdlTrade",
    FillKind.BLOCK: "BlockTrade",
    FillKind.SPREAD: "FutureSpread",
    FillKind.TRANSFER: "MovePosition",
    FillKind.SETTLEMENT: "Delivery",
}


_SPOT_DIGITS = 19


class Ids:
    """The ids of orders and fills: numbers of spot, UUIDs of the others, told apart from any that
    were never given."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"{seed}/order ids")
        self._mask = rng.getrandbits(48)
        self._head = rng.getrandbits(80)
        self._spot = rng.randrange(14 * 10**17, 19 * 10**17)

    def order(self, order: DeskOrder) -> str:
        return self.of(order.listing.category, order.number)

    def of(self, category: str, number: int) -> str:
        """The id of an order's number."""
        if category == SPOT:
            return str(self._spot + 256 * number)
        return self._uuid(number, version=4)

    def number(self, text: str) -> int | None:
        """The number of an order's id, whatever its category; None where there is no such id."""
        if text.isascii() and text.isdecimal() and len(text) == _SPOT_DIGITS:
            number, rest = divmod(int(text) - self._spot, 256)
            return number if not rest and number >= 0 else None
        try:
            number = (UUID(text).int & (2**48 - 1)) ^ self._mask
        except ValueError:
            return None
        return number if self._uuid(number, version=4) == text else None

    def fill(self, category: str, number: int) -> str:
        """The id of a trade; both its sides have the same."""
        if category == SPOT:
            return str(self._spot + 7 + 256 * number)
        return self._uuid(number, version=5)

    def _uuid(self, number: int, version: int) -> str:
        # Every bit but the last 48 is mixed from the number, so that ids don't look like a count.
        mixed = (self._head ^ number * 0x9E3779B97F4A7C15F39D) & (2**80 - 1)
        return str(UUID(int=mixed << 48 | number ^ self._mask, version=version))


class Spelled:
    """A listing's numbers as its orders and fills have them."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self._price, self._size = decimals(listing.tick), decimals(listing.lot)
        self._spot = listing.category == SPOT

    def price(self, value: Decimal | None) -> str:
        if value is None:
            return "0" if self._spot or not self._price else f"{0:.{self._price}f}"
        return trimmed(value) if self._spot else f"{value:.{self._price}f}"

    def size(self, value: Decimal) -> str:
        return f"{value:.{self._size}f}"


def number(value: Decimal, digits: int = 8) -> str:
    """An amount, cut to some digits and without trailing zeros; never an exponent."""
    return trimmed(round(value, digits))


_EXITS = {
    "take_profit": "TakeProfit",
    "stop_loss": "StopLoss",
    "trailing_stop": "TrailingStop",
}


def exit_of(order: DeskOrder) -> str:
    """``take_profit``, ``stop_loss`` or ``trailing_stop`` of an order that is one, by whichever
    call."""
    return order.exit_kind or str(order.asked.labels.get("exit", ""))


def status(order: DeskOrder) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#orderstatus"""
    match order.stage:
        case Stage.ACCEPTED if order.triggered:
            return "Triggered"
        case Stage.WAITING:
            return "Untriggered"
        case Stage.FILLED:
            return "Filled"
        case Stage.REJECTED:
            # Of a post-only order that would take, Bybit says either.
            would_take = order.ending is Ending.WOULD_TAKE
            return "Cancelled" if would_take and order.number % 2 else "Rejected"
        case Stage.CANCELED:
            if order.triggered and order.ending is Ending.REPLACED:
                return "Triggered"  # another order has taken its place
            if order.asked.trigger is not None and not order.triggered:
                return "Deactivated"
            if order.listing.category == SPOT and order.filled:
                return "PartiallyFilledCanceled"
            return "Cancelled"
    return "PartiallyFilled" if order.filled else "New"


def stop_type(order: DeskOrder) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#stopordertype"""
    nothing = "UNKNOWN" if order.listing.category in CONTRACTS else ""
    kind = exit_of(order)
    if kind:
        whole = order.asked.closing or order.listing.category == SPOT or kind == "trailing_stop"
        return ("" if whole else "Partial") + _EXITS[kind]
    if order.asked.trigger is None:
        return nothing
    if order.listing.category == SPOT:
        return "tpslOrder" if order.asked.labels.get("filter") == "tpslOrder" else "Stop"
    return "Stop"


def create_type(order: DeskOrder) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#createtype"""
    if order.by is not None:
        return _CREATED.get(order.by, "CreateByAdminClosing")
    if exit_of(order):
        return f"CreateBy{stop_type(order)}"
    return "CreateByUser" if order.asked.trigger is None else "CreateByStopOrder"


def average(order: DeskOrder) -> Decimal | None:
    """The average price of what is filled."""
    if not order.filled or not order.value:
        return None
    listing = order.listing
    if listing.category == INVERSE:
        return order.filled * listing.worth_of_one / order.value
    return order.value / order.filled


def _fees(order: DeskOrder) -> dict[str, str]:
    return {asset: number(fee, 12) for asset, fee in order.fees.items()}


def order_row(ids: Ids, order: DeskOrder, parent_link: str, *, pushed: bool) -> dict[str, Any]:
    """An order as in lists, or as it is pushed.

    :param parent_link: the link id of the order whose take profit or stop loss it is.
    """
    listing, asked = order.listing, order.asked
    category, spelled, labels = listing.category, Spelled(listing), asked.labels
    contract, spot, option = category in CONTRACTS, category == SPOT, category == OPTION
    market = asked.type is OrderType.MARKET
    unknown = "UNKNOWN" if contract else ""
    ended = order.stage.ended
    mean = average(order)
    cancel, reject = "UNKNOWN", "EC_NoError"
    if order.ending is not None:
        cancel, reject = _ENDINGS[order.ending]
        if status(order) == "Triggered":
            cancel, reject = "UNKNOWN", "EC_NoError"
        if order.ending is Ending.REDUCE_ONLY and exit_of(order):
            cancel = "CancelByTpSlTsClear"
    size, remaining = order.size, order.remaining
    in_quote = asked.quote_size is not None
    asked_size = asked.quote_size if asked.quote_size is not None else size or Decimal(0)
    about = order.price or mean or order.last_price
    value = remaining * about
    if category == INVERSE and about:
        value = remaining * listing.worth_of_one / about
    if in_quote:
        value = Decimal(0) if order.stage is Stage.FILLED else asked_size - order.value
    exits = {"tp": asked.take_profit, "sl": asked.stop_loss}
    prices = {k: spelled.price(each.price if each else None) for k, each in exits.items()}
    limits = {
        k: spelled.price(each.limit_price) if each and each.limit_price else ""
        for k, each in exits.items()
    }
    follows = {k: FOLLOWED[each.by] if each and contract else unknown for k, each in exits.items()}
    no_price = "" if option else spelled.price(None)
    row = {
        "orderId": ids.order(order),
        "orderLinkId": order.client_order_id,
        "blockTradeId": "",
        "symbol": listing.symbol,
        "price": spelled.price(order.price),
        "qty": trimmed(asked_size) if in_quote else spelled.size(asked_size),
        "side": SIDES[order.side],
        "isLeverage": labels.get("leverage", "0") if spot else "",
        "positionIdx": POSITION_INDEX[asked.position_side],
        "orderStatus": status(order),
        "cancelType": cancel,
        "rejectReason": reject,
        "avgPrice": number(mean) if mean else "" if pushed or spot else "0",
        "leavesQty": "" if option and ended else spelled.size(remaining),
        "leavesValue": "" if option and ended else number(value),
        "cumExecQty": spelled.size(order.filled),
        "cumExecValue": number(order.value),
        "cumExecFee": number(sum(order.fees.values(), Decimal(0)), 12),
        "timeInForce": "IOC" if market else _LIFETIMES[asked.lifetime],
        "orderType": "Market" if market else "Limit",
        "stopOrderType": stop_type(order),
        "orderIv": labels.get("iv", ""),
        "triggerPrice": spelled.price(at) if (at := _triggers_at(order)) else no_price,
        "takeProfit": prices["tp"] if exits["tp"] or not option else "",
        "stopLoss": prices["sl"] if exits["sl"] or not option else "",
        "tpTriggerBy": follows["tp"],
        "slTriggerBy": follows["sl"],
        "triggerDirection": _direction(order),
        "triggerBy": FOLLOWED[asked.trigger.by] if asked.trigger and contract else unknown,
        "reduceOnly": asked.reduce_only or asked.closing or bool(exit_of(order) and not spot),
        "closeOnTrigger": asked.closing or bool(labels.get("close")),
        "smpType": _PREVENTED[asked.self_trade] if asked.self_trade else "None",
        "smpGroup": 0,
        "smpOrderId": "" if order.prevented_by is None else ids.of(category, order.prevented_by),
        "tpLimitPrice": limits["tp"],
        "slLimitPrice": limits["sl"],
        "placeType": labels.get("place", "") if option else "",
        "slippageToleranceType": labels.get("slippage_type") or "UNKNOWN",
        "slippageTolerance": labels.get("slippage", ""),
        "createdTime": str(milliseconds(order.created_ns)),
        "updatedTime": str(milliseconds(order.updated_ns)),
        "cumFeeDetail": _fees(order),
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "parentOrderLinkId": parent_link,
        "marketUnit": labels.get("unit", ""),
        "ocoTriggerBy": "OcoTriggerByUnknown" if spot else "",
        "extraFees": "",
    }
    if not spot:
        row["createType"] = create_type(order)
        row["tpslMode"] = _mode(order) if contract else ""
        row["lastPriceOnCreated"] = "" if option else spelled.price(order.last_price)
    elif pushed:
        row["lastPriceOnCreated"] = spelled.price(order.last_price)
        blank = f"{0:.{decimals(listing.tick)}f}"
        names = ("triggerPrice", "takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice")
        row |= {name: blank for name in names if row[name] in {"", "0"}}
    else:
        row["basePrice"] = spelled.price(order.last_price)
    if pushed:
        del row["extraFees"]
        if option:
            del row["createType"]
        row |= {"category": category, "feeCurrency": _fee_currency(order)}
        row["closedPnl"] = number(order.closed_profit)
        return pushed_order(row)
    return row


def _direction(order: DeskOrder) -> int:
    trigger = order.asked.trigger
    if trigger is None or order.listing.category == SPOT:
        return 0
    return 1 if trigger.rises else 2


def _triggers_at(order: DeskOrder) -> Decimal | None:
    """Of a trailing stop that doesn't follow yet, where it begins to."""
    trigger = order.asked.trigger
    return order.asked.activates_at or (None if trigger is None else trigger.price)


def _mode(order: DeskOrder) -> str:
    asked = order.asked
    if exit_of(order):
        return "Full" if asked.closing else "Partial"
    if asked.take_profit or asked.stop_loss:
        return "Partial" if asked.partial_exits else "Full"
    return ""


def _fee_currency(order: DeskOrder) -> str:
    if order.listing.category != SPOT:
        return ""
    return next(iter(order.fees), "")


def late_row(row: dict[str, Any]) -> dict[str, Any]:
    """The second event of a filled order whose cancel came too late."""
    return {**row, "cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}


def fill_row(ids: Ids, fill: DeskFill, *, pushed: bool) -> dict[str, Any]:
    """A fill as in lists, or as it is pushed."""
    order, listing = fill.order, fill.listing
    category, spelled = listing.category, Spelled(listing)
    spot, option = category == SPOT, category == OPTION
    theirs = order.by is not None
    size = order.size
    row = {
        "symbol": listing.symbol,
        "orderId": ids.order(order),
        "orderLinkId": "" if theirs else order.client_order_id,
        "side": SIDES[fill.side],
        "orderPrice": spelled.price(order.price),
        "orderQty": spelled.size(fill.size if size is None else size),
        "leavesQty": spelled.size(order.remaining),
        "orderType": "Market" if order.asked.type is OrderType.MARKET else "Limit",
        "stopOrderType": stop_type(order),
        "execFee": number(fill.fee, 12),
        "execFeeV2": "",
        "execId": ids.fill(category, fill.number),
        "execPrice": spelled.price(fill.price),
        "execQty": spelled.size(fill.size),
        "execType": EXECUTION_KINDS[fill.kind],
        "execValue": number(fill.value),
        "execTime": str(milliseconds(fill.time_ns)),
        "feeCurrency": fill.fee_asset if spot or pushed else "",
        "isMaker": fill.maker,
        "feeRate": number(fill.fee_rate),
        "tradeIv": str(order.asked.labels.get("iv", "")) if option else "",
        "markIv": "",
        "markPrice": "" if spot else spelled.price(fill.mark_price),
        "indexPrice": spelled.price(fill.index_price) if option else "",
        "underlyingPrice": spelled.price(fill.index_price) if option else "",
        "blockTradeId": "",
        "closedSize": "" if spot else spelled.size(fill.closed),
        "seq": fill.sequence,
        "extraFees": "",
    }
    if not spot and not (pushed and option):
        row["createType"] = create_type(order)
    if pushed:
        del row["execFeeV2"]
        row |= {
            "category": category,
            "isLeverage": order.asked.labels.get("leverage", "0") if spot else "",
            "marketUnit": order.asked.labels.get("unit", ""),
            "execPnl": number(fill.profit, 12),
        }
        return pushed_fill(row)
    return row


def early_row(ids: Ids, fill: DeskFill, turned_taker: bool) -> dict[str, Any]:
    """``execution.fast``: without a fee, and without the link id of what rested.

    https://bybit-exchange.github.io/docs/v5/websocket/private/fast-execution
    """
    order, listing = fill.order, fill.listing
    spelled = Spelled(listing)
    return {
        "category": listing.category,
        "symbol": listing.symbol,
        "execId": ids.fill(listing.category, fill.number),
        "execPrice": spelled.price(fill.price),
        "execQty": spelled.size(fill.size),
        "orderId": ids.order(order),
        "isMaker": fill.maker,
        "orderLinkId": "" if fill.maker or turned_taker else order.client_order_id,
        "side": SIDES[fill.side],
        "execTime": str(milliseconds(fill.time_ns)),
        "seq": fill.sequence,
    }
