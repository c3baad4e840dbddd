"""Orders, fills and account (47 to 58, 60): of plugins that declare ``Exchange.trading``."""

from __future__ import annotations

from ccrs_core.conformance.themes.account_life import AccountLifeProperties
from ccrs_core.conformance.themes.account_lists import AccountListProperties
from ccrs_core.conformance.themes.account_machine import AccountMachineProperties
from ccrs_core.conformance.themes.account_rows import AccountRowProperties
from ccrs_core.conformance.themes.account_samples import AccountSamplesProperties
from ccrs_core.conformance.themes.account_streams import AccountStreamProperties
from ccrs_core.conformance.themes.batches import BatchProperties
from ccrs_core.conformance.themes.linked import LinkedProperties
from ccrs_core.conformance.themes.order_rules import OrderRuleProperties
from ccrs_core.conformance.themes.placing import PlacingProperties


class TradingProperties(
    AccountSamplesProperties,
    PlacingProperties,
    BatchProperties,
    LinkedProperties,
    OrderRuleProperties,
    AccountStreamProperties,
    AccountListProperties,
    AccountRowProperties,
    AccountLifeProperties,
    AccountMachineProperties,
):
    """Every property of trading."""
