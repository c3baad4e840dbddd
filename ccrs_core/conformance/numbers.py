"""Properties of numbers, time and identity (13 to 18)."""

from __future__ import annotations

from ccrs_core.conformance.candles import CandleProperties
from ccrs_core.conformance.identity import IdentityProperties
from ccrs_core.conformance.payments import FundingProperties
from ccrs_core.conformance.quantities import QuantityProperties
from ccrs_core.conformance.times import TimeProperties


class NumberProperties(
    QuantityProperties, TimeProperties, CandleProperties, FundingProperties, IdentityProperties
):
    """Every property of the theme of numbers, time and identity."""
