"""OKX v5 for ccrs: public market data over WebSocket and REST."""

from ccrs_okx.exchange import Okx

__all__ = ["Okx"]
