"""Binance: USD-M contracts; fills come by ``ORDER_TRADE_UPDATE``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.orders.exchanges import Exchange

if TYPE_CHECKING:
    import ccrs_core
    from ccrs_core.emulator import Dialect


def _plugin() -> type[ccrs_core.Exchange]:
    from ccrs_binance import Binance

    return Binance


def _dialect(factor: float) -> Dialect:
    from ccrs_binance.emulator import BinanceDialect

    return BinanceDialect(weight_limits={}, connect_limit=None, order_limit_factor=factor)


def _fills(push: Any) -> Iterable[str]:
    order = push.get("data", push)["o"]
    return (str(order["t"]),) if order["x"] == "TRADE" else ()


EXCHANGE = Exchange(
    title="Binance",
    package="ccrs_binance",
    symbol="BTC/USDT:USDT",
    category="usdm",
    native="BTCUSDT",
    plugin=_plugin,
    dialect=_dialect,
    tells=b'"ORDER_TRADE_UPDATE"',
    fills=_fills,
    ccxt="binanceusdm",
    market_types=("linear",),
    unreadable=lambda row: "contractType" in row and "marginAsset" not in row,
    hosts={"fstream.binance.com": "/fstream"},
)
