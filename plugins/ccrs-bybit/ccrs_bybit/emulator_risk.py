"""How large the emulated Bybit lets accounts become: caps of open orders, and risk tiers of
positions.

https://bybit-exchange.github.io/docs/v5/order/create-order and
https://bybit-exchange.github.io/docs/v5/market/risk-limit
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ccrs_bybit.emulator_listings import OPTION, SPOT
from ccrs_core import Market
from ccrs_core.emulator import DeskOrder, Listing, NewOrder, Refusal, RiskTier, trimmed

MOST_EXITS = 20
"""Take profits and stop losses of parts of a position (110061)."""
_MOST, _MOST_OF_COIN, _MOST_CONDITIONAL, _MOST_STOPS = 500, 50, 10, 30
_TIERS = 10
_STEP = Decimal(2_000_000)
_INVERSE_STEP = Decimal(15_000_000)


def cap(asked: NewOrder, open_orders: Sequence[DeskOrder]) -> Refusal | None:
    """Why an order would be one too many.

    Of contracts 500 active ones and 10 conditional ones a symbol; of spot 500 in all, 30 of which
    may be TP/SL orders of a symbol, and 30 conditional ones; of options 50 a coin.
    """
    listing = asked.listing
    category = listing.category
    of_kind = [order for order in open_orders if order.listing.category == category]
    if category == OPTION:
        of_coin = [order for order in of_kind if order.listing.base == listing.base]
        return Refusal.CAP_OPEN if len(of_coin) >= _MOST_OF_COIN else None
    of_symbol = [order for order in of_kind if order.listing.symbol == listing.symbol]
    if category == SPOT:
        if len(of_kind) >= _MOST:
            return Refusal.CAP_OPEN
        kind = asked.labels.get("filter", "Order")
        alike = [order for order in of_symbol if _spot_filter(order) == kind]
        return Refusal.CAP_WAITING if kind != "Order" and len(alike) >= _MOST_STOPS else None
    if _closes(asked):
        return None  # those of positions have a cap of their own
    waits = asked.trigger is not None
    alike = [each for each in of_symbol if not _closes(each.asked) and _waits(each) is waits]
    if waits:
        return Refusal.CAP_WAITING if len(alike) >= _MOST_CONDITIONAL else None
    return Refusal.CAP_OPEN if len(alike) >= _MOST else None


def _waits(order: DeskOrder) -> bool:
    return order.asked.trigger is not None and not order.triggered


def _spot_filter(order: DeskOrder) -> str:
    kind = "tpslOrder" if order.exit_kind else str(order.asked.labels.get("filter") or "Order")
    return "" if order.triggered else kind


def _closes(asked: NewOrder) -> bool:
    return bool(asked.labels.get("exit")) or asked.closing


def tiers(listing: Listing) -> Sequence[RiskTier]:
    """The risk tiers of a contract; what Bybit lists differs by symbol and day."""
    return _tiers(listing.market, listing.price)


@lru_cache(1000)
def _tiers(market: Market, price: Decimal) -> Sequence[RiskTier]:
    if market is Market.INVERSE:
        step = max(Decimal(1), (_INVERSE_STEP / price).to_integral_value())
    elif market is Market.LINEAR:
        step = _STEP
    else:
        return ()
    found: list[RiskTier] = []
    for number in range(1, _TIERS + 1):
        kept, deduction = Decimal("0.005") * number, Decimal(0)
        if found:
            last = found[-1]
            deduction = last.deduction + last.most_value * (kept - last.maintenance_rate)
        found.append(
            RiskTier(
                most_value=step * number,
                most_leverage=round(1 / initial_rate(number), 2),
                maintenance_rate=kept,
                deduction=deduction,
            )
        )
    return tuple(found)


def initial_rate(number: int) -> Decimal:
    """The initial margin of a tier, counted from 1."""
    return Decimal("0.015") + Decimal("0.005") * number


def tier_number(listing: Listing, value: Decimal) -> int:
    """In which tier a position of a value is, counted from 1; 0 of what has none."""
    listed = tiers(listing)
    for number, tier in enumerate(listed, 1):
        if value <= tier.most_value:
            return number
    return len(listed)


def risk_rows(listing: Listing) -> list[dict[str, Any]]:
    """``market/risk-limit``: the tiers of a symbol; rates in per cent."""
    return [
        {
            "id": number,
            "symbol": listing.symbol,
            "riskLimitValue": trimmed(tier.most_value),
            "maintenanceMargin": trimmed(tier.maintenance_rate * 100),
            "initialMargin": trimmed(initial_rate(number) * 100),
            "isLowestRisk": int(number == 1),
            "maxLeverage": f"{tier.most_leverage:.2f}",
            "mmDeduction": trimmed(tier.deduction) if tier.deduction else "",
        }
        for number, tier in enumerate(tiers(listing), 1)
    ]
