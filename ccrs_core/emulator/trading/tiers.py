"""Risk tiers: which leverage and which margin a position of a size may and must have."""

from __future__ import annotations

from decimal import Decimal

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.conduct import Conduct, RiskTier

BOUNDLESS = Decimal("1e30")


def tier_of(conduct: Conduct, listing: Listing, value: Decimal) -> RiskTier:
    """The tier of a position of that value (without sign); the last one of what is beyond all."""
    tiers = conduct.tiers(listing)
    for tier in tiers:
        if value <= tier.most_value:
            return tier
    if tiers:
        return tiers[-1]
    return RiskTier(
        most_value=BOUNDLESS,
        most_leverage=conduct.most_leverage(listing),
        maintenance_rate=conduct.maintenance_rate(listing),
    )


def maintenance_of(conduct: Conduct, listing: Listing, value: Decimal) -> Decimal:
    """The margin that a position of that value must keep."""
    tier = tier_of(conduct, listing, value)
    return max(value * tier.maintenance_rate - tier.deduction, Decimal(0))


def leverage_for(conduct: Conduct, listing: Listing, value: Decimal) -> Decimal:
    """The most leverage at which a position may be worth that much; zero where it may not be."""
    tier = tier_of(conduct, listing, value)
    return tier.most_leverage if value <= tier.most_value else Decimal(0)
