"""Orders, fills and account: the place of properties 47-58 and 60."""

from __future__ import annotations

from ccrs_core.conformance.themes.account_samples import AccountSamplesProperties


class TradingProperties(AccountSamplesProperties):
    """What is read of accounts. Properties 47-58 (orders, fills, positions, balances) and 60
    (private streams never use a lossy policy) are switched on by the capabilities that declare
    trading."""
