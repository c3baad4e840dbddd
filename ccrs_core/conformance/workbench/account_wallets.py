"""The wallets of an account at the emulated exchange: one, or several that hold the same assets
apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import pytest

from ccrs_core.contract.trading import Trading
from ccrs_core.emulator import DeskOrder, EmulatedExchange, TradingAccount
from ccrs_core.model.instruments import Market


@attrs.frozen
class Wallets:
    """What the desk has of one account."""

    by_market: Mapping[Market, TradingAccount]
    by_purse: Mapping[str, TradingAccount]
    """By the name that the plugin has for each: empty where there is one."""

    def of(self, market: Market) -> TradingAccount:
        """The wallet that orders and fills of a market move."""
        return self.by_market[market]

    @property
    def all(self) -> Sequence[TradingAccount]:
        """Each once."""
        return tuple(self.by_purse.values())

    @property
    def names(self) -> frozenset[str]:
        """What the desk calls them."""
        return frozenset(each.name for each in self.all)

    @property
    def accounts(self) -> Mapping[str, str]:
        """What the desk calls them, by what the plugin does."""
        return {purse: each.name for purse, each in self.by_purse.items()}

    def open_orders(self) -> list[DeskOrder]:
        return [order for each in self.all for order in each.open_orders()]


def wallets_of(venue: EmulatedExchange, trading: Trading, name: str) -> Wallets:
    """The wallets of an account of that name, opened with what it has. Fails where the plugin
    doesn't say of the same markets as its dialect that their money is apart."""
    dialect = venue.dialect
    assert dialect.desk is not None
    by_market: dict[Market, TradingAccount] = {}
    by_purse: dict[str, TradingAccount] = {}
    for market in trading.features:
        wallet = by_market[market] = dialect.desk.accounts[dialect.wallet(name, market)]
        purse = trading.purses.get(market, "")
        if by_purse.setdefault(purse, wallet) is not wallet:
            pytest.fail(
                f"the dialect keeps money of {market.value} apart ({wallet.name}), Trading.purses "
                f"names no purse for it alone: balances of both would be taken for one"
            )
    if len({each.name for each in by_purse.values()}) < len(by_purse):
        pytest.fail(
            f"Trading.purses names {sorted(by_purse)}, and the dialect has one wallet for them: "
            "write Dialect.wallet()"
        )
    return Wallets(by_market, by_purse)
