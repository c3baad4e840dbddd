"""Bybit v5 for ccrs: public market data over WebSocket and REST."""

from ccrs_bybit.exchange import Bybit

__all__ = ["Bybit"]
