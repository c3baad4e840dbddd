"""What an account has of each asset, and how much of it its orders lay hold of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ccrs_core.emulator.trading.happenings import DeskBalance
from ccrs_core.emulator.trading.orders import ZERO


class Wallet:
    """One account's assets. :class:`~ccrs_core.emulator.trading.clearing.Clearing` alone changes
    it."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._assets: dict[str, DeskBalance] = {}

    def __getitem__(self, asset: str) -> DeskBalance:
        """What there is of an asset; zero of one that was never there."""
        found = self._assets.get(asset)
        if found is None:
            return DeskBalance(
                account=self._account, asset=asset, total=ZERO, locked=ZERO, order_margin=ZERO
            )
        return found

    @property
    def assets(self) -> Mapping[str, DeskBalance]:
        """All that there ever was something of."""
        return self._assets

    def move(
        self,
        asset: str,
        total: Decimal = ZERO,
        *,
        locked: Decimal = ZERO,
        order_margin: Decimal = ZERO,
    ) -> DeskBalance:
        """Add to what there is (below zero: take off)."""
        before = self[asset]
        after = self._assets[asset] = DeskBalance(
            account=self._account,
            asset=asset,
            total=before.total + total,
            locked=before.locked + locked,
            order_margin=before.order_margin + order_margin,
        )
        return after
