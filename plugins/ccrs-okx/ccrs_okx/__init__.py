"""OKX v5 for ccrs: market data, and the calls and streams of accounts."""

from ccrs_okx.exchange import Okx

__all__ = ["Okx"]
