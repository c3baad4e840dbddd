"""My Exchange for ccrs. The entry point in pyproject.toml leads here."""

from .exchange import MyExchange as MyExchange

__all__ = ["MyExchange"]
