"""Kraken for ccrs: public spot market data over WebSocket v2 and REST."""

from ccrs_kraken.exchange import Kraken

__all__ = ["Kraken"]
