"""What asking an exchange and listening to it share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from ccrs_core.contract.exchange import Exchange
from ccrs_core.transport.account_limits import AccountLimits, account_limits
from ccrs_core.transport.addresses import Reachable
from ccrs_core.transport.base import Clock, Transport
from ccrs_core.transport.exchange_time import ExchangeTime
from ccrs_core.transport.limits import HostLimits, limits_of
from ccrs_core.transport.options import Options


@attrs.frozen(kw_only=True)
class Context:
    """One environment of an exchange, and how it is reached: for requests and connections."""

    exchange: Exchange
    transport: Transport
    clock: Clock
    options: Options
    addresses: Reachable
    """Those of the environment, by name."""
    hook: Callable[..., None]
    """Tells the client's listeners: by the name of a hook, and its arguments."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Of every request (``Environment.headers``)."""
    exchange_time: ExchangeTime = attrs.field(factory=ExchangeTime)

    def now_ns(self) -> int:
        """The exchange's time as far as it is known, never ahead of it; else the local clock's."""
        return self.exchange_time.now_ns(self.clock)

    def stream_limits(self, url: str, leaves: str = "") -> HostLimits:
        """The budgets of an address that connections dial, of those that leave by one exit
        (``Way.exit``): exchanges count by the address that they see."""
        return limits_of(self.exchange, url, self.clock, leaves=leaves)

    def account_limits(self, key: str) -> AccountLimits:
        """The budgets of the account that an API key is of."""
        addresses = tuple(self.addresses.values())
        return account_limits(self.exchange.name, addresses, key, self.clock)

    def rest(self, name: str) -> tuple[str, HostLimits]:
        """Address and budgets of requests, by the name that ``Exchange.rest_address`` gives it.

        :raises Unsupported: where the environment has no such address.
        """
        pool = self.exchange.rest_pool(name)
        limits = limits_of(self.exchange, self.addresses[pool], self.clock, pool)
        return self.addresses[name], limits
