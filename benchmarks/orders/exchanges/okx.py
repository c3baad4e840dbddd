"""OKX: perpetual swaps; fills come with their order, by the channel ``orders``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.orders.exchanges import Exchange

if TYPE_CHECKING:
    import ccrs_core
    from ccrs_core.emulator import Dialect


def _plugin() -> type[ccrs_core.Exchange]:
    from ccrs_okx import Okx

    return Okx


def _dialect(factor: float) -> Dialect:
    from ccrs_okx.emulator import OkxDialect

    return OkxDialect(request_limits=False, connect_limit=None, user_limit_factor=factor)


def _fills(push: Any) -> Iterable[str]:
    return (row["tradeId"] for row in push.get("data", ()) if row["tradeId"])


EXCHANGE = Exchange(
    title="OKX",
    package="ccrs_okx",
    symbol="BTC/USDT:USDT",
    category="SWAP",
    native="BTC-USDT-SWAP",
    contract="0.01",
    passphrase="emulator",
    plugin=_plugin,
    dialect=_dialect,
    tells=b'"channel":"orders"',
    fills=_fills,
    ccxt="okx",
    market_types=("swap",),
)
