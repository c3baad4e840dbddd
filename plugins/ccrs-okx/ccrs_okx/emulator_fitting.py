"""Which prices the emulated OKX takes: the limit around the index, and options by volatility.

https://www.okx.com/docs-v5/en/#public-data-rest-api-get-limit-price
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ccrs_core import Side
from ccrs_core.emulator import SimulatedMarket, index_price

_SHARE = Decimal("0.05")


def band(market: SimulatedMarket) -> tuple[Decimal, Decimal]:
    """The lowest price at which one may sell, and the highest at which one may buy."""
    index, tick = index_price(market), market.listing.tick
    lowest, highest = index * (1 - _SHARE), index * (1 + _SHARE)
    return (
        (lowest / tick).to_integral_value(ROUND_CEILING) * tick,
        (highest / tick).to_integral_value(ROUND_FLOOR) * tick,
    )


def priced_by(market: SimulatedMarket, volatility: Decimal, side: Side) -> Decimal:
    """The price of an option at a volatility, on its tick: in what it is settled in."""
    listing, rules = market.listing, market.rules
    worth = Decimal(market.greeks(float(volatility)).price)
    if listing.settle == listing.base:
        worth /= index_price(market)
    ticks = rules.allowed(max(1, rules.price.nearest(worth)), side)
    return rules.price.value(ticks)
