"""Binance for ccrs: public market data of spot and USD-M futures over WebSocket and REST."""

from ccrs_binance.exchange import Binance

__all__ = ["Binance"]
