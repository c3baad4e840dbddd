"""Orders, fills and account: the place of properties 47-58 and 60, which come with trading."""

from __future__ import annotations


class TradingProperties:
    """Nothing to prove yet: the contract of this version has no orders and no private streams.

    Properties 47-58 (orders, fills, positions, balances) and 60 (private streams never use a lossy
    policy) come with trading, and are switched on by the capabilities that declare it.
    """
