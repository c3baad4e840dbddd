"""How the emulated Binance refuses orders: its codes and texts, which differ between spot and
contracts.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_binance.emulator_listings import COINM, SPOT
from ccrs_core.emulator import BadRequest, Listing, Refusal, Refused

UNKNOWN_ORDER = BadRequest(-2011, "Unknown order sent.", 400)
ARCHIVED = BadRequest(
    -2026,
    "Order was canceled or expired with no executed qty over 90 days ago and has been archived.",
    400,
)
NO_SUCH_ORDER = BadRequest(-2013, "Order does not exist.", 400)
WOULD_TAKE = BadRequest(-2010, "Order would immediately match and take.", 400)
BAD_SYMBOL = BadRequest(-1121, "Invalid symbol.", 400)

_SPOT: Mapping[Refusal, tuple[int, str]] = {
    Refusal.NOT_FOUND: (-2011, "Unknown order sent."),
    Refusal.ENDED: (-2011, "Unknown order sent."),
    Refusal.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Refusal.MARKET_STATE: (-1013, "Market is closed."),
    Refusal.SIZE_STEP: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.SIZE_MIN: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.SIZE_MAX: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.PRICE_STEP: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.PRICE_MIN: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.NOTIONAL_MIN: (-1013, "Filter failure: NOTIONAL"),
    Refusal.BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Refusal.CAP_OPEN: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Refusal.CAP_WAITING: (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
    Refusal.TRIGGER_PASSED: (-2010, "Order would trigger immediately."),
    Refusal.NOTHING_CHANGES: (-2038, "The requested action would change no state; rejecting."),
    Refusal.BELOW_FILLED: (-2038, "The requested action would change no state; rejecting."),
    Refusal.NOT_AMENDABLE: (-2038, "Order amend is not supported for this order."),
}
_CONTRACTS: Mapping[Refusal, tuple[int, str]] = {
    Refusal.NOT_FOUND: (-2011, "Unknown order sent."),
    Refusal.ENDED: (-2011, "Unknown order sent."),
    Refusal.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Refusal.MARKET_STATE: (-4140, "Invalid symbol status for opening position."),
    Refusal.SIZE_STEP: (-1111, "Precision is over the maximum defined for this asset."),
    Refusal.SIZE_MIN: (-4003, "Quantity less than or equal to zero."),
    Refusal.SIZE_MAX: (-4005, "Quantity greater than max quantity."),
    Refusal.PRICE_STEP: (-4014, "Price not increased by tick size."),
    Refusal.PRICE_MIN: (-4013, "Price less than min price."),
    Refusal.NOTIONAL_MIN: (
        -4164,
        "Order's notional must be no smaller than {} (unless you choose reduce only).",
    ),
    Refusal.BALANCE: (-2019, "Margin is insufficient."),
    Refusal.CAP_OPEN: (-2025, "Reach max open order limit."),
    Refusal.CAP_WAITING: (-4045, "Reach max stop order limit."),
    Refusal.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Refusal.POSITION_SIDE: (-4061, "Order's position side does not match user's setting."),
    Refusal.TRIGGER_PASSED: (-2021, "Order would immediately trigger."),
    Refusal.NOTHING_CHANGES: (-5027, "No need to modify the order."),
    Refusal.NOT_AMENDABLE: (-5025, "Only limit order is supported."),
    Refusal.BUSY: (-5043, "A pending modification already exists for this order."),
    Refusal.RISK_LIMIT: (-2027, "Exceeded the maximum allowable position at current leverage."),
}
_COINM: Mapping[Refusal, tuple[int, str]] = {
    Refusal.SIZE_MIN: (-4178, "Order's quantity must be no smaller than one contract."),
}


def complaint(refused: Refused, listing: Listing) -> BadRequest:
    """How Binance refuses that, of an instrument."""
    if listing.category == SPOT:
        code, text = _SPOT[refused.why]
    else:
        said = _COINM.get(refused.why) if listing.category == COINM else None
        code, text = said or _CONTRACTS[refused.why]
    return BadRequest(code, text.format(f"{listing.min_notional:f}"), 400)
