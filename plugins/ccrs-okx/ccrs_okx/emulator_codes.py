"""In which codes and words the emulated OKX refuses what accounts ask.

https://www.okx.com/docs-v5/en/#error-code
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_core.emulator import BadRequest, NewOrder, Refusal, Refused

PARAMETER = 51000
TOO_MANY = BadRequest(
    50011,
    "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
    429,
)
UNKNOWN = BadRequest(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
GONE = BadRequest(
    51400, "Cancellation failed as the order has been filled, canceled or does not exist."
)
UNCHANGEABLE = BadRequest(
    51503,
    "Order modification failed as the order has been filled, canceled or does not exist.",
)
ABSENT = BadRequest(51603, "Order does not exist")
IN_FLIGHT = BadRequest(
    51513,
    "Number of modification requests that are currently in progress for an order cannot exceed 3.",
)
DUPLICATE = BadRequest(51016, "Client order ID already exists.")

_TEXTS: Mapping[Refusal, tuple[int, str]] = {
    Refusal.DUPLICATE_ID: (51016, "Client order ID already exists."),
    Refusal.MARKET_STATE: (51022, "Instrument suspended"),
    Refusal.SIZE_STEP: (51121, "Order quantity must be a multiple of the lot size."),
    Refusal.SIZE_MIN: (51020, "Your order should meet or exceed the minimum order amount."),
    Refusal.SIZE_MAX: (51203, "Order quantity exceeds the limit."),
    Refusal.PRICE_STEP: (PARAMETER, "Parameter px error "),
    Refusal.PRICE_MIN: (51122, "Order price must be higher than the minimum price."),
    Refusal.NOTIONAL_MIN: (51020, "Your order should meet or exceed the minimum order amount."),
    Refusal.CAP_OPEN: (51174, "The number of pending orders reached the upper limit."),
    Refusal.CAP_WAITING: (51102, "The number of pending algo orders reached the upper limit."),
    Refusal.REDUCE_ONLY: (
        51169,
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
    Refusal.POSITION_SIDE: (PARAMETER, "Parameter posSide error"),
    Refusal.TRIGGER_PASSED: (51046, "The trigger price has been passed by the price already."),
    Refusal.EXIT_SIDE: (51052, "Stop loss or take profit trigger price is on the wrong side."),
    Refusal.NOTHING_CHANGES: (PARAMETER, "Parameter newPx or newSz error"),
    Refusal.NOT_AMENDABLE: (51506, "Order modification unavailable for the order type."),
    Refusal.LEVERAGE: (59102, "Leverage exceeds the maximum limit. Please lower the leverage."),
    Refusal.IN_USE: (
        59000,
        "Setting failed. Cancel any open orders, close positions, and stop trading bots first.",
    ),
    Refusal.MODE: (51010, "You can't complete this request under your current account mode."),
    Refusal.BUSY: (51513, IN_FLIGHT.text),
    Refusal.RISK_LIMIT: (
        51004,
        "Order failed. Order amount and position exceed the maximum at the current leverage.",
    ),
}


def parameter(name: str) -> BadRequest:
    """A parameter that can't be so."""
    return BadRequest(PARAMETER, f"Parameter {name} error")


def empty(name: str) -> BadRequest:
    """A parameter that must be there."""
    return BadRequest(50014, f"Parameter {name} can not be empty.", 400)


def complain(refused: Refused, asked: NewOrder) -> BadRequest:
    """How a refusal of the desk is said."""
    listing = asked.listing
    if refused.why is Refusal.BALANCE:
        asset = listing.settle or (listing.quote if asked.side.value == "buy" else listing.base)
        kind = "margin" if listing.settle else "balance"
        return BadRequest(51008, f"Order failed. Insufficient {asset} {kind} in account ")
    return BadRequest(*_TEXTS[refused.why])
