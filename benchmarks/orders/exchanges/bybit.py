"""Bybit: linear contracts; fills come by the topic ``execution``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.orders.exchanges import Exchange

if TYPE_CHECKING:
    import ccrs_core
    from ccrs_core.emulator import Dialect

_PLENTY = 1_000_000
"""Requests a second of a session, and of an address, to the trade socket."""


def _plugin() -> type[ccrs_core.Exchange]:
    from ccrs_bybit import Bybit

    return Bybit


def _dialect(factor: float) -> Dialect:
    from ccrs_bybit.emulator import BybitDialect

    return BybitDialect(request_limit=None, connect_limit=None, user_limit_factor=factor)


def _freed(dialect: Any) -> None:
    from ccrs_core.emulator import Allowance

    dialect.trading.session_rate = _PLENTY
    dialect.trading.entries = Allowance(_PLENTY, 1.0)


def _fills(push: Any) -> Iterable[str]:
    return (row["execId"] for row in push["data"])


EXCHANGE = Exchange(
    title="Bybit",
    package="ccrs_bybit",
    symbol="BTC/USDT:USDT",
    category="linear",
    native="BTCUSDT",
    plugin=_plugin,
    dialect=_dialect,
    freed=_freed,
    tells=b'"topic":"execution"',
    fills=_fills,
    ccxt="bybit",
    market_types=("linear",),
    prepare=lambda exchange: exchange.is_unified_enabled(),
)
