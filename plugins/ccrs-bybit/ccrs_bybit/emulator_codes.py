"""The emulated Bybit's refusals of orders: its codes and texts, which differ by product.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ccrs_bybit.emulator_listings import SPOT
from ccrs_core.emulator import BadRequest

PARAMETER = 10001


class Complaint(enum.Enum):
    """Why an order, an amendment or a cancel is refused at once."""

    SYMBOL = enum.auto()
    SIDE = enum.auto()
    TYPE = enum.auto()
    TIME_IN_FORCE = enum.auto()
    QTY = enum.auto()
    QTY_STEP = enum.auto()
    QTY_SMALL = enum.auto()
    QTY_LARGE = enum.auto()
    QTY_MARKET_LARGE = enum.auto()
    AMOUNT_STEP = enum.auto()
    VALUE_SMALL = enum.auto()
    VALUE_LARGE = enum.auto()
    PRICE = enum.auto()
    PRICE_STEP = enum.auto()
    PRICE_LOW = enum.auto()
    PRICE_HIGH = enum.auto()
    BUY_ABOVE_BAND = enum.auto()
    SELL_BELOW_BAND = enum.auto()
    FILTER = enum.auto()
    TRIGGER_MISSING = enum.auto()
    EXPECTED_RISE = enum.auto()
    EXPECTED_FALL = enum.auto()
    DUPLICATE = enum.auto()
    BALANCE = enum.auto()
    NOTHING_TO_REDUCE = enum.auto()
    TOO_MANY_ORDERS = enum.auto()
    TOO_MANY_CONDITIONAL = enum.auto()
    NOT_LIVE = enum.auto()
    SETTLING = enum.auto()
    RPI = enum.auto()
    NOT_FOUND = enum.auto()
    FILLED = enum.auto()
    CANCELED = enum.auto()
    BELOW_FILLED = enum.auto()
    UNCHANGED = enum.auto()
    NOT_AMENDABLE = enum.auto()
    NO_PRICE = enum.auto()
    BUSY = enum.auto()
    TOO_MANY_EXITS = enum.auto()
    RISK_LIMIT = enum.auto()
    EXITS_OF_FILLED = enum.auto()
    BORROWING = enum.auto()


_Said = tuple[int, str]
_R = Complaint
_CONTRACTS: Mapping[Complaint, _Said] = {
    _R.SYMBOL: (PARAMETER, "params error: symbol invalid"),
    _R.SIDE: (PARAMETER, "Side invalid"),
    _R.TYPE: (PARAMETER, "OrderType invalid"),
    _R.TIME_IN_FORCE: (PARAMETER, "TimeInForce invalid"),
    _R.QTY: (PARAMETER, "Qty invalid"),
    _R.QTY_STEP: (PARAMETER, "Qty invalid"),
    _R.QTY_SMALL: (PARAMETER, "The number of contracts below the minimum allowed"),
    _R.QTY_LARGE: (PARAMETER, "The number of contracts exceeds maximum limit allowed"),
    _R.QTY_MARKET_LARGE: (PARAMETER, "The number of contracts exceeds maximum limit allowed"),
    _R.AMOUNT_STEP: (PARAMETER, "Qty invalid"),
    _R.VALUE_SMALL: (110094, "Order does not meet minimum order value {}"),
    _R.VALUE_LARGE: (110090, "Order placement failed as your position may exceed the max limit."),
    _R.RISK_LIMIT: (
        110090,
        (
            "Order placement failed as your position may exceed the max limit. Please adjust your"
            " leverage to {} or below to increase the max. position limit"
        ),
    ),
    _R.BUSY: (110079, "can not initiate replace_ao while still having pending item"),
    _R.EXITS_OF_FILLED: (
        110059,
        "Not allowed to  modify the TP/SL of a partially filled open order",
    ),
    _R.BORROWING: (PARAMETER, "params error: isLeverage invalid"),
    _R.TOO_MANY_EXITS: (110061, "Not allowed to have more than 20 TP/SLs under Partial tpSlMode"),
    _R.PRICE: (PARAMETER, "Price invalid"),
    _R.PRICE_STEP: (110003, "price is invalid"),
    _R.PRICE_LOW: (110003, "Order price is lower than the minimum"),
    _R.PRICE_HIGH: (110003, "Order price exceeds the allowable range."),
    _R.BUY_ABOVE_BAND: (110121, "Order price cannot be higher than {}, the price limitation"),
    _R.SELL_BELOW_BAND: (110120, "Order price cannot be smaller than {}, the price limitation"),
    _R.FILTER: (PARAMETER, "params error: orderFilter invalid"),
    _R.TRIGGER_MISSING: (PARAMETER, "TriggerPrice invalid"),
    _R.EXPECTED_RISE: (110092, "expect Rising, but trigger_price[{}] <= current[{}]??{}"),
    _R.EXPECTED_FALL: (110093, "expect Falling, but trigger_price[{}] >= current[{}]??{}"),
    _R.DUPLICATE: (110072, "OrderLinkedID is duplicate"),
    _R.BALANCE: (110007, "ab not enough for new order"),
    _R.NOTHING_TO_REDUCE: (
        110017,
        "current position is zero, cannot fix reduce-only order qty",
    ),
    _R.TOO_MANY_ORDERS: (110020, "Not allowed to have more than 500 active orders."),
    _R.TOO_MANY_CONDITIONAL: (110009, "stop orders number exceeds max"),
    _R.NOT_LIVE: (110074, "This contract is not live"),
    _R.SETTLING: (110063, "Settlement in progress! {} not available for trading."),
    _R.RPI: (110119, "Order failed. RPI orders are restricted to approved market makers only"),
    _R.NOT_FOUND: (110001, "order not exists or too late to cancel"),
    _R.FILLED: (110008, "The order has been completed or cancelled."),
    _R.CANCELED: (110010, "The order has been cancelled"),
    _R.BELOW_FILLED: (
        110064,
        "The modified contract quantity cannot be less than or equal to the filled quantity.",
    ),
    _R.UNCHANGED: (
        PARAMETER,
        "The order remains unchanged as the parameters entered match the existing ones.",
    ),
    _R.NOT_AMENDABLE: (110001, "order not exists or too late to replace"),
    _R.NO_PRICE: (110118, "Unable to retrieve a pruce of the market order due to low liquidity"),
}
_PAIRS: Mapping[Complaint, _Said] = {
    _R.SYMBOL: (170121, "Invalid symbol."),
    _R.SIDE: (170117, "Invalid side."),
    _R.TYPE: (170116, "Invalid orderType."),
    _R.TIME_IN_FORCE: (170115, "Invalid timeInForce."),
    _R.QTY: (170130, "Data sent for paramter 'qty' is not valid."),
    _R.QTY_STEP: (170137, "Order quantity has too many decimals."),
    _R.QTY_SMALL: (170136, "Order quantity exceeded lower limit."),
    _R.QTY_LARGE: (170124, "Order quantity exceeded upper limit."),
    _R.QTY_MARKET_LARGE: (170381, "Order quantity too large."),
    _R.AMOUNT_STEP: (170148, "Market order amount decimal too long."),
    _R.VALUE_SMALL: (170140, "Order value exceeded lower limit."),
    _R.VALUE_LARGE: (170341, "Request order quantity exceeds maximum limit"),
    _R.PRICE: (170130, "Data sent for paramter 'price' is not valid."),
    _R.PRICE_STEP: (170134, "Order price has too many decimals."),
    _R.PRICE_LOW: (170133, "Order price lower than the minimum."),
    _R.PRICE_HIGH: (170132, "Order price too high."),
    _R.BUY_ABOVE_BAND: (170193, "Buy order price cannot be higher than {}."),
    _R.SELL_BELOW_BAND: (170194, "Sell order price cannot be lower than {}."),
    _R.FILTER: (170201, "Invalid orderFilter parameter."),
    _R.TRIGGER_MISSING: (170202, "Please enter the TP/SL price."),
    _R.DUPLICATE: (170141, "Duplicate clientOrderId."),
    _R.BALANCE: (170131, "Insufficient balance."),
    _R.TOO_MANY_ORDERS: (
        170810,
        "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
    ),
    _R.TOO_MANY_CONDITIONAL: (
        170810,
        "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
    ),
    _R.NOT_LIVE: (170151, "The trading pair is not open yet."),
    _R.SETTLING: (170151, "The trading pair is not open yet."),
    _R.RPI: (170355, "RPI orders are restricted to approved market makers only"),
    _R.NOT_FOUND: (170213, "Order does not exist."),
    _R.FILLED: (170139, "Order has been filled."),
    _R.CANCELED: (170142, "Order has been cancelled."),
    _R.BELOW_FILLED: (
        170313,
        "The modified contract quantity cannot be less than to the filled quantity",
    ),
    _R.BORROWING: (
        170036,
        (
            "You haven't enabled Cross Margin Trading yet. To do so, please head to the PC trading"
            " site or the Bybit app"
        ),
    ),
    _R.BUSY: (170144, "Order has been locked."),
    _R.NOT_AMENDABLE: (170312, "The current order does not support modification"),
}


def refuse(category: str, complaint: Complaint, *details: object) -> BadRequest:
    """How Bybit refuses that, of a product."""
    said = _PAIRS.get(complaint) if category == SPOT else None
    code, text = said or _CONTRACTS[complaint]
    return BadRequest(code, text.format(*details))


def wrong(name: str) -> BadRequest:
    """How Bybit refuses a parameter that is missing, of a wrong type or out of its choices."""
    return BadRequest(PARAMETER, f"params error: {name} invalid")
