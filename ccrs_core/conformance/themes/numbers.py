"""Properties of numbers, time and identity (13 to 18)."""

from __future__ import annotations

from ccrs_core.conformance.themes.candles import CandleProperties
from ccrs_core.conformance.themes.identity import IdentityProperties
from ccrs_core.conformance.themes.payments import FundingProperties
from ccrs_core.conformance.themes.quantities import QuantityProperties
from ccrs_core.conformance.themes.times import TimeProperties


class NumberProperties(
    QuantityProperties, TimeProperties, CandleProperties, FundingProperties, IdentityProperties
):
    """Every property of the theme of numbers, time and identity."""
